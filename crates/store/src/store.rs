//! The contract between a node and the place where its data lives.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use thiserror::Error;
use watchfire_tlog::{Entry, Origin, SignedCheckpoint, Source, SourceError};

use crate::{
    Batch, CaseCounts, Effect, EffectState, LateOrders, OutboxCounts, SeenItem, Settlement, Table,
};

/// The head of one log in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The log.
    pub log: Origin,
    /// Entries that the store holds.
    pub size: u64,
    /// The signed head at that size.
    pub checkpoint: SignedCheckpoint,
}

/// An entry with what only its holder knows.
#[derive(Debug, Clone)]
pub struct Held {
    /// Its place in the log.
    pub index: u64,
    /// Leaf and record.
    pub entry: Entry,
    /// When this node had verified it, in milliseconds since 1970 by its own clock.
    pub verified_ms: u64,
}

/// Why a batch was not committed; nothing of it was.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CommitError {
    /// Another writer grew the log; read its head and decide again.
    #[error("log {log} has size {actual}, not {expected}")]
    Conflict {
        /// The log.
        log: Origin,
        /// The size that the writer knew.
        expected: u64,
        /// The size in the store.
        actual: u64,
    },
    /// The batch contradicts itself or passes a limit: a bug of the caller, and no use trying again.
    #[error("batch is malformed: {0}")]
    Malformed(String),
    /// The store failed; whether the batch is there is known after reading the head.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why the store could not answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// The disk, the database or the connection failed.
    #[error("store failed: {0}")]
    Failed(String),
    /// The disk is full. Nothing of the write was done, and the store goes on once there is room.
    #[error("the disk is full; nothing was written")]
    Full,
    /// The data breaks an invariant of the store's own: stop and call a person.
    #[error("store is corrupt: {0}")]
    Corrupt(String),
    /// The store is shutting down.
    #[error("store is closed")]
    Closed,
}

impl From<StoreError> for SourceError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Corrupt(_) => SourceError::Broken(error.to_string()),
            StoreError::Failed(_) | StoreError::Full | StoreError::Closed => {
                SourceError::Unreachable(error.to_string())
            }
        }
    }
}

/// For writers that append to no log, so that nothing can conflict but a bug.
impl From<CommitError> for StoreError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Store(error) => error,
            CommitError::Conflict { .. } | CommitError::Malformed(_) => {
                Self::Failed(error.to_string())
            }
        }
    }
}

