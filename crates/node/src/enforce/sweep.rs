//! Compares all copies with all banks: after a bank was changed, many contents were added, or the node
//! was away.

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

impl Consequences {
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
                    enforcer.look_at(Look::Content(place), false);
                }
            }
        }
        tracing::info!(contents = looked.len(), "copies were compared with all banks");
        Ok(())
    }

    async fn contents_near(&self, items: Vec<Item>) -> Result<BTreeSet<ContentPlace>, StoreError> {
        let Some(banks) = self.reasons.banks.clone() else { return Ok(BTreeSet::new()) };
        let find = move || {
            let matches = items.iter().flat_map(|item| banks.lookup(&item.signals));
            matches.map(|found| found.place()).collect()
        };
        let found = tokio::task::spawn_blocking(find).await;
        found.map_err(|error| StoreError::Failed(format!("copies and banks: {error}")))
    }
}
