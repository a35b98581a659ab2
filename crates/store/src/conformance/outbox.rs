//! Checks of the outbox.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::Bench;
use crate::{Batch, CaseCounts, Effect, EffectState, LateOrders, OutboxCounts, Settlement, Store};

/// What comes first is the lowest priority number, then the oldest; what is not due does not come.
pub async fn effects_are_due_by_priority_then_age(bench: &mut dyn Bench) {
    let store = bench.open().await;
    let place = |number, priority, created_ms, due_ms| Effect {
        priority,
        created_ms,
        due_ms,
        ..effect(number)
    };
    let effects = vec![
        place(1, 3, 100, 500),
        place(2, 3, 50, 500),
        place(3, 0, 200, 500),
        place(4, 0, 300, 501),
        place(5, 3, 100, 400),
        place(6, 9, 1, 1),
    ];
    assert_eq!(store.next_effect_due("webhook").await.unwrap(), None);
    add(&*store, effects).await;
    assert_eq!(numbers(store.effects_due("webhook", 500, 99).await.unwrap()), [3, 2, 1, 5, 6]);
    assert_eq!(numbers(store.effects_due("webhook", 500, 2).await.unwrap()), [3, 2]);
    assert_eq!(numbers(store.effects_due("webhook", 501, 2).await.unwrap()), [3, 4]);
    assert!(store.effects_due("webhook", 0, 99).await.unwrap().is_empty());
    assert_eq!(store.next_effect_due("webhook").await.unwrap(), Some(1));
}

/// An effect that is decided again is the one that is there already, as it stands.
pub async fn an_effect_whose_name_is_known_is_left_as_it_stands(bench: &mut dyn Bench) {
    let store = bench.open().await;
    add(&*store, vec![effect(1)]).await;
    store.settle(vec![settlement(1, EffectState::Done, 0)]).await.unwrap();
    let again = Effect { item: "another".to_owned(), note: "again".to_owned(), ..effect(1) };
    add(&*store, vec![again.clone(), effect(2), again]).await;
    assert_eq!(numbers(store.effects_due("webhook", u64::MAX, 9).await.unwrap()), [2]);
    let of_case = store.effects_of_case(effect(1).subject).await.unwrap();
    let settled = Effect {
        state: EffectState::Done,
        attempts: 1,
        due_ms: 0,
        note: "answer 1".to_owned(),
        ..effect(1)
    };
    assert_eq!(of_case, [settled]);
}

/// A settlement says whether and when an effect is tried again.
pub async fn settled_effects_are_due_again_or_never(bench: &mut dyn Bench) {
    let store = bench.open().await;
    add(&*store, (1..=5).map(effect).collect()).await;
    let settlements = vec![
        settlement(1, EffectState::Done, 0),
        settlement(2, EffectState::Dead, 0),
        settlement(3, EffectState::Cancelled, 0),
        settlement(4, EffectState::Pending, 9_000),
        settlement(77, EffectState::Pending, 1),
    ];
    let batch = Batch { settlements, ..Batch::default() };
    store.commit(batch).await.unwrap();
    assert_eq!(numbers(store.effects_due("webhook", 8_999, 9).await.unwrap()), [5]);
    assert_eq!(numbers(store.effects_due("webhook", 9_000, 9).await.unwrap()), [4, 5]);
    store.settle(vec![settlement(5, EffectState::Done, 0)]).await.unwrap();
    assert_eq!(store.next_effect_due("webhook").await.unwrap(), Some(9_000));
    let waiting = store.effects_due("webhook", 9_000, 9).await.unwrap();
    assert_eq!((waiting[0].attempts, waiting[0].note.as_str()), (4, "answer 4"));
    // A person may try again what was given up.
    store.settle(vec![settlement(2, EffectState::Pending, 1)]).await.unwrap();
    assert_eq!(numbers(store.effects_due("webhook", 1, 9).await.unwrap()), [2]);
}

/// Who drops an effect may not know of the attempt that began meanwhile: it stays counted, and what is done stays done.
pub async fn what_is_dropped_keeps_the_attempts_that_were_begun(bench: &mut dyn Bench) {
    let store = bench.open().await;
    add(&*store, (1..=2).map(effect).collect()).await;
    let dropped =
        |number| Settlement { attempts: 0, ..settlement(number, EffectState::Dropped, 0) };
    let begun = settlement(1, EffectState::Pending, 5);
    let attempts = begun.attempts;
    store
        .settle(vec![begun, dropped(1), settlement(2, EffectState::Done, 0), dropped(2)])
        .await
        .unwrap();
    let of = async |number| store.effect(effect(number).name).await.unwrap().unwrap();
    let found = of(1).await;
    assert_eq!((found.state, found.attempts), (EffectState::Dropped, attempts));
    assert_eq!(of(2).await.state, EffectState::Done);
    // The attempt ends: it is to be tried again, which it is not; or it is done after all.
    store.settle(vec![settlement(1, EffectState::Pending, 9)]).await.unwrap();
    assert_eq!(of(1).await.state, EffectState::Dropped);
    store.settle(vec![settlement(1, EffectState::Done, 0)]).await.unwrap();
    assert_eq!(of(1).await.state, EffectState::Done);
}

