//! The desk log: what this member does at home. Whoever changes something here on a person's word, or
//! lets a person look, writes a line; the line and the change are one transaction.
//!
//! **Invariant:** no rule, bank, key, account or decision of a person changes without its line.
//! **Invariant:** the desk log never leaves the node; members see at most its size and root.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;
use watchfire_signal::{
    commitment::Commitment,
    desk::{DeskError, DeskLeaf, DeskRecord, MAX_BODY_BYTES, seal_line},
    name::LogName,
};
use watchfire_store::{Effect, Row, Settlement, Store, StoreError};
use watchfire_tlog::{Checkpoint, Origin, PeerKey, Source};

use crate::{
    clock::{Clock, Random},
    sequence::{self, Beside, Drafts, Published, Sealed, SequenceError, Writer},
};

pub use watchfire_signal::desk::DeskKind;

/// Lines read at once while looking for those of one kind.
const PAGE: usize = 512;

/// Who did something at home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Actor {
    /// A program, by the name of its API key.
    Key(String),
    /// A person, by pseudonym.
    Person(String),
    /// The node itself, by its configuration or rules.
    Node,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(name) => write!(f, "key:{name}"),
            Self::Person(name) => write!(f, "person:{name}"),
            Self::Node => f.write_str("node"),
        }
    }
}

/// A body of desk lines: each verb that writes lines has its own.
pub trait Deed: Serialize {
    /// The kind of its lines.
    const KIND: DeskKind;
}

/// A line to be written with what it changes.
pub struct Line {
    actor: String,
    kind: DeskKind,
    body: Vec<u8>,
    beside: Beside,
}

impl Line {
    /// A line that changes nothing but the desk log.
    ///
    /// # Errors
    /// [`WriteError::TooLong`]: a list in a body is named by its digest.
    pub fn new<D: Deed>(actor: &Actor, deed: &D) -> Result<Self, WriteError> {
        let body = serde_json::to_vec(deed).map_err(|error| WriteError::Body(error.to_string()))?;
        if body.len() > MAX_BODY_BYTES {
            return Err(WriteError::TooLong);
        }
        let beside = Beside::default();
        Ok(Self { actor: actor.to_string(), kind: D::KIND, body, beside })
    }

    /// Adds rows that change with it.
    #[must_use]
    pub fn rows(mut self, rows: impl IntoIterator<Item = Row>) -> Self {
        self.beside.rows.extend(rows);
        self
    }

    /// Adds effects that begin with it.
    #[must_use]
    pub fn effects(mut self, effects: impl IntoIterator<Item = Effect>) -> Self {
        self.beside.effects.extend(effects);
        self
    }

    /// Adds what became of effects.
    #[must_use]
    pub fn settlements(mut self, settlements: impl IntoIterator<Item = Settlement>) -> Self {
        self.beside.settlements.extend(settlements);
        self
    }
}

/// Why a line was not written; nothing that goes with it happened then.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The body cannot be written as JSON.
    #[error("the line cannot be written: {0}")]
    Body(String),
    /// The body is longer than [`MAX_BODY_BYTES`].
    #[error("a desk line has at most {MAX_BODY_BYTES} bytes")]
    TooLong,
    /// The line breaks the format.
    #[error(transparent)]
    Invalid(#[from] DeskError),
    /// The log could not be written.
    #[error(transparent)]
    Sequence(#[from] SequenceError),
}

/// What seals desk lines.
pub struct Stamp {
    /// The time that stands in a leaf.
    pub clock: Arc<dyn Clock>,
    /// For salts.
    pub random: Arc<dyn Random>,
}

impl sequence::Draft for Line {
    type Sealer = Stamp;
    type Error = WriteError;

    fn seal(&self, stamp: &Stamp, _index: u64) -> Result<Sealed, WriteError> {
        let mut salt = [0; 16];
        stamp.random.fill(&mut salt);
        let record = DeskRecord { actor: self.actor.clone(), body: self.body.clone() };
        let sealed = seal_line(self.kind, stamp.clock.now_ms(), &record, salt)?;
        let commitment = sealed.commitment;
        Ok(Sealed { leaf: sealed.leaf.into(), record: sealed.record.into(), commitment })
    }

    fn with(self, _: Published) -> Beside {
        self.beside
    }
}

/// Lines on their way to the desk log's sequencer.
pub type Lines = Drafts<Line>;

/// The desk log, to write and to read. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    origin: Origin,
    key: PeerKey,
    writer: Writer<Line>,
    store: Arc<dyn Store>,
}

