//! Finds the stored videos that show the same moments as a given one.
//!
//! **Invariant:** a frame of quality below 50 is not stored; one of a query counts where it is near a stored one.
//! **Invariant:** every answer is decided by alignment of the frames themselves; the index only proposes.
//! **Invariant:** what stands in many unrelated videos makes no match, and what lines up is never left out for it.

mod clusters;
mod parts;

use std::{
    collections::{HashMap as StdHashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use papaya::HashMap;
use watchfire_signal::{
    pdq::{MAX_DISTANCE, MIN_QUALITY, Pdq},
    vpdq::Frame,
};

use crate::{
    HashIndex,
    align::{Aligned, MIN_ALIGNED_FRAMES, MatchRule, Pair, align_pairs, align_run, distinct_pairs},
};

pub use self::clusters::{COMMON_CLUSTERS, Commons};

/// A frame (black, a logo, a card) can be near frames of any number of stored videos. Of those of one
/// crowd it points to no more than this many, the earliest stored, so that nobody makes a search long by
/// storing the same again and again. Above the 800 variants of one event that members once listed
/// (Christchurch, 2019).
pub const CROWD_VIDEOS: usize = 1_000;

/// Where a stored video is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// Who stored it.
    pub author: u64,
    /// Whether nobody else stands by it: such videos of one author are a crowd, of which a few are enough.
    pub alone: bool,
}

impl Source {
    /// The crowd that a video from here belongs to.
    #[must_use]
    pub fn crowd(&self) -> Option<u64> {
        self.alone.then_some(self.author)
    }
}

/// A video that shows the same moments.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VideoMatch {
    /// The id under which the video was inserted.
    pub video: u64,
    /// Where and how it matches: its best stretch. The stored video is the reference.
    pub aligned: Aligned,
    /// Whether that is evidence of this video: [`MIN_ALIGNED_FRAMES`] frames that are not common (of
    /// [`COMMON_CLUSTERS`] clusters), or more than half of its pictures. If not, the two may share only a card or an
    /// ident, and a person has to look.
    pub sure: bool,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FoundVideos {
    /// The videos that match, the one with the most aligned frames first.
    pub videos: Vec<VideoMatch>,
}

/// A concurrent index of videos by the hashes of their frames, at any rate of frames.
pub struct FrameIndex {
    frames: HashIndex,
    videos: HashMap<u32, Arc<Video>>,
    writer: Mutex<Writer>,
}

/// A stored video: frames that count, in order of time.
struct Video {
    id: u64,
    rule: MatchRule,
    frames: Vec<Frame>,
    /// Frames that have the hash of an earlier one, by the place of that one.
    repeats: StdHashMap<u32, Vec<u32>>,
}

/// What frames of a query are near to.
struct Candidates {
    /// By the number of a video.
    pairs: StdHashMap<u32, Vec<Pair>>,
    /// Frames of the query that are near so many videos that they may be common.
    busy: HashSet<u32>,
}

/// Whether frames are of so many videos that they may be of as many clusters.
fn is_in_many(frames: &[u64]) -> bool {
    frames.len() >= COMMON_CLUSTERS && {
        let videos: HashSet<u32> = frames.iter().map(|id| (id >> 32) as u32).collect();
        videos.len() >= COMMON_CLUSTERS
    }
}

/// Which number each video has inside; numbers are used again.
#[derive(Default)]
struct Writer {
    numbers: StdHashMap<u64, u32>,
    free: Vec<u32>,
}

impl FrameIndex {
    /// An empty index; for the seed see [`HashIndex::new`].
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self { frames: HashIndex::new(seed), videos: HashMap::new(), writer: Mutex::default() }
    }

    /// Stores a video, in place of what was stored under that id. Give only the frames that shall be
    /// found (of an alert: its harmful span). The rule is the alert's, for [`FrameIndex::search`].
    pub fn insert(&self, video: u64, frames: &[Frame], rule: MatchRule) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.take(&mut writer, video);
        let stored = Arc::new(Video::new(video, frames, rule));
        let number = writer.free.pop().unwrap_or(writer.numbers.len() as u32);
        writer.numbers.insert(video, number);
        self.videos.pin().insert(number, Arc::clone(&stored));
        for (place, hash) in stored.distinct() {
            self.frames.insert(u64::from(number) << 32 | u64::from(place), hash);
        }
    }

    /// Takes a video out. False if it was not there.
    pub fn remove(&self, video: u64) -> bool {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.take(&mut writer, video)
    }

    fn take(&self, writer: &mut Writer, video: u64) -> bool {
        let Some(number) = writer.numbers.remove(&video) else { return false };
        if let Some(stored) = self.videos.pin().remove(&number) {
            for (place, hash) in stored.distinct() {
                self.frames.remove(u64::from(number) << 32 | u64::from(place), hash);
            }
        }
        writer.free.push(number);
        true
    }

    /// The stored videos that a video matches, each by the rule it was stored with; all of them.
    #[must_use]
    pub fn search(&self, query: &[Frame]) -> FoundVideos {
        self.find(query, None, |_| None)
    }

    /// As [`FrameIndex::search`], but a frame points to the [`CROWD_VIDEOS`] earliest videos of each
    /// crowd alone. `source` says where a stored video is from; one without a crowd is always looked at, so
    /// what others store never hides it.
    #[must_use]
    pub fn search_crowds(
        &self,
        query: &[Frame],
        source: impl Fn(u64) -> Option<Source>,
    ) -> FoundVideos {
        self.find(query, None, source)
    }

    /// The stored videos that match a video by the given rule, all of them: for looking an alert up among
    /// videos that were seen, where a thousand uploads of one video are a thousand finds. There a scene that many
    /// have spliced into something else is just what is looked for: no frame is common.
    #[must_use]
    pub fn search_with(&self, query: &[Frame], rule: &MatchRule) -> FoundVideos {
        self.find(query, Some(rule), |_| None)
    }

    fn find(
        &self,
        query: &[Frame],
        rule: Option<&MatchRule>,
        source: impl Fn(u64) -> Option<Source>,
    ) -> FoundVideos {
        let mut query = query.to_vec();
        query.sort_by_key(|frame| frame.at_ms);
        let mut found = FoundVideos::default();
        let crowd = |video| source(video).and_then(|source| source.crowd());
        let Candidates { pairs, busy } = self.candidates(&query, crowd);
        let mut commons = self.commons(&source);
        let videos = self.videos.pin();
        for (number, pairs) in pairs {
            let Some(video) = videos.get(&number) else { continue };
            let pairs = video.with_repeats(&pairs);
            let is_common = |place: u32| {
                rule.is_none() && busy.contains(&place) && commons.has(&query[place as usize].pdq)
            };
            found.videos.extend(video.judge(
                (&query, &pairs),
                rule.unwrap_or(&video.rule),
                is_common,
            ));
        }
        found.videos.sort_by_key(|found| {
            (!found.sure, std::cmp::Reverse(found.aligned.frames), found.video)
        });
        found
    }

    /// For each stored video that enough frames of the query are near to: the pairs.
    fn candidates(&self, query: &[Frame], crowd: impl Fn(u64) -> Option<u64>) -> Candidates {
        let mut pairs: StdHashMap<u32, Vec<Pair>> = StdHashMap::new();
        let mut known: StdHashMap<Pdq, (Vec<u64>, bool)> = StdHashMap::new();
        let mut busy = HashSet::new();
        for (place, frame) in query.iter().enumerate() {
            let (hits, is_busy) = known.entry(frame.pdq).or_insert_with(|| {
                let found = self.frames.search(&frame.pdq, MAX_DISTANCE, usize::MAX);
                let mut hits: Vec<u64> = found.hits.into_iter().map(|(id, _)| id).collect();
                self.leave_crowds_out(&mut hits, &crowd);
                let is_busy = is_in_many(&hits);
                (hits, is_busy)
            });
            if *is_busy {
                busy.insert(place as u32);
            }
            for id in hits {
                let pair = Pair { query: place as u32, reference: *id as u32 };
                pairs.entry((*id >> 32) as u32).or_default().push(pair);
            }
        }
        pairs.retain(|_, pairs| {
            let frames: HashSet<u32> = pairs.iter().map(|pair| pair.query).collect();
            frames.len() >= MIN_ALIGNED_FRAMES as usize
        });
        Candidates { pairs, busy }
    }

    /// Leaves of each crowd the earliest videos alone.
    fn leave_crowds_out(&self, hits: &mut Vec<u64>, crowd: impl Fn(u64) -> Option<u64>) {
        let numbers: HashSet<u32> = hits.iter().map(|id| (id >> 32) as u32).collect();
        if numbers.len() <= CROWD_VIDEOS {
            return;
        }
        let videos = self.videos.pin();
        let mut crowds: StdHashMap<u64, Vec<(u64, u32)>> = StdHashMap::new();
        for number in numbers {
            let Some(video) = videos.get(&number) else { continue };
            if let Some(crowd) = crowd(video.id) {
                crowds.entry(crowd).or_default().push((video.id, number));
            }
        }
        let mut out = HashSet::new();
        for mut members in crowds.into_values().filter(|members| members.len() > CROWD_VIDEOS) {
            members.sort_unstable();
            out.extend(members.drain(CROWD_VIDEOS..).map(|(_, number)| number));
        }
        hits.retain(|id| !out.contains(&((id >> 32) as u32)));
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
        let frames: usize = videos.values().map(|video| video.frames.capacity()).sum();
        self.frames.memory_bytes()
            + frames * size_of::<Frame>()
            + videos.len() * (size_of::<Video>() + size_of::<(u64, u32)>())
    }
}

