//! Says whether a video moves along with a known one, or only shows what it shows too.
//!
//! Videos under the same subtitle, logo or frame have frames that fit each other, and two videos of one
//! still scene do. So frames count only where the query shows *this* moment of the known video rather than
//! its other ones: what is the same at all moments has no say in that.

use std::collections::HashMap;

use watchfire_signal::pdq::Pdq;

use super::{EditedVideo, Hit, Video};
use crate::{
    align::{
        ANY_SPEEDS, Aligned, Alike, LEAST_AT_ANY_SPEED, MIN_ALIGNED_FRAMES, MatchRule, Near,
        SPEEDS, align_near,
    },
    variant::{Apart, Bends, DEVIATIONS, LEAST_APART, VariantDecision},
};

/// The points that a match needs: a frame that is sure by itself has two, another one. So three sure
/// frames are enough, or twice as many that are not.
const LEAST_POINTS: u32 = 2 * MIN_ALIGNED_FRAMES;

/// Standard deviations at which what tells moments apart needs no sure frame beside it: a chance of 10⁻¹⁵ for each
/// of the lines that are tried, which for a hundred thousand known videos are some 10⁸.
const BEYOND_CHANCE: u64 = 8;

/// Bits of a hash that differ in two frames which have nothing to do with each other: of comparisons of
/// luminance half differ then.
const CHANCE_BITS: u32 = 32;

/// How far a frame is from a moment.
pub(super) fn bits(moment: &Bends, frame: &Bends) -> u32 {
    let Apart { compared, agreed } = moment.agreement(frame);
    ((compared - agreed) * 2 * CHANCE_BITS / compared.max(1)).min(CHANCE_BITS - 1)
}

/// What frames of a query say of a video; all of them mirrored, or none.
pub(super) fn decide(video: &Video, hits: &[&Hit]) -> Option<EditedVideo> {
    let at_speeds = |speeds| along(&Shown::new(video, hits, speeds));
    let (usual, any) = (at_speeds(SPEEDS), at_speeds(ANY_SPEEDS));
    // A copy at double speed has a few frames on lines of usual speed too, and more on its own.
    let frames = |found: &Option<EditedVideo>| found.as_ref().map_or(0, |one| one.aligned.frames);
    let found = if frames(&any) > frames(&usual) { any } else { usual };
    let found = found.or_else(|| glimpse(video, hits))?;
    let few = found.aligned.frames < LEAST_AT_ANY_SPEED;
    let decision = if few && !found.aligned.is_at_usual_speed() {
        VariantDecision::Review
    } else {
        found.decision
    };
    Some(EditedVideo { decision, ..found })
}

/// What is left where frames of the query that stand in many unrelated videos are no evidence. Where the query has more
/// than half of the video's moments, that is what the video shows, common or not. Else three moments that no
/// others have make a match; three of any kind are a stretch of a film, at which a person looks whoever made
/// its frames common; and a card or two are nothing.
pub(super) fn without(
    one: EditedVideo,
    video: &Video,
    mut is_common: impl FnMut(&Pdq) -> bool,
) -> Option<EditedVideo> {
    let counted = one.shown.len();
    if counted * 2 > video.distinct {
        return Some(one);
    }
    let own = one.shown.iter().filter(|hash| !is_common(hash)).count();
    let least = MIN_ALIGNED_FRAMES as usize;
    if own == counted || own >= least {
        return Some(one);
    }
    let is_left = own > 0 || counted >= least;
    is_left.then_some(EditedVideo { decision: VariantDecision::Review, ..one })
}

/// The best stretch, if it says anything.
fn along(shown: &Shown<'_>) -> Option<EditedVideo> {
    let near: Vec<Near> = shown.hits.values().map(|hit| shown.near(hit)).collect();
    let (aligned, run) = align_near(shown, &sorted(near))?;
    let run: Vec<&Hit> = run.iter().filter_map(|near| shown.hit(near)).collect();
    judge(shown, &run, aligned)
}

/// What frames along a line say.
pub(super) fn judge(shown: &Shown<'_>, run: &[&Hit], aligned: Aligned) -> Option<EditedVideo> {
    let counted = shown.count(run);
    let is_match = counted.moves_along() || shown.stands_still(run, &aligned);
    let tells = counted.sure > 0 || counted.frames > 1;
    let best = run.iter().max_by(|a, b| a.found.score.total_cmp(&b.found.score))?;
    tells.then(|| EditedVideo {
        video: shown.video.id,
        decision: if is_match { VariantDecision::Match } else { VariantDecision::Review },
        aligned,
        sure: counted.sure,
        best: best.found.clone(),
        shown: counted.shown,
    })
}

/// In one order, whatever order a map has.
fn sorted(mut near: Vec<Near>) -> Vec<Near> {
    near.sort_by_key(|near| (near.query, near.reference));
    near
}

/// A single frame that is surely one of the video.
fn glimpse(video: &Video, hits: &[&Hit]) -> Option<EditedVideo> {
    let sure = hits.iter().filter(|hit| hit.is_sure());
    let hit = sure.max_by(|a, b| a.found.score.total_cmp(&b.found.score))?;
    let at_ms = video.moments.get(hit.moment as usize)?.at_ms;
    Some(EditedVideo {
        video: video.id,
        decision: VariantDecision::Review,
        aligned: Aligned {
            query_span_ms: (hit.query_ms, hit.query_ms),
            reference_span_ms: (at_ms, at_ms),
            speed: 1.0,
            frames: 1,
            mean_distance: f64::from(hit.bits),
        },
        sure: 1,
        best: hit.found.clone(),
        shown: vec![hit.hash],
    })
}

