//! What is taken down and what comes back: over all cases, whatever the platform does meanwhile.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use proptest::prelude::*;
use watchfire_node::{
    EffectState,
    budget::Budget,
    deliver::Became,
    desk::DeskKind,
    events::Event,
    hold::Ruling,
    policy::Policy,
    standing::{CONFIRMED_MAX_MS, PROVISIONAL_MAX_MS, Stance, State},
};
use watchfire_signal::tlp::Tlp;
use watchfire_store::MemoryStore;

use crate::{
    coalition::name,
    workshop::{Mood, SPEAKERS, Workshop},
};

const A: usize = 0;
const B: usize = 1;

/// One item that matches two cases, A and B.
async fn shared_item() -> Workshop {
    let mut shop = Workshop::open(Budget::default()).await;
    shop.hold("x", &[0x0f, 0x33]);
    shop.set(A, &[0x0f], None);
    shop.set(B, &[0x33], None);
    shop
}

async fn confirm(shop: &mut Workshop, set: usize) {
    shop.stand("tiktok", set);
    shop.stand("reddit", set);
    shop.settle().await;
    assert!(shop.platform.is_hidden("x"));
}

async fn withdraw(shop: &mut Workshop, set: usize) {
    shop.retract("tiktok", set);
    shop.retract("reddit", set);
    shop.settle().await;
}

