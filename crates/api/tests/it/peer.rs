//! Reading a log from another member, whatever that member answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::StreamExt;
use watchfire_api::frame::{Frame, encode_records, split};
use watchfire_api::peer::{PeerClient, PeerSource};
use watchfire_api::signature::{Fresh, Identity, Incoming, NonceMemory, verify};
use watchfire_api::wire::Receipt;
use watchfire_signal::name::{LogName, MemberName};
use watchfire_tlog::{Entry, Extension, Hash, OwnKey, SignedCheckpoint, Source, SourceError};

use crate::host::{serve, to_loopback};

const NOW: u64 = 1_700_000_000;

#[derive(Default)]
struct Counting(std::sync::atomic::AtomicU64);

impl Fresh for Counting {
    fn now_s(&self) -> u64 {
        NOW
    }
    fn nonce(&self) -> [u8; 16] {
        let count = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        u128::from(count).to_be_bytes()
    }
}

fn member(name: &str) -> MemberName {
    name.parse().unwrap()
}

fn identity() -> Identity {
    let key = Arc::new(OwnKey::from_seed(&[1; 32]));
    Identity { member: member("b"), key, fresh: Arc::new(Counting::default()) }
}

async fn client(router: Router) -> PeerClient {
    let port = serve(router).await;
    PeerClient::new(to_loopback(), &format!("http://127.0.0.1:{port}"), identity()).unwrap()
}

async fn source(router: Router) -> PeerSource {
    client(router).await.source(&member("a"))
}

fn checkpoint(size: u64) -> SignedCheckpoint {
    SignedCheckpoint::new(format!("watchfire/demo/a/1\n{size}\nroot\n"))
}

fn extension(from: u64, count: u64, size: u64) -> Extension {
    let entry = |index: u64| Entry::new(index.to_be_bytes().to_vec(), Some(Bytes::from("record")));
    let entries = (from..from + count).map(entry).collect();
    Extension { from, entries, checkpoint: checkpoint(size) }
}

fn stream(pieces: Vec<Vec<u8>>) -> Response {
    let pieces = pieces.into_iter().map(Ok::<_, std::io::Error>);
    Body::from_stream(futures_util::stream::iter(pieces)).into_response()
}

#[tokio::test]
async fn a_followed_log_comes_in_order_without_pings() {
    let source = source(Router::new().route(
        "/log/a/follow",
        get(|Query(query): Query<BTreeMap<String, u64>>| async move {
            assert_eq!(query["from"], 3);
            let ping = Frame::Ping.encode().unwrap().to_vec();
            let more = |from, count, size| {
                Frame::Entries(extension(from, count, size)).encode().unwrap().to_vec()
            };
            stream(vec![ping.clone(), more(3, 1, 4), ping, more(4, 1, 6), more(5, 1, 6)])
        }),
    ))
    .await;
    let found: Vec<_> = source.follow(3).await.unwrap().map(Result::unwrap).collect().await;
    assert_eq!(found, [extension(3, 1, 4), extension(4, 2, 6)]);
}

