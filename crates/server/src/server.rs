//! What the routes work with: the node, and what stands between it and its callers.

use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use watchfire_api::outbound::{OutboundError, address_at, node_address};
use watchfire_api::signature::{MAX_ADDRESSES, NonceMemory};
use watchfire_node::Node;

use crate::hashing::{Hashing, HashingSetup};
use crate::limits::{DESK_WALKS, EVENT_STREAMS, LIVE_STREAMS, Patience};
use crate::places::Places;
use crate::rates::{Limits, Rates};

/// What the routes work with.
pub struct Server {
    pub(crate) node: Arc<Node>,
    pub(crate) addresses: Vec<String>,
    pub(crate) hashing: Hashing,
    pub(crate) nonces: NonceMemory,
    pub(crate) places: Places,
    pub(crate) watchers: Arc<Semaphore>,
    pub(crate) live_streams: Arc<Semaphore>,
    pub(crate) desk_walks: Semaphore,
    pub(crate) rates: Rates,
    pub(crate) metrics: Option<PrometheusHandle>,
    pub(crate) behind_proxy: bool,
    pub(crate) patience: Patience,
    pub(crate) stop: CancellationToken,
}

/// Why a node cannot be reached as its configuration says.
#[derive(Debug, Error)]
pub enum AddressError {
    /// One of its own addresses is none.
    #[error(transparent)]
    Address(#[from] OutboundError),
    /// It has more addresses than are tried for a signature.
    #[error("a node has at most {MAX_ADDRESSES} addresses")]
    TooMany,
}

impl Server {
    /// Prepares to serve a node under its public addresses, which its peers sign their requests for.
    ///
    /// # Errors
    /// [`AddressError`] when an address is none or there are too many.
    pub fn new(
        node: Arc<Node>,
        addresses: &[String],
        hashing: HashingSetup,
        metrics: Option<PrometheusHandle>,
    ) -> Result<Self, AddressError> {
        if addresses.len() > MAX_ADDRESSES {
            return Err(AddressError::TooMany);
        }
        let form = |text: &String| node_address(text).map(|url| address_at(&url, ""));
        let addresses = addresses.iter().map(form).collect::<Result<_, _>>()?;
        let nonces = NonceMemory::new(node.wall_clock().now_ms() / 1000);
        Ok(Server {
            node,
            addresses,
            hashing: Hashing::new(hashing),
            nonces,
            places: Places::default(),
            watchers: Arc::new(Semaphore::new(EVENT_STREAMS.value)),
            live_streams: Arc::new(Semaphore::new(LIVE_STREAMS.value)),
            desk_walks: Semaphore::new(DESK_WALKS.value),
            rates: Rates::default(),
            metrics,
            behind_proxy: false,
            patience: Patience::default(),
            stop: CancellationToken::new(),
        })
    }

    /// Waits for callers as long as this, instead of the usual times.
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        Server { patience, ..self }
    }

    /// Sets how often callers may ask.
    #[must_use]
    pub fn limited(mut self, limits: Limits) -> Self {
        self.rates = Rates::new(limits);
        self
    }

    /// Says where the node listens: a node that names no address is reached there.
    pub(crate) fn reached_at(&mut self, address: &str) -> Result<(), AddressError> {
        if self.addresses.is_empty() {
            self.addresses.push(address_at(&node_address(address)?, ""));
        }
        Ok(())
    }
}
