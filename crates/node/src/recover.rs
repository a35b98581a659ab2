//! Before the first signature after a start: asks the peers what they hold of our own log, and
//! adopts what we lack. Afterwards goes on asking, so that a contradiction that shows late ends the
//! signing.
//!
//! **Invariant:** a node that was restored from an old backup signs nothing that contradicts what
//! its peers have already seen: while any of them has shown a head signed by us that is larger than
//! our log, nothing is signed.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::stream::{FuturesUnordered, StreamExt};
use thiserror::Error;
use tokio::time::Instant;
use watchfire_signal::name::{LogName, MemberName};
use watchfire_store::StoreError;

use crate::{
    clock::Random,
    peer::Peer,
    replicate::{LogCopy, TakeError, jittered},
};

/// How long a start waits for the last peers once one has answered.
pub const GRACE: Duration = Duration::from_secs(5);
/// The first pause before a peer that did not answer is asked again.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest such pause, and how often everybody is asked once all is well: often enough that two
/// machines that sign with one key are found out within a minute.
const CALM: Duration = Duration::from_secs(60);

/// Why the node must not sign (any more).
#[derive(Debug, Error)]
pub enum RecoverError {
    /// A peer holds a history of our log, signed by our key, that is not ours.
    #[error(
        "peer {0} holds entries of our log that contradict ours; do not start this data directory"
    )]
    Contradicted(MemberName),
    /// A peer shows a head of our log, signed by our key, that is ahead of all we ever wrote here.
    #[error(
        "peer {member} holds {theirs} entries of our log, we have written fewer: another machine \
         signs with our key, or this data directory is old; stop both and start one of them"
    )]
    Behind {
        /// The peer.
        member: MemberName,
        /// The size of the head that it shows.
        theirs: u64,
    },
    /// The log was proven to have two histories before this start.
    #[error(
        "our log has forked before this start (`watchfire log evidence`); a new epoch is needed"
    )]
    Forked,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a peer said.
enum Said {
    /// What it holds of our log, and we hold that now too.
    All,
    /// Nothing, or not all that it showed a signed head of.
    NotAll,
}

/// Our own log while peers are asked about it.
struct Asking<'a> {
    log: &'a LogName,
    own: &'a LogCopy,
    /// The largest head signed by our key that any peer has shown.
    shown: AtomicU64,
}

/// Asks all peers at once until each has answered, or until one has and [`GRACE`] is over, and in
/// any case until our log is as long as the longest head of it that was shown; adopts the longest
/// verified continuation.
///
/// # Errors
/// [`RecoverError`]; nothing may be signed then.
pub async fn recover(
    log: &LogName,
    own: &LogCopy,
    peers: &BTreeMap<MemberName, Arc<dyn Peer>>,
) -> Result<u64, RecoverError> {
    let asking = Asking { log, own, shown: AtomicU64::new(0) };
    let each = peers.iter().map(|(member, peer)| asking.until_answered(member, &**peer));
    let mut asked = each.collect::<FuturesUnordered<_>>();
    let (begun, mut first_answer, mut warned) = (Instant::now(), None, false);
    loop {
        // The peers go on being heard while the size is read: one of them may stand before us at
        // the lock on our log, and would never give it up unheard.
        let size = tokio::select! {
            biased;
            size = own.size() => size.map_err(store_error)?,
            Some(answer) = asked.next() => {
                answer?;
                first_answer.get_or_insert_with(Instant::now);
                continue;
            }
        };
        let shown = asking.shown.load(Ordering::SeqCst);
        let waited = first_answer.is_some_and(|at: Instant| at.elapsed() >= GRACE);
        if size >= shown && (waited || asked.is_empty()) {
            if !asked.is_empty() {
                tracing::warn!(
                    silent = asked.len(),
                    "not all peers said what they hold of our log"
                );
            }
            return Ok(size);
        }
        if !warned && size < shown && begun.elapsed() >= GRACE {
            warned = true;
            tracing::warn!(size, shown, "peers show a longer log of ours and do not deliver it");
        }
        tokio::select! {
            biased;
            Some(answer) = asked.next() => {
                answer?;
                first_answer.get_or_insert_with(Instant::now);
            }
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// Compares our log with what the peers hold of it, for as long as the node signs; returns when it
/// must not sign any more.
pub async fn contradiction(
    log: &LogName,
    own: &LogCopy,
    peers: &BTreeMap<MemberName, Arc<dyn Peer>>,
    random: &dyn Random,
) -> RecoverError {
    let comparing = peers.iter().map(|(member, peer)| compare(log, own, member, &**peer, random));
    match comparing.collect::<FuturesUnordered<_>>().next().await {
        Some(error) => error,
        None => std::future::pending().await,
    }
}

async fn compare(
    log: &LogName,
    own: &LogCopy,
    member: &MemberName,
    peer: &dyn Peer,
    random: &dyn Random,
) -> RecoverError {
    let mut wait = PAUSE;
    loop {
        tokio::time::sleep(jittered(wait, random)).await;
        wait = match peer.source(log).checkpoint().await {
            Ok(Some(head)) => match own.confront(&head).await {
                Ok(None) => CALM,
                Ok(Some(theirs)) => return RecoverError::Behind { member: member.clone(), theirs },
                Err(TakeError::Frozen(_)) => return RecoverError::Contradicted(member.clone()),
                Err(error) => {
                    tracing::debug!(%member, %error, "a head of our log that proves nothing");
                    CALM
                }
            },
            Ok(None) => CALM,
            Err(_) => (wait * 2).min(CALM),
        };
    }
}

impl Asking<'_> {
    async fn until_answered(
        &self,
        member: &MemberName,
        peer: &dyn Peer,
    ) -> Result<(), RecoverError> {
        let mut wait = PAUSE;
        while let Said::NotAll = self.adopt(member, peer).await? {
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(GRACE);
        }
        Ok(())
    }

    /// Takes from one peer what we lack.
    async fn adopt(&self, member: &MemberName, peer: &dyn Peer) -> Result<Said, RecoverError> {
        let source = peer.source(self.log);
        let head = match source.checkpoint().await {
            Ok(None) => return Ok(Said::All),
            Ok(Some(head)) => head,
            Err(error) => {
                tracing::debug!(%member, %error, "a peer does not say what it holds of our log");
                return Ok(Said::NotAll);
            }
        };
        // What is not signed by our key proves nothing about our log, and need not be waited for.
        let Ok(theirs) = self.own.covered_by(&head) else {
            tracing::warn!(%member, "a peer shows a log under our name that we have not signed");
            return Ok(Said::All);
        };
        self.shown.fetch_max(theirs, Ordering::SeqCst);
        match self.own.adopt(&head, &*source).await {
            Ok(true) => {
                tracing::warn!(%member, "took from a peer entries of our own log that we had lost");
                Ok(Said::All)
            }
            Ok(false) => Ok(Said::All),
            Err(TakeError::Frozen(_)) => Err(RecoverError::Contradicted(member.clone())),
            Err(TakeError::Store(error)) => Err(error.into()),
            Err(error) => {
                tracing::warn!(%member, %error, "a peer shows a head of our log and not what it covers");
                Ok(Said::NotAll)
            }
        }
    }
}

fn store_error(error: TakeError) -> RecoverError {
    match error {
        TakeError::Store(error) => RecoverError::Store(error),
        other => RecoverError::Store(StoreError::Corrupt(other.to_string())),
    }
}
