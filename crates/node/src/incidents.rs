//! Declared events that tie cases together: who stands by one, what it ties, and when it is in force
//! (`docs/states.md`, incidents).
//!
//! **Invariant:** what an incident is depends on the records that speak of it and on the time, never on
//! their order of arrival.
//! **Invariant:** one organisation alone raises readiness and changes no cap.
//! **Invariant:** what is said of an incident has it and those of the same organisation within a day added up, and what is
//! said of a case the incidents in force that tie it; no member makes these many.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use serde::Serialize;
use watchfire_signal::{
    charter::{Charter, Role},
    commitment::Commitment,
    incident::{Incident as Body, IncidentStep},
    name::{LogName, MemberName, OrganisationName},
};

use crate::{clock::MINUTES_A_DAY, place::Place, standing::Term};

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

/// Declarations of one log that count, of those that it dates on one day: the first ones. One an hour is more than there
/// are attacks.
pub const DECLARATIONS_A_DAY: usize = 24;
/// Updates of incidents by one log that count, of those that it dates on one day: the first ones. With these a member
/// ties 65,536 cases a day.
pub const UPDATES_A_DAY: usize = 64;

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

    /// When it lifts cases, if it does.
    fn lift(&self) -> Option<Term> {
        let since_ms = self.course.in_force_ms?;
        let term = Term { since_ms, until_ms: self.course.ends_ms };
        let critical = self.course.level == CRITICAL && !self.test;
        (critical && term.since_ms < term.until_ms).then_some(term)
    }

    fn lifts(&self) -> bool {
        self.lift().is_some()
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

/// What the day of a log has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Declaration,
    Update,
}

/// An incident with what its end depends on.
#[derive(Debug)]
struct Kept {
    /// Shared with who looks.
    incident: Arc<Incident>,
    /// When the cases that it ties had something new; 0 while it is not in force.
    news_ms: u64,
}

/// All incidents.
#[derive(Debug, Default)]
pub struct Incidents {
    all: BTreeMap<Commitment, Kept>,
    /// Which incidents that are or were in force tie a case.
    ties: HashMap<Commitment, BTreeSet<Commitment>>,
    /// By who has declared them when.
    declared: BTreeMap<MemberName, BTreeMap<u64, BTreeSet<Commitment>>>,
    /// What counts of what a log says on a day: at which index, of which incident.
    counted: BTreeMap<(LogName, Kind, u64), BTreeMap<u64, Commitment>>,
    /// What has to be added up.
    changed: BTreeSet<Commitment>,
    /// What was taken out since.
    gone: Vec<Arc<Incident>>,
    /// Whether somebody's word counts differently now, so that everything has to be added up.
    recount: bool,
    /// Whether something has changed that nobody has looked at.
    fresh: bool,
    added_up: u64,
}

