//! Looks a second time where the first is not sure: at the places of the reference's own features in the query.
//!
//! Corners of a query that is written over are mostly those of the writing, and few of the picture's are among
//! them. So the query is laid into the frame of the reference, and described where the reference has features, at
//! their size and in their direction. What is compared there was chosen by nobody: of unrelated places a descriptor
//! is as near as a pair of features in one case of a hundred.
//! **Invariant:** what looks like another place of the reference has no say.

use watchfire_signal::{
    features::{Cells, Grey, Level, REACH, Sign, UNITS, describe, levels},
    pdq::{
        Pdq,
        frequencies::{SIDE, Small, bits, transform},
    },
};

use super::{
    VariantMatch,
    filled::Shown,
    fit::ALIKE_BITS,
    part::{Blocks, Part, Seen},
    recheck::{BLOCK_PIXELS, Off, block_verdicts},
    strokes,
    table::{Stored, distance, words},
    transform::Transform,
};

/// Bits of the hash from which on thin strokes are not taken out: half-way from alike to where two pictures lie that
/// have nothing in common.
const LAID_APART_BITS: u32 = 88;

/// The distance of the nodes between which it is interpolated how far the transform is off, in pixels.
const NODE: usize = 32;

/// The most samples of the query on each side for one pixel of the laid picture: beyond it detail is lost in
/// noise anyway.
const MAX_SAMPLES: usize = 4;

/// Places on each side at which it is asked whether the query shows them.
const PROBES: usize = 32;

/// Blocks that one sticker lies in, the longer side first.
const STICKER: (usize, usize) = (7, 4);

/// The least side of a level on which a place can be described.
const LEAST_LEVEL: usize = 2 * REACH as usize + 1;

/// Blocks of the reference that the query shows, by what features and luminance say of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SecondLook {
    /// Half of the features agree and luminance does.
    pub both: u32,
    /// Of these, the ones outside of any one rectangle of seven by four blocks, lying or standing: as much as a
    /// sticker lies in that is half as wide as the picture and half as high as itself.
    pub beyond: u32,
    /// Half of the features agree, and luminance does not.
    pub torn: u32,
    /// Luminance agrees, and there are no features or half of them agree.
    pub held: u32,
    /// Features or luminance disagree.
    pub against: u32,
    /// The bits in which the PDQ hash of the query, laid over the reference, differs from the reference's own; `None`
    /// where that has none, or less than two thirds of it are shown.
    pub laid: Option<u32>,
    /// The same without the blocks that are against, and without what is not shown, both filled from what is around;
    /// `None` where the reference has no hash, or less than two thirds of it are left.
    pub filled: Option<u32>,
    /// The same without thin strokes; `None` where `laid` is, or where it is so far off, or has such a hole, that this would
    /// not be asked.
    pub bare: Option<Bare>,
    /// The part of the reference that the query shows whole, if that is half of it.
    pub part: Option<Part>,
    /// A quarter of the reference or more is one rectangle in which the query shows something else.
    pub hole: bool,
}

/// What a query shows, laid over the reference, once thin strokes are taken out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bare {
    /// The bits in which its PDQ hash differs from the reference's own.
    pub bits: u32,
    /// Blocks in which luminance agrees.
    pub held: u32,
    /// Blocks in which it disagrees.
    pub against: u32,
    /// Of those that agree, the ones outside of any one sticker.
    pub beyond: u32,
}

/// What is known of a reference.
pub(super) struct Known<'a> {
    pub(super) size: (u16, u16),
    pub(super) features: &'a [Stored],
    pub(super) signs: &'a [Sign],
    /// One of them is the reference's, if it has any.
    pub(super) hashes: &'a [Pdq],
}

/// Compares what a picture shows where a match says that the reference lies.
pub(super) fn look_again(grey: &Grey, found: &VariantMatch, known: &Known<'_>) -> SecondLook {
    let Some(laid) = Laying::new(grey, &found.transform, &found.places, known.size) else {
        return SecondLook::default();
    };
    let cells = Cells::of(known.size.0, known.size.1);
    let places = (&found.transform, &*found.places);
    let luminance = block_verdicts(grey, places, (cells, known.signs));
    let (columns, rows) = blocks_of(known.size);
    let mut features = vec![(0_u32, 0_u32); columns * rows];
    let picture = laid.picture();
    let levels = levels(&picture, LEAST_LEVEL);
    for one in known.features.iter().filter(|one| !one.repeated) {
        let Some(agrees) = laid.agrees(&levels, one) else { continue };
        let block = |units: u16| usize::from(units / UNITS) / BLOCK_PIXELS;
        let (seen, agreed) = &mut features[block(one.y) * columns + block(one.x)];
        *seen += 1;
        *agreed += u32::from(agrees);
    }
    let blocks: Vec<Seen> = features
        .into_iter()
        .enumerate()
        .map(|(at, (seen, agreed))| Seen {
            features: (seen > 0).then_some(agreed * 2 >= seen),
            luminance: luminance.at(at % columns, at / columns),
        })
        .collect();
    let mut second = SecondLook::of(&blocks, columns);
    if known.hashes.is_empty() {
        return second;
    }
    let cells = small(&picture);
    let bits_off = |cells: &Small| {
        let seen = bits(&transform(cells));
        known.hashes.iter().map(|hash| seen.distance(hash)).min()
    };
    if laid.shows_most() {
        second.laid = bits_off(&cells);
        let is_near = second.laid.is_some_and(|bits| bits <= LAID_APART_BITS);
        second.bare = (is_near && !second.hole).then(|| bare(&picture, known, bits_off)).flatten();
    }
    let shown = Shown::of(|column, row| laid.shows((column, row), &blocks, columns));
    if shown.is_most() {
        second.filled = bits_off(&shown.fill(cells));
    }
    second
}

