//! How signals match: in which way, where, and how much that says.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use serde::Serialize;
use watchfire_signal::{
    features::Area,
    pdq::Turn,
    value::{Kind, Span},
};

/// The bits of a picture's hash.
const HASH_BITS: u32 = 256;

/// How a signal matched.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit<K> {
    /// Who owns the matched signal.
    pub owner: K,
    /// The kind of both signals.
    pub kind: Kind,
    /// How they match.
    pub method: Method,
    /// Bits in which pictures or aligned frames differ, rounded; of texts the estimated percentage of
    /// characters that differ; absent for exact hashes.
    pub distance: Option<u32>,
    /// How two videos or sounds line up.
    pub aligned: Option<Aligned>,
    /// Where an edited picture or video shows the known one; `None` also where parts are all that is kept of what
    /// is held.
    pub edit: Option<Edit>,
    /// Whether it is a match as far as its way of matching can tell; if not, the two may share only what
    /// is written over both, or a phrase, and a person has to look.
    pub sure: bool,
    /// Whether the known signal is below the quality floor: it says too little for anything to be done by it
    /// alone, and is not sure.
    pub thin: bool,
    /// Other ways in which signals of the same two match.
    pub also: BTreeSet<Method>,
}

/// Owners of what a file shows edited.
#[derive(Debug, Clone, PartialEq)]
pub struct EditedHits<K> {
    /// One a match.
    pub hits: Vec<Hit<K>>,
    /// Whether there may be more: no more than a named number is looked at in one look.
    pub truncated: bool,
}

impl<K> Default for EditedHits<K> {
    fn default() -> Self {
        Self { hits: Vec::new(), truncated: false }
    }
}

/// A way of matching, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Five seconds or more of two sounds go together. A shared song is innocent, so this alone leads to
    /// a person.
    Sound,
    /// Local features of two pictures fit on one another, and what lies between them agrees.
    Features,
    /// The hash of what a border, a screen or another picture around it holds is near.
    Part,
    /// The hash of the picture turned, mirrored or inverted is near, or frames of the mirrored video line up.
    Turned,
    /// Frames of two videos line up in time.
    Aligned,
    /// Two picture hashes are within their distance, or most of one text stands in the other.
    Near,
    /// The same bytes; the same short text however it is spelt; the same link, or one under it.
    Exact,
}

impl Method {
    /// Whether two ways look at different things, so that each makes the other surer.
    #[must_use]
    pub fn is_independent_of(self, other: Self) -> bool {
        let looks_at = |method| match method {
            Self::Sound => 0,
            Self::Features => 1,
            Self::Part | Self::Turned | Self::Aligned | Self::Near | Self::Exact => 2,
        };
        looks_at(self) != looks_at(other)
    }

    /// Whether it recognises details, or sound alone, which an innocent thing may share.
    #[must_use]
    pub fn is_variant(self) -> bool {
        matches!(self, Self::Sound | Self::Features | Self::Part)
    }
}

/// Where an edited picture shows a known one. Places are shares of a picture's sides, from its upper left
/// corner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Edit {
    /// The corners of what is shown, in the upload.
    pub region: [(f32, f32); 4],
    /// The same corners in the known picture; turned and mirrored ones do not begin at the upper left.
    pub reference_region: [(f32, f32); 4],
    /// How local features fit; `None` where the hash of the part is near.
    pub fit: Option<Fit>,
}

impl Edit {
    /// What shows the whole of the known picture, turned or mirrored so where it is, and nothing else around it but
    /// what lies outside of `area`.
    #[must_use]
    pub fn whole(area: &Area, turn: Option<&Turn>) -> Self {
        let place = |corner| turn.map_or(corner, |turn| turn.place(corner));
        Self {
            region: area.corners(),
            reference_region: Area::WHOLE.corners().map(place),
            fit: None,
        }
    }

