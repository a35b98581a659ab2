//! A node over a real store and a real webhook that ends itself, or can be ended, between any two
//! steps of an order: what the test of crashes starts again and again.
//!
//! `watchfire-outbox-rig DIRECTORY WEBHOOK ITEMS POINT HIT`: holds the items, alerts on them, waits
//! until all are down, takes the alert back, waits until all are back, prints `done`. At the HIT-th
//! time that it comes to POINT it aborts. Each step is a line on standard output: before and after
//! the commits of a decision, of an attempt and of an end, and around what the platform is asked.
//! With a sixth argument `over` it starts when the alert, which nobody else has confirmed, is over:
//! then it waits until what may be down is back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use watchfire_api::outbound::{Allowed, Outbound};
use watchfire_connector::{
    standard_webhook::SigningKey,
    webhook::{self, Webhook},
};
use watchfire_node::{
    Node, Readiness, Setup,
    budget::Budget,
    charter::approve,
    clock::{Clock, SystemClock, SystemRandom},
    connector::{Answer, Connector, ConnectorError, Order, Visibility},
    hold::RESTORE,
    policy::Policy,
    raise::{self, NewAlert},
    routes::Routes,
    seen::SeenSetup,
    standing::PROVISIONAL_MAX_MS,
};
use watchfire_signal::{
    alert::{Alert, ContentKind, Suggestion},
    charter::{Approval, Charter, Member, Quorums, Role, SignedCharter},
    header::{Provenance, Review},
    label::TAXONOMY_VERSION,
    name::{GroupName, MemberName},
    pdq::Pdq,
    reason::Reason,
    value::Signal,
};
use watchfire_store::{
    Around, Batch, CommitError, Effect, EffectState, Settlement, SqliteOptions, SqliteStore, Store,
    StoreError,
};
use watchfire_tlog::OwnKey;

/// The secret that the receiver of the test has too.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// Few at once, so that a crash finds orders at different steps.
const AT_ONCE: usize = 3;
/// How long it waits before it looks again how far it is.
const LOOK: Duration = Duration::from_millis(5);

/// Ends the process at a step.
struct Steps {
    point: String,
    left: AtomicUsize,
}

impl Steps {
    fn pass(&self, point: &str) {
        println!("{point}");
        if self.point == point && self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            std::process::abort();
        }
    }
}

/// A connector that passes steps.
struct Dying {
    webhook: Webhook,
    steps: Arc<Steps>,
}

impl Dying {
    fn pass(&self, point: &str) {
        self.steps.pass(point);
    }
}

/// A store that passes steps.
struct DyingStore {
    store: SqliteStore,
    steps: Arc<Steps>,
}

#[async_trait]
impl Around for DyingStore {
    fn inner(&self) -> &dyn Store {
        &self.store
    }

    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        let points = match (batch.effects.is_empty(), batch.settlements.is_empty()) {
            (false, _) => Some(("before-decision", "after-decision")),
            (true, false) => Some(("before-end", "after-end")),
            (true, true) => None,
        };
        let pass = |point: Option<&str>| point.into_iter().for_each(|point| self.steps.pass(point));
        pass(points.map(|points| points.0));
        let committed = self.store.commit(batch).await;
        pass(points.map(|points| points.1));
        committed
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<(), StoreError> {
        self.steps.pass("before-attempt");
        let settled = self.store.settle(settlements).await;
        self.steps.pass("after-attempt");
        settled
    }
}

#[async_trait]
impl Connector for Dying {
    async fn enforce(&self, order: &Order) -> Result<Answer, ConnectorError> {
        self.pass("before-order");
        let answer = self.webhook.enforce(order).await;
        self.pass("after-order");
        answer
    }

    async fn verify(&self, item: &str) -> Result<Visibility, ConnectorError> {
        let seen = self.webhook.verify(item).await;
        self.pass("after-verify");
        seen
    }

