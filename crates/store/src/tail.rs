//! Keeps the newest entries of one log in memory, so that followers need not ask the disk for what
//! was just committed.
//!
//! **Invariant:** the entries are those of the store, without gaps, up to the log's last index.

use std::collections::VecDeque;

use bytes::Bytes;
use watchfire_tlog::{Entry, Extension, SignedCheckpoint};

use crate::size::{MAX_FOLLOW_ENTRIES, STEP_ENTRIES, entry_bytes};
use crate::{Append, Held};

/// Leaf and record bytes that a tail keeps of one log: some hundred ordinary alerts, and with a
/// hundred logs still only 100 MiB. All of it fits into one item of `follow`.
pub(crate) const TAIL_BYTES: usize = 1 << 20;

/// The newest entries of one log and its newest checkpoint.
#[derive(Debug)]
pub(crate) struct Tail {
    from: u64,
    entries: VecDeque<(Entry, u64)>,
    bytes: usize,
    checkpoint: SignedCheckpoint,
}

impl Tail {
    /// A tail that knows the log's size and newest checkpoint, and no entries yet.
    pub(crate) fn new(size: u64, checkpoint: SignedCheckpoint) -> Self {
        Tail { from: size, entries: VecDeque::new(), bytes: 0, checkpoint }
    }

    /// The log's size.
    pub(crate) fn size(&self) -> u64 {
        self.from + self.entries.len() as u64
    }

    /// The log's newest checkpoint.
    pub(crate) fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// Takes an append that was committed.
    pub(crate) fn push(&mut self, append: Append) {
        assert_eq!(append.size, self.size(), "appends are published in the order of commits");
        for entry in append.entries {
            self.bytes += entry_bytes(&entry);
            self.entries.push_back((entry, append.verified_ms));
        }
        self.checkpoint = append.checkpoint;
        self.shrink();
    }

    /// Takes a record that was filled in or, without one, erased.
    pub(crate) fn set_record(&mut self, index: u64, record: Option<Bytes>) {
        let Some(at) = self.position(index) else { return };
        let Some((entry, _)) = self.entries.get_mut(at) else { return };
        self.bytes -= entry_bytes(entry);
        entry.record = record;
        self.bytes += entry_bytes(entry);
        self.shrink();
    }

    /// Everything from `from` on, if the tail reaches back that far, there is anything, and it is no more than one
    /// step: only of the newest checkpoint the tail knows what it covers.
    pub(crate) fn extension(&self, from: u64) -> Option<Extension> {
        let at = self.position(from)?;
        if self.entries.len() - at > STEP_ENTRIES {
            return None;
        }
        let entries: Vec<Entry> =
            self.entries.range(at..).map(|(entry, _)| entry.clone()).collect();
        if entries.is_empty() {
            return None;
        }
        Some(Extension { from, entries, checkpoint: self.checkpoint.clone() })
    }

    /// Up to `limit` entries from `from` on, if the tail reaches back that far.
    pub(crate) fn held(&self, from: u64, limit: usize) -> Option<Vec<Held>> {
        let at = self.position(from)?;
        let held = self.entries.range(at..).take(limit).zip(from..);
        Some(
            held.map(|((entry, verified_ms), index)| Held {
                index,
                entry: entry.clone(),
                verified_ms: *verified_ms,
            })
            .collect(),
        )
    }

    fn position(&self, index: u64) -> Option<usize> {
        let at = usize::try_from(index.checked_sub(self.from)?).ok()?;
        (at <= self.entries.len()).then_some(at)
    }

    fn shrink(&mut self) {
        while self.bytes > TAIL_BYTES || self.entries.len() > MAX_FOLLOW_ENTRIES {
            let Some((entry, _)) = self.entries.pop_front() else { return };
            self.bytes -= entry_bytes(&entry);
            self.from += 1;
        }
    }
}
