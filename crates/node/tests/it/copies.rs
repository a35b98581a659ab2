//! Copies that are held: taken down for a bank as for a case, put back when it is undone, shown to a
//! person where nothing may happen by itself.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use watchfire_node::{
    banks::{Change, ContentChange, ContentId, NewContent, Settings},
    budget::Budget,
    desk::Actor,
    hold::RESTORE,
    policy::{Fact, Held, Policy},
    review::{Finding, Scope},
    standing::{CONFIRMED_MAX_MS, State},
};
use watchfire_signal::{alert::Exception, charter::Role, name::BankName};
use watchfire_store::{Effect, EffectState, MemoryStore, Store};

use crate::workshop::{Workshop, picture};

const POLICY: &str = r#"
version = 1
default = "review"
trust = ["tiktok"]

[[negative]]
bank = "LOGOS"
banks = ["GORE"]
members = ["tiktok", "reddit"]

[[rule]]
id = "own"
mode = "live"
bank = ["GORE"]
then = ["remove", "block_upload"]

[[rule]]
id = "confirmed"
mode = "live"
state = ["CONFIRMED"]
then = ["remove", "block_upload"]
"#;

fn actor() -> Actor {
    Actor::Person("p1".to_owned())
}

fn bank(text: &str) -> BankName {
    text.parse().unwrap()
}

async fn open(store: &Arc<dyn Store>) -> Workshop {
    let policy = Policy::read(POLICY).unwrap();
    Workshop::open_on(store.clone(), policy, Budget::default()).await
}

/// A workshop with a bank of harm and one of harmless things, and an item of one picture.
async fn with_banks() -> Workshop {
    let shop = open(&(Arc::new(MemoryStore::new()) as Arc<dyn Store>)).await;
    for (name, negative) in [("GORE", false), ("LOGOS", true)] {
        let settings = Settings { negative, ..Settings::default() };
        shop.banks().create(&actor(), bank(name), settings).await.unwrap();
    }
    shop.hold("x", &[0x0f]);
    shop.hold("other", &[0x77]);
    shop
}

async fn put(shop: &Workshop, name: &str, byte: u8) -> ContentId {
    let content = NewContent::of(vec![picture(byte)]);
    let added = shop.banks().add(&actor(), &bank(name), vec![content]).await.unwrap();
    settled(shop).await;
    added[0].id
}

