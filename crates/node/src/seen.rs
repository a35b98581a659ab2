//! What the platform already holds: every scanned item with its signals, searched when an alert
//! comes.
//!
//! **Invariant:** an item is findable here before its own lookup begins, and a signal is findable
//! in [`Known`](crate::known::Known) before this table is searched for it, so no copy slips
//! between an upload and an alert.
//! **Invariant:** a search finds every copy: nothing is cut off.
//! **Invariant:** an item moves from memory into a file; it is in both before it leaves memory.

mod copies;
mod item;
mod limits;
mod older;
mod recent;
mod table;
mod writer;

use std::sync::{Arc, atomic::AtomicU64};

use tokio::sync::{mpsc, oneshot};
use watchfire_signal::{name::ItemId, value::Signal};
use watchfire_store::{Store, StoreError};

pub use self::{
    copies::{COPIES_PAGE, Copies},
    item::Item,
    limits::{Horizon, SeenLimits, SeenSetup},
    writer::{MAX_GROUP, QUEUE, Unwritten, WINDOW},
};
use self::{older::Older, recent::Recent, table::Table, writer::Message};
use crate::clock::Clock;

/// Items read at once at start.
const PAGE: usize = 10_000;

/// The seen table.
pub struct Seen {
    table: Arc<Table>,
    queue: mpsc::Sender<Message>,
}

/// What a seen table works with.
pub struct SeenParts {
    /// Where the items are.
    pub store: Arc<dyn Store>,
    /// The node's clock.
    pub clock: Arc<dyn Clock>,
    /// Where the older signals lie and how much is kept.
    pub setup: SeenSetup,
    /// As in [`Near::new`](crate::near::Near::new).
    pub seed: [u8; 32],
    /// As in [`Near::new`](crate::near::Near::new).
    pub least_matched_ms: u32,
}

impl Seen {
    /// Opens what was held: the files of older signals, made again where they are damaged, and the
    /// youngest items in memory.
    ///
    /// # Errors
    /// The store's; a row that cannot be read is [`StoreError::Corrupt`].
    pub async fn load(parts: SeenParts) -> Result<(Self, Unwritten), StoreError> {
        let SeenParts { store, clock, setup, seed, least_matched_ms } = parts;
        let SeenSetup { directory, limits } = setup;
        let failed = |error: String| StoreError::Failed(format!("files of seen signals: {error}"));
        let older = if directory.is_some() {
            let older = tokio::task::spawn_blocking(|| Older::open(directory)).await;
            older.map_err(|error| failed(error.to_string()))?
        } else {
            Older::open(None)
        };
        let older = older.map_err(|error| failed(error.to_string()))?;
        let recent = Recent::new(seed, least_matched_ms);
        let cut_ms = AtomicU64::new(0);
        let table = Table { recent, older, store, clock, limits, least_matched_ms, cut_ms };
        table.load_cut().await?;
        table.older.load_counts(&*table.store).await?;
        table.fill_gaps().await?;
        let mut after = table.older.covered();
        loop {
            let page = table.store.seen(after, PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            for (row, stored) in page {
                table.recent.insert(Item::from_row(row, &stored)?);
            }
            table.spill().await?;
        }
        let table = Arc::new(table);
        let (queue, messages) = mpsc::channel(QUEUE);
        let unwritten = Unwritten { messages, table: table.clone() };
        Ok((Self { table, queue }, unwritten))
    }

    /// Makes an item findable; one of the same id is replaced. Not durable yet: [`Seen::keep`].
    /// Answers whether memory had the id before.
    pub fn insert(&self, item: Item) -> bool {
        self.table.recent.insert(item.kept())
    }

    /// Has an item that was inserted written with the next group, unless it is forgotten before.
    pub async fn keep(&self, id: &ItemId) {
        // The receiver lives as long as the node; at its end there is nothing to keep any more.
        let _stopping = self.queue.send(Message::Keep(id.clone())).await;
    }

    /// Waits until what was kept so far is durable and the table is within its limits.
    pub async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.queue.send(Message::Flush(done)).await.is_ok() {
            // The writer answers or is gone; either way there is nothing more to wait for.
            let _written = written.await;
        }
    }

