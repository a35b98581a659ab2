//! The inner loop of a search: which of a bucket's next chunks are near enough, in the widest
//! instructions the machine has.
//!
//! A kernel for AVX-512 is one more file with the same two functions and one more level.
//!
//! **Invariant:** every kernel gives the same answer.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;
pub(super) mod scalar;

use super::buckets::Line;

/// Which instructions a search uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// What every machine has.
    Scalar,
    /// AVX2 with POPCNT and BMI1, on x86-64.
    Avx2,
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
            return Self::Avx2;
        }
        Self::Scalar
    }
}

/// Compares next chunks with a query's, up to `FLIPS` bits.
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
}

/// Asks for a cache line ahead of time; any address will do.
#[inline(always)]
pub(super) fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing and never faults; SSE is part of x86-64.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
