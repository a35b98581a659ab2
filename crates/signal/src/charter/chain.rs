//! The charters of a coalition, each following from the one before it.
//!
//! **Invariant:** a chain has a first charter, and each other one follows from the one before it in
//! everything but its approvals; those are checked by the caller: this crate has no keys.

use std::collections::BTreeMap;

use thiserror::Error;

use super::{Charter, CharterError, MAX_CHARTER_BYTES, Member, SignedCharter};
use crate::{
    cbor::Reader,
    name::{LogName, MemberName},
    statement::Head,
};

/// The most charters in a chain: one a day for ten years.
pub const MAX_CHARTERS: usize = 4_096;

/// Why one charter does not follow from another.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SuccessionError {
    /// Another coalition, or another number than the next.
    #[error("charter {seq} of {coalition} is not the one after charter {before}")]
    Number {
        /// The coalition that it names.
        coalition: String,
        /// Its number.
        seq: u64,
        /// The number of the charter before it.
        before: u64,
    },
    /// It names another charter as the one before it.
    #[error("charter {0} was written on top of another charter than the one before it here")]
    Previous(u64),
    /// A member's log has another key than before: a new key needs a new epoch.
    #[error("{0}: a log keeps its key; a new key needs a new epoch")]
    Key(MemberName),
    /// A log that was there is neither written any more nor among the closed ones.
    #[error("{0}: a log that ends stands among the closed ones, with its key")]
    Lost(MemberName),
    /// An epoch that was there before.
    #[error("{0}: an epoch is used once")]
    Epoch(MemberName),
    /// What is accepted of a closed log is another thing than before.
    #[error("{0}: where a log has ended does not change")]
    Reopened(MemberName),
    /// A member may say less than before in the log that it goes on with, where it could go on to name the charter
    /// before.
    #[error(
        "{0}: a role that may say less needs a new key, and others that say where the log before ends; \
         or the member leaves"
    )]
    Role(MemberName),
    /// A version of records or taxonomy lower than before.
    #[error("versions of records and taxonomy never decrease")]
    Version,
}

/// Why bytes are not a chain.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChainError {
    /// A charter in it is none.
    #[error(transparent)]
    Charter(#[from] CharterError),
    /// One does not follow from the one before it.
    #[error(transparent)]
    Succession(#[from] SuccessionError),
    /// None, or too many.
    #[error("a chain has 1 to {MAX_CHARTERS} charters")]
    Length,
}

/// The charters of a coalition, from the first to the one in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CharterChain {
    first: SignedCharter,
    later: Vec<SignedCharter>,
}

impl From<SignedCharter> for CharterChain {
    fn from(first: SignedCharter) -> Self {
        Self { first, later: Vec::new() }
    }
}

impl CharterChain {
    /// The charter in force.
    #[must_use]
    pub fn in_force(&self) -> &SignedCharter {
        self.later.last().unwrap_or(&self.first)
    }

    /// The first charter.
    #[must_use]
    pub fn first(&self) -> &SignedCharter {
        &self.first
    }

    /// All, the first one first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &SignedCharter> {
        std::iter::once(&self.first).chain(&self.later)
    }

    /// Those with a number above this.
    pub fn after(&self, seq: u64) -> impl Iterator<Item = &SignedCharter> {
        self.iter().filter(move |signed| signed.charter.seq > seq)
    }

    /// The charter of this number and hash.
    #[must_use]
    pub fn at(&self, seq: u64, hash: &[u8; 32]) -> Option<&Charter> {
        let signed = self.iter().find(|signed| signed.charter.seq == seq)?;
        (signed.hash() == *hash).then_some(&signed.charter)
    }

    /// The member that wrote a log, as the newest charter says in which it is written.
    #[must_use]
    pub fn author_of(&self, log: &LogName) -> Option<&Member> {
        self.iter().rev().find_map(|signed| signed.charter.member_of_log(log))
    }

    /// What is accepted of a log that has ended, where a charter says it.
    #[must_use]
    pub fn last_of(&self, log: &LogName) -> Option<Head> {
        let closed = &self.in_force().charter.closed;
        closed.iter().find(|one| one.name() == (&log.member, log.epoch))?.last
    }

    /// Adds the next charter; that enough have approved it is checked by the caller.
    ///
    /// # Errors
    /// [`ChainError`]; the chain stays as it was.
    pub fn push(&mut self, next: SignedCharter) -> Result<(), ChainError> {
        if self.later.len() + 2 > MAX_CHARTERS {
            return Err(ChainError::Length);
        }
        next.charter.check_follows(self.in_force())?;
        self.later.push(next);
        Ok(())
    }

    /// The bytes of a chain: its charters one after the other (a CBOR sequence, RFC 8742), so that a
    /// single charter is a chain of one.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.iter().flat_map(SignedCharter::encode).collect()
    }

    /// Reads a chain.
    ///
    /// # Errors
    /// [`ChainError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, ChainError> {
        let mut charters = decode_sequence(bytes)?.into_iter();
        let first = charters.next().ok_or(ChainError::Length)?;
        if first.charter.seq != 1 {
            return Err(CharterError::Chain.into());
        }
        charters.try_fold(Self::from(first), |mut chain, next| {
            chain.push(next)?;
            Ok(chain)
        })
    }
}