    /// Takes an item back that was not accepted after all, and was never kept. An older one of its id
    /// that is held outside of memory is replaced by it: it was scanned again, not uploaded.
    pub async fn withdraw(&self, item: Item) {
        self.table.recent.remove(&item.id);
        if !self.table.older.segments().is_empty() {
            let _stopping = self.queue.send(Message::Renew(item)).await;
        }
    }

    /// Adds items that the platform held before; what is known as well or better stays. They are
    /// durable and findable when it returns how many were taken.
    ///
    /// # Errors
    /// The store's; some of the items may be there, and asking again is harmless.
    pub async fn import(&self, items: Vec<Item>) -> Result<usize, StoreError> {
        let (done, taken) = oneshot::channel();
        let items = items.into_iter().map(Item::kept).collect();
        let asked = self.queue.send(Message::Import(items, done)).await;
        asked.map_err(|_| StoreError::Closed)?;
        taken.await.map_err(|_| StoreError::Closed)?
    }

    /// Forgets an item that the platform deleted; false if it was not known. It waits behind what was
    /// kept before, so that an item still on its way to the store does not come back.
    ///
    /// # Errors
    /// The store's; the item may come back at the next start then.
    pub async fn forget(&self, id: &ItemId) -> Result<bool, StoreError> {
        let in_memory = self.table.recent.remove(id);
        let (done, forgotten) = oneshot::channel();
        let asked = self.queue.send(Message::Forget(id.clone(), done)).await;
        asked.map_err(|_| StoreError::Closed)?;
        let in_store = forgotten.await.map_err(|_| StoreError::Closed)??;
        Ok(in_memory || in_store)
    }

    /// An item by its id.
    ///
    /// # Errors
    /// The store's.
    pub async fn item(&self, id: &ItemId) -> Result<Option<Arc<Item>>, StoreError> {
        if let Some(item) = self.table.recent.item(id) {
            return Ok(Some(item));
        }
        let found = self.table.store.seen_find(vec![id.to_string()]).await?;
        let item = found.first().map(|(row, stored)| Item::from_row(*row, stored));
        Ok(item.transpose()?.map(Arc::new))
    }

    /// Up to `limit` items that are durable with rows above `after`, and the last row; `None`: there
    /// are no more.
    ///
    /// # Errors
    /// The store's.
    pub async fn page(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Option<(Vec<Item>, u64)>, StoreError> {
        let page = self.table.store.seen(after, limit).await?;
        let Some((last, _)) = page.last() else { return Ok(None) };
        let last = *last;
        let items = page.iter().map(|(row, stored)| Item::from_row(*row, stored));
        Ok(Some((items.collect::<Result<_, _>>()?, last)))
    }

    /// Items near any of the signals: all of them, page by page.
    ///
    /// # Errors
    /// The store's, or the disk's.
    pub async fn search(&self, signals: &[Signal]) -> Result<Copies, StoreError> {
        // Memory first: what leaves it meanwhile is in a file already.
        let recent = self.table.recent.search(signals);
        let segments = self.table.older.segments();
        let signals = signals.to_vec();
        let (signals, rows) = if segments.is_empty() {
            (signals, Vec::new())
        } else {
            let search = move || {
                let rows = older::candidates(&segments, &signals)?;
                Ok::<_, std::io::Error>((signals, rows))
            };
            let failed = |error: String| StoreError::Failed(format!("older signals: {error}"));
            let found = tokio::task::spawn_blocking(search).await;
            let found = found.map_err(|error| failed(error.to_string()))?;
            found.map_err(|error| failed(error.to_string()))?
        };
        let (recent, rows) = (recent.into_iter(), rows.into_iter());
        Ok(Copies { table: self.table.clone(), signals, recent, rows })
    }

    /// Items held.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.table.size().0).unwrap_or(usize::MAX)
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of the items, of the store's indexes over them, and of the files of older signals, about.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.table.size().1
    }

    /// Items that are in files and not in memory.
    #[must_use]
    pub fn older(&self) -> u64 {
        self.table.older.size().0
    }

    /// How far back the table reaches.
    #[must_use]
    pub fn horizon(&self) -> Horizon {
        self.table.horizon()
    }
}
