//! Finds who owns a signal near a given one, whatever its kind: the one index behind known signals
//! and seen items.
//!
//! **Invariant:** what [`Near::insert`] returned from is found by the next search; readers never wait.

mod bytes;
mod compare;
mod edits;
mod hit;

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    sync::atomic::{AtomicU64, Ordering},
};

use watchfire_index::{
    ExactIndex, Found, FoundVideos, FrameIndex, HashIndex, SoundIndex, SoundMatch, TextIndex,
    TextMatch, VideoMatch,
};
use watchfire_signal::{
    digest::{Md5Digest, Sha256Digest},
    features::{Area, Depth, Views},
    pdq::{self, Pdq, Turn},
    sound_print::SoundPrint,
    text_print::TextPrint,
    value::{Kind, MatchRule, Signal, Span, Value, ValueOrBlob},
    vpdq::{Frame, Vpdq},
};

pub use self::bytes::MemoryBytes;
use self::compare::aligned;
pub use self::compare::compare;
use self::edits::Edits;
pub use self::edits::{MAX_MOMENTS, MAX_PICTURES, Watch};
pub use self::hit::{Aligned, Edit, EditedHits, Fit, Hit, Method, loudest};
pub use watchfire_index::Source;

/// Owners of one crowd named in one answer and kind, the nearest: nobody makes an answer long by
/// repeating the same, and nobody hides what others own.
pub const CROWD_HITS: usize = 1_024;

/// The gap between two aligned frames of a run that is bridged where an alert does not say.
pub const STANDARD_MAX_GAP_MS: u32 = 3_000;

/// Which side is the alert: its rule decides whether two videos match, its text has to stand in the
/// other, its link has to lie above the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// What is held here: an upload among known alerts.
    Held,
    /// The query: an alert among seen uploads, of which each copy counts.
    Query,
}

/// An index over signals of all kinds by owner.
pub struct Near<K> {
    sha256: ExactIndex<Sha256Digest>,
    md5: ExactIndex<Md5Digest>,
    pictures: HashIndex,
    videos: FrameIndex,
    texts: TextIndex,
    short_texts: ExactIndex<Sha256Digest>,
    sounds: SoundIndex,
    /// Links by what they stand for.
    links: ExactIndex<Sha256Digest>,
    /// Links by every place that they lie under, and by themselves.
    link_places: ExactIndex<Sha256Digest>,
    /// Known things by local features; none where uploads are held, of which no features are kept.
    edits: Option<Edits<K>>,
    least_matched_ms: u32,
    slots: papaya::HashMap<u64, Slot<K>>,
    owned: papaya::HashMap<K, Ids>,
    next: AtomicU64,
}

#[derive(Debug, Clone)]
struct Slot<K> {
    owner: K,
    value: Value,
    span: Option<Span>,
    rule: Option<MatchRule>,
    /// Below the quality floor.
    thin: bool,
    /// It is of what lies in the owner's picture, not of all of it.
    part: bool,
}

/// The numbers of an owner's signals: most have one.
#[derive(Debug, Clone)]
enum Ids {
    One(u64),
    Many(Box<[u64]>),
}

impl Ids {
    fn all(&self) -> &[u64] {
        match self {
            Self::One(id) => std::slice::from_ref(id),
            Self::Many(ids) => ids,
        }
    }

    fn and(&self, id: u64) -> Self {
        Self::Many(self.all().iter().copied().chain([id]).collect())
    }
}

