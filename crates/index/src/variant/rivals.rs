//! Leaves to a person what is known by nothing but what other pictures have too: a template, the screen of an app, a pile of
//! overlays under which several pictures are known says nothing of which of them is shown.
//!
//! A rival is a reference that fits by the same places of the query, of which luminance does not say that it is the query,
//! and whose features or luminance say that it is another picture than the one it is a rival of.
//! **Invariant:** two references of one picture are no rivals, nor are two of one family.

use std::collections::HashMap;

use watchfire_signal::features::{CELL, Cells, Sign, UNITS};

use super::{
    Agreement, Laid, MIN_INLIERS, VariantDecision, VariantMatch,
    fit::{ALIKE_BITS, SAME_PLACE, apart},
    kernel::nearest,
    recheck::BLOCK_PIXELS,
    second::blocks_of,
    table::Stored,
};

/// How far a feature may be from where the two transforms take it, in pixels: twice what one of them may be off.
const OFF: f32 = 2.0 * SAME_PLACE;

/// The least features of either in a block that says whether the references show the same there.
const LEAST_FEATURES: u32 = 2;

/// Of so many blocks one may be another in two references of one picture.
const OTHER_OF: usize = 10;

/// The least blocks in which another picture shows something else: as many as lie beside a sticker in a match.
const LEAST_OTHER: usize = 4;

/// How far the grids of two references may be from lying on each other for their signs to be compared, in pixels: a
/// quarter of a cell.
const GRID_OFF: f32 = CELL as f32 / 4.0;

/// A reference that fits, and what is known of it.
pub(super) struct Fitting<'a> {
    pub(super) found: &'a VariantMatch,
    pub(super) features: &'a [Stored],
    pub(super) signs: &'a [Sign],
    pub(super) size: (u16, u16),
}

/// Those of the matches that have fewer than [`MIN_INLIERS`] places that no rival has, by their numbers. `kin` says whether
/// two are of one family, `is_other` whether they are different pictures.
pub(super) fn left_to_rivals(
    found: &[&VariantMatch],
    kin: impl Fn(u64, u64) -> bool,
    is_other: impl Fn(usize, usize) -> bool,
) -> Vec<usize> {
    let sure = (0..found.len()).filter(|at| found[*at].decision == VariantDecision::Match);
    let falls = |at: &usize| {
        let one = found[*at];
        let may_be = |rival: &usize| {
            let rival = found[*rival];
            rival.id != one.id && !rival.agreement.is_nearly_all() && !kin(rival.id, one.id)
        };
        let rivals: Vec<usize> = (0..found.len()).filter(may_be).collect();
        let is_left = |rivals: &[usize]| own_places(one, rivals, found) >= MIN_INLIERS;
        // Whether they are other pictures takes a while, and is asked only where it matters.
        !is_left(&rivals) && {
            let others: Vec<usize> =
                rivals.into_iter().filter(|rival| is_other(*at, *rival)).collect();
            !is_left(&others)
        }
    };
    sure.filter(falls).collect()
}

/// How many places of a match no rival has.
fn own_places(one: &VariantMatch, rivals: &[usize], found: &[&VariantMatch]) -> usize {
    let places = rivals.iter().flat_map(|rival| &found[*rival].places);
    let shared: Vec<(f32, f32)> = places.map(|[query, _]| *query).collect();
    let is_shared = |(x, y): (f32, f32)| {
        shared.iter().any(|(a, b)| (a - x).abs().max((b - y).abs()) < SAME_PLACE)
    };
    let own = one.places.iter().map(|[query, _]| *query);
    apart(own.filter(|place| !is_shared(*place)))
}

/// Whether two references are different pictures, where both lie over the same parts of the query: in more than a tenth of
/// the blocks in which both have features, none of one is found at its place in the other, or luminance bends another
/// way, as far as that can be compared.
pub(super) fn are_different(one: &Fitting<'_>, other: &Fitting<'_>) -> bool {
    let back = (one.found.transform.inverse(), other.found.transform.inverse());
    let (Some(from_one), Some(from_other)) = back else { return false };
    let in_other = |at: (f32, f32)| other.found.transform.apply(from_one.apply(at));
    let in_one = |at: (f32, f32)| one.found.transform.apply(from_other.apply(at));
    bend_otherwise(one, other, in_other) || look_otherwise(one, other, (in_other, in_one))
}

/// Whether so many of all blocks are too many for two references of one picture.
fn are_too_many(different: usize, all: usize) -> bool {
    different >= LEAST_OTHER && different * OTHER_OF > all
}

/// Compares the signs of two references whose grids lie on each other, as they do under one pile of overlays, or are some whole
/// cells apart, where one has more of a frame cut away.
fn bend_otherwise(
    one: &Fitting<'_>,
    other: &Fitting<'_>,
    in_other: impl Fn((f32, f32)) -> (f32, f32),
) -> bool {
    let (width, height) = (f32::from(one.size.0), f32::from(one.size.1));
    let side = f32::from(CELL);
    let (x, y) = in_other((width / 2.0, height / 2.0));
    let (across, down) = (((x - width / 2.0) / side).round(), ((y - height / 2.0) / side).round());
    let lies_on = |at: (f32, f32)| {
        let (x, y) = in_other(at);
        (x - at.0 - across * side).abs().max((y - at.1 - down * side).abs()) < GRID_OFF
    };
    let corners = [(0.0, 0.0), (width, 0.0), (0.0, height), (width, height)];
    if !corners.into_iter().all(lies_on) {
        return false;
    }
    let cells = |of: &Fitting<'_>| Cells::of(of.size.0, of.size.1);
    let theirs: HashMap<[(usize, usize); 3], Sign> =
        cells(other).triples().zip(other.signs.iter().copied()).collect();
    let moved = |(column, row): (usize, usize)| {
        (column.wrapping_add_signed(across as isize), row.wrapping_add_signed(down as isize))
    };
    // What lies beyond the other says nothing.
    let sign = |three: [(usize, usize); 3]| theirs.get(&three.map(moved)).copied();
    let signs: Vec<Sign> =
        cells(one).triples().map(|three| sign(three).unwrap_or(Sign::Flat)).collect();
    let laid = Laid::of_signs(cells(one), &signs);
    let (Agreement { compared, agreed, .. }, _) = laid.against(one.signs.iter().copied());
    are_too_many((compared - agreed) as usize, compared as usize)
}

