//! Declared events that tie cases together: who stands by one, what it ties, and when it is in force
//! (`docs/states.md`, incidents).
//!
//! **Invariant:** what an incident is depends on the records that speak of it and on the time, never on
//! their order of arrival, and, but for authors whose clocks are ahead, not on when this node had verified them either:
//! what lapsed or ended stays so at whoever catches up. What says no minute says nothing of incidents.
//! **Invariant:** one organisation alone raises readiness and changes no cap.
//! **Invariant:** what is said of an incident has it and those of the same organisation within a day added up, and what is
//! said of a case the incidents in force that tie it; no member makes these many.

mod court;
mod incident;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use watchfire_signal::{
    commitment::Commitment,
    incident::{Incident as Body, IncidentStep},
    name::{LogName, MemberName},
};

use self::court::{chained, quiet_after};
use crate::{clock::MINUTES_A_DAY, place::Place, standing::Term};

pub(crate) use self::court::Court;
pub use self::incident::{Course, Incident, IncidentState, Moment};

/// How long a declaration of level 2 or 3 waits for cosigners: 15 minutes.
pub const COSIGN_MS: u64 = 15 * 60_000;
/// How long whoever declared one that lapsed waits, or needs another organisation: 24 hours.
pub const REDECLARE_MS: u64 = 24 * 3_600_000;
/// An incident ends when its cases have had nothing new for so long: 12 hours.
pub const QUIET_MS: u64 = 12 * 3_600_000;
/// How long after its end a debrief is owed: 30 days.
pub const DEBRIEF_MS: u64 = 30 * 86_400_000;
const MINUTE_MS: u64 = 60_000;
/// [`COSIGN_MS`] in minutes of headers: what is said in one of them, that of the declaration being the first, is in time.
const COSIGN_MINUTES: u32 = 15;
/// From a declaration on, the minutes in which its declarer does not declare another, if it lapses.
const HOLD_MINUTES: u32 = COSIGN_MINUTES + 24 * 60;
/// The level at which an incident changes caps.
pub const CRITICAL: u8 = 3;
/// In coalitions of up to so many organisations one cosigner is enough.
pub const SMALL_COALITION: usize = 3;
/// The level that needs no cosigner: awareness.
const AWARENESS: u8 = 1;
/// Organisations that stand by an incident and add a case to it: one alone ties nothing later.
const ADDERS: usize = 2;

/// Declarations of one log that count, of those that it dates on one day: the first ones. One an hour is more than there
/// are attacks.
pub const DECLARATIONS_A_DAY: usize = 24;
/// Words about incidents (agreeing, updates, conclusions) by one log that count, of those that it dates on one day: the
/// first ones, by their leaves alone. With these a member ties 65,536 cases a day.
pub const WORDS_A_DAY: usize = 64;

/// What the day of a log has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Declaration,
    Word,
}

/// Alerts of one log that tie their cases to one incident, of those that it dates on one day: the first ones.
pub const ALERTS_A_DAY: usize = 1_024;

/// Alerts that name one incident: by the log that they stand in and its day, at which index, of which case, and whether
/// it is a drill.
type Named = BTreeMap<(LogName, u64), BTreeMap<u64, (Commitment, bool)>>;

/// Whether an alert at an index is among the first ones of its day.
fn counts_among(alerts: &BTreeMap<u64, (Commitment, bool)>, index: u64) -> bool {
    alerts.keys().nth(ALERTS_A_DAY - 1).is_none_or(|last| index <= *last)
}

/// An incident with what its end depends on.
#[derive(Debug)]
struct Kept {
    /// Shared with who looks.
    incident: Arc<Incident>,
    /// When the cases that it ties have had nothing new for long enough.
    quiet_ms: u64,
    /// When the first of these has something new after that, too late.
    later_ms: u64,
}

/// All incidents.
#[derive(Debug, Default)]
pub struct Incidents {
    all: BTreeMap<Commitment, Kept>,
    /// Which incidents that are or were in force tie a case.
    ties: HashMap<Commitment, BTreeSet<Commitment>>,
    /// By who has declared them in which minute.
    declared: BTreeMap<MemberName, BTreeMap<u32, BTreeSet<Commitment>>>,
    /// What counts of what a log says on a day: at which index, of which incident.
    counted: BTreeMap<(LogName, Kind, u64), BTreeMap<u64, Commitment>>,
    /// Which alerts name which incident, whether there is one or not: all that are here, so that what is erased leaves
    /// nothing behind.
    named: BTreeMap<Commitment, Named>,
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

