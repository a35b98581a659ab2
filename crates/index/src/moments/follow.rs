//! Follows a copy through a video: where a few frames say how it lies over a known one, all others have to lie so too.
//!
//! A frame that is found has a transform and a time. By these the whole of the known video has a place and a time in
//! the query, and each of its moments is looked for just there, whether features were found in it or not. What
//! agrees at a transform that was fitted to other frames is evidence that no choice has made better.

use std::collections::{HashMap, HashSet, VecDeque};

use watchfire_signal::{features::Grey, pdq::Pdq, vpdq::Frame};

use super::{
    EditedVideo, Hit, Video,
    decide::{self, Shown},
};
use crate::{
    align::{Aligned, MAX_SPEED, MIN_SPEED, SPEEDS},
    variant::{Apart, Laid, Transform, VariantDecision, VariantMatch},
};

/// The most frames of a query that are kept to be looked at again: 48 seconds, in which the longest known stretch with
/// a moment each second goes by at the slowest speed. Half as large on each side, they take 5 MB.
pub(super) const MAX_KEPT: usize = 96;

/// Of the frames that were found of a video, the ones that others are followed from.
const BASES: usize = 4;

/// Of the speeds at which most other frames found lie on the line through one, the ones that are tried.
const LINES: usize = 2;

/// The ratio of neighbouring speeds: over ten seconds, half of it is an eighth of a second.
const NEXT_SPEED: f64 = 1.025;

/// How far a frame may be from the time at which a moment is looked for: a query has two frames a second.
const NEAR_MS: f64 = 400.0;

/// How far a place may be off for a transform that is fitted to several frames, in pixels of the reference.
const SLACK: f32 = 12.0;

/// Rounds in which such a transform is fitted.
const ROUNDS: usize = 3;

/// What a moment that is not shown takes from a stretch: it has to be shown by three others.
const MISSED: i32 = -3;

/// A frame of the query.
pub(super) struct Kept {
    pub(super) query: u32,
    pub(super) at_ms: u32,
    hash: Pdq,
    /// Its luminance, half as large on each side.
    pub(super) grey: Grey,
}

impl Kept {
    pub(super) fn new(query: u32, frame: &Frame, grey: &Grey) -> Self {
        let (width, height) = (grey.width / 2, grey.height / 2);
        let row = |y: usize| &grey.bytes[y * grey.width..(y + 1) * grey.width];
        let mean = |above: &[u8], below: &[u8], x: usize| {
            let four = [above[x], above[x + 1], below[x], below[x + 1]];
            (four.into_iter().map(u16::from).sum::<u16>() / 4) as u8
        };
        let mut bytes = Vec::with_capacity(width * height);
        for y in 0..height {
            let (above, below) = (row(2 * y), row(2 * y + 1));
            bytes.extend((0..width).map(|x| mean(above, below, 2 * x)));
        }
        let &Frame { at_ms, pdq: hash, .. } = frame;
        Self { query, at_ms, hash, grey: Grey { width, height, bytes } }
    }
}

/// Where the times of a known video are in the query.
#[derive(Debug, Clone, Copy)]
struct Line {
    speed: f64,
    query_ms: f64,
    reference_ms: f64,
}

impl Line {
    fn through(hit: &Hit, video: &Video, speed: f64) -> Self {
        let reference_ms = time_of(video, hit.moment);
        Self { speed, query_ms: f64::from(hit.query_ms), reference_ms }
    }

    fn query_ms(&self, reference_ms: f64) -> f64 {
        self.query_ms + (reference_ms - self.reference_ms) / self.speed
    }

    fn holds(&self, hit: &Hit, video: &Video) -> bool {
        let off = self.query_ms(time_of(video, hit.moment)) - f64::from(hit.query_ms);
        off.abs() <= NEAR_MS
    }
}

fn time_of(video: &Video, moment: u32) -> f64 {
    f64::from(video.moments[moment as usize].at_ms)
}

