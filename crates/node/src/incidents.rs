//! Declared events that tie cases together: who stands by one, what it ties, and when it is in force
//! (`docs/states.md`, incidents).
//!
//! **Invariant:** what an incident is depends on the records that speak of it and on the time, never on
//! their order of arrival.
//! **Invariant:** one organisation alone raises readiness and changes no cap.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;
use watchfire_signal::{
    charter::{Charter, Role},
    commitment::Commitment,
    incident::{Incident as Body, IncidentStep},
    name::{MemberName, OrganisationName},
};

use crate::{place::Place, standing::Term};

/// How long a declaration of level 2 or 3 waits for cosigners: 15 minutes.
pub const COSIGN_MS: u64 = 15 * 60_000;
/// How long whoever declared one that lapsed waits, or needs another organisation: 24 hours.
pub const REDECLARE_MS: u64 = 24 * 3_600_000;
/// An incident ends when its cases have had nothing new for so long: 12 hours.
pub const QUIET_MS: u64 = 12 * 3_600_000;
/// How long after its end a debrief is owed: 30 days.
pub const DEBRIEF_MS: u64 = 30 * 86_400_000;
/// The level at which an incident changes caps.
pub const CRITICAL: u8 = 3;
/// In coalitions of up to so many organisations one cosigner is enough.
const SMALL_COALITION: usize = 3;
/// The level that needs no cosigner: awareness.
const AWARENESS: u8 = 1;
/// Organisations that stand by an incident and add a case to it: one alone ties nothing later.
const ADDERS: usize = 2;

/// An incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// The commitment of its declaration.
    pub name: Commitment,
    /// Where that stands.
    pub place: Place,
    /// A drill.
    pub test: bool,
    /// When this node had verified it.
    pub declared_ms: u64,
    /// What was declared; `None` while it is a hole.
    pub declared: Option<Body>,
    /// Members that agree, with when this node had verified that.
    pub cosigned: BTreeMap<MemberName, u64>,
    /// What was changed since, with when.
    pub updates: BTreeMap<Place, (Body, u64)>,
    /// Members that want it over, with when.
    pub concluded: BTreeMap<MemberName, u64>,
    /// When it is what.
    pub course: Course,
    /// The subjects of the cases that belong to it: those that it was declared with, and those that members of
    /// two organisations which stand by it have added.
    pub tied: BTreeSet<Commitment>,
}

/// When an incident is what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Course {
    /// 1 awareness, 2 content, 3 critical; 0 while nobody told.
    pub level: u8,
    /// Organisations beside the declarer's that agree.
    pub cosigners: usize,
    /// How many it needs.
    pub needed: usize,
    /// Whether its declarer had one that lapsed shortly before, so that another organisation has to agree
    /// before anything is raised.
    pub refused: bool,
    /// Since when it is in force.
    pub in_force_ms: Option<u64>,
    /// When it lapses, if it is not in force by then.
    pub lapses_ms: u64,
    /// When it ends.
    pub ends_ms: u64,
    /// Whether it ended because organisations said so, not because nothing new came.
    pub by_vote: bool,
}

/// The state of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentState {
    /// Its declarer has to wait, or needs another organisation.
    Refused,
    /// It raises readiness and waits for cosigners.
    Declared,
    /// Enough organisations stand by it.
    InForce,
    /// Not enough organisations did in time.
    Lapsed,
    /// It is over.
    Concluded,
}

impl Incident {
    /// The state at a moment.
    #[must_use]
    pub fn state(&self, now_ms: u64) -> IncidentState {
        let course = &self.course;
        match course.in_force_ms {
            _ if course.by_vote && now_ms >= course.ends_ms => IncidentState::Concluded,
            Some(since) if now_ms >= since && now_ms < course.ends_ms => IncidentState::InForce,
            Some(since) if now_ms >= since => IncidentState::Concluded,
            _ if now_ms >= course.lapses_ms => IncidentState::Lapsed,
            _ if course.refused => IncidentState::Refused,
            _ => IncidentState::Declared,
        }
    }

    /// When its state changes next by itself.
    #[must_use]
    pub fn next_change_ms(&self, now_ms: u64) -> Option<u64> {
        let Course { in_force_ms, lapses_ms, ends_ms, .. } = self.course;
        let times = [in_force_ms, Some(lapses_ms), Some(ends_ms)];
        times.into_iter().flatten().filter(|at| *at > now_ms).min()
    }

    /// The words that count: its declarer's latest.
    #[must_use]
    pub fn words(&self) -> Option<&Body> {
        let own = self.updates.iter().filter(|(place, _)| place.log == self.place.log);
        own.map(|(_, (body, _))| body).next_back().or(self.declared.as_ref())
    }

