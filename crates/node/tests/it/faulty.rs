//! Peers and stores that do not do what they should.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream::BoxStream};
use tokio::sync::watch;
use watchfire_node::peer::{Peer, PeerError};
use watchfire_signal::name::LogName;
use watchfire_store::{
    Batch, CaseCounts, CommitError, Effect, EffectState, Head, Held, OutboxCounts, SeenItem,
    Settlement, Store, StoreError, Table,
};
use watchfire_tlog::{Entry, Extension, Hash, Origin, SignedCheckpoint, Source, SourceError};

/// How a peer fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Not at all.
    None,
    /// It never answers.
    Silent,
    /// It shows its head, and its stream ends at once and cleanly.
    EndsEarly,
    /// It shows its head, and other entries than are under it.
    Garbage,
    /// It shows its head and nothing else.
    Withholds,
    /// It gives records that belong to nothing.
    WrongRecords,
}

/// A member's store as a peer that fails until a test mends it.
pub(crate) struct FaultyPeer {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) fault: watch::Sender<Fault>,
}

impl FaultyPeer {
    pub(crate) fn new(store: &Arc<dyn Store>, fault: Fault) -> Arc<Self> {
        Arc::new(Self { store: store.clone(), fault: watch::Sender::new(fault) })
    }
}

#[async_trait]
impl Peer for FaultyPeer {
    fn source(&self, log: &LogName) -> Arc<dyn Source> {
        let origin = Origin::new(log.to_string()).unwrap();
        let source = self.store.read(&origin);
        Arc::new(FaultySource { source, fault: self.fault.subscribe() })
    }

    async fn push(&self, _log: &LogName, _more: &Extension) -> Result<u64, PeerError> {
        Err(PeerError("takes nothing".to_owned()))
    }

    async fn receipt(&self, _effective: &BTreeMap<LogName, u64>) -> Result<(), PeerError> {
        Ok(())
    }

    async fn receipts(&self) -> Result<BTreeMap<LogName, u64>, PeerError> {
        Err(PeerError("says nothing".to_owned()))
    }
}

struct FaultySource {
    source: Arc<dyn Source>,
    fault: watch::Receiver<Fault>,
}

impl FaultySource {
    /// The fault, once it answers at all.
    async fn fault(&self) -> Fault {
        let mut fault = self.fault.clone();
        let awake = fault.wait_for(|fault| *fault != Fault::Silent).await;
        awake.map_or(Fault::Silent, |fault| *fault)
    }
}

#[async_trait]
impl Source for FaultySource {
    async fn checkpoint(&self) -> Result<Option<SignedCheckpoint>, SourceError> {
        self.fault().await;
        self.source.checkpoint().await
    }

    async fn entries(&self, from: u64, to: u64) -> Result<Vec<Entry>, SourceError> {
        self.source.entries(from, to).await
    }

    async fn hashes(&self, level: u8, from: u64, to: u64) -> Result<Vec<Hash>, SourceError> {
        self.source.hashes(level, from, to).await
    }

    async fn follow(
        &self,
        from: u64,
    ) -> Result<BoxStream<'static, Result<Extension, SourceError>>, SourceError> {
        let fault = self.fault().await;
        let stream = self.source.follow(from).await?;
        Ok(match fault {
            Fault::EndsEarly => stream.take(0).boxed(),
            Fault::Withholds => futures_util::stream::pending().boxed(),
            Fault::Garbage => stream.map(|more| more.map(spoilt)).boxed(),
            Fault::None | Fault::Silent | Fault::WrongRecords => stream,
        })
    }

    async fn records(&self, indices: &[u64]) -> Result<Vec<Option<Bytes>>, SourceError> {
        let wrong = || Some(Bytes::from_static(b"belongs to nothing"));
        match self.fault().await {
            Fault::Withholds => Ok(vec![None; indices.len()]),
            Fault::WrongRecords => Ok(indices.iter().map(|_| wrong()).collect()),
            _ => self.source.records(indices).await,
        }
    }
}

fn spoilt(mut more: Extension) -> Extension {
    for entry in &mut more.entries {
        *entry = Entry::new(&b"not what was signed"[..], None);
    }
    more
}

/// What becomes of commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disk {
    Works,
    Hangs,
    Fails,
}

/// A store whose disk a test can break.
pub(crate) struct FaultyStore {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) disk: watch::Sender<Disk>,
}

#[async_trait]
impl Store for FaultyStore {
    fn read(&self, log: &Origin) -> Arc<dyn Source> {
        self.store.read(log)
    }

    async fn logs(&self) -> Result<Vec<Head>, StoreError> {
        self.store.logs().await
    }

