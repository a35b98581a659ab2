//! Finds known pictures that an upload is an edited copy of, by local features in alerts.
//!
//! **Invariant:** its memory has a limit, and nothing is taken before the first reference comes.

use std::{
    collections::BTreeSet,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use watchfire_index::{Transform, VariantDecision, VariantIndex, VariantLimits, VariantMatch};
use watchfire_signal::{
    features::{FeaturesPrint, Views},
    value::Kind,
};

use super::hit::{Edit, Fit, Hit, Method};

/// The most known pictures that one upload is told to be an edited copy of.
const MOST: usize = 64;

/// Known pictures by their local features.
pub(super) struct Edits {
    seed: [u8; 32],
    index: OnceLock<VariantIndex>,
    full: AtomicBool,
}

impl Edits {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self { seed, index: OnceLock::new(), full: AtomicBool::new(false) }
    }

    pub(super) fn insert(&self, id: u64, print: &FeaturesPrint) {
        let new = || VariantIndex::new(self.seed, VariantLimits::default());
        let Err(full) = self.index.get_or_init(new).insert(id, print) else { return };
        metrics::counter!("watchfire_features_left_out_total").increment(1);
        if !self.full.swap(true, Ordering::Relaxed) {
            tracing::warn!(?full, "no more known pictures are found by their local features");
        }
    }

    pub(super) fn remove(&self, id: u64) -> bool {
        self.index.get().is_some_and(|index| index.remove(id))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.index.get().is_none_or(VariantIndex::is_empty)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.index.get().map_or(0, VariantIndex::memory_bytes)
    }

    /// Known pictures that are shown, each with its owner and the size of its print as `of` tells them.
    pub(super) fn search<K>(
        &self,
        views: &Views,
        of: impl Fn(u64) -> Option<(K, (u16, u16))>,
    ) -> Vec<Hit<K>> {
        let Some(index) = self.index.get().filter(|index| !index.is_empty()) else {
            return Vec::new();
        };
        let found = index.search(&views.pictures, MOST);
        let hit = |found: &VariantMatch| {
            let (owner, size) = of(found.id)?;
            Some(Hit {
                owner,
                kind: Kind::Features,
                method: Method::Features,
                distance: None,
                aligned: None,
                edit: Some(edit(found, views, size)?),
                also: BTreeSet::new(),
            })
        };
        found.iter().filter_map(hit).collect()
    }
}

/// In shares of sides, where the index speaks of pixels of what it looked at.
fn edit(found: &VariantMatch, views: &Views, (width, height): (u16, u16)) -> Option<Edit> {
    let (seen, area) = (views.pictures.get(found.look)?, views.areas.get(found.look)?);
    let (across, down) = (seen.grey.width as f32, seen.grey.height as f32);
    let upload = |(x, y): (f32, f32)| area.outwards((x / across, y / down));
    let reference = |(x, y): (f32, f32)| (x / f32::from(width), y / f32::from(height));
    let seen = |place| {
        let (x, y) = area.inwards(place);
        (x * across, y * down)
    };
    let agreement = &found.agreement;
    Some(Edit {
        region: found.query_region.map(upload),
        reference_region: found.reference_region.map(reference),
        fit: Some(Fit {
            inliers: u32::try_from(found.inliers).unwrap_or(u32::MAX),
            agreed_percent: 100 * agreement.agreed / agreement.compared.max(1),
            transform: rows(&found.transform, seen, reference),
            sure: found.decision == VariantDecision::Match,
        }),
    })
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
