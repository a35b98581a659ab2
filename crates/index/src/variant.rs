//! Finds which known pictures a picture is an edited copy of, by local features: cropped, framed, turned, written over.
//!
//! Descriptors vote for references; a transform is fitted to the features that look alike; the transform
//! is checked with luminance all over the picture; where that is not sure, the picture is compared with the
//! reference's features once more, at their places. References are prints as they stand in alerts, and
//! nothing else of them is known.
//! **Invariant:** nothing is found that the re-check does not confirm.
//! **Invariant:** a search does a bounded amount of work, whatever is stored; memory has a named limit.

mod bends;
mod decide;
mod filled;
mod fit;
mod kernel;
mod part;
mod recheck;
mod repeated;
mod rivals;
mod second;
mod strokes;
mod table;
mod transform;

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
};

use sha2::{Digest, Sha256};
use watchfire_signal::{
    features::{Cells, FeaturesPrint, MAX_FEATURES, SeenFeature, SeenPicture, Sign},
    pdq::Pdq,
};

pub(crate) use self::{
    bends::{Apart, Bends, DEVIATIONS, LEAST_APART},
    recheck::Laid,
};
use self::{
    fit::{Fit, Pair},
    rivals::Fitting,
    second::Known,
    table::{Stored, TELLING_BITS, Table, TableWriter, words},
};
pub use self::{
    part::Part,
    recheck::Agreement,
    second::{Bare, SecondLook},
    transform::Transform,
};

/// The least features that have to agree on a transform.
pub const MIN_INLIERS: usize = 8;

/// The most bits in which a descriptor differs from one that it votes for. Descriptors of unrelated places
/// differ by some 100 bits, but not independently: at 48 one of a few hundred pairs is as near, at 32 one
/// of a few thousand.
const VOTE_BITS: u32 = 32;

/// The least votes of a reference that is looked at.
const MIN_VOTES: u32 = 3;

/// The most references that are looked at in a search, mirrored ones counted apart.
const MAX_CANDIDATES: usize = 16;

/// Of these, the most of one family: a scene that stands still must not hide others.
const MAX_OF_FAMILY: usize = 4;

/// Hashes that are kept with a print: those of a picture and of what it holds.
const MAX_HASHES: usize = 8;

/// The most references that are looked at a second time in one look, those that fit best.
const MAX_AGAIN: usize = 8;

/// The share of the references, those that come first, that keep all their descriptors: one in so many.
const WITH_ALL: usize = 4;

/// How much an index may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most references.
    pub references: usize,
    /// The most descriptors of a reference that are kept, its most telling ones, once a quarter of the
    /// references is there. Before that all are kept: more copies are found by more of them.
    pub descriptors: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { references: 100_000, descriptors: 128 }
    }
}

/// Why a reference was not added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// [`Limits::references`] are there.
    References(usize),
}

/// How sure a match is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VariantDecision {
    /// The pictures are the same but for edits.
    Match,
    /// They may share only what is written over them: a person has to look.
    Review,
}

