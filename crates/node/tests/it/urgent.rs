//! A retraction overtakes the alerts before it, also through a crash.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream, stream::BoxStream};
use tokio::sync::watch;
use watchfire_node::{
    heads::Heads,
    peer::{Peer, PeerError},
    policy::Verdict,
    raise::Answer,
    receipts::Effective,
    replicate::TURN,
    standing::State,
    urgent::{Places, is_urgent},
};
use watchfire_signal::{
    charter::SignedCharter,
    header::{Review, Target},
    name::{ItemId, LogName},
    reason::Reason,
    record::Leaf,
    value::Signal,
};
use watchfire_store::{MemoryStore, SqliteOptions, SqliteStore, Store, Table};
use watchfire_tlog::{
    Entry, Extension, Hash, Origin, PeerKey, SignedCheckpoint, Source, SourceError, Urgent,
};

use crate::{
    coalition::{Author, Cast, Stage, TestClock, alert, charter, charter_with, key, name, start},
    logs::Logs,
    scenarios::{picture, scene, until_hidden},
};

const TWO: [(&str, &str); 2] = [("tiktok", "bytedance"), ("reddit", "advance")];
/// Alerts that wait on the wire; the last one is retracted.
const ALERTS: u64 = 300;
/// How far the reader gets before it crashes.
const HALF: u64 = 100;

/// A member whose log comes slowly: entries up to a gate, and what is urgent at once.
struct SlowPeer {
    store: Arc<dyn Store>,
    /// The log as its readers got it, live: a step for each record.
    steps: Arc<Vec<Extension>>,
    gate: watch::Sender<u64>,
    /// Whether it says what is urgent.
    hurries: bool,
}

struct SlowSource {
    source: Arc<dyn Source>,
    steps: Arc<Vec<Extension>>,
    hurries: bool,
    log: LogName,
    key: PeerKey,
    gate: watch::Receiver<u64>,
}

#[async_trait]
impl Source for SlowSource {
    async fn checkpoint(&self) -> Result<Option<SignedCheckpoint>, SourceError> {
        self.source.checkpoint().await
    }

    async fn entries(&self, from: u64, to: u64) -> Result<Vec<Entry>, SourceError> {
        self.source.entries(from, to).await
    }

    async fn hashes(&self, level: u8, from: u64, to: u64) -> Result<Vec<Hash>, SourceError> {
        self.source.hashes(level, from, to).await
    }

    async fn follow(
        &self,
        from: u64,
    ) -> Result<BoxStream<'static, Result<Extension, SourceError>>, SourceError> {
        let later = self.steps.iter().filter(|step| step.from >= from).cloned();
        let gate = self.gate.clone();
        let slow = stream::iter(later.collect::<Vec<_>>()).then(move |more| {
            let mut gate = gate.clone();
            async move {
                let end = more.from + more.entries.len() as u64;
                let _over = gate.wait_for(|gate| *gate >= end).await;
                Ok(more)
            }
        });
        Ok(slow.chain(stream::pending()).boxed())
    }

    async fn records(&self, indices: &[u64]) -> Result<Vec<Option<Bytes>>, SourceError> {
        self.source.records(indices).await
    }

    async fn urgent(&self, held: u64, from: u64) -> Result<Vec<Urgent>, SourceError> {
        let head = self.source.checkpoint().await?.filter(|_| self.hurries);
        let Some(head) = head else { return Ok(Vec::new()) };
        let size =
            head.verify(&Origin::new(self.log.to_string()).unwrap(), &self.key).unwrap().size;
        let places = Places::default();
        for (index, entry) in (0..).zip(self.source.entries(0, size).await?) {
            if Leaf::decode(&entry.leaf).is_ok_and(|leaf| is_urgent(&leaf)) {
                places.note(&self.log, index);
            }
        }
        let found = places.answer(&self.log, &*self.source, (&head, size), (held, from)).await;
        found.map_err(|error| SourceError::Broken(error.to_string()))
    }
}

#[async_trait]
impl Peer for SlowPeer {
    fn source(&self, log: &LogName) -> Arc<dyn Source> {
        let source = self.store.read(&Origin::new(log.to_string()).unwrap());
        let key = key(log.member.as_str()).public();
        let (hurries, gate) = (self.hurries, self.gate.subscribe());
        let ours = log.member.as_str() == "tiktok";
        let steps = if ours { self.steps.clone() } else { Arc::default() };
        Arc::new(SlowSource { source, steps, hurries, log: log.clone(), key, gate })
    }

    async fn push(&self, _log: &LogName, _more: &Extension) -> Result<u64, PeerError> {
        Err(PeerError("nobody is behind NAT here".to_owned()))
    }