#[tokio::test(start_paused = true)]
async fn a_retracted_variant_does_not_bring_back_what_a_confirmed_lapse_keeps_down() {
    let mut shop = shared_item().await;
    confirm(&mut shop, A).await;
    shop.pass(CONFIRMED_MAX_MS).await;
    shop.settle().await;
    assert!(shop.platform.is_hidden("x"));
    // Any member posts a variant of it, and takes it back.
    shop.set(2, &[0x55], Some(A));
    shop.stand("google", 2);
    shop.retract("google", 2);
    shop.settle().await;
    assert!(shop.platform.is_hidden("x"));
    assert_eq!(shop.restores(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_item_waits_for_a_person_when_one_of_its_cases_does() {
    let mut shop = shared_item().await;
    confirm(&mut shop, B).await;
    shop.pass(CONFIRMED_MAX_MS / 2).await;
    confirm(&mut shop, A).await;
    shop.pass(CONFIRMED_MAX_MS / 2).await;
    assert_eq!(shop.sets()[&B].state(shop.now_ms()), State::Lapsed);
    withdraw(&mut shop, A).await;
    assert!(shop.platform.is_hidden("x"));
    shop.rule("x", Ruling::Restore).await;
    shop.settle().await;
    assert!(!shop.platform.is_hidden("x"));
}

#[tokio::test(start_paused = true)]
async fn a_case_that_comes_alive_again_takes_down_again_what_another_brought_back() {
    let mut shop = shared_item().await;
    confirm(&mut shop, A).await;
    confirm(&mut shop, B).await;
    withdraw(&mut shop, A).await;
    assert!(shop.platform.is_hidden("x"));
    withdraw(&mut shop, B).await;
    assert!(!shop.platform.is_hidden("x"));
    confirm(&mut shop, A).await;
    assert_eq!(shop.restores(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_restore_that_had_to_wait_does_not_overtake_a_newer_case() {
    let mut shop = shared_item().await;
    confirm(&mut shop, A).await;
    *shop.platform.mood.lock().unwrap() = Mood::Busy(60_000);
    shop.retract("tiktok", A);
    shop.retract("reddit", A);
    tokio::time::sleep(Duration::from_secs(1)).await;
    *shop.platform.mood.lock().unwrap() = Mood::Fine;
    shop.stand("tiktok", B);
    shop.settle().await;
    assert!(shop.platform.is_hidden("x"));
    assert_eq!(shop.restores(), 0);
    let last = shop.effects("x").await.into_iter().filter(|effect| effect.action == "restore");
    assert_eq!(last.map(|effect| effect.state).collect::<Vec<_>>(), [EffectState::Cancelled]);
}

#[tokio::test(start_paused = true)]
async fn a_take_down_that_had_to_wait_is_called_off_when_its_case_is_taken_back() {
    let mut shop = shared_item().await;
    *shop.platform.mood.lock().unwrap() = Mood::Busy(60_000);
    shop.stand("tiktok", A);
    tokio::time::sleep(Duration::from_secs(1)).await;
    *shop.platform.mood.lock().unwrap() = Mood::Fine;
    shop.retract("tiktok", A);
    shop.settle().await;
    assert!(!shop.platform.is_hidden("x"));
    let states = shop.effects("x").await.into_iter().map(|effect| effect.state);
    // The platform was asked once, so it may have hidden the item: it is asked to show it again.
    assert_eq!(states.collect::<Vec<_>>(), [EffectState::Cancelled, EffectState::Done]);
}

#[tokio::test(start_paused = true)]
async fn a_retraction_that_asks_for_no_restore_leaves_the_item_to_a_person() {
    let mut shop = shared_item().await;
    shop.stand("tiktok", A);
    shop.settle().await;
    shop.say("tiktok", A, Stance::Withdrawn { restore: false });
    shop.settle().await;
    assert!(shop.platform.is_hidden("x"));
}

#[tokio::test(start_paused = true)]
async fn what_a_person_keeps_down_stays_down_and_what_a_person_shows_stays_shown() {
    let mut shop = shared_item().await;
    confirm(&mut shop, A).await;
    shop.rule("x", Ruling::Keep).await;
    withdraw(&mut shop, A).await;
    assert!(shop.platform.is_hidden("x"));
    shop.rule("x", Ruling::Restore).await;
    shop.settle().await;
    assert!(!shop.platform.is_hidden("x"));
    shop.stand("tiktok", B);
    shop.stand("reddit", B);
    shop.settle().await;
    assert!(!shop.platform.is_hidden("x"));
}

#[tokio::test(start_paused = true)]
async fn a_lapse_of_what_was_never_confirmed_brings_back_and_is_written_down() {
    let mut shop = shared_item().await;
    shop.stand("tiktok", A);
    shop.settle().await;
    assert!(shop.platform.is_hidden("x"));
    shop.pass(PROVISIONAL_MAX_MS).await;
    shop.settle().await;
    assert!(!shop.platform.is_hidden("x"));
    let lines = shop.desk.newest(Some(DeskKind::Outcome), u64::MAX, 9).await.unwrap();
    let became = lines.iter().map(|line| line.deed::<Became>().unwrap());
    let became = became.map(|became| (became.action, became.outcome)).collect::<Vec<_>>();
    let expected = [("restore", "done"), ("remove", "done")];
    assert_eq!(became, expected.map(|(action, done)| (action.to_owned(), done.to_owned())));
}

#[tokio::test(start_paused = true)]
async fn what_the_platform_refuses_waits_for_a_person_and_is_not_asked_again() {
    let mut shop = shared_item().await;
    *shop.platform.mood.lock().unwrap() = Mood::Refusing;
    shop.stand("tiktok", A);
    shop.settle().await;
    let asked = shop.platform.asked();
    shop.pass(1_000).await;
    shop.settle().await;
    assert_eq!(shop.platform.asked(), asked);
    let dead = shop.store.effects_in(EffectState::Dead, 0, 9).await.unwrap();
    assert_eq!((dead.len(), dead[0].1.note.as_str()), (1, "no"));
}

#[tokio::test(start_paused = true)]
async fn a_budget_is_kept_and_a_person_is_told_when_it_is_too_small() {
    let minute = Duration::from_secs(60);
    let budget = Budget { at_once: 2, orders_a_minute: Some(10), within: minute };
    let mut shop = Workshop::open(budget).await;
    for item in 0..25 {
        shop.hold(&item.to_string(), &[0x0f]);
    }
    shop.set(A, &[0x0f], None);
    shop.stand("tiktok", A);
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert_eq!(shop.platform.asked(), 10);
    let (told, _) = shop.events.watch(0);
    let short = told.iter().filter(|told| matches!(told.event, Event::BudgetShort { .. }));
    assert_eq!(short.count(), 1);
    shop.settle().await;
    assert_eq!(shop.platform.asked(), 25);
}

#[tokio::test(start_paused = true)]
async fn an_order_is_reversible_unless_a_rule_says_otherwise_about_what_is_confirmed() {
    for irreversible in [false, true] {
        let mut policy = Policy { trust: [name("tiktok")].into(), ..Policy::default() };
        policy.rules[0].irreversible = irreversible;
        let mut shop =
            Workshop::open_on(Arc::new(MemoryStore::new()), policy, Budget::default()).await;
        shop.hold("trusted", &[0x0f]);
        shop.hold("confirmed", &[0x33]);
        shop.set(A, &[0x0f], None);
        shop.set(B, &[0x33], None);
        shop.stand("tiktok", A);
        shop.stand("tiktok", B);
        shop.stand("reddit", B);
        shop.settle().await;
        let orders = shop.platform.journal.lock().unwrap().clone();
        let told = orders.iter().map(|order| (order.item.as_str(), order.reversible));
        let expected = BTreeSet::from([("trusted", true), ("confirmed", !irreversible)]);
        assert_eq!(told.collect::<BTreeSet<_>>(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_copies_are_decided_about_page_by_page() {
    const COPIES: usize = 10_000;
    let mut shop = Workshop::open(Budget::default()).await;
    for item in 0..COPIES {
        shop.hold(&item.to_string(), &[0x0f]);
    }
    shop.set(A, &[0x0f], None);
    shop.stand("tiktok", A);
    tokio::task::yield_now().await;
    let first = loop {
        let counts = shop.store.outbox_counts(None).await.unwrap();
        if counts.pending > 0 {
            break counts.pending;
        }
        tokio::task::yield_now().await;
    };
    assert!(first <= watchfire_node::enforce::PAGE as u64 * 2, "{first}");
}

/// Something that happens.
#[derive(Debug, Clone)]
enum Step {
    Say { member: usize, set: usize, stance: Stance },
    Pass(u64),
    Rule { item: usize, ruling: Ruling },
    Mood(bool),
}

/// Pictures of each item and of each set; set 3 is a variant of the case of set 0.
const ITEMS: [(&str, &[u8]); 4] =
    [("p", &[0x00]), ("q", &[0x00, 0x0f]), ("r", &[0x0f, 0x33, 0x55]), ("s", &[0x55])];
const SETS: [(&[u8], Option<usize>); 4] =
    [(&[0x00], None), (&[0x0f], None), (&[0x33, 0x55], None), (&[0x55, 0x00], Some(0))];

fn step() -> impl Strategy<Value = Step> {
    let stance = prop_oneof![
        5 => Just(Stance::Positive { human: true }),
        1 => Just(Stance::Positive { human: false }),
        3 => Just(Stance::Withdrawn { restore: true }),
        1 => Just(Stance::Withdrawn { restore: false }),
        1 => Just(Stance::Disputes),
    ];
    let times = prop_oneof![Just(1), Just(PROVISIONAL_MAX_MS), Just(CONFIRMED_MAX_MS)];
    let ruling = prop_oneof![Just(Ruling::Restore), Just(Ruling::Keep)];
    prop_oneof![
        12 => (0..SPEAKERS.len(), 0..SETS.len(), stance)
            .prop_map(|(member, set, stance)| Step::Say { member, set, stance }),
        3 => times.prop_map(Step::Pass),
        1 => (0..ITEMS.len(), ruling).prop_map(|(item, ruling)| Step::Rule { item, ruling }),
        1 => any::<bool>().prop_map(Step::Mood),
    ]
}

async fn prepared() -> Workshop {
    let mut shop = Workshop::open(Budget::default()).await;
    for (item, pictures) in ITEMS {
        shop.hold(item, pictures);
    }
    for (number, (pictures, case)) in SETS.into_iter().enumerate() {
        shop.set(number, pictures, case);
    }
    shop
}

async fn carry_out(shop: &mut Workshop, step: &Step) {
    match step {
        Step::Say { member, set, stance } => shop.say(SPEAKERS[*member], *set, *stance),
        Step::Pass(ms) => shop.pass(*ms).await,
        Step::Rule { item, ruling } => shop.rule(ITEMS[*item].0, *ruling).await,
        Step::Mood(flaky) => {
            let mood = if *flaky { Mood::Flaky } else { Mood::Fine };
            *shop.platform.mood.lock().unwrap() = mood;
        }
    }
}

/// What should be down, kept by the rules of `docs/states.md` and nothing else.
#[derive(Default)]
struct Model {
    down: BTreeSet<usize>,
    holders: BTreeSet<(usize, usize)>,
    rulings: std::collections::BTreeMap<usize, Ruling>,
}

fn matches(item: usize, set: usize) -> bool {
    ITEMS[item].1.iter().any(|picture| SETS[set].0.contains(picture))
}

fn is_undone(shop: &Workshop, set: usize) -> bool {
    let set = &shop.sets()[&set];
    match set.state(shop.now_ms()) {
        State::Retracted => set.standing.restores,
        State::Lapsed => !set.standing.was_confirmed,
        State::Proposed | State::Provisional | State::Confirmed | State::Disputed => false,
    }
}

impl Model {
    fn follow(&mut self, shop: &Workshop) {
        for item in 0..ITEMS.len() {
            let live: Vec<_> =
                (0..SETS.len()).filter(|set| matches(item, *set) && shop.is_live(*set)).collect();
            let held = self.holders.iter().any(|(of, set)| *of == item && !is_undone(shop, *set));
            match self.rulings.get(&item) {
                Some(Ruling::Keep) => {}
                Some(Ruling::Restore) => self.bring_back(item),
                None if !live.is_empty() => {
                    self.down.insert(item);
                    self.holders.extend(live.into_iter().map(|set| (item, set)));
                }
                None if !held => self.bring_back(item),
                None => {}
            }
        }
    }

    fn bring_back(&mut self, item: usize) {
        self.down.remove(&item);
        self.holders.retain(|(of, _)| *of != item);
    }
}

/// Every step is carried out to its end before the next: what is down is exactly what should be, and
/// nothing comes back for a moment while another case holds it.
async fn step_by_step(steps: &[Step]) {
    let mut shop = prepared().await;
    let mut model = Model::default();
    for step in steps {
        carry_out(&mut shop, step).await;
        if let Step::Rule { item, ruling } = step {
            model.rulings.insert(*item, *ruling);
        }
        let before = shop.restores();
        shop.settle().await;
        let were = model.down.clone();
        model.follow(&shop);
        for (number, (item, _)) in ITEMS.iter().enumerate() {
            let should = model.down.contains(&number);
            assert_eq!(shop.platform.is_hidden(item), should, "{item} after {step:?}");
        }
        let came_back = were.difference(&model.down).count();
        assert!(shop.restores() - before <= came_back, "{step:?}");
    }
}

/// Steps come while orders are still under way: in the end what a live case holds is down, and what
/// nothing holds is shown.
async fn all_at_once(steps: &[Step]) {
    let mut shop = prepared().await;
    let mut ruled = BTreeSet::new();
    let mut was_live = BTreeSet::new();
    for step in steps {
        carry_out(&mut shop, step).await;
        if let Step::Rule { item, .. } = step {
            ruled.insert(*item);
        }
        was_live.extend((0..SETS.len()).filter(|set| shop.is_live(*set)));
        tokio::task::yield_now().await;
    }
    shop.settle().await;
    for (number, (item, _)) in ITEMS.iter().enumerate().filter(|(item, _)| !ruled.contains(item)) {
        let sets = || (0..SETS.len()).filter(|set| matches(number, *set));
        let live = sets().any(|set| shop.is_live(set));
        let held = sets().any(|set| was_live.contains(&set) && !is_undone(&shop, set));
        let hidden = shop.platform.is_hidden(item);
        assert!(hidden || !live, "{item} is shown though a live case holds it");
        assert!(!hidden || live || held, "{item} is down though nothing holds it");
    }
}

fn on_a_paused_clock(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(work);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn an_item_is_down_exactly_when_something_holds_it(
        steps in prop::collection::vec(step(), 1..40)
    ) {
        on_a_paused_clock(step_by_step(&steps));
    }

    #[test]
    fn nothing_that_overtakes_anything_leaves_an_item_wrong(
        steps in prop::collection::vec(step(), 1..40)
    ) {
        on_a_paused_clock(all_at_once(&steps));
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_says_its_mark_and_shows_nothing_of_what_is_red() {
    for mark in Tlp::ALL {
        let mut shop = Workshop::open(Budget::default()).await;
        shop.hold("x", &[0x0f]);
        shop.set(A, &[0x0f], None);
        shop.mark(A, *mark);
        confirm(&mut shop, A).await;
        let detail = shop.effects("x").await[0].detail.clone();
        let detail: serde_json::Value = serde_json::from_slice(&detail).unwrap();
        assert_eq!(detail["tlp"], mark.as_str());
        assert_eq!(detail.get("labels").is_some(), *mark != Tlp::Red, "{mark}");
    }
}
