//! Follows one line in time through both videos and judges the stretch it finds.

use std::{cmp::Ordering, collections::HashSet};

use super::{
    Aligned, Alike, Line, Near,
    vote::{STEP_MS, Seed},
};

/// How far an aligned pair may be from the line: one sampling period at 2 frames a second, because the
/// frame that shows a short moment may be the one before or after.
const TOLERANCE_MS: f64 = 500.0;

/// Rounds of matching and fitting: each follows the line about twice as far as the one before, and it
/// settles in two or three for short stretches.
const ROUNDS: usize = 8;

/// Bits in which pairs differ that say nothing: the largest distance of two near frames, and one.
const CHANCE_BITS: f64 = 32.0;

/// A stretch that meets the rule, and how many pairs it has.
#[derive(Clone, Copy)]
pub(super) struct Stretch {
    pub(super) aligned: Aligned,
    pairs: usize,
    line: Line,
}

impl Stretch {
    /// Whether a seed is on this stretch's own line, inside the stretch.
    pub(super) fn covers(&self, seed: &Seed) -> bool {
        let (first, last) = self.aligned.query_span_ms;
        let off = self.line.reference_ms(seed.query_ms) - seed.line.reference_ms(seed.query_ms);
        (f64::from(first)..=f64::from(last)).contains(&seed.query_ms) && off.abs() < STEP_MS
    }

    /// The pairs of this stretch.
    pub(super) fn pairs_of(&self, near: &[Near]) -> Vec<Near> {
        let (first, last) = self.aligned.query_span_ms;
        let within = |near: &&&Near| (first..=last).contains(&(near.query_ms as u32));
        one_to_one(near, &self.line).iter().filter(within).map(|near| **near).collect()
    }

    /// Orders stretches by what they prove: distinct frames, each worth as many bits as it is nearer
    /// than chance would have it; then all pairs. A line at a wrong speed can touch one frame more of
    /// slow shots, but farther from each.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        let proven = |stretch: &Self| {
            let aligned = &stretch.aligned;
            f64::from(aligned.frames) * (CHANCE_BITS - aligned.mean_distance)
        };
        proven(self).total_cmp(&proven(other)).then(self.pairs.cmp(&other.pairs))
    }
}

/// The best stretch along a line that meets the rule.
pub(super) fn fit(videos: &impl Alike, near: &[Near], seed: Line) -> Option<Stretch> {
    let mut line = seed;
    let mut best: Option<Stretch> = None;
    for _ in 0..ROUNDS {
        let matched = one_to_one(near, &line);
        let runs = split(&matched, videos.rule().max_gap_ms());
        let judged = runs.iter().filter_map(|run| judge(videos, run, &line));
        best = best.into_iter().chain(judged).max_by(Stretch::compare);
        let Some(longest) = runs.iter().max_by_key(|run| run.len()) else { break };
        let next = least_squares(longest, &line, videos.speeds());
        if (next.speed - line.speed).abs() < 1e-6 && (next.offset - line.offset).abs() < 1.0 {
            break;
        }
        line = next;
    }
    best
}

/// Pairs near the line in order of time, the nearest in bits first served, each frame at most once.
fn one_to_one<'a>(near: &'a [Near], line: &Line) -> Vec<&'a Near> {
    let mut inliers: Vec<(u32, f64, &Near)> = near
        .iter()
        .map(|near| (near.bits, line.residual(near).abs(), near))
        .filter(|(_, residual, _)| *residual <= TOLERANCE_MS)
        .collect();
    inliers.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let (mut query, mut reference) = (HashSet::new(), HashSet::new());
    let mut matched = Vec::new();
    for (_, _, near) in inliers {
        if !query.contains(&near.query) && !reference.contains(&near.reference) {
            query.insert(near.query);
            reference.insert(near.reference);
            matched.push(near);
        }
    }
    matched.sort_by(|a, b| time(a).total_cmp(&time(b)));
    matched
}

/// A pair's time, the same whichever video is the query.
fn time(near: &Near) -> f64 {
    near.query_ms + near.reference_ms
}

/// The stretches without a gap longer than `max_gap_ms` in either video.
fn split<'a>(matched: &[&'a Near], max_gap_ms: u32) -> Vec<Vec<&'a Near>> {
    matched
        .chunk_by(|a, b| {
            let gap = (b.query_ms - a.query_ms).abs().max((b.reference_ms - a.reference_ms).abs());
            gap <= f64::from(max_gap_ms)
        })
        .map(<[_]>::to_vec)
        .collect()
}

/// What a stretch shows, if it meets the rule.
fn judge(videos: &impl Alike, run: &[&Near], line: &Line) -> Option<Stretch> {
    let frames = videos.distinct(run);
    let query = span(run.iter().map(|near| near.query_ms));
    let reference = span(run.iter().map(|near| near.reference_ms));
    // The shorter side is sampled no denser than the moments it shows; its time is put into that of
    // the slower video, which is the same whichever of the two is the query.
    let root = line.speed.sqrt();
    let shared = ((query.1 - query.0) * root).min((reference.1 - reference.0) / root);
    let matched_ms = shared * root.max(1.0 / root);
    let enough = frames >= videos.least_distinct()
        && matched_ms.round() >= f64::from(videos.rule().min_matched_ms);
    let aligned = Aligned {
        query_span_ms: (query.0 as u32, query.1 as u32),
        reference_span_ms: (reference.0 as u32, reference.1 as u32),
        speed: line.speed,
        frames,
        mean_distance: run.iter().map(|near| f64::from(near.bits)).sum::<f64>() / run.len() as f64,
    };
    enough.then_some(Stretch { aligned, pairs: run.len(), line: *line })
}

fn span(times: impl Iterator<Item = f64>) -> (f64, f64) {
    times.fold((f64::MAX, 0.0), |(first, last), time| (first.min(time), last.max(time)))
}

/// The line through a stretch with the least squares, within the speeds that count; the line as it was
/// where the stretch is too short to say.
fn least_squares(run: &[&Near], line: &Line, speeds: (f64, f64)) -> Line {
    let count = run.len() as f64;
    let mean = |of: fn(&Near) -> f64| run.iter().map(|near| of(near)).sum::<f64>() / count;
    let (query, reference) = (mean(|near| near.query_ms), mean(|near| near.reference_ms));
    let (mut across, mut up) = (0.0, 0.0);
    for near in run {
        across += (near.query_ms - query).powi(2);
        up += (near.reference_ms - reference).powi(2);
    }
    if across < 1.0 || up < 1.0 {
        return *line;
    }
    // The ratio of the spreads, unlike the slope of either regression, turns into its inverse when
    // query and reference change places.
    let speed = (up / across).sqrt().clamp(speeds.0, speeds.1);
    let root = speed.sqrt();
    Line { speed, offset: reference / root - query * root }
}
