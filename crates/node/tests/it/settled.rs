//! A member that showed two histories of its log is no member any more: what the charter accepts of its log is what everybody
//! holds of it, whatever they were shown.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::sync::watch;
use watchfire_node::{
    Node, Setup,
    charter::{
        approve,
        draft::{Ends, next},
    },
    node::Handover,
    peer::Peer,
    raise::Answer,
    standing::State,
};
use watchfire_signal::{
    charter::{Approval, CharterChain, SignedCharter},
    commitment::Commitment,
    name::LogName,
    reason::Reason,
    statement::Head,
};
use watchfire_store::{Batch, MemoryStore, Row, Store, Table};
use watchfire_tlog::Origin;

use crate::{
    coalition::{
        Cast, Stage, TestClock, TestPeer, alert, charter, key, log_name, name, setup, start,
    },
    faulty::{Fault, FaultyPeer},
    workshop::picture,
};

const FOUR: [(&str, &str); 4] =
    [("ant", "ants"), ("bee", "bees"), ("cat", "cats"), ("dog", "dogs")];

/// What `cat` has shown: the same to all at first, then one thing to `ant` and another to `bee`; `dog` has heard nothing since.
struct Fork {
    first: SignedCharter,
    stores: BTreeMap<&'static str, MemoryStore>,
    common: Commitment,
    to_ant: [Commitment; 2],
    to_bee: Commitment,
}

/// A member whose node answers what is urgent, as over the wire, and who perhaps shows something else than it has.
fn hurrying(store: &MemoryStore, shown: &MemoryStore, node: &Arc<Node>) -> Arc<dyn Peer> {
    Arc::new(FaultyPeer {
        store: Arc::new(store.clone()),
        shown: Arc::new(shown.clone()),
        urgent: Some(node.clone()),
        fault: watch::Sender::new(Fault::None),
    })
}

fn plain(store: &MemoryStore) -> Arc<dyn Peer> {
    let store = Arc::new(store.clone());
    Arc::new(TestPeer { store, up: watch::Sender::new(true) })
}

async fn cat(first: &SignedCharter, store: &MemoryStore, seed: u64) -> Stage {
    let (store, clock, peers) = (Arc::new(store.clone()), TestClock::new(), BTreeMap::new());
    start(Cast { me: "cat", charter: first, store, trust: &[], peers, clock, seed }).await
}

async fn raise(stage: &Stage, byte: u8) -> Commitment {
    stage.node.raise(alert(vec![picture(byte)]), None).await.unwrap().commitment
}

async fn fork() -> Fork {
    let first = charter(&FOUR, 2);
    let lair = MemoryStore::new();
    let one = cat(&first, &lair, 1).await;
    let common = raise(&one, 1).await;
    one.node.stop().await;
    let (dog, other) = (lair.backup(), lair.backup());
    let one = cat(&first, &lair, 2).await;
    let to_ant = [raise(&one, 2).await, raise(&one, 3).await];
    let two = cat(&first, &other, 3).await;
    let to_bee = raise(&two, 5).await;
    let undo = Answer::Retract { reason: Reason::WrongMatch, restore: true, note: None };
    two.node.answer(&common, undo, None).await.unwrap();
    // What they have copied of it is what it has written.
    let stores = BTreeMap::from([("ant", lair.backup()), ("bee", other.backup()), ("dog", dog)]);
    Fork { first, stores, common, to_ant, to_bee }
}

impl Fork {
    /// The chain in which `cat` is gone, and what one of the others holds of its log is accepted.
    async fn without_cat(&self, as_held_by: &str) -> CharterChain {
        let (log, origin) = (log_name("cat"), origin());
        let source = self.stores[as_held_by].read(&origin);
        let signs = key("cat").public();
        let head = source.checkpoint().await.unwrap().unwrap().verify(&origin, &signs).unwrap();
        let ends = Ends::from([(log, Head { size: head.size, root: head.root.0 })]);
        let mut wanted = self.first.charter.clone();
        wanted.members.retain(|member| member.name != name("cat"));
        let second = next(&self.first, wanted, &name("bee"), &ends);
        let (hash, by) = (second.hash(), ["ant", "bee", "dog"]);
        let by = by.map(|by| Approval { member: name(by), signature: approve(&hash, &key(by)) });
        let mut chain = CharterChain::from(self.first.clone());
        chain.push(SignedCharter::new(second, by.to_vec()).unwrap()).unwrap();
        chain
    }

