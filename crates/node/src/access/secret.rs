//! Secrets that are shown once: API keys, sessions, invitations.

use std::fmt;

use sha2::{Digest, Sha256};
use watchfire_signal::hex;

use crate::clock::Random;

/// What every API key begins with, so that a leaked one can be recognised by scanners.
pub const KEY_PREFIX: &str = "wf_";
/// What every session's token begins with.
pub const SESSION_PREFIX: &str = "wfs_";
/// What every invitation begins with.
pub const INVITATION_PREFIX: &str = "wfi_";
/// Random bytes in a secret: too many to guess, so a fast hash keeps it.
const SECRET_BYTES: usize = 32;
/// Bytes of a fingerprint that are shown, to tell two secrets of one name apart.
const SHOWN_BYTES: usize = 4;

/// The SHA-256 of a secret: what is kept instead of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub(super) [u8; 32]);

impl Fingerprint {
    /// Of a secret.
    #[must_use]
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// From a row's key.
    pub(super) fn from_row(key: &[u8]) -> Option<Self> {
        key.try_into().ok().map(Self)
    }
}

/// The first digits, enough to tell secrets apart and too few to find one.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0.get(..SHOWN_BYTES).unwrap_or_default()))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// A fresh secret with its prefix.
pub(super) fn fresh(prefix: &str, random: &dyn Random) -> String {
    let mut secret = [0; SECRET_BYTES];
    random.fill(&mut secret);
    format!("{prefix}{}", hex::encode(&secret))
}