/// Columns and rows of blocks of a reference.
pub(super) fn blocks_of((width, height): (u16, u16)) -> (usize, usize) {
    (usize::from(width).div_ceil(BLOCK_PIXELS), usize::from(height).div_ceil(BLOCK_PIXELS))
}

/// The picture without thin strokes, in the way of taking them out that brings it nearer.
fn bare(
    picture: &Grey,
    known: &Known<'_>,
    bits_off: impl Fn(&Small) -> Option<u32>,
) -> Option<Bare> {
    let ways = strokes::without(picture).into_iter();
    let off = ways.filter_map(|simple| Some((bits_off(&small(&simple))?, simple)));
    let (bits, simple) = off.min_by_key(|(bits, _)| *bits)?;
    let cells = Cells::of(known.size.0, known.size.1);
    let verdicts = block_verdicts(&simple, (&Transform::IDENTITY, &[]), (cells, known.signs));
    let (columns, rows) = blocks_of(known.size);
    let seen =
        |at: usize| Seen { features: None, luminance: verdicts.at(at % columns, at / columns) };
    let seen: Vec<Seen> = (0..columns * rows).map(seen).collect();
    let blocks = Blocks::of(&seen, columns);
    let Part { held, against, .. } = blocks.whole();
    Some(Bare { bits, held, against, beyond: blocks.beyond(STICKER, |part| part.held) })
}

/// Means of luminance, as many as PDQ transforms. It filters another way, which is a few bits at most.
fn small(picture: &Grey) -> Small {
    let cell = |at: usize, side: usize| {
        let from = at * side / SIDE;
        from..((at + 1) * side / SIDE).max(from + 1)
    };
    std::array::from_fn(|row| {
        std::array::from_fn(|column| {
            let (rows, columns) = (cell(row, picture.height), cell(column, picture.width));
            let count = rows.len() * columns.len();
            let row = |y: usize| &picture.bytes[y * picture.width..][columns.clone()];
            let sum: u32 =
                rows.map(|y| row(y).iter().map(|byte| u32::from(*byte)).sum::<u32>()).sum();
            sum as f32 / count as f32
        })
    })
}

impl SecondLook {
    fn of(seen: &[Seen], columns: usize) -> Self {
        let blocks = Blocks::of(seen, columns);
        let whole = blocks.whole();
        Self {
            both: whole.both,
            beyond: blocks.beyond(STICKER, |part| part.both),
            torn: seen.iter().filter(|seen| seen.is_torn()).count() as u32,
            held: whole.held,
            against: whole.against,
            laid: None,
            filled: None,
            bare: None,
            part: blocks.part(),
            hole: blocks.has_a_hole(),
        }
    }
}

/// The node before a place, and how far the place is on the way to the next one.
fn node(at: f32, side: usize) -> (usize, f32) {
    let at = at.clamp(0.0, side as f32) / NODE as f32;
    let whole = at as i32;
    (whole as usize, at - whole as f32)
}

fn between(a: (f32, f32), b: (f32, f32), share: f32) -> (f32, f32) {
    (a.0 + (b.0 - a.0) * share, a.1 + (b.1 - a.1) * share)
}

/// A row of a reference as it lies in the query.
struct Row<'a> {
    back: &'a Transform,
    y: f32,
    width: usize,
    /// How far the transform is off at the nodes above and below, and how far the row is on the way to the latter.
    offs: [&'a [(f32, f32)]; 2],
    down: f32,
}

impl Row<'_> {
    /// Where a place of the row is in the query.
    fn in_query(&self, x: f32) -> (f32, f32) {
        let (column, right) = node(x, self.width);
        let [above, below] = self.offs.map(|offs| between(offs[column], offs[column + 1], right));
        let off = between(above, below, self.down);
        let (x, y) = self.back.apply((x, self.y));
        (x + off.0, y + off.1)
    }
}

/// How a query lies in the frame of a reference.
struct Laying<'a> {
    grey: &'a Grey,
    back: Transform,
    size: (usize, usize),
    columns: usize,
    /// How far the transform is off, at nodes.
    offs: Vec<(f32, f32)>,
}

