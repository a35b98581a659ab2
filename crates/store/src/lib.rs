//! Where a node keeps what it must not lose, and what it can make again.
//!
//! Every piece of data is a log, a view, a ledger or a blob; [`Table`] and the verbs of [`Store`]
//! say which.
//!
//! **Invariant:** what [`Store::commit`] returned `Ok` for survives a crash of the process and of
//! the machine.
//! **Invariant:** a log only grows, and only from the size that the writer knew; but for what a [`Cut`] says.

mod around;
mod batch;
pub mod conformance;
mod effect;
mod feed;
mod follow;
mod grow;
mod memory;
mod seen;
mod size;
mod sqlite;
mod store;
mod tail;

pub use around::Around;
pub use batch::{Append, Batch, Cut, Row, Table};
pub use effect::{CaseCounts, Effect, EffectState, LateOrders, OutboxCounts, Settlement};
pub use memory::MemoryStore;
pub use seen::SeenItem;
pub use size::{
    MAX_APPEND_BYTES, MAX_APPEND_ENTRIES, MAX_FOLLOW_BYTES, MAX_FOLLOW_ENTRIES, STEP_ENTRIES,
};
pub use sqlite::{Counts, Durability, MAX_BLOB_BYTES, OpenError, SqliteOptions, SqliteStore};
pub use store::{CommitError, Head, Held, Store, StoreError};
