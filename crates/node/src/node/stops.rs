//! Stops members: this member's vote for halting or suspending another, and taking it back.

use watchfire_signal::{name::MemberName, reason::Reason, statement::Head};

use super::Node;
use crate::{
    halts::MemberStops,
    place::Turn,
    publish::{Asked, PublishError, Published},
    raise::{RaiseError, Stop, stop_draft},
};

/// What this member wants of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopMember {
    /// That nothing it stands by counts until this is taken back.
    Halt,
    /// That its log counts up to what we hold of it, and nothing it says after.
    Suspend,
}

impl Node {
    /// Who wants a member stopped.
    #[must_use]
    pub fn stops_of(&self, member: &MemberName) -> MemberStops {
        self.known.stops_of(member)
    }

    /// Votes for a stop of a member, or takes that vote back; enough organisations make it count.
    ///
    /// # Errors
    /// [`RaiseError`]
    pub async fn stop_member(
        &self,
        member: &MemberName,
        (stop, withdraw): (StopMember, bool),
        reason: Reason,
        asked: Option<Asked>,
    ) -> Result<Published, RaiseError> {
        if let Some(before) = self.answered(asked.as_ref()).await? {
            return Ok(before);
        }
        if member == &self.me {
            return Err(RaiseError::Oneself);
        }
        let stop = if withdraw {
            Stop::Withdraw { turn: self.own_vote(member, stop)? }
        } else if stop == StopMember::Halt {
            Stop::Halt
        } else {
            Stop::Suspend { last: self.last_of(member).await? }
        };
        if self.charter.member(member).is_none() {
            return Err(RaiseError::NoMember(member.clone()));
        }
        let draft = stop_draft(&self.charter, &self.log, member, (stop, reason), asked);
        self.say(draft).await
    }

    /// The place of our vote that stands.
    fn own_vote(&self, member: &MemberName, stop: StopMember) -> Result<Turn, RaiseError> {
        let stops = self.known.stops_of(member);
        let votes = match stop {
            StopMember::Halt => stops.halted_by,
            StopMember::Suspend => stops.suspended_by,
        };
        let own = votes.get(&self.me).copied();
        own.ok_or_else(|| RaiseError::NoVote(member.to_string()))
    }

    /// What we hold of a member's log.
    async fn last_of(&self, member: &MemberName) -> Result<Head, RaiseError> {
        let log = self.charter.log_of(member);
        let copy = log.and_then(|log| self.copies.get(&log));
        let copy = copy.ok_or_else(|| RaiseError::NoMember(member.clone()))?;
        let heads = self.store.logs().await.map_err(PublishError::from)?;
        let head = heads.into_iter().find(|head| head.log == *copy.origin());
        let head = head.and_then(|head| head.checkpoint.verify(&head.log, copy.key()).ok());
        let head = head.ok_or_else(|| RaiseError::NoLog(member.clone()))?;
        Ok(Head { size: head.size, root: head.root.0 })
    }
}
