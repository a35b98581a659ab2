//! A coalition of nodes in one process, linked without a network: the stage for the other tests.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use tokio::sync::watch;
use watchfire_node::{
    Node, Readiness, Setup,
    charter::approve,
    clock::{Clock, Random},
    connector::{Answer, Connector, ConnectorError, Order, Visibility},
    gossip::Heads,
    peer::{Peer, PeerError},
    policy::Policy,
    publish::{Letterhead, Minutes, Published, Publisher},
    raise::{NewAlert, alert_draft},
    receipts::Effective,
    routes::Routes,
    seen::SeenSetup,
    sequence::Sequencer,
};
use watchfire_signal::{
    alert::{Alert, ContentKind, Suggestion},
    charter::{Approval, Charter, Member, Quorums, Role, SignedCharter},
    header::{CharterRef, Provenance, Review},
    label::TAXONOMY_VERSION,
    name::{GroupName, LogName, MemberName},
    value::Signal,
};
use watchfire_store::Store;
use watchfire_tlog::{
    Entry, Extension, Frontier, Hash, Origin, OwnKey, SignedCheckpoint, Source, SourceError,
};

/// Milliseconds since 1970 at which every test begins.
pub(crate) const START_MS: u64 = 1_800_000_000_000;

/// A clock that stands still until a test moves it.
#[derive(Debug)]
pub(crate) struct TestClock(AtomicU64);

impl TestClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(START_MS)))
    }

    pub(crate) fn advance_ms(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Bytes that look random and repeat from a seed.
#[derive(Debug)]
pub(crate) struct TestRandom(AtomicU64);

impl TestRandom {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(seed)))
    }
}

impl Random for TestRandom {
    fn fill(&self, buffer: &mut [u8]) {
        for byte in buffer {
            // SplitMix64, one step a byte.
            let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *byte = (z ^ (z >> 31)).to_le_bytes()[0];
        }
    }
}

pub(crate) fn name(text: &str) -> MemberName {
    text.parse().unwrap()
}

/// The first log of a member.
pub(crate) fn log_name(member: &str) -> LogName {
    LogName::new("test".parse().unwrap(), name(member), 1)
}

pub(crate) fn key(member: &str) -> OwnKey {
    let mut seed = [7; 32];
    seed[..member.len()].copy_from_slice(member.as_bytes());
    OwnKey::from_seed(&seed)
}

/// Writes a member's log without a node, and so without heed to its quota.
pub(crate) struct Author {
    charter: Charter,
    log: LogName,
    publisher: Publisher,
}

impl Author {
    pub(crate) fn new(
        charter: &SignedCharter,
        me: &str,
        store: &Arc<dyn Store>,
        clock: &Arc<TestClock>,
    ) -> Self {
        let (charter, clock) = (charter.charter.clone(), clock.clone() as Arc<dyn Clock>);
        let log = charter.log_of(&name(me)).unwrap();
        let named = CharterRef { seq: charter.seq, hash: charter.hash() };
        let (random, minutes) = (TestRandom::new(77), Minutes::after(0, clock.clone()));
        let sealer = Letterhead { log: log.clone(), charter: named, random, minutes, quotas: None };
        let (publisher, drafts) = Publisher::new();
        let origin = Origin::new(log.to_string()).unwrap();
        let (key, frontier, store) = (Arc::new(key(me)), Frontier::new(), store.clone());
        let sequencer = Sequencer { origin, key, sealer, frontier, store, clock };
        tokio::spawn(sequencer.run(drafts));
        Self { charter, log, publisher }
    }

    pub(crate) async fn raise(&self, new: NewAlert) -> Published {
        let draft = alert_draft(&self.charter, &self.log, new, None).unwrap();
        self.publisher.write(draft).await.unwrap()
    }
}

/// A charter of members given as `(name, organisation)`, approved by all.
pub(crate) fn charter(members: &[(&str, &str)], confirm: u32) -> SignedCharter {
    charter_with(members, confirm, |_| {})
}

