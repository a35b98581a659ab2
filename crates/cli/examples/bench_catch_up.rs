//! Measures how long a new member takes to hold and fold a long log, and how much memory that takes:
//! `bench_catch_up --dir DIR [--records N] [--over SHARE] [--retracted SHARE] [--program PATH]`, one JSON object.
//!
//! Two real nodes on loopback: one whose log has N alerts, a picture each, signed 256 at a time, of which a share is
//! over (lapsed, and one of a thousand, or another share, taken back by a record of its own), and one that nobody can reach, which starts
//! with nothing. The rate is from the first record that counts there until the last one does; then the member is
//! started again over what it has. Then a third member, which has nothing, proposes a charter, and the one with the long
//! log approves it: measured is how long it takes until that one works under it, and how long it answers nobody
//! meanwhile. Last its parts are measured in this process: the fold, and what lookups read. The directory is made, and
//! is gone afterwards.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

#[path = "../tests/it/backlog.rs"]
mod backlog;

use self::backlog::History;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use watchfire_node::{
    cases::{Cases, SignalSet},
    clock::{Clock, SystemClock},
    known::Known,
};
use watchfire_signal::charter::CharterChain;
use watchfire_store::{SqliteOptions, SqliteStore, Store};
use watchfire_tlog::Origin;

/// How often it is asked how far it is: seldom enough to take nothing from it.
const LOOK: Duration = Duration::from_millis(250);
/// How often it is asked for an answer while its charter changes.
const PROBE: Duration = Duration::from_millis(3);

fn option(name: &str, default: &str) -> String {
    let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
    arguments.next().unwrap_or_else(|| default.to_owned())
}

/// The program, beside the folder of this example.
fn program() -> String {
    let beside = std::env::current_exe().unwrap();
    let beside = beside.ancestors().nth(2).unwrap().join("watchfire");
    option("--program", beside.to_str().unwrap())
}

/// What the program answers, if it does what it was asked.
fn asked(arguments: &[&str]) -> Option<serde_json::Value> {
    let output = Command::new(program()).arg("--json").args(arguments).output().unwrap();
    // What is written to a file is not answered.
    output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap_or_default())
}

fn run(arguments: &[&str]) -> serde_json::Value {
    asked(arguments).unwrap_or_else(|| panic!("{arguments:?}"))
}

/// A member: where it listens, and the key of its programs.
struct Member {
    listen: String,
    key: String,
}

impl Member {
    /// Has it do something about its charter; `None` while it does not.
    fn coalition(&self, arguments: &[&str]) -> Option<serde_json::Value> {
        let url = format!("http://{}", self.listen);
        let node = ["--url", &url, "--key", &self.key];
        asked(&[&["coalition", arguments[0]], &node[..], &arguments[1..]].concat())
    }
}

/// Makes the members and their charter. The third one runs only when the charter changes: with two, each is all that
/// CONFIRMED takes, and what was CONFIRMED once is looked up for ever.
fn found(dir: &Path) -> [Member; 3] {
    let members = ["ant", "small", "bee"].map(|member| {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let place = dir.join(member);
        let address = format!("http://{port}");
        let mut init = vec!["init", "--member", member, "--organisation", member];
        init.extend(["--listen", &port, "--dir", place.to_str().unwrap()]);
        if member != "small" {
            init.extend(["--address", &address]);
        }
        let key = run(&init)["api_key"].as_str().unwrap().to_owned();
        Member { listen: port, key }
    });
    let charter = dir.join("charter.cbor");
    let charter = charter.to_str().unwrap();
    let places = ["ant", "small", "bee"].map(|member| dir.join(member));
    let cards = places.clone().map(|place| place.join("member.json"));
    let cards = cards.each_ref().map(|card| card.to_str().unwrap());
    run(&[&["coalition", "init", "--name", "bench", "--out", charter][..], &cards].concat());
    for step in ["approve", "install"] {
        for place in &places {
            run(&["coalition", step, "--dir", place.to_str().unwrap(), charter]);
        }
    }
    members
}

/// A node that runs until it is dropped.
struct Running(Child);

