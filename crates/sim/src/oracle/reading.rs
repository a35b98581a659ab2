//! The oracle's own reading of logs: what stands in them adds up to states of cases, by the words of
//! `docs/states.md` and by none of the node's code.
//!
//! **Invariant:** a reading depends on the records and the times of their verification alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use watchfire_signal::{
    alert::Alert,
    charter::{Charter, Role},
    commitment::Commitment,
    header::{Header, Provenance},
    name::{LogName, MemberName, OrganisationName},
    reason::Reason,
    record::{Leaf, open},
    statement::{Basis, MemberStep, Resolution, Statement},
    verb::Verb,
};
use watchfire_store::Held;

use super::{
    Charters,
    incidents::{Course, Court, Incidents},
    quota::Quota,
    state::{Outlook, Say, Voice},
};

/// A place in a log.
pub type At = (LogName, u64);
/// A place among all that one member says: epoch and index. The later word counts.
pub(super) type Turn = (u32, u64);

/// An entry as it was read.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) at: At,
    pub(super) verified_ms: u64,
    pub(super) header: Header,
    pub(super) commitment: Commitment,
    pub(super) statement: Option<Statement>,
}

/// A set of signals with all that was said of it.
#[derive(Debug, Clone)]
pub struct Case {
    /// The founding assert.
    pub subject: Commitment,
    /// Where it stands.
    pub at: At,
    /// Its header.
    pub header: Header,
    /// Its body, if it is here.
    pub alert: Option<Alert>,
    /// Whether its author erased it.
    pub erased: bool,
    /// What each member said, by place.
    pub said: BTreeMap<MemberName, BTreeMap<Turn, (u64, Say)>>,
    /// Where its author takes it back for the victim from whom it had it, with whether what was done should be undone.
    pub taken_back: BTreeMap<Turn, bool>,
    /// Renewals: by member the latest one's place, when it was verified, and until when.
    pub renewals: BTreeMap<MemberName, (Turn, u64, u64)>,
}

/// What a member's logs say.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// All sets, by name.
    pub cases: BTreeMap<Commitment, Case>,
    /// Votes for stops.
    stops: BTreeMap<Stopped, BTreeMap<MemberName, Vote>>,
    /// Records that their authors erased, with the first place where they say so.
    pub erased: BTreeMap<At, Turn>,
    /// The same with those whose erasure does not count any more.
    pub to_erase: BTreeSet<At>,
    /// How much of each log that has ended counts.
    ends: BTreeMap<LogName, u64>,
    /// By which charters it was read.
    charter: Option<Arc<Charter>>,
    /// Where what is accepted of members that have left ends.
    left: BTreeMap<MemberName, Turn>,
    incidents: Incidents,
}

/// What can be stopped.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Stopped {
    /// A case.
    Case(Commitment),
    /// What a member stands by.
    Halt(MemberName),
    /// A member, from somewhere in its log on.
    Suspension(MemberName),
}

/// A member's latest vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Vote {
    turn: Turn,
    stands: bool,
    /// Of a suspension: what is accepted, and the root of the log there.
    until: (Turn, [u8; 32]),
}

/// Of votes that accept nothing.
const NOWHERE: (Turn, [u8; 32]) = ((0, 0), [0; 32]);

/// What a place is about.
#[derive(Debug, Clone)]
enum Meaning {
    Set(Commitment),
    Opinion(Commitment),
    Vote(Stopped),
}

impl Reading {
    /// Reads what was verified before a moment, by these charters.
    #[must_use]
    pub fn of(logs: &[(LogName, Vec<Held>)], charters: &Charters, before_ms: u64) -> Self {
        let mut reading = Self { charter: charters.in_force().cloned(), ..Self::default() };
        let mut entries = Vec::new();
        for (log, held) in logs {
            let known = held.iter().filter(|held| held.verified_ms <= before_ms);
            let mut read: Vec<_> = known.filter_map(|held| Entry::read(log, held)).collect();
            read.sort_by_key(|entry| entry.at.1);
            read.iter().for_each(|entry| reading.wants_erased(entry));
            reading.keep_what_counts(log, &mut read, charters);
            entries.append(&mut read);
        }
        let authors: BTreeSet<_> = entries.iter().map(|entry| entry.at.0.member.clone()).collect();
        for member in authors {
            let left = charters.left_at(&member);
            reading.left.extend(left.map(|left| (member, left)));
        }
        let mut meanings = BTreeMap::new();
        entries.iter().for_each(|entry| reading.erase(entry));
        // What founds, then what speaks of that, then what speaks of those.
        for entry in &entries {
            reading.found(entry, &mut meanings);
        }
        for entry in &entries {
            reading.widen(entry, &mut meanings);
        }
        for entry in &entries {
            reading.speak(entry, &mut meanings, charters);
        }
        for entry in &entries {
            reading.take_back(entry, &meanings);
        }
        let is_erased = |at: &At| reading.erased.contains_key(at);
        reading.incidents = Incidents::of(&entries, &reading.cases, is_erased);
        reading
    }

