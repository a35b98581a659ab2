//! Finds every stored 256-bit hash within a Hamming distance of a query: pictures, video frames, descriptors.
//!
//! **Invariant:** a search that runs alone finds exactly what a comparison with every hash would find.
//! **Invariant:** readers take no lock; one writer at a time changes what they see.

mod answer;
mod arena;
mod blocks;
mod buckets;
mod crowd;
mod ids;
mod kernel;
mod lookup;
mod pages;
mod permutation;
mod reclaim;
mod rule;
mod segments;
mod slots;
mod snapshot;

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering, fence},
    },
};

use watchfire_signal::pdq::Pdq;

use self::{
    answer::Answer,
    arena::ArenaWriter,
    blocks::Blocks,
    buckets::{BucketWriter, Buckets},
    ids::{IdWriter, Taken},
    lookup::{Lookup, Walk},
    permutation::{Permutation, Words},
    reclaim::{Freed, Reclaim},
    slots::Slots,
};
pub use self::{answer::Found, kernel::Level, snapshot::SnapshotError};

/// Up to this many distinct hashes are compared one by one, in some 15 microseconds with AVX-512; the buckets that
/// make more than these fast take 100 MiB with that many, which a small member has better use for.
const COMPARED_ONE_BY_ONE: u32 = 1 << 16;

/// Distinct hashes from which on buckets usually reach past their own line.
const LONG_BUCKETS: u32 = 22 << 16;

/// A concurrent index of 256-bit hashes.
///
/// Searches up to 31 bits walk buckets once there are enough hashes for that; larger distances compare
/// the query with every hash.
pub struct HashIndex {
    permutation: Permutation,
    level: Level,
    slots: Slots,
    near: OnceLock<Near>,
    pairs: AtomicUsize,
    scans: AtomicU64,
    memory: AtomicUsize,
    writer: Mutex<Writer>,
}

/// What hashes are found by once there are many. A search reads the buckets first and the blocks then.
struct Near {
    buckets: Buckets,
    blocks: Blocks,
}

/// Where a hash lies that is in no bucket: its slot, and its place in its block if it is in one.
#[derive(Clone, Copy)]
struct Stored {
    slot: u32,
    place: u32,
}

/// What only the one writer needs.
struct Writer {
    ids: IdWriter,
    free_slots: Vec<u32>,
    reclaim: Reclaim,
    arena: ArenaWriter,
    /// Hashes that cannot be found by buckets: those in blocks, and all of them before there are buckets.
    by_hash: HashMap<Words, Stored>,
    /// For each block the places whose hash is gone.
    free_places: Vec<Vec<u32>>,
    /// Buckets that may hold enough hashes that lie close together for a block.
    crowded: Vec<u32>,
}

