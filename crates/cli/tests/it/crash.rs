//! A node that dies again and again while it carries orders out: by the platform's own journal each
//! order took effect once, and none is lost.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use watchfire_connector::{
    receiver::{Receiver, Setup},
    standard_webhook::CheckingKey,
};
use watchfire_node::{clock::SystemClock, deliver::Became, desk::DeskKind};
use watchfire_signal::desk::DeskLeaf;
use watchfire_store::{EffectState, OpenError, SqliteOptions, SqliteStore, Store};

/// The secret that the rig has too.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ITEMS: usize = 40;
/// Where the rig ends itself.
const POINTS: [&str; 3] = ["before-order", "after-order", "after-verify"];
/// More runs than the whole way can need, were each to carry a single order further.
const MOST_RUNS: usize = 4 * ITEMS;

/// How a run of the rig ends.
enum End {
    /// It aborts at a step, the so-manieth time.
    Point(&'static str, usize),
    /// It is killed after so many lines.
    Kill(usize),
}

/// Runs the rig once; true when it went the whole way.
fn run(directory: &Path, address: &str, end: &End) -> bool {
    let (point, hit) = match end {
        End::Point(point, hit) => (*point, *hit),
        End::Kill(_) => ("none", 1),
    };
    let mut rig = Command::new(env!("CARGO_BIN_EXE_watchfire-outbox-rig"))
        .arg(directory)
        .args([address, &ITEMS.to_string(), point, &hit.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(rig.stdout.take().unwrap()).lines();
    let mut done = false;
    for (number, line) in lines.by_ref().enumerate() {
        done |= line.unwrap() == "done";
        if matches!(end, End::Kill(after) if number == *after) && !done {
            rig.kill().unwrap();
        }
    }
    assert!(!done || rig.wait().unwrap().success());
    rig.wait().unwrap();
    done
}

/// Opens the store of a rig that has just died; another test's child may hold a copy of its lock for
/// a moment.
fn open(directory: &Path) -> SqliteStore {
    loop {
        match SqliteStore::open(directory, SqliteOptions::default()) {
            Err(OpenError::Locked { .. }) => std::thread::yield_now(),
            other => return other.unwrap(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_order_takes_effect_once_however_often_the_node_dies() {
    let place = tempfile::tempdir().unwrap();
    let (uploads, directory) = (place.path().join("uploads"), place.path().join("node"));
    fs::create_dir(&uploads).unwrap();
    for item in 0..ITEMS {
        fs::write(uploads.join(format!("item-{item}")), b"content").unwrap();
    }
    let platform = Receiver::start(Setup {
        folder: uploads.clone(),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        keys: vec![CheckingKey::parse(SECRET).unwrap()],
        clock: Arc::new(SystemClock::default()),
    });
    let platform = platform.await.unwrap();
    let address = format!("http://{}", platform.address());

    let mut deaths = 0;
    let whole = (0..MOST_RUNS).any(|number| {
        let end = match number % (POINTS.len() + 1) {
            3 => End::Kill(number % 17),
            point => End::Point(POINTS[point], 1 + number % 7),
        };
        let done = tokio::task::block_in_place(|| run(&directory, &address, &end));
        deaths += usize::from(!done);
        done
    });
    assert!(whole, "it never came to an end");
    assert!(deaths >= 20, "it died only {deaths} times");

    // The platform's own journal: a line for each order that moved something.
    let journal = fs::read_to_string(uploads.join(".quarantine/.keys")).unwrap();
    let orders = journal.lines().collect::<Vec<_>>();
    assert_eq!(orders.len(), 2 * ITEMS);
    assert_eq!(orders.iter().collect::<BTreeSet<_>>().len(), 2 * ITEMS);
    for item in 0..ITEMS {
        assert!(uploads.join(format!("item-{item}")).is_file(), "item-{item} did not come back");
    }
    // The node's own books say the same.
    let store = open(&directory);
    let done = store.effects_in(EffectState::Done, 0, 10 * ITEMS).await.unwrap();
    assert_eq!(done.len(), 2 * ITEMS);
    assert_eq!(outcomes(&store).await, 2 * ITEMS);
    platform.stop().await;
}

/// Lines of the desk log that say what became of an order, each about another one.
async fn outcomes(store: &SqliteStore) -> usize {
    let desk =
        store.logs().await.unwrap().into_iter().find(|head| head.log.as_str().ends_with("/desk"));
    let held = store.held(&desk.unwrap().log, 0, usize::MAX).await.unwrap();
    let became = held.iter().filter_map(|held| {
        let leaf = DeskLeaf::decode(&held.entry.leaf).unwrap();
        let record = leaf.open(held.entry.record.as_ref()?).unwrap();
        (leaf.kind == DeskKind::Outcome)
            .then(|| serde_json::from_slice::<Became>(&record.body).unwrap().effect)
    });
    became.collect::<BTreeSet<_>>().len()
}
