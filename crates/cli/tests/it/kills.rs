//! Nodes that are killed while something goes on that takes them many steps: an erasure, the recovery of their log, a
//! catch-up as a new member.

use std::{fs, path::Path};

use serde_json::Value;
use tokio::runtime::Runtime;

use crate::{
    backlog::{self, History},
    program::run,
    trio::{MEMBERS, Trio},
};

/// Records of a log that a new member takes over: enough to be killed on the way.
const RECORDS: u64 = 8_000;

/// Whether the bytes of a hash lie in a file of a folder.
fn holds(folder: &Path, hash: &[u8]) -> bool {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.is_file()).any(|path| {
        let bytes = fs::read(path).unwrap();
        bytes.windows(hash.len()).any(|window| window == hash)
    })
}

/// Whoever dies while a record is erased has dropped it once it is back, its author and others.
#[test]
fn an_erasure_is_done_by_whoever_is_killed_meanwhile() {
    let mut trio = Trio::found(None);
    trio.start(&MEMBERS);
    for (number, victim) in MEMBERS.into_iter().enumerate() {
        let hash = backlog::picture(number as u64 + 1);
        let id = trio.raise("ant", &hash.to_string());
        for member in MEMBERS {
            trio.knows(member, &id);
        }
        let erase = ["alert", "erase", &id, "--reason", "victim_withdrew"];
        trio.until("ant erases", || trio.ask("ant", &erase));
        trio.kill(victim);
        trio.start(&[victim]);
        for member in MEMBERS {
            trio.until(&format!("{member} has erased it"), || {
                (trio.ask(member, &["alert", "show", &id])?["erased"] == true).then_some(())
            });
        }
        trio.stop(victim);
        assert!(!holds(&trio.dir(victim), &hash.0), "the hash lies on the disk of {victim}");
        trio.start(&[victim]);
        trio.wait_ready(&MEMBERS);
        for at in MEMBERS {
            let audit = trio.verify(at, "ant");
            assert_eq!(audit["sound"], true, "{audit}");
        }
    }
}

/// A node whose data is from yesterday asks the others what it said since, and is killed again and again on the way.
#[test]
fn a_restored_backup_that_is_killed_while_it_recovers_does_not_fork() {
    let mut trio = Trio::found(None);
    trio.start(&MEMBERS);
    let yesterday = trio.raise("ant", &backlog::picture(1).to_string());
    for member in ["bee", "cat"] {
        trio.knows(member, &yesterday);
    }
    let backup = trio.back_up("ant");
    for number in 2..12 {
        let today = trio.raise("ant", &backlog::picture(number).to_string());
        trio.knows("bee", &today);
        trio.knows("cat", &today);
    }
    trio.put_back("ant", &backup);
    for _ in 0..3 {
        trio.start(&["ant"]);
        trio.kill("ant");
        trio.start(&["ant"]);
        trio.until("ant listens", || trio.get("ant", "/healthz"));
        trio.kill("ant");
        trio.start(&["ant"]);
        trio.until("ant has some of its log", || trio.held("ant", "ant").filter(|held| *held > 0));
        trio.kill("ant");
    }
    trio.start(&["ant"]);
    let tomorrow = trio.raise("ant", &backlog::picture(12).to_string());
    for at in MEMBERS {
        assert_eq!(trio.knows(at, &tomorrow)["index"], 11);
        let audit = trio.verify(at, "ant");
        assert_eq!((&audit["sound"], &audit["size"]), (&true.into(), &12.into()), "{audit}");
    }
}

/// Somebody joins a coalition with a long log, and is killed while it catches up.
#[test]
fn a_new_member_that_is_killed_while_it_catches_up_has_all_of_it_in_the_end() {
    let runtime = Runtime::new().unwrap();
    let mut trio = Trio::found(None);
    runtime.block_on(backlog::write(&trio.dir("ant"), "ant", 0..RECORDS, History::default()));
    trio.start(&MEMBERS);
    trio.newcomer("dog");
    let invite = ["invite", "dog", "--organisation", "dog"];
    let invited = trio.until("ant invites", || trio.coalition("ant", &invite));
    let (invitation, dir) = (invited["invitation"].as_str().unwrap(), trio.dir("dog"));
    let join = ["--json", "coalition", "join", "--no-wait", "--dir", dir.to_str().unwrap()];
    let waiting = run([&join[..], &[invitation]].concat());
    let waiting: Value = serde_json::from_slice(&waiting.stdout).unwrap();
    let hash = waiting["hash"].as_str().unwrap().to_owned();
    trio.until("cat approves", || trio.coalition("cat", &["approve", &hash[..12]]));
    trio.until("dog has joined", || {
        run([&join[..], &[invitation]].concat()).status.success().then_some(())
    });
    let mut before = 0;
    for _ in 0..3 {
        trio.start(&["dog"]);
        before = trio.until("dog has more of it", || {
            trio.held("dog", "ant").filter(|held| *held > before || *held == RECORDS)
        });
        trio.kill("dog");
    }
    trio.start(&["dog"]);
    trio.until("dog has all of it", || {
        (trio.measured("dog", "watchfire_sets")? == RECORDS as f64).then_some(())
    });
    let late = trio.raise("dog", &backlog::picture(RECORDS + 1).to_string());
    assert_eq!(trio.knows("ant", &late)["author"], "dog");
}
