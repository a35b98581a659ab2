//! Keeps what was freed out of use until no reader can still be looking at it.
//!
//! **Invariant:** a thing is handed back only when every search that ran when it was retired has ended.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// How many things are retired together: each batch costs one deferred call, a few hundred nanoseconds.
const BATCH: usize = 64;

/// Something that may be used again later.
pub(crate) enum Freed {
    /// A slot whose hash nobody has any more.
    Slot(u32),
    /// An element that left a list of ids.
    Element(u32),
    /// A region of the arena: first unit and number of units.
    Region(u32, u32),
}

/// The writer's list of things that wait for readers to end.
#[derive(Default)]
pub(crate) struct Reclaim {
    open: Vec<Freed>,
    waiting: VecDeque<(u64, Vec<Freed>)>,
    batches: u64,
    passed: Arc<AtomicU64>,
}

impl Reclaim {
    /// Takes something that no new search can reach.
    pub(crate) fn retire(&mut self, freed: Freed) {
        self.open.push(freed);
    }

    /// Hands back one batch that no reader can reach any more, if there is one.
    pub(crate) fn collect(&mut self) -> Option<Vec<Freed>> {
        if self.open.len() >= BATCH {
            self.batches += 1;
            let (batch, passed) = (self.batches, Arc::clone(&self.passed));
            let guard = crossbeam_epoch::pin();
            // The call runs when every guard that is held now is gone. Batches may report out of
            // order, but a later one that reports proves the earlier ones, hence the maximum.
            guard.defer(move || passed.fetch_max(batch, Ordering::Release));
            guard.flush();
            self.waiting.push_back((batch, std::mem::take(&mut self.open)));
        }
        let (batch, _) = self.waiting.front()?;
        if *batch > self.passed.load(Ordering::Acquire) {
            return None;
        }
        self.waiting.pop_front().map(|(_, freed)| freed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_handed_back_while_a_reader_that_may_see_it_runs() {
        let mut reclaim = Reclaim::default();
        let reader = crossbeam_epoch::pin();
        for slot in 0..BATCH as u32 {
            reclaim.retire(Freed::Slot(slot));
        }
        for _ in 0..1_000 {
            assert!(reclaim.collect().is_none());
            crossbeam_epoch::pin().flush();
        }
        drop(reader);
        let back = std::iter::repeat_with(|| {
            crossbeam_epoch::pin().flush();
            reclaim.collect()
        });
        let batch = back.take(1_000_000).flatten().next();
        assert_eq!(batch.map(|batch| batch.len()), Some(BATCH));
    }
}
