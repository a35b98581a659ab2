//! A log that has shown two histories is frozen here, with the proof of it.
//!
//! **Invariant:** who is not shown the proof again, after a restart or by anybody, has it all the same.

use watchfire_store::StoreError;
use watchfire_tlog::Evidence;

use super::{CopyState, LogCopy, TakeError};
use crate::{events::Event, evidence};

impl LogCopy {
    /// Takes a proof that this log has shown two histories, whoever brings it; true if it is one and
    /// none was known before. The log is frozen then, and the proof durable.
    ///
    /// # Errors
    /// The store's.
    pub async fn convict(&self, proof: &Evidence) -> Result<bool, TakeError> {
        let mut state = self.state.lock().await;
        if self.frozen(&mut state).await? || !proof.check(&self.origin, &self.key) {
            return Ok(false);
        }
        match self.freeze(&mut state, proof).await {
            TakeError::Frozen(_) => Ok(true),
            error => Err(error),
        }
    }

    /// Whether this log has shown two histories, to this run of the node or to one before.
    ///
    /// # Errors
    /// The store's.
    pub async fn is_frozen(&self) -> Result<bool, StoreError> {
        self.frozen(&mut *self.state.lock().await).await
    }

    pub(super) async fn frozen(&self, state: &mut CopyState) -> Result<bool, StoreError> {
        // Whoever showed it may never show it again: without it nobody else believes that the log has forked, nor
        // do we after a restart. Written down as soon as the disk takes it.
        if let Some(proof) = &state.unkept {
            match evidence::keep(&*self.store, &self.log, proof).await {
                Ok(()) => state.unkept = None,
                Err(error) => tracing::warn!(%error, log = %self.log, "a proof is not kept yet"),
            }
        }
        if state.frozen.is_none() {
            let proofs = evidence::against(&*self.store, &self.log).await?;
            state.frozen = Some(!proofs.is_empty());
        }
        Ok(state.frozen == Some(true))
    }

    pub(super) async fn check_thawed(&self, state: &mut CopyState) -> Result<(), TakeError> {
        let frozen = self.frozen(state).await?;
        if frozen { Err(TakeError::Frozen(self.log.clone())) } else { Ok(()) }
    }

    /// Whether more of it is taken: of a log that a charter has ended what leads to its end, whatever else was shown.
    pub(super) async fn check_takes(&self, state: &mut CopyState) -> Result<(), TakeError> {
        if state.cut {
            return Err(TakeError::Frozen(self.log.clone()));
        }
        if self.accepted.is_some() { Ok(()) } else { self.check_thawed(state).await }
    }

    /// Freezes it, unless it is frozen already.
    pub(super) async fn forked(&self, state: &mut CopyState, proof: &Evidence) -> TakeError {
        match self.frozen(state).await {
            Ok(false) => self.freeze(state, proof).await,
            Ok(true) => TakeError::Frozen(self.log.clone()),
            Err(error) => error.into(),
        }
    }

    /// Takes nothing more of this log; the proof is durable when this returns, or kept in memory until the disk takes it.
    pub(super) async fn freeze(&self, state: &mut CopyState, proof: &Evidence) -> TakeError {
        state.frozen = Some(true);
        metrics::counter!("watchfire_forks_total", "member" => self.member().to_string())
            .increment(1);
        tracing::error!(log = %self.log, "this log has shown two histories; it is frozen");
        self.events.send(Event::Fork { log: self.log.clone() });
        match evidence::keep(&*self.store, &self.log, proof).await {
            Ok(()) => TakeError::Frozen(self.log.clone()),
            Err(error) => {
                state.unkept = Some(proof.clone());
                error.into()
            }
        }
    }
}
