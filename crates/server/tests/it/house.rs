//! Members of a coalition as nodes behind real sockets, linked by the real client: the stage for the other tests.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::net::TcpListener;
use watchfire_api::client::Client;
use watchfire_api::outbound::{Allowed, Outbound};
use watchfire_api::peer::PeerClient;
use watchfire_api::signature::{Fresh, Identity};
use watchfire_api::wire::{AlertRequest, EventView, ScanRequest, SignalJson, Verdict};
use watchfire_node::access::{NewKey, Scope};
use watchfire_node::charter::approve;
use watchfire_node::clock::{Clock, Random};
use watchfire_node::connector::Connector;
use watchfire_node::desk::Actor;
use watchfire_node::gossip::Heads;
use watchfire_node::peer::{Peer, PeerError};
use watchfire_node::place::Place;
use watchfire_node::policy::Policy;
use watchfire_node::receipts::Effective;
use watchfire_node::routes::Routes;
use watchfire_node::seen::SeenSetup;
use watchfire_node::{Node, Readiness, Setup};
use watchfire_server::hashing::HashingSetup;
use watchfire_server::limits::Patience;
use watchfire_server::views;
use watchfire_server::{Running, Server, Tls, serve_on};
use watchfire_signal::charter::{Approval, Charter, Member, Quorums, Role, SignedCharter};
use watchfire_signal::name::{LogName, MemberName};
use watchfire_store::{MemoryStore, Store};
use watchfire_tlog::{Extension, OwnKey, Source};

/// Milliseconds since 1970 at which every test begins.
pub(crate) const START_MS: u64 = 1_800_000_000_000;

/// The name of a member's platform, where it has one.
const PLATFORM: &str = "platform";

/// A member of this name asserts and does not enforce.
pub(crate) const HOTLINE: &str = "hotline";

/// A member of this name is a witness.
pub(crate) const WITNESS: &str = "witness";

/// The largest upload of these nodes.
pub(crate) const UPLOAD_BYTES: usize = 1 << 20;

/// A clock that stands still unless it is set forward, and bytes that look random and never repeat.
#[derive(Debug)]
pub(crate) struct Still {
    seed: AtomicU64,
    ahead_ms: AtomicU64,
}

impl Still {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Still { seed: AtomicU64::new(seed << 32), ahead_ms: AtomicU64::new(0) })
    }

    /// Sets the clock forward.
    pub(crate) fn forward(&self, by_ms: u64) {
        self.ahead_ms.fetch_add(by_ms, Ordering::SeqCst);
    }
}

impl Clock for Still {
    fn now_ms(&self) -> u64 {
        START_MS + self.ahead_ms.load(Ordering::SeqCst)
    }
}

impl Random for Still {
    fn fill(&self, buffer: &mut [u8]) {
        for byte in buffer {
            // SplitMix64, one step a byte.
            let mut z = self.seed.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *byte = (z ^ (z >> 31)).to_le_bytes()[0];
        }
    }
}

impl Fresh for Still {
    fn now_s(&self) -> u64 {
        START_MS / 1000
    }
    fn nonce(&self) -> [u8; 16] {
        let mut nonce = [0; 16];
        self.fill(&mut nonce);
        nonce
    }
}

/// A peer over HTTP, as the binary puts it together.
struct HttpPeer(PeerClient);

