//! Checks a transform with what lies between the features: luminance of the query against the signs of the reference.
//!
//! Two photographs under the same caption, sticker or frame have features that fit perfectly. What is
//! around those differs, and here it shows.
//! **Invariant:** the reference is known by its signs only; its picture is not here.

use watchfire_signal::features::{CELL, Cells, Grey, Sign};

use super::{bends::Bends, fit::Pair, transform::Transform};

/// Cells on each side of a block.
const BLOCK_CELLS: usize = 3;

/// Pixels on each side of a block.
pub(super) const BLOCK_PIXELS: usize = BLOCK_CELLS * CELL as usize;

/// How far the places are, in pixels of the reference, that say how it bends.
const BEND_RADIUS: f32 = 110.0;

/// Samples of a cell on each side.
const SAMPLES: usize = 6;

/// Standard deviations above half of the blocks at which agreement is sure.
pub(super) const SURE_DEVIATIONS: u32 = 3;

/// The least blocks with contrast of a reference that is recognised for sure: more than a sticker half as
/// wide and a quarter as high as the picture has, six by four. A picture has 40 to 120.
const LEAST_TELLING: u32 = 24;

/// Of so many plain places of a small part one may not be plain in the query.
const PLAIN_OF: u32 = 6;

/// The least comparisons of a block for it to say anything.
const LEAST_OF_BLOCK: u32 = 6;

/// Of four comparisons of a block, as many have to agree for it to agree.
const AGREE_OF_FOUR: u32 = 3;

/// The least bend of the query, in steps of luminance, that is compared.
const LEAST_BEND: f32 = 0.5;

/// The least bend of the query where it cannot be flat in the reference, though its contrast was doubled:
/// what bends by two steps there has a sign.
const CLEAR_BEND: f32 = 4.0;

/// The least blocks that have to say something.
const LEAST_BLOCKS: u32 = 8;

/// How many blocks were compared and how many of them agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Agreement {
    /// Blocks with contrast that both pictures show.
    pub compared: u32,
    /// Of these, the ones in which brightness rises and falls the same way.
    pub agreed: u32,
    /// Blocks with contrast of the whole reference.
    pub all: u32,
    /// Signs of the reference that the query covers.
    pub covered: u32,
    /// Of these, the ones that the query has contrast for.
    pub signs: u32,
    /// Places that the query covers and that are plain in the reference.
    pub flat: u32,
    /// Of these, the ones that are not plain in the query.
    pub bent: u32,
}

impl Agreement {
    /// Whether the pictures may be the same where both can be seen: at least half of the blocks agree, and
    /// there are enough of them.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.compared >= LEAST_BLOCKS && self.agreed * 2 >= self.compared
    }

    /// Whether that so many blocks agree is no chance. Where pictures share what is written over them, up
    /// to half of the blocks agree; of `n` such blocks more than n/2 + 1.5 √n, which is three standard
    /// deviations above, do in 1 case of 700, and only where features fitted before. Where less than two
    /// thirds of the reference is compared, a sticker can be most of it: there every block has to agree, and
    /// what is plain around it in one picture has to be plain in the other, but for a sixth.
    #[must_use]
    pub fn is_sure(&self) -> bool {
        let whole = self.agreed == self.compared && self.bent * PLAIN_OF <= self.flat;
        self.is_telling() && (self.is_most() || whole) && self.is_beyond(SURE_DEVIATIONS)
    }

    /// Whether enough of the reference has contrast to recognise it by, and half of that is compared where it is
    /// covered.
    pub(super) fn is_telling(&self) -> bool {
        self.is_seen() && self.all >= LEAST_TELLING
    }

    /// Whether half of what has contrast in the reference is compared where it is covered.
    pub(super) fn is_seen(&self) -> bool {
        self.signs * 2 >= self.covered
    }

    /// Whether two thirds of the reference's blocks are compared.
    pub(super) fn is_most(&self) -> bool {
        self.compared * 3 >= self.all * 2
    }

    /// Whether nine of ten blocks agree.
    #[must_use]
    pub fn is_nearly_all(&self) -> bool {
        self.agreed * 10 >= self.compared * 9
    }

    /// Whether more blocks agree than half of them by so many standard deviations.
    #[must_use]
    pub fn is_beyond(&self, deviations: u32) -> bool {
        is_beyond_half(self.agreed, self.compared, deviations)
    }
}

/// Whether so many of all are more than half by so many standard deviations.
pub(super) fn is_beyond_half(some: u32, all: u32, deviations: u32) -> bool {
    let above = (some * 2).saturating_sub(all);
    above * above >= deviations * deviations * all
}

