//! Anchors the desk log in our own log: says there how many lines it has and under which root, so
//! that what was decided at home can be proven later, and not be rewritten until then.
//!
//! **Invariant:** while the node may sign, a line is anchored at most [`ANCHOR_EVERY`] after it was
//! written; what is anchored is not anchored again.
//! **Invariant:** an anchor says what the signed head of the desk log says.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::StreamExt;
use thiserror::Error;
use tokio::sync::watch;
use watchfire_signal::{
    charter::Charter,
    name::LogName,
    record::{Leaf, open},
    statement::{Head, Statement},
    verb::Verb,
};
use watchfire_store::{Store, StoreError};
use watchfire_tlog::{Entry, Hash, Origin, SourceError, proof};

use crate::{
    clock::Clock,
    desk::Desk,
    place::Place,
    publish::{Draft, PublishError, Publisher},
    raise::plain_header,
};

/// The longest that a line waits for its anchor, and the least time between two anchors: an hour
/// holds four, which is little beside what a log says otherwise.
pub const ANCHOR_EVERY: Duration = Duration::from_mins(15);
/// How long to wait before what the store did not give is asked for again.
const RETRY: Duration = Duration::from_secs(10);
/// The longest wait, should a wake-up be missed.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// Entries of our own log read at once while looking for the last anchor.
const PAGE: u64 = 512;

/// An anchor that stands in our own log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// Its place there.
    pub index: u64,
    /// The lines of the desk log that it covers, and their root.
    pub head: Head,
    /// When it was written, in milliseconds since 1970 by this node's clock.
    pub at_ms: u64,
}

/// The last anchor, for whoever watches. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Anchored(watch::Sender<Option<Anchor>>);

impl Default for Anchored {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Anchored {
    /// The last anchor, if there is one.
    #[must_use]
    pub fn last(&self) -> Option<Anchor> {
        *self.0.borrow()
    }
}

/// What members say in their logs of their desk logs, held against what they said before: a desk log only
/// grows. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Anchors(Arc<Mutex<BTreeMap<LogName, Said>>>);

/// What one log says of its author's desk log.
#[derive(Debug, Clone, Copy)]
struct Said {
    /// The newest anchor by its place. What comes late, a record that was missing, is held against this one; at
    /// the next start each is held against the one before it.
    newest: (u64, Head),
    rewritten: bool,
}

impl Anchors {
    /// Takes in what a leaf of a log says with its record, if it is an anchor that can be read; true where it is
    /// the first one that does not go with another.
    pub fn take(&self, place: &Place, leaf: &Leaf, record: Option<&Bytes>) -> bool {
        let (log, index) = (&place.log, place.index);
        let Some(head) = head_in(leaf, record) else { return false };
        let mut all = self.all();
        let said =
            all.entry(log.clone()).or_insert(Said { newest: (index, head), rewritten: false });
        let (at, newest) = said.newest;
        let fits = match index.cmp(&at) {
            std::cmp::Ordering::Less => grows(&head, &newest),
            std::cmp::Ordering::Equal => true,
            std::cmp::Ordering::Greater => grows(&newest, &head),
        };
        if index > at {
            said.newest = (index, head);
        }
        let found = !fits && !said.rewritten;
        said.rewritten |= !fits;
        found
    }

