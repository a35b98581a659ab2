//! Puts a node together and starts it: first what the store holds is folded, then work begins.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use thiserror::Error;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use watchfire_signal::{
    charter::{Charter, CharterChain, Member},
    name::{LogName, MemberName},
};
use watchfire_store::{Store, StoreError};
use watchfire_tlog::OwnKey;

use super::{
    Node, Readiness,
    home::{self, Home},
    prepare::{Ground, Handover, Prepared, term_clock},
};
use crate::{
    access::KeyError,
    anchor::Anchored,
    banks::Banks,
    budget::Budget,
    charter::changes::{self, ChangeError, Changes},
    clock::{Clock, Random},
    connector::Connector,
    cosigner::Cosigner,
    deliver::Deliverer,
    facts,
    late::Late,
    outcomes::{Outcomes, Teller},
    peer::Peer,
    policy::Policy,
    publish::Publisher,
    routes::Routes,
    said::Scribe,
    seen::{Seen, SeenSetup},
    spent::Asking,
    witness::Witnesses,
};

/// All that a node is made of. Only the binary puts this together.
pub struct Setup {
    /// Who we are.
    pub me: MemberName,
    /// Our key, for log and requests.
    pub key: Arc<OwnKey>,
    /// The key of our log before, where a charter has given us another one: that log is ended with it.
    pub former_key: Option<Arc<OwnKey>>,
    /// The coalition's constitution, as it was installed: what came since is in the store.
    pub charter: CharterChain,
    /// Our rules until a policy file was applied.
    pub policy: Policy,
    /// Where data lives.
    pub store: Arc<dyn Store>,
    /// How much of what the platform holds is remembered, and where.
    pub seen: SeenSetup,
    /// Where signal sets of cases that are over are put away, in files without a name; without it in memory.
    pub over: Option<PathBuf>,
    /// The members that can be reached.
    pub peers: BTreeMap<MemberName, Arc<dyn Peer>>,
    /// What carries out actions, by name.
    pub connectors: BTreeMap<String, Arc<dyn Connector>>,
    /// Which of them serves which items.
    pub routes: Routes,
    /// What each of them may be asked; those that are not named here have the default.
    pub budgets: BTreeMap<String, Budget>,
    /// Sign without asking any peer what it holds of our log. Only for a coalition of one, or
    /// when all peers are lost.
    pub alone: bool,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
}

