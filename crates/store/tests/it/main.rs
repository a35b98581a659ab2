//! The stores against the contract, against killed processes and against disks that forget.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod alike;
mod audit;
mod disk;
mod kill;
mod power;
mod sqlite;
mod stores;
mod writing;

use std::path::Path;

use watchfire_store::{OpenError, SqliteOptions, SqliteStore};

/// Opens a store that this process has just closed. Other tests start children, and one that has
/// been forked and has not yet become its program holds a copy of every lock for a moment.
fn reopen(directory: &Path, options: SqliteOptions) -> Result<SqliteStore, OpenError> {
    const ATTEMPTS: usize = 100_000;
    for _ in 0..ATTEMPTS {
        match SqliteStore::open(directory, options) {
            Err(OpenError::Locked { .. }) => std::thread::yield_now(),
            other => return other,
        }
    }
    SqliteStore::open(directory, options)
}
