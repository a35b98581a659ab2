//! Sixteen values at a time with AVX-512, on x86-64.
//!
//! **Invariant:** an [`Avx512`] exists only on a machine with the extensions that
//! [`Avx512::detect`] names; that is the proof for every instruction below.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m128i, __m512, __m512i, _mm_loadu_si128, _mm512_add_ps, _mm512_broadcast_i32x4,
    _mm512_castsi128_si512, _mm512_cvtepi32_ps, _mm512_dpbusd_epi32, _mm512_fmadd_ps,
    _mm512_inserti32x4, _mm512_load_ps, _mm512_mul_ps, _mm512_set1_epi32, _mm512_set1_ps,
    _mm512_setzero_ps, _mm512_setzero_si512, _mm512_shuffle_epi8, _mm512_shuffle_f32x4,
    _mm512_shuffle_ps, _mm512_slli_epi32, _mm512_store_ps, _mm512_sub_ps, _mm512_unpackhi_epi8,
    _mm512_unpackhi_epi16, _mm512_unpackhi_ps, _mm512_unpacklo_epi8, _mm512_unpacklo_epi16,
    _mm512_unpacklo_ps,
};

use super::{Divisor, GREY_BYTES, Lanes, RGB_BYTES, Simd, Task, Tile, WIDTH};

/// Weights of red, green and blue in eighths of thousandths, a byte each, because the instruction
/// takes bytes: 8 × 37 + 3 is 299, 8 × 73 + 3 is 587, 8 × 14 + 2 is 114.
const EIGHTS: i32 = i32::from_le_bytes([37, 73, 14, 0]);
const ONES: i32 = i32::from_le_bytes([3, 3, 2, 0]);
/// What makes luminance of thousandths.
const THOUSAND: usize = 1000;

/// A place that gives zero.
const NONE: u8 = 0x80;

/// Where the bytes of four pixels of three go that begin at `at`: four bytes for each, the last zero.
const fn spread_colours(at: u8) -> [u8; 16] {
    let mut places = [NONE; 16];
    let mut to = 0;
    while to < 16 {
        if to % 4 < 3 {
            places[to] = at + (to / 4 * 3 + to % 4) as u8;
        }
        to += 1;
    }
    places
}

/// Makes four numbers of the four bytes at `at`.
const fn spread_bytes(at: u8) -> [u8; 16] {
    let mut places = [NONE; 16];
    let mut to = 0;
    while to < 4 {
        places[4 * to] = at + to as u8;
        to += 1;
    }
    places
}

/// Proof that this machine has AVX-512 with what is used here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx512(());

