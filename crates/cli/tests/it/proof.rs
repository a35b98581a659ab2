//! A proof of a case, made at a real node and checked without any.

use std::fs;

use serde_json::Value;

use crate::{
    program::{code, run, words},
    trio::{MEMBERS, Trio},
};

#[test]
fn a_proof_is_written_by_a_node_and_checked_with_the_charter_alone() {
    let mut trio = Trio::found(None);
    trio.start(&MEMBERS);
    let id = trio.raise("ant", &"4d".repeat(32));
    trio.knows("bee", &id);
    trio.until("bee confirms", || trio.ask("bee", &["alert", "confirm", &id]));
    trio.until("cat sees it confirmed", || {
        (trio.knows("cat", &id)["state"] == "CONFIRMED").then_some(())
    });
    let place = tempfile::tempdir().unwrap();
    let [full, redacted] = ["full.json", "redacted.json"].map(|file| place.path().join(file));
    let [full, redacted] = [&full, &redacted].map(|path| path.to_str().unwrap());
    let written = trio.ask("cat", &["case", "proof", &id, "--out", full]).unwrap();
    assert_eq!(written["bytes"].as_u64().unwrap(), fs::metadata(full).unwrap().len());
    trio.ask("cat", &["case", "proof", &id, "--redact", "--out", redacted]).unwrap();
    for member in MEMBERS {
        trio.stop(member);
    }

    // Nobody runs any more.
    let charter = trio.charter();
    let check = |file: &str| {
        let charter = charter.to_str().unwrap();
        let output = run(["--json", "proof", "check", file, "--charter", charter]);
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        (code(&output), found)
    };
    let (ended, found) = check(full);
    assert_eq!((ended, &found["sound"]), (0, &true.into()), "{found}");
    let verbs: Vec<_> =
        found["entries"].as_array().unwrap().iter().map(|e| &e["header"]["verb"]).collect();
    assert_eq!(verbs, ["assert", "confirm"]);
    assert!(!found["entries"][0]["statement"].is_null());
    let (ended, found) = check(redacted);
    assert_eq!((ended, &found["entries"][0]["statement"]), (0, &Value::Null), "{found}");
    assert!(!fs::read_to_string(redacted).unwrap().contains(&"4d".repeat(32)));

    // One digit of a leaf.
    let text = fs::read_to_string(full).unwrap();
    let at = text.find("\"leaf\":\"").unwrap() + 100;
    let mut changed = text.into_bytes();
    changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
    fs::write(full, changed).unwrap();
    let (ended, found) = check(full);
    assert_eq!((ended, &found["sound"]), (1, &false.into()));
    assert!(
        found["wrong"].as_str().unwrap().contains("is not under its signed checkpoint"),
        "{found}"
    );
    let output = run(["proof", "check", full, "--charter", charter.to_str().unwrap()]);
    assert!(words(&output).contains("NOT PROVEN"), "{}", words(&output));
}
