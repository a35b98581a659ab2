//! Sixteen values at a time in the widest instructions of this machine, so that a filter is written once.
//!
//! A set of instructions is a value that can only be had on a machine that has them; a filter is a
//! [`Task`] that takes any set. Levels with narrower registers hold sixteen values in several.
//!
//! **Invariant:** every level gives the same bits: an operation either rounds as IEEE 754 says, or
//! its proof that it gives the same value stands beside it.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
pub(crate) mod scalar;

/// Values that are worked on side by side.
pub(crate) const WIDTH: usize = 16;

/// Sixteen values in memory: one line of the cache, so that none is read from two.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C, align(64))]
pub(crate) struct Lanes(pub(crate) [f32; WIDTH]);

impl Lanes {
    pub(crate) const ZERO: Self = Self([0.0; WIDTH]);
}

/// Sixteen rows of sixteen pixels within a picture; `BYTES` is what a row of them takes.
///
/// **Invariant:** `bytes` reaches to the end of the last row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tile<'a, const BYTES: usize> {
    bytes: &'a [u8],
    stride: usize,
}

/// Bytes of a row of sixteen pixels of luminance, and of red, green and blue.
pub(crate) const GREY_BYTES: usize = WIDTH;
pub(crate) const RGB_BYTES: usize = 3 * WIDTH;

impl<'a, const BYTES: usize> Tile<'a, BYTES> {
    /// The tile at the beginning of `bytes`, whose rows begin `stride` apart; `None` where it does not fit.
    #[inline(always)]
    pub(crate) fn new(bytes: &'a [u8], stride: usize) -> Option<Self> {
        let end = stride.checked_mul(WIDTH - 1)?.checked_add(BYTES)?;
        (end <= bytes.len()).then_some(Self { bytes, stride })
    }

    /// `N` bytes of a row from byte `at` on.
    #[inline(always)]
    pub(crate) fn part<const N: usize>(self, row: usize, at: usize) -> &'a [u8; N] {
        assert!(row < WIDTH && at + N <= BYTES, "within the tile");
        let start = row * self.stride + at;
        #[allow(unsafe_code)]
        // SAFETY: by the assertion, `start + N` is at most 15 × `stride` + `BYTES`, and `bytes` has as
        // many; an array of bytes has no alignment. With a slice a row, checked each time, a hash
        // took a sixth longer.
        unsafe {
            &*self.bytes.as_ptr().add(start).cast()
        }
    }
}

/// The greatest divisor for which [`Divisor`] is proven; the window of a side of 65,536 pixels.
pub(crate) const MAX_DIVISOR: usize = 512;

/// A whole number to divide by, and its inverse in two parts.
///
/// Let `h` be 1/d rounded to f32 and `l` the rest rounded to f32. Then `fma(a, h, a * l)` is `a / d`,
/// correctly rounded: before its one rounding it differs from the quotient `q` by at most 2⁻⁴⁷ q
/// (2⁻⁴⁹ from each of: rounding of `l`, rounding of `a * l`, and less from the f64 in between), which
/// is at most 2⁻²³ units in the last place. A quotient of a 24-bit number and d is never the middle
/// of two f32 (its numerator would need 25 bits) and stays away from it by 1/(2 d) units, which is
/// 2⁻¹⁰ or more up to [`MAX_DIVISOR`] and more than 2⁻¹¹ for the thousand of luminance.
///
/// Nothing that matters underflows in up to three averages of averages: luminance is a multiple of
/// 2⁻²⁷ and so are its sums; an average is 0 or at least 2⁻³⁶, one of those 2⁻⁶⁸, and of those 2⁻¹⁰⁰.
/// A unit of the last is 2⁻¹²³, and `a * l` loses at most 2⁻¹⁵⁰.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Divisor {
    pub(crate) value: f32,
    pub(crate) inverse: f32,
    pub(crate) rest: f32,
}

impl Divisor {
    /// Turns every value to zero.
    pub(crate) const NOTHING: Self = Self { value: f32::INFINITY, inverse: 0.0, rest: 0.0 };

