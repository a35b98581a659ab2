//! Measures what one thread of this machine can do at most: what a search is to be compared with.

use std::hint::black_box;

use watchfire_index::HashIndex;

use super::{SEED, data::Random, times::CoreTime};

/// Words of the memory that is read: 512 MiB, more than any cache.
const WORDS: usize = 64 << 20;

/// Words of a cache line.
const LINE: usize = 8;

/// Lines that are read in any order.
const LINES: usize = 1 << 21;

/// Hashes that fit into the cache of a core.
const HASHES: u64 = 16_000;

/// Rounds through those.
const ROUNDS: u64 = 20_000;

/// What one thread can do.
pub(super) struct Limits {
    pub(super) memory_gb_per_second: f64,
    pub(super) random_line_ns: f64,
    pub(super) compared_per_second_in_cache: f64,
}

/// Measures all of them.
pub(super) fn measured() -> Limits {
    // What is zero would be one page of the system's, again and again.
    let memory: Vec<u64> = (0..WORDS as u64).collect();
    let mut in_order = CoreTime::default();
    black_box(in_order.add(|| memory.iter().fold(0u64, |sum, word| sum ^ word)));
    let mut random = Random(7);
    let places: Vec<u32> =
        (0..LINES).map(|_| random.below((WORDS / LINE) as u64) as u32 * LINE as u32).collect();
    let mut anywhere = CoreTime::default();
    black_box(anywhere.add(|| places.iter().fold(0u64, |sum, at| sum ^ memory[*at as usize])));
    let index = HashIndex::new(SEED);
    (0..HASHES).for_each(|id| index.insert(id, &random.hash()));
    let query = random.hash();
    let mut in_cache = CoreTime::default();
    in_cache.add(|| {
        for _ in 0..ROUNDS {
            black_box(index.search(&query, 31, 100));
        }
    });
    Limits {
        memory_gb_per_second: (WORDS * 8) as f64 / in_order.seconds() / 1e9,
        random_line_ns: anywhere.seconds() * 1e9 / LINES as f64,
        compared_per_second_in_cache: (HASHES * ROUNDS) as f64 / in_cache.seconds(),
    }
}
