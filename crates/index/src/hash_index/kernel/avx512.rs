//! The kernel for x86-64 with AVX-512 and its counts of bits: 32 next chunks, or 8 hashes, at a time.
#![allow(unsafe_code)]

use std::arch::{
    asm,
    x86_64::{
        __m512i, _mm_set_epi64x, _mm512_add_epi64, _mm512_broadcast_i32x4, _mm512_cmple_epu16_mask,
        _mm512_cmple_epu64_mask, _mm512_popcnt_epi16, _mm512_popcnt_epi64, _mm512_set1_epi16,
        _mm512_set1_epi64, _mm512_unpackhi_epi64, _mm512_unpacklo_epi64,
    },
};

use super::{
    super::{buckets::Line, slots::Half},
    Kernel,
};

pub(in super::super) struct Avx512;

impl Kernel for Avx512 {
    #[inline(always)]
    unsafe fn line<const FLIPS: u32>(line: &Line, query: u16) -> u32 {
        // SAFETY: the caller promises AVX-512; a line is 64 bytes.
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
            // SAFETY: the caller promises AVX-512, and 64 bytes from every next chunk below `count` on.
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

    #[inline(always)]
    unsafe fn halves(halves: &[Half], query: [u64; 2], max: u32, mut near: impl FnMut(usize)) {
        let (eights, rest) = halves.as_chunks::<8>();
        for (block, eight) in eights.iter().enumerate() {
            // SAFETY: the caller promises AVX-512; eight halves are 128 bytes.
            let mut bits = unsafe { near8(eight.as_ptr().cast(), query, max) };
            while bits != 0 {
                let lane = bits.trailing_zeros() as usize;
                // The even lanes are the first four hashes, the odd ones the last four.
                near(block * 8 + lane % 2 * 4 + lane / 2);
                bits &= bits - 1;
            }
        }
        let first = eights.len() * 8;
        for (place, half) in rest.iter().enumerate() {
            if half.bits(query) <= max {
                near(first + place);
            }
        }
    }
}

/// One bit for each of the 32 words from `words` on that differs from the query in at most `FLIPS` bits.
///
/// # Safety
/// The machine has AVX-512 F, BW and BITALG, and 64 bytes from `words` on are memory that only atomics
/// change.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bitalg")]
unsafe fn near32<const FLIPS: u32>(words: *const u16, query: u16) -> u32 {
    let query = _mm512_set1_epi16(query.cast_signed());
    // SAFETY: passed on from the caller.
    let differ = unsafe { differ(words.cast(), query) };
    _mm512_cmple_epu16_mask(_mm512_popcnt_epi16(differ), _mm512_set1_epi16(FLIPS as i16))
}

/// One bit for each of the 8 halves from `halves` on that is within `max` bits of the query: half `h` has
/// bit `h % 4 * 2 + h / 4`.
///
/// # Safety
/// The machine has AVX-512 F and VPOPCNTDQ, and 128 bytes from `halves` on are memory that only atomics
/// change.
#[inline]
#[target_feature(enable = "avx512f,avx512vpopcntdq")]
unsafe fn near8(halves: *const u8, query: [u64; 2], max: u32) -> u8 {
    let query =
        _mm512_broadcast_i32x4(_mm_set_epi64x(query[1].cast_signed(), query[0].cast_signed()));
    // SAFETY: passed on from the caller.
    let (low, high) = unsafe { (differ(halves, query), differ(halves.add(64), query)) };
    let (low, high) = (_mm512_popcnt_epi64(low), _mm512_popcnt_epi64(high));
    let bits = _mm512_add_epi64(_mm512_unpacklo_epi64(low, high), _mm512_unpackhi_epi64(low, high));
    _mm512_cmple_epu64_mask(bits, _mm512_set1_epi64(i64::from(max)))
}

/// The 64 bytes at `bytes` XOR the query.
///
/// The load is in assembly because a writer may store to some of these words meanwhile, which for an
/// ordinary load would be a data race. What the instruction does is explained by relaxed atomic loads of
/// a word each: x86-64 never tears an aligned word, and the order of relaxed loads is free.
///
/// # Safety
/// The machine has AVX-512 F, and 64 bytes from `bytes` on are memory that only atomics change.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn differ(bytes: *const u8, query: __m512i) -> __m512i {
    let result: __m512i;
    // SAFETY: reads 64 bytes that the caller vouches for; writes nothing but the result.
    unsafe {
        asm!(
            "vpxorq {result}, {query}, zmmword ptr [{bytes}]",
            result = lateout(zmm_reg) result,
            query = in(zmm_reg) query,
            bytes = in(reg) bytes,
            options(nostack, preserves_flags, readonly),
        );
    }
    result
}
