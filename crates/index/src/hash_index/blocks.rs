//! Hashes that lie too close together for buckets, kept as blocks that are compared in order.
//!
//! A search near a page of text, of which 50,000 hashes differ in half of their bits only, finds most of them
//! in its buckets and would look at each out of order. In a block they lie one after the other, with the bits
//! that differ first, and are compared as fast as memory can be read.
//!
//! **Invariant:** a live hash is in the first block whose rule admits it, and where none does, in buckets.
//! **Invariant:** a hash that moves from the buckets to a block can be found in the block before it leaves
//! them; who reads the buckets first and the blocks then finds it.
//! **Invariant:** a block never goes away, and what a place in it names changes only from or to [`HOLE`].
#![allow(unsafe_code)]

use std::sync::{
    OnceLock,
    atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
};

use super::{
    answer::Answer,
    arena::{Arena, ArenaWriter, UNIT},
    buckets::HOLE,
    kernel::{Level, near_halves},
    lookup::Walk,
    permutation::Words,
    rule::Rule,
    segments::Segments,
    slots::{Half, Slots},
};

/// Blocks there can be: a search asks each whether it is near, some 3 nanoseconds.
pub(crate) const MOST: usize = 4096;

/// Members whose memory is taken together.
const PIECE: u32 = 4096;

/// Members of a block one after the other; the memory is the arena's.
#[repr(C, align(64))]
struct Piece {
    halves: [Half; PIECE as usize],
    slots: [AtomicU32; PIECE as usize],
}

/// Units of a piece.
const PIECE_UNITS: u32 = (size_of::<Piece>() / UNIT) as u32;

/// Hashes that one rule admits.
pub(crate) struct Block {
    pub(crate) rule: Rule,
    /// Where in the arena each piece lies.
    pieces: Box<Segments<AtomicU32>>,
    /// Places that were ever used.
    used: AtomicU32,
    /// Whether a member did not fit into the arena: searches near the block compare with every hash then.
    given_up: AtomicBool,
}

/// All blocks, in the order in which they were made.
pub(crate) struct Blocks {
    list: Box<[OnceLock<Block>]>,
    count: AtomicUsize,
}

impl Blocks {
    pub(crate) fn new() -> Self {
        Self { list: (0..MOST).map(|_| OnceLock::new()).collect(), count: AtomicUsize::new(0) }
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = Option<&Block>> {
        self.list[..self.len()].iter().map(OnceLock::get)
    }

    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Acquire).min(MOST)
    }

    /// The number of the block that a hash belongs to.
    pub(crate) fn home(&self, words: &Words) -> Option<usize> {
        self.iter().position(|block| block.is_some_and(|block| block.rule.admits(words)))
    }

    /// The block of a number.
    pub(crate) fn get(&self, number: usize) -> Option<&Block> {
        self.list.get(number)?.get()
    }

    /// Makes a block findable, as the last one; only the writer calls this, and only below [`MOST`] blocks.
    pub(crate) fn publish(&self, block: Block) {
        let count = self.len();
        assert!(count < MOST, "more blocks than there can be");
        // Nobody has set this one: blocks behind the count are not there.
        let _ = self.list[count].set(block);
        self.count.store(count + 1, Ordering::Release);
    }

    /// Bytes of the list; members are in the arena, which is the writer's to count.
    pub(crate) fn bytes(&self) -> usize {
        self.list.len() * size_of::<OnceLock<Block>>()
            + self.len() * size_of::<Segments<AtomicU32>>()
    }

    /// Offers every hash in a block that is within `max` bits of the query to the answer.
    pub(crate) fn search(
        &self,
        (arena, slots): (&Arena, &Slots),
        level: Level,
        (query, max): (&Words, u32),
        answer: &mut Answer<'_>,
    ) -> Walk {
        let mut near = Vec::new();
        for block in self.iter().flatten() {
            let Some(room) = block.rule.room(query, max) else { continue };
            if block.given_up.load(Ordering::Acquire) {
                return Walk::GivenUp;
            }
            let packed = block.rule.pack(query);
            for (piece, len) in block.pieces(arena) {
                near.clear();
                near_halves(level, &piece.halves[..len], packed, room, &mut near);
                let slot = |place: u32| {
                    piece.slots[place as usize % piece.slots.len()].load(Ordering::Acquire)
                };
                for &place in &near {
                    slots.fetch(slot(place));
                }
                for slot in near.iter().map(|&place| slot(place)).filter(|&slot| slot != HOLE) {
                    if answer.offer(slot).is_break() {
                        return Walk::Done;
                    }
                }
            }
        }
        Walk::Done
    }
}

impl Block {
    pub(crate) fn new(rule: Rule) -> Self {
        Self {
            rule,
            pieces: Box::new(Segments::new()),
            used: AtomicU32::new(0),
            given_up: AtomicBool::new(false),
        }
    }

    /// Puts a hash into a place that was taken away from, or behind the others; gives the place.
    pub(crate) fn put(
        &self,
        (arena, writer): (&Arena, &mut ArenaWriter),
        place: Option<u32>,
        words: &Words,
        slot: u32,
    ) -> u32 {
        let used = self.used.load(Ordering::Relaxed);
        let place = place.unwrap_or(used);
        let number = place / PIECE;
        if place == used && place.is_multiple_of(PIECE) {
            let Some(offset) = writer.allocate(arena, PIECE_UNITS) else {
                self.given_up.store(true, Ordering::Release);
                return HOLE;
            };
            self.pieces.reserve(number).store(offset, Ordering::Release);
        }
        let Some(piece) = self.piece(arena, number) else { return HOLE };
        piece.halves[(place % PIECE) as usize].store(self.rule.pack(words));
        piece.slots[(place % PIECE) as usize].store(slot, Ordering::Release);
        self.used.store(used.max(place + 1), Ordering::Release);
        place
    }

    /// Takes the hash at a place away, which may be used again at once; false if there was none.
    pub(crate) fn take(&self, arena: &Arena, place: u32) -> bool {
        if place >= self.used.load(Ordering::Relaxed) {
            return false;
        }
        let Some(piece) = self.piece(arena, place / PIECE) else { return false };
        piece.slots[(place % PIECE) as usize].swap(HOLE, Ordering::AcqRel) != HOLE
    }

    /// The slots of all members.
    pub(crate) fn slots(&self, arena: &Arena) -> Vec<u32> {
        let slots = self.pieces(arena).flat_map(|(piece, len)| &piece.slots[..len]);
        slots.map(|slot| slot.load(Ordering::Relaxed)).filter(|&slot| slot != HOLE).collect()
    }

    /// The pieces in order, each with how many of its places were ever used.
    fn pieces<'a>(&'a self, arena: &'a Arena) -> impl Iterator<Item = (&'a Piece, usize)> {
        let used = self.used.load(Ordering::Acquire);
        (0..used.div_ceil(PIECE)).filter_map(move |number| {
            Some((self.piece(arena, number)?, (used - number * PIECE).min(PIECE) as usize))
        })
    }

    fn piece<'a>(&'a self, arena: &'a Arena, number: u32) -> Option<&'a Piece> {
        let start = arena.region(self.pieces.at(number)?.load(Ordering::Acquire));
        // SAFETY: the offset was stored when a region of the size of a piece had been handed out for this
        // block, which never gives it back; it is aligned to a cache line, lives as long as the arena, and
        // is changed by atomics only, for which any bytes are a valid value. Callers ask for pieces below
        // `used`, whose offsets were stored before.
        Some(unsafe { &*start.cast::<Piece>() })
    }
}
