//! Which texts have a k-gram: lists of their numbers that grow in place.
//!
//! **Invariant:** one writer at a time; a reader meets every number that is in a list from before it began
//! until after it ended.

use std::{
    iter,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
};

use papaya::HashMap;

use crate::memory;

/// Lists are by so many bits of a k-gram's hash: what shares a list is told apart by comparing the texts,
/// and a list costs more than a number in it.
const LIST_BITS: u32 = 18;
/// Places of a list's first block; each further block has twice as many as the one before.
const FIRST_BLOCK: usize = 4;
/// Places of its largest blocks.
const LARGEST_BLOCK: usize = 4_096;
/// A list of which fewer than one in so many places is taken is made anew.
const SPARSE: usize = 4;
/// What stands in a place that is free; a number is stored as the next greater one.
const FREE: u32 = 0;

/// Lists by k-gram.
#[derive(Default)]
pub(super) struct Postings {
    lists: HashMap<u32, Arc<List>>,
    /// Bytes of the lists; only the writer changes it.
    lists_bytes: AtomicUsize,
}

/// The numbers of the texts that have a k-gram, in no order.
pub(super) struct List {
    /// Places that are taken.
    taken: AtomicU32,
    /// No place before this one is free.
    free: AtomicU32,
    first: Block,
}

/// Places, and the block behind them.
struct Block {
    places: Box<[AtomicU32]>,
    next: OnceLock<Box<Block>>,
}

impl Postings {
    /// Adds a text to the list of one of its k-grams.
    pub(super) fn add(&self, gram: u32, number: u32) {
        let lists = self.lists.pin();
        let list = lists.get_or_insert_with(place(gram), || {
            let list = List::new(FIRST_BLOCK);
            self.count(0, list.bytes());
            Arc::new(list)
        });
        self.count(0, list.add(number));
    }

    /// Notes that a list takes other memory than before.
    fn count(&self, before: usize, after: usize) {
        let all = self.lists_bytes.load(Ordering::Relaxed);
        self.lists_bytes.store(all + after - before, Ordering::Relaxed);
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        memory::of_map(&self.lists) + self.lists_bytes.load(Ordering::Relaxed)
    }

    /// Takes a text from the list of one of its k-grams, once.
    pub(super) fn take(&self, gram: u32, number: u32) {
        let lists = self.lists.pin();
        let Some(list) = lists.get(&place(gram)) else { return };
        list.take(number);
        let (taken, places) = (list.len(), list.places().count());
        if taken == 0 {
            self.count(list.bytes(), 0);
            lists.remove(&place(gram));
        } else if places > LARGEST_BLOCK && taken * SPARSE < places {
            let dense = List::new(taken.next_power_of_two());
            list.numbers().for_each(|number| {
                dense.add(number);
            });
            self.count(list.bytes(), dense.bytes());
            lists.insert(place(gram), Arc::new(dense));
        }
    }

    /// The lists of k-grams, of each one; those that are empty are left out.
    pub(super) fn lists(&self, grams: &[u32]) -> Vec<Arc<List>> {
        let lists = self.lists.pin();
        grams.iter().filter_map(|gram| lists.get(&place(*gram)).cloned()).collect()
    }
}

fn place(gram: u32) -> u32 {
    gram >> (u32::BITS - LIST_BITS)
}

impl List {
    fn new(places: usize) -> Self {
        Self { taken: AtomicU32::new(0), free: AtomicU32::new(0), first: Block::new(places) }
    }

    /// Bytes of memory; the first block lies in the list.
    fn bytes(&self) -> usize {
        let blocks: usize = self.blocks().map(Block::bytes).sum();
        memory::COUNTS + size_of::<Self>() - size_of::<Block>() + blocks
    }