#[async_trait]
impl Peer for HttpPeer {
    fn source(&self, log: &LogName) -> Arc<dyn Source> {
        Arc::new(self.0.source_of(log))
    }
    async fn push(&self, _log: &LogName, more: &Extension) -> Result<u64, PeerError> {
        self.0.push(more).await.map_err(|error| PeerError(error.to_string()))
    }
    async fn receipt(&self, effective: &BTreeMap<LogName, Effective>) -> Result<(), PeerError> {
        self.0
            .receipt(&views::receipt(effective))
            .await
            .map_err(|error| PeerError(error.to_string()))
    }
    async fn receipts(&self) -> Result<BTreeMap<LogName, Effective>, PeerError> {
        let receipt = self.0.receipts().await.map_err(|error| PeerError(error.to_string()))?;
        Ok(views::receipt_of(receipt))
    }
    async fn exchange(&self, ours: &Heads) -> Result<Heads, PeerError> {
        let theirs = self.0.heads(&views::heads(ours)).await;
        Ok(views::heads_of(theirs.map_err(|error| PeerError(error.to_string()))?))
    }
    async fn lacking(&self) -> Result<BTreeMap<LogName, Vec<u64>>, PeerError> {
        let answer = self.0.lacking().await.map_err(|error| PeerError(error.to_string()))?;
        Ok(answer.lacking)
    }
    async fn bring(&self, place: &Place, record: &Bytes) -> Result<bool, PeerError> {
        let taken = self.0.bring(&place.log, place.index, record).await;
        taken.map_err(|error| PeerError(error.to_string()))
    }
}

/// One member: its node behind its socket.
pub(crate) struct House {
    pub(crate) name: MemberName,
    pub(crate) address: SocketAddr,
    pub(crate) node: Arc<Node>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) running: Running,
    pub(crate) clock: Arc<Still>,
}

pub(crate) fn name(text: &str) -> MemberName {
    text.parse().unwrap()
}

pub(crate) fn own_key(member: &str) -> OwnKey {
    let mut seed = [7; 32];
    seed[..member.len()].copy_from_slice(member.as_bytes());
    OwnKey::from_seed(&seed)
}

pub(crate) fn to_loopback() -> Outbound {
    Outbound::new(Allowed::new(["127.0.0.1"]).unwrap(), &[]).unwrap()
}

/// How a peer is spoken to as `me`.
pub(crate) fn peer_client(me: &str, seed: u64, address: SocketAddr) -> PeerClient {
    let key = Arc::new(own_key(me));
    let identity = Identity { member: name(me), key, fresh: Still::new(seed) };
    PeerClient::new(to_loopback(), &format!("http://{address}"), identity).unwrap()
}

/// A member of a test: its name, and whether others can reach it.
pub(crate) type Plan<'a> = (&'a str, bool);

/// Starts a coalition in which everybody trusts the first member, and waits until all may sign.
pub(crate) async fn coalition(plans: &[Plan<'_>]) -> Vec<House> {
    build(plans, None).await
}

/// One member alone.
pub(crate) async fn alone() -> House {
    coalition(&[("a", true)]).await.remove(0)
}

/// One member alone, with a platform.
pub(crate) async fn alone_with(platform: Arc<dyn Connector>) -> House {
    build(&[("a", true)], Some(platform)).await.remove(0)
}

/// One member alone, under a charter in which something else stands.
pub(crate) async fn alone_where(change: impl FnOnce(&mut Charter)) -> House {
    let plans = [("a", true)];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addresses = vec![listener.local_addr().unwrap()];
    let charter = charter_with(&plans, &addresses, change);
    let street = Street { plans: &plans, addresses, charter, platform: None };
    let house = house(0, listener, &street).await;
    while house.node.readiness() == Readiness::Recovering {
        tokio::task::yield_now().await;
    }
    house
}

/// The second member of two under such a charter; the first one, `a`, is not there.
pub(crate) async fn second_where(change: impl FnOnce(&mut Charter)) -> House {
    let plans = [("a", true), ("b", true)];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addresses = vec!["127.0.0.1:1".parse().unwrap(), listener.local_addr().unwrap()];
    let charter = charter_with(&plans, &addresses, change);
    house(1, listener, &Street { plans: &plans, addresses, charter, platform: None }).await
}

/// One member of two, whose other one is not there: it goes on asking it what it holds.
pub(crate) async fn unheard() -> House {
    let plans = [("a", true), ("b", true)];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // Nothing listens on this port of loopback.
    let addresses = vec![listener.local_addr().unwrap(), "127.0.0.1:1".parse().unwrap()];
    let charter = charter(&plans, &addresses);
    house(0, listener, &Street { plans: &plans, addresses, charter, platform: None }).await
}

/// A witness over a store that it may have had before. Of the other member, `a`, there is the key, and nothing listens where
/// it should be.
pub(crate) async fn witness_over(store: Arc<dyn Store>) -> House {
    let plans = [(WITNESS, true), ("a", true)];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // The charter stays the same, wherever the witness listens this time.
    let charter = charter(&plans, &["127.0.0.1:2", "127.0.0.1:1"].map(|at| at.parse().unwrap()));
    let addresses = vec![listener.local_addr().unwrap(), "127.0.0.1:1".parse().unwrap()];
    let street = Street { plans: &plans, addresses, charter, platform: None };
    house_over(store, 0, listener, &street).await
}

/// A coalition; all have the platform, if there is one.
pub(crate) async fn build(plans: &[Plan<'_>], platform: Option<Arc<dyn Connector>>) -> Vec<House> {
    let mut listeners = Vec::new();
    for _ in plans {
        listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
    }
    let addresses: Vec<_> = listeners.iter().map(|l| l.local_addr().unwrap()).collect();
    let charter = charter(plans, &addresses);
    let street = Street { plans, addresses, charter, platform };
    let mut houses = Vec::new();
    for (place, listener) in listeners.into_iter().enumerate() {
        houses.push(house(place, listener, &street).await);
    }
    for house in &houses {
        while house.node.readiness() == Readiness::Recovering {
            tokio::task::yield_now().await;
        }
        assert_eq!(house.node.readiness(), Readiness::Ready);
    }
    houses
}

/// What the houses of a test have in common.
struct Street<'a> {
    plans: &'a [Plan<'a>],
    addresses: Vec<SocketAddr>,
    charter: SignedCharter,
    platform: Option<Arc<dyn Connector>>,
}