/// Reads signed charters that stand one after the other, whether or not they follow from each other.
///
/// # Errors
/// [`ChainError`]
pub fn decode_sequence(bytes: &[u8]) -> Result<Vec<SignedCharter>, ChainError> {
    let mut charters = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        if charters.len() == MAX_CHARTERS {
            return Err(ChainError::Length);
        }
        let mut reader = Reader::new(rest);
        reader.skip().map_err(CharterError::from)?;
        let (one, after) = rest.split_at_checked(reader.at()).ok_or(ChainError::Length)?;
        if one.len() > 2 * MAX_CHARTER_BYTES {
            return Err(CharterError::TooLong(one.len()).into());
        }
        charters.push(SignedCharter::decode(one)?);
        rest = after;
    }
    Ok(charters)
}

impl Charter {
    /// Checks that this charter may come after another, apart from who has approved it.
    ///
    /// # Errors
    /// [`SuccessionError`]
    pub fn check_follows(&self, before: &SignedCharter) -> Result<(), SuccessionError> {
        let old = &before.charter;
        if self.coalition != old.coalition || self.seq != old.seq + 1 {
            let coalition = self.coalition.to_string();
            return Err(SuccessionError::Number { coalition, seq: self.seq, before: old.seq });
        }
        if self.previous != before.hash() {
            return Err(SuccessionError::Previous(self.seq));
        }
        if self.record_version < old.record_version || self.taxonomy < old.taxonomy {
            return Err(SuccessionError::Version);
        }
        self.check_logs(old)
    }

    /// Every log that was there is there, with its key, or has ended; every new one is new.
    fn check_logs(&self, old: &Charter) -> Result<(), SuccessionError> {
        let mut last_epochs = BTreeMap::<&MemberName, u32>::new();
        let live = old.members.iter().map(|member| (&member.name, member.epoch, member.key));
        let ended = old.closed.iter().map(|log| (&log.member, log.epoch, log.key));
        for (name, epoch, key) in live.chain(ended) {
            let last = last_epochs.entry(name).or_default();
            *last = epoch.max(*last);
            match self.key_of_epoch(name, epoch) {
                None => return Err(SuccessionError::Lost(name.clone())),
                Some(now) if now != key => return Err(SuccessionError::Key(name.clone())),
                Some(_) => {}
            }
        }
        for log in &old.closed {
            let now = self.closed.iter().find(|now| now.name() == log.name());
            // One that its author ends may turn out to need an end that others name.
            if !now.is_some_and(|now| now.last == log.last || log.last.is_none()) {
                return Err(SuccessionError::Reopened(log.member.clone()));
            }
        }
        for member in &self.members {
            let name = &member.name;
            let before = old.member(name);
            if before.is_some_and(|before| self.lets_evade(before, member)) {
                return Err(SuccessionError::Role(name.clone()));
            }
            let before = before.filter(|before| before.epoch == member.epoch);
            if before.is_none() && last_epochs.get(name).is_some_and(|last| member.epoch <= *last) {
                return Err(SuccessionError::Epoch(name.clone()));
            }
        }
        Ok(())
    }

    /// Whether a member may say less than before, and a log in which it could go on to name the charter before does
    /// not end here.
    fn lets_evade(&self, before: &Member, after: &Member) -> bool {
        let mut its = self.closed.iter().filter(|log| log.member == after.name);
        let open = before.epoch == after.epoch || its.any(|log| log.last.is_none());
        open && !after.role.may_all_that(before.role)
    }

    /// The key of a log, written or closed.
    fn key_of_epoch(&self, name: &MemberName, epoch: u32) -> Option<[u8; 32]> {
        let live = self.member(name).filter(|member| member.epoch == epoch);
        let closed = || self.closed.iter().find(|log| log.name() == (name, epoch));
        live.map(|member| member.key).or_else(|| closed().map(|log| log.key))
    }
}
