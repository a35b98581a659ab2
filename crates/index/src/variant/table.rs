//! Descriptors of all references, in chains by parts of their bits.
//!
//! **Invariant:** a record that a reader may still walk over is not used again before the reader is gone.
//! **Invariant:** a chain has at most [`MAX_CHAIN`] records; what is beyond waits and takes the place of
//! one that is removed.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use watchfire_signal::features::{Descriptor, Feature};

/// Parts of a descriptor by which it is found. Of 24 wrong bits of 256 none is among the 20 of one of four
/// parts with a chance of 44 %; a picture has hundreds of descriptors, and a few have to be met.
pub(super) const TABLES: usize = 4;

/// The most records of a chain. A descriptor that stands in so many references tells nothing: it is the
/// stop-list, and the bound on the work of a search.
pub(super) const MAX_CHAIN: u64 = 1024;

/// Bits of a descriptor that are set in about half of all and depend least on each other: keys of these
/// tell descriptors apart best (measured on 77,000 of photographs; any other bits are as right, and a
/// search walks up to ten times as far).
#[rustfmt::skip]
pub(super) const TELLING_BITS: [u8; TABLES * 24] = [
    0, 1, 7, 12, 14, 18, 21, 24, 25, 27, 31, 32, 33, 35, 36, 38,
    42, 45, 47, 48, 53, 54, 58, 59, 60, 64, 66, 68, 73, 76, 77, 78,
    79, 82, 85, 87, 88, 89, 90, 91, 93, 99, 105, 106, 107, 108, 109, 110,
    111, 113, 114, 119, 128, 129, 132, 135, 137, 138, 139, 142, 147, 149, 154, 157,
    158, 161, 165, 170, 180, 181, 185, 186, 193, 195, 196, 205, 206, 207, 208, 212,
    218, 227, 228, 229, 230, 232, 236, 239, 244, 246, 247, 248, 250, 251, 252, 254,
];

/// Records of one page of memory.
const PAGE: u32 = 1 << 12;

/// The most pages.
const PAGES: usize = 1 << 17;

/// The end of a chain, and an empty one.
const NONE: u32 = u32::MAX;

/// The bits of a key, at least and at most. All of them have to be right for a descriptor to be met, so a long
/// key loses edited copies: at most as long as it was when recall was measured. Heads take 8 MB then, and of
/// 100,000 pictures a chain has some fifty records.
const KEY_BITS: (u32, u32) = (10, 18);

/// One descriptor with its place, its owner and the next records of its chains: a line of the cache.
#[derive(Default)]
#[repr(align(64))]
struct Record {
    bits: [AtomicU64; 4],
    next: [AtomicU64; TABLES / 2],
    place: AtomicU64,
    owner: AtomicU64,
}

/// What a record says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stored {
    pub(super) bits: [u64; 4],
    pub(super) x: u16,
    pub(super) y: u16,
    pub(super) level: u8,
    pub(super) angle: u8,
    /// Whether another place of the same reference looks like this one.
    pub(super) repeated: bool,
}

/// All descriptors of all references.
pub(super) struct Table {
    key_bits: u32,
    /// For each table the places in a descriptor of the bits of its key.
    picks: [Vec<u8>; TABLES],
    /// For each table and key: number of records and the first.
    heads: [Box<[AtomicU64]>; TABLES],
    pages: Box<[OnceLock<Box<[Record]>>]>,
    /// Records that nobody walks over any more.
    free: Arc<Mutex<Vec<u32>>>,
}

/// What only the one writer needs.
#[derive(Default)]
pub(super) struct TableWriter {
    used: u32,
    waiting: HashMap<(usize, usize), VecDeque<u32>>,
}

fn head(count: u64, first: u32) -> u64 {
    count << 32 | u64::from(first)
}

