//! The short form of the demo, with all its expectations.

use std::process::Command;

use serde_json::Value;

use crate::program::{PROGRAM, words};

fn play(arguments: &[&str]) -> Value {
    let output = Command::new(PROGRAM).args(["--json", "demo"]).args(arguments).output().unwrap();
    let found: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", words(&output)));
    assert!(output.status.success(), "{}", words(&output));
    found
}

#[test]
fn the_story_holds_with_one_member_that_nobody_can_reach() {
    let found = play(&["--alerts", "5", "--nat", "snapchat"]);
    assert_eq!(found["failed"], Value::Array(Vec::new()));
    let members = found["members"].as_array().unwrap();
    assert_eq!(members.len(), 10);
    for member in members {
        for (fact, wanted) in [
            ("reupload_before", "allow"),
            ("reupload", "block"),
            ("unrelated", "allow"),
            ("state", "CONFIRMED"),
        ] {
            assert_eq!(member[fact], wanted, "{fact} of {member}");
        }
        for time in ["received_ms", "effective_ms", "retracted_ms"] {
            assert!(member[time].as_f64().is_some(), "{time} of {member}");
        }
        assert!(member["matched_ms"].as_u64().unwrap() >= 1_000, "{member}");
        assert_eq!(member["copies_removed"], member["restored"]);
    }
    let removed: u64 = members.iter().filter_map(|one| one["copies_removed"].as_u64()).sum();
    assert_eq!(removed, 4, "the original and three copies");
    assert_eq!(found["alerts"], 5);
    assert!(found["p50_ms"].as_f64().unwrap() <= found["p99_ms"].as_f64().unwrap());
}