impl Video {
    fn new(id: u64, frames: &[Frame], rule: MatchRule) -> Self {
        let frames = in_time(frames);
        let mut first: StdHashMap<Pdq, u32> = StdHashMap::new();
        let mut repeats: StdHashMap<u32, Vec<u32>> = StdHashMap::new();
        for (place, frame) in frames.iter().enumerate() {
            let of = *first.entry(frame.pdq).or_insert(place as u32);
            if of != place as u32 {
                repeats.entry(of).or_default().push(place as u32);
            }
        }
        Self { id, rule, frames, repeats }
    }

    /// How a query matches, by pairs of near frames. Of its frames `is_common` says which are no evidence.
    fn judge(
        &self,
        (query, pairs): (&[Frame], &[Pair]),
        rule: &MatchRule,
        mut is_common: impl FnMut(u32) -> bool,
    ) -> Option<VideoMatch> {
        let (aligned, run) = align_run(query, &self.frames, pairs, rule)?;
        let matched = |aligned, sure| Some(VideoMatch { video: self.id, aligned, sure });
        let own: Vec<Pair> = run.iter().copied().filter(|pair| !is_common(pair.query)).collect();
        let is_evident = own.len() == run.len()
            || distinct_pairs(query, &self.frames, &own, rule) >= MIN_ALIGNED_FRAMES
            || self.is_mostly_in(pairs);
        if is_evident {
            return matched(aligned, true);
        }
        // What is common may line up for longer than what is not, and elsewhere.
        let own: Vec<Pair> = pairs.iter().copied().filter(|pair| !is_common(pair.query)).collect();
        match align_pairs(query, &self.frames, &own, rule) {
            Some(aligned) => matched(aligned, true),
            None => matched(aligned, false),
        }
    }

