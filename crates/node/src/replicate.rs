//! Keeps a verified copy of another member's log: reads from a source, checks, stores, again.
//!
//! **Invariant:** nothing is stored that a checkpoint signed by the log's own key does not cover.
//! **Invariant:** a fork stops the copying of that log only, and its evidence is kept.

mod freeze;
mod hurry;
mod pace;
mod records;
mod settle;
mod stream;

use std::{
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::StreamExt;
use thiserror::Error;
use tokio::{
    sync::{Mutex, Notify, mpsc},
    time::Instant,
};
use watchfire_signal::{
    charter::Quotas,
    header::Header,
    name::{LogName, MemberName},
    record::Leaf,
};
use watchfire_store::{
    Append, Batch, CommitError, Held, MAX_APPEND_BYTES, MAX_APPEND_ENTRIES, Store, StoreError,
};
use watchfire_tlog::{
    Accepted, Entry, Evidence, ExtendError, Extension, Frontier, Origin, PeerKey, SignedCheckpoint,
    Source, SourceError, Verified,
    evidence::{CompareError, compare},
};

use self::{pace::Pace, records::Contradicted};
use crate::{
    clock::{Clock, Random},
    events::Events,
    receipts::Receipts,
    urgent::{Early, is_urgent},
};

pub(crate) use self::stream::{pause_after, stood};
pub use self::{pace::Pacer, settle::Cuts};

/// Entries of a log folded before the others have their turn: less than a commit takes, which an alert waits for
/// anyhow.
pub const TURN: usize = 16;
/// Records opened before others have the processor: as many as are folded in a turn.
const AT_ONCE: usize = TURN;
/// Why more of a log was not taken. The log stays as it was.
#[derive(Debug, Error)]
pub enum TakeError {
    /// It does not follow from what we have, or is not signed.
    #[error(transparent)]
    Unproven(#[from] ExtendError),
    /// The log has shown two histories; it is frozen here, or has just been cut back.
    #[error("log {0} has forked; it is frozen at what is held here")]
    Frozen(LogName),
    /// The entries stop before the checkpoint that came with them.
    #[error("the checkpoint covers {checkpoint} entries, but only {entries} came")]
    Ahead {
        /// Entries held with these.
        entries: u64,
        /// Size of the checkpoint.
        checkpoint: u64,
    },
    /// More lies between two checkpoints than anybody takes in one piece (`docs/format.md`,
    /// section 10): the author's node must sign more often.
    #[error(
        "{entries} entries of {bytes} bytes between two checkpoints; at most \
         {MAX_APPEND_ENTRIES} entries and {MAX_APPEND_BYTES} bytes are taken"
    )]
    TooMuch {
        /// Entries between the two.
        entries: usize,
        /// Bytes of their leaves and records.
        bytes: usize,
    },
    /// The source did not answer, or not with all that its signed head covers.
    #[error(transparent)]
    Source(SourceError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Our copy of one log.
pub struct LogCopy {
    /// The log.
    pub log: LogName,
    origin: Origin,
    key: PeerKey,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    events: Events,
    early: Option<(mpsc::Sender<Early>, Receipts)>,
    state: Mutex<CopyState>,
    pacer: Option<Arc<Pacer>>,
    pace: std::sync::Mutex<Pace>,
    /// Ends the streams that are open.
    again: Notify,
    /// What a charter accepts of it, where one has ended it.
    accepted: Option<Accepted>,
    cuts: Cuts,
}

/// What a signed head is beside what we hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// The beginning of what we hold, or all of it.
    Held {
        /// The entries that it covers.
        size: u64,
    },
    /// It covers more than we hold.
    Ahead {
        /// The entries that we hold.
        held: u64,
    },
    /// Its log is frozen already.
    Unsaid,
    /// It is of another history; the evidence is durable, and the log frozen.
    Forked,
}

/// `None`: read from the store when it is needed.
#[derive(Default)]
struct CopyState {
    verified: Option<Verified>,
    frozen: Option<bool>,
    /// A proof that could not be written down when it was found.
    unkept: Option<Evidence>,
    /// It was cut back: what is folded of it here is out of date.
    cut: bool,
}

impl LogCopy {
    /// The copy of the log of a member, whose key stands in the charter.
    pub fn new(
        log: LogName,
        key: PeerKey,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        events: Events,
    ) -> Result<Self, watchfire_tlog::origin::OriginError> {
        let origin = Origin::new(log.to_string())?;
        let (state, pace, again) = (Mutex::default(), std::sync::Mutex::default(), Notify::new());
        let (early, pacer, accepted, cuts) = (None, None, None, Cuts::default());
        let copy = Self {
            log,
            origin,
            key,
            store,
            clock,
            events,
            early,
            state,
            pacer,
            pace,
            again,
            accepted,
            cuts,
        };
        Ok(copy)
    }

    /// Has what is to be folded ahead of its turn told, once it is durable; how far the fold is, receipts know.
    #[must_use]
    pub(crate) fn telling(self, early: mpsc::Sender<Early>, folded: Receipts) -> Self {
        Self { early: Some((early, folded)), ..self }
    }

    /// Takes slowly what is beyond the quota of its author.
    #[must_use]
    pub fn paced(self, pacer: Arc<Pacer>) -> Self {
        Self { pacer: Some(pacer), ..self }
    }

    /// The member whose log it is.
    #[must_use]
    pub fn member(&self) -> &MemberName {
        &self.log.member
    }

    /// The log's origin line.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The key that signs it.
    #[must_use]
    pub fn key(&self) -> &PeerKey {
        &self.key
    }

    /// How many entries are held, verified.
    pub async fn size(&self) -> Result<u64, TakeError> {
        let mut state = self.state.lock().await;
        Ok(self.verified(&mut state).await?.size())
    }

    /// Checks more of the log and stores it; answers the size held afterwards.
    ///
    /// # Errors
    /// [`TakeError`]; after a fork the evidence is durable when it returns.
    pub async fn take(&self, source: &dyn Source, more: Vec<Extension>) -> Result<u64, TakeError> {
        let mut state = self.state.lock().await;
        let begun = Instant::now();
        self.check_takes(&mut state).await?;
        let before = self.verified(&mut state).await?.clone();
        if self.accepted.is_some_and(|accepted| before.size() >= accepted.size) {
            return Ok(before.size());
        }
        let (after, append, contradicted) = match self.check(source, &before, more).await {
            Ok(checked) => checked,
            Err(ExtendError::Fork(proof)) => return Err(self.forked(&mut state, &proof).await),
            Err(error) => return Err(error.into()),
        };
        let size = after.size();
        if append.entries.is_empty() {
            return Ok(size);
        }
        if after.checkpoint().size != size {
            return Err(TakeError::Ahead { entries: size, checkpoint: after.checkpoint().size });
        }
        check_amount(&append.entries)?;
        let grown = (before.frontier(), &*append.leaf_hashes);
        self.check_accepted(source, grown).await.map_err(ExtendError::from)?;
        let leaves: Vec<_> =
            append.entries.iter().map(|entry| Leaf::decode(&entry.leaf).ok()).collect();
        let ahead = self.urgent_ahead(before.size(), &append, &leaves);
        match self.store.commit(Batch { append: Some(append), ..Batch::default() }).await {
            Ok(()) => {
                state.verified = Some(after);
                self.book(before.size(), &leaves, begun.elapsed());
                drop(state);
                self.keep_contradicted(contradicted).await;
                self.tell_early(ahead, false).await;
                Ok(size)
            }
            Err(CommitError::Conflict { .. }) => {
                // Another process of ours copied it first; read again what is there.
                state.verified = None;
                Ok(self.verified(&mut state).await?.size())
            }
            Err(CommitError::Store(error)) => {
                state.verified = None;
                Err(error.into())
            }
            Err(error @ CommitError::Malformed(_)) => {
                Err(StoreError::Failed(error.to_string()).into())
            }
        }
    }

    /// What is urgent of what is taken, further ahead of the fold than it folds in a turn: behind a burst it would wait for
    /// all of that.
    fn urgent_ahead(&self, from: u64, append: &Append, leaves: &[Option<Leaf>]) -> Vec<Held> {
        let Some((_, folded)) = &self.early else { return Vec::new() };
        let soon = folded.folded(&self.log) + TURN as u64;
        let all = (from..).zip(append.entries.iter().zip(leaves));
        let urgent =
            all.filter(|(index, (_, leaf))| *index >= soon && leaf.as_ref().is_some_and(is_urgent));
        let verified_ms = append.verified_ms;
        urgent
            .map(|(index, (entry, _))| Held { index, entry: entry.clone(), verified_ms })
            .collect()
    }

    /// Has entries folded ahead of their turn.
    async fn tell_early(&self, entries: Vec<Held>, kept: bool) {
        let Some((early, _)) = &self.early else { return };
        for held in entries {
            // The fold has gone: the node stops, and folds it at its next start.
            let _stopping = early.send(Early { log: self.log.clone(), held, kept }).await;
        }
    }

    /// Books what was taken; what is beyond the quota has the log rest.
    fn book(&self, from: u64, leaves: &[Option<Leaf>], took: Duration) {
        let Some(pacer) = &self.pacer else { return };
        let (mut pace, now_ms) = (self.pace(), self.clock.now_ms());
        let mut beyond = 0;
        for (index, leaf) in (from..).zip(leaves) {
            beyond += u64::from(pace.book(pacer, (index, leaf.as_ref()), now_ms));
        }
        pace.rest(pacer, beyond, took);
        if beyond > 0 {
            metrics::counter!("watchfire_entries_slowed_total", "member" => self.member().to_string())
                .increment(beyond);
        }
    }

    /// Books an entry that was not taken by this copy; true if it is beyond the quota.
    pub(crate) fn book_held(&self, index: u64, leaf: Option<&Leaf>) -> bool {
        let Some(pacer) = &self.pacer else { return false };
        self.pace().book(pacer, (index, leaf), self.clock.now_ms())
    }

    /// Books an entry of our own log, which come in their turn.
    pub(crate) fn book_own(&self, index: u64, leaf: Option<&Leaf>) {
        let beyond = self.book_held(index, leaf);
        // What takes back does so however much of it there is.
        if let Some(leaf) = leaf.filter(|leaf| !beyond || is_urgent(leaf)) {
            self.pace().look_at(index, &leaf.header);
        }
    }

    /// Until when it rests, having brought more than its author's quota.
    #[must_use]
    pub fn rests_until(&self) -> Option<Instant> {
        self.pace().until()
    }

    /// Entries beyond its author's quota, of the day that the log dates last: they say nothing, and are taken slowly.
    #[must_use]
    pub fn beyond_quota(&self) -> u64 {
        self.pace().beyond()
    }

    /// Counts an entry of its author that is sealed for a place; or says which of these quotas leaves no room for it today,
    /// and how much that is.
    pub(crate) fn seal(
        &self,
        sealed: (u64, &Header),
        quotas: Option<&Quotas>,
    ) -> Option<(&'static str, u64)> {
        self.pace().seal(sealed, quotas, self.clock.now_ms())
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what its author brings, once the log has rested; answers the size held afterwards.
    ///
    /// # Errors
    /// [`TakeError`]
    pub async fn accept(&self, source: &dyn Source, more: Extension) -> Result<u64, TakeError> {
        while let Some(until) = self.rests_until() {
            tokio::time::sleep_until(until).await;
        }
        self.take(source, vec![more]).await
    }

    async fn check(
        &self,
        source: &dyn Source,
        before: &Verified,
        more: Vec<Extension>,
    ) -> Result<(Verified, Append, Contradicted), ExtendError> {
        let (mut after, mut contradicted) = (before.clone(), Contradicted::new());
        let mut append = self.append(before);
        for extension in more {
            let extended = after.extend_from(source, &extension).await?;
            after = extended.state;
            for entry in extension.entries.into_iter().skip(extended.new_entries_from) {
                let index = before.size() + append.entries.len() as u64;
                let entry = self.without_foreign_record(index, entry, &mut contradicted);
                append.entries.push(entry);
                if append.entries.len().is_multiple_of(AT_ONCE) {
                    tokio::task::yield_now().await;
                }
            }
            append.leaf_hashes.extend(extended.leaf_hashes);
            append.checkpoint = extension.checkpoint;
        }
        Ok((after, append, contradicted))
    }

    /// How many entries a head covers that this log's key has signed.
    ///
    /// # Errors
    /// [`TakeError::Unproven`] when it has not.
    pub fn covered_by(&self, head: &SignedCheckpoint) -> Result<u64, TakeError> {
        Ok(head.verify(&self.origin, &self.key).map_err(ExtendError::from)?.size)
    }

    /// Takes from a source all that its signed head covers and we lack; true if there was more.
    /// For our own log, before the first signature.
    ///
    /// # Errors
    /// [`TakeError::Frozen`] when the source's signed head contradicts what we hold,
    /// [`TakeError::Source`] when it shows a head and not what is under it.
    pub async fn adopt(
        &self,
        head: &SignedCheckpoint,
        source: &dyn Source,
    ) -> Result<bool, TakeError> {
        let (theirs, ours) = (self.covered_by(head)?, self.size().await?);
        if theirs <= ours {
            return self.check_older(head).await.map(|()| false);
        }
        let mut stream = source.follow(ours).await.map_err(TakeError::Source)?;
        while self.size().await? < theirs {
            let Some(more) = stream.next().await else {
                let short = "the stream ended before the head that was shown".to_owned();
                return Err(TakeError::Source(SourceError::Unreachable(short)));
            };
            match self.take(source, vec![more.map_err(TakeError::Source)?]).await {
                // Another peer has brought as much in the meantime.
                Ok(_) | Err(TakeError::Unproven(ExtendError::Shrunk { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Holds a signed head of our own log, as a peer shows it, against what the store has by now:
    /// the size that it covers, if that is more than we have.
    ///
    /// # Errors
    /// [`TakeError::Frozen`] when it contradicts what we hold.
    pub async fn confront(&self, head: &SignedCheckpoint) -> Result<Option<u64>, TakeError> {
        let theirs = self.covered_by(head)?;
        // The sequencer writes past us.
        self.state.lock().await.verified = None;
        if theirs > self.size().await? {
            return Ok(Some(theirs));
        }
        self.check_older(head).await.map(|()| None)
    }

    /// Holds a signed head, as another member shows it, against what we hold; says what it is.
    /// What is larger than ours is not compared: who shows it compares it with what we show. `reload`: somebody else writes the log here.
    ///
    /// # Errors
    /// [`TakeError::Unproven`] when the log's key has not signed it.
    pub async fn compare_head(
        &self,
        head: &SignedCheckpoint,
        reload: bool,
    ) -> Result<Compared, TakeError> {
        let size = {
            let mut state = self.state.lock().await;
            if self.frozen(&mut state).await? {
                return Ok(Compared::Unsaid);
            }
            state.verified = state.verified.take().filter(|_| !reload);
            let ours = self.verified(&mut state).await?;
            if ours.signed() == Some(head) {
                return Ok(Compared::Held { size: ours.size() });
            }
            let size = self.covered_by(head)?;
            if size > ours.size() {
                return Ok(Compared::Ahead { held: ours.size() });
            }
            size
        };
        match self.check_older(head).await {
            Ok(()) => Ok(Compared::Held { size }),
            Err(TakeError::Frozen(_)) => Ok(Compared::Forked),
            Err(error) => Err(error),
        }
    }

    /// Checks that a signed head no larger than ours is the beginning of what we hold.
    async fn check_older(&self, theirs: &SignedCheckpoint) -> Result<(), TakeError> {
        let mut state = self.state.lock().await;
        self.check_thawed(&mut state).await?;
        let Some(ours) = self.verified(&mut state).await?.signed().cloned() else { return Ok(()) };
        let held = self.store.read(&self.origin);
        match compare(&*held, &ours, theirs, &self.origin, &self.key).await {
            Ok(None) => Ok(()),
            Ok(Some(proof)) => Err(self.freeze(&mut state, &proof).await),
            Err(CompareError::Checkpoint(error)) => Err(ExtendError::from(error).into()),
            Err(CompareError::Unproven(error)) => {
                Err(StoreError::Corrupt(format!("log {}: {error}", self.log)).into())
            }
        }
    }

    fn append(&self, before: &Verified) -> Append {
        Append {
            log: self.origin.clone(),
            size: before.size(),
            entries: Vec::new(),
            leaf_hashes: Vec::new(),
            checkpoint: before.signed().cloned().unwrap_or_else(|| SignedCheckpoint::new("")),
            verified_ms: self.clock.now_ms(),
        }
    }

    async fn verified<'a>(&self, state: &'a mut CopyState) -> Result<&'a Verified, StoreError> {
        if state.verified.is_none() {
            state.verified = Some(self.load().await?);
        }
        state.verified.as_ref().ok_or(StoreError::Closed)
    }

    /// Rebuilds what we have verified from the store; our own copy must pass its own check.
    async fn load(&self) -> Result<Verified, StoreError> {
        load_verified(&*self.store, &self.origin, &self.key).await
    }
}

/// What is stored of a log, checked against its own signed head.
///
/// # Errors
/// [`StoreError::Corrupt`] when the stored head is not signed by the key or not the root of what
/// is stored.
pub async fn load_verified(
    store: &dyn Store,
    origin: &Origin,
    key: &PeerKey,
) -> Result<Verified, StoreError> {
    let source = store.read(origin);
    let failed = |error: SourceError| StoreError::Failed(error.to_string());
    let Some(signed) = source.checkpoint().await.map_err(failed)? else {
        return Ok(Verified::new(origin.clone(), *key));
    };
    let corrupt = |why: String| StoreError::Corrupt(format!("log {origin}: {why}"));
    let checkpoint = signed.verify(origin, key).map_err(|error| corrupt(error.to_string()))?;
    let frontier = Frontier::read(&*source, checkpoint.size).await;
    let frontier = frontier.map_err(|error| corrupt(error.to_string()))?;
    Verified::resume(origin.clone(), *key, signed, frontier, Vec::new())
        .map_err(|error| corrupt(error.to_string()))
}

/// Refuses what the store would not take in one transaction.
fn check_amount(entries: &[Entry]) -> Result<(), TakeError> {
    let (entries, bytes) = (entries.len(), bytes_of(entries));
    let fits = entries <= MAX_APPEND_ENTRIES && bytes <= MAX_APPEND_BYTES;
    if fits { Ok(()) } else { Err(TakeError::TooMuch { entries, bytes }) }
}

/// Bytes that the store counts.
fn bytes_of(entries: &[Entry]) -> usize {
    let bytes = |entry: &Entry| entry.leaf.len() + entry.record.as_ref().map_or(0, Bytes::len);
    entries.iter().map(bytes).sum()
}

/// Between half and all of a wait, so that peers that lost the same node do not return at once.
pub(crate) fn jittered(wait: Duration, random: &dyn Random) -> Duration {
    let mut byte = [0; 1];
    random.fill(&mut byte);
    wait / 2 + wait / 2 * u32::from(byte[0]) / 255
}
