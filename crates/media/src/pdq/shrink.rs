//! Filters a picture's luminance with the Jarosz (tent) filter and picks 64 × 64 centres, in one pass.
//!
//! The filter is two box averages along rows and two along columns, in turn. Each average is a
//! running sum, so it can follow the picture from top to bottom; sixteen rows go together, because a
//! running sum along a row can only be sped up by running several of them side by side.
//!
//! What leaves a filter belongs to a position half a window back. It is not moved back: the picture
//! drifts to the right and down by half a window with every filter, and what comes in from outside
//! is zero, so that every block of sixteen columns and every strip of sixteen rows is treated alike.
//!
//! **Invariant:** every sum adds and subtracts in the order of the reference, because f32 sums round.
//! Adding or subtracting zero changes nothing: no sum is ever negative zero.

use super::{Layout, Pixels, SMALL, Small};
use crate::simd::{Divisor, GREY_BYTES, Lanes, RGB_BYTES, Simd, Tile, WIDTH};

/// Rows that are filtered side by side, and columns of a block.
const STRIP: usize = WIDTH;

/// Columns of a strip that are remembered in a line before the last window of them is copied back to
/// the beginning; few enough for the nearest cache.
const RUN: usize = 8 * STRIP;

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
            values.resize(blocks * each, Lanes::ZERO);
        }
    }

    /// Where the sixteen rows from `top` on enter, and where those are that then leave the window.
    /// Above the picture these are still zero, as no window is as long as what is kept.
    fn step(&self, top: usize, window: Window) -> Step {
        Step { enters: top % self.kept, leaves: (top + self.kept - window.len) % self.kept }
    }

    /// Lets sixteen columns of a block enter as sixteen rows; gives the sums after each step down.
    #[inline(always)]
    fn slide<S: Simd>(
        &mut self,
        simd: S,
        block: usize,
        step: Step,
        columns: [S::Sixteen; STRIP],
    ) -> [S::Sixteen; STRIP] {
        let mut sums = simd.transpose(columns);
        let start = block * (self.kept + STRIP);
        let rows = &mut self.values[start..start + self.kept + STRIP];
        for (row, value) in rows[step.enters..][..STRIP].iter_mut().zip(sums) {
            simd.store(value, row);
        }
        if step.enters == 0 {
            for (row, value) in rows[self.kept..].iter_mut().zip(sums) {
                simd.store(value, row);
            }
        }
        let mut sum = simd.load(&self.sums[block]);
        for (value, leaves) in sums.iter_mut().zip(&rows[step.leaves..][..STRIP]) {
            sum = simd.sub(simd.add(sum, *value), simd.load(leaves));
            *value = sum;
        }
        simd.store(sum, &mut self.sums[block]);
        sums
    }
}

/// Places of sixteen rows among those that are kept.
#[derive(Debug, Clone, Copy)]
struct Step {
    enters: usize,
    leaves: usize,
}

/// A loop that the compiler leaves as it is would keep registers in memory.
macro_rules! unrolled {
    ($i:ident in $($value:literal)+ $body:block) => {
        $({ const $i: usize = $value; $body })+
    };
}

/// Sixteen columns or rows in memory.
type Tile16 = [Lanes; STRIP];

/// The last columns that entered a running sum along sixteen rows at once.
#[derive(Debug, Default)]
struct Along {
    columns: Vec<Lanes>,
    len: usize,
    /// Where the columns are that leave when those enter that are `len` further on.
    leaves: usize,
}

impl Along {
    fn start(&mut self, window: Window) {
        self.len = window.len;
        self.columns.resize(window.len + RUN, Lanes::ZERO);
    }

    /// Begins a strip: everything left of it is zero.
    fn rewind(&mut self) {
        self.leaves = 0;
        self.columns[..self.len + STRIP].fill(Lanes::ZERO);
    }

    /// Lets the sixteen columns of a block enter.
    #[inline(always)]
    fn enter<S: Simd>(&mut self, simd: S, columns: [S::Sixteen; STRIP]) {
        self.leaves += STRIP;
        if self.leaves == RUN {
            self.columns.copy_within(RUN.., 0);
            self.leaves = 0;
        }
        let enters = &mut self.columns[self.leaves + self.len..][..STRIP];
        for (to, column) in enters.iter_mut().zip(columns) {
            simd.store(column, to);
        }
    }