    /// Leaves what its author wrote under the charter that it names, no older one than before, within what
    /// counts of the log.
    fn keep_what_counts(&mut self, log: &LogName, entries: &mut Vec<Entry>, charters: &Charters) {
        let mut end = charters.accepted(log);
        if end == u64::MAX {
            let written =
                charters.in_force().is_some_and(|charter| charter.member_of_log(log).is_some());
            let mut turns = entries
                .iter()
                .filter(|entry| !written && charters.ends(log, entry.statement.as_ref()));
            end = turns.next().map_or(end, |turn| turn.at.1 + 1);
        }
        self.ends.insert(log.clone(), end);
        let (mut newest, mut quota) = (0, Quota::default());
        entries.retain(|entry| {
            let seq = entry.header.charter.seq;
            if !charters.is_written(log, &entry.header) || entry.at.1 >= end {
                return false;
            }
            let urgent = matches!(entry.header.verb, Verb::Retract | Verb::Halt | Verb::Erase);
            if !urgent && seq < newest {
                return false;
            }
            newest = newest.max(if urgent { 0 } else { seq });
            let charter = charters.named(entry.header.charter);
            let role = charter.and_then(|one| one.member_of_log(log)).map(|member| member.role);
            if role.is_some_and(|role| !may_say(role, entry.header.verb)) {
                return false;
            }
            charter.is_none_or(|charter| quota.counts(entry.at.1, &entry.header, &charter.quotas))
        });
    }

    /// How many entries of a log count.
    #[must_use]
    pub fn counts_to(&self, log: &LogName) -> u64 {
        self.ends.get(log).copied().unwrap_or(0)
    }

    /// Whether enough organisations want a case halted.
    #[must_use]
    pub fn is_halted(&self, subject: &Commitment) -> bool {
        let votes = self.votes(&Stopped::Case(*subject));
        let Some(charter) = &self.charter else { return false };
        // What a suspended member says later was never its word.
        let heard = votes.filter(|(member, vote)| match self.voice(member) {
            Voice::Suspended { until } => vote.turn < until,
            Voice::Counts | Voice::Halted => true,
        });
        let by: BTreeSet<_> =
            heard.filter_map(|(member, _)| charter.organisation_of(member)).collect();
        by.len() >= charter.quorum_halt()
    }

