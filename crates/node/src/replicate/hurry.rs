//! Takes what is urgent in a log ahead of its turn.

use watchfire_signal::record::Leaf;
use watchfire_store::Held;
use watchfire_tlog::{Source, Urgent};

use super::{LogCopy, TakeError, records::Contradicted};
use crate::urgent::{self, is_urgent};

impl LogCopy {
    /// What a source does not answer about what is urgent comes in its turn. `asked` is up to where it was asked before,
    /// beside the number of answers that are taken now.
    pub(super) async fn hurry_if_it_can(
        &self,
        source: &dyn Source,
        asked: (&mut u64, usize),
    ) -> Result<(), TakeError> {
        match self.hurry(source, asked).await {
            Err(TakeError::Source(error)) => {
                tracing::debug!(log = %self.log, %error, "a source does not say what is urgent");
                Ok(())
            }
            Err(TakeError::Unproven(error)) => {
                tracing::warn!(log = %self.log, %error, "what was shown as urgent is not proven");
                Ok(())
            }
            other => other,
        }
    }

    /// Asks a source for what must not wait, checks it, and has it count.
    async fn hurry(
        &self,
        source: &dyn Source,
        (next, most): (&mut u64, usize),
    ) -> Result<(), TakeError> {
        if self.early.is_none() {
            return Ok(());
        }
        for _ in 0..most {
            let held = self.size().await?;
            let mut found =
                source.urgent(held, (*next).max(held)).await.map_err(TakeError::Source)?;
            let Some(last) = found.last() else { return Ok(()) };
            // A source that answers with the same again gets no further question.
            let Some(after) = last.index.checked_add(1).filter(|after| *after > *next) else {
                return Ok(());
            };
            self.retain_accepted(source, &mut found).await?;
            let taken = self.take_urgent(found).await?;
            self.tell_early(taken, true).await;
            *next = after;
        }
        Ok(())
    }

    /// Checks entries ahead of their turn and keeps them until that comes, in one transaction.
    async fn take_urgent(&self, found: Vec<Urgent>) -> Result<Vec<Held>, TakeError> {
        let mut state = self.state.lock().await;
        self.check_takes(&mut state).await?;
        let verified = self.verified(&mut state).await?;
        let mut taken = Vec::new();
        for urgent in found {
            if urgent.index < verified.size() {
                continue;
            }
            verified.check_urgent(&urgent)?;
            if Leaf::decode(&urgent.entry.leaf).is_ok_and(|leaf| is_urgent(&leaf)) {
                // What contradicts its leaf is kept when its turn comes and its place with it.
                let (index, mut later) = (urgent.index, Contradicted::new());
                let entry = self.without_foreign_record(index, urgent.entry, &mut later);
                taken.push(Held { index: urgent.index, entry, verified_ms: self.clock.now_ms() });
            }
        }
        urgent::keep(&*self.store, &self.log, &taken).await?;
        Ok(taken)
    }
}
