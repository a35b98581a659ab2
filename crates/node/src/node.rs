//! A member's node: its parts, and the verbs that others call.

pub mod action;
mod charters;
mod home;
mod incidents;
mod peers;
mod policy;
mod preflight;
mod prepare;
mod prove;
mod say;
mod sign;
mod start;
mod stops;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::sync::{Notify, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use watchfire_signal::{
    charter::Charter,
    commitment::Commitment,
    features::Depth,
    name::{ItemId, LogName, MemberName},
    record::{Leaf, open},
    statement::Statement,
    value::Signal,
};
use watchfire_store::{Store, StoreError};
use watchfire_tlog::{Evidence, Extension, Origin, PeerKey};

use crate::{
    access::Access,
    anchor::{Anchor, Anchored, Anchors},
    banks::Banks,
    cases::SignalSet,
    charter::{self, changes::Changes},
    clock::{Clock, Random},
    contradictions::{self, Convicted},
    desk::Desk,
    enforce::Consequences,
    events::Events,
    evidence,
    facts::KeptFacts,
    fetch::Filler,
    holds::Holds,
    judge::Judge,
    known::{Known, Match},
    late::Late,
    looks::{Enforcer, Look},
    policies::Policies,
    policy::{ItemFacts, Policy},
    publish::{Asked, PublishError, Published, Publisher},
    raise::{Answer, NewAlert, RaiseError, alert_draft, answer_draft, widening_draft},
    reasons::{Edited, Reason, Reasons},
    receipts::{Effective, Receipts},
    replicate::{Cuts, LogCopy, TakeError},
    review::Review,
    room::Room,
    scan::{Scanned, Scanner},
    seen::{Horizon, Item, Seen},
    sequence,
    sightings::Lookout,
    spent::Asking,
    standing::State,
    urgent::Places,
    witness::Witnesses,
};

use self::prepare::Ground;

pub use charters::{Approved, CharterDeed};
pub use incidents::{NewIncident, OfIncident};
pub use policy::PromoteError;
pub use preflight::Preflight;
pub use prepare::{Handover, PrepareError, Prepared};
pub use start::{Setup, StartError};
pub use stops::StopMember;

/// How long stopping waits for what is under way.
const STOP_WAIT: Duration = Duration::from_secs(5);

/// Whether a node may sign yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// Peers are being asked what they hold of our log.
    Recovering,
    /// Everything works.
    Ready,
    /// It must not sign; a person has to look.
    Failed(String),
}

/// A running node.
pub struct Node {
    me: MemberName,
    log: LogName,
    charter: Arc<Charter>,
    changes: Changes,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    wall_clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    ground: Ground,
    copies: BTreeMap<LogName, Arc<LogCopy>>,
    cuts: Cuts,
    spent: Asking,
    known: Arc<Known>,
    seen: Arc<Seen>,
    judge: Judge,
    scanner: Scanner,
    publisher: Publisher,
    desk: Desk,
    said: Arc<Notify>,
    access: Arc<Access>,
    review: Review,
    banks: Arc<Banks>,
    policies: Policies,
    facts: KeptFacts,
    holds: Holds,
    events: Events,
    receipts: Receipts,
    urgent: Places,
    filler: Filler,
    anchored: Anchored,
    anchors: Anchors,
    witnesses: Witnesses,
    readiness: watch::Sender<Readiness>,
    room: Room,
    enforcer: Enforcer,
    consequences: Consequences,
    late: Late,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// An alert as this node knows it.
#[derive(Debug, Clone)]
pub struct AlertView {
    /// The set.
    pub set: Arc<SignalSet>,
    /// Its state now.
    pub state: State,
    /// When each member told that it is effective there; us included.
    pub effective_at_ms: BTreeMap<MemberName, Option<u64>>,
}

impl Node {
    /// Stops everything; what was acknowledged is durable already.
    pub async fn stop(&self) {
        // What was scanned last is still on its way to the store.
        self.seen.flush().await;
        if let Err(error) = self.access.flush().await {
            tracing::warn!(%error, "the last use of keys was not written down");
        }
        self.facts.flush().await;
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(STOP_WAIT, self.tasks.wait()).await.is_err() {
            tracing::warn!("some tasks did not stop in time");
        }
    }