impl Running {
    /// Starts a node; how long it took until it listened, which it does when it has folded all that it has.
    fn start(dir: PathBuf, arguments: &[&str]) -> (Self, Duration) {
        let begun = Instant::now();
        let mut serve = Command::new(program());
        serve.args(["serve", "--dir"]).arg(dir).args(arguments);
        let mut child = serve.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("listens"), "{line}");
        (Self(child), begun.elapsed())
    }

    fn memory_mib(&self, what: &str) -> u64 {
        memory_mib(&self.0.id().to_string(), what)
    }
}

/// A line of what the kernel says of the memory of a process, in MiB.
fn memory_mib(process: &str, what: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Asks a node for an answer all the time, over one connection while that stands.
struct Probe {
    over: Arc<AtomicBool>,
    asking: JoinHandle<Duration>,
}

impl Probe {
    fn begin(listen: &str) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (listen, ends) = (listen.to_owned(), over.clone());
        let asking = std::thread::spawn(move || {
            let (mut connection, mut longest, mut answered) =
                (None, Duration::ZERO, Instant::now());
            while !ends.load(Ordering::SeqCst) {
                connection = connection.or_else(|| TcpStream::connect(&listen).ok());
                if connection.as_mut().is_some_and(|stream| answers(stream).is_some()) {
                    longest = longest.max(answered.elapsed());
                    answered = Instant::now();
                } else {
                    connection = None;
                }
                std::thread::sleep(PROBE);
            }
            longest
        });
        Self { over, asking }
    }

    /// The longest time between two answers.
    fn end(self) -> Duration {
        self.over.store(true, Ordering::SeqCst);
        self.asking.join().unwrap()
    }
}

fn answers(stream: &mut TcpStream) -> Option<()> {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: bench\r\n\r\n").ok()?;
    let mut answer = [0; 4_096];
    let length = stream.read(&mut answer).ok()?;
    answer[..length].starts_with(b"HTTP/1.1 200").then_some(())
}

/// Changes the charter of a member that runs: how long it took until it works under the new one, and the longest time
/// in which it answered nobody.
fn change_charter(dir: &Path, member: &Member, proposer: &Member) -> (Duration, Duration) {
    let (_proposer, _) = Running::start(dir.join("bee"), &["--alone"]);
    let draft = dir.join("next.json");
    let place = draft.to_str().unwrap();
    proposer.coalition(&["draft", "--out", place]).unwrap();
    let mut wanted: serde_json::Value = serde_json::from_slice(&fs::read(&draft).unwrap()).unwrap();
    wanted["quotas"]["disputes_a_day"] = 99.into();
    fs::write(&draft, wanted.to_string()).unwrap();
    let proposed = loop {
        // It may still ask what others hold of its log.
        if let Some(proposed) = proposer.coalition(&["propose", place]) {
            break proposed["hash"].as_str().unwrap().to_owned();
        }
        std::thread::sleep(LOOK);
    };
    let probe = Probe::begin(&member.listen);
    while member.coalition(&["approve", &proposed[..12]]).is_none() {
        std::thread::sleep(LOOK);
    }
    let begun = Instant::now();
    let works_under = || member.coalition(&["status"])?["works_under"].as_u64();
    while works_under() != Some(2) {
        std::thread::sleep(LOOK / 5);
    }
    (begun.elapsed(), probe.end())
}

/// One number of what a node measures.
fn measured(listen: &str, metric: &str) -> f64 {
    let mut stream = TcpStream::connect(listen).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\nhost: bench\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let line = answer.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
    line.and_then(|number| number.parse().ok()).unwrap_or(0.0)
}

/// Waits until there are so many sets, and so many signals of them are in force; how long after the call.
fn until_known(listen: &str, (sets, in_force): (u64, u64)) -> Duration {
    let begun = Instant::now();
    let known = || {
        let [all, found] =
            ["watchfire_sets", "watchfire_known_signals"].map(|metric| measured(listen, metric));
        all >= sets as f64 && (in_force == 0 || found == in_force as f64)
    };
    while !known() {
        std::thread::sleep(LOOK);
    }
    begun.elapsed()
}

