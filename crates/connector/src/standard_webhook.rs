//! Signs webhooks, and checks them on the side that receives: who sent this, is it whole, is it fresh?
//!
//! Source: the Standard Webhooks specification 1.0 (`v1`: HMAC-SHA-256, `v1a`: Ed25519, both over
//! `id.timestamp.body`).
//!
//! **Invariant:** a signature is compared in constant time and by the strict rules of its scheme.
//! **Invariant:** a message outside the replay window is refused, however good its signature.
//! **Invariant:** a secret is never printed.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Signer as _, VerifyingKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use thiserror::Error;

/// The header that names the message; the same for every attempt.
pub const ID_HEADER: &str = "webhook-id";
/// The header that says when this attempt was signed, in seconds since 1970.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// The header that carries the signatures, with spaces between them.
pub const SIGNATURE_HEADER: &str = "webhook-signature";

/// How far a timestamp may lie from the receiver's clock, in seconds, as the specification's
/// libraries have it.
pub const REPLAY_WINDOW_S: u64 = 300;
/// Shared secrets have 24 to 64 bytes: less can be guessed, more is hashed down anyway.
pub const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// The most signatures that are looked at: each costs a check, and rotation needs two.
pub const MAX_SIGNATURES: usize = 8;
/// The longest message id, so that an id can be kept.
pub const MAX_ID_BYTES: usize = 256;

const SECRET_PREFIX: &str = "whsec_";
const PRIVATE_PREFIX: &str = "whsk_";
const PUBLIC_PREFIX: &str = "whpk_";

/// What the sender signs with.
#[derive(Clone)]
pub enum SigningKey {
    /// A secret that the receiver has too.
    Shared(Secret),
    /// An Ed25519 key; the receiver has the public half.
    Own(Box<ed25519_dalek::SigningKey>),
}

/// What the receiver checks with.
#[derive(Debug, Clone)]
pub enum CheckingKey {
    /// A secret that the sender has too.
    Shared(Secret),
    /// The public half of the sender's Ed25519 key.
    Public(Box<VerifyingKey>),
}

/// A shared secret, followed by zeros to the block length of SHA-256, as RFC 2104 uses it.
#[derive(Clone)]
pub struct Secret([u8; 64]);

/// Why a text is not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Neither `whsec_…` nor, by side, `whsk_…` or `whpk_…`.
    #[error("a webhook key begins with `whsec_` (shared), `whsk_` (private) or `whpk_` (public)")]
    Prefix,
    /// What follows is not Base64.
    #[error("a webhook key is Base64 after its prefix")]
    Base64,
    /// Too few or too many bytes.
    #[error("a shared secret has 24 to 64 bytes, an Ed25519 key has 32")]
    Length,
    /// Not a point that signatures can be checked against.
    #[error("not a usable Ed25519 public key")]
    Point,
}

/// What is signed.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Names the message; the receiver does each only once. No full stop in it.
    pub id: &'a str,
    /// When this attempt is signed, in seconds since 1970.
    pub timestamp_s: u64,
    /// The body as it is sent.
    pub body: &'a [u8],
}

/// The three headers as received.
#[derive(Debug, Clone, Copy)]
pub struct Presented<'a> {
    /// `webhook-id`.
    pub id: &'a str,
    /// `webhook-timestamp`.
    pub timestamp: &'a str,
    /// `webhook-signature`.
    pub signature: &'a str,
}

/// Why a webhook is not believed. The answer is 401.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum VerifyError {
    /// An id that is empty, too long or could be read as another message, or a timestamp that is
    /// not a number.
    #[error("the webhook headers are malformed")]
    Malformed,
    /// Signed too long ago, or by a clock that is too far ahead.
    #[error("the timestamp is outside the replay window")]
    Stale,
    /// None of the signatures is one of our keys'.
    #[error("no signature fits")]
    Signature,
}