    /// Takes a declaration in, or its body that had been missing; not what is beyond [`DECLARATIONS_A_DAY`].
    pub(crate) fn declare(&mut self, new: Incident) {
        if !self.admit(Kind::Declaration, (&new.place, new.declared_at.minute), new.name) {
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
                of_member.entry(new.declared_at.minute).or_default().insert(new.name);
                let incident = Arc::new(new.clone());
                self.all.insert(new.name, Kept { incident, quiet_ms: 0, later_ms: u64::MAX });
            }
        }
        self.changed.insert(new.name);
    }

    /// Takes in what a member says of one; false where that makes no sense, or is beyond [`WORDS_A_DAY`]. Without its
    /// record, which is missing or erased, it takes its place among these and says nothing.
    pub(crate) fn speak(
        &mut self,
        (name, test): (&Commitment, bool),
        (place, at): (&Place, Moment),
        body: Option<Body>,
    ) -> bool {
        // Whether it counts depends on its log alone, and not on what has become of the incident.
        if !self.admit(Kind::Word, (place, at.minute), *name) {
            return false;
        }
        let Some(body) = body else { return true };
        let Some(kept) = self.all.get_mut(name).filter(|kept| kept.incident.test == test) else {
            return false;
        };
        if body.step == IncidentStep::Declare {
            return false;
        }
        if Arc::make_mut(&mut kept.incident).hear(place, at, body) {
            self.changed.insert(*name);
        }
        true
    }

    /// Takes in that a record about incidents is erased, or erased no more: then it is folded again.
    pub(crate) fn erase(&mut self, place: &Place, erased: bool) {
        let all = self.all.values_mut();
        let mut its = all.filter(|kept| kept.incident.place == *place || kept.incident.has(place));
        let Some(Kept { incident, .. }) = its.next() else { return };
        let incident = Arc::make_mut(incident);
        if incident.place == *place {
            incident.erased = erased;
            incident.declared.take_if(|_| erased);
        } else if erased {
            incident.unhear(place);
        }
        self.changed.insert(incident.name);
    }

    /// Takes in that an alert names an incident.
    pub(crate) fn name(
        &mut self,
        name: &Commitment,
        (place, minute): (&Place, u32),
        case: (Commitment, bool),
    ) {
        let day = u64::from(minute) / MINUTES_A_DAY;
        let named = self.named.entry(*name).or_default();
        let alerts = named.entry((place.log.clone(), day)).or_default();
        let counts = counts_among(alerts, place.index);
        alerts.insert(place.index, case);
        if counts {
            self.names_another(name, &place.log.member);
        }
    }

    /// Takes in that an alert that names one is erased.
    pub(crate) fn unname(&mut self, name: &Commitment, (place, minute): (&Place, u32)) {
        let day = (place.log.clone(), u64::from(minute) / MINUTES_A_DAY);
        let Some(named) = self.named.get_mut(name) else { return };
        let Some(alerts) = named.get_mut(&day) else { return };
        let counted = counts_among(alerts, place.index);
        alerts.remove(&place.index);
        if counted {
            self.names_another(name, &place.log.member);
        }
    }

    /// What nobody says who stands by it ties nothing, and costs nothing.
    fn names_another(&mut self, name: &Commitment, member: &MemberName) {
        if self.all.get(name).is_some_and(|kept| kept.incident.stands_by(member)) {
            self.changed.insert(*name);
        }
    }

    /// The cases of alerts that name an incident, with who says so.
    fn named_with(&self, incident: &Incident) -> impl Iterator<Item = (&MemberName, Commitment)> {
        let test = incident.test;
        let logs = self.named.get(&incident.name).into_iter().flatten();
        logs.flat_map(move |((log, _), alerts)| {
            let counted = alerts.values().take(ALERTS_A_DAY);
            let alike = counted.filter(move |(_, drill)| *drill == test);
            alike.map(move |(case, _)| (&log.member, *case))
        })
    }

    /// Whether what a log says of an incident is among the first of its kind and day, by its own word. What comes before
    /// another after all takes its place.
    fn admit(&mut self, kind: Kind, (place, minute): (&Place, u32), name: Commitment) -> bool {
        let day = u64::from(minute) / MINUTES_A_DAY;
        let counted = self.counted.entry((place.log.clone(), kind, day)).or_default();
        counted.entry(place.index).or_insert(name);
        let most = match kind {
            Kind::Declaration => DECLARATIONS_A_DAY,
            Kind::Word => WORDS_A_DAY,
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
        if kind == Kind::Word {
            if Arc::make_mut(&mut kept.incident).unhear(place) {
                self.changed.insert(*name);
            }
            return;
        }
        if kept.incident.place != *place {
            return;
        }
        let Some(Kept { incident, .. }) = self.all.remove(name) else { return };
        let of_member = self.declared.get_mut(&place.log.member);
        if let Some(names) = of_member.and_then(|all| all.get_mut(&incident.declared_at.minute)) {
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
    /// `news` says when a case had something new.
    pub(crate) fn add_up(
        &mut self,
        touched: impl Iterator<Item = Commitment>,
        court: &Court<'_>,
        news: impl Fn(&Commitment) -> Vec<u64>,
    ) -> BTreeSet<Commitment> {
        let mut due = std::mem::take(&mut self.changed);
        if std::mem::take(&mut self.recount) {
            due.extend(self.all.keys());
        }
        let gone = std::mem::take(&mut self.gone);
        let changed = due.iter().filter_map(|name| self.all.get(name)).map(|kept| &kept.incident);
        // Whether one is refused depends on those shortly before it.
        let after = |one: &Arc<Incident>| {
            let from = one.declared_at.minute;
            let until = from.saturating_add(HOLD_MINUTES);
            let all = self.of_owner(&one.place.log.member, (from, until), court);
            all.map(|one| one.name).collect::<Vec<_>>()
        };
        let after: Vec<Commitment> = changed.chain(&gone).flat_map(after).collect();
        due.extend(after);
        self.fresh |= !(due.is_empty() && gone.is_empty());
        let lifted = gone.iter().filter(|one| one.lifts());
        let mut affected: BTreeSet<_> = lifted.flat_map(|one| one.tied.iter().copied()).collect();
        for name in due {
            self.add_up_one(&name, court, &news, &mut affected);
        }
        for subject in touched.collect::<BTreeSet<_>>() {
            self.hear_of(&subject, court, &news, &mut affected);
        }
        affected
    }

    fn add_up_one(
        &mut self,
        name: &Commitment,
        court: &Court<'_>,
        news: &impl Fn(&Commitment) -> Vec<u64>,
        affected: &mut BTreeSet<Commitment>,
    ) {
        let Some(before) = self.all.get(name).map(|kept| kept.incident.clone()) else { return };
        self.added_up += 1;
        let tied = court.tied(&before, self.named_with(&before));
        let begun = court.begin(&before, self.follows_a_lapse(&before, court));
        let in_force = begun.in_force_ms.is_some();
        let mut times: Vec<_> = tied.iter().filter(|_| in_force).flat_map(news).collect();
        times.sort_unstable();
        let since_ms = begun.in_force_ms.unwrap_or(before.declared_at.at_ms());
        let (quiet_ms, later_ms) = quiet_after(since_ms, times);
        let course = court.end(&before, begun, quiet_ms);
        self.untie(&before);
        for subject in tied.iter().filter(|_| in_force) {
            self.ties.entry(*subject).or_default().insert(*name);
        }
        if let Some(kept) = self.all.get_mut(name) {
            (kept.quiet_ms, kept.later_ms) = (quiet_ms, later_ms);
            let after = Arc::make_mut(&mut kept.incident);
            (after.tied, after.course) = (tied, course);
            if before.lifts() || after.lifts() {
                affected.extend(before.tied.iter().chain(&after.tied));
            }
        }
    }

    /// Takes in that a case was touched: incidents in force that tie it end later if it had something new in time.
    fn hear_of(
        &mut self,
        subject: &Commitment,
        court: &Court<'_>,
        news: &impl Fn(&Commitment) -> Vec<u64>,
        affected: &mut BTreeSet<Commitment>,
    ) {
        let Some(names) = self.ties.get(subject).cloned() else { return };
        let mut times = news(subject);
        times.sort_unstable();
        for name in names {
            let Some(kept) = self.all.get_mut(&name) else { continue };
            let (quiet_ms, later_ms) = chained(kept.quiet_ms, times.iter().copied());
            kept.later_ms = kept.later_ms.min(later_ms);
            if quiet_ms == kept.quiet_ms {
                continue;
            }
            self.fresh = true;
            if kept.later_ms < quiet_ms {
                // What had come too late is not too late any more, and perhaps more after it.
                self.add_up_one(&name, court, news, affected);
                continue;
            }
            self.added_up += 1;
            kept.quiet_ms = quiet_ms;
            let before = kept.incident.course;
            let course = court.end(&kept.incident, before, quiet_ms);
            if course == before {
                continue;
            }
            let lifted = kept.incident.lifts();
            Arc::make_mut(&mut kept.incident).course = course;
            if lifted || kept.incident.lifts() {
                affected.extend(&kept.incident.tied);
            }
        }
    }

    /// The incidents that the organisation of a member has declared from one minute to another.
    fn of_owner<'a>(
        &'a self,
        member: &MemberName,
        (from, until): (u32, u32),
        court: &'a Court<'_>,
    ) -> impl Iterator<Item = &'a Incident> {
        let owner = court.charter.organisation_of(member);
        let members = self.declared.iter();
        let own = members.filter(move |(other, _)| court.charter.organisation_of(other) == owner);
        let names = own.flat_map(move |(_, all)| all.range(from..=until)).flat_map(|at| at.1);
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

    /// Whether the organisation that declares it had declared one shortly before that lapsed, or waits still, whatever it
    /// has said since: who takes one back before it lapses waits as well. Drills and the others go apart.
    fn follows_a_lapse(&self, incident: &Incident, court: &Court<'_>) -> bool {
        let author = &incident.place.log.member;
        let now = incident.declared_at.minute;
        let from = now.saturating_sub(HOLD_MINUTES);
        self.of_owner(author, (from, now), court).any(|other| {
            let before = (other.declared_at.minute, &other.place) < (now, &incident.place);
            // Whoever erases what it has declared waits all the same.
            let erased = other.erased.then_some(CRITICAL);
            let level = other.declared.as_ref().map(|body| body.level).or(erased).unwrap_or(0);
            let failed = court.agreed(other).len() < court.cosigners_needed();
            let recent = now < other.declared_at.minute.saturating_add(HOLD_MINUTES);
            let alike = other.test == incident.test;
            before && alike && level > AWARENESS && failed && recent
        })
    }
}
