//! Opens connections of which it is known, not hoped, that a COMMIT is on the disk when it returns.
//!
//! **Invariant:** `journal_mode` and `synchronous` are read back on every connection.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::OpenError;

/// How long a connection waits for another's lock. Only the start and the shrinking of the
/// write-ahead log take locks that others meet; both last milliseconds.
const BUSY: Duration = Duration::from_secs(10);

/// Prepared statements that a connection keeps; more than the store has.
const STATEMENTS: usize = 64;

/// Memory for pages that a connection keeps, in KiB (SQLite counts KiB below zero).
const CACHE: i64 = -8192;

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
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", durability.synchronous())?;
    // Pages of the write-ahead log are moved into the database by a thread of our own.
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    // What was erased is overwritten, not only unlinked from its table.
    connection.pragma_update_and_check(None, "secure_delete", 1, |_| Ok(()))?;
    connection.pragma_update(None, "cache_size", CACHE)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    // Else what is bound to a statement has it planned anew each time: a tenth of all that a node does with an alert.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;

    check(&connection, durability)?;
    Ok(connection)
}

/// Refuses a connection of which SQLite itself does not say that it commits as wanted: a file system without shared
/// memory keeps the journal as it was, and a build of SQLite may ignore a setting; neither is an error there.
fn check(connection: &Connection, durability: Durability) -> Result<(), OpenError> {
    let journal: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    let synchronous: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    if journal != "wal" || synchronous != durability.synchronous() {
        return Err(OpenError::Settings { journal, synchronous });
    }
    Ok(())
}

/// Makes the write-ahead log as long as it will be, so that commits write over bytes that are there.
///
/// A commit that makes a file longer costs the file system a second write, of the new length, into
/// its journal: of 16 KiB and an fsync on ext4 and a busy machine, 7.5 ms at the end of a file and
/// 4.3 ms within it. In the store the gain was not to be told from the noise of that machine, so
/// nothing is reserved by default. Pages of a transaction that is rolled back stay in the file as
/// bytes that mean nothing, also to a start after a crash.
pub(super) fn reserve(connection: &Connection, wal: &Path, bytes: u64) -> Result<(), OpenError> {
    let io = |error| OpenError::Io { path: wal.to_path_buf(), error };
    // Moves what an earlier process left, so that the next commit begins at the first byte.
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
    let there = std::fs::metadata(wal).map(|metadata| metadata.len()).unwrap_or(0);
    if there >= bytes {
        return Ok(());
    }
    // With a small cache the pages go to the file at once.
    connection.pragma_update(None, "cache_size", 16)?;
    connection.execute_batch("BEGIN IMMEDIATE; CREATE TABLE reserve (bytes BLOB)")?;
    let blob = i32::try_from(bytes).unwrap_or(i32::MAX);
    connection.execute("INSERT INTO reserve VALUES (zeroblob(?1))", [blob])?;
    connection.execute_batch("ROLLBACK")?;
    connection.pragma_update(None, "cache_size", CACHE)?;
    File::open(wal).and_then(|wal| wal.sync_all()).map_err(io)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_says_itself_that_it_commits_to_the_disk() {
        let directory = tempfile::tempdir().unwrap();
        for (durability, wanted) in [(Durability::Full, 2), (Durability::Off, 0)] {
            let connection = connect(&directory.path().join("test.db"), durability).unwrap();
            let read = |name| {
                let read = |row: &rusqlite::Row<'_>| row.get::<_, rusqlite::types::Value>(0);
                connection.pragma_query_value(None, name, read).unwrap()
            };
            assert_eq!(read("synchronous"), rusqlite::types::Value::Integer(wanted));
            assert_eq!(read("journal_mode"), rusqlite::types::Value::Text("wal".into()));
        }
    }

    #[test]
    fn a_database_that_can_have_no_write_ahead_log_is_refused() {
        // SQLite keeps the journal of a database in memory and reports no error.
        let refused = connect(Path::new(":memory:"), Durability::Full);
        assert!(
            matches!(&refused, Err(OpenError::Settings { journal, .. }) if journal == "memory"),
            "{refused:?}"
        );
    }

    #[test]
    fn a_connection_that_would_acknowledge_too_early_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let connection = connect(&directory.path().join("test.db"), Durability::Off).unwrap();
        let refused = check(&connection, Durability::Full);
        assert!(matches!(refused, Err(OpenError::Settings { synchronous: 0, .. })), "{refused:?}");
    }
}
