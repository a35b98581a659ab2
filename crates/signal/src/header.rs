//! The header of a record: what its leaf says in clear to everyone.
//!
//! **Invariant:** what was read has a target and a reason exactly where its verb needs them.

use serde::Serialize;
use thiserror::Error;

use crate::{
    cbor::{self, CborError, Item, Reader, Writer, map_item},
    code::codes,
    hex,
    label::Class,
    name::{CoalitionName, GroupName, LogName},
    reason::Reason,
    verb::Verb,
};

/// The version of records that this crate writes and understands.
pub const RECORD_VERSION: u32 = 1;

/// The greatest severity.
pub const MAX_SEVERITY: u8 = 4;

/// The greatest size of a body, in KiB: the record that it stands in has no room for more.
pub const MAX_SIZE_KIB: u32 = 1_024;

codes! {
    /// Where an alert comes from.
    Provenance, "provenance";
    /// Not an alert.
    None = 0 "none",
    /// The author's own systems or staff found it.
    OwnDetection = 1 "own_detection",
    /// A user reported it.
    UserReport = 2 "user_report",
    /// A trusted flagger reported it.
    TrustedFlagger = 3 "trusted_flagger",
    /// The person it shows reported it.
    Victim = 4 "victim",
    /// Another member said so outside of Watchfire.
    Member = 5 "member",
    /// A government asked; the alert names the authority.
    GovernmentRequest = 6 "government_request",
}

codes! {
    /// Who looked at the content before the alert was written.
    Review, "review";
    /// Nobody yet.
    Unreviewed = 0 "unreviewed",
    /// A machine.
    Automatic = 1 "automatic",
    /// One person of the author.
    OneHuman = 2 "one_human",
    /// Two persons of the author, each on their own.
    TwoHumans = 3 "two_humans",
    /// People outside the author, such as a hotline's analysts.
    External = 4 "external",
}

impl Review {
    /// Whether a person looked at the content.
    #[must_use]
    pub fn is_human(self) -> bool {
        matches!(self, Self::OneHuman | Self::TwoHumans | Self::External)
    }
}

/// The charter a record was written under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct CharterRef {
    /// Its number, from 1.
    pub seq: u64,
    /// H(charter).
    #[serde(serialize_with = "hex::serialize")]
    pub hash: [u8; 32],
}

/// A leaf that a record speaks about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Target {
    /// The log it stands in.
    pub log: LogName,
    /// Its index in that log, from zero.
    pub index: u64,
}

/// A header (`docs/format.md`, section 3).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Header {
    /// Version of the record, [`RECORD_VERSION`].
    pub v: u32,
    /// The coalition.
    pub coalition: CoalitionName,
    /// The log that the leaf stands in; nobody can copy it into another.
    pub author_log: LogName,
    /// The charter it was written under.
    pub charter: CharterRef,
    /// What the record does.
    pub verb: Verb,
    /// Class of harm of the case that it is about.
    pub class: Class,
    /// Who receives the record; the leaf goes to everyone.
    pub group: GroupName,
    /// Where an alert comes from.
    pub provenance: Provenance,
    /// Why, where the verb needs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// 0 to 4; absent reads as 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<u8>,
    /// The leaf spoken about, where the verb needs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// Day since 1970-01-01 UTC after which the record need not be fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_day: Option<u32>,
    /// A drill: travels and folds, never enforces.
    pub test: bool,
    /// Who looked at the content; absent reads as unreviewed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review: Option<Review>,
    /// Minute since 1970-01-01 UTC in which it was written, by its author's word: what quotas count by. It
    /// never decreases along a log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minute: Option<u32>,
    /// Size of the body in KiB, rounded up: what the quota of bytes counts by, with those that do not get
    /// the record too. [`seal`](crate::record::seal) puts it in.
    pub size: u32,
}

/// What is wrong with a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// Another version than this crate writes.
    #[error("this program does not write records of version {0}: update it")]
    Version(u32),
    /// A charter's number counts from 1.
    #[error("charters are numbered from 1")]
    CharterSeq,
    /// The author's or the target's log belongs to another coalition.
    #[error("a log of another coalition")]
    Coalition,
    /// A severity above 4.
    #[error("a severity is 0 to 4")]
    Severity,
    /// A size that no body has.
    #[error("a body has 1 to 1,024 KiB")]
    Size,
    /// A target that the verb needs is missing, or one that it cannot have is there.
    #[error("{0}: a target is missing or does not belong there")]
    Target(Verb),
    /// A reason that the verb needs is missing, or one that it cannot have is there.
    #[error("{0}: a reason is missing or does not belong there")]
    Reason(Verb),
}

impl Header {
    /// The bytes that stand in a leaf.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    /// Reads the bytes that stand in a leaf.
    ///
    /// # Errors
    /// [`CborError`] for every byte string that is not the one encoding of a header.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CborError> {
        cbor::decode(bytes)
    }

    /// Checks what the types leave open.
    ///
    /// # Errors
    /// The first [`HeaderError`].
    pub fn validate(&self) -> Result<(), HeaderError> {
        if self.v != RECORD_VERSION {
            return Err(HeaderError::Version(self.v));
        }
        if self.charter.seq == 0 {
            return Err(HeaderError::CharterSeq);
        }
        let logs = std::iter::once(&self.author_log).chain(self.target.iter().map(|t| &t.log));
        if logs.into_iter().any(|log| log.coalition != self.coalition) {
            return Err(HeaderError::Coalition);
        }
        if self.severity.is_some_and(|severity| severity > MAX_SEVERITY) {
            return Err(HeaderError::Severity);
        }
        if !(1..=MAX_SIZE_KIB).contains(&self.size) {
            return Err(HeaderError::Size);
        }
        if !self.verb.target().is_met(self.target.is_some()) {
            return Err(HeaderError::Target(self.verb));
        }
        if !self.verb.reason().is_met(self.reason.is_some()) {
            return Err(HeaderError::Reason(self.verb));
        }
        Ok(())
    }
}

impl Item for Header {
    fn write(&self, writer: &mut Writer) {
        writer.map(|map| {
            map.put(0, &self.v);
            map.put(1, &self.coalition);
            map.put(2, &self.author_log);
            map.put(3, &self.charter);
            map.put(4, &self.verb);
            map.put(5, &self.class);
            map.put(6, &self.group);
            map.put(7, &self.provenance);
            map.put_some(8, self.reason.as_ref());
            map.put_some(9, self.severity.as_ref());
            map.put_some(10, self.target.as_ref());
            map.put_some(11, self.lease_day.as_ref());
            map.flag(12, self.test);
            map.put_some(13, self.review.as_ref());
            map.put_some(14, self.minute.as_ref());
            map.put(15, &self.size);
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let mut map = reader.map()?;
        let header = Self {
            v: map.take(0)?,
            coalition: map.take(1)?,
            author_log: map.take(2)?,
            charter: map.take(3)?,
            verb: map.take(4)?,
            class: map.take(5)?,
            group: map.take(6)?,
            provenance: map.take(7)?,
            reason: map.take_if(8)?,
            severity: map.take_if(9)?,
            target: map.take_if(10)?,
            lease_day: map.take_if(11)?,
            test: map.flag(12)?,
            review: map.take_if(13)?,
            minute: map.take_if(14)?,
            size: map.take(15)?,
        };
        map.end()?;
        Ok(header)
    }
}

map_item!(CharterRef { 0 seq, 1 hash });
map_item!(Target { 0 log, 1 index });