async fn house(place: usize, listener: TcpListener, street: &Street<'_>) -> House {
    house_over(Arc::new(MemoryStore::new()), place, listener, street).await
}

async fn house_over(
    store: Arc<dyn Store>,
    place: usize,
    listener: TcpListener,
    street: &Street<'_>,
) -> House {
    let Street { plans, addresses, charter, platform } = street;
    let me = plans[place].0;
    let others = plans.iter().zip(addresses).enumerate();
    let others = others.filter(|(other, ((_, reachable), _))| *other != place && *reachable);
    let peers = others.map(|(other, ((member, _), address))| {
        let client = peer_client(me, (place * 100 + other) as u64 + 1, *address);
        (name(member), Arc::new(HttpPeer(client)) as Arc<dyn Peer>)
    });
    let clock = Still::new(place as u64 + 50);
    let node = Node::start(Setup {
        me: name(me),
        key: Arc::new(own_key(me)),
        charter: charter.clone().into(),
        former_key: None,
        policy: Policy { trust: BTreeSet::from([name(plans[0].0)]), ..Policy::default() },
        store: store.clone(),
        seen: SeenSetup::default(),
        over: None,
        peers: peers.collect(),
        connectors: platform.iter().map(|one| (PLATFORM.to_owned(), one.clone())).collect(),
        budgets: BTreeMap::new(),
        routes: platform.as_ref().map(|_| Routes::all_to(PLATFORM)).unwrap_or_default(),
        alone: false,
        clock: clock.clone(),
        random: clock.clone(),
    });
    let node = node.await.unwrap();
    let server = Server::new(node.clone(), &[], hashing(), None).unwrap();
    let address = addresses[place];
    let running = serve_on(server, listener, Tls::LoopbackPlain).unwrap();
    House { name: name(me), address, node, store, running, clock }
}

pub(crate) fn hashing() -> HashingSetup {
    HashingSetup {
        executable: "/nonexistent".into(),
        scratch: std::env::temp_dir(),
        max_bytes: UPLOAD_BYTES,
        at_once: 2,
        memory_bytes: 4 * UPLOAD_BYTES,
    }
}