    async fn held(&self, log: &Origin, from: u64, limit: usize) -> Result<Vec<Held>, StoreError> {
        self.store.held(log, from, limit).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        let mut disk = self.disk.subscribe();
        let disk = disk.wait_for(|disk| *disk != Disk::Hangs).await.map(|disk| *disk);
        match disk {
            Ok(Disk::Works) => self.store.commit(batch).await,
            _ => Err(StoreError::Failed("the disk is gone".to_owned()).into()),
        }
    }

    fn watch(&self) -> BoxStream<'static, (Origin, u64)> {
        self.store.watch()
    }

    async fn fill(&self, log: &Origin, index: u64, record: Bytes) -> Result<(), StoreError> {
        self.store.fill(log, index, record).await
    }

    async fn erase(&self, log: &Origin, index: u64) -> Result<(), StoreError> {
        self.store.erase(log, index).await
    }

    async fn row(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.row(table, key).await
    }

    async fn rows(
        &self,
        table: Table,
        after: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        self.store.rows(table, after, limit).await
    }

    async fn drop_views(&self) -> Result<(), StoreError> {
        self.store.drop_views().await
    }

    async fn put_blob(&self, bytes: Bytes) -> Result<[u8; 32], StoreError> {
        self.store.put_blob(bytes).await
    }

    async fn blob(&self, sha256: [u8; 32]) -> Result<Option<Bytes>, StoreError> {
        self.store.blob(sha256).await
    }

    async fn effects_due(
        &self,
        connector: &str,
        now_ms: u64,
        limit: usize,
    ) -> Result<Vec<Effect>, StoreError> {
        self.store.effects_due(connector, now_ms, limit).await
    }

    async fn next_effect_due(&self, connector: &str) -> Result<Option<u64>, StoreError> {
        self.store.next_effect_due(connector).await
    }

    async fn pending_connectors(&self) -> Result<Vec<String>, StoreError> {
        self.store.pending_connectors().await
    }

    async fn effect(&self, name: [u8; 32]) -> Result<Option<Effect>, StoreError> {
        self.store.effect(name).await
    }

    async fn effects_in(
        &self,
        state: EffectState,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Effect)>, StoreError> {
        self.store.effects_in(state, after, limit).await
    }

    async fn outbox_counts(&self, connector: Option<&str>) -> Result<OutboxCounts, StoreError> {
        self.store.outbox_counts(connector).await
    }

    async fn case_counts(&self, subject: [u8; 32], undo: &str) -> Result<CaseCounts, StoreError> {
        self.store.case_counts(subject, undo).await
    }

    async fn items_of_case(
        &self,
        subject: [u8; 32],
        after: &str,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        self.store.items_of_case(subject, after, limit).await
    }

    async fn effects_of_items(&self, items: Vec<String>) -> Result<Vec<Effect>, StoreError> {
        self.store.effects_of_items(items).await
    }

    async fn effects_of_case(&self, subject: [u8; 32]) -> Result<Vec<Effect>, StoreError> {
        self.store.effects_of_case(subject).await
    }

    async fn effects_of_item(&self, item: &str) -> Result<Vec<Effect>, StoreError> {
        self.store.effects_of_item(item).await
    }

    async fn cases_with_effects(&self) -> Result<Vec<[u8; 32]>, StoreError> {
        self.store.cases_with_effects().await
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<(), StoreError> {
        self.store.settle(settlements).await
    }

    async fn seen_add(&self, items: Vec<SeenItem>) -> Result<(), StoreError> {
        self.store.seen_add(items).await
    }

    async fn seen_remove(&self, item: &str) -> Result<bool, StoreError> {
        self.store.seen_remove(item).await
    }

    async fn seen_find(&self, items: Vec<String>) -> Result<Vec<(u64, SeenItem)>, StoreError> {
        self.store.seen_find(items).await
    }

    async fn seen_at(&self, rows: Vec<u64>) -> Result<Vec<(u64, SeenItem)>, StoreError> {
        self.store.seen_at(rows).await
    }

    async fn seen_oldest(
        &self,
        before_ms: u64,
        limit: usize,
    ) -> Result<Vec<(u64, SeenItem)>, StoreError> {
        self.store.seen_oldest(before_ms, limit).await
    }

    async fn seen_drop(&self, rows: Vec<u64>) -> Result<(), StoreError> {
        self.store.seen_drop(rows).await
    }

    async fn seen(&self, after: u64, limit: usize) -> Result<Vec<(u64, SeenItem)>, StoreError> {
        self.store.seen(after, limit).await
    }
}
