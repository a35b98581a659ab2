//! Fits a transform to features that look alike: which of them agree on where one picture lies in the other.
//!
//! Source: Fischler and Bolles, "Random sample consensus" (1981). Instead of drawing lots, all pairs of
//! the most alike are tried whose sizes and directions agree with their places, so that the same
//! pictures always give the same answer.

use watchfire_signal::features::SeenFeature;

use super::{
    kernel::{Nearest, nearest},
    table::{Stored, words},
    transform::Transform,
};

/// The most bits in which two descriptors that may be the same differ. Of 256 comparisons of unrelated
/// places 128 ± 20 differ (they are not independent), so 64 is more than three deviations away.
pub(super) const ALIKE_BITS: u32 = 64;

/// The most pairs of features that are looked at, the most alike first.
const MAX_PAIRS: usize = 300;

/// Of these, the ones that transforms are made from.
const SEEDS: usize = 60;

/// How far two features of one pair may differ in direction from the transform, in 1/256 of a turn.
const ANGLE_SLACK: i32 = 26;

/// How far they may differ in size, in quarters of an octave.
const LEVEL_SLACK: f32 = 3.0;

/// The least distance of two places that a transform is made from, in pixels of the reference.
const LEAST_BASE: f32 = 24.0;

/// Places closer than this, in pixels, count as one.
pub(super) const SAME_PLACE: f32 = 8.0;

/// Rounds in which the transform is fitted to what agrees with it.
const ROUNDS: usize = 4;

/// A place of the query and one of the reference that look alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pair {
    pub(super) query: (f32, f32),
    pub(super) reference: (f32, f32),
    /// Direction in the reference less that in the query, in 1/256 of a turn.
    turn: i32,
    /// Level in the reference less that in the query.
    levels: f32,
    /// How far off a place in the reference may be, in pixels.
    slack: f32,
    bits: u32,
    /// Whether the reference has another place like this one.
    pub(super) repeated: bool,
}

/// A transform and what agrees with it.
#[derive(Debug, Clone)]
pub(super) struct Fit {
    pub(super) transform: Transform,
    pub(super) pairs: Vec<Pair>,
}

/// Features of both that look most alike to each other, the most alike first.
pub(super) fn pairs(query: &[SeenFeature], reference: &[Stored]) -> Vec<Pair> {
    let asked: Vec<[u64; 4]> = query.iter().map(|feature| words(&feature.descriptor)).collect();
    let known: Vec<[u64; 4]> = reference.iter().map(|stored| stored.bits).collect();
    let Nearest { of_known, of_asked } = nearest(&asked, &known);
    let mutual = of_known.into_iter().enumerate().filter(|(number, (bits, asking))| {
        *bits <= ALIKE_BITS && of_asked.get(*asking).is_some_and(|best| best.1 == *number)
    });
    let mut pairs: Vec<Pair> = mutual
        .map(|(number, (bits, asking))| Pair::new(&query[asking], &reference[number], bits))
        .collect();
    pairs.sort_by_key(|pair| pair.bits);
    pairs.truncate(MAX_PAIRS);
    pairs
}

/// The transform from query to reference that the most pairs agree with, if at least `least` do.
pub(super) fn fit(pairs: &[Pair], least: usize) -> Option<Fit> {
    if pairs.len() < least {
        return None;
    }
    let seeds = &pairs[..pairs.len().min(SEEDS)];
    let mut best: Option<(usize, Transform)> = None;
    for (place, a) in seeds.iter().enumerate() {
        for b in &seeds[..place] {
            let Some(transform) = similarity(a, b) else { continue };
            let looks = Looks::of(&transform);
            if !a.looks_as(&looks) || !b.looks_as(&looks) {
                continue;
            }
            let agreeing = pairs.iter().filter(|pair| pair.agrees(&transform, &looks, 1.5)).count();
            if best.is_none_or(|(most, _)| agreeing > most) {
                best = Some((agreeing, transform));
            }
        }
    }
    let mut transform = best.filter(|(agreeing, _)| *agreeing >= least)?.1;
    let mut agreeing = Vec::new();
    for round in 0..ROUNDS {
        let wide = if round + 1 < ROUNDS { 1.5 } else { 1.0 };
        let looks = Looks::of(&transform);
        agreeing =
            pairs.iter().copied().filter(|pair| pair.agrees(&transform, &looks, wide)).collect();
        if distinct(agreeing.iter()) < least {
            return None;
        }
        let places: Vec<_> = agreeing.iter().map(|pair| (pair.query, pair.reference)).collect();
        if round + 1 < ROUNDS {
            transform = Transform::fitted(&places)?;
        }
    }
    Some(Fit { transform, pairs: agreeing })
}

