//! One member says very much at once: others are heard in their turn.

use std::{sync::Arc, time::Duration};

use futures_util::{TryStreamExt, future::join_all};
use tokio::{sync::watch, time::Instant};
use watchfire_node::{
    Node, Setup,
    peer::Peer,
    policy::Verdict,
    raise::{Answer, RaiseError},
    replicate::TURN,
};
use watchfire_signal::{charter::SignedCharter, name::LogName, reason::Reason};
use watchfire_store::{Append, Batch, MemoryStore, Store};
use watchfire_tlog::{Extension, Origin, hash::leaf_hash};

use crate::{
    coalition::{
        Author, Cast, START_MS, TestClock, TestPeer, alert, charter, charter_with, name, setup,
    },
    scenarios::{FOUR, picture, scene},
};

/// What a member may say a day where that is little, and how much more it says.
const QUOTA: u64 = 100;
const BEYOND: u64 = 1_000;
/// What an entry that is beyond the quota costs its log at least.
const REST: Duration = Duration::from_millis(2);
/// Alerts of the flood: as many as a test affords. `bench_flood` takes 100,000.
const FLOOD: u64 = 2_000;

/// A node that asks and is asked by nobody, with its store.
async fn alone(me: &'static str, clock: &Arc<TestClock>) -> (Arc<Node>, Arc<dyn Store>) {
    alone_under(&charter(&FOUR, 2), me, clock).await
}

async fn alone_under(
    charter: &SignedCharter,
    me: &'static str,
    clock: &Arc<TestClock>,
) -> (Arc<Node>, Arc<dyn Store>) {
    let store = Arc::new(MemoryStore::new()) as Arc<dyn Store>;
    (reading(charter, (me, &store), &[], clock).await, store)
}

