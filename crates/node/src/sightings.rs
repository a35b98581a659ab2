//! Tells the coalition, in its own log and in buckets, how many uploads here matched a case.
//!
//! **Invariant:** a case costs at most two records a window, however many uploads match it, and a window
//! at most [`MAX_CASES`] cases.
//! **Invariant:** only counts rounded up to powers of two leave the node.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use watchfire_signal::{
    charter::Charter,
    commitment::Commitment,
    name::LogName,
    statement::{Done, Statement},
    verb::Verb,
};

use crate::{
    cases::kept_from,
    known::Known,
    outcomes::bucket,
    publish::{PublishError, Publisher},
    raise::about_draft,
};

/// How long uploads are counted before they are told. What a stop interrupts is not told.
pub const WINDOW: Duration = Duration::from_secs(3_600);
/// The most cases that are told of in a window: those with the most uploads.
pub const MAX_CASES: usize = 256;

/// Uploads that matched a case in this window.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    seen: u64,
    refused: u64,
}

/// Counts uploads that match. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Sightings {
    counts: Arc<Mutex<BTreeMap<Commitment, Count>>>,
}

impl Sightings {
    /// Counts an upload that matches a case, and whether it was refused.
    pub fn note(&self, case: Commitment, refused: bool) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(case).or_default();
        count.seen += 1;
        count.refused += u64::from(refused);
    }

    fn take(&self) -> Vec<(Commitment, Count)> {
        let counts = {
            let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *counts)
        };
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(case, count)| (std::cmp::Reverse(count.seen), *case));
        counts.truncate(MAX_CASES);
        counts
    }
}

/// What telling needs.
#[derive(Clone)]
pub struct Lookout {
    /// What was counted.
    pub sightings: Sightings,
    /// What is known of the cases.
    pub known: Arc<Known>,
    /// Our own log.
    pub log: LogName,
    /// The charter in force.
    pub charter: Arc<Charter>,
    /// What says it.
    pub publisher: Publisher,
}

impl Lookout {
    /// Tells once a window for as long as the node runs.
    pub async fn run(self) {
        loop {
            tokio::time::sleep(WINDOW).await;
            if let Err(error) = self.tell().await {
                tracing::warn!(%error, "what was seen in the last hour could not be told");
            }
        }
    }

    /// Tells what was counted since the last time; how many records that took.
    ///
    /// # Errors
    /// [`PublishError`]; what was not told by then is not told.
    pub async fn tell(&self) -> Result<usize, PublishError> {
        let window_ms = u64::try_from(WINDOW.as_millis()).unwrap_or(u64::MAX);
        let mut told = 0;
        let taken = self.sightings.take();
        // Who only looks on counts for nobody.
        if kept_from(&self.charter, &self.log.member, Verb::Sighting).is_some() {
            return Ok(told);
        }
        for (case, count) in taken {
            let Some(set) = self.known.set(&case) else { continue };
            let seen = Statement::Sighting { bucket: bucket(count.seen), window_ms };
            let refused = (count.refused > 0)
                .then(|| Statement::Outcome { what: Done::Blocked, bucket: bucket(count.refused) });
            for statement in [Some(seen), refused].into_iter().flatten() {
                let draft = about_draft(&self.charter, &self.log, &set, statement, None);
                self.publisher.write(draft).await?;
                told += 1;
            }
        }
        Ok(told)
    }
}
