//! A node that lost its newest entries signs nothing before it has taken them back from its peers.

use std::{collections::BTreeMap, sync::Arc};

use watchfire_node::{Node, Readiness, Setup, peer::Peer, raise::Answer};
use watchfire_signal::{reason::Reason, value::Signal};
use watchfire_store::{MemoryStore, Store};
use watchfire_tlog::{Origin, audit};

use crate::{
    coalition::{
        Cast, Stage, TestClock, TestPeer, alert, charter, key, name, setup, start, start_unready,
    },
    faulty::{Fault, FaultyPeer},
};

const MEMBERS: [(&str, &str); 2] = [("tiktok", "bytedance"), ("twitch", "amazon")];

fn picture(byte: u8) -> Signal {
    crate::workshop::picture(byte)
}

fn peer(store: &Arc<dyn Store>, up: bool) -> Arc<dyn Peer> {
    Arc::new(TestPeer { store: store.clone(), up: tokio::sync::watch::Sender::new(up) })
}

async fn member(
    me: &str,
    store: &Arc<dyn Store>,
    other: &str,
    peer: Arc<dyn Peer>,
    seed: u64,
) -> Stage {
    start(Cast {
        me,
        charter: &charter(&MEMBERS, 2),
        store: store.clone(),
        trust: &[],
        peers: BTreeMap::from([(name(other), peer)]),
        clock: TestClock::new(),
        seed,
    })
    .await
}

#[tokio::test]
async fn a_restored_backup_takes_back_what_its_peers_hold_and_does_not_fork() {
    let stores = [(); 2].map(|()| Arc::new(MemoryStore::new()) as Arc<dyn Store>);
    let tiktok = member("tiktok", &stores[0], "twitch", peer(&stores[1], true), 1).await;
    let twitch = member("twitch", &stores[1], "tiktok", peer(&stores[0], true), 2).await;
    let case = tiktok.node.raise(alert(vec![picture(1)]), None).await.unwrap().commitment;
    while twitch.node.alert(&case).is_none() {
        tokio::task::yield_now().await;
    }
    tiktok.node.stop().await;

    // Yesterday's backup: an empty store.
    let restored = Arc::new(MemoryStore::new()) as Arc<dyn Store>;
    let tiktok = member("tiktok", &restored, "twitch", peer(&stores[1], true), 3).await;
    assert!(tiktok.node.alert(&case).is_some(), "taken back before the first signature");
    let given = Answer::Retract { reason: Reason::WrongMatch, restore: true, note: None };
    let second = tiktok.node.answer(&case, given, None).await.unwrap();
    assert_eq!(second.index, 1, "it goes on where the lost log ended");
    let origin = Origin::new(tiktok.node.log().to_string()).unwrap();
    let held = restored.read(&origin);
    let report = audit(&*held, &origin, &key("tiktok").public(), &mut |_, _| {}).await;
    assert!(report.is_sound() && report.size == 2, "{report:?}");
}

#[tokio::test]
async fn a_node_whose_peers_are_silent_does_not_sign() {
    let stores = [(); 2].map(|()| Arc::new(MemoryStore::new()) as Arc<dyn Store>);
    let stage = start_unready(Cast {
        me: "tiktok",
        charter: &charter(&MEMBERS, 2),
        store: stores[0].clone(),
        trust: &[],
        peers: BTreeMap::from([(name("twitch"), peer(&stores[1], false))]),
        clock: TestClock::new(),
        seed: 1,
    })
    .await;
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(stage.node.readiness(), Readiness::Recovering);
    // What it holds it can still judge by.
    assert!(stage.node.judge(&[picture(1)]).reasons.is_empty());
}

/// A log of three entries that `tiktok` has lost, as its peers hold it.
async fn lost_log() -> Arc<dyn Store> {
    let store = Arc::new(MemoryStore::new()) as Arc<dyn Store>;
    let cast = Cast {
        me: "tiktok",
        charter: &charter(&TRIO, 2),
        store: store.clone(),
        trust: &[],
        peers: BTreeMap::new(),
        clock: TestClock::new(),
        seed: 1,
    };
    let tiktok = start(cast).await;
    for byte in 1..4 {
        tiktok.node.raise(alert(vec![picture(byte)]), None).await.unwrap();
    }
    tiktok.node.stop().await;
    store
}

