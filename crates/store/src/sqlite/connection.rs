//! Opens connections of which it is known, not hoped, that a COMMIT is on the disk when it returns.
//!
//! **Invariant:** `journal_mode` and `synchronous` are read back on every connection.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use super::OpenError;

/// How long a connection waits for another's lock. Only the start and the shrinking of the
/// write-ahead log take locks that others meet; both last milliseconds.
const BUSY: Duration = Duration::from_secs(10);

/// Prepared statements that a connection keeps; more than the store has.
const STATEMENTS: usize = 64;

/// When a commit returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// When it is on the disk.
    #[default]
    Full,
    /// At once: a crash of the machine loses what was acknowledged. For stores that can be thrown
    /// away, and to show that the tests of durability can fail.
    Off,
}

impl Durability {
    /// The value of `PRAGMA synchronous`.
    fn synchronous(self) -> i64 {
        match self {
            Durability::Full => 2,
            Durability::Off => 0,
        }
    }
}

/// Opens a connection to the database file.
pub(super) fn connect(file: &Path, durability: Durability) -> Result<Connection, OpenError> {
    let connection = Connection::open(file)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    let wanted = durability.synchronous();
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", wanted)?;
    // Pages of the write-ahead log are moved into the database by a thread of our own.
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    // What was erased is overwritten, not only unlinked from its table.
    connection.pragma_update_and_check(None, "secure_delete", 1, |_| Ok(()))?;
    connection.pragma_update(None, "cache_size", -8192)?;
    connection.pragma_update(None, "temp_store", "memory")?;

    let journal: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    let synchronous: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    if journal != "wal" || synchronous != wanted {
        return Err(OpenError::Settings { journal, synchronous });
    }
    Ok(connection)
}
