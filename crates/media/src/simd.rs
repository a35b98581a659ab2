//! Eight values at a time in the widest instructions of this machine, so that a filter is written once.
//!
//! A set of instructions is a value that can only be had on a machine that has them; a filter is a
//! [`Task`] that takes any set. AVX-512 is one more file like [`avx2`] and one more [`Level`].
//!
//! **Invariant:** every level gives the same bits: an operation either rounds as IEEE 754 says, or
//! its proof that it gives the same value stands beside it.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
pub(crate) mod scalar;

/// Eight values in memory.
pub(crate) type Lanes = [f32; 8];

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
    /// Eight values in registers.
    type Eight: Copy;
    /// A [`Divisor`] in registers.
    type By: Copy;

    fn zero(self) -> Self::Eight;
    fn load(self, from: &Lanes) -> Self::Eight;
    fn store(self, value: Self::Eight, to: &mut Lanes);
    fn add(self, a: Self::Eight, b: Self::Eight) -> Self::Eight;
    fn sub(self, a: Self::Eight, b: Self::Eight) -> Self::Eight;
    fn by(self, divisor: Divisor) -> Self::By;
    fn divide(self, a: Self::Eight, by: Self::By) -> Self::Eight;
    /// Rows to columns.
    fn transpose(self, rows: [Self::Eight; 8]) -> [Self::Eight; 8];
    /// Stores eight columns as rows.
    fn store_rows(self, columns: [Self::Eight; 8], rows: &mut [Lanes; 8]);
    /// Eight columns of eight rows of luminance.
    fn grey_columns(self, rows: &[&[[u8; 8]]; 8], block: usize) -> [Self::Eight; 8];
    /// Eight columns of eight rows: luminance of red, green and blue.
    fn rgb_columns(self, rows: &[&[[u8; 24]]; 8], block: usize) -> [Self::Eight; 8];
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
}

impl Level {
    /// The fastest level of this machine.
    pub(crate) fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = avx2::Avx2::detect() {
            return Self::Avx2(simd);
        }
        Self::Scalar
    }

    /// Every level of this machine.
    #[cfg(test)]
    pub(crate) fn all() -> Vec<Self> {
        let mut levels = vec![Self::Scalar];
        #[cfg(target_arch = "x86_64")]
        levels.extend(avx2::Avx2::detect().map(Self::Avx2));
        levels
    }

    /// Runs the task with these instructions.
    pub(crate) fn run<T: Task>(self, task: T) -> T::Output {
        match self {
            Self::Scalar => task.run(scalar::Scalar),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => simd.run(task),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Divide(Lanes, usize);

    impl Task for Divide {
        type Output = Lanes;

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> Lanes {
            let mut quotients = [0.0; 8];
            let by = simd.by(Divisor::by(self.1));
            simd.store(simd.divide(simd.load(&self.0), by), &mut quotients);
            quotients
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn every_level_divides_as_the_division_does(
            mantissas: [u32; 8], exponent in -67_i32..30, bits in 0_u32..=9, divisor: u32,
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
        for first in (0..=255_000_u32).step_by(8) {
            let values = std::array::from_fn(|lane| (first + lane as u32) as f32);
            for level in Level::all() {
                assert_eq!(level.run(Divide(values, 1000)), values.map(|value| value / 1000.0));
            }
        }
    }
}