impl SigningKey {
    /// Reads `whsec_…` (shared) or `whsk_…` (Ed25519 seed).
    ///
    /// # Errors
    /// [`KeyError`], which never repeats the text.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if let Some(rest) = text.strip_prefix(SECRET_PREFIX) {
            return Secret::new(&decode(rest)?).map(SigningKey::Shared);
        }
        let rest = text.strip_prefix(PRIVATE_PREFIX).ok_or(KeyError::Prefix)?;
        let seed: [u8; 32] = decode(rest)?.try_into().map_err(|_| KeyError::Length)?;
        Ok(Self::from_seed(&seed))
    }

    /// Makes the Ed25519 key from its 32-byte seed.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        SigningKey::Own(Box::new(ed25519_dalek::SigningKey::from_bytes(seed)))
    }

    /// What a receiver needs to check this key's signatures.
    #[must_use]
    pub fn checking(&self) -> CheckingKey {
        match self {
            SigningKey::Shared(secret) => CheckingKey::Shared(secret.clone()),
            SigningKey::Own(key) => CheckingKey::Public(Box::new(key.verifying_key())),
        }
    }

    fn sign(&self, content: &[u8]) -> String {
        match self {
            SigningKey::Shared(secret) => {
                format!("v1,{}", STANDARD.encode(secret.mac(content).finalize().into_bytes()))
            }
            SigningKey::Own(key) => {
                format!("v1a,{}", STANDARD.encode(key.sign(content).to_bytes()))
            }
        }
    }
}

impl CheckingKey {
    /// Reads `whsec_…` (shared) or `whpk_…` (Ed25519 public key).
    ///
    /// # Errors
    /// [`KeyError`], which never repeats the text.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if let Some(rest) = text.strip_prefix(SECRET_PREFIX) {
            return Secret::new(&decode(rest)?).map(CheckingKey::Shared);
        }
        let rest = text.strip_prefix(PUBLIC_PREFIX).ok_or(KeyError::Prefix)?;
        let bytes: [u8; 32] = decode(rest)?.try_into().map_err(|_| KeyError::Length)?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::Point)?;
        if key.is_weak() {
            return Err(KeyError::Point);
        }
        Ok(CheckingKey::Public(Box::new(key)))
    }

    /// The key's text when it may be shown: `whpk_…`; nothing for a shared secret.
    #[must_use]
    pub fn public_text(&self) -> Option<String> {
        match self {
            CheckingKey::Shared(_) => None,
            CheckingKey::Public(key) => {
                Some(format!("{PUBLIC_PREFIX}{}", STANDARD.encode(key.as_bytes())))
            }
        }
    }

    fn fits(&self, content: &[u8], scheme: &str, signature: &[u8]) -> bool {
        match (self, scheme) {
            (CheckingKey::Shared(secret), "v1") => {
                secret.mac(content).verify_slice(signature).is_ok()
            }
            (CheckingKey::Public(key), "v1a") => Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(content, &signature).is_ok()),
            _ => false,
        }
    }
}

impl Secret {
    /// Takes 24 to 64 random bytes.
    ///
    /// # Errors
    /// [`KeyError::Length`].
    pub fn new(bytes: &[u8]) -> Result<Self, KeyError> {
        let mut block = [0; 64];
        let place = block.get_mut(..bytes.len()).ok_or(KeyError::Length)?;
        place.copy_from_slice(bytes);
        if SECRET_BYTES.contains(&bytes.len()) { Ok(Secret(block)) } else { Err(KeyError::Length) }
    }

    fn mac(&self, content: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new(&self.0.into());
        mac.update(content);
        mac
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(not shown)")
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(not shown)")
    }
}

/// The value of [`SIGNATURE_HEADER`]: one signature a key, so that a receiver that has only the
/// old or only the new key of a rotation is served.
#[must_use]
pub fn sign(keys: &[SigningKey], message: Message<'_>) -> String {
    let content = content(message.id, &message.timestamp_s.to_string(), message.body);
    let signatures: Vec<String> = keys.iter().map(|key| key.sign(&content)).collect();
    signatures.join(" ")
}

