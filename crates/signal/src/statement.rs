//! The body of a record: what exactly is said, one shape a verb.

use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap};
use thiserror::Error;

use crate::{
    alert::{Alert, AlertError},
    cbor::{self, CborError, Item, MapReader, MapWriter, Reader, Writer, map_item},
    code::codes,
    commitment::Commitment,
    header::{Header, Provenance},
    hex,
    incident::{Incident, IncidentError},
    label::Class,
    name::MemberName,
    text::{self, MAX_NOTE_BYTES},
    verb::Verb,
};

/// A day in milliseconds: leases end by days.
const DAY_MS: u64 = 86_400_000;

/// The greatest bucket: a count of 64 binary digits.
pub const MAX_BUCKET: u8 = 64;

codes! {
    /// What a confirmation rests on.
    Basis, "basis";
    /// A person of the confirming member looked at its own copy. Only this counts.
    OwnCopySeenByHuman = 0 "own_copy_seen_by_human",
    /// The member's systems matched.
    AutomaticMatch = 1 "automatic_match",
}

codes! {
    /// How a dispute ends.
    Resolution, "resolution";
    /// What was disputed stands.
    Stands = 0 "stands",
    /// What was disputed is withdrawn.
    Withdrawn = 1 "withdrawn",
}

codes! {
    /// What a member did with copies.
    Done, "outcome";
    /// Removed them.
    Removed = 0 "removed",
    /// Refused uploads.
    Blocked = 1 "blocked",
    /// Put a label on them.
    Labelled = 2 "labelled",
    /// Left them.
    Left = 3 "left",
    /// Put them back.
    Restored = 4 "restored",
}

codes! {
    /// How far an appeal is.
    AppealStage, "stage of an appeal";
    /// A user appealed.
    Opened = 0 "opened",
    /// It was decided.
    Result = 1 "result",
}

codes! {
    /// How an appeal was decided.
    AppealResult, "result of an appeal";
    /// The action stands.
    Upheld = 0 "upheld",
    /// The action was undone.
    Overturned = 1 "overturned",
}

codes! {
    /// What is said about a member.
    MemberStep, "step";
    /// It should join.
    Propose = 0 "propose",
    /// It may join.
    Approve = 1 "approve",
    /// It is suspended; the last accepted head of its log is named.
    Suspend = 2 "suspend",
}

codes! {
    /// What happens to the author's key.
    KeyStep, "step";
    /// The next key takes over.
    Rotate = 0 "rotate",
    /// The key is no longer valid.
    Revoke = 1 "revoke",
}

/// The size and root of a log at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Number of leaves.
    pub size: u64,
    /// Root of the Merkle tree over them.
    #[serde(serialize_with = "hex::serialize", deserialize_with = "hex::deserialize")]
    pub root: [u8; 32],
}

