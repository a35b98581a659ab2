//! The oracle's own reading of logs: what stands in them adds up to states of cases, by the words of
//! `docs/states.md` and by none of the node's code.
//!
//! **Invariant:** a reading depends on the records and the times of their verification alone.

use std::collections::{BTreeMap, BTreeSet};

use watchfire_signal::{
    alert::Alert,
    charter::Charter,
    commitment::Commitment,
    header::Header,
    name::{LogName, MemberName, OrganisationName},
    record::{Leaf, open},
    statement::{Basis, Resolution, Statement},
    verb::Verb,
};
use watchfire_store::Held;

use super::state::{Outlook, Say};

/// A place in a log.
pub type At = (LogName, u64);

/// An entry as it was read.
#[derive(Debug, Clone)]
struct Entry {
    at: At,
    verified_ms: u64,
    header: Header,
    commitment: Commitment,
    statement: Option<Statement>,
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
    /// What each member said, by index.
    pub said: BTreeMap<MemberName, BTreeMap<u64, (u64, Say)>>,
    /// Renewals: by member the latest index, when it was verified, and until when.
    pub renewals: BTreeMap<MemberName, (u64, u64, u64)>,
}

/// What a member's logs say.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// All sets, by name.
    pub cases: BTreeMap<Commitment, Case>,
    /// Votes for a halt of a case: by member the latest index, and whether it stands.
    halts: BTreeMap<Commitment, BTreeMap<MemberName, (u64, bool)>>,
    /// Records that their authors erased.
    pub erased: BTreeSet<At>,
}

/// What a place is about.
#[derive(Debug, Clone, Copy)]
enum Meaning {
    Set(Commitment),
    Opinion(Commitment),
    Vote(Commitment),
}