impl Incidents {
    /// All of them, by the commitment of the declaration.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Incident>> {
        self.all.values().map(|kept| &kept.incident)
    }

    /// Whether anything was added up since the last call.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.fresh)
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, name: &Commitment) -> Option<&Incident> {
        self.all.get(name).map(|kept| &*kept.incident)
    }

    /// How often one was added up so far: what incidents have cost.
    #[must_use]
    pub fn added_up(&self) -> u64 {
        self.added_up
    }

    /// Has everything added up again: somebody's word counts differently now.
    pub(crate) fn recount(&mut self) {
        self.recount = true;
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty() && self.gone.is_empty()
    }

    /// Takes a declaration in that is dated in a minute, or its body that had been missing; not what is beyond
    /// [`DECLARATIONS_A_DAY`].
    pub(crate) fn declare(&mut self, new: Incident, minute: Option<u32>) {
        if !self.admit(Kind::Declaration, (&new.place, minute), new.name) {
            return;
        }
        match self.all.get_mut(&new.name) {
            Some(there) if there.incident.place == new.place => {
                if there.incident.declared.is_some() || new.declared.is_none() {
                    return;
                }
                Arc::make_mut(&mut there.incident).declared = new.declared;
            }
            // Two leaves with one commitment would need one salt twice: the first one stands.
            Some(_) => return,
            None => {
                let of_member = self.declared.entry(new.place.log.member.clone()).or_default();
                of_member.entry(new.declared_ms).or_default().insert(new.name);
                self.all.insert(new.name, Kept { incident: Arc::new(new.clone()), news_ms: 0 });
            }
        }
        self.changed.insert(new.name);
    }

    /// Takes in what a member says of one, dated in a minute; false where that makes no sense, or is beyond
    /// [`UPDATES_A_DAY`].
    pub(crate) fn speak(
        &mut self,
        (name, test): (&Commitment, bool),
        (place, minute): (&Place, Option<u32>),
        body: Body,
        verified_ms: u64,
    ) -> bool {
        // Whether it counts depends on its log alone, and not on what has become of the incident.
        if body.step == IncidentStep::Update && !self.admit(Kind::Update, (place, minute), *name) {
            return false;
        }
        let Some(kept) = self.all.get_mut(name).filter(|kept| kept.incident.test == test) else {
            return false;
        };
        let member = &place.log.member;
        let (cosigned, concluded) = (&kept.incident.cosigned, &kept.incident.concluded);
        let earlier = |said: &BTreeMap<MemberName, u64>| {
            said.get(member).is_none_or(|before| verified_ms < *before)
        };
        let changes = match body.step {
            IncidentStep::Declare => return false,
            IncidentStep::Cosign => earlier(cosigned),
            IncidentStep::Conclude => earlier(concluded),
            IncidentStep::Update => !kept.incident.updates.contains_key(place),
        };
        if changes {
            let incident = Arc::make_mut(&mut kept.incident);
            match body.step {
                IncidentStep::Declare => {}
                IncidentStep::Cosign => {
                    incident.cosigned.insert(member.clone(), verified_ms);
                }
                IncidentStep::Conclude => {
                    incident.concluded.insert(member.clone(), verified_ms);
                }
                IncidentStep::Update => {
                    drop(incident.updates.insert(place.clone(), (body, verified_ms)));
                }
            }
            self.changed.insert(*name);
        }
        true
    }

    /// Whether what a log says of an incident is among the first of its kind and day, by its own word. What comes before
    /// another after all takes its place.
    fn admit(
        &mut self,
        kind: Kind,
        (place, minute): (&Place, Option<u32>),
        name: Commitment,
    ) -> bool {
        let day = u64::from(minute.unwrap_or(0)) / MINUTES_A_DAY;
        let counted = self.counted.entry((place.log.clone(), kind, day)).or_default();
        counted.entry(place.index).or_insert(name);
        let most = match kind {
            Kind::Declaration => DECLARATIONS_A_DAY,
            Kind::Update => UPDATES_A_DAY,
        };
        let Some((index, name)) = (counted.len() > most).then(|| counted.pop_last()).flatten()
        else {
            return true;
        };
        if index == place.index {
            return false;
        }
        self.take_out(kind, &Place { log: place.log.clone(), index }, &name);
        true
    }

    fn take_out(&mut self, kind: Kind, place: &Place, name: &Commitment) {
        let Some(kept) = self.all.get_mut(name) else { return };
        if kind == Kind::Update {
            if Arc::make_mut(&mut kept.incident).updates.remove(place).is_some() {
                self.changed.insert(*name);
            }
            return;
        }
        if kept.incident.place != *place {
            return;
        }
        let Some(Kept { incident, .. }) = self.all.remove(name) else { return };
        let of_member = self.declared.get_mut(&place.log.member);
        if let Some(names) = of_member.and_then(|all| all.get_mut(&incident.declared_ms)) {
            names.remove(name);
        }
        self.untie(&incident);
        self.gone.push(incident);
    }

    fn untie(&mut self, incident: &Incident) {
        for subject in &incident.tied {
            if let Some(names) = self.ties.get_mut(subject) {
                names.remove(&incident.name);
                if names.is_empty() {
                    self.ties.remove(subject);
                }
            }
        }
    }

    /// Adds up what has changed, and what ties a case that was touched; answers the cases that may stand differently.
    /// `latest` says when a case had something new.
    pub(crate) fn add_up(
        &mut self,
        touched: impl Iterator<Item = Commitment>,
        court: &Court<'_>,
        latest: impl Fn(&Commitment) -> Option<u64>,
    ) -> BTreeSet<Commitment> {
        let mut due = std::mem::take(&mut self.changed);
        if std::mem::take(&mut self.recount) {
            due.extend(self.all.keys());
        }
        let gone = std::mem::take(&mut self.gone);
        let changed = due.iter().filter_map(|name| self.all.get(name)).map(|kept| &kept.incident);
        // Whether one is refused depends on those shortly before it.
        let after = |one: &Arc<Incident>| {
            let from = one.declared_ms;
            let until = from.saturating_add(COSIGN_MS + REDECLARE_MS);
            let all = self.of_owner(&one.place.log.member, (from, until), court);
            all.map(|one| one.name).collect::<Vec<_>>()
        };
        let after: Vec<Commitment> = changed.chain(&gone).flat_map(after).collect();
        due.extend(after);
        self.fresh |= !(due.is_empty() && gone.is_empty());
        let lifted = gone.iter().filter(|one| one.lifts());
        let mut affected: BTreeSet<_> = lifted.flat_map(|one| one.tied.iter().copied()).collect();
        for name in due {
            self.add_up_one(&name, court, &latest, &mut affected);
        }
        for subject in touched.collect::<BTreeSet<_>>() {
            self.hear_of(&subject, court, &latest, &mut affected);
        }
        affected
    }

    fn add_up_one(
        &mut self,
        name: &Commitment,
        court: &Court<'_>,
        latest: &impl Fn(&Commitment) -> Option<u64>,
        affected: &mut BTreeSet<Commitment>,
    ) {
        let Some(before) = self.all.get(name).map(|kept| kept.incident.clone()) else { return };
        self.added_up += 1;
        let tied = court.tied(&before);
        let in_force = self.course(&before, court, 0).in_force_ms.is_some();
        let news = tied.iter().filter(|_| in_force).filter_map(latest).max();
        let news_ms = news.unwrap_or(0);
        let course = self.course(&before, court, news_ms);
        self.untie(&before);
        for subject in tied.iter().filter(|_| in_force) {
            self.ties.entry(*subject).or_default().insert(*name);
        }
        if let Some(kept) = self.all.get_mut(name) {
            kept.news_ms = news_ms;
            let after = Arc::make_mut(&mut kept.incident);
            (after.tied, after.course) = (tied, course);
            if before.lifts() || after.lifts() {
                affected.extend(before.tied.iter().chain(&after.tied));
            }
        }
    }

    /// Takes in that a case was touched: incidents in force that tie it end later if it had something new.
    fn hear_of(
        &mut self,
        subject: &Commitment,
        court: &Court<'_>,
        latest: &impl Fn(&Commitment) -> Option<u64>,
        affected: &mut BTreeSet<Commitment>,
    ) {
        let Some(names) = self.ties.get(subject) else { return };
        let Some(news_ms) = latest(subject) else { return };
        let older =
            |name: &&Commitment| self.all.get(*name).is_some_and(|kept| kept.news_ms < news_ms);
        for name in names.iter().filter(older).copied().collect::<Vec<_>>() {
            let Some(before) = self.all.get(&name).map(|kept| kept.incident.clone()) else {
                continue;
            };
            self.added_up += 1;
            let course = self.course(&before, court, news_ms);
            let Some(kept) = self.all.get_mut(&name) else { continue };
            kept.news_ms = news_ms;
            if course == before.course {
                continue;
            }
            self.fresh = true;
            Arc::make_mut(&mut kept.incident).course = course;
            if before.lifts() || kept.incident.lifts() {
                affected.extend(&before.tied);
            }
        }
    }

    /// The incidents that the organisation of a member has declared from one time to another.
    fn of_owner<'a>(
        &'a self,
        member: &MemberName,
        (from_ms, until_ms): (u64, u64),
        court: &'a Court<'_>,
    ) -> impl Iterator<Item = &'a Incident> {
        let owner = court.charter.organisation_of(member);
        let members = self.declared.iter();
        let own = members.filter(move |(other, _)| court.charter.organisation_of(other) == owner);
        let names = own.flat_map(move |(_, all)| all.range(from_ms..=until_ms)).flat_map(|at| at.1);
        names.filter_map(|name| self.get(name))
    }

    /// The times in which incidents of level 3 lift a case; of those that are admitted.
    pub(crate) fn lifts(
        &self,
        subject: &Commitment,
        admitted: impl Fn(&Incident) -> bool,
    ) -> Vec<Term> {
        let ties = self.ties.get(subject).into_iter().flatten();
        let incidents = ties.filter_map(|name| self.get(name));
        incidents.filter(|one| admitted(one)).filter_map(Incident::lift).collect()
    }

    fn course(&self, incident: &Incident, court: &Court<'_>, news_ms: u64) -> Course {
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
        let quiet =
            news_ms.max(in_force_ms.unwrap_or(incident.declared_ms)).saturating_add(QUIET_MS);
        let voted = court.voted_over(incident, in_force_ms);
        let by_vote = voted.is_some_and(|at| at < quiet);
        let ends_ms = voted.filter(|_| by_vote).unwrap_or(quiet);
        let cosigners = agreed.len();
        Course { level, cosigners, needed, refused, in_force_ms, lapses_ms, ends_ms, by_vote }
    }

    /// Whether the organisation that declares it had declared one shortly before that lapsed, or waits still.
    fn follows_a_lapse(&self, incident: &Incident, court: &Court<'_>) -> bool {
        let author = &incident.place.log.member;
        let owner = court.charter.organisation_of(author);
        let now = incident.declared_ms;
        let from = now.saturating_sub(COSIGN_MS + REDECLARE_MS);
        self.of_owner(author, (from, now), court).any(|other| {
            let before = (other.declared_ms, &other.place) < (now, &incident.place);
            let level = other.declared.as_ref().map_or(0, |body| body.level);
            let lapsed = other.declared_ms.saturating_add(COSIGN_MS);
            let agreed = court.times(&other.cosigned, owner);
            let failed = agreed.get(court.cosigners_needed() - 1).is_none_or(|at| *at >= lapsed);
            let recent = now < lapsed.saturating_add(REDECLARE_MS);
            before && level > AWARENESS && failed && recent
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
