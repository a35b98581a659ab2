//! Puts a node together and starts it: first what the store holds is folded, then work begins.
//!
//! **Invariant:** nothing is signed before the peers were asked what they hold of our log, and
//! nothing more once one of them has shown a history of it that is not ours.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use thiserror::Error;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use watchfire_signal::{
    charter::{Charter, SignedCharter},
    header::CharterRef,
    name::{LogName, MemberName},
};
use watchfire_store::{Store, StoreError};
use watchfire_tlog::{Origin, OwnKey, PeerKey};

use super::{Node, Readiness};
use crate::{
    access::{Access, KeyError},
    banks::Banks,
    budget::Budget,
    cases::Cases,
    charter::{TrustError, check_founding},
    clock::{Clock, Random, TermClock},
    connector::Connector,
    deliver::Deliverer,
    desk::{Desk, Line, Lines, Stamp, desk_origin},
    enforce::{Consequences, Enforcer},
    events::Events,
    facts::{self, KeptFacts},
    fetch::{FILLED, Fetcher, Holes},
    follow::Follower,
    holds::Holds,
    judge::Judge,
    known::Known,
    outcomes::{Outcomes, Teller},
    peer::Peer,
    people::People,
    place::Place,
    policies::{self, Policies},
    policy::Policy,
    publish::{Letterhead, Publisher, Statements},
    receipts::Receipts,
    recover::{RecoverError, contradiction, recover},
    replicate::{LogCopy, load_verified},
    review::{Proposals, Review, Surroundings},
    rulings::Rulings,
    scan::Scanner,
    seen::{Seen, SeenParts, SeenSetup, Unwritten},
    sequence::{Draft, Sequencer},
    upload::{OwnLog, Reader, upload},
};

/// From how many members at a time the log of one that nobody can reach is copied: one of them may
/// withhold it.
const RELAYS: usize = 2;

