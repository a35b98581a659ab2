//! The names of banks and of what is in them: what stands for a content wherever a case would.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The number of a bank, counted from 1; it stays when the name changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BankNumber(pub u32);

impl fmt::Display for BankNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id of a content, counted from 1 at a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContentId(pub u64);

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ContentId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// What the subject of a content begins with.
const DOMAIN: &[u8] = b"watchfire/bank/v1";

/// A content of a bank. Neither number is ever given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContentPlace {
    /// The bank.
    pub bank: BankNumber,
    /// The content.
    pub content: ContentId,
}

impl ContentPlace {
    /// The case that a content is at home: `SHA-256("watchfire/bank/v1" ‖ number ‖ id)`, both in
    /// big-endian. Actions that a content causes stand under it.
    #[must_use]
    pub fn subject(self) -> [u8; 32] {
        let hash = Sha256::new().chain_update(DOMAIN).chain_update(self.bank.0.to_be_bytes());
        hash.chain_update(self.content.0.to_be_bytes()).finalize().into()
    }
}

impl fmt::Display for ContentPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "content {} of bank {}", self.content, self.bank)
    }
}