/// The same with something changed before all approve it.
pub(crate) fn charter_with(
    members: &[(&str, &str)],
    confirm: u32,
    change: impl FnOnce(&mut Charter),
) -> SignedCharter {
    let member = |(member, organisation): &(&str, &str)| Member {
        name: name(member),
        organisation: organisation.parse().unwrap(),
        role: Role::Platform,
        key: key(member).public().to_bytes(),
        epoch: 1,
        address: Some(format!("http://{member}.test")),
    };
    let majority = u32::try_from(members.len() / 2 + 1).unwrap();
    let mut charter = Charter {
        quorums: Quorums { confirm, dispute: 2, charter: majority, halt: majority },
        ..Charter::founding("test".parse().unwrap(), members.iter().map(member).collect())
    };
    change(&mut charter);
    charter.sort();
    let hash = charter.hash();
    let approval = |(member, _): &(&str, &str)| Approval {
        member: name(member),
        signature: approve(&hash, &key(member)),
    };
    let mut approvals = members.iter().map(approval).collect::<Vec<_>>();
    approvals.sort_by(|a, b| a.member.cmp(&b.member));
    SignedCharter::new(charter, approvals).unwrap()
}

/// A platform that keeps track of what is visible.
#[derive(Debug, Default)]
pub(crate) struct TestPlatform {
    hidden: Mutex<BTreeSet<String>>,
    pub(crate) orders: Mutex<Vec<Order>>,
    /// What was found when items were last looked for as a user would, since their last order.
    seen: Mutex<BTreeMap<String, Visibility>>,
}

impl TestPlatform {
    pub(crate) fn is_hidden(&self, item: &str) -> bool {
        self.hidden.lock().unwrap().contains(item)
    }

    /// What was found when an item was looked for after its last order; `None`: nobody has looked.
    pub(crate) fn looked_for(&self, item: &str) -> Option<Visibility> {
        self.seen.lock().unwrap().get(item).copied()
    }

    fn note(&self, order: &Order) {
        self.seen.lock().unwrap().remove(&order.item);
        self.orders.lock().unwrap().push(order.clone());
    }
}

#[async_trait]
impl Connector for TestPlatform {
    async fn enforce(&self, order: &Order) -> Result<Answer, ConnectorError> {
        self.note(order);
        let new = self.hidden.lock().unwrap().insert(order.item.clone());
        Ok(if new { Answer::Done } else { Answer::AlreadyDone })
    }

    async fn verify(&self, item: &str) -> Result<Visibility, ConnectorError> {
        let found = if self.is_hidden(item) { Visibility::Hidden } else { Visibility::Visible };
        self.seen.lock().unwrap().insert(item.to_owned(), found);
        Ok(found)
    }

    async fn undo(&self, order: &Order) -> Result<Answer, ConnectorError> {
        self.note(order);
        let hidden = self.hidden.lock().unwrap().remove(&order.item);
        Ok(if hidden { Answer::Done } else { Answer::AlreadyDone })
    }
}

/// Another member's store behind a wire that a test can cut.
pub(crate) struct TestPeer {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) up: watch::Sender<bool>,
}

struct TestSource {
    source: Arc<dyn Source>,
    up: watch::Receiver<bool>,
}

impl TestSource {
    fn check(&self) -> Result<(), SourceError> {
        let up = *self.up.borrow();
        if up { Ok(()) } else { Err(SourceError::Unreachable("cut".to_owned())) }
    }
}

#[async_trait]
impl Source for TestSource {
    async fn checkpoint(&self) -> Result<Option<SignedCheckpoint>, SourceError> {
        self.check()?;
        self.source.checkpoint().await
    }

    async fn entries(&self, from: u64, to: u64) -> Result<Vec<Entry>, SourceError> {
        self.check()?;
        self.source.entries(from, to).await
    }

    async fn hashes(&self, level: u8, from: u64, to: u64) -> Result<Vec<Hash>, SourceError> {
        self.check()?;
        self.source.hashes(level, from, to).await
    }

