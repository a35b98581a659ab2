//! Wherever one log can be read: a store, a peer over HTTP, a file, a simulated peer.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::checkpoint::SignedCheckpoint;
use crate::entry::Entry;
use crate::hash::Hash;

/// One log, read from somewhere. Nothing it says is verified: what comes from it goes through
/// [`extend`](crate::extend), [`audit`](mod@crate::audit) or [`proof`](crate::proof) before anyone
/// acts on it.
///
/// Ranges are half open, `from..to`, in leaf indices (or in tile hashes of one level). A source may
/// answer with less than asked, never with more, and always from the start of the range: an empty
/// answer to a non-empty range says that it has nothing at `from` (yet, or any more).
#[async_trait]
pub trait Source: Send + Sync {
    /// The newest checkpoint that the source has; `None` when the log is empty or unknown to it.
    async fn checkpoint(&self) -> Result<Option<SignedCheckpoint>, SourceError>;

    /// The entries `from..to`, or a prefix of them.
    async fn entries(&self, from: u64, to: u64) -> Result<Vec<Entry>, SourceError>;

    /// The tile hashes `from..to` of `level`, or a prefix of them. Hash `i` of level `l` is the
    /// root of the leaves `i·256^l .. (i+1)·256^l`: level 0 are the leaf hashes, level 1 the roots
    /// of 256 leaves each.
    async fn hashes(&self, level: u8, from: u64, to: u64) -> Result<Vec<Hash>, SourceError>;

    /// Everything from `from` on, as it becomes durable at the source: each item is entries and the
    /// checkpoint that covers them, without gaps between items. While the source is healthy the
    /// stream does not end; when `from` is beyond the log's size it waits. After an error the
    /// caller follows again from where it stands.
    async fn follow(
        &self,
        from: u64,
    ) -> Result<BoxStream<'static, Result<Extension, SourceError>>, SourceError>;

    /// The records of these leaf indices, in this order; `None` where the source has none. May
    /// answer for a prefix of `indices` only.
    async fn records(&self, indices: &[u64]) -> Result<Vec<Option<Bytes>>, SourceError>;

    /// Entries that must not wait for those before them, of a log of which the caller holds `held`
    /// leaves: the first few from `from` on, by index. A source that knows of none answers none.
    async fn urgent(&self, held: u64, from: u64) -> Result<Vec<Urgent>, SourceError> {
        let _ = (held, from);
        Ok(Vec::new())
    }
}

/// One entry ahead of its turn, with the proofs that it stands in the log. Nothing in it is verified
/// before [`Verified::check_urgent`](crate::extend::Verified::check_urgent).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Urgent {
    /// The signed checkpoint that covers it.
    pub checkpoint: SignedCheckpoint,
    /// Proof that the checkpoint extends what the receiver holds.
    pub consistency: Vec<Hash>,
    /// Index of the leaf.
    pub index: u64,
    /// The leaf, with its record or a hole.
    pub entry: Entry,
    /// Proof that the leaf stands in the log at this index.
    pub inclusion: Vec<Hash>,
}

/// More of a log, as a source hands it out: entries and the checkpoint that covers them. Nothing in
/// it is verified before [`Verified::extend`](crate::extend::Verified::extend).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// The index of the first entry.
    pub from: u64,
    /// The entries `from .. from + entries.len()`.
    pub entries: Vec<Entry>,
    /// A checkpoint of at least that size; of exactly that size unless the sender is catching us up
    /// and keeps no checkpoint of this size.
    pub checkpoint: SignedCheckpoint,
}

/// Why a source did not answer. The texts go to operators and logs, so they carry no secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// It could not be asked, or the answer stopped midway; asking again later may help.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// It answered that we may not have this, or not now.
    #[error("refused: {0}")]
    Refused(String),
    /// It answered with something that is no answer; asking again will not help.
    #[error("broken: {0}")]
    Broken(String),
}
