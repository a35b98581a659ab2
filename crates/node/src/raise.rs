//! Raises an alert and answers alerts: what people of this member say to the coalition.

use thiserror::Error;
use watchfire_signal::{
    alert::{Alert, Family},
    charter::{Charter, Role},
    commitment::Commitment,
    header::{CharterRef, Header, Provenance, RECORD_VERSION, Review, Target},
    label::Class,
    name::{CoalitionName, GroupName, LogName, MemberName},
    reason::Reason,
    statement::{AppealResult, AppealStage, Basis, Head, MemberStep, Resolution, Statement},
    tlp::Tlp,
    verb::Verb,
};

use crate::{
    cases::SignalSet,
    place::Turn,
    publish::{Asked, Draft, PublishError},
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
    /// A dispute of it is to end: at once if it is our own, by quorum otherwise.
    Resolve {
        /// Who disputes it.
        member: MemberName,
        /// How it ends.
        outcome: Resolution,
        /// More words.
        note: Option<String>,
    },
    /// Another case is of the same thing.
    Join {
        /// The subject of the other case.
        other: Commitment,
    },
    /// A user appealed against what was done.
    Appeal {
        /// How far it is.
        stage: AppealStage,
        /// How it was decided.
        result: Option<AppealResult>,
    },
    /// A member's retraction, which is beyond that member's quota, is right.
    Cosign {
        /// The member that retracts.
        member: MemberName,
    },
    /// Its record is to be erased everywhere: at once if it is our own, by quorum otherwise.
    Erase {
        /// Why.
        reason: Option<Reason>,
    },
}

impl Answer {
    /// Whether it is of the whole case.
    pub(crate) fn is_of_case(&self) -> bool {
        let halts = matches!(self, Self::Halt { .. } | Self::Unhalt { .. });
        halts || matches!(self, Self::Join { .. } | Self::Appeal { .. })
    }
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
    /// The charter has no local features travel, and the alert has nothing else to be known by.
    #[error("no local features travel in this coalition, and the alert has no other signal")]
    OnlyFeatures,
    /// The charter has labels of another version than this program.
    #[error(
        "the charter has version {charter} of the taxonomy, and this program writes {ours}: no alert is raised until it \
         is updated"
    )]
    Taxonomy {
        /// The version of the labels.
        ours: u32,
        /// That of the charter.
        charter: u32,
    },
    /// This member's role does not let it say so.
    #[error("this member is a {role} of the coalition; nobody would hear its `{verb}`")]
    NotAllowed {
        /// What it would say.
        verb: Verb,
        /// Its role.
        role: Role,
    },
    /// Nothing stands there, as far as is known here.
    #[error("{} has no entry {} here", .0.log, .0.index)]
    NoRecord(Target),
    /// What the record says is counts, names or keys, and cannot be erased.
    #[error(
        "a `{0}` has no words and no signals in it, and works by what it says; it is not erased"
    )]
    Wordless(Verb),
    /// The member does not dispute it.
    #[error("{0} does not dispute it")]
    NoDispute(MemberName),
    /// No retraction of that member waits for anybody.
    #[error("no retraction of {0} waits here for another organisation to agree")]
    NotWaiting(MemberName),
    /// A case is joined with another one.
    #[error("a case is not joined with itself")]
    Itself,
    /// Signals are added to a case by its author; what others know is a variant.
    #[error(
        "only {0} adds signals to its alert; an edited copy is a variant, which names the edit"
    )]
    NotAuthor(MemberName),
    /// What is added to another member's case is not handed on more widely than the case.
    #[error("the case is marked {0}; what another member adds to it is not marked more widely")]
    Wider(Tlp),
    /// This organisation's last incident lapsed, or waits: it waits before it declares another, or asks for an approval.
    #[error(
        "not enough organisations agree with the last incident that this organisation declared: it declares the next \
         one 24 hours after that has lapsed, or asks another organisation to agree first (`ask_approval`)"
    )]
    MustWait {
        /// Until when, in milliseconds since 1970 by this node's clock.
        until_ms: u64,
    },
    /// Not enough organisations agreed in time.
    #[error("the incident {0} has lapsed: whoever agrees now is not counted by anybody")]
    Lapsed(Commitment),
    /// One does not answer one's own alert so.
    #[error("this member raised {0} itself; retract it instead")]
    Own(Commitment),
    /// The member has said as much today, or has as much live, as its charter allows; nobody would hear more.
    #[error(
        "this member has used up {name} ({value}) of the charter: nobody would hear it; retractions are heard always"
    )]
    Quota {
        /// Which quota.
        name: &'static str,
        /// How much.
        value: u64,
        /// When there may be room again: quotas and leases are of a day, by UTC.
        wait_ms: u64,
    },
    /// It was not published.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