impl Table {
    /// A table for so many records; `order` is a secret order of [`TELLING_BITS`].
    pub(super) fn new(records: usize, order: &[u8; TELLING_BITS.len()]) -> Self {
        let key_bits = (records * 4).max(1).ilog2().clamp(KEY_BITS.0, KEY_BITS.1);
        let picks = |table: usize| order[table * key_bits as usize..][..key_bits as usize].to_vec();
        let empty = |_| (0..1 << key_bits).map(|_| AtomicU64::new(head(0, NONE))).collect();
        Self {
            key_bits,
            picks: std::array::from_fn(picks),
            heads: std::array::from_fn(empty),
            pages: (0..pages_for(records)).map(|_| OnceLock::new()).collect(),
            free: Arc::default(),
        }
    }

    /// Owners of descriptors within `most` bits that a part of the descriptor leads to, ascending, each
    /// once.
    pub(super) fn near(&self, bits: &[u64; 4], most: u32) -> Vec<u32> {
        let mut near = Vec::new();
        for table in 0..TABLES {
            let key = self.key(table, bits);
            let mut number = self.heads[table][key].load(Ordering::Acquire) as u32;
            // A chain that is changed meanwhile cannot hold a reader for longer than this.
            for _ in 0..MAX_CHAIN {
                let Some(record) = self.record(number) else { break };
                if distance(bits, &record.bits()) <= most {
                    near.push(record.owner.load(Ordering::Relaxed) as u32);
                }
                number = record.next(table);
            }
        }
        near.sort_unstable();
        near.dedup();
        near
    }

    /// What stands in a record.
    pub(super) fn stored(&self, number: u32) -> Option<Stored> {
        let record = self.record(number)?;
        let place = record.place.load(Ordering::Relaxed).to_le_bytes();
        Some(Stored {
            bits: record.bits(),
            x: u16::from_le_bytes([place[0], place[1]]),
            y: u16::from_le_bytes([place[2], place[3]]),
            level: place[4],
            angle: place[5],
            repeated: place[6] != 0,
        })
    }

    /// Adds a feature of an owner, and whether that has another like it; `None` where there is no room.
    pub(super) fn insert(
        &self,
        writer: &mut TableWriter,
        owner: u32,
        (f, repeated): (&Feature, bool),
    ) -> Option<u32> {
        let number = self.take(writer)?;
        let record = self.record(number)?;
        let bits = f.descriptor.words();
        for (to, word) in record.bits.iter().zip(bits) {
            to.store(word, Ordering::Relaxed);
        }
        let ([a, b], [c, d]) = (f.x.to_le_bytes(), f.y.to_le_bytes());
        let place = u64::from_le_bytes([a, b, c, d, f.level, f.angle, repeated.into(), 0]);
        record.place.store(place, Ordering::Relaxed);
        record.owner.store(u64::from(owner), Ordering::Relaxed);
        for table in 0..TABLES {
            let key = self.key(table, &bits);
            if self.heads[table][key].load(Ordering::Relaxed) >> 32 >= MAX_CHAIN {
                writer.waiting.entry((table, key)).or_default().push_back(number);
            } else {
                self.link(table, key, number);
            }
        }
        Some(number)
    }

    /// Takes a record out; it is used again once no reader is there that may have met it.
    pub(super) fn remove(&self, writer: &mut TableWriter, number: u32) {
        let Some(record) = self.record(number) else { return };
        let bits = record.bits();
        for table in 0..TABLES {
            let key = self.key(table, &bits);
            if let Some(waiting) = writer.waiting.get_mut(&(table, key))
                && let Some(at) = waiting.iter().position(|waits| *waits == number)
            {
                waiting.remove(at);
                continue;
            }
            self.unlink(table, key, number);
            if let Some(next) = writer.waiting.get_mut(&(table, key)).and_then(VecDeque::pop_front)
            {
                self.link(table, key, next);
            }
        }
        let free = Arc::clone(&self.free);
        crossbeam_epoch::pin().defer(move || {
            free.lock().unwrap_or_else(PoisonError::into_inner).push(number);
        });
    }