impl<K: Copy + Eq + Hash + Send + Sync + 'static> Near<K> {
    /// An empty index. `seed` keeps others from aiming at a bucket of it; videos match on at least
    /// `least_matched_ms` milliseconds (the charter's), whatever an alert says.
    #[must_use]
    pub fn new(seed: [u8; 32], least_matched_ms: u32) -> Self {
        Self {
            sha256: ExactIndex::new(),
            md5: ExactIndex::new(),
            pictures: HashIndex::new(seed),
            videos: FrameIndex::new(seed),
            texts: TextIndex::new(),
            short_texts: ExactIndex::new(),
            sounds: SoundIndex::new(seed),
            links: ExactIndex::new(),
            link_places: ExactIndex::new(),
            edits: None,
            least_matched_ms,
            slots: papaya::HashMap::new(),
            owned: papaya::HashMap::new(),
            next: AtomicU64::new(1),
        }
    }

    /// An index that finds edited copies of pictures too: of what is known, not of what is held.
    #[must_use]
    pub fn of_known(seed: [u8; 32], least_matched_ms: u32) -> Self {
        Self {
            edits: Some(Edits::new(seed, least_matched_ms)),
            ..Self::new(seed, least_matched_ms)
        }
    }

    /// Whether an owner has signals here.
    #[must_use]
    pub fn has(&self, owner: &K) -> bool {
        self.owned.pin().contains_key(owner)
    }

    /// Signals held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether any sound is held.
    #[must_use]
    pub fn has_sound(&self) -> bool {
        !self.sounds.is_empty()
    }

    /// How far it is worth to look for edited copies of what is held.
    #[must_use]
    pub fn depth(&self) -> Depth {
        match &self.edits {
            Some(edits) if edits.has_pictures() || edits.has_videos() => Depth::Features,
            Some(_) if !self.pictures.is_empty() => Depth::Parts,
            _ => Depth::Signals,
        }
    }

    /// Whether videos can be found by the local features of their frames.
    #[must_use]
    pub fn has_moments(&self) -> bool {
        self.edits.as_ref().is_some_and(Edits::has_videos)
    }

    /// Adds all signals of an owner, also those that edited copies are found by.
    pub fn insert_all(&self, owner: K, signals: &[Signal]) {
        signals.iter().for_each(|signal| self.insert(owner, signal));
        if let Some(edits) = &self.edits {
            edits.insert(owner, signals);
        }
    }

    /// Adds a signal under an owner. One that cannot be matched (a value in a blob, a picture of too little
    /// quality, local features) is left out.
    pub fn insert(&self, owner: K, signal: &Signal) {
        let Some(value) = matchable(signal) else { return };
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (span, rule, thin) = (signal.span, signal.rule, signal.is_thin());
        self.hold(id, Slot { owner, value: value.clone(), span, rule, thin, part: false });
        match value {
            Value::Sha256(digest) => self.sha256.insert(id, *digest),
            Value::Md5(digest) => self.md5.insert(id, *digest),
            Value::Pdq(pdq) => self.pictures.insert(id, pdq),
            Value::Vpdq(vpdq) => {
                let frames = harmful_frames(vpdq, signal.span);
                self.videos.insert(id, &frames, video_rule(signal.rule, self.least_matched_ms));
            }
            Value::Audio(print) => self.sounds.insert(id, print),
            Value::Text(TextPrint::Short(digest)) => self.short_texts.insert(id, *digest),
            Value::Text(TextPrint::Long(grams)) => self.texts.insert(id, grams),
            Value::Url(link) => {
                self.links.insert(id, link.digest());
                link.all().for_each(|place| self.link_places.insert(id, place));
            }
            // No value that `matchable` gives.
            Value::Features(_) => {}
        }
    }

    /// Adds the hash of what a border or a rectangle in an owner's picture holds.
    pub fn insert_part(&self, owner: K, part: &Pdq) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let value = Value::Pdq(*part);
        self.hold(id, Slot { owner, value, span: None, rule: None, thin: false, part: true });
        self.pictures.insert(id, part);
    }

    fn hold(&self, id: u64, slot: Slot<K>) {
        let owner = slot.owner;
        self.slots.pin().insert(id, slot);
        self.owned.pin().update_or_insert_with(owner, |ids| ids.and(id), || Ids::One(id));
    }

    /// Takes everything from an owner.
    pub fn remove(&self, owner: &K) {
        if let Some(edits) = &self.edits {
            edits.remove(owner);
        }
        let Some(ids) = self.owned.pin().remove(owner).cloned() else { return };
        for id in ids.all() {
            let id = *id;
            let Some(slot) = self.slots.pin().remove(&id).cloned() else { continue };
            match slot.value {
                Value::Sha256(digest) => self.sha256.remove(id, &digest),
                Value::Md5(digest) => self.md5.remove(id, &digest),
                Value::Pdq(pdq) => self.pictures.remove(id, &pdq),
                Value::Vpdq(_) => self.videos.remove(id),
                Value::Audio(_) => self.sounds.remove(id),
                Value::Text(TextPrint::Short(digest)) => self.short_texts.remove(id, &digest),
                Value::Text(TextPrint::Long(_)) => self.texts.remove(id),
                Value::Url(link) => {
                    link.all().for_each(|place| {
                        self.link_places.remove(id, &place);
                    });
                    self.links.remove(id, &link.digest())
                }
                Value::Features(_) => false,
            };
        }
    }

    /// Owners of signals near this one, all of them, the nearest first.
    #[must_use]
    pub fn search(&self, signal: &Signal, whose: Whose) -> Vec<Hit<K>> {
        let Some(value) = matchable(signal) else { return Vec::new() };
        match value {
            Value::Vpdq(vpdq) => {
                let frames = harmful_frames(vpdq, signal.span);
                match whose {
                    Whose::Held => self.videos_like(&frames, |_| None),
                    Whose::Query => {
                        let rule = video_rule(signal.rule, self.least_matched_ms);
                        self.either_way(&frames, |frames| self.videos.search_with(frames, &rule))
                    }
                }
            }
            value => self.still(value, signal, whose),
        }
    }

    /// Owners of signals near this one, each by its own rule. `source` says where an owner is from. Of the owners of one
    /// crowd there are the [`CROWD_HITS`] nearest; an owner without a crowd is never left out.
    #[must_use]
    pub fn search_crowds(
        &self,
        signal: &Signal,
        source: impl Fn(&K) -> Option<Source>,
    ) -> Vec<Hit<K>> {
        let Some(value) = matchable(signal) else { return Vec::new() };
        if let Value::Vpdq(vpdq) = value {
            let slots = self.slots.pin();
            let of_video = |id| slots.get(&id).and_then(|slot| source(&slot.owner));
            return self.videos_like(&harmful_frames(vpdq, signal.span), of_video);
        }
        let mut hits = self.still(value, signal, Whose::Held);
        if hits.len() > CROWD_HITS {
            let mut counts = HashMap::<u64, usize>::new();
            hits.retain(|hit| {
                let Some(crowd) = source(&hit.owner).and_then(|source| source.crowd()) else {
                    return true;
                };
                let count = counts.entry(crowd).or_default();
                *count += 1;
                *count <= CROWD_HITS
            });
        }
        hits
    }

    /// Owners of pictures that an upload shows edited: framed, cropped, turned, written over.
    #[must_use]
    pub fn search_edited(&self, views: &Views) -> EditedHits<K> {
        let Some(edits) = &self.edits else { return EditedHits::default() };
        let mut found = edits.search(views);
        for (part, area) in &views.parts {
            let EditedHits { hits, truncated } = self.pictures_like(part, Some(area));
            found.hits.extend(hits);
            found.truncated |= truncated;
        }
        found
    }

    /// Owners of pictures that lie somewhere in another one, as they are, turned, mirrored or inverted, by the hash of
    /// what lies there.
    #[must_use]
    pub fn search_part(&self, part: &Pdq) -> Vec<Hit<K>> {
        self.pictures_like(part, None).hits
    }

    fn pictures_like(&self, part: &Pdq, area: Option<&Area>) -> EditedHits<K> {
        let query = Signal::new(*part);
        let mut all = EditedHits::default();
        let mut like = |pdq: &Pdq, turn: Option<&Turn>| {
            let found = self.pictures.search(pdq, pdq::MAX_DISTANCE, CROWD_HITS);
            let edit = area.map(|area| Edit::whole(area, turn));
            let hits = self.hits(found.hits, &query, Method::Part);
            all.hits.extend(hits.into_iter().map(move |hit| Hit { edit, ..hit }));
            all.truncated |= found.truncated;
        };
        like(part, None);
        part.turned().iter().zip(&Turn::ALL).for_each(|(pdq, turn)| like(pdq, Some(turn)));
        all
    }

    /// Owners of videos that parts of a video's frames show, as they are or mirrored: in a letterbox, on the screen of
    /// an app, in a part of another video. Parts come in order of time. Of the owners of one crowd a frame points to a
    /// few, as in [`Near::search_crowds`].
    #[must_use]
    pub fn search_parts(
        &self,
        parts: &[(Frame, Area)],
        source: impl Fn(&K) -> Option<Source>,
    ) -> Vec<Hit<K>> {
        let slots = self.slots.pin();
        let of_video = |id| slots.get(&id).and_then(|slot| source(&slot.owner));
        let mirrored: Vec<_> = parts.iter().map(|(frame, area)| (mirror(frame), *area)).collect();
        let like = |parts: &[(Frame, Area)], turn: Option<&Turn>| {
            let hit = |(found, area): (VideoMatch, Area)| {
                let edit = Some(Edit::whole(&area, turn));
                Some(Hit { method: Method::Part, edit, ..self.aligned(&found)? })
            };
            let found = self.videos.search_parts(parts, of_video).into_iter();
            found.filter_map(hit).collect::<Vec<_>>()
        };
        [like(parts, None), like(&mirrored, Some(&Turn::MIRROR))].concat()
    }

    /// Begins to look at a video for edited copies of what is known.
    #[must_use]
    pub fn watch(&self) -> Option<Watch<'_, K>> {
        self.edits.as_ref().map(|edits| edits.watch(self))
    }

    /// Whether what frames show stands in many unrelated videos, so that it is no evidence of any.
    fn is_common(&self, source: impl Fn(&K) -> Option<Source>) -> impl FnMut(&Pdq) -> bool {
        let slots = self.slots.pin();
        let of_video = move |id| slots.get(&id).and_then(|slot| source(&slot.owner));
        let mut commons = self.videos.commons(of_video);
        move |hash| commons.has(hash)
    }

    /// Owners of a digest, picture, text or link near this one.
    fn still(&self, value: &Value, signal: &Signal, whose: Whose) -> Vec<Hit<K>> {
        let exact = |found| (found, Method::Exact);
        let (found, method) = match (value, whose) {
            (Value::Sha256(digest), _) => exact(self.sha256.search(digest, usize::MAX)),
            (Value::Md5(digest), _) => exact(self.md5.search(digest, usize::MAX)),
            (Value::Pdq(pdq), _) => {
                let like = |pdq| self.pictures.search(pdq, pdq::MAX_DISTANCE, usize::MAX);
                let mut hits = self.hits(like(pdq).hits, signal, Method::Near);
                for (turned, turn) in pdq.turned().iter().zip(&Turn::ALL) {
                    let edit = Some(Edit::whole(&Area::WHOLE, Some(turn)));
                    let turned = self.hits(like(turned).hits, signal, Method::Turned);
                    hits.extend(turned.into_iter().map(|hit| Hit { edit, ..hit }));
                }
                return hits;
            }
            (Value::Text(TextPrint::Short(digest)), _) => {
                exact(self.short_texts.search(digest, usize::MAX))
            }
            (Value::Text(TextPrint::Long(text)), Whose::Held) => {
                return self.long_texts(self.texts.search_in(text), signal);
            }
            (Value::Text(TextPrint::Long(text)), Whose::Query) => {
                return self.long_texts(self.texts.search_around(text), signal);
            }
            (Value::Url(link), Whose::Held) => exact(all_of(&self.links, link.all())),
            (Value::Url(link), Whose::Query) => {
                exact(self.link_places.search(&link.digest(), usize::MAX))
            }
            (Value::Audio(print), _) => return self.sounds(print, signal),
            (Value::Vpdq(_) | Value::Features(_), _) => return Vec::new(),
        };
        self.hits(found.hits, signal, method)
    }

    /// Owners of texts that were found, of which not all are sure.
    fn long_texts(&self, found: Vec<TextMatch>, signal: &Signal) -> Vec<Hit<K>> {
        let hit = |found: TextMatch| {
            let hits = self.hits(vec![(found.text, found.distance)], signal, Method::Near);
            hits.into_iter().map(move |hit| Hit { sure: found.sure && hit.sure, ..hit })
        };
        found.into_iter().flat_map(hit).collect()
    }

    /// Owners of sounds that share a part with this one, each by its own rule.
    fn sounds(&self, print: &SoundPrint, query: &Signal) -> Vec<Hit<K>> {
        let slots = self.slots.pin();
        let hit = |found: SoundMatch| {
            let slot = slots.get(&found.sound)?;
            let shift = |span: Option<Span>, (start_ms, end_ms): (u32, u32)| {
                let by = span.map_or(0, |span| span.start_ms);
                Span { start_ms: by.saturating_add(start_ms), end_ms: by.saturating_add(end_ms) }
            };
            let aligned = Aligned {
                query: shift(query.span, found.query_span_ms),
                reference: shift(slot.span, found.reference_span_ms),
                speed: found.speed,
                frames: 0,
            };
            let least = slot.rule.map_or(0, |rule| rule.min_matched_ms);
            let matched_ms = aligned.reference.end_ms - aligned.reference.start_ms;
            let near = found.distance <= farthest(Kind::Audio, slot.rule);
            (near && matched_ms >= least).then_some(Hit {
                owner: slot.owner,
                kind: Kind::Audio,
                method: Method::Sound,
                distance: Some(found.distance),
                aligned: Some(aligned),
                edit: None,
                sure: !slot.thin,
                thin: slot.thin,
                also: BTreeSet::new(),
            })
        };
        self.sounds.search(print).into_iter().filter_map(hit).collect()
    }

    /// Owners of videos that show the same moments as an upload, as it is or mirrored.
    fn videos_like(&self, frames: &[Frame], source: impl Fn(u64) -> Option<Source>) -> Vec<Hit<K>> {
        self.either_way(frames, |frames| self.videos.search_crowds(frames, &source))
    }

    /// Owners of videos that frames find, as they are or mirrored.
    fn either_way(&self, frames: &[Frame], like: impl Fn(&[Frame]) -> FoundVideos) -> Vec<Hit<K>> {
        let plain = like(frames).videos.into_iter().filter_map(|found| self.aligned(&found));
        let turned = like(&mirrored(frames)).videos;
        let turned = turned.into_iter().filter_map(|found| self.aligned(&found));
        plain.chain(turned.map(Hit::mirrored)).collect()
    }

    fn aligned(&self, found: &VideoMatch) -> Option<Hit<K>> {
        let slots = self.slots.pin();
        let Slot { owner, thin, .. } = slots.get(&found.video)?;
        let hit = aligned(*owner, &found.aligned);
        Some(Hit { sure: hit.sure && found.sure && !thin, thin: *thin, ..hit })
    }

    fn hits(&self, found: Vec<(u64, u32)>, query: &Signal, method: Method) -> Vec<Hit<K>> {
        let slots = self.slots.pin();
        let hit = |(id, distance): (u64, u32)| {
            let slot = slots.get(&id)?;
            let kind = query.kind();
            let limit = farthest(kind, query.rule).min(farthest(kind, slot.rule));
            let distance = (method != Method::Exact).then_some(distance);
            let method = if slot.part { Method::Part } else { method };
            (distance.unwrap_or(0) <= limit).then_some(Hit {
                owner: slot.owner,
                kind,
                method,
                distance,
                aligned: None,
                edit: None,
                sure: !slot.thin,
                thin: slot.thin,
                also: BTreeSet::new(),
            })
        };
        found.into_iter().filter_map(hit).collect()
    }
}

