//! One log in memory, and the source that reads it.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use watchfire_tlog::frontier::Frontier;
use watchfire_tlog::{Entry, Extension, Hash, Origin, SignedCheckpoint, Source, SourceError};

use super::Shared;
use crate::feed::locked;
use crate::follow::{ReadOn, follow};
use crate::grow::Grown;
use crate::size::entry_bytes;
use crate::size::{MAX_FOLLOW_BYTES, STEP_ENTRIES};
use crate::{Append, Head, Held, StoreError};

#[derive(Debug, Clone, Default)]
pub(super) struct MemoryLog {
    frontier: Frontier,
    entries: Vec<(Entry, u64)>,
    hashes: BTreeMap<u8, Vec<Hash>>,
    checkpoints: BTreeMap<u64, SignedCheckpoint>,
}

impl MemoryLog {
    pub(super) fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    pub(super) fn push(&mut self, append: Append, grown: Grown) {
        self.entries.extend(append.entries.into_iter().map(|entry| (entry, append.verified_ms)));
        self.hashes.entry(0).or_default().extend(append.leaf_hashes);
        for tile in grown.tiles {
            let level = self.hashes.entry(tile.level).or_default();
            assert_eq!(level.len() as u64, tile.index, "tile hashes are completed in order");
            level.push(tile.hash);
        }
        self.frontier = grown.frontier;
        self.checkpoints.insert(self.frontier.size(), append.checkpoint);
    }

    /// Ends it at its newest checkpoint of at most this size; answers the size.
    pub(super) fn cut(&mut self, most: u64) -> u64 {
        self.checkpoints.retain(|size, _| *size <= most);
        let size = self.checkpoints.last_key_value().map_or(0, |(size, _)| *size);
        let leaves = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
        self.entries.truncate(leaves(size));
        for (level, hashes) in &mut self.hashes {
            hashes.truncate(leaves(size >> (u32::from(*level) * 8)));
        }
        self.frontier = Frontier::new();
        for hash in self.hashes.get(&0).into_iter().flatten() {
            self.frontier.append(*hash);
        }
        size
    }

    pub(super) fn entry_mut(&mut self, index: u64) -> Option<&mut Entry> {
        let (entry, _) = self.entries.get_mut(usize::try_from(index).ok()?)?;
        Some(entry)
    }

    pub(super) fn head(&self, log: &Origin) -> Option<Head> {
        let (size, checkpoint) = self.checkpoints.last_key_value()?;
        Some(Head { log: log.clone(), size: *size, checkpoint: checkpoint.clone() })
    }

    pub(super) fn held(&self, from: u64, limit: usize) -> Vec<Held> {
        let entries = self.from(from).iter().take(limit).zip(from..);
        entries
            .map(|((entry, verified_ms), index)| Held {
                index,
                entry: entry.clone(),
                verified_ms: *verified_ms,
            })
            .collect()
    }

    fn checkpoint(&self) -> Option<&SignedCheckpoint> {
        self.checkpoints.values().next_back()
    }

    fn from(&self, from: u64) -> &[(Entry, u64)] {
        usize::try_from(from).ok().and_then(|from| self.entries.get(from..)).unwrap_or_default()
    }

    fn hashes(&self, level: u8, from: u64, to: u64) -> Vec<Hash> {
        let known = self.hashes.get(&level).map_or(&[][..], Vec::as_slice);
        let to = usize::try_from(to).unwrap_or(usize::MAX).min(known.len());
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        known.get(from..to).unwrap_or_default().to_vec()
    }

    /// The largest step within [`STEP_ENTRIES`] that ends at a checkpoint, or the smallest one there is.
    fn read_on(&self, from: u64) -> Option<Extension> {
        let mut bytes = 0;
        let most = self.from(from).iter().take(STEP_ENTRIES);
        let fitting = most.take_while(|(entry, _)| {
            bytes += entry_bytes(entry);
            bytes <= MAX_FOLLOW_BYTES
        });
        let reach = from.checked_add(fitting.count() as u64)?;
        let mut later = self.checkpoints.range(from.checked_add(1)?..);
        let (first, _) = later.clone().next()?;
        let (size, checkpoint) = later.rfind(|(size, _)| **size <= reach.max(*first))?;
        let step = self.from(from).get(..usize::try_from(size - from).ok()?)?;
        let mut entries: Vec<Entry> = step.iter().map(|(entry, _)| entry.clone()).collect();
        withhold(&mut entries);
        Some(Extension { from, entries, checkpoint: checkpoint.clone() })
    }
}

/// Drops records, from the last on, until the step is within the limit.
fn withhold(entries: &mut [Entry]) {
    let leaves: usize = entries.iter().map(|entry| entry.leaf.len()).sum();
    let mut room = MAX_FOLLOW_BYTES.saturating_sub(leaves);
    for entry in entries {
        match entry.record.as_ref().map_or(0, Bytes::len) {
            bytes if bytes <= room => room -= bytes,
            _ => {
                room = 0;
                entry.record = None;
            }
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct MemorySource {
    shared: Weak<Shared>,
    log: Origin,
}

impl MemorySource {
    pub(super) fn new(shared: &Arc<Shared>, log: &Origin) -> Self {
        MemorySource { shared: Arc::downgrade(shared), log: log.clone() }
    }

    fn with<T: Default>(&self, read: impl FnOnce(&MemoryLog) -> T) -> Result<T, StoreError> {
        self.with_log(|log| log.map(read).unwrap_or_default())
    }

    fn with_log<T>(&self, read: impl FnOnce(Option<&MemoryLog>) -> T) -> Result<T, StoreError> {
        let shared = self.shared.upgrade().ok_or(StoreError::Closed)?;
        let data = locked(&shared.data);
        Ok(read(data.logs.get(&self.log)))
    }
}

#[async_trait]
impl ReadOn for MemorySource {
    async fn read_on(&self, from: u64) -> Result<Option<Extension>, StoreError> {
        self.with(|log| log.read_on(from))
    }
}

#[async_trait]
impl Source for MemorySource {
    async fn checkpoint(&self) -> Result<Option<SignedCheckpoint>, SourceError> {
        Ok(self.with(|log| log.checkpoint().cloned())?)
    }

    async fn entries(&self, from: u64, to: u64) -> Result<Vec<Entry>, SourceError> {
        let limit = usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX);
        let held = self.with(|log| log.held(from, limit))?;
        Ok(held.into_iter().map(|held| held.entry).collect())
    }

    async fn hashes(&self, level: u8, from: u64, to: u64) -> Result<Vec<Hash>, SourceError> {
        Ok(self.with(|log| log.hashes(level, from, to))?)
    }

    async fn follow(
        &self,
        from: u64,
    ) -> Result<BoxStream<'static, Result<Extension, SourceError>>, SourceError> {
        let shared = self.shared.upgrade().ok_or(StoreError::Closed)?;
        Ok(follow(self.clone(), shared.feed.subscribe(&self.log), from))
    }

    async fn records(&self, indices: &[u64]) -> Result<Vec<Option<Bytes>>, SourceError> {
        Ok(self.with_log(|log| {
            let record = |index: &u64| log?.from(*index).first()?.0.record.clone();
            indices.iter().map(record).collect()
        })?)
    }
}
