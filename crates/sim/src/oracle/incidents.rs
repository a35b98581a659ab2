//! Which incidents there are, what they tie, and when they are in force, by the words of `docs/states.md`.
//!
//! **Invariant:** what an incident is comes from no code of the node: it is worked out anew from all that is said, for each
//! moment that is asked about.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use watchfire_node::incidents::{Incident, IncidentState};
use watchfire_signal::{
    charter::{Charter, Role},
    commitment::Commitment,
    incident::{Incident as Body, IncidentStep},
    name::{LogName, MemberName, OrganisationName},
    statement::Statement,
    verb::Verb,
};

use super::reading::{At, Case, Entry};

const MINUTE_MS: u64 = 60_000;
const MINUTES_A_DAY: u32 = 24 * 60;
/// Minutes in which others agree in time, that of the declaration being the first.
const IN_TIME: u32 = 15;
/// Minutes after a lapse in which the next declaration of the same organisation is refused.
const AFTER_A_LAPSE: u32 = 24 * 60;
/// How long an incident stays in force while nothing new comes.
const QUIET_MS: u64 = 12 * 3_600_000;
/// What is dated so far ahead does not count yet.
const AHEAD_MS: u64 = 10 * MINUTE_MS;
/// The level that nobody has to agree with.
const AWARENESS: u8 = 1;
/// The level that lifts cases.
const CRITICAL: u8 = 3;
/// Organisations of a coalition in which one that agrees is enough.
const SMALL: usize = 3;
/// Declarations, words and naming alerts of one log and day that count.
const DECLARATIONS: usize = 24;
const WORDS: usize = 64;
const NAMING: usize = 1_024;

/// When something was said.
#[derive(Debug, Clone, Copy)]
struct Said {
    minute: u32,
    verified_ms: u64,
}

impl Said {
    fn of(entry: &Entry) -> Option<Self> {
        Some(Self { minute: entry.header.minute?, verified_ms: entry.verified_ms })
    }

    fn minute_ms(self) -> u64 {
        u64::from(self.minute) * MINUTE_MS
    }

    /// The beginning of its minute, or when it was verified where that was before.
    fn at_ms(self) -> u64 {
        self.minute_ms().min(self.verified_ms)
    }

    fn counts_at(self, now_ms: u64) -> bool {
        self.minute_ms() <= now_ms.saturating_add(AHEAD_MS)
    }

    fn day(self) -> u32 {
        self.minute / MINUTES_A_DAY
    }
}

/// What somebody says of an incident.
#[derive(Debug, Clone)]
enum Word {
    Agrees,
    Adds(Vec<Commitment>),
    Over,
}

/// An incident with what is said of it.
#[derive(Debug, Clone)]
struct Declared {
    at: At,
    test: bool,
    said: Said,
    /// What it says; none where its record is missing or erased.
    body: Option<Body>,
    erased: bool,
    words: Vec<(MemberName, Said, Word)>,
    /// Cases of alerts that name it, with who says so.
    named: Vec<(MemberName, Commitment)>,
}

/// All incidents that a member's logs speak of.
#[derive(Debug, Clone, Default)]
pub(super) struct Incidents {
    all: BTreeMap<Commitment, Declared>,
    /// When a case had something new, by its subject.
    news: BTreeMap<Commitment, Vec<Said>>,
}

/// Whose word counts.
pub(super) struct Court<'a> {
    pub(super) charter: &'a Charter,
    /// Whether a member is neither halted nor suspended.
    pub(super) counts: &'a dyn Fn(&MemberName) -> bool,
}

/// Where an incident is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It waits for others to agree.
    Waits,
    /// The same, and raises nothing before another organisation agrees.
    Refused,
    /// Enough agree.
    InForce,
    /// It ended, or never was in force.
    Over,
}

/// An incident at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    /// Where it is.
    pub phase: Phase,
    /// 1 to 3; 0 where nobody told.
    pub level: u8,
    /// Since when it is in force, or was.
    pub since_ms: Option<u64>,
    /// When it ends, where it ever is in force.
    pub ends_ms: Option<u64>,
    /// The subjects of its cases.
    pub tied: BTreeSet<Commitment>,
}

/// How many of something each log says on each day.
struct Days<K>(BTreeMap<(LogName, u32, K), usize>);

