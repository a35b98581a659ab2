//! Says something in our own log, to the coalition.
//!
//! **Invariant:** nothing is signed before recovery has opened the [`Sequencer`](crate::sequence::Sequencer).

use std::sync::Arc;

use thiserror::Error;
use watchfire_signal::{
    commitment::Commitment,
    header::{CharterRef, Header},
    name::LogName,
    record::{SealError, seal},
    statement::Statement,
};
use watchfire_store::{Row, StoreError, Table};

use crate::{
    clock::Random,
    sequence::{self, Beside, Drafts, Sealed, SequenceError, Writer},
};

pub use crate::sequence::Published;

/// Something to say, but for what the sequencer fills in (log, charter, salt).
#[derive(Debug, Clone)]
pub struct Draft {
    /// The header; `author_log` and `charter` are replaced.
    pub header: Header,
    /// The body.
    pub statement: Statement,
    /// Under which idempotency key the answer becomes durable with it.
    pub answer: Option<AnswerKey>,
}

/// Under which idempotency key the answer is kept.
pub type AnswerKey = Vec<u8>;

/// Hands statements to the sequencer of our log.
pub type Publisher = Writer<Draft>;
/// Statements on their way to it.
pub type Statements = Drafts<Draft>;

/// Answers under idempotency keys: SHA-256 of caller and key → what was published.
pub const ANSWERS: Table = Table::Ledger("answers");

/// What every statement of this member carries.
pub struct Letterhead {
    /// Our log.
    pub log: LogName,
    /// The charter in force.
    pub charter: CharterRef,
    /// For salts.
    pub random: Arc<dyn Random>,
}

/// Why a draft was not published; nothing of it was.
#[derive(Debug, Error)]
pub enum PublishError {
    /// The statement breaks the format.
    #[error(transparent)]
    Invalid(#[from] SealError),
    /// The log could not be written.
    #[error(transparent)]
    Sequence(#[from] SequenceError),
}

impl From<StoreError> for PublishError {
    fn from(error: StoreError) -> Self {
        SequenceError::Store(error).into()
    }
}

impl sequence::Draft for Draft {
    type Sealer = Letterhead;
    type Error = PublishError;

    fn seal(&self, letterhead: &Letterhead) -> Result<Sealed, PublishError> {
        let mut header = self.header.clone();
        header.author_log = letterhead.log.clone();
        header.charter = letterhead.charter;
        let mut salt = [0; 16];
        letterhead.random.fill(&mut salt);
        let sealed = seal(&header, &self.statement, salt)?;
        let commitment = sealed.commitment;
        Ok(Sealed { leaf: sealed.leaf.into(), record: sealed.record.into(), commitment })
    }

    fn with(self, published: Published) -> Beside {
        let row = self.answer.map(|key| published.row(key));
        Beside { rows: row.into_iter().collect(), effects: Vec::new() }
    }
}

impl Published {
    fn row(self, key: AnswerKey) -> Row {
        let mut value = self.index.to_be_bytes().to_vec();
        value.extend_from_slice(&self.commitment.0);
        Row { table: ANSWERS, key, value: Some(value) }
    }

    /// Reads what [`ANSWERS`] keeps.
    #[must_use]
    pub fn from_row(value: &[u8]) -> Option<Self> {
        let index = u64::from_be_bytes(value.get(..8)?.try_into().ok()?);
        let commitment = Commitment(value.get(8..40)?.try_into().ok()?);
        (value.len() == 40).then_some(Self { commitment, index })
    }
}
