//! How many k-grams each stored text needs for a match, by its number: read without looking the text up.
//!
//! **Invariant:** readers take no lock; a number that was never given needs nothing.

use std::sync::{
    OnceLock,
    atomic::{AtomicU16, Ordering},
};

/// Texts of one chunk.
const CHUNK: usize = 1 << 16;
/// Chunks: 268 million texts, more than a memory holds.
const CHUNKS: usize = 1 << 12;

/// The needs by number.
pub(super) struct Needs {
    chunks: Box<[OnceLock<Box<[AtomicU16]>>]>,
}

impl Default for Needs {
    fn default() -> Self {
        Self { chunks: (0..CHUNKS).map(|_| OnceLock::new()).collect() }
    }
}

impl Needs {
    /// Sets what a text needs.
    pub(super) fn set(&self, number: u32, needed: usize) {
        let Some(chunk) = self.chunks.get(number as usize / CHUNK) else { return };
        let chunk = chunk.get_or_init(|| (0..CHUNK).map(|_| AtomicU16::new(0)).collect());
        // A text has at most 8,192 k-grams.
        let needed = u16::try_from(needed).unwrap_or(u16::MAX);
        chunk[number as usize % CHUNK].store(needed, Ordering::Release);
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        let chunks = self.chunks.iter().filter_map(OnceLock::get);
        size_of_val(&*self.chunks) + chunks.map(|chunk| size_of_val(&**chunk)).sum::<usize>()
    }

    /// What a text needs.
    pub(super) fn of(&self, number: u32) -> usize {
        let chunk = self.chunks.get(number as usize / CHUNK).and_then(OnceLock::get);
        let need = chunk.map(|chunk| chunk[number as usize % CHUNK].load(Ordering::Acquire));
        usize::from(need.unwrap_or(0))
    }
}