/// A reference that a picture is an edited copy of.
#[derive(Debug, Clone, PartialEq)]
pub struct VariantMatch {
    /// The id it was inserted under.
    pub id: u64,
    /// Which look found it, from zero; places of the query are in that one.
    pub look: usize,
    /// How sure that is.
    pub decision: VariantDecision,
    /// Features that agree, those close together counted once.
    pub inliers: usize,
    /// Of these, the ones that look like no other place of the reference.
    pub own: usize,
    /// From places in the query, in pixels of its luminance, to places in the reference's print.
    pub transform: Transform,
    /// Whether the query is mirrored.
    pub mirrored: bool,
    /// What the re-check saw.
    pub agreement: Agreement,
    /// What the second look saw, where the first was not sure.
    pub second: Option<SecondLook>,
    /// The corners of the reference, as far as they lie in the query, in the query.
    pub query_region: [(f32, f32); 4],
    /// The same corners in the reference.
    pub reference_region: [(f32, f32); 4],
    /// Places that agree: in the query and in the reference.
    pub places: Vec<[(f32, f32); 2]>,
    /// Inliers weighted with the share of blocks that agree; greater is surer.
    pub score: f32,
    /// How the query bends where the reference does.
    pub(crate) bends: Bends,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FoundVariants {
    /// References, the surest first.
    pub matches: Vec<VariantMatch>,
    /// Whether there may be more: beyond the limit that was asked for, or beyond the sixteen that are looked at in one
    /// look, of which the next has half as many votes as one that fits.
    pub truncated: bool,
}

/// A concurrent index of prints.
pub struct VariantIndex {
    limits: Limits,
    table: Table,
    slots: papaya::HashMap<u32, Reference>,
    by_id: papaya::HashMap<u64, Vec<u32>>,
    next: AtomicU32,
    count: AtomicUsize,
    writer: Mutex<TableWriter>,
}

struct Reference {
    id: u64,
    size: (u16, u16),
    records: Box<[u32]>,
    signs: Box<[Sign]>,
    /// One of them is the picture's, if it has any.
    hashes: Box<[Pdq]>,
}

impl VariantIndex {
    /// An empty index. The seed chooses by which bits descriptors are found; keep it secret, or
    /// descriptors can be aimed at one chain.
    #[must_use]
    pub fn new(seed: [u8; 32], limits: Limits) -> Self {
        let descriptors = limits.descriptors.min(MAX_FEATURES);
        let limits = Limits { descriptors, ..limits };
        let more = limits.references / WITH_ALL * (MAX_FEATURES - descriptors);
        Self {
            limits,
            table: Table::new(limits.references * descriptors + more, &order(seed)),
            slots: papaya::HashMap::new(),
            by_id: papaya::HashMap::new(),
            next: AtomicU32::new(0),
            count: AtomicUsize::new(0),
            writer: Mutex::default(),
        }
    }

    /// Adds a print under an id; the next search finds it. An id may have several.
    ///
    /// # Errors
    /// [`Full`], and nothing was added.
    pub fn insert(&self, id: u64, print: &FeaturesPrint) -> Result<(), Full> {
        self.insert_hashed(id, print, &[])
    }

