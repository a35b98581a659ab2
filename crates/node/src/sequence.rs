//! The one writer of a log: what somebody wants to say becomes a leaf, is signed, durable together
//! with the rows and effects that go with it, and only then leaves the process.
//!
//! **Invariant:** no leaf or signature leaves before `commit` returned `Ok`.
//! **Invariant:** after a commit whose outcome is unknown nothing more is signed; after one that a full disk
//! refused, of which nothing was written, the log goes on once there is room.
//! **Invariant:** what has one idempotency key is said once, however many ask for it at a time.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use watchfire_signal::commitment::Commitment;
use watchfire_store::{
    Append, Batch, CommitError, Effect, MAX_APPEND_BYTES, Row, Settlement, Store, StoreError, Table,
};
use watchfire_tlog::{Checkpoint, Entry, Frontier, Hash, Origin, OwnKey, SignedCheckpoint};

use crate::clock::Clock;

/// Drafts that can wait for a sequencer; more callers wait for room.
pub const QUEUE: usize = 4_096;
/// Drafts in one transaction: what comes while a commit runs goes into the next one together.
pub const MAX_BATCH: usize = 256;

/// Answers under idempotency keys: SHA-256 of caller and key → what was published.
pub const ANSWERS: Table = Table::Ledger("answers");

/// Under which idempotency key an answer is kept.
pub type AnswerKey = Vec<u8>;

/// Something to say in a log.
pub trait Draft: Send + 'static {
    /// What makes its bytes, such as a charter and a source of salts.
    type Sealer: Send + Sync + 'static;
    /// Why it cannot be said.
    type Error: From<SequenceError> + Send;

    /// Its leaf and record at this index of the log. What was sealed for an index before was not written.
    ///
    /// # Errors
    /// Why it cannot be said; nothing of it is.
    fn seal(&self, sealer: &Self::Sealer, index: u64) -> Result<Sealed, Self::Error>;

    /// Under which idempotency key its answer is kept; the sequencer keeps it.
    fn answer_key(&self) -> Option<&AnswerKey> {
        None
    }

    /// What becomes durable with it, once its place is known.
    fn with(self, published: Published) -> Beside;
}

/// The bytes of an entry.
pub struct Sealed {
    /// The leaf.
    pub leaf: Bytes,
    /// The record.
    pub record: Bytes,
    /// The commitment in the leaf.
    pub commitment: Commitment,
}

/// Rows and effects of the same transaction.
#[derive(Debug, Clone, Default)]
pub struct Beside {
    /// Rows of views and ledgers.
    pub rows: Vec<Row>,
    /// Effects that begin.
    pub effects: Vec<Effect>,
    /// What became of effects.
    pub settlements: Vec<Settlement>,
}

/// What became of a draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// The commitment of the record: its name.
    pub commitment: Commitment,
    /// Its index in the log.
    pub index: u64,
}

impl Published {
    fn row(self, key: AnswerKey) -> Row {
        let mut value = self.index.to_be_bytes().to_vec();
        value.extend_from_slice(&self.commitment.0);
        Row { table: ANSWERS, key, value: Some(value) }
    }

    fn from_row(value: &[u8]) -> Option<Self> {
        let index = u64::from_be_bytes(value.get(..8)?.try_into().ok()?);
        let commitment = Commitment(value.get(8..40)?.try_into().ok()?);
        (value.len() == 40).then_some(Self { commitment, index })
    }
}

/// What was published under an idempotency key.
///
/// # Errors
/// The store's.
pub async fn answered(store: &dyn Store, key: &AnswerKey) -> Result<Option<Published>, StoreError> {
    Ok(store.row(ANSWERS, key).await?.and_then(|row| Published::from_row(&row)))
}

/// Why a draft was not written; nothing of it was, but after `Store` that is not known.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SequenceError {
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

/// Hands drafts to a sequencer.
pub struct Writer<D: Draft> {
    queue: mpsc::Sender<Job<D>>,
}

impl<D: Draft> Clone for Writer<D> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone() }
    }
}

/// Where the answer to a draft goes.
type Done<D> = oneshot::Sender<Result<Published, <D as Draft>::Error>>;

struct Job<D: Draft> {
    draft: D,
    done: Done<D>,
}

impl<D: Draft> Writer<D> {
    /// A writer and the queue for its [`Sequencer`].
    #[must_use]
    pub fn new() -> (Self, Drafts<D>) {
        let (queue, drafts) = mpsc::channel(QUEUE);
        (Self { queue }, Drafts(drafts))
    }

    /// Says it; returns when it is durable.
    ///
    /// # Errors
    /// The draft's; after a failure of the store the caller looks into the log before saying it
    /// again.
    pub async fn write(&self, draft: D) -> Result<Published, D::Error> {
        let (done, answer) = oneshot::channel();
        let job = Job { draft, done };
        self.queue.send(job).await.map_err(|_| SequenceError::Stopping)?;
        answer.await.map_err(|_| SequenceError::Stopping)?
    }
}

/// Drafts on their way to a sequencer.
pub struct Drafts<D: Draft>(mpsc::Receiver<Job<D>>);

