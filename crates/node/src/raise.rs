//! Raises an alert and answers alerts: what people of this member say to the coalition.

use thiserror::Error;
use watchfire_signal::{
    alert::Alert,
    charter::Charter,
    commitment::Commitment,
    header::{CharterRef, Header, Provenance, RECORD_VERSION, Review, Target},
    label::Class,
    name::{GroupName, LogName, MemberName},
    reason::Reason,
    statement::{Basis, Head, MemberStep, Statement},
    verb::Verb,
};

use crate::{
    cases::SignalSet,
    publish::{AnswerKey, Draft, PublishError},
    standing::Stance,
};

/// An alert to be raised.
#[derive(Debug, Clone)]
pub struct NewAlert {
    /// What is said of the content.
    pub alert: Alert,
    /// 0 to 4.
    pub severity: u8,
    /// Who has looked.
    pub review: Review,
    /// Where it comes from.
    pub provenance: Provenance,
    /// Who gets the record.
    pub group: GroupName,
    /// A drill.
    pub test: bool,
}

/// An answer to an alert.
#[derive(Debug, Clone)]
pub enum Answer {
    /// It is harmful.
    Confirm {
        /// On what grounds.
        basis: Basis,
    },
    /// It is not what the alert says.
    Dispute {
        /// Why.
        reason: Reason,
        /// More words.
        note: Option<String>,
    },
    /// Our own opinion is taken back.
    Retract {
        /// Why.
        reason: Reason,
        /// Whether what it caused should come back.
        restore: bool,
        /// More words.
        note: Option<String>,
    },
    /// Nobody is to act on the case: enough organisations that say so end it.
    Halt {
        /// Why.
        reason: Reason,
    },
    /// Our own halt of the case is taken back.
    Unhalt {
        /// Why.
        reason: Reason,
    },
    /// It shall last longer.
    Renew {
        /// Until when, in milliseconds since 1970.
        valid_until: u64,
    },
}

/// Why something could not be said.
#[derive(Debug, Error)]
pub enum RaiseError {
    /// There is no such alert here.
    #[error("no alert {0} is known here")]
    Unknown(Commitment),
    /// There is nothing of ours to take back.
    #[error("this member has no opinion on {0} that could be taken back")]
    NoOpinion(Commitment),
    /// There is no vote of ours to take back.
    #[error("this member has not asked for a stop of {0}")]
    NoVote(String),
    /// The charter has no such member.
    #[error("the charter has no member {0}")]
    NoMember(MemberName),
    /// One does not stop oneself.
    #[error("a member does not stop itself; it retracts what it said")]
    Oneself,
    /// Nothing of the member's log is here that could be accepted.
    #[error("nothing of the log of {0} is held here")]
    NoLog(MemberName),
    /// The charter has no such sharing group, so nobody would get the record.
    #[error("the charter has no sharing group {0}")]
    NoGroup(GroupName),
    /// One does not answer one's own alert so.
    #[error("this member raised {0} itself; retract it instead")]
    Own(Commitment),
    /// It was not published.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

/// The draft of an alert.
///
/// # Errors
/// [`RaiseError::NoGroup`]
pub fn alert_draft(
    charter: &Charter,
    log: &LogName,
    new: NewAlert,
    answer: Option<AnswerKey>,
) -> Result<Draft, RaiseError> {
    let known =
        new.group == GroupName::all() || charter.groups.iter().any(|group| group.name == new.group);
    if !known {
        return Err(RaiseError::NoGroup(new.group));
    }
    let header = Header {
        class: new.alert.class(),
        group: new.group,
        provenance: new.provenance,
        severity: Some(new.severity),
        lease_day: Some(day_of(new.alert.valid_until)),
        test: new.test,
        review: Some(new.review),
        ..plain_header(charter, log, Verb::Assert)
    };
    Ok(Draft { header, statement: Statement::Assert(new.alert), answer })
}

/// The draft of an answer to a signal set.
///
/// # Errors
/// [`RaiseError::Own`], [`RaiseError::NoOpinion`]
pub fn answer_draft(
    charter: &Charter,
    log: &LogName,
    set: &SignalSet,
    given: Answer,
    answer: Option<AnswerKey>,
) -> Result<Draft, RaiseError> {
    let ours = set.author() == &log.member;
    let about = Target { log: set.place.log.clone(), index: set.place.index };
    let (verb, reason, target, statement) = match given {
        Answer::Confirm { .. } | Answer::Dispute { .. } if ours => {
            return Err(RaiseError::Own(set.name));
        }
        Answer::Confirm { basis } => {
            let statement = Statement::Confirm { commitment: set.name, basis };
            (Verb::Confirm, None, about, statement)
        }
        Answer::Dispute { reason, note } => {
            let statement = Statement::Dispute { commitment: set.name, note };
            (Verb::Dispute, Some(reason), about, statement)
        }
        Answer::Retract { reason, restore, note } => {
            let opinion = set.opinions.get(&log.member);
            let opinion =
                opinion.filter(|opinion| matches!(opinion.stance, Stance::Positive { .. }));
            let index = opinion.ok_or(RaiseError::NoOpinion(set.name))?.index;
            let statement = Statement::Retract { restore, note };
            (Verb::Retract, Some(reason), Target { log: log.clone(), index }, statement)
        }
        Answer::Halt { reason } => {
            (Verb::Halt, Some(reason), about, Statement::Halt { member: None })
        }
        Answer::Unhalt { reason } => {
            let index = set.halted_by.get(&log.member);
            let index = *index.ok_or_else(|| RaiseError::NoVote(set.subject.to_string()))?;
            let statement = Statement::Retract { restore: true, note: None };
            (Verb::Retract, Some(reason), Target { log: log.clone(), index }, statement)
        }
        Answer::Renew { valid_until } => {
            (Verb::Renew, None, about, Statement::Renew { valid_until })
        }
    };
    let header = Header {
        class: set.header.class,
        group: set.header.group.clone(),
        reason,
        target: Some(target),
        test: set.header.test,
        ..plain_header(charter, log, verb)
    };
    Ok(Draft { header, statement, answer })
}

/// What is said of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Nobody is to act on what it stands by, and what that alone caused is undone.
    Halt,
    /// The same for good, and nothing comes back without a person.
    Suspend {
        /// What is accepted of its log.
        last: Head,
    },
    /// Our own vote, whose place in our log this is, is taken back.
    Withdraw {
        /// The place.
        index: u64,
    },
}

