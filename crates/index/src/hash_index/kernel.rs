//! The inner loop of a search: which of a bucket's next chunks are near enough, in the widest
//! instructions the machine has.
//!
//! **Invariant:** every kernel gives the same answer.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(super) mod avx512;
pub(super) mod scalar;

use super::{buckets::Line, slots::Half};

/// Which instructions a search uses, the slowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What every machine has.
    Scalar,
    /// AVX2 with POPCNT and BMI1, on x86-64.
    Avx2,
    /// AVX-512 with BW, VPOPCNTDQ and BITALG besides, on x86-64.
    Avx512,
}

impl Level {
    /// The fastest level of this machine.
    #[must_use]
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2")
            && std::arch::is_x86_feature_detected!("popcnt")
            && std::arch::is_x86_feature_detected!("bmi1")
        {
            let wide = std::arch::is_x86_feature_detected!("avx512f")
                && std::arch::is_x86_feature_detected!("avx512bw")
                && std::arch::is_x86_feature_detected!("avx512vpopcntdq")
                && std::arch::is_x86_feature_detected!("avx512bitalg");
            return if wide { Self::Avx512 } else { Self::Avx2 };
        }
        Self::Scalar
    }
}

/// Compares next chunks with a query's, up to `FLIPS` bits, and first halves of hashes.
pub(super) trait Kernel {
    /// One bit for each inline place whose next chunk is near; places past the bucket's length may say
    /// anything.
    ///
    /// # Safety
    /// The machine has the kernel's instructions.
    unsafe fn line<const FLIPS: u32>(line: &Line, query: u16) -> u32;

    /// Calls `near` with every place below `count` whose next chunk is near.
    ///
    /// # Safety
    /// The machine has the kernel's instructions; `next` points to `count` next chunks, and 64 bytes
    /// from each of them on lie in the same region.
    unsafe fn rest<const FLIPS: u32>(
        next: *const u16,
        count: usize,
        query: u16,
        near: impl FnMut(usize),
    );

    /// Calls `near` with the place of every half that is within `max` bits of the query's, in any order.
    ///
    /// # Safety
    /// The machine has the kernel's instructions.
    #[inline(always)]
    unsafe fn halves(halves: &[Half], query: [u64; 2], max: u32, mut near: impl FnMut(usize)) {
        for (place, half) in halves.iter().enumerate() {
            if half.bits(query) <= max {
                near(place);
            }
        }
    }
}

/// Adds the place of every half that is within `max` bits of the query's to `places`, in any order.
pub(super) fn near_halves(
    level: Level,
    halves: &[Half],
    query: [u64; 2],
    max: u32,
    places: &mut Vec<u32>,
) {
    match level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an index only gets a level that this machine has.
        Level::Avx512 => unsafe { near_avx512(halves, query, max, places) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above, and AVX2 comes with POPCNT.
        Level::Avx2 => unsafe { near_popcnt(halves, query, max, places) },
        // SAFETY: the scalar kernel needs nothing.
        _ => unsafe { scalar::Scalar::halves(halves, query, max, |at| places.push(at as u32)) },
    }
}

/// # Safety
/// The machine has AVX-512 F, BW, VPOPCNTDQ and BITALG.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vpopcntdq,avx512bitalg,popcnt,bmi1")]
unsafe fn near_avx512(halves: &[Half], query: [u64; 2], max: u32, places: &mut Vec<u32>) {
    // SAFETY: passed on from the caller.
    unsafe { avx512::Avx512::halves(halves, query, max, |at| places.push(at as u32)) };
}

/// # Safety
/// The machine has POPCNT, which counts a half's bits faster than AVX2 can.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "popcnt")]
unsafe fn near_popcnt(halves: &[Half], query: [u64; 2], max: u32, places: &mut Vec<u32>) {
    // SAFETY: the scalar kernel needs nothing.
    unsafe { scalar::Scalar::halves(halves, query, max, |at| places.push(at as u32)) };
}

/// Asks for a cache line ahead of time; any address will do.
///
/// Into the second-level cache: the first level has room for some two dozen lines under way, and what is
/// asked for beyond those is waited for one by one when it is read. Half of a search at a million hashes was
/// that.
#[inline(always)]
pub(super) fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing and never faults; SSE is part of x86-64.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use proptest::prelude::*;

    use super::{avx2::Avx2, avx512::Avx512, scalar::Scalar, *};

    fn places<K: Kernel, const FLIPS: u32>(words: &[u16], count: usize, query: u16) -> Vec<usize> {
        let mut places = Vec::new();
        // SAFETY: the tests run only where the kernel's level is; `words` has 32 words more than `count`.
        unsafe { K::rest::<FLIPS>(words.as_ptr(), count, query, |place| places.push(place)) };
        places
    }

    fn agree<K: Kernel>(words: &[u16], count: usize, query: u16) -> Result<(), TestCaseError> {
        prop_assert_eq!(
            places::<K, 0>(words, count, query),
            places::<Scalar, 0>(words, count, query)
        );
        prop_assert_eq!(
            places::<K, 1>(words, count, query),
            places::<Scalar, 1>(words, count, query)
        );
        prop_assert_eq!(
            places::<K, 2>(words, count, query),
            places::<Scalar, 2>(words, count, query)
        );
        prop_assert_eq!(
            places::<K, 3>(words, count, query),
            places::<Scalar, 3>(words, count, query)
        );
        Ok(())
    }

    fn near_halves<K: Kernel>(halves: &[Half], query: [u64; 2], max: u32) -> Vec<usize> {
        let mut places = Vec::new();
        // SAFETY: the tests run only where the kernel's level is.
        unsafe { K::halves(halves, query, max, |place| places.push(place)) };
        places.sort_unstable();
        places
    }

    proptest! {
        #[test]
        fn every_kernel_finds_the_next_chunks_that_the_scalar_one_finds(
            mut words in proptest::collection::vec(any::<u16>(), 0..200), query: u16, bits: [u16; 8],
        ) {
            for (place, flips) in bits.into_iter().enumerate() {
                let near = query ^ (flips & flips >> 5 & flips >> 9);
                let at = place * 25 % words.len().max(1);
                if let Some(word) = words.get_mut(at) {
                    *word = near;
                }
            }
            let count = words.len();
            words.extend([query; 32]);
            if Level::best() >= Level::Avx2 {
                agree::<Avx2>(&words, count, query)?;
            }
            if Level::best() >= Level::Avx512 {
                agree::<Avx512>(&words, count, query)?;
            }
        }

        #[test]
        fn every_kernel_finds_the_halves_that_the_scalar_one_finds(
            words in proptest::collection::vec(any::<(u64, u64, u64)>(), 0..100), query: [u64; 2], max in 0u32..128,
        ) {
            // Every second half is near the query in some bits, so that both answers occur.
            let halves: Vec<Half> = words
                .into_iter()
                .map(|(a, b, mask)| Half::new([query[0] ^ (a & mask), query[1] ^ (b & mask >> 7 & mask << 9)]))
                .collect();
            let expected = near_halves::<Scalar>(&halves, query, max);
            if Level::best() >= Level::Avx512 {
                prop_assert_eq!(near_halves::<Avx512>(&halves, query, max), expected);
            }
        }
    }
}
