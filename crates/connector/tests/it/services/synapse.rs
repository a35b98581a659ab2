//! The connector against a real Synapse, looked at through an account of an ordinary user.

use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use http::Method;
use reqwest::{StatusCode, Url};
use serde_json::{Value, json};
use watchfire_connector::{
    conformance::{self, Platform, order},
    json_api::Token,
    synapse::{Setup, Synapse},
};
use watchfire_node::connector::{Answer, Connector, Order, Visibility};

use super::{service::Service, transcript::Transcript};
use crate::webhook::loopback;

/// A homeserver with its users.
struct Homeserver {
    service: Service,
    uploads: AtomicU32,
}

impl Homeserver {
    fn start() -> Self {
        Self { service: Service::start(&["synapse"]), uploads: AtomicU32::new(0) }
    }

    fn connector(&self, redact: bool) -> Synapse {
        let token = |name| Token::parse(self.service.text(name)).unwrap();
        let (moderator, viewer) = (token("moderator"), token("viewer"));
        let url = self.service.text("url").to_owned();
        Synapse::new(Setup { url, moderator, viewer, redact, out: loopback() }).unwrap()
    }

    async fn ask(&self, who: &str, method: Method, path: &str, body: Vec<u8>) -> (u16, Vec<u8>) {
        let url = Url::parse(&format!("{}{path}", self.service.text("url"))).unwrap();
        let request = loopback().request(method, &url).unwrap();
        let request = request.bearer_auth(self.service.text(who)).body(body);
        let answer = request.header("content-type", "image/png").send().await.unwrap();
        (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec())
    }

    async fn json(&self, who: &str, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(who, method, path, body.to_string().into_bytes()).await;
        assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&answer));
        serde_json::from_slice(&answer).unwrap()
    }

    async fn upload_bytes(&self, bytes: &[u8]) -> String {
        let (status, answer) =
            self.ask("alice", Method::POST, "/_matrix/media/v3/upload", bytes.to_vec()).await;
        assert_eq!(status, 200);
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        answer["content_uri"].as_str().unwrap().to_owned()
    }

    async fn download(&self, item: &str) -> (u16, Vec<u8>) {
        let path =
            format!("/_matrix/client/v1/media/download/{}", item.strip_prefix("mxc://").unwrap());
        self.ask("viewer", Method::GET, &path, Vec::new()).await
    }
}

#[async_trait]
impl Platform for Homeserver {
    async fn upload(&self) -> String {
        let number = self.uploads.fetch_add(1, Ordering::Relaxed);
        self.upload_bytes(format!("file {number}").as_bytes()).await
    }

    async fn shows(&self, item: &str) -> bool {
        let (status, bytes) = self.download(item).await;
        status == 200 && bytes.starts_with(b"file ")
    }

    fn refused_action(&self) -> &'static str {
        "demote"
    }
}

#[tokio::test]
async fn synapse_keeps_the_contract() {
    let homeserver = Homeserver::start();
    conformance::check(&homeserver.connector(false), &homeserver).await.unwrap();
}

#[tokio::test]
async fn quarantined_bytes_stay_out_of_sight_when_they_are_uploaded_again() {
    let homeserver = Homeserver::start();
    let connector = homeserver.connector(false);
    let first = homeserver.upload_bytes(b"file: the same bytes").await;
    let mut told = Transcript::begin("Synapse");
    let remove = order("key-1", &first, "remove");
    assert_eq!(connector.enforce(&remove).await, Ok(Answer::Done));
    told.step("quarantined");
    assert_eq!(homeserver.download(&first).await.0, StatusCode::NOT_FOUND);
    told.step("an ordinary user gets 404");
    let second = homeserver.upload_bytes(b"file: the same bytes").await;
    assert_ne!(first, second);
    told.step("the same bytes uploaded again");
    for item in [&first, &second] {
        assert_eq!(homeserver.download(item).await.0, StatusCode::NOT_FOUND);
        assert_eq!(connector.verify(item).await, Ok(Visibility::Hidden));
    }
    told.step("neither upload is shown, by the user's and the connector's look");
    // Undoing brings back all that was hidden for these bytes.
    assert_eq!(connector.undo(&order("key-2", &first, "restore")).await, Ok(Answer::Done));
    told.step("put back");
    for item in [&first, &second] {
        assert_eq!(homeserver.download(item).await.1, b"file: the same bytes");
        assert_eq!(connector.verify(item).await, Ok(Visibility::Visible));
    }
    told.step("both are shown, with the same bytes");
}

