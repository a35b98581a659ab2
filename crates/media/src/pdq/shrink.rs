//! Filters a picture's luminance with the Jarosz (tent) filter and picks 64 × 64 centres, in one pass.
//!
//! The filter is two box averages along rows and two along columns, in turn. Each average is a
//! running sum, so it can follow the picture from top to bottom; eight rows go together, because a
//! running sum along a row can only be sped up by running eight of them side by side.
//!
//! **Invariant:** every sum adds and subtracts in the order of the reference, because f32 sums round.

use super::{Layout, Pixels, SMALL, Small};

/// Rows that are filtered side by side; also the columns of the blocks that are transposed.
const STRIP: usize = 8;

/// One value for each row of a strip.
type Lanes = [f32; STRIP];

/// Weights of luminance in thousandths: 0.299, 0.587 and 0.114.
const RED: f32 = 299.0;
const GREEN: f32 = 587.0;
const BLUE: f32 = 114.0;

/// A running sum over a window whose length is `window`, centred as in the reference: the output
/// for position `p` covers `window` values that end at `p + lag`, fewer at both ends.
#[derive(Debug, Clone, Copy)]
struct Window {
    len: usize,
    lag: usize,
}

impl Window {
    /// The window along a side of this many pixels: a 128th of it, rounded up.
    fn along(side: usize) -> Self {
        let len = side.div_ceil(2 * SMALL);
        Self { len, lag: len / 2 }
    }
}

/// Filters and shrinks; keeps its buffers from picture to picture.
#[derive(Debug, Default)]
pub(super) struct Shrinker {
    /// Eight rows of the picture, before they are transposed.
    strip: Vec<f32>,
    /// The same eight rows, column by column.
    lanes: Vec<Lanes>,
    /// The last rows that left the first average along rows.
    first: Rows,
    /// The last rows that left the second one, only at the 64 columns that are picked.
    second: Rows,
    /// Rows that left the first average along columns; handed on when eight are there.
    between: Vec<f32>,
}

/// The last rows of a picture and, for each column, the running sum of those in the window.
#[derive(Debug, Default)]
struct Rows {
    width: usize,
    capacity: usize,
    values: Vec<f32>,
    sums: Vec<f32>,
}

impl Rows {
    /// Prepares for rows of this width of which the last `window + STRIP` are remembered.
    fn start(&mut self, width: usize, window: Window) {
        self.width = width;
        // Whole strips, so that a strip never wraps around.
        self.capacity = (window.len + STRIP).next_multiple_of(STRIP);
        self.values.resize(self.capacity * width, 0.0);
        self.sums.clear();
        self.sums.resize(width, 0.0);
    }

    /// The rows `top..top + STRIP`, to be written; `top` is a multiple of [`STRIP`].
    fn strip_mut(&mut self, top: usize) -> [&mut [f32]; STRIP] {
        let start = top % self.capacity * self.width;
        let mut rows = self.values[start..].chunks_exact_mut(self.width);
        std::array::from_fn(|_| rows.next().unwrap_or_default())
    }

    /// Moves the window down: adds the row that enters, then subtracts the one that leaves.
    fn slide(&mut self, step: Step) {
        let row = |number: usize| {
            let start = number % self.capacity * self.width;
            &self.values[start..start + self.width]
        };
        match (step.enters, step.leaves) {
            (Some(enters), Some(leaves)) => {
                let rows = row(enters).iter().zip(row(leaves));
                for (sum, (enters, leaves)) in self.sums.iter_mut().zip(rows) {
                    *sum = *sum + enters - leaves;
                }
            }
            (Some(enters), None) => {
                for (sum, enters) in self.sums.iter_mut().zip(row(enters)) {
                    *sum += enters;
                }
            }
            (None, Some(leaves)) => {
                for (sum, leaves) in self.sums.iter_mut().zip(row(leaves)) {
                    *sum -= leaves;
                }
            }
            (None, None) => {}
        }
    }
}

/// One move of a window: what enters, what leaves, how many values it then covers, and the position
/// that the sum belongs to, if any.
#[derive(Debug, Clone, Copy)]
struct Step {
    enters: Option<usize>,
    leaves: Option<usize>,
    covers: usize,
    output: Option<usize>,
}

impl Window {
    /// Step `number` along a side of `side` values; there are `side + lag` steps.
    fn step(self, number: usize, side: usize) -> Step {
        let Self { len, lag } = self;
        let leaves = number.checked_sub(len);
        let first = leaves.map_or(0, |left| left + 1);
        Step {
            enters: (number < side).then_some(number),
            leaves,
            covers: (number + 1).min(side) - first,
            output: number.checked_sub(lag),
        }
    }
}

