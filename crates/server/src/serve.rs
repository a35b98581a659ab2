//! Puts a node behind a socket and takes it away again.

use std::net::SocketAddr;
use std::sync::Arc;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::connection;
use crate::routes::router;
use crate::server::{AddressError, Server};
use crate::tls::{Tls, TlsError};

/// Why a node is not served.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The address that it listens on cannot be named.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// TLS, or its absence, does not allow it.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The socket could not be bound.
    #[error("{0} cannot be bound: {1}")]
    Bind(SocketAddr, std::io::Error),
}

/// A node that is served.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    accepting: JoinHandle<()>,
    given_up: CancellationToken,
}

/// Listens and serves until [`Running::stop`].
///
/// # Errors
/// [`ServeError`] when the socket cannot be bound, or may not be.
pub async fn serve(server: Server, address: SocketAddr, tls: Tls) -> Result<Running, ServeError> {
    // Before the socket is open, not after.
    tls.check(address)?;
    let listener = TcpListener::bind(address).await;
    serve_on(server, listener.map_err(|error| ServeError::Bind(address, error))?, tls)
}

/// Serves on a socket that is open already, as [`serve`] does. Needs a tokio runtime around it.
///
/// # Errors
/// [`ServeError`] when the socket is not one that may be served so.
pub fn serve_on(
    mut server: Server,
    listener: TcpListener,
    tls: Tls,
) -> Result<Running, ServeError> {
    let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
    let address = listener.local_addr().map_err(|error| ServeError::Bind(unknown, error))?;
    tls.check(address)?;
    let scheme = if matches!(tls, Tls::Files(_)) { "https" } else { "http" };
    server.reached_at(&format!("{scheme}://{address}"))?;
    server.behind_proxy = matches!(tls, Tls::Proxy);
    let stop = server.stop.clone();
    let given_up = server.hashing.given_up();
    let patience = server.patience;
    let router = router(Arc::new(server));
    let accepting = connection::accept(listener, tls, router, (stop.clone(), patience));
    let accepting = tokio::spawn(accepting);
    Ok(Running { address, stop, accepting, given_up })
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends streams, accepts nothing more, and lets requests finish for five seconds; then connections are closed and
    /// decoders ended.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.accepting.await {
            tracing::error!(%error, "the accepting task failed");
        }
        self.given_up.cancel();
    }
}
