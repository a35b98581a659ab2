//! An alert on its way through three members: trusted, confirmed, enforced, taken back, undone.

use std::{collections::BTreeMap, sync::Arc};

use watchfire_node::{
    StopMember,
    clock::Random,
    desk::Actor,
    peer::Peer,
    policy::Verdict,
    publish::Asked,
    raise::{Answer, RaiseError},
    standing::{PROVISIONAL_MAX_MS, State},
};
use watchfire_signal::{
    commitment::Commitment,
    name::ItemId,
    pdq::Pdq,
    reason::Reason,
    statement::Basis,
    value::{Signal, Span},
    vpdq::{Frame, Vpdq},
};
use watchfire_store::{MemoryStore, Store};

use crate::coalition::{Cast, Stage, TestClock, TestPeer, TestRandom, alert, charter, name, start};

const MEMBERS: [(&str, &str); 4] =
    [("tiktok", "bytedance"), ("twitch", "amazon"), ("reddit", "advance"), ("google", "alphabet")];

/// Four linked members; `twitch` trusts `tiktok`; two organisations confirm.
pub(crate) async fn coalition() -> BTreeMap<&'static str, Stage> {
    let charter = charter(&MEMBERS, 2);
    let stores =
        MEMBERS.map(|(member, _)| (member, Arc::new(MemoryStore::new()) as Arc<dyn Store>));
    let clock = TestClock::new();
    let mut stages = BTreeMap::new();
    for (seed, (me, store)) in stores.iter().enumerate() {
        let peers = stores.iter().filter(|(member, _)| member != me);
        let peer = |store: &Arc<dyn Store>| {
            let up = tokio::sync::watch::Sender::new(true);
            Arc::new(TestPeer { store: store.clone(), up }) as Arc<dyn Peer>
        };
        let cast = Cast {
            me,
            charter: &charter,
            store: store.clone(),
            trust: if *me == "twitch" { &["tiktok"] } else { &[] },
            peers: peers.map(|(member, store)| (name(member), peer(store))).collect(),
            clock: clock.clone(),
            seed: seed as u64,
        };
        stages.insert(*me, start(cast).await);
    }
    stages
}

pub(crate) fn picture(byte: u8) -> Signal {
    crate::workshop::picture(byte)
}

fn item(text: &str) -> ItemId {
    text.parse().unwrap()
}

