//! What an item's signals match, and what this member does about each match: the one way from signals
//! to decisions, for uploads as for copies that are held.
//!
//! **Invariant:** one look reads the policy once, so that no answer mixes two versions.

use std::{collections::BTreeSet, hash::Hash, sync::Arc};

use watchfire_signal::{
    commitment::Commitment,
    features::{Area, Depth, MAX_PARTS, SeenPicture, Views},
    name::{BankName, ItemId},
    pdq::Pdq,
    value::Signal,
    vpdq::Frame,
};

use crate::{
    banks::{Bank, BankMatch, Banks},
    cases::SignalSet,
    clock::Clock,
    content::{ContentId, ContentPlace},
    holds::Holds,
    judge::Judge,
    known::{Known, Match},
    near::{Hit, MemoryBytes, Near, Watch},
    policy::{Decision, Facts, ItemFacts, Policy},
    seen::Item,
};

/// What deciding about a match needs. Cheap to clone.
#[derive(Clone)]
pub struct Reasons {
    /// What the coalition spoke of.
    pub known: Arc<Known>,
    /// This member's own lists; none in a measurement.
    pub banks: Option<Arc<Banks>>,
    /// What policy and people say.
    pub judge: Judge,
    /// Cases that wait for a person.
    pub holds: Holds,
    /// The node's clock.
    pub clock: Arc<dyn Clock>,
}

/// What is looked up: the signals of an item, and what its file was found to show edited.
#[derive(Clone, Copy)]
pub struct Query<'a> {
    /// The signals.
    pub signals: &'a [Signal],
    /// The hashes of parts of a picture that is held.
    pub parts: &'a [Pdq],
    /// What was found while the file was at hand.
    pub edited: Option<&'a Edited>,
}

impl<'a> From<&'a [Signal]> for Query<'a> {
    fn from(signals: &'a [Signal]) -> Self {
        Self { signals, parts: &[], edited: None }
    }
}

/// What is held of an item is all that it is looked up by.
impl<'a> From<&'a Item> for Query<'a> {
    fn from(item: &'a Item) -> Self {
        Self { signals: &item.signals, parts: &item.parts, edited: None }
    }
}

/// What a file shows edited, found while it was at hand.
#[derive(Debug, Default)]
pub struct Edited {
    known: Vec<Hit<Commitment>>,
    own: Vec<Hit<ContentId>>,
    /// The hashes of parts of a picture.
    pub(crate) parts: Vec<Pdq>,
    /// Whether it may show more than was looked at.
    pub(crate) truncated: bool,
}

impl Edited {
    /// With what another look at the same file found.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.known.extend(other.known);
        self.own.extend(other.own);
        self.truncated |= other.truncated;
        for part in other.parts {
            if self.parts.len() < MAX_PARTS && !self.parts.contains(&part) {
                self.parts.push(part);
            }
        }
        self
    }
}

/// A video, or a picture that moves, that is looked at frame by frame.
pub struct Looking<'a> {
    sets: &'a Known,
    of_banks: Option<&'a Near<ContentId>>,
    known: Option<Watch<'a, Commitment>>,
    own: Option<Watch<'a, ContentId>>,
    /// Parts of frames that look like videos of their own.
    parts: Vec<(Frame, Area)>,
}

impl Looking<'_> {
    /// Looks at a frame, and at the parts of it that look like videos of their own; frames come in order of time.
    pub fn see(&mut self, frame: &Frame, pictures: &[SeenPicture], parts: Vec<(Frame, Area)>) {
        self.known.iter_mut().for_each(|watch| watch.see(frame, pictures));
        self.own.iter_mut().for_each(|watch| watch.see(frame, pictures));
        self.parts.extend(parts);
    }

    /// What was seen so far. Takes as long as looking at a frame or two.
    #[must_use]
    pub fn found(&self) -> Edited {
        let source = |name: &Commitment| self.sets.source_of(name);
        let mut known: Vec<_> = self.known.iter().flat_map(|watch| watch.found(source)).collect();
        known.extend(self.sets.near().search_parts(&self.parts, source));
        let mut own: Vec<_> = self.own.iter().flat_map(|watch| watch.found(|_| None)).collect();
        let of_banks = self.of_banks.map(|near| near.search_parts(&self.parts, |_| None));
        own.extend(of_banks.unwrap_or_default());
        let truncated = self.known.as_ref().is_some_and(Watch::is_truncated)
            || self.own.as_ref().is_some_and(Watch::is_truncated);
        Edited { known, own, parts: Vec::new(), truncated }
    }

    /// What was seen so far of which something lies at or after a time; what lies before is not looked up in
    /// parts any more.
    pub fn found_since(&mut self, at_ms: u32) -> Edited {
        self.parts.retain(|(frame, _)| frame.at_ms >= at_ms);
        let mut found = self.found();
        found.known.retain(|hit| is_since(hit, at_ms));
        found.own.retain(|hit| is_since(hit, at_ms));
        found
    }
}

