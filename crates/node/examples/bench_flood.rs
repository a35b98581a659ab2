//! Measures how much later the alerts of others count while one member floods:
//! `bench_flood --dir DIR [--alerts N] [--undone N] [--rate N] [--signed N] [--quota N] [--honest N] [--drain no]`, one
//! JSON object. After the alerts it takes so many of them back, again and again if that is more than there are.
//!
//! The flood is written beforehand, signed some alerts at a time as a node that is flooded signs them, and is then shown
//! to the others at a steady rate, as a member's node on a machine of its own would show it: what it costs to raise
//! is not measured. The two others are real nodes in this process, each with a store on the disk, linked without a
//! network: one raises an alert now and then, the other says when that counts. Measured before the flood and during it.
//! Then the flood is waited for, and counted is what came of it and what of it is enforced. The directory is made,
//! and is gone afterwards.
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

use std::{
    collections::BTreeMap,
    error::Error,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures_util::{StreamExt, future::try_join_all};
use watchfire_node::{
    Node, Readiness, Setup,
    charter::approve,
    clock::{Clock, SystemClock, SystemRandom},
    heads::Heads,
    peer::{Peer, PeerError},
    policy::{Policy, Verdict},
    publish::{Draft, Letterhead, Minutes, Publisher},
    raise::{NewAlert, alert_draft},
    receipts::Effective,
    routes::Routes,
    seen::SeenSetup,
    sequence::Sequencer,
};
use watchfire_signal::{
    alert::{Alert, ContentKind, Suggestion},
    charter::{Approval, Charter, Member, Quorums, Quotas, Role, SignedCharter},
    header::{CharterRef, Header, Provenance, Review, Target},
    label::TAXONOMY_VERSION,
    name::{GroupName, LogName, MemberName},
    pdq::Pdq,
    reason::Reason,
    statement::Statement,
    value::Signal,
    verb::Verb,
};
use watchfire_store::{Append, Batch, MemoryStore, SqliteOptions, SqliteStore, Store};
use watchfire_tlog::{Extension, Frontier, Origin, OwnKey, Source};

type Failed = Box<dyn Error + Send + Sync>;

const MEMBERS: [&str; 3] = ["flood", "honest", "reader"];
/// Those whose nodes run.
const NODES: [&str; 2] = ["honest", "reader"];
/// How long between two alerts of the honest member.
const EVERY: Duration = Duration::from_millis(50);
/// How long is measured at most while the flood is taken.
const A_MINUTE: Duration = Duration::from_mins(1);
/// From the number of a picture that nobody acts on to one that stands for it.
const NEXT: u64 = 1_000_000_000_000;
/// The first picture of the flood.
const FLOODED: u64 = 1_000_000_000;

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
    let hash = Pdq(std::array::from_fn(byte));
    // One of ten thousand is below the quality floor, and would say nothing.
    if !hash.is_balanced() {
        return picture(number + NEXT);
    }
    Signal { quality: Some(100), ..Signal::new(hash) }
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

    async fn receipt(&self, _effective: &BTreeMap<LogName, Effective>) -> Result<(), PeerError> {
        Ok(())
    }

    async fn receipts(&self) -> Result<BTreeMap<LogName, Effective>, PeerError> {
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

fn charter(records_a_day: u64) -> Result<SignedCharter, Failed> {
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
    let members = MEMBERS.iter().map(member).collect::<Result<_, _>>()?;
    let founding = Charter::founding("bench".parse()?, members);
    let mut charter = Charter {
        quorums: Quorums { confirm: 2, dispute: 2, charter: 2, halt: 2 },
        quotas: Quotas {
            records_a_day,
            severity4_acts_a_day: 20,
            retractions_an_hour: 20,
            disputes_a_day: 100,
            ..founding.quotas
        },
        ..founding
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

type Stores = BTreeMap<&'static str, Arc<dyn Store>>;

/// Starts the members whose nodes run.
async fn start(
    charter: &SignedCharter,
    stores: &Stores,
) -> Result<BTreeMap<&'static str, Arc<Node>>, Failed> {
    let mut nodes = BTreeMap::new();
    for me in NODES {
        let mut peers = BTreeMap::<MemberName, Arc<dyn Peer>>::new();
        for (name, store) in stores.iter().filter(|(name, _)| **name != me) {
            peers.insert(name.parse()?, Arc::new(Wire(store.clone())));
        }
        let trust = ["flood".parse()?, "honest".parse()?].into();
        let node = Node::start(Setup {
            me: me.parse()?,
            key: Arc::new(key(me)),
            former_key: None,
            charter: charter.clone().into(),
            policy: Policy { trust, ..Policy::default() },
            store: stores[me].clone(),
            seen: SeenSetup::default(),
            over: None,
            peers,
            connectors: BTreeMap::new(),
            routes: Routes::default(),
            budgets: BTreeMap::new(),
            alone: false,
            clock: Arc::new(SystemClock::default()),
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
/// reader would refuse an upload, and of that until the honest member's own node has answered.
async fn honest(
    nodes: &BTreeMap<&str, Arc<Node>>,
    numbers: std::ops::Range<u64>,
) -> Result<Vec<(Duration, Duration)>, Failed> {
    let (mut times, log) = (Vec::new(), nodes["honest"].log());
    for number in numbers {
        let (new, picture) = (alert(number)?, picture(number));
        let begun = Instant::now();
        let published = nodes["honest"].raise(new, None).await?;
        let raised = begun.elapsed();
        nodes["reader"].receipts().wait_here(log, published.index + 1).await;
        if nodes["reader"].judge(&[picture]).verdict != Verdict::Block {
            return Err("an alert was folded and says nothing".into());
        }
        times.push((begun.elapsed(), raised));
        tokio::time::sleep(EVERY).await;
    }
    Ok(times)
}

/// Takes an alert back.
fn undoing(alert: Draft, log: &LogName, index: u64) -> Draft {
    let header = Header {
        verb: Verb::Retract,
        provenance: Provenance::None,
        reason: Some(Reason::WrongMatch),
        severity: None,
        target: Some(Target { log: log.clone(), index }),
        lease_day: None,
        review: None,
        ..alert.header
    };
    let statement = Statement::Retract { restore: true, note: None };
    Draft { header, statement, asked: None, within_quota: false }
}

/// Writes the flood, as its author's node would; answers it step by step, a signed head each, and which picture each
/// entry is of.
async fn prepare(
    charter: &SignedCharter,
    (alerts, undone, signed): (u64, u64, u64),
) -> Result<(Vec<Extension>, Vec<u64>), Failed> {
    let charter = &charter.charter;
    let log = charter.log_of(&"flood".parse()?).ok_or("no such member")?;
    let origin = Origin::new(log.to_string())?;
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let reference = CharterRef { seq: charter.seq, hash: charter.hash() };
    let minutes = Minutes::after(0, clock.clone());
    let random = Arc::new(SystemRandom);
    let sealer = Letterhead { log: log.clone(), charter: reference, random, minutes, quotas: None };
    let (key, frontier) = (Arc::new(key("flood")), Frontier::new());
    let (publisher, drafts) = Publisher::new();
    let sequencer =
        Sequencer { origin: origin.clone(), key, sealer, frontier, store: store.clone(), clock };
    let written = tokio::spawn(sequencer.run(drafts));
    let (mut steps, mut pictures) = (Vec::new(), vec![0; usize::try_from(alerts + undone)?]);
    for first in (0..alerts + undone).step_by(signed as usize) {
        let mut said = Vec::new();
        for number in first..(first + signed).min(alerts + undone) {
            let picture = FLOODED + number % alerts;
            let draft = alert_draft(charter, &log, alert(picture)?, None)?;
            let again = number.checked_sub(alerts).map(|undone| undone % alerts);
            said.push(publisher.write(match again {
                Some(index) => undoing(draft, &log, index),
                None => draft,
            }));
        }
        for (number, said) in (first..).zip(try_join_all(said).await?) {
            pictures[usize::try_from(said.index)?] = FLOODED + number % alerts;
        }
        let mut more = store.read(&origin).follow(first).await?;
        steps.push(more.next().await.ok_or("the log ended")??);
    }
    drop(publisher);
    written.await?;
    Ok((steps, pictures))
}

/// Shows the flood at a steady rate; how long that took.
async fn flood(
    store: Arc<dyn Store>,
    log: LogName,
    steps: Vec<Extension>,
    rate: f64,
) -> Result<Duration, Failed> {
    let (begun, log) = (Instant::now(), Origin::new(log.to_string())?);
    for Extension { from: size, entries, checkpoint } in steps {
        let due = Duration::from_secs_f64(size as f64 / rate);
        tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
        let leaf_hashes = entries.iter().map(|entry| entry.leaf_hash()).collect();
        let (log, verified_ms) = (log.clone(), SystemClock::default().now_ms());
        let append = Append { log, size, entries, leaf_hashes, checkpoint, verified_ms };
        store.commit(Batch { append: Some(append), ..Batch::default() }).await?;
    }
    Ok(begun.elapsed())
}

/// How many alerts of the flood a member refuses uploads for, of those within the quota and of those beyond.
fn enforced(node: &Node, pictures: &[u64], quota: u64) -> serde_json::Value {
    let blocks = |number: &&u64| node.judge(&[picture(**number)]).verdict == Verdict::Block;
    let quota = usize::try_from(quota).unwrap_or(usize::MAX);
    let (within, beyond) = pictures.split_at(quota.min(pictures.len()));
    serde_json::json!({
        "within_quota": within.iter().filter(blocks).count(),
        "beyond_quota": beyond.iter().filter(blocks).count(),
    })
}

/// The milliseconds below which so many percent of some times are.
fn ms(times: impl Iterator<Item = Duration>, percent: usize) -> f64 {
    let mut times: Vec<_> = times.collect();
    times.sort_unstable();
    let at = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(at).map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
}

/// Milliseconds until alerts counted, and of that until they were answered.
fn summary(times: &[(Duration, Duration)]) -> serde_json::Value {
    let percents = |of: fn(&(Duration, Duration)) -> Duration| {
        let at = |percent| ms(times.iter().map(of), percent);
        serde_json::json!({"p50": at(50), "p90": at(90), "p99": at(99)})
    };
    serde_json::json!({
        "measured": times.len(),
        "counted": percents(|time| time.0),
        "answered": percents(|time| time.1),
    })
}

/// Waits for all of the flood at both members; what came of it.
async fn drain(
    nodes: &BTreeMap<&str, Arc<Node>>,
    (log, pictures, quota): (&LogName, &[u64], u64),
    entries: u64,
) -> serde_json::Value {
    let begun = Instant::now();
    for node in nodes.values() {
        node.receipts().wait_here(log, entries).await;
    }
    let took = begun.elapsed();
    let enforced: BTreeMap<_, _> =
        nodes.iter().map(|(name, node)| (name, enforced(node, pictures, quota))).collect();
    serde_json::json!({
        "all_arrived_s_after_its_end": took.as_secs_f64(),
        "enforced": enforced,
    })
}

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let dir = option("--dir", "target/bench-flood");
    let number = |name, default: &str| option(name, default).parse::<u64>();
    let (alerts, count) = (number("--alerts", "100000")?, number("--honest", "200")?);
    // 100,000 in a minute, and the quota of a charter that says nothing else.
    let (rate, quota) = (number("--rate", "1667")?, number("--quota", "100000")?);
    // Under one signed head: what is raised while a commit of a few milliseconds runs; 256 at most where nobody cheats.
    let (signed, undone) = (number("--signed", "16")?, number("--undone", "0")?);
    let entries = alerts + undone;
    std::fs::create_dir_all(&dir)?;
    let charter = charter(quota)?;
    let mut stores = Stores::from([("flood", Arc::new(MemoryStore::new()) as Arc<dyn Store>)]);
    for name in NODES {
        let store = SqliteStore::open(&Path::new(&dir).join(name), SqliteOptions::default())?;
        stores.insert(name, Arc::new(store));
    }
    let (steps, mut pictures) = prepare(&charter, (alerts, undone, signed)).await?;
    // Each alert once.
    pictures.truncate(usize::try_from(alerts)?);
    let nodes = start(&charter, &stores).await?;
    let quiet = honest(&nodes, 0..count).await?;
    let log = charter.charter.log_of(&"flood".parse()?).ok_or("no such member")?;
    let flooding = tokio::spawn(flood(stores["flood"].clone(), log.clone(), steps, rate as f64));
    // It has to be under way, and the measurement over before it is.
    while nodes["reader"].receipts().here().get(&log).is_none_or(|size| *size < 1_000) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (mut during, mut next, begun) = (Vec::new(), count, Instant::now());
    let taken = || nodes["reader"].receipts().here().get(&log) == Some(&entries);
    while !flooding.is_finished() || (!taken() && begun.elapsed() < A_MINUTE) {
        during.extend(honest(&nodes, next..next + 10).await?);
        next += 10;
    }
    let (took, measured_for) = (flooding.await??, begun.elapsed());
    let held = nodes["reader"].receipts().here().get(&log).copied().unwrap_or(0);
    let of = |times: &[(Duration, Duration)], percent| ms(times.iter().map(|time| time.0), percent);
    let ratio = |percent| of(&during, percent) / of(&quiet, percent);
    let ratios = serde_json::json!({"p50": ratio(50), "p90": ratio(90), "p99": ratio(99)});
    let mut result = serde_json::json!({
        "alerts": alerts,
        "undone": undone,
        "quota": quota,
        "flood_a_second": entries as f64 / took.as_secs_f64(),
        "measured_for_s": measured_for.as_secs_f64(),
        "taken_meanwhile": held,
        "quiet_ms": summary(&quiet),
        "during_ms": summary(&during),
        "ratio": ratios,
    });
    if option("--drain", "yes") == "yes" {
        result["afterwards"] = drain(&nodes, (&log, &pictures, quota), entries).await;
    }
    println!("{result}");
    for node in nodes.values() {
        node.stop().await;
    }
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}
