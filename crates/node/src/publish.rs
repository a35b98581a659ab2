//! Says something in our own log: a statement becomes a leaf, is signed, durable, and only then
//! leaves the process.
//!
//! **Invariant:** no leaf or signature leaves before `commit` returned `Ok`.
//! **Invariant:** nothing is signed before recovery has opened the [`Sequencer`].

use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use watchfire_signal::{
    commitment::Commitment,
    header::{CharterRef, Header},
    name::LogName,
    record::{SealError, seal},
    statement::Statement,
};
use watchfire_store::{Append, Batch, CommitError, MAX_APPEND_BYTES, Row, Store, StoreError};
use watchfire_tlog::{Checkpoint, Entry, Frontier, Hash, Origin, OwnKey, SignedCheckpoint};

use crate::clock::{Clock, Random};

/// Statements that can wait for the sequencer; more callers wait for room.
pub const QUEUE: usize = 4_096;
/// Statements in one transaction: what comes while a commit runs goes into the next one together.
pub const MAX_BATCH: usize = 256;

/// Something to say, but for what the sequencer fills in (log, charter, salt).
#[derive(Debug, Clone)]
pub struct Draft {
    /// The header; `author_log` and `charter` are replaced.
    pub header: Header,
    /// The body.
    pub statement: Statement,
    /// Rows that become durable with it, such as the answer under an idempotency key; they are
    /// made when the place is known.
    pub answer: Option<AnswerKey>,
}

/// Under which idempotency key the answer is kept.
pub type AnswerKey = Vec<u8>;

/// What became of a draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// The commitment of the record: its name.
    pub commitment: Commitment,
    /// Its index in our log.
    pub index: u64,
}

/// Why a draft was not published; nothing of it was.
#[derive(Debug, Error)]
pub enum PublishError {
    /// The statement breaks the format.
    #[error(transparent)]
    Invalid(#[from] SealError),
    /// The store failed; whether it is in the log is not known.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another process writes the same log.
    #[error("another process writes this member's log; stop one of them")]
    TwoWriters,
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
}

/// Hands drafts to the sequencer.
#[derive(Debug, Clone)]
pub struct Publisher {
    queue: mpsc::Sender<Job>,
}

#[derive(Debug)]
struct Job {
    draft: Draft,
    done: oneshot::Sender<Result<Published, PublishError>>,
}

impl Publisher {
    /// A publisher and the queue for its [`Sequencer`].
    #[must_use]
    pub fn new() -> (Self, Drafts) {
        let (queue, drafts) = mpsc::channel(QUEUE);
        (Self { queue }, Drafts(drafts))
    }

    /// Says it; returns when it is durable.
    ///
    /// # Errors
    /// [`PublishError`]; after `Store` the caller looks into the log before saying it again.
    pub async fn publish(&self, draft: Draft) -> Result<Published, PublishError> {
        let (done, answer) = oneshot::channel();
        let job = Job { draft, done };
        self.queue.send(job).await.map_err(|_| PublishError::Stopping)?;
        answer.await.map_err(|_| PublishError::Stopping)?
    }
}

/// Drafts on their way to the sequencer.
#[derive(Debug)]
pub struct Drafts(mpsc::Receiver<Job>);

/// The one writer of our log.
pub struct Sequencer {
    /// The log.
    pub log: LogName,
    /// Its origin line.
    pub origin: Origin,
    /// The key it is signed with.
    pub key: OwnKey,
    /// The charter in force.
    pub charter: CharterRef,
    /// The tree of what is durable.
    pub frontier: Frontier,
    /// Where it is kept.
    pub store: Arc<dyn Store>,
    /// The node's clock.
    pub clock: Arc<dyn Clock>,
    /// For salts.
    pub random: Arc<dyn Random>,
}

/// Answers under idempotency keys: SHA-256 of caller and key → what was published.
pub const ANSWERS: watchfire_store::Table = watchfire_store::Table::Ledger("answers");

impl Sequencer {
    /// Writes drafts until the publisher is gone or another writer shows up.
    pub async fn run(mut self, mut drafts: Drafts) {
        let mut jobs = Vec::with_capacity(MAX_BATCH);
        while drafts.0.recv_many(&mut jobs, MAX_BATCH).await > 0 {
            let stop = self.write(std::mem::take(&mut jobs)).await;
            if stop {
                return;
            }
        }
    }