/// Where logs, views, ledgers and blobs live.
///
/// Verbs that write are durable when they return `Ok`. A write whose future is dropped may still
/// happen. Lists may be shorter than asked where bytes pass a limit of the store, but are empty
/// only where there is nothing more. Times above 2^63 - 1 are kept as that.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// One log as a [`Source`]; a log that the store does not know is an empty one.
    /// Its `follow` wakes at every commit to the log and hands out what is durable, in steps of
    /// [`STEP_ENTRIES`](crate::STEP_ENTRIES) where there are checkpoints enough and of at
    /// most [`MAX_FOLLOW_BYTES`](crate::MAX_FOLLOW_BYTES), each under the checkpoint that was
    /// committed at exactly that size; records that do not fit in the smallest step go as holes.
    /// It holds no claim on the store: its streams end with an error when the store is dropped.
    fn read(&self, log: &Origin) -> Arc<dyn Source>;

    /// The heads of all logs that have entries, in order of name.
    async fn logs(&self) -> Result<Vec<Head>, StoreError>;

    /// Up to `limit` entries of a log from index `from` on, with the times of their verification.
    async fn held(&self, log: &Origin, from: u64, limit: usize) -> Result<Vec<Held>, StoreError>;

    /// Carries out a batch as one transaction; the append is compare-and-swap on the log's size.
    async fn commit(&self, batch: Batch) -> Result<(), CommitError>;

    /// Yields `(log, size)` after commits. It may skip sizes, never the last one of a log; the
    /// first items are all logs as they are.
    fn watch(&self) -> BoxStream<'static, (Origin, u64)>;

    /// Puts a record into a hole; where a record is already, it stays. The caller has checked it
    /// against the leaf. Followers that passed the hole are not told. An index that the log does not
    /// have is a [`StoreError::Failed`].
    async fn fill(&self, log: &Origin, index: u64, record: Bytes) -> Result<(), StoreError>;

    /// Drops a record and leaves a hole; the leaf stays. An index that the log does not have is a
    /// [`StoreError::Failed`].
    async fn erase(&self, log: &Origin, index: u64) -> Result<(), StoreError>;

    /// The value at a key of a table.
    async fn row(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Up to `limit` rows of a table with keys above `after`, in byte order of the key.
    async fn rows(
        &self,
        table: Table,
        after: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError>;

    /// Drops all views.
    async fn drop_views(&self) -> Result<(), StoreError>;

    /// Keeps bytes under their SHA-256 and returns it.
    async fn put_blob(&self, bytes: Bytes) -> Result<[u8; 32], StoreError>;

    /// The bytes with this SHA-256.
    async fn blob(&self, sha256: [u8; 32]) -> Result<Option<Bytes>, StoreError>;

    /// Up to `limit` pending effects of a connector that are due, in order of priority, then of age.
    async fn effects_due(
        &self,
        connector: &str,
        now_ms: u64,
        limit: usize,
    ) -> Result<Vec<Effect>, StoreError>;

    /// When the next pending effect of a connector is due, in milliseconds since 1970.
    async fn next_effect_due(&self, connector: &str) -> Result<Option<u64>, StoreError>;

    /// The connectors that have pending effects, in order of name.
    async fn pending_connectors(&self) -> Result<Vec<String>, StoreError>;

    /// An effect by its name.
    async fn effect(&self, name: [u8; 32]) -> Result<Option<Effect>, StoreError>;

    /// Up to `limit` effects in a state with their row numbers above `after`, in order of the row.
    async fn effects_in(
        &self,
        state: EffectState,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Effect)>, StoreError>;

    /// Up to `limit` effects that get their turn too late with their row numbers above `after`, in
    /// order of the row.
    async fn effects_late(
        &self,
        late: LateOrders,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Effect)>, StoreError>;

    /// How many effects get their turn too late.
    async fn count_late(&self, late: LateOrders) -> Result<u64, StoreError>;

    /// What waits in the outbox, for one connector or for all.
    async fn outbox_counts(&self, connector: Option<&str>) -> Result<OutboxCounts, StoreError>;

    /// On how many items effects of a case were carried out; those whose action is `undo` restore.
    async fn case_counts(&self, subject: [u8; 32], undo: &str) -> Result<CaseCounts, StoreError>;

    /// Up to `limit` items above `after` that a case has effects on, in byte order.
    async fn items_of_case(
        &self,
        subject: [u8; 32],
        after: &str,
        limit: usize,
    ) -> Result<Vec<String>, StoreError>;

    /// All effects that a case caused, oldest first.
    async fn effects_of_case(&self, subject: [u8; 32]) -> Result<Vec<Effect>, StoreError>;

    /// All effects on an item, in the order in which they were added.
    async fn effects_of_item(&self, item: &str) -> Result<Vec<Effect>, StoreError>;

    /// All effects on some items, in one question; of each item in the order in which they
    /// were added.
    async fn effects_of_items(&self, items: Vec<String>) -> Result<Vec<Effect>, StoreError>;

    /// Subjects of all cases that have effects, in byte order.
    async fn cases_with_effects(&self) -> Result<Vec<[u8; 32]>, StoreError>;

    /// Writes down what became of attempts, in one transaction. Names that are not in the outbox
    /// change nothing, and what a person has dropped does not become pending again.
    async fn settle(&self, settlements: Vec<Settlement>) -> Result<(), StoreError>;

    /// Adds or replaces items of the seen table, in one transaction; one that is replaced gets a
    /// new row number, so that a reader of [`Store::seen`] comes past it again. The items are
    /// durable when it returns; callers on the hot path do not wait for it, so a crash can lose the
    /// last group. Groups of a few hundred keep the wait of other writers short.
    async fn seen_add(&self, items: Vec<SeenItem>) -> Result<(), StoreError>;

    /// Forgets an item; `false` if it was not there.
    async fn seen_remove(&self, item: &str) -> Result<bool, StoreError>;

    /// The items that have these ids, with their row numbers; in any order.
    async fn seen_find(&self, items: Vec<String>) -> Result<Vec<(u64, SeenItem)>, StoreError>;

    /// The items at these rows, in the order given; rows that are gone are left out.
    async fn seen_at(&self, rows: Vec<u64>) -> Result<Vec<(u64, SeenItem)>, StoreError>;

    /// Up to `limit` items seen before a time, in order of that time, then of the row.
    async fn seen_oldest(
        &self,
        before_ms: u64,
        limit: usize,
    ) -> Result<Vec<(u64, SeenItem)>, StoreError>;

    /// Forgets the items at these rows, in one transaction; rows that are gone change nothing.
    async fn seen_drop(&self, rows: Vec<u64>) -> Result<(), StoreError>;

    /// Up to `limit` items with their row numbers above `after`, in order of the row.
    async fn seen(&self, after: u64, limit: usize) -> Result<Vec<(u64, SeenItem)>, StoreError>;
}
