//! Corners of one level of a picture, spread over it.
//!
//! Source: Harris and Stephens, "A combined corner and edge detector" (1988), in whole numbers.

use watchfire_signal::features::{Level, REACH};

/// Pixels at the edge of a level in which no corner is taken: a descriptor has to fit around it.
pub(super) const MARGIN: i32 = REACH;

/// The least response: weaker ones are noise of the picture's making.
const LEAST: i64 = 30_000_000;

/// Smoothed luminance is times 16; gradients are divided by this so that their products fit.
const GRADIENT_SCALE: i32 = 4;

/// A corner of a level.
#[derive(Debug, Clone, Copy)]
pub(super) struct Corner {
    /// The pixel.
    pub(super) x: i32,
    /// The pixel.
    pub(super) y: i32,
    /// The place between pixels.
    pub(super) exact: (f32, f32),
    /// How much it stands out among those around it; greater is better.
    pub(super) worth: f32,
}

/// The corners of a level, at most `most`, the best first.
pub(super) fn corners(level: &Level, most: usize) -> Vec<Corner> {
    let (width, height) = (level.width as i32, level.height as i32);
    if width.min(height) <= 2 * MARGIN || most == 0 {
        return Vec::new();
    }
    let responses = Responses::of(level);
    let mut found = Vec::new();
    for y in MARGIN..height - MARGIN {
        let row = &responses.values[(y * width) as usize..][..width as usize];
        for x in MARGIN..width - MARGIN {
            let [before, here, after] = [row[x as usize - 1], row[x as usize], row[x as usize + 1]];
            // Most are none by these alone.
            if here >= LEAST && before < here && after <= here && responses.is_peak(x, y) {
                found.push(responses.corner(x, y));
            }
        }
    }
    spread(found, (width * height) as f32, most)
}

/// Lowers the worth of a corner by the number of better ones in its cell, and keeps the best.
fn spread(mut found: Vec<Corner>, area: f32, most: usize) -> Vec<Corner> {
    let by_worth =
        |a: &Corner, b: &Corner| b.worth.total_cmp(&a.worth).then((a.y, a.x).cmp(&(b.y, b.x)));
    found.sort_by(by_worth);
    let side = ((area / most as f32).sqrt() as i32).max(8);
    let mut taken = std::collections::HashMap::<(i32, i32), u32>::new();
    for corner in &mut found {
        let before = taken.entry((corner.x / side, corner.y / side)).or_default();
        *before += 1;
        corner.worth /= *before as f32;
    }
    found.sort_by(by_worth);
    found.truncate(most);
    found
}

/// The response of every pixel.
struct Responses {
    width: usize,
    values: Vec<i64>,
}

impl Responses {
    fn of(level: &Level) -> Self {
        let (width, height) = (level.width, level.height);
        let mut products = [const { Vec::<i32>::new() }; 3];
        for product in &mut products {
            product.resize(width * height, 0);
        }
        let [xx, xy, yy] = &mut products;
        for y in 1..height - 1 {
            let (above, here, below) = (level.row(y - 1), level.row(y), level.row(y + 1));
            let inside = y * width + 1..(y + 1) * width - 1;
            let to =
                xx[inside.clone()].iter_mut().zip(&mut xy[inside.clone()]).zip(&mut yy[inside]);
            let around = here.windows(3).zip(&above[1..]).zip(&below[1..]);
            for (((xx, xy), yy), ((here, above), below)) in to.zip(around) {
                let gx = (i32::from(here[2]) - i32::from(here[0])) / GRADIENT_SCALE;
                let gy = (i32::from(*below) - i32::from(*above)) / GRADIENT_SCALE;
                (*xx, *xy, *yy) = (gx * gx, gx * gy, gy * gy);
            }
        }
        let [xx, xy, yy] = products.map(|product| weighted(&product, width));
        let value = |((xx, xy), yy): ((&i32, &i32), &i32)| {
            let (xx, xy, yy) = (i64::from(*xx), i64::from(*xy), i64::from(*yy));
            // A square is not below zero, and dividing what cannot be is faster.
            let both = ((xx + yy) * (xx + yy)) as u64 / 25;
            xx * yy - xy * xy - both as i64
        };
        let values = xx.iter().zip(&xy).zip(&yy).map(value).collect();
        Self { width, values }
    }

    fn at(&self, x: i32, y: i32) -> i64 {
        self.values[y as usize * self.width + x as usize]
    }

    /// Whether no pixel within two has more, and none before it as much.
    fn is_peak(&self, x: i32, y: i32) -> bool {
        let here = self.at(x, y);
        let mut around = (-2..=2).flat_map(|dy| (-2..=2).map(move |dx| (dx, dy)));
        around.all(|(dx, dy)| {
            let there = self.at(x + dx, y + dy);
            if (dy, dx) < (0, 0) { there < here } else { there <= here }
        })
    }

    fn corner(&self, x: i32, y: i32) -> Corner {
        let here = self.at(x, y) as f64;
        let shift = |before: i64, after: i64| {
            let bend = 2.0 * here - before as f64 - after as f64;
            if bend > 0.0 { ((after - before) as f64 / (2.0 * bend)).clamp(-0.5, 0.5) } else { 0.0 }
        };
        let dx = shift(self.at(x - 1, y), self.at(x + 1, y));
        let dy = shift(self.at(x, y - 1), self.at(x, y + 1));
        let exact = ((f64::from(x) + dx) as f32, (f64::from(y) + dy) as f32);
        // The response grows with the fourth power of contrast.
        Corner { x, y, exact, worth: here.sqrt().sqrt() as f32 }
    }
}

/// Weighs with the binomial 1 4 6 4 1 across and down; nothing is outside of the picture.
fn weighted(values: &[i32], width: usize) -> Vec<i32> {
    let height = values.len() / width;
    let mut across = vec![0_i32; values.len()];
    for y in 0..height {
        let row = &values[y * width..(y + 1) * width];
        let out = &mut across[y * width..(y + 1) * width];
        for (out, window) in out[2..].iter_mut().zip(row.windows(5)) {
            *out = window[0] + 4 * window[1] + 6 * window[2] + 4 * window[3] + window[4];
        }
    }
    let mut both = vec![0_i32; values.len()];
    for y in 2..height.saturating_sub(2) {
        let rows: [&[i32]; 5] =
            std::array::from_fn(|row| &across[(y + row - 2) * width..][..width]);
        let out = &mut both[y * width..][..width];
        for x in 0..width {
            out[x] = rows[0][x] + 4 * rows[1][x] + 6 * rows[2][x] + 4 * rows[3][x] + rows[4][x];
        }
    }
    both
}
