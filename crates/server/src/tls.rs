//! Says who ends TLS before a node, and loads certificate and key where the node does.
//!
//! **Invariant:** without TLS and without a proxy, a node listens on loopback only.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use tokio_rustls::TlsAcceptor;

/// Who ends TLS.
#[derive(Clone)]
pub enum Tls {
    /// This node, with a certificate chain and a key.
    Files(TlsAcceptor),
    /// A proxy before it; this node speaks in clear to that proxy, which may be on another machine of the same
    /// network.
    Proxy,
    /// Nobody: in clear, on loopback only.
    LoopbackPlain,
}

/// Why a node does not listen.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The chain holds no certificate or one that cannot be read.
    #[error("the certificate file holds no readable certificate")]
    Certificate,
    /// The key cannot be read.
    #[error("the key file holds no readable private key")]
    Key,
    /// Certificate and key do not fit each other or this library.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
    /// In clear, and not on loopback.
    #[error("{0} is not a loopback address: use a certificate or a proxy that ends TLS")]
    NotLoopback(SocketAddr),
}

impl Tls {
    /// TLS by a certificate chain and a private key in PEM, for HTTP/2 and HTTP/1.1.
    ///
    /// # Errors
    /// [`TlsError`] when either cannot be read or they do not fit.
    pub fn from_pem(certificate: &[u8], private_key: &[u8]) -> Result<Self, TlsError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
        let chain = chain.map_err(|_| TlsError::Certificate)?;
        if chain.is_empty() {
            return Err(TlsError::Certificate);
        }
        let key = PrivateKeyDer::from_pem_slice(private_key).map_err(|_| TlsError::Key)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Tls::Files(TlsAcceptor::from(Arc::new(config))))
    }

    /// Whether a node may listen there so.
    ///
    /// # Errors
    /// [`TlsError::NotLoopback`]
    pub fn check(&self, address: SocketAddr) -> Result<(), TlsError> {
        match self {
            Tls::LoopbackPlain if !address.ip().is_loopback() => {
                Err(TlsError::NotLoopback(address))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn in_clear_a_node_listens_on_loopback_only() {
        for (address, may) in [
            ("127.0.0.1:0", true),
            ("[::1]:0", true),
            ("0.0.0.0:0", false),
            ("[::]:0", false),
            ("10.0.0.1:80", false),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(Tls::LoopbackPlain.check(address).is_ok(), may, "{address}");
            assert!(Tls::Proxy.check(address).is_ok());
        }
    }

    #[test]
    fn files_without_a_certificate_or_key_are_refused() {
        assert!(matches!(Tls::from_pem(b"", b""), Err(TlsError::Certificate)));
        assert!(matches!(Tls::from_pem(b"nothing", b"nothing"), Err(TlsError::Certificate)));
    }
}