    async fn follow(
        &self,
        from: u64,
    ) -> Result<BoxStream<'static, Result<Extension, SourceError>>, SourceError> {
        use futures_util::StreamExt;
        self.check()?;
        let stream = self.source.follow(from).await?;
        let mut up = self.up.clone();
        let cut = async move {
            // Ends when the wire is cut or the test is over.
            let _over = up.wait_for(|up| !*up).await;
        };
        Ok(stream.take_until(Box::pin(cut)).boxed())
    }

    async fn records(&self, indices: &[u64]) -> Result<Vec<Option<bytes::Bytes>>, SourceError> {
        self.check()?;
        self.source.records(indices).await
    }
}

#[async_trait]
impl Peer for TestPeer {
    fn source(&self, log: &LogName) -> Arc<dyn Source> {
        let origin = Origin::new(log.to_string()).unwrap();
        Arc::new(TestSource { source: self.store.read(&origin), up: self.up.subscribe() })
    }

    async fn push(&self, _log: &LogName, _more: &Extension) -> Result<u64, PeerError> {
        Err(PeerError("nobody is behind NAT here".to_owned()))
    }

    async fn receipt(&self, _effective: &BTreeMap<LogName, Effective>) -> Result<(), PeerError> {
        Ok(())
    }

    async fn receipts(&self) -> Result<BTreeMap<LogName, Effective>, PeerError> {
        Err(PeerError("nobody is behind NAT here".to_owned()))
    }

    async fn exchange(&self, _ours: &Heads) -> Result<Heads, PeerError> {
        Err(PeerError("says nothing of heads".to_owned()))
    }
}

/// A node with what a test wants to look at.
pub(crate) struct Stage {
    pub(crate) node: Arc<Node>,
    pub(crate) platform: Arc<TestPlatform>,
    pub(crate) clock: Arc<TestClock>,
}

/// What a node of a test needs.
pub(crate) struct Cast<'a> {
    pub(crate) me: &'a str,
    pub(crate) charter: &'a SignedCharter,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) trust: &'a [&'a str],
    pub(crate) peers: BTreeMap<MemberName, Arc<dyn Peer>>,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) seed: u64,
}

/// Starts a node and waits until it may sign.
pub(crate) async fn start(cast: Cast<'_>) -> Stage {
    let stage = start_unready(cast).await;
    while stage.node.readiness() == Readiness::Recovering {
        tokio::task::yield_now().await;
    }
    assert_eq!(stage.node.readiness(), Readiness::Ready);
    stage
}

pub(crate) async fn start_unready(cast: Cast<'_>) -> Stage {
    let platform = Arc::new(TestPlatform::default());
    let connectors =
        BTreeMap::from([("platform".to_owned(), platform.clone() as Arc<dyn Connector>)]);
    let clock = cast.clock.clone();
    let setup = Setup { connectors, ..setup(cast) };
    Stage { node: Node::start(setup).await.unwrap(), platform, clock }
}

/// A node without a platform, for a test to change before it starts.
pub(crate) fn setup(cast: Cast<'_>) -> Setup {
    let policy = Policy {
        trust: cast.trust.iter().map(|member| name(member)).collect(),
        ..Policy::default()
    };
    Setup {
        me: name(cast.me),
        key: Arc::new(key(cast.me)),
        charter: cast.charter.clone().into(),
        former_key: None,
        policy,
        store: cast.store,
        seen: SeenSetup::default(),
        over: None,
        peers: cast.peers,
        connectors: BTreeMap::new(),
        routes: Routes::all_to("platform"),
        budgets: BTreeMap::new(),
        alone: false,
        clock: cast.clock,
        random: TestRandom::new(cast.seed),
    }
}

/// A human-reviewed alert over some signals.
pub(crate) fn alert(signals: Vec<Signal>) -> NewAlert {
    NewAlert {
        alert: Alert {
            kind: ContentKind::Image,
            signals,
            labels: vec!["self_harm.suicide_depiction".parse().unwrap()],
            taxonomy: TAXONOMY_VERSION,
            confidence: 90,
            suggestion: Suggestion::Remove,
            exceptions: vec![],
            valid_until: START_MS + 90 * 86_400_000,
            family: None,
            incident: None,
            evidence_hold: false,
            authority: None,
            tlp: None,
        },
        severity: 3,
        review: Review::OneHuman,
        provenance: Provenance::OwnDetection,
        group: GroupName::all(),
        test: false,
    }
}
