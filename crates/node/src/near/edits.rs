//! Finds known pictures and videos that an upload is an edited copy of, by local features in alerts.
//!
//! **Invariant:** its memory has a limit, and nothing is taken before the first reference comes.

use std::{
    collections::BTreeSet,
    hash::Hash,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use watchfire_index::{
    EditedVideo, KnownVideo, MomentIndex, MomentSearch, Transform, VariantDecision, VariantIndex,
    VariantLimits, VariantMatch,
};
use watchfire_signal::{
    features::{Area, Moment, SeenPicture, Views},
    pdq::{MIN_QUALITY, Pdq},
    value::{Kind, Signal, Span, Value, ValueOrBlob},
    vpdq::Frame,
};

use super::{
    Near, Source, harmful_frames,
    hit::{Aligned, Edit, EditedHits, Fit, Hit, Method},
    video_rule,
};

/// The most known pictures that one upload is told to be an edited copy of.
const MOST: usize = 64;

/// The most known pictures that are found by local features.
pub const MAX_PICTURES: usize = 100_000;

/// The most frames of known videos that are found by local features; a video has at most 32.
pub const MAX_MOMENTS: usize = 200_000;

/// Known pictures and videos by their local features.
pub(super) struct Edits<K> {
    seed: [u8; 32],
    least_matched_ms: u32,
    pictures: OnceLock<VariantIndex>,
    videos: OnceLock<MomentIndex>,
    held: papaya::HashMap<u64, Held<K>>,
    owned: papaya::HashMap<K, Vec<u64>>,
    next: AtomicU64,
    full: AtomicBool,
}

/// A known picture or video.
#[derive(Debug, Clone, Copy)]
struct Held<K> {
    owner: K,
    /// The size of its prints.
    size: (u16, u16),
    /// Whether they are below the quality floor.
    thin: bool,
}

impl<K: Copy + Eq + Hash + Send + Sync + 'static> Edits<K> {
    pub(super) fn new(seed: [u8; 32], least_matched_ms: u32) -> Self {
        Self {
            seed,
            least_matched_ms,
            pictures: OnceLock::new(),
            videos: OnceLock::new(),
            held: papaya::HashMap::new(),
            owned: papaya::HashMap::new(),
            next: AtomicU64::new(1),
            full: AtomicBool::new(false),
        }
    }

    /// Adds what edited copies are found by among the signals of one owner; the rest is left out.
    pub(super) fn insert(&self, owner: K, signals: &[Signal]) {
        let hashes: Vec<Pdq> = signals.iter().filter_map(telling_hash).collect();
        for signal in signals.iter().filter(|signal| signal.span.is_none()) {
            let ValueOrBlob::Value(Value::Features(print)) = &signal.value else { continue };
            let limits = VariantLimits { references: MAX_PICTURES, ..VariantLimits::default() };
            let pictures = self.pictures.get_or_init(|| VariantIndex::new(self.seed, limits));
            let (size, thin) = ((print.width(), print.height()), signal.is_thin());
            let id = self.hold(Held { owner, size, thin });
            self.told(pictures.insert_hashed(id, print, &hashes).is_ok());
        }
        let moments: Vec<Moment> = signals.iter().filter_map(Signal::moment).collect();
        let video = signals.iter().find_map(|signal| match &signal.value {
            ValueOrBlob::Value(Value::Vpdq(vpdq)) => {
                Some((harmful_frames(vpdq, signal.span), signal.rule))
            }
            _ => None,
        });
        let (Some(first), Some((frames, rule))) = (moments.first(), video) else { return };
        let (Some(begin), Some(end)) = (frames.first(), frames.last()) else { return };
        let limits = VariantLimits { references: MAX_MOMENTS, ..VariantLimits::default() };
        let videos = self.videos.get_or_init(|| MomentIndex::new(self.seed, limits));
        let size = (first.print.width(), first.print.height());
        let thin = !signals.iter().any(|one| one.moment().is_some() && !one.is_thin());
        let id = self.hold(Held { owner, size, thin });
        let known = KnownVideo {
            moments: &moments,
            frames: &frames,
            length_ms: end.at_ms.saturating_sub(begin.at_ms),
            rule: video_rule(rule, self.least_matched_ms),
        };
        self.told(videos.insert(id, known).is_ok());
    }

    fn hold(&self, held: Held<K>) -> u64 {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.held.pin().insert(id, held);
        self.owned.pin().update_or_insert_with(
            held.owner,
            |ids| ids.iter().copied().chain([id]).collect(),
            || vec![id],
        );
        id
    }

    fn told(&self, fits: bool) {
        if fits {
            return;
        }
        metrics::counter!("watchfire_features_left_out_total").increment(1);
        if !self.full.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                MAX_PICTURES,
                MAX_MOMENTS,
                "what comes now is not found by its local features any more"
            );
        }
    }

    pub(super) fn remove(&self, owner: &K) {
        let Some(ids) = self.owned.pin().remove(owner).cloned() else { return };
        for id in ids {
            self.held.pin().remove(&id);
            self.pictures.get().map(|pictures| pictures.remove(id));
            self.videos.get().map(|videos| videos.remove(id));
        }
    }

    pub(super) fn has_pictures(&self) -> bool {
        self.pictures.get().is_some_and(|pictures| !pictures.is_empty())
    }

    pub(super) fn has_videos(&self) -> bool {
        self.videos.get().is_some_and(|videos| !videos.is_empty())
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let pictures = self.pictures.get().map_or(0, VariantIndex::memory_bytes);
        pictures + self.videos.get().map_or(0, MomentIndex::memory_bytes)
    }

    /// Known pictures that a picture shows.
    pub(super) fn search(&self, views: &Views) -> EditedHits<K> {
        let Some(pictures) = self.pictures.get().filter(|pictures| !pictures.is_empty()) else {
            return EditedHits::default();
        };
        let found = pictures.search(&views.pictures, MOST);
        let held = self.held.pin();
        let hit = |found: &VariantMatch| {
            let known = held.get(&found.id)?;
            let (seen, area) = (views.pictures.get(found.look)?, views.areas.get(found.look)?);
            let sure = found.decision == VariantDecision::Match;
            let edit = edit(found, (seen.grey.width, seen.grey.height, area), known.size);
            Some(Hit { edit: Some(edit), ..plain(known, sure) })
        };
        let hits = found.matches.iter().filter_map(hit).collect();
        EditedHits { hits, truncated: found.truncated }
    }

    /// Begins to look at a video, frame by frame.
    pub(super) fn watch<'a>(&'a self, near: &'a Near<K>) -> Watch<'a, K> {
        Watch { near, edits: self, search: None, size: (1, 1) }
    }
}

