//! Finds the few lines in time on which many different frames of two videos agree.

use std::collections::HashMap;

use super::{Alike, Line, MIN_ALIGNED_FRAMES, Near};

/// The ratio of neighbouring speeds that are tried: within 40 seconds the nearest one is never off by
/// more than half a vote's width.
const NEXT_SPEED: f64 = 1.025;

/// Half the width of a vote: votes overlap by this much, so that pairs this near to each other (one
/// sampling period at 2 frames a second) always meet in one.
pub(super) const STEP_MS: f64 = 500.0;

/// How many lines are followed up; unrelated videos rarely have one.
const SEEDS: usize = 16;

/// More pairs than this between two still pictures say nothing new about the offset.
const PAIRS_OF_PICTURES: usize = 1_000;

/// A vote's line, how many distinct frames are on it, and about when in the query.
pub(super) struct Seed {
    pub(super) line: Line,
    frames: usize,
    pub(super) query_ms: f64,
}

/// The lines worth fitting, best first.
pub(super) fn seeds(videos: &impl Alike, near: &[Near]) -> Vec<Seed> {
    let (of_query, of_reference) =
        (near.iter().map(|near| near.query), near.iter().map(|near| near.reference));
    let query = pictures(of_query, |a, b| videos.is_one_in_query(a, b));
    let reference = pictures(of_reference, |a, b| videos.is_one_in_reference(a, b));
    let votes: Vec<(u32, u32, &Near)> = thin(near, &query, &reference);
    let least = MIN_ALIGNED_FRAMES as usize;
    if distinct(votes.iter().map(|vote| vote.0)) < least
        || distinct(votes.iter().map(|vote| vote.1)) < least
    {
        return Vec::new();
    }
    let mut seeds = Vec::new();
    let (slowest, fastest) = videos.speeds();
    let middle = ((fastest / slowest).ln() / NEXT_SPEED.ln() / 2.0).round() as i32;
    for step in 0..=middle * 2 {
        // From the middle outwards: of equally good lines the one nearest to normal speed is first.
        let side = if step % 2 == 0 { step / 2 } else { -(step + 1) / 2 };
        let place = f64::from(middle + side) / f64::from(middle * 2);
        seeds.extend(at_speed(slowest * (fastest / slowest).powf(place), &votes));
    }
    seeds.sort_by_key(|seed| std::cmp::Reverse(seed.frames));
    let mut chosen: Vec<Seed> = Vec::new();
    for seed in seeds {
        let place = seed.line.reference_ms(seed.query_ms);
        let new = |other: &Seed| (other.line.reference_ms(seed.query_ms) - place).abs() >= STEP_MS;
        if chosen.len() < SEEDS && chosen.iter().all(new) {
            chosen.push(seed);
        }
    }
    chosen
}

/// The votes at one speed that enough distinct frames of both videos gave.
fn at_speed(speed: f64, votes: &[(u32, u32, &Near)]) -> Vec<Seed> {
    let straight = Line { speed, offset: 0.0 };
    let mut bins: HashMap<i64, Vec<&(u32, u32, &Near)>> = HashMap::new();
    for vote in votes {
        let bin = (straight.residual(vote.2) / STEP_MS).floor() as i64;
        bins.entry(bin).or_default().push(vote);
        bins.entry(bin - 1).or_default().push(vote);
    }
    let mut seeds: Vec<(i64, Seed)> = bins
        .into_iter()
        .filter_map(|(bin, votes)| {
            let query = distinct(votes.iter().map(|vote| vote.0));
            let frames = query.min(distinct(votes.iter().map(|vote| vote.1)));
            let offset = (bin + 1) as f64 * STEP_MS;
            let query_ms =
                votes.iter().map(|vote| vote.2.query_ms).sum::<f64>() / votes.len() as f64;
            (frames >= MIN_ALIGNED_FRAMES as usize)
                .then_some((bin, Seed { line: Line { speed, offset }, frames, query_ms }))
        })
        .collect();
    seeds.sort_by_key(|(bin, _)| *bin);
    seeds.into_iter().map(|(_, seed)| seed).collect()
}

fn distinct(groups: impl Iterator<Item = u32>) -> usize {
    let mut groups: Vec<u32> = groups.collect();
    groups.sort_unstable();
    groups.dedup();
    groups.len()
}

/// Names for each frame that takes part the picture it shows; frames of one picture share a name.
fn pictures(
    places: impl Iterator<Item = u32>,
    is_one: impl Fn(u32, u32) -> bool,
) -> HashMap<u32, u32> {
    let mut places: Vec<u32> = places.collect();
    places.sort_unstable();
    places.dedup();
    let mut first: Vec<u32> = Vec::new();
    let mut names = HashMap::with_capacity(places.len());
    for place in places {
        // Latest first: a picture that stands still is then found at once.
        let known = first.iter().rev().take(MOST_PICTURES).find(|of| is_one(**of, place));
        let name = known.copied().unwrap_or(place);
        if name == place {
            first.push(place);
        }
        names.insert(place, name);
    }
    names
}

/// A frame is compared with so many earlier pictures: repeats further back only cost a spare vote.
const MOST_PICTURES: usize = 256;

/// Pairs with the pictures they join, evenly thinned where two pictures have very many.
fn thin<'a>(
    near: &'a [Near],
    query: &HashMap<u32, u32>,
    reference: &HashMap<u32, u32>,
) -> Vec<(u32, u32, &'a Near)> {
    let named = near.iter().map(|near| (query[&near.query], reference[&near.reference], near));
    let mut counts: HashMap<(u32, u32), usize> = HashMap::new();
    named.clone().for_each(|(of, to, _)| *counts.entry((of, to)).or_insert(0) += 1);
    named
        .filter(|(of, to, near)| {
            // Multiplying by an odd constant spreads the kept pairs over all offsets.
            let mixed = (u64::from(near.query) << 32 | u64::from(near.reference))
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                >> 32;
            (mixed * counts[&(*of, *to)] as u64) >> 32 < PAIRS_OF_PICTURES as u64
        })
        .collect()
}