    /// Whether a query is near more than half of the pictures: then that is what the video shows, common or not, and
    /// nobody blinds a match by spreading it over others.
    fn is_mostly_in(&self, pairs: &[Pair]) -> bool {
        let near: HashSet<u32> = pairs.iter().map(|pair| pair.reference).collect();
        let pictures = self.pictures();
        pictures.iter().filter(|place| near.contains(place)).count() * 2 > pictures.len()
    }

    /// Each distinct hash with the place of the first frame that has it.
    fn distinct(&self) -> impl Iterator<Item = (u32, &Pdq)> {
        let repeats: HashSet<u32> = self.repeats.values().flatten().copied().collect();
        let frames = self.frames.iter().zip(0u32..);
        frames
            .filter(move |(_, place)| !repeats.contains(place))
            .map(|(frame, place)| (place, &frame.pdq))
    }

    /// The pairs with those of later frames that have the same hash.
    fn with_repeats(&self, pairs: &[Pair]) -> Vec<Pair> {
        let mut all = pairs.to_vec();
        for pair in pairs {
            let repeats = self.repeats.get(&pair.reference).into_iter().flatten();
            all.extend(repeats.map(|&reference| Pair { reference, ..*pair }));
        }
        all
    }
}

/// The frames that count, in order of time.
fn in_time(frames: &[Frame]) -> Vec<Frame> {
    let mut frames: Vec<Frame> =
        frames.iter().copied().filter(|frame| frame.quality >= MIN_QUALITY).collect();
    frames.sort_by_key(|frame| frame.at_ms);
    frames
}
