//! A retraction overtakes a hundred thousand alerts between real nodes, also where the one that is behind
//! is killed on the way.

use std::{path::Path, process::Command};

use tokio::runtime::Runtime;
use watchfire_signal::desk::DeskLeaf;
use watchfire_store::{Head, SqliteOptions, SqliteStore, Store};

use crate::{
    backlog::{self, History},
    platform,
    program::PROGRAM,
    trio::Trio,
    wire::{Mode, Wire},
};

/// Alerts that a member is behind by where every test runs; with them it takes a minute.
const A_TEST: u64 = 20_000;
/// As many as there have to be: `make bench-overtaking`.
const ALL: u64 = 100_000;
/// What the platform held before: an item of the first alert, of the last but one, and of the last one, which is
/// retracted.
const ITEMS: [&str; 3] = ["of-the-first", "of-the-last-but-one", "of-the-retracted"];
/// What a node is told of all that came ahead of its turn.
const EARLY: &str = "watchfire_early_total{member=\"ant\"}";
const KNOWN: &str = "watchfire_known_signals";

/// A log of a store, by the end of its name.
async fn head_of(store: &SqliteStore, log: &str) -> Head {
    let logs = store.logs().await.unwrap();
    logs.into_iter().find(|head| head.log.as_str().ends_with(log)).unwrap()
}

/// How much a node that does not run holds of a log.
async fn held(dir: &Path, log: &str) -> u64 {
    head_of(&SqliteStore::open(dir, SqliteOptions::default()).unwrap(), log).await.size
}

#[test]
fn an_alert_that_was_retracted_never_enforces_at_who_is_far_behind_and_killed_on_the_way() {
    overtake(A_TEST);
}

#[test]
fn it_never_enforces_where_a_hundred_thousand_are_before_it() {
    overtake(ALL);
}

/// Somebody is behind by so many alerts, and is killed on the way.
fn overtake(alerts: u64) {
    let runtime = Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let receiver = runtime.block_on(platform::serve(folder.path()));
    let to_platform = Wire::before(receiver.address(), &runtime);
    let mut to_ant = None;
    let mut trio = Trio::found_at(
        |member, listen| {
            let wire = (member == "ant").then(|| Wire::before(listen, &runtime));
            let address = wire.as_ref().map_or(listen, |wire| wire.address);
            to_ant = to_ant.take().or(wire);
            Some(format!("http://{address}"))
        },
        None,
    );
    let to_ant = to_ant.unwrap();
    to_ant.set(Mode::Cut);
    let (url, verify) = (receiver.webhook_url(), receiver.verify_url());
    let [url, verify] = [url, verify]
        .map(|url| url.replace(&receiver.address().to_string(), &to_platform.address.to_string()));
    platform::configure(&trio.dir("bee"), &url, &verify);
    platform::trust(&trio.dir("bee"), "ant");
    let history = History::default();
    let last = runtime.block_on(backlog::write(&trio.dir("ant"), "ant", 0..alerts, history));
    let last = last.to_string();
    trio.start_as("ant", Command::new(PROGRAM).args(["serve", "--alone"]));
    trio.start(&["bee"]);
    let numbers = ITEMS.into_iter().zip([0, alerts - 2, alerts - 1]);
    let items = numbers.map(|(item, number)| (item, backlog::picture(number).to_string()));
    platform::hold(&trio, "bee", folder.path(), &items.collect::<Vec<_>>());
    trio.knows("ant", &last);

    // All of it is on its way when the last one is taken back.
    let holds = |trio: &Trio, least| {
        trio.until("bee catches up", || trio.held("bee", "ant").filter(|held| *held >= least))
    };
    to_ant.set(Mode::Thin);
    holds(&trio, 1);
    to_ant.set(Mode::Cut);
    let retract = ["alert", "retract", &last, "--reason", "wrong_match"];
    trio.until("ant retracts", || trio.ask("ant", &retract));
    to_ant.set(Mode::Thin);
    trio.until("bee knows it ahead of time", || {
        trio.measured("bee", EARLY).filter(|early| *early == 1.0)
    });
    holds(&trio, alerts / 4);
    trio.kill("bee");
    let behind = runtime.block_on(held(&trio.dir("bee"), "/ant/1"));
    assert!((alerts / 4..alerts - 1).contains(&behind), "killed at {behind}");

    to_ant.set(Mode::Straight);
    trio.start(&["bee"]);
    trio.until("bee has caught up", || {
        let state = trio.ask("bee", &["alert", "show", &last])?["state"] == "RETRACTED";
        (state && trio.measured("bee", KNOWN)? == (alerts - 1) as f64).then_some(())
    });
    let [first, last_but_one, retracted] = ITEMS;
    for item in [first, last_but_one] {
        let hidden = || (!folder.path().join(item).exists()).then_some(());
        trio.until(&format!("{item} is down"), hidden);
        assert!(to_platform.has_heard(item));
    }
    stop_settled(&mut trio);
    // Neither the platform nor the books have ever heard of the third one.
    assert!(folder.path().join(retracted).exists());
    assert!(!to_platform.has_heard(retracted));
    runtime.block_on(nothing_was_decided(&trio.dir("bee"), retracted, &[first, last_but_one]));
    runtime.block_on(receiver.stop());
}

/// Stops bee once its books say what was done: the platform has done it a moment before.
fn stop_settled(trio: &mut Trio) {
    trio.until("all that was done is in the books", || {
        (trio.measured("bee", "watchfire_outbox_pending")? == 0.0).then_some(())
    });
    trio.stop("bee");
}

/// The books of a node that does not run have orders and decisions about some items, none about one.
async fn nothing_was_decided(dir: &Path, never: &str, indeed: &[&str]) {
    let store = SqliteStore::open(dir, SqliteOptions::default()).unwrap();
    let names = |items: &[&str]| items.iter().map(ToString::to_string).collect();
    assert_eq!(store.effects_of_items(names(&[never])).await.unwrap(), []);
    assert_eq!(store.effects_of_items(names(indeed)).await.unwrap().len(), indeed.len());
    let desk = head_of(&store, "/desk").await.log;
    let lines = store.held(&desk, 0, usize::MAX).await.unwrap().into_iter().filter_map(|held| {
        let leaf = DeskLeaf::decode(&held.entry.leaf).unwrap();
        Some(String::from_utf8(leaf.open(held.entry.record.as_ref()?).unwrap().body).unwrap())
    });
    let lines = lines.collect::<Vec<_>>();
    let speak_of = |item: &str| lines.iter().filter(|line| line.contains(item)).count();
    assert_eq!(speak_of(never), 0, "{lines:?}");
    assert!(indeed.iter().all(|item| speak_of(item) > 0), "{lines:?}");
}
