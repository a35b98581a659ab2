//! Measures the outbox: `bench_outbox [--copies N] [--at-once N] [--dir DIR] [--folder yes]`, one JSON
//! object.
//!
//! A node over the embedded store holds N copies, is told of an alert on them, and takes them down by
//! signed webhooks to a receiver on loopback, where it looks afterwards; then the alert is taken back.
//! Measured are orders a second from the alert until all are verified and written down. The receiver
//! keeps what it did in memory, or with `--folder yes` moves files durably, as `watchfire receiver`
//! does. The directory is made, and is gone afterwards.
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

use std::{
    collections::{BTreeMap, HashSet},
    error::Error,
    net::SocketAddr,
    path::{Path as FilePath, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use tokio::net::TcpListener;
use watchfire_api::outbound::{Allowed, Outbound};
use watchfire_connector::{
    receiver::{self, Receiver},
    standard_webhook::{self, CheckingKey, Presented, SigningKey},
    webhook::{self, Delivery, Webhook},
};
use watchfire_node::{
    EffectState, Node, Readiness, Setup,
    budget::Budget,
    charter::approve,
    clock::{Clock, SystemClock, SystemRandom},
    connector::Connector,
    hold::RESTORE,
    policy::Policy,
    raise::{Answer, NewAlert},
    routes::Routes,
    seen::{Item, SeenSetup},
};
use watchfire_signal::{
    alert::{Alert, ContentKind, Suggestion},
    charter::{Approval, Charter, Member, Quorums, Role, SignedCharter},
    header::{Provenance, Review},
    label::TAXONOMY_VERSION,
    name::GroupName,
    pdq::Pdq,
    reason::Reason,
    value::Signal,
};
use watchfire_store::{SqliteOptions, SqliteStore, Store};
use watchfire_tlog::OwnKey;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The secret of node and receiver.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// The connector's name.
const HOOK: &str = "webhook";
/// Items brought at once.
const BATCH: usize = 10_000;
/// How often it is looked how far it is.
const LOOK: Duration = Duration::from_millis(50);

fn option(name: &str, default: &str) -> String {
    let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
    arguments.next().unwrap_or_else(|| default.to_owned())
}

/// A platform in memory that checks every signature.
struct Memory {
    key: CheckingKey,
    clock: Arc<dyn Clock>,
    hidden: Mutex<HashSet<String>>,
}

impl Memory {
    fn take(&self, headers: &HeaderMap, body: &[u8]) -> Option<()> {
        let text = |name| headers.get(name)?.to_str().ok();
        let presented = Presented {
            id: text(standard_webhook::ID_HEADER)?,
            timestamp: text(standard_webhook::TIMESTAMP_HEADER)?,
            signature: text(standard_webhook::SIGNATURE_HEADER)?,
        };
        let keys = std::slice::from_ref(&self.key);
        standard_webhook::verify(keys, presented, body, self.clock.now_ms() / 1_000).ok()?;
        let delivery = serde_json::from_slice::<Delivery>(body).ok()?;
        let mut hidden = self.hidden.lock().unwrap_or_else(PoisonError::into_inner);
        if delivery.action == RESTORE {
            hidden.remove(&delivery.item);
        } else {
            hidden.insert(delivery.item);
        }
        Some(())
    }
}

async fn order(State(memory): State<Arc<Memory>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    memory.take(&headers, &body).map_or(StatusCode::UNAUTHORIZED, |()| StatusCode::OK)
}

async fn item(State(memory): State<Arc<Memory>>, Path(item): Path<String>) -> StatusCode {
    let hidden = memory.hidden.lock().unwrap_or_else(PoisonError::into_inner);
    if hidden.contains(&item) { StatusCode::NOT_FOUND } else { StatusCode::OK }
}

/// A receiver in memory; its address.
async fn in_memory(clock: &Arc<dyn Clock>) -> Result<SocketAddr> {
    let (key, clock) = (CheckingKey::parse(SECRET)?, clock.clone());
    let memory = Arc::new(Memory { key, clock, hidden: Mutex::default() });
    let router = Router::new()
        .route("/webhook", post(order))
        .route("/items/{item}", get(item))
        .with_state(memory);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

/// The receiver of a folder with a file for each item.
async fn in_folder(folder: &FilePath, clock: &Arc<dyn Clock>, copies: usize) -> Result<Receiver> {
    std::fs::create_dir_all(folder)?;
    for number in 0..copies {
        std::fs::write(folder.join(format!("item-{number}")), b"content")?;
    }
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let keys = vec![CheckingKey::parse(SECRET)?];
    let setup = receiver::Setup { folder: folder.to_owned(), listen, keys, clock: clock.clone() };
    Ok(Receiver::start(setup).await?)
}

fn connector(address: SocketAddr, clock: &Arc<dyn Clock>) -> Result<Arc<dyn Connector>> {
    Ok(Arc::new(Webhook::new(webhook::Setup {
        url: format!("http://{address}/webhook"),
        verify_url: Some(format!("http://{address}/items/{{item}}")),
        keys: vec![SigningKey::parse(SECRET)?],
        clock: clock.clone(),
        out: Outbound::new(Allowed::new(["127.0.0.1"])?, &[])?,
    })?))
}

fn picture() -> Signal {
    Signal { quality: Some(100), ..Signal::new(Pdq([0x0f; 32])) }
}

/// A coalition of one member, which confirms what it says itself.
fn charter(key: &OwnKey) -> Result<SignedCharter> {
    let member = Member {
        name: "bench".parse()?,
        organisation: "bench".parse()?,
        role: Role::Platform,
        key: key.public().to_bytes(),
        epoch: 1,
        address: None,
    };
    let charter = Charter {
        quorums: Quorums { confirm: 1, dispute: 1, charter: 1, halt: 1 },
        ..Charter::founding("bench".parse()?, vec![member])
    };
    let signature = approve(&charter.hash(), key);
    Ok(SignedCharter::new(charter, vec![Approval { member: "bench".parse()?, signature }])?)
}

fn alert() -> Result<NewAlert> {
    Ok(NewAlert {
        alert: Alert {
            kind: ContentKind::Image,
            signals: vec![picture()],
            labels: vec!["self_harm.suicide_depiction".parse()?],
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
    })
}

/// A node that holds the copies.
async fn node(
    store: Arc<dyn Store>,
    connector: Arc<dyn Connector>,
    clock: &Arc<dyn Clock>,
    (copies, at_once): (usize, usize),
) -> Result<Arc<Node>> {
    let key = Arc::new(OwnKey::from_seed(&[9; 32]));
    let node = Node::start(Setup {
        me: "bench".parse()?,
        charter: charter(&key)?.into(),
        former_key: None,
        key,
        policy: Policy::default(),
        store,
        seen: SeenSetup::default(),
        over: None,
        peers: BTreeMap::new(),
        connectors: BTreeMap::from([(HOOK.to_owned(), connector)]),
        routes: Routes::all_to(HOOK),
        budgets: BTreeMap::from([(HOOK.to_owned(), Budget { at_once, ..Budget::default() })]),
        alone: true,
        clock: clock.clone(),
        random: Arc::new(SystemRandom),
    })
    .await?;
    while node.readiness() != Readiness::Ready {
        tokio::time::sleep(LOOK).await;
    }
    let seen_ms = clock.now_ms();
    let items = (0..copies).map(|number| -> Result<Item> {
        Ok(Item {
            id: format!("item-{number}").parse()?,
            seen_ms,
            signals: vec![picture()],
            parts: Vec::new(),
            facts: Default::default(),
        })
    });
    for batch in items.collect::<Result<Vec<_>>>()?.chunks(BATCH) {
        node.import(batch.to_vec()).await?;
    }
    Ok(node)
}

/// Waits until there are so many effects and none of them is pending. The count is asked for seldom,
/// because it reads them all.
async fn until_settled(store: &dyn Store, effects: usize) -> Result<()> {
    loop {
        tokio::time::sleep(LOOK).await;
        if store.outbox_counts(None).await?.pending > 0 {
            continue;
        }
        let done = store.effects_in(EffectState::Done, 0, usize::MAX).await?.len();
        if done == effects {
            return Ok(());
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let copies: usize = option("--copies", "10000").parse()?;
    let at_once: usize = option("--at-once", "32").parse()?;
    let directory = PathBuf::from(option("--dir", "target/bench-outbox"));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let folder = match option("--folder", "no").as_str() {
        "yes" => Some(in_folder(&directory.join("uploads"), &clock, copies).await?),
        _ => None,
    };
    let address = match &folder {
        Some(receiver) => receiver.address(),
        None => in_memory(&clock).await?,
    };
    let sqlite = SqliteStore::open(&directory.join("node"), SqliteOptions::default())?;
    let store: Arc<dyn Store> = Arc::new(sqlite);
    let node = node(store.clone(), connector(address, &clock)?, &clock, (copies, at_once)).await?;

    let begun = Instant::now();
    let case = node.raise(alert()?, None).await?.commitment;
    until_settled(&*store, copies).await?;
    let removed_s = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let retract = Answer::Retract { reason: Reason::WrongMatch, restore: true, note: None };
    node.answer(&case, retract, None).await?;
    until_settled(&*store, 2 * copies).await?;
    let restored_s = begun.elapsed().as_secs_f64();
    let done = store.case_counts(case.0, RESTORE).await?;
    if done.removed != copies as u64 || done.restored != copies as u64 {
        return Err(format!("of {copies} copies: {done:?}").into());
    }
    println!(
        "{{\"copies\": {copies}, \"at_once\": {at_once}, \"folder\": {}, \"removed_s\": {removed_s:.2}, \
         \"removed_a_second\": {:.0}, \"restored_s\": {restored_s:.2}, \"restored_a_second\": {:.0}}}",
        folder.is_some(),
        copies as f64 / removed_s,
        copies as f64 / restored_s
    );
    node.stop().await;
    drop((node, store));
    std::fs::remove_dir_all(&directory)?;
    Ok(())
}