impl Avx512 {
    /// `None` on a machine without it.
    pub(crate) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vnni");
        has.then_some(Self(()))
    }

    /// Runs a task that is compiled for it.
    pub(crate) fn run<T: Task>(self, task: T) -> T::Output {
        #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
        fn compiled<T: Task>(simd: Avx512, task: T) -> T::Output {
            task.run(simd)
        }
        // SAFETY: an `Avx512` is the proof that the machine has them.
        unsafe { compiled(self, task) }
    }

    /// Rows to columns within each four lanes.
    #[inline(always)]
    fn transpose_quarters(self, [a, b, c, d]: [__m512; 4]) -> [__m512; 4] {
        // SAFETY: `self` proves the instructions.
        unsafe {
            let (ab, cd) = (_mm512_unpacklo_ps(a, b), _mm512_unpacklo_ps(c, d));
            let (ab_high, cd_high) = (_mm512_unpackhi_ps(a, b), _mm512_unpackhi_ps(c, d));
            [
                _mm512_shuffle_ps::<0x44>(ab, cd),
                _mm512_shuffle_ps::<0xee>(ab, cd),
                _mm512_shuffle_ps::<0x44>(ab_high, cd_high),
                _mm512_shuffle_ps::<0xee>(ab_high, cd_high),
            ]
        }
    }

    /// Rows to columns, where four lanes count as one value.
    #[inline(always)]
    fn transpose_fours(self, [a, b, c, d]: [__m512; 4]) -> [__m512; 4] {
        // SAFETY: `self` proves the instructions.
        unsafe {
            let (ab, cd) = (_mm512_shuffle_f32x4::<0x44>(a, b), _mm512_shuffle_f32x4::<0x44>(c, d));
            let (ab_high, cd_high) =
                (_mm512_shuffle_f32x4::<0xee>(a, b), _mm512_shuffle_f32x4::<0xee>(c, d));
            [
                _mm512_shuffle_f32x4::<0x88>(ab, cd),
                _mm512_shuffle_f32x4::<0xdd>(ab, cd),
                _mm512_shuffle_f32x4::<0x88>(ab_high, cd_high),
                _mm512_shuffle_f32x4::<0xdd>(ab_high, cd_high),
            ]
        }
    }

    /// Sixteen bytes that begin at `at` from each of the rows `row`, `row + 4`, `row + 8`, `row + 12`.
    #[inline(always)]
    fn every_fourth<const BYTES: usize>(
        self,
        tile: Tile<'_, BYTES>,
        row: usize,
        at: usize,
    ) -> __m512i {
        let (a, b) = (self.bytes(tile.part(row, at)), self.bytes(tile.part(row + 4, at)));
        let (c, d) = (self.bytes(tile.part(row + 8, at)), self.bytes(tile.part(row + 12, at)));
        // SAFETY: `self` proves the instructions.
        unsafe {
            let ab = _mm512_inserti32x4::<1>(_mm512_castsi128_si512(a), b);
            _mm512_inserti32x4::<3>(_mm512_inserti32x4::<2>(ab, c), d)
        }
    }

    #[inline(always)]
    fn bytes(self, from: &[u8; 16]) -> __m128i {
        // SAFETY: `self` proves the instruction, the reference 16 bytes.
        unsafe { _mm_loadu_si128(from.as_ptr().cast()) }
    }

    /// Four columns of luminance of colours that begin at byte `AT`, of which the first is at `FIRST`.
    #[inline(always)]
    fn four_columns<const AT: usize, const FIRST: u8>(
        self,
        tile: Tile<'_, RGB_BYTES>,
    ) -> [__m512; 4] {
        let by = self.by(Divisor::by(THOUSAND));
        let places = const { spread_colours(FIRST) };
        let mut rows = [self.zero(); 4];
        for (row, value) in rows.iter_mut().enumerate() {
            let pixels = self.move_bytes(self.every_fourth(tile, row, AT), &places);
            *value = self.divide(self.thousandths(pixels), by);
        }
        self.transpose_quarters(rows)
    }

    /// Moves bytes within each sixteen.
    #[inline(always)]
    fn move_bytes(self, bytes: __m512i, places: &[u8; 16]) -> __m512i {
        // SAFETY: `self` proves the instructions, the reference 16 bytes.
        unsafe {
            let places = _mm512_broadcast_i32x4(_mm_loadu_si128(places.as_ptr().cast()));
            _mm512_shuffle_epi8(bytes, places)
        }
    }

    /// Luminance times 1000 of four pixels of each of four rows, a byte of zero behind each pixel.
    /// Whole numbers up to 255,000: exact.
    #[inline(always)]
    fn thousandths(self, pixels: __m512i) -> __m512 {
        // SAFETY: `self` proves the instructions.
        unsafe {
            let eights =
                _mm512_dpbusd_epi32(_mm512_setzero_si512(), pixels, _mm512_set1_epi32(EIGHTS));
            let eights = _mm512_slli_epi32::<3>(eights);
            _mm512_cvtepi32_ps(_mm512_dpbusd_epi32(eights, pixels, _mm512_set1_epi32(ONES)))
        }
    }
}

impl Simd for Avx512 {
    type Sixteen = __m512;
    type By = (__m512, __m512);

    #[inline(always)]
    fn zero(self) -> __m512 {
        // SAFETY: `self` proves the instruction.
        unsafe { _mm512_setzero_ps() }
    }

