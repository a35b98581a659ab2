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
    kernel::Level,
    permutation::Words,
    segments::{Segments, Zeroed},
};

/// One distinct hash; half a cache line, never across two.
#[repr(align(32))]
#[derive(Default)]
struct Slot([AtomicU64; 4]);

// SAFETY: four atomics, for which zero is a valid value; alignment 32; nothing to drop.
unsafe impl Zeroed for Slot {}

/// All distinct hashes with the ids that have them.
pub(crate) struct Slots {
    hashes: Segments<Slot>,
    used: AtomicU32,
    pub(crate) ids: IdLists,
}

impl Slots {
    pub(crate) fn new() -> Self {
        Self { hashes: Segments::new(), used: AtomicU32::new(0), ids: IdLists::new() }
    }

    /// How many slots were ever used; live ones are among the first so many.
    pub(crate) fn used(&self) -> u32 {
        self.used.load(Ordering::Acquire)
    }

    /// The hash in a slot, as far as it was ever reserved.
    #[inline(always)]
    pub(crate) fn words(&self, slot: u32) -> Option<Words> {
        self.hashes.at(slot).map(Slot::load)
    }

    /// Where a slot's hash lies, to fetch it ahead of time.
    #[inline(always)]
    pub(crate) fn address(&self, slot: u32) -> *const u8 {
        self.hashes.at(slot).map_or(std::ptr::null(), |slot| std::ptr::from_ref(slot).cast())
    }

    /// Writes a hash into a free slot, or into a new one when `slot` is `None`.
    pub(crate) fn put(&self, slot: Option<u32>, words: Words) -> u32 {
        let used = self.used();
        let slot = slot.unwrap_or(used);
        for (to, word) in self.hashes.reserve(slot).0.iter().zip(words) {
            to.store(word, Ordering::Relaxed);
        }
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
        found: impl FnMut(u32) -> ControlFlow<()>,
    ) {
        match level {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an index only gets a level that this machine has, and AVX2 comes with POPCNT.
            Level::Avx2 => unsafe { self.scan_popcnt(query, max_distance, found) },
            _ => self.scan_with(query, max_distance, found),
        }
    }

    /// # Safety
    /// The machine has POPCNT, which counts a hash's bits faster than AVX2 can.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "popcnt")]
    unsafe fn scan_popcnt(
        &self,
        query: &Words,
        max_distance: u32,
        found: impl FnMut(u32) -> ControlFlow<()>,
    ) {
        self.scan_with(query, max_distance, found);
    }

    #[inline(always)]
    fn scan_with(
        &self,
        query: &Words,
        max_distance: u32,
        mut found: impl FnMut(u32) -> ControlFlow<()>,
    ) {
        let end = self.used();
        let mut slot = 0;
        while slot < end {
            let run = self.hashes.run(slot, end);
            if run.is_empty() {
                return;
            }
            for hash in run {
                if distance(&hash.load(), query) <= max_distance && found(slot).is_break() {
                    return;
                }
                slot += 1;
            }
        }
    }
}

impl Slot {
    #[inline(always)]
    fn load(&self) -> Words {
        std::array::from_fn(|word| self.0[word].load(Ordering::Relaxed))
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