impl Hit {
    fn is_sure(&self) -> bool {
        self.found.decision == VariantDecision::Match
    }
}

/// A video and the frames that show it.
pub(super) struct Shown<'a> {
    video: &'a Video,
    /// By frame and moment.
    hits: HashMap<(u32, u32), &'a Hit>,
    speeds: (f64, f64),
}

/// Frames that show moments which tell each other apart, each rather than any of the others.
#[derive(Default)]
struct Counted {
    frames: u32,
    sure: u32,
    apart: Apart,
    /// Blocks that were compared in these frames, and those that agree.
    compared: u32,
    agreed: u32,
    /// The hashes of the query's frames.
    shown: Vec<Pdq>,
}

impl Counted {
    /// Whether that is no chance, and enough: three frames of which each may show what another video under the same
    /// overlay shows too are enough where what moves goes along far beyond chance, and most of the rest agrees.
    fn moves_along(&self) -> bool {
        let points = self.frames + self.sure >= LEAST_POINTS && self.apart.is_beyond(DEVIATIONS);
        let most = self.agreed * 3 >= self.compared * 2;
        let beyond = most && self.apart.is_beyond(BEYOND_CHANCE);
        self.frames >= MIN_ALIGNED_FRAMES && (points || beyond)
    }
}

impl<'a> Shown<'a> {
    pub(super) fn new(video: &'a Video, hits: &[&'a Hit], speeds: (f64, f64)) -> Self {
        let mut best: HashMap<(u32, u32), &'a Hit> = HashMap::new();
        for hit in hits {
            let known = best.entry((hit.query, hit.moment)).or_insert(hit);
            if hit.bits < known.bits {
                *known = hit;
            }
        }
        Self { video, hits: best, speeds }
    }

    fn near(&self, hit: &Hit) -> Near {
        Near {
            query: hit.query,
            reference: hit.moment,
            query_ms: f64::from(hit.query_ms),
            reference_ms: f64::from(self.video.moments[hit.moment as usize].at_ms),
            bits: hit.bits,
        }
    }

    fn hit(&self, near: &Near) -> Option<&'a Hit> {
        self.hits.get(&(near.query, near.reference)).copied()
    }

    /// How many moments are told apart.
    pub(super) fn counted(&self, run: &[&Hit]) -> u32 {
        self.count(run).frames
    }

    /// Counts frames, those that are sure first, then the nearest.
    fn count(&self, run: &[&Hit]) -> Counted {
        let mut run = run.to_vec();
        run.sort_by_key(|hit| (!hit.is_sure(), hit.bits, hit.query));
        let mut counted = Counted::default();
        let mut kept: Vec<&Hit> = Vec::new();
        for hit in run {
            let sides = |other: &&Hit| [self.rather(hit, other), self.rather(other, hit)];
            let sides: Vec<Apart> = kept.iter().flat_map(sides).collect();
            if sides.iter().all(Apart::says_so) {
                counted.frames += 1;
                counted.sure += u32::from(hit.is_sure());
                counted.compared += hit.found.agreement.compared;
                counted.agreed += hit.found.agreement.agreed;
                counted.apart = sides.into_iter().fold(counted.apart, Apart::and);
                counted.shown.push(hit.hash);
                kept.push(hit);
            }
        }
        counted
    }

    /// How far a frame shows its own moment rather than that of another frame.
    fn rather(&self, hit: &Hit, other: &Hit) -> Apart {
        let bends = |hit: &Hit| &self.video.moments[hit.moment as usize].bends;
        bends(hit).rather_than(bends(other), &hit.found.bends)
    }

    /// Whether a video without three moments to tell apart is shown: two thirds of its moments, each by a sure
    /// frame, at least three, over half of its length, and none of them rather another one. A card that stands
    /// in a video is never that much of it.
    fn stands_still(&self, run: &[&Hit], aligned: &Aligned) -> bool {
        let sure: Vec<&Hit> = run.iter().copied().filter(|hit| hit.is_sure()).collect();
        let (first, last) = aligned.reference_span_ms;
        self.video.distinct < MIN_ALIGNED_FRAMES as usize
            && sure.len() >= MIN_ALIGNED_FRAMES as usize
            && sure.len() * 3 >= self.video.moments.len() * 2
            && u64::from(last - first) * 2 >= u64::from(self.video.length_ms)
            && !self.contradicts(&sure)
    }

    /// Whether frames go with other moments rather than with their own.
    fn contradicts(&self, run: &[&Hit]) -> bool {
        let pairs = run.iter().flat_map(|hit| run.iter().map(move |other| (hit, other)));
        let all =
            pairs.map(|(hit, other)| self.rather(hit, other)).fold(Apart::default(), Apart::and);
        all.compared >= LEAST_APART && all.agreed * 2 < all.compared
    }
}

impl Alike for Shown<'_> {
    fn rule(&self) -> &MatchRule {
        &self.video.rule
    }

    fn speeds(&self) -> (f64, f64) {
        self.speeds
    }

    fn is_one_in_query(&self, a: u32, b: u32) -> bool {
        a == b
    }

    fn is_one_in_reference(&self, a: u32, b: u32) -> bool {
        a == b
    }

    fn distinct(&self, run: &[&Near]) -> u32 {
        let run: Vec<&Hit> = run.iter().filter_map(|near| self.hit(near)).collect();
        self.count(&run).frames
    }

    fn least_distinct(&self) -> u32 {
        1
    }
}
