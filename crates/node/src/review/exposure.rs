//! How much a person has seen in a day: counted, and bounded by the policy file.
//!
//! **Invariant:** the same ticket counts once a day for the same person.

use serde::{Deserialize, Serialize};
use watchfire_store::{Row, Store, StoreError, Table};

use super::ticket::TicketId;

/// What people have seen: day and person → names of tickets.
const EXPOSURE: Table = Table::Ledger("exposure");
/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Seen(Vec<TicketId>);

/// The day of a moment, since 1970-01-01 UTC.
#[must_use]
pub fn day_of(now_ms: u64) -> u64 {
    now_ms / DAY_MS
}

/// The row that counts a look; `None` when the person has seen enough today.
pub(super) async fn look(
    store: &dyn Store,
    who: &str,
    ticket: &TicketId,
    most: u32,
    now_ms: u64,
) -> Result<Option<Row>, StoreError> {
    let key = [&day_of(now_ms).to_be_bytes()[..], who.as_bytes()].concat();
    let mut seen = match store.row(EXPOSURE, &key).await? {
        Some(value) => serde_json::from_slice(&value)
            .map_err(|error| StoreError::Corrupt(format!("a row of exposure: {error}")))?,
        None => Seen::default(),
    };
    if !seen.0.contains(ticket) {
        if seen.0.len() >= most as usize {
            return Ok(None);
        }
        seen.0.push(*ticket);
    }
    let value = serde_json::to_vec(&seen).unwrap_or_default();
    Ok(Some(Row { table: EXPOSURE, key, value: Some(value) }))
}
