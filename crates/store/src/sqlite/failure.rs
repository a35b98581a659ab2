//! Says what an error of SQLite means for the store.

use rusqlite::ErrorCode;

use crate::StoreError;

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                StoreError::Corrupt(error.to_string())
            }
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