/// The draft of an alert, without the signals that do not travel under the charter.
///
/// # Errors
/// [`RaiseError::NoGroup`]; [`RaiseError::OnlyFeatures`]; [`RaiseError::Taxonomy`] where its labels are of another taxonomy than the charter's: everybody
/// would only look at it.
pub fn alert_draft(
    charter: &Charter,
    log: &LogName,
    mut new: NewAlert,
    asked: Option<Asked>,
) -> Result<Draft, RaiseError> {
    charter.leave_out(&mut new.alert.signals);
    if charter.without_features && new.alert.signals.is_empty() {
        return Err(RaiseError::OnlyFeatures);
    }
    let known =
        new.group == GroupName::all() || charter.groups.iter().any(|group| group.name == new.group);
    if !known {
        return Err(RaiseError::NoGroup(new.group));
    }
    if new.alert.taxonomy != charter.taxonomy {
        let (ours, charter) = (new.alert.taxonomy, charter.taxonomy);
        return Err(RaiseError::Taxonomy { ours, charter });
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
    Ok(Draft { header, statement: Statement::Assert(new.alert), asked, within_quota: false })
}

/// The draft of an answer to a signal set.
///
/// # Errors
/// [`RaiseError`] where there is nothing that could be said so.
pub fn answer_draft(
    charter: &Charter,
    log: &LogName,
    set: &SignalSet,
    given: Answer,
    asked: Option<Asked>,
) -> Result<Draft, RaiseError> {
    let (verb, reason, target, statement) = said_of(charter, log, set, given)?;
    let lease_day = match &statement {
        Statement::Renew { valid_until } => Some(day_of(*valid_until)),
        _ => None,
    };
    let header = Header {
        class: set.header.class,
        group: set.header.group.clone(),
        reason,
        target: Some(target),
        lease_day,
        test: set.header.test,
        ..plain_header(charter, log, verb)
    };
    Ok(Draft { header, statement, asked, within_quota: false })
}

/// The draft of an erasure of whatever record stands at a place.
#[must_use]
pub fn erasure_draft(
    charter: &Charter,
    log: &LogName,
    target: Target,
    reason: Option<Reason>,
    asked: Option<Asked>,
) -> Draft {
    let plain = plain_header(charter, log, Verb::Erase);
    let header = Header { target: Some(target), reason, ..plain };
    Draft { header, statement: Statement::Erase, asked, within_quota: false }
}

/// What an answer says, of which leaf and why.
type Said = (Verb, Option<Reason>, Target, Statement);

fn said_of(
    charter: &Charter,
    log: &LogName,
    set: &SignalSet,
    given: Answer,
) -> Result<Said, RaiseError> {
    let ours = set.author() == &log.member;
    let about = Target { log: set.place.log.clone(), index: set.place.index };
    Ok(match given {
        Answer::Confirm { .. } | Answer::Dispute { .. } if ours => {
            return Err(RaiseError::Own(set.name));
        }
        Answer::Confirm { basis } => {
            (Verb::Confirm, None, about, Statement::Confirm { commitment: set.name, basis })
        }
        Answer::Dispute { reason, note } => {
            let statement = Statement::Dispute { commitment: set.name, note };
            (Verb::Dispute, Some(reason), about, statement)
        }
        Answer::Retract { reason, restore, note } => {
            // What a victim takes back is the alert, whatever was said of it since.
            let by_victim = ours && set.header.provenance == Provenance::Victim;
            let whole = by_victim && reason == Reason::VictimWithdrew;
            let own = if whole { about } else { own_opinion(log, set)? };
            (Verb::Retract, Some(reason), own, Statement::Retract { restore, note })
        }
        Answer::Unhalt { reason } => {
            let statement = Statement::Retract { restore: true, note: None };
            (Verb::Retract, Some(reason), own_halt(log, set)?, statement)
        }
        Answer::Halt { reason } => {
            (Verb::Halt, Some(reason), about, Statement::Halt { member: None })
        }
        Answer::Renew { valid_until } => {
            (Verb::Renew, None, about, Statement::Renew { valid_until })
        }
        Answer::Resolve { member, outcome, note } => {
            let opinion = set.opinions.get(&member);
            let opinion = opinion.filter(|opinion| opinion.stance == Stance::Disputes);
            let Some(opinion) = opinion else { return Err(RaiseError::NoDispute(member)) };
            let dispute = at(&charter.coalition, &member, opinion.turn);
            (Verb::Resolve, None, dispute, Statement::Resolve { outcome, note })
        }
        Answer::Join { other } if other == set.subject => return Err(RaiseError::Itself),
        Answer::Join { other } => (Verb::Join, None, about, Statement::Join { other }),
        Answer::Appeal { stage, result } => {
            (Verb::Appeal, None, about, Statement::Appeal { stage, result })
        }
        Answer::Cosign { member } => {
            let waits = set.waiting().get(&member).copied();
            let (turn, commitment) = waits.ok_or(RaiseError::NotWaiting(member.clone()))?;
            let basis = Basis::OwnCopySeenByHuman;
            let target = at(&charter.coalition, &member, turn);
            (Verb::Confirm, None, target, Statement::Confirm { commitment, basis })
        }
        Answer::Erase { reason } => (Verb::Erase, reason, about, Statement::Erase),
    })
}

/// The place of something that a member said.
fn at(coalition: &CoalitionName, member: &MemberName, turn: Turn) -> Target {
    let log = LogName::new(coalition.clone(), member.clone(), turn.epoch);
    Target { log, index: turn.index }
}

/// The place in our log of our opinion of a set that could be taken back.
fn own_opinion(log: &LogName, set: &SignalSet) -> Result<Target, RaiseError> {
    let opinion = set.opinions.get(&log.member);
    let opinion = opinion.filter(|opinion| matches!(opinion.stance, Stance::Positive { .. }));
    let turn = opinion.ok_or(RaiseError::NoOpinion(set.name))?.turn;
    Ok(at(&log.coalition, &log.member, turn))
}

/// The place in our log of our vote for a halt of a case.
fn own_halt(log: &LogName, set: &SignalSet) -> Result<Target, RaiseError> {
    let turn = set.halted_by().get(&log.member);
    let turn = *turn.ok_or_else(|| RaiseError::NoVote(set.subject.to_string()))?;
    Ok(at(&log.coalition, &log.member, turn))
}

/// The draft of more signals of a case: of our own by an amendment, of an edited copy by a variant.
///
/// # Errors
/// [`RaiseError::NotAuthor`], [`RaiseError::NoGroup`], [`RaiseError::Taxonomy`], [`RaiseError::Wider`]
pub fn widening_draft(
    charter: &Charter,
    log: &LogName,
    founding: &SignalSet,
    (new, transform): (NewAlert, Option<String>),
    asked: Option<Asked>,
) -> Result<Draft, RaiseError> {
    let test = founding.header.test;
    let mut draft = alert_draft(charter, log, NewAlert { test, ..new }, asked)?;
    let Statement::Assert(mut alert) = draft.statement else { return Ok(draft) };
    let (mark, implied) = (founding.mark(), Tlp::implied_by(&draft.header.group));
    alert.tlp = alert.tlp.or((mark > implied).then_some(mark));
    if founding.author() != &log.member && alert.mark(&draft.header.group) < mark {
        return Err(RaiseError::Wider(mark));
    }
    draft.statement = match transform {
        Some(transform) => {
            alert.family = Some(Family { root: founding.name, transform });
            Statement::Variant(alert)
        }
        None if founding.author() == &log.member => Statement::Amend(alert),
        None => return Err(RaiseError::NotAuthor(founding.author().clone())),
    };
    draft.header.verb = draft.statement.verb();
    draft.header.target =
        Some(Target { log: founding.place.log.clone(), index: founding.place.index });
    Ok(draft)
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
        turn: Turn,
    },
}

