//! Sixteen tables of 65,536 buckets: which hashes have a given value in a given chunk of 16 bits.
//!
//! A hash within 31 bits of a query has, somewhere in the ring of its 16 chunks, a chunk that differs in at
//! most one bit and whose successor brings the sum to at most three: the strong form of the pigeonhole
//! principle (Qin and Xiao, "Pigeonring", VLDB 2018). So a bucket holds, for every hash in it, the 16 bits
//! of the next chunk, and most hashes are ruled out without being looked at.
//!
//! **Invariant:** a posting that a reader can see has its next chunk and its slot written before it.
//! **Invariant:** readers see a bucket's old region whole until they end.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};

use super::{
    arena::{Arena, ArenaWriter, SEGMENT_UNITS, UNIT},
    kernel::prefetch,
    pages::Pages,
    permutation::Words,
    reclaim::{Freed, Reclaim},
};

/// Chunks of a hash, in a ring.
pub(crate) const CHUNKS: usize = 16;

/// Buckets of one chunk.
pub(crate) const VALUES: usize = 1 << 16;

/// Next chunks that lie in the bucket's own cache line.
pub(crate) const INLINE: usize = 28;

/// Marks a posting whose hash is gone; the next one that comes takes its place.
pub(crate) const HOLE: u32 = u32::MAX;

/// The class of a bucket that grew past the largest region: 350,000 hashes with 16 equal bits. Searches
/// that need it compare with every hash instead.
const SATURATED: u64 = 127;

/// From this many holes on they are no longer counted.
const MANY_HOLES: u64 = 31;

/// One bucket: how many postings, where the rest of them is, and the first next chunks.
#[repr(C, align(64))]
pub(crate) struct Line {
    header: AtomicU64,
    pub(crate) next: [AtomicU16; INLINE],
}

/// What a line's first eight bytes say: length in bits 0–19, holes 20–24, class 25–31, offset 32–63.
#[derive(Clone, Copy)]
pub(crate) struct Header(u64);

/// The buckets of all chunks.
pub(crate) struct Buckets {
    lines: Pages,
    pub(crate) arena: Arena,
}

/// The part of a bucket outside its line: first the next chunks past the inline ones, then all slots.
#[derive(Clone, Copy)]
pub(crate) struct Region {
    start: *mut u8,
    capacity: usize,
}

impl Header {
    /// Postings in the bucket, holes among them.
    #[inline(always)]
    pub(crate) fn len(self) -> usize {
        (self.0 & 0xf_ffff) as usize
    }

    #[inline(always)]
    pub(crate) fn is_saturated(self) -> bool {
        self.class() == SATURATED
    }

    fn holes(self) -> u64 {
        self.0 >> 20 & 31
    }

    #[inline(always)]
    fn class(self) -> u64 {
        self.0 >> 25 & 127
    }

    #[inline(always)]
    fn offset(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn with(self, len: usize, holes: u64) -> Self {
        Self(self.0 & !0x1ff_ffff | len as u64 | holes << 20)
    }
}

/// Units of a region by its class: every size up to 16, then steps of an eighth.
const UNITS: [u32; SATURATED as usize] = {
    let mut units = [0; SATURATED as usize];
    let mut class = 1;
    while class < units.len() {
        let before = units[class - 1];
        units[class] = before + if before < 16 { 1 } else { before / 8 };
        class += 1;
    }
    units
};

/// Postings that fit into a region of so many units: 4 bytes each and 2 more past the inline ones.
#[inline(always)]
fn capacity(units: u32) -> usize {
    match units {
        0 => 0,
        1 => UNIT / 4,
        // An even number keeps the slots aligned.
        _ => ((UNIT * units as usize + 2 * INLINE) / 6) & !1,
    }
}

impl Region {
    /// Where the next chunk of posting `place`, which is past the inline ones, lies.
    #[inline(always)]
    pub(crate) fn next(self, place: usize) -> *const AtomicU16 {
        self.start.wrapping_add(2 * (place - INLINE)) as *const AtomicU16
    }

    /// Where the slot of posting `place` lies.
    #[inline(always)]
    pub(crate) fn slot(self, place: usize) -> *const AtomicU32 {
        self.start.wrapping_add(2 * self.capacity.saturating_sub(INLINE) + 4 * place)
            as *const AtomicU32
    }
}

impl Line {
    /// The header; postings it counts are visible after this.
    #[inline(always)]
    pub(crate) fn header(&self) -> Header {
        Header(self.header.load(Ordering::Acquire))
    }

