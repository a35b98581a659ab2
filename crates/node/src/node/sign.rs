//! Lets this node write its logs, once that is safe.
//!
//! **Invariant:** nothing is signed before the peers were asked what they hold of our log, and
//! nothing more once one of them has shown a history of it that is not ours.

use std::sync::Arc;

use watchfire_signal::{
    charter::Role,
    header::CharterRef,
    name::LogName,
    record::Leaf,
    statement::{Head, KeyStep, Statement},
    verb::Verb,
};
use watchfire_store::StoreError;
use watchfire_tlog::{Origin, OwnKey};

use super::{Node, Readiness, start::Setup};
use crate::{
    anchor::Anchorer,
    desk::{Line, Stamp},
    publish::{self, Letterhead, Minutes, Publisher, Statements},
    raise::plain_header,
    recover::{RecoverError, contradiction, recover},
    replicate::{LogCopy, load_verified},
    sequence::{Draft, Drafts, Sequencer},
};

/// How far our own log may be dated ahead of the clock before a person should look.
const AHEAD_WARNING_MS: u64 = 5 * 60_000;

impl Node {
    /// Recovers our own log from the peers, then lets the sequencer write.
    pub(super) async fn sign_when_safe(self: Arc<Self>, setup: Setup, drafts: Statements) {
        let why = match self.sign(setup, drafts).await {
            Ok(()) => "the sequencer has stopped; see the log of this process".to_owned(),
            Err(error) => error.to_string(),
        };
        tracing::error!(why, "this node does not sign");
        self.fail(why);
    }

    /// Says that a person has to look; the first reason stays.
    fn fail(&self, why: String) {
        self.readiness.send_if_modified(|now| {
            let first = !matches!(now, Readiness::Failed(_));
            if first {
                *now = Readiness::Failed(why);
            }
            first
        });
    }

    /// Writes the desk log for as long as that is safe. Without it nothing is decided here, so the node says that
    /// it is not ready.
    pub(super) async fn write_desk(self: Arc<Self>, desk: Sequencer<Line>, lines: Drafts<Line>) {
        desk.run(lines).await;
        let why = "the desk log could not be written; see the log of this process".to_owned();
        tracing::error!(why, "this node decides nothing");
        self.fail(why);
    }

    /// Signs for as long as that is safe. Dropping the sequencer in the middle of a commit is
    /// harmless: what it has written may be there, and nobody was told so.
    async fn sign(&self, setup: Setup, drafts: Statements) -> Result<(), RecoverError> {
        let Some(own) = self.copies.get(&self.log) else { return Ok(()) };
        if own.is_frozen().await? {
            return Err(RecoverError::Forked);
        }
        if !setup.alone && !setup.peers.is_empty() {
            recover(&self.log, own, &setup.peers).await?;
        }
        self.end_former(&setup).await?;
        let letterhead = Letterhead {
            log: self.log.clone(),
            charter: CharterRef { seq: self.charter.seq, hash: self.charter.hash() },
            random: self.random.clone(),
            minutes: self.minutes_after(own).await?,
            quotas: Some((own.clone(), self.charter.quotas)),
        };
        let sequencer = self.sequencer(own.origin(), &setup.key, letterhead).await?;
        // What has failed already, as the desk log may have, stays failed.
        self.readiness.send_if_modified(|now| {
            let first = *now == Readiness::Recovering;
            if first {
                *now = Readiness::Ready;
            }
            first
        });
        self.spawn_anchorer();
        tokio::select! {
            biased;
            error = contradiction(&self.log, own, &setup.peers, &*self.random) => Err(error),
            () = sequencer.run(drafts) => Ok(()),
        }
    }

    /// The clock of a log that goes on.
    async fn minutes_after(&self, copy: &LogCopy) -> Result<Minutes, StoreError> {
        let verified = load_verified(&*self.store, copy.origin(), copy.key()).await?;
        let last = self.store.held(copy.origin(), verified.size().saturating_sub(1), 1).await?;
        let last = last.last().and_then(|held| Leaf::decode(&held.entry.leaf).ok());
        let minute = last.and_then(|leaf| leaf.header.minute).unwrap_or(0);
        if u64::from(minute) * 60_000 > self.wall_clock.now_ms() + AHEAD_WARNING_MS {
            tracing::error!(
                "our log is dated ahead of this machine's clock: all that it says until then has the quota of one day"
            );
        }
        Ok(Minutes::after(minute, self.wall_clock.clone()))
    }

