//! What all that was said of a set adds up to.

use std::{borrow::Cow, collections::BTreeSet};

use watchfire_signal::{
    commitment::Commitment,
    name::{MemberName, OrganisationName},
    statement::Resolution,
};

use super::{Cases, SignalSet, sayings::NO_END, set::WaitingWords};
use crate::{
    halts::Voice,
    incidents::Incident,
    place::Turn,
    standing::{Opinion, Opinions, Rules, Stance, Standing, Term},
};

impl Cases {
    pub(super) fn add_up(&mut self, name: &Commitment) {
        let Some(set) = self.look(name) else { return };
        let standing = self.standing(&set);
        let halted_by = self.halts.halted_by(&set.subject);
        let joined = self.joined(&set);
        let waiting = self.waiting_in(&set);
        // Most words change nothing of this; who looks things up shares the set, so that touching it copies it.
        let heard = |by: &MemberName| self.halts.voice(by, &self.charter) == Voice::Counts;
        let unreadable = set.rare().unread.iter().any(heard) || self.is_of_another_taxonomy(&set);
        let same = set.standing == standing && set.unreadable == unreadable;
        let same = same && set.is_beside(&halted_by, &joined, &waiting);
        if !same && let Some(set) = self.change(name) {
            (set.standing, set.unreadable) = (standing, unreadable);
            set.put_beside(halted_by, joined, waiting);
        }
    }

    /// Whether its labels are of another taxonomy than that of the charter that it was written under: what they mean is not
    /// what this coalition had agreed on.
    fn is_of_another_taxonomy(&self, set: &SignalSet) -> bool {
        let charter = self.charter_of(&set.header);
        let alert = set.alert.as_ref();
        alert.zip(charter).is_some_and(|(alert, charter)| alert.taxonomy != charter.taxonomy)
    }

    /// Counts the retractions and erasures in a set that undo what persons of other organisations stood by; answers
    /// the sets that stand differently because of that.
    pub(super) fn weigh(&mut self, name: &Commitment) -> BTreeSet<Commitment> {
        let Some(set) = self.look(name) else { return BTreeSet::new() };
        let mut changed = self.weigh_set(&set);
        if set.name != set.subject {
            // What ends a whole case undoes what others stand by in all of it.
            let founding = self.look(&set.subject).filter(|founding| founding.names_a_victim());
            changed.extend(founding.into_iter().flat_map(|founding| self.weigh_set(&founding)));
        }
        changed
    }

    fn weigh_set(&mut self, set: &SignalSet) -> BTreeSet<Commitment> {
        let mut undone = set.undone();
        if !undone.is_empty() {
            let stood = self.stood_by(set);
            let all = set.names_a_victim().then(|| self.stood_by_all(set));
            undone.retain(|(member, turn, ..)| {
                let own = self.charter.organisation_of(member);
                let said = set.said.one(member, *turn);
                let of_all = all.as_ref().filter(|_| said.is_some_and(|said| said.by_victim));
                of_all.unwrap_or(&stood).iter().any(|other| Some(other) != own)
            });
        }
        let undone = undone.into_iter().map(|(member, turn, hour, _)| (member, turn, hour));
        self.undoing.count(set.name, undone.collect(), self.charter.quotas.retractions_an_hour)
    }

    /// The organisations of which a person has ever stood by a set.
    pub(super) fn stood_by(&self, set: &SignalSet) -> BTreeSet<OrganisationName> {
        let owners = set.ever_stood().filter_map(|member| self.charter.organisation_of(member));
        owners.cloned().collect()
    }

    /// Whether a retraction or erasure waits: beyond the quota, and nobody of another organisation agrees.
    pub(super) fn waits(&self, set: &SignalSet, member: &MemberName, turn: Turn) -> bool {
        let agreed = || {
            let cosigned = set.rare().cosigned.get(&(member.clone(), turn));
            let own = self.charter.organisation_of(member);
            let heard = |by: &&MemberName| self.halts.voice(by, &self.charter) == Voice::Counts;
            let mut by = cosigned.into_iter().flatten().filter(heard);
            by.any(|by| self.charter.organisation_of(by) != own)
        };
        let quota = self.charter.quotas.retractions_an_hour;
        self.undoing.is_beyond(member, turn, quota) && !agreed()
    }

