//! Takes what is urgent in a log ahead of its turn.

use watchfire_signal::record::Leaf;
use watchfire_store::Held;
use watchfire_tlog::{Source, Urgent};

use super::{LogCopy, TakeError};
use crate::urgent::{self, is_urgent};

impl LogCopy {
    /// What a source does not answer about what is urgent comes in its turn.
    pub(super) async fn hurry_if_it_can(&self, source: &dyn Source) -> Result<(), TakeError> {
        match self.hurry(source).await {
            Err(TakeError::Source(error)) => {
                tracing::debug!(log = %self.log, %error, "a source does not say what is urgent");
                Ok(())
            }
            Err(TakeError::Unproven(error)) => {
                tracing::warn!(log = %self.log, %error, "what was shown as urgent is not proven");
                Ok(())
            }
            other => other.map(drop),
        }
    }

    /// Asks a source for what must not wait, checks it, and has it count; how many there were.
    async fn hurry(&self, source: &dyn Source) -> Result<usize, TakeError> {
        let Some(early) = &self.early else { return Ok(0) };
        let (mut next, mut count) = (0, 0);
        loop {
            let held = self.size().await?;
            let found = source.urgent(held, next.max(held)).await.map_err(TakeError::Source)?;
            let Some(last) = found.last() else { return Ok(count) };
            // A source that answers with the same again gets no further question.
            let Some(after) = last.index.checked_add(1).filter(|after| *after > next) else {
                return Ok(count);
            };
            next = after;
            for urgent in found {
                if let Some(held) = self.take_urgent(urgent).await? {
                    count += 1;
                    // The fold has gone: the node stops, and folds it at its next start.
                    let _stopping = early.send((self.log.clone(), held)).await;
                }
            }
        }
    }

    /// Checks an entry ahead of its turn and keeps it until that comes.
    async fn take_urgent(&self, urgent: Urgent) -> Result<Option<Held>, TakeError> {
        let mut state = self.state.lock().await;
        self.check_thawed(&mut state).await?;
        let verified = self.verified(&mut state).await?;
        if urgent.index < verified.size() {
            return Ok(None);
        }
        verified.check_urgent(&urgent)?;
        if !Leaf::decode(&urgent.entry.leaf).is_ok_and(|leaf| is_urgent(&leaf)) {
            return Ok(None);
        }
        let entry = self.without_foreign_record(urgent.entry);
        let held = Held { index: urgent.index, entry, verified_ms: self.clock.now_ms() };
        urgent::keep(&*self.store, &self.log, &held).await?;
        Ok(Some(held))
    }
}
