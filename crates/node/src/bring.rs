//! Brings a peer the records that it lacks, where it cannot come and ask us for them.
//!
//! **Invariant:** a record is brought to members of its group only.
//! **Invariant:** whatever a peer says that it lacks costs a bounded number of requests between two waits.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use watchfire_signal::{
    charter::Charter,
    name::{LogName, MemberName},
};
use watchfire_store::{Store, StoreError};
use watchfire_tlog::Origin;

use crate::{charter::may_have, clock::Random, peer::Peer, place::Place, replicate::jittered};

/// How often a peer is asked what it lacks.
const BRING_EVERY: Duration = Duration::from_mins(1);
/// The wait after it took something, for there may be more.
const SOON: Duration = Duration::from_secs(1);
/// The most records that are brought between two waits. Who claims to lack everything costs no more than
/// who asks a member with an address for it.
const MAX_BROUGHT: usize = 256;

/// Brings records to one peer.
pub struct Bringer {
    /// Who lacks them.
    pub member: MemberName,
    /// Its node.
    pub peer: Arc<dyn Peer>,
    /// Says which groups it is in.
    pub charter: Arc<Charter>,
    /// What we hold.
    pub store: Arc<dyn Store>,
    /// For waits.
    pub random: Arc<dyn Random>,
}

impl Bringer {
    /// Asks what is lacking and brings it, for as long as the node runs.
    pub async fn run(self) {
        let mut wait = SOON;
        loop {
            tokio::time::sleep(jittered(wait, &*self.random)).await;
            wait = match self.bring().await {
                Ok(0) => BRING_EVERY,
                Ok(_) => SOON,
                Err(error) => {
                    tracing::debug!(%error, "records were not brought to a peer");
                    BRING_EVERY
                }
            };
        }
    }

    /// Brings once what we have of what is lacking; answers how many records the peer took.
    async fn bring(&self) -> Result<u64, String> {
        let mut taken = 0;
        let lacking = self.peer.lacking().await.map_err(text)?;
        for (place, record) in self.found(lacking).await.map_err(text)? {
            taken += u64::from(self.peer.bring(&place, &record).await.map_err(text)?);
        }
        Ok(taken)
    }

    /// What we hold of what is lacking, as far as the peer may have it.
    async fn found(
        &self,
        lacking: BTreeMap<LogName, Vec<u64>>,
    ) -> Result<Vec<(Place, Bytes)>, StoreError> {
        let mut found = Vec::new();
        let all = lacking
            .into_iter()
            .flat_map(|(log, indices)| indices.into_iter().map(move |index| (log.clone(), index)));
        for (log, index) in all.take(MAX_BROUGHT) {
            let Ok(origin) = Origin::new(log.to_string()) else { continue };
            let held = self.store.held(&origin, index, 1).await?;
            let held = held.into_iter().find(|held| held.index == index);
            let held = held.filter(|held| may_have(&self.charter, &self.member, &held.entry.leaf));
            let record = held.and_then(|held| held.entry.record);
            found.extend(record.map(|record| (Place { log, index }, record)));
        }
        Ok(found)
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
