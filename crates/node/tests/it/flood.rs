//! One member says very much at once: others are heard in their turn.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::TryStreamExt;
use watchfire_node::{Node, Setup, follow::TURN, policy::Verdict};
use watchfire_signal::name::LogName;
use watchfire_store::{Append, Batch, MemoryStore, Store};
use watchfire_tlog::{Extension, Origin, hash::leaf_hash};

use crate::{
    coalition::{Cast, START_MS, TestClock, alert, charter, setup},
    scenarios::{FOUR, picture, scene},
};

/// Alerts of the flood: as many as a test affords. `bench_flood` takes 100,000.
const FLOOD: u64 = 2_000;

/// A node that asks and is asked by nobody, with its store.
async fn alone(me: &'static str, clock: &Arc<TestClock>) -> (Arc<Node>, Arc<dyn Store>) {
    let store = Arc::new(MemoryStore::new()) as Arc<dyn Store>;
    let charter = charter(&FOUR, 2);
    let trust: &[&str] = &["google", "reddit"];
    let (peers, clock, seed) = (BTreeMap::new(), clock.clone(), 1);
    let cast = Cast { me, charter: &charter, store: store.clone(), trust, peers, clock, seed };
    (Node::start(Setup { alone: true, ..setup(cast) }).await.unwrap(), store)
}

/// All that a log has, as it came.
async fn all_of(store: &dyn Store, log: &LogName, size: u64) -> (Origin, Vec<Extension>) {
    let origin = Origin::new(log.to_string()).unwrap();
    let mut stream = store.read(&origin).follow(0).await.unwrap();
    let mut all = Vec::new();
    let mut so_far = 0;
    while so_far < size {
        let more = stream.try_next().await.unwrap().unwrap();
        so_far += more.entries.len() as u64;
        all.push(more);
    }
    (origin, all)
}

/// Has entries come to be held, as a copy of the log has them.
async fn arrive(store: &dyn Store, (log, more): (Origin, Vec<Extension>)) {
    for Extension { from, entries, checkpoint } in more {
        let leaf_hashes = entries.iter().map(|entry| leaf_hash(&entry.leaf)).collect();
        let (log, size, verified_ms) = (log.clone(), from, START_MS);
        let append = Append { log, size, entries, leaf_hashes, checkpoint, verified_ms };
        store.commit(Batch { append: Some(append), ..Batch::default() }).await.unwrap();
    }
}

fn folded(node: &Node, log: &LogName) -> u64 {
    node.receipts().here().get(log).copied().unwrap_or(0)
}

#[tokio::test]
async fn an_alert_waits_for_no_more_than_two_turns_of_a_member_that_floods() {
    let clock = TestClock::new();
    let (reddit, flood) = alone("reddit", &clock).await;
    let (google, honest) = alone("google", &clock).await;
    let (twitch, held) = alone("twitch", &clock).await;
    for number in 0..FLOOD {
        reddit.raise(alert(vec![picture(scene(1_000 + number))]), None).await.unwrap();
    }
    google.raise(alert(vec![picture(scene(1))]), None).await.unwrap();
    let flood = all_of(&*flood, reddit.log(), FLOOD).await;
    let honest = all_of(&*honest, google.log(), 1).await;

    arrive(&*held, flood).await;
    while folded(&twitch, reddit.log()) == 0 {
        tokio::task::yield_now().await;
    }
    let before = folded(&twitch, reddit.log());
    assert!(before < FLOOD / 2, "the flood is over before anybody else speaks: {before}");
    arrive(&*held, honest).await;
    while folded(&twitch, google.log()) == 0 {
        tokio::task::yield_now().await;
    }
    let after = folded(&twitch, reddit.log());
    assert!(after - before <= 2 * TURN as u64, "{} were folded in between", after - before);
    assert_eq!(twitch.judge(&[picture(scene(1))]).verdict, Verdict::Block);
    while folded(&twitch, reddit.log()) < FLOOD {
        tokio::task::yield_now().await;
    }
    assert_eq!(twitch.judge(&[picture(scene(1_000 + FLOOD - 1))]).verdict, Verdict::Block);
    for node in [reddit, google, twitch] {
        node.stop().await;
    }
}