fn is_since<K>(hit: &Hit<K>, at_ms: u32) -> bool {
    hit.aligned.is_none_or(|aligned| aligned.query.end_ms >= at_ms)
}

/// Why something is done about an item: one signal set, or one content of the member's own banks.
#[derive(Debug, Clone)]
pub struct Reason {
    /// The case; of a content of a bank [`ContentPlace::subject`].
    pub case: Commitment,
    /// The record that brought the signals; of a content of a bank the same as the case.
    pub record: Commitment,
    /// The content, if it is one of a bank.
    pub bank: Option<BankMatch>,
    /// All that policy looked at.
    pub facts: Facts,
    /// How it matches.
    pub hit: Hit<Commitment>,
    /// What policy says of it.
    pub decision: Decision,
}

impl Reason {
    /// Where the content is, if it is one of a bank.
    #[must_use]
    pub fn content(&self) -> Option<ContentPlace> {
        self.bank.as_ref().map(BankMatch::place)
    }
}

impl Reasons {
    /// Every match of an item that is no drill, with what policy says of it.
    #[must_use]
    pub fn of(
        &self,
        policy: &Policy,
        item: Option<&ItemId>,
        query: Query<'_>,
        facts: &ItemFacts,
    ) -> Vec<Reason> {
        let now = self.clock.now_ms();
        let shown = query.edited;
        let edited = parts_in(self.known.near(), query.parts, shown.map(|edited| &edited.known));
        let own = |banks: &Banks| parts_in(banks.near(), query.parts, shown.map(|one| &one.own));
        let of_banks = |banks: &Arc<Banks>| banks.lookup(query.signals, &own(banks));
        let own = self.banks.as_ref().map_or_else(Vec::new, of_banks);
        let (negative, own): (Vec<_>, Vec<_>) =
            own.into_iter().partition(|found| found.bank.settings.negative);
        let negatives: BTreeSet<_> = negative.iter().map(|found| found.bank.name.clone()).collect();
        let of_cases = self.known.lookup(query.signals, &edited).into_iter();
        let of_cases = of_cases.filter(|found| !found.set.header.test);
        let of_cases = of_cases.map(|found| self.of_case(found, &negatives, now));
        let of_banks = own.into_iter().map(|found| of_bank(found, &negatives, now));
        let decided = of_cases.chain(of_banks).map(|mut reason| {
            reason.facts = reason.facts.about(item.cloned(), facts.clone());
            reason.decision =
                self.decide(policy, &mut reason.facts, (&reason.case, &reason.record));
            reason
        });
        decided.collect()
    }

    /// How far it is worth to look for edited copies of what is known.
    #[must_use]
    pub fn depth(&self) -> Depth {
        let banks = self.banks.as_ref().map_or(Depth::Signals, |banks| banks.near().depth());
        self.known.near().depth().max(banks)
    }

    /// Whether videos can be found by the local features of their frames.
    #[must_use]
    pub fn has_moments(&self) -> bool {
        let banks = self.banks.as_ref().is_some_and(|banks| banks.near().has_moments());
        banks || self.known.near().has_moments()
    }

    /// Bytes of memory that the indexes of what is known take.
    #[must_use]
    pub fn memory_bytes(&self) -> MemoryBytes {
        let banks = self.banks.as_ref().map(|banks| banks.near().memory_bytes());
        self.known.near().memory_bytes() + banks.unwrap_or_default()
    }

    /// What a picture shows edited. Takes long for a lookup: milliseconds.
    #[must_use]
    pub fn edited(&self, views: &Views) -> Edited {
        let banks = self.banks.as_ref().map(|banks| banks.near().search_edited(views));
        let own = banks.unwrap_or_default();
        let parts = views.parts.iter().map(|(part, _)| *part).collect();
        let known = self.known.near().search_edited(views);
        let truncated = known.truncated || own.truncated;
        Edited { known: known.hits, own: own.hits, parts, truncated }
    }

