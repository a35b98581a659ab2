//! Where a node keeps what it must not lose, and what it can make again.
//!
//! Every piece of data is a log, a view, a ledger or a blob; [`Table`] and the verbs of [`Store`]
//! say which.
//!
//! **Invariant:** what [`Store::commit`] returned `Ok` for survives a crash of the process and of
//! the machine.
//! **Invariant:** a log only grows, and only from the size that the writer knew.

mod batch;
mod effect;
mod seen;
mod store;

pub use batch::{Append, Batch, Row, Table};
pub use effect::{Effect, EffectState, Settlement};
pub use seen::SeenItem;
pub use store::{CommitError, Head, Held, Store, StoreError};
