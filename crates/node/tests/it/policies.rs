//! Policies as versions, decisions as facts, trials on them, and holds, in a running node.

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;
use watchfire_node::{
    PromoteError,
    backtest::Backtest,
    desk::{Actor, DeskKind},
    facts::{Group, KeptFacts},
    people::{About, Word},
    policies::{Applied, ApplyError},
    policy::{Held, Human, Mode, Policy, Verdict},
};
use watchfire_signal::name::ItemId;
use watchfire_store::{Batch, MemoryStore, Store};

use crate::{
    coalition::{Cast, START_MS, Stage, TestClock, alert, charter, start},
    policy::{any_facts, any_policy},
    story::{coalition, picture, until},
};

async fn alone(store: Arc<dyn Store>, seed: u64) -> Stage {
    let charter = charter(&[("ant", "ants"), ("bee", "bees")], 1);
    let (clock, peers) = (TestClock::new(), BTreeMap::new());
    start(Cast { me: "ant", charter: &charter, store, trust: &[], peers, clock, seed }).await
}

fn item(text: &str) -> ItemId {
    text.parse().unwrap()
}

fn file(version: u32, mode: &str) -> String {
    format!(
        "version = {version} # counts up\n[limits]\nolder_matches_per_signal = 2\n[promotion]\nmin_sample = 2\n\
         [[rule]]\nid = 'hide-all'\nmode = {mode} # was drafted by us\nthen = ['hide']\n"
    )
}

fn admin() -> Actor {
    Actor::Key("admin".to_owned())
}

