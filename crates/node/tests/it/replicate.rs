//! The boundary of trust between members: forks, forgeries, withheld records, cut wires, broken disks.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::StreamExt;
use tokio::sync::watch;
use watchfire_node::{
    Node, Readiness,
    desk::{Actor, Line},
    gossip::Heads,
    node::CharterDeed,
    peer::{Peer, PeerError},
    place::Place,
    publish::Asked,
    raise::RaiseError,
    receipts::{Effective, MAX_EXCEPT, MAX_MISSING, Receipts},
    replicate::TakeError,
    standing::{PROVISIONAL_MAX_MS, State},
};
use watchfire_signal::{
    charter::SignedCharter, commitment::Commitment, header::Review, name::LogName, value::Signal,
};
use watchfire_store::{MemoryStore, Store};
use watchfire_tlog::{Checkpoint, Extension, Hash, Origin, SignedCheckpoint, Source};

use crate::{
    coalition::{Cast, Stage, TestClock, TestPeer, alert, charter, key, log_name, name, start},
    faulty::{Disk, Fault, FaultyPeer, FaultyStore},
    logs::Logs,
};

const MEMBERS: [(&str, &str); 3] = [("ant", "a"), ("bee", "b"), ("cat", "c")];

type Peers = BTreeMap<watchfire_signal::name::MemberName, Arc<dyn Peer>>;

fn store() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

fn picture(byte: u8) -> Signal {
    crate::workshop::picture(byte)
}

fn wire(store: &Arc<dyn Store>) -> Arc<TestPeer> {
    Arc::new(TestPeer { store: store.clone(), up: watch::Sender::new(true) })
}

fn coalition() -> SignedCharter {
    charter(&MEMBERS, 2)
}

async fn member(me: &str, store: &Arc<dyn Store>, peers: Peers, seed: u64) -> Stage {
    let (charter, clock) = (coalition(), TestClock::new());
    let store = store.clone();
    start(Cast { me, charter: &charter, store, trust: &[], peers, clock, seed }).await
}

/// A member that nobody is linked to, with a store of its own.
async fn author(me: &str, seed: u64) -> (Stage, Arc<dyn Store>) {
    let store = store();
    (member(me, &store, BTreeMap::new(), seed).await, store)
}

async fn raise(stage: &Stage, byte: u8) -> Commitment {
    stage.node.raise(alert(vec![picture(byte)]), None).await.unwrap().commitment
}

async fn until(mut there: impl FnMut() -> bool) {
    while !there() {
        tokio::task::yield_now().await;
    }
}

async fn knows(node: &Node, case: &Commitment) {
    until(|| node.alert(case).is_some()).await;
}

fn origin(node: &Node, member: &str) -> Origin {
    Origin::new(node.charter().log_of(&name(member)).unwrap().to_string()).unwrap()
}

/// What a store hands out of a member's log from an index on.
async fn more(store: &Arc<dyn Store>, node: &Node, member: &str, from: u64) -> Extension {
    let mut stream = store.read(&origin(node, member)).follow(from).await.unwrap();
    stream.next().await.unwrap().unwrap()
}

