//! What is done with each peer: its log copied, receipts told, and where it cannot come to us, visits.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use watchfire_signal::name::{LogName, MemberName};
use watchfire_store::StoreError;
use watchfire_tlog::{AddCheckpoint, Extension, ProofError, SignedCheckpoint, Source, Urgent};

use super::Node;
use crate::{
    bring::Bringer,
    cosigner::CosignError,
    fetch::{Fetcher, Filler},
    gossip::Gossip,
    peer::Peer,
    replicate::LogCopy,
    spent::Spent,
    upload::{OwnLog, Reader, upload},
};

/// From how many members at a time the log of one that nobody can reach is copied: one of them may
/// withhold it.
const RELAYS: usize = 2;

impl Node {
    pub(super) fn spawn_peers(
        self: &Arc<Self>,
        peers: &BTreeMap<MemberName, Arc<dyn Peer>>,
        unreachable: bool,
    ) {
        let (filler, random) = (self.filler.clone(), self.random.clone());
        self.spawn(Fetcher { filler, peers: peers.clone(), random }.run());
        for (member, peer) in peers {
            let Some(log) = self.charter.log_of(member) else { continue };
            if let Some(copy) = self.copies.get(&log).cloned() {
                let (source, random) = (peer.source(&log), self.random.clone());
                self.spawn(async move { copy.run(source, random).await });
            }
            self.spawn(self.receipts.clone().run(peer.clone()));
            self.spawn(self.gossip().run(peer.clone(), self.random.clone()));
            self.spawn(self.changes.clone().run(peer.clone(), self.random.clone()));
            if unreachable {
                self.spawn_visits(member, peer);
            }
        }
        for copy in self.copies.values() {
            let ended = self.charter.member_of_log(&copy.log).is_none();
            let elsewhere = *copy.member() != self.me && !peers.contains_key(copy.member());
            if ended || elsewhere {
                self.spawn_relays(copy, peers);
            }
        }
    }

    /// Goes to a peer that cannot come to us: brings our log and records that it lacks, and asks what is effective there.
    fn spawn_visits(self: &Arc<Self>, member: &MemberName, peer: &Arc<dyn Peer>) {
        for own in self.own_logs() {
            let ours = self.store.read(&own.origin);
            let charter = self.charter.clone();
            let reader = Reader { member: member.clone(), peer: peer.clone(), charter };
            self.spawn(upload(own, ours, reader, self.random.clone()));
        }
        let bringer = Bringer {
            member: member.clone(),
            peer: peer.clone(),
            charter: self.charter.clone(),
            store: self.store.clone(),
            random: self.random.clone(),
        };
        self.spawn(bringer.run());
        let (node, member) = (self.clone(), member.clone());
        self.spawn(self.receipts.clone().ask(peer.clone(), move |effective| {
            let (node, member) = (node.clone(), member.clone());
            Box::pin(async move {
                if let Err(error) = node.receipt(&member, &effective).await {
                    tracing::warn!(%error, "a receipt could not be noted");
                }
            })
        }));
    }

    /// Copies a log that has ended, or that of a member that we cannot reach, from those that we can.
    fn spawn_relays(&self, copy: &Arc<LogCopy>, peers: &BTreeMap<MemberName, Arc<dyn Peer>>) {
        for lane in 0..RELAYS {
            let lane = peers.values().skip(lane).step_by(RELAYS);
            let sources = lane.map(|peer| peer.source(&copy.log)).collect::<Vec<_>>();
            let (copy, random) = (copy.clone(), self.random.clone());
            self.spawn(async move { copy.settle(sources, random).await });
        }
    }

    /// What compares the heads of all logs with other members.
    #[must_use]
    pub fn gossip(&self) -> Gossip {
        let (copies, store) = (self.copies.clone(), self.store.clone());
        Gossip::new(self.me.clone(), copies, store, self.witnesses.clone())
    }

    /// What knows which records are missing here, and takes those that members bring.
    #[must_use]
    pub fn filler(&self) -> &Filler {
        &self.filler
    }

    /// Cosigns a head that somebody submits, where this member is a witness; answers the line of its cosignature.
    ///
    /// # Errors
    /// [`CosignError`]
    pub async fn add_checkpoint(&self, request: &AddCheckpoint) -> Result<String, CosignError> {
        self.witnesses.add(request).await
    }

