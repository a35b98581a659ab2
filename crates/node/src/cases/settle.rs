//! What all that was said of a set adds up to.

use std::{borrow::Cow, collections::BTreeSet};

use watchfire_signal::{commitment::Commitment, name::MemberName, statement::Resolution};

use super::{Cases, SignalSet};
use crate::{
    halts::Voice,
    incidents::Incident,
    standing::{Opinion, Opinions, Rules, Stance, Standing, Term},
};

impl Cases {
    pub(super) fn add_up(&mut self, name: &Commitment) {
        let Some(set) = self.look(name) else { return };
        let standing = self.standing(&set);
        let halted_by = self.halts.halted_by(&set.subject);
        let joined = self.joined(&set);
        let waiting = self.waiting_in(&set).map(|(member, _)| member.clone()).collect();
        // Most words change nothing of this; who looks things up shares the set, so that touching it copies it.
        let same = set.standing == standing && set.is_beside(&halted_by, &joined, &waiting);
        if !same && let Some(set) = self.change(name) {
            set.standing = standing;
            set.put_beside(halted_by, joined, waiting);
        }
    }

    /// Counts the retractions in a set that undo what persons of other organisations stood by; answers the
    /// sets that stand differently because of that.
    pub(super) fn weigh(&mut self, name: &Commitment) -> BTreeSet<Commitment> {
        let Some(set) = self.look(name) else { return BTreeSet::new() };
        let mut undone = set.undone();
        if !undone.is_empty() {
            let charter = &self.charter;
            let stood = set.ever_stood().filter_map(|member| charter.organisation_of(member));
            let stood: BTreeSet<_> = stood.collect();
            undone.retain(|(member, ..)| {
                let own = charter.organisation_of(member);
                stood.iter().any(|other| Some(*other) != own)
            });
        }
        self.undoing.count(*name, undone, self.charter.quotas.retractions_an_hour)
    }

    /// Retractions of a set that wait: beyond the quota, and nobody of another organisation agrees.
    fn waiting_in<'a>(
        &'a self,
        set: &'a SignalSet,
    ) -> impl Iterator<Item = (&'a MemberName, &'a Opinion)> {
        let quota = self.charter.quotas.retractions_an_hour;
        set.opinions.iter().filter(move |(member, opinion)| {
            let agreed = || {
                let by = set
                    .rare()
                    .cosigned
                    .get(&((*member).clone(), opinion.turn))
                    .into_iter()
                    .flatten();
                let own = self.charter.organisation_of(member);
                let mut heard =
                    by.filter(|by| self.halts.voice(by, &self.charter) == Voice::Counts);
                heard.any(|by| self.charter.organisation_of(by) != own)
            };
            matches!(opinion.stance, Stance::Withdrawn { .. })
                && self.undoing.is_beyond(member, opinion.turn, quota)
                && !agreed()
        })
    }

    pub(super) fn standing(&self, set: &SignalSet) -> Standing {
        let valid_until = set.alert.as_ref().map_or(u64::MAX, |alert| alert.valid_until);
        let (opinions, withdrawn) = self.settled(set);
        let rules = Rules {
            organisation: &|member| self.charter.organisation_of(member).cloned(),
            confirm_quorum: self.charter.quorum_confirm(),
            dispute_quorum: self.charter.quorum_dispute(),
            voice: &|member| self.halts.voice(member, &self.charter),
            halted: withdrawn || self.halts.is_halted(&set.subject, &self.charter),
            erased: set.erased,
            lifts: self.lifts(set),
        };
        Standing::of(&opinions, set.renewals(), valid_until, &rules)
    }

    /// The opinions without disputes that were ended, and whether one ended against the set.
    fn settled<'a>(&self, set: &'a SignalSet) -> (Cow<'a, Opinions>, bool) {
        let mut opinions = Cow::Borrowed(&set.opinions);
        for (member, opinion) in self.waiting_in(set) {
            if let Some(before) = set.before(member, opinion.turn) {
                opinions.to_mut().insert(member.clone(), before);
            }
        }
        for (member, latest) in &set.opinions {
            // What a suspended member says from the end on that is accepted was never its word, and hides none of
            // what it said before.
            if let Voice::Suspended { until } = self.halts.voice(member, &self.charter)
                && latest.turn >= until
            {
                let never = || Opinion { stood_since_ms: None, ..latest.clone() };
                let accepted = set.as_of(member, until).unwrap_or_else(never);
                opinions.to_mut().insert(member.clone(), accepted);
            }
        }
        let mut withdrawn = false;
        for ((member, turn), votes) in &set.rare().resolutions {
            let want = |how, quorum| {
                let votes = votes.iter().filter(|(_, (_, vote))| *vote == how);
                let heard =
                    votes.filter(|(by, _)| self.halts.voice(by, &self.charter) == Voice::Counts);
                let by: BTreeSet<_> =
                    heard.filter_map(|(by, _)| self.charter.organisation_of(by)).collect();
                by.len() >= quorum
            };
            let own = votes.get(member).is_some_and(|(_, how)| *how == Resolution::Stands);
            let latest = set.opinions.get(member);
            let disputes = latest
                .is_some_and(|opinion| opinion.turn == *turn && opinion.stance == Stance::Disputes);
            if disputes && (own || want(Resolution::Stands, self.charter.quorum_dispute())) {
                opinions.to_mut().remove(member);
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