    /// The columns that entered last, and those that leave in turn with them, which are some of the
    /// same where the window is short.
    #[inline(always)]
    fn moving(&self) -> Option<(&Tile16, &Tile16)> {
        let enters = self.columns[self.leaves + self.len..].first_chunk()?;
        Some((enters, self.columns[self.leaves..].first_chunk()?))
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
    /// The last strip of a picture, filled up with zeros.
    bottom: Vec<u8>,
}

impl Shrinker {
    /// Filters the picture and takes the 64 × 64 centres.
    #[inline(always)]
    pub(super) fn shrink<S: Simd>(&mut self, simd: S, pixels: Pixels<'_>, small: &mut Small) {
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
            (Layout::Grey, true) => pass.run::<Grey, GREY_BYTES>(pixels, small),
            (Layout::Rgb, true) => pass.run::<Rgb, RGB_BYTES>(pixels, small),
            (Layout::Grey, false) => pass.luminance_only::<Grey, GREY_BYTES>(pixels, small),
            (Layout::Rgb, false) => pass.luminance_only::<Rgb, RGB_BYTES>(pixels, small),
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
    fn run<C: Columns<BYTES>, const BYTES: usize>(
        &mut self,
        pixels: Pixels<'_>,
        small: &mut Small,
    ) {
        let mut kept = [Lanes::ZERO; SMALL];
        let mut done = 0;
        let mut bottom = std::mem::take(&mut self.buffers.bottom);
        let strip_bytes = STRIP * self.across.side * (BYTES / STRIP);
        for top in (0..self.down.steps()).step_by(STRIP) {
            let from = top / STRIP * strip_bytes;
            let strip = pixels.bytes.get(from..from + strip_bytes).unwrap_or_else(|| {
                bottom.clear();
                bottom.extend_from_slice(pixels.bytes.get(from..).unwrap_or_default());
                bottom.resize(strip_bytes, 0);
                &bottom
            });
            self.filter::<C, BYTES>(top, strip, &mut kept);
            done = self.pick(top, done, &kept, small);
        }
        self.buffers.bottom = bottom;
    }

    /// A picture of the size to shrink to is not filtered.
    #[inline(always)]
    fn luminance_only<C: Columns<BYTES>, const BYTES: usize>(
        &self,
        pixels: Pixels<'_>,
        small: &mut Small,
    ) {
        let strips = pixels.bytes.chunks_exact(CELLS * BYTES * STRIP);
        for (strip, to) in strips.zip(small.as_chunks_mut::<STRIP>().0) {
            for block in 0..CELLS {
                let columns = columns_of::<S, C, BYTES>(self.simd, strip, CELLS * BYTES, block);
                for (row, values) in to.iter_mut().zip(self.simd.transpose(columns)) {
                    let mut lanes = Lanes::ZERO;
                    self.simd.store(values, &mut lanes);
                    row[block * STRIP..][..STRIP].copy_from_slice(&lanes.0);
                }
            }
        }
    }

    /// The first three filters, on the strip from `top` on: block by block from left to right, so
    /// that the second finds in the nearest cache what the first gave.
    #[inline(always)]
    fn filter<C: Columns<BYTES>, const BYTES: usize>(
        &mut self,
        top: usize,
        strip: &[u8],
        kept: &mut [Lanes; SMALL],
    ) {
        let Self { simd, across, down, .. } = *self;
        let Shrinker { first_along, second_along, first, divisors, .. } = &mut *self.buffers;
        let step = first.step(top, down);
        let row_bytes = across.side * (BYTES / STRIP);
        let whole = simd.by(Divisor::by(across.len));
        let mut down_by = [Divisor::NOTHING; STRIP];
        for (row, by) in down_by.iter_mut().enumerate() {
            *by = down.divisor(top + row);
        }
        let whole_down = simd.by(Divisor::by(down.len));
        let whole_down = down.is_whole(top, top + STRIP - 1).then_some(whole_down);
        let (mut cell, mut next) = (0, self.picked[0]);
        let (mut first_sum, mut second_sum) = (simd.zero(), simd.zero());
        first_along.rewind();
        second_along.rewind();
        let (divisors, _) = divisors.as_chunks::<STRIP>();
        let blocks = divisors.len();
        // A sum waits for the one before it. So that the processor always has sums that do not wait for
        // each other, both filters along rows run at once, the second one a block behind.
        for block in 0..=blocks {
            let mut columns = [simd.zero(); STRIP];
            if block < blocks {
                columns = columns_of::<S, C, BYTES>(simd, strip, row_bytes, block);
                first_along.enter(simd, columns);
            }
            let (Some((_, leaves_1)), Some((enters_2, leaves_2))) =
                (first_along.moving(), second_along.moving())
            else {
                break;
            };
            let mut lanes = [Lanes::ZERO; STRIP];
            unrolled!(I in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 {
                first_sum = simd.sub(simd.add(first_sum, columns[I]), simd.load(&leaves_1[I]));
                second_sum = simd.add(second_sum, simd.load(&enters_2[I]));
                second_sum = simd.sub(second_sum, simd.load(&leaves_2[I]));
                columns[I] = first_sum;
                simd.store(second_sum, &mut lanes[I]);
            });
            if let Some(divisors) = divisors.get(block) {
                let left = block * STRIP;
                let whole = across.is_whole(left, left + STRIP - 1).then_some(whole);
                divide(simd, &mut columns, whole, divisors);
                let mut rows = first.slide(simd, block, step, columns);
                divide(simd, &mut rows, whole_down, &down_by);
                second_along.enter(simd, simd.transpose(rows));
            }
            while next + STRIP < (block + 1) * STRIP {
                let sum = simd.load(&lanes[next % STRIP]);
                simd.store(simd.divide(sum, simd.by(self.by[cell])), &mut kept[cell]);
                cell += 1;
                next = self.picked.get(cell).copied().unwrap_or(usize::MAX / 2);
            }
        }
    }

    /// Second average along columns, kept only at the rows that are picked; returns how many are done.
    #[inline(always)]
    fn pick(&mut self, top: usize, done: usize, kept: &[Lanes; SMALL], small: &mut Small) -> usize {
        let Self { simd, down, .. } = *self;
        let second = &mut self.buffers.second;
        let step = second.step(top, down);
        let mut next = done;
        for (block, cells) in kept.as_chunks::<STRIP>().0.iter().enumerate() {
            let mut columns = [simd.zero(); STRIP];
            for (column, cell) in columns.iter_mut().zip(cells) {
                *column = simd.load(cell);
            }
            let sums = second.slide(simd, block, step, columns);
            let mut rows = [Lanes::ZERO; STRIP];
            for (row, sum) in rows.iter_mut().zip(sums) {
                simd.store(sum, row);
            }
            next = done;
            while next < SMALL && down.picked(next) < top + STRIP {
                let number = down.picked(next);
                // Few enough to be divided, and the proof of divisors ends before them.
                let covers = down.second_covers(number) as f32;
                let to = &mut small[next][block * STRIP..][..STRIP];
                for (to, sum) in to.iter_mut().zip(rows[number - top].0) {
                    *to = sum / covers;
                }
                next += 1;
            }
        }
        next
    }
}

/// Divides all by the same, or each by its own.
#[inline(always)]
fn divide<S: Simd>(
    simd: S,
    values: &mut [S::Sixteen; STRIP],
    same: Option<S::By>,
    own: &[Divisor; STRIP],
) {
    if let Some(by) = same {
        for value in values {
            *value = simd.divide(*value, by);
        }
    } else {
        for (value, by) in values.iter_mut().zip(own) {
            *value = simd.divide(*value, simd.by(*by));
        }
    }
}

/// Luminance of a block of a strip, column by column; beyond the strip's right side it is zero.
#[inline(always)]
fn columns_of<S: Simd, C: Columns<BYTES>, const BYTES: usize>(
    simd: S,
    strip: &[u8],
    row_bytes: usize,
    block: usize,
) -> [S::Sixteen; STRIP] {
    let left = block * BYTES;
    if left + BYTES <= row_bytes
        && let Some(tile) = Tile::new(&strip[left..], row_bytes)
    {
        return C::columns(simd, tile);
    }
    let mut padded = [[0; BYTES]; STRIP];
    for (to, row) in padded.iter_mut().zip(strip.chunks_exact(row_bytes)) {
        for (to, from) in to.iter_mut().zip(row.iter().skip(left)) {
            *to = *from;
        }
    }
    match Tile::new(padded.as_flattened(), BYTES) {
        Some(tile) => C::columns(simd, tile),
        None => [simd.zero(); STRIP],
    }
}

/// How luminance is had from the bytes of a layout.
trait Columns<const BYTES: usize> {
    /// The columns of one tile.
    fn columns<S: Simd>(simd: S, tile: Tile<'_, BYTES>) -> [S::Sixteen; STRIP];
}

/// [`Layout::Grey`].
struct Grey;

impl Columns<GREY_BYTES> for Grey {
    #[inline(always)]
    fn columns<S: Simd>(simd: S, tile: Tile<'_, GREY_BYTES>) -> [S::Sixteen; STRIP] {
        simd.grey_columns(tile)
    }
}

/// [`Layout::Rgb`].
struct Rgb;

impl Columns<RGB_BYTES> for Rgb {
    #[inline(always)]
    fn columns<S: Simd>(simd: S, tile: Tile<'_, RGB_BYTES>) -> [S::Sixteen; STRIP] {
        simd.rgb_columns(tile)
    }
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
            let mut small = [[0.0; SMALL]; SMALL];
            self.shrinker.shrink(simd, self.pixels, &mut small);
            small
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