/// Compares the query, as the transform lays it over the reference, with the reference's signs; and how
/// the query bends where the reference does.
pub(super) fn recheck(
    grey: &Grey,
    to_reference: &Transform,
    (cells, signs): (Cells, &[Sign]),
    pairs: &[Pair],
) -> (Agreement, Bends) {
    let offs = |back: &Transform| {
        pairs.iter().map(|pair| Off::of([pair.query, pair.reference], back)).collect()
    };
    match Laid::with(grey, to_reference, cells, offs) {
        Some(laid) => laid.against(signs.iter().copied()),
        None => (Agreement::default(), Bends::none(signs.len())),
    }
}

/// What luminance says of each block of a reference.
pub(super) struct Verdicts {
    columns: usize,
    of: Vec<Option<bool>>,
}

impl Verdicts {
    /// Of one block; `None` where it says nothing.
    pub(super) fn at(&self, column: usize, row: usize) -> Option<bool> {
        let inside = column < self.columns;
        inside.then(|| self.of.get(row * self.columns + column).copied().flatten()).flatten()
    }
}

/// As [`recheck`], block by block, by a transform and places that agree with it.
pub(super) fn block_verdicts(
    grey: &Grey,
    (to_reference, places): (&Transform, &[[(f32, f32); 2]]),
    (cells, signs): (Cells, &[Sign]),
) -> Verdicts {
    let offs = |back: &Transform| places.iter().map(|place| Off::of(*place, back)).collect();
    let laid = Laid::with(grey, to_reference, cells, offs);
    let blocks = laid.map(|laid| laid.blocks(signs.iter().copied()).0).unwrap_or_default();
    Verdicts {
        columns: cells.columns.div_ceil(BLOCK_CELLS),
        of: blocks.iter().map(Block::verdict).collect(),
    }
}

/// A picture as a transform lays it over the grid of a reference: how it bends at each place that is compared.
pub(crate) struct Laid {
    cells: Cells,
    /// `None` where the place is not all inside of the picture.
    bends: Vec<Option<f32>>,
}

impl Laid {
    /// By a transform alone; `None` if it has no inverse.
    pub(crate) fn over(grey: &Grey, to_reference: &Transform, cells: Cells) -> Option<Self> {
        Self::with(grey, to_reference, cells, |_| Vec::new())
    }

    fn with(
        grey: &Grey,
        to_reference: &Transform,
        cells: Cells,
        offs: impl FnOnce(&Transform) -> Vec<Off>,
    ) -> Option<Self> {
        let back = to_reference.inverse()?;
        let offs = offs(&back);
        let lumas: Vec<Option<f32>> = (0..cells.rows)
            .flat_map(|row| (0..cells.columns).map(move |column| (column, row)))
            .map(|cell| luma(grey, &back, &offs, cell))
            .collect();
        let at = |(column, row): (usize, usize)| lumas[row * cells.columns + column];
        let bend = |three: [(usize, usize); 3]| match three.map(at) {
            [Some(before), Some(here), Some(after)] => Some(here - (before + after) / 2.0),
            _ => None,
        };
        Some(Self { cells, bends: cells.triples().map(bend).collect() })
    }

    /// A reference as its own signs say that it bends; where it is flat it says nothing.
    pub(super) fn of_signs(cells: Cells, signs: &[Sign]) -> Self {
        let bend = |sign: &Sign| match sign {
            Sign::Brighter => Some(CLEAR_BEND),
            Sign::Darker => Some(-CLEAR_BEND),
            Sign::Flat => None,
        };
        Self { cells, bends: signs.iter().map(bend).collect() }
    }

    /// Whether it is laid over that grid.
    pub(crate) fn is_over(&self, cells: Cells) -> bool {
        self.cells == cells
    }

    /// How far it agrees with the signs of a reference, and how it bends where the reference does.
    pub(crate) fn against(&self, signs: impl Iterator<Item = Sign>) -> (Agreement, Bends) {
        let (blocks, seen) = self.blocks(signs);
        (summary(&blocks), seen)
    }

    fn blocks(&self, signs: impl Iterator<Item = Sign>) -> (Vec<Block>, Bends) {
        let mut seen = Bends::none(self.bends.len());
        let columns = self.cells.columns.div_ceil(BLOCK_CELLS);
        let block_of =
            |(column, row): (usize, usize)| row / BLOCK_CELLS * columns + column / BLOCK_CELLS;
        let rows = self.cells.rows.div_ceil(BLOCK_CELLS);
        let mut blocks = vec![Block::default(); columns * rows];
        let places = self.cells.triples().zip(signs).zip(&self.bends).enumerate();
        for (number, ((three, sign), bend)) in places {
            if let Some(brighter) = blocks[block_of(three[1])].count(sign, *bend) {
                seen.set(number, brighter);
            }
        }
        (blocks, seen)
    }
}

