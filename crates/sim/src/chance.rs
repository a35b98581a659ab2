//! Chance that repeats: everything random in a run comes from its seed.
//!
//! **Invariant:** the same seed, asked the same questions, gives the same answers.

use std::{
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
};

use watchfire_node::clock::Random;

/// What SplitMix64 adds at each step.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A source of chance (SplitMix64, Steele et al. 2014). Asked by reference from many tasks.
#[derive(Debug)]
pub struct Chance(Mutex<u64>);

impl Chance {
    /// Chance from a seed, apart from that of other purposes.
    #[must_use]
    pub fn new(seed: u64, purpose: &str) -> Self {
        let mixed = purpose.bytes().fold(seed, |mixed, byte| mix(mixed ^ u64::from(byte)));
        Self(Mutex::new(mixed))
    }

    /// Any number.
    pub fn next(&self) -> u64 {
        let mut state = self.state();
        *state = state.wrapping_add(STEP);
        mix(*state)
    }

    /// A number below `end`; zero where there is none.
    pub fn below(&self, end: u64) -> u64 {
        self.next().checked_rem(end).unwrap_or(0)
    }

    /// A number within a range.
    pub fn within(&self, range: Range<u64>) -> u64 {
        range.start + self.below(range.end.saturating_sub(range.start))
    }

    /// True once in so many times; never for zero.
    pub fn one_in(&self, times: u64) -> bool {
        times > 0 && self.below(times) == 0
    }

    /// True so many times of a thousand.
    pub fn permille(&self, part: u64) -> bool {
        self.below(1_000) < part
    }

    /// One of these.
    pub fn pick<'a, T>(&self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.index(from.len()))
    }

    /// An index below a length.
    pub fn index(&self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or(0)
    }

    fn state(&self) -> MutexGuard<'_, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Random for Chance {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            for (byte, chance) in chunk.iter_mut().zip(self.next().to_le_bytes()) {
                *byte = chance;
            }
        }
    }
}

fn mix(state: u64) -> u64 {
    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