    async fn receipt(&self, _effective: &BTreeMap<LogName, Effective>) -> Result<(), PeerError> {
        Ok(())
    }

    async fn exchange(&self, _ours: &Heads) -> Result<Heads, PeerError> {
        Err(PeerError("says nothing of heads".to_owned()))
    }

    async fn receipts(&self) -> Result<BTreeMap<LogName, Effective>, PeerError> {
        Err(PeerError("nobody is behind NAT here".to_owned()))
    }
}

/// Reddit, which trusts nobody, over a store.
async fn reddit_on(charter: &SignedCharter, store: Arc<dyn Store>, peer: SlowPeer) -> Stage {
    start(Cast {
        me: "reddit",
        charter,
        store,
        trust: &[],
        peers: BTreeMap::from([(name("tiktok"), Arc::new(peer) as Arc<dyn Peer>)]),
        clock: TestClock::new(),
        seed: 2,
    })
    .await
}

/// Reddit, which trusts tiktok, with a store in a folder.
async fn reader(folder: &Path, peer: SlowPeer) -> Stage {
    start(Cast {
        me: "reddit",
        charter: &charter(&TWO, 1),
        store: Arc::new(SqliteStore::open(folder, SqliteOptions::default()).unwrap()),
        trust: &["tiktok"],
        peers: BTreeMap::from([(name("tiktok"), Arc::new(peer) as Arc<dyn Peer>)]),
        clock: TestClock::new(),
        seed: 7,
    })
    .await
}

/// What is on the disk.
fn copied(folder: &Path) -> tempfile::TempDir {
    let image = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap();
        if file.file_type().unwrap().is_file() {
            std::fs::copy(file.path(), image.path().join(file.file_name())).unwrap();
        }
    }
    image
}

/// What tiktok says from now on.
async fn live(author: &Arc<dyn Store>) -> BoxStream<'static, Result<Extension, SourceError>> {
    live_under(author, &charter(&TWO, 1)).await
}

async fn live_under(
    author: &Arc<dyn Store>,
    charter: &SignedCharter,
) -> BoxStream<'static, Result<Extension, SourceError>> {
    let log = charter.charter.log_of(&name("tiktok")).unwrap();
    author.read(&Origin::new(log.to_string()).unwrap()).follow(0).await.unwrap()
}

fn clip(number: u64) -> Vec<Signal> {
    vec![picture(scene(number))]
}

async fn hold(stage: &Stage) {
    for number in [HALF / 2, ALERTS - 2, ALERTS - 1] {
        let id: ItemId = format!("held:{number}").parse().unwrap();
        stage.node.scan(id, clip(number)).await;
    }
}

#[tokio::test]
async fn what_was_retracted_before_it_came_never_acts_also_after_a_crash() {
    let author: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let tiktok = start(Cast {
        me: "tiktok",
        charter: &charter(&TWO, 1),
        store: author.clone(),
        trust: &[],
        peers: BTreeMap::new(),
        clock: TestClock::new(),
        seed: 1,
    })
    .await;
    let mut told = live(&author).await;
    let (mut steps, mut last) = (Vec::new(), None);
    for number in 0..ALERTS {
        last = Some(tiktok.node.raise(alert(clip(number)), None).await.unwrap().commitment);
        steps.push(told.next().await.unwrap().unwrap());
    }
    let retracted = last.unwrap();
    let retract = Answer::Retract { reason: Reason::WrongMatch, restore: true, note: None };
    tiktok.node.answer(&retracted, retract, None).await.unwrap();
    steps.push(told.next().await.unwrap().unwrap());
    let steps = Arc::new(steps);

    let folder = tempfile::tempdir().unwrap();
    let gate = watch::Sender::new(0);
    let peer = |hurries| SlowPeer {
        store: author.clone(),
        steps: steps.clone(),
        gate: gate.clone(),
        hurries,
    };
    let before = reader(folder.path(), peer(true)).await;
    // Held before the alert comes: an upload that is refused is not.
    hold(&before).await;
    gate.send_replace(HALF);
    until_hidden(&before, &[format!("held:{}", HALF / 2)], true).await;
    before.node.stop().await;
    let image = copied(folder.path());

    // The second run gets the rest of the log, in which the retraction comes last, and nobody tells it
    // what is urgent: it knows from before.
    let after = reader(image.path(), peer(false)).await;
    hold(&after).await;
    assert!(after.node.alert(&retracted).is_none(), "the alert itself is still on the wire");
    gate.send_replace(ALERTS);
    until_hidden(&after, &[format!("held:{}", ALERTS - 2)], true).await;
    while after.node.alert(&retracted).is_none() {
        tokio::task::yield_now().await;
    }
    // The dense stream stops before the retraction: only what came ahead of its turn can say so.
    assert_eq!(after.node.alert(&retracted).unwrap().state, State::Retracted);
    assert_eq!(after.node.judge(&clip(ALERTS - 1)).verdict, Verdict::Allow);
    let orders = after.platform.orders.lock().unwrap().clone();
    let wrong = format!("held:{}", ALERTS - 1);
    assert!(orders.iter().all(|order| !format!("{order:?}").contains(&wrong)), "{orders:?}");

    gate.send_replace(u64::MAX);
    while after.node.held().await.unwrap()[&name("tiktok")] <= ALERTS {
        tokio::task::yield_now().await;
    }
    assert_eq!(after.node.alert(&retracted).unwrap().state, State::Retracted);
}

