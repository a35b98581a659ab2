//! Transforms a shrunk picture to 16 × 16 frequencies, and cuts them to the bits of its hash.
//!
//! **Invariant:** the same samples give the same bits on every processor.

use std::sync::LazyLock;

use super::Pdq;

/// The side of the square that a picture is shrunk to before it is transformed.
pub const SIDE: usize = 64;

/// Frequencies kept in each direction: 1 to 16; the constant one says nothing and is left out.
pub const KEPT: usize = 16;

/// A picture's luminance after filtering and shrinking, row by row.
pub type Small = [[f32; SIDE]; SIDE];

/// Frequencies of a picture: vertical by row, horizontal by column, row by row.
pub type Frequencies = [[f32; KEPT]; KEPT];

/// Row `i` is the cosine of frequency `i + 1`, sampled at the 64 centres.
static COSINES: LazyLock<[[f32; SIDE]; KEPT]> = LazyLock::new(|| {
    // The scale is cut to f32 before it is multiplied in f64, as in the reference.
    let scale = f64::from((2.0 / SIDE as f64).sqrt() as f32);
    let step = std::f64::consts::PI / 2.0 / SIDE as f64;
    std::array::from_fn(|i| {
        std::array::from_fn(|j| (scale * (step * (i + 1) as f64 * (2 * j + 1) as f64).cos()) as f32)
    })
});

/// The cosines with rows and columns exchanged, so that the second product runs along rows.
static COSINES_BY_SAMPLE: LazyLock<[[f32; KEPT]; SIDE]> =
    LazyLock::new(|| std::array::from_fn(|k| std::array::from_fn(|j| COSINES[j][k])));

/// Cosines × picture × cosines transposed. Every sum runs over the samples in order: a different
/// order would round differently.
#[inline(always)]
#[must_use]
pub fn transform(small: &Small) -> Frequencies {
    let (cosines, by_sample) = (&*COSINES, &*COSINES_BY_SAMPLE);
    // Loops and no closures, which would be compiled without the instructions of the caller.
    let mut frequencies = [[0.0_f32; KEPT]; KEPT];
    for (both, weights) in frequencies.iter_mut().zip(cosines) {
        let mut vertical = [0.0_f32; SIDE];
        for (weight, row) in weights.iter().zip(small) {
            for (sum, value) in vertical.iter_mut().zip(row) {
                *sum += weight * value;
            }
        }
        for (value, weights) in vertical.iter().zip(by_sample) {
            for (sum, weight) in both.iter_mut().zip(weights) {
                *sum += value * weight;
            }
        }
    }
    frequencies
}

/// One bit a frequency: whether it is above the (lower) median. Frequency (0, 0) is bit 0.
#[must_use]
pub fn bits(frequencies: &Frequencies) -> Pdq {
    let mut sorted = *frequencies;
    let (_, median, _) =
        sorted.as_flattened_mut().select_nth_unstable_by(KEPT * KEPT / 2 - 1, f32::total_cmp);
    let mut hash = [0_u8; KEPT * KEPT / 8];
    for (bit, value) in frequencies.as_flattened().iter().enumerate() {
        if *value > *median {
            hash[KEPT * KEPT / 8 - 1 - bit / 8] |= 1 << (bit % 8);
        }
    }
    Pdq(hash)
}
