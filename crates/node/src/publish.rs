//! Says something in our own log, to the coalition.
//!
//! **Invariant:** nothing is signed before recovery has opened the [`Sequencer`](crate::sequence::Sequencer).

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use thiserror::Error;
use watchfire_signal::{
    charter::Quotas,
    header::{CharterRef, Header},
    name::LogName,
    record::{SealError, seal},
    statement::Statement,
};
use watchfire_store::StoreError;

use crate::{
    clock::{Clock, Random},
    desk::Actor,
    replicate::LogCopy,
    said,
    sequence::{self, Beside, Drafts, Sealed, SequenceError, Writer},
};

pub use crate::sequence::{ANSWERS, AnswerKey, Published};

/// Something to say, but for what the sequencer fills in (log, charter, salt).
#[derive(Debug, Clone)]
pub struct Draft {
    /// The header; `author_log`, `charter`, `minute` and `size` are replaced.
    pub header: Header,
    /// The body.
    pub statement: Statement,
    /// Who of this member has it said; none but the node itself.
    pub asked: Option<Asked>,
    /// Whether it is refused where the quotas leave no room for it. What is not goes into the log all the same.
    pub within_quota: bool,
}

/// Who of this member has something said to the coalition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The person or the program. It stands in the desk log beside what was said.
    pub by: Actor,
    /// Under which idempotency key the answer becomes durable with it.
    pub key: Option<AnswerKey>,
}

/// Hands statements to the sequencer of our log.
pub type Publisher = Writer<Draft>;
/// Statements on their way to it.
pub type Statements = Drafts<Draft>;

/// What every statement of this member carries.
pub struct Letterhead {
    /// Our log.
    pub log: LogName,
    /// The charter in force.
    pub charter: CharterRef,
    /// For salts.
    pub random: Arc<dyn Random>,
    /// When it is written.
    pub minutes: Minutes,
    /// What counts how much is said, with the quotas that hold; nobody counts without.
    pub quotas: Option<(Arc<LogCopy>, Quotas)>,
}

/// Says in which minute something is written: by the machine's clock, and never before what the log says
/// already.
pub struct Minutes {
    wall_clock: Arc<dyn Clock>,
    last: AtomicU32,
}

impl Minutes {
    /// For a log whose last entry was written in this minute.
    #[must_use]
    pub fn after(last: u32, wall_clock: Arc<dyn Clock>) -> Self {
        Self { wall_clock, last: AtomicU32::new(last) }
    }

    fn now(&self) -> u32 {
        let now = u32::try_from(self.wall_clock.now_ms() / 60_000).unwrap_or(u32::MAX);
        self.last.fetch_max(now, Ordering::SeqCst).max(now)
    }
}

/// Why a draft was not published; nothing of it was.
#[derive(Debug, Error)]
pub enum PublishError {
    /// The statement breaks the format.
    #[error(transparent)]
    Invalid(#[from] SealError),
    /// A quota leaves no room for it.
    #[error("this member has used up {0} ({1}) of the charter")]
    Quota(&'static str, u64),
    /// The log could not be written.
    #[error(transparent)]
    Sequence(#[from] SequenceError),
}

impl PublishError {
    /// Whether a full disk refused it: the same may be said again once there is room.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Self::Sequence(SequenceError::Store(StoreError::Full)))
    }
}

impl From<StoreError> for PublishError {
    fn from(error: StoreError) -> Self {
        SequenceError::Store(error).into()
    }
}

impl sequence::Draft for Draft {
    type Sealer = Letterhead;
    type Error = PublishError;

    fn seal(&self, letterhead: &Letterhead, index: u64) -> Result<Sealed, PublishError> {
        let mut header = self.header.clone();
        header.author_log = letterhead.log.clone();
        header.charter = letterhead.charter;
        header.minute = Some(letterhead.minutes.now());
        let mut salt = [0; 16];
        letterhead.random.fill(&mut salt);
        let sealed = seal(&header, &self.statement, salt)?;
        header.size = sealed.size;
        if let Some((copy, quotas)) = &letterhead.quotas
            && let Some((name, value)) =
                copy.seal((index, &header), self.within_quota.then_some(quotas))
        {
            return Err(PublishError::Quota(name, value));
        }
        let commitment = sealed.commitment;
        Ok(Sealed { leaf: sealed.leaf.into(), record: sealed.record.into(), commitment })
    }

    fn answer_key(&self) -> Option<&AnswerKey> {
        self.asked.as_ref()?.key.as_ref()
    }

    fn with(self, published: Published) -> Beside {
        let by = self.asked.map(|asked| asked.by).filter(|by| *by != Actor::Node);
        let row = by.map(|by| said::row(by, self.header.verb, published));
        Beside { rows: row.into_iter().collect(), ..Beside::default() }
    }
}
