//! Writes logs for tests: entries, leaf hashes and signed checkpoints as a member would make them.

use bytes::Bytes;
use watchfire_tlog::frontier::Frontier;
use watchfire_tlog::{Checkpoint, Entry, Hash, Origin, OwnKey, PeerKey, SignedCheckpoint};

use crate::{Append, Batch};

/// When test entries were verified, in milliseconds since 1970, plus their index.
pub const VERIFIED_MS: u64 = 1_700_000_000_000;

/// One author with one log. Bytes and keys follow from the name: the same name, the same log.
#[derive(Debug)]
pub struct Author {
    key: OwnKey,
    log: Origin,
    frontier: Frontier,
}

impl Author {
    /// An author whose log is empty.
    pub fn new(name: &str) -> Self {
        Author::with_frontier(name, Frontier::new())
    }

    /// An author who goes on with a log that has this right edge.
    pub fn with_frontier(name: &str, frontier: Frontier) -> Self {
        let seed = watchfire_tlog::leaf_hash(name.as_bytes());
        let log = Origin::new(format!("watchfire/test/{name}/1")).expect("the name of a log");
        Author { key: OwnKey::from_seed(seed.as_bytes()), log, frontier }
    }

    /// The author's log.
    pub fn log(&self) -> &Origin {
        &self.log
    }

    /// The key that checkpoints are signed by.
    pub fn key(&self) -> PeerKey {
        self.key.public()
    }

    /// The log's size as the author knows it.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The leaf and record that this author puts at an index: the record has `bytes` bytes.
    pub fn entry(&self, index: u64, bytes: usize) -> Entry {
        let leaf = format!("leaf {index} of {}", self.log);
        let record: Vec<u8> = leaf.bytes().cycle().take(bytes).collect();
        Entry::new(leaf.into_bytes(), Some(record.into()))
    }

    /// Appends `count` entries with records of 100 bytes.
    pub fn append(&mut self, count: u64) -> Append {
        let entries = (self.size()..self.size() + count).map(|index| self.entry(index, 100));
        self.append_entries(entries.collect())
    }

    /// Appends these entries.
    pub fn append_entries(&mut self, entries: Vec<Entry>) -> Append {
        let size = self.size();
        let leaf_hashes: Vec<Hash> = entries.iter().map(Entry::leaf_hash).collect();
        for hash in &leaf_hashes {
            self.frontier.append(*hash);
        }
        let checkpoint = self.checkpoint();
        let verified_ms = VERIFIED_MS + size;
        Append { log: self.log.clone(), size, entries, leaf_hashes, checkpoint, verified_ms }
    }

    /// Appends `count` entries, as a batch of nothing else.
    pub fn batch(&mut self, count: u64) -> Batch {
        Batch { append: Some(self.append(count)), ..Batch::default() }
    }

    /// The signed head of the log as it is.
    pub fn checkpoint(&self) -> SignedCheckpoint {
        let (origin, size) = (self.log.clone(), self.size());
        let checkpoint = Checkpoint { origin, size, root: self.frontier.root() };
        SignedCheckpoint::sign(&checkpoint, &self.key)
    }

    /// Checks the signature of a checkpoint of this log and returns its size.
    pub fn verified_size(&self, checkpoint: &SignedCheckpoint) -> u64 {
        checkpoint.verify(&self.log, &self.key()).expect("a checkpoint of this author").size
    }
}

/// The record of an entry; panics at a hole.
pub(crate) fn record(entry: &Entry) -> &Bytes {
    entry.record.as_ref().expect("an entry with its record")
}
