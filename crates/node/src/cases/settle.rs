//! What all that was said of a set adds up to.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use watchfire_signal::{commitment::Commitment, name::MemberName, statement::Resolution};

use super::{Cases, SignalSet};
use crate::{
    halts::Voice,
    incidents::Incident,
    standing::{Opinion, Rules, Stance, Standing, Term},
};

impl Cases {
    pub(super) fn add_up(&mut self, name: &Commitment) {
        let Some(set) = self.sets.get(name) else { return };
        let standing = self.standing(set);
        let halted_by = self.halts.halted_by(&set.subject);
        let joined = self.joined(set);
        if let Some(set) = self.sets.get_mut(name) {
            (set.standing, set.halted_by, set.joined) = (standing, halted_by, joined);
        }
    }

    fn standing(&self, set: &SignalSet) -> Standing {
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
        Standing::of(&opinions, &set.renewals, valid_until, &rules)
    }

    /// The opinions without disputes that were ended, and whether one ended against the set.
    fn settled<'a>(&self, set: &'a SignalSet) -> (Cow<'a, BTreeMap<MemberName, Opinion>>, bool) {
        let mut opinions = Cow::Borrowed(&set.opinions);
        let mut withdrawn = false;
        for ((member, turn), votes) in &set.resolutions {
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
        let author = |name| self.sets.get(name).map(SignalSet::author);
        let by_either = others.filter(|(other, by)| {
            by.iter().any(|by| by == set.author() || author(*other) == Some(by))
        });
        by_either.map(|(other, _)| *other).collect()
    }
}
