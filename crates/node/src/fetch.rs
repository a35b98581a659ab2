//! Asks the other members of a group for records that came as holes, and puts them in their place; says
//! what is missing to members that bring it.
//!
//! **Invariant:** a record is filled in only where it opens under its leaf.
//! **Invariant:** whatever a member withholds costs the others a bounded number of requests.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::{Notify, mpsc};
use watchfire_signal::{
    contradiction::Contradiction,
    name::{LogName, MemberName},
    record::{Leaf, open},
};
use watchfire_store::{Store, StoreError};
use watchfire_tlog::Origin;

use crate::{clock::Random, contradictions, peer::Peer, place::Place, replicate::jittered};

/// Holes of one log that are remembered; the rest is found again at the next start.
pub const MAX_HOLES: usize = 65_536;
/// Records asked for at once; what `GET …/records` takes.
pub const MAX_ASKED: usize = 256;
/// The most logs of which a member is told what is missing.
const MAX_TOLD_LOGS: usize = 64;
/// The first wait before everybody is asked again for what is still missing.
const BACKOFF_START: Duration = Duration::from_secs(1);
/// The longest such wait. New holes do not shorten it, so that a member that makes holes without
/// end costs no more than one request a log, a peer and a minute.
const BACKOFF_END: Duration = Duration::from_secs(60);
/// Filled places on their way to the fold.
const FILLED: usize = 1_024;

/// Records that we may have and do not. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Holes {
    shared: Arc<Shared>,
    /// Told where records are put and dropped, for a fold that goes on beside.
    pub(crate) noted: Noted,
}

#[derive(Debug, Default)]
struct Shared {
    open: Mutex<BTreeMap<LogName, BTreeSet<u64>>>,
    more: Notify,
    told: Mutex<BTreeMap<LogName, u64>>,
}

