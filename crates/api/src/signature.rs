//! Signs requests between members and checks them, so that a node knows which member asks, once, and for what.
//!
//! Source: RFC 9421 (HTTP message signatures) with Ed25519, RFC 9530 (`Content-Digest`); `docs/format.md` section 10.
//!
//! **Invariant:** a request passes once: its nonce is remembered until its signature has expired.
//! **Invariant:** the address that is signed is compared with the node's configured ones, never with the `Host` header.

mod input;
mod nonce;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::HeaderMap;
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use watchfire_signal::name::MemberName;
use watchfire_tlog::{OwnKey, PeerKey, Signature};

use input::Input;
pub use nonce::{MAX_MEMBERS_REMEMBERED, MAX_NONCES_A_MEMBER, NonceMemory};

/// The label of our signature among those that proxies may add.
pub const LABEL: &str = "watchfire";

/// How long a signature is valid: longer than a request waits on a busy node, short enough that few nonces are kept.
pub const MAX_WINDOW_S: u64 = 60;

/// How far the sender's clock may be ahead of ours.
pub const MAX_AHEAD_S: u64 = 30;

/// How many public addresses a node may have: each costs a check of the signature.
pub const MAX_ADDRESSES: usize = 4;

/// The longest signature headers that are looked at.
const MAX_HEADER_BYTES: usize = 4096;

/// The longest name of a key: a member's name has at most 32 characters.
const MAX_KEYID_BYTES: usize = 64;

/// The lengths of a nonce: enough not to be guessed or met twice, little enough to be remembered.
const NONCE_BYTES: std::ops::RangeInclusive<usize> = 16..=64;

/// What a signature takes from outside: the time and chance.
pub trait Fresh: Send + Sync {
    /// Seconds since 1970-01-01 UTC.
    fn now_s(&self) -> u64;
    /// 16 random bytes, never the same twice.
    fn nonce(&self) -> [u8; 16];
}

/// Who signs our requests.
#[derive(Clone)]
pub struct Identity {
    /// Our name in the charter.
    pub member: MemberName,
    /// Our key in the charter.
    pub key: Arc<OwnKey>,
    /// Time and chance.
    pub fresh: Arc<dyn Fresh>,
}

/// A request that is to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// The method, in upper case.
    pub method: &'a str,
    /// The whole address with scheme, authority, path and query, as it will be asked for.
    pub target_uri: &'a str,
    /// The body, if there is one.
    pub body: Option<&'a [u8]>,
}

/// The headers that make a request a signed one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHeaders {
    /// `Signature-Input`.
    pub signature_input: String,
    /// `Signature`.
    pub signature: String,
    /// `Content-Digest`, when there is a body.
    pub content_digest: Option<String>,
}

/// A request that came in, before its body is read.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    /// The method.
    pub method: &'a str,
    /// Scheme and authority of each address under which this node is reached, by configuration, without a slash at
    /// the end. At most [`MAX_ADDRESSES`] are tried.
    pub addresses: &'a [String],
    /// Path and query as received.
    pub path_and_query: &'a str,
    /// The headers.
    pub headers: &'a HeaderMap,
}

/// A request whose signature was good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The member that signed.
    pub member: MemberName,
    digest: Option<[u8; 32]>,
}

/// Why a request is not believed to be a member's. The answer is 401.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// There is no signature under our label.
    #[error("the request is not signed")]
    Missing,
    /// The headers cannot be read.
    #[error("the signature headers are malformed")]
    Malformed,
    /// Something that has to be signed is not.
    #[error("the signature does not cover {0}")]
    NotCovered(&'static str),
    /// A parameter is missing or is not as it has to be.
    #[error("the signature's parameter {0} is missing or wrong")]
    Parameter(&'static str),
    /// The charter knows no such member.
    #[error("no key of {0:?} is known")]
    UnknownKey(String),
    /// The signature is over something else or by another key. The addresses may differ: the sender's for us and ours.
    #[error("the signature does not fit the request, its address or the member's key")]
    Wrong,
    /// Outside its time. The clocks may differ.
    #[error("the signature is not valid at this time: compare the clocks")]
    Time,
    /// This request has come before.
    #[error("the request has come before")]
    Replayed,
    /// The member has sent more requests than are remembered.
    #[error("over the limit of requests that are remembered for a member")]
    TooMany,
    /// The body is not the one that was signed.
    #[error("the body is not the signed one")]
    Body,
}

/// Signs a request as `identity`, valid from now for [`MAX_WINDOW_S`].
pub fn sign(request: &Outgoing<'_>, identity: &Identity) -> SignedHeaders {
    let created = identity.fresh.now_s();
    let content_digest = request.body.map(content_digest);
    let mut components = vec!["@method", "@target-uri"];
    components.extend(content_digest.is_some().then_some("content-digest"));
    let input = Input {
        components: components.into_iter().map(str::to_owned).collect(),
        created: Some(created),
        expires: Some(created.saturating_add(MAX_WINDOW_S)),
        nonce: Some(URL_SAFE_NO_PAD.encode(identity.fresh.nonce())),
        keyid: Some(identity.member.to_string()),
        alg: Some("ed25519".to_owned()),
    };
    let text = input.to_string();
    let base = input.base(&text, |component| match component {
        "@method" => Some(request.method.to_owned()),
        "@target-uri" => Some(request.target_uri.to_owned()),
        _ => content_digest.clone(),
    });
    let signature = identity.key.sign(base.unwrap_or_default().as_bytes());
    SignedHeaders {
        signature_input: format!("{LABEL}={text}"),
        signature: format!("{LABEL}=:{}:", STANDARD.encode(signature.to_bytes())),
        content_digest,
    }
}

/// Checks that a member signed the request, now, and for the first time. Before the caller acts on a body, it calls
/// [`Verified::check_body`].
///
/// # Errors
/// [`SignatureError`]; nothing is remembered of a request that is refused.
pub fn verify(
    request: &Incoming<'_>,
    key_of: impl FnOnce(&MemberName) -> Option<PeerKey>,
    now_s: u64,
    nonces: &NonceMemory,
) -> Result<Verified, SignatureError> {
    let field = header(request.headers, "signature-input")?;
    let text = input::member(field, LABEL)?.ok_or(SignatureError::Missing)?;
    let input = Input::parse(text)?;
    let (keyid, nonce, expires) = check_parameters(&input, now_s)?;
    let digest = check_components(&input, request.headers)?;
    let signature = signature(header(request.headers, "signature")?)?;
    let unknown = || SignatureError::UnknownKey(keyid.to_owned());
    let member: MemberName = keyid.parse().map_err(|_| unknown())?;
    let key = key_of(&member).ok_or_else(unknown)?;
    let fits = request.addresses.iter().take(MAX_ADDRESSES).any(|address| {
        let base = input.base(text, |component| match component {
            "@method" => Some(request.method.to_owned()),
            "@target-uri" => Some(format!("{address}{}", request.path_and_query)),
            field => header(request.headers, field).ok().map(|value| value.trim().to_owned()),
        });
        base.is_some_and(|base| key.verify(base.as_bytes(), &signature))
    });
    if !fits {
        return Err(SignatureError::Wrong);
    }
    nonces.remember(keyid, nonce, input.created.unwrap_or_default(), (expires, now_s))?;
    Ok(Verified { member, digest })
}

impl Verified {
    /// Checks that `body` is the one that was signed; without a signed digest only an empty body is.
    ///
    /// # Errors
    /// [`SignatureError::Body`] if not.
    pub fn check_body(&self, body: &[u8]) -> Result<(), SignatureError> {
        let good = match self.digest {
            Some(digest) => <[u8; 32]>::from(Sha256::digest(body)) == digest,
            None => body.is_empty(),
        };
        if good { Ok(()) } else { Err(SignatureError::Body) }
    }
}

/// The value of `Content-Digest` for a body.
pub fn content_digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(body)))
}