    fn setup(&self, me: &'static str, chain: &CharterChain, sources: &[&str]) -> Setup {
        let peers = sources.iter().map(|other| (name(other), plain(&self.stores[other]))).collect();
        let (store, clock) = (Arc::new(self.stores[me].clone()), TestClock::new());
        let cast = Cast { me, charter: &self.first, store, trust: &[], peers, clock, seed: 7 };
        Setup { charter: chain.clone(), alone: true, ..setup(cast) }
    }

    async fn leaves(&self, me: &str) -> Vec<Vec<u8>> {
        let held = self.stores[me].held(&origin(), 0, 99).await.unwrap();
        held.iter().map(|held| held.entry.leaf.to_vec()).collect()
    }
}

fn origin() -> Origin {
    Origin::new(log_name("cat").to_string()).unwrap()
}

fn cases(node: &Node) -> BTreeSet<Commitment> {
    node.alerts(None, usize::MAX).iter().map(|set| set.name).collect()
}

async fn until(done: impl Fn() -> bool) {
    for _ in 0..20_000 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not within a quarter of an hour");
}

/// The rows of evidence that bee has, for another member.
async fn evidence_of(fork: &Fork) -> Batch {
    const EVIDENCE: Table = Table::Ledger("evidence");
    let rows = fork.stores["bee"].rows(EVIDENCE, &[], 9).await.unwrap().into_iter();
    let rows = rows.map(|(key, value)| Row { table: EVIDENCE, key, value: Some(value) });
    Batch { rows: rows.collect(), ..Batch::default() }
}

/// Evidence of the fork freezes the log at a member.
async fn freeze(node: &Node, fork: &Fork) {
    let mut heads = node.gossip().ours().await.unwrap();
    let other = fork.stores["ant"].read(&origin()).checkpoint().await.unwrap().unwrap();
    heads.heads = BTreeMap::from([(log_name("cat"), other)]);
    node.gossip().take(&heads).await.unwrap();
}

/// A retraction that was kept ahead of its turn.
fn early(log: &LogName, index: u64) -> Row {
    let key = [log.to_string().as_bytes(), &[0], &index.to_be_bytes()].concat();
    let value = [&[0; 8][..], &4_u32.to_be_bytes(), b"leaf"].concat();
    Row { table: Table::Ledger("early"), key, value: Some(value) }
}

