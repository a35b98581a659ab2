//! What the platform already holds: every scanned item with its signals, searched when an alert
//! comes.
//!
//! **Invariant:** an item is findable here before its own lookup begins, and a signal is findable
//! in [`Known`](crate::known::Known) before this table is searched for it, so no copy slips
//! between an upload and an alert.
//! **Invariant:** a search finds every copy: nothing is cut off.

mod item;
mod recent;
mod writer;

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use watchfire_signal::{name::ItemId, value::Signal};
use watchfire_store::{Store, StoreError};

pub use self::{
    item::Item,
    writer::{MAX_GROUP, QUEUE, Unwritten, WINDOW},
};
use self::{recent::Recent, writer::Message};
use crate::near::Hit;

/// Items read at once at start.
const PAGE: usize = 10_000;
/// Copies in one page of an answer: effects on so many fit into one transaction.
pub const COPIES_PAGE: usize = 1_024;

/// The seen table.
pub struct Seen {
    recent: Arc<Recent>,
    queue: mpsc::Sender<Message>,
}

/// The copies that a search found, page by page.
pub struct Copies {
    recent: std::vec::IntoIter<(Arc<Item>, Hit<u64>)>,
}

impl Copies {
    /// The next page, of at most [`COPIES_PAGE`] copies, each once with the hit that speaks loudest;
    /// empty when there are no more.
    ///
    /// # Errors
    /// The store's; the search can be asked again.
    pub async fn next(&mut self) -> Result<Vec<(Arc<Item>, Hit<u64>)>, StoreError> {
        Ok(self.recent.by_ref().take(COPIES_PAGE).collect())
    }
}

impl Seen {
    /// Loads what the store holds.
    ///
    /// # Errors
    /// The store's; a row that cannot be read is [`StoreError::Corrupt`].
    pub async fn load(
        store: Arc<dyn Store>,
        seed: [u8; 32],
        least_matched_ms: u32,
    ) -> Result<(Self, Unwritten), StoreError> {
        let (queue, messages) = mpsc::channel(QUEUE);
        let recent = Arc::new(Recent::new(seed, least_matched_ms));
        let mut after = 0;
        loop {
            let page = store.seen(after, PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            for (row, stored) in page {
                recent.insert(Item::from_row(row, &stored)?);
            }
        }
        let unwritten = Unwritten { messages, recent: recent.clone(), store };
        Ok((Self { recent, queue }, unwritten))
    }

    /// Makes an item findable; one of the same id is replaced. Not durable yet: [`Seen::keep`].
    /// Answers whether the id was known before.
    pub fn insert(&self, item: Item) -> bool {
        self.recent.insert(item)
    }

    /// Has an item that was inserted written with the next group, unless it is forgotten before.
    pub async fn keep(&self, id: &ItemId) {
        // The receiver lives as long as the node; at its end there is nothing to keep any more.
        let _stopping = self.queue.send(Message::Keep(id.clone())).await;
    }

    /// Waits until what was kept so far is durable.
    pub async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.queue.send(Message::Flush(done)).await.is_ok() {
            // The writer answers or is gone; either way there is nothing more to wait for.
            let _written = written.await;
        }
    }

    /// Forgets an item that was not accepted after all, and was never kept.
    pub fn withdraw(&self, id: &ItemId) {
        self.recent.remove(id);
    }

    /// Forgets an item that the platform deleted; false if it was not known. It waits behind what was
    /// kept before, so that an item still on its way to the store does not come back.
    ///
    /// # Errors
    /// The store's; the item may come back at the next start then.
    pub async fn forget(&self, id: &ItemId) -> Result<bool, StoreError> {
        let in_memory = self.recent.remove(id);
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
        Ok(self.recent.item(id))
    }

    /// Items near any of the signals: all of them, page by page.
    ///
    /// # Errors
    /// The store's.
    pub async fn search(&self, signals: &[Signal]) -> Result<Copies, StoreError> {
        Ok(Copies { recent: self.recent.search(signals).into_iter() })
    }

    /// Items held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.recent.len()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
