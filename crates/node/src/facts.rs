//! Keeps what was decided as facts: every match of a scan, so that another policy can be tried on what
//! really happened, and every decision can be explained later.
//!
//! **Invariant:** no content and no signal is kept, only facts.
//! **Invariant:** a scan never waits for this; what does not fit in the queue is counted and lost.
//! **Invariant:** every group that is kept has its digest in the desk log, in the same transaction.

pub mod shown;

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};
use watchfire_signal::{commitment::Commitment, hex};
use watchfire_store::{Batch, Row, Store, StoreError, Table};
use watchfire_tlog::Hash;

use crate::{
    clock::{Clock, Random},
    desk::{Actor, Deed, Desk, DeskKind, Line, WriteError},
    judge::Judge,
    policy::{Decision, Facts, Fired, Held},
};

/// Decisions that can wait to be written.
pub const QUEUE: usize = 32_768;
/// Decisions in one row: about 700 bytes each.
pub const MAX_GROUP: usize = 1_024;
/// How long a group gathers, and so what a crash can lose: the last second of decisions. Each group is
/// a line of the desk log, and one a second is enough of those.
pub const WINDOW: Duration = Duration::from_secs(1);
/// How often old groups are dropped.
const DROP_EVERY_MS: u64 = 3_600_000;
/// Groups dropped in one transaction.
const DROPPED_AT_ONCE: usize = 64;
/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

/// Groups by the time of writing and a number that counts up, big-endian: time partitions. A ledger.
const FACTS: Table = Table::Ledger("facts");

/// A decision about one match, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// All that policy looked at.
    pub facts: Facts,
    /// The case; `None` for a bank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<Commitment>,
    /// The rules that fired, those in shadow mode too.
    pub rules: Vec<Fired>,
    /// What was to be done, in the words of a policy file.
    pub then: Vec<String>,
    /// Why it waited for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// The policy that decided.
    pub policy_version: u32,
    /// Whether it was an upload that was decided about; of a copy that was held the desk log has a line of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub upload: bool,
    /// 16 random bytes in hexadecimal, put in where it is written: what is shown of it cannot be guessed by its hash.
    /// Empty in what was kept before there were any.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub salt: String,
}

impl Decided {
    /// What is kept of a decision.
    #[must_use]
    pub fn new(facts: Facts, case: Option<Commitment>, decision: &Decision, version: u32) -> Self {
        let (rules, then) = (decision.rules.clone(), decision.then.words());
        let (held, policy_version, salt) = (decision.held, version, String::new());
        Self { facts, case, rules, then, held, policy_version, upload: false, salt }
    }
}

/// The line of the desk log about one group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Decisions in it.
    pub decisions: u64,
    /// The time of the first, in milliseconds since 1970.
    pub first_ms: u64,
    /// The SHA-256 of its row, in hexadecimal.
    pub sha256: String,
    /// The root over what of each decision can be shown ([`shown`]), in hexadecimal; absent in older lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
}

impl Group {
    /// The root over what can be shown.
    #[must_use]
    pub fn root(&self) -> Option<Hash> {
        self.root.as_ref()?.parse().ok()
    }
}

impl Deed for Group {
    const KIND: DeskKind = DeskKind::Digest;
}

enum Message {
    Keep(Box<Decided>),
    Flush(oneshot::Sender<()>),
}

/// Where a reader of the kept facts stands: the key of the last group that it read.
pub type Cursor = Vec<u8>;

/// The kept facts. Cheap to clone.
#[derive(Clone)]
pub struct KeptFacts {
    queue: mpsc::Sender<Message>,
    store: Arc<dyn Store>,
}

/// Decisions on their way to the store.
pub struct Unwritten(mpsc::Receiver<Message>);

impl KeptFacts {
    /// The facts that a store holds; decisions wait in the queue until its writer runs.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> (Self, Unwritten) {
        let (queue, unwritten) = mpsc::channel(QUEUE);
        (Self { queue, store }, Unwritten(unwritten))
    }

    /// Has a decision kept with the next group.
    pub fn keep(&self, decided: Decided) {
        if self.queue.try_send(Message::Keep(Box::new(decided))).is_err() {
            metrics::counter!("watchfire_facts_lost_total", "why" => "queue").increment(1);
        }
    }

    /// Waits until what was kept so far is durable.
    pub async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.queue.send(Message::Flush(done)).await.is_ok() {
            // The writer answers or is gone; either way there is nothing more to wait for.
            let _written = written.await;
        }
    }

    /// Where a reader begins that wants what was kept since a moment.
    #[must_use]
    pub fn since(ms: u64) -> Cursor {
        ms.to_be_bytes().to_vec()
    }

    /// When the group at a cursor was written, in milliseconds since 1970.
    #[must_use]
    pub fn time_of(cursor: &[u8]) -> u64 {
        let first = cursor.first_chunk().copied();
        first.map_or(0, u64::from_be_bytes)
    }

    /// The decisions of up to `groups` groups after a cursor, and the cursor after them; `None`: there
    /// are no more.
    ///
    /// # Errors
    /// The store's; a group that cannot be read is [`StoreError::Corrupt`].
    pub async fn page(
        &self,
        after: &[u8],
        groups: usize,
    ) -> Result<Option<(Vec<Decided>, Cursor)>, StoreError> {
        let page = self::groups(&*self.store, after, groups).await?;
        Ok(page.map(|(groups, last)| (groups.into_iter().flatten().collect(), last)))
    }
}