/// The average along each of eight rows at once; `emit` gets position, sums, and the number of
/// values in each sum.
#[inline(always)]
fn box_along(lanes: &[Lanes], window: Window, mut emit: impl FnMut(usize, &Lanes, usize)) {
    let Window { len, lag } = window;
    let side = lanes.len();
    let mut sum = [0.0; STRIP];
    for (number, enters) in lanes.iter().take(len).enumerate() {
        sum = std::array::from_fn(|lane| sum[lane] + enters[lane]);
        if let Some(position) = number.checked_sub(lag) {
            emit(position, &sum, number + 1);
        }
    }
    for (number, (enters, leaves)) in lanes.iter().skip(len).zip(lanes).enumerate() {
        sum = std::array::from_fn(|lane| sum[lane] + enters[lane] - leaves[lane]);
        emit(number + len - lag, &sum, len);
    }
    for (number, leaves) in lanes.iter().skip(side - len).take(lag).enumerate() {
        sum = std::array::from_fn(|lane| sum[lane] - leaves[lane]);
        emit(side - lag + number, &sum, len - 1 - number);
    }
}

/// The position in a side of this many pixels that cell `cell` of 64 is taken from: its centre.
fn centre(cell: usize, side: usize) -> usize {
    (2 * cell + 1) * side / (2 * SMALL)
}

/// Luminance of a run of pixels.
///
/// The reference computes 0.299 R + 0.587 G + 0.114 B in f64 and rounds to f32. The sum of whole
/// thousandths is exact in f32, and one division rounds it to the same value: a sum that is not a
/// whole number of eighths is too far from every midpoint for the errors in f64 to matter.
#[inline(always)]
fn luminance(layout: Layout, bytes: &[u8], to: &mut [f32]) {
    match layout {
        Layout::Grey => {
            for (value, byte) in to.iter_mut().zip(bytes) {
                *value = f32::from(*byte);
            }
        }
        Layout::Rgb => {
            for (value, rgb) in to.iter_mut().zip(bytes.as_chunks::<3>().0) {
                let [red, green, blue] = rgb.map(f32::from);
                *value = (RED * red + GREEN * green + BLUE * blue) / 1000.0;
            }
        }
    }
}

/// Rows of `width` values to columns of eight.
#[inline(always)]
fn transpose(strip: &[f32], width: usize, lanes: &mut [Lanes]) {
    let mut rows: [&[f32]; STRIP] = [&[]; STRIP];
    for (row, values) in rows.iter_mut().zip(strip.chunks_exact(width)) {
        *row = values;
    }
    for (column, lanes) in lanes.iter_mut().enumerate() {
        *lanes = std::array::from_fn(|row| rows[row].get(column).copied().unwrap_or(0.0));
    }
}

impl Shrinker {
    /// Filters the picture and takes the 64 × 64 centres.
    pub(super) fn shrink(&mut self, pixels: Pixels<'_>) -> Small {
        let (width, height) = (pixels.width as usize, pixels.height as usize);
        let mut small = [[0.0; SMALL]; SMALL];
        if (width, height) == (SMALL, SMALL) {
            luminance(pixels.layout, pixels.bytes, small.as_flattened_mut());
            return small;
        }
        let (across, down) = (Window::along(width), Window::along(height));
        self.strip.resize(STRIP * width, 0.0);
        self.between.resize(STRIP * width, 0.0);
        self.lanes.resize(width, [0.0; STRIP]);
        self.first.start(width, down);
        self.second.start(SMALL, down);
        let columns = std::array::from_fn(|cell| centre(cell, width));
        let mut pass =
            Pass { buffers: self, width, height, across, down, columns, picked: 0, small };
        pass.run(pixels);
        small = pass.small;
        small
    }
}

/// One picture on its way through the filters.
struct Pass<'a> {
    buffers: &'a mut Shrinker,
    width: usize,
    height: usize,
    across: Window,
    down: Window,
    columns: [usize; SMALL],
    /// Rows of the small picture that are done.
    picked: usize,
    small: Small,
}

