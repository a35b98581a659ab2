//! One incident: what was said of it when, and what it is when.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use watchfire_signal::{
    commitment::Commitment,
    incident::{Incident as Body, IncidentStep},
    name::MemberName,
};

use super::{AWARENESS, COSIGN_MINUTES, CRITICAL, MINUTE_MS};
use crate::{place::Place, standing::Term};

/// When something was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// The minute (since 1970) that its header says.
    pub minute: u32,
    /// When this node had verified it.
    pub verified_ms: u64,
}

impl Moment {
    /// The beginning of its minute: the same for whoever verifies it later. Where its author's clock is ahead of ours,
    /// when this node had verified it.
    #[must_use]
    pub fn at_ms(self) -> u64 {
        self.verified_ms.min(u64::from(self.minute) * MINUTE_MS)
    }
}

/// An incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// The commitment of its declaration.
    pub name: Commitment,
    /// Where that stands.
    pub place: Place,
    /// A drill.
    pub test: bool,
    /// When it was declared.
    pub declared_at: Moment,
    /// What was declared; `None` while it is a hole, and once it is erased.
    pub declared: Option<Body>,
    /// Whether the record of its declaration was erased: then it is of no level, and raises nothing.
    pub erased: bool,
    /// Members that agree, with when they first said so.
    pub cosigned: BTreeMap<MemberName, Moment>,
    /// What was changed since.
    pub updates: BTreeMap<Place, Body>,
    /// Members that want it over, with when they first said so.
    pub concluded: BTreeMap<MemberName, Moment>,
    /// All that is said for or against it, of which a member's first word counts.
    pub said: BTreeMap<Place, (IncidentStep, Moment)>,
    /// When it is what.
    pub course: Course,
    /// The subjects of the cases that belong to it: those that it was declared with, and those that members of
    /// two organisations which stand by it have added, by updates or by alerts that name it.
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
    /// Takes in what a member says of it; whether that is new, so that whoever looks is shown it.
    pub(super) fn hear(&mut self, place: &Place, at: Moment, body: Body) -> bool {
        if body.step == IncidentStep::Update {
            return self.updates.insert(place.clone(), body).is_none();
        }
        let word = (body.step, at);
        let new = self.said.insert(place.clone(), word) != Some(word);
        self.count(&place.log.member);
        new
    }

    /// Takes out what a member had said of it; whether it had.
    pub(super) fn unhear(&mut self, place: &Place) -> bool {
        let updated = self.updates.remove(place).is_some();
        let said = self.said.remove(place).is_some();
        self.count(&place.log.member);
        updated || said
    }

    /// Whether it knows what a record says of it.
    pub(super) fn has(&self, place: &Place) -> bool {
        self.updates.contains_key(place) || self.said.contains_key(place)
    }

    /// Counts what a member says for and against it.
    fn count(&mut self, member: &MemberName) {
        let of_member = || self.said.iter().filter(|(place, _)| place.log.member == *member);
        let first = |step: IncidentStep| {
            let its = of_member().filter(|(_, (said, _))| *said == step);
            its.map(|(_, (_, at))| *at).min()
        };
        let (agrees, ends) = (first(IncidentStep::Cosign), first(IncidentStep::Conclude));
        for (all, at) in [(&mut self.cosigned, agrees), (&mut self.concluded, ends)] {
            match at {
                Some(at) => all.insert(member.clone(), at),
                None => all.remove(member),
            };
        }
    }

    /// The state at a moment.
    #[must_use]
    pub fn state(&self, now_ms: u64) -> IncidentState {
        let course = &self.course;
        match course.in_force_ms {
            // It ends at once, and waits for nobody.
            _ if self.erased => IncidentState::Concluded,
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
        own.map(|(_, body)| body).next_back().or(self.declared.as_ref())
    }

    /// Whether it is of level 2 or 3 and not in force, so that its declarer waits before it declares another; an erased
    /// one is taken for one of these.
    pub(crate) fn failed(&self) -> bool {
        let Course { level, in_force_ms, cosigners, needed, .. } = self.course;
        let unknown = self.erased && cosigners < needed;
        unknown || (level > AWARENESS && in_force_ms.is_none())
    }

    /// The first minute in which agreeing is too late.
    pub(super) fn lapse_minute(&self) -> u32 {
        self.declared_at.minute.saturating_add(COSIGN_MINUTES)
    }

    /// When it lifts cases, if it does.
    pub(super) fn lift(&self) -> Option<Term> {
        let since_ms = self.course.in_force_ms?;
        let term = Term { since_ms, until_ms: self.course.ends_ms };
        let critical = self.course.level == CRITICAL && !self.test;
        (critical && term.since_ms < term.until_ms).then_some(term)
    }

    pub(super) fn lifts(&self) -> bool {
        self.lift().is_some()
    }

    /// Whether a member has declared it or agrees.
    #[must_use]
    pub fn stands_by(&self, member: &MemberName) -> bool {
        *member == self.place.log.member || self.cosigned.contains_key(member)
    }
}