/// The decisions of up to `limit` groups after a cursor, group by group, and the cursor after them.
pub(crate) async fn groups(
    store: &dyn Store,
    after: &[u8],
    limit: usize,
) -> Result<Option<(Vec<Vec<Decided>>, Cursor)>, StoreError> {
    let page = store.rows(FACTS, after, limit).await?;
    let Some((last, _)) = page.last() else { return Ok(None) };
    let last = last.clone();
    let read = |row: &[u8]| {
        let group = serde_json::from_slice(row);
        group.map_err(|error| StoreError::Corrupt(format!("facts: {error}")))
    };
    let groups = page.iter().map(|(_, row)| read(row)).collect::<Result<_, _>>()?;
    Ok(Some((groups, last)))
}

/// Writes decisions in groups, each with its line in the desk log, and drops what is too old.
pub struct Writer {
    /// The desk log.
    pub desk: Desk,
    /// Where the groups are.
    pub store: Arc<dyn Store>,
    /// Says how many days are kept.
    pub judge: Judge,
    /// The node's clock.
    pub clock: Arc<dyn Clock>,
    /// For salts.
    pub random: Arc<dyn Random>,
}

impl Writer {
    /// Writes until the node is gone.
    pub async fn run(self, mut unwritten: Unwritten) {
        let mut number = self.last_number().await;
        let mut dropped_ms = 0;
        let mut messages = Vec::with_capacity(MAX_GROUP);
        while unwritten.0.recv_many(&mut messages, MAX_GROUP).await > 0 {
            let mut group = Vec::new();
            let mut flushes = Vec::new();
            sort(&mut messages, &mut group, &mut flushes);
            let end = tokio::time::Instant::now() + WINDOW;
            while flushes.is_empty()
                && group.len() < MAX_GROUP
                && let Ok(Some(message)) = tokio::time::timeout_at(end, unwritten.0.recv()).await
            {
                messages.push(message);
                sort(&mut messages, &mut group, &mut flushes);
            }
            number += 1;
            if !group.is_empty()
                && let Err(error) = self.write(&mut group, number).await
            {
                let lost = group.len() as u64;
                metrics::counter!("watchfire_facts_lost_total", "why" => "store").increment(lost);
                tracing::error!(%error, lost, "decisions could not be kept");
            }
            let now = self.clock.now_ms();
            if now.saturating_sub(dropped_ms) >= DROP_EVERY_MS {
                dropped_ms = now;
                if let Err(error) = self.drop_old(now).await {
                    tracing::error!(%error, "old decisions could not be dropped");
                }
            }
            for done in flushes {
                // Whoever asked may have gone.
                let _gone = done.send(());
            }
        }
    }

    /// The number of the last group, if it was written at this very moment or, by a clock that has
    /// gone back since, later: another start must not write over it.
    async fn last_number(&self) -> u64 {
        let (mut number, mut after) = (0, KeptFacts::since(self.clock.now_ms()));
        while let Ok(page) = self.store.rows(FACTS, &after, DROPPED_AT_ONCE).await
            && let Some((last, _)) = page.last()
        {
            after.clone_from(last);
            number = last.last_chunk().copied().map_or(number, u64::from_be_bytes);
        }
        number
    }

    async fn write(&self, group: &mut [Decided], number: u64) -> Result<(), WriteError> {
        for decided in &mut *group {
            let mut salt = [0; 16];
            self.random.fill(&mut salt);
            decided.salt = hex::encode(&salt);
        }
        let unwritten = |error: serde_json::Error| WriteError::Body(error.to_string());
        let value = serde_json::to_vec(group).map_err(unwritten)?;
        let leaves = shown::leaves(group).map_err(unwritten)?;
        let now = self.clock.now_ms();
        let line = Group {
            decisions: group.len() as u64,
            first_ms: group.first().map_or(now, |decided| decided.facts.at_ms),
            sha256: hex::encode(&Sha256::digest(&value)),
            root: Some(shown::root(&leaves).to_string()),
        };
        let key = [now.to_be_bytes(), number.to_be_bytes()].concat();
        let row = Row { table: FACTS, key, value: Some(value) };
        self.desk.write(Line::new(&Actor::Node, &line)?.rows([row])).await?;
        metrics::counter!("watchfire_facts_kept_total").increment(line.decisions);
        Ok(())
    }

    /// Drops the groups that are older than the policy keeps.
    async fn drop_old(&self, now_ms: u64) -> Result<(), StoreError> {
        let days = u64::from(self.judge.policy().keep_decisions_days);
        let oldest = now_ms.saturating_sub(days * DAY_MS);
        loop {
            let page = self.store.rows(FACTS, &[], DROPPED_AT_ONCE).await?;
            let old = page.into_iter().map(|(key, _)| key);
            let old = old.filter(|key| KeptFacts::time_of(key) < oldest);
            let rows = old.map(|key| Row { table: FACTS, key, value: None }).collect::<Vec<_>>();
            let more = rows.len() == DROPPED_AT_ONCE;
            if !rows.is_empty() {
                let batch = Batch { rows, ..Batch::default() };
                let failed =
                    |error: watchfire_store::CommitError| StoreError::Failed(error.to_string());
                self.store.commit(batch).await.map_err(failed)?;
            }
            if !more {
                return Ok(());
            }
        }
    }
}

fn sort(
    messages: &mut Vec<Message>,
    group: &mut Vec<Decided>,
    flushes: &mut Vec<oneshot::Sender<()>>,
) {
    for message in messages.drain(..) {
        match message {
            Message::Keep(decided) => group.push(*decided),
            Message::Flush(done) => flushes.push(done),
        }
    }
}