/// The draft of a vote for a stop of a member, or of taking that back.
#[must_use]
pub fn stop_draft(
    charter: &Charter,
    log: &LogName,
    member: &MemberName,
    (stop, reason): (Stop, Reason),
    asked: Option<Asked>,
) -> Draft {
    let (target, statement) = match stop {
        Stop::Halt => (None, Statement::Halt { member: Some(member.clone()) }),
        Stop::Suspend { last } => {
            let (step, member) = (MemberStep::Suspend, member.clone());
            (None, Statement::Member { step, member, last: Some(last) })
        }
        Stop::Withdraw { turn } => {
            let target = at(&log.coalition, &log.member, turn);
            (Some(target), Statement::Retract { restore: true, note: None })
        }
    };
    let reason = Some(reason);
    let header = Header { reason, target, ..plain_header(charter, log, statement.verb()) };
    Draft { header, statement, asked, within_quota: false }
}

/// The draft of what this member's systems say about a signal set, such as a count.
#[must_use]
pub fn about_draft(
    charter: &Charter,
    log: &LogName,
    set: &SignalSet,
    statement: Statement,
    asked: Option<Asked>,
) -> Draft {
    let header = Header {
        class: set.header.class,
        group: set.header.group.clone(),
        target: Some(Target { log: set.place.log.clone(), index: set.place.index }),
        test: set.header.test,
        ..plain_header(charter, log, statement.verb())
    };
    Draft { header, statement, asked, within_quota: false }
}

/// A header of ours that says nothing but the verb, in the version of records that the charter has: one that this
/// program does not know is not sealed. What takes back, ends a key or approves a charter is version 1 for ever. The
/// sequencer puts the charter's hash in: taking it anew for every record would encode the whole charter each time.
pub(crate) fn plain_header(charter: &Charter, log: &LogName, verb: Verb) -> Header {
    Header {
        v: if verb.is_forever_first() { RECORD_VERSION } else { charter.record_version },
        coalition: charter.coalition.clone(),
        author_log: log.clone(),
        charter: CharterRef { seq: charter.seq, hash: [0; 32] },
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
        minute: None,
        size: 0,
    }
}

/// The day after which nobody needs the record any more.
fn day_of(valid_until_ms: u64) -> u32 {
    u32::try_from(valid_until_ms / 86_400_000 + 1).unwrap_or(u32::MAX)
}
