//! Checks that a batch is whole and that an append fits the log it grows, before anything is written.
//!
//! **Invariant:** a log's newest checkpoint always covers exactly the tile hashes beside it.

use watchfire_tlog::frontier::Frontier;
use watchfire_tlog::hash::TileHash;
use watchfire_tlog::{Checkpoint, Hash, MAX_LEAF_BYTES, Origin, SignedCheckpoint};

use crate::size::{MAX_APPEND_BYTES, MAX_APPEND_ENTRIES, entry_bytes};
use crate::{Append, Batch, CommitError};

/// Checks what can be known of a batch without the store.
pub(crate) fn check(batch: &Batch) -> Result<(), CommitError> {
    if batch.rows.iter().any(|row| row.key.is_empty()) {
        return Err(malformed("a row has an empty key"));
    }
    let Some(append) = &batch.append else { return Ok(()) };
    if batch.cut.is_some() {
        return Err(malformed("a batch cuts and appends"));
    }
    if append.entries.is_empty() || append.entries.len() > MAX_APPEND_ENTRIES {
        return Err(malformed("an append has no entries or too many"));
    }
    if append.entries.iter().map(entry_bytes).sum::<usize>() > MAX_APPEND_BYTES {
        return Err(malformed("an append has too many bytes"));
    }
    if append.entries.iter().any(|entry| entry.leaf.len() > MAX_LEAF_BYTES) {
        return Err(malformed("a leaf is too long"));
    }
    // Hashed again here because a wrong hash would be found only at the next start, when it is too
    // late: half a microsecond a leaf, outside the writer's thread.
    if !append.entries.iter().map(|entry| entry.leaf_hash()).eq(append.leaf_hashes.iter().copied())
    {
        return Err(malformed("the leaf hashes are not those of the leaves"));
    }
    Ok(())
}

/// What a log becomes by an append.
#[derive(Debug)]
pub(crate) struct Grown {
    /// The new right edge.
    pub(crate) frontier: Frontier,
    /// Tile hashes that the append completes, of level 1 and above.
    pub(crate) tiles: Vec<TileHash>,
}

/// Compares and grows. `frontier` is the log's right edge in the store.
pub(crate) fn grow(frontier: &Frontier, append: &Append) -> Result<Grown, CommitError> {
    if append.size != frontier.size() {
        return Err(CommitError::Conflict {
            log: append.log.clone(),
            expected: append.size,
            actual: frontier.size(),
        });
    }
    let mut grown = Grown { frontier: frontier.clone(), tiles: Vec::new() };
    for hash in &append.leaf_hashes {
        grown.frontier.append_tiles(*hash, &mut grown.tiles);
    }
    let (size, root) = (grown.frontier.size(), grown.frontier.root());
    if !states(&append.checkpoint, &append.log, size, root) {
        return Err(malformed("the checkpoint is not that of the log with these entries"));
    }
    Ok(grown)
}

/// Whether a checkpoint states this size and root of this log. Who signed it, its bringer checked.
pub(crate) fn states(signed: &SignedCheckpoint, log: &Origin, size: u64, root: Hash) -> bool {
    let stated = Checkpoint { origin: log.clone(), size, root };
    signed.text.starts_with(&stated.to_string())
}

fn malformed(what: &str) -> CommitError {
    CommitError::Malformed(what.to_owned())
}
