//! What a record does: assert, confirm, dispute, retract and the other verbs.

use crate::code::codes;

codes! {
    /// The verb of a record (`docs/format.md`, section 4).
    Verb, "verb";
    /// Founds a case: this content is harmful.
    Assert = 1 "assert",
    /// Adds a signal set to a case.
    Amend = 2 "amend",
    /// Extends an assert.
    Renew = 3 "renew",
    /// Agrees with one record.
    Confirm = 4 "confirm",
    /// Disagrees with one record.
    Dispute = 5 "dispute",
    /// Ends a dispute.
    Resolve = 6 "resolve",
    /// Takes back the author's own record.
    Retract = 7 "retract",
    /// Adds an edited copy, with the family it belongs to.
    Variant = 8 "variant",
    /// Joins two cases.
    Join = 9 "join",
    /// Counts copies seen.
    Sighting = 10 "sighting",
    /// Says what was done.
    Outcome = 11 "outcome",
    /// Says that a user appealed, and with which result.
    Appeal = 12 "appeal",
    /// Declares, cosigns, updates or concludes an incident.
    Incident = 13 "incident",
    /// Proposes, approves or suspends a member.
    Member = 14 "member",
    /// Rotates or revokes the author's key.
    Key = 15 "key",
    /// Halts a case or a member.
    Halt = 16 "halt",
    /// Erases a record.
    Erase = 17 "erase",
    /// Approves a charter.
    Charter = 18 "charter",
    /// Commits to the author's desk log.
    Desk = 19 "desk",
}

/// Whether a field stands in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// It must stand there.
    Required,
    /// It may.
    Optional,
    /// It must not.
    Absent,
}

impl Verb {
    /// Whether the body is an alert: assert, amend, variant.
    #[must_use]
    pub fn carries_alert(self) -> bool {
        matches!(self, Self::Assert | Self::Amend | Self::Variant)
    }

    /// Whether it is of version 1 for ever, whatever a charter says: what takes back, ends a key or approves a charter has
    /// to be heard by all.
    #[must_use]
    pub fn is_forever_first(self) -> bool {
        matches!(self, Self::Retract | Self::Halt | Self::Erase | Self::Key | Self::Charter)
    }

    /// Whether the header names a target. Where it is optional the body decides.
    #[must_use]
    pub fn target(self) -> Need {
        match self {
            Self::Assert | Self::Member | Self::Key | Self::Charter | Self::Desk => Need::Absent,
            Self::Incident | Self::Halt => Need::Optional,
            _ => Need::Required,
        }
    }

    /// Whether the header gives a reason.
    #[must_use]
    pub fn reason(self) -> Need {
        match self {
            Self::Dispute | Self::Retract | Self::Halt => Need::Required,
            Self::Member | Self::Key | Self::Erase => Need::Optional,
            _ => Need::Absent,
        }
    }
}

impl Need {
    /// Whether a field that is there, or is not, meets the need.
    #[must_use]
    pub fn is_met(self, present: bool) -> bool {
        match self {
            Self::Required => present,
            Self::Optional => true,
            Self::Absent => !present,
        }
    }
}
