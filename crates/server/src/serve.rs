//! Puts a node behind a socket and takes it away again.

use std::net::SocketAddr;
use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use watchfire_api::outbound::{OutboundError, address_at, node_address};
use watchfire_api::signature::{MAX_ADDRESSES, NonceMemory};
use watchfire_node::Node;

use crate::connection;
use crate::hashing::{Hashing, HashingSetup};
use crate::limits::EVENT_STREAMS;
use crate::member::Places;
use crate::tls::{Tls, TlsError};

/// What the routes work with.
pub struct Server {
    pub(crate) node: Arc<Node>,
    pub(crate) addresses: Vec<String>,
    pub(crate) hashing: Hashing,
    pub(crate) nonces: NonceMemory,
    pub(crate) places: Places,
    pub(crate) watchers: Arc<Semaphore>,
    pub(crate) metrics: Option<PrometheusHandle>,
    pub(crate) behind_proxy: bool,
    pub(crate) stop: CancellationToken,
}

/// Why a node is not served.
#[derive(Debug, Error)]
pub enum ServeError {
    /// One of its own addresses is none.
    #[error(transparent)]
    Address(#[from] OutboundError),
    /// It has more addresses than are tried for a signature.
    #[error("a node has at most {MAX_ADDRESSES} addresses")]
    Addresses,
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
}

impl Server {
    /// Prepares to serve a node under its public addresses, which its peers sign their requests for.
    ///
    /// # Errors
    /// [`ServeError`] when an address is none or there are too many.
    pub fn new(
        node: Arc<Node>,
        addresses: &[String],
        hashing: HashingSetup,
        metrics: Option<PrometheusHandle>,
    ) -> Result<Self, ServeError> {
        if addresses.len() > MAX_ADDRESSES {
            return Err(ServeError::Addresses);
        }
        let form = |text: &String| node_address(text).map(|url| address_at(&url, ""));
        let addresses = addresses.iter().map(form).collect::<Result<_, _>>()?;
        let nonces = NonceMemory::new(node.clock().now_ms() / 1000);
        Ok(Server {
            node,
            addresses,
            hashing: Hashing::new(hashing),
            nonces,
            places: Places::default(),
            watchers: Arc::new(Semaphore::new(EVENT_STREAMS.value)),
            metrics,
            behind_proxy: false,
            stop: CancellationToken::new(),
        })
    }
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
    // A node that names no address is reached where it listens.
    if server.addresses.is_empty() {
        let scheme = if matches!(tls, Tls::Files(_)) { "https" } else { "http" };
        let own = node_address(&format!("{scheme}://{address}"))?;
        server.addresses.push(address_at(&own, ""));
    }
    server.behind_proxy = matches!(tls, Tls::Proxy);
    let stop = server.stop.clone();
    let router = crate::router(Arc::new(server));
    let accepting = tokio::spawn(connection::accept(listener, tls, router, stop.clone()));
    Ok(Running { address, stop, accepting })
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends streams, accepts nothing more, and lets requests finish.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.accepting.await {
            tracing::error!(%error, "the accepting task failed");
        }
    }
}