/// The surest copy of a video that frames lead to, all of them mirrored or none.
pub(super) fn follow(video: &Video, hits: &[&Hit], kept: &VecDeque<Kept>) -> Option<EditedVideo> {
    let mut bases: Vec<&Hit> = hits.iter().copied().filter(|hit| hit.found.look == 0).collect();
    bases.sort_by(|a, b| b.found.score.total_cmp(&a.found.score).then(a.query.cmp(&b.query)));
    let (mut best, mut laid) = (None, Laids::new());
    for base in bases.iter().take(BASES) {
        for line in lines(base, &bases, video) {
            let supporters: Vec<&Hit> =
                bases.iter().copied().filter(|hit| line.holds(hit, video)).collect();
            let trail = Trail { video, kept, base, line, supporters: &supporters };
            best = best.into_iter().chain(trail.found(&mut laid)).max_by_key(rank);
            if best.as_ref().is_some_and(|best| best.decision == VariantDecision::Match) {
                return best;
            }
        }
    }
    best
}

/// What is surer, the greater.
pub(super) fn rank(one: &EditedVideo) -> (bool, u32, u32) {
    (one.decision == VariantDecision::Match, one.aligned.frames, one.sure)
}

/// Lines through one frame on which the most others are.
fn lines(base: &Hit, hits: &[&Hit], video: &Video) -> Vec<Line> {
    let steps = ((MAX_SPEED / MIN_SPEED).ln() / NEXT_SPEED.ln()).ceil() as i32;
    let mut lines: Vec<(usize, i32, Line)> = (0..=steps)
        .map(|step| {
            let place = step - steps / 2;
            let speed = NEXT_SPEED.powi(place).clamp(MIN_SPEED, MAX_SPEED);
            let line = Line::through(base, video, speed);
            let on: HashSet<u32> =
                hits.iter().filter(|hit| line.holds(hit, video)).map(|hit| hit.moment).collect();
            (on.len(), place.abs(), line)
        })
        .collect();
    lines.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    lines.into_iter().take(LINES).map(|(_, _, line)| line).collect()
}

/// Frames as transforms lay them over a video, by frame and transform; `None` where one has no inverse.
type Laids = HashMap<(u32, [u32; 6]), Option<Laid>>;

/// A line that is followed.
struct Trail<'a> {
    video: &'a Video,
    kept: &'a VecDeque<Kept>,
    base: &'a Hit,
    line: Line,
    supporters: &'a [&'a Hit],
}