/// Why a node did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The charter is not in force.
    #[error("charter: {0}")]
    Charter(#[from] ChangeError),
    /// We are not in it, or under another key.
    #[error("the charter does not name member {0} with this node's key")]
    NotAMember(MemberName),
    /// A name cannot be the name of a log.
    #[error("{0}")]
    Name(String),
    /// A key that was made before the first start could not be told to the desk log.
    #[error("the desk log: {0}")]
    Desk(#[from] KeyError),
    /// The policy of the configuration is wrong.
    #[error("policy: {0}")]
    Policy(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a node is put together from, beside its logs and its rules.
struct Parts {
    log: LogName,
    wall_clock: Arc<dyn Clock>,
    ground: Ground,
    seen: Arc<Seen>,
    banks: Arc<Banks>,
    spent: Asking,
}

impl Node {
    /// Checks the charter, folds what the store holds, and starts to work. Serving may begin when
    /// it returns; signing begins when [`Node::readiness`] says so.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub async fn start(setup: Setup) -> Result<Arc<Self>, StartError> {
        let clock = term_clock(&setup).await?;
        Self::start_after(setup, Handover { clock, prepared: None }).await
    }

    /// The same after a node of this process that has stopped, with what it leaves. Where what was folded beside it is
    /// under another charter than the one that is in force by now, all is folded anew.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub async fn start_after(
        mut setup: Setup,
        before: impl Into<Handover>,
    ) -> Result<Arc<Self>, StartError> {
        let Handover { clock, prepared } = before.into();
        let chain = changes::load(&*setup.store, setup.charter.clone()).await?;
        let (own, log) = own(&chain.in_force().charter, &setup)?;
        let ground = Ground::of(&setup);
        let judge = ground.judge(&chain.in_force().charter).await?;
        let prepared = match prepared.filter(|prepared| prepared.is_of(&setup.me, &chain)) {
            Some(prepared) => prepared,
            None => Prepared::new(ground.clone(), chain, clock, judge.clone())?,
        };
        setup.store = prepared.store.clone();
        let clock = prepared.follower.clock.clone();
        let wall_clock = std::mem::replace(&mut setup.clock, clock);
        let least_ms = prepared.charter().least_min_matched_ms;
        let (seen, unwritten) = home::seen(&setup, least_ms).await?;
        let home = Home::open(&setup, &log, judge, &prepared.follower).await?;
        let banks = home.banks(&setup, least_ms).await?;
        let (spent, questions) = Asking::new();
        let parts = Parts { log, wall_clock, ground, seen, banks, spent };
        let (publisher, drafts) = Publisher::new();
        let (node, prepared) = Self::of(&setup, parts, (&home, publisher), prepared).await?;
        node.banks.go_on().await?;
        let Prepared { follower, filled, early, .. } = prepared;
        node.spawn(follower.run(filled, early, node.changes.clone(), questions));
        node.spawn(node.consequences.clone().run(home.enforcer));
        node.spawn(unwritten.run());
        let desk = node.desk_sequencer(&setup.key).await?;
        node.spawn(node.clone().write_desk(desk, home.lines));
        node.spawn(node.scribe().run());
        node.tell_keys().await?;
        node.spawn(home.review.run(home.proposals));
        node.spawn_facts(home.undecided);
        node.spawn_outbox(&setup);
        node.spawn_peers(&setup.peers, own.address.is_none());
        node.spawn(node.clone().sign_when_safe(setup, drafts));
        Ok(node)
    }

    /// Puts a node together from its parts, over all that its logs come to.
    async fn of(
        setup: &Setup,
        parts: Parts,
        (home, publisher): (&Home, Publisher),
        mut prepared: Prepared,
    ) -> Result<(Arc<Self>, Prepared), StartError> {
        prepared.take_over(home.judge.clone()).await?;
        let Parts { log, wall_clock, ground, seen, banks, spent } = parts;
        let folded = &prepared.follower;
        let reasons = home.reasons(&folded.known, &banks, &setup.clock);
        let scanner = home.scanner(&reasons, &seen);
        let consequences = home.consequences(setup, &reasons, &seen);
        let who = (&setup.me, &setup.key);
        let cosigner =
            Cosigner::of(who, &folded.charter, &folded.copies, &setup.store, &wall_clock);
        let node = Self {
            me: setup.me.clone(),
            log,
            charter: folded.charter.clone(),
            changes: open_changes(setup, prepared.chain.clone()).await?,
            store: setup.store.clone(),
            clock: setup.clock.clone(),
            witnesses: Witnesses::new(&folded.charter, cosigner),
            wall_clock,
            random: setup.random.clone(),
            ground,
            copies: folded.copies.clone(),
            cuts: prepared.cuts.clone(),
            spent,
            known: folded.known.clone(),
            seen,
            policies: home.policies(setup),
            judge: home.judge.clone(),
            scanner,
            facts: home.facts.clone(),
            holds: home.holds.clone(),
            publisher,
            desk: home.desk.clone(),
            said: Arc::default(),
            access: home.access.clone(),
            review: home.review.clone(),
            banks,
            events: folded.events.clone(),
            receipts: folded.receipts.clone(),
            urgent: folded.urgent.clone(),
            filler: prepared.filler.clone(),
            anchored: Anchored::default(),
            anchors: folded.anchors.clone(),
            readiness: watch::Sender::new(Readiness::Recovering),
            room: prepared.room.clone(),
            enforcer: home.enforcer.clone(),
            consequences,
            late: late(setup),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        Ok((Arc::new(node), prepared))
    }

    /// Carries out what is in the outbox, tells the coalition how much was done, and looks for room on a full disk.
    fn spawn_outbox(&self, setup: &Setup) {
        self.spawn(self.room.clone().run(setup.store.clone()));
        let outcomes = Outcomes::default();
        self.spawn(self.deliverer(setup, outcomes.clone()).run());
        self.spawn(self.teller(outcomes).run());
        self.spawn(self.lookout().run());
    }

    fn scribe(&self) -> Scribe {
        let (desk, store) = (self.desk.clone(), self.store.clone());
        Scribe { desk, store, more: self.said.clone() }
    }

    /// Keeps decisions as facts.
    fn spawn_facts(&self, undecided: facts::Unwritten) {
        let writer = facts::Writer {
            desk: self.desk.clone(),
            store: self.store.clone(),
            judge: self.judge.clone(),
            clock: self.clock.clone(),
            random: self.random.clone(),
        };
        self.spawn(writer.run(undecided));
    }

    fn deliverer(&self, setup: &Setup, outcomes: Outcomes) -> Deliverer {
        Deliverer {
            store: self.store.clone(),
            desk: self.desk.clone(),
            consequences: self.consequences.clone(),
            connectors: setup.connectors.clone(),
            budgets: setup.budgets.clone(),
            clock: self.clock.clone(),
            random: self.random.clone(),
            events: self.events.clone(),
            outcomes,
            outbox: self.consequences.outbox.clone(),
        }
    }

    fn teller(&self, outcomes: Outcomes) -> Teller {
        Teller {
            outcomes,
            store: self.store.clone(),
            known: self.known.clone(),
            log: self.log.clone(),
            charter: self.charter.clone(),
            publisher: self.publisher.clone(),
        }
    }

    /// Tells the desk log of keys that were made before it was there, and keeps last uses from now on.
    async fn tell_keys(&self) -> Result<(), KeyError> {
        self.access.tell_first_keys().await?;
        self.spawn(self.access.clone().keep_uses());
        Ok(())
    }

    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = work => {}
            }
        });
    }
}

/// Who we are by the charter, and our log.
fn own(charter: &Charter, setup: &Setup) -> Result<(Member, LogName), StartError> {
    let own = charter.member(&setup.me).filter(|own| own.key == setup.key.public().to_bytes());
    let own = own.cloned().zip(charter.log_of(&setup.me));
    own.ok_or_else(|| StartError::NotAMember(setup.me.clone()))
}

/// What finds orders that their connectors cannot carry out in time.
fn late(setup: &Setup) -> Late {
    let names = setup.connectors.keys();
    let budget = |name: &String| setup.budgets.get(name).copied().unwrap_or_default();
    Late {
        store: setup.store.clone(),
        budgets: Arc::new(names.map(|name| (name.clone(), budget(name))).collect()),
        clock: setup.clock.clone(),
    }
}

/// The charters, and what is proposed.
async fn open_changes(setup: &Setup, chain: CharterChain) -> Result<Changes, ChangeError> {
    let (me, key, store) = (setup.me.clone(), setup.key.clone(), setup.store.clone());
    Changes::open(me, key, store, chain).await
}