impl<K: Ord> Days<K> {
    /// Whether another one is among the first so many.
    fn admits(&mut self, (log, day): (&LogName, u32), kind: K, most: usize) -> bool {
        let count = self.0.entry((log.clone(), day, kind)).or_default();
        *count += 1;
        *count <= most
    }
}

impl Incidents {
    /// Those of these entries, which count and stand in the order of their logs.
    pub(super) fn of(
        entries: &[Entry],
        cases: &BTreeMap<Commitment, Case>,
        is_erased: impl Fn(&At) -> bool,
    ) -> Self {
        let mut incidents = Self::default();
        let (mut places, mut days) = (BTreeMap::new(), Days(BTreeMap::new()));
        let about = |entry: &&Entry| entry.header.verb == Verb::Incident;
        for entry in entries.iter().filter(about).filter(|entry| entry.header.target.is_none()) {
            let Some(said) = Said::of(entry) else { continue };
            if days.admits((&entry.at.0, said.day()), (), DECLARATIONS) {
                places.insert(entry.at.clone(), entry.commitment);
                incidents.declare(entry, said, is_erased(&entry.at));
            }
        }
        let mut days = Days(BTreeMap::new());
        for entry in entries.iter().filter(about) {
            let name = entry.target().and_then(|at| places.get(&at));
            let (Some(name), Some(said)) = (name, Said::of(entry)) else { continue };
            if days.admits((&entry.at.0, said.day()), (), WORDS) && !is_erased(&entry.at) {
                incidents.speak(name, entry, said);
            }
        }
        let mut days = Days(BTreeMap::new());
        for entry in entries {
            let Some(case) = cases.get(&entry.commitment).filter(|case| case.at == entry.at) else {
                continue;
            };
            let Some(said) = Said::of(entry) else { continue };
            incidents.news.entry(case.subject).or_default().push(said);
            let named = case.alert.as_ref().and_then(|alert| alert.incident);
            let named = named.filter(|name| days.admits((&entry.at.0, said.day()), *name, NAMING));
            let declared = named.and_then(|name| incidents.all.get_mut(&name));
            if let Some(declared) = declared.filter(|one| one.test == entry.header.test) {
                declared.named.push((entry.at.0.member.clone(), case.subject));
            }
        }
        incidents
    }

    fn declare(&mut self, entry: &Entry, said: Said, erased: bool) {
        let body = match &entry.statement {
            Some(Statement::Incident(body)) if body.step == IncidentStep::Declare => Some(body),
            _ => None,
        };
        let declared = Declared {
            at: entry.at.clone(),
            test: entry.header.test,
            said,
            body: body.filter(|_| !erased).cloned(),
            erased,
            words: Vec::new(),
            named: Vec::new(),
        };
        self.all.entry(entry.commitment).or_insert(declared);
    }

    fn speak(&mut self, name: &Commitment, entry: &Entry, said: Said) {
        let Some(Statement::Incident(body)) = &entry.statement else { return };
        let word = match body.step {
            IncidentStep::Declare => return,
            IncidentStep::Cosign => Word::Agrees,
            IncidentStep::Update => Word::Adds(body.cases.clone()),
            IncidentStep::Conclude => Word::Over,
        };
        let declared = self.all.get_mut(name).filter(|one| one.test == entry.header.test);
        if let Some(declared) = declared {
            declared.words.push((entry.at.0.member.clone(), said, word.clone()));
        }
    }

    /// All of them at a moment, by the commitments of their declarations.
    pub(super) fn at(&self, court: &Court<'_>, now_ms: u64) -> BTreeMap<Commitment, Course> {
        let known = self.all.iter().filter(|(_, one)| one.said.counts_at(now_ms));
        known.map(|(name, one)| (*name, self.course(one, court, now_ms))).collect()
    }

    /// Whether an incident of level 3 that is in force at a moment lifts a set; `founding`: it is the first of its case;
    /// `seen`: somebody has looked at it.
    pub(super) fn lifts(
        &self,
        (case, founding, seen): (&Case, bool, bool),
        court: &Court<'_>,
        now_ms: u64,
    ) -> bool {
        let known = self.all.values().filter(|one| one.said.counts_at(now_ms) && !one.test);
        known.into_iter().any(|one| {
            let admits = founding || seen || one.stands_by(&case.at.0.member, now_ms);
            if !admits || one.body.as_ref().is_none_or(|body| body.level != CRITICAL) {
                return false;
            }
            let course = self.course(one, court, now_ms);
            course.phase == Phase::InForce && course.tied.contains(&case.subject)
        })
    }

