//! Puts a node together and starts it: first what the store holds is folded, then work begins.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::PathBuf,
    sync::Arc,
};

use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use watchfire_signal::{
    charter::{Charter, CharterChain, Member},
    name::{LogName, MemberName},
};
use watchfire_store::{Held, Store, StoreError};
use watchfire_tlog::{OwnKey, PeerKey};

use super::{
    Node, Readiness,
    home::{self, Home},
};
use crate::{
    access::KeyError,
    anchor::{Anchored, Anchors},
    budget::Budget,
    cases::Cases,
    charter::{
        TrustError,
        changes::{self, ChangeError, Changes},
    },
    clock::{Clock, Random, TermClock},
    connector::Connector,
    deliver::Deliverer,
    events::Events,
    facts,
    fetch::Filler,
    follow::Follower,
    late::Late,
    looks::Enforcer,
    outcomes::{Outcomes, Teller},
    peer::Peer,
    place::Place,
    policy::Policy,
    publish::Publisher,
    receipts::Receipts,
    replicate::{LogCopy, Pacer},
    room::Room,
    routes::Routes,
    seen::SeenSetup,
    urgent::{MAX_URGENT, Places},
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

impl Node {
    /// Checks the charter, folds what the store holds, and starts to work. Serving may begin when
    /// it returns; signing begins when [`Node::readiness`] says so.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub async fn start(mut setup: Setup) -> Result<Arc<Self>, StartError> {
        let room = Room::of(&mut setup.store);
        let newest_ms = newest_ms(&*setup.store).await?;
        let terms = TermClock::since(setup.clock.clone(), newest_ms);
        let wall_clock = std::mem::replace(&mut setup.clock, Arc::new(terms));
        let chain = changes::load(&*setup.store, setup.charter.clone()).await?;
        let charter = Arc::new(chain.in_force().charter.clone());
        let (own, log) = own(&charter, &setup)?;
        let events = Events::new(setup.clock.clone());
        let (early, earlier) = mpsc::channel(MAX_URGENT);
        let copies = copies(&chain, &setup, &events, &early)?;
        let least = charter.least_min_matched_ms;
        let (seen, unwritten) = home::seen(&setup, least).await?;
        let home = Home::open(&setup, &log, &events).await?;
        let (known, banks) = home.lists(&setup, least).await?;
        let reasons = home.reasons(&known, &banks, &setup.clock);
        let scanner = home.scanner(&reasons, &seen);
        let consequences = home.consequences(&setup, &reasons, &seen);
        let (publisher, drafts) = Publisher::new();
        let (filler, fills) = Filler::new(setup.store.clone());
        let node = Arc::new(Self {
            me: setup.me.clone(),
            log,
            charter: charter.clone(),
            changes: open_changes(&setup, chain).await?,
            store: setup.store.clone(),
            clock: setup.clock.clone(),
            wall_clock: wall_clock.clone(),
            random: setup.random.clone(),
            copies,
            known,
            seen,
            policies: home.policies(&setup),
            judge: home.judge.clone(),
            scanner,
            facts: home.facts.clone(),
            holds: home.holds.clone(),
            publisher,
            desk: home.desk.clone(),
            access: home.access.clone(),
            review: home.review.clone(),
            banks,
            events,
            receipts: Receipts::default(),
            urgent: Places::default(),
            filler,
            anchored: Anchored::default(),
            anchors: Anchors::default(),
            witnesses: Witnesses::new(&charter, &setup.me, &setup.key, wall_clock.clone()),
            readiness: watch::Sender::new(Readiness::Recovering),
            room,
            enforcer: home.enforcer.clone(),
            consequences,
            late: late(&setup),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        });
        node.fold(home.enforcer.clone(), (fills, earlier)).await?;
        node.spawn(node.consequences.clone().run(home.enforcer));
        node.spawn(unwritten.run());
        let desk = node.desk_sequencer(&setup.key).await?;
        node.spawn(node.clone().write_desk(desk, home.lines));
        node.tell_keys().await?;
        node.spawn(home.review.run(home.proposals));
        node.spawn_facts(home.undecided);
        node.spawn_outbox(&setup);
        node.spawn_peers(&setup.peers, own.address.is_none());
        node.spawn(node.clone().sign_when_safe(setup, drafts));
        Ok(node)
    }

    /// Carries out what is in the outbox, tells the coalition how much was done, and looks for room on a full disk.
    fn spawn_outbox(&self, setup: &Setup) {
        self.spawn(self.room.clone().run(setup.store.clone()));
        let outcomes = Outcomes::default();
        self.spawn(self.deliverer(setup, outcomes.clone()).run());
        self.spawn(self.teller(outcomes).run());
        self.spawn(self.lookout().run());
    }

    /// Folds what the store holds, and goes on as logs grow.
    async fn fold(
        &self,
        enforcer: Enforcer,
        (filled, early): (mpsc::Receiver<Place>, mpsc::Receiver<(LogName, Held)>),
    ) -> Result<(), StoreError> {
        let mut follower = self.follower(enforcer);
        follower.catch_up().await?;
        self.banks.go_on().await?;
        self.spawn(follower.run(filled, early));
        Ok(())
    }

    fn follower(&self, enforcer: Enforcer) -> Follower {
        Follower {
            me: self.me.clone(),
            charter: self.charter.clone(),
            cases: Cases::of_chain(&self.changes.chain()).among(self.known.sets().clone()),
            store: self.store.clone(),
            known: self.known.clone(),
            judge: self.judge.clone(),
            enforcer,
            events: self.events.clone(),
            receipts: self.receipts.clone(),
            holes: self.filler.holes.clone(),
            anchors: self.anchors.clone(),
            clock: self.clock.clone(),
            copies: self.copies.clone(),
            cursors: HashMap::new(),
            deadlines: BTreeSet::new(),
            urgent: self.urgent.clone(),
            early: BTreeSet::new(),
            incidents: BTreeMap::new(),
            ignored: HashMap::new(),
        }
    }

    /// Keeps decisions as facts.
    fn spawn_facts(&self, undecided: facts::Unwritten) {
        let writer = facts::Writer {
            desk: self.desk.clone(),
            store: self.store.clone(),
            judge: self.judge.clone(),
            clock: self.clock.clone(),
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

/// The newest time that the store has written down.
async fn newest_ms(store: &dyn Store) -> Result<u64, StoreError> {
    let mut newest_ms = 0;
    for head in store.logs().await? {
        let last = store.held(&head.log, head.size.saturating_sub(1), 1).await?;
        newest_ms = last.iter().map(|held| held.verified_ms).fold(newest_ms, u64::max);
    }
    Ok(newest_ms)
}

/// The charters, and what is proposed.
async fn open_changes(setup: &Setup, chain: CharterChain) -> Result<Changes, ChangeError> {
    let (me, key, store) = (setup.me.clone(), setup.key.clone(), setup.store.clone());
    Changes::open(me, key, store, chain).await
}

/// The copies of all logs of the coalition, our own among them, and those that have ended.
fn copies(
    chain: &CharterChain,
    setup: &Setup,
    events: &Events,
    early: &mpsc::Sender<(LogName, Held)>,
) -> Result<BTreeMap<LogName, Arc<LogCopy>>, StartError> {
    let (mut copies, pacer) = (BTreeMap::new(), Arc::new(Pacer::of_chain(chain)));
    let charter = &chain.in_force().charter;
    let live = charter.members.iter().map(|member| (&member.name, member.epoch, &member.key));
    let closed = charter.closed.iter().map(|log| (&log.member, log.epoch, &log.key));
    for (name, epoch, key) in live.chain(closed) {
        let key = PeerKey::from_bytes(key).map_err(|_| TrustError::Key(name.clone()));
        let key = key.map_err(ChangeError::from)?;
        let log = LogName::new(charter.coalition.clone(), name.clone(), epoch);
        let (store, clock) = (setup.store.clone(), setup.clock.clone());
        let copy = LogCopy::new(log.clone(), key, store, clock, events.clone())
            .map_err(|error| StartError::Name(error.to_string()))?;
        let copy = copy.telling(early.clone()).paced(pacer.clone());
        copies.insert(log, Arc::new(copy));
    }
    Ok(copies)
}