    /// How many numbers are in it; a text can be in it several times.
    pub(super) fn len(&self) -> usize {
        self.taken.load(Ordering::Relaxed) as usize
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> {
        self.places().filter_map(|place| place.load(Ordering::Acquire).checked_sub(1))
    }

    fn blocks(&self) -> impl Iterator<Item = &Block> {
        iter::successors(Some(&self.first), |block| block.next.get().map(|next| &**next))
    }

    fn places(&self) -> impl Iterator<Item = &AtomicU32> {
        self.blocks().flat_map(|block| &block.places)
    }

    /// Adds a number; answers the bytes of memory that this took.
    fn add(&self, number: u32) -> usize {
        let (mut block, mut before, mut grown) = (&self.first, 0, 0);
        loop {
            let skipped = (self.free.load(Ordering::Relaxed) as usize).saturating_sub(before);
            let rest = block.places.iter().enumerate().skip(skipped);
            let mut free = rest.filter(|(_, place)| place.load(Ordering::Relaxed) == FREE);
            if let Some((place, found)) = free.next() {
                found.store(number + 1, Ordering::Release);
                self.free.store((before + place + 1) as u32, Ordering::Relaxed);
                self.taken.fetch_add(1, Ordering::Relaxed);
                return grown;
            }
            before += block.places.len();
            let larger = (block.places.len() * 2).min(LARGEST_BLOCK);
            block = block.next.get_or_init(|| {
                let next = Box::new(Block::new(larger));
                grown += next.bytes();
                next
            });
        }
    }

    fn take(&self, number: u32) {
        let found = self.places().enumerate().find(|(_, place)| {
            // Only a writer changes places, and this is the one.
            place.load(Ordering::Relaxed) == number + 1
        });
        let Some((at, place)) = found else { return };
        place.store(FREE, Ordering::Release);
        self.free.fetch_min(at as u32, Ordering::Relaxed);
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Block {
    fn new(places: usize) -> Self {
        Self { places: (0..places).map(|_| AtomicU32::new(FREE)).collect(), next: OnceLock::new() }
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.places)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lists_hold_what_a_bag_would_hold(
            steps in proptest::collection::vec((0_u8..3, 0_u32..2, 0_u32..900), 0..3_000),
        ) {
            let (postings, mut model) = (Postings::default(), [Vec::new(), Vec::new()]);
            for (step, gram, number) in steps {
                let held: &mut Vec<u32> = &mut model[gram as usize];
                if step > 0 {
                    postings.add(gram << 20, number);
                    held.push(number);
                } else {
                    postings.take(gram << 20, number);
                    if let Some(place) = held.iter().position(|held| *held == number) {
                        held.swap_remove(place);
                    }
                }
            }
            let held: usize = postings.lists.pin().values().map(|list| list.bytes()).sum();
            prop_assert_eq!(postings.lists_bytes.load(Ordering::Relaxed), held);
            for (gram, mut held) in (0_u32..).zip(model) {
                prop_assert_eq!(numbers(&postings, gram), { held.sort_unstable(); held });
            }
        }
    }

    fn numbers(postings: &Postings, gram: u32) -> Vec<u32> {
        let lists = postings.lists(&[gram << 20]);
        let mut found: Vec<u32> = lists.iter().flat_map(|list| list.numbers()).collect();
        assert_eq!(lists.iter().map(|list| list.len()).sum::<usize>(), found.len());
        found.sort_unstable();
        found
    }

    #[test]
    fn a_list_that_has_lost_most_is_made_anew_and_one_that_has_lost_all_is_gone() {
        let postings = Postings::default();
        (0..20_000).for_each(|number| postings.add(0, number));
        (0..19_000).for_each(|number| postings.take(0, number));
        assert_eq!(numbers(&postings, 0), (19_000..20_000).collect::<Vec<_>>());
        let places = postings.lists(&[0]).iter().flat_map(|list| list.places()).count();
        assert!(places <= LARGEST_BLOCK * SPARSE, "{places}");
        (19_000..20_000).for_each(|number| postings.take(0, number));
        assert!(postings.lists(&[0]).is_empty());
    }
}
