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
        for y in 0..height {
            let mut row = 0;
            for x in 0..width {
                row += u32::from(smooth[y * width + x]);
                sums[(y + 1) * (width + 1) + x + 1] = sums[y * (width + 1) + x + 1] + row;
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

    /// How luminance rises to the right and down; the place must be inside by a pixel.
    #[must_use]
    #[inline]
    pub fn gradient(&self, x: i32, y: i32) -> (i32, i32) {
        (self.at(x + 1, y) - self.at(x - 1, y), self.at(x, y + 1) - self.at(x, y - 1))
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
    let mut across = vec![0_u32; width * height];
    for (row, out) in picture.bytes.chunks_exact(width).zip(across.chunks_exact_mut(width)) {
        for (x, value) in out.iter_mut().enumerate() {
            let at = |dx: isize| u32::from(row[x.saturating_add_signed(dx).min(width - 1)]);
            *value = at(-2) + 4 * at(-1) + 6 * at(0) + 4 * at(1) + at(2);
        }
    }
    let mut smooth = Vec::with_capacity(width * height);
    for y in 0..height {
        let row = |dy: isize| {
            let y = y.saturating_add_signed(dy).min(height - 1);
            &across[y * width..(y + 1) * width]
        };
        let rows = [row(-2), row(-1), row(0), row(1), row(2)];
        smooth.extend((0..width).map(|x| {
            let [a, b, c, d, e] = rows.map(|row| row[x]);
            ((a + 4 * b + 6 * c + 4 * d + e + 8) >> 4) as u16
        }));
    }
    smooth
}
