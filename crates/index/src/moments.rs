//! Finds which known videos a video is an edited copy of, by local features: cropped, filmed off a screen, written over.
//!
//! Frames of known videos are prints as they stand in alerts. Each frame of a query is looked up like a
//! picture; frames that are found vote for lines in time as hashes do; and what moves along with the known
//! video, moment for moment, is a copy of it.
//! **Invariant:** one picture, however long and however often it is shown, is never a match.
//! **Invariant:** memory of a search has a named limit, however long the video.

mod decide;
mod follow;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use watchfire_signal::{
    features::{Cells, Moment, SeenPicture},
    pdq::{MIN_QUALITY, Pdq},
    vpdq::Frame,
};

use self::follow::{Kept, MAX_KEPT};
use crate::{
    align::{Aligned, MatchRule},
    variant::{Bends, Full, Limits, VariantDecision, VariantIndex, VariantMatch},
};

/// The most places of a frame that was found which are kept: those that are most alike.
const MAX_PLACES: usize = 32;

/// The most known videos that are followed through each stretch of a query, those found most first.
const MAX_FOLLOWED: usize = 16;

/// The most known videos that were followed of which one search keeps what was found.
const MAX_KEPT_VIDEOS: usize = 1_024;

/// The most frames that were found of one search; beyond it the earliest are forgotten. A copy of the
/// longest known stretch in an hour of others fits.
const MAX_HITS: usize = 16_384;

/// How far from a moment a frame may be whose hash is taken for the moment's, in milliseconds: of each second the moment
/// is taken around which least moves within so much.
const BESIDE_MS: u32 = 250;

/// A known video: of an alert, its harmful span.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KnownVideo<'a> {
    /// Frames of it, in any order.
    pub moments: &'a [Moment],
    /// Hashes of its frames, in order of time; those beside its moments make edited copies surer.
    pub frames: &'a [Frame],
    /// How long it is, in milliseconds; frames need not be from all of it.
    pub length_ms: u32,
    /// When a stretch of it counts.
    pub rule: MatchRule,
}

/// A known video that a video has an edited copy of.
#[derive(Debug, Clone, PartialEq)]
pub struct EditedVideo {
    /// The id under which it was inserted.
    pub video: u64,
    /// How sure that is.
    pub decision: VariantDecision,
    /// Where and how they line up. Its frames are moments that tell each other apart, and of which the
    /// query shows each rather than any other.
    pub aligned: Aligned,
    /// How many of these are sure by themselves.
    pub sure: u32,
    /// The frame that fits best, without its places: its id is that of the video.
    pub best: VariantMatch,
    /// The hashes of the query's frames that count.
    shown: Vec<Pdq>,
}

/// A concurrent index of videos by the features of their frames.
pub struct MomentIndex {
    variants: VariantIndex,
    videos: papaya::HashMap<u32, Arc<Video>>,
    writer: Mutex<Writer>,
}

/// Which number each video has inside; none is used again, so that a search never takes one for another.
#[derive(Default)]
struct Writer {
    numbers: HashMap<u64, u32>,
    next: u32,
}

/// A stored video.
struct Video {
    id: u64,
    length_ms: u32,
    rule: MatchRule,
    moments: Vec<Known>,
    /// Moments that tell each other apart.
    distinct: usize,
}

struct Known {
    at_ms: u32,
    cells: Cells,
    bends: Bends,
}

/// One video that is looked up, frame by frame.
pub struct MomentSearch<'a> {
    index: &'a MomentIndex,
    looks: u32,
    truncated: bool,
    hits: VecDeque<Hit>,
    /// The last frames, to be looked at again.
    kept: VecDeque<Kept>,
    /// What was followed through frames that are not kept any more.
    followed: HashMap<u32, EditedVideo>,
}

/// A frame of the query that looks like a moment of a known video.
struct Hit {
    video: u32,
    moment: u32,
    query: u32,
    query_ms: u32,
    /// The hash of the query's frame.
    hash: Pdq,
    /// How far they are apart, as bits of a hash.
    bits: u32,
    found: VariantMatch,
}

/// The hash of the frame that is nearest in time, if it says anything.
fn beside(at_ms: u32, frames: &[Frame]) -> Option<Pdq> {
    let nearest = frames.iter().min_by_key(|frame| frame.at_ms.abs_diff(at_ms))?;
    let is_it = nearest.at_ms.abs_diff(at_ms) <= BESIDE_MS && nearest.quality >= MIN_QUALITY;
    is_it.then_some(nearest.pdq)
}