    fn course(&self, one: &Declared, court: &Court<'_>, now_ms: u64) -> Course {
        let level = one.body.as_ref().map_or(0, |body| body.level);
        let agreed = one.agreed(court, now_ms);
        let refused = agreed.is_empty() && self.follows_a_lapse(one, court, now_ms);
        let enough = match (level, refused) {
            (AWARENESS, false) => Some(0),
            (AWARENESS, true) => None,
            _ => agreed.get(court.needed() - 1).copied(),
        };
        let counts = level > 0 && (court.counts)(&one.at.0.member);
        let since_ms = enough.filter(|_| counts).map(|at_ms| at_ms.max(one.said.at_ms()));
        let tied = one.tied(court, level, now_ms);
        let begun_ms = since_ms.unwrap_or(one.said.at_ms());
        let quiet_ms = self.quiet_ms(begun_ms, since_ms.map(|_| &tied));
        let voted_ms = one.voted_ms(court, since_ms, now_ms).filter(|at_ms| *at_ms < quiet_ms);
        let ends_ms = voted_ms.unwrap_or(quiet_ms);
        let lapses_ms = u64::from(one.said.minute + IN_TIME) * MINUTE_MS;
        let begun = since_ms.is_some_and(|since_ms| now_ms >= since_ms);
        let phase = if voted_ms.is_some_and(|at_ms| now_ms >= at_ms) || one.erased {
            Phase::Over
        } else if begun {
            if now_ms < ends_ms { Phase::InForce } else { Phase::Over }
        } else if now_ms >= lapses_ms {
            Phase::Over
        } else if refused {
            Phase::Refused
        } else {
            Phase::Waits
        };
        Course { phase, level, since_ms, ends_ms: since_ms.map(|_| ends_ms), tied }
    }

    /// When there has been nothing new for long enough; what comes after that brings nothing back.
    fn quiet_ms(&self, begun_ms: u64, tied: Option<&BTreeSet<Commitment>>) -> u64 {
        let news = tied.into_iter().flatten().filter_map(|case| self.news.get(case)).flatten();
        let mut times: Vec<u64> = news.map(|said| said.at_ms()).collect();
        times.sort_unstable();
        let mut last_ms = begun_ms;
        for at_ms in times {
            if at_ms >= last_ms + QUIET_MS {
                break;
            }
            last_ms = last_ms.max(at_ms);
        }
        last_ms + QUIET_MS
    }

    /// Whether the same organisation had declared one of level 2 or 3 shortly before with which too few agreed. What it
    /// has erased is taken for one.
    fn follows_a_lapse(&self, one: &Declared, court: &Court<'_>, now_ms: u64) -> bool {
        let owner = court.owner(&one.at.0.member);
        self.all.values().any(|other| {
            let before = (other.said.minute, &other.at) < (one.said.minute, &one.at);
            let until = other.said.minute + IN_TIME + AFTER_A_LAPSE;
            let grave = other.body.as_ref().map_or(other.erased, |body| body.level > AWARENESS);
            before
                && other.said.counts_at(now_ms)
                && one.said.minute < until
                && one.test == other.test
                && court.owner(&other.at.0.member) == owner
                && grave
                && other.agreed(court, now_ms).len() < court.needed()
        })
    }
}

impl Declared {
    fn words(&self, now_ms: u64) -> impl Iterator<Item = &(MemberName, Said, Word)> {
        self.words.iter().filter(move |(_, said, _)| said.counts_at(now_ms))
    }

    fn stands_by(&self, member: &MemberName, now_ms: u64) -> bool {
        let agrees =
            |(by, _, word): &(MemberName, Said, Word)| by == member && matches!(word, Word::Agrees);
        self.at.0.member == *member || self.words(now_ms).any(agrees)
    }

    /// When other organisations agreed, of those that did in time; ascending.
    fn agreed(&self, court: &Court<'_>, now_ms: u64) -> Vec<u64> {
        let in_time = self.words(now_ms).filter(|(_, said, word)| {
            matches!(word, Word::Agrees) && said.minute < self.said.minute + IN_TIME
        });
        let own = court.owner(&self.at.0.member);
        court.first_of_each(in_time, |owner| Some(owner) != own)
    }