/// A video that is looked at.
pub struct Watch<'a, K> {
    near: &'a Near<K>,
    edits: &'a Edits<K>,
    search: Option<MomentSearch<'a>>,
    size: (usize, usize),
}

impl<K: Copy + Eq + Hash + Send + Sync + 'static> Watch<'_, K> {
    /// Looks a frame up; frames come in order of time.
    pub fn see(&mut self, frame: &Frame, pictures: &[SeenPicture]) {
        let Some(first) = pictures.first() else { return };
        // Of a stream that began before anything was known, what comes from now on is looked up.
        let edits = self.edits;
        let videos = || edits.videos.get().filter(|videos| !videos.is_empty());
        self.search = self.search.take().or_else(|| videos().map(MomentIndex::search));
        let Some(search) = &mut self.search else { return };
        self.size = (first.grey.width, first.grey.height);
        search.see(frame, pictures);
    }

    /// Whether a frame may show more known videos than were looked at.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.search.as_ref().is_some_and(MomentSearch::is_truncated)
    }

    /// Known videos of which an edited copy was seen so far. `source` says where an owner is from.
    #[must_use]
    pub fn found(&self, source: impl Fn(&K) -> Option<Source>) -> Vec<Hit<K>> {
        let Some(search) = &self.search else { return Vec::new() };
        let held = self.edits.held.pin();
        let hit = |found: &EditedVideo| {
            let known = held.get(&found.video)?;
            let sure = found.decision == VariantDecision::Match;
            let seen = (self.size.0, self.size.1, &Area::WHOLE);
            let span = |(start_ms, end_ms): (u32, u32)| Span { start_ms, end_ms };
            let aligned = Aligned {
                query: span(found.aligned.query_span_ms),
                reference: span(found.aligned.reference_span_ms),
                speed: found.aligned.speed,
                frames: found.aligned.frames,
            };
            let edit = Some(edit(&found.best, seen, known.size));
            Some(Hit { aligned: Some(aligned), edit, ..plain(known, sure) })
        };
        search.found(self.near.is_common(source)).iter().filter_map(hit).collect()
    }
}

/// The hash of a picture, if it says enough about it.
fn telling_hash(signal: &Signal) -> Option<Pdq> {
    match signal.value {
        ValueOrBlob::Value(Value::Pdq(hash)) if signal.quality >= Some(MIN_QUALITY) => Some(hash),
        _ => None,
    }
}

fn plain<K: Copy>(known: &Held<K>, sure: bool) -> Hit<K> {
    Hit {
        owner: known.owner,
        kind: Kind::Features,
        method: Method::Features,
        distance: None,
        aligned: None,
        edit: None,
        sure: sure && !known.thin,
        thin: known.thin,
        also: BTreeSet::new(),
    }
}

/// In shares of sides, where the index speaks of pixels of what it looked at and of the print.
fn edit(
    found: &VariantMatch,
    (across, down, area): (usize, usize, &Area),
    (width, height): (u16, u16),
) -> Edit {
    let (across, down) = (across as f32, down as f32);
    let upload = |(x, y): (f32, f32)| area.outwards((x / across, y / down));
    let reference = |(x, y): (f32, f32)| (x / f32::from(width), y / f32::from(height));
    let seen = |place| {
        let (x, y) = area.inwards(place);
        (x * across, y * down)
    };
    let agreement = &found.agreement;
    Edit {
        region: found.query_region.map(upload),
        reference_region: found.reference_region.map(reference),
        fit: Some(Fit {
            inliers: u32::try_from(found.inliers).unwrap_or(u32::MAX),
            agreed_percent: 100 * agreement.agreed / agreement.compared.max(1),
            transform: rows(&found.transform, seen, reference),
        }),
    }
}

type Place = (f32, f32);

/// An affine transform between other units, from what it does to three places.
fn rows(
    transform: &Transform,
    before: impl Fn(Place) -> Place,
    after: impl Fn(Place) -> Place,
) -> [[f32; 3]; 2] {
    let [none, right, down] =
        [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)].map(|place| after(transform.apply(before(place))));
    [[right.0 - none.0, down.0 - none.0, none.0], [right.1 - none.1, down.1 - none.1, none.1]]
}
