//! One member's line to another: the peer of its node.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use watchfire_node::{
    heads::Heads,
    peer::{Peer, PeerError, Theirs},
    place::Place,
    receipts::Effective,
};
use watchfire_signal::{charter::SignedCharter, name::LogName};
use watchfire_tlog::{Extension, Source};

use super::{PATIENCE, Passage, Wire, far::Far};
use crate::{
    Mutant,
    fault::Fault,
    host::{Asker, Host},
    process::Life,
};

/// How much later a request comes a second time.
const REPLAY_S: std::ops::Range<u64> = 1..90;

/// A line. Cheap to clone.
#[derive(Clone)]
pub struct Line {
    pub(super) wire: Arc<Wire>,
    /// Who asks.
    pub(super) me: Asker,
    pub(super) from: usize,
    pub(super) to: usize,
    /// The process that asks.
    pub(super) life: Life,
}

/// What a host answers, or that it cannot.
pub(super) type Answer<T> = Result<T, String>;

impl Line {
    /// From a process of a member at one place to another place.
    #[must_use]
    pub fn new(wire: &Arc<Wire>, me: &Asker, (from, to): (usize, usize), life: Life) -> Self {
        Self { wire: wire.clone(), me: me.clone(), from, to, life }
    }

    /// Asks the other side something and brings its answer back.
    pub(super) async fn ask<T: Send>(
        &self,
        ask: impl FnOnce(Arc<dyn Host>) -> BoxFuture<'static, Answer<T>> + Send,
    ) -> Answer<T> {
        self.life.goes_on().await;
        let answer = self.carry(ask).await;
        self.life.goes_on().await;
        answer
    }

    async fn carry<T: Send>(
        &self,
        ask: impl FnOnce(Arc<dyn Host>) -> BoxFuture<'static, Answer<T>> + Send,
    ) -> Answer<T> {
        let wire = &self.wire;
        self.pass(Fault::RequestLost).await?;
        let host = wire.host(self.to).ok_or("nobody there")?;
        let life = host.life().ok_or("refused: no process")?;
        let answer = tokio::select! {
            biased;
            () = life.ends() => return Err("reset".to_owned()),
            answer = ask(host) => answer,
        };
        self.pass(Fault::AnswerLost).await?;
        answer
    }

    /// One way; what is lost is waited for as long as anybody waits.
    async fn pass(&self, loss: Fault) -> Answer<()> {
        let wire = &self.wire;
        wire.travel().await;
        match wire.passage(self.from, self.to) {
            Passage::Cut => return Err("unreachable".to_owned()),
            Passage::HalfOpen => {
                wire.faults.fired(Fault::HalfOpen);
                tokio::time::sleep(PATIENCE).await;
                return Err("no answer".to_owned());
            }
            Passage::Open => {}
        }
        if wire.chance.permille(wire.weather().lost) {
            wire.faults.fired(loss);
            tokio::time::sleep(PATIENCE).await;
            return Err("no answer".to_owned());
        }
        Ok(())
    }

    /// Whether a member is the one that a mutant keeps from something.
    fn keeps(&self, mutant: Mutant, place: usize) -> bool {
        place == 0 && self.wire.mutant == Some(mutant)
    }

    /// Whether no record reaches a member.
    pub(super) fn loses_records(&self, place: usize) -> bool {
        self.keeps(Mutant::LosesRecords, place)
    }

    /// Whether nobody here hears of charters.
    fn loses_charters(&self) -> Result<(), PeerError> {
        let lost = [self.from, self.to].iter().any(|place| self.keeps(Mutant::NoCharters, *place));
        if lost { Err(PeerError("not heard".to_owned())) } else { Ok(()) }
    }

