//! A store around another one: what watches or breaks the writes of a node, as tests do, writes down
//! that part alone.
//!
//! **Invariant:** what a wrapper does not do itself the inner store does.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use watchfire_tlog::{Origin, Source};

use crate::{
    Batch, CaseCounts, CommitError, Effect, EffectState, Head, Held, LateOrders, OutboxCounts,
    SeenItem, Settlement, Store, StoreError, Table,
};

/// What stands around a store; it is a [`Store`] by that.
#[async_trait]
pub trait Around: Send + Sync + 'static {
    /// The store inside.
    fn inner(&self) -> &dyn Store;

    /// [`Store::commit`].
    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        self.inner().commit(batch).await
    }

    /// [`Store::settle`].
    async fn settle(&self, settlements: Vec<Settlement>) -> Result<(), StoreError> {
        self.inner().settle(settlements).await
    }

    /// [`Store::held`].
    async fn held(&self, log: &Origin, from: u64, limit: usize) -> Result<Vec<Held>, StoreError> {
        self.inner().held(log, from, limit).await
    }

    /// [`Store::fill`].
    async fn fill(&self, log: &Origin, index: u64, record: Bytes) -> Result<(), StoreError> {
        self.inner().fill(log, index, record).await
    }

    /// [`Store::erase`].
    async fn erase(&self, log: &Origin, index: u64) -> Result<(), StoreError> {
        self.inner().erase(log, index).await
    }

    /// [`Store::seen_add`].
    async fn seen_add(&self, items: Vec<SeenItem>) -> Result<(), StoreError> {
        self.inner().seen_add(items).await
    }

    /// [`Store::seen_remove`].
    async fn seen_remove(&self, item: &str) -> Result<bool, StoreError> {
        self.inner().seen_remove(item).await
    }

    /// [`Store::seen_drop`].
    async fn seen_drop(&self, rows: Vec<u64>) -> Result<(), StoreError> {
        self.inner().seen_drop(rows).await
    }
}

#[async_trait]
impl<A: Around> Store for A {
    fn read(&self, log: &Origin) -> Arc<dyn Source> {
        self.inner().read(log)
    }

    async fn logs(&self) -> Result<Vec<Head>, StoreError> {
        self.inner().logs().await
    }

    async fn held(&self, log: &Origin, from: u64, limit: usize) -> Result<Vec<Held>, StoreError> {
        Around::held(self, log, from, limit).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        Around::commit(self, batch).await
    }

    fn watch(&self) -> BoxStream<'static, (Origin, u64)> {
        self.inner().watch()
    }

    async fn fill(&self, log: &Origin, index: u64, record: Bytes) -> Result<(), StoreError> {
        Around::fill(self, log, index, record).await
    }

    async fn erase(&self, log: &Origin, index: u64) -> Result<(), StoreError> {
        Around::erase(self, log, index).await
    }

    async fn row(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner().row(table, key).await
    }

    async fn rows(
        &self,
        table: Table,
        after: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        self.inner().rows(table, after, limit).await
    }

    async fn drop_views(&self) -> Result<(), StoreError> {
        self.inner().drop_views().await
    }

    async fn put_blob(&self, bytes: Bytes) -> Result<[u8; 32], StoreError> {
        self.inner().put_blob(bytes).await
    }

    async fn blob(&self, sha256: [u8; 32]) -> Result<Option<Bytes>, StoreError> {
        self.inner().blob(sha256).await
    }

    async fn effects_due(
        &self,
        connector: &str,
        now_ms: u64,
        limit: usize,
    ) -> Result<Vec<Effect>, StoreError> {
        self.inner().effects_due(connector, now_ms, limit).await
    }

    async fn next_effect_due(&self, connector: &str) -> Result<Option<u64>, StoreError> {
        self.inner().next_effect_due(connector).await
    }

    async fn pending_connectors(&self) -> Result<Vec<String>, StoreError> {
        self.inner().pending_connectors().await
    }

    async fn effect(&self, name: [u8; 32]) -> Result<Option<Effect>, StoreError> {
        self.inner().effect(name).await
    }

    async fn effects_in(
        &self,
        state: EffectState,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Effect)>, StoreError> {
        self.inner().effects_in(state, after, limit).await
    }

    async fn effects_late(
        &self,
        late: LateOrders,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Effect)>, StoreError> {
        self.inner().effects_late(late, after, limit).await
    }

    async fn count_late(&self, late: LateOrders) -> Result<u64, StoreError> {
        self.inner().count_late(late).await
    }

    async fn outbox_counts(&self, connector: Option<&str>) -> Result<OutboxCounts, StoreError> {
        self.inner().outbox_counts(connector).await
    }

    async fn case_counts(&self, subject: [u8; 32], undo: &str) -> Result<CaseCounts, StoreError> {
        self.inner().case_counts(subject, undo).await
    }

    async fn items_of_case(
        &self,
        subject: [u8; 32],
        after: &str,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        self.inner().items_of_case(subject, after, limit).await
    }

    async fn effects_of_items(&self, items: Vec<String>) -> Result<Vec<Effect>, StoreError> {
        self.inner().effects_of_items(items).await
    }

    async fn effects_of_case(&self, subject: [u8; 32]) -> Result<Vec<Effect>, StoreError> {
        self.inner().effects_of_case(subject).await
    }

    async fn effects_of_item(&self, item: &str) -> Result<Vec<Effect>, StoreError> {
        self.inner().effects_of_item(item).await
    }

    async fn cases_with_effects(&self) -> Result<Vec<[u8; 32]>, StoreError> {
        self.inner().cases_with_effects().await
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<(), StoreError> {
        Around::settle(self, settlements).await
    }

    async fn seen_add(&self, items: Vec<SeenItem>) -> Result<(), StoreError> {
        Around::seen_add(self, items).await
    }

    async fn seen_remove(&self, item: &str) -> Result<bool, StoreError> {
        Around::seen_remove(self, item).await
    }

    async fn seen_find(&self, items: Vec<String>) -> Result<Vec<(u64, SeenItem)>, StoreError> {
        self.inner().seen_find(items).await
    }

    async fn seen_at(&self, rows: Vec<u64>) -> Result<Vec<(u64, SeenItem)>, StoreError> {
        self.inner().seen_at(rows).await
    }

    async fn seen_oldest(
        &self,
        before_ms: u64,
        limit: usize,
    ) -> Result<Vec<(u64, SeenItem)>, StoreError> {
        self.inner().seen_oldest(before_ms, limit).await
    }

    async fn seen_drop(&self, rows: Vec<u64>) -> Result<(), StoreError> {
        Around::seen_drop(self, rows).await
    }

    async fn seen(&self, after: u64, limit: usize) -> Result<Vec<(u64, SeenItem)>, StoreError> {
        self.inner().seen(after, limit).await
    }
}
