//! Memory for the part of a bucket that outgrew its line: regions of whole cache lines that are used again.
//!
//! **Invariant:** regions handed out never overlap, and never move.
//! **Invariant:** neighbouring free regions are one region, so that growing buckets leave no dust behind.
#![allow(unsafe_code)]

use std::{
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
};

use super::pages::{HUGE_PAGE, Pages};

/// Bytes of one unit: a cache line.
pub(crate) const UNIT: usize = 64;

/// Units in one segment, which is one huge page; the largest region.
pub(crate) const SEGMENT_UNITS: u32 = (HUGE_PAGE / UNIT) as u32;

/// Segments an arena can have: 64 GiB, some 400 million hashes.
const SEGMENTS: usize = 1 << 15;

/// Free regions of this many units and more are kept in one list.
const LARGE: usize = 64;

/// Large free regions that are looked at before new memory is taken.
const LARGE_TRIES: usize = 16;

/// What readers need of an arena: where each segment starts.
pub(crate) struct Arena {
    starts: Box<[AtomicPtr<u8>]>,
}

/// What the writer needs: which units are free.
pub(crate) struct ArenaWriter {
    segments: Vec<Segment>,
    /// First unused unit of the last segment.
    fresh: u32,
    /// Free regions by their units; entries that no longer are one are dropped when met.
    free: Vec<Vec<u32>>,
}

struct Segment {
    /// Held for as long as the arena is used.
    _pages: Pages,
    /// One bit a unit, set where it is free.
    free: Box<[u64; SEGMENT_UNITS as usize / 64]>,
}

impl Arena {
    pub(crate) fn new() -> Self {
        Self { starts: (0..SEGMENTS).map(|_| AtomicPtr::new(ptr::null_mut())).collect() }
    }

    /// Where a region starts. `offset` must have been handed out by this arena's writer.
    #[inline(always)]
    pub(crate) fn region(&self, offset: u32) -> *mut u8 {
        let start = self.starts[(offset / SEGMENT_UNITS) as usize].load(Ordering::Acquire);
        // A segment that is not there gives a null region, which every user checks or never has.
        start.wrapping_add((offset % SEGMENT_UNITS) as usize * UNIT)
    }
}

impl ArenaWriter {
    pub(crate) fn new() -> Self {
        Self { segments: Vec::new(), fresh: SEGMENT_UNITS, free: vec![Vec::new(); LARGE + 1] }
    }

    /// A region of so many units, or `None` where the arena or the segment is too small for it.
    pub(crate) fn allocate(&mut self, arena: &Arena, units: u32) -> Option<u32> {
        if units > SEGMENT_UNITS {
            return None;
        }
        if let Some(offset) = self.reuse(units) {
            return Some(offset);
        }
        if SEGMENT_UNITS - self.fresh < units {
            if self.segments.len() == SEGMENTS {
                return None;
            }
            if self.fresh < SEGMENT_UNITS {
                let rest = SEGMENT_UNITS - self.fresh;
                let offset = (self.segments.len() as u32 - 1) * SEGMENT_UNITS + self.fresh;
                self.release(offset, rest);
            }
            let pages = Pages::new(HUGE_PAGE);
            arena.starts[self.segments.len()].store(pages.as_ptr(), Ordering::Release);
            self.segments
                .push(Segment { _pages: pages, free: Box::new([0; SEGMENT_UNITS as usize / 64]) });
            self.fresh = 0;
        }
        let offset = (self.segments.len() as u32 - 1) * SEGMENT_UNITS + self.fresh;
        self.fresh += units;
        Some(offset)
    }

    /// Takes a region back that no reader can reach any more.
    pub(crate) fn release(&mut self, offset: u32, units: u32) {
        let free = &mut self.segments[(offset / SEGMENT_UNITS) as usize].free[..];
        let first = offset % SEGMENT_UNITS;
        set(free, first, units, true);
        let start = first - ones_before(free, first);
        let len = ones_from(free, start);
        self.free[(len as usize).min(LARGE)].push(offset - first + start);
    }

    /// Bytes the arena has taken from the system.
    pub(crate) fn bytes(&self) -> usize {
        self.segments.len() * HUGE_PAGE
    }

