//! Says what an error of SQLite means for the store.

use rusqlite::ErrorCode;

use crate::StoreError;

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                StoreError::Corrupt(error.to_string())
            }
            Some(ErrorCode::DiskFull) => StoreError::Full,
            _ => StoreError::Failed(error.to_string()),
        }
    }
}

/// Whether a COMMIT that failed has left the disk as it was, so that writing may go on.
///
/// After any other error, above all of an fsync, nobody knows what the disk holds: the system may
/// have thrown the pages away and would report success the next time.
pub(super) fn is_harmless(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_a_broken_one() {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (x); PRAGMA max_page_count = 2").unwrap();
        let full = connection.execute("INSERT INTO t VALUES (zeroblob(100000))", []).unwrap_err();
        assert!(is_harmless(&full));
        assert_eq!(StoreError::from(full), StoreError::Full);
        let wrong = connection.execute("INSERT INTO nowhere VALUES (1)", []).unwrap_err();
        assert!(matches!(StoreError::from(wrong), StoreError::Failed(_)));
    }
}
