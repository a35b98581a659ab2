//! Takes what a source says into what we have verified, or says why not, with evidence where its author forked.

use crate::checkpoint::SignedCheckpoint;
use crate::entry::Entry;

/// More of a log, as a source hands it out: entries and the checkpoint that covers them. Nothing in it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// The index of the first entry.
    pub from: u64,
    /// The entries `from .. from + entries.len()`.
    pub entries: Vec<Entry>,
    /// A checkpoint whose size is exactly `from + entries.len()`.
    pub checkpoint: SignedCheckpoint,
}