    #[inline(always)]
    fn load(self, from: &Lanes) -> __m512 {
        // SAFETY: `self` proves the instruction, the reference proves 64 aligned bytes.
        unsafe { _mm512_load_ps(from.0.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, value: __m512, to: &mut Lanes) {
        // SAFETY: `self` proves the instruction, the reference proves 64 aligned bytes.
        unsafe { _mm512_store_ps(to.0.as_mut_ptr(), value) }
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves the instruction.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves the instruction.
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    fn by(self, divisor: Divisor) -> Self::By {
        // SAFETY: `self` proves the instruction.
        unsafe { (_mm512_set1_ps(divisor.inverse), _mm512_set1_ps(divisor.rest)) }
    }

    #[inline(always)]
    fn divide(self, a: __m512, (inverse, rest): Self::By) -> __m512 {
        // SAFETY: `self` proves the instructions; [`Divisor`] proves the value.
        unsafe { _mm512_fmadd_ps(a, inverse, _mm512_mul_ps(a, rest)) }
    }

    #[inline(always)]
    fn transpose(self, rows: [__m512; WIDTH]) -> [__m512; WIDTH] {
        let (mut quarters, mut columns) = (rows, rows);
        for (to, from) in quarters.as_chunks_mut().0.iter_mut().zip(rows.as_chunks().0) {
            *to = self.transpose_quarters(*from);
        }
        for column in 0..4 {
            let (a, b) = (quarters[column], quarters[column + 4]);
            let (c, d) = (quarters[column + 8], quarters[column + 12]);
            let four = self.transpose_fours([a, b, c, d]);
            for (to, value) in four.into_iter().enumerate() {
                columns[column + 4 * to] = value;
            }
        }
        columns
    }

    #[inline(always)]
    fn grey_columns(self, tile: Tile<'_, GREY_BYTES>) -> [__m512; WIDTH] {
        let (a, b) = (self.every_fourth(tile, 0, 0), self.every_fourth(tile, 1, 0));
        let (c, d) = (self.every_fourth(tile, 2, 0), self.every_fourth(tile, 3, 0));
        // SAFETY: `self` proves the instructions.
        let fours = unsafe {
            let (ab, cd) = (_mm512_unpacklo_epi8(a, b), _mm512_unpacklo_epi8(c, d));
            let (ab_high, cd_high) = (_mm512_unpackhi_epi8(a, b), _mm512_unpackhi_epi8(c, d));
            [
                _mm512_unpacklo_epi16(ab, cd),
                _mm512_unpackhi_epi16(ab, cd),
                _mm512_unpacklo_epi16(ab_high, cd_high),
                _mm512_unpackhi_epi16(ab_high, cd_high),
            ]
        };
        // Each sixteen bytes of a register have four columns of four rows now.
        const PLACES: [[u8; 16]; 4] =
            [spread_bytes(0), spread_bytes(4), spread_bytes(8), spread_bytes(12)];
        let mut columns = [self.zero(); WIDTH];
        for (columns, four) in columns.as_chunks_mut::<4>().0.iter_mut().zip(fours) {
            for (column, places) in columns.iter_mut().zip(&PLACES) {
                let numbers = self.move_bytes(four, places);
                // SAFETY: `self` proves the instruction.
                *column = unsafe { _mm512_cvtepi32_ps(numbers) };
            }
        }
        columns
    }

    #[inline(always)]
    fn rgb_columns(self, tile: Tile<'_, RGB_BYTES>) -> [__m512; WIDTH] {
        let [a, b, c, d] = self.four_columns::<0, 0>(tile);
        let [e, f, g, h] = self.four_columns::<12, 0>(tile);
        let [i, j, k, l] = self.four_columns::<24, 0>(tile);
        // The last four are read from four bytes before them: nothing behind the row is touched.
        let [m, n, o, p] = self.four_columns::<32, 4>(tile);
        [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
    }
}