/// Waits until a change, and a sweep if it asked for one, has had its consequences.
async fn settled(shop: &Workshop) {
    tokio::time::sleep(Duration::from_secs(3)).await;
    shop.settle().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_bank_gains_goes_and_what_it_loses_comes_back() {
    let shop = with_banks().await;
    let content = put(&shop, "GORE", 0x0f).await;
    assert!(shop.platform.is_hidden("x"));
    assert!(!shop.platform.is_hidden("other"));
    let effects = shop.effects("x").await;
    let detail: serde_json::Value = serde_json::from_slice(&effects[0].detail).unwrap();
    assert_eq!(detail["bank"], "GORE");
    assert_eq!(detail["content"]["content"], content.0);
    shop.banks().take(&actor(), bank("GORE"), content).await.unwrap();
    settled(&shop).await;
    assert!(!shop.platform.is_hidden("x"));
    assert_eq!(shop.restores(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_case_holds_down_too_stays_down_when_the_bank_loses_it() {
    let mut shop = with_banks().await;
    let content = put(&shop, "GORE", 0x0f).await;
    shop.set(0, &[0x0f], None);
    shop.stand("tiktok", 0);
    shop.stand("reddit", 0);
    settled(&shop).await;
    shop.banks().take(&actor(), bank("GORE"), content).await.unwrap();
    settled(&shop).await;
    assert!(shop.platform.is_hidden("x"));
    assert_eq!(shop.restores(), 0);
    shop.retract("tiktok", 0);
    shop.retract("reddit", 0);
    settled(&shop).await;
    assert!(!shop.platform.is_hidden("x"));
}

#[tokio::test(start_paused = true)]
async fn a_bank_that_is_off_takes_nothing_more_down_and_a_person_says_what_comes_back() {
    let shop = with_banks().await;
    let content = put(&shop, "GORE", 0x0f).await;
    let off = ContentChange { disabled_until_ms: Some(u64::MAX), note: None };
    shop.banks().change_content(&actor(), bank("GORE"), content, off).await.unwrap();
    settled(&shop).await;
    assert!(shop.platform.is_hidden("x"), "a pause brings nothing back");
    let tickets = shop.tickets().await;
    assert_eq!(tickets.len(), 1);
    assert_eq!(tickets[0].items, ["x".parse().unwrap()]);
    shop.decide(&tickets[0].id, Finding::Benign, Scope::Items).await;
    assert!(!shop.platform.is_hidden("x"));
    assert!(shop.tickets().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_bank_switched_on_or_filled_with_very_many_is_swept_over_all_copies() {
    let shop = with_banks().await;
    let off = Change { enabled: Some(false), ..Change::default() };
    shop.banks().change(&actor(), bank("GORE"), off).await.unwrap();
    put(&shop, "GORE", 0x0f).await;
    assert!(!shop.platform.is_hidden("x"));
    let on = Change { enabled: Some(true), ..Change::default() };
    shop.banks().change(&actor(), bank("GORE"), on).await.unwrap();
    settled(&shop).await;
    assert!(!shop.platform.is_hidden("x"), "the item was never kept, so no sweep can find it");
    shop.consequences.seen.keep(&"x".parse().unwrap()).await;
    shop.consequences.seen.keep(&"other".parse().unwrap()).await;
    let many = (0..=255_u8).filter(|byte| *byte != 0x0f).map(picture);
    let many = many.map(|signal| NewContent::of(vec![signal])).collect();
    shop.banks().add(&actor(), &bank("GORE"), many).await.unwrap();
    settled(&shop).await;
    assert!(shop.platform.is_hidden("x"));
    assert!(shop.platform.is_hidden("other"));
    shop.banks().delete(&actor(), bank("GORE")).await.unwrap();
    settled(&shop).await;
    assert!(!shop.platform.is_hidden("x"));
    assert!(!shop.platform.is_hidden("other"));
}

#[tokio::test(start_paused = true)]
async fn what_a_negative_bank_speaks_for_comes_back_and_goes_when_it_speaks_no_more() {
    let mut shop = with_banks().await;
    shop.set(0, &[0x0f], None);
    shop.stand("tiktok", 0);
    settled(&shop).await;
    put(&shop, "GORE", 0x77).await;
    assert!(shop.platform.is_hidden("x") && shop.platform.is_hidden("other"));
    let logo = put(&shop, "LOGOS", 0x0f).await;
    put(&shop, "LOGOS", 0x77).await;
    assert!(!shop.platform.is_hidden("x") && !shop.platform.is_hidden("other"));
    shop.banks().take(&actor(), bank("LOGOS"), logo).await.unwrap();
    settled(&shop).await;
    assert!(shop.platform.is_hidden("x"));
    assert!(!shop.platform.is_hidden("other"));
}

#[tokio::test(start_paused = true)]
async fn a_content_with_very_many_older_copies_waits_for_a_person() {
    let shop = with_banks().await;
    for number in 0..60 {
        shop.hold(&format!("meme:{number}"), &[0x0f]);
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    put(&shop, "GORE", 0x0f).await;
    assert!(!shop.platform.is_hidden("x"));
    let held = shop.consequences.reasons.holds.list();
    assert_eq!((held.len(), held[0].why, held[0].copies), (1, Held::OlderMatches, 61));
    let tickets = shop.tickets().await;
    assert_eq!((tickets.len(), tickets[0].items.len()), (1, 61), "once, with all its items");
    shop.decide(&tickets[0].id, Finding::Harmful, Scope::Case).await;
    assert!(shop.platform.is_hidden("x") && shop.platform.is_hidden("meme:59"));
}

#[tokio::test(start_paused = true)]
async fn copies_of_a_case_that_may_only_be_reviewed_wait_for_a_person() {
    let mut shop = with_banks().await;
    shop.hold("y", &[0x0f]);
    shop.set(0, &[0x0f], None);
    shop.stand("reddit", 0);
    settled(&shop).await;
    assert_eq!(shop.sets()[&0].state(shop.now_ms()), State::Provisional);
    let tickets = shop.tickets().await;
    assert_eq!(tickets.len(), 1);
    assert_eq!(tickets[0].items.len(), 2, "near-duplicates stand together");
    shop.decide(&tickets[0].id, Finding::Harmful, Scope::Items).await;
    assert!(shop.platform.is_hidden("x") && shop.platform.is_hidden("y"));
    assert!(shop.tickets().await.is_empty());
    shop.look(0);
    settled(&shop).await;
    assert!(shop.tickets().await.is_empty(), "nobody is asked twice");
}

#[tokio::test(start_paused = true)]
async fn a_copy_in_the_news_waits_for_a_person_where_others_go() {
    let mut shop = Workshop::open(Budget::default()).await;
    shop.hold("x", &[0x0f]);
    let news = ("context".to_owned(), Fact::Text("news".to_owned()));
    shop.hold_with("in-the-news", &[0x0f], BTreeMap::from([news]).into());
    shop.set(0, &[0x0f], None);
    shop.except(0, Exception::News);
    shop.stand("reddit", 0);
    shop.stand("google", 0);
    settled(&shop).await;
    assert!(shop.platform.is_hidden("x"));
    assert!(!shop.platform.is_hidden("in-the-news"));
    let tickets = shop.tickets().await;
    assert!(tickets.iter().any(|one| one.items.contains(&"in-the-news".parse().unwrap())));
    // Whatever is said later, and after it has gone to the store and come back.
    shop.consequences.seen.keep(&"in-the-news".parse().unwrap()).await;
    shop.stand("tiktok", 0);
    settled(&shop).await;
    let kept = shop.consequences.seen.page(0, 10).await.unwrap().unwrap().0;
    assert_eq!(kept[0].facts.fact("context"), Some(&Fact::Text("news".to_owned())));
    assert!(!shop.platform.is_hidden("in-the-news"));
}

#[tokio::test(start_paused = true)]
async fn what_a_lapsed_case_keeps_down_waits_for_a_person_who_can_bring_it_back() {
    let mut shop = with_banks().await;
    shop.hold("y", &[0x0f]);
    shop.set(0, &[0x0f], None);
    shop.stand("tiktok", 0);
    shop.stand("reddit", 0);
    settled(&shop).await;
    assert!(shop.tickets().await.is_empty());
    shop.pass(CONFIRMED_MAX_MS).await;
    settled(&shop).await;
    assert!(shop.platform.is_hidden("x") && shop.platform.is_hidden("y"));
    let tickets = shop.tickets().await;
    assert_eq!((tickets.len(), tickets[0].items.len()), (1, 2));
    shop.decide(&tickets[0].id, Finding::Benign, Scope::Case).await;
    assert!(!shop.platform.is_hidden("x") && !shop.platform.is_hidden("y"));
    assert!(shop.tickets().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_content_lost_just_before_a_crash_is_undone_after_it() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let shop = open(&store).await;
    shop.banks().create(&actor(), bank("GORE"), Settings::default()).await.unwrap();
    shop.hold("x", &[0x0f]);
    shop.consequences.seen.keep(&"x".parse().unwrap()).await;
    let content = put(&shop, "GORE", 0x0f).await;
    assert!(shop.platform.is_hidden("x"));
    // The process dies before anybody looks: the task that does is gone.
    let banks = shop.banks().clone();
    shop.stop_looking();
    banks.take(&actor(), bank("GORE"), content).await.unwrap();
    drop(shop);
    let shop = open(&store).await;
    shop.banks().go_on().await.unwrap();
    settled(&shop).await;
    let done = |effects: Vec<Effect>| {
        let restores = effects.into_iter().filter(|effect| effect.action == RESTORE);
        restores.map(|effect| effect.state).collect::<Vec<_>>()
    };
    assert_eq!(done(shop.effects("x").await), [EffectState::Done]);
    shop.banks().go_on().await.unwrap();
    settled(&shop).await;
    assert_eq!(done(shop.effects("x").await), [EffectState::Done]);
}

#[tokio::test(start_paused = true)]
async fn take_downs_of_copies_are_kept_as_facts() {
    let shop = with_banks().await;
    put(&shop, "GORE", 0x0f).await;
    shop.consequences.facts.flush().await;
    let page = shop.consequences.facts.page(&[], 10).await.unwrap();
    let (decided, _) = page.unwrap();
    assert_eq!(decided.len(), 1);
    assert_eq!(decided[0].facts.bank, Some(bank("GORE")));
    assert_eq!(decided[0].facts.item, Some("x".parse().unwrap()));
    assert!(decided[0].then.contains(&"remove".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_member_whose_role_does_not_enforce_takes_nothing_down_until_it_is_a_platform() {
    let store = Arc::new(MemoryStore::new()) as Arc<dyn Store>;
    let policy = Policy::read(POLICY).unwrap();
    let items = [("of-a-case", 0x33), ("of-another", 0x5a), ("of-a-bank", 0x0f)];
    let open = async |role| {
        let (store, policy) = (store.clone(), policy.clone());
        let mut shop = Workshop::open_as(role, store, policy, Budget::default()).await;
        for (item, picture) in items {
            shop.hold(item, &[picture]);
            shop.consequences.seen.keep(&item.parse().unwrap()).await;
        }
        for (set, (_, picture)) in items.iter().take(2).enumerate() {
            shop.set(set, &[*picture], None);
            shop.stand("tiktok", set);
            shop.stand("reddit", set);
        }
        shop
    };
    let shop = open(Role::Contributor).await;
    shop.banks().create(&actor(), bank("GORE"), Settings::default()).await.unwrap();
    put(&shop, "GORE", 0x0f).await;
    settled(&shop).await;
    let tickets = shop.tickets().await;
    assert_eq!(tickets.len(), 3, "a person may look at each");
    let other = "of-another".parse().unwrap();
    for ticket in tickets.iter().filter(|ticket| !ticket.items.contains(&other)) {
        shop.decide(&ticket.id, Finding::Harmful, Scope::Case).await;
    }
    settled(&shop).await;
    for (item, _) in items {
        assert!(!shop.platform.is_hidden(item), "{item}: what a person says takes nothing down");
        assert!(shop.effects(item).await.is_empty());
    }
    assert_eq!(shop.tickets().await.len(), 1, "nobody is asked again");
    drop(shop);
    let shop = open(Role::Platform).await;
    shop.banks().go_on().await.unwrap();
    settled(&shop).await;
    assert!(items.iter().all(|(item, _)| shop.platform.is_hidden(item)));
    drop(shop);
    // What is down stays down, and comes back when it is undone; what a person found harmful does not by itself.
    let mut shop = open(Role::Contributor).await;
    settled(&shop).await;
    let restored = async |shop: &Workshop| {
        let mut restored = Vec::new();
        for (item, _) in items {
            let effects = shop.effects(item).await;
            restored.push(effects.iter().any(|effect| effect.action == RESTORE));
        }
        restored
    };
    assert_eq!(restored(&shop).await, [false; 3]);
    for set in [0, 1] {
        shop.retract("tiktok", set);
        shop.retract("reddit", set);
    }
    settled(&shop).await;
    assert_eq!(restored(&shop).await, [false, true, false]);
}

#[tokio::test(start_paused = true)]
async fn who_stands_by_what_others_took_back_is_asked_again_and_the_copy_stays_down_meanwhile() {
    let mut shop = Workshop::open(Budget::default()).await;
    shop.hold("x", &[0x0f]);
    shop.set(0, &[0x0f], None);
    shop.stand("tiktok", 0);
    shop.stand("twitch", 0);
    settled(&shop).await;
    assert!(shop.platform.is_hidden("x"));
    assert!(shop.tickets().await.is_empty());
    // Its author was wrong, and this member has only its own word left.
    shop.retract("tiktok", 0);
    settled(&shop).await;
    assert!(shop.platform.is_hidden("x"));
    let tickets = shop.tickets().await;
    assert_eq!(tickets.len(), 1);
    assert_eq!(tickets[0].items, ["x".parse().unwrap()]);
    shop.decide(&tickets[0].id, Finding::Harmful, Scope::Case).await;
    shop.look(0);
    settled(&shop).await;
    assert!(shop.platform.is_hidden("x"));
    assert!(shop.tickets().await.is_empty(), "nobody is asked twice");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_again_while_enough_others_stand_by_it() {
    let mut shop = Workshop::open(Budget::default()).await;
    shop.hold("x", &[0x0f]);
    shop.set(0, &[0x0f], None);
    for member in ["tiktok", "twitch", "reddit"] {
        shop.stand(member, 0);
    }
    shop.retract("tiktok", 0);
    settled(&shop).await;
    assert!(shop.platform.is_hidden("x"));
    assert!(shop.tickets().await.is_empty());
}