impl<'a> Laying<'a> {
    fn new(
        grey: &'a Grey,
        to_reference: &Transform,
        places: &[[(f32, f32); 2]],
        (width, height): (u16, u16),
    ) -> Option<Self> {
        let back = to_reference.inverse()?;
        let offs: Vec<Off> = places.iter().map(|place| Off::of(*place, &back)).collect();
        let (width, height) = (usize::from(width), usize::from(height));
        let (columns, rows) = (width / NODE + 2, height / NODE + 2);
        let node = |at: usize| ((at % columns * NODE) as f32, (at / columns * NODE) as f32);
        let offs = (0..columns * rows).map(|at| Off::at(&offs, node(at))).collect();
        Some(Self { grey, back, size: (width, height), columns, offs })
    }

    /// Where a place of the reference is in the query.
    fn in_query(&self, (x, y): (f32, f32)) -> (f32, f32) {
        self.row(y).in_query(x)
    }

    /// Whether a place of the reference is within the query.
    fn is_within(&self, place: (f32, f32)) -> bool {
        let (x, y) = self.in_query(place);
        (0.0..=self.grey.width as f32).contains(&x) && (0.0..=self.grey.height as f32).contains(&y)
    }

    /// Whether the middle of one of the cells that a hash is made of is within the query, in a block that is not against.
    fn shows(&self, (column, row): (usize, usize), blocks: &[Seen], columns: usize) -> bool {
        let middle = |at: usize, side: usize| (at as f32 + 0.5) * side as f32 / SIDE as f32;
        let (x, y) = (middle(column, self.size.0), middle(row, self.size.1));
        let block = y as usize / BLOCK_PIXELS * columns + x as usize / BLOCK_PIXELS;
        self.is_within((x, y)) && blocks.get(block).is_some_and(|block| !block.is_against())
    }

    /// Whether the query shows two thirds of the reference.
    fn shows_most(&self) -> bool {
        let middle = |at: usize, side: usize| (at as f32 + 0.5) * side as f32 / PROBES as f32;
        let probes = (0..PROBES * PROBES).filter(|at| {
            self.is_within((middle(at % PROBES, self.size.0), middle(at / PROBES, self.size.1)))
        });
        probes.count() * 3 >= PROBES * PROBES * 2
    }

    /// The query as it lies there; what is outside repeats its edges.
    fn picture(&self) -> Grey {
        let (width, height) = self.size;
        let side = (self.back.area().abs().sqrt().ceil() as usize).clamp(1, MAX_SAMPLES);
        let within = |of: usize| (of as f32 + 0.5) / side as f32;
        let mut bytes = Vec::with_capacity(width * height);
        let mut sums = vec![0.0_f32; width];
        for y in 0..height {
            sums.fill(0.0);
            for of in 0..side {
                let row = self.row(y as f32 + within(of));
                for (x, sum) in sums.iter_mut().enumerate() {
                    for of in 0..side {
                        *sum += self.sample(row.in_query(x as f32 + within(of)));
                    }
                }
            }
            bytes.extend(sums.iter().map(|sum| (sum / (side * side) as f32 + 0.5) as u8));
        }
        Grey { width, height, bytes }
    }

    /// A row of the reference, to ask for many of its places.
    fn row(&self, y: f32) -> Row<'_> {
        let (row, down) = node(y, self.size.1);
        let nodes = |row: usize| &self.offs[row * self.columns..][..self.columns];
        let (back, width) = (&self.back, self.size.0);
        Row { back, y, width, offs: [nodes(row), nodes(row + 1)], down }
    }

    /// Luminance of the query between its pixels.
    fn sample(&self, (x, y): (f32, f32)) -> f32 {
        let Grey { width, height, bytes } = self.grey;
        let inside = |at: f32, side: usize| {
            let at = (at - 0.5).clamp(0.0, (side - 1) as f32);
            let whole = at as i32;
            (whole as usize, (whole as usize + 1).min(side - 1), at - whole as f32)
        };
        let ((left, beside, right), (top, below, down)) = (inside(x, *width), inside(y, *height));
        let row = |row: usize| {
            let row = &bytes[row * width..][..*width];
            let (left, beside) = (f32::from(row[left]), f32::from(row[beside]));
            left + (beside - left) * right
        };
        row(top) + (row(below) - row(top)) * down
    }

    /// Whether the query looks like a feature of the reference at its place; `None` where the query does not
    /// show all that is around it.
    fn agrees(&self, levels: &[Level], one: &Stored) -> Option<bool> {
        let level = levels.get(usize::from(one.level))?;
        let (across, down) = level.scale;
        let (x, y) = (f32::from(one.x) / f32::from(UNITS), f32::from(one.y) / f32::from(UNITS));
        let (wide, high) = (REACH as f32 * across, REACH as f32 * down);
        let corners = [
            (x - wide, y - high),
            (x + wide, y - high),
            (x - wide, y + high),
            (x + wide, y + high),
        ];
        let is_shown = corners.into_iter().all(|corner| self.is_within(corner));
        let pixel = |at: f32, scale: f32| (at / scale - 0.5).round() as i32;
        let at = (pixel(x, across), pixel(y, down));
        let seen = describe(level, at, one.angle).filter(|_| is_shown)?;
        Some(distance(&words(&seen), &one.bits) <= ALIKE_BITS)
    }
}