impl Trail<'_> {
    fn found(&self, laid: &mut Laids) -> Option<EditedVideo> {
        let pooled = self.pooled();
        let mut shots: Vec<Option<Hit>> = Vec::new();
        for moment in 0..self.video.moments.len() as u32 {
            let at_ms = self.line.query_ms(time_of(self.video, moment));
            let own = |hit: &&&Hit| (f64::from(hit.query_ms) - at_ms).abs();
            let nearest = self.supporters.iter().min_by(|a, b| own(a).total_cmp(&own(b)));
            let transforms =
                [pooled, nearest.map_or(self.base.found.transform, |hit| hit.found.transform)];
            let frames: Vec<&Kept> = self
                .kept
                .iter()
                .filter(|kept| (f64::from(kept.at_ms) - at_ms).abs() <= NEAR_MS)
                .collect();
            if frames.is_empty() {
                continue;
            }
            let looks = frames.iter().flat_map(|kept| transforms.iter().map(move |by| (*kept, by)));
            let shot = looks
                .filter_map(|(kept, by)| self.shot(moment, kept, by, laid))
                .max_by(|a, b| a.found.score.total_cmp(&b.found.score));
            shots.push(shot.filter(|hit| is_shown(&hit.found)));
        }
        let run = longest(&shots);
        self.judge(&run)
    }

    /// How a frame shows a moment. It is sure where it would be so as a picture but for its features: that they fit
    /// was asked of other frames.
    fn shot(&self, moment: u32, kept: &Kept, by: &Transform, laid: &mut Laids) -> Option<Hit> {
        let known = &self.video.moments[moment as usize];
        let ([a, b, c], [d, e, f]) = (by.x, by.y);
        let half = Transform { x: [2.0 * a, 2.0 * b, c], y: [2.0 * d, 2.0 * e, f] };
        // All moments of a video have one size.
        let laid = laid
            .entry((kept.query, [a, b, c, d, e, f].map(f32::to_bits)))
            .or_insert_with(|| Laid::over(&kept.grey, &half, known.cells))
            .as_ref()
            .filter(|laid| laid.is_over(known.cells))?;
        let (agreement, bends) = laid.against(known.bends.signs());
        let Apart { compared, agreed } = known.bends.agreement(&bends);
        // How clearly it agrees, in standard deviations.
        let score = (2.0 * agreed as f32 - compared as f32) / (compared.max(1) as f32).sqrt();
        let decision = if agreement.is_sure() && agreement.is_nearly_all() {
            VariantDecision::Match
        } else {
            VariantDecision::Review
        };
        let bits = decide::bits(&known.bends, &bends);
        let found = VariantMatch {
            agreement,
            bends,
            decision,
            transform: *by,
            score,
            places: Vec::new(),
            ..self.base.found.clone()
        };
        Some(Hit {
            video: self.base.video,
            moment,
            query: kept.query,
            query_ms: kept.at_ms,
            hash: kept.hash,
            bits,
            found,
        })
    }

    /// One transform for all frames on the line: of a camera that stands still, or a copy that is cut to one size,
    /// there is only one, and places of many frames say it better than those of one.
    fn pooled(&self) -> Transform {
        let base = self.base.found.transform;
        let mut places: Vec<((f32, f32), (f32, f32))> = self
            .supporters
            .iter()
            .flat_map(|hit| hit.found.places.iter().map(|[query, reference]| (*query, *reference)))
            .collect();
        let mut pooled = base;
        for _ in 0..ROUNDS {
            let Some(fitted) = Transform::fitted(&places) else { return base };
            pooled = fitted;
            let near = |(from, to): &((f32, f32), (f32, f32))| {
                let (x, y) = pooled.apply(*from);
                (x - to.0).abs().max((y - to.1).abs()) <= SLACK
            };
            places.retain(near);
        }
        pooled
    }

    fn judge(&self, run: &[&Hit]) -> Option<EditedVideo> {
        let span = |times: &mut dyn Iterator<Item = u32>| {
            times.fold((u32::MAX, 0), |(first, last), at| (first.min(at), last.max(at)))
        };
        let query_span_ms = span(&mut run.iter().map(|hit| hit.query_ms));
        let times = &mut run.iter().map(|hit| self.video.moments[hit.moment as usize].at_ms);
        let reference_span_ms = span(times);
        let matched_ms = |(first, last): (u32, u32)| last.saturating_sub(first);
        if matched_ms(reference_span_ms).min(matched_ms(query_span_ms))
            < self.video.rule.min_matched_ms
        {
            return None;
        }
        let shown = Shown::new(self.video, run, SPEEDS);
        let aligned = Aligned {
            query_span_ms,
            reference_span_ms,
            speed: self.line.speed,
            frames: shown.counted(run),
            mean_distance: run.iter().map(|hit| f64::from(hit.bits)).sum::<f64>()
                / run.len().max(1) as f64,
        };
        let found = decide::judge(&shown, run, aligned)?;
        Some(EditedVideo { best: self.base.found.clone(), ..found })
    }
}

/// Whether two thirds of enough blocks agree.
fn is_shown(found: &VariantMatch) -> bool {
    found.agreement.holds() && found.agreement.agreed * 3 >= found.agreement.compared * 2
}

/// The stretch with the most moments that are shown, less thrice those that are not.
fn longest(shots: &[Option<Hit>]) -> Vec<&Hit> {
    let (mut best, mut worth) = (0..0, 0);
    let (mut start, mut sum) = (0, 0);
    for (place, shot) in shots.iter().enumerate() {
        sum += if shot.is_some() { 1 } else { MISSED };
        if sum <= 0 {
            (start, sum) = (place + 1, 0);
        } else if sum > worth {
            (best, worth) = (start..place + 1, sum);
        }
    }
    shots[best].iter().flatten().collect()
}