    /// The newest head of a log that each witness has cosigned.
    #[must_use]
    pub fn cosigned(&self, log: &LogName) -> Vec<SignedCheckpoint> {
        self.witnesses.cosigned(log)
    }

    /// Members whose logs have shown two histories, to this run of the node or to one before.
    ///
    /// # Errors
    /// The store's.
    pub async fn forked(&self) -> Result<BTreeSet<MemberName>, StoreError> {
        let mut forked = BTreeSet::new();
        let written = |copy: &&Arc<LogCopy>| self.charter.member_of_log(&copy.log).is_some();
        for copy in self.copies.values().filter(written) {
            if copy.is_frozen().await? {
                forked.insert(copy.member().clone());
            }
        }
        Ok(forked)
    }

    /// Logs of which two anchors do not go together, to what this run of the node has folded.
    #[must_use]
    pub fn rewritten_desks(&self) -> Vec<LogName> {
        self.anchors.rewritten()
    }

    /// Entries of a log that are beyond its author's quota, of the day that it dates last: they say nothing, and are
    /// taken slowly.
    #[must_use]
    pub fn beyond_quota(&self, log: &LogName) -> u64 {
        self.copies.get(log).map_or(0, |copy| copy.beyond_quota())
    }

    /// What the author of each log has used of its quotas today, by what is folded here of it; `None` where the fold does
    /// not answer in time. A log of which nothing is folded is missing.
    pub async fn spent(&self) -> Option<BTreeMap<LogName, Spent>> {
        self.spent.ask().await
    }

    /// A member's log, as we hold it: that of an epoch, ended or not, or the one that it writes.
    #[must_use]
    pub fn log_of(&self, member: &MemberName, epoch: Option<u32>) -> Option<LogName> {
        let current = self.charter.log_of(member);
        let Some(epoch) = epoch else { return current };
        let log = LogName::new(self.charter.coalition.clone(), member.clone(), epoch);
        self.copies.contains_key(&log).then_some(log)
    }

    /// A log, as we hold it.
    #[must_use]
    pub fn source(&self, log: &LogName) -> Option<Arc<dyn Source>> {
        let origin = self.copies.get(log)?.origin().clone();
        Some(self.store.read(&origin))
    }

    /// The first urgent entries of a log from an index on, for somebody who holds `held` leaves
    /// of it.
    ///
    /// # Errors
    /// Where our copy cannot be read.
    pub async fn urgent(
        &self,
        log: &LogName,
        (held, from): (u64, u64),
    ) -> Result<Vec<Urgent>, ProofError> {
        let Some(copy) = self.copies.get(log) else { return Ok(Vec::new()) };
        let source = self.store.read(copy.origin());
        let Some(head) = source.checkpoint().await? else { return Ok(Vec::new()) };
        let size = copy.covered_by(&head).unwrap_or(0);
        if held > size {
            return Ok(Vec::new());
        }
        self.urgent.answer(&copy.log, &*source, (&head, size), (held, from)).await
    }

    /// The log that we write, and those that we have ended ourselves: nobody but us has how they end.
    fn own_logs(&self) -> Vec<OwnLog> {
        let ends = |log: &LogName| {
            let name = (&log.member, log.epoch);
            let closed = self.charter.closed.iter().find(|closed| closed.name() == name);
            closed.is_some_and(|closed| closed.last.is_none())
        };
        let own = |log: &LogName| *log == self.log || log.member == self.me && ends(log);
        let copies = self.copies.values().filter(|copy| own(&copy.log));
        let of = |copy: &Arc<LogCopy>| OwnLog {
            log: copy.log.clone(),
            origin: copy.origin().clone(),
            key: *copy.key(),
        };
        copies.map(of).collect()
    }

    /// Our copy of the log that a member brings more of: of one that it wrote, as the head says.
    pub(super) fn copy_brought(
        &self,
        member: &MemberName,
        more: &Extension,
    ) -> Option<&Arc<LogCopy>> {
        self.charter.member(member).filter(|_| *member != self.me)?;
        let origin = more.checkpoint.text.lines().next().unwrap_or_default();
        let named = self.copies.values().find(|copy| copy.origin().as_str() == origin);
        // A head that names none of its logs is refused by the one that it writes.
        let own = named.filter(|copy| copy.member() == member);
        own.or_else(|| self.copies.get(&self.charter.log_of(member)?))
    }
}