    /// From places in the upload to places in the known picture: x′ and y′, of x, y and 1 each. `None` where what is
    /// shown has no width or no height.
    #[must_use]
    pub fn transform(&self) -> Option<[[f32; 3]; 2]> {
        if let Some(fit) = self.fit {
            return Some(fit.transform);
        }
        let [corner, across, _, down] = self.region;
        let [to_corner, to_across, _, to_down] = self.reference_region;
        let less = |a: (f32, f32), b: (f32, f32)| (a.0 - b.0, a.1 - b.1);
        let (across, down) = (less(across, corner), less(down, corner));
        let (to_across, to_down) = (less(to_across, to_corner), less(to_down, to_corner));
        let area = across.0 * down.1 - across.1 * down.0;
        if area.abs() <= f32::EPSILON {
            return None;
        }
        let row = |across_to: f32, down_to: f32, corner_to: f32| {
            let x = (across_to * down.1 - down_to * across.1) / area;
            let y = (down_to * across.0 - across_to * down.0) / area;
            [x, y, corner_to - x * corner.0 - y * corner.1]
        };
        Some([row(to_across.0, to_down.0, to_corner.0), row(to_across.1, to_down.1, to_corner.1)])
    }
}

/// How local features of two pictures fit on one another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// Features that agree on the transform.
    pub inliers: u32,
    /// Blocks of luminance that agree, in percent of those that were compared.
    pub agreed_percent: u32,
    /// From places in the upload to places in the known picture: x′ and y′, of x, y and 1 each.
    pub transform: [[f32; 3]; 2],
}

/// How two videos or sounds line up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Aligned {
    /// The matched part of the query.
    pub query: Span,
    /// The matched part of the reference.
    pub reference: Span,
    /// How much faster the query runs.
    pub speed: f64,
    /// Distinct frames that line up; of sounds none.
    pub frames: u32,
}

impl<K> Hit<K> {
    /// Orders hits: sure before others, exact before near before aligned, then by distance.
    #[must_use]
    pub fn strength(&self) -> (bool, Method, std::cmp::Reverse<u32>) {
        (self.sure, self.method, std::cmp::Reverse(self.distance.unwrap_or(0)))
    }

    /// Whether ways that look at different things agree.
    #[must_use]
    pub fn is_agreed(&self) -> bool {
        self.sure && self.also.iter().any(|other| other.is_independent_of(self.method))
    }

    /// The same of the mirrored video.
    pub(super) fn mirrored(self) -> Self {
        let edit = Some(Edit::whole(&Area::WHOLE, Some(&Turn::MIRROR)));
        Self { method: Method::Turned, edit, ..self }
    }

    /// What was compared and agrees, in percent; to be compared among matches of one method.
    #[must_use]
    pub fn score(&self) -> u32 {
        let fit = self.edit.and_then(|edit| edit.fit);
        let differs = self.distance.unwrap_or(0);
        match (fit, self.kind) {
            (Some(fit), _) => fit.agreed_percent,
            (None, Kind::Pdq | Kind::Vpdq) => {
                100 - (100 * differs.min(HASH_BITS)).div_ceil(HASH_BITS)
            }
            (None, _) => 100 - differs.min(100),
        }
    }
}

/// For each owner the hit that speaks loudest, with the other ways in which its signals match.
#[must_use]
pub fn loudest<K: Copy + Ord>(hits: impl IntoIterator<Item = Hit<K>>) -> BTreeMap<K, Hit<K>> {
    let mut loudest = BTreeMap::<K, Hit<K>>::new();
    for hit in hits {
        match loudest.entry(hit.owner) {
            Entry::Vacant(free) => drop(free.insert(hit)),
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                let mut other = hit;
                if known.strength() < other.strength() {
                    std::mem::swap(known, &mut other);
                }
                // What is not sure agrees with nothing.
                let sure = other.sure.then_some(other.method);
                known.also.extend(other.also.into_iter().chain(sure));
            }
        }
    }
    for hit in loudest.values_mut() {
        hit.also.remove(&hit.method);
    }
    loudest
}