    /// Votes that stand.
    fn votes<'a>(
        &'a self,
        stopped: &Stopped,
    ) -> impl Iterator<Item = (&'a MemberName, &'a Vote)> + use<'a> {
        self.stops.get(stopped).into_iter().flatten().filter(|(_, vote)| vote.stands)
    }

    /// How the word of a member counts.
    #[must_use]
    pub fn voice(&self, member: &MemberName) -> Voice {
        let Some(charter) = &self.charter else { return Voice::Counts };
        if let Some(until) = self.left.get(member) {
            return Voice::Suspended { until: *until };
        }
        let Some(own) = charter.member(member) else { return Voice::Counts };
        // A new epoch of its log ends it.
        let votes = self.votes(&Stopped::Suspension(member.clone()));
        let votes: Vec<_> = votes.filter(|(_, vote)| vote.until.0.0 == own.epoch).collect();
        // The most that enough accept: of what is longer this is a part, of another history as long it is not.
        let enough = |(size, root): &(Turn, [u8; 32])| {
            let accept = votes.iter().filter(|(_, vote)| {
                let (other, its) = &vote.until;
                other > size || (other == size && its == root)
            });
            let owners: BTreeSet<_> =
                accept.filter_map(|(by, _)| charter.organisation_of(by)).collect();
            owners.len() >= charter.quorum_suspend()
        };
        let ends = votes.iter().map(|(_, vote)| vote.until).filter(|end| enough(end));
        if let Some(until) = ends.map(|(until, _)| until).max() {
            return Voice::Suspended { until };
        }
        let halted = self.votes(&Stopped::Halt(member.clone()));
        let halted: BTreeSet<_> =
            halted.filter_map(|(by, _)| charter.organisation_of(by)).collect();
        if halted.len() >= charter.quorum_halt() { Voice::Halted } else { Voice::Counts }
    }

    /// All incidents at a moment.
    #[must_use]
    pub fn incidents(&self, now_ms: u64) -> BTreeMap<Commitment, Course> {
        self.in_court(|court| self.incidents.at(court, now_ms)).unwrap_or_default()
    }

    fn in_court<T>(&self, judge: impl FnOnce(&Court<'_>) -> T) -> Option<T> {
        let counts = |member: &MemberName| self.voice(member) == Voice::Counts;
        let charter = self.charter.as_ref()?;
        Some(judge(&Court { charter, counts: &counts }))
    }

    /// How a set looks at a moment.
    #[must_use]
    pub fn outlook(&self, case: &Case, now_ms: u64) -> Outlook {
        let outlook = self.usual_outlook(case);
        let founding = self.cases.get(&case.subject).is_some_and(|first| first.at == case.at);
        let seen = outlook.looked > 0;
        let lifts = |court: &Court<'_>| self.incidents.lifts((case, founding, seen), court, now_ms);
        let lifted = self.in_court(lifts).unwrap_or(false);
        outlook.lifted(lifted)
    }

    /// How it looks where no incident lifts it.
    fn usual_outlook(&self, case: &Case) -> Outlook {
        let charter = self.charter.as_ref();
        let organisation = |member: &MemberName| -> Option<OrganisationName> {
            charter?.organisation_of(member).cloned()
        };
        let quorums =
            charter.map_or((1, 1), |charter| (charter.quorum_confirm(), charter.quorum_dispute()));
        Outlook::of(case, (&organisation, &|member| self.voice(member)), quorums)
            .halted(self.is_halted(&case.subject))
            .taken_back(self.taken_back(case))
    }

    /// Whether the victim has taken a set back, or what founded its case; with whether it comes back.
    fn taken_back(&self, case: &Case) -> Option<bool> {
        let founding = self.cases.get(&case.subject);
        let heard = |one: &Case| {
            let until = match self.voice(&one.at.0.member) {
                Voice::Suspended { until } => until,
                Voice::Counts | Voice::Halted => (u32::MAX, u64::MAX),
            };
            one.taken_back.range(..until).map(|(_, restore)| *restore).max()
        };
        heard(case).into_iter().chain(founding.and_then(heard)).max()
    }

    /// Whether a member takes anything down by itself: a platform alone does.
    #[must_use]
    pub fn enforces(&self, member: &MemberName) -> bool {
        let role = self.charter.as_ref().and_then(|charter| charter.member(member));
        role.is_some_and(|member| member.role == Role::Platform)
    }

    fn wants_erased(&mut self, entry: &Entry) {
        let target = entry.target().filter(|target| target.0.member == entry.at.0.member);
        self.to_erase.extend(target.filter(|_| entry.header.verb == Verb::Erase));
    }

    fn erase(&mut self, entry: &Entry) {
        if let (Verb::Erase, Some(target)) = (entry.header.verb, entry.target())
            && target.0.member == entry.at.0.member
        {
            let first = self.erased.entry(target).or_insert(entry.turn());
            *first = entry.turn().min(*first);
        }
    }

    fn found(&mut self, entry: &Entry, meanings: &mut BTreeMap<At, Meaning>) {
        if entry.header.verb == Verb::Assert {
            self.add(entry, entry.commitment, meanings);
        }
    }

    fn widen(&mut self, entry: &Entry, meanings: &mut BTreeMap<At, Meaning>) {
        if !matches!(entry.header.verb, Verb::Amend | Verb::Variant) {
            return;
        }
        let Some(Meaning::Set(name)) = entry.target().and_then(|at| meanings.get(&at).cloned())
        else {
            return;
        };
        let Some(case) = self.cases.get(&name) else { return };
        let own = case.at.0.member == entry.at.0.member;
        if case.header.test == entry.header.test && (own || entry.header.verb == Verb::Variant) {
            self.add(entry, case.subject, meanings);
        }
    }

    fn add(&mut self, entry: &Entry, subject: Commitment, meanings: &mut BTreeMap<At, Meaning>) {
        let erased = self.erased.get(&entry.at).copied();
        let human = entry.header.review.is_some_and(|review| review.is_human());
        let mut said = BTreeMap::<_, BTreeMap<_, _>>::new();
        let say = erased.map_or(Say::Stands { human }, |at| Say::Erased { human, at });
        let word = (entry.verified_ms, say);
        said.entry(entry.at.0.member.clone()).or_default().insert(entry.turn(), word);
        let erased = erased.is_some();
        let alert = entry.statement.as_ref().and_then(Statement::alert).cloned();
        let case = Case {
            subject,
            at: entry.at.clone(),
            header: entry.header.clone(),
            alert: alert.filter(|_| !erased),
            erased,
            said,
            taken_back: BTreeMap::new(),
            renewals: BTreeMap::new(),
        };
        // Of two leaves with one commitment the first stands.
        self.cases.entry(entry.commitment).or_insert(case);
        meanings.insert(entry.at.clone(), Meaning::Set(entry.commitment));
    }

    /// Confirmations, disputes, renewals, halts.
    fn speak(&mut self, entry: &Entry, meanings: &mut BTreeMap<At, Meaning>, charters: &Charters) {
        if let Some((stopped, until)) = entry.stops(charters) {
            return self.vote(entry, (stopped, true), until, meanings);
        }
        let Some(Meaning::Set(name)) = entry.target().and_then(|at| meanings.get(&at).cloned())
        else {
            return;
        };
        let Some(case) = self.cases.get_mut(&name) else { return };
        if case.header.test != entry.header.test {
            return;
        }
        let author = entry.at.0.member.clone();
        let own = case.at.0.member == author;
        // By the leaf alone, so that what speaks of it later is known to whoever never had its record.
        if entry.header.verb == Verb::Dispute || entry.header.verb == Verb::Confirm && !own {
            meanings.insert(entry.at.clone(), Meaning::Opinion(name));
        }
        if let Some(at) = self.erased.get(&entry.at) {
            // What it had said, its leaf does not say: that a person looked is taken for granted.
            if entry.header.verb == Verb::Confirm && !own {
                let word = (entry.verified_ms, Say::Erased { human: true, at: *at });
                case.said.entry(author).or_default().insert(entry.turn(), word);
            }
            return;
        }
        let say = match (entry.header.verb, &entry.statement) {
            (Verb::Confirm, Some(Statement::Confirm { commitment, basis }))
                if *commitment == name && !own =>
            {
                if *basis != Basis::OwnCopySeenByHuman {
                    return;
                }
                Say::Stands { human: true }
            }
            (Verb::Dispute, Some(Statement::Dispute { commitment, .. })) if *commitment == name => {
                Say::Disputes
            }
            (Verb::Renew, Some(Statement::Renew { valid_until })) => {
                let renewal = (entry.turn(), entry.verified_ms, *valid_until);
                let latest = case.renewals.entry(author).or_insert(renewal);
                *latest = (*latest).max(renewal);
                return;
            }
            (Verb::Halt, _) if case.subject == name => {
                self.vote(entry, (Stopped::Case(name), true), NOWHERE, meanings);
                return;
            }
            _ => return,
        };
        case.said.entry(author).or_default().insert(entry.turn(), (entry.verified_ms, say));
    }

    fn vote(
        &mut self,
        entry: &Entry,
        (stopped, stands): (Stopped, bool),
        until: (Turn, [u8; 32]),
        meanings: &mut BTreeMap<At, Meaning>,
    ) {
        let vote = Vote { turn: entry.turn(), stands, until };
        self.note_vote(stopped.clone(), entry.at.0.member.clone(), vote);
        meanings.insert(entry.at.clone(), Meaning::Vote(stopped));
    }

    fn note_vote(&mut self, stopped: Stopped, by: MemberName, vote: Vote) {
        let latest = self.stops.entry(stopped).or_default().entry(by).or_insert(vote);
        if latest.turn < vote.turn {
            *latest = vote;
        }
    }

    /// Retractions, and disputes that their authors end.
    fn take_back(&mut self, entry: &Entry, meanings: &BTreeMap<At, Meaning>) {
        let Some(target) = entry.target().filter(|target| target.0.member == entry.at.0.member)
        else {
            return;
        };
        let author = entry.at.0.member.clone();
        match (entry.header.verb, meanings.get(&target)) {
            (Verb::Retract, Some(Meaning::Vote(stopped))) => {
                let vote = Vote { turn: entry.turn(), stands: false, until: NOWHERE };
                self.note_vote(stopped.clone(), author, vote);
            }
            (Verb::Retract, Some(Meaning::Set(name) | Meaning::Opinion(name))) => {
                let Some(case) = self.cases.get_mut(name) else { return };
                if case.header.test != entry.header.test {
                    return;
                }
                let kept =
                    matches!(entry.statement, Some(Statement::Retract { restore: false, .. }));
                let say = Say::Withdrew { restore: !kept };
                let of_victim = case.header.provenance == Provenance::Victim && case.at == target;
                if of_victim && entry.header.reason == Some(Reason::VictimWithdrew) {
                    case.taken_back.insert(entry.turn(), !kept);
                }
                case.said.entry(author).or_default().insert(entry.turn(), (entry.verified_ms, say));
            }
            (Verb::Resolve, Some(Meaning::Opinion(name))) => {
                let stands = Resolution::Stands;
                let ends = matches!(&entry.statement, Some(Statement::Resolve { outcome, .. }) if *outcome == stands);
                let Some(case) = self.cases.get_mut(name).filter(|_| ends) else { return };
                let said = case
                    .said
                    .get_mut(&author)
                    .and_then(|said| said.get_mut(&(target.0.epoch, target.1)));
                if let Some((_, say)) = said.filter(|(_, say)| *say == Say::Disputes) {
                    *say = Say::DisputedBefore;
                }
            }
            _ => {}
        }
    }
}

