//! Wakes those who wait for a log to grow: one log's followers, and the watchers of all logs.
//!
//! **Invariant:** a size is published only after it is durable.
//! **Invariant:** a waiter may miss sizes in between, never the last one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::sync::watch;
use watchfire_tlog::Origin;

/// The sizes of all logs, and who waits for the next ones. Dropping it ends every stream.
#[derive(Debug)]
pub(crate) struct Feed {
    sizes: Arc<Mutex<BTreeMap<Origin, u64>>>,
    any: watch::Sender<()>,
    logs: Mutex<BTreeMap<Origin, watch::Sender<u64>>>,
}

impl Feed {
    /// Starts with the logs as they are.
    pub(crate) fn new(sizes: BTreeMap<Origin, u64>) -> Self {
        let sizes = Arc::new(Mutex::new(sizes));
        Feed { sizes, any: watch::Sender::new(()), logs: Mutex::default() }
    }

    /// Says that `log` is durable up to `size`.
    pub(crate) fn publish(&self, log: &Origin, size: u64) {
        locked(&self.sizes).insert(log.clone(), size);
        if let Some(sender) = locked(&self.logs).get(log) {
            sender.send_replace(size);
        }
        self.any.send_replace(());
    }

    /// The size of one log, marked as changed whenever it grows. Forgets logs that nobody waits
    /// for any more, so that names asked for by strangers do not pile up.
    pub(crate) fn subscribe(&self, log: &Origin) -> watch::Receiver<u64> {
        let mut logs = locked(&self.logs);
        if let Some(sender) = logs.get(log) {
            return sender.subscribe();
        }
        logs.retain(|_, sender| sender.receiver_count() > 0);
        // `publish` writes the size before it takes this lock, so a growth that is missed here is
        // read as the size, and one that is not yet in the size finds the sender.
        let size = locked(&self.sizes).get(log).copied().unwrap_or(0);
        let (sender, receiver) = watch::channel(size);
        logs.insert(log.clone(), sender);
        receiver
    }

    /// All logs as they are, then every log that grew.
    pub(crate) fn watch(&self) -> BoxStream<'static, (Origin, u64)> {
        let mut changes = self.any.subscribe();
        changes.mark_changed();
        let start = Watcher {
            sizes: Arc::clone(&self.sizes),
            changes,
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
    changes: watch::Receiver<()>,
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
            self.changes.changed().await.ok()?;
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
