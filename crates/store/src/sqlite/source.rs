//! One log of the store as a source: from memory where the newest entries suffice, else from disk.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use watchfire_tlog::{Entry, Extension, Hash, Origin, SignedCheckpoint, Source, SourceError};

use super::{Inner, read};
use crate::StoreError;
use crate::follow::{ReadOn, follow};

/// A log; holds no claim on the store.
#[derive(Debug, Clone)]
pub(super) struct SqliteSource {
    store: Weak<Inner>,
    log: Origin,
}

impl SqliteSource {
    pub(super) fn new(store: &Arc<Inner>, log: &Origin) -> Self {
        SqliteSource { store: Arc::downgrade(store), log: log.clone() }
    }

    fn store(&self) -> Result<Arc<Inner>, StoreError> {
        self.store.upgrade().ok_or(StoreError::Closed)
    }
}

#[async_trait]
impl ReadOn for SqliteSource {
    async fn read_on(&self, from: u64) -> Result<Option<Extension>, StoreError> {
        let store = self.store()?;
        if let Some(extension) = store.recent.extension(&self.log, from) {
            return Ok(Some(extension));
        }
        let Some(id) = store.recent.id(&self.log) else { return Ok(None) };
        store.readers.ask(move |connection| read::read_on(connection, id, from)).await
    }
}

#[async_trait]
impl Source for SqliteSource {
    async fn checkpoint(&self) -> Result<Option<SignedCheckpoint>, SourceError> {
        Ok(self.store()?.recent.checkpoint(&self.log))
    }

    async fn entries(&self, from: u64, to: u64) -> Result<Vec<Entry>, SourceError> {
        let limit = usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX);
        let held = self.store()?.held(&self.log, from, limit).await?;
        Ok(held.into_iter().map(|held| held.entry).collect())
    }

    async fn hashes(&self, level: u8, from: u64, to: u64) -> Result<Vec<Hash>, SourceError> {
        let store = self.store()?;
        let Some(id) = store.recent.id(&self.log) else { return Ok(Vec::new()) };
        let hashes = move |connection: &_| read::hashes(connection, id, level, (from, to));
        Ok(store.readers.ask(hashes).await?)
    }

    async fn follow(
        &self,
        from: u64,
    ) -> Result<BoxStream<'static, Result<Extension, SourceError>>, SourceError> {
        let sizes = self.store()?.recent.feed().subscribe(&self.log);
        Ok(follow(self.clone(), sizes, from))
    }

    async fn records(&self, indices: &[u64]) -> Result<Vec<Option<Bytes>>, SourceError> {
        let store = self.store()?;
        let indices = indices.to_vec();
        let Some(id) = store.recent.id(&self.log) else { return Ok(vec![None; indices.len()]) };
        let records = move |connection: &_| read::records(connection, id, &indices);
        Ok(store.readers.ask(records).await?)
    }
}
