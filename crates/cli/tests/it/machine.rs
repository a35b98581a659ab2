//! Real nodes on machines with a clock that is wrong and with a disk that is full: nothing that was acknowledged
//! is lost, the node says what is wrong, and goes on when it is mended.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    backlog::picture,
    program::{PROGRAM, code, run, words},
    trio::{MEMBERS, Trio},
};

/// What stands between a node and its machine.
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/machine.c");
/// How far clocks are wrong: far more than requests between members allow.
const WRONG_S: i64 = 600;

/// A machine of which a test can turn the clock and fill the disk, also while a node runs on it.
struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("machine.so");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).args([&library, Path::new(SOURCE)]);
        assert!(compiler.status().unwrap().success());
        Self { folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The command that runs a node on it.
    fn serve(&self) -> Command {
        let mut serve = Command::new(PROGRAM);
        serve.arg("serve").env("LD_PRELOAD", self.file("machine.so"));
        serve.env("MACHINE_CLOCK", self.file("clock")).env("MACHINE_FULL", self.file("full"));
        serve
    }

    /// Sets the clock wrong by so many seconds.
    fn turn_clock(&self, seconds: i64) {
        // The node may look at any moment: it never sees half of it.
        fs::write(self.file("next"), seconds.to_string()).unwrap();
        fs::rename(self.file("next"), self.file("clock")).unwrap();
    }

    fn fill_disk(&self) {
        fs::write(self.file("full"), "").unwrap();
    }

    fn make_room(&self) {
        fs::remove_file(self.file("full")).unwrap();
    }
}

fn is_ready(trio: &Trio, member: &str) -> bool {
    trio.get(member, "/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.0 200 "))
}

/// Waits until all know all alerts.
fn all_know(trio: &Trio, alerts: &[String]) {
    for member in MEMBERS {
        alerts.iter().for_each(|alert| drop(trio.knows(member, alert)));
    }
}

#[test]
fn alerts_of_members_with_wrong_clocks_arrive_and_who_cannot_hear_them_says_why() {
    let (ahead, behind) = (Machine::new(), Machine::new());
    let mut trio = Trio::found(None);
    trio.start_as("ant", &mut ahead.serve());
    trio.start_as("cat", &mut behind.serve());
    trio.start(&["bee"]);
    trio.wait_ready(&MEMBERS);
    ahead.turn_clock(WRONG_S);
    behind.turn_clock(-WRONG_S);
    // Streams that stand go on.
    let alerts = [("ant", 1), ("bee", 2), ("cat", 3)];
    let alerts = alerts.map(|(member, number)| trio.raise(member, &picture(number).to_string()));
    all_know(&trio, &alerts);

    // Nobody new is heard, which is said in every place where one looks. The clock that was set back stands still
    // until its node starts anew: then it is behind.
    trio.kill("bee");
    trio.kill("cat");
    trio.start_as("cat", &mut behind.serve());
    trio.start(&["bee"]);
    for (member, others) in [("bee", ["ant", "cat"]), ("cat", ["ant", "bee"])] {
        trio.until(&format!("{member} says why it is not ready"), || {
            let answer = trio.get(member, "/readyz")?;
            let mut said = answer.split("; ").zip(others);
            let unheard = said.all(|(said, other)| {
                said.contains(&format!("{other}: ")) && said.contains("compare the clocks")
            });
            (answer.starts_with("HTTP/1.0 503 ") && unheard).then_some(())
        });
        trio.until("it is measured", || {
            trio.measured(member, "watchfire_members_unheard").filter(|unheard| *unheard == 2.0)
        });
    }
    assert!(trio.logs().contains("compare the clocks"), "{}", trio.logs());
    let doctor = words(&run(["doctor", "--dir", trio.dir("bee").to_str().unwrap()]));
    for said in ["s ahead of ours: set both by NTP", "its clock is -"] {
        assert!(doctor.contains(said), "{doctor}");
    }

    // One that was behind goes on by itself, one that was ahead with a new start.
    behind.turn_clock(0);
    trio.until("bee is ready", || is_ready(&trio, "bee").then_some(()));
    ahead.turn_clock(0);
    trio.kill("ant");
    trio.start_as("ant", &mut ahead.serve());
    let after =
        [trio.raise("ant", &picture(4).to_string()), trio.raise("bee", &picture(5).to_string())];
    all_know(&trio, &alerts);
    all_know(&trio, &after);
}

#[test]
fn a_node_whose_disk_was_full_has_lost_nothing_and_goes_on_in_the_same_process() {
    let machine = Machine::new();
    let mut trio = Trio::found(None);
    trio.start_as("ant", &mut machine.serve());
    trio.start(&["bee", "cat"]);
    let mut taken = vec![trio.raise("ant", &picture(1).to_string())];
    trio.until("ant is ready", || is_ready(&trio, "ant").then_some(()));
    machine.fill_disk();
    // What fits in files as long as they are is still taken.
    let refused = (2..1_000).find_map(|number| {
        let node = ["--url", &trio.url("ant"), "--key", trio.key("ant")];
        let signal = format!("pdq:{}", picture(number));
        let alert = ["--signal", &signal, "--label", "violence.graphic_death", "--severity", "2"];
        let raised = run([&["--json", "alert"], &node[..], &["raise"], &alert].concat());
        if code(&raised) != 0 {
            return Some(words(&raised));
        }
        let raised: serde_json::Value = serde_json::from_slice(&raised.stdout).unwrap();
        taken.push(raised["id"].as_str().unwrap().to_owned());
        None
    });
    let refused = refused.unwrap();
    assert!(refused.contains("the disk is full"), "{refused}");
    let ready = trio.get("ant", "/readyz").unwrap();
    assert!(ready.starts_with("HTTP/1.0 503 ") && ready.contains("the disk is full"), "{ready}");
    assert_eq!(trio.measured("ant", "watchfire_disk_full"), Some(1.0));
    assert!(trio.logs().contains("the disk is full"), "{}", trio.logs());
    // Others go on, and it still answers what it knows.
    let of_bee = trio.raise("bee", &picture(2_000).to_string());
    trio.knows("cat", &of_bee);
    trio.knows("ant", &taken[0]);

    machine.make_room();
    trio.until("ant is ready again", || is_ready(&trio, "ant").then_some(()));
    assert_eq!(trio.measured("ant", "watchfire_disk_full"), Some(0.0));
    taken.extend([of_bee, trio.raise("ant", &picture(3_000).to_string())]);
    all_know(&trio, &taken);
    trio.kill("ant");
    trio.start(&["ant"]);
    all_know(&trio, &taken);
    let audit = trio.verify("bee", "ant");
    assert_eq!(audit["sound"], true, "{audit}");
}