    async fn undo(&self, order: &Order) -> Result<Answer, ConnectorError> {
        self.pass("before-order");
        let answer = self.webhook.undo(order).await;
        self.pass("after-order");
        answer
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, address, items, point, hit, over @ ..] = arguments.as_slice() else {
        panic!("DIRECTORY WEBHOOK ITEMS POINT HIT [over]");
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let webhook = Webhook::new(webhook::Setup {
        url: format!("{address}/webhook"),
        verify_url: Some(format!("{address}/items/{{item}}")),
        keys: vec![SigningKey::parse(SECRET).unwrap()],
        clock: clock.clone(),
        out: Outbound::new(Allowed::new(["127.0.0.1"]).unwrap(), &[]).unwrap(),
    });
    let left = AtomicUsize::new(hit.parse().unwrap());
    let steps = Arc::new(Steps { point: point.clone(), left });
    let connector = Arc::new(Dying { webhook: webhook.unwrap(), steps: steps.clone() });
    let store = SqliteStore::open(Path::new(directory), SqliteOptions::default()).unwrap();
    let store: Arc<dyn Store> = Arc::new(DyingStore { store, steps });
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let items: u64 = items.parse().unwrap();
    runtime.block_on(async {
        if over.is_empty() {
            whole_way(store, connector, clock, items).await;
        } else {
            when_over(store, connector, Arc::new(Ahead(clock))).await;
        }
    });
    println!("done");
}

/// A clock that is ahead by more than the term of an alert that nobody has confirmed.
struct Ahead(Arc<dyn Clock>);

impl Clock for Ahead {
    fn now_ms(&self) -> u64 {
        self.0.now_ms() + PROVISIONAL_MAX_MS + 1
    }
}

async fn start(
    store: &Arc<dyn Store>,
    connector: Arc<dyn Connector>,
    clock: Arc<dyn Clock>,
) -> Arc<Node> {
    let node = Node::start(Setup {
        me: me(),
        charter: charter().into(),
        former_key: None,
        key: Arc::new(key(MEMBERS[0].1)),
        policy: Policy::default(),
        store: store.clone(),
        seen: SeenSetup::default(),
        over: None,
        peers: BTreeMap::new(),
        connectors: BTreeMap::from([("rig".to_owned(), connector)]),
        routes: Routes::all_to("rig"),
        budgets: BTreeMap::from([(
            "rig".to_owned(),
            Budget { at_once: AT_ONCE, ..Budget::default() },
        )]),
        alone: true,
        clock,
        random: Arc::new(SystemRandom),
    });
    let node = node.await.unwrap();
    while node.readiness() != Readiness::Ready {
        tokio::time::sleep(LOOK).await;
    }
    node
}

/// Waits until nothing is pending, and all that the platform may have taken down is back.
async fn when_over(store: Arc<dyn Store>, connector: Arc<dyn Connector>, clock: Arc<dyn Clock>) {
    let node = start(&store, connector, clock).await;
    loop {
        let mut effects = Vec::new();
        for item in store.seen(0, usize::MAX).await.unwrap() {
            effects.extend(store.effects_of_item(&item.1.item).await.unwrap());
        }
        let is_restore = |effect: &&Effect| effect.action == RESTORE;
        let begun = effects.iter().filter(|effect| !is_restore(effect) && effect.attempts > 0);
        let done = |effect: &&Effect| effect.state == EffectState::Done;
        let back = effects.iter().filter(is_restore).filter(done).count();
        let pending = effects.iter().any(|effect| effect.state == EffectState::Pending);
        if !pending && back == begun.count() {
            return node.stop().await;
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn whole_way(
    store: Arc<dyn Store>,
    connector: Arc<dyn Connector>,
    clock: Arc<dyn Clock>,
    items: u64,
) {
    let node = start(&store, connector, clock).await;
    let set = match node.alerts(None, 1).pop() {
        Some(set) => set.name,
        None => {
            for item in 0..items {
                node.scan(format!("item-{item}").parse().unwrap(), vec![picture()]).await;
            }
            // Held durably, whatever happens from here on.
            while store.seen(0, usize::MAX).await.unwrap().len() < usize::try_from(items).unwrap() {
                tokio::time::sleep(LOOK).await;
            }
            node.raise(alert(), None).await.unwrap().commitment
        }
    };
    let done = async || store.case_counts(set.0, RESTORE).await.unwrap();
    while done().await.removed < items {
        tokio::time::sleep(LOOK).await;
    }
    if node.alerts(None, 1)[0].standing.level.is_some() {
        let retract =
            raise::Answer::Retract { reason: Reason::WrongMatch, restore: true, note: None };
        node.answer(&set, retract, None).await.unwrap();
    }
    while done().await.restored < items {
        tokio::time::sleep(LOOK).await;
    }
    node.stop().await;
}

fn me() -> MemberName {
    "rig".parse().unwrap()
}

/// The members; the others are never there, so that nobody confirms.
const MEMBERS: [(&str, u8); 3] = [("rig", 9), ("other", 10), ("third", 11)];

fn key(seed: u8) -> OwnKey {
    OwnKey::from_seed(&[seed; 32])
}

fn picture() -> Signal {
    Signal { quality: Some(100), ..Signal::new(Pdq([0x0f; 32])) }
}

fn charter() -> SignedCharter {
    let members = MEMBERS.map(|(name, seed)| Member {
        name: name.parse().unwrap(),
        organisation: name.parse().unwrap(),
        role: Role::Platform,
        key: key(seed).public().to_bytes(),
        epoch: 1,
        address: None,
    });
    let mut charter = Charter {
        quorums: Quorums { confirm: 2, dispute: 2, charter: 2, halt: 2 },
        ..Charter::founding("test".parse().unwrap(), members.into())
    };
    charter.sort();
    let hash = charter.hash();
    let mut approvals = MEMBERS.map(|(name, seed)| Approval {
        member: name.parse().unwrap(),
        signature: approve(&hash, &key(seed)),
    });
    approvals.sort_by(|a, b| a.member.cmp(&b.member));
    SignedCharter::new(charter, approvals.into()).unwrap()
}

fn alert() -> NewAlert {
    NewAlert {
        alert: Alert {
            kind: ContentKind::Image,
            signals: vec![picture()],
            labels: vec!["self_harm.suicide_depiction".parse().unwrap()],
            taxonomy: TAXONOMY_VERSION,
            confidence: 90,
            suggestion: Suggestion::Remove,
            exceptions: vec![],
            valid_until: 4_000_000_000_000,
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
