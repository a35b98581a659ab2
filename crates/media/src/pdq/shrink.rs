//! Filters a picture's luminance with the Jarosz (tent) filter and picks 64 × 64 centres, in one pass.
//!
//! The filter is two box averages along rows and two along columns, in turn. Each average is a
//! running sum, so it can follow the picture from top to bottom; eight rows go together, because a
//! running sum along a row can only be sped up by running eight of them side by side.
//!
//! What leaves a filter belongs to a position half a window back. It is not moved back: the picture
//! drifts to the right and down by half a window with every filter, and what comes in from outside
//! is zero, so that every block of eight columns and every strip of eight rows is treated alike.
//!
//! **Invariant:** every sum adds and subtracts in the order of the reference, because f32 sums round.
//! Adding or subtracting zero changes nothing: no sum is ever negative zero.

use super::{Layout, Pixels, SMALL, Small};
use crate::simd::{Divisor, Lanes, Simd};

/// Rows that are filtered side by side, and columns of a block.
const STRIP: usize = 8;

/// Columns of a strip that are remembered in a line before the last window of them is copied back to
/// the beginning; few enough for the nearest cache.
const RUN: usize = 32 * STRIP;

/// Blocks of a shrunk row.
const CELLS: usize = SMALL / STRIP;

/// A running sum over `len` values. The output for position `p` covers those that end at `p + lag`,
/// fewer at both ends.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    len: usize,
    lag: usize,
    side: usize,
}

impl Window {
    /// The window along a side of this many pixels: a 128th of it, rounded up.
    fn along(side: usize) -> Self {
        let len = side.div_ceil(2 * SMALL);
        Self { len, lag: len / 2, side }
    }

    /// What the sum is divided by after value number `step` has entered; zero where the output lies
    /// outside.
    fn divisor(self, step: usize) -> Divisor {
        let Self { lag, side, .. } = self;
        if step < lag || step >= side + lag {
            return Divisor::NOTHING;
        }
        Divisor::by(self.covers(step))
    }

    /// How many values are in the sum after value number `step` has entered.
    fn covers(self, step: usize) -> usize {
        (step + 1).min(self.side) - (step + 1).saturating_sub(self.len)
    }

    /// Whether the steps from `from` to `to` all cover a whole window.
    fn is_whole(self, from: usize, to: usize) -> bool {
        from + 1 >= self.len && to < self.side
    }

    /// Steps until both filters along this side have given their last output.
    fn steps(self) -> usize {
        self.side + 2 * self.lag
    }

    /// The step after which the second filter gives cell `cell` of 64: the cell's centre.
    fn picked(self, cell: usize) -> usize {
        (2 * cell + 1) * self.side / (2 * SMALL) + 2 * self.lag
    }

    /// How many values are in the second filter's sum after `step`.
    fn second_covers(self, step: usize) -> usize {
        self.covers(step - self.lag)
    }
}

/// The window along the longest side.
pub(super) fn longest_window(side: usize) -> usize {
    Window::along(side).len
}

/// The last rows of a picture, of which a window needs as many as it is long. The rows of one block
/// of columns lie together.
#[derive(Debug, Default)]
struct Rows {
    /// Rows that are kept; whole strips, so that a strip never wraps around.
    kept: usize,
    /// For each block the kept rows, and the first strip of them once more at the end, so that what
    /// leaves never wraps around either.
    values: Vec<Lanes>,
    /// For each block, the sum of the rows in the window.
    sums: Vec<Lanes>,
}

impl Rows {
    /// Prepares for a picture: all rows are zero.
    fn start(&mut self, blocks: usize, window: Window) {
        self.kept = (window.len + STRIP).next_multiple_of(STRIP);
        for (values, each) in [(&mut self.values, self.kept + STRIP), (&mut self.sums, 1)] {
            values.clear();
            values.resize(blocks * each, [0.0; STRIP]);
        }
    }