#[tokio::test(start_paused = true)]
async fn everybody_holds_what_the_charter_accepts_of_a_log_that_had_two_histories() {
    let fork = fork().await;
    let chain = fork.without_cat("bee").await;
    let accepted = fork.leaves("bee").await;

    // Dog's copy is the beginning of it, and goes on, with what is urgent first.
    let bee = Node::start(fork.setup("bee", &chain, &[])).await.unwrap();
    freeze(&bee, &fork).await;
    assert!(!bee.evidence(&log_name("cat")).await.unwrap().is_empty());
    let mut setup = fork.setup("dog", &chain, &["ant"]);
    let held = &fork.stores["bee"];
    setup.peers.insert(name("bee"), hurrying(held, held, &bee));
    let row = evidence_of(&fork).await;
    fork.stores["dog"].commit(row).await.unwrap();
    let dog = Node::start(setup).await.unwrap();
    assert!(!dog.evidence(&log_name("cat")).await.unwrap().is_empty(), "frozen");
    until(|| cases(&dog) == BTreeSet::from([fork.common, fork.to_bee])).await;
    assert_eq!(fork.leaves("dog").await, accepted);
    assert_eq!(dog.alert(&fork.common).unwrap().state, State::Retracted);

    // Ant's copy is of the other one. It is cut back to what both have in common, with what was kept of it ahead of its
    // turn, and the node has to be followed by one that folds anew.
    let rows =
        vec![early(&log_name("cat"), 0), early(&log_name("cat"), 9), early(&log_name("bee"), 9)];
    let batch = Batch { rows, ..Batch::default() };
    fork.stores["ant"].commit(batch).await.unwrap();
    let ant = Node::start(fork.setup("ant", &chain, &["dog", "bee"])).await.unwrap();
    assert_eq!(cases(&ant), BTreeSet::from([fork.common, fork.to_ant[0], fork.to_ant[1]]));
    ant.outdated().await;
    assert_eq!(fork.leaves("ant").await, accepted[..1]);
    let kept = fork.stores["ant"].rows(Table::Ledger("early"), &[], 9).await.unwrap();
    let kept: Vec<_> = kept.into_iter().map(|(key, _)| key).collect();
    assert_eq!(kept, [early(&log_name("bee"), 9).key]);
    ant.stop().await;
    let again = fork.setup("ant", &chain, &["dog", "bee"]);
    let ant = Node::start_after(again, ant.handover()).await.unwrap();
    until(|| cases(&ant) == cases(&dog)).await;
    assert_eq!(fork.leaves("ant").await, accepted);
    let calm = tokio::time::timeout(Duration::from_mins(10), ant.outdated()).await;
    assert!(calm.is_err(), "once is enough");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_cut_back_by_who_does_not_have_what_is_accepted() {
    let fork = fork().await;
    let chain = fork.without_cat("bee").await;
    let before = fork.leaves("ant").await;
    // Dog has a part of it alone, as long as it cannot ask bee.
    let ant = Node::start(fork.setup("ant", &chain, &["dog"])).await.unwrap();
    let cut = tokio::time::timeout(Duration::from_mins(10), ant.outdated()).await;
    assert!(cut.is_err());
    assert_eq!(fork.leaves("ant").await, before);
    ant.stop().await;

    // Nor does dog take what ant was shown.
    let dog = Node::start(fork.setup("dog", &chain, &["ant"])).await.unwrap();
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert_eq!(cases(&dog), BTreeSet::from([fork.common]));
    dog.stop().await;

    // What is accepted of it may end before what is held: then nothing is dropped, and the rest says nothing.
    let chain = fork.without_cat("dog").await;
    let ant = Node::start(fork.setup("ant", &chain, &["dog"])).await.unwrap();
    assert_eq!(cases(&ant), BTreeSet::from([fork.common]));
    assert!(tokio::time::timeout(Duration::from_mins(10), ant.outdated()).await.is_err());
    assert_eq!(fork.leaves("ant").await, before);
}

#[tokio::test(start_paused = true)]
async fn what_was_folded_beside_a_cut_is_not_begun_with() {
    let fork = fork().await;
    let chain = fork.without_cat("bee").await;
    let up = watch::Sender::new(false);
    let bee = TestPeer { store: Arc::new(fork.stores["bee"].clone()), up: up.clone() };
    let mut setup = fork.setup("ant", &chain, &[]);
    setup.peers.insert(name("bee"), Arc::new(bee));
    let ant = Node::start(setup).await.unwrap();
    let stale: Handover = ant.prepare().await.unwrap().into();
    up.send_replace(true);
    ant.outdated().await;
    ant.stop().await;
    let ant = Node::start_after(fork.setup("ant", &chain, &["bee"]), stale).await.unwrap();
    until(|| cases(&ant) == BTreeSet::from([fork.common, fork.to_bee])).await;
}

#[tokio::test(start_paused = true)]
async fn who_proves_the_accepted_history_and_shows_the_other_one_is_not_believed() {
    let fork = fork().await;
    let chain = fork.without_cat("ant").await;
    // The other one undoes what all have heard, and what undoes is asked for first.
    let bee = fork.setup("bee", &CharterChain::from(fork.first.clone()), &[]);
    let bee = Node::start(bee).await.unwrap();
    assert_eq!(bee.alert(&fork.common).unwrap().state, State::Retracted);
    let [held, shown] = ["ant", "bee"].map(|member| &fork.stores[member]);
    let mut setup = fork.setup("dog", &chain, &[]);
    setup.peers.insert(name("bee"), hurrying(held, shown, &bee));
    let dog = Node::start(setup).await.unwrap();
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert_eq!((cases(&dog), fork.leaves("dog").await.len()), (BTreeSet::from([fork.common]), 1));
    assert_ne!(dog.alert(&fork.common).unwrap().state, State::Retracted);
}

#[tokio::test(start_paused = true)]
async fn who_has_it_and_brings_nothing_is_left_for_the_next_one() {
    let fork = fork().await;
    let chain = fork.without_cat("bee").await;
    let mut setup = fork.setup("dog", &chain, &[]);
    // Two are asked side by side, each for every second one.
    for silent in ["ant", "bee"] {
        let held = Arc::new(fork.stores["bee"].clone()) as Arc<dyn Store>;
        setup.peers.insert(name(silent), FaultyPeer::new(&held, Fault::Withholds));
    }
    setup.peers.insert(name("elk"), plain(&fork.stores["bee"]));
    let dog = Node::start(setup).await.unwrap();
    until(|| cases(&dog) == BTreeSet::from([fork.common, fork.to_bee])).await;
}