    /// Begins to look at a video for edited copies.
    #[must_use]
    pub fn looking(&self) -> Looking<'_> {
        let of_banks = self.banks.as_ref().map(|banks| banks.near());
        let (known, own) = (self.known.near().watch(), of_banks.and_then(Near::watch));
        Looking { sets: &self.known, of_banks, known, own, parts: Vec::new() }
    }

    /// What policy says of a set about an item that is not compared with it now: rules that ask how
    /// the item matches do not fire.
    #[must_use]
    pub fn about_set(
        &self,
        policy: &Policy,
        (item, known): (&ItemId, &ItemFacts),
        set: &SignalSet,
    ) -> (Facts, Decision) {
        let facts = self.judge.facts(set, self.clock.now_ms());
        let mut facts = facts.about(Some(item.clone()), known.clone());
        let decision = self.decide(policy, &mut facts, (&set.subject, &set.name));
        (facts, decision)
    }

    /// The same for a content of a bank; one that does not match anything now leads to nothing.
    #[must_use]
    pub fn about_content(
        &self,
        policy: &Policy,
        (item, known): (&ItemId, &ItemFacts),
        bank: &Bank,
        place: ContentPlace,
    ) -> (Facts, Decision) {
        let facts = facts_of(bank, &BTreeSet::new(), self.clock.now_ms());
        let mut facts = facts.about(Some(item.clone()), known.clone());
        let subject = Commitment(place.subject());
        let decision = self.decide(policy, &mut facts, (&subject, &subject));
        let matches = self.banks.as_ref().is_some_and(|banks| banks.matches(place));
        (facts, if matches { decision } else { Decision::default() })
    }

    fn decide(
        &self,
        policy: &Policy,
        facts: &mut Facts,
        (case, record): (&Commitment, &Commitment),
    ) -> Decision {
        facts.human = self.judge.human(facts.item.as_ref(), case);
        facts.advisory = self.judge.is_advisory();
        let decision = policy.decide(facts);
        let benign = self.known.benign(record).is_some();
        match self.holds.why(record, benign).filter(|_| facts.human.is_none()) {
            // What is implausible takes nothing down until a person has released it.
            Some(why) => decision.hold(why),
            None => decision,
        }
    }

    /// A match with a case, not yet decided about.
    fn of_case(&self, found: Match, negatives: &BTreeSet<BankName>, now_ms: u64) -> Reason {
        let set = &found.set;
        let facts = self.judge.facts(set, now_ms).matched(&found.hit);
        Reason {
            case: set.subject,
            record: set.name,
            bank: None,
            facts: Facts { negatives: negatives.clone(), ..facts },
            hit: found.hit,
            decision: Decision::default(),
        }
    }
}

/// What parts of a held picture are near, behind what was found while a file was at hand.
fn parts_in<K>(near: &Near<K>, parts: &[Pdq], shown: Option<&Vec<Hit<K>>>) -> Vec<Hit<K>>
where
    K: Copy + Eq + Hash + Send + Sync + 'static,
{
    let parts = parts.iter().flat_map(|part| near.search_part(part));
    shown.into_iter().flatten().cloned().chain(parts).collect()
}

/// A match with a content of a bank, not yet decided about.
fn of_bank(found: BankMatch, negatives: &BTreeSet<BankName>, now_ms: u64) -> Reason {
    let subject = Commitment(found.place().subject());
    let facts = facts_of(&found.bank, negatives, now_ms);
    let hit = found.hit.clone();
    let Hit { kind, method, distance, aligned, edit, sure, thin, also, .. } = hit;
    Reason {
        case: subject,
        record: subject,
        facts: facts.matched(&found.hit),
        hit: Hit { owner: subject, kind, method, distance, aligned, edit, sure, thin, also },
        bank: Some(found),
        decision: Decision::default(),
    }
}

fn facts_of(bank: &Bank, negatives: &BTreeSet<BankName>, now_ms: u64) -> Facts {
    Facts {
        at_ms: now_ms,
        bank: Some(bank.name.clone()),
        negatives: negatives.clone(),
        labels: bank.settings.labels.clone(),
        severity: bank.settings.severity,
        ..Facts::default()
    }
}
