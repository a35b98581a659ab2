//! Which records are erased: by their authors, or by enough organisations.
//!
//! **Invariant:** what is erased depends on the set of votes, never on their order of arrival, and is
//! never taken back: the bytes are gone.

use std::collections::{BTreeSet, HashMap, HashSet};

use watchfire_signal::{charter::Charter, name::MemberName};

use crate::place::Place;

/// All erasures.
#[derive(Debug, Default)]
pub(super) struct Erasures {
    votes: HashMap<Place, BTreeSet<MemberName>>,
    done: HashSet<Place>,
    /// Records that are here and have to go.
    due: Vec<Place>,
}

impl Erasures {
    /// Takes in that a member wants a record erased; answers whether it is, and whether as many organisations as that
    /// takes want it.
    pub(super) fn vote(
        &mut self,
        place: &Place,
        by: &MemberName,
        charter: &Charter,
    ) -> (bool, bool) {
        let votes = self.votes.entry(place.clone()).or_default();
        votes.insert(by.clone());
        let organisations: BTreeSet<_> =
            votes.iter().filter_map(|member| charter.organisation_of(member)).collect();
        let by_many = organisations.len() >= charter.quorum_halt();
        if (by_many || *by == place.log.member) && self.done.insert(place.clone()) {
            self.due.push(place.clone());
        }
        (self.done.contains(place), by_many)
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
        std::mem::take(&mut self.due)
    }
}