impl Pass<'_> {
    fn run(&mut self, pixels: Pixels<'_>) {
        let row_bytes = self.width * pixels.layout.bytes();
        for (number, rows) in pixels.bytes.chunks(STRIP * row_bytes).enumerate() {
            luminance(pixels.layout, rows, &mut self.buffers.strip);
            self.average_rows(number * STRIP);
            let top = number * STRIP;
            for number in top..top + rows.len() / row_bytes {
                self.average_columns(number);
            }
        }
        for number in self.height..self.height + self.down.lag {
            self.average_columns(number);
        }
    }

    /// First average along rows: a strip of luminance to rows from `top` on.
    fn average_rows(&mut self, top: usize) {
        let Shrinker { strip, lanes, first, .. } = &mut *self.buffers;
        transpose(strip, self.width, lanes);
        let mut rows = first.strip_mut(top);
        box_along(lanes, self.across, |column, sums, covers| {
            for (row, sum) in rows.iter_mut().zip(sums) {
                if let Some(value) = row.get_mut(column) {
                    *value = sum / covers as f32;
                }
            }
        });
    }

    /// First average along columns, one step down; hands on a strip when it is full.
    fn average_columns(&mut self, number: usize) {
        let step = self.down.step(number, self.height);
        let Shrinker { first, between, .. } = &mut *self.buffers;
        first.slide(step);
        let Some(row) = step.output else { return };
        let start = row % STRIP * self.width;
        for (value, sum) in between.iter_mut().skip(start).zip(&first.sums) {
            *value = sum / step.covers as f32;
        }
        if row % STRIP == STRIP - 1 || row + 1 == self.height {
            self.average_rows_again(row / STRIP * STRIP);
            for number in row / STRIP * STRIP..=row {
                self.pick(number);
            }
        }
        if row + 1 == self.height {
            for number in self.height..self.height + self.down.lag {
                self.pick(number);
            }
        }
    }

    /// Second average along rows, kept only at the columns that are picked.
    fn average_rows_again(&mut self, top: usize) {
        let Shrinker { between, lanes, second, .. } = &mut *self.buffers;
        transpose(between, self.width, lanes);
        let mut rows = second.strip_mut(top);
        let mut cells = self.columns.iter().enumerate().peekable();
        box_along(lanes, self.across, |column, sums, covers| {
            while let Some((cell, _)) = cells.next_if(|(_, picked)| **picked == column) {
                for (row, sum) in rows.iter_mut().zip(sums) {
                    if let Some(value) = row.get_mut(cell) {
                        *value = sum / covers as f32;
                    }
                }
            }
        });
    }

    /// Second average along columns, one step down, kept only at the rows that are picked.
    fn pick(&mut self, number: usize) {
        let step = self.down.step(number, self.height);
        self.buffers.second.slide(step);
        while self.picked < SMALL && step.output == Some(centre(self.picked, self.height)) {
            for (value, sum) in self.small[self.picked].iter_mut().zip(&self.buffers.second.sums) {
                *value = sum / step.covers as f32;
            }
            self.picked += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The description taken literally: whole buffers, one vector after another.
    fn literally(width: usize, height: usize, luminance: &[f32]) -> Small {
        let mut picture = luminance.to_vec();
        for _ in 0..2 {
            for row in picture.chunks_mut(width) {
                let averaged = average(row, width.div_ceil(128));
                row.copy_from_slice(&averaged);
            }
            for column in 0..width {
                let values: Vec<f32> =
                    (0..height).map(|row| picture[row * width + column]).collect();
                for (row, value) in average(&values, height.div_ceil(128)).into_iter().enumerate() {
                    picture[row * width + column] = value;
                }
            }
        }
        std::array::from_fn(|i| {
            let row = ((i as f64 + 0.5) * height as f64 / 64.0) as usize;
            std::array::from_fn(|j| {
                let column = ((j as f64 + 0.5) * width as f64 / 64.0) as usize;
                picture[row * width + column]
            })
        })
    }

    fn average(values: &[f32], window: usize) -> Vec<f32> {
        let ahead = window / 2;
        let (mut sum, mut covers, mut averages) = (0.0_f32, 0_u16, Vec::new());
        for end in 0..values.len() + ahead {
            if let Some(value) = values.get(end) {
                sum += value;
                covers += 1;
            }
            if end >= window {
                sum -= values[end - window];
                covers -= 1;
            }
            if end >= ahead {
                averages.push(sum / f32::from(covers));
            }
        }
        averages
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn strips_give_the_bits_of_the_literal_description(
            width in 5_usize..400, height in 5_usize..400, seed: u32, grey: bool,
        ) {
            prop_assume!((width, height) != (64, 64));
            let layout = if grey { Layout::Grey } else { Layout::Rgb };
            let mut state = seed | 1;
            let bytes: Vec<u8> = (0..width * height * layout.bytes()).map(|_| {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                (state >> 24) as u8
            }).collect();
            let mut luma = vec![0.0; width * height];
            luminance(layout, &bytes, &mut luma);
            let pixels = Pixels { width: width as u32, height: height as u32, layout, bytes: &bytes };
            let mut shrinker = Shrinker::default();
            // Twice, so that what the first picture leaves in the buffers would show.
            for _ in 0..2 {
                let small = shrinker.shrink(pixels);
                prop_assert_eq!(small, literally(width, height, &luma));
            }
        }
    }

    #[test]
    fn luminance_is_the_double_precision_sum_cut_to_single_precision() {
        for red in 0..=255_u8 {
            for green in 0..=255_u8 {
                for blue in 0..=255_u8 {
                    let [r, g, b] = [red, green, blue].map(f64::from);
                    let reference = (r * 0.299 + g * 0.587 + b * 0.114) as f32;
                    let mut ours = [0.0];
                    luminance(Layout::Rgb, &[red, green, blue], &mut ours);
                    assert_eq!(ours[0].to_bits(), reference.to_bits(), "{red} {green} {blue}");
                }
            }
        }
    }
}
