//! Who answers at the other end of a wire: the part of `server` that a simulation needs, without HTTP.
//!
//! **Invariant:** a record goes to members of its group only, as `server` has it.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream::BoxStream};
use watchfire_node::{Node, heads::Heads, peer::Theirs, place::Place, receipts::Effective};
use watchfire_signal::{
    charter::SignedCharter,
    name::{LogName, MemberName},
};
use watchfire_tlog::{Entry, Extension, Hash, SignedCheckpoint, Source, SourceError, Urgent};

use crate::process::Life;

/// Who asks, and by which key it proves that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker {
    /// Its name.
    pub name: MemberName,
    /// The public key that it signs with.
    pub key: [u8; 32],
}

/// A member as others reach it. Whoever is not known by the key that it signs with is refused.
#[async_trait]
pub trait Host: Send + Sync + 'static {
    /// The process that answers now; none: it is down.
    fn life(&self) -> Option<Life>;

    /// A log as it is shown to a member; to nobody in particular: with all records.
    fn source(&self, asker: Option<&Asker>, log: &LogName) -> Option<Arc<dyn Source>>;

    /// Takes more of the log of the member that brings it.
    async fn push(&self, from: &Asker, more: Extension) -> Result<u64, String>;

    /// Hears what is effective at a member.
    async fn receipt(
        &self,
        from: &Asker,
        effective: &BTreeMap<LogName, Effective>,
    ) -> Result<(), String>;

    /// Says what is effective here.
    async fn receipts(&self, from: &Asker) -> Result<BTreeMap<LogName, Effective>, String>;

    /// Says which records it lacks.
    async fn lacking(&self, from: &Asker) -> Result<BTreeMap<LogName, Vec<u64>>, String>;

    /// Takes a record that it lacks.
    async fn bring(&self, from: &Asker, place: Place, record: Bytes) -> Result<bool, String>;

    /// Compares heads.
    async fn exchange(&self, from: &Asker, theirs: &Heads) -> Result<Heads, String>;

    /// Charters after a number, for anybody; for members what is proposed as well.
    async fn charters(&self, from: &Asker, after: u64) -> Result<Theirs, String>;

    /// Takes charters and proposals.
    async fn tell_charters(&self, from: &Asker, theirs: Vec<SignedCharter>) -> Result<(), String>;
}

/// A log of a node as another member may see it.
pub struct Shown {
    node: Arc<Node>,
    log: LogName,
    inner: Arc<dyn Source>,
    asker: Option<MemberName>,
}

impl Shown {
    /// A log of a node, for a member.
    #[must_use]
    pub fn of(node: &Arc<Node>, asker: Option<&MemberName>, log: &LogName) -> Option<Self> {
        let inner = node.source(log)?;
        Some(Self { node: node.clone(), log: log.clone(), inner, asker: asker.cloned() })
    }
}

/// An entry as a member may have it.
fn visible(node: &Node, asker: Option<&MemberName>, mut entry: Entry) -> Entry {
    if asker.is_some_and(|asker| !node.may_have(asker, &entry.leaf)) {
        entry.record = None;
    }
    entry
}

#[async_trait]
impl Source for Shown {
    async fn checkpoint(&self) -> Result<Option<SignedCheckpoint>, SourceError> {
        self.inner.checkpoint().await
    }

    async fn entries(&self, from: u64, to: u64) -> Result<Vec<Entry>, SourceError> {
        let entries = self.inner.entries(from, to).await?.into_iter();
        Ok(entries.map(|entry| visible(&self.node, self.asker.as_ref(), entry)).collect())
    }

    async fn hashes(&self, level: u8, from: u64, to: u64) -> Result<Vec<Hash>, SourceError> {
        self.inner.hashes(level, from, to).await
    }

    async fn follow(
        &self,
        from: u64,
    ) -> Result<BoxStream<'static, Result<Extension, SourceError>>, SourceError> {
        let (node, asker) = (Arc::downgrade(&self.node), self.asker.clone());
        let stream = self.inner.follow(from).await?;
        let shown = stream.map(move |more| {
            let mut more = more?;
            let Some(node) = node.upgrade() else {
                return Err(SourceError::Unreachable("the process has ended".to_owned()));
            };
            let entries = std::mem::take(&mut more.entries).into_iter();
            more.entries = entries.map(|entry| visible(&node, asker.as_ref(), entry)).collect();
            Ok(more)
        });
        Ok(shown.boxed())
    }

    async fn records(&self, indices: &[u64]) -> Result<Vec<Option<Bytes>>, SourceError> {
        let mut records = Vec::new();
        for index in indices {
            let entry = self.entries(*index, index + 1).await?.into_iter().next();
            records.push(entry.and_then(|entry| entry.record));
        }
        Ok(records)
    }

    async fn urgent(&self, held: u64, from: u64) -> Result<Vec<Urgent>, SourceError> {
        let found = self.node.urgent(&self.log, (held, from)).await;
        let mut found = found.map_err(|error| SourceError::Broken(error.to_string()))?;
        for urgent in &mut found {
            let entry = std::mem::replace(&mut urgent.entry, Entry::new(Bytes::new(), None));
            urgent.entry = visible(&self.node, self.asker.as_ref(), entry);
        }
        Ok(found)
    }
}
