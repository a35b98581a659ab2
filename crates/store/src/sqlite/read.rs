//! What readers ask of the tables, apart from the outbox.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension};
use sha2::{Digest, Sha256};
use watchfire_tlog::frontier::Frontier;
use watchfire_tlog::{Entry, Extension, Hash, SignedCheckpoint};

use super::place::{end, index, int, place, uint};
use crate::size::entry_bytes;
use crate::size::{MAX_FOLLOW_BYTES, STEP_ENTRIES};
use crate::{Held, StoreError, Table};

/// Bytes after which a list of entries ends; bounds the memory of a reader.
const MAX_READ_BYTES: usize = 8 << 20;

/// Tile hashes in one answer: 16 tiles.
const MAX_HASHES: u64 = 4096;

/// Up to `limit` entries from `from` on; at least one where there is one, else not above the limit
/// of bytes.
pub(super) fn held(
    connection: &Connection,
    log: i64,
    from: u64,
    limit: usize,
) -> Result<Vec<Held>, StoreError> {
    entries(connection, log, from, limit, MAX_READ_BYTES)
}

fn entries(
    connection: &Connection,
    log: i64,
    from: u64,
    limit: usize,
    max_bytes: usize,
) -> Result<Vec<Held>, StoreError> {
    let Ok(start) = place(log, from) else { return Ok(Vec::new()) };
    let sql = "SELECT place, leaf, record, verified_ms FROM entries \
               WHERE place >= ?1 AND place < ?2 ORDER BY place LIMIT ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query((start, end(log), int(limit as u64)))?;
    let (mut found, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let record: Option<Vec<u8>> = row.get(2)?;
        let entry = Entry::new(row.get::<_, Vec<u8>>(1)?, record.map(Bytes::from));
        bytes += entry_bytes(&entry);
        if bytes > max_bytes && !found.is_empty() {
            break;
        }
        found.push(Held { index: index(row.get(0)?), entry, verified_ms: uint(row.get(3)?) });
    }
    Ok(found)
}

/// One step of `follow`: the largest within [`STEP_ENTRIES`] that ends at a checkpoint, else the smallest.
pub(super) fn read_on(
    connection: &Connection,
    log: i64,
    from: u64,
) -> Result<Option<Extension>, StoreError> {
    let fitting = entries(connection, log, from, STEP_ENTRIES, MAX_FOLLOW_BYTES)?;
    if fitting.is_empty() {
        return Ok(None);
    }
    let reach = from + fitting.len() as u64;
    if let Some((size, checkpoint)) = checkpoint_within(connection, log, from, reach)? {
        let fitting = fitting.into_iter().take((size - from) as usize);
        let entries = fitting.map(|held| held.entry).collect();
        return Ok(Some(Extension { from, entries, checkpoint }));
    }
    drop(fitting);
    let Some((size, checkpoint)) = next_checkpoint(connection, log, from)? else {
        return Err(StoreError::Corrupt(format!("no checkpoint covers entry {from}")));
    };
    let entries = leaves_first(connection, log, from, size)?;
    Ok(Some(Extension { from, entries, checkpoint }))
}

fn checkpoint_within(
    connection: &Connection,
    log: i64,
    above: u64,
    most: u64,
) -> rusqlite::Result<Option<(u64, SignedCheckpoint)>> {
    let sql = "SELECT size, note FROM checkpoints WHERE log = ?1 AND size > ?2 AND size <= ?3 \
               ORDER BY size DESC LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_row((log, int(above), int(most)), sized).optional()
}

fn next_checkpoint(
    connection: &Connection,
    log: i64,
    above: u64,
) -> rusqlite::Result<Option<(u64, SignedCheckpoint)>> {
    let sql = "SELECT size, note FROM checkpoints WHERE log = ?1 AND size > ?2 \
               ORDER BY size LIMIT 1";
    connection.prepare_cached(sql)?.query_row((log, int(above)), sized).optional()
}

/// The newest checkpoint of a log.
pub(super) fn newest_checkpoint(
    connection: &Connection,
    log: i64,
) -> rusqlite::Result<Option<(u64, SignedCheckpoint)>> {
    let sql = "SELECT size, note FROM checkpoints WHERE log = ?1 ORDER BY size DESC LIMIT 1";
    connection.prepare_cached(sql)?.query_row([log], sized).optional()
}

fn sized(row: &rusqlite::Row<'_>) -> rusqlite::Result<(u64, SignedCheckpoint)> {
    Ok((uint(row.get(0)?), SignedCheckpoint::new(row.get::<_, String>(1)?)))
}