const TRIO: [(&str, &str); 3] =
    [("tiktok", "bytedance"), ("twitch", "amazon"), ("youtube", "alphabet")];

/// `tiktok` again, with an empty store, among these.
async fn restored(peers: &[(&str, Arc<FaultyPeer>)]) -> (Arc<Node>, Arc<dyn Store>) {
    let store = Arc::new(MemoryStore::new()) as Arc<dyn Store>;
    let peers = peers.iter().map(|(member, peer)| (name(member), peer.clone() as Arc<dyn Peer>));
    let charter = charter(&TRIO, 2);
    let stage = start_unready(Cast {
        me: "tiktok",
        charter: &charter,
        store: store.clone(),
        trust: &[],
        peers: peers.collect(),
        clock: TestClock::new(),
        seed: 2,
    });
    (stage.await.node, store)
}

async fn size(store: &Arc<dyn Store>, node: &Node) -> u64 {
    let held = node.held().await.unwrap();
    assert!(store.logs().await.unwrap().len() >= held.len());
    held.get(node.me()).copied().unwrap_or(0)
}

#[tokio::test]
async fn a_node_does_not_sign_while_a_peer_shows_more_of_its_log_than_it_delivers() {
    let lost = lost_log().await;
    for fault in [Fault::EndsEarly, Fault::Garbage] {
        let peer = FaultyPeer::new(&lost, fault);
        let (tiktok, store) = restored(&[("twitch", peer.clone())]).await;
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
            assert_eq!(tiktok.readiness(), Readiness::Recovering, "{fault:?}");
        }
        assert_eq!(size(&store, &tiktok).await, 0);
        peer.fault.send_replace(Fault::None);
        while tiktok.readiness() == Readiness::Recovering {
            tokio::task::yield_now().await;
        }
        assert_eq!((tiktok.readiness(), size(&store, &tiktok).await), (Readiness::Ready, 3));
        let next = tiktok.raise(alert(vec![picture(9)]), None).await.unwrap();
        assert_eq!(next.index, 3, "it goes on where the lost log ended");
    }
}

#[tokio::test]
async fn an_honest_peer_is_enough_beside_one_that_lies_and_one_that_is_silent() {
    let lost = lost_log().await;
    for fault in [Fault::Garbage, Fault::Silent] {
        let faulty = FaultyPeer::new(&lost, fault);
        let honest = FaultyPeer::new(&lost, Fault::None);
        // The faulty one is asked first, and must not be waited for.
        let (tiktok, store) = restored(&[("twitch", faulty), ("youtube", honest)]).await;
        while size(&store, &tiktok).await < 3 {
            tokio::task::yield_now().await;
        }
        assert!(!matches!(tiktok.readiness(), Readiness::Failed(_)));
    }
}

#[tokio::test]
async fn a_longer_log_of_ours_that_shows_after_the_start_ends_the_signing() {
    let lost = lost_log().await;
    let store = Arc::new(MemoryStore::new()) as Arc<dyn Store>;
    let cast = Cast {
        me: "tiktok",
        charter: &charter(&TRIO, 2),
        store,
        trust: &[],
        peers: BTreeMap::from([(name("twitch"), peer(&lost, true))]),
        clock: TestClock::new(),
        seed: 2,
    };
    // Started without asking, as if the peer had been silent then.
    let node = Node::start(Setup { alone: true, ..setup(cast) }).await.unwrap();
    while !matches!(node.readiness(), Readiness::Failed(_)) {
        tokio::task::yield_now().await;
    }
    let Readiness::Failed(why) = node.readiness() else { unreachable!() };
    assert!(why.contains("twitch holds 3 entries"), "{why}");
    assert!(node.raise(alert(vec![picture(9)]), None).await.is_err());
}
