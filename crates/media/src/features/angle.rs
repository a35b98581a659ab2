//! Directions in whole numbers, so that every machine finds the same ones.
//!
//! **Invariant:** an angle is a number of 1/256 turns, from right towards down.

use watchfire_signal::features::Level;

/// Angles in 1/256 turn whose tangent is the index / 64.
#[rustfmt::skip]
const ARC: [u8; 65] = [
    0, 1, 1, 2, 3, 3, 4, 4, 5, 6, 6, 7, 8,
    8, 9, 9, 10, 11, 11, 12, 12, 13, 13, 14, 15, 15,
    16, 16, 17, 17, 18, 18, 19, 19, 20, 20, 21, 21, 22,
    22, 23, 23, 24, 24, 25, 25, 25, 26, 26, 27, 27, 27,
    28, 28, 29, 29, 29, 30, 30, 30, 31, 31, 31, 32, 32,
];

/// Bins of the histogram of directions.
const BINS: usize = 32;

/// Steps of 1/256 turn in a bin.
const BIN_STEPS: i32 = 256 / BINS as i32;

/// Pixels around a corner whose gradients say its direction.
pub(super) const RADIUS: i32 = 11;

/// The direction of a vector; 0 of none.
pub(super) fn direction(x: i32, y: i32) -> u8 {
    let (long, short) = (x.abs().max(y.abs()), x.abs().min(y.abs()));
    if long == 0 {
        return 0;
    }
    // At most 64, as `short` is at most `long`.
    let octant = ARC[((short * 64 + long / 2) / long) as usize];
    let first = if y.abs() > x.abs() { 64 - octant } else { octant };
    let half = if x < 0 { 128 - first } else { first };
    if y < 0 { 0_u8.wrapping_sub(half) } else { half }
}

/// The directions in which the picture gets brighter around a place, the strongest first: one, and with
/// `more` those that are at least 80 % as strong.
///
/// Source: Lowe, "Distinctive image features from scale-invariant keypoints" (2004), section 5.
pub(super) fn directions(level: &Level, (x, y): (i32, i32), more: bool) -> Vec<u8> {
    let mut bins = [0_i64; BINS];
    for dy in -RADIUS..=RADIUS {
        let inside = RADIUS * RADIUS - dy * dy;
        let Some(reach) = (0..RADIUS).rev().find(|dx| dx * dx < inside) else { continue };
        let row = |step: i32| level.row((y + dy + step) as usize);
        let (left, wide) = ((x - reach) as usize, 2 * reach as usize + 1);
        let (above, below) = (&row(-1)[left..][..wide], &row(1)[left..][..wide]);
        let here = row(0)[left - 1..][..wide + 2].windows(3);
        for (((here, above), below), dx) in here.zip(above).zip(below).zip(-reach..) {
            let gx = i32::from(here[2]) - i32::from(here[0]);
            let gy = i32::from(*below) - i32::from(*above);
            let (long, short) = (gx.abs().max(gy.abs()), gx.abs().min(gy.abs()));
            // The length of the gradient, within 7 %.
            let length = long + short * 3 / 8;
            let bin =
                usize::from(direction(gx, gy).wrapping_add(BIN_STEPS as u8 / 2) / BIN_STEPS as u8);
            bins[bin] += i64::from(length) * i64::from(inside - dx * dx);
        }
    }
    peaks(&smooth(&smooth(&bins)), more)
}

fn smooth(bins: &[i64; BINS]) -> [i64; BINS] {
    std::array::from_fn(|bin| {
        bins[(bin + BINS - 1) % BINS] + 2 * bins[bin] + bins[(bin + 1) % BINS]
    })
}

fn peaks(bins: &[i64; BINS], more: bool) -> Vec<u8> {
    let around = |bin: usize| (bins[(bin + BINS - 1) % BINS], bins[bin], bins[(bin + 1) % BINS]);
    let is_peak = |bin: &usize| {
        let (before, here, after) = around(*bin);
        here > before && here >= after
    };
    let mut peaks: Vec<usize> = (0..BINS).filter(is_peak).collect();
    peaks.sort_by_key(|bin| (std::cmp::Reverse(bins[*bin]), *bin));
    let Some(&strongest) = peaks.first() else { return vec![0] };
    let wanted =
        |bin: &&usize| **bin == strongest || (more && bins[**bin] * 5 >= bins[strongest] * 4);
    let angle = |bin: &usize| {
        let (before, here, after) = around(*bin);
        let bend = 2 * here - before - after;
        // The top of the parabola through three bins, within half a bin.
        let shift = if bend > 0 { i64::from(BIN_STEPS) * (after - before) / (2 * bend) } else { 0 };
        (*bin as i64 * i64::from(BIN_STEPS) + shift).rem_euclid(256) as u8
    };
    peaks.iter().filter(wanted).take(2).map(angle).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_are_those_of_the_real_arc_tangent() {
        for x in -70_i32..=70 {
            for y in -70_i32..=70 {
                if (x, y) == (0, 0) {
                    continue;
                }
                let exact = f64::from(y).atan2(f64::from(x)) * 128.0 / std::f64::consts::PI;
                let off = (f64::from(direction(x, y)) - exact).rem_euclid(256.0);
                assert!(off.min(256.0 - off) < 1.1, "{x} {y}: {off}");
            }
        }
    }
}