#[tokio::test]
async fn what_came_early_is_kept_until_its_turn_and_no_longer() {
    let author: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let charter = charter(&TWO, 1);
    let cast = |me, store, peers, seed| Cast {
        me,
        charter: &charter,
        store,
        trust: &[],
        peers,
        clock: TestClock::new(),
        seed,
    };
    let tiktok = start(cast("tiktok", author.clone(), BTreeMap::new(), 1)).await;
    let (mut told, mut steps) = (live(&author).await, Vec::new());
    for number in 0..4 {
        let raised = tiktok.node.raise(alert(clip(number)), None).await.unwrap().commitment;
        steps.push(told.next().await.unwrap().unwrap());
        let retract = Answer::Retract { reason: Reason::WrongMatch, restore: true, note: None };
        tiktok.node.answer(&raised, retract, None).await.unwrap();
        steps.push(told.next().await.unwrap().unwrap());
    }
    let (gate, steps) = (watch::Sender::new(1), Arc::new(steps));
    let peer = SlowPeer { store: author.clone(), steps, gate: gate.clone(), hurries: true };
    let peers = BTreeMap::from([(name("tiktok"), Arc::new(peer) as Arc<dyn Peer>)]);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let reddit = start(cast("reddit", store.clone(), peers, 2)).await;
    let kept = || async { store.rows(Table::Ledger("early"), &[], 10).await.unwrap().len() };
    while kept().await < 4 {
        tokio::task::yield_now().await;
    }
    gate.send_replace(u64::MAX);
    while kept().await > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(reddit.node.held().await.unwrap()[&name("tiktok")], 8);
}

#[tokio::test(start_paused = true)]
async fn a_retraction_overtakes_what_is_taken_slowly_because_it_is_beyond_a_quota() {
    let (quota, beyond) = (10, 1_000_u64);
    let charter = charter_with(&TWO, 1, |charter| charter.quotas.records_a_day = quota);
    let clock = TestClock::new();
    let cast = |me, store, peers, seed| Cast {
        me,
        charter: &charter,
        store,
        trust: &["tiktok"],
        peers,
        clock: clock.clone(),
        seed,
    };
    let author: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let written = Author::new(&charter, "tiktok", &author, &clock);
    let (mut told, mut steps, mut first) = (live_under(&author, &charter).await, Vec::new(), None);
    for number in 0..quota + beyond {
        first.get_or_insert(written.raise(alert(clip(number))).await.commitment);
        steps.push(told.next().await.unwrap().unwrap());
    }
    let tiktok = start(cast("tiktok", author.clone(), BTreeMap::new(), 1)).await;
    let (gate, steps) = (watch::Sender::new(u64::MAX), Arc::new(steps));
    let peer = SlowPeer { store: author.clone(), steps, gate, hurries: true };
    let peers = BTreeMap::from([(name("tiktok"), Arc::new(peer) as Arc<dyn Peer>)]);
    let reddit = start(cast("reddit", Arc::new(MemoryStore::new()), peers, 2)).await;
    let held =
        async || reddit.node.held().await.unwrap().get(&name("tiktok")).copied().unwrap_or(0);
    while held().await <= quota {
        tokio::task::yield_now().await;
    }
    assert_eq!(reddit.node.judge(&clip(0)).verdict, Verdict::Block);
    let retract = Answer::Retract { reason: Reason::WrongMatch, restore: true, note: None };
    let begun = tokio::time::Instant::now();
    tiktok.node.answer(&first.unwrap(), retract, None).await.unwrap();
    let counts = async {
        while reddit.node.judge(&clip(0)).verdict == Verdict::Block {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(60), counts).await.is_ok(), "never");
    let (took, held) = (begun.elapsed(), held().await);
    assert!(held < quota + beyond, "it came after all of the flood: {held}");
    // It is asked for four times a second.
    assert!(took < Duration::from_millis(400), "{took:?}");
}