impl MomentIndex {
    /// An empty index with room for so many frames; for the seed see [`VariantIndex::new`].
    #[must_use]
    pub fn new(seed: [u8; 32], limits: Limits) -> Self {
        Self {
            variants: VariantIndex::new(seed, limits),
            videos: papaya::HashMap::new(),
            writer: Mutex::default(),
        }
    }

    /// Stores a video, in place of what was stored under that id; the next search finds it.
    ///
    /// # Errors
    /// [`Full`]; then nothing is stored under the id.
    pub fn insert(&self, id: u64, known: KnownVideo<'_>) -> Result<(), Full> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.take(&mut writer, id);
        let number = writer.next;
        writer.next += 1;
        writer.numbers.insert(id, number);
        let video = Arc::new(Video::new(id, &known));
        // Before its frames are found, so that what is found always has its video.
        self.videos.pin().insert(number, video);
        for (place, moment) in known.moments.iter().enumerate() {
            let inside = u64::from(number) << 32 | place as u64;
            let hash = beside(moment.at_ms, known.frames);
            if let Err(full) = self.variants.insert_hashed(inside, &moment.print, hash.as_slice()) {
                self.take(&mut writer, id);
                return Err(full);
            }
        }
        Ok(())
    }

    /// Takes a video out. False if it was not there.
    pub fn remove(&self, id: u64) -> bool {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.take(&mut writer, id)
    }

    fn take(&self, writer: &mut Writer, id: u64) -> bool {
        let Some(number) = writer.numbers.remove(&id) else { return false };
        let videos = self.videos.pin();
        let count = videos.remove(&number).map_or(0, |video| video.moments.len());
        for place in 0..count {
            self.variants.remove(u64::from(number) << 32 | place as u64);
        }
        true
    }

    /// Begins to look a video up.
    #[must_use]
    pub fn search(&self) -> MomentSearch<'_> {
        MomentSearch {
            index: self,
            looks: 0,
            truncated: false,
            hits: VecDeque::new(),
            kept: VecDeque::new(),
            followed: HashMap::new(),
        }
    }

    /// The number of videos stored.
    #[must_use]
    pub fn len(&self) -> usize {
        self.videos.len()
    }

    /// Whether nothing is stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.videos.is_empty()
    }

    /// Bytes of memory the index uses.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let videos = self.videos.pin();
        let held: usize = videos.values().map(|video| video.memory_bytes()).sum();
        self.variants.memory_bytes() + held
    }
}

impl Video {
    fn new(id: u64, known: &KnownVideo<'_>) -> Self {
        let moments: Vec<Known> = known
            .moments
            .iter()
            .map(|Moment { at_ms, print }| Known {
                at_ms: *at_ms,
                cells: print.cells(),
                bends: Bends::of(print.signs()),
            })
            .collect();
        let mut distinct: Vec<&Bends> = Vec::new();
        for Known { bends, .. } in &moments {
            if distinct.iter().all(|other| bends.is_apart_from(other)) {
                distinct.push(bends);
            }
        }
        let distinct = distinct.len();
        Self { id, length_ms: known.length_ms, rule: known.rule, moments, distinct }
    }

    fn memory_bytes(&self) -> usize {
        let moments: usize = self.moments.iter().map(|moment| moment.bends.memory_bytes()).sum();
        size_of::<Self>() + self.moments.capacity() * size_of::<Known>() + moments
    }
}

