//! Measures how much later the alerts of others count while one member floods:
//! `bench_flood --dir DIR [--alerts N] [--honest N]`, one JSON object.
//!
//! Three members in one process, each with a store on the disk, linked without a network: one raises N
//! alerts as fast as its node takes them, another raises one now and then, and the third says when each of
//! these counts. Measured before the flood and during it. The directory is made, and is gone afterwards.
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

use std::{
    collections::BTreeMap,
    error::Error,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use watchfire_node::{
    Node, Readiness, Setup,
    charter::approve,
    clock::{Clock, SystemClock, SystemRandom},
    heads::Heads,
    peer::{Peer, PeerError},
    policy::{Policy, Verdict},
    raise::NewAlert,
    routes::Routes,
    seen::SeenSetup,
};
use watchfire_signal::{
    alert::{Alert, ContentKind, Suggestion},
    charter::{Approval, Charter, Member, Quorums, Quotas, Role, SignedCharter},
    header::{Provenance, Review},
    label::TAXONOMY_VERSION,
    name::{GroupName, LogName, MemberName},
    pdq::Pdq,
    value::Signal,
};
use watchfire_store::{SqliteOptions, SqliteStore, Store};
use watchfire_tlog::{Extension, Origin, OwnKey, Source};

type Failed = Box<dyn Error + Send + Sync>;

const MEMBERS: [&str; 3] = ["flood", "honest", "reader"];
/// How long between two alerts of the honest member.
const EVERY: Duration = Duration::from_millis(50);
/// Alerts that the flooding member raises at once.
const AT_ONCE: u64 = 256;

fn option(name: &str, default: &str) -> String {
    let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
    arguments.next().unwrap_or_else(|| default.to_owned())
}

/// A picture of its own for each number.
fn picture(number: u64) -> Signal {
    let mix = |seed: u64| {
        let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let byte = |place: usize| mix(number * 4 + place as u64 / 8 + 1).to_le_bytes()[place % 8];
    Signal { quality: Some(100), ..Signal::new(Pdq(std::array::from_fn(byte))) }
}

struct Wire(Arc<dyn Store>);

#[async_trait]
impl Peer for Wire {
    fn source(&self, log: &LogName) -> Arc<dyn Source> {
        match Origin::new(log.to_string()) {
            Ok(origin) => self.0.read(&origin),
            Err(error) => unreachable!("a log's name is an origin: {error}"),
        }
    }

    async fn push(&self, _log: &LogName, _more: &Extension) -> Result<u64, PeerError> {
        Err(PeerError("everybody can be reached".to_owned()))
    }

    async fn receipt(&self, _effective: &BTreeMap<LogName, u64>) -> Result<(), PeerError> {
        Ok(())
    }

    async fn receipts(&self) -> Result<BTreeMap<LogName, u64>, PeerError> {
        Err(PeerError("everybody can be reached".to_owned()))
    }

    async fn exchange(&self, _ours: &Heads) -> Result<Heads, PeerError> {
        Err(PeerError("says nothing of heads".to_owned()))
    }
}

fn key(member: &str) -> OwnKey {
    let mut seed = [7; 32];
    seed[..member.len()].copy_from_slice(member.as_bytes());
    OwnKey::from_seed(&seed)
}

fn charter() -> Result<SignedCharter, Failed> {
    let member = |name: &&str| {
        Ok::<_, Failed>(Member {
            name: name.parse()?,
            organisation: name.parse()?,
            role: Role::Platform,
            key: key(name).public().to_bytes(),
            epoch: 1,
            address: Some(format!("http://{name}.test")),
        })
    };
    let mut charter = Charter {
        quorums: Quorums { confirm: 2, dispute: 2, charter: 2, halt: 2 },
        // What is measured is a flood that no quota stops.
        quotas: Quotas {
            records_a_day: u64::MAX >> 1,
            severity4_acts_a_day: 20,
            retractions_an_hour: 20,
            disputes_a_day: 100,
        },
        ..Charter::founding("bench".parse()?, MEMBERS.iter().map(member).collect::<Result<_, _>>()?)
    };
    charter.sort();
    let hash = charter.hash();
    let approval = |name: &&str| {
        Ok::<_, Failed>(Approval { member: name.parse()?, signature: approve(&hash, &key(name)) })
    };
    let mut approvals = MEMBERS.iter().map(approval).collect::<Result<Vec<_>, _>>()?;
    approvals.sort_by(|a, b| a.member.cmp(&b.member));
    Ok(SignedCharter::new(charter, approvals)?)
}

async fn open(dir: &Path) -> Result<BTreeMap<&'static str, Arc<Node>>, Failed> {
    let charter = charter()?;
    let mut stores = BTreeMap::<&str, Arc<dyn Store>>::new();
    for name in MEMBERS {
        let store = SqliteStore::open(&dir.join(name), SqliteOptions::default())?;
        stores.insert(name, Arc::new(store));
    }
    let mut nodes = BTreeMap::new();
    for me in MEMBERS {
        let mut peers = BTreeMap::<MemberName, Arc<dyn Peer>>::new();
        for (name, store) in stores.iter().filter(|(name, _)| **name != me) {
            peers.insert(name.parse()?, Arc::new(Wire(store.clone())));
        }
        let trust = ["flood".parse()?, "honest".parse()?].into();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let node = Node::start(Setup {
            me: me.parse()?,
            key: Arc::new(key(me)),
            former_key: None,
            charter: charter.clone().into(),
            policy: Policy { trust, ..Policy::default() },
            store: stores[me].clone(),
            seen: SeenSetup::default(),
            peers,
            connectors: BTreeMap::new(),
            routes: Routes::default(),
            budgets: BTreeMap::new(),
            alone: false,
            clock,
            random: Arc::new(SystemRandom),
        });
        nodes.insert(me, node.await?);
    }
    for node in nodes.values() {
        while node.readiness() == Readiness::Recovering {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    Ok(nodes)
}

fn alert(number: u64) -> Result<NewAlert, Failed> {
    Ok(NewAlert {
        alert: Alert {
            kind: ContentKind::Image,
            signals: vec![picture(number)],
            labels: vec!["self_harm.suicide_depiction".parse()?],
            taxonomy: TAXONOMY_VERSION,
            confidence: 90,
            suggestion: Suggestion::Remove,
            exceptions: vec![],
            valid_until: SystemClock::default().now_ms() + 86_400_000,
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

/// Raises alerts of the honest member, one after the other; from the beginning of the report until the
/// reader would refuse an upload.
async fn honest(
    nodes: &BTreeMap<&str, Arc<Node>>,
    numbers: std::ops::Range<u64>,
) -> Result<Vec<Duration>, Failed> {
    let mut times = Vec::new();
    for number in numbers {
        let begun = Instant::now();
        nodes["honest"].raise(alert(number)?, None).await?;
        while nodes["reader"].judge(&[picture(number)]).verdict != Verdict::Block {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        times.push(begun.elapsed());
        tokio::time::sleep(EVERY).await;
    }
    times.sort_unstable();
    Ok(times)
}

/// Raises alerts as fast as the node takes them; how long that took.
async fn flood(node: Arc<Node>, alerts: u64) -> Result<Duration, Failed> {
    let begun = Instant::now();
    for first in (0..alerts).step_by(AT_ONCE as usize) {
        let mut all = tokio::task::JoinSet::new();
        for number in first..(first + AT_ONCE).min(alerts) {
            let (node, new) = (node.clone(), alert(1_000_000_000 + number)?);
            all.spawn(async move { node.raise(new, None).await });
        }
        while let Some(raised) = all.join_next().await {
            raised??;
        }
    }
    Ok(begun.elapsed())
}

fn ms(times: &[Duration], percent: usize) -> f64 {
    let at = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(at).map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
}

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let dir = option("--dir", "target/bench-flood");
    let (alerts, count): (u64, u64) =
        (option("--alerts", "100000").parse()?, option("--honest", "200").parse()?);
    std::fs::create_dir_all(&dir)?;
    let nodes = open(Path::new(&dir)).await?;
    let quiet = honest(&nodes, 0..count).await?;
    let flooding = tokio::spawn(flood(nodes["flood"].clone(), alerts));
    // It has to be under way, and the measurement over before it is.
    let folded = || nodes["reader"].receipts().here();
    let log = nodes["flood"].log().clone();
    while folded().get(&log).is_none_or(|size| *size < 1_000) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut during = Vec::new();
    let mut number = count;
    while !flooding.is_finished() && number < 3 * count {
        during.extend(honest(&nodes, number..number + 10).await?);
        number += 10;
    }
    let still = !flooding.is_finished();
    let took = flooding.await??;
    during.sort_unstable();
    let result = serde_json::json!({
        "alerts": alerts,
        "flood_a_second": alerts as f64 / took.as_secs_f64(),
        "flood_outlasted_the_measurement": still,
        "measured_quiet": quiet.len(),
        "measured_during": during.len(),
        "quiet_ms": {"p50": ms(&quiet, 50), "p90": ms(&quiet, 90), "p99": ms(&quiet, 99)},
        "during_ms": {"p50": ms(&during, 50), "p90": ms(&during, 90), "p99": ms(&during, 99)},
        "ratio_p50": ms(&during, 50) / ms(&quiet, 50),
        "ratio_p99": ms(&during, 99) / ms(&quiet, 99),
    });
    println!("{result}");
    for node in nodes.values() {
        node.stop().await;
    }
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}
