//! The kernel for every machine.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU16, Ordering};

use super::{super::buckets::Line, Kernel};

pub(in super::super) struct Scalar;

impl Kernel for Scalar {
    unsafe fn line<const FLIPS: u32>(line: &Line, query: u16) -> u32 {
        let near = |next: &AtomicU16| (next.load(Ordering::Relaxed) ^ query).count_ones() <= FLIPS;
        line.next.iter().rev().fold(0, |bits, next| bits << 1 | u32::from(near(next)))
    }

    unsafe fn rest<const FLIPS: u32>(
        next: *const u16,
        count: usize,
        query: u16,
        mut near: impl FnMut(usize),
    ) {
        for place in 0..count {
            // SAFETY: the caller promises `count` next chunks, which are aligned and changed by atomics
            // only, in memory that outlives the search.
            let next = unsafe { &*next.add(place).cast::<AtomicU16>() };
            if (next.load(Ordering::Relaxed) ^ query).count_ones() <= FLIPS {
                near(place);
            }
        }
    }
}