#[tokio::test]
async fn a_log_that_does_not_begin_as_before_is_frozen_for_good_and_the_others_go_on() {
    let (bee, told) = author("bee", 1).await;
    let (other_bee, contradicted) = author("bee", 2).await;
    let (cat, cats) = author("cat", 3).await;
    let mine = store();
    let peers = |bees: &Arc<dyn Store>| -> Peers {
        BTreeMap::from([
            (name("bee"), wire(bees) as Arc<dyn Peer>),
            (name("cat"), wire(&cats) as Arc<dyn Peer>),
        ])
    };
    let believed = raise(&bee, 1).await;
    let ant = member("ant", &mine, peers(&told), 4).await;
    knows(&ant.node, &believed).await;
    ant.node.stop().await;

    // The same key signs another history, longer than the first.
    let mut lies = Vec::new();
    for byte in 2..5 {
        lies.push(raise(&other_bee, byte).await);
    }
    let ant = member("ant", &mine, peers(&contradicted), 5).await;
    let forked = loop {
        let proofs = ant.node.evidence(&log_name("bee")).await.unwrap();
        if !proofs.is_empty() {
            break proofs;
        }
        tokio::task::yield_now().await;
    };
    let bees = origin(&ant.node, "bee");
    assert!(forked[0].check(&bees, &key("bee").public()), "anyone can check it");
    assert!(!forked[0].check(&bees, &key("cat").public()));
    let of_cat = raise(&cat, 6).await;
    knows(&ant.node, &of_cat).await;
    assert!(lies.iter().all(|lie| ant.node.alert(lie).is_none()));
    assert!(ant.node.alert(&believed).is_some(), "what was said before stands");
    ant.node.stop().await;

    // It goes back to its first story: too late.
    raise(&bee, 7).await;
    let ant = member("ant", &mine, peers(&told), 6).await;
    let taken = ant.node.accept(&name("bee"), more(&told, &ant.node, "bee", 1).await).await;
    assert!(matches!(taken, Err(TakeError::Frozen(_))), "{taken:?}");
    let of_cat = raise(&cat, 8).await;
    knows(&ant.node, &of_cat).await;
    assert_eq!(ant.node.held().await.unwrap()[&name("bee")], 1);
    assert_eq!(ant.node.evidence(&log_name("bee")).await.unwrap(), forked);
}

#[tokio::test]
async fn two_heads_of_one_size_freeze_a_log() {
    let ((bee, told), (other_bee, contradicted)) = (author("bee", 1).await, author("bee", 2).await);
    let (ant, _) = author("ant", 3).await;
    let believed = raise(&bee, 1).await;
    let lie = raise(&other_bee, 2).await;
    let first = more(&told, &ant.node, "bee", 0).await;
    assert_eq!(ant.node.accept(&name("bee"), first).await.unwrap(), Some(1));
    let second = more(&contradicted, &ant.node, "bee", 0).await;
    let taken = ant.node.accept(&name("bee"), second).await;
    assert!(matches!(taken, Err(TakeError::Frozen(_))), "{taken:?}");
    knows(&ant.node, &believed).await;
    assert!(ant.node.alert(&lie).is_none());
    assert_eq!(ant.node.evidence(&log_name("bee")).await.unwrap().len(), 1);
}

#[tokio::test]
async fn nothing_under_a_forged_checkpoint_is_folded() {
    let (bee, bees) = author("bee", 1).await;
    let (ant, mine) = author("ant", 2).await;
    let case = raise(&bee, 1).await;
    let real = more(&bees, &ant.node, "bee", 0).await;
    let sign = |size: u64, root: Hash, signer: &str| {
        let checkpoint = Checkpoint { origin: origin(&ant.node, "bee"), size, root };
        SignedCheckpoint::sign(&checkpoint, &key(signer))
    };
    let root = real.entries[0].leaf_hash();
    for checkpoint in
        [sign(1, root, "cat"), sign(1, Hash([7; 32]), "bee"), SignedCheckpoint::new("")]
    {
        let forged = Extension { checkpoint, ..real.clone() };
        let taken = ant.node.accept(&name("bee"), forged).await;
        assert!(matches!(taken, Err(TakeError::Unproven(_))), "{taken:?}");
    }
    assert!(mine.held(&origin(&ant.node, "bee"), 0, 1).await.unwrap().is_empty());
    assert_eq!(ant.node.accept(&name("bee"), real).await.unwrap(), Some(1));
    knows(&ant.node, &case).await;
}

#[tokio::test]
async fn more_than_fits_between_two_checkpoints_is_refused_with_the_limit() {
    let (ant, _) = author("ant", 1).await;
    let mut frontier = watchfire_tlog::Frontier::new();
    let entries = (0..5_000_u32)
        .map(|number| watchfire_tlog::Entry::new(number.to_be_bytes().to_vec(), None))
        .inspect(|entry| frontier.append(entry.leaf_hash()))
        .collect();
    let checkpoint =
        Checkpoint { origin: origin(&ant.node, "bee"), size: 5_000, root: frontier.root() };
    let checkpoint = SignedCheckpoint::sign(&checkpoint, &key("bee"));
    let taken = ant.node.accept(&name("bee"), Extension { from: 0, entries, checkpoint }).await;
    assert!(matches!(taken, Err(TakeError::TooMuch { entries: 5_000, .. })), "{taken:?}");
}

