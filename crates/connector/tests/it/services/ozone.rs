//! The connector against a real atproto network: PDS, AppView and Ozone, looked at without a login.

use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use http::Method;
use reqwest::Url;
use serde_json::{Value, json};
use watchfire_connector::{
    conformance::{self, Platform, order},
    json_api::Token,
    ozone::{Ozone, Setup},
};
use watchfire_node::connector::{Answer, Connector, Visibility};

use super::{service::Service, transcript::Transcript};
use crate::webhook::loopback;

/// Looks until something becomes true of it: AppView and PDS are told after Ozone has answered.
const LOOKS: usize = 3_000;

/// A network with `alice`, who posts, and `moderator`.
struct Network {
    service: Service,
    alice: String,
    posts: AtomicU32,
}

/// One request of a test.
struct Sent<'a> {
    method: Method,
    /// `pds` or `appview`.
    place: &'a str,
    /// The XRPC method with its query.
    path: String,
    token: Option<&'a str>,
    kind: &'a str,
    body: Vec<u8>,
}

impl Network {
    async fn start() -> Self {
        let service = Service::start(&["atproto"]);
        let mut network = Self { service, alice: String::new(), posts: AtomicU32::new(0) };
        let alice = network.service.said["alice"].clone();
        let login = json!({ "identifier": alice["handle"], "password": alice["password"] });
        let session = network.post("com.atproto.server.createSession", None, &login).await;
        network.alice = session["accessJwt"].as_str().unwrap().to_owned();
        network
    }

    fn did(&self, who: &str) -> &str {
        self.service.said[who]["did"].as_str().unwrap()
    }

    fn connector(&self, accounts: bool) -> Ozone {
        let moderator = &self.service.said["moderator"];
        let setup = Setup {
            pds: self.service.text("pds").to_owned(),
            appview: self.service.text("appview").to_owned(),
            ozone: self.service.text("ozoneDid").to_owned(),
            moderator: moderator["handle"].as_str().unwrap().to_owned(),
            password: Token::parse(moderator["password"].as_str().unwrap()).unwrap(),
            accounts,
            out: loopback(),
        };
        Ozone::new(setup).unwrap()
    }

    async fn send(&self, sent: Sent<'_>) -> (u16, Vec<u8>) {
        let url = Url::parse(&format!("{}/xrpc/{}", self.service.text(sent.place), sent.path));
        let mut request = loopback().request(sent.method, &url.unwrap()).unwrap();
        if let Some(token) = sent.token {
            request = request.bearer_auth(token);
        }
        if !sent.body.is_empty() {
            request = request.header("content-type", sent.kind).body(sent.body);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec())
    }

    async fn post(&self, path: &str, token: Option<&str>, body: &Value) -> Value {
        let body = body.to_string().into_bytes();
        let (method, path) = (Method::POST, path.to_owned());
        let sent = Sent { method, place: "pds", path, token, kind: "application/json", body };
        let (status, answer) = self.send(sent).await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&answer));
        serde_json::from_slice(&answer).unwrap()
    }

    /// What somebody without a login is answered.
    async fn look(&self, place: &str, path: String) -> (u16, Vec<u8>) {
        let (method, body) = (Method::GET, Vec::new());
        self.send(Sent { method, place, path, token: None, kind: "", body }).await
    }

    /// Whether the AppView shows a post to somebody without a login.
    async fn shows_post(&self, item: &str) -> bool {
        let path = format!("app.bsky.feed.getPosts?uris={}", item.replace(':', "%3A"));
        let (status, answer) = self.look("appview", path).await;
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(status, 200, "{answer}");
        !answer["posts"].as_array().unwrap().is_empty()
    }

    async fn until_post(&self, item: &str, visible: bool) {
        for _ in 0..LOOKS {
            if self.shows_post(item).await == visible {
                return;
            }
        }
        panic!("{item} never became visible: {visible}");
    }

    async fn until_blob(&self, path: &str, expected: u16) -> Vec<u8> {
        for _ in 0..LOOKS {
            let (status, bytes) = self.look("pds", path.to_owned()).await;
            if status == expected {
                return bytes;
            }
        }
        panic!("{path} never gave {expected}");
    }

    /// A post by alice; with a picture, if there is one.
    async fn publish(&self, picture: Option<&Value>) -> String {
        let number = self.posts.fetch_add(1, Ordering::Relaxed);
        let mut record = json!({
            "$type": "app.bsky.feed.post", "text": format!("post {number}"),
            "createdAt": "2026-11-25T12:00:00.000Z",
        });
        if let Some(picture) = picture {
            record["embed"] = json!({
                "$type": "app.bsky.embed.images", "images": [{ "image": picture, "alt": "" }],
            });
        }
        let body = json!({
            "repo": self.did("alice"), "collection": "app.bsky.feed.post", "record": record,
        });
        let made = self.post("com.atproto.repo.createRecord", Some(&self.alice), &body).await;
        let item = made["uri"].as_str().unwrap().to_owned();
        self.until_post(&item, true).await;
        item
    }

    async fn upload_blob(&self, bytes: &[u8]) -> (u16, Value) {
        let path = "com.atproto.repo.uploadBlob".to_owned();
        let (method, body) = (Method::POST, bytes.to_vec());
        let token = Some(self.alice.as_str());
        let sent = Sent { method, place: "pds", path, token, kind: "image/jpeg", body };
        let (status, answer) = self.send(sent).await;
        (status, serde_json::from_slice(&answer).unwrap())
    }
}

