//! The statements of the seen table.

use rusqlite::{Connection, OptionalExtension, Row};

use super::place::{int, uint};
use crate::SeenItem;

/// Row and item, of a statement that selects row, item, seen_ms and signals.
fn item(row: &Row<'_>) -> rusqlite::Result<(u64, SeenItem)> {
    let item = SeenItem { item: row.get(1)?, seen_ms: uint(row.get(2)?), signals: row.get(3)? };
    Ok((uint(row.get(0)?), item))
}

/// Items above a row.
pub(super) fn above(
    connection: &Connection,
    after: u64,
    limit: usize,
) -> rusqlite::Result<Vec<(u64, SeenItem)>> {
    let sql = "SELECT row, item, seen_ms, signals FROM seen WHERE row > ?1 ORDER BY row LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_map((int(after), int(limit as u64)), item)?.collect()
}

/// Items by their ids.
pub(super) fn find(
    connection: &Connection,
    items: &[String],
) -> rusqlite::Result<Vec<(u64, SeenItem)>> {
    let sql = "SELECT row, item, seen_ms, signals FROM seen WHERE item = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let found =
        items.iter().filter_map(|id| statement.query_row([id], item).optional().transpose());
    found.collect()
}

/// Items by their rows.
pub(super) fn at(connection: &Connection, rows: &[u64]) -> rusqlite::Result<Vec<(u64, SeenItem)>> {
    let sql = "SELECT row, item, seen_ms, signals FROM seen WHERE row = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let found =
        rows.iter().filter_map(|row| statement.query_row([int(*row)], item).optional().transpose());
    found.collect()
}

/// The items that were seen first.
pub(super) fn oldest(
    connection: &Connection,
    before_ms: u64,
    limit: usize,
) -> rusqlite::Result<Vec<(u64, SeenItem)>> {
    let sql = "SELECT row, item, seen_ms, signals FROM seen WHERE seen_ms < ?1 \
               ORDER BY seen_ms, row LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_map((int(before_ms), int(limit as u64)), item)?.collect()
}

/// Adds or replaces an item, under a new row number.
pub(super) fn add(connection: &Connection, item: &SeenItem) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO seen (item, seen_ms, signals) VALUES (?1, ?2, ?3)";
    connection.prepare_cached(sql)?.execute((&item.item, int(item.seen_ms), &item.signals))?;
    Ok(())
}

/// Forgets an item; tells whether it was there.
pub(super) fn remove(connection: &Connection, item: &str) -> rusqlite::Result<bool> {
    let sql = "DELETE FROM seen WHERE item = ?1";
    Ok(connection.prepare_cached(sql)?.execute([item])? > 0)
}

/// Forgets the item at a row.
pub(super) fn remove_row(connection: &Connection, row: u64) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM seen WHERE row = ?1")?.execute([int(row)])?;
    Ok(())
}