/// A line as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its place.
    pub index: u64,
    /// When it was written, in milliseconds since 1970.
    pub at_ms: u64,
    /// What kind of thing was done.
    pub kind: DeskKind,
    /// The name of the line.
    pub commitment: Commitment,
    /// Who, and what; `None` when it has been erased.
    pub record: Option<DeskRecord>,
}

impl Written {
    /// The body as what was written, if it is still there and of that kind.
    #[must_use]
    pub fn deed<D: Deed + DeserializeOwned>(&self) -> Option<D> {
        let record = self.record.as_ref().filter(|_| self.kind == D::KIND)?;
        serde_json::from_slice(&record.body).ok()
    }
}

/// The name of a member's desk log.
///
/// # Errors
/// A name that no log can have.
pub fn desk_origin(log: &LogName) -> Result<Origin, String> {
    Origin::new(format!("{log}/desk")).map_err(|error| error.to_string())
}

impl Desk {
    /// The desk log of a node; lines wait in the queue until its sequencer runs.
    #[must_use]
    pub fn new(origin: Origin, key: PeerKey, store: Arc<dyn Store>) -> (Self, Lines) {
        let (writer, lines) = Writer::new();
        (Self { origin, key, writer, store }, lines)
    }

    /// The log's name.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The key that signs its head.
    #[must_use]
    pub fn key(&self) -> &PeerKey {
        &self.key
    }

    /// The log as it can be audited.
    #[must_use]
    pub fn source(&self) -> Arc<dyn Source> {
        self.store.read(&self.origin)
    }

    /// Writes a line with what it changes, in one transaction; returns when that is durable.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn write(&self, line: Line) -> Result<Published, WriteError> {
        self.writer.write(line).await
    }

    /// Lines written so far.
    ///
    /// # Errors
    /// The store's.
    pub async fn size(&self) -> Result<u64, StoreError> {
        Ok(self.head().await?.map_or(0, |head| head.size))
    }

    /// What its signed head says; nothing while no line is written.
    ///
    /// # Errors
    /// The store's.
    pub async fn head(&self) -> Result<Option<Checkpoint>, StoreError> {
        let signed = self.store.read(&self.origin).checkpoint().await;
        let signed = signed.map_err(|error| StoreError::Failed(error.to_string()))?;
        let corrupt = |error| StoreError::Corrupt(format!("the head of the desk log: {error}"));
        signed.map(|signed| signed.verify(&self.origin, &self.key).map_err(corrupt)).transpose()
    }

    /// Up to `limit` lines from index `from` on.
    ///
    /// # Errors
    /// The store's; a line that cannot be read is [`StoreError::Corrupt`].
    pub async fn read(&self, from: u64, limit: usize) -> Result<Vec<Written>, StoreError> {
        let corrupt = |index: u64, error: DeskError| {
            StoreError::Corrupt(format!("line {index} of the desk log: {error}"))
        };
        let held = self.store.held(&self.origin, from, limit).await?;
        let read = held.into_iter().map(|held| {
            let index = held.index;
            let leaf = DeskLeaf::decode(&held.entry.leaf).map_err(|e| corrupt(index, e))?;
            let record = held.entry.record.as_ref().map(|record| leaf.open(record)).transpose();
            let record = record.map_err(|error| corrupt(index, error))?;
            let DeskLeaf { kind, at_ms, commitment, .. } = leaf;
            Ok(Written { index, at_ms, kind, commitment, record })
        });
        read.collect()
    }

    /// The newest `limit` lines of a kind (of every kind, if none is named) before index `before`,
    /// newest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn newest(
        &self,
        kind: Option<DeskKind>,
        before: u64,
        limit: usize,
    ) -> Result<Vec<Written>, StoreError> {
        let mut found = Vec::new();
        let mut end = before.min(self.size().await?);
        while end > 0 && found.len() < limit {
            let from = end.saturating_sub(PAGE as u64);
            let mut page = self.read_all(from, end).await?;
            page.retain(|line| kind.is_none_or(|kind| line.kind == kind));
            found.extend(page.into_iter().rev());
            end = from;
        }
        found.truncate(limit);
        Ok(found)
    }

    /// All lines of a range, however few the store hands out at once.
    pub(crate) async fn read_all(&self, from: u64, end: u64) -> Result<Vec<Written>, StoreError> {
        let mut lines = Vec::new();
        let mut next = from;
        while next < end {
            let page = self.read(next, usize::try_from(end - next).unwrap_or(PAGE)).await?;
            let Some(last) = page.last() else { break };
            next = last.index + 1;
            lines.extend(page);
        }
        Ok(lines)
    }
}
