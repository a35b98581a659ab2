//! A small server on a free port of loopback, for clients to speak to.

use axum::Router;
use tokio::net::TcpListener;
use watchfire_api::outbound::{Allowed, Outbound};

/// Serves until the test ends; answers the port.
pub(crate) async fn serve(router: Router) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router).await });
    port
}

/// A way out that may reach loopback.
pub(crate) fn to_loopback() -> Outbound {
    Outbound::new(Allowed::new(["127.0.0.1"]).unwrap(), &[]).unwrap()
}