/// Compares the features of two references, block by block.
fn look_otherwise(
    one: &Fitting<'_>,
    other: &Fitting<'_>,
    (in_other, in_one): (impl Fn((f32, f32)) -> (f32, f32), impl Fn((f32, f32)) -> (f32, f32)),
) -> bool {
    let mut blocks = Blocks::of(one.size);
    for feature in other.features {
        if let Some(block) = blocks.at(in_one(place(feature))) {
            block.others += 1;
        }
    }
    let bits = |features: &[Stored]| features.iter().map(|stored| stored.bits).collect::<Vec<_>>();
    let alike = nearest(&bits(one.features), &bits(other.features)).of_asked;
    for (feature, (bits, number)) in one.features.iter().zip(alike) {
        let (x, y) = in_other(place(feature));
        let is_there = |(a, b): (f32, f32)| (a - x).abs().max((b - y).abs()) < OFF;
        let there = other.features.get(number).map(place);
        let is_same = bits <= ALIKE_BITS && there.is_some_and(is_there);
        if let Some(block) = blocks.at(place(feature)) {
            block.own += 1;
            block.same |= is_same;
        }
    }
    let telling = || blocks.all.iter().filter(|block| block.is_telling());
    let different = telling().filter(|block| !block.same).count();
    are_too_many(different, telling().count())
}

fn place(feature: &Stored) -> (f32, f32) {
    (f32::from(feature.x) / f32::from(UNITS), f32::from(feature.y) / f32::from(UNITS))
}

/// The blocks of a reference.
struct Blocks {
    columns: usize,
    rows: usize,
    all: Vec<Block>,
}

/// Features of two references in a block, and whether any are the same.
#[derive(Clone, Default)]
struct Block {
    own: u32,
    others: u32,
    same: bool,
}

impl Blocks {
    fn of(size: (u16, u16)) -> Self {
        let (columns, rows) = blocks_of(size);
        Self { columns, rows, all: vec![Block::default(); columns * rows] }
    }

    /// The block of a place; `None` where that is outside.
    fn at(&mut self, (x, y): (f32, f32)) -> Option<&mut Block> {
        let inside = x >= 0.0 && y >= 0.0;
        let (column, row) = (x as usize / BLOCK_PIXELS, y as usize / BLOCK_PIXELS);
        let inside = inside && column < self.columns && row < self.rows;
        inside.then(|| &mut self.all[row * self.columns + column])
    }
}

impl Block {
    fn is_telling(&self) -> bool {
        self.own >= LEAST_FEATURES && self.others >= LEAST_FEATURES
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Bends, Transform},
        *,
    };

    fn blocks(agreed: u32, compared: u32, all: u32) -> Agreement {
        Agreement { agreed, compared, all, ..Agreement::default() }
    }

    /// A sure match by features in a row of the query, from a place on.
    fn by_features(id: u64, from: usize, count: usize, agreement: Agreement) -> VariantMatch {
        let place = |at: usize| ((at * 20) as f32, 50.0);
        VariantMatch {
            id,
            look: 0,
            decision: VariantDecision::Match,
            inliers: count,
            own: count,
            transform: Transform::IDENTITY,
            mirrored: false,
            agreement,
            second: None,
            query_region: [(0.0, 0.0); 4],
            reference_region: [(0.0, 0.0); 4],
            places: (from..from + count).map(|at| [place(at), place(at)]).collect(),
            score: 1.0,
            bends: Bends::none(0),
        }
    }

    #[test]
    fn what_a_rival_has_too_is_no_evidence() {
        let (same, other) = (blocks(60, 60, 60), blocks(45, 60, 60));
        let sure = |found: [VariantMatch; 2], kin: bool, are_others: bool| {
            let fallen = left_to_rivals(&found.each_ref(), |_, _| kin, |_, _| are_others);
            [0, 1].map(|at| !fallen.contains(&at))
        };
        let under = |from, count, agreement| by_features(1, from, count, agreement);
        let rival = || by_features(2, 0, 30, other);
        // Seven places of its own are too few, eight are enough.
        assert_eq!(sure([under(0, 37, same), rival()], false, true), [false, true]);
        assert_eq!(sure([under(0, 38, same), rival()], false, true), [true, true]);
        // Two pictures under one pile, of which neither is known by anything else.
        assert_eq!(sure([under(0, 30, other), rival()], false, true), [false, false]);
        // References of one picture are no rivals, whatever lies over the query, nor moments of one video.
        assert_eq!(sure([under(0, 30, other), rival()], false, false), [true, true]);
        assert_eq!(
            sure([under(0, 30, same), by_features(2, 0, 30, same)], false, true),
            [true, true]
        );
        assert_eq!(sure([under(0, 30, other), rival()], true, true), [true, true]);
        // What lies elsewhere has a place of its own.
        assert_eq!(sure([under(40, 30, same), rival()], false, true), [true, true]);
    }
}
