//! Cosigns the heads of logs where this member is a witness, and keeps what witnesses have cosigned.
//!
//! **Invariant:** a witness cosigns only heads of its own verified copies, which only grow, and none
//! of a log that has shown two histories; never its own.
//! **Invariant:** what is kept is signed by its author, cosigned by a witness of the charter, and
//! the beginning of what is held here. It is kept in memory: after a restart it comes again.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use watchfire_signal::{
    charter::{Charter, Role},
    name::{LogName, MemberName},
};
use watchfire_tlog::{
    OwnKey, PeerKey, SignedCheckpoint,
    cosign::{cosign, of_two},
};

use crate::{clock::Clock, replicate::LogCopy};

/// The newest head of a log that each witness has cosigned.
type Kept = BTreeMap<(LogName, String), (u64, SignedCheckpoint)>;

/// The witnesses of a coalition. Cheap to clone.
#[derive(Clone)]
pub struct Witnesses {
    names: Arc<BTreeMap<String, PeerKey>>,
    own: Option<(String, Arc<OwnKey>)>,
    wall_clock: Arc<dyn Clock>,
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
    /// The witnesses of a charter, as the member `me` with this key sees them.
    #[must_use]
    pub fn new(
        charter: &Charter,
        me: &MemberName,
        key: &Arc<OwnKey>,
        wall_clock: Arc<dyn Clock>,
    ) -> Self {
        let names = witnesses(charter);
        let own = charter.log_of(me).map(|log| log.to_string());
        let own = own.filter(|name| names.contains_key(name)).map(|name| (name, key.clone()));
        Self { names: Arc::new(names), own, wall_clock, kept: Arc::default() }
    }

    /// A head of our verified copy as we hand it out: cosigned, if we are a witness.
    #[must_use]
    pub fn offered(&self, log: &LogName, head: SignedCheckpoint) -> SignedCheckpoint {
        let Some((name, key)) = self.own.as_ref().filter(|(name, _)| *name != log.to_string())
        else {
            return head;
        };
        let time_s = self.wall_clock.now_ms() / 1_000;
        match cosign(&head, name, key, time_s) {
            Ok(cosigned) => cosigned,
            Err(error) => {
                tracing::warn!(%error, %log, "a head could not be cosigned");
                head
            }
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
