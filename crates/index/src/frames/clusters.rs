//! Says which frames stand in so many stored videos that these are no evidence of any: title cards, idents, logos, test
//! pictures.
//!
//! What many videos share may also be what they are about: hundreds of cuts of one event have most of their
//! frames in common. So videos that go together count as one, as one *cluster*: those of one author, those of
//! which one has more than half of the other's pictures, and whatever is joined by such. Cuts of one film
//! fall into one or two clusters, however short they are: where many of them show one moment, neighbours
//! overlap by more than half. Films that begin with the same card do not.
//!
//! **Invariant:** what one author stores makes no frame common, however much it is; nor do copies of one film.
//! **Invariant:** a search does a bounded amount of work here: [`MAX_LOOKED`] videos are looked into, and [`MAX_NEAR`]
//! frames gone through.

use std::collections::{HashMap, HashSet};

use watchfire_signal::pdq::{MAX_DISTANCE, Pdq};

use super::{FrameIndex, Source, Video};
use crate::align::SAME_FRAME_BITS;

/// A frame of so many clusters is no evidence of any of them. A harmful scene goes round in a few films that have
/// nothing else in common; and as many authors have to work together to make a scene common.
pub const COMMON_CLUSTERS: usize = 8;

/// The most videos that are asked what cluster they are of for one frame, those stored first.
const MAX_MEMBERS: usize = 64;

/// Of these, the most of one author: they are one cluster anyway, and only lead to others.
const MAX_OF_AUTHOR: usize = 4;

/// The most videos of which one search asks what they share with others. What is beyond is not common.
const MAX_LOOKED: usize = 256;

/// The most frames near those that are asked about that one search goes through: what authors who work together store of
/// one picture does not make it slow. What is beyond is not common, so that nothing is hidden by it.
const MAX_NEAR: usize = 1 << 21;

/// The pictures of a video that are compared with others: one in two seconds of a minute.
const MAX_PICTURES: usize = 32;

/// Which frames are common, for one search.
pub struct Commons<'a, S> {
    index: &'a FrameIndex,
    source: S,
    /// What was said of a hash.
    said: HashMap<Pdq, bool>,
    /// Of a video those that have more than half of its pictures.
    holders: HashMap<u32, HashSet<u32>>,
    /// Frames that may still be gone through.
    left: usize,
}

/// A video that a frame is near to.
#[derive(Clone, Copy)]
struct Member {
    id: u64,
    number: u32,
    author: Option<u64>,
}

impl FrameIndex {
    /// Says of frames whether they are common. `source` says where a stored video is from; those of which it is not
    /// known are of an author of their own.
    pub fn commons<S: Fn(u64) -> Option<Source>>(&self, source: S) -> Commons<'_, S> {
        let (said, holders) = (HashMap::new(), HashMap::new());
        Commons { index: self, source, said, holders, left: MAX_NEAR }
    }
}

impl<S: Fn(u64) -> Option<Source>> Commons<'_, S> {
    /// Whether what a frame shows stands in videos of [`COMMON_CLUSTERS`] clusters.
    pub fn has(&mut self, hash: &Pdq) -> bool {
        if let Some(known) = self.said.get(hash) {
            return *known;
        }
        let is_common = self.index.near(hash, &mut self.left).is_some_and(|numbers| {
            numbers.len() >= COMMON_CLUSTERS && {
                let members = self.members(&numbers);
                self.are_many(&members)
            }
        });
        self.said.insert(*hash, is_common);
        is_common
    }

    /// The videos of some numbers that are looked at.
    fn members(&self, numbers: &HashSet<u32>) -> Vec<Member> {
        let videos = self.index.videos.pin();
        let member = |number: &u32| {
            let id = videos.get(number)?.id;
            let author = (self.source)(id).map(|source| source.author);
            Some(Member { id, number: *number, author })
        };
        let mut members: Vec<Member> = numbers.iter().filter_map(member).collect();
        members.sort_unstable_by_key(|member| member.id);
        let mut met = HashMap::<u64, usize>::new();
        members.retain(|member| {
            let Some(author) = member.author else { return true };
            let count = met.entry(author).or_default();
            *count += 1;
            *count <= MAX_OF_AUTHOR
        });
        members.truncate(MAX_MEMBERS);
        members
    }

    /// Whether videos are of [`COMMON_CLUSTERS`] clusters.
    fn are_many(&mut self, members: &[Member]) -> bool {
        // Clusters of one author are joined without looking at anything, and often are too few then.
        let mut clusters = Clusters::new(members.len());
        for (at, Member { author, .. }) in members.iter().enumerate() {
            clusters.join_to(at, |of| author.is_some() && members[of].author == *author);
        }
        if clusters.count() < COMMON_CLUSTERS {
            return false;
        }
        for (at, Member { number, .. }) in members.iter().enumerate() {
            if self.holders.len() == MAX_LOOKED && !self.holders.contains_key(number) {
                return false;
            }
            if !self.holders.contains_key(number) {
                let Some(holders) = self.index.holders(*number, &mut self.left) else {
                    return false;
                };
                self.holders.insert(*number, holders);
            }
            let holders = &self.holders[number];
            clusters.join_to(at, |of| holders.contains(&members[of].number));
            // Of copies of one film the first one has said it all.
            if clusters.count() < COMMON_CLUSTERS {
                return false;
            }
        }
        true
    }
}

