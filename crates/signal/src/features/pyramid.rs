//! A picture at falling sizes, each a quarter of an octave below the one before.

use super::{Grey, LEVELS, shrink::shrink};

/// How much smaller a level is than the one of its octave.
const QUARTERS: [f64; 4] =
    [1.0, 1.189_207_115_002_721, std::f64::consts::SQRT_2, 1.681_792_830_507_429];

/// One size of a picture that features are taken from.
pub struct Level {
    /// Pixels of a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Which level.
    pub number: u8,
    /// How many pixels of the first level a pixel of this one is, across and down.
    pub scale: (f32, f32),
    /// Smoothed luminance, times 16.
    smooth: Vec<u16>,
    /// Sums of all smoothed luminance above and to the left; one row and column more.
    sums: Vec<u32>,
}

/// The levels of a picture, as far as there is room for a descriptor.
#[must_use]
pub fn levels(base: &Grey, least_side: usize) -> Vec<Level> {
    let mut levels = Vec::new();
    for number in 0..LEVELS {
        let factor = QUARTERS[usize::from(number % 4)] * f64::from(1_u32 << (number / 4));
        let scaled = |length: usize| (length as f64 / factor + 0.5) as usize;
        let size = (scaled(base.width), scaled(base.height));
        if size.0.min(size.1) < least_side {
            break;
        }
        let picture = if number == 0 { base.clone() } else { shrink(base, size) };
        levels.push(Level::new(&picture, number, base));
    }
    levels
}

impl Level {
    fn new(picture: &Grey, number: u8, base: &Grey) -> Self {
        let (width, height) = (picture.width, picture.height);
        let scale = (base.width as f32 / width as f32, base.height as f32 / height as f32);
        let smooth = smoothed(picture);
        let mut sums = vec![0_u32; (width + 1) * (height + 1)];
        for (y, row) in smooth.chunks_exact(width).enumerate() {
            let (above, below) = sums.split_at_mut((y + 1) * (width + 1));
            let above = &above[y * (width + 1) + 1..];
            let mut sum = 0;
            for ((to, above), value) in below[1..].iter_mut().zip(above).zip(row) {
                sum += u32::from(*value);
                *to = above + sum;
            }
        }
        Self { width, height, number, scale, smooth, sums }
    }

    /// Smoothed luminance, times 16; the place must be inside.
    #[must_use]
    #[inline]
    pub fn at(&self, x: i32, y: i32) -> i32 {
        i32::from(self.smooth[y as usize * self.width + x as usize])
    }

    /// A row of smoothed luminance, times 16; it must be inside.
    #[must_use]
    #[inline]
    pub fn row(&self, y: usize) -> &[u16] {
        &self.smooth[y * self.width..][..self.width]
    }

    /// The sum of smoothed luminance of the square with `half` pixels on each side of a place, which
    /// must be inside.
    #[inline]
    pub(super) fn square(&self, x: i32, y: i32, half: i32) -> u32 {
        let stride = self.width + 1;
        let (left, top) = ((x - half) as usize, (y - half) as usize);
        let (right, bottom) = ((x + half + 1) as usize, (y + half + 1) as usize);
        let at = |x: usize, y: usize| self.sums[y * stride + x];
        // Sums of wrapped numbers: the result is right where it fits, and it does.
        at(right, bottom)
            .wrapping_sub(at(left, bottom))
            .wrapping_sub(at(right, top))
            .wrapping_add(at(left, top))
    }
}

/// Filters with the binomial 1 4 6 4 1 across and down; edges are repeated. Times 16.
fn smoothed(picture: &Grey) -> Vec<u16> {
    let (width, height) = (picture.width, picture.height);
    // At most 16 × 255, and in the second step 16 times that: it fits.
    let binomial = |[a, b, c, d, e]: [u16; 5]| a + 4 * (b + d) + 6 * c + e;
    let mut across = vec![0_u16; width * height];
    for (row, out) in picture.bytes.chunks_exact(width).zip(across.chunks_exact_mut(width)) {
        for (to, window) in out.iter_mut().skip(2).zip(row.windows(5)) {
            *to = binomial(std::array::from_fn(|at| u16::from(window[at])));
        }
        for x in [0, 1, width.saturating_sub(2), width - 1].map(|x| x.min(width - 1)) {
            let at = |step: usize| u16::from(row[(x + step).saturating_sub(2).min(width - 1)]);
            out[x] = binomial(std::array::from_fn(at));
        }
    }
    let mut smooth = vec![0_u16; width * height];
    for (y, out) in smooth.chunks_exact_mut(width).enumerate() {
        let [a, b, c, d, e]: [&[u16]; 5] = std::array::from_fn(|step| {
            let y = (y + step).saturating_sub(2).min(height - 1);
            &across[y * width..][..width]
        });
        for x in 0..width {
            out[x] = (binomial([a[x], b[x], c[x], d[x], e[x]]) + 8) >> 4;
        }
    }
    smooth
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As it is described, in one step.
    fn literally(grey: &Grey, x: usize, y: usize) -> u16 {
        let weights = [1_u32, 4, 6, 4, 1];
        let near =
            |at: usize, step: usize, side: usize| (at + step).saturating_sub(2).min(side - 1);
        let sum: u32 = (0..25)
            .map(|at| {
                let (row, column) = (near(y, at / 5, grey.height), near(x, at % 5, grey.width));
                weights[at / 5] * weights[at % 5] * u32::from(grey.bytes[row * grey.width + column])
            })
            .sum();
        ((sum + 8) / 16) as u16
    }

    proptest! {
        #[test]
        fn a_level_is_smooth_and_knows_the_sums_of_squares(
            (width, height) in (1_usize..24, 1_usize..24),
            bytes in proptest::collection::vec(any::<u8>(), 24 * 24),
        ) {
            let grey = Grey { width, height, bytes: bytes[..width * height].to_vec() };
            let level = Level::new(&grey, 0, &grey);
            let at = |x: usize, y: usize| u32::from(literally(&grey, x, y));
            for place in 0..width * height {
                let (x, y) = (place % width, place / width);
                prop_assert_eq!(level.at(x as i32, y as i32) as u32, at(x, y));
                let half = x.min(y).min(width - 1 - x).min(height - 1 - y);
                let square = (x - half..=x + half).flat_map(|x| (y - half..=y + half).map(move |y| (x, y)));
                let sum: u32 = square.map(|(x, y)| at(x, y)).sum();
                prop_assert_eq!(level.square(x as i32, y as i32, half as i32), sum);
            }
        }
    }
}
