//! Which cases and members organisations have halted, and whom they have suspended: votes that count
//! by quorum (`docs/states.md`, halts).
//!
//! **Invariant:** what is halted depends on the set of votes, never on their order of arrival; of one
//! member the latest word in its log counts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use watchfire_signal::{
    charter::{Charter, ClosedLog},
    commitment::Commitment,
    name::{MemberName, OrganisationName},
};

use crate::place::Turn;

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
    /// Place of the record among all that its author says.
    pub(crate) turn: Turn,
    /// Whether it stands; its author can take it back.
    pub(crate) stands: bool,
    /// Of a suspension: where what is accepted of the member ends.
    pub(crate) until: Turn,
    /// The root of the log there: of one size there may be two histories.
    pub(crate) root: [u8; 32],
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
        /// Where what is accepted as its own ends.
        until: Turn,
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

/// Who wants something stopped, with the place of the record that says so among all that it says.
pub type StoppedBy = BTreeMap<MemberName, Turn>;

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
        if latest.turn < vote.turn {
            // Taking a vote back keeps what it was about.
            *latest =
                if vote.stands { vote } else { Vote { stands: false, turn: vote.turn, ..*latest } };
        }
    }

    /// Whether enough organisations have halted a case.
    pub(crate) fn is_halted(&self, subject: &Commitment, charter: &Charter) -> bool {
        let Some(mut votes) = self.cases.get(subject).cloned() else { return false };
        // What a suspended member says after its end was never its word.
        votes.retain(|member, vote| match self.voice(member, charter) {
            Voice::Suspended { until } => vote.turn < until,
            Voice::Counts | Voice::Halted => true,
        });
        organisations(&votes, charter).len() >= charter.quorum_halt()
    }

    /// The members that want a case halted.
    pub(crate) fn halted_by(&self, subject: &Commitment) -> StoppedBy {
        self.cases.get(subject).map(standing).unwrap_or_default()
    }

    /// How the word of a member counts. One that has left is heard as one that was suspended where its log
    /// ended.
    pub(crate) fn voice(&self, member: &MemberName, charter: &Charter) -> Voice {
        let until = self.suspended_at(member, charter).or_else(|| left_at(member, charter));
        if let Some(until) = until {
            return Voice::Suspended { until };
        }
        let votes = self.halts.get(member);
        let halted =
            votes.is_some_and(|votes| organisations(votes, charter).len() >= charter.quorum_halt());
        if halted { Voice::Halted } else { Voice::Counts }
    }

    /// Where what is accepted of a suspended member ends: the most that a quorum accepts. Who accepts more accepts
    /// that too, so that one that has seen less of its log takes nothing from the others; who accepts as much of another
    /// history does not. A charter that has it begin a new log ends its suspension.
    fn suspended_at(&self, member: &MemberName, charter: &Charter) -> Option<Turn> {
        let epoch = charter.member(member)?.epoch;
        let votes = self.suspensions.get(member)?.iter();
        let votes = votes.filter(|(_, vote)| vote.stands && vote.until.epoch == epoch);
        // A member that the charter does not name has no say.
        let owned = votes.filter_map(|(by, vote)| Some((charter.organisation_of(by)?, vote)));
        let owned: Vec<_> = owned.collect();
        let accepted = |end: &Vote| {
            let accepts = |vote: &Vote| {
                vote.until > end.until || (vote.until, vote.root) == (end.until, end.root)
            };
            let by = owned.iter().filter(|(_, vote)| accepts(vote)).map(|(owner, _)| owner);
            by.collect::<BTreeSet<_>>().len() >= charter.quorum_suspend()
        };
        let ends = owned.iter().filter(|(_, vote)| accepted(vote));
        ends.map(|(_, vote)| vote.until).max()
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
            suspended_at: self.suspended_at(member, charter).map(|until| until.index),
        }
    }
}

/// Where what is accepted of a member ended, if it has left.
fn left_at(member: &MemberName, charter: &Charter) -> Option<Turn> {
    if charter.member(member).is_some() {
        return None;
    }
    let logs = charter.closed.iter().filter(|log| log.member == *member);
    let end = |log: &ClosedLog| Turn {
        epoch: log.epoch,
        index: log.last.map_or(u64::MAX, |last| last.size),
    };
    logs.map(end).max()
}

/// Members whose vote stands.
fn standing(votes: &Votes) -> StoppedBy {
    let standing = votes.iter().filter(|(_, vote)| vote.stands);
    standing.map(|(member, vote)| (member.clone(), vote.turn)).collect()
}

/// Organisations of which a member's vote stands.
fn organisations<'a>(votes: &Votes, charter: &'a Charter) -> BTreeSet<&'a OrganisationName> {
    let standing = votes.iter().filter(|(_, vote)| vote.stands);
    // A member that the charter does not name has no say.
    standing.filter_map(|(member, _)| charter.organisation_of(member)).collect()
}
