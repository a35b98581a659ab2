//! Up to where each log is effective, and except for what: here, and at the members that told us.
//!
//! **Invariant:** no receipt says of an entry that it is effective whose record is missing where it should be.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{
    sync::broadcast::{self, error::TryRecvError},
    time::Instant,
};
use watchfire_signal::name::{LogName, MemberName};

use crate::{peer::Peer, place::Place};

pub use crate::effective::{Effective, MAX_EXCEPT};

/// A member is told at most this often.
pub const PAUSE: Duration = Duration::from_secs(1);
/// The longest wait before a peer that cannot tell us is asked again while something of ours is not
/// effective there.
const ASK_PAUSE_END: Duration = Duration::from_secs(30);
/// Points kept for each member and log, to say when an alert became effective there.
const HISTORY: usize = 1_024;
/// Missing records of one log that are remembered; where there are more, receipts say nothing from the first of those on.
pub const MAX_MISSING: usize = 65_536;

/// When a log became effective up to some size at a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// Entries effective.
    pub size: u64,
    /// When the member told us, in milliseconds since 1970 by our clock.
    pub told_ms: u64,
}

/// What each member told of each log.
type Told = BTreeMap<(MemberName, LogName), There>;

/// What a member told of a log.
#[derive(Debug, Default)]
struct There {
    /// How it grew, oldest first.
    points: Vec<Point>,
    /// What is not effective all the same.
    except: BTreeSet<u64>,
    /// What was not and is now, with when the member told; at most [`HISTORY`].
    filled: BTreeMap<u64, u64>,
}

impl There {
    /// Takes in what is excepted now; true if that is news.
    fn except(&mut self, except: BTreeSet<u64>, told_ms: u64) -> bool {
        let before = std::mem::replace(&mut self.except, except);
        self.filled.retain(|index, _| !self.except.contains(index));
        self.filled.extend(before.difference(&self.except).map(|index| (*index, told_ms)));
        while self.filled.len() > HISTORY {
            self.filled.pop_first();
        }
        before != self.except
    }

    fn effective_at(&self, index: u64) -> Option<u64> {
        let covered = self.points.iter().find(|point| point.size > index)?.told_ms;
        let filled = self.filled.get(&index).copied().unwrap_or(0);
        (!self.except.contains(&index)).then_some(covered.max(filled))
    }
}

/// What is effective of a log here.
#[derive(Debug, Default)]
struct Folded {
    size: u64,
    missing: BTreeSet<u64>,
    /// From where on it is not known what is missing.
    unknown_from: Option<u64>,
}

impl Folded {
    fn effective(&self) -> Effective {
        let size = self.unknown_from.map_or(self.size, |from| from.min(self.size));
        Effective::new(size, &self.missing)
    }
}

/// What is effective where.
#[derive(Debug, Clone)]
pub struct Receipts {
    here: Arc<Mutex<BTreeMap<LogName, Folded>>>,
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
    now: Arc<Mutex<BTreeMap<LogName, Folded>>>,
    changes: broadcast::Receiver<()>,
}

impl Here {
    /// What it is; changes before this are none any more.
    fn now(&mut self) -> BTreeMap<LogName, Effective> {
        self.has_changed();
        effective(&self.now)
    }