#[tokio::test]
async fn a_stream_of_rubbish_ends_in_one_error() {
    let router = Router::new().route("/log/a/follow", get(|| async { "rubbish" }));
    let mut stream = source(router).await.follow(0).await.unwrap();
    assert!(matches!(stream.next().await, Some(Err(SourceError::Broken(_)))));
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_stream_cut_inside_a_frame_is_an_error() {
    let router = Router::new().route(
        "/log/a/follow",
        get(|| async {
            stream(vec![Frame::Entries(extension(0, 1, 1)).encode().unwrap()[..20].to_vec()])
        }),
    );
    let mut stream = source(router).await.follow(0).await.unwrap();
    assert!(matches!(stream.next().await, Some(Err(SourceError::Unreachable(_)))));
}

#[tokio::test]
async fn an_answer_is_never_more_than_was_asked_for() {
    let router = Router::new()
        .route(
            "/log/a/entries",
            get(|| async { Frame::Entries(extension(2, 5, 7)).encode().unwrap() }),
        )
        .route("/log/a/records", get(|| async { encode_records(&[None, Some("x".into())]) }))
        .route("/log/a/checkpoint", get(|| async { checkpoint(7).text }));
    let source = source(router).await;
    assert_eq!(source.entries(2, 4).await.unwrap(), extension(2, 2, 4).entries);
    assert!(matches!(source.entries(3, 4).await, Err(SourceError::Broken(_))));
    let records = source.records(&[4, 9]).await.unwrap();
    assert_eq!(records, [None, Some("x".into())]);
    assert!(matches!(source.records(&[4]).await, Err(SourceError::Broken(_))));
    assert_eq!(source.checkpoint().await.unwrap(), Some(checkpoint(7)));
}

#[tokio::test]
async fn hashes_are_read_from_tiles_of_the_width_that_is_needed() {
    let hash = |index: u64| {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&index.to_be_bytes());
        Hash(bytes)
    };
    // A log of 600 leaves at a mirror: two full tiles and a partial one of 88.
    let source = source(Router::new().route(
        "/log/a/tile/{*path}",
        get(move |Path(path): Path<String>| async move {
            let (from, width) = match path.as_str() {
                "0/000" => (0, 256),
                "0/001" => (256, 256),
                "0/002.p/88" => (512, 88),
                _ => return StatusCode::NOT_FOUND.into_response(),
            };
            let bytes: Vec<u8> = (from..from + width).flat_map(|i| hash(i).0).collect();
            bytes.into_response()
        }),
    ))
    .await;
    for (from, to) in [(0, 256), (255, 257), (3, 600), (512, 600), (599, 600), (300, 310)] {
        let expected: Vec<_> = (from..to).map(hash).collect();
        assert_eq!(source.hashes(0, from, to).await.unwrap(), expected, "{from}..{to}");
    }
    let expected: Vec<_> = (500..512).map(hash).collect();
    assert_eq!(source.hashes(0, 500, 700).await.unwrap(), expected, "a prefix");
    assert_eq!(source.hashes(1, 0, 1).await.unwrap(), []);
}

/// Checks the signature of every request as a node does.
async fn checked(State(nonces): State<Arc<NonceMemory>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let headers: &HeaderMap = &parts.headers;
    let addresses = &[format!("http://{}", parts.uri.authority().map_or("", |a| a.as_str()))];
    let incoming = Incoming {
        method: parts.method.as_str(),
        addresses,
        path_and_query: parts.uri.path_and_query().unwrap().as_str(),
        headers,
    };
    let key =
        |name: &MemberName| (name.as_str() == "b").then(|| OwnKey::from_seed(&[1; 32]).public());
    let verified = verify(&incoming, key, NOW, &nonces).unwrap();
    let body = axum::body::to_bytes(body, 5_000_000).await.unwrap();
    verified.check_body(&body).unwrap();
    match parts.uri.path() {
        "/log/b/frames" => {
            let Frame::Entries(more) = Frame::decode(&body).unwrap() else { panic!() };
            let size = more.from + more.entries.len() as u64;
            format!("{{\"size\":{size}}}").into_response()
        }
        "/log/b/receipts" => {
            assert_eq!(body, r#"{"effective":{"watchfire/demo/a/1":7}}"#);
            StatusCode::NO_CONTENT.into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

#[tokio::test]
async fn what_is_posted_is_signed_and_split_where_it_has_to_be() {
    let nonces = Arc::new(NonceMemory::new(0));
    let router = Router::new()
        .route("/log/b/frames", post(checked))
        .route("/log/b/receipts", post(checked))
        .with_state(nonces);
    let client = client(router).await;
    let mut more = extension(2, 9, 11);
    for entry in &mut more.entries {
        entry.record = Some(vec![7; 1_000_000].into());
    }
    assert!(split(&more).unwrap().len() > 1);
    assert_eq!(client.push(&more).await.unwrap(), 11);
    let log: LogName = "watchfire/demo/a/1".parse().unwrap();
    client
        .receipt(&Receipt { effective: BTreeMap::from([(log, 7)]), ..Receipt::default() })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_refusal_is_told_apart_from_a_failure() {
    let answer = |status: StatusCode| get(move || async move { (status, "no problem document") });
    let router = Router::new()
        .route("/log/a/checkpoint", answer(StatusCode::FORBIDDEN))
        .route("/log/c/checkpoint", answer(StatusCode::SERVICE_UNAVAILABLE));
    let client = client(router).await;
    let refused = client.source(&member("a")).checkpoint().await;
    assert!(matches!(refused, Err(SourceError::Refused(_))), "{refused:?}");
    let absent = client.source(&member("d")).checkpoint().await;
    assert_eq!(absent, Ok(None), "an empty or unknown log has no checkpoint");
    let failed = client.source(&member("c")).checkpoint().await;
    assert!(matches!(failed, Err(SourceError::Unreachable(_))), "{failed:?}");
}