    /// Logs of which two anchors do not go together: lines of that desk log were lost, or rewritten.
    #[must_use]
    pub fn rewritten(&self) -> Vec<LogName> {
        let all = self.all();
        let logs = all.iter().filter(|(_, said)| said.rewritten);
        logs.map(|(log, _)| log.clone()).collect()
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<LogName, Said>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a desk log can have gone on from one anchor to a later one, as far as the two tell.
fn grows(before: &Head, after: &Head) -> bool {
    after.size > before.size || after == before
}

/// Anchors the desk log. One task.
pub struct Anchorer {
    /// What is anchored.
    pub desk: Desk,
    /// Where the logs are.
    pub store: Arc<dyn Store>,
    /// Our own log.
    pub log: LogName,
    /// The charter in force.
    pub charter: Arc<Charter>,
    /// What says it.
    pub publisher: Publisher,
    /// The node's clock.
    pub clock: Arc<dyn Clock>,
    /// Told of each anchor.
    pub anchored: Anchored,
}

/// When the next anchor is owed.
#[derive(Default)]
struct Owed {
    /// Whether the last anchor was looked for.
    begun: bool,
    /// Not before this time, in milliseconds since 1970.
    at_ms: u64,
}

/// Why the desk log was not anchored; it is tried again unless nothing can be said any more.
#[derive(Debug, Error)]
enum AnchorError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("our own logs could not be read: {0}")]
    Source(#[from] SourceError),
    #[error("nothing is signed any more: {0}")]
    Publish(#[from] PublishError),
}

impl Anchorer {
    /// Anchors for as long as the node signs; begins once it may.
    pub async fn run(self) {
        let mut growth = self.store.watch();
        let mut owed = Owed::default();
        loop {
            let pause = match self.step(&mut owed).await {
                Ok(pause) => pause.min(LONGEST_PAUSE),
                // Signing goes on when there is room on the disk.
                Err(AnchorError::Publish(error)) if !error.is_full() => {
                    tracing::error!(%error, "the desk log is not anchored any more");
                    return;
                }
                Err(error) => {
                    tracing::error!(%error, "the desk log could not be anchored; tried again");
                    RETRY
                }
            };
            let grown = async {
                while let Some((log, _)) = growth.next().await {
                    if log == *self.desk.origin() {
                        return true;
                    }
                }
                false
            };
            tokio::select! {
                biased;
                more = grown => if !more { return },
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Anchors what is owed, and says how long nothing will be.
    async fn step(&self, owed: &mut Owed) -> Result<Duration, AnchorError> {
        if !owed.begun {
            self.anchored.0.send_replace(self.last_fitting().await?);
            owed.begun = true;
        }
        let wait_ms = owed.at_ms.saturating_sub(self.clock.now_ms());
        if wait_ms > 0 {
            return Ok(Duration::from_millis(wait_ms));
        }
        let anchored = self.anchored.last().map_or(0, |anchor| anchor.head.size);
        let Some(desk) = self.desk.head().await?.filter(|desk| desk.size > anchored) else {
            return Ok(LONGEST_PAUSE);
        };
        let oldest = self.desk.read(anchored, 1).await?;
        let written_ms = oldest.first().map_or(0, |line| line.at_ms);
        let waited = Duration::from_millis(self.clock.now_ms().saturating_sub(written_ms));
        if waited < ANCHOR_EVERY {
            let every_ms = u64::try_from(ANCHOR_EVERY.as_millis()).unwrap_or(u64::MAX);
            owed.at_ms = written_ms.saturating_add(every_ms);
            return Ok(ANCHOR_EVERY - waited);
        }
        let head = Head { size: desk.size, root: desk.root.0 };
        let statement = Statement::Desk(head);
        let header = plain_header(&self.charter, &self.log, Verb::Desk);
        let published = self
            .publisher
            .write(Draft { header, statement, asked: None, within_quota: false })
            .await?;
        let at_ms = self.clock.now_ms();
        self.anchored.0.send_replace(Some(Anchor { index: published.index, head, at_ms }));
        Ok(LONGEST_PAUSE)
    }

    /// The last anchor, if the desk log still begins with what it covers. Where it does not, lines
    /// were lost, with an old backup for one: what is there is anchored anew, for all to see.
    async fn last_fitting(&self) -> Result<Option<Anchor>, AnchorError> {
        let Some(last) = last_anchor(&*self.store, &self.log).await? else { return Ok(None) };
        let fits = fits(&self.desk, &last.head).await?;
        if !fits {
            let index = last.index;
            tracing::error!(index, "the desk log does not hold what was anchored: lines were lost");
        }
        Ok(Some(last).filter(|_| fits))
    }
}

/// Whether the desk log begins with what an anchor covers.
///
/// # Errors
/// The desk log's.
pub(crate) async fn fits(desk: &Desk, head: &Head) -> Result<bool, SourceError> {
    let size = desk.size().await?;
    if head.size > size {
        return Ok(false);
    }
    match proof::root(&*desk.source(), head.size).await {
        Ok(root) => Ok(root == Hash(head.root)),
        Err(proof::ProofError::Source(error)) => Err(error),
        Err(error) => Err(SourceError::Broken(error.to_string())),
    }
}

/// What an entry says of its author's desk log, if it is an anchor that can be read.
pub(crate) fn anchor_in(entry: &Entry) -> Option<Head> {
    head_in(&Leaf::decode(&entry.leaf).ok()?, entry.record.as_ref())
}

fn head_in(leaf: &Leaf, record: Option<&Bytes>) -> Option<Head> {
    if leaf.header.verb != Verb::Desk {
        return None;
    }
    match open(leaf, record?) {
        Ok(Statement::Desk(head)) => Some(head),
        _ => None,
    }
}

/// The newest anchor in a log that is ours.
async fn last_anchor(store: &dyn Store, log: &LogName) -> Result<Option<Anchor>, StoreError> {
    let origin = Origin::new(log.to_string());
    let origin = origin.map_err(|error| StoreError::Failed(error.to_string()))?;
    let heads = store.logs().await?;
    let mut end = heads.iter().find(|head| head.log == origin).map_or(0, |head| head.size);
    while end > 0 {
        let from = end.saturating_sub(PAGE);
        let (mut next, mut newest) = (from, None);
        while next < end {
            let page = store.held(&origin, next, usize::try_from(end - next).unwrap_or(1)).await?;
            let Some(last) = page.last() else { break };
            next = last.index + 1;
            let anchors = page.iter().filter_map(|held| {
                let (index, at_ms) = (held.index, held.verified_ms);
                Some(Anchor { index, head: anchor_in(&held.entry)?, at_ms })
            });
            newest = anchors.last().or(newest);
        }
        if newest.is_some() {
            return Ok(newest);
        }
        end = from;
    }
    Ok(None)
}