impl Holes {
    /// Notes a hole.
    pub fn add(&self, place: &Place) {
        let mut open = self.open();
        let indices = open.entry(place.log.clone()).or_default();
        if indices.len() < MAX_HOLES && indices.insert(place.index) {
            self.shared.more.notify_one();
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open().values().map(BTreeSet::len).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Notes that a record is not missing any more, or not wanted.
    pub fn close(&self, place: &Place) {
        let mut open = self.open();
        if let Some(indices) = open.get_mut(&place.log) {
            indices.remove(&place.index);
            if indices.is_empty() {
                open.remove(&place.log);
            }
        }
    }

    /// Some holes of each log, for a member that may bring them; another time the next ones.
    #[must_use]
    pub fn lacking(&self) -> BTreeMap<LogName, Vec<u64>> {
        let mut told = self.shared.told.lock().unwrap_or_else(PoisonError::into_inner);
        let some: BTreeMap<_, _> = self.some(&told).into_iter().take(MAX_TOLD_LOGS).collect();
        *told = some.iter().filter_map(|(log, at)| Some((log.clone(), *at.last()?))).collect();
        some
    }

    fn has(&self, place: &Place) -> bool {
        self.open().get(&place.log).is_some_and(|indices| indices.contains(&place.index))
    }

    /// Some holes of each log, from where the last round ended.
    fn some(&self, after: &BTreeMap<LogName, u64>) -> Vec<(LogName, Vec<u64>)> {
        let open = self.open();
        let some = |(log, indices): (&LogName, &BTreeSet<u64>)| {
            let from = after.get(log).map_or(0, |last| last + 1);
            let turn = indices.range(from..).chain(indices.range(..from));
            (log.clone(), turn.copied().take(MAX_ASKED).collect())
        };
        open.iter().map(some).collect()
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<LogName, BTreeSet<u64>>> {
        self.shared.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where records were put or dropped since somebody began to ask: a fold that goes on beside has perhaps read the place
/// before. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Noted(Arc<Mutex<Option<BTreeSet<Place>>>>);

impl Noted {
    fn begin(&self) {
        *self.places() = Some(BTreeSet::new());
    }

    /// Before it is done and after: asking may begin in between, and an end in between must not hide it.
    pub(crate) fn note(&self, place: &Place) {
        if let Some(places) = self.places().as_mut() {
            places.insert(place.clone());
        }
    }

    /// The places; no more are noted.
    #[must_use]
    pub fn take(&self) -> BTreeSet<Place> {
        self.places().take().unwrap_or_default()
    }

    fn places(&self) -> MutexGuard<'_, Option<BTreeSet<Place>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts records in their place. Cheap to clone.
#[derive(Clone)]
pub struct Filler {
    /// What is missing.
    pub holes: Holes,
    /// Where records belong.
    pub store: Arc<dyn Store>,
    /// Told which places have their record now.
    pub filled: mpsc::Sender<Place>,
}

/// Asks for what is missing. One task.
pub struct Fetcher {
    /// What puts it in its place.
    pub filler: Filler,
    /// Who may have it: the members that can be reached.
    pub peers: BTreeMap<MemberName, Arc<dyn Peer>>,
    /// For waits.
    pub random: Arc<dyn Random>,
}

impl Fetcher {
    /// Asks for what is missing, for as long as the node runs.
    pub async fn run(self) {
        let mut wait = BACKOFF_START;
        let mut after = BTreeMap::new();
        loop {
            let holes = &self.filler.holes;
            while holes.is_empty() {
                holes.shared.more.notified().await;
                wait = BACKOFF_START;
            }
            let before = holes.len();
            for (log, indices) in holes.some(&after) {
                if let Some(last) = indices.last() {
                    after.insert(log.clone(), *last);
                }
                if let Err(error) = self.fetch(&log, indices).await {
                    tracing::error!(%error, %log, "a record could not be put in its place");
                }
            }
            // What fills up goes on at once; what does not is asked for less and less often.
            let progress = holes.len() < before;
            wait = if progress { BACKOFF_START } else { (wait * 2).min(BACKOFF_END) };
            tokio::time::sleep(jittered(wait, &*self.random)).await;
        }
    }

    /// Asks the author, then the others, until nothing of this is missing any more.
    async fn fetch(&self, log: &LogName, mut missing: Vec<u64>) -> Result<(), StoreError> {
        let author = self.peers.get(&log.member);
        let others = self.peers.iter().filter(|(member, _)| **member != log.member);
        for peer in author.into_iter().chain(others.map(|(_, peer)| peer)) {
            if missing.is_empty() {
                return Ok(());
            }
            let records = match peer.source(log).records(&missing).await {
                Ok(records) => records,
                Err(error) => {
                    tracing::debug!(%error, %log, "a peer does not say whether it has records");
                    continue;
                }
            };
            let mut found = BTreeSet::new();
            for (&index, record) in missing.iter().zip(records) {
                let place = Place { log: log.clone(), index };
                if let Some(record) = record
                    && self.filler.fill(place, record).await?
                {
                    found.insert(index);
                }
            }
            missing.retain(|index| !found.contains(index));
        }
        Ok(())
    }
}

impl Filler {
    /// One that knows of nothing missing yet, and what it tells of.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> (Self, mpsc::Receiver<Place>) {
        let (filled, fills) = mpsc::channel(FILLED);
        (Self { holes: Holes::default(), store, filled }, fills)
    }

    /// Notes from now on where records are put and dropped.
    #[must_use]
    pub fn note(&self) -> Noted {
        self.holes.noted.begin();
        self.holes.noted.clone()
    }

    /// Takes a record that a member brings; false where it is not missing here, or does not belong there.
    ///
    /// # Errors
    /// The store's.
    pub async fn take(&self, place: Place, record: Bytes) -> Result<bool, StoreError> {
        Ok(self.holes.has(&place) && self.fill(place, record).await?)
    }

    /// Puts a record in its place; false where it is not the one that belongs there.
    async fn fill(&self, place: Place, record: Bytes) -> Result<bool, StoreError> {
        let Ok(origin) = Origin::new(place.log.to_string()) else { return Ok(false) };
        let (log, index) = (&origin, place.index);
        let held = self.store.held(log, index, 1).await?;
        let Some(held) = held.into_iter().find(|held| held.index == index) else {
            return Ok(false);
        };
        let leaf = Leaf::decode(&held.entry.leaf).ok();
        let fits = leaf.as_ref().is_some_and(|leaf| open(leaf, &record).is_ok());
        if fits {
            self.holes.noted.note(&place);
            self.store.fill(log, index, record).await?;
            self.holes.noted.note(&place);
            self.holes.close(&place);
            // The fold has gone: the node stops, and folds it at its next start.
            let _stopping = self.filled.send(place).await;
        } else {
            metrics::counter!("watchfire_records_refused_total", "member" => "relay").increment(1);
            tracing::warn!(%log, index, "a record that was fetched does not belong to its leaf");
            // Whoever brought it: its author may have written it so.
            if let Some(found) = leaf.and_then(|leaf| Contradiction::between(&leaf, &record))
                && let Err(error) =
                    contradictions::keep(&*self.store, &place.log, (index, &found)).await
            {
                tracing::warn!(%error, %log, index, "a contradiction is not kept yet");
            }
        }
        Ok(fits)
    }
}
