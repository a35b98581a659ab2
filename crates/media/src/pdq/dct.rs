//! Transforms the shrunk picture to 16 × 16 frequencies, turns those, and cuts them to bits.

use std::sync::LazyLock;

use watchfire_signal::pdq::Pdq;

use super::{Dihedral, SMALL, Small};

/// Frequencies kept in each direction: 1 to 16; the constant one says nothing and is left out.
const KEPT: usize = 16;

/// Frequencies of a picture: vertical by row, horizontal by column, row by row.
pub(super) type Coefficients = [[f32; KEPT]; KEPT];

/// Row `i` is the cosine of frequency `i + 1`, sampled at the 64 centres.
static COSINES: LazyLock<[[f32; SMALL]; KEPT]> = LazyLock::new(|| {
    // The scale is cut to f32 before it is multiplied in f64, as in the reference.
    let scale = f64::from((2.0 / SMALL as f64).sqrt() as f32);
    let step = std::f64::consts::PI / 2.0 / SMALL as f64;
    std::array::from_fn(|i| {
        std::array::from_fn(|j| (scale * (step * (i + 1) as f64 * (2 * j + 1) as f64).cos()) as f32)
    })
});

/// The cosines with rows and columns exchanged, so that the second product runs along rows.
static COSINES_BY_SAMPLE: LazyLock<[[f32; KEPT]; SMALL]> =
    LazyLock::new(|| std::array::from_fn(|k| std::array::from_fn(|j| COSINES[j][k])));

/// Cosines × picture × cosines transposed. Every sum runs over the samples in order: a different
/// order would round differently.
#[inline(always)]
pub(super) fn transform(small: &Small) -> Coefficients {
    let (cosines, by_sample) = (&*COSINES, &*COSINES_BY_SAMPLE);
    // Loops and no closures, which would be compiled without the instructions of the caller.
    let mut coefficients = [[0.0_f32; KEPT]; KEPT];
    for (both, weights) in coefficients.iter_mut().zip(cosines) {
        let mut vertical = [0.0_f32; SMALL];
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
    coefficients
}

/// The frequencies of the turned picture: cosines are even or odd about the centre, so mirroring
/// flips signs of odd ones and a quarter turn exchanges directions too.
pub(super) fn turn(from: &Coefficients, by: Dihedral) -> Coefficients {
    let mut to = [[0.0; KEPT]; KEPT];
    for (i, row) in from.iter().enumerate() {
        for (j, value) in row.iter().enumerate() {
            // Index 0 is frequency 1, which is odd.
            let (odd_i, odd_j) = (i % 2 == 0, j % 2 == 0);
            let (transposed, negative) = match by {
                Dihedral::Original => (false, false),
                Dihedral::Rotate90 => (true, odd_j),
                Dihedral::Rotate180 => (false, odd_i != odd_j),
                Dihedral::Rotate270 => (true, odd_i),
                Dihedral::FlipX => (false, odd_i),
                Dihedral::FlipY => (false, odd_j),
                Dihedral::FlipPlus1 => (true, false),
                Dihedral::FlipMinus1 => (true, odd_i != odd_j),
            };
            let (row, column) = if transposed { (j, i) } else { (i, j) };
            to[row][column] = if negative { -value } else { *value };
        }
    }
    to
}

/// One bit a frequency: whether it is above the (lower) median. Frequency (0, 0) is bit 0.
pub(super) fn bits(coefficients: &Coefficients) -> Pdq {
    let mut sorted = *coefficients;
    let (_, median, _) =
        sorted.as_flattened_mut().select_nth_unstable_by(KEPT * KEPT / 2 - 1, f32::total_cmp);
    let mut hash = [0_u8; KEPT * KEPT / 8];
    for (bit, value) in coefficients.as_flattened().iter().enumerate() {
        if *value > *median {
            hash[KEPT * KEPT / 8 - 1 - bit / 8] |= 1 << (bit % 8);
        }
    }
    Pdq(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turning_four_quarters_or_mirroring_twice_gives_the_original() {
        let original: Coefficients =
            std::array::from_fn(|i| std::array::from_fn(|j| (i * 31 + j * 7) as f32 + 1.0));
        let mut turned = original;
        for _ in 0..4 {
            turned = turn(&turned, Dihedral::Rotate90);
        }
        assert_eq!(turned, original);
        for mirror in [Dihedral::FlipX, Dihedral::FlipY, Dihedral::FlipPlus1, Dihedral::FlipMinus1]
        {
            assert_eq!(turn(&turn(&original, mirror), mirror), original);
        }
    }
}
