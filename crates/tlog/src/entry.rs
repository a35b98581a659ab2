//! What a log hands out for an index: the leaf, and its record unless that is missing.

use bytes::Bytes;

use crate::hash::{Hash, leaf_hash};

/// The longest leaf. An entry bundle (C2SP tlog-tiles) has 16 bits for a length; the last value
/// stays unused so that no implementation's off-by-one can split the log.
pub const MAX_LEAF_BYTES: usize = 65_534;

/// One entry of a log. The record travels with its leaf or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What the Merkle tree covers. At most [`MAX_LEAF_BYTES`]; opaque here.
    pub leaf: Bytes,
    /// What the leaf commits to in a way that this crate does not know; `None` is a hole: withheld,
    /// lost or erased.
    pub record: Option<Bytes>,
}

impl Entry {
    /// Makes an entry.
    pub fn new(leaf: impl Into<Bytes>, record: Option<Bytes>) -> Self {
        Entry { leaf: leaf.into(), record }
    }

    /// The leaf's hash in the tree.
    pub fn leaf_hash(&self) -> Hash {
        leaf_hash(&self.leaf)
    }
}