impl HashIndex {
    /// An empty index. The seed chooses the order of bits inside; keep it secret, or hashes can be
    /// aimed at one bucket to make searches slow.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self::with_level(seed, Level::best())
    }

    /// An empty index that uses the given instructions, or the best this machine has if it lacks them.
    #[must_use]
    pub fn with_level(seed: [u8; 32], level: Level) -> Self {
        let writer = Writer {
            ids: IdWriter::default(),
            free_slots: Vec::new(),
            reclaim: Reclaim::default(),
            arena: ArenaWriter::new(),
            by_hash: HashMap::new(),
            free_places: Vec::new(),
            crowded: Vec::new(),
        };
        Self {
            permutation: Permutation::new(seed),
            level: level.min(Level::best()),
            slots: Slots::new(),
            near: OnceLock::new(),
            pairs: AtomicUsize::new(0),
            scans: AtomicU64::new(0),
            memory: AtomicUsize::new(size_of::<Self>() + size_of::<[[Words; 16]; 64]>()),
            writer: Mutex::new(writer),
        }
    }

    /// Adds a hash under an id; the next search finds it. The same pair is stored once.
    ///
    /// The insert that makes the index outgrow comparison one by one builds the buckets, some 100
    /// milliseconds; searches go on meanwhile.
    pub fn insert(&self, id: u64, hash: &Pdq) {
        let words = self.permutation.apply(hash);
        let mut writer = self.lock();
        self.reuse(&mut writer);
        let slot = self.find(&writer, &words).unwrap_or_else(|| self.store(&mut writer, words));
        if self.slots.ids.add(&mut writer.ids, slot, id) {
            self.pairs.fetch_add(1, Ordering::Relaxed);
        }
        self.relieve(&mut writer);
        self.count_memory(&writer);
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
            self.discard(&mut writer, &words, slot);
            writer.reclaim.retire(Freed::Slot(slot));
        }
        self.pairs.fetch_sub(1, Ordering::Relaxed);
        self.count_memory(&writer);
        true
    }

    /// All ids whose hash is within `max_distance` bits, nearest first, at most `limit` of them.
    #[must_use]
    pub fn search(&self, hash: &Pdq, max_distance: u32, limit: usize) -> Found {
        let _reading = crossbeam_epoch::pin();
        let query = self.permutation.apply(hash);
        let mut answer = Answer::new(&self.slots, query, max_distance, limit);
        let walk = match self.near.get() {
            Some(near) if max_distance <= lookup::MAX_DISTANCE => {
                self.walk(near, &query, max_distance, &mut answer)
            }
            _ => Walk::GivenUp,
        };
        if walk == Walk::GivenUp {
            self.scans.fetch_add(1, Ordering::Relaxed);
            answer.clear();
            self.slots.scan(self.level, &query, max_distance, |slot| answer.offer(slot));
        }
        answer.finish()
    }

    /// The number of pairs of id and hash.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs.load(Ordering::Relaxed)
    }

    /// How many searches so far compared the query with every hash: those of larger distances, those of
    /// a small index, and those for which walking buckets would have been slower.
    #[must_use]
    pub fn scans(&self) -> u64 {
        self.scans.load(Ordering::Relaxed)
    }

    /// Whether nothing is stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory the index uses, as of the last change. Waits for nobody.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.memory.load(Ordering::Relaxed)
    }

    /// Notes how much memory is used; only the writer calls this.
    fn count_memory(&self, writer: &Writer) {
        let slots = self.slots.used();
        let bytes = size_of::<Self>()
            + size_of::<[[Words; 16]; 64]>()
            + slots as usize * size_of::<Words>()
            + self.slots.ids.memory_bytes(&writer.ids, slots)
            + writer.by_hash.capacity() * (size_of::<(Words, Stored)>() + 1)
            + self.near.get().map_or(0, |near| near.buckets.bytes() + near.blocks.bytes())
            + writer.arena.bytes();
        self.memory.store(bytes, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Walks the buckets and compares the blocks.
    fn walk(&self, near: &Near, query: &Words, max: u32, answer: &mut Answer<'_>) -> Walk {
        let (buckets, slots, used) = (&near.buckets, &self.slots, self.slots.used());
        let (budget, long) = (used as usize, used >= LONG_BUCKETS);
        let lookup = Lookup { buckets, slots, query: *query, max_distance: max, budget, long };
        if lookup.walk(self.level, answer) == Walk::GivenUp {
            return Walk::GivenUp;
        }
        if answer.is_full() {
            return Walk::Done;
        }
        // A hash that moves is in its block before it leaves its buckets: with the writer's fence after
        // that, who no longer found it above finds it below.
        fence(Ordering::Acquire);
        near.blocks.search((&buckets.arena, slots), self.level, (query, max), answer)
    }

    /// The slot that holds a hash.
    fn find(&self, writer: &Writer, words: &Words) -> Option<u32> {
        let by_hash = || writer.by_hash.get(words).map(|stored| stored.slot);
        let Some(near) = self.near.get() else { return by_hash() };
        near.buckets.fetch(words);
        if near.blocks.home(words).is_some() {
            return by_hash();
        }
        let equal = |slot: u32| self.slots.words(slot).is_some_and(|stored| stored == *words);
        match near.buckets.candidates(words) {
            Some(slots) => slots.into_iter().find(|&slot| equal(slot)),
            None => {
                (0..self.slots.used()).find(|&slot| self.slots.ids.is_live(slot) && equal(slot))
            }
        }
    }

    /// Gives a new hash a slot and makes it findable; no id is in it yet.
    fn store(&self, writer: &mut Writer, words: Words) -> u32 {
        let free = writer.free_slots.pop();
        let slot = self.slots.put(free, words);
        let Some(near) = self.near.get() else {
            writer.by_hash.insert(words, Stored { slot, place: buckets::HOLE });
            if self.slots.used() > COMPARED_ONE_BY_ONE {
                self.build(writer);
            }
            return slot;
        };
        match near.blocks.home(&words) {
            Some(number) => self.put_into_block(writer, number, &words, slot),
            None => near.buckets.post(&mut self.bucket_writer(writer), &words, slot),
        }
        slot
    }

    /// Makes a hash that nobody has any more impossible to find.
    fn discard(&self, writer: &mut Writer, words: &Words, slot: u32) {
        let stored = writer.by_hash.remove(words);
        let Some(near) = self.near.get() else { return };
        let Some(Stored { place, .. }) = stored else { return near.buckets.unpost(words, slot) };
        let Some(number) = near.blocks.home(words) else { return };
        let block = near.blocks.get(number);
        if block.is_some_and(|block| block.take(&near.buckets.arena, place)) {
            writer.free_places[number].push(place);
        }
    }

    /// Puts every hash into buckets, and publishes those.
    fn build(&self, writer: &mut Writer) {
        let buckets = Buckets::new();
        for (words, Stored { slot, .. }) in std::mem::take(&mut writer.by_hash) {
            buckets.post(&mut self.bucket_writer(writer), &words, slot);
        }
        // Only the writer sets this, under its lock.
        let _ = self.near.set(Near { buckets, blocks: Blocks::new() });
    }

    fn bucket_writer<'a>(&self, writer: &'a mut Writer) -> BucketWriter<'a> {
        let Writer { arena, reclaim, crowded, .. } = writer;
        BucketWriter { arena, reclaim, crowded, crowd: crowd::least(self.slots.used()) }
    }

    /// Brings what no reader looks at any more back into use.
    fn reuse(&self, writer: &mut Writer) {
        for freed in writer.reclaim.collect().into_iter().flatten() {
            match freed {
                Freed::Slot(slot) => writer.free_slots.push(slot),
                Freed::Element(element) => writer.ids.reuse(element),
                Freed::Region(offset, units) => writer.arena.release(offset, units),
            }
        }
    }
}
