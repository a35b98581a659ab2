//! The signals that the coalition has spoken of, and which of them are near a query.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::ArcSwap;
use watchfire_signal::{commitment::Commitment, name::MemberName, value::Signal};

use crate::{
    benign::benign,
    cases::{Sets, SignalSet},
    halts::MemberStops,
    incidents::Incident,
    near::{Hit, Near, Source, loudest},
    standing::Stance,
};

/// Known signals and their sets. One task writes, everybody reads, nobody waits.
pub struct Known {
    near: Near<Commitment>,
    /// What is near the benign set, and near what of it.
    benign: papaya::HashMap<Commitment, &'static str>,
    sets: Arc<Sets>,
    /// Whoever changes what is indexed holds this.
    indexing: Mutex<()>,
    stops: ArcSwap<BTreeMap<MemberName, MemberStops>>,
    incidents: ArcSwap<Vec<Arc<Incident>>>,
}

/// A signal set near a query, with the hit that speaks loudest.
#[derive(Debug, Clone)]
pub struct Match {
    /// The set.
    pub set: Arc<SignalSet>,
    /// How it matches.
    pub hit: Hit<Commitment>,
}

impl Known {
    /// Nothing known yet. `seed` and `least_matched_ms` are [`Near::new`]'s.
    #[must_use]
    pub fn new(seed: [u8; 32], least_matched_ms: u32) -> Self {
        Self::of(Arc::default(), seed, least_matched_ms)
    }

    /// What is known of these sets, nothing of which is indexed yet.
    #[must_use]
    pub fn of(sets: Arc<Sets>, seed: [u8; 32], least_matched_ms: u32) -> Self {
        Self {
            near: Near::of_known(seed, least_matched_ms),
            benign: papaya::HashMap::new(),
            sets,
            indexing: Mutex::default(),
            stops: ArcSwap::default(),
            incidents: ArcSwap::default(),
        }
    }

    /// Puts a set down that no fold puts down, and has it found; its term never ends.
    pub fn publish(&self, set: Arc<SignalSet>) {
        let _indexing = self.indexing();
        // The set must be there before a lookup can stumble on its signals.
        self.sets.put(set.clone());
        self.index(&set, 0);
    }

    /// Puts a set where it belongs at a moment, and has it found by the next lookup exactly if something can follow
    /// from that; answers it.
    pub fn arrange(&self, name: &Commitment, now_ms: u64) -> Option<Arc<SignalSet>> {
        // Read while nobody else indexes: the last one to do so has seen the latest word.
        let _indexing = self.indexing();
        let set = self.sets.arrange(name, now_ms)?;
        self.index(&set, now_ms);
        Some(set)
    }

    fn indexing(&self) -> MutexGuard<'_, ()> {
        self.indexing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state is judged at each lookup.
    fn index(&self, set: &SignalSet, now_ms: u64) {
        let name = set.name;
        let stands = set.standing.level.is_some() || set.standing.suspended;
        let live = stands && !self.sets.is_over(set, now_ms);
        let indexed = self.near.has(&name);
        match (&set.alert, live, indexed) {
            (Some(alert), true, false) => {
                // No lookup finds it before it is known to be everybody's.
                if let Some(what) = benign(&alert.signals) {
                    self.benign.pin().insert(name, what);
                }
                self.near.insert_all(name, &alert.signals);
            }
            // It is over, or its record was erased: nothing is left to find it by.
            (_, false, true) | (None, true, true) => {
                self.near.remove(&name);
                self.benign.pin().remove(&name);
            }
            _ => {}
        }
    }

    /// What of the benign set a set is near, if it is near any of it.
    #[must_use]
    pub fn benign(&self, name: &Commitment) -> Option<&'static str> {
        self.benign.pin().get(name).copied()
    }

    /// Publishes who wants which member stopped.
    pub fn publish_stops(&self, stops: BTreeMap<MemberName, MemberStops>) {
        self.stops.store(Arc::new(stops));
    }

    /// Who wants a member stopped.
    #[must_use]
    pub fn stops_of(&self, member: &MemberName) -> MemberStops {
        self.stops.load().get(member).cloned().unwrap_or_default()
    }

    /// Publishes the incidents.
    pub fn publish_incidents(&self, incidents: Vec<Arc<Incident>>) {
        self.incidents.store(Arc::new(incidents));
    }

    /// The incidents, in order of name.
    #[must_use]
    pub fn incidents(&self) -> Arc<Vec<Arc<Incident>>> {
        self.incidents.load_full()
    }

    /// A set by its name.
    #[must_use]
    pub fn set(&self, name: &Commitment) -> Option<Arc<SignalSet>> {
        self.sets.get(name)
    }

    /// All sets.
    #[must_use]
    pub fn sets(&self) -> &Arc<Sets> {
        &self.sets
    }

    /// The sets of some cases, in order of name.
    #[must_use]
    pub fn sets_of(&self, cases: &[Commitment]) -> Vec<Arc<SignalSet>> {
        let names: BTreeSet<_> =
            cases.iter().flat_map(|case| self.sets.names_of_case(case)).collect();
        names.iter().filter_map(|name| self.sets.get(name)).collect()
    }

    /// Signals indexed.
    #[must_use]
    pub fn signals(&self) -> usize {
        self.near.len()
    }

    /// Whether any sound is known.
    #[must_use]
    pub fn has_sound(&self) -> bool {
        self.near.has_sound()
    }

    /// The signals.
    pub(crate) fn near(&self) -> &Near<Commitment> {
        &self.near
    }

    /// The sets near any of the signals, each once, with those of which edited copies were found before.
    #[must_use]
    pub fn lookup(&self, signals: &[Signal], edited: &[Hit<Commitment>]) -> Vec<Match> {
        let sets = &self.sets;
        let source = |name: &Commitment| self.source_of(name);
        let hits = signals.iter().flat_map(|signal| self.near.search_crowds(signal, source));
        loudest(hits.chain(edited.iter().cloned()))
            .into_iter()
            .filter_map(|(name, hit)| Some(Match { set: sets.get(&name)?, hit }))
            .collect()
    }

    /// Where a set is from.
    pub(crate) fn source_of(&self, name: &Commitment) -> Option<Source> {
        self.sets.get(name).map(|set| source(&set))
    }
}

/// Where a set is from: its author, and whether nobody else stands by it. A set that a second member stands by is of no
/// crowd, so that no member can hide it by repeating itself.
fn source(set: &SignalSet) -> Source {
    let stands = |stance| matches!(stance, Stance::Positive { .. });
    let heard = |member| !set.standing.silenced.contains(member);
    let standing = set.opinions.iter().filter(|(member, of)| heard(*member) && stands(of.stance));
    let standing = standing.count();
    let mut hasher = std::hash::DefaultHasher::new();
    set.author().hash(&mut hasher);
    Source { author: hasher.finish(), alone: standing < 2 }
}
