//! A log that a charter has ended becomes what that charter accepts of it, whatever histories its author has shown.
//!
//! **Invariant:** nothing is taken of it that does not lead to the accepted root, and a copy loses nothing but what is proven
//! not to.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};
use watchfire_store::{Batch, Cut, StoreError};
use watchfire_tlog::{Accepted, ExtendError, Frontier, Hash, ProofError, Source, Standing, Urgent};

use super::{
    CopyState, LogCopy, TakeError,
    stream::{BACKOFF_START, FollowError, pause_after, stood},
};
use crate::{clock::Random, urgent};

/// Who proves that it has what is accepted and brings nothing of it for so long is left for the next one.
const STALLED: Duration = Duration::from_mins(1);

/// How many copies of a node have been cut back: what has folded them is out of date. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Cuts(Arc<watch::Sender<u64>>);

impl Default for Cuts {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Cuts {
    /// How many there have been.
    #[must_use]
    pub fn count(&self) -> u64 {
        *self.0.borrow()
    }

    /// Waits for the first one.
    pub async fn first(&self) {
        let mut counts = self.0.subscribe();
        // It ends in no other way: we hold the sender ourselves.
        let _count = counts.wait_for(|count| *count > 0).await;
    }

    fn note(&self) {
        self.0.send_modify(|count| *count += 1);
    }
}

impl LogCopy {
    /// Takes what a charter accepts of the log, where one has ended it, and tells of what is cut back for it.
    #[must_use]
    pub fn accepting(self, accepted: Option<Accepted>, cuts: Cuts) -> Self {
        Self { accepted, cuts, ..self }
    }

    /// Copies a log that has ended from those that have a copy, one after the other: to its end where a charter says what
    /// that is, and else for as long as the node runs.
    pub async fn settle(&self, sources: Vec<Arc<dyn Source>>, random: Arc<dyn Random>) {
        let Some(accepted) = self.accepted else { return self.relay(sources, random).await };
        let mut wait = BACKOFF_START;
        for source in sources.iter().cycle() {
            let (begun, before) = (Instant::now(), self.size().await.ok());
            match self.settle_at(&**source, &accepted).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    tracing::debug!(log = %self.log, %error, "a log that has ended is not whole yet");
                }
            }
            let good = stood(begun) || self.size().await.ok() > before;
            wait = pause_after(good, wait, &*random).await;
        }
    }

    /// Takes what one source has; true if nothing more is to be taken.
    async fn settle_at(
        &self,
        source: &dyn Source,
        accepted: &Accepted,
    ) -> Result<bool, FollowError> {
        let held = self.store.read(&self.origin);
        let size = self.size().await?;
        let standing = accepted.compare((&*held, size), source).await;
        let standing = standing.map_err(|error| TakeError::Unproven(error.into()))?;
        let of = accepted.size;
        tracing::debug!(log = %self.log, size, of, ?standing, "a log that has ended");
        match standing {
            Standing::Whole => Ok(true),
            Standing::Begins => tokio::select! {
                biased;
                followed = self.follow_once(source, || {}) => followed.map(|()| false),
                () = self.stalls() => Ok(false),
            },
            Standing::Apart { common } => {
                let mut state = self.state.lock().await;
                self.cut_back(&mut state, common).await?;
                Ok(true)
            }
        }
    }

    /// Waits until nothing has come for [`STALLED`].
    async fn stalls(&self) {
        let mut before = None;
        loop {
            let size = self.size().await.ok();
            if size == before {
                return;
            }
            before = size;
            tokio::time::sleep(STALLED).await;
        }
    }

    /// Checks that what a log has grown by leads to what is accepted of it.
    pub(super) async fn check_accepted(
        &self,
        source: &dyn Source,
        (before, grown): (&Frontier, &[Hash]),
    ) -> Result<(), ProofError> {
        let Some(accepted) = &self.accepted else { return Ok(()) };
        accepted.check((before, grown), source).await
    }

    /// Drops what comes after the end of the log, and checks that the rest stands in what is accepted of it.
    pub(super) async fn retain_accepted(
        &self,
        source: &dyn Source,
        urgent: &mut Vec<Urgent>,
    ) -> Result<(), TakeError> {
        let Some(accepted) = &self.accepted else { return Ok(()) };
        urgent.retain(|one| one.index < accepted.size);
        // One answer is under one checkpoint, most times.
        let mut checked = None;
        for one in urgent.iter() {
            if checked == Some(&one.checkpoint) {
                continue;
            }
            let head = one.checkpoint.verify(&self.origin, &self.key).map_err(ExtendError::from)?;
            let goes = accepted.goes_with((head.size, &head.root), source).await;
            goes.map_err(ExtendError::from)?;
            checked = Some(&one.checkpoint);
        }
        Ok(())
    }

    /// Drops what is not in the accepted history, with what was kept of it ahead of its turn. Nothing is taken any more
    /// until the node has folded its logs anew.
    async fn cut_back(&self, state: &mut CopyState, common: u64) -> Result<(), StoreError> {
        if std::mem::replace(&mut state.cut, true) {
            return Ok(());
        }
        let rows = urgent::rows_from(&*self.store, &self.log, common).await;
        let cut = Some(Cut { log: self.origin.clone(), most: common });
        let done = match rows {
            Ok(rows) => self.store.commit(Batch { cut, rows, ..Batch::default() }).await,
            Err(error) => Err(error.into()),
        };
        state.verified = None;
        if let Err(error) = done {
            state.cut = false;
            return Err(error.into());
        }
        metrics::counter!("watchfire_logs_cut_total", "member" => self.member().to_string())
            .increment(1);
        tracing::warn!(log = %self.log, common, "this copy was of another history than the one that the charter accepts; it is cut back");
        self.cuts.note();
        Ok(())
    }
}