#[tokio::test]
async fn a_retraction_that_is_erased_before_its_turn_loses_its_record_and_holds_nothing_up() {
    let mut logs = Logs::under(charter(&TWO, 1));
    let (_, hidden) = logs.assert("tiktok", Review::OneHuman);
    let (wrong, target) = logs.assert("tiktok", Review::OneHuman);
    logs.erase("tiktok", &hidden);
    logs.retract("tiktok", &target);
    let retraction = Target { log: target.log.clone(), index: 3 };
    logs.erase("tiktok", &retraction);
    let author: Arc<dyn Store> = Arc::new(MemoryStore::new());
    logs.write(&author, "tiktok", 1).await;
    let (gate, steps) = (watch::Sender::new(2), Arc::new(logs.steps("tiktok", 1)));
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let reader = || {
        let (steps, gate) = (steps.clone(), gate.clone());
        let peer = SlowPeer { store: author.clone(), steps, gate, hurries: true };
        reddit_on(&logs.charter, store.clone(), peer)
    };
    let origin = Origin::new(target.log.to_string()).unwrap();
    let has_record = async |index| {
        let held = store.held(&origin, index, 1).await.unwrap();
        held.first().is_some_and(|held| held.entry.record.is_some())
    };
    // Its leaf alone, after the time and the length.
    let bare = 12 + logs.logs[&target.log][3].entry.leaf.len();
    let kept = async || store.rows(Table::Ledger("early"), &[], 10).await.unwrap();
    let reddit = reader().await;
    while kept().await.get(1).is_none_or(|(_, row)| row.len() != bare) || has_record(0).await {
        tokio::task::yield_now().await;
    }
    // Still to come in its turn, also for the next run.
    reddit.node.stop().await;
    let reddit = reader().await;
    assert_eq!(reddit.node.alert(&wrong).unwrap().state, State::Retracted);
    assert_eq!(kept().await[1].1.len(), bare);
    gate.send_replace(u64::MAX);
    while !kept().await.is_empty() || has_record(3).await {
        tokio::task::yield_now().await;
    }
    assert_eq!(reddit.node.alert(&wrong).unwrap().state, State::Retracted);
    assert!(has_record(1).await);
}

#[tokio::test]
async fn a_retraction_at_the_end_of_a_burst_waits_for_none_of_it() {
    const BURST: u64 = 3_000;
    let mut logs = Logs::under(charter(&TWO, 1));
    let (wrong, target) = logs.assert("tiktok", Review::OneHuman);
    (1..BURST).for_each(|_| drop(logs.assert("tiktok", Review::OneHuman)));
    logs.retract("tiktok", &target);
    let author: Arc<dyn Store> = Arc::new(MemoryStore::new());
    // All of it comes at once, and nobody is asked what is urgent.
    logs.write(&author, "tiktok", 4_096).await;
    let steps = Arc::new(logs.steps("tiktok", 4_096));
    let peer =
        SlowPeer { store: author, steps, gate: watch::Sender::new(u64::MAX), hurries: false };
    let reddit = reddit_on(&logs.charter, Arc::new(MemoryStore::new()), peer).await;
    let retracted =
        || reddit.node.alert(&wrong).is_some_and(|alert| alert.state == State::Retracted);
    while !retracted() {
        tokio::task::yield_now().await;
    }
    let folded = reddit.node.receipts().here()[&target.log];
    assert!(folded <= 8 * TURN as u64, "{folded} were folded before");
    reddit.node.receipts().wait_here(&target.log, BURST + 1).await;
    assert!(retracted());
}

#[tokio::test]
async fn a_halt_that_comes_ahead_of_its_turn_shows_at_once() {
    let members = [("tiktok", "bytedance"), ("reddit", "advance"), ("google", "alphabet")];
    let mut logs = Logs::under(charter(&members, 1));
    logs.assert("tiktok", Review::OneHuman);
    logs.halt_member("tiktok", "google");
    let author: Arc<dyn Store> = Arc::new(MemoryStore::new());
    logs.write(&author, "tiktok", 1).await;
    let steps = Arc::new(logs.steps("tiktok", 1));
    let peer = SlowPeer { store: author, steps, gate: watch::Sender::new(0), hurries: true };
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let reddit = reddit_on(&logs.charter, store.clone(), peer).await;
    while store.rows(Table::Ledger("early"), &[], 10).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    // Nothing else is folded that would have it shown.
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    let halted_by = reddit.node.stops_of(&name("google")).halted_by;
    assert!(halted_by.contains_key(&name("tiktok")));
    assert_eq!(reddit.node.held().await.unwrap().get(&name("tiktok")), None);
}