/// The entries `from..to` with all their leaves, and their records from the first on as far as
/// there is room.
fn leaves_first(
    connection: &Connection,
    log: i64,
    from: u64,
    to: u64,
) -> Result<Vec<Entry>, StoreError> {
    let (start, end) = (place(log, from)?, place(log, to)?);
    let sql = "SELECT leaf FROM entries WHERE place >= ?1 AND place < ?2 ORDER BY place";
    let mut statement = connection.prepare_cached(sql)?;
    let leaves = statement.query_map((start, end), |row| row.get::<_, Vec<u8>>(0))?;
    let mut entries = Vec::new();
    for leaf in leaves {
        entries.push(Entry::new(leaf?, None));
    }
    let leaves: usize = entries.iter().map(entry_bytes).sum();
    let mut room = MAX_FOLLOW_BYTES.saturating_sub(leaves);
    let sql = "SELECT record FROM entries WHERE place >= ?1 AND place < ?2 ORDER BY place";
    let mut statement = connection.prepare_cached(sql)?;
    let mut records = statement.query((start, end))?;
    for entry in &mut entries {
        let Some(row) = records.next()? else { break };
        let record: Option<Vec<u8>> = row.get(0)?;
        let bytes = record.as_ref().map_or(0, Vec::len);
        if bytes > room {
            break;
        }
        room -= bytes;
        entry.record = record.map(Bytes::from);
    }
    Ok(entries)
}

/// The right edge of a log of a size; `None` where tile hashes are missing.
pub(super) fn frontier(
    connection: &Connection,
    log: i64,
    size: u64,
) -> Result<Option<Frontier>, StoreError> {
    let mut found = Vec::new();
    for needed in Frontier::needs(size) {
        found.push(hashes(connection, log, needed.level, (needed.from, needed.to))?);
    }
    Ok(Frontier::from_tile_hashes(size, &found).ok())
}

/// Tile hashes.
pub(super) fn hashes(
    connection: &Connection,
    log: i64,
    level: u8,
    range: (u64, u64),
) -> rusqlite::Result<Vec<Hash>> {
    let (from, to) = range;
    let sql = "SELECT hash FROM hashes WHERE log = ?1 AND level = ?2 AND idx >= ?3 AND idx < ?4 \
               ORDER BY idx";
    let to = to.min(from.saturating_add(MAX_HASHES));
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_map((log, level, int(from), int(to)), |row| row.get(0).map(Hash))?.collect()
}

/// The records at these indices, until their bytes pass the limit.
pub(super) fn records(
    connection: &Connection,
    log: i64,
    indices: &[u64],
) -> rusqlite::Result<Vec<Option<Bytes>>> {
    let mut statement = connection.prepare_cached("SELECT record FROM entries WHERE place = ?1")?;
    let (mut found, mut bytes) = (Vec::new(), 0);
    for index in indices {
        let record: Option<Option<Vec<u8>>> = match place(log, *index) {
            Ok(place) => statement.query_row([place], |row| row.get(0)).optional()?,
            Err(_) => None,
        };
        bytes += record.as_ref().and_then(Option::as_ref).map_or(0, Vec::len);
        if bytes > MAX_READ_BYTES && !found.is_empty() {
            break;
        }
        found.push(record.flatten().map(Bytes::from));
    }
    Ok(found)
}

/// The value at a key.
pub(super) fn row(
    connection: &Connection,
    table: Table,
    key: &[u8],
) -> rusqlite::Result<Option<Vec<u8>>> {
    let (sql, name) = match table {
        Table::View(name) => ("SELECT value FROM views WHERE name = ?1 AND key = ?2", name),
        Table::Ledger(name) => ("SELECT value FROM ledgers WHERE name = ?1 AND key = ?2", name),
    };
    connection.prepare_cached(sql)?.query_row((name, key), |row| row.get(0)).optional()
}

/// Rows above a key.
pub(super) fn rows(
    connection: &Connection,
    table: Table,
    after: &[u8],
    limit: usize,
) -> rusqlite::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let (sql, name) = match table {
        Table::View(name) => (
            "SELECT key, value FROM views WHERE name = ?1 AND key > ?2 ORDER BY key LIMIT ?3",
            name,
        ),
        Table::Ledger(name) => (
            "SELECT key, value FROM ledgers WHERE name = ?1 AND key > ?2 ORDER BY key LIMIT ?3",
            name,
        ),
    };
    let mut statement = connection.prepare_cached(sql)?;
    let limit = int(limit as u64);
    statement.query_map((name, after, limit), |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// The bytes of a blob, checked against their name.
pub(super) fn blob(connection: &Connection, sha256: [u8; 32]) -> Result<Option<Bytes>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT bytes FROM blobs WHERE sha256 = ?1")?;
    let bytes: Option<Vec<u8>> = statement.query_row([sha256], |row| row.get(0)).optional()?;
    match bytes {
        Some(bytes) if Sha256::digest(&bytes)[..] != sha256 => {
            Err(StoreError::Corrupt(format!("blob {} is not its name", Hash(sha256))))
        }
        bytes => Ok(bytes.map(Bytes::from)),
    }
}
