//! Which records are erased: by their authors, or by enough organisations.
//!
//! **Invariant:** what is erased depends on the records folded, never on their order of arrival: a word that turns out
//! not to be its author's erases nothing any more, and what was dropped for it is a hole as any other.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use watchfire_signal::{
    commitment::Commitment,
    name::{LogName, MemberName, OrganisationName},
    record::Leaf,
};

use super::{Cases, Meaning, Place, sayings::OwnErasure};
use crate::halts::Voice;

/// All erasures.
#[derive(Debug, Default)]
pub(super) struct Erasures {
    /// Who wants what erased: of each log the first entry that says so.
    votes: HashMap<Place, BTreeMap<LogName, u64>>,
    done: HashSet<Place>,
    /// Records that are here and have to go.
    due: Vec<Place>,
    /// Records that are erased no more.
    again: Vec<Place>,
}

/// Who has a record erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ErasedBy {
    author: bool,
    many: bool,
}

impl Erasures {
    fn vote(&mut self, target: &Place, by: &Place) {
        let votes = self.votes.entry(target.clone()).or_default();
        let first = votes.entry(by.log.clone()).or_insert(by.index);
        *first = by.index.min(*first);
    }

    /// What a member wants erased.
    fn wanted_by(&self, member: &MemberName) -> Vec<Place> {
        let wanted = self.votes.iter().filter(|(_, by)| by.keys().any(|log| log.member == *member));
        wanted.map(|(target, _)| target.clone()).collect()
    }

    /// Counts who wants a record erased: whether an entry still stands in its log, and whose word it is that counts.
    fn count<'a>(
        &mut self,
        target: &Place,
        stands: impl Fn(&Place) -> bool,
        heard: impl Fn(&Place) -> Option<&'a OrganisationName>,
        quorum: usize,
    ) -> ErasedBy {
        let votes = self.votes.get(target).into_iter().flatten();
        let votes = votes.map(|(log, index)| Place { log: log.clone(), index: *index });
        let votes: Vec<Place> = votes.filter(stands).collect();
        let by = ErasedBy {
            author: votes.iter().any(|vote| vote.log.member == target.log.member),
            many: votes.iter().filter_map(heard).collect::<BTreeSet<_>>().len() >= quorum,
        };
        if by.author || by.many {
            if self.done.insert(target.clone()) {
                self.due.push(target.clone());
            }
        } else if self.done.remove(target) {
            self.again.push(target.clone());
        }
        by
    }

    /// Whether a record is erased.
    pub(super) fn has(&self, place: &Place) -> bool {
        self.done.contains(place)
    }

    /// Notes that an erased record is here again: a peer had not heard of it.
    pub(super) fn came_back(&mut self, place: &Place) {
        self.due.push(place.clone());
    }

    /// The records that have to go, once.
    pub(super) fn take_due(&mut self) -> Vec<Place> {
        let due = std::mem::take(&mut self.due);
        due.into_iter().filter(|place| self.has(place)).collect()
    }

    /// The records that are erased no more, once.
    pub(super) fn take_again(&mut self) -> Vec<Place> {
        std::mem::take(&mut self.again)
    }

    /// Whether there are any.
    pub(super) fn has_again(&self) -> bool {
        !self.again.is_empty()
    }
}

impl Cases {
    /// Erases a record if its author says so, or enough organisations do.
    pub(super) fn erase(
        &mut self,
        place: &Place,
        target: &Place,
        leaf: &Leaf,
        name: Commitment,
    ) -> Vec<Commitment> {
        let own = (target.log.member == place.log.member).then(|| OwnErasure {
            turn: place.turn(),
            hour: self.quotas.hour(place, &leaf.header),
            name: leaf.commitment,
        });
        if own.is_some() {
            // It may have to be agreed with, as a retraction.
            self.meanings.note(place, Meaning::OpinionOn(name), &self.sets);
        }
        self.erasures.vote(target, place);
        self.count_erasure(target, own).into_iter().collect()
    }

    /// Erases what speaks of no set, or of how a dispute ended: it is as if it had not been said. Also what says nothing
    /// to anybody, for it is beyond a quota, makes no sense, or waits: what it says later, it says without its record.
    pub(super) fn erase_word(&mut self, place: &Place, target: &Place) -> Vec<Commitment> {
        self.erasures.vote(target, place);
        self.count_erasure(target, None).into_iter().collect()
    }

    /// Counts again what a member wants erased, whose word counts differently now; answers the sets that it was about.
    pub(super) fn recount_erasures(&mut self, member: &MemberName) -> Vec<Commitment> {
        let wanted = self.erasures.wanted_by(member);
        wanted.iter().filter_map(|target| self.count_erasure(target, None)).collect()
    }

    fn count_erasure(&mut self, target: &Place, own: Option<OwnErasure>) -> Option<Commitment> {
        let Self { erasures, authors, halts, charter, .. } = self;
        let heard = |by: &Place| {
            let member = &by.log.member;
            let counts = match halts.voice(member, charter) {
                Voice::Counts => true,
                // It may be what a stolen key said before anybody noticed.
                Voice::Halted => false,
                Voice::Suspended { until } => by.turn() < until,
            };
            charter.organisation_of(member).filter(|_| counts)
        };
        let stands = |by: &Place| authors.is_within(by);
        let by = erasures.count(target, stands, heard, charter.quorum_halt());
        let erased = by.author || by.many;
        match self.meanings.of(target, &self.sets)? {
            Meaning::Set(name) | Meaning::OpinionOn(name) => {
                if erased {
                    self.unname_incident(target, &name);
                }
                let set = self.change(&name)?;
                if erased {
                    set.forget(target, own, by.many);
                } else {
                    set.remember(target);
                }
                Some(name)
            }
            Meaning::ResolutionOn(name) => {
                let set = self.change(&name).filter(|_| erased)?;
                set.forget_resolution(target);
                Some(name)
            }
            Meaning::Incident(_) | Meaning::OfIncident => {
                self.incidents.erase(target, erased);
                None
            }
            Meaning::Vote(_) | Meaning::Plain => None,
        }
    }
}
