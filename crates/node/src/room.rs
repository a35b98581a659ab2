//! Notes whether the disk still takes what is written, so that a node whose disk is full says so, and says when
//! there is room again.
//!
//! **Invariant:** while the disk is known to be full, the node is not ready; the first write that it takes ends that.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Notify;
use watchfire_store::{
    Around, Batch, CommitError, Row, SeenItem, Settlement, Store, StoreError, Table,
};
use watchfire_tlog::Origin;

/// How often a full disk is tried again: a person who makes room sees it at once.
const TRY_EVERY: Duration = Duration::from_secs(2);
/// One row that says nothing: what is written to find out whether anything is.
const TRIED: Table = Table::View("tried");

/// Whether there is room. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Room {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    full: AtomicBool,
    now_full: Notify,
}

impl Room {
    /// Stands around a store from now on.
    pub(crate) fn of(store: &mut Arc<dyn Store>) -> Self {
        let room = Self::default();
        *store = Arc::new(Noting { store: store.clone(), room: room.clone() });
        room
    }

    /// Whether the last write found the disk full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.shared.full.load(Ordering::SeqCst)
    }

    /// Tries a full disk again and again, for as long as the node runs.
    pub(crate) async fn run(self, store: Arc<dyn Store>) {
        for number in 0_u64.. {
            while !self.is_full() {
                self.shared.now_full.notified().await;
            }
            tokio::time::sleep(TRY_EVERY).await;
            let value = Some(number.to_be_bytes().to_vec());
            let rows = vec![Row { table: TRIED, key: b"number".to_vec(), value }];
            // What comes of it is noted on its way.
            if let Err(error) = store.commit(Batch { rows, ..Batch::default() }).await {
                tracing::debug!(%error, "the disk takes nothing yet");
            }
        }
    }

    fn note(&self, full: bool) {
        if self.shared.full.swap(full, Ordering::SeqCst) == full {
            return;
        }
        if full {
            tracing::error!("the disk is full: nothing new is taken until there is room");
            self.shared.now_full.notify_one();
        } else {
            tracing::info!("there is room on the disk again");
        }
    }
}

/// A store that notes whether its disk is full.
struct Noting {
    store: Arc<dyn Store>,
    room: Room,
}

impl Noting {
    fn noted<T>(&self, written: Result<T, StoreError>) -> Result<T, StoreError> {
        match &written {
            Ok(_) => self.room.note(false),
            Err(StoreError::Full) => self.room.note(true),
            Err(_) => {}
        }
        written
    }
}

#[async_trait]
impl Around for Noting {
    fn inner(&self) -> &dyn Store {
        &*self.store
    }

    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        let written = self.store.commit(batch).await;
        match &written {
            Ok(()) => self.room.note(false),
            Err(CommitError::Store(StoreError::Full)) => self.room.note(true),
            Err(_) => {}
        }
        written
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<(), StoreError> {
        self.noted(self.store.settle(settlements).await)
    }

    async fn fill(&self, log: &Origin, index: u64, record: Bytes) -> Result<(), StoreError> {
        self.noted(self.store.fill(log, index, record).await)
    }

    async fn seen_add(&self, items: Vec<SeenItem>) -> Result<(), StoreError> {
        self.noted(self.store.seen_add(items).await)
    }
}
