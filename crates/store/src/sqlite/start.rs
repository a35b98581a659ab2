//! Finds the logs in a database that is opened, and refuses one whose logs are not what was signed.
//!
//! **Invariant:** a store is not opened on a log whose tile hashes do not make its newest checkpoint.

use std::collections::HashMap;

use rusqlite::Connection;
use watchfire_tlog::Origin;
use watchfire_tlog::frontier::Frontier;

use super::place::{end, place};
use super::read;
use super::writer::Edge;
use crate::grow::states;
use crate::{Head, StoreError};

/// Newest leaves that are hashed again at start. All of them is the work of an audit.
const LEAVES: u64 = 64;

/// What was found.
pub(super) struct Found {
    /// For readers: number and head of each log.
    pub(super) heads: Vec<(i64, Head)>,
    /// For the writer.
    pub(super) edges: HashMap<Origin, Edge>,
}

/// Reads and checks the logs.
pub(super) fn start(connection: &Connection) -> Result<Found, StoreError> {
    let mut found = Found { heads: Vec::new(), edges: HashMap::new() };
    for (id, name) in logs(connection)? {
        let log = Origin::new(name.as_str())
            .map_err(|error| StoreError::Corrupt(format!("log name {name:?}: {error}")))?;
        let (head, frontier) = check(connection, id, log.clone())?;
        found.heads.push((id, head));
        found.edges.insert(log, Edge { id, frontier });
    }
    Ok(found)
}

fn logs(connection: &Connection) -> rusqlite::Result<Vec<(i64, String)>> {
    let mut statement = connection.prepare("SELECT id, name FROM logs ORDER BY name")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

fn check(connection: &Connection, id: i64, log: Origin) -> Result<(Head, Frontier), StoreError> {
    let corrupt = |what: &str| StoreError::Corrupt(format!("log {log}: {what}"));
    let Some((size, checkpoint)) = read::newest_checkpoint(connection, id)? else {
        return Err(corrupt("it has no checkpoint"));
    };
    let frontier =
        read::frontier(connection, id, size)?.ok_or_else(|| corrupt("tile hashes are missing"))?;
    if !states(&checkpoint, &log, size, frontier.root()) {
        return Err(corrupt("its tile hashes do not make its checkpoint"));
    }
    if !read::hashes(connection, id, 0, (size, size + 1))?.is_empty()
        || last_place(connection, id)? != Some(place(id, size.saturating_sub(1))?)
    {
        return Err(corrupt("it does not end where its checkpoint says"));
    }
    let from = size.saturating_sub(LEAVES);
    let leaves = read::held(connection, id, from, LEAVES as usize)?;
    let hashes = read::hashes(connection, id, 0, (from, size))?;
    if leaves.is_empty()
        || leaves.iter().zip(&hashes).any(|(held, hash)| held.entry.leaf_hash() != *hash)
    {
        return Err(corrupt("its newest leaves are not those of its tile hashes"));
    }
    Ok((Head { log: log.clone(), size, checkpoint }, frontier))
}

fn last_place(connection: &Connection, id: i64) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT max(place) FROM entries WHERE place < ?1";
    connection.query_row(sql, [end(id)], |row| row.get(0))
}
