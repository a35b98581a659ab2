//! What a victim takes back: an alert whose provenance is `victim` was taken from the person it shows by its author,
//! who knows that person. Where that author retracts it because the victim withdrew, the case has ended for everyone
//! (`docs/states.md`, opinions).
//!
//! **Invariant:** that a case has ended so depends on leaves alone, in any order of arrival, and waits as every other
//! retraction does that is beyond its author's quota.

use std::collections::BTreeSet;

use watchfire_signal::{
    commitment::Commitment, header::Provenance, name::OrganisationName, reason::Reason,
    record::Leaf, verb::Verb,
};

use super::{Cases, Place, SignalSet, sayings::NO_END};
use crate::{halts::Voice, standing::Stance};

impl SignalSet {
    /// Whether what a leaf says of this set is that its author takes it back for the victim.
    pub(super) fn is_taken_back_by(&self, place: &Place, leaf: &Leaf) -> bool {
        self.header.provenance == Provenance::Victim
            && place.log.member == *self.author()
            && leaf.header.verb == Verb::Retract
            && leaf.header.reason == Some(Reason::VictimWithdrew)
    }

    /// Whether its author says anywhere that the victim takes it back, counted or not, and so of all its case.
    pub(super) fn names_a_victim(&self) -> bool {
        self.header.provenance == Provenance::Victim
            && self.said.of(self.author()).iter().any(|(.., said)| said.by_victim)
    }
}

impl Cases {
    /// Whether the victim has taken a set back, or the alert that founded its case, and that counts; with whether it
    /// asks that what was done comes back: one retraction that does is enough.
    pub(super) fn taken_back(&self, set: &SignalSet) -> Option<bool> {
        let own = self.taken_back_itself(set);
        if set.name == set.subject {
            return own;
        }
        let founding = self.look(&set.subject);
        let all = founding.and_then(|founding| self.taken_back_itself(&founding));
        own.into_iter().chain(all).max()
    }

    fn taken_back_itself(&self, set: &SignalSet) -> Option<bool> {
        if !set.names_a_victim() {
            return None;
        }
        let author = set.author();
        // A retraction by a halted member stands, as all do.
        let until = match self.halts.voice(author, &self.charter) {
            Voice::Suspended { until } => until,
            Voice::Counts | Voice::Halted => NO_END,
        };
        let said = set.said.of(author).iter();
        let counts = said.filter(|(_, turn, said)| {
            said.by_victim && *turn < until && !self.waits(set, author, *turn)
        });
        counts.map(|(.., said)| said.stance != Stance::Withdrawn { restore: false }).max()
    }

    /// The sets that stand and fall with one: all of its case, where the victim takes back what founded it.
    pub(super) fn that_fall_with(&self, name: &Commitment) -> Vec<Commitment> {
        let founding = self.look(name).filter(|set| set.name == set.subject);
        let all = founding.filter(|set| set.names_a_victim());
        all.map(|set| self.sets.names_of_case(&set.name)).unwrap_or_default()
    }

    /// The organisations of which a person has ever stood by what the victim takes back with a set.
    pub(super) fn stood_by_all(&self, set: &SignalSet) -> BTreeSet<OrganisationName> {
        let names = match set.name == set.subject {
            true => self.sets.names_of_case(&set.name),
            false => vec![set.name],
        };
        let sets = names.iter().filter_map(|name| self.look(name));
        sets.flat_map(|set| self.stood_by(&set)).collect()
    }
}
