//! The name of an effect: what makes an action on an item happen once, however often logs are folded.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};

use crate::{
    commitment::Commitment,
    hex::{self, HexError},
    name::ItemId,
    text::serde_as_text,
};

/// Keeps this hash apart from every other use of SHA-256.
const DOMAIN: &[u8] = b"watchfire/effect/v1\0";

/// The name of one effect; the idempotency key that a platform's remover sees, in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EffectName(pub [u8; 32]);

/// Names the effect of `action` on `item` for the case `subject`; `round` counts how often this
/// item was acted on for this case before (`docs/format.md`, section 11).
#[must_use]
pub fn effect_name(item: &ItemId, action: &str, subject: &Commitment, round: u32) -> EffectName {
    let mut hash = Sha256::new().chain_update(DOMAIN);
    for text in [item.as_str(), action] {
        // Both are short names of our own making; a longer one would be an error of the caller.
        assert!(text.len() <= 4096, "an item or an action is a short text");
        hash.update((text.len() as u32).to_be_bytes());
        hash.update(text.as_bytes());
    }
    hash.update(subject.0);
    hash.update(round.to_be_bytes());
    EffectName(hash.finalize().into())
}

impl FromStr for EffectName {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        hex::decode(text).map(Self)
    }
}

impl fmt::Display for EffectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for EffectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EffectName({self})")
    }
}

serde_as_text!(EffectName);
