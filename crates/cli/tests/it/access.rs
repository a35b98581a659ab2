//! Keys, accounts and the desk log of a member whose node is stopped.

use std::path::Path;

use crate::program::{code, init, json, run, words};

/// A coalition of one, with its charter installed; answers the data directory.
fn member(place: &Path) -> String {
    init(place, "ant", "127.0.0.1:0", None);
    let dir = place.join("ant").to_str().unwrap().to_owned();
    let file = place.join("charter.cbor").to_str().unwrap().to_owned();
    let card = format!("{dir}/member.json");
    for call in [
        vec!["coalition", "init", "--name", "test", "--out", &file, &card],
        vec!["coalition", "approve", "--dir", &dir, &file],
        vec!["coalition", "install", "--dir", &dir, &file],
    ] {
        let output = run(&call);
        assert_eq!(code(&output), 0, "{call:?} {}", words(&output));
    }
    dir
}

#[test]
fn keys_and_accounts_of_a_stopped_node_leave_lines_that_verify() {
    let place = tempfile::tempdir().unwrap();
    let dir = member(place.path());
    let key = |call: &[&str]| {
        let call: Vec<_> = [&["key"], call, &["--dir", &dir]].concat();
        run(call)
    };
    assert_eq!(code(&key(&["add", "--name", "uploads", "--scope", "scan"])), 0);
    assert_eq!(
        code(&key(&["add", "--name", "uploads", "--scope", "scan"])),
        1,
        "the name is taken"
    );
    assert_eq!(code(&key(&["add", "--name", "no spaces", "--scope", "scan"])), 2);
    let rotated = key(&["rotate", "--name", "uploads", "--overlap-hours", "1"]);
    assert!(words(&rotated).contains("wf_"), "{}", words(&rotated));
    let listed = words(&key(&["list"]));
    assert_eq!(listed.matches("uploads scan").count(), 2, "{listed}");
    assert_eq!(code(&key(&["revoke", "--name", "uploads"])), 0);
    assert!(!words(&key(&["list"])).contains("uploads"));

    let invited = json(["account", "add", "kim", "--role", "moderator", "--dir", &dir]);
    assert!(invited["invitation"].as_str().unwrap().starts_with("wfi_"));
    let pseudonym = invited["pseudonym"].as_str().unwrap();
    assert_eq!(code(&run(["account", "add", "kim", "--role", "boss", "--dir", &dir])), 2);
    assert_eq!(code(&run(["account", "erase", "kim", "--dir", &dir])), 1, "it is open");
    assert_eq!(code(&run(["account", "close", "kim", "--dir", &dir])), 0);
    assert_eq!(code(&run(["account", "erase", "kim", "--dir", &dir])), 0);

    let lines = words(&run(["audit", "list", "--kind", "account", "--dir", &dir]));
    assert_eq!(lines.matches(pseudonym).count(), 3, "{lines}");
    assert!(!lines.contains("kim"), "{lines}");
    let report = json(["audit", "verify", "--dir", &dir]);
    assert_eq!((&report["sound"], &report["size"]), (&true.into(), &6.into()), "{report}");
}
