//! Tells the coalition, in its own log and in buckets, on how many copies here a case was carried
//! out and undone.
//!
//! **Invariant:** a case has at most one record for what was done and a bucket of it, however often
//! the node starts; a flood of copies costs a handful of records.
//! **Invariant:** only counts rounded up to powers of two leave the node.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::sync::Notify;
use watchfire_signal::{
    charter::Charter,
    commitment::Commitment,
    name::LogName,
    statement::{Done, Statement},
    verb::Verb,
};
use watchfire_store::{Effect, Store, StoreError};

use crate::{
    cases::kept_from,
    desk::Actor,
    enforce::RESTORE,
    known::Known,
    publish::{ANSWERS, Asked, PublishError, Publisher},
    raise::about_draft,
};

/// How long counts gather before they are told: a viral clip that is taken down within it costs one
/// record, not one for each power of two.
pub const WINDOW: Duration = Duration::from_secs(1);

/// Says which cases have new counts. Cheap to clone.
#[derive(Clone, Default)]
pub struct Outcomes {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Cases to count again.
    cases: Mutex<BTreeSet<Commitment>>,
    more: Notify,
}

impl Outcomes {
    /// Has a case counted again when one of its effects was carried out.
    pub fn changed(&self, effect: &Effect) {
        self.note([Commitment(effect.subject)]);
    }

    fn note(&self, cases: impl IntoIterator<Item = Commitment>) {
        self.shared.cases.lock().unwrap_or_else(PoisonError::into_inner).extend(cases);
        self.shared.more.notify_one();
    }

    async fn next(&self) -> BTreeSet<Commitment> {
        self.shared.more.notified().await;
        tokio::time::sleep(WINDOW).await;
        std::mem::take(&mut *self.shared.cases.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What telling needs.
pub struct Teller {
    /// Which cases have new counts.
    pub outcomes: Outcomes,
    /// Where effects are counted.
    pub store: Arc<dyn Store>,
    /// What is known of the cases.
    pub known: Arc<Known>,
    /// Our own log.
    pub log: LogName,
    /// The charter in force.
    pub charter: Arc<Charter>,
    /// What says it.
    pub publisher: Publisher,
}

/// Why a count was not told; the next change of the case tells it.
#[derive(Debug, Error)]
pub enum TellError {
    /// It could not be counted.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It could not be said.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

impl Teller {
    /// Counts and tells for as long as the node runs; first what a crash left untold.
    pub async fn run(self) {
        match self.store.cases_with_effects().await {
            Ok(cases) => self.outcomes.note(cases.into_iter().map(Commitment)),
            Err(error) => tracing::error!(%error, "what was not told yet could not be read"),
        }
        loop {
            for case in self.outcomes.next().await {
                if let Err(error) = self.tell(&case).await {
                    tracing::warn!(%error, %case, "the outcome of a case could not be told");
                }
            }
        }
    }

    async fn tell(&self, case: &Commitment) -> Result<(), TellError> {
        if kept_from(&self.charter, &self.log.member, Verb::Outcome).is_some() {
            return Ok(());
        }
        let Some(set) = self.known.set(case) else { return Ok(()) };
        let counts = self.store.case_counts(case.0, RESTORE).await?;
        for (what, count) in [(Done::Removed, counts.removed), (Done::Restored, counts.restored)] {
            let bucket = bucket(count);
            let key = key(case, what, bucket);
            if bucket == 0 || self.store.row(ANSWERS, &key).await?.is_some() {
                continue;
            }
            let statement = Statement::Outcome { what, bucket };
            let asked = Asked { by: Actor::Node, key: Some(key) };
            let draft = about_draft(&self.charter, &self.log, &set, statement, Some(asked));
            self.publisher.write(draft).await?;
        }
        Ok(())
    }
}

/// The number of binary digits of a count.
pub(crate) fn bucket(count: u64) -> u8 {
    u8::try_from(u64::BITS - count.leading_zeros()).unwrap_or(u8::MAX)
}

/// Under which key it is kept that a bucket was told, in the same transaction as the record.
fn key(case: &Commitment, what: Done, bucket: u8) -> Vec<u8> {
    let hash = Sha256::new().chain_update(b"watchfire/outcome/v1\0").chain_update(case.0);
    hash.chain_update(what.as_str()).chain_update([0, bucket]).finalize().to_vec()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_the_number_of_binary_digits() {
        assert_eq!([0, 1, 2, 3, 4, 100_000].map(bucket), [0, 1, 2, 2, 3, 17]);
    }
}
