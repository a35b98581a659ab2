//! Finds every stored 256-bit hash within a Hamming distance of a query: pictures, video frames, descriptors.
//!
//! **Invariant:** a search that runs alone finds exactly what a comparison with every hash would find.
//! **Invariant:** readers take no lock; one writer at a time changes what they see.

mod answer;
mod ids;
mod pages;
mod permutation;
mod reclaim;
mod segments;
mod slots;

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use watchfire_signal::pdq::Pdq;

pub use self::answer::Found;
use self::{
    answer::Answer,
    ids::{IdWriter, Taken},
    permutation::{Permutation, Words},
    reclaim::{Freed, Reclaim},
    slots::Slots,
};

/// A concurrent index of 256-bit hashes.
pub struct HashIndex {
    permutation: Permutation,
    slots: Slots,
    pairs: AtomicUsize,
    writer: Mutex<Writer>,
}

/// What only the one writer needs.
#[derive(Default)]
struct Writer {
    ids: IdWriter,
    free_slots: Vec<u32>,
    reclaim: Reclaim,
    by_hash: HashMap<Words, u32>,
}

impl HashIndex {
    /// An empty index. The seed chooses the order of bits inside; keep it secret, or hashes can be
    /// aimed at one bucket to make searches slow.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self {
            permutation: Permutation::new(seed),
            slots: Slots::new(),
            pairs: AtomicUsize::new(0),
            writer: Mutex::default(),
        }
    }

    /// Adds a hash under an id; the next search finds it. The same pair is stored once.
    pub fn insert(&self, id: u64, hash: &Pdq) {
        let words = self.permutation.apply(hash);
        let mut writer = self.lock();
        self.reuse(&mut writer);
        let slot = self.find(&writer, &words).unwrap_or_else(|| {
            let free = writer.free_slots.pop();
            let slot = self.slots.put(free, words);
            writer.by_hash.insert(words, slot);
            slot
        });
        if self.slots.ids.add(&mut writer.ids, slot, id) {
            self.pairs.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes a hash from an id; the next search does not find it. False if the pair was not there.
    pub fn remove(&self, id: u64, hash: &Pdq) -> bool {
        let words = self.permutation.apply(hash);
        let mut writer = self.lock();
        self.reuse(&mut writer);
        let Some(slot) = self.find(&writer, &words) else { return false };
        let Taken::Gone { element, last } = self.slots.ids.take(&mut writer.ids, slot, id) else {
            return false;
        };
        if let Some(element) = element {
            writer.reclaim.retire(Freed::Element(element));
        }
        if last {
            writer.by_hash.remove(&words);
            writer.reclaim.retire(Freed::Slot(slot));
        }
        self.pairs.fetch_sub(1, Ordering::Relaxed);
        true
    }

    /// All ids whose hash is within `max_distance` bits, nearest first, at most `limit` of them.
    #[must_use]
    pub fn search(&self, hash: &Pdq, max_distance: u32, limit: usize) -> Found {
        let _reading = crossbeam_epoch::pin();
        let query = self.permutation.apply(hash);
        let mut answer = Answer::new(&self.slots, query, max_distance, limit);
        self.slots.scan(&query, max_distance, |slot| answer.offer(slot));
        answer.finish()
    }

    /// The number of pairs of id and hash.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs.load(Ordering::Relaxed)
    }

    /// Whether nothing is stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory the index uses.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let writer = self.lock();
        let slots = self.slots.used();
        size_of::<Self>()
            + size_of::<[[Words; 16]; 64]>()
            + slots as usize * size_of::<Words>()
            + self.slots.ids.memory_bytes(&writer.ids, slots)
            + writer.by_hash.capacity() * (size_of::<(Words, u32)>() + 1)
    }

    fn lock(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, writer: &Writer, words: &Words) -> Option<u32> {
        writer.by_hash.get(words).copied()
    }

    /// Brings what no reader looks at any more back into use.
    fn reuse(&self, writer: &mut Writer) {
        for freed in writer.reclaim.collect().into_iter().flatten() {
            match freed {
                Freed::Slot(slot) => writer.free_slots.push(slot),
                Freed::Element(element) => writer.ids.reuse(element),
                Freed::Region(..) => {}
            }
        }
    }
}
