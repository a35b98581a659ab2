//! Says something in our log.

use std::time::Duration;

use super::Node;
use crate::{
    cases::MINUTES_A_DAY,
    publish::{Draft, Published},
    raise::RaiseError,
};

/// How long a caller waits for its own statement to be folded, so that the answer can name the
/// state it led to.
const FOLD_WAIT: Duration = Duration::from_secs(2);
/// Milliseconds of a day, which quotas are of.
const DAY_MS: u64 = MINUTES_A_DAY * 60_000;

impl Node {
    /// Says something in our log, if the charter lets us say more today: what is beyond nobody would hear.
    pub(super) async fn say(&self, draft: Draft) -> Result<Published, RaiseError> {
        let spent = self
            .copies
            .get(&self.log)
            .and_then(|own| own.spent_quota(draft.header.verb, &self.charter.quotas));
        if let Some((name, value)) = spent {
            let wait_ms = DAY_MS - self.clock.now_ms() % DAY_MS;
            return Err(RaiseError::Quota { name, value, wait_ms });
        }
        let published = self.publisher.write(draft).await?;
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