    /// Seals, and commits in groups that fit one append. True: give up.
    async fn write(&mut self, jobs: Vec<Job>) -> bool {
        let mut group = Group::new(self.frontier.clone());
        for job in jobs {
            let (leaf, record, commitment) = match self.seal(&job.draft) {
                Ok(sealed) => sealed,
                Err(error) => {
                    answer(job.done, Err(error));
                    continue;
                }
            };
            if group.bytes + leaf.len() + record.len() > MAX_APPEND_BYTES {
                if self.commit(group).await {
                    return true;
                }
                group = Group::new(self.frontier.clone());
            }
            group.add(job, leaf, record, commitment);
        }
        self.commit(group).await
    }

    /// Signs, commits, answers. True: give up.
    async fn commit(&mut self, group: Group) -> bool {
        if group.entries.is_empty() {
            return false;
        }
        let batch = self.batch(&group);
        match self.store.commit(batch).await {
            Ok(()) => {
                self.frontier = group.frontier;
                for (done, published) in group.done {
                    answer(done, Ok(published));
                }
                false
            }
            Err(error) => {
                // After a failed commit the log may or may not have grown. Signing on from a guess
                // could fork it, so this process signs nothing more until it is started again.
                tracing::error!(%error, log = %self.log, "own log could not be written; signing stops");
                for (done, _) in group.done {
                    answer(done, Err(refusal(&error)));
                }
                true
            }
        }
    }

    fn seal(&self, draft: &Draft) -> Result<(Bytes, Bytes, Commitment), PublishError> {
        let mut header = draft.header.clone();
        header.author_log = self.log.clone();
        header.charter = self.charter;
        let mut salt = [0; 16];
        self.random.fill(&mut salt);
        let sealed = seal(&header, &draft.statement, salt)?;
        Ok((sealed.leaf.into(), sealed.record.into(), sealed.commitment))
    }

    fn batch(&self, group: &Group) -> Batch {
        let checkpoint = Checkpoint {
            origin: self.origin.clone(),
            size: group.frontier.size(),
            root: group.frontier.root(),
        };
        Batch {
            append: Some(Append {
                log: self.origin.clone(),
                size: self.frontier.size(),
                entries: group.entries.clone(),
                leaf_hashes: group.hashes.clone(),
                checkpoint: SignedCheckpoint::sign(&checkpoint, &self.key),
                verified_ms: self.clock.now_ms(),
            }),
            rows: group.rows.clone(),
            effects: Vec::new(),
        }
    }
}

/// The drafts of one transaction.
struct Group {
    frontier: Frontier,
    entries: Vec<Entry>,
    bytes: usize,
    hashes: Vec<Hash>,
    rows: Vec<Row>,
    done: Vec<(oneshot::Sender<Result<Published, PublishError>>, Published)>,
}

impl Group {
    fn new(frontier: Frontier) -> Self {
        Self { frontier, entries: vec![], bytes: 0, hashes: vec![], rows: vec![], done: vec![] }
    }

    fn add(&mut self, job: Job, leaf: Bytes, record: Bytes, commitment: Commitment) {
        self.bytes += leaf.len() + record.len();
        let entry = Entry::new(leaf, Some(record));
        let hash = entry.leaf_hash();
        let published = Published { commitment, index: self.frontier.size() };
        if let Some(key) = job.draft.answer {
            let mut value = published.index.to_be_bytes().to_vec();
            value.extend_from_slice(&commitment.0);
            self.rows.push(Row { table: ANSWERS, key, value: Some(value) });
        }
        self.frontier.append(hash);
        self.hashes.push(hash);
        self.entries.push(entry);
        self.done.push((job.done, published));
    }
}

fn answer(
    done: oneshot::Sender<Result<Published, PublishError>>,
    result: Result<Published, PublishError>,
) {
    // The caller may have gone; what is durable stays published all the same.
    let _gone = done.send(result);
}

fn refusal(error: &CommitError) -> PublishError {
    match error {
        CommitError::Conflict { .. } => PublishError::TwoWriters,
        error => PublishError::Store(StoreError::Failed(error.to_string())),
    }
}

impl Published {
    /// Reads what [`ANSWERS`] keeps.
    #[must_use]
    pub fn from_row(value: &[u8]) -> Option<Self> {
        let index = u64::from_be_bytes(value.get(..8)?.try_into().ok()?);
        let commitment = Commitment(value.get(8..40)?.try_into().ok()?);
        (value.len() == 40).then_some(Self { commitment, index })
    }
}