/// How many places agree, those close together counted once, in the picture where they are fewer.
pub(super) fn distinct<'a>(pairs: impl Iterator<Item = &'a Pair> + Clone) -> usize {
    let query = apart(pairs.clone().map(|pair| pair.query));
    query.min(apart(pairs.map(|pair| pair.reference)))
}

/// How many places there are, those close together counted once.
pub(super) fn apart(places: impl Iterator<Item = (f32, f32)>) -> usize {
    let mut apart: Vec<(f32, f32)> = Vec::new();
    for (x, y) in places {
        let near = |(a, b): &(f32, f32)| (a - x).abs().max((b - y).abs()) < SAME_PLACE;
        if !apart.iter().any(near) {
            apart.push((x, y));
        }
    }
    apart.len()
}

/// The similarity that takes two places to two places, if sizes and directions say the same.
fn similarity(a: &Pair, b: &Pair) -> Option<Transform> {
    let (qx, qy) = (b.query.0 - a.query.0, b.query.1 - a.query.1);
    let (rx, ry) = (b.reference.0 - a.reference.0, b.reference.1 - a.reference.1);
    let (q2, r2) = (qx * qx + qy * qy, rx * rx + ry * ry);
    if r2 < LEAST_BASE * LEAST_BASE || q2 < 1.0 {
        return None;
    }
    let (cos, sin) = ((qx * rx + qy * ry) / q2, (qx * ry - qy * rx) / q2);
    Some(Transform {
        x: [cos, -sin, a.reference.0 - cos * a.query.0 + sin * a.query.1],
        y: [sin, cos, a.reference.1 - sin * a.query.0 - cos * a.query.1],
    })
}

/// What a transform does to size and direction.
struct Looks {
    turn: i32,
    levels: f32,
}

impl Looks {
    fn of(transform: &Transform) -> Self {
        let turn = (transform.y[0].atan2(transform.x[0]) * 128.0 / std::f32::consts::PI) as i32;
        Self { turn, levels: 2.0 * transform.area().abs().max(f32::MIN_POSITIVE).log2() }
    }
}

impl Pair {
    fn new(query: &SeenFeature, reference: &Stored, bits: u32) -> Self {
        let units = f32::from(watchfire_signal::features::UNITS);
        Self {
            query: (query.x, query.y),
            reference: (f32::from(reference.x) / units, f32::from(reference.y) / units),
            turn: i32::from(reference.angle) - i32::from(query.angle),
            levels: f32::from(reference.level) - query.level,
            slack: 4.0 + 1.5 * (f32::from(reference.level) / 4.0).exp2(),
            bits,
            repeated: reference.repeated,
        }
    }

    /// The same pair with another place in the query.
    pub(super) fn at(self, query: (f32, f32)) -> Self {
        Self { query, ..self }
    }

    fn looks_as(&self, looks: &Looks) -> bool {
        let off = (self.turn - looks.turn).rem_euclid(256);
        off.min(256 - off) <= ANGLE_SLACK && (self.levels - looks.levels).abs() <= LEVEL_SLACK
    }

    fn agrees(&self, transform: &Transform, looks: &Looks, wide: f32) -> bool {
        let (x, y) = transform.apply(self.query);
        let (x, y, most) = (x - self.reference.0, y - self.reference.1, self.slack * wide);
        x * x + y * y <= most * most && self.looks_as(looks)
    }
}
