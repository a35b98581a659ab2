//! What the liar shows of its log.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream, stream::BoxStream};
use watchfire_node::charter::may_have;
use watchfire_signal::{charter::Charter, name::MemberName};
use watchfire_tlog::{
    Entry, Extension, Hash, MAX_LEAF_BYTES, OwnKey, SignedCheckpoint, Source, SourceError,
};

use crate::{
    chance::Chance,
    fault::{Fault, Faults},
};

/// More entries than anybody takes between two checkpoints.
const TOO_MANY: usize = 4_100;

/// How long it says nothing after a lie: one who says nothing for ever withholds its log, as it may.
const SILENCE: Duration = Duration::from_secs(45);

/// Its log as it shows it to one member, once.
pub(super) struct Face {
    pub(super) truth: Arc<dyn Source>,
    pub(super) heads: Vec<SignedCheckpoint>,
    pub(super) charter: Arc<Charter>,
    pub(super) asker: Option<MemberName>,
    pub(super) favourite: bool,
    pub(super) lies: bool,
    pub(super) chance: Arc<Chance>,
    pub(super) faults: Faults,
}

impl Face {
    /// A lie instead of what comes after `from`.
    async fn lie(&self, from: u64) -> Result<Option<Extension>, SourceError> {
        let Some(head) = self.heads.last().cloned() else { return Ok(None) };
        let all = self.truth.entries(0, u64::MAX).await?;
        let later = usize::try_from(from).ok().and_then(|from| all.get(from..)).unwrap_or_default();
        let (mut entries, mut checkpoint) = (later.to_vec(), head);
        let extra = || Entry::new(&b"under no checkpoint"[..], None);
        match self.chance.below(5) {
            0 if self.heads.len() > 1 => {
                self.faults.fired(Fault::LogShrunk);
                checkpoint.clone_from(&self.heads[0]);
                entries.clear();
            }
            1 => {
                self.faults.fired(Fault::WrongKey);
                checkpoint = signed_by_another(&checkpoint);
            }
            2 => {
                self.faults.fired(Fault::LeafUncovered);
                entries.push(extra());
            }
            3 if !entries.is_empty() => {
                self.faults.fired(Fault::LeafForged);
                entries[0] = extra();
            }
            _ => {
                self.faults.fired(Fault::FrameOversized);
                if self.chance.one_in(2) {
                    entries.push(Entry::new(vec![0; MAX_LEAF_BYTES + 1], None));
                } else {
                    entries.extend(std::iter::repeat_with(extra).take(TOO_MANY));
                }
            }
        }
        Ok(Some(Extension { from, entries, checkpoint }))
    }
}

/// The same head under a key that is not the log's.
fn signed_by_another(head: &SignedCheckpoint) -> SignedCheckpoint {
    let key = OwnKey::from_seed(&[0xee; 32]);
    let mut lines = head.text.lines();
    let (origin, size, root) = (lines.next(), lines.next(), lines.next());
    let origin = origin.and_then(|origin| watchfire_tlog::Origin::new(origin).ok());
    let size = size.and_then(|size| size.parse().ok());
    let text = head.text.clone();
    let (Some(origin), Some(size), Some(_)) = (origin, size, root) else {
        return SignedCheckpoint::new(text);
    };
    let root = Hash([0x17; 32]);
    SignedCheckpoint::sign(&watchfire_tlog::Checkpoint { origin, size, root }, &key)
}

/// An entry as the liar gives it to one member.
fn given(
    charter: &Charter,
    asker: Option<&MemberName>,
    favourite: bool,
    mut entry: Entry,
) -> Entry {
    let may = asker.is_none_or(|asker| may_have(charter, asker, &entry.leaf));
    if !may || !favourite {
        entry.record = None;
    }
    entry
}

#[async_trait]
impl Source for Face {
    async fn checkpoint(&self) -> Result<Option<SignedCheckpoint>, SourceError> {
        self.truth.checkpoint().await
    }

    async fn entries(&self, from: u64, to: u64) -> Result<Vec<Entry>, SourceError> {
        self.truth.entries(from, to).await
    }

    async fn hashes(&self, level: u8, from: u64, to: u64) -> Result<Vec<Hash>, SourceError> {
        self.truth.hashes(level, from, to).await
    }

    async fn follow(
        &self,
        from: u64,
    ) -> Result<BoxStream<'static, Result<Extension, SourceError>>, SourceError> {
        if self.lies
            && self.chance.one_in(3)
            && let Some(lie) = self.lie(from).await?
        {
            // It says nothing after that for a while.
            let silence = async {
                tokio::time::sleep(SILENCE).await;
                None::<((), ())>
            };
            let silent = stream::once(silence).filter_map(|_| async { None });
            return Ok(stream::iter([Ok(lie)]).chain(silent).boxed());
        }
        let (charter, asker, favourite) =
            (self.charter.clone(), self.asker.clone(), self.favourite);
        let (lies, faults) = (self.lies, self.faults.clone());
        let truth = self.truth.follow(from).await?;
        Ok(truth
            .map(move |more| {
                let mut more = more?;
                let entries = std::mem::take(&mut more.entries).into_iter();
                let gives = favourite || !lies;
                if !gives {
                    faults.fired(Fault::BodyWithheld);
                }
                let given = |entry| given(&charter, asker.as_ref(), gives, entry);
                more.entries = entries.map(given).collect();
                Ok(more)
            })
            .boxed())
    }

    async fn records(&self, indices: &[u64]) -> Result<Vec<Option<Bytes>>, SourceError> {
        let mut records = Vec::new();
        for index in indices {
            // Whom it does not favour it never gives what it withheld.
            let entry = self.truth.entries(*index, index + 1).await?.into_iter().next();
            let entry =
                entry.map(|entry| given(&self.charter, self.asker.as_ref(), self.favourite, entry));
            records.push(entry.and_then(|entry| entry.record));
        }
        Ok(records)
    }
}