/// A node that reads the logs of some members from their stores.
async fn reading(
    charter: &SignedCharter,
    (me, store): (&'static str, &Arc<dyn Store>),
    from: &[(&'static str, &Arc<dyn Store>)],
    clock: &Arc<TestClock>,
) -> Arc<Node> {
    let peer = |(member, store): &(&str, &Arc<dyn Store>)| {
        let (store, up) = (Arc::clone(store), watch::Sender::new(true));
        (name(member), Arc::new(TestPeer { store, up }) as Arc<dyn Peer>)
    };
    let (trust, seed): (&[&str], _) = (&["google", "reddit"], 1);
    let (store, clock, peers) = (store.clone(), clock.clone(), from.iter().map(peer).collect());
    let cast = Cast { me, charter, store, trust, peers, clock, seed };
    Node::start(Setup { alone: true, ..setup(cast) }).await.unwrap()
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
    // Others have the processor after each turn.
    let mut last = folded(&twitch, reddit.log());
    while last < FLOOD {
        tokio::task::yield_now().await;
        let now = folded(&twitch, reddit.log());
        assert!(now - last <= TURN as u64, "{} were folded at once", now - last);
        last = now;
    }
    assert_eq!(twitch.judge(&[picture(scene(1_000 + FLOOD - 1))]).verdict, Verdict::Block);
    for node in [reddit, google, twitch] {
        node.stop().await;
    }
}

/// A member that says more than its quota, with its store.
async fn flooded(charter: &SignedCharter, clock: &Arc<TestClock>) -> (Arc<Node>, Arc<dyn Store>) {
    let flood = Arc::new(MemoryStore::new()) as Arc<dyn Store>;
    let author = Author::new(charter, "reddit", &flood, clock);
    for number in 0..QUOTA + BEYOND {
        author.raise(alert(vec![picture(scene(1_000 + number))])).await;
    }
    let reddit = reading(charter, ("reddit", &flood), &[], clock).await;
    (reddit, flood)
}

async fn held(node: &Node, member: &str) -> u64 {
    node.held().await.unwrap().get(&name(member)).copied().unwrap_or(0)
}

/// How much of the flood counts.
fn counted(node: &Node) -> u64 {
    let blocks =
        |number: &u64| node.judge(&[picture(scene(1_000 + number))]).verdict == Verdict::Block;
    (0..QUOTA + BEYOND).filter(blocks).count() as u64
}

#[tokio::test(start_paused = true)]
async fn what_is_beyond_a_quota_comes_slowly_and_whole_while_others_are_heard_at_once() {
    let charter = charter_with(&FOUR, 2, |charter| charter.quotas.records_a_day = QUOTA);
    let clock = TestClock::new();
    let (reddit, flood) = flooded(&charter, &clock).await;
    let (google, honest) = alone_under(&charter, "google", &clock).await;
    let store = Arc::new(MemoryStore::new()) as Arc<dyn Store>;
    let peers = [("reddit", &flood), ("google", &honest)];
    let twitch = reading(&charter, ("twitch", &store), &peers, &clock).await;
    while held(&twitch, "reddit").await <= QUOTA {
        tokio::task::yield_now().await;
    }

    // The clock stands still while anybody is busy: what comes meanwhile has waited for nothing.
    let begun = Instant::now();
    google.raise(alert(vec![picture(scene(1))]), None).await.unwrap();
    while twitch.judge(&[picture(scene(1))]).verdict != Verdict::Block {
        tokio::task::yield_now().await;
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
    let then = held(&twitch, "reddit").await;
    assert!(then < QUOTA + BEYOND, "the flood is over: {then}");

    while held(&twitch, "reddit").await < QUOTA + BEYOND {
        tokio::time::sleep(REST).await;
    }
    let (left, took) = (u32::try_from(QUOTA + BEYOND - then).unwrap(), begun.elapsed());
    assert!(took >= REST * (left - 256), "{left} came in {took:?}");
    assert!(took <= REST * (left + 512), "{left} came in {took:?}: it is not for ever");
    twitch.receipts().wait_here(reddit.log(), QUOTA + BEYOND).await;
    assert_eq!((counted(&twitch), twitch.beyond_quota(reddit.log())), (QUOTA, BEYOND));
    assert_eq!(twitch.beyond_quota(google.log()), 0);

    // A new start knows how much of its quota the member has used.
    twitch.stop().await;
    let twitch = reading(&charter, ("twitch", &store), &peers, &clock).await;
    assert_eq!(twitch.beyond_quota(reddit.log()), BEYOND);
    for node in [reddit, google, twitch] {
        node.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_brings_more_than_its_quota_waits_for_the_answer() {
    let charter = charter_with(&FOUR, 2, |charter| charter.quotas.records_a_day = QUOTA);
    let clock = TestClock::new();
    let (reddit, flood) = flooded(&charter, &clock).await;
    let (twitch, _) = alone_under(&charter, "twitch", &clock).await;
    let (_, steps) = all_of(&*flood, reddit.log(), QUOTA + BEYOND).await;
    let (begun, mut rests) = (Instant::now(), Duration::ZERO);
    for more in steps {
        let end = more.from + more.entries.len() as u64;
        assert_eq!(twitch.accept(&name("reddit"), more).await.unwrap(), Some(end));
        assert_eq!(begun.elapsed(), rests, "at {end}");
        rests = REST * u32::try_from(end.saturating_sub(QUOTA)).unwrap();
    }
    assert!(rests >= REST * 1_000);
    for node in [reddit, twitch] {
        node.stop().await;
    }
}

#[tokio::test]
async fn a_node_refuses_what_nobody_would_hear_and_takes_back_all_the_same() {
    let charter = charter_with(&FOUR, 2, |charter| charter.quotas.records_a_day = 2);
    let clock = TestClock::new();
    let (reddit, store) = alone_under(&charter, "reddit", &clock).await;
    let raise = |number| reddit.raise(alert(vec![picture(scene(number))]), None);
    let first = raise(1).await.unwrap().commitment;
    // However many are on their way at a time.
    let many = join_all((2..12).map(raise)).await;
    assert_eq!(many.iter().filter(|raised| raised.is_ok()).count(), 1);
    let wait_ms = 86_400_000 - START_MS % 86_400_000;
    let spent = |refused| {
        let RaiseError::Quota { name, value, wait_ms: wait } = refused else { panic!("{refused}") };
        assert_eq!((name, value, wait), ("records_a_day", 2, wait_ms));
    };
    spent(raise(3).await.unwrap_err());
    let retract = Answer::Retract { reason: Reason::WrongMatch, restore: true, note: None };
    reddit.answer(&first, retract, None).await.unwrap();
    assert_eq!(reddit.judge(&[picture(scene(1))]).verdict, Verdict::Allow);
    spent(raise(3).await.unwrap_err());

    // A new start knows what was said today, and the next day has a quota of its own.
    reddit.stop().await;
    let reddit = reading(&charter, ("reddit", &store), &[], &clock).await;
    let raise = |number| reddit.raise(alert(vec![picture(scene(number))]), None);
    spent(raise(3).await.unwrap_err());
    clock.advance_ms(wait_ms);
    raise(3).await.unwrap();
    reddit.stop().await;
}

#[tokio::test]
async fn a_node_refuses_what_is_beyond_its_bytes_of_a_day_or_its_live_alerts() {
    let clock = TestClock::new();
    let retract = || Answer::Retract { reason: Reason::WrongMatch, restore: true, note: None };
    let spent = |raised: Result<_, RaiseError>, wanted: (&str, u64)| match raised {
        Err(RaiseError::Quota { name, value, .. }) => assert_eq!((name, value), wanted),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was said"),
    };

    // A small alert has a KiB.
    let bytes = charter_with(&FOUR, 2, |charter| charter.quotas.bytes_a_day = 2 * 1_024);
    let (reddit, _) = alone_under(&bytes, "reddit", &clock).await;
    let raise = |number| reddit.raise(alert(vec![picture(scene(number))]), None);
    let first = raise(1).await.unwrap().commitment;
    let many = join_all((2..12).map(raise)).await;
    assert_eq!(many.iter().filter(|raised| raised.is_ok()).count(), 1);
    spent(raise(3).await.map(drop), ("bytes_a_day", 2_048));
    reddit.answer(&first, retract(), None).await.unwrap();
    spent(raise(3).await.map(drop), ("bytes_a_day", 2_048));
    clock.advance_ms(86_400_000 - START_MS % 86_400_000);
    raise(3).await.unwrap();
    reddit.stop().await;

    let live = charter_with(&FOUR, 2, |charter| charter.quotas.live_alerts = 2);
    let (reddit, store) = alone_under(&live, "reddit", &clock).await;
    let raise = |number| reddit.raise(alert(vec![picture(scene(number))]), None);
    let first = raise(1).await.unwrap().commitment;
    let many = join_all((2..12).map(raise)).await;
    assert_eq!(many.iter().filter(|raised| raised.is_ok()).count(), 1);
    spent(raise(3).await.map(drop), ("live_alerts", 2));
    // It does not come with another day, nor with a new start, but with what is taken back.
    reddit.stop().await;
    clock.advance_ms(86_400_000);
    let reddit = reading(&live, ("reddit", &store), &[], &clock).await;
    let raise = |number| reddit.raise(alert(vec![picture(scene(number))]), None);
    spent(raise(3).await.map(drop), ("live_alerts", 2));
    let renew = Answer::Renew { valid_until: START_MS + 9 * 86_400_000 };
    reddit.answer(&first, renew, None).await.unwrap();
    reddit.answer(&first, retract(), None).await.unwrap();
    raise(3).await.unwrap();
    spent(raise(4).await.map(drop), ("live_alerts", 2));
    reddit.stop().await;
}