/// The draft of a vote for a stop of a member, or of taking that back.
#[must_use]
pub fn stop_draft(
    charter: &Charter,
    log: &LogName,
    member: &MemberName,
    (stop, reason): (Stop, Reason),
    answer: Option<AnswerKey>,
) -> Draft {
    let (target, statement) = match stop {
        Stop::Halt => (None, Statement::Halt { member: Some(member.clone()) }),
        Stop::Suspend { last } => {
            let (step, member) = (MemberStep::Suspend, member.clone());
            (None, Statement::Member { step, member, last: Some(last) })
        }
        Stop::Withdraw { index } => {
            let target = Target { log: log.clone(), index };
            (Some(target), Statement::Retract { restore: true, note: None })
        }
    };
    let reason = Some(reason);
    let header = Header { reason, target, ..plain_header(charter, log, statement.verb()) };
    Draft { header, statement, answer }
}

/// The draft of what this member's systems say about a signal set, such as a count.
#[must_use]
pub fn about_draft(
    charter: &Charter,
    log: &LogName,
    set: &SignalSet,
    statement: Statement,
    answer: Option<AnswerKey>,
) -> Draft {
    let header = Header {
        class: set.header.class,
        group: set.header.group.clone(),
        target: Some(Target { log: set.place.log.clone(), index: set.place.index }),
        test: set.header.test,
        ..plain_header(charter, log, statement.verb())
    };
    Draft { header, statement, answer }
}

/// What every header of ours says.
pub(crate) fn plain_header(charter: &Charter, log: &LogName, verb: Verb) -> Header {
    Header {
        v: RECORD_VERSION,
        coalition: charter.coalition.clone(),
        author_log: log.clone(),
        charter: CharterRef { seq: charter.seq, hash: charter.hash() },
        verb,
        class: Class::None,
        group: GroupName::all(),
        provenance: Provenance::None,
        reason: None,
        severity: None,
        target: None,
        lease_day: None,
        test: false,
        review: None,
    }
}

/// The day after which nobody needs the record any more.
fn day_of(valid_until_ms: u64) -> u32 {
    u32::try_from(valid_until_ms / 86_400_000 + 1).unwrap_or(u32::MAX)
}