impl MomentSearch<'_> {
    /// Looks a frame up; frames come in order of time. The first look is at the whole frame, others at
    /// parts of it that look like pictures of their own.
    pub fn see(&mut self, frame: &Frame, looks: &[SeenPicture]) {
        let &Frame { at_ms, pdq: hash, .. } = frame;
        let query = self.looks;
        self.looks += 1;
        if self.kept.len() == MAX_KEPT {
            self.forget();
        }
        self.kept.extend(looks.first().map(|look| Kept::new(query, frame, &look.grey)));
        let videos = self.index.videos.pin();
        let found = self.index.variants.search_families(looks, |id| Some(id >> 32));
        self.truncated |= found.truncated;
        for found in found.matches {
            let (number, moment) = ((found.id >> 32) as u32, found.id as u32);
            let known = videos.get(&number).and_then(|video| {
                video.moments.get(moment as usize).map(|known| (video.id, known))
            });
            let Some((id, known)) = known else { continue };
            let bits = decide::bits(&known.bends, &found.bends);
            if self.hits.len() == MAX_HITS {
                self.hits.pop_front();
            }
            let mut found = VariantMatch { id, ..found };
            found.places.truncate(MAX_PLACES);
            let video = number;
            self.hits.push_back(Hit { video, moment, query, query_ms: at_ms, hash, bits, found });
        }
    }

    /// Whether a frame may show more known videos than were looked at: as [`FoundVariants::truncated`](crate::FoundVariants::truncated).
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// Follows what is known through the frames that are kept, and forgets the first half of them. What begins in
    /// the second half is seen whole in the next stretch.
    fn forget(&mut self) {
        for (number, found) in self.follow() {
            let known = self.followed.get(&number);
            let room = known.is_some() || self.followed.len() < MAX_KEPT_VIDEOS;
            if room && known.is_none_or(|known| follow::rank(known) < follow::rank(&found)) {
                self.followed.insert(number, found);
            }
        }
        self.kept.drain(..MAX_KEPT / 2);
    }

    /// The videos of which what was seen so far has an edited copy, the surest first. Of frames of the query
    /// `is_common` says, by their hashes, whether they stand in many unrelated videos: these make no match, and where
    /// there is nothing else and they are too few to be a film, they are nothing.
    #[must_use]
    pub fn found(&self, mut is_common: impl FnMut(&Pdq) -> bool) -> Vec<EditedVideo> {
        let videos = self.index.videos.pin();
        let mut found: Vec<EditedVideo> = Vec::new();
        for (number, hits) in by_video(self.hits.iter()) {
            let Some(video) = videos.get(&number) else { continue };
            let first = decide::decide(video, &hits);
            let judged = first.clone().and_then(|one| decide::without(one, video, &mut is_common));
            if judged != first {
                // What is common may line up for longer than what is not, and elsewhere.
                let own = hits.into_iter().filter(|hit| !is_common(&hit.hash));
                found.extend(decide::decide(video, &own.collect::<Vec<_>>()));
            }
            found.extend(judged);
        }
        let before = self.followed.iter().map(|(number, found)| (*number, found.clone()));
        for (number, one) in before.chain(self.follow()) {
            let Some(video) = videos.get(&number) else { continue };
            found.extend(decide::without(one, video, &mut is_common));
        }
        let rank = |one: &EditedVideo| {
            let review = one.decision == VariantDecision::Review;
            (review, std::cmp::Reverse(one.aligned.frames), one.video, one.best.mirrored)
        };
        found.sort_by_key(rank);
        let mut met = HashSet::new();
        found.retain(|one| met.insert(one.video));
        found
    }

    /// The videos that go along with the frames that are kept.
    fn follow(&self) -> Vec<(u32, EditedVideo)> {
        let Some(first) = self.kept.front().map(|kept| kept.query) else { return Vec::new() };
        let mut groups = by_video(self.hits.iter().filter(|hit| hit.query >= first));
        let worth = |hits: &[&Hit]| hits.iter().map(|hit| hit.found.score).sum::<f32>();
        groups.sort_by(|a, b| worth(&b.1).total_cmp(&worth(&a.1)));
        groups.truncate(MAX_FOLLOWED);
        let videos = self.index.videos.pin();
        let followed = groups.into_iter().filter_map(|(number, hits)| {
            let video = videos.get(&number)?;
            // Where the frames that were found are enough, the others need not be looked at.
            let found = decide::decide(video, &hits);
            let is_match = |one: &EditedVideo| one.decision == VariantDecision::Match;
            let found = found.filter(is_match).or_else(|| follow::follow(video, &hits, &self.kept));
            Some((number, found?))
        });
        followed.collect()
    }
}

/// What was found of each video, mirrored frames apart.
fn by_video<'a>(hits: impl Iterator<Item = &'a Hit>) -> Vec<(u32, Vec<&'a Hit>)> {
    let mut groups: HashMap<(u32, bool), Vec<&Hit>> = HashMap::new();
    for hit in hits {
        groups.entry((hit.video, hit.found.mirrored)).or_default().push(hit);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(key, _)| *key);
    groups.into_iter().map(|((number, _), hits)| (number, hits)).collect()
}
