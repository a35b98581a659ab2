//! Which cases and members organisations have halted, and whom they have suspended: votes that count
//! by quorum (`docs/states.md`, halts).
//!
//! **Invariant:** what is halted depends on the set of votes, never on their order of arrival; of one
//! member the latest word in its log counts.

use std::collections::{BTreeMap, HashMap};

use watchfire_signal::{
    charter::Charter,
    commitment::Commitment,
    name::{MemberName, OrganisationName},
};

/// What a vote is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// A case, by the commitment of its founding assert.
    Case(Commitment),
    /// A member.
    Halt(MemberName),
    /// A member, for good: until a charter says otherwise.
    Suspension(MemberName),
}

/// What one member says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Vote {
    /// Place of the record in its author's log.
    pub(crate) index: u64,
    /// Whether it stands; its author can take it back.
    pub(crate) stands: bool,
    /// Of a suspension: how many entries of the member's log are accepted.
    pub(crate) size: u64,
}

/// How the word of a member counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// It counts.
    Counts,
    /// A quorum has halted the member: nothing that it stands by counts, and what that alone caused is
    /// undone.
    Halted,
    /// A quorum has suspended the member: nothing that it says counts, and nothing comes back without
    /// a person.
    Suspended {
        /// Entries of its log that are accepted as its own.
        size: u64,
    },
}

/// Votes of members on one thing.
type Votes = BTreeMap<MemberName, Vote>;

/// All votes.
#[derive(Debug, Default)]
pub(crate) struct Halts {
    cases: HashMap<Commitment, Votes>,
    halts: BTreeMap<MemberName, Votes>,
    suspensions: BTreeMap<MemberName, Votes>,
}

/// Who wants something stopped, with the place of the record that says so in that member's log.
pub type StoppedBy = BTreeMap<MemberName, u64>;

/// Who has voted for a stop of a member.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemberStops {
    /// Members that want it halted.
    pub halted_by: StoppedBy,
    /// Members that want it suspended.
    pub suspended_by: StoppedBy,
    /// Whether enough organisations want it halted.
    pub halted: bool,
    /// Entries of its log that are accepted, once enough organisations have suspended it.
    pub suspended_at: Option<u64>,
}

impl Halts {
    /// Takes a vote in.
    pub(crate) fn vote(&mut self, stopped: &Stopped, by: MemberName, vote: Vote) {
        let votes = match stopped {
            Stopped::Case(subject) => self.cases.entry(*subject).or_default(),
            Stopped::Halt(member) => self.halts.entry(member.clone()).or_default(),
            Stopped::Suspension(member) => self.suspensions.entry(member.clone()).or_default(),
        };
        let latest = votes.entry(by).or_insert(vote);
        if latest.index < vote.index {
            // Taking a vote back keeps what it was about.
            let size = if vote.stands { vote.size } else { latest.size };
            *latest = Vote { size, ..vote };
        }
    }

    /// Whether enough organisations have halted a case.
    pub(crate) fn is_halted(&self, subject: &Commitment, charter: &Charter) -> bool {
        let votes = self.cases.get(subject);
        votes.is_some_and(|votes| organisations(votes, charter).len() >= charter.quorum_halt())
    }

    /// The members that want a case halted.
    pub(crate) fn halted_by(&self, subject: &Commitment) -> StoppedBy {
        self.cases.get(subject).map(standing).unwrap_or_default()
    }

    /// How the word of a member counts.
    pub(crate) fn voice(&self, member: &MemberName, charter: &Charter) -> Voice {
        if let Some(size) = self.suspended_at(member, charter) {
            return Voice::Suspended { size };
        }
        let votes = self.halts.get(member);
        let halted =
            votes.is_some_and(|votes| organisations(votes, charter).len() >= charter.quorum_halt());
        if halted { Voice::Halted } else { Voice::Counts }
    }

    /// Entries of a suspended member's log that are accepted: the most that a quorum accepts, so that
    /// one that has seen less of the log takes nothing from the others.
    fn suspended_at(&self, member: &MemberName, charter: &Charter) -> Option<u64> {
        let sizes = organisations(self.suspensions.get(member)?, charter);
        let mut sizes = sizes.into_values().collect::<Vec<_>>();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        sizes.get(charter.quorum_suspend().checked_sub(1)?).copied()
    }

    /// Who has voted for a stop of a member.
    pub(crate) fn of_member(&self, member: &MemberName, charter: &Charter) -> MemberStops {
        let by = |votes: &BTreeMap<MemberName, Votes>| {
            votes.get(member).map(standing).unwrap_or_default()
        };
        MemberStops {
            halted_by: by(&self.halts),
            suspended_by: by(&self.suspensions),
            halted: self.voice(member, charter) == Voice::Halted,
            suspended_at: self.suspended_at(member, charter),
        }
    }
}

/// Members whose vote stands.
fn standing(votes: &Votes) -> StoppedBy {
    let standing = votes.iter().filter(|(_, vote)| vote.stands);
    standing.map(|(member, vote)| (member.clone(), vote.index)).collect()
}

/// Organisations of which a member's vote stands, each with the most that it accepts.
fn organisations<'a>(votes: &Votes, charter: &'a Charter) -> BTreeMap<&'a OrganisationName, u64> {
    let mut counted = BTreeMap::new();
    for (member, vote) in votes.iter().filter(|(_, vote)| vote.stands) {
        // A member that the charter does not name has no say.
        let Some(organisation) = charter.organisation_of(member) else { continue };
        let size: &mut u64 = counted.entry(organisation).or_insert(vote.size);
        *size = (*size).max(vote.size);
    }
    counted
}
