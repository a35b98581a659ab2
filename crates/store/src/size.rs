//! How much of a log goes into one transaction or one step of `follow`.

use bytes::Bytes;
use watchfire_tlog::Entry;

/// Leaf and record bytes of one append: with their framing they fit twice into a frame between
/// members (4 MiB), and a record (1 MiB) always fits.
pub const MAX_APPEND_BYTES: usize = 2 << 20;

/// Entries of one append; bounds what a transaction holds besides its bytes.
pub const MAX_APPEND_ENTRIES: usize = 4096;

/// Entries that one item of `follow` has where the log was signed often enough: as many as a node signs at once. To write
/// them takes a few milliseconds, and every other commit of whoever copies the log waits for that.
pub const STEP_ENTRIES: usize = 256;

/// Leaf and record bytes of one item of `follow`. Not below [`MAX_APPEND_BYTES`], so that the leaves
/// of any append fit into one item.
pub const MAX_FOLLOW_BYTES: usize = MAX_APPEND_BYTES;

/// Entries of one item of `follow`. Not below [`MAX_APPEND_ENTRIES`], for the same reason.
pub const MAX_FOLLOW_ENTRIES: usize = MAX_APPEND_ENTRIES;

/// The bytes of an entry that travel.
pub(crate) fn entry_bytes(entry: &Entry) -> usize {
    entry.leaf.len() + entry.record.as_ref().map_or(0, Bytes::len)
}
