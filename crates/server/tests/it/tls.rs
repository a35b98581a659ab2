//! TLS by the node itself.

use tokio::net::TcpListener;
use watchfire_api::client::{Client, ClientError};
use watchfire_api::outbound::{Allowed, Outbound};
use watchfire_api::wire::Readiness;
use watchfire_server::{AddressError, ServeError, Server, Tls, TlsError, serve, serve_on};

use crate::house::{alone, hashing};

/// Made for these tests: `openssl req -x509 -newkey ec … -addext subjectAltName=DNS:localhost,IP:127.0.0.1`.
const CERTIFICATE: &[u8] = include_bytes!("../data/tls/cert.pem");
const KEY: &[u8] = include_bytes!("../data/tls/key.pem");

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_a_certificate_is_reached_by_those_who_trust_it() {
    let house = alone().await;
    let server = Server::new(house.node.clone(), &[], hashing(), None).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let running = serve_on(server, listener, Tls::from_pem(CERTIFICATE, KEY).unwrap()).unwrap();
    let address = format!("https://{}", running.address());
    let outbound =
        |roots: &[Vec<u8>]| Outbound::new(Allowed::new(["127.0.0.1"]).unwrap(), roots).unwrap();
    let trusting = Client::new(outbound(&[CERTIFICATE.to_vec()]), &address, None).unwrap();
    assert_eq!(trusting.ready().await.unwrap().readiness, Readiness::Ready);
    let doubting = Client::new(outbound(&[]), &address, None).unwrap();
    assert!(matches!(doubting.ready().await, Err(ClientError::Unreachable(_))));
    let plain = address.replace("https", "http");
    let plain = Client::new(outbound(&[]), &plain, None).unwrap();
    assert!(matches!(plain.ready().await, Err(ClientError::Unreachable(_))));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_clear_a_node_does_not_leave_loopback() {
    let house = alone().await;
    let server = Server::new(house.node.clone(), &[], hashing(), None).unwrap();
    let refused = serve(server, "0.0.0.0:0".parse().unwrap(), Tls::LoopbackPlain).await;
    assert!(matches!(refused, Err(ServeError::Tls(TlsError::NotLoopback(_)))));
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_are_none_are_refused_at_the_start() {
    let house = alone().await;
    for bad in ["node.example", "ftp://node.example", "https://u:p@node.example"] {
        let refused = Server::new(house.node.clone(), &[bad.to_owned()], hashing(), None);
        assert!(matches!(refused.map(drop), Err(AddressError::Address(_))), "{bad}");
    }
}
