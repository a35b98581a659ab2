//! Another member over HTTP, as the node wants to see it.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use watchfire_api::{peer::PeerClient, signature::Fresh};
use watchfire_node::{
    clock::{Clock, Random},
    gossip::Heads,
    peer::{Peer, PeerError, Theirs},
    place::Place,
    receipts::Effective,
};
use watchfire_server::views;
use watchfire_signal::{charter::SignedCharter, name::LogName};
use watchfire_tlog::{Extension, Source, SourceError};

/// A member at its address.
pub(super) struct HttpPeer {
    client: PeerClient,
}

impl HttpPeer {
    /// A member that a client speaks to.
    pub(super) fn new(client: PeerClient) -> Self {
        Self { client }
    }
}

#[async_trait]
impl Peer for HttpPeer {
    fn source(&self, log: &LogName) -> Arc<dyn Source> {
        Arc::new(self.client.source_of(log))
    }

    async fn push(&self, _log: &LogName, more: &Extension) -> Result<u64, PeerError> {
        self.client.push(more).await.map_err(told)
    }

    async fn receipt(&self, effective: &BTreeMap<LogName, Effective>) -> Result<(), PeerError> {
        self.client.receipt(&views::receipt(effective)).await.map_err(told)
    }

    async fn receipts(&self) -> Result<BTreeMap<LogName, Effective>, PeerError> {
        Ok(views::receipt_of(self.client.receipts().await.map_err(told)?))
    }

    async fn exchange(&self, ours: &Heads) -> Result<Heads, PeerError> {
        let theirs = self.client.heads(&views::heads(ours)).await.map_err(told)?;
        Ok(views::heads_of(theirs))
    }

    async fn lacking(&self) -> Result<BTreeMap<LogName, Vec<u64>>, PeerError> {
        Ok(self.client.lacking().await.map_err(told)?.lacking)
    }

    async fn bring(&self, place: &Place, record: &Bytes) -> Result<bool, PeerError> {
        self.client.bring(&place.log, place.index, record).await.map_err(told)
    }

    async fn charters(&self, after: u64) -> Result<Theirs, PeerError> {
        let theirs = self.client.charters(after).await.map_err(told)?;
        let charters = views::charter::charters_of(&theirs).map_err(PeerError)?;
        Ok(Theirs { in_force: theirs.in_force, charters })
    }

    async fn tell_charters(&self, ours: &[SignedCharter]) -> Result<(), PeerError> {
        let in_force = ours.iter().map(|signed| signed.charter.seq).max().unwrap_or(0);
        self.client.tell_charters(&views::charter::list(in_force, ours)).await.map_err(told)
    }
}

fn told(error: SourceError) -> PeerError {
    PeerError(error.to_string())
}

/// Time and chance for signatures, from the node's own clock and randomness.
pub(super) struct Now {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Now {
    /// From these.
    pub(super) fn new(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self { clock, random }
    }
}

impl Fresh for Now {
    fn now_s(&self) -> u64 {
        self.clock.now_ms() / 1_000
    }

    fn nonce(&self) -> [u8; 16] {
        let mut nonce = [0; 16];
        self.random.fill(&mut nonce);
        nonce
    }
}