    /// Divides by this many.
    pub(crate) fn by(number: usize) -> Self {
        let exact = 1.0 / number as f64;
        let inverse = exact as f32;
        Self { value: number as f32, inverse, rest: (exact - f64::from(inverse)) as f32 }
    }
}

/// A set of instructions.
///
/// An operation inside of a closure is not inlined: use loops.
pub(crate) trait Simd: Copy {
    /// Sixteen values in registers.
    type Sixteen: Copy;
    /// A [`Divisor`] in registers.
    type By: Copy;

    fn zero(self) -> Self::Sixteen;
    fn load(self, from: &Lanes) -> Self::Sixteen;
    fn store(self, value: Self::Sixteen, to: &mut Lanes);
    fn add(self, a: Self::Sixteen, b: Self::Sixteen) -> Self::Sixteen;
    fn sub(self, a: Self::Sixteen, b: Self::Sixteen) -> Self::Sixteen;
    fn by(self, divisor: Divisor) -> Self::By;
    fn divide(self, a: Self::Sixteen, by: Self::By) -> Self::Sixteen;
    /// Rows to columns.
    fn transpose(self, rows: [Self::Sixteen; WIDTH]) -> [Self::Sixteen; WIDTH];
    /// Sixteen columns of sixteen rows of luminance.
    fn grey_columns(self, tile: Tile<'_, GREY_BYTES>) -> [Self::Sixteen; WIDTH];
    /// Sixteen columns of sixteen rows: luminance of red, green and blue.
    fn rgb_columns(self, tile: Tile<'_, RGB_BYTES>) -> [Self::Sixteen; WIDTH];
}

/// Work that is written for any set of instructions; `run` must be `#[inline(always)]`, so that it
/// is compiled once for each.
pub(crate) trait Task {
    type Output;
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// Which instructions are used.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Level {
    /// What every machine has.
    Scalar,
    /// AVX2 with FMA, on x86-64.
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Avx2),
    /// AVX-512 with VNNI, on x86-64.
    #[cfg(target_arch = "x86_64")]
    Avx512(avx512::Avx512),
}

impl Level {
    /// The fastest level of this machine.
    pub(crate) fn best() -> Self {
        Self::all().last().unwrap_or(Self::Scalar)
    }

    /// Every level of this machine, the fastest last.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let scalar = std::iter::once(Self::Scalar);
        #[cfg(target_arch = "x86_64")]
        return scalar
            .chain(avx2::Avx2::detect().map(Self::Avx2))
            .chain(avx512::Avx512::detect().map(Self::Avx512));
        #[cfg(not(target_arch = "x86_64"))]
        scalar
    }

    /// What people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "AVX-512",
        }
    }

    /// Runs the task with these instructions.
    pub(crate) fn run<T: Task>(self, task: T) -> T::Output {
        match self {
            Self::Scalar => task.run(scalar::Scalar),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => simd.run(task),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(simd) => simd.run(task),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Divide([f32; WIDTH], usize);

    impl Task for Divide {
        type Output = [f32; WIDTH];

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> [f32; WIDTH] {
            let mut quotients = Lanes::ZERO;
            let by = simd.by(Divisor::by(self.1));
            simd.store(simd.divide(simd.load(&Lanes(self.0)), by), &mut quotients);
            quotients.0
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn every_level_divides_as_the_division_does(
            mantissas: [u32; WIDTH], exponent in -67_i32..30, bits in 0_u32..=9, divisor: u32,
        ) {
            let divisor = 1 + (divisor % (1 << bits)) as usize;
            let values = mantissas.map(|m| (m.cast_signed() >> 7) as f32 * 2.0_f32.powi(exponent - 24));
            let expected = values.map(|value| (value / divisor as f32).to_bits());
            for level in Level::all() {
                prop_assert_eq!(level.run(Divide(values, divisor)).map(f32::to_bits), expected);
            }
        }
    }

    #[test]
    fn every_level_divides_every_sum_of_weights_by_a_thousand() {
        for first in (0..=255_000_u32).step_by(WIDTH) {
            let values = std::array::from_fn(|lane| (first + lane as u32) as f32);
            for level in Level::all() {
                assert_eq!(level.run(Divide(values, 1000)), values.map(|value| value / 1000.0));
            }
        }
    }
}