/// An effect is found, whatever its state, by what caused it and by what it is done to.
pub async fn effects_are_found_by_case_and_by_item(bench: &mut dyn Bench) {
    let store = bench.open().await;
    let of = |number, subject, item: &str| Effect {
        subject: [subject; 32],
        item: item.to_owned(),
        ..effect(number)
    };
    add(&*store, vec![of(3, 9, "x"), of(2, 9, "y"), of(1, 8, "x"), of(4, 9, "y")]).await;
    store.settle(vec![settlement(2, EffectState::Done, 0)]).await.unwrap();
    assert_eq!(numbers(store.effects_of_case([9; 32]).await.unwrap()), [2, 3, 4]);
    assert_eq!(numbers(store.effects_of_case([8; 32]).await.unwrap()), [1]);
    assert!(store.effects_of_case([7; 32]).await.unwrap().is_empty());
    assert_eq!(numbers(store.effects_of_item("x").await.unwrap()), [3, 1]);
    assert!(store.effects_of_item("z").await.unwrap().is_empty());
    assert_eq!(store.cases_with_effects().await.unwrap(), [[8; 32], [9; 32]]);
}

/// What waits for one connector does not stand before what waits for another.
pub async fn each_connector_has_its_own_queue(bench: &mut dyn Bench) {
    let store = bench.open().await;
    let of = |number, connector: &str, due_ms| Effect {
        connector: connector.to_owned(),
        due_ms,
        ..effect(number)
    };
    add(&*store, vec![of(1, "slow", 1), of(2, "quick", 5), of(3, "slow", 2)]).await;
    assert_eq!(numbers(store.effects_due("slow", 9, 1).await.unwrap()), [1]);
    assert_eq!(numbers(store.effects_due("quick", 9, 9).await.unwrap()), [2]);
    assert_eq!(store.next_effect_due("quick").await.unwrap(), Some(5));
    assert_eq!(store.next_effect_due("none").await.unwrap(), None);
    store.settle(vec![settlement(2, EffectState::Done, 0)]).await.unwrap();
    assert_eq!(store.pending_connectors().await.unwrap(), ["slow"]);
    let moved = settlement(3, EffectState::Pending, 2);
    let moved = Settlement { connector: Some("quick".to_owned()), ..moved };
    store.settle(vec![moved]).await.unwrap();
    assert_eq!(numbers(store.effects_due("slow", 9, 9).await.unwrap()), [1]);
    assert_eq!(numbers(store.effects_due("quick", 9, 9).await.unwrap()), [3]);
    store.settle(vec![settlement(3, EffectState::Dead, 2)]).await.unwrap();
    assert_eq!(store.effect([3; 32]).await.unwrap().unwrap().connector, "quick");
}

/// What a person has to look at is listed page by page, and counted.
pub async fn effects_are_listed_by_state_and_counted(bench: &mut dyn Bench) {
    let store = bench.open().await;
    assert_eq!(store.outbox_counts(None).await.unwrap(), OutboxCounts::default());
    add(&*store, (1..=6).map(effect).collect()).await;
    let states = [(1, EffectState::Dead), (2, EffectState::Dropped), (3, EffectState::Dead)];
    let settlements = states.map(|(number, state)| settlement(number, state, 0)).to_vec();
    store.settle(settlements).await.unwrap();
    let first = store.effects_in(EffectState::Dead, 0, 1).await.unwrap();
    let rest = store.effects_in(EffectState::Dead, first[0].0, 9).await.unwrap();
    assert_eq!([first[0].1.name[0], rest[0].1.name[0]], [1, 3]);
    assert_eq!(rest.len(), 1);
    assert_eq!(store.effects_in(EffectState::Dropped, 0, 9).await.unwrap().len(), 1);
    let expected = OutboxCounts { pending: 3, dead: 2, oldest_pending_ms: Some(4) };
    assert_eq!(store.outbox_counts(None).await.unwrap(), expected);
    assert_eq!(store.outbox_counts(Some("webhook")).await.unwrap(), expected);
    assert_eq!(store.outbox_counts(Some("no")).await.unwrap(), OutboxCounts::default());
    let dropped = store.effect([2; 32]).await.unwrap().unwrap();
    store.settle(vec![settlement(2, EffectState::Pending, 0)]).await.unwrap();
    assert_eq!(store.effect([2; 32]).await.unwrap().unwrap(), dropped);
    assert_eq!((dropped.state, dropped.record), (EffectState::Dropped, [2; 32]));
    assert_eq!(store.effect([9; 32]).await.unwrap(), None);
}

