//! Up to where each log is effective: here, and at the members that told us.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{
    sync::broadcast::{self, error::TryRecvError},
    time::Instant,
};
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
    here: Arc<Mutex<BTreeMap<LogName, u64>>>,
    /// Tells of changes, whoever waited first first.
    changes: broadcast::Sender<()>,
    others: Arc<Mutex<Told>>,
}

impl Default for Receipts {
    fn default() -> Self {
        let (here, others) = (Arc::default(), Arc::default());
        // One place is enough: a change more or less in between is none.
        Self { here, changes: broadcast::Sender::new(1), others }
    }
}

/// What is effective here, and its changes.
struct Here {
    now: Arc<Mutex<BTreeMap<LogName, u64>>>,
    changes: broadcast::Receiver<()>,
}

impl Here {
    /// What it is; changes before this are none any more.
    fn now(&mut self) -> BTreeMap<LogName, u64> {
        self.has_changed();
        locked(&self.now).clone()
    }

    /// Whether it has changed since it was looked at or waited for.
    fn has_changed(&mut self) -> bool {
        let mut changed = false;
        loop {
            match self.changes.try_recv() {
                Ok(()) | Err(TryRecvError::Lagged(_)) => changed = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return changed,
            }
        }
    }

    /// Waits for a change. The sender lives as long as we do, so this ends with one only.
    async fn changed(&mut self) {
        let _lagged = self.changes.recv().await;
    }
}

impl Receipts {
    /// Notes that a log is effective here up to a size.
    pub fn set_here(&self, log: &LogName, size: u64) {
        locked(&self.here).insert(log.clone(), size);
        // Nobody waits: nobody is told.
        let _nobody = self.changes.send(());
    }

    /// Up to where each log is effective here.
    #[must_use]
    pub fn here(&self) -> BTreeMap<LogName, u64> {
        locked(&self.here).clone()
    }

    /// Waits until a log is effective here up to a size.
    pub async fn wait_here(&self, log: &LogName, size: u64) {
        let mut here = self.subscribe();
        while here.now().get(log).is_none_or(|have| *have < size) {
            here.changed().await;
        }
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
        let mut here = self.subscribe();
        let mut told = false;
        loop {
            if told {
                here.changed().await;
            }
            let sent = Instant::now();
            let now = here.now();
            told = match peer.receipt(&now).await {
                Ok(()) => true,
                Err(error) => {
                    tracing::debug!(%error, "receipt not delivered");
                    false
                }
            };
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
        let mut here = self.subscribe();
        let mut wait = PAUSE;
        loop {
            let now = here.now();
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
                here.changed().await;
                wait = PAUSE;
            } else if here.has_changed() {
                wait = PAUSE;
            }
        }
    }

    fn subscribe(&self) -> Here {
        Here { now: self.here.clone(), changes: self.changes.subscribe() }
    }

    fn others(&self) -> MutexGuard<'_, Told> {
        locked(&self.others)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