    /// Retractions and erasures of a set that wait, where that makes a difference; of each member the latest.
    fn waiting_in(&self, set: &SignalSet) -> WaitingWords {
        let waits = |(member, turn, ..): &(MemberName, Turn, u64, Commitment)| {
            self.waits(set, member, *turn)
        };
        let waiting = set.undone().into_iter().filter(waits);
        let waiting = waiting.filter(|(member, ..)| {
            let heard = set.heard(member, NO_END, &|turn| self.waits(set, member, turn));
            heard.as_ref() != set.opinions.get(member)
        });
        let mut latest = WaitingWords::new();
        for (member, turn, _, name) in waiting {
            let one = latest.entry(member).or_insert((turn, name));
            *one = (turn, name).max(*one);
        }
        latest
    }

    pub(super) fn standing(&self, set: &SignalSet) -> Standing {
        let valid_until = set.alert.as_ref().map_or(u64::MAX, |alert| alert.valid_until);
        let (opinions, withdrawn) = self.settled(set);
        let rules = Rules {
            organisation: &|member| self.charter.organisation_of(member).cloned(),
            confirm_quorum: self.charter.quorum_confirm(),
            dispute_quorum: self.charter.quorum_dispute(),
            voice: &|member| self.halts.voice(member, &self.charter),
            taken_back: self.taken_back(set),
            halted: withdrawn || self.halts.is_halted(&set.subject, &self.charter),
            erased: set.erased,
            lifts: self.lifts(set),
        };
        Standing::of(&opinions, set.renewals(), valid_until, &rules)
    }

    /// The opinions as they are heard, without disputes that were ended, and whether one ended against the set.
    fn settled<'a>(&self, set: &'a SignalSet) -> (Cow<'a, Opinions>, bool) {
        let mut opinions = Cow::Borrowed(&set.opinions);
        let undone = set.undone();
        for (member, latest) in &set.opinions {
            // What a suspended member says from the end on that is accepted was never its word, and hides none of
            // what it said before.
            let until = match self.halts.voice(member, &self.charter) {
                Voice::Suspended { until } => until,
                Voice::Counts | Voice::Halted => NO_END,
            };
            let waits = |turn| self.waits(set, member, turn);
            let own = undone.iter().filter(|(by, ..)| by == member);
            if set.speaks_after(member, until) || own.into_iter().any(|(_, turn, ..)| waits(*turn))
            {
                let never = || Opinion { stood_since_ms: None, ..latest.clone() };
                let heard = set.heard(member, until, &waits).unwrap_or_else(never);
                opinions.to_mut().insert(member.clone(), heard);
            }
        }
        let mut withdrawn = false;
        for ((member, turn), votes) in &set.rare().resolutions {
            let want = |how, quorum| {
                let votes = votes.iter().filter(|(_, (_, vote))| *vote == Some(how));
                let heard =
                    votes.filter(|(by, _)| self.halts.voice(by, &self.charter) == Voice::Counts);
                let by: BTreeSet<_> =
                    heard.filter_map(|(by, _)| self.charter.organisation_of(by)).collect();
                by.len() >= quorum
            };
            let own = votes.get(member).is_some_and(|(_, how)| *how == Some(Resolution::Stands));
            let latest = opinions.get(member);
            let disputes = latest
                .is_some_and(|opinion| opinion.turn == *turn && opinion.stance == Stance::Disputes);
            if disputes
                && (own || want(Resolution::Stands, self.charter.quorum_dispute()))
                && let Some(opinion) = opinions.to_mut().value_mut(member)
            {
                // That a person stood by the set before it stays so.
                opinion.stance = Stance::Nothing;
            }
            withdrawn |= want(Resolution::Withdrawn, self.charter.quorum_halt());
        }
        (opinions, withdrawn)
    }

    /// When incidents lift the set. What was added to a case that they tie, and nobody has looked at, they
    /// lift only if it comes from one who stands by them: else anybody could slip anything under it.
    fn lifts(&self, set: &SignalSet) -> Vec<Term> {
        let founding = set.name == set.subject;
        let seen = set.header.review.is_some_and(|review| review.is_human());
        let admitted = |incident: &Incident| incident.stands_by(set.author());
        self.incidents.lifts(&set.subject, |incident| founding || seen || admitted(incident))
    }

    /// The cases that the author of either says are the same.
    fn joined(&self, set: &SignalSet) -> BTreeSet<Commitment> {
        let others = self.joins.get(&set.name).into_iter().flatten();
        let author = |name| self.look(name).map(|set| set.author().clone());
        let by_either = others.filter(|(other, by)| {
            by.iter().any(|by| by == set.author() || author(*other).as_ref() == Some(by))
        });
        by_either.map(|(other, _)| *other).collect()
    }
}
