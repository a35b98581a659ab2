//! Walks the buckets near a query: 17 for each of the 16 chunks, with the memory asked for ahead.
//!
//! **Invariant:** a hash within the distance is offered once, from the first bucket that qualifies it.
//! **Invariant:** the work is bounded: what would cost more than comparing with every hash is given up.
#![allow(unsafe_code)]

use std::{
    ops::ControlFlow,
    sync::atomic::{AtomicU32, Ordering},
};

use super::{
    answer::Answer,
    buckets::{Buckets, CHUNKS, HOLE, INLINE, chunk},
    kernel::{Kernel, Level, prefetch, scalar::Scalar},
    permutation::Words,
    slots::Slots,
};

/// The largest distance the buckets answer; a larger one is answered by comparing with every hash.
pub(crate) const MAX_DISTANCE: u32 = 31;

/// Postings ruled out in the time that a scan compares one hash.
const POSTINGS_A_SCANNED: usize = 8;

/// Hashes that a scan compares in the time that it takes to look at one out of order.
const SCANNED_A_LOOK: usize = 8;

/// After the first chunks the cost of a walk is only guessed, so a walk is given up that early only where
/// it seems to cost so many scans.
const FIRST_CHUNKS: usize = 2;
const SURELY: usize = 4;

/// Hashes that are looked at together, so that their memory arrives at the same time.
const TOGETHER: usize = 128;

/// How many buckets ahead lines are asked for, and half as many for what a bucket has outside its line: as many
/// lines as can be under way to the second-level cache at a time.
const AHEAD: usize = 48;

/// Cache lines of a long bucket that are asked for ahead; the processor itself fetches the following.
const LINES_AHEAD: usize = 6;

/// How a walk through the buckets ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Walk {
    /// Everything near was offered, or the answer wanted no more.
    Done,
    /// Too many postings: compare with every hash instead.
    GivenUp,
}

/// One search through the buckets.
pub(crate) struct Lookup<'a> {
    pub(crate) buckets: &'a Buckets,
    pub(crate) slots: &'a Slots,
    pub(crate) query: Words,
    /// At most 31.
    pub(crate) max_distance: u32,
    /// How many hashes a scan would compare: a walk that would cost as much is given up.
    pub(crate) budget: usize,
    /// Whether buckets are longer than their line on average.
    pub(crate) long: bool,
}

/// A posting that passed the filter: where its slot is written, and the chunk it was found in.
struct Candidate {
    slot: *const AtomicU32,
    chunk: usize,
}

