//! Eight values at a time with AVX2 and FMA, on x86-64.
//!
//! **Invariant:** an [`Avx2`] exists only on a machine with both; that is the proof for every
//! instruction below.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m128i, __m256, _mm_loadl_epi64, _mm_loadu_si128, _mm_storeu_ps, _mm256_add_epi32,
    _mm256_add_ps, _mm256_blend_ps, _mm256_broadcastsi128_si256, _mm256_castps128_ps256,
    _mm256_castps256_ps128, _mm256_castsi128_si256, _mm256_cvtepi32_ps, _mm256_cvtepu8_epi32,
    _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_insertf128_ps, _mm256_inserti128_si256,
    _mm256_loadu_ps, _mm256_madd_epi16, _mm256_mul_ps, _mm256_set1_epi32, _mm256_set1_ps,
    _mm256_setzero_ps, _mm256_shuffle_epi8, _mm256_shuffle_ps, _mm256_storeu_ps, _mm256_sub_ps,
    _mm256_unpackhi_ps, _mm256_unpacklo_ps,
};

use super::{Divisor, Lanes, Simd, Task};

/// Red and green as the low and the high half of a word, in thousandths.
const RED_GREEN: i32 = 299 | 587 << 16;
/// Blue alone.
const BLUE: i32 = 114;
/// What makes luminance of thousandths.
const THOUSAND: usize = 1000;

/// A place that gives zero.
const NONE: u8 = 0x80;

/// Where the bytes of four pixels go: four bytes for each, of three that begin at `at`.
const fn pick(parts: [u8; 4], at: u8) -> [u8; 16] {
    let mut places = [NONE; 16];
    let mut to = 0;
    while to < 16 {
        let part = parts[to % 4];
        if part != NONE {
            places[to] = at + (to / 4) as u8 * 3 + part;
        }
        to += 1;
    }
    places
}

/// Proof that this machine has AVX2 and FMA.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// `None` on a machine without them.
    pub(crate) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        has.then_some(Self(()))
    }

    /// Runs a task that is compiled for them.
    pub(crate) fn run<T: Task>(self, task: T) -> T::Output {
        #[target_feature(enable = "avx2,fma")]
        fn compiled<T: Task>(simd: Avx2, task: T) -> T::Output {
            task.run(simd)
        }
        // SAFETY: an `Avx2` is the proof that the machine has both.
        unsafe { compiled(self, task) }
    }
}

impl Avx2 {
    /// Rows to columns within the lower and within the upper four lanes.
    #[inline(always)]
    fn transpose_quarters(self, [a, b, c, d]: [__m256; 4]) -> [__m256; 4] {
        // SAFETY: `self` proves the instructions.
        unsafe {
            let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
            let (ab_high, cd_high) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
            [
                _mm256_shuffle_ps::<0x44>(ab, cd),
                _mm256_shuffle_ps::<0xee>(ab, cd),
                _mm256_shuffle_ps::<0x44>(ab_high, cd_high),
                _mm256_shuffle_ps::<0xee>(ab_high, cd_high),
            ]
        }
    }

    /// Luminance times 1000 of four pixels from each register, whose bytes begin at `AT`. Whole
    /// numbers up to 255,000: exact.
    #[inline(always)]
    fn thousandths<const AT: u8>(self, upper: __m128i, lower: __m128i) -> __m256 {
        // SAFETY: `self` proves the instructions, the arrays prove 16 bytes.
        unsafe {
            let pixels = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(upper), lower);
            let red_green = const { pick([0, NONE, 1, NONE], AT) };
            let red_green = _mm256_broadcastsi128_si256(_mm_loadu_si128(red_green.as_ptr().cast()));
            let blue = const { pick([2, NONE, NONE, NONE], AT) };
            let blue = _mm256_broadcastsi128_si256(_mm_loadu_si128(blue.as_ptr().cast()));
            let red_green = _mm256_madd_epi16(
                _mm256_shuffle_epi8(pixels, red_green),
                _mm256_set1_epi32(RED_GREEN),
            );
            let blue =
                _mm256_madd_epi16(_mm256_shuffle_epi8(pixels, blue), _mm256_set1_epi32(BLUE));
            _mm256_cvtepi32_ps(_mm256_add_epi32(red_green, blue))
        }
    }
}

impl Simd for Avx2 {
    type Eight = __m256;
    type By = (__m256, __m256);

    #[inline(always)]
    fn zero(self) -> __m256 {
        // SAFETY: `self` proves the instruction.
        unsafe { _mm256_setzero_ps() }
    }

