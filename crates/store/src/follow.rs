//! Turns "what comes after this index" and "the log grew" into the endless stream of a source.
//!
//! **Invariant:** items follow each other without a gap, and each ends at its checkpoint's size.

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};
use watchfire_tlog::{Extension, SourceError};

use crate::{StoreError, feed::Sizes};

/// Where a follower reads on.
#[async_trait]
pub(crate) trait ReadOn: Send + Sync + 'static {
    /// Entries from `from` on up to a size at which there was a checkpoint, with that checkpoint;
    /// `None` when the log ends at `from` or before.
    async fn read_on(&self, from: u64) -> Result<Option<Extension>, StoreError>;
}

/// Follows a log from `from` on; `sizes` tells when it grows and closes when the store does.
pub(crate) fn follow(
    log: impl ReadOn,
    sizes: Sizes,
    from: u64,
) -> BoxStream<'static, Result<Extension, SourceError>> {
    let start = Some(Follower { log, sizes, next: from });
    stream::unfold(start, |state| async move {
        let mut follower = state?;
        match follower.step().await {
            Ok(extension) => Some((Ok(extension), Some(follower))),
            Err(error) => Some((Err(SourceError::from(error)), None)),
        }
    })
    .boxed()
}

struct Follower<L> {
    log: L,
    sizes: Sizes,
    next: u64,
}

impl<L: ReadOn> Follower<L> {
    async fn step(&mut self) -> Result<Extension, StoreError> {
        loop {
            if self.sizes.latest() > self.next {
                let Some(extension) = self.log.read_on(self.next).await? else {
                    let text = format!("nothing at {} of a longer log", self.next);
                    return Err(StoreError::Corrupt(text));
                };
                self.next = extension.from + extension.entries.len() as u64;
                return Ok(extension);
            }
            self.sizes.grown().await.ok_or(StoreError::Closed)?;
        }
    }
}
