//! The client that programs and the command line use.

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{delete, get, post};
use futures_util::StreamExt;
use watchfire_api::client::{Client, ClientError};
use watchfire_api::problem::{Problem, ProblemKind};
use watchfire_api::wire::{ScanQuery, VerdictKind};

use crate::host::{serve, to_loopback};

async fn client(router: Router) -> Client {
    let port = serve(router).await;
    let address = format!("http://127.0.0.1:{port}");
    Client::new(to_loopback(), &address, Some("wf_secret")).unwrap()
}

#[tokio::test]
async fn a_call_carries_its_key_and_reads_its_answer() {
    let router = Router::new().route(
        "/v1/scan",
        post(|headers: HeaderMap, uri: axum::http::Uri, body: String| async move {
            assert_eq!(headers["authorization"], "Bearer wf_secret");
            assert_eq!(headers["content-type"], "video/mp4");
            assert_eq!(uri.query().unwrap(), "item=tiktok%3A1%2F2&signals=false");
            assert_eq!(body, "bytes");
            let json = r#"{"item":"tiktok:1/2","verdict":"allow","actions":[],"reasons":[],
                "policy_version":1,"took_us":5,"a_field_of_tomorrow":true}"#;
            ([(header::CONTENT_TYPE, "application/json")], json)
        }),
    );
    let query = ScanQuery { item: Some("tiktok:1/2".parse().unwrap()), ..ScanQuery::default() };
    let verdict = client(router).await.scan_bytes(&query, "video/mp4", "bytes").await.unwrap();
    assert_eq!(verdict.verdict, VerdictKind::Allow);
}

#[tokio::test]
async fn a_problem_is_passed_through() {
    let problem = Problem::limit(ProblemKind::TooLarge, "scan_bytes", 7);
    let body = serde_json::to_string(&problem).unwrap();
    let router =
        Router::new().route("/v1/members", get(|| async { (StatusCode::PAYLOAD_TOO_LARGE, body) }));
    let error = client(router).await.members().await.unwrap_err();
    assert_eq!(error, ClientError::Problem(Box::new(problem)));
}

#[tokio::test]
async fn an_item_with_slashes_is_one_segment_of_the_address() {
    let router = Router::new().route(
        "/v1/seen/{item}",
        delete(|axum::extract::Path(item): axum::extract::Path<String>| async move {
            assert_eq!(item, "a/b?c#d e");
            StatusCode::NO_CONTENT.into_response()
        }),
    );
    client(router).await.forget(&"a/b?c#d e".parse().unwrap()).await.unwrap();
}

#[tokio::test]
async fn events_are_read_across_the_pieces_they_come_in() {
    let router = Router::new().route(
        "/v1/events",
        get(|headers: HeaderMap| async move {
            assert_eq!(headers["last-event-id"], "6");
            let pieces = [
                ": hello\n\nid: 7\neve",
                "nt: fork\ndata: {\"id\":7,\"at_ms\":9,\"event\":\"fork\",",
                "\"log\":\"watchfire/demo/a/1\"}\n\n",
                "data: {\"id\":8,\"at_ms\":9,\"event\":\"received\",\"index\":3}\r\n\r\n",
            ];
            let pieces = pieces.map(Ok::<_, std::io::Error>);
            axum::body::Body::from_stream(futures_util::stream::iter(pieces))
        }),
    );
    let events = client(router).await.events(Some(6)).await.unwrap();
    let events: Vec<_> = events.map(Result::unwrap).collect().await;
    assert_eq!((events[0].id, events[0].event.as_str()), (7, "fork"));
    assert_eq!(events[0].more["log"], "watchfire/demo/a/1");
    assert_eq!((events[1].id, &events[1].more["index"]), (8, &3.into()));
}