    /// Where the eight rows from `top` on enter, and where those are that then leave the window.
    /// Above the picture these are still zero, as no window is as long as what is kept.
    fn step(&self, top: usize, window: Window) -> Step {
        Step { enters: top % self.kept, leaves: (top + self.kept - window.len) % self.kept }
    }

    /// Lets eight columns of a block enter as eight rows.
    #[inline(always)]
    fn enter<S: Simd>(&mut self, simd: S, block: usize, step: Step, columns: [S::Eight; STRIP]) {
        let start = block * (self.kept + STRIP);
        let rows = &mut self.values[start..start + self.kept + STRIP];
        if let Some(to) = rows[step.enters..].first_chunk_mut() {
            simd.store_rows(columns, to);
        }
        if step.enters == 0
            && let Some(to) = rows[self.kept..].first_chunk_mut()
        {
            simd.store_rows(columns, to);
        }
    }

    /// The sums of a block after each of eight steps down.
    #[inline(always)]
    fn slide<S: Simd>(&mut self, simd: S, block: usize, step: Step) -> [S::Eight; STRIP] {
        let mut sum = simd.load(&self.sums[block]);
        let mut sums = [sum; STRIP];
        let start = block * (self.kept + STRIP);
        let rows = &self.values[start..start + self.kept + STRIP];
        let enters = &rows[step.enters..][..STRIP];
        let leaves = &rows[step.leaves..][..STRIP];
        for row in 0..STRIP {
            sum = simd.add(sum, simd.load(&enters[row]));
            sum = simd.sub(sum, simd.load(&leaves[row]));
            sums[row] = sum;
        }
        simd.store(sum, &mut self.sums[block]);
        sums
    }
}

/// Places of eight rows among those that are kept.
#[derive(Debug, Clone, Copy)]
struct Step {
    enters: usize,
    leaves: usize,
}

/// A running sum along eight rows at once, and the last columns that entered it.
#[derive(Debug, Default)]
struct Along {
    columns: Vec<Lanes>,
    len: usize,
    /// Where the next column leaves; it enters `len` further on.
    leaves: usize,
}

impl Along {
    fn start(&mut self, window: Window) {
        self.len = window.len;
        self.columns.resize(window.len + RUN, [0.0; STRIP]);
    }

    /// Begins a strip: everything left of it is zero.
    fn rewind(&mut self) {
        self.leaves = 0;
        self.columns[..self.len].fill([0.0; STRIP]);
    }

    /// Lets the eight columns of a block enter one by one; replaces each by the sum after it.
    #[inline(always)]
    fn slide<S: Simd>(&mut self, simd: S, sum: &mut S::Eight, values: &mut [S::Eight; STRIP]) {
        if self.leaves == RUN {
            self.columns.copy_within(RUN.., 0);
            self.leaves = 0;
        }
        let enters = &mut self.columns[self.leaves + self.len..][..STRIP];
        for (column, value) in values.iter().enumerate() {
            simd.store(*value, &mut enters[column]);
        }
        // A short window gives back what has just entered.
        let leaves = &self.columns[self.leaves..][..STRIP];
        for (column, value) in values.iter_mut().enumerate() {
            *sum = simd.sub(simd.add(*sum, *value), simd.load(&leaves[column]));
            *value = *sum;
        }
        self.leaves += STRIP;
    }
}

/// Filters and shrinks; keeps its buffers from picture to picture.
#[derive(Debug, Default)]
pub(super) struct Shrinker {
    /// The windows of both filters along rows.
    first_along: Along,
    second_along: Along,
    /// The last rows that left the first filter along rows.
    first: Rows,
    /// The last rows that left the second one, only at the 64 columns that are picked.
    second: Rows,
    /// Divisors of the first filter along rows, by step.
    divisors: Vec<Divisor>,
}