/// The rule that counts here: no member can widen its own match.
fn video_rule(rule: Option<MatchRule>, least_matched_ms: u32) -> watchfire_index::MatchRule {
    let asked = rule.map_or(0, |rule| rule.min_matched_ms);
    watchfire_index::MatchRule {
        max_distance: farthest(Kind::Vpdq, rule),
        min_matched_ms: asked.max(least_matched_ms),
        max_gap_ms: rule.map_or(STANDARD_MAX_GAP_MS, |rule| rule.max_gap_ms),
    }
}

/// The distance that a rule allows, clamped: no member can widen its own match.
fn farthest(kind: Kind, rule: Option<MatchRule>) -> u32 {
    let most = kind.max_distance();
    rule.map_or(most, |rule| u32::from(rule.max_distance).min(most))
}

/// What any of several values finds.
fn all_of(index: &ExactIndex<Sha256Digest>, values: impl Iterator<Item = Sha256Digest>) -> Found {
    let hits = values.flat_map(|value| index.search(&value, usize::MAX).hits).collect();
    Found { hits, truncated: false }
}

/// The frames inside the span, or all.
pub(crate) fn harmful_frames(vpdq: &Vpdq, span: Option<Span>) -> Vec<Frame> {
    let inside = |frame: &&Frame| {
        span.is_none_or(|span| (span.start_ms..=span.end_ms).contains(&frame.at_ms))
    };
    vpdq.frames.iter().filter(inside).copied().collect()
}

/// The frames of the mirrored video, about.
fn mirrored(frames: &[Frame]) -> Vec<Frame> {
    frames.iter().map(mirror).collect()
}

fn mirror(frame: &Frame) -> Frame {
    Frame { pdq: frame.pdq.mirrored(), ..*frame }
}

/// The value, if it can be matched.
pub(crate) fn matchable(signal: &Signal) -> Option<&Value> {
    let ValueOrBlob::Value(value) = &signal.value else { return None };
    match value {
        Value::Pdq(_) if signal.quality.is_some_and(|quality| quality < pdq::MIN_QUALITY) => None,
        Value::Features(_) => None,
        value => Some(value),
    }
}
