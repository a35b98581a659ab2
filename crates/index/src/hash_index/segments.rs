//! An array that grows while others read it: an element keeps its address for as long as the array lives.
//!
//! **Invariant:** a part that is published is never replaced or freed before the array is dropped.
#![allow(unsafe_code)]

use std::{
    ptr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering},
    },
};

use super::pages::Pages;

/// Elements of the first part; each part is twice as long as the one before it.
const FIRST: u32 = 256;

/// Enough doublings for every index a `u32` can hold.
const PARTS: usize = 25;

/// Types of which zeroed memory is a valid value and which may be shared between threads.
///
/// # Safety
/// All-zero bytes are a valid value, the type needs no drop, its alignment is at most 64, and it is
/// changed through a shared reference only by atomics.
pub(crate) unsafe trait Zeroed: Sync {}

// SAFETY: zero is a valid integer, and an atomic may be shared.
unsafe impl Zeroed for AtomicU64 {}

// SAFETY: as above.
unsafe impl Zeroed for AtomicU32 {}

/// An array of up to 2³² elements, all zero until they are written.
pub(crate) struct Segments<T> {
    parts: [AtomicPtr<T>; PARTS],
    owned: Mutex<Vec<Pages>>,
}

impl<T: Zeroed> Segments<T> {
    /// An array that holds no memory yet.
    pub(crate) fn new() -> Self {
        Self {
            parts: std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
            owned: Mutex::new(Vec::new()),
        }
    }

    /// The element at `index`, or `None` where nothing was ever reserved.
    #[inline(always)]
    pub(crate) fn at(&self, index: u32) -> Option<&T> {
        let (part, offset) = locate(index);
        let start = self.parts[part].load(Ordering::Acquire);
        // SAFETY: a published part holds `part_len(part)` zeroed or written elements, `locate` gives
        // an offset below that, and parts live as long as `self`.
        if start.is_null() { None } else { Some(unsafe { &*start.add(offset) }) }
    }

    /// The published elements of `index`'s part from `index` on, at most up to `end`.
    #[inline(always)]
    pub(crate) fn run(&self, index: u32, end: u32) -> &[T] {
        let (part, offset) = locate(index);
        let start = self.parts[part].load(Ordering::Acquire);
        if start.is_null() || index >= end {
            return &[];
        }
        let len = (part_len(part) - offset).min((end - index) as usize);
        // SAFETY: as in `at`; `len` ends at or before the end of the part.
        unsafe { std::slice::from_raw_parts(start.add(offset), len) }
    }

    /// Reserves the memory of `index`, so that `at(index)` is there from now on.
    pub(crate) fn reserve(&self, index: u32) -> &T {
        if let Some(element) = self.at(index) {
            return element;
        }
        let (part, offset) = locate(index);
        let mut owned = self.owned.lock().unwrap_or_else(PoisonError::into_inner);
        if self.parts[part].load(Ordering::Acquire).is_null() {
            let pages = Pages::new(part_len(part) * size_of::<T>());
            self.parts[part].store(pages.as_ptr().cast(), Ordering::Release);
            owned.push(pages);
        }
        // SAFETY: the part was published above or before; see `at`.
        unsafe { &*self.parts[part].load(Ordering::Acquire).add(offset) }
    }
}

/// Which part an index lies in, and where.
#[inline(always)]
fn locate(index: u32) -> (usize, usize) {
    let part = ((index / FIRST) + 1).ilog2();
    (part as usize, index as usize - (((1usize << part) - 1) * FIRST as usize))
}

/// The number of elements in a part.
fn part_len(part: usize) -> usize {
    (FIRST as usize) << part
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_index_has_one_place_of_its_own() {
        let array = Segments::<AtomicU64>::new();
        assert!(array.at(0).is_none());
        for index in 0..5_000u32 {
            array.reserve(index).store(u64::from(index) + 1, Ordering::Relaxed);
        }
        for index in 0..5_000u32 {
            assert_eq!(array.at(index).unwrap().load(Ordering::Relaxed), u64::from(index) + 1);
        }
        assert!(array.at(100_000).is_none());
        assert_eq!(locate(u32::MAX).0, PARTS - 1);
    }

    #[test]
    fn runs_cover_the_array_without_a_gap() {
        let array = Segments::<AtomicU64>::new();
        for index in 0..2_000u32 {
            array.reserve(index).store(u64::from(index), Ordering::Relaxed);
        }
        let mut next = 0u32;
        while next < 2_000 {
            for value in array.run(next, 2_000) {
                assert_eq!(value.load(Ordering::Relaxed), u64::from(next));
                next += 1;
            }
        }
        assert_eq!(next, 2_000);
    }
}
