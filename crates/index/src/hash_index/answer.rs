//! Collects what a search finds, each hash once, up to the caller's limit.
//!
//! **Invariant:** an answer that is not `truncated` holds every id whose hash is within the distance.

use std::ops::ControlFlow;

use super::{
    permutation::Words,
    slots::{Slots, distance},
};

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// Ids with the distance of their hash in bits, nearest first; an id is there once for each of its
    /// hashes that is near.
    pub hits: Vec<(u64, u32)>,
    /// Whether there were more than the limit; those given are then not always the nearest.
    pub truncated: bool,
}

/// Distinct hashes found so far.
pub(crate) struct Answer<'a> {
    slots: &'a Slots,
    query: Words,
    max_distance: u32,
    limit: usize,
    found: Vec<(u32, u32)>,
}

impl<'a> Answer<'a> {
    pub(crate) fn new(slots: &'a Slots, query: Words, max_distance: u32, limit: usize) -> Self {
        Self { slots, query, max_distance, limit, found: Vec::new() }
    }

    /// Takes a slot that looked near. A slot that moves to a block meanwhile may be offered twice.
    ///
    /// The words are read again after the id: only then are they those the id was stored with,
    /// should the slot have been free when it was first looked at.
    #[inline]
    pub(crate) fn offer(&mut self, slot: u32) -> ControlFlow<()> {
        if !self.slots.ids.is_live(slot) {
            return ControlFlow::Continue(());
        }
        let Some(words) = self.slots.words(slot) else { return ControlFlow::Continue(()) };
        let bits = distance(&words, &self.query);
        if bits <= self.max_distance {
            self.found.push((bits, slot));
        }
        if self.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Whether nothing more is wanted: one more than the limit is enough to know that there are more.
    pub(crate) fn is_full(&mut self) -> bool {
        if self.found.len() > self.limit {
            self.found.sort_unstable();
            self.found.dedup();
        }
        self.found.len() > self.limit
    }

    /// Forgets what was found, for a search that starts again another way.
    pub(crate) fn clear(&mut self) {
        self.found.clear();
    }

    /// The ids of what was found, nearest first.
    pub(crate) fn finish(mut self) -> Found {
        self.found.sort_unstable();
        self.found.dedup();
        let mut answer = Found::default();
        for &(bits, slot) in &self.found {
            self.slots.ids.for_each(slot, |id| {
                answer.truncated = answer.hits.len() == self.limit;
                if !answer.truncated {
                    answer.hits.push((id, bits));
                }
                !answer.truncated
            });
            if answer.truncated {
                break;
            }
        }
        answer
    }
}
