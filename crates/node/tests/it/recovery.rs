//! A node that lost its newest entries signs nothing before it has taken them back from its peers.

use std::{collections::BTreeMap, sync::Arc};

use watchfire_node::{Readiness, peer::Peer, raise::Answer};
use watchfire_signal::{pdq::Pdq, reason::Reason, value::Signal};
use watchfire_store::{MemoryStore, Store};
use watchfire_tlog::{Origin, audit};

use crate::coalition::{
    Cast, Stage, TestClock, TestPeer, alert, charter, key, name, start, start_unready,
};

const MEMBERS: [(&str, &str); 2] = [("tiktok", "bytedance"), ("twitch", "amazon")];

fn picture(byte: u8) -> Signal {
    Signal { quality: Some(100), ..Signal::new(Pdq([byte; 32])) }
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