/// All that a node is made of. Only the binary puts this together.
pub struct Setup {
    /// Who we are.
    pub me: MemberName,
    /// Our key, for log and requests.
    pub key: Arc<OwnKey>,
    /// The coalition's constitution.
    pub charter: SignedCharter,
    /// Our rules until a policy file was applied.
    pub policy: Policy,
    /// Where data lives.
    pub store: Arc<dyn Store>,
    /// How much of what the platform holds is remembered, and where.
    pub seen: SeenSetup,
    /// The members that can be reached.
    pub peers: BTreeMap<MemberName, Arc<dyn Peer>>,
    /// What carries out actions, by name.
    pub connectors: BTreeMap<String, Arc<dyn Connector>>,
    /// Which of them removes and restores.
    pub remover: Option<String>,
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
    Charter(#[from] TrustError),
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

/// What this member does at home: its rules, its people, its desk log.
struct Home {
    judge: Judge,
    enforcer: Enforcer,
    desk: Desk,
    lines: Lines,
    access: Arc<Access>,
    review: Review,
    proposals: Proposals,
    facts: KeptFacts,
    undecided: facts::Unwritten,
    holds: Holds,
}

impl Home {
    /// By the newest policy that was applied, or that of the configuration.
    async fn open(setup: &Setup, log: &LogName, events: &Events) -> Result<Self, StartError> {
        let store = || setup.store.clone();
        setup.policy.check().map_err(StartError::Policy)?;
        let policy = policies::newest(&*setup.store).await?;
        let policy = policy.unwrap_or_else(|| setup.policy.clone());
        let people = Arc::new(People::load(&*setup.store).await?);
        let judge = Judge::new(setup.me.clone(), policy).heeding(people.clone());
        let origin = desk_origin(log).map_err(StartError::Name)?;
        let (desk, lines) = Desk::new(origin, setup.key.public(), setup.store.clone());
        let enforcer = Enforcer::default();
        let (review, proposals) = Review::load(Surroundings {
            people,
            desk: desk.clone(),
            store: setup.store.clone(),
            enforcer: enforcer.clone(),
            clock: setup.clock.clone(),
        })
        .await?;
        let (clock, random) = (setup.clock.clone(), setup.random.clone());
        let access = Access::load(setup.store.clone(), desk.clone(), clock, random).await?;
        let (facts, undecided) = KeptFacts::new(store());
        let holds = Holds::load(judge.clone(), store(), desk.clone(), events.clone()).await?;
        Ok(Self {
            judge,
            enforcer,
            desk,
            lines,
            access,
            review,
            proposals,
            facts,
            undecided,
            holds,
        })
    }

    /// What acts on copies by these rules.
    async fn consequences(
        &self,
        setup: &Setup,
        known: &Arc<Known>,
        seen: &Arc<Seen>,
    ) -> Result<Consequences, StoreError> {
        Ok(Consequences {
            known: known.clone(),
            seen: seen.clone(),
            judge: self.judge.clone(),
            rulings: Arc::new(Rulings::load(&setup.store).await?),
            holds: self.holds.clone(),
            store: setup.store.clone(),
            clock: setup.clock.clone(),
            connector: setup.remover.clone(),
            outbox: Arc::new(Notify::new()),
        })
    }

    /// What scans items by these rules.
    fn scanner(
        &self,
        known: &Arc<Known>,
        banks: &Arc<Banks>,
        seen: &Arc<Seen>,
        clock: &Arc<dyn Clock>,
    ) -> Scanner {
        Scanner {
            known: known.clone(),
            banks: Some(banks.clone()),
            seen: seen.clone(),
            judge: self.judge.clone(),
            review: Some(self.review.clone()),
            clock: clock.clone(),
            facts: self.facts.clone(),
            holds: self.holds.clone(),
        }
    }
}

impl Node {
    /// Checks the charter, folds what the store holds, and starts to work. Serving may begin when
    /// it returns; signing begins when [`Node::readiness`] says so.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub async fn start(mut setup: Setup) -> Result<Arc<Self>, StartError> {
        let newest_ms = newest_ms(&*setup.store).await?;
        let terms = TermClock::since(setup.clock.clone(), newest_ms);
        let wall_clock = std::mem::replace(&mut setup.clock, Arc::new(terms));
        check_founding(&setup.charter)?;
        let charter = Arc::new(setup.charter.charter.clone());
        let own = charter.member(&setup.me).filter(|own| own.key == setup.key.public().to_bytes());
        let own = own.ok_or_else(|| StartError::NotAMember(setup.me.clone()))?.clone();
        let log =
            charter.log_of(&setup.me).ok_or_else(|| StartError::NotAMember(setup.me.clone()))?;
        let events = Events::new(setup.clock.clone());
        let copies = copies(&charter, &setup, &events)?;
        let least = charter.least_min_matched_ms;
        let known = Arc::new(Known::new(seed(&*setup.random), least));
        let (seen, unwritten) = seen(&setup, least).await?;
        let home = Home::open(&setup, &log, &events).await?;
        let banks = Arc::new(banks(&setup, &home.desk, least).await?);
        let scanner = home.scanner(&known, &banks, &seen, &setup.clock);
        let consequences = home.consequences(&setup, &known, &seen).await?;
        let (publisher, drafts) = Publisher::new();
        let node = Arc::new(Self {
            me: setup.me.clone(),
            log,
            charter: charter.clone(),
            store: setup.store.clone(),
            clock: setup.clock.clone(),
            wall_clock,
            random: setup.random.clone(),
            copies,
            known,
            seen,
            policies: Policies::new(&home.judge, &home.desk, &setup.store, &setup.clock),
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
            readiness: watch::Sender::new(Readiness::Recovering),
            enforcer: home.enforcer.clone(),
            consequences,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        });
        let holes = Holes::default();
        let (fills, filled) = mpsc::channel(FILLED);
        let mut follower = node.follower(home.enforcer.clone(), holes.clone());
        follower.catch_up().await?;
        node.spawn(follower.run(filled));
        node.spawn(node.fetcher(&setup, holes, fills).run());
        node.spawn(node.consequences.clone().run(home.enforcer));
        node.spawn(unwritten.run());
        let desk = node.desk_sequencer(&setup.key).await?;
        node.spawn(desk.run(home.lines));
        node.tell_keys().await?;
        node.spawn(home.review.run(home.proposals));
        node.spawn_policy(home.undecided);
        node.spawn_outbox(&setup);
        node.spawn_peers(&setup.peers, own.address.is_none());
        let sequencer = node.clone().sign_when_safe(setup, drafts);
        node.spawn(sequencer);
        Ok(node)
    }

    /// Carries out what is in the outbox, and tells the coalition how much was done.
    fn spawn_outbox(&self, setup: &Setup) {
        let outcomes = Outcomes::default();
        self.spawn(self.deliverer(setup, outcomes.clone()).run());
        self.spawn(self.teller(outcomes).run());
    }

    fn follower(&self, enforcer: Enforcer, holes: Holes) -> Follower {
        Follower {
            me: self.me.clone(),
            charter: self.charter.clone(),
            cases: Cases::new(self.charter.clone()),
            store: self.store.clone(),
            known: self.known.clone(),
            judge: self.judge.clone(),
            enforcer,
            events: self.events.clone(),
            receipts: self.receipts.clone(),
            holes,
            clock: self.clock.clone(),
            cursors: HashMap::new(),
            deadlines: BTreeSet::new(),
        }
    }

    fn fetcher(&self, setup: &Setup, holes: Holes, filled: mpsc::Sender<Place>) -> Fetcher {
        Fetcher {
            holes,
            store: self.store.clone(),
            peers: setup.peers.clone(),
            random: self.random.clone(),
            filled,
        }
    }

    /// Keeps decisions as facts, and looks again at what is held when the policy changes.
    fn spawn_policy(&self, undecided: facts::Unwritten) {
        let writer = facts::Writer {
            desk: self.desk.clone(),
            store: self.store.clone(),
            judge: self.judge.clone(),
            clock: self.clock.clone(),
        };
        self.spawn(writer.run(undecided));
        let policies = self.policies.clone();
        self.spawn(policies.look_again(self.known.clone(), self.enforcer.clone()));
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

    fn spawn_peers(
        self: &Arc<Self>,
        peers: &BTreeMap<MemberName, Arc<dyn Peer>>,
        unreachable: bool,
    ) {
        for (member, peer) in peers {
            let Some(log) = self.charter.log_of(member) else { continue };
            if let Some(copy) = self.copies.get(&log).cloned() {
                let (source, random) = (peer.source(&log), self.random.clone());
                self.spawn(async move { copy.run(source, random).await });
            }
            self.spawn(self.receipts.clone().run(peer.clone()));
            if unreachable {
                self.spawn_visits(member, peer);
            }
        }
        let elsewhere = self
            .copies
            .values()
            .filter(|copy| *copy.member() != self.me && !peers.contains_key(copy.member()));
        for copy in elsewhere {
            self.spawn_relays(copy, peers);
        }
    }

    /// Goes to a peer that cannot come to us: brings our log, and asks what is effective there.
    fn spawn_visits(self: &Arc<Self>, member: &MemberName, peer: &Arc<dyn Peer>) {
        if let Some(own) = self.own_log() {
            let ours = self.store.read(&own.origin);
            let charter = self.charter.clone();
            let reader = Reader { member: member.clone(), peer: peer.clone(), charter };
            self.spawn(upload(own, ours, reader, self.random.clone()));
        }
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

    /// Copies the log of a member that we cannot reach from those that we can.
    fn spawn_relays(&self, copy: &Arc<LogCopy>, peers: &BTreeMap<MemberName, Arc<dyn Peer>>) {
        for lane in 0..RELAYS {
            let lane = peers.values().skip(lane).step_by(RELAYS);
            let sources = lane.map(|peer| peer.source(&copy.log)).collect::<Vec<_>>();
            let (copy, random) = (copy.clone(), self.random.clone());
            self.spawn(async move { copy.relay(sources, random).await });
        }
    }

    fn own_log(&self) -> Option<OwnLog> {
        let copy = self.copies.get(&self.log)?;
        Some(OwnLog { log: self.log.clone(), origin: copy.origin().clone(), key: *copy.key() })
    }

    /// Recovers our own log from the peers, then lets the sequencer write.
    async fn sign_when_safe(self: Arc<Self>, setup: Setup, drafts: Statements) {
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
        tokio::select! {
            () = sequencer.run(drafts) => Ok(()),
            error = contradiction(&self.log, own, &setup.peers, &*self.random) => Err(error),
        }
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
    async fn desk_sequencer(&self, key: &Arc<OwnKey>) -> Result<Sequencer<Line>, StoreError> {
        let stamp = Stamp { clock: self.clock.clone(), random: self.random.clone() };
        self.sequencer(self.desk.origin(), key, stamp).await
    }

    /// Tells the desk log of keys that were made before it was there, and keeps last uses from now on.
    async fn tell_keys(&self) -> Result<(), KeyError> {
        self.access.tell_first_keys().await?;
        self.spawn(self.access.clone().keep_uses());
        Ok(())
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = work => {}
            }
        });
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

/// The copies of all members' logs, our own among them.
fn copies(
    charter: &Charter,
    setup: &Setup,
    events: &Events,
) -> Result<BTreeMap<LogName, Arc<LogCopy>>, StartError> {
    let mut copies = BTreeMap::new();
    for member in &charter.members {
        let key = PeerKey::from_bytes(&member.key)
            .map_err(|_| StartError::Charter(TrustError::Key(member.name.clone())))?;
        let log = LogName::new(charter.coalition.clone(), member.name.clone(), member.epoch);
        let (store, clock) = (setup.store.clone(), setup.clock.clone());
        let copy = LogCopy::new(log.clone(), key, store, clock, events.clone())
            .map_err(|error| StartError::Name(error.to_string()))?;
        copies.insert(log, Arc::new(copy));
    }
    Ok(copies)
}

/// The seen table with what writes it.
async fn seen(setup: &Setup, least_matched_ms: u32) -> Result<(Arc<Seen>, Unwritten), StoreError> {
    let parts = SeenParts {
        store: setup.store.clone(),
        clock: setup.clock.clone(),
        setup: setup.seen.clone(),
        seed: seed(&*setup.random),
        least_matched_ms,
    };
    let (seen, unwritten) = Seen::load(parts).await?;
    Ok((Arc::new(seen), unwritten))
}

/// This member's own lists of signals.
async fn banks(setup: &Setup, desk: &Desk, least_ms: u32) -> Result<Banks, StoreError> {
    let (store, clock) = (setup.store.clone(), setup.clock.clone());
    Banks::load(store, desk.clone(), clock, seed(&*setup.random), least_ms).await
}

fn seed(random: &dyn Random) -> [u8; 32] {
    let mut seed = [0; 32];
    random.fill(&mut seed);
    seed
}
