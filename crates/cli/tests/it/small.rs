//! A small member behind NAT catches up with a long log within its memory, and enforces.

use std::{fs, process::Command};

use tokio::runtime::Runtime;

use crate::{
    backlog::{self, History},
    platform,
    program::{PROGRAM, how_many},
    trio::{MEMBERS, Trio},
};

/// Records that it is behind by. The million of the scenario is what `make bench-small-member` plays: it says how many
/// by [`HOW_MANY`].
const RECORDS: usize = 50_000;
/// The variable of the environment that says how many records there are, where it is set.
const HOW_MANY: &str = "WATCHFIRE_S13_RECORDS";
/// How many more it has at each look at how far it is.
const STEP: usize = 25_000;
/// Records that a node reads in the time that a test waits for anything, on a busy machine.
const READ_AT_ONCE: usize = 100_000;
/// How much of that is over: a history of months, of which few alerts are in force.
const HISTORY: History = History { over_of_1000: 950, retracted_of_1000: 1 };
/// All the memory that it may ever have needed.
const MEMORY_KB: u64 = 256 * 1_024;

/// A processor that we may use: the first of a list such as `0-1,4`.
fn processor() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    allowed.trim().split(['-', ',']).next().unwrap().to_owned()
}

#[test]
fn s13_a_member_with_one_processor_and_256_mib_behind_nat_catches_up_and_enforces() {
    let runtime = Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let receiver = runtime.block_on(platform::serve(folder.path()));
    let mut trio = Trio::found(["cat"]);
    platform::configure(&trio.dir("cat"), &receiver.webhook_url(), &receiver.verify_url());
    platform::trust(&trio.dir("cat"), "ant");
    let behind = how_many(HOW_MANY, RECORDS);
    let records = 0..behind as u64;
    let last = runtime.block_on(backlog::write(&trio.dir("ant"), "ant", records.clone(), HISTORY));
    let last = last.to_string();
    let mut alone = Command::new("taskset");
    trio.start_as("cat", alone.args(["-c", &processor(), PROGRAM, "serve"]));
    let in_force: Vec<u64> = HISTORY.in_force(records).collect();
    let items = [("of-the-first", in_force[0]), ("of-the-last", in_force[in_force.len() - 1])];
    let held = items.map(|(item, number)| (item, backlog::picture(number).to_string()));
    platform::hold(&trio, "cat", folder.path(), &held);
    trio.start(&["ant", "bee"]);
    // It reads all that it has written before it answers anybody.
    trio.until_long(1 + behind / READ_AT_ONCE, "ant has read its log", || {
        trio.measured("ant", "watchfire_sets")
    });
    for so_many in (STEP..behind).step_by(STEP) {
        trio.until(&format!("cat has {so_many}"), || {
            (trio.measured("cat", "watchfire_sets")? >= so_many as f64).then_some(())
        });
    }
    trio.until("cat has caught up", || {
        let sets = trio.measured("cat", "watchfire_sets")?;
        let found = trio.measured("cat", "watchfire_known_signals")?;
        (sets == behind as f64 && found == in_force.len() as f64).then_some(())
    });
    for (item, _) in items {
        trio.until(&format!("{item} is down"), || {
            (!folder.path().join(item).exists()).then_some(())
        });
    }
    // It speaks, too, though nobody can come to it.
    trio.until("cat confirms", || trio.ask("cat", &["alert", "confirm", &last]));
    trio.until("all have it confirmed", || {
        let state =
            |member| Some(trio.ask(member, &["alert", "show", &last])?["state"] == "CONFIRMED");
        MEMBERS.iter().all(|member| state(member) == Some(true)).then_some(())
    });
    let peak = trio.peak_kb("cat");
    println!("S13: {behind} records, {peak} KiB at its peak");
    assert!(peak <= MEMORY_KB, "{peak} KiB at its peak");
    runtime.block_on(receiver.stop());
}
