//! Decides whether two videos show the same moments in the same order, from pairs of near frames.
//!
//! **Invariant:** the answer never depends on the share of either video that matches, nor on which of
//! the two is called the query.
//! **Invariant:** a picture that stands still counts as one frame, however long and however often.

mod fit;
mod vote;

use watchfire_signal::{
    pdq::{MAX_DISTANCE, MIN_QUALITY},
    vpdq::Frame,
};

/// Fewer aligned distinct frames than this are no evidence: one logo or card is one frame, a cut
/// between two of them is two, and neither shows that a moment was copied.
pub const MIN_ALIGNED_FRAMES: u32 = 3;

/// Two frames of one video within this many bits are one picture. Encoding moves the hash of a still
/// picture by up to 8 bits, so two frames of it are up to twice that apart.
pub const SAME_FRAME_BITS: u32 = 16;

/// The slowest copy, in milliseconds of the reference for each millisecond of the query.
pub const MIN_SPEED: f64 = 0.8;

/// The fastest copy; beyond it a speed change is an edit for review.
pub const MAX_SPEED: f64 = 1.25;

/// The speeds of a copy, slowest and fastest.
pub(crate) const SPEEDS: (f64, f64) = (MIN_SPEED, MAX_SPEED);

/// Speeds of a copy that a person has to look at: who wants to get round a list is told to double the speed.
pub(crate) const ANY_SPEEDS: (f64, f64) = (0.5, 2.0);

/// Aligned frames of a copy at such a speed: three times as many lines are tried there, and one frame more is worth much
/// more than that.
pub(crate) const LEAST_AT_ANY_SPEED: u32 = MIN_ALIGNED_FRAMES + 1;

/// More distinct frames than this make a match no surer, and comparing each with all costs time.
const COUNTED_FRAMES: usize = 256;

/// Shorter gaps than one sampling period (2 frames a second) with its jitter cannot be asked for:
/// sparse frames would never be near enough to each other.
const LEAST_GAP_MS: u32 = 600;

/// When a stretch of two videos counts as matched; the issuer of an alert says so in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatchRule {
    /// The largest distance of two frames in bits; more than 31 is taken as 31.
    pub max_distance: u32,
    /// How long the matched stretch must be at least, in milliseconds between its first and last
    /// aligned frame (of the slower of the two videos, so that speeding a copy up does not help).
    pub min_matched_ms: u32,
    /// The longest time without an aligned frame inside a stretch, in milliseconds; less than one
    /// sampling period (600) is taken as that.
    pub max_gap_ms: u32,
}

impl Default for MatchRule {
    fn default() -> Self {
        Self { max_distance: MAX_DISTANCE, min_matched_ms: 1_000, max_gap_ms: 3_000 }
    }
}

impl MatchRule {
    fn max_distance(&self) -> u32 {
        self.max_distance.min(MAX_DISTANCE)
    }

    fn max_gap_ms(&self) -> u32 {
        self.max_gap_ms.max(LEAST_GAP_MS)
    }
}

/// The stretch in which two videos show the same moments.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Aligned {
    /// First and last aligned frame of the query, in milliseconds.
    pub query_span_ms: (u32, u32),
    /// First and last aligned frame of the reference, in milliseconds.
    pub reference_span_ms: (u32, u32),
    /// Milliseconds of the reference for each millisecond of the query: 1.25 is a copy sped up.
    pub speed: f64,
    /// Aligned frames that differ from each other on both sides; at most 256 are counted.
    pub frames: u32,
    /// Mean distance of the aligned pairs, in bits.
    pub mean_distance: f64,
}

impl Aligned {
    /// Whether the speed is one at which copies are usually shown; at another a person has to look.
    #[must_use]
    pub fn is_at_usual_speed(&self) -> bool {
        (MIN_SPEED..=MAX_SPEED).contains(&self.speed)
    }
}

/// Two near frames, by their place in the slices of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// Place of the query's frame.
    pub query: u32,
    /// Place of the reference's frame.
    pub reference: u32,
}

impl Pair {
    fn swapped(&self) -> Self {
        Self { query: self.reference, reference: self.query }
    }
}

/// A pair with what alignment needs of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Near {
    pub(crate) query: u32,
    pub(crate) reference: u32,
    pub(crate) query_ms: f64,
    pub(crate) reference_ms: f64,
    /// How far the frames are apart; as bits of a hash of which half differ by chance at 32.
    pub(crate) bits: u32,
}

/// What alignment asks of two videos beside the times of their near frames.
pub(crate) trait Alike {
    /// When a stretch counts.
    fn rule(&self) -> &MatchRule;

    /// Slowest and fastest copy that is looked for.
    fn speeds(&self) -> (f64, f64);

