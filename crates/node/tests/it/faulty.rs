//! Peers and stores that do not do what they should.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream::BoxStream};
use tokio::sync::watch;
use watchfire_node::{
    Node,
    gossip::Heads,
    peer::{Peer, PeerError},
    receipts::Effective,
};
use watchfire_signal::name::LogName;
use watchfire_store::{Around, Batch, CommitError, Store, StoreError};
use watchfire_tlog::{
    Entry, Extension, Hash, Origin, SignedCheckpoint, Source, SourceError, Urgent,
};

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
    /// What those who follow its logs get.
    pub(crate) shown: Arc<dyn Store>,
    /// Who answers what is urgent.
    pub(crate) urgent: Option<Arc<Node>>,
    pub(crate) fault: watch::Sender<Fault>,
}

impl FaultyPeer {
    pub(crate) fn new(store: &Arc<dyn Store>, fault: Fault) -> Arc<Self> {
        let (store, shown) = (store.clone(), store.clone());
        Arc::new(Self { store, shown, urgent: None, fault: watch::Sender::new(fault) })
    }
}

#[async_trait]
impl Peer for FaultyPeer {
    fn source(&self, log: &LogName) -> Arc<dyn Source> {
        let origin = Origin::new(log.to_string()).unwrap();
        let (source, shown) = (self.store.read(&origin), self.shown.read(&origin));
        let (log, urgent, fault) = (log.clone(), self.urgent.clone(), self.fault.subscribe());
        Arc::new(FaultySource { log, source, shown, urgent, fault })
    }

    async fn push(&self, _log: &LogName, _more: &Extension) -> Result<u64, PeerError> {
        Err(PeerError("takes nothing".to_owned()))
    }

    async fn receipt(&self, _effective: &BTreeMap<LogName, Effective>) -> Result<(), PeerError> {
        Ok(())
    }

    async fn receipts(&self) -> Result<BTreeMap<LogName, Effective>, PeerError> {
        Err(PeerError("says nothing".to_owned()))
    }

    async fn exchange(&self, _ours: &Heads) -> Result<Heads, PeerError> {
        Err(PeerError("says nothing of heads".to_owned()))
    }
}

struct FaultySource {
    log: LogName,
    source: Arc<dyn Source>,
    shown: Arc<dyn Source>,
    urgent: Option<Arc<Node>>,
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
        let stream = self.shown.follow(from).await?;
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

    async fn urgent(&self, held: u64, from: u64) -> Result<Vec<Urgent>, SourceError> {
        let Some(node) = &self.urgent else { return Ok(Vec::new()) };
        let found = node.urgent(&self.log, (held, from)).await;
        found.map_err(|error| SourceError::Broken(error.to_string()))
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
    /// It takes nothing until there is room.
    Full,
}

/// A store whose disk a test can break.
pub(crate) struct FaultyStore {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) disk: watch::Sender<Disk>,
}

#[async_trait]
impl Around for FaultyStore {
    fn inner(&self) -> &dyn Store {
        &*self.store
    }

    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        let mut disk = self.disk.subscribe();
        let disk = disk.wait_for(|disk| *disk != Disk::Hangs).await.map(|disk| *disk);
        match disk {
            Ok(Disk::Works) => self.store.commit(batch).await,
            Ok(Disk::Full) => Err(StoreError::Full.into()),
            _ => Err(StoreError::Failed("the disk is gone".to_owned()).into()),
        }
    }
}