/// Checks a webhook as received: fresh at `now_s`, and signed by one of `keys`.
///
/// A message can be repeated within [`REPLAY_WINDOW_S`]: the receiver also remembers the ids of
/// what it has done.
///
/// # Errors
/// [`VerifyError`]; nothing of the message may be believed then.
pub fn verify(
    keys: &[CheckingKey],
    presented: Presented<'_>,
    body: &[u8],
    now_s: u64,
) -> Result<(), VerifyError> {
    let Presented { id, timestamp, signature } = presented;
    // With a full stop in the id, two messages could have the same signed content.
    if id.is_empty() || id.len() > MAX_ID_BYTES || id.contains('.') {
        return Err(VerifyError::Malformed);
    }
    if timestamp.is_empty() || !timestamp.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(VerifyError::Malformed);
    }
    let signed_s: u64 = timestamp.parse().map_err(|_| VerifyError::Malformed)?;
    if signed_s.abs_diff(now_s) > REPLAY_WINDOW_S {
        return Err(VerifyError::Stale);
    }
    let content = content(id, timestamp, body);
    let fits = signature.split(' ').take(MAX_SIGNATURES).any(|one| {
        let Some((scheme, text)) = one.split_once(',') else { return false };
        let Ok(bytes) = STANDARD.decode(text) else { return false };
        keys.iter().any(|key| key.fits(&content, scheme, &bytes))
    });
    if fits { Ok(()) } else { Err(VerifyError::Signature) }
}

fn content(id: &str, timestamp: &str, body: &[u8]) -> Vec<u8> {
    let mut content = Vec::with_capacity(id.len() + timestamp.len() + body.len() + 2);
    content.extend_from_slice(id.as_bytes());
    content.push(b'.');
    content.extend_from_slice(timestamp.as_bytes());
    content.push(b'.');
    content.extend_from_slice(body);
    content
}