/// Late is what was decided too long ago or has too many before it, and was never tried.
pub async fn effects_that_get_their_turn_too_late_are_listed_and_counted(bench: &mut dyn Bench) {
    let store = bench.open().await;
    let place = |number, priority, created_ms| Effect { priority, created_ms, ..effect(number) };
    let of_another = Effect { connector: "another".to_owned(), ..place(6, 9, 1) };
    let effects = [place(1, 2, 100), place(2, 1, 200), place(3, 2, 300), place(4, 2, 50)];
    add(&*store, effects.into_iter().chain([place(5, 0, 400), of_another]).collect()).await;
    let late = async |decided_ms, met| {
        let late = LateOrders { connector: "webhook".to_owned(), decided_ms, met };
        let found = store.effects_late(late.clone(), 0, 99).await.unwrap();
        assert_eq!(store.count_late(late).await.unwrap(), found.len() as u64);
        numbers(found.into_iter().map(|(_, effect)| effect).collect())
    };
    // In the queue they stand as 5, 2, 4, 1, 3.
    assert!(late(0, None).await.is_empty() && late(0, Some(5)).await.is_empty());
    assert_eq!(late(0, Some(3)).await, [1, 3]);
    assert_eq!(late(0, Some(0)).await, [1, 2, 3, 4, 5]);
    assert_eq!(late(100, None).await, [1, 4]);
    assert_eq!(late(100, Some(4)).await, [1, 3, 4]);
    // One that was begun has its turn, and still takes a place.
    store.settle(vec![settlement(1, EffectState::Pending, 9_000)]).await.unwrap();
    assert_eq!(late(100, Some(4)).await, [3, 4]);
    let all = LateOrders { connector: "webhook".to_owned(), decided_ms: 0, met: Some(0) };
    let first = store.effects_late(all.clone(), 0, 1).await.unwrap();
    let rest = store.effects_late(all, first[0].0, 99).await.unwrap();
    assert_eq!((first[0].1.name[0], rest.len(), rest[0].1.name[0]), (2, 3, 3));
}

/// The items of a case come page by page, and what was carried out on them is counted by item.
pub async fn the_items_of_a_case_are_listed_and_counted(bench: &mut dyn Bench) {
    let store = bench.open().await;
    let of = |number, item: &str, action: &str| Effect {
        subject: [9; 32],
        item: item.to_owned(),
        action: action.to_owned(),
        ..effect(number)
    };
    let effects = vec![
        of(1, "x", "remove"),
        of(2, "y", "remove"),
        of(3, "x", "remove"),
        of(4, "x", "restore"),
        of(5, "z", "remove"),
        effect(6),
    ];
    add(&*store, effects).await;
    let done = (1..=4).map(|number| settlement(number, EffectState::Done, 0));
    store.settle(done.collect()).await.unwrap();
    assert_eq!(store.items_of_case([9; 32], "", 2).await.unwrap(), ["x", "y"]);
    assert_eq!(store.items_of_case([9; 32], "y", 2).await.unwrap(), ["z"]);
    let counts = store.case_counts([9; 32], "restore").await.unwrap();
    assert_eq!(counts, CaseCounts { removed: 2, restored: 1 });
    let of_two = store.effects_of_items(vec!["x".to_owned(), "z".to_owned()]).await.unwrap();
    assert_eq!(of_two.len(), 4);
}

/// A pending effect, created `number` milliseconds after 1970 and due at once.
pub(crate) fn effect(number: u8) -> Effect {
    Effect {
        name: [number; 32],
        connector: "webhook".to_owned(),
        item: format!("tiktok:{number}"),
        action: "remove".to_owned(),
        subject: [number; 32],
        record: [number; 32],
        round: 0,
        priority: 2,
        reversible: number.is_multiple_of(2),
        detail: b"{}".to_vec(),
        created_ms: u64::from(number),
        due_ms: 0,
        attempts: 0,
        state: EffectState::Pending,
        note: String::new(),
    }
}

fn settlement(number: u8, state: EffectState, due_ms: u64) -> Settlement {
    let note = format!("answer {number}");
    Settlement {
        name: [number; 32],
        state,
        attempts: u32::from(number),
        due_ms,
        note,
        connector: None,
    }
}

async fn add(store: &dyn Store, effects: Vec<Effect>) {
    store.commit(Batch { effects, ..Batch::default() }).await.unwrap();
}

fn numbers(effects: Vec<Effect>) -> Vec<u8> {
    effects.iter().map(|effect| effect.name[0]).collect()
}