    /// Ends our log of the epoch before, where a charter has given us a new key: its last entry, signed with
    /// the key of that log, names the one that we go on with.
    async fn end_former(&self, setup: &Setup) -> Result<(), RecoverError> {
        let Some(key) = &setup.former_key else { return Ok(()) };
        let public = key.public().to_bytes();
        let closed = self.charter.closed.iter();
        let mut closed = closed.filter(|log| log.member == self.me && log.key == public);
        let Some(closed) = closed.next().filter(|log| log.last.is_none()) else { return Ok(()) };
        let log = LogName::new(self.charter.coalition.clone(), self.me.clone(), closed.epoch);
        let Some(copy) = self.copies.get(&log) else { return Ok(()) };
        if !setup.alone && !setup.peers.is_empty() {
            recover(&log, copy, &setup.peers).await?;
        }
        let verified = load_verified(&*self.store, copy.origin(), copy.key()).await?;
        let held = self.store.held(copy.origin(), verified.size().saturating_sub(1), 1).await?;
        let last = held.last().and_then(|held| Leaf::decode(&held.entry.leaf).ok());
        let chain = self.changes.chain();
        let charter = chain.iter().rfind(|one| one.charter.member_of_log(&log).is_some());
        let Some(charter) = charter else { return Ok(()) };
        if last.is_some_and(|leaf| leaf.header.verb == Verb::Key) {
            return Ok(());
        }
        let letterhead = Letterhead {
            log: log.clone(),
            charter: CharterRef { seq: charter.charter.seq, hash: charter.hash() },
            random: self.random.clone(),
            minutes: self.minutes_after(copy).await?,
            quotas: None,
        };
        let last = Head { size: verified.size(), root: verified.frontier().root().0 };
        let (step, key_now) = (KeyStep::Rotate, setup.key.public().to_bytes());
        let statement = Statement::Key { step, key: key_now, last };
        let header = plain_header(&charter.charter, &log, Verb::Key);
        let (publisher, drafts) = Publisher::new();
        let sequencer = self.sequencer(copy.origin(), key, letterhead).await?;
        let said =
            publisher.write(publish::Draft { header, statement, asked: None, within_quota: false });
        tokio::select! {
            biased;
            () = sequencer.run(drafts) => {}
            said = said => {
                said.map_err(|error| StoreError::Failed(error.to_string()))?;
                tracing::info!(%log, "our former log has ended; we go on under another key");
            }
        }
        Ok(())
    }

    /// Anchors the desk log from now on. A member whose role has no say about cases decides nothing
    /// that it would have to prove.
    fn spawn_anchorer(&self) {
        let role = self.charter.member(&self.me).map(|own| own.role);
        if matches!(role, None | Some(Role::Auditor | Role::Witness)) {
            return;
        }
        let anchorer = Anchorer {
            desk: self.desk.clone(),
            store: self.store.clone(),
            log: self.log.clone(),
            charter: self.charter.clone(),
            publisher: self.publisher.clone(),
            clock: self.clock.clone(),
            anchored: self.anchored.clone(),
        };
        self.spawn(anchorer.run());
    }

    /// The writer of a log that goes on from what the store holds of it.
    async fn sequencer<D: Draft>(
        &self,
        origin: &Origin,
        key: &Arc<OwnKey>,
        sealer: D::Sealer,
    ) -> Result<Sequencer<D>, StoreError> {
        let verified = load_verified(&*self.store, origin, &key.public()).await?;
        Ok(Sequencer {
            origin: origin.clone(),
            key: key.clone(),
            sealer,
            frontier: verified.frontier().clone(),
            store: self.store.clone(),
            clock: self.clock.clone(),
        })
    }

    /// The writer of the desk log: nobody else holds a copy of it, so it waits for nobody.
    pub(super) async fn desk_sequencer(
        &self,
        key: &Arc<OwnKey>,
    ) -> Result<Sequencer<Line>, StoreError> {
        let stamp = Stamp { clock: self.clock.clone(), random: self.random.clone() };
        self.sequencer(self.desk.origin(), key, stamp).await
    }
}