#[derive(Clone, Default)]
struct Block {
    all: u32,
    covered: u32,
    compared: u32,
    agreed: u32,
    flat: u32,
    bent: u32,
}

impl Block {
    /// Counts one sign of the reference; `bend` is what the query has there, if it covers it. Whether the
    /// query is brighter there, where that is compared.
    fn count(&mut self, sign: Sign, bend: Option<f32>) -> Option<bool> {
        self.all += u32::from(sign != Sign::Flat);
        let bend = bend?;
        let agrees = match sign {
            Sign::Brighter => bend > 0.0,
            Sign::Darker => bend < 0.0,
            Sign::Flat => {
                self.flat += 1;
                self.bent += u32::from(bend.abs() >= CLEAR_BEND);
                return None;
            }
        };
        self.covered += 1;
        // Burnt out or painted over with one colour: it says neither yes nor no.
        if bend.abs() < LEAST_BEND {
            return None;
        }
        self.compared += 1;
        self.agreed += u32::from(agrees);
        Some(bend > 0.0)
    }

    /// Whether it agrees; `None` where there are too few comparisons to say.
    fn verdict(&self) -> Option<bool> {
        let agrees = self.agreed * 4 >= self.compared * AGREE_OF_FOUR;
        (self.compared >= LEAST_OF_BLOCK).then_some(agrees)
    }
}

fn summary(blocks: &[Block]) -> Agreement {
    let verdicts = || blocks.iter().filter_map(Block::verdict);
    Agreement {
        compared: verdicts().count() as u32,
        agreed: verdicts().filter(|agrees| *agrees).count() as u32,
        all: blocks.iter().filter(|block| block.all >= LEAST_OF_BLOCK).count() as u32,
        covered: blocks.iter().map(|block| block.covered).sum(),
        signs: blocks.iter().map(|block| block.compared).sum(),
        flat: blocks.iter().map(|block| block.flat).sum(),
        bent: blocks.iter().map(|block| block.bent).sum(),
    }
}

/// How far a place that agrees is off, in the query: surfaces filmed at an angle bend more than an affine
/// transform does.
pub(super) struct Off {
    reference: (f32, f32),
    off: (f32, f32),
}

impl Off {
    /// Of a place in the query and one in the reference.
    pub(super) fn of([query, reference]: [(f32, f32); 2], back: &Transform) -> Self {
        let (x, y) = back.apply(reference);
        Self { reference, off: (query.0 - x, query.1 - y) }
    }

    /// The mean of those near a place, the nearer the more; less of it where few are near.
    pub(super) fn at(offs: &[Self], (x, y): (f32, f32)) -> (f32, f32) {
        let (mut sum, mut all) = ((0.0, 0.0), 1.0);
        for off in offs {
            let (dx, dy) = (off.reference.0 - x, off.reference.1 - y);
            let near = 1.0 - (dx * dx + dy * dy) / (BEND_RADIUS * BEND_RADIUS);
            if near > 0.0 {
                sum = (sum.0 + near * off.off.0, sum.1 + near * off.off.1);
                all += near;
            }
        }
        (sum.0 / all, sum.1 / all)
    }
}

/// Mean luminance of the query where a cell of the reference lies in it; `None` if that is not all
/// inside of the query.
fn luma(grey: &Grey, back: &Transform, offs: &[Off], (column, row): (usize, usize)) -> Option<f32> {
    let side = f32::from(CELL);
    let middle = ((column as f32 + 0.5) * side, (row as f32 + 0.5) * side);
    let (off_x, off_y) = Off::at(offs, middle);
    let mut sum = 0;
    for y in 0..SAMPLES {
        for x in 0..SAMPLES {
            let place =
                |at: usize, of: usize| (at as f32 + (of as f32 + 0.5) / SAMPLES as f32) * side;
            let (x, y) = back.apply((place(column, x), place(row, y)));
            let (x, y) = (x + off_x, y + off_y);
            // What is below zero or too large is outside.
            if x < 0.0 || y < 0.0 || x as usize >= grey.width || y as usize >= grey.height {
                return None;
            }
            sum += u32::from(grey.bytes[y as usize * grey.width + x as usize]);
        }
    }
    Some(sum as f32 / (SAMPLES * SAMPLES) as f32)
}