/// What a record says (`docs/format.md`, section 4). As JSON, the fields of the body.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum Statement {
    /// Founds a case.
    Assert(Alert),
    /// Adds a signal set to a case.
    Amend(Alert),
    /// Extends an assert.
    Renew {
        /// The new end, in ms since 1970-01-01 UTC.
        valid_until: u64,
    },
    /// Agrees with one record.
    Confirm {
        /// The record's commitment.
        commitment: Commitment,
        /// What the confirmation rests on.
        basis: Basis,
    },
    /// Disagrees with one record; the reason stands in the header.
    Dispute {
        /// The record's commitment.
        commitment: Commitment,
        /// An explanation for people.
        note: Option<String>,
    },
    /// Ends a dispute.
    Resolve {
        /// How it ends.
        outcome: Resolution,
        /// An explanation for people.
        note: Option<String>,
    },
    /// Takes back the author's own record; the reason stands in the header.
    Retract {
        /// Whether what was removed should be restored.
        restore: bool,
        /// An explanation for people.
        note: Option<String>,
    },
    /// Adds an edited copy.
    Variant(Alert),
    /// Joins two cases.
    Join {
        /// The subject of the other case.
        other: Commitment,
    },
    /// Counts copies seen.
    Sighting {
        /// Number of binary digits of the count.
        bucket: u8,
        /// The time in which they were seen, in ms.
        window_ms: u64,
    },
    /// Says what was done.
    Outcome {
        /// What.
        what: Done,
        /// Number of binary digits of the count.
        bucket: u8,
    },
    /// Says that a user appealed.
    Appeal {
        /// How far it is.
        stage: AppealStage,
        /// How it was decided, exactly at the stage `result`.
        result: Option<AppealResult>,
    },
    /// Declares, cosigns, updates or concludes an incident.
    Incident(Incident),
    /// Proposes, approves or suspends a member.
    Member {
        /// What is said.
        step: MemberStep,
        /// Of whom.
        member: MemberName,
        /// The last accepted head of its log, exactly for a suspension.
        last: Option<Head>,
    },
    /// Rotates or revokes the author's key.
    Key {
        /// What happens.
        step: KeyStep,
        /// The next key, or the one revoked; Ed25519.
        #[serde(serialize_with = "hex::serialize")]
        key: [u8; 32],
        /// The last head that the former key signed.
        last: Head,
    },
    /// Halts a case, which is the target, or a member.
    Halt {
        /// The member, exactly if there is no target.
        member: Option<MemberName>,
    },
    /// Erases the target.
    #[serde(serialize_with = "empty")]
    Erase,
    /// Approves a charter.
    Charter {
        /// H(charter).
        #[serde(serialize_with = "hex::serialize")]
        hash: [u8; 32],
    },
    /// Commits to the author's desk log.
    Desk(Head),
}

fn empty<S: Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_map(Some(0))?.end()
}