fn check_parameters(input: &Input, now_s: u64) -> Result<(&str, &str, u64), SignatureError> {
    let created = input.created.ok_or(SignatureError::Parameter("created"))?;
    let expires = input.expires.ok_or(SignatureError::Parameter("expires"))?;
    let nonce = input.nonce.as_deref().ok_or(SignatureError::Parameter("nonce"))?;
    let keyid = input.keyid.as_deref().ok_or(SignatureError::Parameter("keyid"))?;
    if input.alg.as_deref() != Some("ed25519") {
        return Err(SignatureError::Parameter("alg"));
    }
    if !NONCE_BYTES.contains(&nonce.len()) {
        return Err(SignatureError::Parameter("nonce"));
    }
    if keyid.is_empty() || keyid.len() > MAX_KEYID_BYTES {
        return Err(SignatureError::Parameter("keyid"));
    }
    if !(created..=created.saturating_add(MAX_WINDOW_S)).contains(&expires) {
        return Err(SignatureError::Parameter("expires"));
    }
    if created > now_s.saturating_add(MAX_AHEAD_S) || expires < now_s {
        return Err(SignatureError::Time);
    }
    Ok((keyid, nonce, expires))
}

fn check_components(
    input: &Input,
    headers: &HeaderMap,
) -> Result<Option<[u8; 32]>, SignatureError> {
    let covers = |component: &str| input.components.iter().any(|covered| covered == component);
    for needed in ["@method", "@target-uri"] {
        if !covers(needed) {
            return Err(SignatureError::NotCovered(needed));
        }
    }
    // Other components are not needed, and each kind understood is one more way to misread a request.
    let known = |component: &String| {
        matches!(component.as_str(), "@method" | "@target-uri" | "content-digest")
    };
    if !input.components.iter().all(known) {
        return Err(SignatureError::Malformed);
    }
    match (headers.contains_key("content-digest"), covers("content-digest")) {
        (false, false) => Ok(None),
        (true, false) => Err(SignatureError::NotCovered("content-digest")),
        (_, true) => digest(header(headers, "content-digest")?).map(Some),
    }
}

/// The one value of a header. Two lines of the same header are refused: proxies join them in ways that differ.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, SignatureError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Err(SignatureError::Missing),
        (Some(value), None) if value.len() <= MAX_HEADER_BYTES => {
            value.to_str().map_err(|_| SignatureError::Malformed)
        }
        _ => Err(SignatureError::Malformed),
    }
}

fn signature(header: &str) -> Result<Signature, SignatureError> {
    let text = input::member(header, LABEL)?.ok_or(SignatureError::Missing)?;
    Ok(Signature(byte_sequence(text)?))
}

fn digest(header: &str) -> Result<[u8; 32], SignatureError> {
    let text = input::member(header, "sha-256")?;
    byte_sequence(text.ok_or(SignatureError::NotCovered("a sha-256 digest"))?)
}

/// A byte sequence of RFC 8941 section 3.3.5 with exactly `N` bytes.
fn byte_sequence<const N: usize>(text: &str) -> Result<[u8; N], SignatureError> {
    let inner = text.strip_prefix(':').and_then(|text| text.strip_suffix(':'));
    let bytes = STANDARD.decode(inner.ok_or(SignatureError::Malformed)?);
    bytes.ok().and_then(|bytes| bytes.try_into().ok()).ok_or(SignatureError::Malformed)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
