//! The commitment of a record: what its leaf shows of it, and the name of a case or signal set.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};

use crate::{
    cbor::{CborError, Item, Reader, Writer},
    hex::{self, HexError},
    text::serde_as_text,
};

/// Keeps this hash apart from every other use of SHA-256.
const DOMAIN: &[u8] = b"watchfire/record/v1\0";

/// A commitment to one record. That of a founding assert is the *subject* that names its case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Commitment(pub [u8; 32]);

impl Commitment {
    /// `H( "watchfire/record/v1" ‖ 0x00 ‖ H(header) ‖ H(salt ‖ body) )`.
    ///
    /// The salt keeps a body that can be guessed from being recognised by its leaf.
    #[must_use]
    pub fn of(header: &[u8], salt: &[u8; 16], body: &[u8]) -> Self {
        Self::over(header, &Self::content(salt, body))
    }

    /// The same of a header and `H(salt ‖ body)`.
    #[must_use]
    pub fn over(header: &[u8], content: &[u8; 32]) -> Self {
        let header = Sha256::digest(header);
        let outer = Sha256::new().chain_update(DOMAIN).chain_update(header).chain_update(content);
        Self(outer.finalize().into())
    }

    /// `H(salt ‖ body)`: stands for a body without showing it.
    #[must_use]
    pub fn content(salt: &[u8; 16], body: &[u8]) -> [u8; 32] {
        Sha256::new().chain_update(salt).chain_update(body).finalize().into()
    }
}

impl FromStr for Commitment {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        hex::decode(text).map(Self)
    }
}

impl fmt::Display for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Commitment({self})")
    }
}

serde_as_text!(Commitment);

impl Item for Commitment {
    fn write(&self, writer: &mut Writer) {
        self.0.write(writer);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        Item::read(reader).map(Self)
    }
}