impl Shrinker {
    /// Filters the picture and takes the 64 × 64 centres.
    #[inline(always)]
    pub(super) fn shrink<S: Simd>(&mut self, simd: S, pixels: Pixels<'_>) -> Small {
        let (width, height) = (pixels.width as usize, pixels.height as usize);
        let (across, down) = (Window::along(width), Window::along(height));
        let blocks = across.steps().div_ceil(STRIP);
        self.first_along.start(across);
        self.second_along.start(across);
        self.first.start(blocks, down);
        self.second.start(CELLS, down);
        self.divisors.clear();
        self.divisors.extend((0..blocks * STRIP).map(|step| across.divisor(step)));
        let picked = std::array::from_fn(|cell| across.picked(cell));
        let by = picked.map(|step| Divisor::by(across.second_covers(step)));
        let mut pass = Pass { simd, buffers: self, across, down, picked, by };
        let filtered = (width, height) != (SMALL, SMALL);
        match (pixels.layout, filtered) {
            (Layout::Grey, true) => pass.run::<[u8; 8]>(pixels),
            (Layout::Rgb, true) => pass.run::<[u8; 24]>(pixels),
            (Layout::Grey, false) => pass.luminance_only::<[u8; 8]>(pixels),
            (Layout::Rgb, false) => pass.luminance_only::<[u8; 24]>(pixels),
        }
    }
}

/// One picture on its way through the filters.
struct Pass<'a, S> {
    simd: S,
    buffers: &'a mut Shrinker,
    across: Window,
    down: Window,
    /// The steps along rows after which the second filter gives the 64 columns, and its divisors.
    picked: [usize; SMALL],
    by: [Divisor; SMALL],
}

impl<S: Simd> Pass<'_, S> {
    #[inline(always)]
    fn run<B: Block>(&mut self, pixels: Pixels<'_>) -> Small {
        let mut small = [[0.0; SMALL]; SMALL];
        let mut done = 0;
        let blank = vec![0; self.across.side * pixels.layout.bytes()];
        for top in (0..self.down.steps()).step_by(STRIP) {
            self.filter::<B>(top, strip_of(pixels, top, &blank));
            done = self.pick(top, done, &mut small);
        }
        small
    }

    /// A picture of the size to shrink to is not filtered.
    #[inline(always)]
    fn luminance_only<B: Block>(&self, pixels: Pixels<'_>) -> Small {
        let mut small = [[0.0; SMALL]; SMALL];
        for (strip, to) in small.as_chunks_mut::<STRIP>().0.iter_mut().enumerate() {
            let rows = strip_of(pixels, strip * STRIP, &[]).map(B::blocks);
            for block in 0..CELLS {
                let mut tile = [[0.0; STRIP]; STRIP];
                self.simd.store_rows(B::columns(self.simd, &rows, block), &mut tile);
                for (row, values) in to.iter_mut().zip(tile) {
                    row[block * STRIP..][..STRIP].copy_from_slice(&values);
                }
            }
        }
        small
    }

    /// The first three filters, on the strip from `top` on: block by block from left to right, so
    /// that the second finds in the nearest cache what the first gave.
    #[inline(always)]
    fn filter<B: Block>(&mut self, top: usize, rows: [&[u8]; STRIP]) {
        let Self { simd, across, down, .. } = *self;
        let Shrinker { first_along, second_along, first, second, divisors } = &mut *self.buffers;
        let step = first.step(top, down);
        let blocks = rows.map(B::blocks);
        let whole = simd.by(Divisor::by(across.len));
        let mut down_by = [whole; STRIP];
        for (row, by) in down_by.iter_mut().enumerate() {
            *by = simd.by(down.divisor(top + row));
        }
        let mut kept = [[0.0; STRIP]; SMALL];
        let mut cell = 0;
        let (mut first_sum, mut second_sum) = (simd.zero(), simd.zero());
        first_along.rewind();
        second_along.rewind();
        for (block, divisors) in divisors.as_chunks::<STRIP>().0.iter().enumerate() {
            let left = block * STRIP;
            let mut columns = if left + STRIP <= across.side {
                B::columns(simd, &blocks, block)
            } else {
                let padded = rows.map(|row| [B::padded(row, block)]);
                B::columns(simd, &padded.each_ref().map(<[B; 1]>::as_slice), 0)
            };
            first_along.slide(simd, &mut first_sum, &mut columns);
            if across.is_whole(left, left + STRIP - 1) {
                for value in &mut columns {
                    *value = simd.divide(*value, whole);
                }
            } else {
                for (value, divisor) in columns.iter_mut().zip(divisors) {
                    *value = simd.divide(*value, simd.by(*divisor));
                }
            }
            first.enter(simd, block, step, columns);
            let mut rows = first.slide(simd, block, step);
            for (row, by) in rows.iter_mut().zip(down_by) {
                *row = simd.divide(*row, by);
            }
            let mut columns = simd.transpose(rows);
            second_along.slide(simd, &mut second_sum, &mut columns);
            if cell < SMALL && self.picked[cell] < left + STRIP {
                let mut lanes = [[0.0; STRIP]; STRIP];
                for (lanes, column) in lanes.iter_mut().zip(columns) {
                    simd.store(column, lanes);
                }
                while cell < SMALL && self.picked[cell] < left + STRIP {
                    let sum = simd.load(&lanes[self.picked[cell] - left]);
                    simd.store(simd.divide(sum, simd.by(self.by[cell])), &mut kept[cell]);
                    cell += 1;
                }
            }
        }
        let step = second.step(top, down);
        for (block, cells) in kept.as_chunks::<STRIP>().0.iter().enumerate() {
            let mut columns = [simd.zero(); STRIP];
            for (column, cell) in columns.iter_mut().zip(cells) {
                *column = simd.load(cell);
            }
            second.enter(simd, block, step, columns);
        }
    }

    /// Second average along columns, kept only at the rows that are picked; returns how many are done.
    #[inline(always)]
    fn pick(&mut self, top: usize, done: usize, small: &mut Small) -> usize {
        let Self { simd, down, .. } = *self;
        let second = &mut self.buffers.second;
        let step = second.step(top, down);
        let mut next = done;
        for block in 0..CELLS {
            let sums = second.slide(simd, block, step);
            let mut rows = [[0.0; STRIP]; STRIP];
            for (row, sum) in rows.iter_mut().zip(sums) {
                simd.store(sum, row);
            }
            next = done;
            while next < SMALL && down.picked(next) < top + STRIP {
                let number = down.picked(next);
                // Few enough to be divided, and the proof of divisors ends before them.
                let covers = down.second_covers(number) as f32;
                let to = &mut small[next][block * STRIP..][..STRIP];
                for (to, sum) in to.iter_mut().zip(rows[number - top]) {
                    *to = sum / covers;
                }
                next += 1;
            }
        }
        next
    }
}