    /// A free region of at least so many units, cut to size.
    fn reuse(&mut self, units: u32) -> Option<u32> {
        let smallest = (units as usize).min(LARGE);
        for list in smallest..=LARGE {
            for _ in 0..LARGE_TRIES.min(self.free[list].len()) {
                let offset = self.free[list].pop()?;
                let free = &mut self.segments[(offset / SEGMENT_UNITS) as usize].free[..];
                let first = offset % SEGMENT_UNITS;
                let len = ones_from(free, first);
                let whole = len > 0 && ones_before(free, first) == 0;
                if !whole || (len as usize).min(LARGE) != list {
                    // It was joined to a neighbour or cut since; the region it is in now has an entry.
                    continue;
                }
                if len < units {
                    self.free[list].insert(0, offset);
                    continue;
                }
                set(free, first, units, false);
                if len > units {
                    self.free[((len - units) as usize).min(LARGE)].push(offset + units);
                }
                return Some(offset);
            }
        }
        None
    }
}

fn set(bits: &mut [u64], first: u32, count: u32, free: bool) {
    for bit in first..first + count {
        let (word, mask) = ((bit / 64) as usize, 1u64 << (bit % 64));
        debug_assert_ne!(bits[word] & mask != 0, free, "unit {bit} freed or taken twice");
        if free {
            bits[word] |= mask;
        } else {
            bits[word] &= !mask;
        }
    }
}

/// How many bits from `bit` on are set.
fn ones_from(bits: &[u64], mut bit: u32) -> u32 {
    let first = bit;
    while let Some(word) = bits.get((bit / 64) as usize) {
        let ones = (word >> (bit % 64)).trailing_ones();
        bit += ones;
        if ones == 0 || !bit.is_multiple_of(64) {
            break;
        }
    }
    bit - first
}

/// How many bits right before `bit` are set.
fn ones_before(bits: &[u64], mut bit: u32) -> u32 {
    let end = bit;
    while bit > 0 {
        let last = bit - 1;
        let ones = (bits[(last / 64) as usize] << (63 - last % 64)).leading_ones();
        bit -= ones;
        if ones == 0 || !bit.is_multiple_of(64) {
            break;
        }
    }
    end - bit
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn regions_never_overlap_and_freed_ones_are_joined(
            steps in proptest::collection::vec((any::<bool>(), 1u32..200, any::<prop::sample::Index>()), 1..400),
        ) {
            let (arena, mut writer) = (Arena::new(), ArenaWriter::new());
            let mut taken: BTreeMap<u32, u32> = BTreeMap::new();
            for (take, units, place) in steps {
                if take || taken.is_empty() {
                    let offset = writer.allocate(&arena, units).unwrap();
                    let before = taken.range(..=offset).next_back();
                    prop_assert!(before.is_none_or(|(start, len)| start + len <= offset));
                    let after = taken.range(offset..).next();
                    prop_assert!(after.is_none_or(|(start, _)| offset + units <= *start));
                    prop_assert_eq!(offset / SEGMENT_UNITS, (offset + units - 1) / SEGMENT_UNITS);
                    prop_assert!(!arena.region(offset).is_null());
                    taken.insert(offset, units);
                } else {
                    let offset = *taken.keys().nth(place.index(taken.len())).unwrap();
                    writer.release(offset, taken.remove(&offset).unwrap());
                }
            }
            let segments = writer.segments.len();
            for (offset, units) in taken {
                writer.release(offset, units);
            }
            let half = SEGMENT_UNITS / 2;
            if segments > 0 && writer.fresh >= half {
                prop_assert!(writer.allocate(&arena, half).unwrap() < half);
            }
        }
    }

    #[test]
    fn a_region_larger_than_a_segment_is_refused() {
        let (arena, mut writer) = (Arena::new(), ArenaWriter::new());
        assert_eq!(writer.allocate(&arena, SEGMENT_UNITS + 1), None);
        assert_eq!(writer.allocate(&arena, SEGMENT_UNITS), Some(0));
        assert_eq!(writer.allocate(&arena, 1), Some(SEGMENT_UNITS));
    }
}
