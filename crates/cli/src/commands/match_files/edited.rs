//! Finds pictures that are edited copies of references: framed, cropped, rotated, written over.

use watchfire_index::{Transform, VariantDecision, VariantIndex, VariantLimits};
use watchfire_media::{
    features, pdq,
    picture::{self, Picture},
    regions,
};
use watchfire_node::near::{Near, Whose};
use watchfire_signal::{
    features::SeenPicture,
    pdq::{MIN_QUALITY, Pdq},
    value::{Signal, Value, ValueOrBlob},
};

/// The most references that one picture is told to be an edited copy of.
const MOST: usize = 20;

/// References by their local features.
pub(super) struct Edited {
    variants: VariantIndex,
}

/// What a picture is looked up by beside its own hash.
pub(super) struct Query {
    /// Hashes of what a border or a screen around it holds.
    parts: Vec<Pdq>,
    /// The picture, then what a border or a screen around it holds.
    looks: Vec<SeenPicture>,
}

/// A reference that a picture is an edited copy of.
pub(super) struct Found {
    /// The number of the reference.
    pub reference: usize,
    /// `part` for the hash of what a border or screen around it holds, `features` for details.
    pub method: &'static str,
    /// Bits in which the hashes differ.
    pub distance: Option<u32>,
    /// Features that agree on the transform.
    pub inliers: Option<usize>,
    /// From places in the file's picture to places in the reference's, row by row, if features tell.
    pub transform: Option<[[f32; 3]; 2]>,
    /// Whether a person has to look.
    pub review: bool,
}

impl Edited {
    /// None yet.
    pub(super) fn new(seed: [u8; 32], references: usize) -> Self {
        let limits = VariantLimits { references: references.max(1), ..VariantLimits::default() };
        Self { variants: VariantIndex::new(seed, limits) }
    }

    /// Adds a reference by its signals. All that are expected fit, so none is left out.
    pub(super) fn insert(&self, number: usize, signals: &[Signal]) {
        let pictures = signals.iter().filter(|signal| signal.span.is_none());
        for signal in pictures {
            if let ValueOrBlob::Value(Value::Features(print)) = &signal.value
                && let Err(full) = self.variants.insert(number as u64, print)
            {
                tracing::warn!(?full, number, "a reference is not known by its features");
            }
        }
    }

    /// The references that a picture is an edited copy of; by hash first.
    pub(super) fn search(&self, query: &Query, index: &Near<usize>) -> Vec<Found> {
        let mut found = Vec::<Found>::new();
        for hash in &query.parts {
            for hit in index.search(&Signal::new(*hash), Whose::Held) {
                let known = found.iter().any(|one| one.reference == hit.owner);
                if !known {
                    found.push(Found {
                        reference: hit.owner,
                        method: "part",
                        distance: hit.distance,
                        inliers: None,
                        transform: None,
                        review: false,
                    });
                }
            }
        }
        let seen = self.variants.search(&query.looks, MOST).into_iter();
        found.extend(seen.map(|one| Found {
            reference: one.id as usize,
            method: "features",
            distance: None,
            inliers: Some(one.inliers),
            transform: Some(rows(&one.transform)),
            review: one.decision == VariantDecision::Review,
        }));
        found
    }
}

/// The transform as two rows of three: what x and y become.
pub(super) fn rows(transform: &Transform) -> [[f32; 3]; 2] {
    let (x0, y0) = transform.apply((0.0, 0.0));
    let (x1, y1) = transform.apply((1.0, 0.0));
    let (x2, y2) = transform.apply((0.0, 1.0));
    [[x1 - x0, x2 - x0, x0], [y1 - y0, y2 - y0, y0]]
}

/// A file's picture, if it is one that can be decoded.
fn decoded(bytes: &[u8]) -> Option<Picture> {
    picture::decode(bytes, &picture::Limits::default()).ok()
}

/// What a file is looked up by; nothing where it is no picture.
pub(super) fn query(bytes: &[u8]) -> Option<Query> {
    let picture = decoded(bytes)?;
    let (mut parts, mut looks) = (Vec::new(), Vec::new());
    looks.extend(features::seen(picture.pixels()));
    for inside in regions::content(picture.pixels()) {
        let part = regions::cut(picture.pixels(), inside);
        // Without the look at the whole the places in parts would have nothing to be compared with.
        if !looks.is_empty() {
            looks.extend(features::seen(part.pixels()));
        }
        let print = pdq::hash(part.pixels()).filter(|print| print.quality >= MIN_QUALITY);
        parts.extend(print.map(|print| print.pdq));
    }
    Some(Query { parts, looks })
}
