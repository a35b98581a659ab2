//! Scans over HTTP, hash in and verdict out, with everything on: a policy with CEL, a bank of very many
//! signals, the seen table, decisions kept as facts, a store that syncs. Prints one line of JSON.
//!
//! `cargo run --release -p watchfire-server --example bench_scan -- [--signals N] [--seconds S] [--dir DIR]`

#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

use std::{
    collections::BTreeMap,
    error::Error,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::net::TcpListener;
use watchfire_api::client::Client;
use watchfire_api::outbound::{Allowed, Outbound};
use watchfire_api::wire::{ScanRequest, SignalJson, VerdictKind};
use watchfire_node::access::{NewKey, Scope};
use watchfire_node::banks::{NewContent, Settings};
use watchfire_node::charter::approve;
use watchfire_node::clock::{SystemClock, SystemRandom};
use watchfire_node::desk::Actor;
use watchfire_node::policy::{Fact, Facts, MatchKind, Policy};
use watchfire_node::seen::{SeenLimits, SeenSetup};
use watchfire_node::{Node, Readiness, Setup};
use watchfire_server::hashing::HashingSetup;
use watchfire_server::rates::Limits;
use watchfire_server::{Running, Server, Tls, serve_on};
use watchfire_signal::charter::{Approval, Charter, Member, Quorums, Role, SignedCharter};
use watchfire_signal::pdq::Pdq;
use watchfire_signal::value::{Kind, Signal};
use watchfire_store::{SqliteOptions, SqliteStore};
use watchfire_tlog::OwnKey;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Contents added at once.
const LIST: usize = 16_384;
/// One scan in so many is of something known.
const KNOWN_ONE_IN: u64 = 50;
/// Connections that scan, each one request after the other.
const CALLERS: u64 = 2;

const POLICY: &str = r#"
version = 2
default = "review"

[[rule]]
id = "severe"
mode = "live"
min_severity = 4
then = ["remove", "block_upload"]

[[rule]]
id = "bank"
mode = "live"
bank = ["BENCH"]
max_distance = 24
then = ["remove", "block_upload"]

[[rule]]
id = "often"
mode = "live"
when = 'item.views > 10000 || item.author_strikes > 1'
then = ["demote", "review"]

[[rule]]
id = "tried"
mode = "shadow"
bank = ["BENCH"]
when = 'match.distance < 8 && item.views > 100'
then = ["remove"]
"#;

fn option(name: &str, default: &str) -> String {
    let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
    arguments.next().unwrap_or_else(|| default.to_owned())
}

/// Well mixed bytes of a number.
fn picture(number: u64) -> Pdq {
    let mut bytes = [0; 32];
    for (place, part) in (0..).zip(bytes.chunks_mut(8)) {
        let mut z = (number * 4 + place).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        part.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes());
    }
    Pdq(bytes)
}

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
    let approval = approve(&charter.hash(), key);
    let approvals = vec![Approval { member: "bench".parse()?, signature: approval }];
    Ok(SignedCharter::new(charter, approvals)?)
}

async fn node(directory: &std::path::Path) -> Result<Arc<Node>> {
    let key = OwnKey::from_seed(&[7; 32]);
    let seen = SeenSetup { directory: Some(directory.join("seen")), limits: SeenLimits::default() };
    let node = Node::start(Setup {
        me: "bench".parse()?,
        charter: charter(&key)?.into(),
        former_key: None,
        key: Arc::new(key),
        policy: Policy::read(POLICY).map_err(|error| error.to_string())?,
        store: Arc::new(SqliteStore::open(directory, SqliteOptions::default())?),
        seen,
        over: None,
        peers: BTreeMap::new(),
        connectors: BTreeMap::new(),
        budgets: BTreeMap::new(),
        routes: watchfire_node::routes::Routes::default(),
        alone: true,
        clock: Arc::new(SystemClock::default()),
        random: Arc::new(SystemRandom),
    })
    .await?;
    while node.readiness() == Readiness::Recovering {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(node)
}

async fn serve(node: &Arc<Node>) -> Result<(Running, Client)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let hashing = HashingSetup {
        executable: "/nonexistent".into(),
        scratch: std::env::temp_dir(),
        max_bytes: 1 << 20,
        at_once: 1,
        memory_bytes: 1 << 22,
    };
    let limits =
        Limits { key_requests_a_second: u32::MAX, key_burst: u32::MAX, ..Limits::default() };
    let server = Server::new(node.clone(), &[], hashing, None)?.limited(limits);
    let running = serve_on(server, listener, Tls::LoopbackPlain)?;
    let name = "bench".parse()?;
    let new = NewKey { name, scopes: [Scope::Scan].into(), valid_for_ms: None };
    let secret = node.access().make_key(Actor::Node, new).await?.secret;
    let outbound = Outbound::new(Allowed::new(["127.0.0.1"])?, &[])?;
    Ok((running, Client::new(outbound, &url, Some(&secret))?))
}

