//! Keeps a second process out of a data directory.
//!
//! **Invariant:** the lock is the operating system's and ends with the process, however that ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use super::OpenError;

/// The file that is locked; its content means nothing.
const FILE: &str = "lock";

/// A data directory that is ours until this is dropped.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    _file: File,
}

/// Takes the directory or says that another process has it.
pub(super) fn lock(directory: &Path) -> Result<DirectoryLock, OpenError> {
    let path = directory.join(FILE);
    let io = |error| OpenError::Io { path: path.clone(), error };
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(DirectoryLock { _file: file }),
        Err(TryLockError::WouldBlock) => {
            Err(OpenError::Locked { directory: directory.to_path_buf() })
        }
        Err(TryLockError::Error(error)) => Err(io(error)),
    }
}
