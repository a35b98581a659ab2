//! Puts parts of frames together that lie at one place: a video inside of another one, of a letterbox or a screen.
//!
//! **Invariant:** a part that moves about is no video of its own, nor is one that changes its size.

use watchfire_signal::{features::Area, vpdq::Frame};

use super::{FrameIndex, Source, VideoMatch};

/// How far each edge may be from where it was first, as a share of the frame: edges are found to a pixel or two of
/// 512, and a hash bears as much.
const SAME_PLACE: f32 = 0.02;

/// The most places of one query at which a video is looked for.
const MAX_PLACES: usize = 64;

/// What was seen at one place, in order of time.
struct Place {
    area: Area,
    frames: Vec<Frame>,
}

impl FrameIndex {
    /// The stored videos that parts of a video's frames match, each by the rule it was stored with, and where in the
    /// frames they lie. Parts come in
    /// order of time; those at one place of the frame are looked up as one video. Sources: as
    /// [`FrameIndex::search_crowds`].
    #[must_use]
    pub fn search_parts(
        &self,
        parts: &[(Frame, Area)],
        source: impl Fn(u64) -> Option<Source>,
    ) -> Vec<(VideoMatch, Area)> {
        let places = places(parts);
        let like = |place: &Place| {
            let area = place.area;
            let found = self.search_crowds(&place.frames, &source).videos;
            found.into_iter().map(move |found| (found, area))
        };
        let mut found: Vec<_> = places.iter().flat_map(like).collect();
        found.sort_by_key(|(found, _)| {
            (!found.sure, std::cmp::Reverse(found.aligned.frames), found.video)
        });
        let mut met = std::collections::HashSet::new();
        found.retain(|(found, _)| met.insert(found.video));
        found
    }
}

fn places(parts: &[(Frame, Area)]) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    for (frame, area) in parts {
        let open = |place: &&mut Place| {
            is_same(&place.area, area)
                && place.frames.last().is_none_or(|last| last.at_ms < frame.at_ms)
        };
        if let Some(place) = places.iter_mut().find(open) {
            place.frames.push(*frame);
        } else if places.len() < MAX_PLACES {
            places.push(Place { area: *area, frames: vec![*frame] });
        }
    }
    places
}

fn is_same(a: &Area, b: &Area) -> bool {
    let edges = |area: &Area| [area.left, area.top, area.left + area.width, area.top + area.height];
    edges(a).iter().zip(edges(b)).all(|(a, b)| (a - b).abs() <= SAME_PLACE)
}