/// The bytes of eight rows from `top` on; blank ones below the picture.
fn strip_of<'a>(pixels: Pixels<'a>, top: usize, blank: &'a [u8]) -> [&'a [u8]; STRIP] {
    let row_bytes = pixels.width as usize * pixels.layout.bytes();
    let mut rows = pixels.bytes.get(top * row_bytes..).unwrap_or_default().chunks_exact(row_bytes);
    std::array::from_fn(|_| rows.next().unwrap_or(blank))
}

/// The bytes of eight pixels that follow each other in a row.
trait Block: Copy {
    /// All of a row but what is left over at its end.
    fn blocks(row: &[u8]) -> &[Self];
    /// What there is of block number `block`, and zeros.
    fn padded(row: &[u8], block: usize) -> Self;
    /// Luminance of one block of eight rows, column by column.
    fn columns<S: Simd>(simd: S, rows: &[&[Self]; STRIP], block: usize) -> [S::Eight; STRIP];
}

impl Block for [u8; 8] {
    fn blocks(row: &[u8]) -> &[Self] {
        row.as_chunks().0
    }

    fn padded(row: &[u8], block: usize) -> Self {
        padded(row, block)
    }

    #[inline(always)]
    fn columns<S: Simd>(simd: S, rows: &[&[Self]; STRIP], block: usize) -> [S::Eight; STRIP] {
        simd.grey_columns(rows, block)
    }
}