    /// Tells the other side something, which may come a second time, later.
    async fn tell<T: Send + 'static>(
        &self,
        ask: impl Fn(Arc<dyn Host>) -> BoxFuture<'static, Answer<T>> + Clone + Send + Sync + 'static,
    ) -> Result<T, PeerError> {
        let wire = &self.wire;
        if wire.chance.permille(wire.weather().replayed) {
            let (wire, to, again) = (wire.clone(), self.to, ask.clone());
            let later = Duration::from_secs(wire.chance.within(REPLAY_S));
            tokio::spawn(async move {
                tokio::time::sleep(later).await;
                let Some(host) = wire.host(to).filter(|host| host.life().is_some()) else { return };
                wire.faults.fired(Fault::RequestReplayed);
                // Whoever replays it does not care for the answer.
                let _answer = again(host).await;
            });
        }
        self.ask(ask).await.map_err(PeerError)
    }
}

#[async_trait]
impl Peer for Line {
    fn source(&self, log: &LogName) -> Arc<dyn Source> {
        Arc::new(Far::new(self.clone(), log.clone()))
    }

    async fn push(&self, _log: &LogName, more: &Extension) -> Result<u64, PeerError> {
        let (me, mut more) = (self.me.clone(), more.clone());
        if self.loses_records(self.to) {
            more.entries.iter_mut().for_each(|entry| entry.record = None);
        }
        self.tell(move |host| {
            let (me, more) = (me.clone(), more.clone());
            Box::pin(async move { host.push(&me, more).await })
        })
        .await
    }

    async fn receipt(&self, effective: &BTreeMap<LogName, Effective>) -> Result<(), PeerError> {
        let (me, effective) = (self.me.clone(), effective.clone());
        self.tell(move |host| {
            let (me, effective) = (me.clone(), effective.clone());
            Box::pin(async move { host.receipt(&me, &effective).await })
        })
        .await
    }

    async fn receipts(&self) -> Result<BTreeMap<LogName, Effective>, PeerError> {
        let me = self.me.clone();
        let ask = |host: Arc<dyn Host>| -> BoxFuture<'static, Answer<_>> {
            Box::pin(async move { host.receipts(&me).await })
        };
        self.ask(ask).await.map_err(PeerError)
    }

    async fn lacking(&self) -> Result<BTreeMap<LogName, Vec<u64>>, PeerError> {
        let me = self.me.clone();
        let ask = |host: Arc<dyn Host>| -> BoxFuture<'static, Answer<_>> {
            Box::pin(async move { host.lacking(&me).await })
        };
        self.ask(ask).await.map_err(PeerError)
    }

    async fn bring(&self, place: &Place, record: &Bytes) -> Result<bool, PeerError> {
        if self.loses_records(self.to) {
            return Err(PeerError("not heard".to_owned()));
        }
        let (me, place, record) = (self.me.clone(), place.clone(), record.clone());
        self.tell(move |host| {
            let (me, place, record) = (me.clone(), place.clone(), record.clone());
            Box::pin(async move { host.bring(&me, place, record).await })
        })
        .await
    }

    async fn exchange(&self, ours: &Heads) -> Result<Heads, PeerError> {
        if self.wire.mutant == Some(Mutant::NoGossip) {
            return Err(PeerError("not heard".to_owned()));
        }
        let (me, ours) = (self.me.clone(), ours.clone());
        self.tell(move |host| {
            let (me, ours) = (me.clone(), ours.clone());
            Box::pin(async move { host.exchange(&me, &ours).await })
        })
        .await
    }

    async fn charters(&self, after: u64) -> Result<Theirs, PeerError> {
        self.loses_charters()?;
        let me = self.me.clone();
        let ask = move |host: Arc<dyn Host>| -> BoxFuture<'static, Answer<_>> {
            Box::pin(async move { host.charters(&me, after).await })
        };
        self.ask(ask).await.map_err(PeerError)
    }

    async fn tell_charters(&self, ours: &[SignedCharter]) -> Result<(), PeerError> {
        self.loses_charters()?;
        let (me, ours) = (self.me.clone(), ours.to_vec());
        self.tell(move |host| {
            let (me, ours) = (me.clone(), ours.clone());
            Box::pin(async move { host.tell_charters(&me, ours).await })
        })
        .await
    }
}
