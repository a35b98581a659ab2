//! Whose word counts, and what an incident comes to by it.

use std::collections::{BTreeMap, BTreeSet};

use watchfire_signal::{
    charter::{Charter, Role},
    commitment::Commitment,
    name::{MemberName, OrganisationName},
};

use super::{
    ADDERS, AWARENESS, MINUTE_MS, QUIET_MS, SMALL_COALITION,
    incident::{Course, Incident, Moment},
};

/// Whose word counts.
pub(crate) struct Court<'a> {
    /// The charter in force.
    pub(crate) charter: &'a Charter,
    /// Members that a quorum has halted or suspended.
    pub(crate) silenced: BTreeSet<MemberName>,
}

impl Court<'_> {
    /// Whether the word of a member counts: not of one that a quorum has stopped, nor of one that has left.
    fn hears(&self, member: &MemberName) -> bool {
        self.charter.member(member).is_some() && !self.silenced.contains(member)
    }

    /// How many organisations beside the declarer's a declaration of level 2 or 3 needs.
    pub(super) fn cosigners_needed(&self) -> usize {
        if self.charter.organisations() <= SMALL_COALITION { 1 } else { 2 }
    }

    /// Since when each organisation beside the declarer's agrees that agreed in time, ascending. In time is what the
    /// minutes in the headers say, so that it is for all who read them, whenever they do.
    pub(super) fn agreed(&self, incident: &Incident) -> Vec<u64> {
        let in_time = |at: &Moment| at.minute < incident.lapse_minute();
        let declarer = self.charter.organisation_of(&incident.place.log.member);
        self.times(incident.cosigned.iter().filter(|(_, at)| in_time(at)), declarer)
    }

    /// When it is what, but for its end; `follows_a_lapse`: its declarer has to wait, or needs another organisation.
    pub(super) fn begin(&self, incident: &Incident, follows_a_lapse: bool) -> Course {
        let level = incident.declared.as_ref().map_or(0, |body| body.level);
        let agreed = self.agreed(incident);
        let refused = follows_a_lapse && agreed.is_empty();
        let needed =
            if level == AWARENESS { usize::from(refused) } else { self.cosigners_needed() };
        let enough = needed.checked_sub(1).map_or(Some(0), |last| agreed.get(last).copied());
        let heard = self.hears(&incident.place.log.member);
        let in_force_ms = enough.filter(|_| level > 0 && heard);
        Course {
            level,
            cosigners: agreed.len(),
            needed,
            refused,
            in_force_ms: in_force_ms.map(|at| at.max(incident.declared_at.at_ms())),
            lapses_ms: u64::from(incident.lapse_minute()) * MINUTE_MS,
            ends_ms: 0,
            by_vote: false,
        }
    }

    /// The same with its end: when nothing new had come for long enough, or organisations had said so before.
    pub(super) fn end(&self, incident: &Incident, begun: Course, quiet_ms: u64) -> Course {
        let voted = self.voted_over(incident, begun.in_force_ms).filter(|at| *at < quiet_ms);
        Course { ends_ms: voted.unwrap_or(quiet_ms), by_vote: voted.is_some(), ..begun }
    }

    /// The cases that belong to an incident; `named`: those of alerts that name it, with who says so. One organisation
    /// adds to what changes no cap; to more, two do.
    pub(super) fn tied<'a>(
        &self,
        incident: &'a Incident,
        named: impl Iterator<Item = (&'a MemberName, Commitment)>,
    ) -> BTreeSet<Commitment> {
        let level = incident.declared.as_ref().map_or(0, |body| body.level);
        let mut added = BTreeMap::<Commitment, BTreeSet<&OrganisationName>>::new();
        let updated = incident.updates.iter().flat_map(|(place, body)| {
            body.cases.iter().map(move |case| (&place.log.member, *case))
        });
        for (member, case) in updated.chain(named) {
            let counts = incident.stands_by(member) && self.hears(member);
            if let Some(owner) = self.charter.organisation_of(member).filter(|_| counts) {
                added.entry(case).or_default().insert(owner);
            }
        }
        let needed = if level > AWARENESS { ADDERS } else { 1 };
        added.retain(|_, owners| owners.len() >= needed);
        let declared = incident.declared.iter().flat_map(|body| body.cases.iter().copied());
        declared.chain(added.into_keys()).collect()
    }

    /// When enough organisations had said that it is over, or a convenor; while it waits for cosigners its
    /// declarer is enough.
    fn voted_over(&self, incident: &Incident, in_force_ms: Option<u64>) -> Option<u64> {
        let votes = &incident.concluded;
        let quorum = self.times(votes.iter(), None).get(self.charter.quorum_halt() - 1).copied();
        let convenor = |member: &MemberName| {
            self.charter.member(member).is_some_and(|member| member.role == Role::Convenor)
        };
        let declarer = &incident.place.log.member;
        let heard = || votes.iter().filter(|(by, _)| self.hears(by));
        let own = heard().find(|(by, _)| *by == declarer).map(|(_, at)| at.at_ms());
        let own = own.filter(|at| in_force_ms.is_none_or(|since| *at < since));
        let convened = heard().filter(|(by, _)| convenor(by)).map(|(_, at)| at.at_ms()).min();
        quorum.into_iter().chain(own).chain(convened).min()
    }

    /// When each organisation beside one first said so, ascending.
    fn times<'a>(
        &self,
        said: impl Iterator<Item = (&'a MemberName, &'a Moment)>,
        beside: Option<&OrganisationName>,
    ) -> Vec<u64> {
        let mut first = BTreeMap::<&OrganisationName, u64>::new();
        for (member, at) in said.filter(|(member, _)| self.hears(member)) {
            let Some(owner) = self.charter.organisation_of(member) else { continue };
            if Some(owner) != beside {
                let time = first.entry(owner).or_insert(at.at_ms());
                *time = (*time).min(at.at_ms());
            }
        }
        let mut times: Vec<u64> = first.into_values().collect();
        times.sort_unstable();
        times
    }
}

/// When nothing new had come for long enough since a moment, with the first news after that. What comes later brings
/// nothing back. The times ascend.
pub(super) fn quiet_after(since_ms: u64, times: impl IntoIterator<Item = u64>) -> (u64, u64) {
    chained(since_ms.saturating_add(QUIET_MS), times)
}

/// The same where it is known for other news.
pub(super) fn chained(mut quiet_ms: u64, times: impl IntoIterator<Item = u64>) -> (u64, u64) {
    for at in times {
        if at >= quiet_ms {
            return (quiet_ms, at);
        }
        quiet_ms = quiet_ms.max(at.saturating_add(QUIET_MS));
    }
    (quiet_ms, u64::MAX)
}