#[tokio::test]
async fn a_policy_is_written_down_then_in_force_and_survives_a_restart() {
    let store = Arc::new(MemoryStore::new());
    let stage = alone(store.clone(), 1).await;
    let policies = stage.node.policies();
    assert!(matches!(
        policies.apply(&file(1, "'live'"), &admin()).await,
        Err(ApplyError::NotNewer { given: 1, in_force: 1 })
    ));
    assert!(matches!(
        policies.apply("version = 2\nx = 1", &admin()).await,
        Err(ApplyError::Policy(_))
    ));
    assert_eq!(stage.node.policy().version, 1);

    let (version, changed) = policies.apply(&file(2, "'live'"), &admin()).await.unwrap();
    assert!(changed && stage.node.policy().version == 2);
    let (again, changed) = policies.apply(&file(2, "'live'"), &admin()).await.unwrap();
    assert!(!changed && again == version);
    let lines = stage.node.desk().newest(Some(DeskKind::Policy), u64::MAX, 10).await.unwrap();
    assert_eq!(lines.len(), 1);
    let line: Applied = lines[0].deed().unwrap();
    assert_eq!((line.version, line.sha256, line.replaces), (2, version.sha256, 1));
    stage.node.stop().await;
    drop(stage);

    let stage = alone(store, 2).await;
    assert_eq!(stage.node.policy().rules[0].id, "hide-all");
    assert_eq!(stage.node.policies().versions().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_new_policy_has_held_copies_looked_at_again() {
    let stages = coalition().await;
    let reddit = &stages["reddit"];
    reddit.node.scan(item("reddit:1"), vec![picture(1)]).await;
    stages["tiktok"].node.raise(alert(vec![picture(1)]), None).await.unwrap();
    until(reddit, 1, Verdict::Review).await;
    assert!(!reddit.platform.is_hidden("reddit:1"));
    // From now on reddit trusts tiktok.
    let text = "version = 2\ntrust = ['tiktok']";
    reddit.node.policies().apply(text, &admin()).await.unwrap();
    while !reddit.platform.is_hidden("reddit:1") {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_was_decided_is_kept_with_its_digest_and_explains_a_refusal() {
    let store = Arc::new(MemoryStore::new());
    let stage = alone(store, 1).await;
    stage.node.raise(alert(vec![picture(1)]), None).await.unwrap();
    assert_eq!(stage.node.scan(item("a:1"), vec![picture(1)]).await.verdict, Verdict::Block);
    assert_eq!(stage.node.scan(item("a:2"), vec![picture(255)]).await.verdict, Verdict::Allow);
    stage.node.kept_facts().flush().await;

    let since = KeptFacts::since(START_MS - 1);
    let (kept, _) = stage.node.kept_facts().page(&since, 10).await.unwrap().unwrap();
    assert_eq!(kept.len(), 1, "what matched nothing is not kept");
    assert_eq!(kept[0].facts.item, Some(item("a:1")));
    assert_eq!(kept[0].then, ["remove", "block_upload", "preserve"]);
    let lines = stage.node.desk().newest(Some(DeskKind::Digest), u64::MAX, 10).await.unwrap();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].deed::<Group>().unwrap().decisions, 1);

    // It was refused, so it is not held: the kept facts answer.
    let explained = stage.node.explain(&item("a:1")).await.unwrap();
    assert_eq!(explained.len(), 1);
    assert_eq!(explained[0].acted, ["confirmed"]);
    assert_eq!(stage.node.explain(&item("a:2")).await.unwrap(), []);
}

#[tokio::test]
async fn facts_are_dropped_when_their_days_are_over() {
    let store = Arc::new(MemoryStore::new());
    let stage = alone(store, 1).await;
    stage.node.raise(alert(vec![picture(1)]), None).await.unwrap();
    stage.node.scan(item("a:1"), vec![picture(1)]).await;
    stage.node.kept_facts().flush().await;
    let all = KeptFacts::since(0);
    assert!(stage.node.kept_facts().page(&all, 10).await.unwrap().is_some());
    stage.clock.advance_ms(91 * 86_400_000);
    stage.node.kept_facts().flush().await;
    assert!(stage.node.kept_facts().page(&all, 10).await.unwrap().is_none());
}

#[tokio::test]
async fn a_rule_leaves_shadow_only_when_people_agree_with_enough_of_it() {
    let store = Arc::new(MemoryStore::new());
    let stage = alone(store.clone(), 1).await;
    stage.node.policies().apply(&file(2, "'shadow'"), &admin()).await.unwrap();
    stage.node.raise(alert(vec![picture(1)]), None).await.unwrap();
    for number in 0..3 {
        stage.node.scan(item(&format!("a:{number}")), vec![picture(1)]).await;
    }
    stage.node.kept_facts().flush().await;
    let refused = stage.node.promote("hide-all", &admin()).await;
    assert!(matches!(refused, Err(PromoteError::TooFew { judged: 0, needed: 2 })), "{refused:?}");

    // People speak while it is stopped, so that the next start heeds them.
    let mut stage = stage;
    for (seed, second) in [(2, false), (3, true)] {
        stage.node.stop().await;
        drop(stage);
        let says = |number: u32, harmful| {
            let word =
                Word::Found(Human { harmful, label: None, irreversible: false, at_ms: START_MS });
            About::Item(item(&format!("a:{number}"))).row(Some(&word))
        };
        let rows = vec![says(0, true), says(1, second)];
        store.commit(Batch { rows, ..Batch::default() }).await.unwrap();
        stage = alone(store.clone(), seed).await;
        if !second {
            let refused = stage.node.promote("hide-all", &admin()).await;
            assert!(matches!(refused, Err(PromoteError::TooImprecise { .. })), "{refused:?}");
        }
    }
    let version = stage.node.promote("hide-all", &admin()).await.unwrap();
    assert_eq!(version.version, 3);
    assert!(version.text.contains("mode = \"live\" # was drafted by us"), "{}", version.text);
    assert!(version.text.starts_with("version = 3 # counts up"));
    assert_eq!(stage.node.policy().rules[0].mode, Mode::Live);
    let again = stage.node.promote("hide-all", &admin()).await;
    assert!(matches!(again, Err(PromoteError::NotShadow("live"))));
    assert!(matches!(stage.node.promote("x", &admin()).await, Err(PromoteError::Unknown(_))));
}

#[tokio::test]
async fn a_trial_counts_what_acts_newly_and_what_no_longer() {
    let store = Arc::new(MemoryStore::new());
    let stage = alone(store, 1).await;
    stage.node.raise(alert(vec![picture(1)]), None).await.unwrap();
    for number in 0..3 {
        stage.node.scan(item(&format!("a:{number}")), vec![picture(1)]).await;
    }
    stage.node.kept_facts().flush().await;
    let tried = Policy::read(&file(2, "'live'")).unwrap();
    let since = KeptFacts::since(START_MS - 1);
    let (report, next) = stage.node.backtest(&tried, &since).await.unwrap();
    assert_eq!((report.decisions, report.changed), (3, 3));
    let rule = |id: &str| report.rules[id].clone();
    assert_eq!((rule("hide-all").acts, rule("hide-all").newly), (3, 3));
    assert_eq!((rule("confirmed").acts, rule("confirmed").no_longer), (0, 3));
    let (_, end) = stage.node.backtest(&tried, &next.unwrap()).await.unwrap();
    assert_eq!(end, None);
}

#[tokio::test]
async fn a_take_down_of_more_old_copies_than_plausible_waits_for_a_person() {
    let stages = coalition().await;
    let twitch = &stages["twitch"];
    let text = file(2, "'live'").replace("[limits]", "trust = ['tiktok']\n[limits]");
    twitch.node.policies().apply(&text, &admin()).await.unwrap();
    for number in 0..3 {
        twitch.node.scan(item(&format!("twitch:{number}")), vec![picture(1)]).await;
    }
    // Uploaded before anybody spoke of it.
    twitch.clock.advance_ms(1_000);
    let case = stages["tiktok"].node.raise(alert(vec![picture(1)]), None).await.unwrap().commitment;
    while twitch.node.holds().list().is_empty() {
        tokio::task::yield_now().await;
    }
    let hold = twitch.node.holds().list()[0].clone();
    assert_eq!((hold.case, hold.why, hold.copies), (case, Held::OlderMatches, 3));
    assert!(!twitch.platform.is_hidden("twitch:0"));
    // New uploads of it go to a person too.
    let upload = twitch.node.scan(item("twitch:9"), vec![picture(1)]).await;
    assert_eq!((upload.verdict, upload.decision.held), (Verdict::Review, Some(Held::OlderMatches)));

    let person = Actor::Person("p1".to_owned());
    assert!(twitch.node.release(&case, &person).await.unwrap().is_some());
    for number in 0..3 {
        while !twitch.platform.is_hidden(&format!("twitch:{number}")) {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(twitch.node.holds().list(), []);
    assert!(twitch.node.release(&case, &person).await.unwrap().is_none());
    let lines = twitch.node.desk().newest(Some(DeskKind::Decision), u64::MAX, 10).await.unwrap();
    assert_eq!(lines[0].record.as_ref().unwrap().actor, "person:p1");
}

proptest! {
    #[test]
    fn the_policy_in_force_tried_on_itself_changes_nothing(
        policy in any_policy(),
        all in proptest::collection::vec((any_facts(), proptest::option::of(any::<bool>())), 0..20),
    ) {
        let mut report = Backtest::of(&policy, &policy);
        for (facts, ruling) in &all {
            report.replay(&policy, &policy, facts, *ruling);
        }
        prop_assert_eq!((report.decisions, report.changed), (all.len() as u64, 0));
        prop_assert!(report.rules.values().all(|rule| rule.newly == 0 && rule.no_longer == 0));
        prop_assert!(report.rules.values().all(|rule| rule.judged() <= rule.acts));
    }

    #[test]
    fn parts_of_a_trial_add_up_to_the_whole(
        before in any_policy(),
        after in any_policy(),
        all in proptest::collection::vec((any_facts(), proptest::option::of(any::<bool>())), 0..20),
        at in 0_usize..20,
    ) {
        let report = |part: &[(watchfire_node::policy::Facts, Option<bool>)]| {
            let mut report = Backtest::of(&before, &after);
            part.iter().for_each(|(facts, ruling)| report.replay(&before, &after, facts, *ruling));
            report
        };
        let (first, second) = all.split_at(at.min(all.len()));
        let mut sum = report(first);
        sum.add(report(second));
        prop_assert_eq!(sum, report(&all));
    }
}