#[tokio::test]
async fn what_another_administrator_decided_stays() {
    let homeserver = Homeserver::start();
    let connector = homeserver.connector(false);
    let path = |verb: &str, item: &str| {
        format!("/_synapse/admin/v1/media/{verb}/{}", item.strip_prefix("mxc://").unwrap())
    };
    let item = homeserver.upload().await;
    homeserver.json("warden", Method::POST, &path("quarantine", &item), json!({})).await;
    assert_eq!(connector.enforce(&order("key-1", &item, "remove")).await, Ok(Answer::Done));
    let undone = connector.undo(&order("key-2", &item, "restore")).await;
    assert!(matches!(&undone, Ok(Answer::Refused(why)) if why.contains("@warden")), "{undone:?}");
    assert!(!homeserver.shows(&item).await);

    let protected = homeserver.upload().await;
    let media = protected.rsplit('/').next().unwrap();
    let protect = format!("/_synapse/admin/v1/media/protect/{media}");
    homeserver.json("warden", Method::POST, &protect, json!({})).await;
    let refused = connector.enforce(&order("key-3", &protected, "remove")).await;
    assert!(matches!(refused, Ok(Answer::Refused(_))), "{refused:?}");
    assert!(homeserver.shows(&protected).await);
}

#[tokio::test]
async fn a_message_is_redacted_only_where_that_is_configured_and_never_comes_back() {
    let homeserver = Homeserver::start();
    let create = json!({ "preset": "public_chat" });
    let room = homeserver.json("moderator", Method::POST, "/_matrix/client/v3/createRoom", create);
    let room = room.await["room_id"].as_str().unwrap().to_owned();
    for user in ["alice", "viewer"] {
        let join = format!("/_matrix/client/v3/join/{room}");
        homeserver.json(user, Method::POST, &join, json!({})).await;
    }
    let send = format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/1");
    let message = json!({ "msgtype": "m.text", "body": "hate" });
    let sent = homeserver.json("alice", Method::PUT, &send, message).await;
    let event = sent["event_id"].as_str().unwrap();
    let item = format!("matrix:roomid/{}/e/{}", &room[1..], &event[1..]);

    let careful = homeserver.connector(false);
    assert_eq!(careful.verify(&item).await, Ok(Visibility::Visible));
    let refused = careful.enforce(&order("key-1", &item, "remove")).await;
    assert!(matches!(refused, Ok(Answer::Refused(_))), "{refused:?}");
    assert_eq!(careful.verify(&item).await, Ok(Visibility::Visible));

    let connector = homeserver.connector(true);
    let reversible = connector.enforce(&order("key-1", &item, "remove")).await;
    assert!(matches!(reversible, Ok(Answer::Refused(_))), "{reversible:?}");
    assert_eq!(connector.verify(&item).await, Ok(Visibility::Visible));
    let for_good = Order { reversible: false, ..order("key-2", &item, "remove") };
    assert_eq!(connector.enforce(&for_good).await, Ok(Answer::Done));
    assert_eq!(connector.enforce(&for_good).await, Ok(Answer::AlreadyDone));
    assert_eq!(connector.verify(&item).await, Ok(Visibility::Hidden));
    let look = format!("/_matrix/client/v3/rooms/{room}/event/{event}");
    let seen = homeserver.json("viewer", Method::GET, &look, json!({})).await;
    assert_eq!(seen["content"], json!({}), "{seen}");
    let undone = connector.undo(&order("key-3", &item, "restore")).await;
    assert!(matches!(undone, Ok(Answer::Refused(_))), "{undone:?}");
    // Somebody who is not in the room sees nothing, which proves nothing.
    let elsewhere = format!("matrix:roomid/{}/e/nowhere", &room[1..]);
    assert_eq!(connector.verify(&elsewhere).await, Ok(Visibility::Unknown));
}

#[tokio::test]
async fn a_token_that_has_run_out_is_an_error_to_try_again_and_no_proof() {
    let homeserver = Homeserver::start();
    let item = homeserver.upload().await;
    let stranger = Token::parse("syt_nobody").unwrap();
    let setup = Setup {
        url: homeserver.service.text("url").to_owned(),
        moderator: stranger.clone(),
        viewer: stranger,
        redact: false,
        out: loopback(),
    };
    let connector = Synapse::new(setup).unwrap();
    assert!(connector.enforce(&order("key-1", &item, "remove")).await.is_err());
    assert!(connector.verify(&item).await.is_err());
}
