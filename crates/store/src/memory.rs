//! A store without a disk, for tests and for runs of many nodes under one seed.
//!
//! Clones share the data, so a clone kept aside is what a node finds when it starts again.
//!
//! **Invariant:** no threads, no clock, no randomness: the same calls give the same answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use sha2::{Digest, Sha256};
use watchfire_tlog::{Origin, Source};

use crate::feed::{Feed, locked};
use crate::{
    Batch, CaseCounts, CommitError, Cut, Effect, EffectState, Head, Held, LateOrders, OutboxCounts,
    Row, SeenItem, Settlement, Store, StoreError, Table, grow,
};

mod log;

use log::{MemoryLog, MemorySource};

/// Everything in memory; what it returned `Ok` for lives as long as one of its clones.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    feed: Feed,
    data: Mutex<Data>,
}

#[derive(Debug, Clone, Default)]
struct Data {
    logs: BTreeMap<Origin, MemoryLog>,
    rows: BTreeMap<Table, BTreeMap<Vec<u8>, Vec<u8>>>,
    effects: Vec<Effect>,
    seen: BTreeMap<u64, SeenItem>,
    seen_rows: BTreeMap<String, u64>,
    last_seen_row: u64,
    blobs: BTreeMap<[u8; 32], Bytes>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        MemoryStore::new()
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        let shared = Shared { feed: Feed::new(BTreeMap::new()), data: Mutex::default() };
        MemoryStore { shared: Arc::new(shared) }
    }

    /// A store of its own that holds what this one holds now: a backup.
    #[must_use]
    pub fn backup(&self) -> MemoryStore {
        let data = self.with(|data| data.clone());
        let size = |(log, held): (&Origin, &MemoryLog)| (log.clone(), held.frontier().size());
        let feed = Feed::new(data.logs.iter().map(size).collect());
        MemoryStore { shared: Arc::new(Shared { feed, data: Mutex::new(data) }) }
    }

    fn with<T>(&self, change: impl FnOnce(&mut Data) -> T) -> T {
        change(&mut locked(&self.shared.data))
    }

    fn set_record(
        &self,
        log: &Origin,
        index: u64,
        change: impl FnOnce(&mut Option<Bytes>),
    ) -> Result<(), StoreError> {
        self.with(|data| {
            let entry = data.logs.get_mut(log).and_then(|log| log.entry_mut(index));
            let missing = || StoreError::Failed(format!("log {log} has no entry {index}"));
            change(&mut entry.ok_or_else(missing)?.record);
            Ok(())
        })
    }

    fn effects(&self, keep: impl Fn(&Effect) -> bool) -> Vec<Effect> {
        let mut found: Vec<Effect> =
            self.with(|data| data.effects.iter().filter(|effect| keep(effect)).cloned().collect());
        found.sort_by_key(|effect| effect.created_ms);
        found
    }
}

impl Data {
    fn commit(&mut self, batch: Batch) -> Result<Option<(Origin, u64)>, CommitError> {
        let mut grew = None;
        if let Some(Cut { log, most }) = batch.cut {
            let size = self.logs.get_mut(&log).map_or(0, |log| log.cut(most));
            if size == 0 {
                self.logs.remove(&log);
            }
            grew = Some((log, size));
        }
        if let Some(append) = batch.append {
            let known = self.logs.get(&append.log);
            let edge = known.map(|log| log.frontier().clone()).unwrap_or_default();
            let grown = grow::grow(&edge, &append)?;
            grew = Some((append.log.clone(), grown.frontier.size()));
            self.logs.entry(append.log.clone()).or_default().push(append, grown);
        }
        for Row { table, key, value } in batch.rows {
            let rows = self.rows.entry(table).or_default();
            match value {
                Some(value) => rows.insert(key, value),
                None => rows.remove(&key),
            };
        }
        for effect in batch.effects {
            if !self.effects.iter().any(|known| known.name == effect.name) {
                self.effects.push(effect);
            }
        }
        self.settle(batch.settlements);
        Ok(grew)
    }

    fn settle(&mut self, settlements: Vec<Settlement>) {
        for settled in settlements {
            let mut effects = self.effects.iter_mut();
            let Some(effect) = effects.find(|effect| effect.name == settled.name) else { continue };
            match (effect.state, settled.state) {
                (EffectState::Dropped, EffectState::Pending)
                | (EffectState::Done, EffectState::Dropped) => continue,
                (_, EffectState::Dropped) => {
                    effect.attempts = effect.attempts.max(settled.attempts);
                }
                _ => effect.attempts = settled.attempts,
            }
            effect.state = settled.state;
            effect.due_ms = settled.due_ms;
            effect.note = settled.note;
            if let Some(connector) = settled.connector {
                effect.connector = connector;
            }
        }
    }