    #[inline(always)]
    fn load(self, from: &Lanes) -> __m256 {
        // SAFETY: `self` proves the instruction, the reference proves 32 bytes.
        unsafe { _mm256_loadu_ps(from.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, value: __m256, to: &mut Lanes) {
        // SAFETY: `self` proves the instruction, the reference proves 32 bytes.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), value) }
    }

    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self` proves the instruction.
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self` proves the instruction.
        unsafe { _mm256_sub_ps(a, b) }
    }

    #[inline(always)]
    fn by(self, divisor: Divisor) -> Self::By {
        // SAFETY: `self` proves the instruction.
        unsafe { (_mm256_set1_ps(divisor.inverse), _mm256_set1_ps(divisor.rest)) }
    }

    #[inline(always)]
    fn divide(self, a: __m256, (inverse, rest): Self::By) -> __m256 {
        // SAFETY: `self` proves the instructions; [`Divisor`] proves the value.
        unsafe { _mm256_fmadd_ps(a, inverse, _mm256_mul_ps(a, rest)) }
    }

    #[inline(always)]
    fn transpose(self, rows: [__m256; 8]) -> [__m256; 8] {
        let [a, b, c, d, e, f, g, h] = rows;
        let upper = self.transpose_quarters([a, b, c, d]);
        let lower = self.transpose_quarters([e, f, g, h]);
        let mut columns = rows;
        for column in 0..4 {
            let (upper, lower) = (upper[column], lower[column]);
            // SAFETY: `self` proves the instructions.
            unsafe {
                columns[column] = _mm256_insertf128_ps::<1>(upper, _mm256_castps256_ps128(lower));
                let high = _mm256_castps128_ps256(_mm256_extractf128_ps::<1>(upper));
                columns[column + 4] = _mm256_blend_ps::<0xf0>(high, lower);
            }
        }
        columns
    }

    #[inline(always)]
    fn store_rows(self, columns: [__m256; 8], rows: &mut [Lanes; 8]) {
        let [a, b, c, d, e, f, g, h] = columns;
        let left = self.transpose_quarters([a, b, c, d]);
        let right = self.transpose_quarters([e, f, g, h]);
        let [a, b, c, d, e, f, g, h] = rows;
        for (row, (upper, lower)) in [(a, e), (b, f), (c, g), (d, h)].into_iter().enumerate() {
            let (left, right) = (left[row], right[row]);
            // SAFETY: `self` proves the instructions, each reference proves room for twice four.
            unsafe {
                _mm_storeu_ps(upper.as_mut_ptr(), _mm256_castps256_ps128(left));
                _mm_storeu_ps(upper.as_mut_ptr().add(4), _mm256_castps256_ps128(right));
                _mm_storeu_ps(lower.as_mut_ptr(), _mm256_extractf128_ps::<1>(left));
                _mm_storeu_ps(lower.as_mut_ptr().add(4), _mm256_extractf128_ps::<1>(right));
            }
        }
    }

    #[inline(always)]
    fn grey_columns(self, rows: &[&[[u8; 8]]; 8], block: usize) -> [__m256; 8] {
        let mut values = [self.zero(); 8];
        for (value, row) in values.iter_mut().zip(rows) {
            let row = &row[block];
            // SAFETY: `self` proves the instructions, the reference proves eight bytes.
            *value = unsafe {
                _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(row.as_ptr().cast())))
            };
        }
        self.transpose(values)
    }

    #[inline(always)]
    fn rgb_columns(self, rows: &[&[[u8; 24]]; 8], block: usize) -> [__m256; 8] {
        let by = self.by(Divisor::by(THOUSAND));
        let (mut left, mut right) = ([self.zero(); 4], [self.zero(); 4]);
        for row in 0..4 {
            let (upper, lower) = (rows[row][block].as_ptr(), rows[row + 4][block].as_ptr());
            // SAFETY: `self` proves the instructions; of 24 bytes, 0 to 15 and 8 to 23 are read.
            let (a, b, c, d) = unsafe {
                (
                    _mm_loadu_si128(upper.cast()),
                    _mm_loadu_si128(lower.cast()),
                    _mm_loadu_si128(upper.add(8).cast()),
                    _mm_loadu_si128(lower.add(8).cast()),
                )
            };
            left[row] = self.divide(self.thousandths::<0>(a, b), by);
            right[row] = self.divide(self.thousandths::<4>(c, d), by);
        }
        let [a, b, c, d] = self.transpose_quarters(left);
        let [e, f, g, h] = self.transpose_quarters(right);
        [a, b, c, d, e, f, g, h]
    }
}