impl Reading {
    /// Reads what was verified before a moment.
    #[must_use]
    pub fn of(logs: &[(LogName, Vec<Held>)], charter: &Charter, before_ms: u64) -> Self {
        let mut entries = Vec::new();
        for (log, held) in logs {
            let known = held.iter().filter(|held| held.verified_ms <= before_ms);
            entries.extend(known.filter_map(|held| Entry::read(log, held)));
        }
        entries.retain(|entry| charter.member_of_log(&entry.at.0).is_some());
        let mut reading = Self::default();
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
            reading.speak(entry, &mut meanings);
        }
        for entry in &entries {
            reading.take_back(entry, &meanings);
        }
        reading
    }

    /// Whether enough organisations want a case halted.
    #[must_use]
    pub fn is_halted(&self, subject: &Commitment, charter: &Charter) -> bool {
        let votes = self.halts.get(subject).into_iter().flatten();
        let standing = votes.filter(|(_, (_, stands))| *stands);
        let by: BTreeSet<_> =
            standing.filter_map(|(member, _)| charter.organisation_of(member)).collect();
        by.len() >= charter.quorum_halt()
    }

    /// How a set looks under a charter.
    #[must_use]
    pub fn outlook(&self, case: &Case, charter: &Charter) -> Outlook {
        let organisation = |member: &MemberName| -> Option<OrganisationName> {
            charter.organisation_of(member).cloned()
        };
        Outlook::of(case, &organisation, (charter.quorum_confirm(), charter.quorum_dispute()))
            .halted(self.is_halted(&case.subject, charter))
    }

    fn erase(&mut self, entry: &Entry) {
        if let (Verb::Erase, Some(target)) = (entry.header.verb, entry.target())
            && target.0 == entry.at.0
        {
            self.erased.insert(target);
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
        let Some(Meaning::Set(name)) = entry.target().and_then(|at| meanings.get(&at).copied())
        else {
            return;
        };
        let Some(case) = self.cases.get(&name) else { return };
        let own = case.at.0 == entry.at.0;
        if case.header.test == entry.header.test && (own || entry.header.verb == Verb::Variant) {
            self.add(entry, case.subject, meanings);
        }
    }

    fn add(&mut self, entry: &Entry, subject: Commitment, meanings: &mut BTreeMap<At, Meaning>) {
        let erased = self.erased.contains(&entry.at);
        let human = entry.header.review.is_some_and(|review| review.is_human());
        let mut said = BTreeMap::<_, BTreeMap<_, _>>::new();
        if !erased {
            let word = (entry.verified_ms, Say::Stands { human });
            said.entry(entry.at.0.member.clone()).or_default().insert(entry.at.1, word);
        }
        let alert = entry.statement.as_ref().and_then(Statement::alert).cloned();
        let case = Case {
            subject,
            at: entry.at.clone(),
            header: entry.header.clone(),
            alert: alert.filter(|_| !erased),
            erased,
            said,
            renewals: BTreeMap::new(),
        };
        // Of two leaves with one commitment the first stands.
        self.cases.entry(entry.commitment).or_insert(case);
        meanings.insert(entry.at.clone(), Meaning::Set(entry.commitment));
    }

    /// Confirmations, disputes, renewals, halts.
    fn speak(&mut self, entry: &Entry, meanings: &mut BTreeMap<At, Meaning>) {
        let Some(Meaning::Set(name)) = entry.target().and_then(|at| meanings.get(&at).copied())
        else {
            return;
        };
        let Some(case) = self.cases.get_mut(&name) else { return };
        if case.header.test != entry.header.test || self.erased.contains(&entry.at) {
            return;
        }
        let author = entry.at.0.member.clone();
        let say = match (entry.header.verb, &entry.statement) {
            (Verb::Confirm, Some(Statement::Confirm { commitment, basis }))
                if *commitment == name && case.at.0 != entry.at.0 =>
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
                let renewal = (entry.at.1, entry.verified_ms, *valid_until);
                let latest = case.renewals.entry(author).or_insert(renewal);
                *latest = (*latest).max(renewal);
                return;
            }
            (Verb::Halt, _) if case.subject == name => {
                let votes = self.halts.entry(name).or_default();
                let latest = votes.entry(author).or_insert((entry.at.1, true));
                *latest = (*latest).max((entry.at.1, true));
                meanings.insert(entry.at.clone(), Meaning::Vote(name));
                return;
            }
            _ => return,
        };
        case.said.entry(author).or_default().insert(entry.at.1, (entry.verified_ms, say));
        meanings.insert(entry.at.clone(), Meaning::Opinion(name));
    }

    /// Retractions, and disputes that their authors end.
    fn take_back(&mut self, entry: &Entry, meanings: &BTreeMap<At, Meaning>) {
        let Some(target) = entry.target().filter(|target| target.0 == entry.at.0) else { return };
        let author = entry.at.0.member.clone();
        match (entry.header.verb, meanings.get(&target)) {
            (Verb::Retract, Some(Meaning::Vote(name))) => {
                let votes = self.halts.entry(*name).or_default();
                let latest = votes.entry(author).or_insert((entry.at.1, false));
                *latest = (*latest).max((entry.at.1, false));
            }
            (Verb::Retract, Some(Meaning::Set(name) | Meaning::Opinion(name))) => {
                let Some(case) = self.cases.get_mut(name) else { return };
                if case.header.test != entry.header.test {
                    return;
                }
                let kept =
                    matches!(entry.statement, Some(Statement::Retract { restore: false, .. }));
                let say = Say::Withdrew { restore: !kept };
                case.said.entry(author).or_default().insert(entry.at.1, (entry.verified_ms, say));
            }
            (Verb::Resolve, Some(Meaning::Opinion(name))) => {
                let stands = Resolution::Stands;
                let ends = matches!(&entry.statement, Some(Statement::Resolve { outcome, .. }) if *outcome == stands);
                let Some(case) = self.cases.get_mut(name).filter(|_| ends) else { return };
                let said = case.said.get_mut(&author).and_then(|said| said.get_mut(&target.1));
                if let Some((_, say)) = said.filter(|(_, say)| *say == Say::Disputes) {
                    *say = Say::DisputedBefore;
                }
            }
            _ => {}
        }
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

    fn target(&self) -> Option<At> {
        let target = self.header.target.as_ref()?;
        Some((target.log.clone(), target.index))
    }
}
