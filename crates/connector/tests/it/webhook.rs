//! The connector's contract, over real connections.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, StatusCode, Uri},
    routing::any,
};
use watchfire_api::outbound::{Allowed, Outbound};
use watchfire_connector::{
    conformance::{self, Platform},
    receiver::{self, Receiver},
    standard_webhook::{self, Presented, SigningKey},
    webhook::{Delivery, Setup, Webhook},
};
use watchfire_node::{
    clock::Clock,
    connector::{Answer, Connector, Order, Visibility},
};

/// A clock that stands where it is put.
#[derive(Debug)]
pub(crate) struct Hand(pub(crate) AtomicU64);

impl Clock for Hand {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

pub(crate) fn clock() -> Arc<Hand> {
    Arc::new(Hand(AtomicU64::new(1_800_000_000_000)))
}

pub(crate) fn key() -> SigningKey {
    SigningKey::from_seed(&[3; 32])
}

pub(crate) fn shared_key() -> SigningKey {
    SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()
}

pub(crate) fn loopback() -> Outbound {
    Outbound::new(Allowed::new(["127.0.0.1"]).unwrap(), &[]).unwrap()
}

pub(crate) async fn start(folder: &Path, clock: Arc<Hand>) -> Receiver {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let keys = vec![key().checking(), shared_key().checking()];
    let setup = receiver::Setup { folder: folder.to_owned(), listen, keys, clock };
    Receiver::start(setup).await.unwrap()
}

pub(crate) fn webhook_of(url: String, verify_url: Option<String>, clock: Arc<Hand>) -> Webhook {
    let setup = Setup { url, verify_url, keys: vec![key()], clock, out: loopback() };
    Webhook::new(setup).unwrap()
}

fn order(key: &str, item: &str, action: &str) -> Order {
    Order {
        key: key.to_owned(),
        item: item.to_owned(),
        action: action.to_owned(),
        reversible: true,
        decided_ms: 1_799_999_999_000,
        detail: br#"{"case":"c"}"#.to_vec(),
    }
}

/// A folder with its receiver, looked at through the file system.
struct FolderPlatform<'a> {
    folder: &'a Path,
    uploads: AtomicU64,
}

#[async_trait]
impl Platform for FolderPlatform<'_> {
    async fn upload(&self) -> String {
        let item = format!("item:{}", self.uploads.fetch_add(1, Ordering::Relaxed));
        std::fs::write(self.folder.join(&item), &item).unwrap();
        item
    }

    async fn shows(&self, item: &str) -> bool {
        std::fs::read(self.folder.join(item)).is_ok_and(|bytes| bytes == item.as_bytes())
    }

    fn refused_action(&self) -> &'static str {
        "demote"
    }
}

#[tokio::test]
async fn the_webhook_and_its_receiver_keep_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let receiver = start(folder.path(), clock.clone()).await;
    let webhook = webhook_of(receiver.webhook_url(), Some(receiver.verify_url()), clock);
    let platform = FolderPlatform { folder: folder.path(), uploads: AtomicU64::new(0) };
    conformance::check(&webhook, &platform).await.unwrap();
    receiver.stop().await;
}

/// Says done and does nothing.
struct Liar;

#[async_trait]
impl Connector for Liar {
    async fn enforce(
        &self,
        _: &Order,
    ) -> Result<Answer, watchfire_node::connector::ConnectorError> {
        Ok(Answer::Done)
    }
    async fn verify(
        &self,
        _: &str,
    ) -> Result<Visibility, watchfire_node::connector::ConnectorError> {
        Ok(Visibility::Unknown)
    }
    async fn undo(&self, _: &Order) -> Result<Answer, watchfire_node::connector::ConnectorError> {
        Ok(Answer::Done)
    }
}

#[tokio::test]
async fn the_suite_finds_a_connector_that_says_done_and_does_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let platform = FolderPlatform { folder: folder.path(), uploads: AtomicU64::new(0) };
    let deviation = conformance::check(&Liar, &platform).await.unwrap_err();
    assert_eq!(deviation.step, "remove", "{deviation}");
}

/// A request as the platform saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    uri: Uri,
    headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A platform that gives the same answer to everything and keeps what it was asked.
