//! Sixteen values at a time with AVX2 and FMA, on x86-64, in two registers of eight.
//!
//! **Invariant:** an [`Avx2`] exists only on a machine with both; that is the proof for every
//! instruction below.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m128i, __m256, _mm_loadl_epi64, _mm_loadu_si128, _mm256_add_epi32, _mm256_add_ps,
    _mm256_blend_ps, _mm256_broadcastsi128_si256, _mm256_castps128_ps256, _mm256_castps256_ps128,
    _mm256_castsi128_si256, _mm256_cvtepi32_ps, _mm256_cvtepu8_epi32, _mm256_extractf128_ps,
    _mm256_fmadd_ps, _mm256_insertf128_ps, _mm256_inserti128_si256, _mm256_load_ps,
    _mm256_madd_epi16, _mm256_mul_ps, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps,
    _mm256_shuffle_epi8, _mm256_shuffle_ps, _mm256_store_ps, _mm256_sub_ps, _mm256_unpackhi_ps,
    _mm256_unpacklo_ps,
};

use super::{Divisor, GREY_BYTES, Lanes, RGB_BYTES, Simd, Task, Tile, WIDTH};

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

    /// Eight rows to eight columns.
    #[inline(always)]
    fn transpose_eight(self, rows: [__m256; 8]) -> [__m256; 8] {
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

    /// Eight columns of the eight rows from `top` on, of luminance that begins at byte `at`.
    #[inline(always)]
    fn grey_eight(self, tile: Tile<'_, GREY_BYTES>, top: usize, at: usize) -> [__m256; 8] {
        let mut values = [self.none(); 8];
        for (row, value) in values.iter_mut().enumerate() {
            let bytes = tile.part::<8>(top + row, at);
            // SAFETY: `self` proves the instructions, the reference eight bytes.
            *value = unsafe {
                _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(bytes.as_ptr().cast())))
            };
        }
        self.transpose_eight(values)
    }

    /// Eight columns of the eight rows from `top` on, of colours that begin at byte `at`.
    #[inline(always)]
    fn rgb_eight(self, tile: Tile<'_, RGB_BYTES>, top: usize, at: usize) -> [__m256; 8] {
        let by = self.by(Divisor::by(THOUSAND));
        let (mut left, mut right) = ([self.none(); 4], [self.none(); 4]);
        for row in 0..4 {
            let (upper, lower) = (top + row, top + row + 4);
            // The second half is read from byte 8 of 24 on: nothing behind them is touched.
            let (a, b) = (self.bytes(tile.part(upper, at)), self.bytes(tile.part(lower, at)));
            left[row] = self.divide_eight(self.thousandths::<0>(a, b), by);
            let (c, d) =
                (self.bytes(tile.part(upper, at + 8)), self.bytes(tile.part(lower, at + 8)));
            right[row] = self.divide_eight(self.thousandths::<4>(c, d), by);
        }
        let [a, b, c, d] = self.transpose_quarters(left);
        let [e, f, g, h] = self.transpose_quarters(right);
        [a, b, c, d, e, f, g, h]
    }

    #[inline(always)]
    fn bytes(self, from: &[u8; 16]) -> __m128i {
        // SAFETY: `self` proves the instruction, the reference 16 bytes.
        unsafe { _mm_loadu_si128(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn none(self) -> __m256 {
        // SAFETY: `self` proves the instruction.
        unsafe { _mm256_setzero_ps() }
    }

    #[inline(always)]
    fn divide_eight(self, a: __m256, (inverse, rest): (__m256, __m256)) -> __m256 {
        // SAFETY: `self` proves the instructions; [`Divisor`] proves the value.
        unsafe { _mm256_fmadd_ps(a, inverse, _mm256_mul_ps(a, rest)) }
    }
}

/// Puts two halves of each of sixteen columns together.
#[inline(always)]
fn halves(upper: [[__m256; 8]; 2], lower: [[__m256; 8]; 2]) -> [[__m256; 2]; WIDTH] {
    let mut columns = [[upper[0][0]; 2]; WIDTH];
    for side in 0..2 {
        for column in 0..8 {
            columns[8 * side + column] = [upper[side][column], lower[side][column]];
        }
    }
    columns
}

impl Simd for Avx2 {
    type Sixteen = [__m256; 2];
    type By = (__m256, __m256);

    #[inline(always)]
    fn zero(self) -> [__m256; 2] {
        [self.none(); 2]
    }

    #[inline(always)]
    fn load(self, from: &Lanes) -> [__m256; 2] {
        let from = from.0.as_ptr();
        // SAFETY: `self` proves the instruction, the reference proves 64 aligned bytes.
        unsafe { [_mm256_load_ps(from), _mm256_load_ps(from.add(8))] }
    }

    #[inline(always)]
    fn store(self, [upper, lower]: [__m256; 2], to: &mut Lanes) {
        let to = to.0.as_mut_ptr();
        // SAFETY: `self` proves the instruction, the reference proves 64 aligned bytes.
        unsafe {
            _mm256_store_ps(to, upper);
            _mm256_store_ps(to.add(8), lower);
        }
    }

    #[inline(always)]
    fn add(self, [a, b]: [__m256; 2], [c, d]: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: `self` proves the instruction.
        unsafe { [_mm256_add_ps(a, c), _mm256_add_ps(b, d)] }
    }

    #[inline(always)]
    fn sub(self, [a, b]: [__m256; 2], [c, d]: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: `self` proves the instruction.
        unsafe { [_mm256_sub_ps(a, c), _mm256_sub_ps(b, d)] }
    }

    #[inline(always)]
    fn by(self, divisor: Divisor) -> Self::By {
        // SAFETY: `self` proves the instruction.
        unsafe { (_mm256_set1_ps(divisor.inverse), _mm256_set1_ps(divisor.rest)) }
    }

    #[inline(always)]
    fn divide(self, [upper, lower]: [__m256; 2], by: Self::By) -> [__m256; 2] {
        [self.divide_eight(upper, by), self.divide_eight(lower, by)]
    }

    #[inline(always)]
    fn transpose(self, rows: [[__m256; 2]; WIDTH]) -> [[__m256; 2]; WIDTH] {
        let mut quarters = [[[self.none(); 8]; 2]; 2];
        for (half, quarters) in quarters.iter_mut().enumerate() {
            for (side, quarter) in quarters.iter_mut().enumerate() {
                let mut eight = [self.none(); 8];
                for (row, value) in eight.iter_mut().enumerate() {
                    *value = rows[8 * half + row][side];
                }
                *quarter = self.transpose_eight(eight);
            }
        }
        let [upper, lower] = quarters;
        halves(upper, lower)
    }

    #[inline(always)]
    fn grey_columns(self, tile: Tile<'_, GREY_BYTES>) -> [[__m256; 2]; WIDTH] {
        halves(
            [self.grey_eight(tile, 0, 0), self.grey_eight(tile, 0, 8)],
            [self.grey_eight(tile, 8, 0), self.grey_eight(tile, 8, 8)],
        )
    }

    #[inline(always)]
    fn rgb_columns(self, tile: Tile<'_, RGB_BYTES>) -> [[__m256; 2]; WIDTH] {
        halves(
            [self.rgb_eight(tile, 0, 0), self.rgb_eight(tile, 0, 24)],
            [self.rgb_eight(tile, 8, 0), self.rgb_eight(tile, 8, 24)],
        )
    }
}
