//! Keeps what witnesses have cosigned of each log, and knows whether this member is one of them.
//!
//! **Invariant:** what is kept is signed by its author, cosigned by a witness of the charter, and
//! the beginning of what is held here. It is kept in memory: after a restart it comes again.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use watchfire_signal::{
    charter::{Charter, Role},
    name::LogName,
};
use watchfire_store::{Head, StoreError};
use watchfire_tlog::{AddCheckpoint, PeerKey, SignedCheckpoint, cosign::of_two};

use crate::{
    cosigner::{CosignError, Cosigner},
    replicate::LogCopy,
};

/// The newest head of a log that each witness has cosigned.
type Kept = BTreeMap<(LogName, String), (u64, SignedCheckpoint)>;

/// The witnesses of a coalition. Cheap to clone.
#[derive(Clone)]
pub struct Witnesses {
    names: Arc<BTreeMap<String, PeerKey>>,
    cosigner: Option<Cosigner>,
    kept: Arc<Mutex<Kept>>,
}

/// The witnesses of a charter: the name that each cosigns under, which is that of its log, and its
/// key.
#[must_use]
pub fn witnesses(charter: &Charter) -> BTreeMap<String, PeerKey> {
    let members = charter.members.iter().filter(|member| member.role == Role::Witness);
    let named = members.filter_map(|member| {
        let key = PeerKey::from_bytes(&member.key).ok()?;
        Some((charter.log_of(&member.name)?.to_string(), key))
    });
    named.collect()
}

impl Witnesses {
    /// The witnesses of a charter, and what cosigns as one of them where this member is one.
    #[must_use]
    pub fn new(charter: &Charter, cosigner: Option<Cosigner>) -> Self {
        Self { names: Arc::new(witnesses(charter)), cosigner, kept: Arc::default() }
    }

    /// Heads of our verified copies as we hand them out: cosigned, if we are a witness.
    ///
    /// # Errors
    /// The store's, when it cannot be read.
    pub async fn offered(
        &self,
        heads: Vec<(LogName, Head)>,
    ) -> Result<Vec<(LogName, Head)>, StoreError> {
        match &self.cosigner {
            Some(cosigner) => cosigner.offered(heads).await,
            None => Ok(heads),
        }
    }

    /// Cosigns a head that somebody submits, if we are a witness; answers the line of its cosignature.
    ///
    /// # Errors
    /// [`CosignError`]
    pub async fn add(&self, request: &AddCheckpoint) -> Result<String, CosignError> {
        match &self.cosigner {
            Some(cosigner) => cosigner.add(request).await,
            None => Err(CosignError::unknown(request)),
        }
    }

    /// Keeps a head of `size` entries, found to be the beginning of the copy that is held here, for
    /// each witness that has cosigned it.
    pub fn keep(&self, copy: &LogCopy, size: u64, head: &SignedCheckpoint) {
        let (log, author) = (copy.log.to_string(), copy.key());
        for (name, key) in self.names.iter().filter(|(name, _)| **name != log) {
            let Some(head) = of_two(head, (&log, author), (name, key)) else { continue };
            let mut kept = self.kept();
            let newest = kept.entry((copy.log.clone(), name.clone()));
            let newest = newest.or_insert_with(|| (size, head.clone()));
            if newest.0 <= size {
                *newest = (size, head);
            }
        }
    }

    /// The newest head of a log that each witness has cosigned.
    #[must_use]
    pub fn cosigned(&self, log: &LogName) -> Vec<SignedCheckpoint> {
        let kept = self.kept();
        let heads = kept.iter().filter(|((of, _), _)| of == log);
        heads.map(|(_, (_, head))| head.clone()).collect()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
