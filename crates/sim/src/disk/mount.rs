//! A disk as a process uses it: the store of its node.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use watchfire_store::{
    Around, Batch, CommitError, Held, MemoryStore, SeenItem, Settlement, Store, StoreError, Table,
};
use watchfire_tlog::Origin;

use super::{Disk, job::Job};
use crate::{fault::Write, process::Life};

/// The store of one process.
pub struct Mount {
    disk: Arc<Disk>,
    store: Arc<MemoryStore>,
    life: Life,
}

impl Mount {
    pub(super) fn new(disk: Arc<Disk>, store: Arc<MemoryStore>, life: Life) -> Self {
        Self { disk, store, life }
    }

    async fn write<T, E>(
        &self,
        (write, tables): (Write, Vec<Table>),
        change: impl FnOnce(Arc<MemoryStore>) -> BoxFuture<'static, Result<T, E>> + Send + 'static,
        done: T,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.life.goes_on().await;
        let (job, told) = Job::new(write, self.store.clone(), change, done);
        self.disk.push(job, tables);
        match told.await {
            Ok(answer) => {
                self.life.goes_on().await;
                answer
            }
            // The process ends: what it waited for does not come.
            Err(_) => std::future::pending().await,
        }
    }
}

/// What a batch is for.
fn purpose(batch: &Batch, own: &str) -> Write {
    let early = |table: Table| table == Table::Ledger("early");
    match &batch.append {
        Some(append) if append.log.as_str().ends_with("/desk") => Write::Desk,
        Some(append) if author(&append.log) == Some(own) => Write::Publish,
        Some(_) => Write::Copy,
        None if !batch.effects.is_empty() => Write::Decide,
        None if !batch.settlements.is_empty() => Write::Settle,
        None if batch.rows.iter().any(|row| early(row.table)) => Write::Early,
        None => Write::Rows,
    }
}

/// The member in the name of a log.
fn author(log: &Origin) -> Option<&str> {
    log.as_str().split('/').nth(2)
}

#[async_trait]
impl Around for Mount {
    fn inner(&self) -> &dyn Store {
        &*self.store
    }

    async fn commit(&self, mut batch: Batch) -> Result<(), CommitError> {
        self.disk.lies.write(&mut batch);
        let write = purpose(&batch, &self.disk.name);
        let tables = batch.rows.iter().map(|row| row.table).collect();
        let change = |store: Arc<MemoryStore>| -> BoxFuture<'static, _> {
            Box::pin(async move { store.commit(batch).await })
        };
        self.write((write, tables), change, ()).await
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<(), StoreError> {
        let change = |store: Arc<MemoryStore>| -> BoxFuture<'static, _> {
            Box::pin(async move { store.settle(settlements).await })
        };
        self.write((Write::Settle, Vec::new()), change, ()).await
    }

    async fn held(&self, log: &Origin, from: u64, limit: usize) -> Result<Vec<Held>, StoreError> {
        let held = self.store.held(log, from, limit).await?;
        let own = author(log) == Some(&self.disk.name);
        Ok(if own { held } else { self.disk.lies.read(held) })
    }

    async fn fill(&self, log: &Origin, index: u64, record: Bytes) -> Result<(), StoreError> {
        let log = log.clone();
        let change = move |store: Arc<MemoryStore>| -> BoxFuture<'static, _> {
            Box::pin(async move { store.fill(&log, index, record).await })
        };
        self.write((Write::Fill, Vec::new()), change, ()).await
    }

    async fn erase(&self, log: &Origin, index: u64) -> Result<(), StoreError> {
        if self.disk.lies.keeps_erased {
            return Ok(());
        }
        let log = log.clone();
        let change = move |store: Arc<MemoryStore>| -> BoxFuture<'static, _> {
            Box::pin(async move { store.erase(&log, index).await })
        };
        self.write((Write::Erase, Vec::new()), change, ()).await
    }

    async fn seen_add(&self, items: Vec<SeenItem>) -> Result<(), StoreError> {
        let change = |store: Arc<MemoryStore>| -> BoxFuture<'static, _> {
            Box::pin(async move { store.seen_add(items).await })
        };
        self.write((Write::Seen, Vec::new()), change, ()).await
    }

    async fn seen_remove(&self, item: &str) -> Result<bool, StoreError> {
        let item = item.to_owned();
        let change = move |store: Arc<MemoryStore>| -> BoxFuture<'static, _> {
            Box::pin(async move { store.seen_remove(&item).await })
        };
        self.write((Write::Seen, Vec::new()), change, true).await
    }

    async fn seen_drop(&self, rows: Vec<u64>) -> Result<(), StoreError> {
        let change = |store: Arc<MemoryStore>| -> BoxFuture<'static, _> {
            Box::pin(async move { store.seen_drop(rows).await })
        };
        self.write((Write::Seen, Vec::new()), change, ()).await
    }
}
