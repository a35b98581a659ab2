//! The one task that writes the seen table, in groups and in the order of the calls, and keeps it
//! within its limits.
//!
//! **Invariant:** nothing else writes it, so what is read here before a write still holds at the write.
//! **Invariant:** an item that was forgotten while it waited is not written afterwards.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::MissedTickBehavior,
};
use watchfire_signal::name::ItemId;
use watchfire_store::{SeenItem, StoreError};

use super::{Item, table::Table};

/// Messages that can wait; a scan waits for room only beyond that.
pub const QUEUE: usize = 65_536;
/// Items in one transaction: few enough that an alert's commit never waits long behind one.
pub const MAX_GROUP: usize = 256;
/// How long a group gathers. A crash can lose the items of this window, no more; the platform's
/// next scan of them brings them back.
pub const WINDOW: Duration = Duration::from_millis(50);

/// How often what is over its time or a limit is dropped.
const EXPIRE_EVERY: Duration = Duration::from_secs(1);
/// Groups dropped each time: twice what the fastest platform scans meanwhile.
const GROUPS_EXPIRED: usize = 16;

/// What the writer is asked.
pub(super) enum Message {
    /// Write what memory holds under this id.
    Keep(ItemId),
    /// Replace this item if the store has one of its id.
    Renew(Item),
    /// Add items that were held before; the answer tells how many were new or younger than known.
    Import(Vec<Item>, oneshot::Sender<Result<usize, StoreError>>),
    /// Forget an item, here and in the store; the answer tells whether the store had it.
    Forget(ItemId, oneshot::Sender<Result<bool, StoreError>>),
    /// Answer when everything before this is durable and the table is within its limits.
    Flush(oneshot::Sender<()>),
}

/// Items on their way to the store.
pub struct Unwritten {
    pub(super) messages: mpsc::Receiver<Message>,
    pub(super) table: Arc<Table>,
}

impl Unwritten {
    /// Writes items in groups until the seen table is gone.
    pub async fn run(mut self) {
        let mut tick = tokio::time::interval(EXPIRE_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut group = Vec::with_capacity(MAX_GROUP);
        loop {
            tokio::select! {
                biased;
                _ = tick.tick() => {
                    report(self.expire(GROUPS_EXPIRED).await, "old items could not be dropped");
                }
                count = self.messages.recv_many(&mut group, MAX_GROUP) => {
                    if count == 0 {
                        return;
                    }
                    self.gather(&mut group).await;
                    self.write(&mut group).await;
                    report(self.table.spill().await, "items could not move into a file");
                }
            }
        }
    }

    /// Waits for more to write, where nobody waits for an answer.
    async fn gather(&mut self, group: &mut Vec<Message>) {
        if group.iter().all(|message| matches!(message, Message::Keep(_))) {
            tokio::time::sleep(WINDOW).await;
        }
        while group.len() < MAX_GROUP
            && let Ok(message) = self.messages.try_recv()
        {
            group.push(message);
        }
    }

    async fn write(&self, group: &mut Vec<Message>) {
        let table = &self.table;
        let mut items = Vec::new();
        // Whoever asked may have gone before the answer.
        for message in group.drain(..) {
            if let Message::Keep(id) = &message {
                // What was forgotten since it was scanned is not in memory any more.
                items.extend(table.recent.item(id).map(|item| item.to_stored()));
                continue;
            }
            self.add(std::mem::take(&mut items)).await;
            match message {
                Message::Keep(_) => {}
                Message::Renew(item) => report(self.renew(item).await, "a scanned item is lost"),
                Message::Import(items, done) => drop(done.send(self.import(items).await)),
                Message::Forget(id, done) => drop(done.send(table.forget(&id).await)),
                Message::Flush(done) => {
                    report(table.spill().await, "items could not move into a file");
                    report(self.expire(usize::MAX).await, "old items could not be dropped");
                    let _gone = done.send(());
                }
            }
        }
        self.add(items).await;
    }

    async fn add(&self, items: Vec<SeenItem>) {
        let count = items.len() as u64;
        if count > 0
            && let Err(error) = self.table.put(items).await
        {
            metrics::counter!("watchfire_seen_lost_total").increment(count);
            tracing::error!(%error, count, "scanned items could not be kept");
        }
    }

    async fn renew(&self, item: Item) -> Result<(), StoreError> {
        if !self.table.store.seen_find(vec![item.id.to_string()]).await?.is_empty() {
            let stored = item.to_stored();
            self.table.recent.insert(item);
            self.table.put(vec![stored]).await?;
        }
        Ok(())
    }

    async fn import(&self, items: Vec<Item>) -> Result<usize, StoreError> {
        let oldest_ms = self.table.days_ago();
        let mut youngest = BTreeMap::<ItemId, Item>::new();
        for item in items.into_iter().filter(|item| item.seen_ms >= oldest_ms) {
            match youngest.get(&item.id) {
                Some(known) if known.seen_ms >= item.seen_ms => {}
                _ => drop(youngest.insert(item.id.clone(), item)),
            }
        }
        let items: Vec<Item> = youngest.into_values().collect();
        let mut taken = 0;
        for group in items.chunks(MAX_GROUP) {
            let ids = group.iter().map(|item| item.id.to_string()).collect();
            let held = self.table.store.seen_find(ids).await?;
            let known: BTreeMap<String, u64> =
                held.into_iter().map(|(_, held)| (held.item, held.seen_ms)).collect();
            let younger = |item: &&Item| {
                let here = self.table.recent.item(&item.id).map(|held| held.seen_ms);
                let known = known.get(item.id.as_str()).copied().max(here);
                known.is_none_or(|known| known < item.seen_ms)
            };
            let group: Vec<&Item> = group.iter().filter(younger).collect();
            self.table.put(group.iter().map(|item| item.to_stored()).collect()).await?;
            for item in &group {
                self.table.recent.insert((*item).clone());
            }
            taken += group.len();
            self.table.spill().await?;
        }
        Ok(taken)
    }

    async fn expire(&self, groups: usize) -> Result<(), StoreError> {
        for _ in 0..groups {
            if !self.table.expire(MAX_GROUP).await? {
                break;
            }
        }
        let (older, store) = (&self.table.older, &*self.table.store);
        older.reclaim(store).await?;
        older.save_counts(store).await
    }
}

fn report(done: Result<(), StoreError>, what: &'static str) {
    if let Err(error) = done {
        tracing::error!(%error, what, "the seen table is behind; tried again");
    }
}