    /// How much of a log is folded; changes before this are none any more.
    fn folded(&mut self, log: &LogName) -> u64 {
        self.has_changed();
        locked(&self.now).get(log).map_or(0, |folded| folded.size)
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
    /// Notes that a log is folded here up to a size.
    pub fn set_here(&self, log: &LogName, size: u64) {
        {
            let mut here = locked(&self.here);
            match here.get_mut(log) {
                Some(folded) => folded.size = size,
                None => drop(here.insert(log.clone(), Folded { size, ..Folded::default() })),
            }
        }
        self.tell();
    }

    /// Notes whether an entry's record is missing here that should be here.
    pub fn set_missing(&self, place: &Place, missing: bool) {
        let mut here = locked(&self.here);
        let changed = match here.get_mut(&place.log) {
            None if !missing => false,
            None => {
                let folded = Folded { missing: [place.index].into(), ..Folded::default() };
                here.insert(place.log.clone(), folded);
                true
            }
            Some(folded) if !missing => folded.missing.remove(&place.index),
            Some(folded) if folded.missing.len() < MAX_MISSING => {
                folded.missing.insert(place.index)
            }
            Some(folded) => {
                // It is not remembered, so that nothing is said from there on.
                let from = folded.unknown_from.get_or_insert(place.index);
                *from = (*from).min(place.index);
                true
            }
        };
        drop(here);
        if changed {
            self.tell();
        }
    }

    fn tell(&self) {
        // Nobody waits: nobody is told.
        let _nobody = self.changes.send(());
    }

    /// Up to where a log is folded here.
    pub(crate) fn folded(&self, log: &LogName) -> u64 {
        locked(&self.here).get(log).map_or(0, |folded| folded.size)
    }

    /// Up to where each log is folded here.
    #[must_use]
    pub fn here(&self) -> BTreeMap<LogName, u64> {
        locked(&self.here).iter().map(|(log, folded)| (log.clone(), folded.size)).collect()
    }

    /// Up to where each log is effective here, and except for what.
    #[must_use]
    pub fn effective(&self) -> BTreeMap<LogName, Effective> {
        effective(&self.here)
    }

    /// Whether an entry has been folded here, with its record if this member may have that.
    #[must_use]
    pub fn is_effective_here(&self, place: &Place) -> bool {
        let here = locked(&self.here);
        let folded = here.get(&place.log).filter(|folded| folded.size > place.index);
        folded.is_some_and(|folded| !folded.missing.contains(&place.index))
    }

    /// How many records of each log are missing here.
    #[must_use]
    pub fn missing(&self) -> BTreeMap<LogName, u64> {
        let here = locked(&self.here);
        here.iter().map(|(log, folded)| (log.clone(), folded.missing.len() as u64)).collect()
    }

    /// Waits until a log is effective here up to a size.
    pub async fn wait_here(&self, log: &LogName, size: u64) {
        let mut here = self.subscribe();
        while here.folded(log) < size {
            here.changed().await;
        }
    }

    /// Notes what a member told; true if it is news. A smaller size than before takes the larger
    /// one back: the member was restored from an old backup and catches up again. `held` is what we
    /// hold of the log: nothing can be effective that is not there, and what the member has ahead of
    /// us its next receipt says again.
    pub fn told(
        &self,
        (member, log): (&MemberName, &LogName),
        effective: &Effective,
        (held, told_ms): (u64, u64),
    ) -> bool {
        let Effective { size, except } =
            Effective::new(effective.size.min(held), &effective.except);
        let mut others = self.others();
        let there = others.entry((member.clone(), log.clone())).or_default();
        there.points.retain(|point| point.size <= size);
        let news = there.except(except, told_ms);
        let points = &mut there.points;
        if size == 0 || points.last().is_some_and(|last| last.size == size) {
            return news;
        }
        if points.len() == HISTORY {
            points.remove(0);
        }
        points.push(Point { size, told_ms });
        true
    }

    /// When a member told that an entry is effective there.
    #[must_use]
    pub fn effective_at(&self, member: &MemberName, log: &LogName, index: u64) -> Option<u64> {
        self.others().get(&(member.clone(), log.clone()))?.effective_at(index)
    }

    /// Up to where a log is effective at a member.
    #[must_use]
    pub fn at(&self, member: &MemberName, log: &LogName) -> Option<u64> {
        let others = self.others();
        others.get(&(member.clone(), log.clone()))?.points.last().map(|point| point.size)
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
        note: impl Fn(BTreeMap<LogName, Effective>) -> BoxFuture<'static, ()> + Send,
    ) {
        let mut here = self.subscribe();
        let mut wait = PAUSE;
        loop {
            let now = here.now();
            let behind = match peer.receipts().await {
                Ok(there) => {
                    let lacks = |(log, here): (&LogName, &Effective)| {
                        let all =
                            |there: &Effective| there.size >= here.size && there.except.is_empty();
                        !there.get(log).is_some_and(all)
                    };
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

fn effective(here: &Mutex<BTreeMap<LogName, Folded>>) -> BTreeMap<LogName, Effective> {
    locked(here).iter().map(|(log, folded)| (log.clone(), folded.effective())).collect()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