fn decode(text: &str) -> Result<Vec<u8>, KeyError> {
    STANDARD.decode(text).map_err(|_| KeyError::Base64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const SIGNED_S: u64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const SHARED_SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const PRIVATE: &str = "whsk_VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=";
    const OWN_SIGNATURE: &str = "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag==";

    fn message() -> Message<'static> {
        Message { id: ID, timestamp_s: SIGNED_S, body: BODY }
    }

    fn check(keys: &[CheckingKey], signature: &str, now_s: u64) -> Result<(), VerifyError> {
        let timestamp = SIGNED_S.to_string();
        verify(keys, Presented { id: ID, timestamp: &timestamp, signature }, BODY, now_s)
    }

    #[test]
    fn the_published_examples_are_signed_to_the_letter() {
        let shared = SigningKey::parse(SECRET).unwrap();
        assert_eq!(sign(&[shared], message()), SHARED_SIGNATURE);
        let own = SigningKey::parse(PRIVATE).unwrap();
        assert_eq!(sign(&[own], message()), OWN_SIGNATURE);
        // The example that Svix, who began the specification, publishes.
        let shared = SigningKey::parse("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").unwrap();
        let message = Message {
            id: "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            timestamp_s: 1_649_367_553,
            body: br#"{"email":"test@example.com","username":"test_user"}"#,
        };
        assert_eq!(sign(&[shared], message), "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
    }

    #[test]
    fn the_published_examples_are_believed_with_the_right_key_only() {
        let shared = CheckingKey::parse(SECRET).unwrap();
        let public = SigningKey::parse(PRIVATE).unwrap().checking();
        assert_eq!(check(std::slice::from_ref(&shared), SHARED_SIGNATURE, SIGNED_S), Ok(()));
        assert_eq!(check(std::slice::from_ref(&public), OWN_SIGNATURE, SIGNED_S), Ok(()));
        let other = SigningKey::from_seed(&[7; 32]).checking();
        assert_eq!(check(&[other], OWN_SIGNATURE, SIGNED_S), Err(VerifyError::Signature));
        assert_eq!(check(&[public], SHARED_SIGNATURE, SIGNED_S), Err(VerifyError::Signature));
        assert_eq!(check(&[shared], OWN_SIGNATURE, SIGNED_S), Err(VerifyError::Signature));
        assert_eq!(check(&[], SHARED_SIGNATURE, SIGNED_S), Err(VerifyError::Signature));
    }

    #[test]
    fn during_a_rotation_the_old_and_the_new_key_are_both_served() {
        let (old, new) = (SigningKey::from_seed(&[1; 32]), SigningKey::parse(SECRET).unwrap());
        let both = sign(&[old.clone(), new.clone()], message());
        assert_eq!(check(&[old.checking()], &both, SIGNED_S), Ok(()));
        assert_eq!(check(&[new.checking()], &both, SIGNED_S), Ok(()));
    }

    #[test]
    fn a_message_from_outside_the_window_is_refused_on_both_sides() {
        let keys = [CheckingKey::parse(SECRET).unwrap()];
        assert_eq!(check(&keys, SHARED_SIGNATURE, SIGNED_S + REPLAY_WINDOW_S), Ok(()));
        assert_eq!(check(&keys, SHARED_SIGNATURE, SIGNED_S - REPLAY_WINDOW_S), Ok(()));
        let late = check(&keys, SHARED_SIGNATURE, SIGNED_S + REPLAY_WINDOW_S + 1);
        assert_eq!(late, Err(VerifyError::Stale));
        let early = check(&keys, SHARED_SIGNATURE, SIGNED_S - REPLAY_WINDOW_S - 1);
        assert_eq!(early, Err(VerifyError::Stale));
    }

    #[test]
    fn nothing_of_a_signed_message_can_be_changed() {
        let keys = [CheckingKey::parse(SECRET).unwrap()];
        let timestamp = SIGNED_S.to_string();
        let good = Presented { id: ID, timestamp: &timestamp, signature: SHARED_SIGNATURE };
        let later = (SIGNED_S + 1).to_string();
        for (presented, body) in [
            (Presented { id: "msg_other", ..good }, BODY),
            (Presented { timestamp: &later, ..good }, BODY),
            (good, br#"{"test": 2432232315}"#.as_slice()),
            (Presented { signature: "v1,", ..good }, BODY),
            (Presented { signature: "", ..good }, BODY),
            (Presented { signature: &SHARED_SIGNATURE[..20], ..good }, BODY),
        ] {
            assert_eq!(verify(&keys, presented, body, SIGNED_S), Err(VerifyError::Signature));
        }
    }

    #[test]
    fn headers_that_could_mean_two_messages_are_refused() {
        let keys = [SigningKey::parse(SECRET).unwrap()];
        let checking = [CheckingKey::parse(SECRET).unwrap()];
        let signature = sign(&keys, Message { id: "a.1", timestamp_s: 5, body: b"x" });
        for (id, timestamp) in [("a.1", "5"), ("", "5"), ("a", "+5"), ("a", " 5"), ("a", "")] {
            let presented = Presented { id, timestamp, signature: &signature };
            assert_eq!(verify(&checking, presented, b"x", 5), Err(VerifyError::Malformed));
        }
    }

    #[test]
    fn keys_are_read_strictly_and_never_printed() {
        for text in ["", "MfKQ", "whsec_AAAA", "whsec_!", "whsk_AAAA", "whpk_AAAA"] {
            assert!(SigningKey::parse(text).is_err(), "{text}");
            assert!(CheckingKey::parse(text).is_err(), "{text}");
        }
        // The point of order one fits every message.
        let weak = format!(
            "whpk_{}",
            STANDARD.encode([1_u8].into_iter().chain([0; 31]).collect::<Vec<_>>())
        );
        assert_eq!(CheckingKey::parse(&weak).unwrap_err(), KeyError::Point);
        let key = SigningKey::parse(PRIVATE).unwrap();
        assert_eq!(format!("{key:?}"), "SigningKey(not shown)");
        let secret = CheckingKey::parse(SECRET).unwrap();
        assert_eq!(format!("{secret:?}"), "Shared(Secret(not shown))");
        let text = key.checking().public_text().unwrap();
        let again = CheckingKey::parse(&text).unwrap();
        assert_eq!(check(&[again], OWN_SIGNATURE, SIGNED_S), Ok(()));
        assert_eq!(secret.public_text(), None);
    }
}