    /// Whether two frames of the query are one picture, as far as a vote needs to know.
    fn is_one_in_query(&self, a: u32, b: u32) -> bool;

    /// Whether two frames of the reference are one picture, as far as a vote needs to know.
    fn is_one_in_reference(&self, a: u32, b: u32) -> bool;

    /// How many pairs of a stretch show a picture that no earlier one showed.
    fn distinct(&self, run: &[&Near]) -> u32;

    /// The least of these that count.
    fn least_distinct(&self) -> u32;
}

/// A line through pairs in time: `reference / √speed - query * √speed = offset`.
///
/// This form is the same line, with the offset's sign turned, when query and reference change places.
#[derive(Debug, Clone, Copy)]
struct Line {
    speed: f64,
    offset: f64,
}

impl Line {
    /// How far a pair is from the line, in milliseconds.
    fn residual(&self, near: &Near) -> f64 {
        let root = self.speed.sqrt();
        near.reference_ms / root - near.query_ms * root - self.offset
    }

    /// The reference's time that belongs to a time of the query, in milliseconds.
    fn reference_ms(&self, query_ms: f64) -> f64 {
        let root = self.speed.sqrt();
        (self.offset + query_ms * root) * root
    }
}

/// Aligns two videos after comparing every frame of one with every frame of the other.
///
/// Returns the best stretch, or `None` where the rule is not met. Two frames of quality below 50 are no
/// pair; the frames need not be sampled at the same rate.
#[must_use]
pub fn align(query: &[Frame], reference: &[Frame], rule: &MatchRule) -> Option<Aligned> {
    let limit = rule.max_distance();
    let mut pairs = Vec::new();
    for (place, frame) in query.iter().enumerate() {
        let near =
            reference.iter().enumerate().filter(|(_, of)| frame.pdq.distance(&of.pdq) <= limit);
        pairs.extend(near.map(|(of, _)| Pair { query: place as u32, reference: of as u32 }));
    }
    align_pairs(query, reference, &pairs, rule)
}

/// Aligns two videos by the given pairs of frames, which an index found; pairs that are not near by the
/// rule, or not there, are left out.
#[must_use]
pub fn align_pairs(
    query: &[Frame],
    reference: &[Frame],
    pairs: &[Pair],
    rule: &MatchRule,
) -> Option<Aligned> {
    align_run(query, reference, pairs, rule).map(|(aligned, _)| aligned)
}

/// The same, with the pairs of the stretch in order of time.
pub(crate) fn align_run(
    query: &[Frame],
    reference: &[Frame],
    pairs: &[Pair],
    rule: &MatchRule,
) -> Option<(Aligned, Vec<Pair>)> {
    let pairs_of = |run: &[Near]| -> Vec<Pair> {
        run.iter().map(|&Near { query, reference, .. }| Pair { query, reference }).collect()
    };
    // One of the two always takes the same place, so that the answer cannot depend on the direction.
    let key = |frames: &[Frame]| (frames.len(), frames.iter().map(|frame| frame.pdq).min());
    if key(query) > key(reference) {
        let pairs: Vec<Pair> = pairs.iter().map(Pair::swapped).collect();
        let videos = Videos { query: reference, reference: query, rule, speeds: SPEEDS };
        let (aligned, run) = best(&videos, &pairs)?;
        return Some((aligned.swapped(), pairs_of(&run).iter().map(Pair::swapped).collect()));
    }
    let (aligned, run) = best(&Videos { query, reference, rule, speeds: SPEEDS }, pairs)?;
    Some((aligned, pairs_of(&run)))
}

/// How many of some pairs, in order of time, show a picture that no earlier one showed.
pub(crate) fn distinct_pairs(
    query: &[Frame],
    reference: &[Frame],
    pairs: &[Pair],
    rule: &MatchRule,
) -> u32 {
    let videos = Videos { query, reference, rule, speeds: SPEEDS };
    let near: Vec<Near> = pairs.iter().filter_map(|pair| weigh(&videos, *pair)).collect();
    videos.distinct(&near.iter().collect::<Vec<_>>())
}

/// The best stretch of two videos in the order given.
fn best(videos: &Videos<'_>, pairs: &[Pair]) -> Option<(Aligned, Vec<Near>)> {
    let near: Vec<Near> = pairs.iter().filter_map(|pair| weigh(videos, *pair)).collect();
    let usual = align_near(videos, &near);
    let is_settled = |(usual, _): &(Aligned, Vec<Near>)| !is_at_the_edge(usual.speed);
    if near.len() < LEAST_AT_ANY_SPEED as usize || usual.as_ref().is_some_and(is_settled) {
        return usual;
    }
    // A copy at double speed has a few frames on lines of usual speed too, and more on its own.
    let any = align_near(&Videos { speeds: ANY_SPEEDS, ..*videos }, &near);
    let any = any.filter(|(any, _)| any.frames >= LEAST_AT_ANY_SPEED);
    let frames = |found: &Option<(Aligned, _)>| found.as_ref().map_or(0, |(one, _)| one.frames);
    if frames(&any) > frames(&usual) { any } else { usual }
}