impl Lookup<'_> {
    /// Offers every hash within the distance to the answer.
    pub(crate) fn walk(&self, level: Level, answer: &mut Answer<'_>) -> Walk {
        match level {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an index only gets a level that this machine has.
            Level::Avx512 => unsafe { self.walk_avx512(answer) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Level::Avx2 => unsafe { self.walk_avx2(answer) },
            _ => self.walk_with::<Scalar>(answer),
        }
    }

    /// # Safety
    /// The machine has AVX2, POPCNT and BMI1.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,popcnt,bmi1")]
    unsafe fn walk_avx2(&self, answer: &mut Answer<'_>) -> Walk {
        self.walk_with::<super::kernel::avx2::Avx2>(answer)
    }

    /// # Safety
    /// The machine has AVX-512 F, BW, VPOPCNTDQ and BITALG, with POPCNT and BMI1.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512vpopcntdq,avx512bitalg,popcnt,bmi1")]
    unsafe fn walk_avx512(&self, answer: &mut Answer<'_>) -> Walk {
        self.walk_with::<super::kernel::avx512::Avx512>(answer)
    }

    #[inline(always)]
    fn walk_with<K: Kernel>(&self, answer: &mut Answer<'_>) -> Walk {
        // The sum of two neighbouring chunks is at most twice a sixteenth of the distance.
        match self.max_distance / 8 {
            0 => self.walk_ring::<K, 0>(answer),
            1 => self.walk_ring::<K, 1>(answer),
            2 => self.walk_ring::<K, 2>(answer),
            _ => self.walk_ring::<K, 3>(answer),
        }
    }

    #[inline(always)]
    fn walk_ring<K: Kernel, const PAIR: u32>(&self, answer: &mut Answer<'_>) -> Walk {
        let (places, each) = self.places::<PAIR>();
        let mut candidates: Vec<Candidate> = Vec::with_capacity(TOGETHER * 2);
        let (mut postings, mut looks) = (0, 0);
        for place in &places[..AHEAD] {
            prefetch(std::ptr::from_ref(self.buckets.line(*place)).cast());
        }
        for at in 0..CHUNKS {
            for (turn, ahead) in places[at * each..].windows(AHEAD + 1).take(each).enumerate() {
                prefetch(std::ptr::from_ref(self.buckets.line(ahead[AHEAD])).cast());
                if self.long {
                    self.fetch_region(ahead[AHEAD / 2]);
                }
                let found = self.filter::<K, PAIR>((at, ahead[0], turn == 0), &mut candidates);
                let Some(len) = found else { return Walk::GivenUp };
                postings += len;
                if candidates.len() >= TOGETHER {
                    looks += candidates.len();
                    if self.look::<PAIR>(&mut candidates, answer).is_break() {
                        return Walk::Done;
                    }
                }
            }
            let cost = postings / POSTINGS_A_SCANNED + (looks + candidates.len()) * SCANNED_A_LOOK;
            let sure = if at < FIRST_CHUNKS { SURELY } else { 1 };
            if cost * CHUNKS / (at + 1) > self.budget * sure {
                return Walk::GivenUp;
            }
        }
        let _ = self.look::<PAIR>(&mut candidates, answer);
        Walk::Done
    }

    /// The places of the buckets to walk, and how many each chunk has: the chunk's own value first, then
    /// those one bit away, which only distances from 16 on need. What is behind them is never walked.
    #[inline(always)]
    fn places<const PAIR: u32>(&self) -> ([u32; CHUNKS * 17 + AHEAD], usize) {
        let each = if PAIR >= 2 { 17 } else { 1 };
        let mut places = [0; CHUNKS * 17 + AHEAD];
        for (at, places) in places.chunks_exact_mut(each).take(CHUNKS).enumerate() {
            let own = Buckets::place(at, chunk(&self.query, at));
            places[0] = own;
            for (bit, place) in places[1..].iter_mut().enumerate() {
                *place = own ^ 1 << bit;
            }
        }
        (places, each)
    }

    /// Asks for the part of a bucket outside its line; the line itself should be there by now.
    #[inline(always)]
    fn fetch_region(&self, place: u32) {
        let header = self.buckets.line(place).header();
        if header.len() > INLINE {
            let next = self.buckets.region(header).next(INLINE).cast::<u8>();
            for line in 0..(2 * (header.len() - INLINE)).div_ceil(64).min(LINES_AHEAD) {
                prefetch(next.wrapping_add(64 * line));
            }
        }
    }

    /// Adds a bucket's postings that may be near to the candidates; gives the bucket's length, or
    /// `None` for a bucket that was given up.
    #[inline(always)]
    fn filter<K: Kernel, const PAIR: u32>(
        &self,
        (at, place, own): (usize, u32, bool),
        candidates: &mut Vec<Candidate>,
    ) -> Option<usize> {
        let next = chunk(&self.query, at + 1);
        let line = self.buckets.line(place);
        let header = line.header();
        if header.is_saturated() {
            return None;
        }
        let len = header.len();
        // SAFETY: `walk` chose a kernel that this machine has.
        let near = unsafe {
            match (PAIR, own) {
                (0, _) => K::line::<0>(line, next),
                (1, _) | (2, false) => K::line::<1>(line, next),
                (2, true) | (_, false) => K::line::<2>(line, next),
                _ => K::line::<3>(line, next),
            }
        };
        let mut near = near & ((1u32 << len.min(INLINE)) - 1);
        if near == 0 && len <= INLINE {
            return Some(len);
        }
        let region = self.buckets.region(header);
        let mut found = |place: usize| {
            let slot = region.slot(place);
            prefetch(slot.cast());
            candidates.push(Candidate { slot, chunk: at });
        };
        while near != 0 {
            found(near.trailing_zeros() as usize);
            near &= near - 1;
        }
        if len > INLINE {
            let (rest, count) = (region.next(INLINE).cast::<u16>(), len - INLINE);
            let found = |place: usize| found(place + INLINE);
            // SAFETY: as above; a bucket of `len` postings has `count` next chunks in its region, and
            // the slots of all its postings, more than 64 bytes, behind them.
            unsafe {
                match (PAIR, own) {
                    (0, _) => K::rest::<0>(rest, count, next, found),
                    (1, _) | (2, false) => K::rest::<1>(rest, count, next, found),
                    (2, true) | (_, false) => K::rest::<2>(rest, count, next, found),
                    _ => K::rest::<3>(rest, count, next, found),
                }
            }
        }
        Some(len)
    }

    /// Compares the candidates themselves with the query and offers those that are near.
    #[inline(always)]
    fn look<const PAIR: u32>(
        &self,
        candidates: &mut Vec<Candidate>,
        answer: &mut Answer<'_>,
    ) -> ControlFlow<()> {
        let slot_of = |candidate: &Candidate| {
            // SAFETY: the pointer is to a posting of a bucket that was read in this search; its region
            // is not used for anything else before the search ends, and the arena outlives it.
            unsafe { &*candidate.slot }.load(Ordering::Acquire)
        };
        for candidate in candidates.iter() {
            prefetch(self.slots.address(slot_of(candidate)));
        }
        for candidate in candidates.drain(..) {
            let slot = slot_of(&candidate);
            if slot == HOLE {
                continue;
            }
            let near = self.slots.words_within(slot, &self.query, self.max_distance);
            let Some(words) = near else { continue };
            let differ: Words = std::array::from_fn(|word| words[word] ^ self.query[word]);
            let bits: u32 = differ.iter().map(|word| word.count_ones()).sum();
            if bits <= self.max_distance
                && is_first::<PAIR>(&differ, candidate.chunk)
                && answer.offer(slot).is_break()
            {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }
}

/// Whether no earlier chunk qualifies the hash, so that it is offered only here.
fn is_first<const PAIR: u32>(differ: &Words, at: usize) -> bool {
    let most = u32::from(PAIR >= 2);
    (0..at).all(|at| {
        let (one, next) = (chunk(differ, at).count_ones(), chunk(differ, at + 1).count_ones());
        one > most || one + next > PAIR
    })
}
