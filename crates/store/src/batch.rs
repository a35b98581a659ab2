//! What one transaction changes: a log grows, rows of views and ledgers change, effects begin.

use watchfire_tlog::{Entry, Hash, Origin, SignedCheckpoint};

use crate::{Effect, Settlement};

/// One transaction. Everything in it is durable when `commit` returns `Ok`, or none of it.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// A log that grows.
    pub append: Option<Append>,
    /// A log that loses its newest entries; not together with one that grows.
    pub cut: Option<Cut>,
    /// Rows of views and ledgers to write or delete.
    pub rows: Vec<Row>,
    /// Effects that begin; one whose name is already in the outbox is left as it stands.
    pub effects: Vec<Effect>,
    /// What became of effects; names that are not in the outbox change nothing.
    pub settlements: Vec<Settlement>,
}

/// New entries of one log with the checkpoint that covers them: at least one and at most
/// [`MAX_APPEND_ENTRIES`](crate::MAX_APPEND_ENTRIES), together at most
/// [`MAX_APPEND_BYTES`](crate::MAX_APPEND_BYTES).
#[derive(Debug, Clone)]
pub struct Append {
    /// The log.
    pub log: Origin,
    /// The size that the writer knows; another size in the store is a conflict.
    pub size: u64,
    /// The entries from index `size` on.
    pub entries: Vec<Entry>,
    /// Hashes of these leaves, one an entry: level 0 of the tiles.
    pub leaf_hashes: Vec<Hash>,
    /// The signed head at `size + entries.len()`.
    pub checkpoint: SignedCheckpoint,
    /// When this node had verified these entries, in milliseconds since 1970 by its own clock.
    pub verified_ms: u64,
}

/// A log that is cut back, because it is the copy of a history that a charter has not accepted.
#[derive(Debug, Clone)]
pub struct Cut {
    /// The log.
    pub log: Origin,
    /// It ends at its newest checkpoint of at most this size, or is gone where there is none. Its followers are told
    /// nothing, and go on once it has grown past where they are.
    pub most: u64,
}

/// One row to write or, without a value, to delete.
#[derive(Debug, Clone)]
pub struct Row {
    /// The table.
    pub table: Table,
    /// The key, not empty; rows are listed in its byte order.
    pub key: Vec<u8>,
    /// The value, opaque to the store.
    pub value: Option<Vec<u8>>,
}

/// A small table of keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// Can be made again from the logs; `watchfire rebuild` drops it.
    View(&'static str),
    /// Cannot be made again; backed up, never rebuilt.
    Ledger(&'static str),
}
