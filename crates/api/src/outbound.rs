//! The one way out to the network: guarded, so that no address given by somebody else reaches what is ours alone.
//!
//! **Invariant:** no connection is opened to a private, loopback or otherwise special address unless [`Allowed`] has
//! it; names are checked after they are resolved, and the checked addresses are the ones connected to.
//! **Invariant:** redirects are not followed and no proxy of the environment is used: either would choose another
//! address after the check.

mod address;
mod body;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, ClientBuilder, RequestBuilder};
use thiserror::Error;
use url::{Host, Url};

pub use address::{Allowed, AllowedError, is_public};
pub use body::{BodyError, read_body, reason};
/// What came back to a request; its body is still on its way.
pub use reqwest::Response;

/// How long a connection may take to stand, with TLS.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection waits for anything to be read, unless the caller says otherwise.
pub const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// How often an HTTP/2 connection is asked whether it still stands, so that a peer's death is noticed between frames.
pub const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// How long the answer to that may take.
pub const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// How many bytes a stream may send ahead of its reader: one largest frame.
pub const STREAM_WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// How many bytes all streams of a connection may send ahead of their readers.
pub const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;

/// How many idle connections to a host are kept.
const IDLE_CONNECTIONS: usize = 8;

/// Opens connections to other hosts; cheap to clone, and clones share their connections.
#[derive(Debug, Clone)]
pub struct Outbound {
    allowed: Arc<Allowed>,
    /// HTTP/1.1, or HTTP/2 where TLS agrees on it.
    negotiated: Client,
    /// HTTP/2 without asking, for members that speak it in clear behind a proxy or on loopback.
    plain_h2: Client,
}

/// Why no connection is opened, or none could be prepared.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OutboundError {
    /// Not an address for HTTP.
    #[error("{0:?} is no http or https address")]
    Address(String),
    /// An address that is not reached from here unless the configuration allows it.
    #[error("{0} is not a public address, and not one that the configuration allows")]
    NotAllowed(String),
    /// The TLS library could not be set up.
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
}

impl Outbound {
    /// Prepares the way out. `roots` are certificates in PEM that are trusted beside the system's.
    ///
    /// # Errors
    /// [`OutboundError::Setup`] when a certificate cannot be read or TLS not be set up.
    pub fn new(allowed: Allowed, roots: &[Vec<u8>]) -> Result<Self, OutboundError> {
        let setup = |error: reqwest::Error| OutboundError::Setup(error.to_string());
        let allowed = Arc::new(allowed);
        let mut certificates = Vec::new();
        for root in roots {
            certificates.extend(reqwest::Certificate::from_pem_bundle(root).map_err(setup)?);
        }
        let client = |builder: ClientBuilder| {
            let builder = builder.dns_resolver(Guard { allowed: allowed.clone() });
            // Asking for the system's store costs a file read of some milliseconds; both clients do it once.
            builder.tls_certs_merge(certificates.clone()).build().map_err(setup)
        };
        let negotiated = client(base())?;
        let plain_h2 = client(base().http2_prior_knowledge())?;
        Ok(Outbound { allowed, negotiated, plain_h2 })
    }

    /// Begins a request to any host, by HTTP/1.1 or, where TLS agrees on it, HTTP/2.
    ///
    /// # Errors
    /// [`OutboundError`] when the address is none or not allowed; a name is checked when it is resolved.
    pub fn request(&self, method: Method, url: &Url) -> Result<RequestBuilder, OutboundError> {
        self.check(url)?;
        Ok(self.negotiated.request(method, url.clone()))
    }

    /// Begins a request to a member: by HTTP/2 also where there is no TLS.
    ///
    /// # Errors
    /// As [`Outbound::request`].
    pub fn member_request(
        &self,
        method: Method,
        url: &Url,
    ) -> Result<RequestBuilder, OutboundError> {
        self.check(url)?;
        let client = if url.scheme() == "http" { &self.plain_h2 } else { &self.negotiated };
        Ok(client.request(method, url.clone()))
    }

    /// Literal addresses never meet the resolver, so they are checked here. `Url` has read the decimal, octal and
    /// hexadecimal forms of an IPv4 address as the address that they are.
    fn check(&self, url: &Url) -> Result<(), OutboundError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(OutboundError::Address(url.as_str().chars().take(200).collect()));
        }
        let ip = match url.host() {
            Some(Host::Ipv4(ip)) => IpAddr::V4(ip),
            Some(Host::Ipv6(ip)) => IpAddr::V6(ip),
            Some(Host::Domain(_)) => return Ok(()),
            None => return Err(OutboundError::Address(url.to_string())),
        };
        if self.allowed.may_reach(None, ip) {
            Ok(())
        } else {
            Err(OutboundError::NotAllowed(ip.to_string()))
        }
    }
}

/// Reads the address of a node, `https://host[:port][/prefix]`, into the one form in which addresses are signed and
/// compared: default ports left out, host in lower case, no slash at the end.
///
/// # Errors
/// [`OutboundError::Address`] when it is no such address or carries a name, a query or a fragment.
pub fn node_address(text: &str) -> Result<Url, OutboundError> {
    let error = || OutboundError::Address(text.chars().take(200).collect());
    let mut url = Url::parse(text).map_err(|_| error())?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !plain || !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(error());
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// The address of something at a node: the node's address, then `path`, which begins with a slash.
pub fn address_at(node: &Url, path: &str) -> String {
    format!("{}{path}", node.as_str().trim_end_matches('/'))
}

#[expect(clippy::disallowed_methods, reason = "this file is the one way out")]
fn base() -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("watchfire/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .tcp_nodelay(true)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .http2_initial_stream_window_size(STREAM_WINDOW_BYTES)
        .http2_initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .http2_keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
}

/// Resolves names and lets only allowed addresses through, so that what was checked is what is connected to: a
/// second resolution between check and connection could answer something else.
#[derive(Debug)]
struct Guard {
    allowed: Arc<Allowed>,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = self.allowed.clone();
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            let reachable: Vec<SocketAddr> =
                found.filter(|address| allowed.may_reach(Some(&host), address.ip())).collect();
            if reachable.is_empty() {
                return Err(OutboundError::NotAllowed(host).into());
            }
            Ok(Box::new(reachable.into_iter()) as Addrs)
        })
    }
}