    fn publish(&self, header: Header) {
        self.header.store(header.0, Ordering::Release);
    }
}

/// The value of chunk `chunk` of a hash.
#[inline(always)]
pub(crate) fn chunk(words: &Words, chunk: usize) -> u16 {
    (words[chunk / 4 % 4] >> (chunk % 4 * 16)) as u16
}

impl Buckets {
    pub(crate) fn new() -> Self {
        Self { lines: Pages::new(CHUNKS * VALUES * size_of::<Line>()), arena: Arena::new() }
    }

    /// The place of the bucket of a chunk's value among all buckets; `chunk` is below 16.
    #[inline(always)]
    pub(crate) fn place(chunk: usize, value: u16) -> u32 {
        (chunk % CHUNKS * VALUES) as u32 + u32::from(value)
    }

    /// The bucket at a place.
    #[inline(always)]
    pub(crate) fn line(&self, place: u32) -> &Line {
        let place = place as usize % (CHUNKS * VALUES);
        // SAFETY: `place` is below CHUNKS * VALUES, for which `lines` holds zeroed memory, aligned to a
        // page; zero is a valid `Line`, which is changed by atomics only and lives as long as `self`.
        unsafe { &*self.lines.as_ptr().cast::<Line>().add(place) }
    }

    /// The part of a bucket outside its line; only a bucket with postings has one.
    #[inline(always)]
    pub(crate) fn region(&self, header: Header) -> Region {
        let units = UNITS[(header.class() as usize).min(UNITS.len() - 1)];
        Region { start: self.arena.region(header.offset()), capacity: capacity(units) }
    }

