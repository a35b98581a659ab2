//! The guard against requests to our own networks.

use axum::Router;
use axum::response::Redirect;
use axum::routing::get;
use http::Method;
use url::Url;
use watchfire_api::outbound::{Allowed, Outbound, OutboundError, read_body, reason};

use crate::host::{serve, to_loopback};

fn guarded(allowed: &[&str]) -> Outbound {
    Outbound::new(Allowed::new(allowed).unwrap(), &[]).unwrap()
}

#[tokio::test]
async fn every_spelling_of_a_loopback_address_is_refused() {
    let outbound = guarded(&[]);
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "0",
        "169.254.169.254",
        "10.0.0.1",
        "[64:ff9b::7f00:1]",
    ] {
        let url = Url::parse(&format!("http://{host}:1/")).unwrap();
        let refused = outbound.request(Method::GET, &url).map(drop);
        assert!(matches!(refused, Err(OutboundError::NotAllowed(_))), "{host}: {refused:?}");
        let refused = outbound.member_request(Method::GET, &url).map(drop);
        assert!(matches!(refused, Err(OutboundError::NotAllowed(_))), "{host}: {refused:?}");
    }
}

#[tokio::test]
async fn a_name_that_leads_to_loopback_is_refused_after_it_is_resolved() {
    let port = serve(Router::new().route("/", get(|| async { "inside" }))).await;
    let url = Url::parse(&format!("http://localhost:{port}/")).unwrap();
    let refused = guarded(&[]).request(Method::GET, &url).unwrap().send().await.unwrap_err();
    assert!(reason(&refused).contains("not a public address"), "{}", reason(&refused));
    let answer = guarded(&["localhost"]).request(Method::GET, &url).unwrap().send().await.unwrap();
    assert_eq!(read_body(answer, 10).await.unwrap(), "inside");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let inside = serve(Router::new().route("/", get(|| async { "inside" }))).await;
    let to = format!("http://127.0.0.1:{inside}/");
    let router = Router::new().route("/", get(|| async move { Redirect::temporary(&to) }));
    let port = serve(router).await;
    let url = Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap();
    let answer = to_loopback().request(Method::GET, &url).unwrap().send().await.unwrap();
    assert_eq!(answer.status(), 307);
}

#[tokio::test]
async fn only_http_is_spoken() {
    for address in ["file:///etc/passwd", "ftp://1.1.1.1/", "gopher://1.1.1.1/", "data:,x"] {
        let refused = guarded(&[]).request(Method::GET, &Url::parse(address).unwrap()).map(drop);
        assert!(matches!(refused, Err(OutboundError::Address(_))), "{address}");
    }
}

#[tokio::test]
async fn an_answer_longer_than_its_limit_is_not_read_on() {
    let port = serve(Router::new().route("/", get(|| async { "0123456789" }))).await;
    let url = Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap();
    let answer = to_loopback().request(Method::GET, &url).unwrap().send().await.unwrap();
    assert!(read_body(answer, 9).await.is_err());
}

#[test]
fn addresses_of_nodes_have_one_form() {
    use watchfire_api::outbound::{address_at, node_address};
    for (text, form) in [
        ("https://B.example:443/", "https://b.example/log/a"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/log/a"),
        ("https://example.com/fire/", "https://example.com/fire/log/a"),
    ] {
        assert_eq!(address_at(&node_address(text).unwrap(), "/log/a"), form);
    }
    for bad in ["b.example", "https://u@b.example", "https://b.example?x", "ftp://b", "https://"] {
        assert!(node_address(bad).is_err(), "{bad}");
    }
}