#[tokio::test]
async fn what_cannot_be_read_brings_no_longer_a_record_than_its_leaf_says() {
    let (ant, store) = author("ant", 1).await;
    // A leaf of version 2 that says a body of one KiB: `{0: {0: 2, 15: 1}, 1: 32 bytes}`.
    let mut later = vec![0xa2, 0, 0x45, 0xa2, 0, 2, 15, 1, 1, 0x58, 32];
    later.extend([7; 32]);
    let entries: Vec<_> = [
        (b"no leaf at all".to_vec(), 1),
        (later.clone(), later.len() + 1_024),
        (later.clone(), later.len() + 1_025),
    ]
    .map(|(leaf, bytes)| watchfire_tlog::Entry::new(leaf, Some(vec![1; bytes].into())))
    .into();
    let mut frontier = watchfire_tlog::Frontier::new();
    entries.iter().for_each(|entry| frontier.append(entry.leaf_hash()));
    let bees = origin(&ant.node, "bee");
    let checkpoint = Checkpoint { origin: bees.clone(), size: 3, root: frontier.root() };
    let checkpoint = SignedCheckpoint::sign(&checkpoint, &key("bee"));
    let more = Extension { from: 0, entries, checkpoint };
    assert_eq!(ant.node.accept(&name("bee"), more).await.unwrap(), Some(3));
    let held = store.held(&bees, 0, 3).await.unwrap();
    let kept = held.iter().map(|held| held.entry.record.is_some()).collect::<Vec<_>>();
    assert_eq!(kept, [false, true, false]);
}

#[tokio::test]
async fn a_foreign_record_is_dropped_and_the_right_one_is_fetched_from_whoever_has_it() {
    let (bee, bees) = author("bee", 1).await;
    let case = raise(&bee, 1).await;
    raise(&bee, 2).await;
    // The author's node does not give the record, the other member gives a wrong one at first.
    let cats = store();
    let cat = member("cat", &cats, BTreeMap::from([(name("bee"), wire(&bees) as _)]), 2).await;
    knows(&cat.node, &case).await;
    let liar = FaultyPeer::new(&cats, Fault::WrongRecords);
    let stingy = FaultyPeer::new(&bees, Fault::Withholds);
    let mine = store();
    let (ant, _) = author("ant", 3).await;
    let mut withheld = more(&bees, &ant.node, "bee", 0).await;
    ant.node.stop().await;
    let stolen = withheld.entries[1].record.clone();
    withheld.entries[0].record = stolen;

    let peers =
        BTreeMap::from([(name("bee"), stingy as Arc<dyn Peer>), (name("cat"), liar.clone() as _)]);
    let ant = member("ant", &mine, peers, 4).await;
    ant.node.accept(&name("bee"), withheld).await.unwrap();
    knows(&ant.node, &case).await;
    let there = |node: &Node| node.alert(&case).unwrap().set.alert.is_some();
    let bees_log = origin(&ant.node, "bee");
    let record = async || mine.held(&bees_log, 0, 1).await.unwrap()[0].entry.record.clone();
    assert!(!there(&ant.node) && record().await.is_none(), "a hole");
    assert!(ant.node.judge(&[picture(1)]).reasons.is_empty());
    liar.fault.send_replace(Fault::None);
    until(|| there(&ant.node)).await;
    let right = bees.held(&bees_log, 0, 1).await.unwrap()[0].entry.record.clone();
    assert_eq!(record().await, right);
    assert!(!ant.node.judge(&[picture(1)]).reasons.is_empty(), "it is found now");
}

#[tokio::test]
async fn a_wire_that_was_cut_catches_up_when_it_stands_again() {
    let (bee, bees) = author("bee", 1).await;
    let wire = wire(&bees);
    let mine = store();
    let ant = member("ant", &mine, BTreeMap::from([(name("bee"), wire.clone() as _)]), 2).await;
    let before = raise(&bee, 1).await;
    knows(&ant.node, &before).await;
    wire.up.send_replace(false);
    until(|| ant.node.events().links().get(&name("bee")).is_some_and(|link| !link.up)).await;
    let during = raise(&bee, 2).await;
    assert!(ant.node.alert(&during).is_none());
    wire.up.send_replace(true);
    knows(&ant.node, &during).await;
}