pub(crate) async fn platform_that_answers(
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
) -> (SocketAddr, Arc<Mutex<Vec<Seen>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = seen.clone();
    let router = Router::new().fallback(any(move |uri: Uri, asked: HeaderMap, sent: Bytes| {
        kept.lock().unwrap().push(Seen { uri, headers: asked, body: sent });
        let mut answer = axum::response::Response::new(axum::body::Body::from(body));
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        for (name, value) in headers {
            answer.headers_mut().insert(*name, value.parse().unwrap());
        }
        async move { answer }
    }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, seen)
}

#[tokio::test]
async fn an_order_goes_out_signed_with_its_key_as_id() {
    let (address, seen) = platform_that_answers(200, &[], "").await;
    let webhook = webhook_of(format!("http://{address}/hook?x=1"), None, clock());
    let order = order("abc123", "tiktok:9", "remove");
    assert_eq!(webhook.enforce(&order).await, Ok(Answer::Done));
    let seen = seen.lock().unwrap().first().cloned().unwrap();
    assert_eq!(seen.uri, "/hook?x=1");
    let text = |name| seen.headers.get(name).unwrap().to_str().unwrap();
    let presented = Presented {
        id: text(standard_webhook::ID_HEADER),
        timestamp: text(standard_webhook::TIMESTAMP_HEADER),
        signature: text(standard_webhook::SIGNATURE_HEADER),
    };
    assert_eq!((presented.id, presented.timestamp), ("abc123", "1800000000"));
    standard_webhook::verify(&[key().checking()], presented, &seen.body, 1_800_000_000).unwrap();
    let delivery: Delivery = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(
        delivery,
        Delivery {
            kind: "watchfire.remove".to_owned(),
            key: "abc123".to_owned(),
            item: "tiktok:9".to_owned(),
            action: "remove".to_owned(),
            reversible: true,
            decided_at_ms: 1_799_999_999_000,
            detail: serde_json::json!({"case": "c"}),
        }
    );
}

#[tokio::test]
async fn the_platforms_answers_reach_the_node_as_they_are_meant() {
    for (status, headers, body, right) in [
        (202, &[][..], "", Answer::Accepted),
        (208, &[], "", Answer::AlreadyDone),
        (200, &[], r#"{"status":"already_done"}"#, Answer::AlreadyDone),
        (410, &[], "", Answer::Gone),
        (429, &[("retry-after", "7")], "", Answer::RetryAfter(7_000)),
        (422, &[], "no", Answer::Refused("the platform answered 422: no".to_owned())),
    ] {
        let (address, _) = platform_that_answers(status, headers, body).await;
        let webhook = webhook_of(format!("http://{address}/"), None, clock());
        assert_eq!(webhook.undo(&order("k", "i", "restore")).await, Ok(right), "{status}");
    }
}

#[tokio::test]
async fn without_an_address_to_look_at_nothing_is_known() {
    let webhook = webhook_of("http://127.0.0.1:9/".to_owned(), None, clock());
    assert_eq!(webhook.verify("i").await, Ok(Visibility::Unknown));
}

#[tokio::test]
async fn an_item_is_looked_at_under_its_own_address_only() {
    let (address, seen) = platform_that_answers(404, &[], "").await;
    let template = format!("http://{address}/items/{{item}}");
    let webhook = webhook_of(format!("http://{address}/"), Some(template), clock());
    assert_eq!(webhook.verify("../a b?c").await, Ok(Visibility::Hidden));
    assert_eq!(seen.lock().unwrap().first().unwrap().uri, "/items/..%2Fa%20b%3Fc");
    assert_eq!(webhook.verify("..").await, Ok(Visibility::Unknown));
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (elsewhere, reached) = platform_that_answers(200, &[], "").await;
    let target: &'static str = Box::leak(format!("http://{elsewhere}/").into_boxed_str());
    let headers: &'static [(&str, &str)] = Box::leak(Box::new([("location", target)]));
    let (address, _) = platform_that_answers(307, headers, "").await;
    let webhook = webhook_of(
        format!("http://{address}/"),
        Some(format!("http://{address}/{{item}}")),
        clock(),
    );
    assert!(webhook.enforce(&order("k", "i", "remove")).await.is_err());
    assert!(webhook.verify("i").await.is_err());
    assert!(reached.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_address_inside_our_own_network_is_not_reached_unless_allowed() {
    let (address, seen) = platform_that_answers(200, &[], "").await;
    let out = Outbound::new(Allowed::default(), &[]).unwrap();
    let url = format!("http://{address}/");
    let setup = Setup { url, verify_url: None, keys: vec![key()], clock: clock(), out };
    let webhook = Webhook::new(setup).unwrap();
    let error = webhook.enforce(&order("k", "i", "remove")).await.unwrap_err();
    assert!(error.0.contains("not a public address"), "{error}");
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_platform_that_cannot_be_reached_is_an_error_to_try_again() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let webhook = webhook_of(format!("http://{address}/"), None, clock());
    assert!(webhook.enforce(&order("k", "i", "remove")).await.is_err());
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let long: &'static str = Box::leak("x".repeat(4 * 1024 * 1024).into_boxed_str());
    let (address, _) = platform_that_answers(422, &[], long).await;
    let webhook = webhook_of(format!("http://{address}/"), None, clock());
    let answer = webhook.enforce(&order("k", "i", "remove")).await.unwrap();
    assert!(matches!(answer, Answer::Refused(why) if why.len() < 300));
}