/// Whether a line was followed to the slowest or fastest speed that is usual, beyond which it may go on.
fn is_at_the_edge(speed: f64) -> bool {
    const WITHIN: f64 = 1.02;
    !(MIN_SPEED * WITHIN..=MAX_SPEED / WITHIN).contains(&speed)
}

/// The best stretch along a line in time through near frames, and the pairs on it in order of time.
pub(crate) fn align_near(videos: &impl Alike, near: &[Near]) -> Option<(Aligned, Vec<Near>)> {
    let mut stretches: Vec<fit::Stretch> = Vec::new();
    for seed in vote::seeds(videos, near) {
        // Most seeds are the same line seen at another place or with a neighbouring speed.
        if !stretches.iter().any(|stretch| stretch.covers(&seed)) {
            stretches.extend(fit::fit(videos, near, seed.line));
        }
    }
    let best = stretches.into_iter().max_by(fit::Stretch::compare)?;
    Some((best.aligned, best.pairs_of(near)))
}

impl Aligned {
    /// The same stretch with query and reference in each other's place.
    fn swapped(self) -> Self {
        Self {
            query_span_ms: self.reference_span_ms,
            reference_span_ms: self.query_span_ms,
            speed: 1.0 / self.speed,
            ..self
        }
    }
}

/// The two videos that are compared.
struct Videos<'a> {
    query: &'a [Frame],
    reference: &'a [Frame],
    rule: &'a MatchRule,
    speeds: (f64, f64),
}

impl Videos<'_> {
    /// Whether of two pairs each frame goes with its own rather than with that of the other: what all moments of two
    /// videos share, such as a broad frame around them, makes any two of their frames near.
    fn are_rather_so(&self, a: &Near, b: &Near) -> bool {
        let query = |near: &Near| self.query[near.query as usize].pdq;
        let reference = |near: &Near| self.reference[near.reference as usize].pdq;
        let crossed = [query(a).distance(&reference(b)), query(b).distance(&reference(a))];
        let apart = query(a).distance(&query(b)).max(reference(a).distance(&reference(b)));
        [a, b].iter().all(|near| crossed.iter().all(|far| goes_with_own(near.bits, *far, apart)))
    }
}

/// Of the bits in which two moments differ, two thirds go with a frame's own where it is nearer to that than to the
/// other by a third of them.
fn goes_with_own(own: u32, other: u32, apart: u32) -> bool {
    other.saturating_sub(own) * 3 >= apart
}

impl Alike for Videos<'_> {
    fn rule(&self) -> &MatchRule {
        self.rule
    }

    fn speeds(&self) -> (f64, f64) {
        self.speeds
    }

    fn is_one_in_query(&self, a: u32, b: u32) -> bool {
        is_one(self.query, a, b)
    }

    fn is_one_in_reference(&self, a: u32, b: u32) -> bool {
        is_one(self.reference, a, b)
    }

    fn distinct(&self, run: &[&Near]) -> u32 {
        let mut counted: Vec<&Near> = Vec::new();
        for near in run {
            let forward = counted.last().is_none_or(|last| {
                near.query_ms > last.query_ms && near.reference_ms > last.reference_ms
            });
            let new = || {
                counted.iter().rev().all(|other| {
                    !self.is_one_in_query(near.query, other.query)
                        && !self.is_one_in_reference(near.reference, other.reference)
                        && self.are_rather_so(near, other)
                })
            };
            if counted.len() < COUNTED_FRAMES && forward && new() {
                counted.push(near);
            }
        }
        counted.len() as u32
    }

    fn least_distinct(&self) -> u32 {
        MIN_ALIGNED_FRAMES
    }
}

fn is_one(frames: &[Frame], a: u32, b: u32) -> bool {
    frames[a as usize].pdq.distance(&frames[b as usize].pdq) <= SAME_FRAME_BITS
}

fn weigh(videos: &Videos<'_>, pair: Pair) -> Option<Near> {
    let frame = videos.query.get(pair.query as usize)?;
    let of = videos.reference.get(pair.reference as usize)?;
    let bits = frame.pdq.distance(&of.pdq);
    // Less contrast makes the quality less and hardly changes the hash; one good frame says what there is to see.
    let counts = bits <= videos.rule.max_distance() && frame.quality.max(of.quality) >= MIN_QUALITY;
    counts.then_some(Near {
        query: pair.query,
        reference: pair.reference,
        query_ms: f64::from(frame.at_ms),
        reference_ms: f64::from(of.at_ms),
        bits,
    })
}