    fn late(&self, late: &LateOrders) -> Vec<(u64, Effect)> {
        let numbered = (1..).zip(&self.effects);
        let mut waiting: Vec<(u64, &Effect)> =
            numbered.filter(|(_, effect)| is_pending(effect, &late.connector)).collect();
        waiting.sort_by_key(|(row, effect)| (effect.priority, effect.created_ms, *row));
        let is_late = |(place, (_, effect)): &(u64, (u64, &Effect))| {
            let behind = late.met.is_some_and(|met| *place >= met);
            effect.attempts == 0 && (behind || effect.created_ms <= late.decided_ms)
        };
        let found = (0..).zip(waiting).filter(is_late);
        let mut found: Vec<_> = found.map(|(_, (row, effect))| (row, effect.clone())).collect();
        found.sort_by_key(|(row, _)| *row);
        found
    }

    fn forget_seen(&mut self, item: &str) -> bool {
        let row = self.seen_rows.remove(item);
        row.is_some_and(|row| self.seen.remove(&row).is_some())
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn read(&self, log: &Origin) -> Arc<dyn Source> {
        Arc::new(MemorySource::new(&self.shared, log))
    }

    async fn logs(&self) -> Result<Vec<Head>, StoreError> {
        Ok(self
            .with(|data| data.logs.iter().filter_map(|(origin, log)| log.head(origin)).collect()))
    }

    async fn held(&self, log: &Origin, from: u64, limit: usize) -> Result<Vec<Held>, StoreError> {
        Ok(self.with(|data| data.logs.get(log).map_or(Vec::new(), |log| log.held(from, limit))))
    }

    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        grow::check(&batch)?;
        if let Some((log, size)) = self.with(|data| data.commit(batch))? {
            self.shared.feed.publish(&log, size);
        }
        Ok(())
    }

