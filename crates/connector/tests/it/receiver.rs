//! What the receiver believes, serves and keeps apart.

use std::sync::{Arc, atomic::Ordering};

use reqwest::{RequestBuilder, StatusCode, Url};
use watchfire_api::outbound::Outbound;
use watchfire_connector::{
    receiver::{MAX_BODY_BYTES, Receiver, Setup, StartError},
    standard_webhook::{self, Message, REPLAY_WINDOW_S, SigningKey},
};

use crate::webhook::{Hand, clock, key, loopback, shared_key, start};

const ITEM: &str = "clip-1.mp4";

struct Place {
    folder: tempfile::TempDir,
    clock: Arc<Hand>,
    receiver: Receiver,
    out: Outbound,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(ITEM), b"content").unwrap();
        let clock = clock();
        let receiver = start(folder.path(), clock.clone()).await;
        Place { folder, clock, receiver, out: loopback() }
    }

    fn request(&self, method: http::Method, path: &str) -> RequestBuilder {
        let url = Url::parse(&format!("http://{}{path}", self.receiver.address())).unwrap();
        self.out.request(method, &url).unwrap()
    }

    async fn look(&self, path: &str) -> (StatusCode, Vec<u8>) {
        let answer = self.request(http::Method::GET, path).send().await.unwrap();
        (answer.status(), answer.bytes().await.unwrap().to_vec())
    }

    fn now_s(&self) -> u64 {
        self.clock.0.load(Ordering::Relaxed) / 1000
    }

    /// Posts an order as the sender with this key would at this time.
    async fn post(&self, key: &SigningKey, id: &str, action: &str, timestamp_s: u64) -> StatusCode {
        let body = body(id, action, ITEM);
        let message = Message { id, timestamp_s, body: body.as_bytes() };
        let signature = standard_webhook::sign(std::slice::from_ref(key), message);
        self.post_signed(id, timestamp_s, &signature, body).await
    }

    async fn post_signed(
        &self,
        id: &str,
        timestamp_s: u64,
        signature: &str,
        body: String,
    ) -> StatusCode {
        let request = self
            .request(http::Method::POST, "/webhook")
            .header(standard_webhook::ID_HEADER, id)
            .header(standard_webhook::TIMESTAMP_HEADER, timestamp_s)
            .header(standard_webhook::SIGNATURE_HEADER, signature);
        request.body(body).send().await.unwrap().status()
    }
}

fn body(key: &str, action: &str, item: &str) -> String {
    serde_json::json!({
        "type": format!("watchfire.{action}"), "key": key, "item": item, "action": action,
        "decided_at_ms": 0, "detail": {},
    })
    .to_string()
}

#[tokio::test]
async fn an_item_is_served_until_it_is_removed_and_again_when_it_is_restored() {
    let place = Place::new().await;
    let path = format!("/items/{ITEM}");
    assert_eq!(place.look(&path).await, (StatusCode::OK, b"content".to_vec()));
    assert_eq!(place.post(&key(), "k1", "remove", place.now_s()).await, StatusCode::OK);
    assert_eq!(place.look(&path).await.0, StatusCode::NOT_FOUND);
    assert_eq!(place.post(&shared_key(), "k2", "restore", place.now_s()).await, StatusCode::OK);
    assert_eq!(place.look(&path).await, (StatusCode::OK, b"content".to_vec()));
}

#[tokio::test]
async fn an_order_that_is_not_signed_fresh_by_our_node_moves_nothing() {
    let place = Place::new().await;
    let now = place.now_s();
    let refused = StatusCode::UNAUTHORIZED;
    let stranger = SigningKey::from_seed(&[4; 32]);
    assert_eq!(place.post(&stranger, "k1", "remove", now).await, refused);
    assert_eq!(place.post(&key(), "k1", "remove", now - REPLAY_WINDOW_S - 1).await, refused);
    assert_eq!(place.post(&key(), "k1", "remove", now + REPLAY_WINDOW_S + 1).await, refused);
    let message = Message { id: "k1", timestamp_s: now, body: b"something else" };
    let signature = standard_webhook::sign(&[key()], message);
    let changed = place.post_signed("k1", now, &signature, body("k1", "remove", ITEM)).await;
    assert_eq!(changed, refused);
    let bare = place.request(http::Method::POST, "/webhook").body(body("k1", "remove", ITEM));
    assert_eq!(bare.send().await.unwrap().status(), refused);
    assert!(place.folder.path().join(ITEM).exists());
}

#[tokio::test]
async fn a_captured_order_cannot_be_played_again_after_its_undoing() {
    let place = Place::new().await;
    let now = place.now_s();
    assert_eq!(place.post(&key(), "k1", "remove", now).await, StatusCode::OK);
    assert_eq!(place.post(&key(), "k2", "restore", now).await, StatusCode::OK);
    assert_eq!(place.post(&key(), "k1", "remove", now).await, StatusCode::OK);
    assert!(place.folder.path().join(ITEM).exists());
}

#[tokio::test]
async fn a_signed_order_that_contradicts_itself_is_refused() {
    let place = Place::new().await;
    let now = place.now_s();
    for body in [body("k2", "remove", ITEM), "{}".to_owned(), "not json".to_owned()] {
        let message = Message { id: "k1", timestamp_s: now, body: body.as_bytes() };
        let signature = standard_webhook::sign(&[key()], message);
        let status = place.post_signed("k1", now, &signature, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
    }
    assert!(place.folder.path().join(ITEM).exists());
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_not_read() {
    let place = Place::new().await;
    let long = "x".repeat(MAX_BODY_BYTES + 1);
    let status = place.post_signed("k1", place.now_s(), "v1,AAAA", long).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn nothing_outside_of_the_folder_is_served() {
    let place = Place::new().await;
    let secret = place.folder.path().parent().unwrap().join("watchfire-receiver-secret");
    std::fs::write(&secret, b"secret").unwrap();
    let absolute = secret.to_str().unwrap().replace('/', "%2F");
    for path in [
        "/items/..%2Fwatchfire-receiver-secret",
        "/items/%2E%2E%2Fwatchfire-receiver-secret",
        "/items/.quarantine",
        "/items/.quarantine%2F.keys",
        "/items/%00",
        "/items/",
        &format!("/items/{absolute}"),
    ] {
        let (status, body) = place.look(path).await;
        assert!(status.is_client_error(), "{path} {status}");
        assert!(!body.starts_with(b"secret"), "{path}");
    }
    std::fs::remove_file(secret).unwrap();
}

#[tokio::test]
async fn a_receiver_without_keys_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup {
        folder: folder.path().to_owned(),
        listen: ([127, 0, 0, 1], 0).into(),
        keys: Vec::new(),
        clock: clock(),
    };
    assert!(matches!(Receiver::start(setup).await, Err(StartError::NoKey)));
}