/// The one writer of a log.
pub struct Sequencer<D: Draft> {
    /// The log's origin line.
    pub origin: Origin,
    /// The key it is signed with.
    pub key: Arc<OwnKey>,
    /// What makes the bytes.
    pub sealer: D::Sealer,
    /// The tree of what is durable.
    pub frontier: Frontier,
    /// Where it is kept.
    pub store: Arc<dyn Store>,
    /// The node's clock.
    pub clock: Arc<dyn Clock>,
}

impl<D: Draft> Sequencer<D> {
    /// Writes drafts until the writers are gone or another process writes too.
    pub async fn run(mut self, mut drafts: Drafts<D>) {
        let mut jobs = Vec::with_capacity(MAX_BATCH);
        while drafts.0.recv_many(&mut jobs, MAX_BATCH).await > 0 {
            let stop = self.write(std::mem::take(&mut jobs)).await;
            if stop {
                return;
            }
        }
    }

    /// Seals, and commits in groups that fit one append. True: give up.
    async fn write(&mut self, jobs: Vec<Job<D>>) -> bool {
        let mut group = Group::new(self.frontier.clone());
        for job in jobs {
            let Some(job) = self.unsaid(job, &mut group).await else { continue };
            let sealed = match job.draft.seal(&self.sealer, group.frontier.size()) {
                Ok(sealed) => sealed,
                Err(error) => {
                    answer(job.done, Err(error));
                    continue;
                }
            };
            if group.bytes + sealed.leaf.len() + sealed.record.len() > MAX_APPEND_BYTES {
                if self.commit(group).await {
                    return true;
                }
                group = Group::new(self.frontier.clone());
            }
            group.add(job, sealed);
        }
        self.commit(group).await
    }

    /// Answers a job whose key has an answer, or has it answered with the one that will get it.
    async fn unsaid(&self, job: Job<D>, group: &mut Group<D>) -> Option<Job<D>> {
        let Some(key) = job.draft.answer_key() else { return Some(job) };
        if let Some(&published) = group.answers.get(key) {
            group.done.push((job.done, published));
            return None;
        }
        match answered(&*self.store, key).await {
            Ok(None) => Some(job),
            Ok(Some(published)) => {
                answer(job.done, Ok(published));
                None
            }
            Err(error) => {
                answer(job.done, Err(SequenceError::Store(error).into()));
                None
            }
        }
    }

    /// Signs, commits, answers. True: give up.
    async fn commit(&mut self, group: Group<D>) -> bool {
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
            Err(CommitError::Store(StoreError::Full)) => {
                // Of all failures this one alone is certain: nothing was written, so the log goes on from
                // where it stands.
                for (done, _) in group.done {
                    answer(done, Err(SequenceError::Store(StoreError::Full).into()));
                }
                false
            }
            Err(error) => {
                // After a failed commit the log may or may not have grown. Signing on from a guess
                // could fork it, so this process signs nothing more until it is started again.
                tracing::error!(%error, log = %self.origin, "log could not be written; signing stops");
                for (done, _) in group.done {
                    answer(done, Err(refusal(&error).into()));
                }
                true
            }
        }
    }

    fn batch(&self, group: &Group<D>) -> Batch {
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
            cut: None,
            rows: group.beside.rows.clone(),
            effects: group.beside.effects.clone(),
            settlements: group.beside.settlements.clone(),
        }
    }
}

/// The drafts of one transaction.
struct Group<D: Draft> {
    frontier: Frontier,
    entries: Vec<Entry>,
    bytes: usize,
    hashes: Vec<Hash>,
    beside: Beside,
    answers: HashMap<AnswerKey, Published>,
    done: Vec<(Done<D>, Published)>,
}

impl<D: Draft> Group<D> {
    fn new(frontier: Frontier) -> Self {
        Self {
            frontier,
            entries: Vec::new(),
            bytes: 0,
            hashes: Vec::new(),
            beside: Beside::default(),
            answers: HashMap::new(),
            done: Vec::new(),
        }
    }

    fn add(&mut self, job: Job<D>, sealed: Sealed) {
        self.bytes += sealed.leaf.len() + sealed.record.len();
        let entry = Entry::new(sealed.leaf, Some(sealed.record));
        let hash = entry.leaf_hash();
        let published = Published { commitment: sealed.commitment, index: self.frontier.size() };
        if let Some(key) = job.draft.answer_key().cloned() {
            self.beside.rows.push(published.row(key.clone()));
            self.answers.insert(key, published);
        }
        let Beside { rows, effects, settlements } = job.draft.with(published);
        self.beside.rows.extend(rows);
        self.beside.effects.extend(effects);
        self.beside.settlements.extend(settlements);
        self.frontier.append(hash);
        self.hashes.push(hash);
        self.entries.push(entry);
        self.done.push((job.done, published));
    }
}

fn answer<E>(done: oneshot::Sender<Result<Published, E>>, result: Result<Published, E>) {
    // The caller may have gone; what is durable stays published all the same.
    let _gone = done.send(result);
}

fn refusal(error: &CommitError) -> SequenceError {
    match error {
        CommitError::Conflict { .. } => SequenceError::TwoWriters,
        error => SequenceError::Store(StoreError::Failed(error.to_string())),
    }
}
