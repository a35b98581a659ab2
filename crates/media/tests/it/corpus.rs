//! Finds the published data: the part that is committed, and the whole of it where it is at hand.

use std::path::{Path, PathBuf};

/// Folders with `pdq/` and `vpdq/` in them.
#[allow(
    clippy::disallowed_methods,
    reason = "where the data is, is said by whoever runs the tests"
)]
pub(crate) fn folders() -> Vec<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let whole = std::env::var_os("WATCHFIRE_CONFORMANCE")
        .map_or_else(|| workspace.join("../shared/conformance"), PathBuf::from);
    let mut folders = vec![committed()];
    if whole.join("pdq/expected.csv").exists() {
        folders.push(whole);
    } else {
        println!("skipped: no whole conformance set at {}", whole.display());
    }
    folders
}

/// The folder that is part of the repository.
pub(crate) fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data")
}

/// Bytes of one committed file.
pub(crate) fn file(path: &str) -> Vec<u8> {
    std::fs::read(committed().join(path)).unwrap()
}