/// One caller's scans: microseconds each, and how many were refused.
async fn call(
    client: Client,
    caller: u64,
    signals: u64,
    until: Instant,
) -> Result<(Vec<f64>, u64)> {
    let (mut times_us, mut refused) = (Vec::new(), 0);
    let mut count = 0;
    while Instant::now() < until {
        let number = caller + CALLERS * count;
        let known = number.is_multiple_of(KNOWN_ONE_IN);
        let mut pdq = picture(if known { number % signals } else { signals + number });
        (0..20).for_each(|byte| pdq.0[byte] ^= 4);
        let signal = SignalJson {
            kind: Kind::Pdq,
            value: watchfire_signal::hex::encode(&pdq.0),
            quality: Some(100),
            span: None,
            rule: None,
        };
        let facts = [("views", 7), ("author_strikes", 0)];
        let facts = facts.map(|(name, value)| (name.to_owned(), serde_json::json!(value)));
        let item = format!("item:{number}").parse()?;
        let (facts, signals) = (facts.into(), vec![signal]);
        let request = ScanRequest { facts, signals, ..ScanRequest::of(item) };
        let begun = Instant::now();
        let verdict = client.scan_signals(&request).await?;
        times_us.push(begun.elapsed().as_secs_f64() * 1e6);
        assert_eq!(verdict.verdict == VerdictKind::Block, known, "{number}");
        refused += u64::from(known);
        count += 1;
    }
    Ok((times_us, refused))
}

/// Microseconds of a decision by the policy alone, as the median of many.
fn decision_us(policy: &Policy) -> Result<f64> {
    let item_facts =
        [("views".to_owned(), Fact::Int(7)), ("author_strikes".to_owned(), Fact::Int(0))];
    let facts = Facts {
        bank: Some("BENCH".parse()?),
        severity: 2,
        kind: Some(MatchKind::Near),
        distance: Some(20),
        item_facts: BTreeMap::from(item_facts).into(),
        ..Facts::default()
    };
    let mut times: Vec<_> = (0..10_000)
        .map(|_| {
            let begun = Instant::now();
            std::hint::black_box(policy.decide(std::hint::black_box(&facts)));
            begun.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

#[tokio::main]
async fn main() -> Result<()> {
    let signals: u64 = option("--signals", "1000000").parse()?;
    let seconds: u64 = option("--seconds", "20").parse()?;
    let directory = PathBuf::from(option("--dir", "target"));
    let directory = tempfile::tempdir_in(directory)?;
    let node = node(directory.path()).await?;
    let settings = Settings { severity: 2, ..Settings::default() };
    node.banks().create(&Actor::Node, "BENCH".parse()?, settings).await?;
    let numbers: Vec<u64> = (0..signals).collect();
    for list in numbers.chunks(LIST) {
        let list = list.iter().map(|number| NewContent::of(vec![Signal::new(picture(*number))]));
        node.banks().add(&Actor::Node, &"BENCH".parse()?, list.collect()).await?;
    }
    let (running, client) = serve(&node).await?;
    let begun = Instant::now();
    let until = begun + Duration::from_secs(seconds);
    let callers =
        (0..CALLERS).map(|caller| tokio::spawn(call(client.clone(), caller, signals, until)));
    let (mut times_us, mut refused) = (Vec::new(), 0);
    for caller in callers.collect::<Vec<_>>() {
        let (times, blocked) = caller.await??;
        times_us.extend(times);
        refused += blocked;
    }
    let per_second = times_us.len() as f64 / begun.elapsed().as_secs_f64();
    times_us.sort_by(f64::total_cmp);
    let at = |share: f64| times_us[((times_us.len() - 1) as f64 * share) as usize];
    println!(
        "{{\"signals\":{signals},\"callers\":{CALLERS},\"scans\":{},\"refused\":{refused},\"scans_a_second\":{per_second:.0},\
         \"p50_us\":{:.0},\"p99_us\":{:.0},\"max_us\":{:.0},\"policy_decision_us\":{:.2}}}",
        times_us.len(),
        at(0.5),
        at(0.99),
        at(1.0),
        decision_us(&node.policy())?,
    );
    running.stop().await;
    node.stop().await;
    Ok(())
}
