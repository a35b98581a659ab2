//! Judges everything again: all copies by all banks, after a bank was changed, many contents were added,
//! or the node was away; all cases, after the policy has changed.

use std::{collections::BTreeSet, time::Duration};

use watchfire_store::StoreError;

use super::{AGAIN, Consequences};
use crate::{
    content::ContentPlace,
    looks::{Enforcer, Look},
    seen::Item,
};

/// Copies compared at once.
const PAGE: usize = 4_096;
/// How long a sweep waits for more to be changed: a long list comes in many parts.
const GATHER: Duration = Duration::from_secs(1);

/// Cases looked at before the others have their turn.
const CASES_AT_ONCE: usize = 256;
/// How long the others have: 5,000 cases a second, and news never wait longer than this.
const PAUSE: Duration = Duration::from_millis(50);

impl Consequences {
    pub(super) async fn judge_all_when_told(&self, enforcer: &Enforcer) {
        loop {
            enforcer.all_cases.notified().await;
            let sets = self.reasons.known.sets();
            let (mut walk, mut cases) = (sets.walk(), 0);
            while let Some(names) = walk.next(sets) {
                for names in names.chunks(CASES_AT_ONCE) {
                    let now = self.reasons.clock.now_ms();
                    for set in names.iter().filter_map(|name| sets.get(name)) {
                        let undo = self.reasons.judge.about(&set, now).take_down().is_none();
                        enforcer.look_at(Look::Set(set.name), Some(set.author()), undo);
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                cases += names.len();
            }
            enforcer.sweep();
            tracing::info!(cases, "all cases were looked at again");
        }
    }

    pub(super) async fn sweep_when_told(&self, enforcer: &Enforcer) {
        loop {
            enforcer.sweep.notified().await;
            tokio::time::sleep(GATHER).await;
            while let Err(error) = self.sweep(enforcer).await {
                tracing::error!(%error, "copies could not be compared with banks; tried again");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }

    /// Has every content looked at that a copy matches, each once.
    async fn sweep(&self, enforcer: &Enforcer) -> Result<(), StoreError> {
        if self.routes.is_empty() || self.reasons.banks.is_none() {
            return Ok(());
        }
        let mut looked = BTreeSet::new();
        let mut after = 0;
        self.seen.flush().await;
        while let Some((items, last)) = self.seen.page(after, PAGE).await? {
            after = last;
            for place in self.contents_near(items).await? {
                if looked.insert(place) {
                    enforcer.look_at(Look::Content(place), None, false);
                }
            }
        }
        tracing::info!(contents = looked.len(), "copies were compared with all banks");
        Ok(())
    }

    async fn contents_near(&self, items: Vec<Item>) -> Result<BTreeSet<ContentPlace>, StoreError> {
        let Some(banks) = self.reasons.banks.clone() else { return Ok(BTreeSet::new()) };
        let find = move || {
            let parts = |item: &Item| {
                let hits = item.parts.iter().flat_map(|part| banks.near().search_part(part));
                hits.collect::<Vec<_>>()
            };
            let matches = items.iter().flat_map(|item| banks.lookup(&item.signals, &parts(item)));
            matches.map(|found| found.place()).collect()
        };
        let found = tokio::task::spawn_blocking(find).await;
        found.map_err(|error| StoreError::Failed(format!("copies and banks: {error}")))
    }
}
