//! Up to where each log is effective: here, and at the members that told us.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{sync::watch, time::Instant};
use watchfire_signal::name::{LogName, MemberName};

use crate::peer::Peer;

/// A member is told at most this often.
pub const PAUSE: Duration = Duration::from_secs(1);
/// The longest wait before a peer that cannot tell us is asked again while something of ours is not
/// effective there.
const ASK_PAUSE_END: Duration = Duration::from_secs(30);
/// Points kept for each member and log, to say when an alert became effective there.
const HISTORY: usize = 1_024;

/// When a log became effective up to some size at a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// Entries effective.
    pub size: u64,
    /// When the member told us, in milliseconds since 1970 by our clock.
    pub told_ms: u64,
}

/// What each member told of each log, oldest first.
type Told = BTreeMap<(MemberName, LogName), Vec<Point>>;

/// What is effective where.
#[derive(Debug, Clone)]
pub struct Receipts {
    here: watch::Sender<BTreeMap<LogName, u64>>,
    others: Arc<Mutex<Told>>,
}

impl Default for Receipts {
    fn default() -> Self {
        Self { here: watch::Sender::new(BTreeMap::new()), others: Arc::default() }
    }
}

impl Receipts {
    /// Notes that a log is effective here up to a size.
    pub fn set_here(&self, log: &LogName, size: u64) {
        self.here.send_modify(|here| {
            here.insert(log.clone(), size);
        });
    }

    /// Up to where each log is effective here.
    #[must_use]
    pub fn here(&self) -> BTreeMap<LogName, u64> {
        self.here.borrow().clone()
    }

    /// Waits until a log is effective here up to a size.
    pub async fn wait_here(&self, log: &LogName, size: u64) {
        let mut here = self.here.subscribe();
        // The sender lives as long as we do, so this cannot fail.
        let _closed = here.wait_for(|here| here.get(log).is_some_and(|have| *have >= size)).await;
    }

    /// Notes what a member told; true if it is news. A smaller size than before takes the larger
    /// one back: the member was restored from an old backup and catches up again. `held` is what we
    /// hold of the log: nothing can be effective that is not there, and what the member has ahead of
    /// us its next receipt says again.
    pub fn told(&self, member: &MemberName, log: &LogName, point: Point, held: u64) -> bool {
        let size = point.size.min(held);
        let mut others = self.others();
        let points = others.entry((member.clone(), log.clone())).or_default();
        points.retain(|point| point.size <= size);
        if size == 0 || points.last().is_some_and(|last| last.size == size) {
            return false;
        }
        if points.len() == HISTORY {
            points.remove(0);
        }
        points.push(Point { size, ..point });
        true
    }

    /// When a member told that an entry is effective there.
    #[must_use]
    pub fn effective_at(&self, member: &MemberName, log: &LogName, index: u64) -> Option<u64> {
        let others = self.others();
        let points = others.get(&(member.clone(), log.clone()))?;
        points.iter().find(|point| point.size > index).map(|point| point.told_ms)
    }

    /// Up to where a log is effective at a member.
    #[must_use]
    pub fn at(&self, member: &MemberName, log: &LogName) -> Option<u64> {
        let others = self.others();
        others.get(&(member.clone(), log.clone()))?.last().map(|point| point.size)
    }

    /// Tells one peer, on change and at most once a [`PAUSE`], for as long as the node runs.
    pub async fn run(self, peer: Arc<dyn Peer>) {
        let mut here = self.here.subscribe();
        here.mark_changed();
        loop {
            if here.changed().await.is_err() {
                return;
            }
            let sent = Instant::now();
            let now = here.borrow_and_update().clone();
            if let Err(error) = peer.receipt(&now).await {
                tracing::debug!(%error, "receipt not delivered");
                here.mark_changed();
            }
            tokio::time::sleep_until(sent + PAUSE).await;
        }
    }

    /// Asks one peer that cannot tell us what is effective there: when something changed here, and
    /// then until it is effective there too, for as long as the node runs.
    pub async fn ask(
        self,
        peer: Arc<dyn Peer>,
        note: impl Fn(BTreeMap<LogName, u64>) -> BoxFuture<'static, ()> + Send,
    ) {
        let mut here = self.here.subscribe();
        here.mark_changed();
        let mut wait = PAUSE;
        loop {
            let now = here.borrow_and_update().clone();
            let behind = match peer.receipts().await {
                Ok(there) => {
                    let lacks = |(log, size): (&LogName, &u64)| there.get(log) < Some(size);
                    let behind = now.iter().any(lacks);
                    note(there).await;
                    behind
                }
                Err(error) => {
                    tracing::debug!(%error, "a peer does not say what is effective there");
                    true
                }
            };
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(ASK_PAUSE_END);
            if !behind {
                if here.changed().await.is_err() {
                    return;
                }
                wait = PAUSE;
            } else if here.has_changed().unwrap_or(false) {
                wait = PAUSE;
            }
        }
    }

    fn others(&self) -> MutexGuard<'_, Told> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