impl Block for [u8; 24] {
    fn blocks(row: &[u8]) -> &[Self] {
        row.as_chunks().0
    }

    fn padded(row: &[u8], block: usize) -> Self {
        padded(row, block)
    }

    #[inline(always)]
    fn columns<S: Simd>(simd: S, rows: &[&[Self]; STRIP], block: usize) -> [S::Eight; STRIP] {
        simd.rgb_columns(rows, block)
    }
}

fn padded<const BYTES: usize>(row: &[u8], number: usize) -> [u8; BYTES] {
    let mut block = [0; BYTES];
    for (to, from) in block.iter_mut().zip(row.iter().skip(number * BYTES)) {
        *to = *from;
    }
    block
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::simd::{Level, Task};

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

    /// As the reference computes it.
    fn luminance(layout: Layout, bytes: &[u8]) -> Vec<f32> {
        let of = |rgb: &[u8]| {
            let [red, green, blue] = [0, 1, 2].map(|part| f64::from(rgb[part]));
            (red * 0.299 + green * 0.587 + blue * 0.114) as f32
        };
        match layout {
            Layout::Grey => bytes.iter().map(|byte| f32::from(*byte)).collect(),
            Layout::Rgb => bytes.chunks_exact(3).map(of).collect(),
        }
    }

    struct Shrink<'a> {
        shrinker: &'a mut Shrinker,
        pixels: Pixels<'a>,
    }

    impl Task for Shrink<'_> {
        type Output = Small;

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> Small {
            self.shrinker.shrink(simd, self.pixels)
        }
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

    /// Checks one picture of noise at every level.
    fn check(width: usize, height: usize, layout: Layout, seed: u32) {
        let mut state = seed | 1;
        let bytes: Vec<u8> = (0..width * height * layout.bytes())
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                (state >> 24) as u8
            })
            .collect();
        let pixels = Pixels { width: width as u32, height: height as u32, layout, bytes: &bytes };
        let expected = literally(width, height, &luminance(layout, &bytes));
        for level in Level::all() {
            let mut shrinker = Shrinker::default();
            // Twice, so that what the first picture leaves in the buffers would show.
            for _ in 0..2 {
                let small = level.run(Shrink { shrinker: &mut shrinker, pixels });
                assert!(small == expected, "{level:?} {width} × {height} {layout:?}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_level_gives_the_bits_of_the_literal_description(
            width in 5_usize..400, height in 5_usize..400, seed: u32, grey: bool,
        ) {
            prop_assume!((width, height) != (64, 64));
            check(width, height, if grey { Layout::Grey } else { Layout::Rgb }, seed);
        }
    }

    #[test]
    fn every_level_gives_them_at_every_odd_side() {
        for side in (5..=301).step_by(2) {
            check(side, 306 - side, Layout::Rgb, 1);
            check(side, side, Layout::Grey, 2);
        }
    }

    #[test]
    fn every_level_gives_them_where_windows_are_long() {
        for (width, height) in
            [(1023, 767), (2049, 5), (5, 2049), (9001, 7), (7, 9001), (40_001, 5)]
        {
            check(width, height, Layout::Rgb, 3);
            check(width, height, Layout::Grey, 4);
        }
    }

    #[test]
    fn luminance_is_the_double_precision_sum_cut_to_single_precision() {
        let mut shrinker = Shrinker::default();
        // A picture of 64 × 64 pixels is not filtered.
        let colours: Vec<[u8; 3]> = (0..1 << 24)
            .map(|colour: u32| colour.to_le_bytes())
            .map(|[red, green, blue, _]| [red, green, blue])
            .collect();
        for some in colours.chunks_exact(SMALL * SMALL) {
            let bytes = some.as_flattened();
            let pixels = Pixels { width: 64, height: 64, layout: Layout::Rgb, bytes };
            let expected = luminance(Layout::Rgb, bytes);
            for level in Level::all() {
                let small = level.run(Shrink { shrinker: &mut shrinker, pixels });
                assert!(small.as_flattened() == expected, "{level:?}");
            }
        }
    }
}
