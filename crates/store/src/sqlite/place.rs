//! Numbers as SQLite keeps them: signed, and the log's number and the index of an entry in one.

use crate::StoreError;

/// Bits of an index in a place; a log of a million entries a second would last 12 days, one of a
/// hundred a second 348 years.
const INDEX_BITS: u32 = 40;

/// Logs and entries a log that a place has room for.
const MAX_LOG: i64 = (1 << (63 - INDEX_BITS)) - 1;
const MAX_INDEX: u64 = (1 << INDEX_BITS) - 1;

/// Where an entry lies in the table of entries.
pub(super) fn place(log: i64, index: u64) -> Result<i64, StoreError> {
    if !(0..=MAX_LOG).contains(&log) || index > MAX_INDEX {
        return Err(StoreError::Failed(format!("no room for entry {index} of log number {log}")));
    }
    Ok(log << INDEX_BITS | int(index))
}

/// The first place that belongs to later logs.
pub(super) fn end(log: i64) -> i64 {
    (log + 1).checked_shl(INDEX_BITS).unwrap_or(i64::MAX)
}

/// The index of a place.
pub(super) fn index(place: i64) -> u64 {
    uint(place & int(MAX_INDEX))
}

/// A number to keep; one that SQLite has no room for becomes the largest.
pub(super) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A number that was kept; the store keeps none below zero.
pub(super) fn uint(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn places_of_a_log_lie_side_by_side_and_before_the_next_log() {
        assert_eq!(place(1, 1).unwrap(), place(1, 0).unwrap() + 1);
        assert_eq!(index(place(3, 77).unwrap()), 77);
        assert_eq!(place(1, MAX_INDEX).unwrap() + 1, end(1));
        assert_eq!(place(2, 0).unwrap(), end(1));
        assert!(place(1, MAX_INDEX + 1).is_err());
        assert!(place(MAX_LOG + 1, 0).is_err());
    }

    #[test]
    fn a_number_without_room_becomes_the_largest() {
        assert_eq!(uint(int(u64::MAX)), i64::MAX as u64);
        assert_eq!(uint(int(5)), 5);
    }
}
