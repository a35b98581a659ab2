//! The parts of the seen table, shared by those who search it and the one task that writes it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use watchfire_signal::name::ItemId;
use watchfire_store::{Batch, Row, SeenItem, Store, StoreError, Table as Rows};

use super::{
    Horizon, Item, SeenLimits,
    limits::DAY_MS,
    older::{self, Cut, Older},
    recent::Recent,
};
use crate::clock::Clock;

/// Where it stands up to when limits took items before their days were over.
const CUT: (Rows, &[u8]) = (Rows::Ledger("seen"), b"cut_ms");

/// What searches and the writer share.
pub(super) struct Table {
    pub(super) recent: Recent,
    pub(super) older: Older,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) limits: SeenLimits,
    pub(super) least_matched_ms: u32,
    /// Up to when items were taken by a limit on items or bytes; 0: never.
    pub(super) cut_ms: AtomicU64,
}

impl Table {
    /// Reads up to when limits took items.
    pub(super) async fn load_cut(&self) -> Result<(), StoreError> {
        let row = self.store.row(CUT.0, CUT.1).await?;
        let bytes = row.and_then(|row| row.try_into().ok()).map_or(0, u64::from_be_bytes);
        self.cut_ms.store(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Items and bytes held.
    pub(super) fn size(&self) -> (u64, u64) {
        let (items, bytes) = self.older.size();
        (items + self.recent.len() as u64, bytes + self.recent.bytes())
    }

    pub(super) fn horizon(&self) -> Horizon {
        let wanted_seconds = self.limits.days.saturating_mul(DAY_MS / 1_000);
        let since_cut = match self.cut_ms.load(Ordering::Relaxed) {
            0 => u64::MAX,
            cut_ms => self.clock.now_ms().saturating_sub(cut_ms) / 1_000,
        };
        Horizon { seconds: since_cut.min(wanted_seconds), wanted_seconds }
    }

    /// Moves the oldest written items from memory into files, as far as memory is over its limits.
    pub(super) async fn spill(&self) -> Result<(), StoreError> {
        let cut = self.cut();
        while self.older.is_on()
            && (self.recent.len() > self.limits.recent_items.max(2)
                || self.recent.bytes() > self.limits.recent_bytes)
        {
            let rows = older::Rows { after: self.older.covered(), last: u64::MAX };
            // Nothing is left that was written: the rest waits for the store.
            let Some((_, items)) = self.older.make(&*self.store, rows, cut).await? else { break };
            // The file is there before memory lets go, and searches look at memory first.
            for (row, stored) in items.iter().enumerate() {
                self.recent.release(&Item::from_row(row as u64, stored)?.id, stored);
            }
        }
        Ok(())
    }

    /// Makes files for rows that lie before others that are in files.
    pub(super) async fn fill_gaps(&self) -> Result<(), StoreError> {
        for mut gap in self.older.gaps() {
            while let Some((made, _)) = self.older.make(&*self.store, gap, self.cut()).await? {
                gap.after = made.last;
            }
        }
        Ok(())
    }

    /// Writes items in place of those of the same ids.
    pub(super) async fn put(&self, items: Vec<SeenItem>) -> Result<(), StoreError> {
        let replaced = if self.older.covered() == 0 {
            Vec::new()
        } else {
            let ids = items.iter().map(|item| item.item.clone()).collect();
            let mut replaced = self.store.seen_find(ids).await?;
            replaced.sort_by_key(|(row, _)| *row);
            replaced.dedup_by_key(|(row, _)| *row);
            replaced
        };
        self.store.seen_add(items).await?;
        for (row, stored) in &replaced {
            self.older.forget(*row, stored);
        }
        Ok(())
    }

    /// How much goes into one file: so that half of memory is free again.
    pub(super) fn cut(&self) -> Cut {
        Cut { items: (self.limits.recent_items / 2).max(1), bytes: self.limits.recent_bytes / 2 }
    }

    /// Drops up to `limit` of the oldest items that are over their days or over a limit; tells whether
    /// there may be more.
    pub(super) async fn expire(&self, limit: usize) -> Result<bool, StoreError> {
        let (items, bytes) = self.size();
        let days_ago = self.days_ago();
        let over_items = items.saturating_sub(self.limits.max_items);
        // As many as hold these bytes, were all items of one size.
        let over_bytes = bytes.saturating_sub(self.limits.max_bytes);
        let of_bytes = u128::from(over_bytes) * u128::from(items) / u128::from(bytes.max(1));
        let over = over_items.max(u64::try_from(of_bytes).unwrap_or(u64::MAX));
        let (before_ms, limit) = match usize::try_from(over).unwrap_or(limit) {
            0 if over_bytes > 0 => (u64::MAX, 1),
            0 => (days_ago, limit),
            over => (u64::MAX, over.min(limit)),
        };
        let oldest = self.store.seen_oldest(before_ms, limit).await?;
        if oldest.is_empty() {
            return Ok(false);
        }
        let rows = oldest.iter().map(|(row, _)| *row).collect();
        self.store.seen_drop(rows).await?;
        for (row, stored) in &oldest {
            self.recent.release(&Item::from_row(*row, stored)?.id, stored);
            self.older.forget(*row, stored);
        }
        let young = oldest.iter().map(|(_, item)| item.seen_ms).filter(|ms| *ms >= days_ago);
        if let Some(cut_ms) = young.max() {
            self.note_cut(cut_ms).await?;
        }
        Ok(true)
    }

    /// When what is over its days was scanned at the latest.
    pub(super) fn days_ago(&self) -> u64 {
        self.clock.now_ms().saturating_sub(self.limits.days.saturating_mul(DAY_MS))
    }

    async fn note_cut(&self, cut_ms: u64) -> Result<(), StoreError> {
        let was_short = self.horizon().is_short();
        if self.cut_ms.fetch_max(cut_ms, Ordering::Relaxed) >= cut_ms {
            return Ok(());
        }
        let horizon = self.horizon();
        if horizon.is_short() && !was_short {
            tracing::warn!(
                seconds = horizon.seconds,
                days = self.limits.days,
                "the seen table does not reach back as far as configured: raise seen.max_items or seen.max_bytes"
            );
        }
        let value = Some(cut_ms.to_be_bytes().to_vec());
        let row = Row { table: CUT.0, key: CUT.1.to_vec(), value };
        let batch = Batch { rows: vec![row], ..Batch::default() };
        self.store.commit(batch).await.map_err(StoreError::from)
    }

    /// Forgets an item in memory and in the store; tells whether the store had it.
    pub(super) async fn forget(&self, id: &ItemId) -> Result<bool, StoreError> {
        // A scan that ran beside the call may have brought it back.
        self.recent.remove(id);
        let held = self.store.seen_find(vec![id.to_string()]).await?;
        let gone = self.store.seen_remove(id.as_str()).await?;
        for (row, stored) in &held {
            self.older.forget(*row, stored);
        }
        Ok(gone)
    }
}