/// Why a body is not a statement, or does not go with its header.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StatementError {
    /// The bytes are not the encoding of a body of this verb.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// The alert is wrong.
    #[error(transparent)]
    Alert(#[from] AlertError),
    /// A text is empty, too long, not in normalization form C, or has control characters.
    #[error("{0}: a text that is empty, too long or has characters that cannot stand there")]
    Text(&'static str),
    /// More than 64 binary digits.
    #[error("a bucket is 0 to 64")]
    Bucket,
    /// The incident is wrong.
    #[error(transparent)]
    Incident(#[from] IncidentError),
    /// A field is missing or does not belong there at this step.
    #[error("{0} is missing or does not belong there")]
    Field(&'static str),
    /// The header has another verb.
    #[error("the header says {header}, the body is of {body}")]
    Verb {
        /// The header's verb.
        header: Verb,
        /// The body's verb.
        body: Verb,
    },
    /// The header has another class than the labels.
    #[error("the header's class is {header}, that of the labels {labels}")]
    Class {
        /// The header's class.
        header: Class,
        /// The labels' class.
        labels: Class,
    },
    /// An authority without a government request, or the reverse.
    #[error("an authority is named exactly for a government request")]
    Authority,
    /// A lease that is over before what it is of.
    #[error("the lease in the header ends before what the body asks for")]
    Lease,
}

impl Statement {
    /// The verb.
    #[must_use]
    pub fn verb(&self) -> Verb {
        match self {
            Self::Assert(_) => Verb::Assert,
            Self::Amend(_) => Verb::Amend,
            Self::Renew { .. } => Verb::Renew,
            Self::Confirm { .. } => Verb::Confirm,
            Self::Dispute { .. } => Verb::Dispute,
            Self::Resolve { .. } => Verb::Resolve,
            Self::Retract { .. } => Verb::Retract,
            Self::Variant(_) => Verb::Variant,
            Self::Join { .. } => Verb::Join,
            Self::Sighting { .. } => Verb::Sighting,
            Self::Outcome { .. } => Verb::Outcome,
            Self::Appeal { .. } => Verb::Appeal,
            Self::Incident(_) => Verb::Incident,
            Self::Member { .. } => Verb::Member,
            Self::Key { .. } => Verb::Key,
            Self::Halt { .. } => Verb::Halt,
            Self::Erase => Verb::Erase,
            Self::Charter { .. } => Verb::Charter,
            Self::Desk(_) => Verb::Desk,
        }
    }

    /// The alert of an assert, amend or variant.
    #[must_use]
    pub fn alert(&self) -> Option<&Alert> {
        match self {
            Self::Assert(alert) | Self::Amend(alert) | Self::Variant(alert) => Some(alert),
            _ => None,
        }
    }

    /// The one encoding of the body.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        match self {
            Self::Assert(alert) | Self::Amend(alert) | Self::Variant(alert) => {
                alert.write(&mut writer);
            }
            Self::Incident(incident) => incident.write(&mut writer),
            Self::Desk(head) => head.write(&mut writer),
            _ => writer.map(|map| self.write_fields(map)),
        }
        writer.into_bytes()
    }

    fn write_fields(&self, map: &mut MapWriter) {
        match self {
            Self::Renew { valid_until } => map.put(0, valid_until),
            Self::Confirm { commitment, basis } => {
                map.put(0, commitment);
                map.put(1, basis);
            }
            Self::Dispute { commitment, note } => {
                map.put(0, commitment);
                map.text(1, note.as_deref());
            }
            Self::Resolve { outcome, note } => {
                map.put(0, outcome);
                map.text(1, note.as_deref());
            }
            Self::Retract { restore, note } => {
                map.entry(0, |writer| writer.bool(*restore));
                map.text(1, note.as_deref());
            }
            Self::Join { other } => map.put(0, other),
            Self::Sighting { bucket, window_ms } => {
                map.put(0, bucket);
                map.put(1, window_ms);
            }
            Self::Outcome { what, bucket } => {
                map.put(0, what);
                map.put(1, bucket);
            }
            Self::Appeal { stage, result } => {
                map.put(0, stage);
                map.put_some(1, result.as_ref());
            }
            Self::Member { step, member, last } => {
                map.put(0, step);
                map.put(1, member);
                map.put_some(2, last.map(|last| last.size).as_ref());
                map.put_some(3, last.map(|last| last.root).as_ref());
            }
            Self::Key { step, key, last } => {
                map.put(0, step);
                map.put(1, key);
                map.put(2, &last.size);
                map.put(3, &last.root);
            }
            Self::Halt { member } => map.put_some(0, member.as_ref()),
            Self::Charter { hash } => map.put(0, hash),
            Self::Erase
            | Self::Assert(_)
            | Self::Amend(_)
            | Self::Variant(_)
            | Self::Incident(_)
            | Self::Desk(_) => {}
        }
    }

    /// Reads a body of a verb: exactly what [`Statement::encode`] writes of a valid statement.
    ///
    /// # Errors
    /// [`StatementError`] for every other byte string.
    pub fn decode(verb: Verb, bytes: &[u8]) -> Result<Self, StatementError> {
        let statement = match verb {
            Verb::Assert => Self::Assert(cbor::decode(bytes)?),
            Verb::Amend => Self::Amend(cbor::decode(bytes)?),
            Verb::Variant => Self::Variant(cbor::decode(bytes)?),
            Verb::Incident => Self::Incident(cbor::decode(bytes)?),
            Verb::Desk => Self::Desk(cbor::decode(bytes)?),
            _ => {
                let mut reader = Reader::new(bytes);
                let mut map = reader.map()?;
                let statement = Self::read_fields(verb, &mut map)?;
                map.end()?;
                reader.end()?;
                statement
            }
        };
        statement.validate()?;
        // The typed readers compared already; the fields of the other verbs are compared here.
        if statement.encode() == bytes { Ok(statement) } else { Err(CborError::NotDeterministic)? }
    }

    fn read_fields(verb: Verb, map: &mut MapReader<'_, '_>) -> Result<Self, StatementError> {
        Ok(match verb {
            Verb::Renew => Self::Renew { valid_until: map.take(0)? },
            Verb::Confirm => Self::Confirm { commitment: map.take(0)?, basis: map.take(1)? },
            Verb::Dispute => Self::Dispute { commitment: map.take(0)?, note: note(map)? },
            Verb::Resolve => Self::Resolve { outcome: map.take(0)?, note: note(map)? },
            Verb::Retract => {
                Self::Retract { restore: map.entry(0, Reader::bool)?, note: note(map)? }
            }
            Verb::Join => Self::Join { other: map.take(0)? },
            Verb::Sighting => Self::Sighting { bucket: map.take(0)?, window_ms: map.take(1)? },
            Verb::Outcome => Self::Outcome { what: map.take(0)?, bucket: map.take(1)? },
            Verb::Appeal => Self::Appeal { stage: map.take(0)?, result: map.take_if(1)? },
            Verb::Member => Self::Member {
                step: map.take(0)?,
                member: map.take(1)?,
                last: match (map.take_if(2)?, map.take_if(3)?) {
                    (Some(size), Some(root)) => Some(Head { size, root }),
                    (None, None) => None,
                    _ => return Err(StatementError::Field("last_size or last_root")),
                },
            },
            Verb::Key => Self::Key {
                step: map.take(0)?,
                key: map.take(1)?,
                last: Head { size: map.take(2)?, root: map.take(3)? },
            },
            Verb::Halt => Self::Halt { member: map.take_if(0)? },
            Verb::Charter => Self::Charter { hash: map.take(0)? },
            Verb::Erase => Self::Erase,
            Verb::Assert | Verb::Amend | Verb::Variant | Verb::Incident | Verb::Desk => {
                unreachable!("these bodies are read by their own types")
            }
        })
    }

    /// Checks what the types leave open.
    ///
    /// # Errors
    /// The first [`StatementError`].
    pub fn validate(&self) -> Result<(), StatementError> {
        match self {
            Self::Assert(alert) | Self::Amend(alert) => alert.validate()?,
            Self::Variant(alert) => {
                alert.validate()?;
                require(alert.family.is_some(), "family")?;
            }
            Self::Incident(incident) => incident.validate()?,
            Self::Dispute { note, .. }
            | Self::Resolve { note, .. }
            | Self::Retract { note, .. } => {
                let fit = note.as_ref().is_none_or(|note| text::is_fit(note, MAX_NOTE_BYTES));
                fit.then_some(()).ok_or(StatementError::Text("note"))?;
            }
            Self::Sighting { bucket, .. } | Self::Outcome { bucket, .. } => {
                (*bucket <= MAX_BUCKET).then_some(()).ok_or(StatementError::Bucket)?;
            }
            Self::Appeal { stage, result } => {
                require((*stage == AppealStage::Result) == result.is_some(), "result")?;
            }
            Self::Member { step, last, .. } => {
                require((*step == MemberStep::Suspend) == last.is_some(), "last_size")?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Checks that the statement goes with its header: verb, class, authority, lease, target.
    ///
    /// # Errors
    /// The first [`StatementError`].
    pub fn check(&self, header: &Header) -> Result<(), StatementError> {
        if header.verb != self.verb() {
            return Err(StatementError::Verb { header: header.verb, body: self.verb() });
        }
        match self {
            Self::Assert(alert) | Self::Amend(alert) | Self::Variant(alert) => {
                let labels = alert.class();
                if labels != Class::None && labels != header.class {
                    return Err(StatementError::Class { header: header.class, labels });
                }
                let asked = header.provenance == Provenance::GovernmentRequest;
                if asked != alert.authority.is_some() {
                    return Err(StatementError::Authority);
                }
                check_lease(header, alert.valid_until)
            }
            Self::Renew { valid_until } => check_lease(header, *valid_until),
            Self::Incident(incident) => {
                require(incident.step.is_first() == header.target.is_none(), "target")
            }
            Self::Halt { member } => require(member.is_some() == header.target.is_none(), "target"),
            _ => Ok(()),
        }
    }
}

/// Whoever does not get the record goes by the lease: it must not hide what is still looked for.
fn check_lease(header: &Header, valid_until: u64) -> Result<(), StatementError> {
    let ends = valid_until / DAY_MS;
    let covers = header.lease_day.is_none_or(|day| u64::from(day) >= ends);
    if covers { Ok(()) } else { Err(StatementError::Lease) }
}

fn require(met: bool, field: &'static str) -> Result<(), StatementError> {
    if met { Ok(()) } else { Err(StatementError::Field(field)) }
}

fn note(map: &mut MapReader<'_, '_>) -> Result<Option<String>, CborError> {
    map.entry_if(1, |reader| reader.text(MAX_NOTE_BYTES).map(str::to_owned))
}

map_item!(Head { 0 size, 1 root });
