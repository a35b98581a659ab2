//! Brings the tables of an older version to the newest, step by step, and refuses those of a newer.
//!
//! **Invariant:** a step that was released is never edited; a change is a further step.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use thiserror::Error;

/// The steps, in order; step `n` (from 1) leads to version `n`.
const STEPS: &[&str] = &[
    include_str!("schema/001_logs_rows_outbox_seen.sql"),
    include_str!("schema/002_seen_by_time.sql"),
    include_str!("schema/003_outbox_judged_by_item.sql"),
];

/// Why the tables cannot be used.
#[derive(Debug, Error)]
pub(super) enum MigrateError {
    #[error("its tables have version {found}, this program knows {known} and earlier")]
    Newer { found: usize, known: usize },
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// Runs the steps that are missing, each in a transaction with its version, so that a crash leaves
/// the tables at one version or the next.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), MigrateError> {
    migrate_to(connection, STEPS)
}

fn migrate_to(connection: &mut Connection, steps: &[&str]) -> Result<(), MigrateError> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS versions (version INTEGER PRIMARY KEY) STRICT",
    )?;
    let found = version(connection)?;
    if found > steps.len() {
        return Err(MigrateError::Newer { found, known: steps.len() });
    }
    for (step, sql) in steps.iter().enumerate().skip(found) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(sql)?;
        transaction.execute("INSERT INTO versions (version) VALUES (?1)", [step as i64 + 1])?;
        transaction.commit()?;
    }
    Ok(())
}

fn version(connection: &Connection) -> rusqlite::Result<usize> {
    let newest = "SELECT version FROM versions ORDER BY version DESC LIMIT 1";
    let version: Option<i64> = connection.query_row(newest, [], |row| row.get(0)).optional()?;
    Ok(version.and_then(|version| usize::try_from(version).ok()).unwrap_or(0))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    const ONE: &str = "CREATE TABLE one (a INTEGER) STRICT";
    const TWO: &str = "ALTER TABLE one ADD COLUMN b INTEGER";

    #[test]
    fn missing_steps_run_once_and_in_order() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate_to(&mut connection, &[ONE]).unwrap();
        migrate_to(&mut connection, &[ONE, TWO]).unwrap();
        migrate_to(&mut connection, &[ONE, TWO]).unwrap();
        connection.execute("INSERT INTO one (a, b) VALUES (1, 2)", []).unwrap();
        assert_eq!(version(&connection).unwrap(), 2);
    }

    #[test]
    fn tables_of_a_newer_program_are_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate_to(&mut connection, &[ONE, TWO]).unwrap();
        let error = migrate_to(&mut connection, &[ONE]).unwrap_err();
        assert!(matches!(error, MigrateError::Newer { found: 2, known: 1 }));
    }

    #[test]
    fn a_step_that_fails_leaves_the_version_before_it() {
        let mut connection = Connection::open_in_memory().unwrap();
        let broken = "CREATE TABLE two (a INTEGER) STRICT; ALTER TABLE nowhere ADD COLUMN b";
        assert!(migrate_to(&mut connection, &[ONE, broken]).is_err());
        assert_eq!(version(&connection).unwrap(), 1);
        assert!(connection.prepare("SELECT a FROM two").is_err());
    }
}
