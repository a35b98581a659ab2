//! The youngest items of the seen table, in memory: findable from the moment they are scanned.
//!
//! **Invariant:** an item that [`Recent::insert`] returned from is found by the next search.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use watchfire_signal::{name::ItemId, value::Signal};
use watchfire_store::SeenItem;

use super::Item;
use crate::near::{Hit, Near, Whose, loudest};

/// Items in memory with an index over their signals. Nobody waits.
pub(super) struct Recent {
    near: Near<u64>,
    items: papaya::HashMap<u64, Arc<Item>>,
    rows: papaya::HashMap<ItemId, u64>,
    next: AtomicU64,
    bytes: AtomicU64,
}

impl Recent {
    pub(super) fn new(seed: [u8; 32], least_matched_ms: u32) -> Self {
        Self {
            near: Near::new(seed, least_matched_ms),
            items: papaya::HashMap::new(),
            rows: papaya::HashMap::new(),
            next: AtomicU64::new(1),
            bytes: AtomicU64::new(0),
        }
    }

    /// Makes an item findable in place of one of the same id; tells whether there was one.
    pub(super) fn insert(&self, item: Item) -> bool {
        let row = self.next.fetch_add(1, Ordering::Relaxed);
        let id = item.id.clone();
        for signal in &item.signals {
            self.near.insert(row, signal);
        }
        item.parts.iter().for_each(|part| self.near.insert_part(row, part));
        self.bytes.fetch_add(item.bytes(), Ordering::Relaxed);
        self.items.pin().insert(row, Arc::new(item));
        let before = self.rows.pin().insert(id, row).copied();
        if let Some(before) = before {
            self.drop_row(before);
        }
        before.is_some()
    }

    /// Forgets an item; tells whether it was there.
    pub(super) fn remove(&self, id: &ItemId) -> bool {
        let row = self.rows.pin().remove(id).copied();
        if let Some(row) = row {
            self.drop_row(row);
        }
        row.is_some()
    }

    pub(super) fn item(&self, id: &ItemId) -> Option<Arc<Item>> {
        let row = self.rows.pin().get(id).copied()?;
        self.items.pin().get(&row).cloned()
    }

    /// Items near any of the signals, each with the hit that speaks loudest.
    pub(super) fn search(&self, signals: &[Signal]) -> Vec<(Arc<Item>, Hit<u64>)> {
        let hits = signals.iter().flat_map(|signal| self.near.search(signal, Whose::Query));
        let items = self.items.pin();
        loudest(hits)
            .into_iter()
            .filter_map(|(row, hit)| Some((items.get(&row)?.clone(), hit)))
            .collect()
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Bytes of the rows of these items.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Lets go of an item if it is the stored one, and not one that replaced it.
    pub(super) fn release(&self, id: &ItemId, stored: &SeenItem) {
        let rows = self.rows.pin();
        let Some(row) = rows.get(id).copied() else { return };
        let is_stored = self.items.pin().get(&row).is_some_and(|item| item.to_stored() == *stored);
        if is_stored && matches!(rows.remove_if(id, |_, held| *held == row), Ok(Some(_))) {
            self.drop_row(row);
        }
    }

    fn drop_row(&self, row: u64) {
        if let Some(item) = self.items.pin().remove(&row) {
            self.bytes.fetch_sub(item.bytes(), Ordering::Relaxed);
        }
        self.near.remove(&row);
    }
}
