//! Follows a log at its author, or where others have copies of it, for as long as the node runs.
//!
//! **Invariant:** what is urgent in a log is asked for all the while that the log lags behind, whether its source or its
//! pace holds it back.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt};
use thiserror::Error;
use tokio::time::Instant;
use watchfire_store::{MAX_APPEND_BYTES, STEP_ENTRIES, StoreError};
use watchfire_tlog::{Source, SourceError};

use super::{LogCopy, TakeError, bytes_of, jittered};
use crate::clock::Random;

/// The first wait before a broken stream is opened again.
pub(super) const BACKOFF_START: Duration = Duration::from_millis(100);
/// The longest wait; with it a peer that comes back is followed within half a minute.
const BACKOFF_END: Duration = Duration::from_secs(30);
/// How long a stream has to stand for its end to be no sign of trouble.
const STOOD: Duration = Duration::from_secs(5);
/// How often a member that catches up asks what is urgent.
const HURRY_EVERY: Duration = Duration::from_secs(1);
/// How often what is urgent is asked for while a log rests.
const HURRY_RESTING: Duration = Duration::from_millis(250);
/// Answers to that which are taken each time: more than two hundred retractions, and others have their turn.
const ANSWERS_RESTING: usize = 4;
/// Extensions put together into one transaction when a source runs ahead of the disk; what one
/// extension may hold is bounded by its frame.
const MAX_GROUP: usize = 64;

impl LogCopy {
    /// Has every open stream of the log opened again: it brings less than there is.
    pub fn open_again(&self) {
        self.again.notify_waiters();
    }

    /// Follows the log at its author for as long as the node runs.
    pub async fn run(&self, source: Arc<dyn Source>, random: Arc<dyn Random>) {
        let (mut wait, mut said) = (BACKOFF_START, String::new());
        loop {
            let (begun, before) = (Instant::now(), self.size().await.ok());
            match self.follow_once(&*source, || self.events.link(self.member(), None)).await {
                Err(FollowError::Take(TakeError::Frozen(_))) => return,
                Err(error) => {
                    let why = error.to_string();
                    // Each reason once: it is tried again for as long as it takes.
                    if why != said {
                        tracing::warn!(log = %self.log, why, "this log cannot be followed; tried again");
                        said.clone_from(&why);
                    }
                    self.events.link(self.member(), Some(why));
                }
                Ok(()) => said.clear(),
            }
            let good = stood(begun) || self.size().await.ok() > before;
            wait = pause_after(good, wait, &*random).await;
        }
    }

    /// Follows the log of a member that nobody can reach at others that have copies, one after the
    /// other, for as long as the node runs.
    pub async fn relay(&self, sources: Vec<Arc<dyn Source>>, random: Arc<dyn Random>) {
        let mut wait = BACKOFF_START;
        for source in sources.iter().cycle() {
            let (begun, before) = (Instant::now(), self.size().await.ok());
            match self.follow_once(&**source, || {}).await {
                Err(FollowError::Take(TakeError::Frozen(_))) => return,
                Err(error) => tracing::debug!(log = %self.log, %error, "relayed stream ended"),
                Ok(()) => {}
            }
            let good = stood(begun) || self.size().await.ok() > before;
            wait = pause_after(good, wait, &*random).await;
        }
    }

    pub(super) async fn follow_once(
        &self,
        source: &dyn Source,
        opened: impl FnOnce(),
    ) -> Result<(), FollowError> {
        self.check_takes(&mut *self.state.lock().await).await?;
        // Asked what has arrived already, a stream may say that it is over; then it is asked once more.
        let mut stream = source.follow(self.size().await?).await?.fuse();
        opened();
        let mut asked = 0;
        self.hurry_if_it_can(source, (&mut asked, usize::MAX)).await?;
        let mut hurried = Instant::now();
        let mut carried = None;
        loop {
            let first = match carried.take() {
                Some(carried) => carried,
                None => tokio::select! {
                    biased;
                    next = stream.next() => match next {
                        Some(first) => first?,
                        None => return Ok(()),
                    },
                    () = self.again.notified() => return Err(FollowError::Silent),
                },
            };
            let mut room = MAX_APPEND_BYTES.saturating_sub(bytes_of(&first.entries));
            let mut places = STEP_ENTRIES.saturating_sub(first.entries.len());
            let mut group = vec![first];
            // What has already arrived shares one transaction; an idle link waits for nothing.
            while group.len() < MAX_GROUP
                && let Some(Some(next)) = stream.next().now_or_never()
            {
                let next = next?;
                let (bytes, count) = (bytes_of(&next.entries), next.entries.len());
                if bytes > room || count > places {
                    carried = Some(next);
                    break;
                }
                (room, places) = (room - bytes, places - count);
                group.push(next);
            }
            let lags = carried.is_some() || group.len() == MAX_GROUP;
            let size = self.take(source, group).await?;
            if self.accepted.is_some_and(|accepted| size >= accepted.size) {
                return Ok(());
            }
            if lags && hurried.elapsed() >= HURRY_EVERY {
                self.hurry_if_it_can(source, (&mut asked, usize::MAX)).await?;
                hurried = Instant::now();
            }
            while let Some(until) = self.rests_until() {
                tokio::time::sleep_until(until.min(hurried + HURRY_RESTING)).await;
                if hurried.elapsed() >= HURRY_RESTING {
                    self.hurry_if_it_can(source, (&mut asked, ANSWERS_RESTING)).await?;
                    hurried = Instant::now();
                }
            }
        }
    }
}

/// Whether a stream stood long enough for its end to be no sign of trouble.
pub(crate) fn stood(begun: Instant) -> bool {
    begun.elapsed() >= STOOD
}

/// Waits until a stream that has ended may be opened again, and says how long to wait after the
/// next one: one that was good, that stood or brought something, is opened again soon.
pub(crate) async fn pause_after(good: bool, wait: Duration, random: &dyn Random) -> Duration {
    let wait = if good { BACKOFF_START } else { wait };
    tokio::time::sleep(jittered(wait, random)).await;
    (wait * 2).min(BACKOFF_END)
}

/// Why a stream is opened again.
#[derive(Debug, Error)]
pub(super) enum FollowError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Take(#[from] TakeError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the stream brings nothing although there is more")]
    Silent,
}