    /// Whether a member has declared it or agrees.
    #[must_use]
    pub fn stands_by(&self, member: &MemberName) -> bool {
        *member == self.place.log.member || self.cosigned.contains_key(member)
    }
}

/// Whose word counts.
pub(crate) struct Court<'a> {
    /// The charter in force.
    pub(crate) charter: &'a Charter,
    /// Members that a quorum has halted or suspended.
    pub(crate) silenced: BTreeSet<MemberName>,
}

/// All incidents.
#[derive(Debug, Default)]
pub struct Incidents {
    all: BTreeMap<Commitment, Incident>,
    /// Which incidents tie a case.
    ties: HashMap<Commitment, BTreeSet<Commitment>>,
    /// Whether there is something to add up.
    changed: bool,
    /// Whether something was added up that nobody has looked at.
    fresh: bool,
}

impl Incidents {
    /// All of them, by the commitment of the declaration.
    pub fn iter(&self) -> impl Iterator<Item = &Incident> {
        self.all.values()
    }

    /// Whether anything was added up since the last call.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.fresh)
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, name: &Commitment) -> Option<&Incident> {
        self.all.get(name)
    }

    /// Has everything added up again: somebody's word counts differently now.
    pub(crate) fn recount(&mut self) {
        self.changed = true;
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Takes a declaration in, or its body that had been missing.
    pub(crate) fn declare(&mut self, new: Incident) {
        self.changed = true;
        match self.all.get_mut(&new.name) {
            Some(there) if there.place == new.place => {
                there.declared = there.declared.take().or(new.declared);
            }
            // Two leaves with one commitment would need one salt twice: the first one stands.
            Some(_) => {}
            None => drop(self.all.insert(new.name, new)),
        }
    }

    /// Takes in what a member says of one; false where that makes no sense.
    pub(crate) fn speak(
        &mut self,
        name: &Commitment,
        place: &Place,
        body: Body,
        verified_ms: u64,
    ) -> bool {
        let Some(incident) = self.all.get_mut(name) else { return false };
        let member = place.log.member.clone();
        let first = |at: &mut u64| *at = (*at).min(verified_ms);
        match body.step {
            IncidentStep::Declare => return false,
            IncidentStep::Cosign => {
                incident.cosigned.entry(member).and_modify(first).or_insert(verified_ms);
            }
            IncidentStep::Conclude => {
                incident.concluded.entry(member).and_modify(first).or_insert(verified_ms);
            }
            IncidentStep::Update => {
                drop(incident.updates.insert(place.clone(), (body, verified_ms)))
            }
        }
        self.changed = true;
        true
    }

    /// Adds everything up again if something has changed, or a case that an incident ties was touched;
    /// answers the cases that may stand differently. `latest` says when a case had something new.
    pub(crate) fn add_up(
        &mut self,
        touched: impl Iterator<Item = Commitment>,
        court: &Court<'_>,
        latest: impl Fn(&Commitment) -> Option<u64>,
    ) -> BTreeSet<Commitment> {
        let mut touched = touched;
        if !(self.changed || touched.any(|subject| self.ties.contains_key(&subject))) {
            return BTreeSet::new();
        }
        self.changed = false;
        self.fresh = true;
        let before = self.ties.keys().copied();
        let mut affected: BTreeSet<Commitment> = before.collect();
        self.all.values_mut().for_each(|one| one.tied = court.tied(one));
        let courses: Vec<_> =
            self.all.values().map(|one| (one.name, self.course(one, court, &latest))).collect();
        self.ties.clear();
        for (name, course) in courses {
            let Some(incident) = self.all.get_mut(&name) else { continue };
            incident.course = course;
            for &subject in &incident.tied {
                self.ties.entry(subject).or_default().insert(name);
                affected.insert(subject);
            }
        }
        affected
    }

    /// The times in which incidents of level 3 lift a case; of those that are admitted.
    pub(crate) fn lifts(
        &self,
        subject: &Commitment,
        admitted: impl Fn(&Incident) -> bool,
    ) -> Vec<Term> {
        let ties = self.ties.get(subject).into_iter().flatten();
        let incidents = ties.filter_map(|name| self.all.get(name));
        let critical =
            incidents.filter(|one| one.course.level == CRITICAL && !one.test && admitted(one));
        let terms = critical.filter_map(|one| {
            let since_ms = one.course.in_force_ms?;
            Some(Term { since_ms, until_ms: one.course.ends_ms })
        });
        terms.filter(|term| term.since_ms < term.until_ms).collect()
    }

    fn course(
        &self,
        incident: &Incident,
        court: &Court<'_>,
        latest: &impl Fn(&Commitment) -> Option<u64>,
    ) -> Course {
        let author = &incident.place.log.member;
        let declarer = court.charter.organisation_of(author);
        let level = incident.declared.as_ref().map_or(0, |body| body.level);
        let agreed: Vec<u64> = court.times(&incident.cosigned, declarer);
        let lapses_ms = incident.declared_ms.saturating_add(COSIGN_MS);
        let refused = self.follows_a_lapse(incident, court) && agreed.is_empty();
        let needed =
            if level == AWARENESS { usize::from(refused) } else { court.cosigners_needed() };
        let enough = needed.checked_sub(1).map_or(Some(0), |last| agreed.get(last).copied());
        let in_force = enough.map(|at| at.max(incident.declared_ms));
        let in_force_ms =
            in_force.filter(|at| level > 0 && *at < lapses_ms && !court.silenced.contains(author));
        let news = incident.tied.iter().filter_map(latest).max().unwrap_or(0);
        let quiet = news.max(in_force_ms.unwrap_or(incident.declared_ms)).saturating_add(QUIET_MS);
        let voted = court.voted_over(incident, in_force_ms);
        let by_vote = voted.is_some_and(|at| at < quiet);
        let ends_ms = voted.filter(|_| by_vote).unwrap_or(quiet);
        let cosigners = agreed.len();
        Course { level, cosigners, needed, refused, in_force_ms, lapses_ms, ends_ms, by_vote }
    }

    /// Whether the organisation that declares it had declared one shortly before that lapsed, or waits still.
    fn follows_a_lapse(&self, incident: &Incident, court: &Court<'_>) -> bool {
        let owner = |incident: &Incident| court.charter.organisation_of(&incident.place.log.member);
        let now = incident.declared_ms;
        self.all.values().any(|other| {
            let before = (other.declared_ms, &other.place) < (now, &incident.place);
            let level = other.declared.as_ref().map_or(0, |body| body.level);
            let lapsed = other.declared_ms.saturating_add(COSIGN_MS);
            let agreed = court.times(&other.cosigned, owner(other));
            let failed = agreed.get(court.cosigners_needed() - 1).is_none_or(|at| *at >= lapsed);
            let recent = now < lapsed.saturating_add(REDECLARE_MS);
            before && owner(other) == owner(incident) && level > AWARENESS && failed && recent
        })
    }
}

