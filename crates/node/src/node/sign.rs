//! Lets this node write its logs, once that is safe.
//!
//! **Invariant:** nothing is signed before the peers were asked what they hold of our log, and
//! nothing more once one of them has shown a history of it that is not ours.

use std::sync::Arc;

use watchfire_signal::{charter::Role, header::CharterRef};
use watchfire_store::StoreError;
use watchfire_tlog::{Origin, OwnKey};

use super::{Node, Readiness, start::Setup};
use crate::{
    anchor::Anchorer,
    desk::{Line, Stamp},
    publish::{Letterhead, Statements},
    recover::{RecoverError, contradiction, recover},
    replicate::load_verified,
    sequence::{Draft, Sequencer},
};

impl Node {
    /// Recovers our own log from the peers, then lets the sequencer write.
    pub(super) async fn sign_when_safe(self: Arc<Self>, setup: Setup, drafts: Statements) {
        let why = match self.sign(setup, drafts).await {
            Ok(()) => "the sequencer has stopped; see the log of this process".to_owned(),
            Err(error) => error.to_string(),
        };
        tracing::error!(why, "this node does not sign");
        self.readiness.send_replace(Readiness::Failed(why));
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
        let letterhead = Letterhead {
            log: self.log.clone(),
            charter: CharterRef { seq: self.charter.seq, hash: self.charter.hash() },
            random: self.random.clone(),
        };
        let sequencer = self.sequencer(own.origin(), &setup.key, letterhead).await?;
        self.readiness.send_replace(Readiness::Ready);
        self.spawn_anchorer();
        tokio::select! {
            () = sequencer.run(drafts) => Ok(()),
            error = contradiction(&self.log, own, &setup.peers, &*self.random) => Err(error),
        }
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
