//! The one task that writes the seen table, in groups and in the order of the calls.
//!
//! **Invariant:** an item that was forgotten while it waited is not written afterwards.

use std::{sync::Arc, time::Duration};

use tokio::sync::{mpsc, oneshot};
use watchfire_signal::name::ItemId;
use watchfire_store::{SeenItem, Store, StoreError};

use super::recent::Recent;

/// Items that can wait to be written; a scan waits for room only beyond that.
pub const QUEUE: usize = 65_536;
/// Messages in one group: few enough that an alert's commit never waits long behind one transaction.
pub const MAX_GROUP: usize = 256;
/// How long a group gathers. A crash can lose the items of this window, no more; the platform's
/// next scan of them brings them back.
pub const WINDOW: Duration = Duration::from_millis(50);

/// What the writer is asked.
pub(super) enum Message {
    /// Write what memory holds under this id.
    Keep(ItemId),
    /// Forget an item, here and in the store; the answer tells whether it was there.
    Forget(ItemId, oneshot::Sender<Result<bool, StoreError>>),
    /// Answer when everything before this is durable.
    Flush(oneshot::Sender<()>),
}

/// Items on their way to the store.
pub struct Unwritten {
    pub(super) messages: mpsc::Receiver<Message>,
    pub(super) recent: Arc<Recent>,
    pub(super) store: Arc<dyn Store>,
}

impl Unwritten {
    /// Writes items in groups until the seen table is gone.
    pub async fn run(mut self) {
        let mut group = Vec::with_capacity(MAX_GROUP);
        while self.messages.recv_many(&mut group, MAX_GROUP).await > 0 {
            if group.iter().all(|message| matches!(message, Message::Keep(_))) {
                tokio::time::sleep(WINDOW).await;
            }
            while group.len() < MAX_GROUP
                && let Ok(message) = self.messages.try_recv()
            {
                group.push(message);
            }
            self.write(&mut group).await;
        }
    }

    async fn write(&self, group: &mut Vec<Message>) {
        let mut items = Vec::new();
        // Whoever asked may have gone before the answer.
        for message in group.drain(..) {
            match message {
                // What was forgotten since it was scanned is not in memory any more.
                Message::Keep(id) => {
                    items.extend(self.recent.item(&id).map(|item| item.to_stored()))
                }
                Message::Forget(id, done) => {
                    self.add(std::mem::take(&mut items)).await;
                    // A scan that ran beside the call may have brought it back.
                    self.recent.remove(&id);
                    let _gone = done.send(self.store.seen_remove(id.as_str()).await);
                }
                Message::Flush(done) => {
                    self.add(std::mem::take(&mut items)).await;
                    let _gone = done.send(());
                }
            }
        }
        self.add(items).await;
    }

    async fn add(&self, items: Vec<SeenItem>) {
        let count = items.len() as u64;
        if count > 0
            && let Err(error) = self.store.seen_add(items).await
        {
            metrics::counter!("watchfire_seen_lost_total").increment(count);
            tracing::error!(%error, count, "scanned items could not be kept");
        }
    }
}
