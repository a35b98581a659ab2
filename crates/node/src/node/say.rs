//! Says something in our log.

use std::time::Duration;

use super::Node;
use crate::{
    clock::MINUTES_A_DAY,
    publish::{Draft, PublishError, Published},
    raise::RaiseError,
};

/// How long a caller waits for its own statement to be folded, so that the answer can name the
/// state it led to.
const FOLD_WAIT: Duration = Duration::from_secs(2);
/// Milliseconds of a day, which quotas are of.
pub(super) const DAY_MS: u64 = MINUTES_A_DAY * 60_000;

impl Node {
    /// Says something in our log, if the charter lets us say more today: what is beyond nobody would hear.
    pub(super) async fn say(&self, draft: Draft) -> Result<Published, RaiseError> {
        // Asked where it is written: many say something at a time, and each of them has seen room for one.
        let draft = Draft { within_quota: true, ..draft };
        let published = self.publisher.write(draft).await.map_err(|error| match error {
            PublishError::Quota(name, value) => {
                let wait_ms = DAY_MS - self.clock.now_ms() % DAY_MS;
                RaiseError::Quota { name, value, wait_ms }
            }
            error => error.into(),
        })?;
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
