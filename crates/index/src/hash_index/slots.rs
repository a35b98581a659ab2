//! The distinct hashes themselves, and the scan that compares a query with all of them.
//!
//! **Invariant:** a slot's words change only while no id is in it and no reader can look at it.
#![allow(unsafe_code)]

use std::{
    ops::ControlFlow,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use super::{
    ids::IdLists,
    kernel::{Level, near_halves, prefetch},
    permutation::Words,
    segments::{Segments, Zeroed},
};

/// Halves that a scan compares before it asks whether it may stop.
const BLOCK: u32 = 4096;

/// Bits of half a hash.
pub(crate) const HALF_BITS: usize = 128;

/// Half of a distinct hash. The halves lie in two arrays: most hashes that are looked at in vain, and
/// nearly all in a scan, are ruled out by their first half, so that the second is not read.
#[repr(align(16))]
#[derive(Default)]
pub(crate) struct Half([AtomicU64; 2]);

// SAFETY: two atomics, for which zero is a valid value; alignment 16; nothing to drop.
unsafe impl Zeroed for Half {}

/// All distinct hashes with the ids that have them.
pub(crate) struct Slots {
    first: Segments<Half>,
    second: Segments<Half>,
    used: AtomicU32,
    pub(crate) ids: IdLists,
}

impl Slots {
    pub(crate) fn new() -> Self {
        Self {
            first: Segments::new(),
            second: Segments::new(),
            used: AtomicU32::new(0),
            ids: IdLists::new(),
        }
    }

    /// How many slots were ever used; live ones are among the first so many.
    pub(crate) fn used(&self) -> u32 {
        self.used.load(Ordering::Acquire)
    }

    /// The hash in a slot, as far as it was ever reserved.
    #[inline(always)]
    pub(crate) fn words(&self, slot: u32) -> Option<Words> {
        let (first, second) = (self.first.at(slot)?.load(), self.second.at(slot)?.load());
        Some([first[0], first[1], second[0], second[1]])
    }

    /// The words of a slot if its first half does not rule it out.
    #[inline(always)]
    pub(crate) fn words_within(&self, slot: u32, query: &Words, max: u32) -> Option<Words> {
        let first = self.first.at(slot)?;
        if first.bits([query[0], query[1]]) > max {
            return None;
        }
        self.words(slot)
    }

    /// Where a slot's first half lies, to fetch it ahead of time.
    #[inline(always)]
    pub(crate) fn address(&self, slot: u32) -> *const u8 {
        self.first.at(slot).map_or(std::ptr::null(), |half| std::ptr::from_ref(half).cast())
    }

    /// Asks for all that an answer needs of a slot.
    #[inline]
    pub(crate) fn fetch(&self, slot: u32) {
        prefetch(self.address(slot));
        prefetch(
            self.second.at(slot).map_or(std::ptr::null(), |half| std::ptr::from_ref(half).cast()),
        );
        self.ids.fetch(slot);
    }

    /// Writes a hash into a free slot, or into a new one when `slot` is `None`.
    pub(crate) fn put(&self, slot: Option<u32>, words: Words) -> u32 {
        let used = self.used();
        let slot = slot.unwrap_or(used);
        self.first.reserve(slot).store([words[0], words[1]]);
        self.second.reserve(slot).store([words[2], words[3]]);
        if slot == used {
            assert!(used < u32::MAX - 1, "four billion distinct hashes in one index");
            self.used.store(used + 1, Ordering::Release);
        }
        slot
    }

    /// Offers every slot within `max_distance` bits of the query to `found`, until it says stop.
    pub(crate) fn scan(
        &self,
        level: Level,
        query: &Words,
        max_distance: u32,
        mut found: impl FnMut(u32) -> ControlFlow<()>,
    ) {
        let (first, second) = ([query[0], query[1]], [query[2], query[3]]);
        let (end, mut slot, mut near) = (self.used(), 0, Vec::new());
        while slot < end {
            let run = self.first.run(slot, end.min(slot.saturating_add(BLOCK)));
            if run.is_empty() {
                return;
            }
            near.clear();
            near_halves(level, run, first, max_distance, &mut near);
            for place in near.iter().map(|place| slot + place) {
                let half = |halves: &Segments<Half>, of| halves.at(place).map(|half| half.bits(of));
                let bits = half(&self.first, first).zip(half(&self.second, second));
                if bits.is_some_and(|(a, b)| a + b <= max_distance) && found(place).is_break() {
                    return;
                }
            }
            slot += run.len() as u32;
        }
    }
}

impl Half {
    #[cfg(test)]
    pub(super) fn new(words: [u64; 2]) -> Self {
        Self(words.map(AtomicU64::new))
    }

    #[inline(always)]
    fn load(&self) -> [u64; 2] {
        [self.0[0].load(Ordering::Relaxed), self.0[1].load(Ordering::Relaxed)]
    }

    pub(super) fn store(&self, words: [u64; 2]) {
        self.0[0].store(words[0], Ordering::Relaxed);
        self.0[1].store(words[1], Ordering::Relaxed);
    }

    /// The number of bits in which it differs from the query's half.
    #[inline(always)]
    pub(super) fn bits(&self, query: [u64; 2]) -> u32 {
        let words = self.load();
        (words[0] ^ query[0]).count_ones() + (words[1] ^ query[1]).count_ones()
    }
}

/// The number of bits in which two hashes differ.
#[inline(always)]
pub(crate) fn distance(a: &Words, b: &Words) -> u32 {
    (a[0] ^ b[0]).count_ones()
        + (a[1] ^ b[1]).count_ones()
        + (a[2] ^ b[2]).count_ones()
        + (a[3] ^ b[3]).count_ones()
}
