//! What is implausible acts on nothing before a person has looked: what is everybody's, what was here all
//! along, what says too little; and whoever lists such things is stopped for a while.

use watchfire_node::{
    budget::Budget,
    desk::Actor,
    near::Method,
    policy::{Action, Held, ItemFacts, Policy, Verdict},
    standing::State,
};
use watchfire_signal::{
    pdq::Pdq,
    value::{Signal, Value, ValueOrBlob},
};
use watchfire_store::{MemoryStore, Store};

use crate::{
    coalition::{START_MS, name},
    workshop::{Workshop, picture},
};

const DAY_MS: u64 = 86_400_000;

/// A picture of the benign set by its name, as an author lists it who claims the best quality.
pub(crate) fn everybodys(name: &str) -> Signal {
    let list = include_str!("../../src/benign/set.txt");
    let line = list.lines().find(|line| line.starts_with("pdq ") && line.ends_with(name)).unwrap();
    let pdq: Pdq = line.split(' ').nth(1).unwrap().parse().unwrap();
    Signal { quality: Some(100), ..Signal::new(pdq) }
}

/// What the shop says to an upload, and what holds it.
fn upload(shop: &Workshop, signal: &Signal) -> (Verdict, Option<Held>) {
    let reasons = &shop.consequences.reasons;
    let policy = reasons.judge.policy();
    let signals = [signal.clone()];
    let found = reasons.of(&policy, None, signals.as_slice().into(), &ItemFacts::default());
    let first = found.first();
    first.map_or((Verdict::Allow, None), |one| (one.decision.verdict(), one.decision.held))
}

fn person() -> Actor {
    Actor::Person("p1".to_owned())
}

#[tokio::test(start_paused = true)]
async fn an_alert_about_what_is_everybodys_acts_on_nothing_until_a_person_releases_it() {
    let mut shop = Workshop::open(Budget::default()).await;
    let card = everybodys(" test-card-wide");
    shop.hold_since("x", &card, START_MS);
    shop.set_of(0, vec![card.clone()], None);
    // However many stand by it, and before anything was counted.
    shop.stand("tiktok", 0);
    assert_eq!(upload(&shop, &card), (Verdict::Review, Some(Held::BenignSet)));
    shop.stand("reddit", 0);
    shop.settle().await;
    assert_eq!(shop.sets()[&0].state(shop.now_ms()), State::Confirmed);
    assert!(!shop.platform.is_hidden("x"));
    assert_eq!(upload(&shop, &card), (Verdict::Review, Some(Held::BenignSet)));
    let holds = &shop.consequences.reasons.holds;
    let held = holds.list();
    assert_eq!((held.len(), held[0].why), (1, Held::BenignSet));
    assert_eq!(held[0].found, "near test-card-wide of the benign set");
    let tickets = shop.tickets().await;
    assert_eq!(tickets.len(), 1, "a person is asked");
    assert_eq!(holds.hold_of(&tickets[0].set).unwrap().why, Held::BenignSet, "and told why");

    holds.release(&held[0].case, &person()).await.unwrap().unwrap();
    shop.look(0);
    shop.settle().await;
    assert!(shop.platform.is_hidden("x"));
    assert_eq!(upload(&shop, &card).0, Verdict::Block);
}

#[tokio::test(start_paused = true)]
async fn who_adds_a_blank_frame_to_the_case_of_another_holds_that_alone() {
    let mut shop = Workshop::open(Budget::default()).await;
    let card = everybodys(" bars-smpte-wide");
    shop.hold("x", &[0x0f]);
    shop.hold_since("y", &card, START_MS);
    shop.set(0, &[0x0f], None);
    shop.set_of(1, vec![card.clone()], Some(0));
    for number in [1, 0] {
        shop.stand("tiktok", number);
        shop.stand("reddit", number);
    }
    shop.settle().await;
    assert!(shop.platform.is_hidden("x"), "the case goes on");
    assert!(!shop.platform.is_hidden("y"));
    let held = shop.consequences.reasons.holds.list();
    assert_eq!((held.len(), held[0].case), (1, shop.sets()[&0].subject));
    assert_eq!(held[0].record, shop.sets()[&1].name);
}

