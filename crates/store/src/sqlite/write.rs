//! What the writer does to the tables, apart from the outbox.

use rusqlite::{Connection, OptionalExtension};
use watchfire_tlog::{Hash, Origin, SignedCheckpoint};

use super::place::{end, int, place};
use super::read::newest_checkpoint;
use crate::grow::Grown;
use crate::{Append, CommitError, Row, StoreError, Table};

/// Writes down the name of a log and returns its number; a log that is known keeps its own.
pub(super) fn log(connection: &Connection, log: &Origin) -> rusqlite::Result<i64> {
    let sql = "INSERT INTO logs (name) VALUES (?1) RETURNING id";
    connection.prepare_cached(sql)?.query_row([log.as_str()], |row| row.get(0))
}

/// Writes entries, tile hashes and checkpoint of an append that was checked.
pub(super) fn append(
    connection: &Connection,
    log: i64,
    append: &Append,
    grown: &Grown,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO entries (place, leaf, record, verified_ms) VALUES (?1, ?2, ?3, ?4)";
    let mut statement = connection.prepare_cached(sql)?;
    for (index, entry) in (append.size..).zip(&append.entries) {
        let record = entry.record.as_deref();
        statement.execute((
            place(log, index)?,
            &entry.leaf[..],
            record,
            int(append.verified_ms),
        ))?;
    }
    for (index, leaf_hash) in (append.size..).zip(&append.leaf_hashes) {
        hash(connection, log, 0, index, leaf_hash)?;
    }
    for tile in &grown.tiles {
        hash(connection, log, tile.level, tile.index, &tile.hash)?;
    }
    let sql = "INSERT INTO checkpoints (log, size, note) VALUES (?1, ?2, ?3)";
    let size = int(grown.frontier.size());
    connection.prepare_cached(sql)?.execute((log, size, &append.checkpoint.text))?;
    Ok(())
}

/// Ends a log at its newest checkpoint of at most a size; answers that, and `None` where nothing is left of it.
pub(super) fn cut(
    connection: &Connection,
    log: i64,
    most: u64,
) -> Result<Option<(u64, SignedCheckpoint)>, StoreError> {
    let sql = "DELETE FROM checkpoints WHERE log = ?1 AND size > ?2";
    connection.prepare_cached(sql)?.execute((log, int(most)))?;
    let newest = newest_checkpoint(connection, log)?;
    let size = newest.as_ref().map_or(0, |(size, _)| *size);
    let sql = "DELETE FROM entries WHERE place >= ?1 AND place < ?2";
    connection.prepare_cached(sql)?.execute((place(log, size)?, end(log)))?;
    let sql = "DELETE FROM hashes WHERE log = ?1 AND idx >= (?2 >> (8 * level))";
    connection.prepare_cached(sql)?.execute((log, int(size)))?;
    if newest.is_none() {
        connection.prepare_cached("DELETE FROM logs WHERE id = ?1")?.execute([log])?;
    }
    Ok(newest)
}

fn hash(
    connection: &Connection,
    log: i64,
    level: u8,
    index: u64,
    hash: &Hash,
) -> rusqlite::Result<usize> {
    let sql = "INSERT INTO hashes (log, level, idx, hash) VALUES (?1, ?2, ?3, ?4)";
    connection.prepare_cached(sql)?.execute((log, level, int(index), hash.0))
}

/// Writes or deletes a row.
pub(super) fn row(connection: &Connection, row: &Row) -> rusqlite::Result<()> {
    let (put, delete, name) = match row.table {
        Table::View(name) => (
            "INSERT OR REPLACE INTO views (name, key, value) VALUES (?1, ?2, ?3)",
            "DELETE FROM views WHERE name = ?1 AND key = ?2",
            name,
        ),
        Table::Ledger(name) => (
            "INSERT OR REPLACE INTO ledgers (name, key, value) VALUES (?1, ?2, ?3)",
            "DELETE FROM ledgers WHERE name = ?1 AND key = ?2",
            name,
        ),
    };
    match &row.value {
        Some(value) => connection.prepare_cached(put)?.execute((name, &row.key, value))?,
        None => connection.prepare_cached(delete)?.execute((name, &row.key))?,
    };
    Ok(())
}

/// Puts a record into a hole; tells whether it was one.
pub(super) fn fill(
    connection: &Connection,
    log: &Origin,
    place: i64,
    record: &[u8],
) -> Result<bool, CommitError> {
    let sql = "UPDATE entries SET record = ?2 WHERE place = ?1 AND record IS NULL";
    let changed =
        connection.prepare_cached(sql).and_then(|mut statement| statement.execute((place, record)));
    let changed = changed.map_err(StoreError::from)?;
    if changed == 0 {
        expect_entry(connection, log, place)?;
    }
    Ok(changed > 0)
}

/// Makes a hole.
pub(super) fn erase(connection: &Connection, log: &Origin, place: i64) -> Result<(), StoreError> {
    let sql = "UPDATE entries SET record = NULL WHERE place = ?1";
    if connection.prepare_cached(sql)?.execute([place])? == 0 {
        expect_entry(connection, log, place)?;
    }
    Ok(())
}

fn expect_entry(connection: &Connection, log: &Origin, place: i64) -> Result<(), StoreError> {
    let sql = "SELECT 1 FROM entries WHERE place = ?1";
    let found = connection.prepare_cached(sql)?.query_row([place], |_| Ok(())).optional()?;
    let index = super::place::index(place);
    found.ok_or_else(|| StoreError::Failed(format!("log {log} has no entry {index}")))
}

/// Drops all views.
pub(super) fn drop_views(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM views", [])?;
    Ok(())
}

/// Keeps a blob under its name.
pub(super) fn blob(
    connection: &Connection,
    sha256: &[u8; 32],
    bytes: &[u8],
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO blobs (sha256, bytes) VALUES (?1, ?2) ON CONFLICT (sha256) DO NOTHING";
    connection.prepare_cached(sql)?.execute((sha256, bytes))?;
    Ok(())
}
