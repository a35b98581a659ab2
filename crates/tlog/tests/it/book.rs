//! A log in memory that its author can also rewrite, so that tests have something to catch.

use std::future::Future;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use watchfire_tlog::{
    Checkpoint, Entry, Extension, Frontier, Hash, Origin, OwnKey, PeerKey, SignedCheckpoint,
    Source, SourceError, TileHash,
};

/// A log in memory with all its tile hashes. It never waits, so [`now`] runs what reads it.
#[derive(Clone, Default)]
pub(crate) struct Book {
    pub(crate) entries: Vec<Entry>,
    pub(crate) levels: Vec<Vec<Hash>>,
    pub(crate) checkpoint: Option<SignedCheckpoint>,
    /// The most that one answer has; 0 for no limit.
    pub(crate) answer: usize,
    pub(crate) without_tiles: bool,
}

pub(crate) fn own_key() -> OwnKey {
    OwnKey::from_seed(&[1; 32])
}

pub(crate) fn peer_key() -> PeerKey {
    own_key().public()
}

pub(crate) fn origin() -> Origin {
    Origin::new("watchfire/test/alice/1").unwrap()
}

/// Runs what never waits.
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    future.now_or_never().expect("nothing here waits")
}

/// A leaf that says its index and which story it belongs to.
pub(crate) fn entry(index: u64, story: &str) -> Entry {
    let record = (index % 5 != 4).then(|| Bytes::from(format!("record {index}")));
    Entry::new(format!("leaf {index} of {story}"), record)
}

impl Book {
    pub(crate) fn of(size: u64) -> Self {
        Book::with_story(size, u64::MAX, "one")
    }

    /// A log whose leaves from `turn` on tell `story`.
    pub(crate) fn with_story(size: u64, turn: u64, story: &str) -> Self {
        let mut book = Book::default();
        book.grow((0..size).map(|i| entry(i, if i < turn { "one" } else { story })));
        book
    }

    pub(crate) fn grow(&mut self, entries: impl IntoIterator<Item = Entry>) {
        let mut frontier = self.frontier(self.entries.len() as u64);
        for entry in entries {
            let mut completed = vec![TileHash {
                level: 0,
                index: self.entries.len() as u64,
                hash: entry.leaf_hash(),
            }];
            frontier.append_tiles(entry.leaf_hash(), &mut completed);
            for tile in completed {
                let level = usize::from(tile.level);
                self.levels.resize(self.levels.len().max(level + 1), Vec::new());
                assert_eq!(self.levels[level].len() as u64, tile.index);
                self.levels[level].push(tile.hash);
            }
            self.entries.push(entry);
        }
        self.checkpoint = Some(self.signed(self.entries.len() as u64));
    }

    pub(crate) fn frontier(&self, size: u64) -> Frontier {
        let parts: Vec<Vec<Hash>> = Frontier::needs(size)
            .iter()
            .map(|range| {
                self.levels[usize::from(range.level)][range.from as usize..range.to as usize]
                    .to_vec()
            })
            .collect();
        Frontier::from_tile_hashes(size, &parts).unwrap()
    }

    pub(crate) fn head(&self, size: u64) -> Checkpoint {
        Checkpoint { origin: origin(), size, root: self.frontier(size).root() }
    }

    pub(crate) fn signed(&self, size: u64) -> SignedCheckpoint {
        SignedCheckpoint::sign(&self.head(size), &own_key())
    }

    /// The entries `from..to` under the checkpoint of size `head`.
    pub(crate) fn extension(&self, from: u64, to: u64, head: u64) -> Extension {
        let entries = self.entries[from as usize..to as usize].to_vec();
        Extension { from, entries, checkpoint: self.signed(head) }
    }

    fn cut<T: Clone>(&self, all: &[T], from: u64, to: u64) -> Vec<T> {
        let from = (from as usize).min(all.len());
        let to = (to as usize).clamp(from, all.len());
        let most = if self.answer == 0 { usize::MAX } else { self.answer };
        all[from..to].iter().take(most).cloned().collect()
    }
}

#[async_trait]
impl Source for Book {
    async fn checkpoint(&self) -> Result<Option<SignedCheckpoint>, SourceError> {
        Ok(self.checkpoint.clone())
    }

    async fn entries(&self, from: u64, to: u64) -> Result<Vec<Entry>, SourceError> {
        Ok(self.cut(&self.entries, from, to))
    }

    async fn hashes(&self, level: u8, from: u64, to: u64) -> Result<Vec<Hash>, SourceError> {
        if self.without_tiles {
            return Err(SourceError::Refused("no tiles here".into()));
        }
        let none = Vec::new();
        Ok(self.cut(self.levels.get(usize::from(level)).unwrap_or(&none), from, to))
    }

    async fn follow(
        &self,
        from: u64,
    ) -> Result<BoxStream<'static, Result<Extension, SourceError>>, SourceError> {
        let size = self.entries.len() as u64;
        let have = (from < size).then(|| Ok(self.extension(from, size, size)));
        Ok(stream::iter(have).chain(stream::pending()).boxed())
    }

    async fn records(&self, indices: &[u64]) -> Result<Vec<Option<Bytes>>, SourceError> {
        let record = |index: &u64| self.entries.get(*index as usize)?.record.clone();
        Ok(indices.iter().map(record).collect())
    }
}