    /// When it was said to be over by those who can.
    fn voted_ms(&self, court: &Court<'_>, since_ms: Option<u64>, now_ms: u64) -> Option<u64> {
        let over = || self.words(now_ms).filter(|(_, _, word)| matches!(word, Word::Over));
        let heard = || over().filter(|(by, ..)| (court.counts)(by));
        let quorum = court.first_of_each(over(), |_| true);
        let quorum = quorum.get(court.charter.quorum_halt() - 1).copied();
        let convenors = heard().filter(|(by, ..)| court.is_convenor(by));
        let own = heard().filter(|(by, ..)| *by == self.at.0.member);
        let own = own.map(|(_, said, _)| said.at_ms());
        let own = own.filter(|at_ms| since_ms.is_none_or(|since_ms| *at_ms < since_ms));
        convenors.map(|(_, said, _)| said.at_ms()).chain(own).chain(quorum).min()
    }

    /// The cases that belong to it.
    fn tied(&self, court: &Court<'_>, level: u8, now_ms: u64) -> BTreeSet<Commitment> {
        let added = self.words(now_ms).filter_map(|(by, _, word)| match word {
            Word::Adds(cases) => Some(cases.iter().map(move |case| (by, *case))),
            Word::Agrees | Word::Over => None,
        });
        let named = self.named.iter().map(|(by, case)| (by, *case));
        let mut by_case = BTreeMap::<Commitment, BTreeSet<&OrganisationName>>::new();
        for (by, case) in added.flatten().chain(named) {
            let counts = (court.counts)(by) && self.stands_by(by, now_ms);
            if let Some(owner) = court.owner(by).filter(|_| counts) {
                by_case.entry(case).or_default().insert(owner);
            }
        }
        let least = if level > AWARENESS { 2 } else { 1 };
        let added = by_case.into_iter().filter(|(_, by)| by.len() >= least);
        let declared = self.body.iter().flat_map(|body| &body.cases).copied();
        declared.chain(added.map(|(case, _)| case)).collect()
    }
}

impl<'a> Court<'a> {
    fn owner(&self, member: &MemberName) -> Option<&'a OrganisationName> {
        self.charter.organisation_of(member)
    }

    fn is_convenor(&self, member: &MemberName) -> bool {
        self.charter.member(member).is_some_and(|member| member.role == Role::Convenor)
    }

    /// How many other organisations have to agree.
    fn needed(&self) -> usize {
        if self.charter.organisations() <= SMALL { 1 } else { 2 }
    }

    /// When each organisation that fits first said so, of those whose word counts; ascending.
    fn first_of_each<'b>(
        &self,
        words: impl Iterator<Item = &'b (MemberName, Said, Word)>,
        fits: impl Fn(&OrganisationName) -> bool,
    ) -> Vec<u64> {
        let mut first = BTreeMap::<&OrganisationName, u64>::new();
        for (by, said, _) in words.filter(|(by, ..)| (self.counts)(by)) {
            if let Some(owner) = self.owner(by).filter(|owner| fits(owner)) {
                let at_ms = first.entry(owner).or_insert(said.at_ms());
                *at_ms = said.at_ms().min(*at_ms);
            }
        }
        let mut times: Vec<u64> = first.into_values().collect();
        times.sort_unstable();
        times
    }
}

/// Where a node says that an incident is.
pub(super) fn phase(one: &Incident, now_ms: u64) -> Phase {
    match one.state(now_ms) {
        IncidentState::Declared => Phase::Waits,
        IncidentState::Refused => Phase::Refused,
        IncidentState::InForce => Phase::InForce,
        IncidentState::Lapsed | IncidentState::Concluded => Phase::Over,
    }
}

/// What a node says that incidents are, for comparison.
pub(super) fn courses(all: &[Arc<Incident>], now_ms: u64) -> BTreeMap<Commitment, Course> {
    let course = |one: &Incident| Course {
        phase: phase(one, now_ms),
        level: one.course.level,
        since_ms: one.course.in_force_ms,
        ends_ms: one.course.in_force_ms.map(|_| one.course.ends_ms),
        tied: one.tied.clone(),
    };
    all.iter().map(|one| (one.name, course(one))).collect()
}