    /// Stops everything at once, as the end of the process would: nothing is written any more.
    pub fn kill(&self) {
        self.stop.cancel();
    }

    /// Who we are.
    #[must_use]
    pub fn me(&self) -> &MemberName {
        &self.me
    }

    /// Our log.
    #[must_use]
    pub fn log(&self) -> &LogName {
        &self.log
    }

    /// The charter that this node works under: that in force when it was started.
    #[must_use]
    pub fn charter(&self) -> &Charter {
        &self.charter
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        self.judge.policy()
    }

    /// The clock that terms of cases are measured by; it never goes back, restarts included.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The machine's clock, which is compared with those of other members.
    #[must_use]
    pub fn wall_clock(&self) -> &Arc<dyn Clock> {
        &self.wall_clock
    }

    /// Whether the node may sign.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        let readiness = self.readiness.borrow().clone();
        if self.room.is_full() && readiness == Readiness::Ready {
            let full = "the disk is full: nothing new is taken until there is room";
            return Readiness::Failed(full.to_owned());
        }
        readiness
    }

    /// Whether the last write found the disk full.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        self.room.is_full()
    }

    /// What happens here.
    #[must_use]
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// What this member does at home.
    #[must_use]
    pub fn desk(&self) -> &Desk {
        &self.desk
    }

    /// The last anchor of the desk log in our own log.
    #[must_use]
    pub fn anchored(&self) -> Option<Anchor> {
        self.anchored.last()
    }

    /// Who may call this node.
    #[must_use]
    pub fn access(&self) -> &Arc<Access> {
        &self.access
    }

    /// What waits for a person.
    #[must_use]
    pub fn review(&self) -> &Review {
        &self.review
    }

    /// This member's own lists of signals.
    #[must_use]
    pub fn banks(&self) -> &Arc<Banks> {
        &self.banks
    }

    /// What is effective where.
    #[must_use]
    pub fn receipts(&self) -> &Receipts {
        &self.receipts
    }

    /// Whether any sound is known, so that an upload's is worth more time.
    #[must_use]
    pub fn knows_sound(&self) -> bool {
        self.known.has_sound() || self.banks.has_sound()
    }

    /// Known signals and held items, for metrics.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize) {
        (self.known.signals(), self.seen.len())
    }

    /// Bytes of the seen table, about.
    #[must_use]
    pub fn seen_bytes(&self) -> u64 {
        self.seen.bytes()
    }

    /// How far back the seen table reaches.
    #[must_use]
    pub fn seen_horizon(&self) -> Horizon {
        self.seen.horizon()
    }

    /// Judges an item and remembers it.
    pub async fn scan(&self, item: ItemId, signals: Vec<Signal>) -> Scanned {
        self.scanner.scan(item, signals, None, ItemFacts::default()).await
    }

    /// Judges an item of which the platform says something, and its file shows something edited, and
    /// remembers it.
    pub async fn scan_with(
        &self,
        item: ItemId,
        signals: Vec<Signal>,
        edited: Option<&Edited>,
        facts: ItemFacts,
    ) -> Scanned {
        self.scanner.scan(item, signals, edited, facts).await
    }

    /// Tells the coalition how many uploads matched which case since it was told last, instead of at the
    /// end of the hour; how many records that took.
    ///
    /// # Errors
    /// [`PublishError`]
    pub async fn tell_sightings(&self) -> Result<usize, PublishError> {
        self.lookout().tell().await
    }

    fn lookout(&self) -> Lookout {
        Lookout {
            sightings: self.scanner.sightings.clone(),
            known: self.known.clone(),
            log: self.log.clone(),
            charter: self.charter.clone(),
            publisher: self.publisher.clone(),
        }
    }

    /// How far it is worth to look for edited copies in a file with these signals.
    #[must_use]
    pub fn depth(&self, item: &ItemId, signals: &[Signal], facts: &ItemFacts) -> Depth {
        self.scanner.depth(item, signals, facts)
    }

    /// How far it is worth to look into the frames of a stream as they come.
    #[must_use]
    pub fn live_depth(&self) -> Depth {
        self.scanner.live_depth()
    }

    /// What leads from matches to decisions.
    #[must_use]
    pub fn reasons(&self) -> &Reasons {
        &self.scanner.reasons
    }

    /// Judges signals and remembers nothing.
    #[must_use]
    pub fn judge(&self, signals: &[Signal]) -> Scanned {
        self.scanner.judge(None, signals, &ItemFacts::default())
    }

    /// Signal sets near a signal, whatever their state; those that nothing can follow from any more are left out.
    #[must_use]
    pub fn lookup(&self, signals: &[Signal]) -> Vec<Match> {
        self.known.lookup(signals, &[])
    }

    /// Remembers items that the platform held before, and has those acted on that a known alert
    /// takes down. They are durable when it answers how many were new, or younger than known.
    ///
    /// # Errors
    /// The store's; asking again is harmless.
    pub async fn import(&self, items: Vec<Item>) -> Result<usize, StoreError> {
        let copies = items.clone();
        let taken = self.seen.import(items).await?;
        // First findable, then looked up, as in a scan.
        let policy = self.judge.policy();
        let mut looks = BTreeSet::new();
        for copy in copies {
            let reasons = &self.scanner.reasons;
            let reasons = reasons.of(&policy, Some(&copy.id), (&copy).into(), &copy.facts);
            let looked = |one: Reason| (Look::of(one.record, one.content()), one.facts.source);
            looks.extend(reasons.into_iter().map(looked));
            tokio::task::yield_now().await;
        }
        for (look, source) in looks {
            self.enforcer.look_at(look, source.as_ref(), false);
        }
        Ok(taken)
    }

    /// Forgets an item that the platform deleted.
    ///
    /// # Errors
    /// The store's.
    pub async fn forget(&self, item: &ItemId) -> Result<bool, StoreError> {
        self.seen.forget(item).await
    }

    /// Raises an alert. With an answer key, a repetition answers what the first one did.
    ///
    /// # Errors
    /// [`RaiseError`]
    pub async fn raise(
        &self,
        new: NewAlert,
        asked: Option<Asked>,
    ) -> Result<Published, RaiseError> {
        if let Some(before) = self.answered(asked.as_ref()).await? {
            return Ok(before);
        }
        let draft = alert_draft(&self.charter, &self.log, new, asked)?;
        self.say(draft).await
    }

    /// Answers an alert: confirms, disputes, retracts, renews.
    ///
    /// # Errors
    /// [`RaiseError`]
    pub async fn answer(
        &self,
        set: &Commitment,
        given: Answer,
        asked: Option<Asked>,
    ) -> Result<Published, RaiseError> {
        if let Some(before) = self.answered(asked.as_ref()).await? {
            return Ok(before);
        }
        let mut set = self.known.set(set).ok_or(RaiseError::Unknown(*set))?;
        if given.is_of_case() {
            // Of the whole case, whichever of its sets is named.
            let case = set.subject;
            set = self.known.set(&case).ok_or(RaiseError::Unknown(case))?;
        }
        let draft = answer_draft(&self.charter, &self.log, &set, given, asked)?;
        self.say(draft).await
    }

    /// Adds signals to a case: to our own, or of an edited copy of what a case is about.
    ///
    /// # Errors
    /// [`RaiseError`]
    pub async fn widen(
        &self,
        case: &Commitment,
        new: (NewAlert, Option<String>),
        asked: Option<Asked>,
    ) -> Result<Published, RaiseError> {
        if let Some(before) = self.answered(asked.as_ref()).await? {
            return Ok(before);
        }
        let set = self.known.set(case).ok_or(RaiseError::Unknown(*case))?;
        let founding = self.known.set(&set.subject).ok_or(RaiseError::Unknown(*case))?;
        let draft = widening_draft(&self.charter, &self.log, &founding, new, asked)?;
        self.say(draft).await
    }

    async fn answered(&self, asked: Option<&Asked>) -> Result<Option<Published>, RaiseError> {
        let Some(key) = asked.and_then(|asked| asked.key.as_ref()) else { return Ok(None) };
        Ok(sequence::answered(&*self.store, key).await.map_err(PublishError::from)?)
    }

    /// An alert with its state and where it is effective.
    #[must_use]
    pub fn alert(&self, name: &Commitment) -> Option<AlertView> {
        let set = self.known.set(name)?;
        let at = |member: &MemberName| {
            if *member == self.me {
                self.receipts.is_effective_here(&set.place).then_some(set.verified_ms)
            } else {
                self.receipts.effective_at(member, &set.place.log, set.place.index)
            }
        };
        let members = self.charter.members.iter();
        let effective_at_ms =
            members.map(|member| (member.name.clone(), at(&member.name))).collect();
        Some(AlertView { state: set.state(self.clock.now_ms()), set, effective_at_ms })
    }

    /// Up to `limit` alerts with names above `after`, in order of name.
    #[must_use]
    pub fn alerts(&self, after: Option<Commitment>, limit: usize) -> Vec<Arc<SignalSet>> {
        self.known.sets().page(after, limit)
    }

    /// How many signal sets there are, and how many of them are put away.
    #[must_use]
    pub fn sets(&self) -> (usize, usize) {
        self.known.sets().count()
    }

    /// All signal sets of some cases.
    #[must_use]
    pub fn alerts_of(&self, cases: &[Commitment]) -> Vec<Arc<SignalSet>> {
        self.known.sets_of(cases)
    }

    /// The key of a member, to check its requests.
    #[must_use]
    pub fn key_of(&self, member: &MemberName) -> Option<PeerKey> {
        let log = self.charter.log_of(member)?;
        Some(*self.copies.get(&log)?.key())
    }

    /// Whether a member may have the record of a leaf.
    #[must_use]
    pub fn may_have(&self, member: &MemberName, leaf: &[u8]) -> bool {
        charter::may_have(&self.charter, member, leaf)
    }

    /// Takes more of a log of a member, also of one that has ended, brought by that member; answers the size held.
    ///
    /// # Errors
    /// [`TakeError`]; [`TakeError::Frozen`] after a fork.
    pub async fn accept(
        &self,
        member: &MemberName,
        more: Extension,
    ) -> Result<Option<u64>, TakeError> {
        let Some(copy) = self.copy_brought(member, &more) else { return Ok(None) };
        let held = self.store.read(copy.origin());
        copy.accept(&*held, more).await.map(Some)
    }

    /// Notes up to where logs are effective at a member, by its own word.
    ///
    /// # Errors
    /// The store's; nothing is noted then.
    pub async fn receipt(
        &self,
        member: &MemberName,
        effective: &BTreeMap<LogName, Effective>,
    ) -> Result<(), StoreError> {
        let held = self.held().await?;
        let now = self.clock.now_ms();
        for (log, there) in effective.iter().filter(|(log, _)| self.copies.contains_key(*log)) {
            let held = held.get(&log.member).copied().unwrap_or(0);
            if self.receipts.told((member, log), there, (held, now)) && *log == self.log {
                let (member, log) = (member.clone(), log.clone());
                let size = there.size.min(held);
                self.events.send(crate::events::Event::Receipt { member, log, size });
            }
        }
        Ok(())
    }

    /// The proofs that a log has shown two histories.
    ///
    /// # Errors
    /// The store's.
    pub async fn evidence(&self, log: &LogName) -> Result<Vec<Evidence>, StoreError> {
        evidence::against(&*self.store, log).await
    }

    /// The proofs that records of a log contradict their leaves.
    ///
    /// # Errors
    /// The store's.
    pub async fn contradictions(&self, log: &LogName) -> Result<Vec<Convicted>, StoreError> {
        contradictions::against(&*self.store, log).await
    }

    /// Entries held of each member's log.
    ///
    /// # Errors
    /// The store's.
    pub async fn held(&self) -> Result<BTreeMap<MemberName, u64>, StoreError> {
        let heads = self.store.logs().await?;
        let sizes = heads.into_iter().filter_map(|head| {
            let log = head.log.as_str().parse::<LogName>().ok()?;
            self.charter.member_of_log(&log).is_some().then_some((log.member, head.size))
        });
        Ok(sizes.collect())
    }

    /// A record's statement, if its body is here.
    ///
    /// # Errors
    /// The store's.
    pub async fn statement(
        &self,
        log: &LogName,
        index: u64,
    ) -> Result<Option<Statement>, StoreError> {
        let Ok(origin) = Origin::new(log.to_string()) else { return Ok(None) };
        let held = self.store.held(&origin, index, 1).await?;
        let Some(held) = held.into_iter().find(|held| held.index == index) else { return Ok(None) };
        let Some(record) = held.entry.record else { return Ok(None) };
        let Ok(leaf) = Leaf::decode(&held.entry.leaf) else { return Ok(None) };
        Ok(open(&leaf, &record).ok())
    }
}