#[tokio::test(start_paused = true)]
async fn what_came_here_all_week_is_held_though_it_is_confirmed_and_what_came_today_is_not() {
    let mut shop = Workshop::open(Budget::default()).await;
    shop.pass(10 * DAY_MS).await;
    let (logo, clip, now) = (picture(0x0f), picture(0x77), shop.now_ms());
    for number in 0..800_u64 {
        // 114 a day, the last of them a day ago.
        let ago = DAY_MS + 1 + number * (7 * DAY_MS / 800);
        shop.hold_since(&format!("logo:{number}"), &logo, now - ago);
        shop.hold_since(&format!("clip:{number}"), &clip, now - 1 - number * 60_000);
    }
    for (number, signal) in [(0, &logo), (1, &clip)] {
        shop.set_of(number, vec![signal.clone()], None);
        shop.stand("google", number);
        shop.stand("reddit", number);
    }
    shop.settle().await;
    let held = shop.consequences.reasons.holds.list();
    assert_eq!((held.len(), held[0].why, held[0].copies), (1, Held::ExpectedMatches, 800));
    assert_eq!(held[0].found, "it matched about 114 items a day before it was listed");
    assert!(!shop.platform.is_hidden("logo:0"));
    assert_eq!(upload(&shop, &logo), (Verdict::Review, Some(Held::ExpectedMatches)));
    assert!(shop.platform.is_hidden("clip:0") && shop.platform.is_hidden("clip:799"));
    // A third that stands by it is no person here.
    shop.stand("tiktok", 0);
    shop.settle().await;
    assert!(!shop.platform.is_hidden("logo:0"));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_lists_what_is_implausible_again_and_again_acts_on_nothing_for_an_hour() {
    let mut shop = Workshop::open(Budget::default()).await;
    let cards = ["crosshatch", "bars-75", "bars-100", "bars-smpte", "test-card"];
    for (number, card) in cards.iter().enumerate() {
        shop.set_of(number, vec![everybodys(&format!(" {card}-wide"))], None);
        shop.stand("tiktok", number);
        shop.settle().await;
    }
    let holds = shop.consequences.reasons.holds.clone();
    assert_eq!(holds.list().len(), cards.len());
    shop.hold("x", &[0x0f]);
    shop.set(10, &[0x0f], None);
    shop.stand("tiktok", 10);
    shop.settle().await;
    assert!(!shop.platform.is_hidden("x"));
    assert_eq!(upload(&shop, &picture(0x0f)), (Verdict::Review, Some(Held::HeldCasesPerSource)));
    // Without a copy too: uploads are what it would hit.
    shop.set(11, &[0x33], None);
    shop.stand("tiktok", 11);
    shop.settle().await;
    assert_eq!(upload(&shop, &picture(0x33)), (Verdict::Review, Some(Held::HeldCasesPerSource)));
    // Others have looked: it is no matter any more who brought it.
    shop.stand("reddit", 10);
    shop.settle().await;
    assert!(shop.platform.is_hidden("x"));
    // A person finds that one of the five is in order.
    holds.release(&shop.sets()[&0].subject, &person()).await.unwrap().unwrap();
    shop.set(12, &[0x55], None);
    shop.stand("tiktok", 12);
    shop.settle().await;
    assert_eq!(upload(&shop, &picture(0x55)).0, Verdict::Block);
}

#[tokio::test(start_paused = true)]
async fn a_restart_closes_no_breaker_but_of_what_a_person_has_released() {
    for released in [false, true] {
        let store = std::sync::Arc::new(MemoryStore::new()) as std::sync::Arc<dyn Store>;
        let mut policy = Policy { trust: [name("tiktok")].into(), ..Policy::default() };
        policy.limits.held_cases_per_source_per_hour = 1;
        let mut shop = Workshop::open_on(store.clone(), policy.clone(), Budget::default()).await;
        shop.set_of(0, vec![everybodys(" test-card-wide")], None);
        shop.stand("tiktok", 0);
        shop.settle().await;
        let holds = shop.consequences.reasons.holds.clone();
        assert_eq!(holds.list().len(), 1);
        if released {
            holds.release(&shop.sets()[&0].subject, &person()).await.unwrap().unwrap();
        }
        drop(shop);
        let mut shop = Workshop::open_on(store, policy, Budget::default()).await;
        shop.hold("x", &[0x0f]);
        shop.set(1, &[0x0f], None);
        shop.stand("tiktok", 1);
        shop.settle().await;
        let told = upload(&shop, &picture(0x0f));
        assert_eq!(shop.platform.is_hidden("x"), released);
        if released {
            assert_eq!(told, (Verdict::Block, None));
            continue;
        }
        assert_eq!(told, (Verdict::Review, Some(Held::HeldCasesPerSource)));
        // Its hour is that of the case that opened it.
        shop.pass(3_600_001).await;
        shop.set(2, &[0x33], None);
        shop.stand("tiktok", 2);
        shop.settle().await;
        assert_eq!(upload(&shop, &picture(0x33)).0, Verdict::Block);
    }
}

#[tokio::test(start_paused = true)]
async fn an_hour_later_the_source_is_heard_again() {
    let store = std::sync::Arc::new(MemoryStore::new()) as std::sync::Arc<dyn Store>;
    let mut policy = Policy { trust: [name("tiktok")].into(), ..Policy::default() };
    policy.limits.held_cases_per_source_per_hour = 1;
    let mut shop = Workshop::open_on(store, policy, Budget::default()).await;
    shop.set_of(0, vec![everybodys(" test-card-wide")], None);
    shop.stand("tiktok", 0);
    shop.settle().await;
    shop.set(1, &[0x0f], None);
    shop.stand("tiktok", 1);
    shop.settle().await;
    assert_eq!(upload(&shop, &picture(0x0f)).0, Verdict::Review);
    shop.pass(3_600_001).await;
    shop.settle().await;
    shop.set(2, &[0x33], None);
    shop.stand("tiktok", 2);
    shop.settle().await;
    assert_eq!(upload(&shop, &picture(0x33)).0, Verdict::Block);
    assert_eq!(upload(&shop, &picture(0x0f)).0, Verdict::Block, "what was only its source's doubt");
    assert_eq!(upload(&shop, &everybodys(" test-card-wide")).0, Verdict::Review);
}

#[tokio::test(start_paused = true)]
async fn a_match_below_the_quality_floor_goes_to_a_person_and_says_why() {
    let mut shop = Workshop::open(Budget::default()).await;
    // Three quarters of the bits are set: no picture has such a hash, and its author claims the best quality.
    let mut flat = picture(0x0f);
    if let ValueOrBlob::Value(Value::Pdq(pdq)) = &mut flat.value {
        pdq.0[..16].fill(0xff);
    }
    shop.set_of(0, vec![flat.clone()], None);
    shop.set(1, &[0x33], None);
    for number in [0, 1] {
        shop.stand("tiktok", number);
        shop.stand("reddit", number);
    }
    shop.settle().await;
    assert_eq!(upload(&shop, &picture(0x33)).0, Verdict::Block);
    let reasons = &shop.consequences.reasons;
    let policy = reasons.judge.policy();
    let signals = [flat];
    let found = reasons.of(&policy, None, signals.as_slice().into(), &ItemFacts::default());
    let [reason] = &found[..] else { panic!("{found:?}") };
    assert_eq!(reason.hit.method, Method::Near);
    assert!(reason.hit.thin && !reason.hit.sure && reason.facts.thin);
    assert_eq!(reason.decision.verdict(), Verdict::Review);
    assert!(reason.decision.has(Action::Review));
    let explained = serde_json::to_value(policy.explain(&reason.facts)).unwrap();
    assert_eq!(explained["facts"]["thin"], true);
}