/// A peer that fails, and tells which heads it holds all the same.
struct Telling(Arc<FaultyPeer>);

#[async_trait]
impl Peer for Telling {
    fn source(&self, log: &LogName) -> Arc<dyn Source> {
        self.0.source(log)
    }

    async fn push(&self, log: &LogName, more: &Extension) -> Result<u64, PeerError> {
        self.0.push(log, more).await
    }

    async fn receipt(&self, effective: &BTreeMap<LogName, Effective>) -> Result<(), PeerError> {
        self.0.receipt(effective).await
    }

    async fn receipts(&self) -> Result<BTreeMap<LogName, Effective>, PeerError> {
        self.0.receipts().await
    }

    async fn exchange(&self, _ours: &Heads) -> Result<Heads, PeerError> {
        let logs = self.0.store.logs().await.unwrap().into_iter();
        let heads =
            logs.filter_map(|head| Some((head.log.as_str().parse().ok()?, head.checkpoint)));
        Ok(Heads { heads: heads.collect(), ..Heads::default() })
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_stands_and_brings_nothing_is_opened_again_when_its_member_shows_more() {
    let (bee, bees) = author("bee", 1).await;
    let peer = FaultyPeer::new(&bees, Fault::Withholds);
    let telling = Arc::new(Telling(peer.clone())) as Arc<dyn Peer>;
    let ant = member("ant", &store(), BTreeMap::from([(name("bee"), telling)]), 2).await;
    until(|| ant.node.events().links().get(&name("bee")).is_some_and(|link| link.up)).await;
    let case = raise(&bee, 1).await;
    // Whoever opens it anew gets all; the stream that stands stays as it is.
    peer.fault.send_replace(Fault::None);
    for _ in 0..10 * 60 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(ant.node.alert(&case).is_some(), "not within ten minutes");
}

#[tokio::test]
async fn a_node_whose_desk_log_cannot_be_written_is_not_ready() {
    let disk = watch::Sender::new(Disk::Works);
    let broken = Arc::new(FaultyStore { store: store(), disk });
    let bee = member("bee", &(broken.clone() as Arc<dyn Store>), BTreeMap::new(), 1).await;
    broken.disk.send_replace(Disk::Fails);
    let line = || Line::new(&Actor::Node, &CharterDeed::Approved("ab".repeat(32))).unwrap();
    bee.node.desk().write(line()).await.unwrap_err();
    broken.disk.send_replace(Disk::Works);
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    bee.node.desk().write(line()).await.unwrap_err();
    let Readiness::Failed(why) = bee.node.readiness() else { panic!("it says that it is ready") };
    assert!(why.contains("desk log"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_disk_was_full_says_so_and_goes_on_when_there_is_room() {
    let disk = watch::Sender::new(Disk::Works);
    let broken = Arc::new(FaultyStore { store: store(), disk });
    let bees = broken.clone() as Arc<dyn Store>;
    let bee = member("bee", &bees, BTreeMap::new(), 1).await;
    let ant = BTreeMap::from([(name("bee"), wire(&bees) as _)]);
    let ant = member("ant", &store(), ant, 2).await;
    let first = raise(&bee, 1).await;
    broken.disk.send_replace(Disk::Full);
    let refused = bee.node.raise(alert(vec![picture(2)]), None).await.unwrap_err();
    assert!(refused.to_string().contains("the disk is full"), "{refused}");
    let Readiness::Failed(why) = bee.node.readiness() else { panic!("it says that it is ready") };
    assert!(why.contains("the disk is full"), "{why}");
    // Nothing is asked of it: it finds out by itself.
    broken.disk.send_replace(Disk::Works);
    while bee.node.readiness() != Readiness::Ready {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let third = raise(&bee, 3).await;
    let line = Line::new(&Actor::Node, &CharterDeed::Approved("ab".repeat(32))).unwrap();
    bee.node.desk().write(line).await.unwrap();
    for case in [first, third] {
        knows(&ant.node, &case).await;
    }
    assert_eq!(ant.node.held().await.unwrap()[&name("bee")], 2, "what was refused is nowhere");
}

#[tokio::test]
async fn what_the_disk_has_not_taken_no_follower_sees_and_no_caller_is_told() {
    let disk = watch::Sender::new(Disk::Works);
    let broken = Arc::new(FaultyStore { store: store(), disk });
    let bees = broken.clone() as Arc<dyn Store>;
    let bee = member("bee", &bees, BTreeMap::new(), 1).await;
    let mine = store();
    let ant = member("ant", &mine, BTreeMap::from([(name("bee"), wire(&bees) as _)]), 2).await;
    let first = raise(&bee, 1).await;
    knows(&ant.node, &first).await;

    broken.disk.send_replace(Disk::Hangs);
    let node = bee.node.clone();
    let raising = tokio::spawn(async move { node.raise(alert(vec![picture(2)]), None).await });
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert!(!raising.is_finished(), "nobody is told");
    assert_eq!(ant.node.held().await.unwrap()[&name("bee")], 1);
    broken.disk.send_replace(Disk::Fails);
    assert!(matches!(raising.await.unwrap(), Err(RaiseError::Publish(_))));
    until(|| matches!(bee.node.readiness(), Readiness::Failed(_))).await;
    broken.disk.send_replace(Disk::Works);
    let again = bee.node.raise(alert(vec![picture(3)]), None).await;
    assert!(again.is_err(), "it signs nothing more before a start has looked into the log");
    assert_eq!(ant.node.held().await.unwrap()[&name("bee")], 1);
}

#[tokio::test]
async fn two_requests_with_one_key_at_a_time_raise_one_alert() {
    let (bee, bees) = author("bee", 1).await;
    let asked = || Some(Asked { by: Actor::Node, key: Some(b"one key".to_vec()) });
    let raise = |byte| bee.node.raise(alert(vec![picture(byte)]), asked());
    let (one, other) = tokio::join!(raise(1), raise(1));
    assert_eq!(one.unwrap(), other.unwrap());
    assert_eq!(bees.logs().await.unwrap()[0].size, 1);
}

#[tokio::test]
async fn a_lapsed_case_stays_lapsed_when_the_clock_was_set_back_during_a_restart() {
    let (bee, bees) = author("bee", 1).await;
    let case = raise(&bee, 1).await;
    bee.clock.advance_ms(PROVISIONAL_MAX_MS + 1);
    raise(&bee, 2).await;
    assert_eq!(bee.node.alert(&case).unwrap().state, State::Lapsed);
    bee.node.stop().await;
    let bee = member("bee", &bees, BTreeMap::new(), 2).await;
    assert_eq!(bee.node.alert(&case).unwrap().state, State::Lapsed);
}

#[test]
fn a_receipt_covers_nothing_that_is_not_there_and_goes_back_with_its_member() {
    let receipts = Receipts::default();
    let log = coalition().charter.log_of(&name("ant")).unwrap();
    let bee = name("bee");
    let told = |size, held, told_ms| {
        let effective = Effective { size, ..Effective::default() };
        receipts.told((&bee, &log), &effective, (held, told_ms))
    };
    assert!(told(u64::MAX, 3, 10));
    assert_eq!(receipts.at(&bee, &log), Some(3));
    assert_eq!(receipts.effective_at(&bee, &log, 3), None, "there is no such entry yet");
    // Restored from a backup, the member holds less, and later more again.
    assert!(told(1, 4, 20));
    assert_eq!(receipts.effective_at(&bee, &log, 2), None);
    assert!(told(4, 4, 30));
    assert_eq!(receipts.effective_at(&bee, &log, 2), Some(30));
}

#[test]
fn a_receipt_excepts_what_is_missing_and_ends_before_what_it_has_no_room_to_except() {
    let receipts = Receipts::default();
    let log = coalition().charter.log_of(&name("ant")).unwrap();
    let bee = name("bee");
    let place = |index| Place { log: log.clone(), index };
    receipts.set_here(&log, 1_000);
    let excepted = MAX_EXCEPT as u64;
    (0..=excepted).for_each(|number| receipts.set_missing(&place(number * 2), true));
    let effective = receipts.effective()[&log].clone();
    assert_eq!((effective.size, effective.except.len()), (excepted * 2, MAX_EXCEPT));
    assert_eq!(receipts.here()[&log], 1_000, "it is folded all the same");
    receipts.set_missing(&place(4), false);
    let effective = receipts.effective()[&log].clone();
    assert_eq!((effective.size, effective.except.len()), (1_000, MAX_EXCEPT));
    assert_eq!(receipts.missing()[&log], excepted);
    assert!(receipts.is_effective_here(&place(4)) && !receipts.is_effective_here(&place(2)));

    // As another member hears it, which takes no more from anybody than it says itself.
    let told =
        |effective: &Effective, told_ms| receipts.told((&bee, &log), effective, (1_000, told_ms));
    assert!(told(&effective, 10) && !told(&effective, 11));
    let at = |index| receipts.effective_at(&bee, &log, index);
    assert_eq!((at(1), at(2), at(4)), (Some(10), None, Some(10)));
    let mut filled = effective.clone();
    filled.except.remove(&2);
    assert!(told(&filled, 20));
    assert_eq!((at(1), at(2), at(6)), (Some(10), Some(20), None));
    let all = Effective { size: 1_000, except: (0..1_000).collect() };
    assert!(told(&all, 30));
    assert_eq!(receipts.at(&bee, &log), Some(excepted));
    assert_eq!((at(1), at(excepted)), (None, None));
}

#[test]
fn what_is_missing_and_not_remembered_is_said_to_be_effective_by_no_receipt() {
    let receipts = Receipts::default();
    let log = coalition().charter.log_of(&name("ant")).unwrap();
    let place = |index| Place { log: log.clone(), index };
    let most = MAX_MISSING as u64;
    receipts.set_here(&log, most * 2);
    (0..=most).for_each(|index| receipts.set_missing(&place(index), true));
    (0..most).for_each(|index| receipts.set_missing(&place(index), false));
    assert_eq!(receipts.effective()[&log].size, most);
}

#[tokio::test(start_paused = true)]
async fn an_alert_is_not_called_effective_where_its_record_is_missing() {
    let mut logs = Logs::new();
    for _ in 0..2 {
        logs.assert("tiktok", Review::OneHuman);
    }
    let log = logs.log("tiktok");
    let whole: Arc<dyn Store> = Arc::new(MemoryStore::new());
    logs.write(&whole, "tiktok", 2).await;
    let record = logs.logs.get_mut(&log).unwrap()[1].entry.record.take().unwrap();
    let bare: Arc<dyn Store> = Arc::new(MemoryStore::new());
    logs.write(&bare, "tiktok", 2).await;
    let cast = |me, store, peers| Cast {
        me,
        charter: &logs.charter,
        store,
        trust: &[],
        peers,
        clock: TestClock::new(),
        seed: 1,
    };
    let tiktok = start(cast("tiktok", whole, BTreeMap::new())).await.node;
    let peer = TestPeer { store: bare.clone(), up: watch::Sender::new(true) };
    let peers = BTreeMap::from([(name("tiktok"), Arc::new(peer) as Arc<dyn Peer>)]);
    let google = start(cast("google", Arc::new(MemoryStore::new()), peers)).await.node;
    google.receipts().wait_here(&log, 2).await;
    let told = google.receipts().effective();
    assert_eq!(told[&log], Effective { size: 2, except: [1].into() });
    assert_eq!(google.receipts().missing()[&log], 1);
    let cases: Vec<_> = tiktok.alerts(None, 10).iter().map(|set| set.name).collect();
    let of = |node: &Arc<Node>, member: &str, index| {
        let views = cases.iter().filter_map(|case| node.alert(case));
        let mut views = views.filter(|view| view.set.place.index == index);
        views.next().unwrap().effective_at_ms[&name(member)]
    };
    tiktok.receipt(&name("google"), &told).await.unwrap();
    assert!(of(&tiktok, "google", 0).is_some() && of(&tiktok, "tiktok", 1).is_some());
    assert_eq!((of(&tiktok, "google", 1), of(&google, "google", 1)), (None, None));

    bare.fill(&Origin::new(log.to_string()).unwrap(), 1, record).await.unwrap();
    while !google.receipts().effective()[&log].except.is_empty() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    tiktok.receipt(&name("google"), &google.receipts().effective()).await.unwrap();
    assert!(of(&tiktok, "google", 1).is_some() && of(&google, "google", 1).is_some());
    assert_eq!(google.receipts().missing()[&log], 0);
}
