//! Where the hashes of a tree are read from, to make proofs and frontiers without reading leaves.

use async_trait::async_trait;

use crate::hash::Hash;
use crate::source::{Source, SourceError};

/// Reads tile hashes. Every [`Source`] is one; a store can be one without being a source.
#[async_trait]
pub trait HashReader: Send + Sync {
    /// The tile hashes `from..to` of `level`, or a prefix of them, as [`Source::hashes`].
    async fn hashes(&self, level: u8, from: u64, to: u64) -> Result<Vec<Hash>, SourceError>;
}

#[async_trait]
impl<S: Source + ?Sized> HashReader for S {
    async fn hashes(&self, level: u8, from: u64, to: u64) -> Result<Vec<Hash>, SourceError> {
        Source::hashes(self, level, from, to).await
    }
}

/// Reads exactly `from..to`, asking again where an answer is short.
///
/// # Errors [`SourceError::Broken`] when the reader has nothing at some place of the range, or
/// answers with more than asked.
pub async fn read_exactly<R: HashReader + ?Sized>(
    reader: &R,
    level: u8,
    from: u64,
    to: u64,
) -> Result<Vec<Hash>, SourceError> {
    let mut hashes: Vec<Hash> = Vec::new();
    let mut next = from;
    while next < to {
        let more = reader.hashes(level, next, to).await?;
        if more.is_empty() || more.len() as u64 > to - next {
            return Err(SourceError::Broken(format!("no tile hash {next} of level {level}")));
        }
        next += more.len() as u64;
        hashes.extend(more);
    }
    Ok(hashes)
}
