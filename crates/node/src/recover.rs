//! Before the first signature after a start: asks the peers what they hold of our own log, and
//! adopts what we lack.
//!
//! **Invariant:** a node that was restored from an old backup signs nothing that contradicts what
//! its peers have already seen.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use thiserror::Error;
use tokio::time::Instant;
use watchfire_signal::name::{LogName, MemberName};
use watchfire_store::StoreError;
use watchfire_tlog::SourceError;

use crate::{
    peer::Peer,
    replicate::{LogCopy, TakeError},
};

/// How long a start waits for the last peers once one has answered.
pub const GRACE: Duration = Duration::from_secs(5);
/// Pause between rounds of asking.
const PAUSE: Duration = Duration::from_millis(100);

/// Why recovery failed; the node must not sign.
#[derive(Debug, Error)]
pub enum RecoverError {
    /// A peer holds a history of our log, signed by our key, that is not ours.
    #[error(
        "peer {0} holds entries of our log that contradict ours; do not start this data directory"
    )]
    Contradicted(MemberName),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Asks all peers until each has answered, or until one has and [`GRACE`] is over; adopts the
/// longest verified continuation of our log.
///
/// # Errors
/// [`RecoverError`]; nothing may be signed then.
pub async fn recover(
    log: &LogName,
    own: &LogCopy,
    peers: &BTreeMap<MemberName, Arc<dyn Peer>>,
) -> Result<u64, RecoverError> {
    let mut silent = peers.keys().cloned().collect::<Vec<_>>();
    let mut first_answer = None;
    while !silent.is_empty() {
        let mut still = Vec::new();
        for member in silent {
            let Some(peer) = peers.get(&member) else { continue };
            if adopt(log, own, &member, &**peer).await? {
                first_answer.get_or_insert_with(Instant::now);
            } else {
                still.push(member);
            }
        }
        silent = still;
        if first_answer.is_some_and(|at| at.elapsed() >= GRACE) {
            break;
        }
        if !silent.is_empty() {
            tokio::time::sleep(PAUSE).await;
        }
    }
    if !silent.is_empty() {
        tracing::warn!(?silent, "these peers did not say what they hold of our log");
    }
    own.size().await.map_err(|error| match error {
        TakeError::Store(error) => RecoverError::Store(error),
        other => RecoverError::Store(StoreError::Corrupt(other.to_string())),
    })
}

/// Takes from one peer what we lack; false: it did not answer.
async fn adopt(
    log: &LogName,
    own: &LogCopy,
    member: &MemberName,
    peer: &dyn Peer,
) -> Result<bool, RecoverError> {
    let source = peer.source(log);
    let held = match source.checkpoint().await {
        Ok(None) => return Ok(true),
        Ok(Some(held)) => held,
        Err(SourceError::Unreachable(_)) => return Ok(false),
        Err(error) => {
            tracing::debug!(%member, %error, "a peer does not say what it holds of our log");
            return Ok(false);
        }
    };
    match own.adopt(held, &*source).await {
        Ok(true) => {
            tracing::warn!(%member, "took from a peer entries of our own log that we had lost");
            Ok(true)
        }
        Ok(false) => Ok(true),
        Err(TakeError::Frozen(_)) => Err(RecoverError::Contradicted(member.clone())),
        Err(TakeError::Store(error)) => Err(error.into()),
        Err(TakeError::Source(error)) => {
            tracing::debug!(%member, %error, "a peer stopped while telling what it holds");
            Ok(false)
        }
        // What is not signed by our key, or not covered, proves nothing about our log.
        Err(error @ (TakeError::Unproven(_) | TakeError::Ahead { .. })) => {
            tracing::warn!(%member, %error, "a peer shows a log under our name that proves nothing");
            Ok(true)
        }
    }
}