    /// Bytes of memory in use.
    pub(super) fn memory_bytes(&self, writer: &TableWriter) -> usize {
        let pages = self.pages.iter().filter(|page| page.get().is_some()).count();
        let waiting: usize =
            writer.waiting.values().map(|waiting| waiting.capacity() * 4 + 48).sum();
        TABLES * (size_of::<AtomicU64>() << self.key_bits)
            + pages * PAGE as usize * size_of::<Record>()
            + self.pages.len() * size_of::<OnceLock<Box<[Record]>>>()
            + waiting
    }

    fn record(&self, number: u32) -> Option<&Record> {
        let page = self.pages.get((number / PAGE) as usize)?.get()?;
        page.get((number % PAGE) as usize)
    }

    fn take(&self, writer: &mut TableWriter) -> Option<u32> {
        let free = || self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(number) = free() {
            return Some(number);
        }
        let number = writer.used;
        let Some(page) = self.pages.get((number / PAGE) as usize) else {
            // What was removed may only wait for somebody to look whether readers are gone.
            crossbeam_epoch::pin().flush();
            return free();
        };
        page.get_or_init(|| (0..PAGE).map(|_| Record::default()).collect());
        writer.used += 1;
        Some(number)
    }

    fn key(&self, table: usize, bits: &[u64; 4]) -> usize {
        let bit = |place: u8| (bits[usize::from(place / 64)] >> (place % 64) & 1) as usize;
        self.picks[table].iter().fold(0, |key, place| key << 1 | bit(*place))
    }

    fn link(&self, table: usize, key: usize, number: u32) {
        let Some(record) = self.record(number) else { return };
        let before = self.heads[table][key].load(Ordering::Relaxed);
        record.set_next(table, before as u32);
        // Whoever sees the record sees what was written into it before.
        self.heads[table][key].store(head((before >> 32) + 1, number), Ordering::Release);
    }

    fn unlink(&self, table: usize, key: usize, number: u32) {
        let Some(next) = self.record(number).map(|record| record.next(table)) else { return };
        let before = self.heads[table][key].load(Ordering::Relaxed);
        let (count, first) = ((before >> 32).saturating_sub(1), before as u32);
        if first == number {
            self.heads[table][key].store(head(count, next), Ordering::Release);
            return;
        }
        let mut at = first;
        while let Some(record) = self.record(at) {
            if record.next(table) == number {
                record.set_next(table, next);
                break;
            }
            at = record.next(table);
        }
        self.heads[table][key].store(head(count, first), Ordering::Release);
    }
}

/// Pages for so many records, and an eighth more for those that were removed and may still be read.
fn pages_for(records: usize) -> usize {
    (records + records / 8).div_ceil(PAGE as usize).clamp(1, PAGES)
}

impl Record {
    fn bits(&self) -> [u64; 4] {
        std::array::from_fn(|word| self.bits[word].load(Ordering::Relaxed))
    }

    fn next(&self, table: usize) -> u32 {
        (self.next[table / 2].load(Ordering::Acquire) >> (32 * (table % 2))) as u32
    }

    /// Only the one writer writes.
    fn set_next(&self, table: usize, next: u32) {
        let shift = 32 * (table % 2);
        let both = self.next[table / 2].load(Ordering::Relaxed);
        let other = both & !(u64::from(u32::MAX) << shift);
        self.next[table / 2].store(other | u64::from(next) << shift, Ordering::Release);
    }
}

/// The number of bits in which two descriptors differ.
pub(super) fn distance(a: &[u64; 4], b: &[u64; 4]) -> u32 {
    (0..4).map(|word| (a[word] ^ b[word]).count_ones()).sum()
}

/// The words of a descriptor.
pub(super) fn words(descriptor: &Descriptor) -> [u64; 4] {
    descriptor.words()
}