    fn watch(&self) -> BoxStream<'static, (Origin, u64)> {
        self.shared.feed.watch()
    }

    async fn fill(&self, log: &Origin, index: u64, record: Bytes) -> Result<(), StoreError> {
        self.set_record(log, index, |place| {
            place.get_or_insert(record);
        })
    }

    async fn erase(&self, log: &Origin, index: u64) -> Result<(), StoreError> {
        self.set_record(log, index, |place| *place = None)
    }

    async fn row(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.with(|data| data.rows.get(&table)?.get(key).cloned()))
    }

    async fn rows(
        &self,
        table: Table,
        after: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        Ok(self.with(|data| {
            let Some(rows) = data.rows.get(&table) else { return Vec::new() };
            let above = rows.iter().filter(|(key, _)| key.as_slice() > after);
            above.take(limit).map(|(key, value)| (key.clone(), value.clone())).collect()
        }))
    }

    async fn drop_views(&self) -> Result<(), StoreError> {
        self.with(|data| data.rows.retain(|table, _| matches!(table, Table::Ledger(_))));
        Ok(())
    }

    async fn put_blob(&self, bytes: Bytes) -> Result<[u8; 32], StoreError> {
        let sha256: [u8; 32] = Sha256::digest(&bytes).into();
        self.with(|data| data.blobs.insert(sha256, bytes));
        Ok(sha256)
    }

    async fn blob(&self, sha256: [u8; 32]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.with(|data| data.blobs.get(&sha256).cloned()))
    }

    async fn effects_due(
        &self,
        connector: &str,
        now_ms: u64,
        limit: usize,
    ) -> Result<Vec<Effect>, StoreError> {
        let mut due =
            self.effects(|effect| is_pending(effect, connector) && effect.due_ms <= now_ms);
        due.sort_by_key(|effect| effect.priority);
        due.truncate(limit);
        Ok(due)
    }

    async fn next_effect_due(&self, connector: &str) -> Result<Option<u64>, StoreError> {
        let pending = self.effects(|effect| is_pending(effect, connector));
        Ok(pending.iter().map(|effect| effect.due_ms).min())
    }

    async fn pending_connectors(&self) -> Result<Vec<String>, StoreError> {
        let pending = self.effects(|effect| effect.state == EffectState::Pending);
        let names: BTreeSet<String> = pending.into_iter().map(|effect| effect.connector).collect();
        Ok(names.into_iter().collect())
    }

    async fn effect(&self, name: [u8; 32]) -> Result<Option<Effect>, StoreError> {
        Ok(self.effects(|effect| effect.name == name).pop())
    }

    async fn effects_in(
        &self,
        state: EffectState,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Effect)>, StoreError> {
        Ok(self.with(|data| {
            let numbered = (1..).zip(&data.effects);
            let found = numbered.filter(|(row, effect)| *row > after && effect.state == state);
            found.take(limit).map(|(row, effect)| (row, effect.clone())).collect()
        }))
    }

    async fn effects_late(
        &self,
        late: LateOrders,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Effect)>, StoreError> {
        let mut found = self.with(|data| data.late(&late));
        found.retain(|(row, _)| *row > after);
        found.truncate(limit);
        Ok(found)
    }

    async fn count_late(&self, late: LateOrders) -> Result<u64, StoreError> {
        Ok(self.with(|data| data.late(&late)).len() as u64)
    }

    async fn outbox_counts(&self, connector: Option<&str>) -> Result<OutboxCounts, StoreError> {
        let of = |effect: &Effect| connector.is_none_or(|connector| effect.connector == connector);
        let pending = self.effects(|effect| effect.state == EffectState::Pending && of(effect));
        let dead = self.effects(|effect| effect.state == EffectState::Dead && of(effect));
        Ok(OutboxCounts {
            pending: pending.len() as u64,
            dead: dead.len() as u64,
            oldest_pending_ms: pending.first().map(|effect| effect.created_ms),
        })
    }

    async fn case_counts(&self, subject: [u8; 32], undo: &str) -> Result<CaseCounts, StoreError> {
        let done = self
            .effects(|effect| effect.subject == subject && effect.state == EffectState::Done)
            .into_iter();
        let (restored, removed): (BTreeSet<_>, BTreeSet<_>) =
            done.map(|effect| (effect.action == undo, effect.item)).partition(|(undo, _)| *undo);
        Ok(CaseCounts { removed: removed.len() as u64, restored: restored.len() as u64 })
    }

    async fn items_of_case(
        &self,
        subject: [u8; 32],
        after: &str,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let of_case =
            self.effects(|effect| effect.subject == subject && effect.item.as_str() > after);
        let items: BTreeSet<String> = of_case.into_iter().map(|effect| effect.item).collect();
        Ok(items.into_iter().take(limit).collect())
    }

    async fn effects_of_case(&self, subject: [u8; 32]) -> Result<Vec<Effect>, StoreError> {
        Ok(self.effects(|effect| effect.subject == subject))
    }

    async fn effects_of_item(&self, item: &str) -> Result<Vec<Effect>, StoreError> {
        self.effects_of_items(vec![item.to_owned()]).await
    }

    async fn effects_of_items(&self, items: Vec<String>) -> Result<Vec<Effect>, StoreError> {
        Ok(self.with(|data| {
            let of_items = data.effects.iter().filter(|effect| items.contains(&effect.item));
            of_items.cloned().collect()
        }))
    }

    async fn cases_with_effects(&self) -> Result<Vec<[u8; 32]>, StoreError> {
        let mut subjects: Vec<[u8; 32]> =
            self.effects(|_| true).iter().map(|effect| effect.subject).collect();
        subjects.sort_unstable();
        subjects.dedup();
        Ok(subjects)
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<(), StoreError> {
        self.with(|data| data.settle(settlements));
        Ok(())
    }

    async fn seen_add(&self, items: Vec<SeenItem>) -> Result<(), StoreError> {
        self.with(|data| {
            for item in items {
                data.forget_seen(&item.item);
                data.last_seen_row += 1;
                data.seen_rows.insert(item.item.clone(), data.last_seen_row);
                data.seen.insert(data.last_seen_row, item);
            }
        });
        Ok(())
    }

    async fn seen_remove(&self, item: &str) -> Result<bool, StoreError> {
        Ok(self.with(|data| data.forget_seen(item)))
    }

    async fn seen_find(&self, items: Vec<String>) -> Result<Vec<(u64, SeenItem)>, StoreError> {
        Ok(self.with(|data| {
            let rows = items.iter().filter_map(|item| data.seen_rows.get(item));
            rows.filter_map(|row| Some((*row, data.seen.get(row)?.clone()))).collect()
        }))
    }

    async fn seen_at(&self, rows: Vec<u64>) -> Result<Vec<(u64, SeenItem)>, StoreError> {
        Ok(self.with(|data| {
            let found = rows.iter().filter_map(|row| Some((*row, data.seen.get(row)?.clone())));
            found.collect()
        }))
    }

    async fn seen_oldest(
        &self,
        before_ms: u64,
        limit: usize,
    ) -> Result<Vec<(u64, SeenItem)>, StoreError> {
        let mut old: Vec<(u64, SeenItem)> = self.with(|data| {
            let old = data.seen.iter().filter(|(_, item)| item.seen_ms < before_ms);
            old.map(|(row, item)| (*row, item.clone())).collect()
        });
        old.sort_by_key(|(row, item)| (item.seen_ms, *row));
        old.truncate(limit);
        Ok(old)
    }

    async fn seen_drop(&self, rows: Vec<u64>) -> Result<(), StoreError> {
        self.with(|data| {
            for row in rows {
                if let Some(item) = data.seen.remove(&row) {
                    data.seen_rows.remove(&item.item);
                }
            }
        });
        Ok(())
    }

    async fn seen(&self, after: u64, limit: usize) -> Result<Vec<(u64, SeenItem)>, StoreError> {
        let Some(from) = after.checked_add(1) else { return Ok(Vec::new()) };
        Ok(self.with(|data| {
            let rows = data.seen.range(from..).take(limit);
            rows.map(|(row, item)| (*row, item.clone())).collect()
        }))
    }
}

fn is_pending(effect: &Effect, connector: &str) -> bool {
    effect.state == EffectState::Pending && effect.connector == connector
}
