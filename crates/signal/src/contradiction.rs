//! Keeps what proves that an author wrote one header into a leaf and another into the record that the leaf commits to.
//!
//! **Invariant:** nothing of the body leaves with it: its salted hash opens the commitment.

use crate::{
    commitment::Commitment,
    record::{Leaf, Record},
};

/// A leaf, and another header than the leaf's under its commitment. Only who wrote the leaf can have made it: to find
/// such a header for a leaf of somebody else is to break SHA-256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradiction {
    /// The leaf as received.
    pub leaf: Vec<u8>,
    /// The header of the record as received.
    pub header: Vec<u8>,
    /// `H(salt ‖ body)` of the record.
    pub content: [u8; 32],
}

impl Contradiction {
    /// What a record that came with a leaf proves against the author, if it does. A record that does not open the
    /// leaf's commitment proves nothing: anybody could have brought it.
    #[must_use]
    pub fn between(leaf: &Leaf, record: &[u8]) -> Option<Self> {
        let record = Record::decode(record).ok()?;
        let content = record.content();
        let found = Self { leaf: leaf.bytes.clone(), header: record.header_bytes, content };
        found.holds().then_some(found)
    }

    /// Whether it is one. That the leaf stands in its author's log is another proof.
    #[must_use]
    pub fn holds(&self) -> bool {
        let Ok(leaf) = Leaf::decode(&self.leaf) else { return false };
        let opens = Commitment::over(&self.header, &self.content) == leaf.commitment;
        opens && self.header != leaf.header_bytes
    }
}
