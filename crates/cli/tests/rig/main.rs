//! A node over a real store and a real webhook that ends itself, or can be ended, between any two
//! steps of an order: what the test of crashes starts again and again.
//!
//! `watchfire-outbox-rig DIRECTORY WEBHOOK ITEMS POINT HIT`: holds the items, alerts on them, waits
//! until all are down, takes the alert back, waits until all are back, prints `done`. At the HIT-th
//! time that it comes to POINT it aborts. Each step of an order is a line on standard output.

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
    policy::Policy,
    raise::{self, NewAlert},
    routes::Routes,
    seen::SeenSetup,
};
use watchfire_signal::{
    alert::{Alert, ContentKind, Suggestion},
    charter::{Approval, Charter, Member, Quorums, Quotas, Role, SignedCharter},
    header::{Provenance, Review},
    label::TAXONOMY_VERSION,
    name::{GroupName, MemberName},
    pdq::Pdq,
    reason::Reason,
    value::Signal,
};
use watchfire_store::{SqliteOptions, SqliteStore, Store};
use watchfire_tlog::OwnKey;

/// The secret that the receiver of the test has too.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// Few at once, so that a crash finds orders at different steps.
const AT_ONCE: usize = 3;
/// How long it waits before it looks again how far it is.
const LOOK: Duration = Duration::from_millis(5);

/// A connector that ends the process at a step.
struct Dying {
    webhook: Webhook,
    point: String,
    left: AtomicUsize,
}

impl Dying {
    fn pass(&self, point: &str) {
        println!("{point}");
        if self.point == point && self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            std::process::abort();
        }
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
    let [directory, address, items, point, hit] = arguments.as_slice() else {
        panic!("DIRECTORY WEBHOOK ITEMS POINT HIT");
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
    let dying = Dying { webhook: webhook.unwrap(), point: point.clone(), left };
    let store = SqliteStore::open(Path::new(directory), SqliteOptions::default()).unwrap();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let items: u64 = items.parse().unwrap();
    runtime.block_on(whole_way(Arc::new(store), Arc::new(dying), clock, items));
    println!("done");
}

async fn whole_way(
    store: Arc<dyn Store>,
    connector: Arc<dyn Connector>,
    clock: Arc<dyn Clock>,
    items: u64,
) {
    let key = Arc::new(OwnKey::from_seed(&[9; 32]));
    let node = Node::start(Setup {
        me: me(),
        charter: charter(&key),
        key,
        policy: Policy::default(),
        store: store.clone(),
        seen: SeenSetup::default(),
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
    let done = async || store.case_counts(set.0, "restore").await.unwrap();
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

fn picture() -> Signal {
    Signal { quality: Some(100), ..Signal::new(Pdq([0x0f; 32])) }
}

fn charter(key: &OwnKey) -> SignedCharter {
    let member = Member {
        name: me(),
        organisation: "rig".parse().unwrap(),
        role: Role::Platform,
        key: key.public().to_bytes(),
        epoch: 1,
        address: None,
    };
    let charter = Charter {
        coalition: "test".parse().unwrap(),
        seq: 1,
        previous: [0; 32],
        taxonomy: TAXONOMY_VERSION,
        record_version: 1,
        least_min_matched_ms: 1_000,
        severity4_labels: vec![],
        quorums: Quorums { confirm: 2, dispute: 2, charter: 1, halt: 1 },
        quotas: Quotas {
            records_a_day: 100_000,
            severity4_acts_a_day: 20,
            retractions_an_hour: 20,
            disputes_a_day: 100,
        },
        members: vec![member],
        groups: vec![],
    };
    let signature = approve(&charter.hash(), key);
    SignedCharter::new(charter, vec![Approval { member: me(), signature }]).unwrap()
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
        },
        severity: 3,
        review: Review::OneHuman,
        provenance: Provenance::OwnDetection,
        group: GroupName::all(),
        test: false,
    }
}
