//! Says something in our log.

use std::time::Duration;

use watchfire_signal::{header::Target, reason::Reason, record::Leaf};
use watchfire_tlog::Origin;

use super::Node;
use crate::{
    cases::{has_words, kept_from},
    clock::MINUTES_A_DAY,
    publish::{Asked, Draft, PublishError, Published},
    raise::{RaiseError, erasure_draft},
};

/// How long a caller waits for its own statement to be folded, so that the answer can name the
/// state it led to.
const FOLD_WAIT: Duration = Duration::from_secs(2);
/// Milliseconds of a day, which quotas are of.
pub(super) const DAY_MS: u64 = MINUTES_A_DAY * 60_000;

impl Node {
    /// Has the record at a place erased everywhere: at once if it is our own, by quorum otherwise. It may be of a case,
    /// of an incident, or of what nobody hears.
    ///
    /// # Errors
    /// [`RaiseError::NoRecord`], [`RaiseError::Wordless`]; else [`RaiseError`].
    pub async fn erase_record(
        &self,
        target: Target,
        reason: Option<Reason>,
        asked: Option<Asked>,
    ) -> Result<Published, RaiseError> {
        if let Some(before) = self.answered(asked.as_ref()).await? {
            return Ok(before);
        }
        let missing = || RaiseError::NoRecord(target.clone());
        let origin = Origin::new(target.log.to_string()).map_err(|_| missing())?;
        let held = self.store.held(&origin, target.index, 1).await.map_err(PublishError::from)?;
        let held = held.into_iter().find(|held| held.index == target.index).ok_or_else(missing)?;
        let leaf = Leaf::decode(&held.entry.leaf).map_err(|_| missing())?;
        let verb = leaf.header.verb;
        if !has_words(verb) {
            return Err(RaiseError::Wordless(verb));
        }
        self.say(erasure_draft(&self.charter, &self.log, target, reason, asked)).await
    }

    /// Says something in our log, if our role lets us and the charter lets us say more today: what is beyond nobody
    /// would hear.
    pub(super) async fn say(&self, draft: Draft) -> Result<Published, RaiseError> {
        let verb = draft.header.verb;
        if let Some(role) = kept_from(&self.charter, &self.me, verb) {
            return Err(RaiseError::NotAllowed { verb, role });
        }
        // Asked where it is written: many say something at a time, and each of them has seen room for one.
        let draft = Draft { within_quota: true, ..draft };
        let published = self.publisher.write(draft).await.map_err(|error| match error {
            PublishError::Quota(name, value) => {
                let wait_ms = DAY_MS - self.clock.now_ms() % DAY_MS;
                RaiseError::Quota { name, value, wait_ms }
            }
            error => error.into(),
        })?;
        self.said.notify_one();
        self.wait_folded(published.index).await;
        Ok(published)
    }

    async fn wait_folded(&self, index: u64) {
        let folded = self.receipts.wait_here(&self.log, index + 1);
        if tokio::time::timeout(FOLD_WAIT, folded).await.is_err() {
            tracing::warn!(index, "own statement is durable but not folded yet");
        }
    }
}
