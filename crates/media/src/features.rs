//! Finds the local features of a picture: what travels in an alert, and what a picture is looked up by.
//!
//! **Invariant:** the same pixels give the same features on every machine: whole numbers, and of
//! fractions only what IEEE 754 rounds the same everywhere.

mod angle;
mod corner;

use watchfire_signal::features::{
    CELL, Cells, Descriptor, Feature, FeaturesPrint, Grey, Level, MAX_FEATURES, MAX_SIDE,
    MIN_FEATURES, MIN_SIDE, SeenFeature, SeenPicture, Sign, UNITS, describe, levels,
};

use crate::{grey, pdq::Pixels};

/// Features of a picture that is looked up: more than of a print, as it may be a small part of it
/// that is known.
const SEEN_FEATURES: usize = 700;

/// The least side of a level: margins and a little between them.
const LEAST_LEVEL: usize = 2 * corner::MARGIN as usize + 8;

/// How much fewer corners a level has than the one before: as its sides, not as its area, because
/// what is coarse survives more.
const FEWER: f32 = 1.189_207_1;

/// The least difference of a cell from its neighbours, in 1/256 of a step of luminance, that has a sign.
const LEAST_CONTRAST: i64 = 2 * 256;

/// A feature before it is written down.
struct Found {
    seen: SeenFeature,
    /// Place in the order from the most telling to the least.
    rank: f32,
}

/// The print of a picture, to travel in an alert; `None` where a picture is too small, too narrow or too
/// plain to be recognised by it.
#[must_use]
pub fn print(pixels: Pixels<'_>) -> Option<FeaturesPrint> {
    print_of(&working(pixels)?, MAX_FEATURES)
}

/// The print of a picture that has its working size already, with at most so many features.
pub fn print_of(grey: &Grey, most: usize) -> Option<FeaturesPrint> {
    let found = features(grey, most, false);
    let written = found.iter().map(|found| {
        let SeenFeature { descriptor, x, y, level, angle } = found.seen;
        let units = |pixels: f32| (pixels * f32::from(UNITS)) as u16;
        Feature { descriptor, x: units(x), y: units(y), level: level as u8, angle }
    });
    let mut met = std::collections::HashSet::new();
    let features: Vec<Feature> =
        written.filter(|f| met.insert((f.x, f.y, f.level, f.angle))).collect();
    if features.len() < MIN_FEATURES {
        return None;
    }
    let size = (u16::try_from(grey.width).ok()?, u16::try_from(grey.height).ok()?);
    FeaturesPrint::new(size, features, signs(grey)).ok()
}

/// What a picture is looked up by; `None` as for [`print()`].
#[must_use]
pub fn seen(pixels: Pixels<'_>) -> Option<SeenPicture> {
    let grey = working(pixels)?;
    let of = |grey: &Grey| -> Vec<SeenFeature> {
        features(grey, SEEN_FEATURES, true).into_iter().map(|found| found.seen).collect()
    };
    let (plain, mirrored) = (of(&grey), of(&mirror(&grey)));
    Some(SeenPicture { grey, plain, mirrored })
}

/// The luminance that features are taken from.
pub(crate) fn working(pixels: Pixels<'_>) -> Option<Grey> {
    let fits = pixels.width() >= 16 && pixels.height() >= 16;
    let grey = fits.then(|| grey::working(pixels, usize::from(MAX_SIDE)))?;
    (grey.width.min(grey.height) >= usize::from(MIN_SIDE)).then_some(grey)
}

fn mirror(grey: &Grey) -> Grey {
    let mut mirrored = grey.clone();
    mirrored.bytes.chunks_exact_mut(grey.width).for_each(<[u8]>::reverse);
    mirrored
}

/// At most `most` features of all levels, the most telling first; `more` directions of each where it
/// has several.
fn features(grey: &Grey, most: usize, more: bool) -> Vec<Found> {
    let levels = levels(grey, LEAST_LEVEL);
    let shares = std::iter::successors(Some(1.0_f32), |share| Some(share / FEWER));
    let shares: Vec<f32> = shares.take(levels.len()).collect();
    let all: f32 = shares.iter().sum();
    let mut found = Vec::with_capacity(most);
    for (level, share) in levels.iter().zip(shares) {
        let quota = ((most as f32 * share / all) as usize).max(1);
        for (place, corner) in corner::corners(level, quota).into_iter().enumerate() {
            let rank = (place as f32 + 0.5) / quota as f32;
            let at = (corner.x, corner.y);
            found.extend(angle::directions(level, at, more).into_iter().filter_map(|angle| {
                let descriptor = describe(level, at, angle)?;
                Some(Found { seen: at_base(level, corner.exact, descriptor, angle), rank })
            }));
        }
    }
    found.sort_by(|a, b| a.rank.total_cmp(&b.rank));
    found
}

/// A feature with its place in the first level.
fn at_base(level: &Level, exact: (f32, f32), descriptor: Descriptor, angle: u8) -> SeenFeature {
    let (across, down) = level.scale;
    SeenFeature {
        descriptor,
        x: (exact.0 + 0.5) * across,
        y: (exact.1 + 0.5) * down,
        level: f32::from(level.number),
        angle,
    }
}

/// The signs of differences between cells and their neighbours.
fn signs(grey: &Grey) -> Vec<Sign> {
    // A working picture has at most `MAX_SIDE` pixels a side.
    let cells = Cells::of(grey.width as u16, grey.height as u16);
    let side = usize::from(CELL);
    let sum = |(column, row): (usize, usize)| -> i64 {
        let rows = (row * side..(row + 1) * side).map(|y| y * grey.width + column * side);
        rows.flat_map(|start| &grey.bytes[start..start + side]).map(|byte| i64::from(*byte)).sum()
    };
    let sign = |[before, cell, after]: [(usize, usize); 3]| {
        let difference = (2 * sum(cell) - sum(before) - sum(after)) * 128 / (side * side) as i64;
        match difference {
            LEAST_CONTRAST.. => Sign::Brighter,
            _ if difference <= -LEAST_CONTRAST => Sign::Darker,
            _ => Sign::Flat,
        }
    };
    cells.triples().map(sign).collect()
}