    /// The same, with hashes of which one is the picture's: they make edited copies surer.
    ///
    /// # Errors
    /// [`Full`], and nothing was added.
    pub fn insert_hashed(
        &self,
        id: u64,
        print: &FeaturesPrint,
        hashes: &[Pdq],
    ) -> Result<(), Full> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if self.len() >= self.limits.references {
            return Err(Full::References(self.limits.references));
        }
        let slot = self.next.fetch_add(1, Ordering::Relaxed);
        let features = print.features().iter().zip(repeated::repeated(print.features()));
        let few = self.len() < self.limits.references / WITH_ALL;
        let kept = features.take(if few { MAX_FEATURES } else { self.limits.descriptors });
        let records = kept.filter_map(|feature| self.table.insert(&mut writer, slot, feature));
        let reference = Reference {
            id,
            size: (print.width(), print.height()),
            records: records.collect(),
            signs: print.signs().into(),
            hashes: hashes.iter().take(MAX_HASHES).copied().collect(),
        };
        self.slots.pin().insert(slot, reference);
        self.by_id.pin().update_or_insert_with(
            id,
            |slots| slots.iter().copied().chain([slot]).collect(),
            || vec![slot],
        );
        self.count.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Takes all prints from an id; the next search does not find them. False if there were none.
    pub fn remove(&self, id: u64) -> bool {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let by_id = self.by_id.pin();
        let Some(slots) = by_id.remove(&id) else { return false };
        for slot in slots {
            let held = self.slots.pin();
            let Some(reference) = held.remove(slot) else { continue };
            reference.records.iter().for_each(|record| self.table.remove(&mut writer, *record));
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
        true
    }

    /// The references that a picture is an edited copy of, the surest first, at most `limit`.
    ///
    /// The first look is at the whole picture, others are at parts of it that look like pictures of their
    /// own. What a part shows has to be at least half of the reference: a sticker is a part too.
    #[must_use]
    pub fn search(&self, looks: &[SeenPicture], limit: usize) -> FoundVariants {
        let mut found = self.search_families(looks, |_| None);
        found.truncated |= found.matches.len() > limit;
        found.matches.truncate(limit);
        found
    }

    /// As [`VariantIndex::search`], all of it. `family` names what looks much alike, such as the moments of
    /// one video: of each, only a few are looked at.
    pub(crate) fn search_families(
        &self,
        looks: &[SeenPicture],
        family: impl Fn(u64) -> Option<u64>,
    ) -> FoundVariants {
        let _reading = crossbeam_epoch::pin();
        let (mut found, mut truncated) = (Vec::<VariantMatch>::new(), false);
        for (look, picture) in looks.iter().enumerate() {
            let FoundVariants { matches: mut seen, truncated: more } = self.look(picture, &family);
            truncated |= more;
            for one in &mut seen {
                one.look = look;
                if look > 0 && one.agreement.compared * 2 < one.agreement.all {
                    one.decision = VariantDecision::Review;
                }
            }
            decide::explain_away(&mut seen);
            found.extend(seen);
        }
        let rank = |one: &VariantMatch| one.decision == VariantDecision::Review;
        found.sort_by(|a, b| {
            rank(a).cmp(&rank(b)).then(b.score.total_cmp(&a.score)).then(a.id.cmp(&b.id))
        });
        let mut met = HashSet::new();
        found.retain(|one| met.insert(one.id));
        FoundVariants { matches: found, truncated }
    }

    /// What one picture shows, as it is and mirrored.
    fn look(&self, picture: &SeenPicture, family: impl Fn(u64) -> Option<u64>) -> FoundVariants {
        let (mut found, mut truncated) = (Vec::new(), false);
        let slots = self.slots.pin();
        for (mirrored, features) in [(false, &picture.plain), (true, &picture.mirrored)] {
            let (mut looked, mut met) = (0, HashMap::<u64, usize>::new());
            let mut least_fitting = f32::INFINITY;
            for (slot, weight) in self.candidates(features) {
                let Some(reference) = slots.get(&slot) else { continue };
                let seen = family(reference.id).map(|family| met.entry(family).or_default());
                if seen.as_ref().is_some_and(|n| **n == MAX_OF_FAMILY) {
                    continue;
                }
                if looked == MAX_CANDIDATES {
                    // What has far fewer votes than whatever fits is there by chance.
                    truncated |= weight * 2.0 >= least_fitting;
                    break;
                }
                seen.into_iter().for_each(|count| *count += 1);
                looked += 1;
                if let Some(one) = self.verify(picture, (mirrored, features), reference) {
                    least_fitting = least_fitting.min(weight);
                    found.push((one, reference));
                }
            }
        }
        self.look_again(picture, &mut found);
        self.leave_to_rivals(&mut found, &family);
        FoundVariants { matches: found.into_iter().map(|(one, _)| one).collect(), truncated }
    }

    /// Leaves to review what has nothing that another picture does not have too.
    fn leave_to_rivals(
        &self,
        found: &mut [(VariantMatch, &Reference)],
        family: impl Fn(u64) -> Option<u64>,
    ) {
        let matches: Vec<&VariantMatch> = found.iter().map(|(one, _)| one).collect();
        let kin = |one, other| family(one).is_some_and(|of| family(other) == Some(of));
        let are_different = |one: usize, other: usize| {
            let features = [one, other].map(|at| self.stored(found[at].1));
            let fitting = |at: usize, features| {
                let (found, reference) = &found[at];
                Fitting { found, features, signs: &reference.signs, size: reference.size }
            };
            rivals::are_different(&fitting(one, &features[0]), &fitting(other, &features[1]))
        };
        for at in rivals::left_to_rivals(&matches, kin, are_different) {
            found[at].0.decision = VariantDecision::Review;
        }
    }

    /// Decides what the first look left open, of what fits best.
    fn look_again(&self, picture: &SeenPicture, found: &mut [(VariantMatch, &Reference)]) {
        found.sort_by(|(a, _), (b, _)| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
        let open = found.iter_mut().filter(|(one, _)| one.decision == VariantDecision::Review);
        // A plain reference is known by its hash or not at all.
        let may_be_sure = open.filter(|(one, reference)| {
            let is_hashed = !reference.hashes.is_empty();
            one.agreement.is_telling() || (is_hashed && one.agreement.is_seen())
        });
        for (one, reference) in may_be_sure.take(MAX_AGAIN) {
            let features = self.stored(reference);
            let known = Known {
                size: reference.size,
                features: &features,
                signs: &reference.signs,
                hashes: &reference.hashes,
            };
            let second = second::look_again(&picture.grey, one, &known);
            if decide::is_sure_again(one.own, &one.agreement, &second) {
                one.decision = VariantDecision::Match;
            }
            one.second = Some(second);
        }
    }

    fn stored(&self, reference: &Reference) -> Vec<Stored> {
        reference.records.iter().filter_map(|record| self.table.stored(*record)).collect()
    }

    /// The number of prints.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether nothing is stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory the index uses.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let slots = self.slots.pin();
        let held: usize = slots.values().map(Reference::bytes).sum();
        self.table.memory_bytes(&writer) + held
    }

    /// References that descriptors vote for with the weight of the votes, those with the most first. A descriptor found
    /// in many references says little about each.
    fn candidates(&self, features: &[SeenFeature]) -> Vec<(u32, f32)> {
        let mut votes = HashMap::<u32, (u32, f32)>::new();
        for feature in features {
            let bits = words(&feature.descriptor);
            let owners = self.table.near(&bits, VOTE_BITS);
            let weight = 1.0 / owners.len().max(1) as f32;
            for owner in &owners {
                let (count, sum) = votes.entry(*owner).or_default();
                *count += 1;
                *sum += weight;
            }
        }
        let mut candidates: Vec<(u32, (u32, f32))> =
            votes.into_iter().filter(|(_, (count, _))| *count >= MIN_VOTES).collect();
        candidates.sort_by(|a, b| b.1.1.total_cmp(&a.1.1).then(a.0.cmp(&b.0)));
        candidates.into_iter().map(|(slot, (_, weight))| (slot, weight)).collect()
    }

    fn verify(
        &self,
        picture: &SeenPicture,
        (mirrored, features): (bool, &[SeenFeature]),
        reference: &Reference,
    ) -> Option<VariantMatch> {
        let pairs = fit::pairs(features, &self.stored(reference));
        let Fit { transform, pairs } = fit::fit(&pairs, MIN_INLIERS)?;
        let width = picture.grey.width as f32;
        let to_reference = if mirrored { transform.of_mirrored(width) } else { transform };
        let cells = Cells::of(reference.size.0, reference.size.1);
        let place = |(x, y): (f32, f32)| (if mirrored { width - x } else { x }, y);
        let pairs: Vec<Pair> = pairs.into_iter().map(|pair| pair.at(place(pair.query))).collect();
        let known = (cells, &*reference.signs);
        let (agreement, bends) = recheck::recheck(&picture.grey, &to_reference, known, &pairs);
        if !agreement.holds() {
            return None;
        }
        let inliers = fit::distinct(pairs.iter());
        let own = fit::distinct(pairs.iter().filter(|pair| !pair.repeated));
        let (query_region, reference_region) = regions(picture, &to_reference, reference.size)?;
        Some(VariantMatch {
            id: reference.id,
            look: 0,
            decision: if decide::is_sure(own, &agreement) {
                VariantDecision::Match
            } else {
                VariantDecision::Review
            },
            own,
            inliers,
            transform: to_reference,
            mirrored,
            agreement,
            second: None,
            query_region,
            reference_region,
            places: pairs.iter().map(|pair| [pair.query, pair.reference]).collect(),
            score: inliers as f32 * agreement.agreed as f32 / agreement.compared.max(1) as f32,
            bends,
        })
    }
}

impl Reference {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.records.len() * 4 + self.signs.len() + self.hashes.len() * 32 + 64
    }
}

type Quad = [(f32, f32); 4];

/// The part of the reference that lies in the query: the corners of the query's box in the reference, cut
/// at its edges, and where these are in the query.
fn regions(picture: &SeenPicture, to: &Transform, size: (u16, u16)) -> Option<(Quad, Quad)> {
    let back = to.inverse()?;
    let (width, height) = (picture.grey.width as f32, picture.grey.height as f32);
    let edges = [(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)].map(|at| to.apply(at));
    let (far, down) = (f32::from(size.0), f32::from(size.1));
    let (mut left, mut top, mut right, mut bottom) = (far, down, 0.0_f32, 0.0_f32);
    for (x, y) in edges {
        (left, right) = (left.min(x.max(0.0)), right.max(x.min(far)));
        (top, bottom) = (top.min(y.max(0.0)), bottom.max(y.min(down)));
    }
    let reference = [(left, top), (right, top), (right, bottom), (left, bottom)];
    Some((reference.map(|at| back.apply(at)), reference))
}

/// A secret order of the bits that keys are made of, drawn from the seed.
fn order(seed: [u8; 32]) -> [u8; TELLING_BITS.len()] {
    let mut order = TELLING_BITS;
    for last in (1..order.len()).rev() {
        let lot = Sha256::new_with_prefix(seed).chain_update([last as u8]).finalize();
        let lot = u64::from_le_bytes(std::array::from_fn(|byte| lot[byte]));
        order.swap(last, (lot % (last as u64 + 1)) as usize);
    }
    order
}
