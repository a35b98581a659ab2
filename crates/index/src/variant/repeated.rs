//! Tells which places of a picture look like others of the same picture: the letters of a watermark that is written all over it, bricks, windows.
//!
//! What agrees at such places may be the pattern alone. Source of the idea, there as a ratio of two
//! distances: Lowe, "Distinctive image features from scale-invariant keypoints" (2004), section 7.1.

use watchfire_signal::features::Feature;

use super::{
    VOTE_BITS,
    table::{distance, words},
};

/// How far apart two places are that are not one corner seen at two sizes, in pixels: the reach of a
/// descriptor.
const APART: f32 = 24.0;

/// For each feature whether another one, not close by, is as near as a vote: of unrelated places one
/// pair of a few thousand is, so that of 400 hardly one is so by chance.
pub(super) fn repeated(features: &[Feature]) -> Vec<bool> {
    let bits: Vec<[u64; 4]> = features.iter().map(|one| words(&one.descriptor)).collect();
    let mut repeated = vec![false; features.len()];
    for a in 0..features.len() {
        for b in 0..a {
            if distance(&bits[a], &bits[b]) <= VOTE_BITS && are_apart(&features[a], &features[b]) {
                (repeated[a], repeated[b]) = (true, true);
            }
        }
    }
    repeated
}

fn are_apart(a: &Feature, b: &Feature) -> bool {
    let ((ax, ay), (bx, by)) = (a.place(), b.place());
    (ax - bx).abs().max((ay - by).abs()) > APART
}

#[cfg(test)]
mod tests {
    use watchfire_signal::features::{Descriptor, UNITS};

    use super::*;

    fn feature(byte: u8, x: u16) -> Feature {
        Feature {
            descriptor: Descriptor([byte; 32]),
            x: x * UNITS,
            y: 90 * UNITS,
            level: 0,
            angle: 0,
        }
    }

    #[test]
    fn a_letter_that_is_written_twice_is_repeated_and_one_seen_at_two_sizes_is_not() {
        let near = Feature { level: 4, ..feature(0x33, 66) };
        let features =
            [feature(0, 10), feature(0x33, 60), near, feature(0x0f, 100), feature(0x0f, 200)];
        assert_eq!(repeated(&features), [false, false, false, true, true]);
    }
}