impl Court<'_> {
    /// How many organisations beside the declarer's a declaration of level 2 or 3 needs.
    fn cosigners_needed(&self) -> usize {
        if self.charter.organisations() <= SMALL_COALITION { 1 } else { 2 }
    }

    /// The cases that belong to an incident. One organisation adds to what changes no cap; to more, two do.
    fn tied(&self, incident: &Incident) -> BTreeSet<Commitment> {
        let level = incident.declared.as_ref().map_or(0, |body| body.level);
        let mut added = BTreeMap::<Commitment, BTreeSet<&OrganisationName>>::new();
        for (place, (body, _)) in &incident.updates {
            let member = &place.log.member;
            let counts = incident.stands_by(member) && !self.silenced.contains(member);
            let owner = self.charter.organisation_of(member).filter(|_| counts);
            for (owner, case) in owner.iter().flat_map(|o| body.cases.iter().map(move |c| (*o, c)))
            {
                added.entry(*case).or_default().insert(owner);
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
        let quorum = self.times(votes, None).get(self.charter.quorum_halt() - 1).copied();
        let convenor = |member: &MemberName| {
            self.charter.member(member).is_some_and(|member| member.role == Role::Convenor)
        };
        let own = votes.get(&incident.place.log.member).copied();
        let own = own.filter(|at| in_force_ms.is_none_or(|since| *at < since));
        let convened = votes.iter().filter(|(by, _)| convenor(by)).map(|(_, at)| *at).min();
        quorum.into_iter().chain(own).chain(convened).min()
    }

    /// When each organisation beside one first said so, ascending.
    fn times(
        &self,
        said: &BTreeMap<MemberName, u64>,
        beside: Option<&OrganisationName>,
    ) -> Vec<u64> {
        let mut first = BTreeMap::<&OrganisationName, u64>::new();
        for (member, at) in said.iter().filter(|(member, _)| !self.silenced.contains(*member)) {
            let Some(owner) = self.charter.organisation_of(member) else { continue };
            if Some(owner) != beside {
                let time = first.entry(owner).or_insert(*at);
                *time = (*time).min(*at);
            }
        }
        let mut times: Vec<u64> = first.into_values().collect();
        times.sort_unstable();
        times
    }
}
