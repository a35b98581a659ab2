//! The fingerprint of a link: a digest of what it leads to, however it is written, and of the places
//! that it lies under.
//!
//! **Invariant:** a fingerprint depends on the normalised link alone; the link itself is never kept.

mod extract;
mod normalise;

use std::collections::HashSet;

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::{code::codes, digest::Sha256Digest};

pub use extract::MAX_LINKS;
use normalise::Parts;

/// The longest link that is read, in bytes.
pub const MAX_LINK_BYTES: usize = 8 << 10;
/// The most segments of a path that are places of their own; a link may have more.
pub const MAX_PATH_PLACES: usize = 20;
/// The most hosts of a link: its own always, and the shortest of those above it.
pub const MAX_HOST_PLACES: usize = 10;
/// The most places that a link lies under: path prefixes, the bare host as one of them, and hosts.
pub const MAX_PLACES: usize = MAX_PATH_PLACES + 1 + MAX_HOST_PLACES;

/// What every digest begins with.
const DOMAIN: &[u8] = b"watchfire/url/v1\0";
/// Bytes of a digest.
const DIGEST_BYTES: usize = 32;

codes! {
    /// How much a link stands for.
    LinkScope, "scope of a link";
    /// For itself alone.
    Exact = 0 "exact",
    /// For everything at its host whose path begins with its path, by whole segments.
    Prefix = 1 "prefix",
    /// For everything at its host and at hosts below it.
    Host = 2 "host",
}

/// The fingerprint of a link.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LinkPrint {
    scope: LinkScope,
    digest: Sha256Digest,
    places: Vec<Sha256Digest>,
}

/// Why a text is not a link that can be fingerprinted, or bytes are no fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LinkError {
    /// Too many bytes.
    #[error("a link has at most {MAX_LINK_BYTES} bytes, found {0}")]
    TooLong(usize),
    /// Not an address.
    #[error("not a link: {0}")]
    Address(String),
    /// An address that is not of the web.
    #[error("a link begins with http:// or https://, not with {0}:")]
    Scheme(String),
    /// A name under which strangers have names of their own: a public suffix.
    #[error(
        "strangers have names of their own under {0:?}, so this host stands for too much: name at least \
         a domain under it, or a path at it"
    )]
    TooBroad(String),
    /// A path of so many segments that nothing would be found under it.
    #[error(
        "a prefix has at most {MAX_PATH_PLACES} segments of a path, found {0}: name a shorter one, or \
         the link alone"
    )]
    TooDeep(usize),
    /// Bytes that are no value of this kind.
    #[error("not the fingerprint of a link: {0}")]
    Bytes(&'static str),
}

impl LinkPrint {
    /// The fingerprint of a link as it is met: itself, and every place that it lies under. A link
    /// without a scheme is read as one of `https`.
    ///
    /// # Errors
    /// [`LinkError`].
    pub fn met(link: &str) -> Result<Self, LinkError> {
        Ok(Self::of_met(&Parts::of(link)?))
    }

    /// The fingerprints of the links that stand in a text, with what character references of HTML stand
    /// for: each page once however its link is written, the first [`MAX_LINKS`] of them. What looks like a
    /// link and is none leads nowhere, and does not count.
    #[must_use]
    pub fn in_text(text: &str) -> Vec<Self> {
        let text = html_escape::decode_html_entities(text);
        let (mut links, mut pages) = (HashSet::new(), HashSet::new());
        let links = extract::links_in(&text).filter(|link| links.insert(*link));
        let parts = links.filter_map(|link| Parts::of(link).ok());
        let parts = parts.filter(|parts| pages.insert(parts.whole()));
        parts.take(MAX_LINKS).map(|parts| Self::of_met(&parts)).collect()
    }

    fn of_met(parts: &Parts) -> Self {
        let prefixes = parts.prefixes().map(|prefix| digest(LinkScope::Prefix, &prefix));
        let hosts = parts.hosts().map(|host| digest(LinkScope::Host, host));
        Self {
            scope: LinkScope::Exact,
            digest: digest(LinkScope::Exact, &parts.whole()),
            places: prefixes.chain(hosts).collect(),
        }
    }

    /// The fingerprint of a link as it is spoken of: with how much it stands for, and nothing else.
    ///
    /// # Errors
    /// [`LinkError`].
    pub fn named(link: &str, scope: LinkScope) -> Result<Self, LinkError> {
        let parts = Parts::of(link)?;
        let digest = match scope {
            LinkScope::Exact => digest(scope, &parts.whole()),
            LinkScope::Prefix if parts.depth() > MAX_PATH_PLACES => {
                return Err(LinkError::TooDeep(parts.depth()));
            }
            LinkScope::Prefix => digest(scope, &parts.path()),
            LinkScope::Host if parts.is_public() => {
                return Err(LinkError::TooBroad(parts.host().to_owned()));
            }
            LinkScope::Host => digest(scope, parts.host()),
        };
        Ok(Self { scope, digest, places: Vec::new() })
    }

    /// How much it stands for.
    #[must_use]
    pub fn scope(&self) -> LinkScope {
        self.scope
    }

    /// The digest of the link itself, or of what it stands for.
    #[must_use]
    pub fn digest(&self) -> Sha256Digest {
        self.digest
    }

    /// Its digest, then those of the places that it lies under.
    pub fn all(&self) -> impl Iterator<Item = Sha256Digest> {
        std::iter::once(self.digest).chain(self.places.iter().copied())
    }

    /// Whether this stands for another link, as one that was met.
    #[must_use]
    pub fn covers(&self, met: &Self) -> bool {
        met.all().any(|digest| digest == self.digest)
    }

    /// Reads the bytes that stand in a record (`docs/format.md`, section 6).
    ///
    /// # Errors
    /// [`LinkError::Bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LinkError> {
        let wrong = LinkError::Bytes;
        let (scope, rest) = bytes.split_first().ok_or(wrong("there is no byte"))?;
        let scope = LinkScope::from_code(u64::from(*scope));
        let scope = scope.ok_or(wrong("the first byte is 0, 1 or 2"))?;
        let (digests, rest) = rest.as_chunks::<DIGEST_BYTES>();
        let [digest, places @ ..] = digests else { return Err(wrong("it has a digest")) };
        if !rest.is_empty() {
            return Err(wrong("it is a whole number of digests"));
        }
        let most = if scope == LinkScope::Exact { MAX_PLACES } else { 0 };
        if places.len() > most {
            return Err(wrong("it has more digests than a link of its scope has"));
        }
        let places = places.iter().copied().map(Sha256Digest).collect();
        Ok(Self { scope, digest: Sha256Digest(*digest), places })
    }

    /// Writes the bytes that stand in a record.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.scope.code()];
        bytes.extend(self.all().flat_map(|digest| digest.0));
        bytes
    }
}

fn digest(scope: LinkScope, text: &str) -> Sha256Digest {
    let hash = Sha256::new_with_prefix(DOMAIN).chain_update([scope.code()]).chain_update(text);
    Sha256Digest(hash.finalize().into())
}
