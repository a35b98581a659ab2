//! A node that dies again and again while it carries orders out: by the platform's own journal each
//! order took effect once, and none is lost.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
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
/// Where the rig ends itself: at what the platform is asked, and at the commits around it.
const POINTS: [&str; 7] = [
    "before-attempt",
    "after-attempt",
    "before-order",
    "after-order",
    "after-verify",
    "before-end",
    "after-end",
];
/// Where it ends itself as well; there are two of these in the whole way, with all orders at once.
const DECISIONS: [&str; 2] = ["before-decision", "after-decision"];
/// More runs than the whole way can need, were each to carry a single order further.
const MOST_RUNS: usize = 4 * ITEMS;

/// How a run of the rig ends.
#[derive(Debug)]
enum End {
    /// It aborts at a step, the so-manieth time.
    Point(&'static str, usize),
    /// It is killed after so many lines.
    Kill(usize),
    /// It starts when the alert is over, and goes the whole way.
    Over,
}

/// How a run ends; each step has its turn again and again. Decisions are met in the first runs, and
/// in those in which the last take-down is done.
fn end(number: usize) -> End {
    match number % (POINTS.len() + 3) {
        decision @ (0 | 1) if number < 2 * (POINTS.len() + 3) => End::Point(DECISIONS[decision], 1),
        0..=2 => End::Kill(number % 17),
        point => End::Point(POINTS[point - 3], 1 + number % 5),
    }
}

/// Runs the rig once; true when it went the whole way.
fn run(directory: &Path, address: &str, end: &End) -> bool {
    let (point, hit) = match end {
        End::Point(point, hit) => (*point, *hit),
        End::Kill(_) | End::Over => ("none", 1),
    };
    let mut rig = Command::new(env!("CARGO_BIN_EXE_watchfire-outbox-rig"))
        .arg(directory)
        .args([address, &ITEMS.to_string(), point, &hit.to_string()])
        .args(matches!(end, End::Over).then_some("over"))
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

/// A platform with items, and where the rig keeps its data.
struct Place {
    folder: tempfile::TempDir,
    platform: Receiver,
}

impl Place {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let uploads = folder.path().join("uploads");
        fs::create_dir(&uploads).unwrap();
        for item in 0..ITEMS {
            fs::write(uploads.join(format!("item-{item}")), b"content").unwrap();
        }
        let platform = Receiver::start(Setup {
            folder: uploads,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            keys: vec![CheckingKey::parse(SECRET).unwrap()],
            clock: Arc::new(SystemClock::default()),
        });
        let platform = platform.await.unwrap();
        Self { folder, platform }
    }

    fn directory(&self) -> PathBuf {
        self.folder.path().join("node")
    }

    fn run(&self, end: &End) -> bool {
        let address = format!("http://{}", self.platform.address());
        tokio::task::block_in_place(|| run(&self.directory(), &address, end))
    }

    fn uploads(&self) -> PathBuf {
        self.folder.path().join("uploads")
    }

    /// Items that are not shown.
    fn hidden(&self) -> Vec<String> {
        let items = (0..ITEMS).map(|item| format!("item-{item}"));
        items.filter(|item| !self.uploads().join(item).is_file()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_order_takes_effect_once_however_often_the_node_dies() {
    let place = Place::open().await;
    let mut died = BTreeSet::new();
    let mut deaths = 0;
    let whole = (0..MOST_RUNS).any(|number| {
        let end = end(number);
        let done = place.run(&end);
        if let (false, End::Point(point, _)) = (done, &end) {
            died.insert(*point);
        }
        deaths += usize::from(!done);
        done
    });
    assert!(whole, "it never came to an end");
    assert!(deaths >= 18, "it died only {deaths} times");
    let all = POINTS.into_iter().chain(DECISIONS).collect();
    assert_eq!(died, all, "it did not die at each step");

    // The platform's own journal: a line for each order that moved something.
    let journal = fs::read_to_string(place.uploads().join(".quarantine/.keys")).unwrap();
    let orders = journal.lines().collect::<Vec<_>>();
    assert_eq!(orders.len(), 2 * ITEMS);
    assert_eq!(orders.iter().collect::<BTreeSet<_>>().len(), 2 * ITEMS);
    assert_eq!(place.hidden(), Vec::<String>::new(), "they did not come back");
    // The node's own books say the same.
    let store = open(&place.directory());
    let done = store.effects_in(EffectState::Done, 0, 10 * ITEMS).await.unwrap();
    assert_eq!(done.len(), 2 * ITEMS);
    assert_eq!(outcomes(&store).await, 2 * ITEMS);
    place.platform.stop().await;
}

/// An attempt is written down before it is made: otherwise a case that is over when the node comes
/// back would leave down what the platform had done just before the crash.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_platform_did_just_before_a_crash_is_undone_when_the_case_is_over_by_then() {
    for (hit, point) in ["after-order", "after-verify", "before-end"].into_iter().enumerate() {
        let place = Place::open().await;
        assert!(!place.run(&End::Point(point, hit + 1)));
        assert!(!place.hidden().is_empty(), "nothing was done at {point}");
        assert!(place.run(&End::Over));
        assert_eq!(place.hidden(), Vec::<String>::new(), "after a crash at {point}");
        place.platform.stop().await;
    }
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