impl FrameIndex {
    /// The numbers of the videos that have a frame near a hash; `None` where they have more such frames than are left to be
    /// gone through.
    fn near(&self, hash: &Pdq, left: &mut usize) -> Option<HashSet<u32>> {
        let found = self.frames.search(hash, MAX_DISTANCE, *left);
        *left = if found.truncated { 0 } else { *left - found.hits.len() };
        let numbers = found.hits.into_iter().map(|(id, _)| (id >> 32) as u32);
        (!found.truncated).then(|| numbers.collect())
    }

    /// The videos that have more than half of a video's pictures, itself among them; `None` as [`FrameIndex::near`].
    fn holders(&self, number: u32, left: &mut usize) -> Option<HashSet<u32>> {
        let videos = self.videos.pin();
        let Some(video) = videos.get(&number) else { return Some(HashSet::new()) };
        let pictures = video.pictures();
        let mut held = HashMap::<u32, usize>::new();
        for place in &pictures {
            for of in self.near(&video.frames[*place as usize].pdq, left)? {
                *held.entry(of).or_default() += 1;
            }
        }
        let is_most = |(_, count): &(u32, usize)| *count * 2 > pictures.len();
        Some(held.into_iter().filter(is_most).map(|(of, _)| of).collect())
    }
}

impl Video {
    /// Places of frames all over the video that are different pictures, at most [`MAX_PICTURES`].
    pub(super) fn pictures(&self) -> Vec<u32> {
        let step = self.frames.len().div_ceil(MAX_PICTURES).max(1);
        let mut pictures: Vec<u32> = Vec::new();
        for (place, frame) in (0u32..).zip(&self.frames).step_by(step) {
            let is_new = |known: &u32| {
                self.frames[*known as usize].pdq.distance(&frame.pdq) > SAME_FRAME_BITS
            };
            if pictures.iter().all(is_new) {
                pictures.push(place);
            }
        }
        pictures
    }
}

/// Which of some videos go together: for each, one that stands for its cluster.
struct Clusters(Vec<usize>);

impl Clusters {
    fn new(count: usize) -> Self {
        Self((0..count).collect())
    }

    /// Joins one's cluster with those of all that go together with it.
    fn join_to(&mut self, at: usize, goes_together: impl Fn(usize) -> bool) {
        for of in (0..self.0.len()).filter(|of| goes_together(*of)) {
            let (joined, into) = (self.0[of], self.0[at]);
            self.0
                .iter_mut()
                .filter(|cluster| **cluster == joined)
                .for_each(|cluster| *cluster = into);
        }
    }

    fn count(&self) -> usize {
        self.0.iter().collect::<HashSet<_>>().len()
    }
}

#[cfg(test)]
mod tests {
    use watchfire_signal::vpdq::Frame;

    use super::*;
    use crate::align::MatchRule;

    /// Nine films that begin with one picture; no others are alike.
    fn films() -> (FrameIndex, Pdq) {
        let index = FrameIndex::new([3; 32]);
        let picture = |salt: u64| {
            let mut state = salt;
            Pdq(std::array::from_fn(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            }))
        };
        let card = picture(1);
        for film in 1..=9_u64 {
            let frame = |number: u32| {
                let pdq = if number < 4 { card } else { picture(film << 32 | u64::from(number)) };
                Frame { number, quality: 100, pdq, at_ms: number * 500 }
            };
            let frames: Vec<Frame> = (0..40).map(frame).collect();
            index.insert(film, &frames, MatchRule::default());
        }
        (index, card)
    }

    #[test]
    fn what_would_take_too_long_to_find_out_is_not_common() {
        let (index, card) = films();
        let mut commons = index.commons(|_| None);
        assert!(commons.has(&card));
        let taken = MAX_NEAR - commons.left;
        // Nine films of which the card stands in four frames, and each film's pictures once.
        assert!(taken > 36, "{taken}");
        for left in [0, 35, 36, taken - 1] {
            let mut commons = Commons { left, ..index.commons(|_| None) };
            assert!(!commons.has(&card), "{left} of {taken}");
            assert!(commons.left <= left);
        }
        let mut commons = Commons { left: taken, ..index.commons(|_| None) };
        assert!(commons.has(&card));
    }
}
