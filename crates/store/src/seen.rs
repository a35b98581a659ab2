//! The seen table: what the platform holds, by its own id, with its signals.

/// One item that the platform holds. A ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenItem {
    /// The platform's own id; a later item of the same id replaces it.
    pub item: String,
    /// When it was scanned, in milliseconds since 1970.
    pub seen_ms: u64,
    /// Its signals and facts, encoded by the node.
    pub signals: Vec<u8>,
}

impl SeenItem {
    /// Bytes that the item takes in a store, with its entries in the indexes by id and by time; about.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (self.signals.len() + 2 * self.item.len() + 48) as u64
    }
}