#[async_trait]
impl Platform for Network {
    async fn upload(&self) -> String {
        self.publish(None).await
    }

    async fn shows(&self, item: &str) -> bool {
        self.shows_post(item).await
    }

    fn refused_action(&self) -> &'static str {
        "demote"
    }
}

const PICTURE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/pdq/images/square-128x128.jpg");

#[tokio::test]
async fn ozone_keeps_the_contract() {
    let network = Network::start().await;
    conformance::check(&network.connector(false), &network).await.unwrap();
}

#[tokio::test]
async fn a_record_goes_down_with_its_picture_which_its_account_cannot_upload_again() {
    let network = Network::start().await;
    let connector = network.connector(false);
    let picture = std::fs::read(PICTURE).unwrap();
    let (status, uploaded) = network.upload_blob(&picture).await;
    assert_eq!(status, 200, "{uploaded}");
    let item = network.publish(Some(&uploaded["blob"])).await;
    let cid = uploaded["blob"]["ref"]["$link"].as_str().unwrap();
    let blob = format!("com.atproto.sync.getBlob?did={}&cid={cid}", network.did("alice"));
    assert_eq!(network.look("pds", blob.clone()).await, (200, picture.clone()));

    let mut told = Transcript::begin("Ozone");
    let remove = order("key-1", &item, "remove");
    assert_eq!(connector.enforce(&remove).await, Ok(Answer::Accepted));
    told.step("take-down accepted");
    network.until_post(&item, false).await;
    assert_eq!(connector.verify(&item).await, Ok(Visibility::Hidden));
    told.step("an ordinary user does not see the post any more");
    network.until_blob(&blob, 400).await;
    told.step("its picture is refused");
    let (status, refused) = network.upload_blob(&picture).await;
    assert_eq!(status, 400, "{refused}");
    assert_eq!(refused["message"], "Blob has been takendown, cannot re-upload");
    told.step("uploading the picture again is refused");

    assert_eq!(connector.undo(&order("key-2", &item, "restore")).await, Ok(Answer::Accepted));
    told.step("restore accepted");
    network.until_post(&item, true).await;
    assert_eq!(network.until_blob(&blob, 200).await, picture);
    told.step("post and picture are shown again, with the same bytes");
    assert_eq!(network.upload_blob(&picture).await.0, 200);
}

#[tokio::test]
async fn an_account_is_taken_down_only_where_that_is_configured() {
    let network = Network::start().await;
    let item = network.publish(None).await;
    let account = format!("at://{}", network.did("alice"));
    let careful = network.connector(false);
    let refused = careful.enforce(&order("key-1", &account, "remove")).await;
    assert!(matches!(refused, Ok(Answer::Refused(_))), "{refused:?}");

    let connector = network.connector(true);
    assert_eq!(connector.verify(&account).await, Ok(Visibility::Visible));
    let remove = order("key-2", &account, "remove");
    assert_eq!(connector.enforce(&remove).await, Ok(Answer::Accepted));
    network.until_post(&item, false).await;
    assert_eq!(connector.verify(&account).await, Ok(Visibility::Hidden));
    assert_eq!(connector.enforce(&remove).await, Ok(Answer::AlreadyDone));
    assert_eq!(connector.undo(&order("key-3", &account, "restore")).await, Ok(Answer::Accepted));
    network.until_post(&item, true).await;
    assert_eq!(connector.verify(&account).await, Ok(Visibility::Visible));
}