    /// The next chunk of a posting below the header's length.
    fn next_of<'a>(&self, line: &'a Line, region: Region, place: usize) -> &'a AtomicU16 {
        match line.next.get(place) {
            Some(next) => next,
            // SAFETY: callers pass places below the region's capacity; the region lies in a segment that
            // lives as long as `self`, which `line` is borrowed from, and is changed by atomics only.
            None => unsafe { &*region.next(place) },
        }
    }

    /// The slot of a posting below the header's length.
    fn slot_of<'a>(&self, _line: &'a Line, region: Region, place: usize) -> &'a AtomicU32 {
        // SAFETY: as in `next_of`.
        unsafe { &*region.slot(place) }
    }

    /// Asks for the memory that a change of this hash will touch first.
    pub(crate) fn fetch(&self, words: &Words) {
        for at in 0..CHUNKS {
            let line = self.line(Self::place(at, chunk(words, at)));
            prefetch(std::ptr::from_ref(line).cast());
        }
    }

    /// Adds a hash to the buckets of its 16 chunks.
    pub(crate) fn post(&self, writer: &mut BucketWriter<'_>, words: &Words, slot: u32) {
        for at in 0..CHUNKS {
            let header = self.line(Self::place(at, chunk(words, at))).header();
            prefetch(self.region(header).slot(header.len()).cast());
        }
        for at in 0..CHUNKS {
            self.post_chunk(writer, (at, chunk(words, at), chunk(words, at + 1)), slot);
        }
    }

    fn post_chunk(&self, writer: &mut BucketWriter<'_>, at: (usize, u16, u16), slot: u32) {
        let line = self.line(Self::place(at.0, at.1));
        let mut header = line.header();
        if header.is_saturated() {
            return;
        }
        let mut region = self.region(header);
        if header.holes() > 0 {
            let hole = self.find(line, header, HOLE);
            // Where the count stopped, holes are looked for until none is left.
            let left = if header.holes() == MANY_HOLES { MANY_HOLES } else { header.holes() - 1 };
            header = header.with(header.len(), if hole.is_some() { left } else { 0 });
            line.publish(header);
            if let Some(place) = hole {
                self.next_of(line, region, place).store(at.2, Ordering::Relaxed);
                self.slot_of(line, region, place).store(slot, Ordering::Release);
                return;
            }
        }
        let len = header.len();
        if len == region.capacity {
            let Some(grown) = self.grow(writer, line, header) else { return };
            header = grown;
            region = self.region(header);
        }
        self.next_of(line, region, len).store(at.2, Ordering::Relaxed);
        self.slot_of(line, region, len).store(slot, Ordering::Release);
        line.publish(header.with(len + 1, header.holes()));
        // Not at every posting, so that what cannot be made a block is looked at seldom.
        if len + 1 >= writer.crowd && (len + 1).is_power_of_two() {
            writer.crowded.push(Self::place(at.0, at.1));
        }
    }

    /// Moves a full bucket to a larger region; `None` if there is none and the bucket is given up.
    fn grow(&self, writer: &mut BucketWriter<'_>, line: &Line, header: Header) -> Option<Header> {
        let class = header.class() + 1;
        let units = UNITS.get(class as usize).copied().filter(|&units| units <= SEGMENT_UNITS);
        let offset = units.and_then(|units| writer.arena.allocate(&self.arena, units));
        let grown = match offset {
            Some(offset) => Header(header.0 & 0x1ff_ffff | class << 25 | u64::from(offset) << 32),
            None => Header(SATURATED << 25),
        };
        let (old, new) = (self.region(header), self.region(grown));
        if offset.is_some() {
            for place in 0..header.len() {
                if place >= INLINE {
                    let next = self.next_of(line, old, place).load(Ordering::Relaxed);
                    self.next_of(line, new, place).store(next, Ordering::Relaxed);
                }
                let slot = self.slot_of(line, old, place).load(Ordering::Relaxed);
                self.slot_of(line, new, place).store(slot, Ordering::Relaxed);
            }
        }
        line.publish(grown);
        if header.class() > 0 {
            writer.reclaim.retire(Freed::Region(header.offset(), UNITS[header.class() as usize]));
        }
        offset.map(|_| grown)
    }

    /// The place of a posting by its slot.
    fn find(&self, line: &Line, header: Header, slot: u32) -> Option<usize> {
        let region = self.region(header);
        (0..header.len())
            .find(|&place| self.slot_of(line, region, place).load(Ordering::Relaxed) == slot)
    }

    /// Takes a hash out of the buckets of its 16 chunks.
    pub(crate) fn unpost(&self, words: &Words, slot: u32) {
        for at in 0..CHUNKS {
            let line = self.line(Self::place(at, chunk(words, at)));
            let header = line.header();
            if header.is_saturated() {
                continue;
            }
            if let Some(place) = self.find(line, header, slot) {
                self.slot_of(line, self.region(header), place).store(HOLE, Ordering::Release);
                line.publish(header.with(header.len(), (header.holes() + 1).min(MANY_HOLES)));
            }
        }
    }

    /// Takes hashes that are in a block now out of some buckets; `gone` are their slots in order.
    pub(crate) fn evict(&self, writer: &mut BucketWriter<'_>, place: u32, gone: &[u32]) {
        let line = self.line(place);
        let header = line.header();
        if header.is_saturated() {
            return;
        }
        let old = self.region(header);
        let stays = |place| {
            let slot = self.slot_of(line, old, place).load(Ordering::Relaxed);
            if gone.binary_search(&slot).is_ok() { HOLE } else { slot }
        };
        // Those who still read the old region read the line's next chunks with it, so the postings in the
        // line keep their places.
        let inline = header.len().min(INLINE);
        let kept: Vec<usize> =
            (inline..header.len()).filter(|&place| stays(place) != HOLE).collect();
        let len = inline + kept.len();
        let Some((class, offset)) = self.allocate(writer, len) else {
            self.give_up(place);
            return;
        };
        let evicted = Header((class as u64) << 25 | u64::from(offset) << 32);
        let (new, mut holes) = (self.region(evicted), 0);
        for (to, from) in (0..inline).chain(kept).enumerate() {
            if to >= INLINE {
                let next = self.next_of(line, old, from).load(Ordering::Relaxed);
                self.next_of(line, new, to).store(next, Ordering::Relaxed);
            }
            let slot = stays(from);
            holes += u64::from(slot == HOLE);
            self.slot_of(line, new, to).store(slot, Ordering::Relaxed);
        }
        line.publish(evicted.with(len, holes));
        if header.class() > 0 {
            writer.reclaim.retire(Freed::Region(header.offset(), UNITS[header.class() as usize]));
        }
    }

    /// The smallest region for so many postings: its class and where it starts.
    fn allocate(&self, writer: &mut BucketWriter<'_>, postings: usize) -> Option<(usize, u32)> {
        let class = UNITS.partition_point(|&units| capacity(units) < postings.max(1));
        let units = UNITS.get(class).copied().filter(|&units| units <= SEGMENT_UNITS)?;
        Some((class, writer.arena.allocate(&self.arena, units)?))
    }

    /// Postings in a bucket, holes among them.
    pub(crate) fn postings_at(&self, place: u32) -> usize {
        self.line(place).header().len()
    }

    /// Adds the next chunk and slot of each posting at a place; false if the bucket was given up.
    pub(crate) fn postings(&self, place: u32, postings: &mut Vec<(u16, u32)>) -> bool {
        let line = self.line(place);
        let header = line.header();
        let region = self.region(header);
        let all = (0..header.len()).map(|place| {
            let next = self.next_of(line, region, place).load(Ordering::Relaxed);
            (next, self.slot_of(line, region, place).load(Ordering::Relaxed))
        });
        postings.extend(all.filter(|(_, slot)| *slot != HOLE));
        !header.is_saturated()
    }

    /// Gives an empty bucket up.
    pub(crate) fn give_up(&self, place: u32) {
        self.line(place).publish(Header(SATURATED << 25));
    }

    /// Fills an empty bucket with as many next chunks as slots, in a region of just that size; gives the
    /// bucket up where there is none so large.
    pub(crate) fn fill(
        &self,
        writer: &mut BucketWriter<'_>,
        place: u32,
        next: &[[u8; 2]],
        slots: &[[u8; 4]],
    ) {
        if slots.is_empty() {
            return;
        }
        let Some((class, offset)) = self.allocate(writer, slots.len()) else {
            self.give_up(place);
            return;
        };
        let header = Header((class as u64) << 25 | u64::from(offset) << 32);
        let (line, region) = (self.line(place), self.region(header));
        for (place, next) in next.iter().enumerate().take(slots.len()) {
            self.next_of(line, region, place).store(u16::from_le_bytes(*next), Ordering::Relaxed);
        }
        for (place, slot) in slots.iter().enumerate() {
            self.slot_of(line, region, place).store(u32::from_le_bytes(*slot), Ordering::Relaxed);
        }
        line.publish(header.with(slots.len().min(next.len()), 0));
    }

    /// The slots that may hold exactly this hash: those in its shortest bucket whose next chunk fits.
    /// `None` if all its buckets were given up.
    pub(crate) fn candidates(&self, words: &Words) -> Option<Vec<u32>> {
        let lines =
            (0..CHUNKS).map(|at| (at, self.line(Self::place(at, chunk(words, at))).header()));
        let (at, header) = lines
            .filter(|(_, header)| !header.is_saturated())
            .min_by_key(|(_, header)| header.len())?;
        let (line, region) = (self.line(Self::place(at, chunk(words, at))), self.region(header));
        let next = chunk(words, at + 1);
        let fits = (0..header.len())
            .filter(|&place| self.next_of(line, region, place).load(Ordering::Relaxed) == next);
        let slots = fits.map(|place| self.slot_of(line, region, place).load(Ordering::Relaxed));
        Some(slots.filter(|&slot| slot != HOLE).collect())
    }

    /// Bytes of the lines; the arena's are the writer's to count.
    pub(crate) fn bytes(&self) -> usize {
        self.lines.bytes() + size_of::<Arena>()
    }
}

/// What changing buckets needs of the index's writer.
pub(crate) struct BucketWriter<'a> {
    pub(crate) arena: &'a mut ArenaWriter,
    pub(crate) reclaim: &'a mut Reclaim,
    /// Buckets that reached `crowd` postings or another doubling past it.
    pub(crate) crowded: &'a mut Vec<u32>,
    pub(crate) crowd: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_of_region_holds_what_it_promises() {
        let mut before = 0;
        for units in UNITS.into_iter().skip(1).take_while(|&units| units <= SEGMENT_UNITS) {
            let fits = capacity(units);
            assert!(fits > before);
            assert!(4 * fits + 2 * fits.saturating_sub(INLINE) <= units as usize * UNIT);
            assert!(fits < 1 << 20);
            before = fits;
        }
        assert!(before > 300_000, "the classes end at {before}");
        assert_eq!(size_of::<Line>(), UNIT);
    }
}
