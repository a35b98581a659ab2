//! Wakes those who wait for a log to grow: one log's followers, and the watchers of all logs.
//!
//! **Invariant:** a size is published only after it is durable.
//! **Invariant:** a waiter may miss sizes in between, never the last one.
//! **Invariant:** who waited first is woken first, so that a simulation repeats.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::sync::broadcast::{
    self,
    error::{RecvError, TryRecvError},
};
use watchfire_tlog::Origin;

/// The sizes of all logs, and who waits for the next ones. Dropping it ends every stream.
#[derive(Debug)]
pub(crate) struct Feed {
    sizes: Arc<Mutex<BTreeMap<Origin, u64>>>,
    any: broadcast::Sender<()>,
    logs: Mutex<BTreeMap<Origin, broadcast::Sender<u64>>>,
}

/// The size of one log, and its growth. One place in the channel is enough: the last size counts.
pub(crate) struct Sizes {
    latest: u64,
    news: broadcast::Receiver<u64>,
}

impl Sizes {
    /// The size that was published last.
    pub(crate) fn latest(&mut self) -> u64 {
        loop {
            match self.news.try_recv() {
                Ok(size) => self.latest = size,
                Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => return self.latest,
            }
        }
    }

    /// Waits for the next one; `None`: the store is closed.
    pub(crate) async fn grown(&mut self) -> Option<()> {
        match self.news.recv().await {
            Ok(size) => self.latest = size,
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return None,
        }
        Some(())
    }
}

impl Feed {
    /// Starts with the logs as they are.
    pub(crate) fn new(sizes: BTreeMap<Origin, u64>) -> Self {
        let sizes = Arc::new(Mutex::new(sizes));
        Feed { sizes, any: broadcast::Sender::new(1), logs: Mutex::default() }
    }

    /// Says that `log` is durable up to `size`.
    pub(crate) fn publish(&self, log: &Origin, size: u64) {
        locked(&self.sizes).insert(log.clone(), size);
        if let Some(sender) = locked(&self.logs).get(log) {
            // Nobody waits: nobody is told.
            let _nobody = sender.send(size);
        }
        let _nobody = self.any.send(());
    }

    /// The size of one log, told whenever it grows. Forgets logs that nobody waits for any more, so
    /// that names asked for by strangers do not pile up.
    pub(crate) fn subscribe(&self, log: &Origin) -> Sizes {
        let mut logs = locked(&self.logs);
        if !logs.contains_key(log) {
            logs.retain(|_, sender| sender.receiver_count() > 0);
        }
        let sender = logs.entry(log.clone()).or_insert_with(|| broadcast::Sender::new(1));
        let news = sender.subscribe();
        // `publish` writes the size before it takes the lock of the senders, so a growth that is
        // missed here is read as the size, and one that is not yet in the size finds the receiver.
        let latest = locked(&self.sizes).get(log).copied().unwrap_or(0);
        Sizes { latest, news }
    }

    /// All logs as they are, then every log that grew.
    pub(crate) fn watch(&self) -> BoxStream<'static, (Origin, u64)> {
        let start = Watcher {
            sizes: Arc::clone(&self.sizes),
            changes: self.any.subscribe(),
            begun: false,
            told: BTreeMap::new(),
            queue: VecDeque::new(),
        };
        stream::unfold(start, |mut watcher| async move {
            let item = watcher.next().await?;
            Some((item, watcher))
        })
        .boxed()
    }
}

struct Watcher {
    sizes: Arc<Mutex<BTreeMap<Origin, u64>>>,
    changes: broadcast::Receiver<()>,
    begun: bool,
    told: BTreeMap<Origin, u64>,
    queue: VecDeque<(Origin, u64)>,
}

impl Watcher {
    async fn next(&mut self) -> Option<(Origin, u64)> {
        loop {
            if let Some((log, size)) = self.queue.pop_front() {
                self.told.insert(log.clone(), size);
                return Some((log, size));
            }
            if std::mem::replace(&mut self.begun, true)
                && self.changes.recv().await == Err(RecvError::Closed)
            {
                return None;
            }
            let sizes = locked(&self.sizes);
            let news = sizes.iter().filter(|(log, size)| self.told.get(*log) != Some(*size));
            self.queue = news.map(|(log, size)| (log.clone(), *size)).collect();
        }
    }
}

/// Locks; the data behind these locks is whole after every statement, so a panic elsewhere while
/// one was held does not spoil it.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
