//! What indexes say of their memory is about what they ask the allocator for.
#![allow(unsafe_code)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use watchfire_index::{ExactIndex, SoundIndex, TextIndex};
use watchfire_signal::{
    digest::Sha256Digest,
    sound_print::SoundPrint,
    text_print::{Grams, TextPrint},
};

use crate::data::Random;

/// The system's allocator, with a count of the bytes that a thread has asked for and not given back.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // A thread that ends has no count any more.
    let _gone = HELD.try_with(|held| held.set(held.get() + bytes));
}

// SAFETY: every call goes on to the system's allocator as it is; the count is a plain number without a destructor,
// which allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as this function's caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as this function's caller promises.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn held() -> isize {
    HELD.with(Cell::get)
}

/// Fills an index step by step; what it says has to have grown about as much as what is held, each time.
fn assert_counted(step: impl Fn(u64), said: impl Fn() -> usize, steps: std::ops::Range<u64>) {
    let (held_before, said_before) = (held(), said() as isize);
    for number in steps.clone() {
        step(number);
        if (number + 1) % (steps.end / 4) == 0 {
            let (held, said) = (held() - held_before, said() as isize - said_before);
            assert!(held * 3 / 4 < said && said < held * 4 / 3, "{number}: {said} of {held}");
        }
    }
}

fn text(random: &mut Random) -> Grams {
    let letters = (0..600).map(|_| char::from(b'a' + random.below(26) as u8)).collect::<String>();
    match TextPrint::of(&letters).unwrap().remove(0) {
        TextPrint::Long(grams) => grams,
        TextPrint::Short(_) => panic!("{letters}"),
    }
}

#[test]
fn the_memory_of_links_and_digests_is_counted() {
    let (index, mut random) = (ExactIndex::new(), Random(1));
    let hashes: Vec<_> = (0..20_000).map(|_| Sha256Digest(random.hash().0)).collect();
    // Every eighth value is one of a few that hundreds carry.
    let value =
        |number: u64| hashes[if number.is_multiple_of(8) { number % 3 } else { number } as usize];
    assert_counted(
        |number| index.insert(number, value(number)),
        || index.memory_bytes(),
        0..20_000,
    );
    let full = index.memory_bytes();
    (0..20_000).for_each(|number| assert!(index.remove(number, &value(number))));
    assert!(index.is_empty() && index.memory_bytes() < full / 100, "{full}");
}

#[test]
fn the_memory_of_texts_is_counted() {
    let (index, mut random) = (TextIndex::new(), Random(2));
    let texts: Vec<Grams> = (0..1_000).map(|_| text(&mut random)).collect();
    // A copy, so that nothing is shared with the test.
    let insert = |number: u64| index.insert(number, &copied(&texts[number as usize]));
    assert_counted(insert, || index.memory_bytes(), 0..1_000);
    let full = index.memory_bytes();
    (0..1_000).for_each(|number| assert!(index.remove(number)));
    assert!(index.memory_bytes() < full / 8, "{full} {}", index.memory_bytes());
}

/// The same, with memory of its own.
fn copied(grams: &Grams) -> Grams {
    match TextPrint::from_bytes(&TextPrint::Long(grams.clone()).to_bytes()).unwrap() {
        TextPrint::Long(grams) => grams,
        TextPrint::Short(_) => panic!("a short text"),
    }
}

#[test]
fn the_memory_of_sounds_grows_with_their_length_and_is_given_back() {
    let (index, mut random) = (SoundIndex::new([3; 32]), Random(3));
    let print = |length: usize, random: &mut Random| {
        let items: Vec<u32> = (0..length).map(|_| random.next() as u32).collect();
        SoundPrint::new(100, items).unwrap()
    };
    // What its groups take is not asked of the allocator but of the system.
    let empty = index.memory_bytes();
    (0..100).for_each(|number| index.insert(number, &print(400, &mut random)));
    let short = index.memory_bytes() - empty;
    assert!(short > 100 * 400 * size_of::<u32>(), "{short}");
    (0..100).for_each(|number| index.insert(number, &print(4_000, &mut random)));
    let long = index.memory_bytes() - empty;
    assert!(long > 5 * short, "{short} {long}");
    let held = long - 100 * 4_000 * size_of::<u32>();
    (0..100).for_each(|number| assert!(index.remove(number)));
    assert!(index.memory_bytes() - empty <= held, "{long}");
}
