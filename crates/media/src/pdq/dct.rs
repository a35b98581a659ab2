//! Turns and mirrors the frequencies of a picture.

use watchfire_signal::pdq::frequencies::{Frequencies, KEPT};

use super::Dihedral;

/// The frequencies of the turned picture: cosines are even or odd about the centre, so mirroring
/// flips signs of odd ones and a quarter turn exchanges directions too.
pub(super) fn turn(from: &Frequencies, by: Dihedral) -> Frequencies {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turning_four_quarters_or_mirroring_twice_gives_the_original() {
        let original: Frequencies =
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