fn charter(plans: &[Plan<'_>], addresses: &[SocketAddr]) -> SignedCharter {
    charter_with(plans, addresses, |_| {})
}

fn charter_with(
    plans: &[Plan<'_>],
    addresses: &[SocketAddr],
    change: impl FnOnce(&mut Charter),
) -> SignedCharter {
    let members = plans.iter().zip(addresses).map(|((member, reachable), address)| Member {
        name: name(member),
        organisation: format!("{member}-org").parse().unwrap(),
        role: match *member {
            HOTLINE => Role::Contributor,
            WITNESS => Role::Witness,
            _ => Role::Platform,
        },
        key: own_key(member).public().to_bytes(),
        epoch: 1,
        address: reachable.then(|| format!("http://{address}")),
    });
    let majority = u32::try_from(plans.len() / 2 + 1).unwrap();
    let mut charter = Charter {
        quorums: Quorums { confirm: 3, dispute: 2, charter: majority, halt: majority },
        ..Charter::founding("test".parse().unwrap(), members.collect())
    };
    change(&mut charter);
    charter.sort();
    let hash = charter.hash();
    let mut approvals: Vec<_> = plans
        .iter()
        .map(|(member, _)| Approval {
            member: name(member),
            signature: approve(&hash, &own_key(member)),
        })
        .collect();
    approvals.sort_by(|a, b| a.member.cmp(&b.member));
    SignedCharter::new(charter, approvals).unwrap()
}

impl House {
    /// A new API key.
    pub(crate) async fn key(&self, scopes: &[Scope]) -> String {
        let scopes = scopes.iter().copied().collect();
        let access = self.node.access();
        let name = format!("test-{}", access.keys().len()).parse().unwrap();
        let new = NewKey { name, scopes, valid_for_ms: None };
        access.make_key(Actor::Node, new).await.unwrap().secret
    }

    /// A client that may do what these scopes stand for.
    pub(crate) async fn client(&self, scopes: &[Scope]) -> Client {
        let key = self.key(scopes).await;
        Client::new(to_loopback(), &self.url(""), Some(&key)).unwrap()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn stop(self) {
        self.running.stop().await;
        self.node.stop().await;
    }
}

/// A second door to a node, behind which less patience is had.
pub(crate) async fn impatient(house: &House, setup: HashingSetup, patience: Patience) -> Running {
    let server = Server::new(house.node.clone(), &[], setup, None).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    serve_on(server.with_patience(patience), listener, Tls::LoopbackPlain).unwrap()
}

/// Events of a node until one fits.
pub(crate) async fn wait_for(
    events: &mut (
             impl futures_util::Stream<Item = Result<EventView, watchfire_api::client::ClientError>>
             + Unpin
         ),
    fits: impl Fn(&EventView) -> bool,
) -> EventView {
    loop {
        let event = events.next().await.expect("the stream goes on").unwrap();
        if fits(&event) {
            return event;
        }
    }
}

/// A signal that differs by `seed`.
pub(crate) fn pdq(seed: u8) -> SignalJson {
    let mut random = [0; 32];
    Still::new(u64::from(seed) + 1000).fill(&mut random);
    SignalJson {
        kind: watchfire_signal::value::Kind::Pdq,
        value: watchfire_signal::hex::encode(&random),
        quality: Some(100),
        span: None,
        rule: None,
    }
}

pub(crate) fn scan_of(item: &str, signals: Vec<SignalJson>) -> ScanRequest {
    let item = item.parse().unwrap();
    ScanRequest { signals, ..ScanRequest::of(item) }
}

pub(crate) async fn scan(client: &Client, item: &str, signal: SignalJson) -> Verdict {
    client.scan_signals(&scan_of(item, vec![signal])).await.unwrap()
}

/// A human-reviewed alert over signals, or over a file where there are none.
pub(crate) fn alert_of(signals: Vec<SignalJson>) -> AlertRequest {
    let kind = (!signals.is_empty()).then_some("image");
    serde_json::from_value(serde_json::json!({
        "kind": kind,
        "signals": signals,
        "labels": ["self_harm.suicide_depiction"],
        "severity": 3,
        "review": "one_human",
        "provenance": "user_report",
    }))
    .unwrap()
}