/// Waits until a member judges a picture so; the test runner's own limit is the clock.
pub(crate) async fn until(stage: &Stage, byte: u8, verdict: Verdict) {
    while stage.node.judge(&[picture(byte)]).verdict != verdict {
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn until_hidden(stage: &Stage, item: &str, hidden: bool) {
    while stage.platform.is_hidden(item) != hidden {
        tokio::task::yield_now().await;
    }
}

async fn report(stage: &Stage, byte: u8) -> Commitment {
    stage.node.raise(alert(vec![picture(byte)]), None).await.unwrap().commitment
}

async fn retract(stage: &Stage, case: &Commitment) {
    let given = Answer::Retract { reason: Reason::WrongMatch, restore: true, note: None };
    stage.node.answer(case, given, None).await.unwrap();
}

#[tokio::test]
async fn an_alert_is_reviewed_by_all_and_blocks_where_its_author_is_trusted() {
    let stages = coalition().await;
    report(&stages["tiktok"], 1).await;
    until(&stages["twitch"], 1, Verdict::Block).await;
    until(&stages["reddit"], 1, Verdict::Review).await;
    assert_eq!(stages["tiktok"].node.judge(&[picture(1)]).verdict, Verdict::Block);
    assert_eq!(stages["reddit"].node.judge(&[picture(255)]).verdict, Verdict::Allow);
}

#[tokio::test]
async fn a_confirmed_alert_takes_held_copies_down_and_a_retraction_brings_them_back() {
    let stages = coalition().await;
    let google = &stages["google"];
    let before = google.node.scan(item("google:1"), vec![picture(1)]).await;
    assert_eq!(before.verdict, Verdict::Allow);
    google.node.scan(item("google:2"), vec![picture(255)]).await;

    let case = report(&stages["tiktok"], 1).await;
    until(&stages["reddit"], 1, Verdict::Review).await;
    let seen = Answer::Confirm { basis: Basis::OwnCopySeenByHuman };
    stages["reddit"].node.answer(&case, seen, None).await.unwrap();
    until_hidden(google, "google:1", true).await;
    assert!(!google.platform.is_hidden("google:2"));
    let again = google.node.scan(item("google:3"), vec![picture(1)]).await;
    assert_eq!(again.verdict, Verdict::Block);
    assert_eq!(again.reasons[0].facts.state, Some(State::Confirmed));

    retract(&stages["tiktok"], &case).await;
    retract(&stages["reddit"], &case).await;
    until(google, 1, Verdict::Allow).await;
    until_hidden(google, "google:1", false).await;
    let orders = google.platform.orders.lock().unwrap().clone();
    let told = orders.iter().map(|order| (order.item.as_str(), order.action.as_str()));
    assert_eq!(told.collect::<Vec<_>>(), [("google:1", "remove"), ("google:1", "restore")]);
}

#[tokio::test]
async fn a_halt_brings_back_what_a_case_took_down_and_a_suspension_leaves_it_to_people() {
    let stages = coalition().await;
    let twitch = &stages["twitch"];
    twitch.node.scan(item("twitch:1"), vec![picture(1)]).await;
    twitch.node.scan(item("twitch:2"), vec![picture(170)]).await;
    let halted = report(&stages["tiktok"], 1).await;
    report(&stages["tiktok"], 170).await;
    until_hidden(twitch, "twitch:1", true).await;
    until_hidden(twitch, "twitch:2", true).await;

    let given = || Answer::Halt { reason: Reason::BenignContext };
    for member in ["reddit", "google"] {
        let stage = &stages[member];
        until(stage, 1, Verdict::Review).await;
        stage.node.answer(&halted, given(), None).await.unwrap();
    }
    assert!(twitch.platform.is_hidden("twitch:1"), "two of four organisations are no quorum");
    twitch.node.answer(&halted, given(), None).await.unwrap();
    until_hidden(twitch, "twitch:1", false).await;

    // A suspended member's alert takes nothing more down; what it took down waits for a person.
    let why = Reason::CompromisedIssuer;
    for member in ["reddit", "google", "twitch"] {
        let node = &stages[member].node;
        let stop = (StopMember::Suspend, false);
        node.stop_member(&name("tiktok"), stop, why, None).await.unwrap();
    }
    until(twitch, 170, Verdict::Review).await;
    assert_eq!(twitch.node.stops_of(&name("tiktok")).suspended_by.len(), 3);
    while twitch.node.review().list(None, None, 10).await.is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(twitch.platform.is_hidden("twitch:2"));
    let told = twitch.platform.orders.lock().unwrap().clone();
    let told = told.iter().map(|order| (order.item.as_str(), order.action.as_str()));
    let restored = told.filter(|(_, action)| *action == "restore").collect::<Vec<_>>();
    assert_eq!(restored, [("twitch:1", "restore")]);
    let own = twitch.node.stop_member(&name("twitch"), (StopMember::Halt, false), why, None).await;
    assert!(matches!(own, Err(RaiseError::Oneself)));
}

/// A made-up video: a new random-looking picture every half second, each frame a little noisy.
pub(crate) fn clip(start: u32, seconds: u32, frames_a_second: u32) -> Vpdq {
    let frame = |number: u32| {
        let at_ms = number * 1_000 / frames_a_second;
        let mut hash = [0; 32];
        TestRandom::new(u64::from(start + at_ms / 500)).fill(&mut hash);
        hash[(number % 32) as usize] ^= 1;
        Frame { number, quality: 100, pdq: Pdq(hash), at_ms }
    };
    Vpdq { frames: (0..seconds * frames_a_second).map(frame).collect() }
}

#[tokio::test]
async fn a_video_is_found_by_its_aligned_frames_held_or_uploaded() {
    let stages = coalition().await;
    let twitch = &stages["twitch"];
    let copy = Signal::new(clip(0, 10, 2));
    let other = Signal::new(clip(1_000, 10, 2));
    twitch.node.scan(item("twitch:copy"), vec![copy.clone()]).await;
    twitch.node.scan(item("twitch:other"), vec![other.clone()]).await;
    // Only three seconds of it are harmful, and listed at every frame.
    let span = Some(Span { start_ms: 2_000, end_ms: 5_000 });
    let reference = Signal { span, ..Signal::new(clip(0, 10, 30)) };
    stages["tiktok"].node.raise(alert(vec![reference]), None).await.unwrap();
    until_hidden(twitch, "twitch:copy", true).await;
    assert!(!twitch.platform.is_hidden("twitch:other"));
    let scanned = twitch.node.judge(&[copy]);
    assert_eq!(scanned.verdict, Verdict::Block);
    let aligned = scanned.reasons[0].hit.aligned.unwrap();
    assert!(aligned.frames >= 3 && aligned.query.start_ms >= 2_000, "{aligned:?}");
    assert!(aligned.query.end_ms <= 5_000, "{aligned:?}");
    assert_eq!(twitch.node.judge(&[other]).verdict, Verdict::Allow);
}

#[tokio::test]
async fn an_item_stays_down_while_another_case_keeps_it_down() {
    let stages = coalition().await;
    let twitch = &stages["twitch"];
    twitch.node.scan(item("twitch:1"), vec![picture(1)]).await;
    let first = report(&stages["tiktok"], 1).await;
    let second = report(&stages["tiktok"], 1).await;
    until_hidden(twitch, "twitch:1", true).await;
    while twitch.node.effects(&item("twitch:1")).await.unwrap().len() < 2 {
        tokio::task::yield_now().await;
    }
    retract(&stages["tiktok"], &first).await;
    while twitch.node.alert(&first).unwrap().state != State::Retracted {
        tokio::task::yield_now().await;
    }
    // The second retraction passes through the same queue after the first, so once it has brought
    // the item back, the first one has been decided.
    assert!(twitch.platform.is_hidden("twitch:1"));
    retract(&stages["tiktok"], &second).await;
    until_hidden(twitch, "twitch:1", false).await;
    let orders = twitch.platform.orders.lock().unwrap();
    assert_eq!(orders.iter().filter(|order| order.action == "restore").count(), 1);
}

#[tokio::test]
async fn a_lapse_needs_no_message_and_undoes_what_was_never_confirmed() {
    let stages = coalition().await;
    let twitch = &stages["twitch"];
    twitch.node.scan(item("twitch:1"), vec![picture(1)]).await;
    report(&stages["tiktok"], 1).await;
    until_hidden(twitch, "twitch:1", true).await;
    twitch.clock.advance_ms(PROVISIONAL_MAX_MS);
    // The lease is judged at lookup, at once; the undo follows when the node looks at its deadlines:
    // every minute, and whenever something else happens.
    assert_eq!(twitch.node.judge(&[picture(1)]).verdict, Verdict::Allow);
    report(&stages["tiktok"], 2).await;
    until_hidden(twitch, "twitch:1", false).await;
    let orders = twitch.platform.orders.lock().unwrap();
    let told = orders.iter().map(|order| (order.item.as_str(), order.action.as_str()));
    assert_eq!(told.collect::<Vec<_>>(), [("twitch:1", "remove"), ("twitch:1", "restore")]);
}

#[tokio::test]
async fn a_drill_travels_and_does_nothing() {
    let stages = coalition().await;
    let mut drill = alert(vec![picture(1)]);
    drill.test = true;
    let case = stages["tiktok"].node.raise(drill, None).await.unwrap().commitment;
    while stages["twitch"].node.alert(&case).is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(stages["twitch"].node.judge(&[picture(1)]).verdict, Verdict::Allow);
    assert_eq!(stages["tiktok"].node.judge(&[picture(1)]).verdict, Verdict::Allow);
}

#[tokio::test]
async fn a_repeated_request_is_answered_with_the_first_answer() {
    let stages = coalition().await;
    let tiktok = &stages["tiktok"].node;
    let asked = || Some(Asked { by: Actor::Node, key: Some(vec![9; 32]) });
    let first = tiktok.raise(alert(vec![picture(1)]), asked()).await.unwrap();
    let second = tiktok.raise(alert(vec![picture(1)]), asked()).await.unwrap();
    assert_eq!(first, second);
    assert_eq!(tiktok.alerts(None, 10).len(), 1);
}

#[tokio::test]
async fn nobody_confirms_its_own_alert_or_retracts_what_it_never_said() {
    let stages = coalition().await;
    let case = report(&stages["tiktok"], 1).await;
    let seen = || Answer::Confirm { basis: Basis::OwnCopySeenByHuman };
    assert!(stages["tiktok"].node.answer(&case, seen(), None).await.is_err());
    until(&stages["reddit"], 1, Verdict::Review).await;
    let given = Answer::Retract { reason: Reason::WrongMatch, restore: true, note: None };
    assert!(stages["reddit"].node.answer(&case, given, None).await.is_err());
}