/// Time and memory of the two parts of folding, in this process: what the logs come to, and what lookups read.
async fn parts(dir: &Path) -> serde_json::Value {
    let chain = CharterChain::decode(&fs::read(dir.join("charter.cbor")).unwrap()).unwrap();
    let log = chain.in_force().charter.log_of(&"ant".parse().unwrap()).unwrap();
    let store = SqliteStore::open(dir, SqliteOptions::default()).unwrap();
    let (origin, mut cases) = (Origin::new(log.to_string()).unwrap(), Cases::of_chain(&chain));
    let (mut next, mut reading) = (0, Duration::ZERO);
    let (before, begun) = (memory_mib("self", "RssAnon:"), Instant::now());
    loop {
        let asked = Instant::now();
        let page = store.held(&origin, next, 1_024).await.unwrap();
        reading += asked.elapsed();
        let Some(last) = page.last() else { break };
        next = last.index + 1;
        page.into_iter().for_each(|held| drop(cases.fold(&log, held)));
    }
    let (folding, folded) = (begun.elapsed() - reading, memory_mib("self", "RssAnon:"));
    let (sets, begun) = (cases.sets().clone(), Instant::now());
    let known = Known::of(sets.clone(), [7; 32], 1_000);
    let (mut walk, now_ms) = (sets.walk(), SystemClock::default().now_ms());
    while let Some(names) = walk.next(&sets) {
        names.iter().for_each(|name| drop(known.arrange(name, now_ms)));
    }
    let publishing = begun.elapsed();
    serde_json::json!({
        "reading_s": reading.as_secs_f64(),
        "folding_s": folding.as_secs_f64(),
        "cases_mib": folded - before,
        "publishing_s": publishing.as_secs_f64(),
        "known_mib": memory_mib("self", "RssAnon:") - folded,
        "bytes_of_a_set_itself": size_of::<SignalSet>(),
    })
}

fn main() {
    let records: u64 = option("--records", "200000").parse().unwrap();
    let over: f64 = option("--over", "0").parse().unwrap();
    let retracted: f64 = option("--retracted", "0.001").parse().unwrap();
    let of_1000 = |share: f64| (share * 1_000.0).round() as u64;
    let history = History { over_of_1000: of_1000(over), retracted_of_1000: of_1000(retracted) };
    let in_force = history.in_force(0..records).count() as u64;
    let dir = PathBuf::from(option("--dir", "target/bench-catch-up"));
    fs::create_dir_all(&dir).unwrap();
    let [_, small_member, bee] = found(&dir);
    let small = small_member.listen.clone();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let begun = Instant::now();
    runtime.block_on(backlog::write(&dir.join("ant"), "ant", 0..records, history));
    let written = begun.elapsed();

    let (author, author_start) = Running::start(dir.join("ant"), &["--alone"]);
    let (member, _) = Running::start(dir.join("small"), &[]);
    until_known(&small, (1, 0));
    let caught_up = until_known(&small, (records, in_force));
    let (peak, resident) = (member.memory_mib("VmHWM:"), member.memory_mib("VmRSS:"));
    drop((member, author));
    let (member, again) = Running::start(dir.join("small"), &[]);
    let known_again = until_known(&small, (records, in_force));
    let hashes = measured(&small, "watchfire_index_bytes") / f64::from(1 << 20);
    let again_peak = member.memory_mib("VmHWM:");
    let (changed, silent) = change_charter(&dir, &small_member, &bee);
    until_known(&small, (records, in_force));
    let (change_peak, after_change) = (member.memory_mib("VmHWM:"), member.memory_mib("VmRSS:"));
    drop(member);
    let parts = runtime.block_on(parts(&dir.join("small")));
    let result = serde_json::json!({
        "records": records,
        "in_force": in_force,
        "retracted_of_1000_over": history.retracted_of_1000,
        "written_a_second": records as f64 / written.as_secs_f64(),
        "catch_up_s": caught_up.as_secs_f64(),
        "records_a_second": records as f64 / caught_up.as_secs_f64(),
        "peak_mib": peak,
        "resident_mib": resident,
        "bytes_a_record": (resident << 20) as f64 / records as f64,
        "start_again_s": (again + known_again).as_secs_f64(),
        "start_again_peak_mib": again_peak,
        "charter_changed_s": changed.as_secs_f64(),
        "charter_silent_s": silent.as_secs_f64(),
        "charter_peak_mib": change_peak,
        "charter_resident_mib": after_change,
        "author_start_s": author_start.as_secs_f64(),
        "hashes_mib": hashes,
        "parts": parts,
        "store_mib": fs::metadata(dir.join("small/watchfire.db")).unwrap().len() >> 20,
    });
    println!("{result}");
    fs::remove_dir_all(&dir).unwrap();
}
