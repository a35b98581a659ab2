//! The lines of a member's desk log: what it does at home, in a form that can be proven to a stranger
//! later and erased when the law asks for it (`docs/format.md`, section 12).
//!
//! **Invariant:** a line has exactly one encoding; every other byte string is refused.
//! **Invariant:** the leaf says when and what kind of thing was done; who did it and to what stands in
//! the record only, so that an erased record leaves the log whole.

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::{
    cbor::{self, CborError, Item, Reader, Writer, map_item},
    commitment::Commitment,
};

/// The longest body of a line: lists are named by their digest.
pub const MAX_BODY_BYTES: usize = 65_536;
/// The longest name of an actor.
pub const MAX_ACTOR_BYTES: usize = 256;
/// The version of lines that is read and written.
const VERSION: u64 = 1;
/// What commitments of desk lines begin with.
const DOMAIN: &[u8] = b"watchfire/desk/v1\0";

/// Kinds of things that a member does at home.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeskKind {
    /// A version of the policy came into force.
    Policy,
    /// A bank was made, changed or deleted.
    Bank,
    /// Signals were put into a bank or taken out of it.
    BankSignals,
    /// A person decided about an item or a signal.
    Decision,
    /// A person looked at something.
    Look,
    /// An API key was made, changed or revoked.
    Key,
    /// An account of a person was made, changed or closed.
    Account,
    /// Digest of a batch of automatic decisions.
    Digest,
    /// What became of an action on the platform.
    Outcome,
    /// A person intervened in the outbox: tried a dead letter again, or gave it up.
    Outbox,
    /// What the platform held before was loaded, or something of it was deleted.
    Seen,
    /// A charter was proposed or approved, or a member invited.
    Charter,
    /// A person or program of this member had something said to the coalition.
    Said,
}

/// Kinds by their code.
const KINDS: [(u64, &str, DeskKind); 13] = [
    (0, "policy", DeskKind::Policy),
    (1, "bank", DeskKind::Bank),
    (2, "bank_signals", DeskKind::BankSignals),
    (3, "decision", DeskKind::Decision),
    (4, "look", DeskKind::Look),
    (5, "key", DeskKind::Key),
    (6, "account", DeskKind::Account),
    (7, "digest", DeskKind::Digest),
    (8, "outcome", DeskKind::Outcome),
    (9, "outbox", DeskKind::Outbox),
    (10, "seen", DeskKind::Seen),
    (11, "charter", DeskKind::Charter),
    (12, "said", DeskKind::Said),
];

impl DeskKind {
    /// The name as people read it.
    #[must_use]
    pub fn name(self) -> &'static str {
        KINDS.iter().find(|(_, _, kind)| *kind == self).map_or("", |(_, name, _)| name)
    }

    /// The kind of a name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        KINDS.iter().find(|(_, known, _)| *known == name).map(|(_, _, kind)| *kind)
    }

    fn code(self) -> u64 {
        KINDS.iter().find(|(_, _, kind)| *kind == self).map_or(0, |(code, _, _)| *code)
    }
}

/// Version 1, the only one there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version;

/// A leaf of the desk log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeskLeaf {
    /// The version of the line.
    pub v: Version,
    /// What kind of thing was done.
    pub kind: DeskKind,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Of the record.
    pub commitment: Commitment,
}

/// What is beside a leaf: who did what.
#[derive(Clone, PartialEq, Eq)]
pub struct DeskRecord {
    /// Who: `key:NAME`, `person:PSEUDONYM` or `node`.
    pub actor: String,
    /// What, as JSON in UTF-8.
    pub body: Vec<u8>,
}

/// Shows sizes only: a line names items and people.
impl std::fmt::Debug for DeskRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DeskRecord({} bytes)", self.body.len())
    }
}

/// A line, ready for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedLine {
    /// The leaf.
    pub leaf: Vec<u8>,
    /// The record.
    pub record: Vec<u8>,
    /// The commitment in the leaf: the name of the line.
    pub commitment: Commitment,
}

/// Why bytes are not a line of a desk log.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DeskError {
    /// Not the one encoding of it.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// The record is not the one that the leaf was made for.
    #[error("the record's commitment is not that of its leaf")]
    Commitment,
}

/// Encodes a line. `salt` is 16 fresh random bytes.
///
/// # Errors
/// [`DeskError`] for everything that a reader would refuse.
pub fn seal_line(
    kind: DeskKind,
    at_ms: u64,
    record: &DeskRecord,
    salt: [u8; 16],
) -> Result<SealedLine, DeskError> {
    let outer = Outer { content: cbor::encode(record), salt };
    let commitment = outer.commitment();
    let leaf = DeskLeaf { v: Version, kind, at_ms, commitment };
    let record = cbor::encode(&outer);
    // By the reader's own eyes: an actor that is not normalised, for one, is refused here.
    leaf.open(&record)?;
    Ok(SealedLine { leaf: cbor::encode(&leaf), record, commitment })
}

impl DeskLeaf {
    /// Reads a leaf.
    ///
    /// # Errors
    /// [`DeskError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, DeskError> {
        Ok(cbor::decode(bytes)?)
    }

    /// Reads the record that came with this leaf.
    ///
    /// # Errors
    /// [`DeskError`]; a record of another leaf is [`DeskError::Commitment`].
    pub fn open(&self, record: &[u8]) -> Result<DeskRecord, DeskError> {
        let outer: Outer = cbor::decode(record)?;
        if outer.commitment() != self.commitment {
            return Err(DeskError::Commitment);
        }
        Ok(cbor::decode(&outer.content)?)
    }
}

/// Actor and body as they are hashed, with the salt that keeps them from being guessed.
struct Outer {
    content: Vec<u8>,
    salt: [u8; 16],
}

impl Outer {
    fn commitment(&self) -> Commitment {
        let inner = Sha256::new().chain_update(self.salt).chain_update(&self.content).finalize();
        Commitment(Sha256::new().chain_update(DOMAIN).chain_update(inner).finalize().into())
    }
}

impl Item for Outer {
    fn write(&self, writer: &mut Writer) {
        writer.map(|map| {
            map.bytes(0, &self.content);
            map.put(1, &self.salt);
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let mut map = reader.map()?;
        let most = MAX_ACTOR_BYTES + MAX_BODY_BYTES + 16;
        let content = map.entry(0, |reader| reader.bytes(most))?.to_vec();
        let salt = map.take(1)?;
        map.end()?;
        Ok(Self { content, salt })
    }
}

impl Item for DeskRecord {
    fn write(&self, writer: &mut Writer) {
        writer.map(|map| {
            map.text(0, Some(&self.actor));
            map.bytes(1, &self.body);
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let mut map = reader.map()?;
        let actor = map.entry(0, |reader| reader.text(MAX_ACTOR_BYTES))?.to_owned();
        let body = map.entry(1, |reader| reader.bytes(MAX_BODY_BYTES))?.to_vec();
        map.end()?;
        Ok(Self { actor, body })
    }
}

impl Item for Version {
    fn write(&self, writer: &mut Writer) {
        writer.uint(VERSION);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        if reader.uint()? == VERSION { Ok(Self) } else { Err(reader.not("version 1")) }
    }
}

impl Item for DeskKind {
    fn write(&self, writer: &mut Writer) {
        writer.uint(self.code());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let code = reader.uint()?;
        let known = KINDS.iter().find(|(known, _, _)| *known == code);
        known.map(|(_, _, kind)| *kind).ok_or_else(|| reader.not("a kind of desk line"))
    }
}

map_item!(DeskLeaf { 0 v, 1 kind, 2 at_ms, 3 commitment });
