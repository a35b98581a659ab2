//! The kernel for x86-64 with AVX2: 32 next chunks at a time.
#![allow(unsafe_code)]

use std::arch::{
    asm,
    x86_64::{
        __m256i, _mm256_add_epi16, _mm256_and_si256, _mm256_cmpeq_epi16, _mm256_movemask_epi8,
        _mm256_packs_epi16, _mm256_set1_epi16, _mm256_setzero_si256,
    },
};

use super::{super::buckets::Line, Kernel};

pub(in super::super) struct Avx2;

impl Kernel for Avx2 {
    #[inline(always)]
    unsafe fn line<const FLIPS: u32>(line: &Line, query: u16) -> u32 {
        // SAFETY: the caller promises AVX2; a line is 64 bytes.
        let bits = unsafe { near32::<FLIPS>(std::ptr::from_ref(line).cast(), query) };
        // The first four words are the header.
        bits >> 4
    }

    #[inline(always)]
    unsafe fn rest<const FLIPS: u32>(
        next: *const u16,
        count: usize,
        query: u16,
        mut near: impl FnMut(usize),
    ) {
        let mut place = 0;
        while place < count {
            // SAFETY: the caller promises AVX2, and 64 bytes from every next chunk below `count` on.
            let mut bits = unsafe { near32::<FLIPS>(next.add(place), query) };
            while bits != 0 {
                let at = place + bits.trailing_zeros() as usize;
                if at < count {
                    near(at);
                }
                bits &= bits - 1;
            }
            place += 32;
        }
    }
}

/// One bit for each of the 32 words from `words` on that differs from the query in at most `FLIPS` bits.
///
/// # Safety
/// The machine has AVX2, and 64 bytes from `words` on are memory that only atomics change.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn near32<const FLIPS: u32>(words: *const u16, query: u16) -> u32 {
    let query = _mm256_set1_epi16(query.cast_signed());
    // SAFETY: passed on from the caller.
    let (low, high) = unsafe { (differ(words, query), differ(words.add(16), query)) };
    let (low, high) = (near16::<FLIPS>(low), near16::<FLIPS>(high));
    // Packing interleaves the halves of the two vectors: low 0–7, high 0–7, low 8–15, high 8–15.
    let bits = _mm256_movemask_epi8(_mm256_packs_epi16(low, high)).cast_unsigned();
    if bits == 0 {
        return 0;
    }
    bits & 0xff00_00ff | bits >> 8 & 0xff00 | (bits & 0xff00) << 8
}

/// All ones in each word that has at most `FLIPS` bits set.
#[inline]
#[target_feature(enable = "avx2")]
fn near16<const FLIPS: u32>(mut words: __m256i) -> __m256i {
    let less_one = _mm256_set1_epi16(-1);
    // Each round clears the lowest bit of every word, which for so few rounds beats counting.
    for _ in 0..FLIPS {
        words = _mm256_and_si256(words, _mm256_add_epi16(words, less_one));
    }
    _mm256_cmpeq_epi16(words, _mm256_setzero_si256())
}

/// The 16 words at `words`, each XOR the query.
///
/// The load is in assembly because a writer may store to some of these words meanwhile, which for an
/// ordinary load would be a data race. What the instruction does is explained by 16 relaxed atomic
/// loads of a word each: x86-64 never tears an aligned word, and the order of relaxed loads is free.
///
/// # Safety
/// The machine has AVX2, and 32 bytes from `words` on are memory that only atomics change.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn differ(words: *const u16, query: __m256i) -> __m256i {
    let result: __m256i;
    // SAFETY: reads 32 bytes that the caller vouches for; writes nothing but the result.
    unsafe {
        asm!(
            "vpxor {result}, {query}, ymmword ptr [{words}]",
            result = lateout(ymm_reg) result,
            query = in(ymm_reg) query,
            words = in(reg) words,
            options(nostack, preserves_flags, readonly),
        );
    }
    result
}