/// What a role may say, by the table of `docs/states.md`.
fn may_say(role: Role, verb: Verb) -> bool {
    let own = matches!(verb, Verb::Key | Verb::Desk);
    let of_others = matches!(
        verb,
        Verb::Dispute
            | Verb::Resolve
            | Verb::Retract
            | Verb::Incident
            | Verb::Halt
            | Verb::Member
            | Verb::Erase
            | Verb::Charter
    );
    match role {
        Role::Platform | Role::Contributor => true,
        Role::Convenor => own || of_others,
        Role::Auditor | Role::Witness => own,
    }
}

impl Entry {
    fn read(log: &LogName, held: &Held) -> Option<Self> {
        let leaf = Leaf::decode(&held.entry.leaf).ok()?;
        if leaf.header.author_log != *log {
            return None;
        }
        let record = held.entry.record.as_ref();
        let statement = record.and_then(|record| open(&leaf, record).ok());
        let (at, verified_ms) = ((log.clone(), held.index), held.verified_ms);
        Some(Self { at, verified_ms, header: leaf.header, commitment: leaf.commitment, statement })
    }

    fn turn(&self) -> Turn {
        (self.at.0.epoch, self.at.1)
    }

    /// Which member it wants stopped, and how much of its log it accepts.
    fn stops(&self, charters: &Charters) -> Option<(Stopped, (Turn, [u8; 32]))> {
        match self.statement.as_ref().filter(|_| !self.header.test)? {
            Statement::Halt { member: Some(member) } => {
                Some((Stopped::Halt(member.clone()), NOWHERE))
            }
            Statement::Member { step: MemberStep::Suspend, member, last: Some(last) } => {
                let epoch = charters.named(self.header.charter)?.member(member)?.epoch;
                let until = ((epoch, last.size), last.root);
                Some((Stopped::Suspension(member.clone()), until))
            }
            _ => None,
        }
    }

    pub(super) fn target(&self) -> Option<At> {
        let target = self.header.target.as_ref()?;
        Some((target.log.clone(), target.index))
    }
}
