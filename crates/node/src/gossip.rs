//! Compares with other members what all of us hold of all logs, so that a member who shows two of us
//! different logs is found out.
//!
//! **Invariant:** of two members that hold different histories of one log, both have the evidence
//! after one exchange: who holds the larger one, or both where they are of one size, can prove it.
//! **Invariant:** of which log another member shows more, twice and a minute apart, while nothing of it came, that
//! log is followed anew, unless it rests because its author is beyond its quota.
//! **Invariant:** nothing that another member says is believed that the log's own key has not signed.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use thiserror::Error;
use watchfire_signal::name::{LogName, MemberName};
use watchfire_store::{Store, StoreError};

use crate::{
    clock::Random,
    evidence,
    peer::{Peer, PeerError},
    replicate::{Compared, LogCopy, TakeError, jittered},
    witness::Witnesses,
};

pub use crate::heads::Heads;

/// How often two members compare: a fork is known everywhere within a few minutes, and a member asks
/// each other once.
pub const GOSSIP_EVERY: Duration = Duration::from_mins(1);
/// The wait before the first exchange, and the first one after a member did not answer.
const RETRY: Duration = Duration::from_secs(1);
/// The most proofs of forks in one message, one a log: more forks at a time than a coalition survives.
pub const MAX_PROOFS: usize = 64;

/// Compares. Cheap to clone.
#[derive(Clone)]
pub struct Gossip {
    me: MemberName,
    copies: Arc<BTreeMap<LogName, Arc<LogCopy>>>,
    store: Arc<dyn Store>,
    witnesses: Witnesses,
}

/// Why an exchange did not come to its end; the next one makes up for it.
#[derive(Debug, Error)]
pub enum GossipError {
    /// The other member could not be told, or did not answer.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Gossip {
    /// Of these copies.
    #[must_use]
    pub fn new(
        me: MemberName,
        copies: BTreeMap<LogName, Arc<LogCopy>>,
        store: Arc<dyn Store>,
        witnesses: Witnesses,
    ) -> Self {
        Self { me, copies: Arc::new(copies), store, witnesses }
    }

    /// What we hold, for another member.
    ///
    /// # Errors
    /// The store's.
    pub async fn ours(&self) -> Result<Heads, StoreError> {
        let (mut ours, mut sound) = (Heads::default(), Vec::new());
        for head in self.store.logs().await? {
            let Ok(log) = head.log.as_str().parse::<LogName>() else { continue };
            let Some(copy) = self.copies.get(&log) else { continue };
            if copy.is_frozen().await? {
                if ours.proofs.len() < MAX_PROOFS {
                    let proofs = evidence::against(&*self.store, &log).await?.into_iter();
                    ours.proofs.extend(proofs.take(1).map(|proof| (log.clone(), proof)));
                }
                ours.heads.insert(log, head.checkpoint);
                continue;
            }
            sound.push((log, head));
        }
        let offered = self.witnesses.offered(sound).await?.into_iter();
        ours.heads.extend(offered.map(|(log, head)| (log, head.checkpoint)));
        Ok(ours)
    }

    /// Compares what another member holds with what we hold; answers how many logs were found to
    /// have two histories that we did not know of. The evidence is durable then.
    ///
    /// # Errors
    /// The store's; what was found before stays.
    pub async fn take(&self, theirs: &Heads) -> Result<usize, StoreError> {
        Ok(self.compare(theirs).await?.0)
    }

    /// The same, with the logs of which the other member holds more, and how much we hold of them.
    async fn compare(&self, theirs: &Heads) -> Result<(usize, BTreeMap<LogName, u64>), StoreError> {
        let (mut found, mut behind) = (0, BTreeMap::new());
        for (log, proof) in theirs.proofs.iter().take(MAX_PROOFS) {
            if let Some(copy) = self.copies.get(log) {
                found += usize::from(told(copy.convict(proof).await, false)?);
            }
        }
        for (log, head) in &theirs.heads {
            if let Some(copy) = self.copies.get(log) {
                let own = log.member == self.me;
                match told(copy.compare_head(head, own).await, Compared::Unsaid)? {
                    Compared::Forked => found += 1,
                    Compared::Held { size } => self.witnesses.keep(copy, size, head),
                    // Our own log is longer there only before it is recovered.
                    Compared::Ahead { held } if !own => drop(behind.insert(log.clone(), held)),
                    Compared::Ahead { .. } | Compared::Unsaid => {}
                }
            }
        }
        Ok((found, behind))
    }

    /// One exchange: tells a member what we hold, compares what it holds, and tells it at once what
    /// that proves. Answers the logs of which it holds more, and how much we hold of them.
    ///
    /// # Errors
    /// [`GossipError`]
    pub async fn exchange(&self, peer: &dyn Peer) -> Result<BTreeMap<LogName, u64>, GossipError> {
        let theirs = peer.exchange(&self.ours().await?).await?;
        let (found, behind) = self.compare(&theirs).await?;
        if found > 0 {
            let theirs = peer.exchange(&self.ours().await?).await?;
            self.take(&theirs).await?;
        }
        Ok(behind)
    }

    /// Compares with one member, as soon as its logs have had a moment to come and then every
    /// [`GOSSIP_EVERY`], for as long as the node runs.
    pub async fn run(self, peer: Arc<dyn Peer>, random: Arc<dyn Random>) {
        let (mut wait, mut before) = (RETRY, BTreeMap::new());
        loop {
            tokio::time::sleep(jittered(wait, &*random)).await;
            wait = match self.exchange(&*peer).await {
                Ok(behind) => {
                    self.open_silent_again(&before, &behind);
                    before = behind;
                    GOSSIP_EVERY
                }
                Err(error) => {
                    tracing::debug!(%error, "heads were not compared");
                    (wait * 2).min(GOSSIP_EVERY)
                }
            };
        }
    }

    /// Has logs followed anew of which a member holds more than we for the second time, while we have got
    /// nothing in between: a stream may stand, and say so, and bring nothing.
    fn open_silent_again(&self, before: &BTreeMap<LogName, u64>, now: &BTreeMap<LogName, u64>) {
        for (log, held) in now.iter().filter(|(log, held)| before.get(log) == Some(*held)) {
            // What rests is not withheld: it is taken slowly, beyond its author's quota.
            let Some(copy) = self.copies.get(log).filter(|copy| copy.rests_until().is_none())
            else {
                continue;
            };
            metrics::counter!("watchfire_streams_silent_total", "member" => log.member.to_string())
                .increment(1);
            tracing::warn!(%log, held, "others hold more of this log than its stream brings; it is opened again");
            copy.open_again();
        }
    }
}

/// What a comparison came to; what is not signed by the log's key says nothing.
fn told<T>(compared: Result<T, TakeError>, nothing: T) -> Result<T, StoreError> {
    match compared {
        Ok(found) => Ok(found),
        Err(TakeError::Store(error)) => Err(error),
        Err(error) => {
            tracing::debug!(%error, "a head that proves nothing");
            Ok(nothing)
        }
    }
}
