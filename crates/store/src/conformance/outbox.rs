//! Checks of the outbox.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::Bench;
use crate::{Batch, Effect, EffectState, Settlement, Store};

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
    assert_eq!(store.next_effect_due().await.unwrap(), None);
    add(&*store, effects).await;
    assert_eq!(numbers(store.effects_due(500, 99).await.unwrap()), [3, 2, 1, 5, 6]);
    assert_eq!(numbers(store.effects_due(500, 2).await.unwrap()), [3, 2]);
    assert_eq!(numbers(store.effects_due(501, 2).await.unwrap()), [3, 4]);
    assert!(store.effects_due(0, 99).await.unwrap().is_empty());
    assert_eq!(store.next_effect_due().await.unwrap(), Some(1));
}

/// An effect that is decided again is the one that is there already, as it stands.
pub async fn an_effect_whose_name_is_known_is_left_as_it_stands(bench: &mut dyn Bench) {
    let store = bench.open().await;
    add(&*store, vec![effect(1)]).await;
    store.settle(vec![settlement(1, EffectState::Done, 0)]).await.unwrap();
    let again = Effect { item: "another".to_owned(), note: "again".to_owned(), ..effect(1) };
    add(&*store, vec![again.clone(), effect(2), again]).await;
    assert_eq!(numbers(store.effects_due(u64::MAX, 9).await.unwrap()), [2]);
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
    store.settle(settlements).await.unwrap();
    assert_eq!(numbers(store.effects_due(8_999, 9).await.unwrap()), [5]);
    assert_eq!(numbers(store.effects_due(9_000, 9).await.unwrap()), [4, 5]);
    store.settle(vec![settlement(5, EffectState::Done, 0)]).await.unwrap();
    assert_eq!(store.next_effect_due().await.unwrap(), Some(9_000));
    let waiting = store.effects_due(9_000, 9).await.unwrap();
    assert_eq!((waiting[0].attempts, waiting[0].note.as_str()), (4, "answer 4"));
    // A person may try again what was given up.
    store.settle(vec![settlement(2, EffectState::Pending, 1)]).await.unwrap();
    assert_eq!(numbers(store.effects_due(1, 9).await.unwrap()), [2]);
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
    assert_eq!(numbers(store.effects_of_item("x").await.unwrap()), [1, 3]);
    assert!(store.effects_of_item("z").await.unwrap().is_empty());
    assert_eq!(store.cases_with_effects().await.unwrap(), [[8; 32], [9; 32]]);
}

/// A pending effect, created `number` milliseconds after 1970 and due at once.
pub(crate) fn effect(number: u8) -> Effect {
    Effect {
        name: [number; 32],
        connector: "webhook".to_owned(),
        item: format!("tiktok:{number}"),
        action: "remove".to_owned(),
        subject: [number; 32],
        round: 0,
        priority: 2,
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
    Settlement { name: [number; 32], state, attempts: u32::from(number), due_ms, note }
}

async fn add(store: &dyn Store, effects: Vec<Effect>) {
    store.commit(Batch { effects, ..Batch::default() }).await.unwrap();
}

fn numbers(effects: Vec<Effect>) -> Vec<u8> {
    effects.iter().map(|effect| effect.name[0]).collect()
}
