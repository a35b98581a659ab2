//! A coalition that changes while its nodes run: somebody joins, gets a new key, and leaves.

use serde_json::Value;

use crate::{
    program::{code, json, run, words},
    trio::{MEMBERS, Trio},
};

/// A hash that is far from those of other numbers.
fn picture(number: u8) -> String {
    (0..32_u8)
        .map(|byte| format!("{:02x}", number.wrapping_mul(37) ^ byte.wrapping_mul(101)))
        .collect()
}

/// Approves at some members, each as soon as it knows of the proposal, and waits until all of some work under
/// the charter.
fn approved(trio: &Trio, hash: &str, by: &[&str], (seq, at): (u64, &[&str])) {
    for member in by {
        trio.until(&format!("{member} approves"), || {
            trio.coalition(member, &["approve", &hash[..12]])
        });
    }
    for member in at {
        trio.until(&format!("{member} works under charter {seq}"), || {
            let status = trio.coalition(member, &["status"])?;
            (status["works_under"] == seq).then_some(())
        });
    }
}

fn hash_of(answer: &Value) -> String {
    answer["hash"].as_str().unwrap().to_owned()
}

#[test]
fn a_member_joins_gets_a_new_key_and_leaves_while_all_nodes_run() {
    let mut trio = Trio::found(None);
    trio.start(&MEMBERS);
    trio.wait_ready(&MEMBERS);
    let early = trio.raise("bee", &picture(3));

    // In: ant invites, cat agrees.
    trio.newcomer("dog");
    let invited = trio.until("ant invites", || {
        trio.coalition("ant", &["invite", "dog", "--organisation", "dog"])
    });
    let invitation = invited["invitation"].as_str().unwrap();
    let dir = trio.dir("dog");
    let dir = dir.to_str().unwrap();
    let waiting = run(["--json", "coalition", "join", "--no-wait", "--dir", dir, invitation]);
    assert_eq!(code(&waiting), 1, "{}", words(&waiting));
    let waiting: Value = serde_json::from_slice(&waiting.stdout).unwrap();
    assert_eq!((&waiting["state"], &waiting["approved"]), (&"proposed".into(), &1.into()));
    let refused = run(["coalition", "join", "--dir", dir, &invitation.replace("wfj_", "wfj_0")]);
    assert_eq!(code(&refused), 1, "{}", words(&refused));
    approved(&trio, &hash_of(&waiting), &["cat"], (2, &MEMBERS));
    trio.until("dog has joined", || {
        let joined = run(["--json", "coalition", "join", "--dir", dir, invitation]);
        joined.status.success().then_some(())
    });
    trio.start(&["dog"]);
    assert_eq!(trio.knows("dog", &early)["author"], "bee", "it catches up");
    let of_dog = trio.raise("dog", &picture(4));
    assert_eq!(trio.knows("bee", &of_dog)["author"], "dog");

    // A new key: three of four organisations agree.
    let rotated = trio
        .until("dog asks for a new key", || trio.coalition("dog", &["rotate-key", "--dir", dir]));
    approved(&trio, &hash_of(&rotated), &["ant", "bee"], (3, &["ant", "bee", "cat", "dog"]));
    let after = trio.raise("dog", &picture(5));
    let seen = trio.knows("cat", &after);
    assert_eq!(seen["author"], "dog");
    // What it said before is still its own, to take back under the new key.
    let retract = ["alert", "retract", &of_dog, "--reason", "wrong_match", "--keep-down"];
    trio.until("dog retracts", || trio.ask("dog", &retract));
    trio.until("it is retracted at cat", || {
        let view = trio.ask("cat", &["alert", "show", &of_dog])?;
        (view["state"] == "RETRACTED").then_some(())
    });
    check_both_logs(&trio);
    check_former_desk(&trio, &of_dog, dir);
    leave(&mut trio, &after);
}

/// Both logs of the member with a new key are sound for anybody who has the charters.
fn check_both_logs(trio: &Trio) {
    let charters = trio.dir("dog").join("fetched.cbor");
    let charters = charters.to_str().unwrap();
    trio.until("the charters are fetched", || trio.coalition("ant", &["fetch", "--out", charters]));
    for (log, least) in [("dog.1", 2), ("dog", 2), ("dog.2", 2)] {
        trio.until(&format!("{log} is sound"), || {
            let url = format!("{}/log/{log}", trio.url("bee"));
            let found = run(["--json", "log", "verify", &url, "--charter", charters]);
            let found: Value = serde_json::from_slice(&found.stdout).ok()?;
            (found["sound"] == true && found["size"].as_u64()? >= least).then_some(())
        });
    }
}

/// Its desk log of before the new key is sound, and a proof of a case from before the new key is checked with all
/// charters.
fn check_former_desk(trio: &Trio, case: &str, dir: &str) {
    let (url, key) = (trio.url("dog"), &trio.keys["dog"]);
    let verify = ["--json", "audit", "verify", "--url", &url, "--key", key, "--epoch", "1"];
    trio.until("the desk log of before is sound", || {
        let found: Value = serde_json::from_slice(&run(verify).stdout).ok()?;
        (found["sound"] == true && found["log"] == "watchfire/zoo/dog/1/desk").then_some(())
    });
    let (proof, charters) = (format!("{dir}/proof.json"), format!("{dir}/fetched.cbor"));
    trio.until("dog proves it", || trio.ask("dog", &["case", "proof", case, "--out", &proof]));
    let checked = run(["--json", "proof", "check", &proof, "--charter", &charters]);
    let found: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(found["sound"], true, "{found}");
    let logs = found["entries"].as_array().unwrap().iter().map(|entry| entry["log"].clone());
    assert_eq!(logs.collect::<Vec<_>>(), ["watchfire/zoo/dog/1", "watchfire/zoo/dog/2"]);
    let retracted = found["entries"][1]["statement"].to_string();
    assert!(retracted.contains("\"restore\":false"), "it asked that it stay down: {retracted}");
}

/// The member leaves; what it alone stood by waits for people.
fn leave(trio: &mut Trio, after: &str) {
    let removed = trio
        .until("ant proposes to go on without dog", || trio.coalition("ant", &["remove", "dog"]));
    approved(trio, &hash_of(&removed), &["bee", "cat"], (4, &MEMBERS));
    assert_eq!(trio.ended("dog").code(), Some(3), "a node that is no member stops, and says so");
    let again = run(["serve", "--dir", trio.dir("dog").to_str().unwrap()]);
    let said = words(&again);
    assert_eq!(code(&again), 3, "{said}");
    assert!(said.contains("the charter in force has no member dog"), "{said}");
    let status = trio.until("cat answers", || trio.coalition("cat", &["status"]));
    let members = status["charter"]["members"].as_array().unwrap();
    assert_eq!(members.len(), 3);
    let again = trio.raise("ant", &picture(6));
    assert_eq!(trio.knows("cat", &again)["author"], "ant");
    trio.until("what dog stood by alone waits for people", || {
        let view = trio.ask("cat", &["alert", "show", after])?;
        (view["state"] != "PROVISIONAL").then_some(())
    });
}

#[test]
fn a_stolen_key_is_taken_away_by_others_and_its_owner_goes_on_with_a_new_one() {
    let mut trio = Trio::found(None);
    trio.start(&MEMBERS);
    trio.wait_ready(&MEMBERS);
    let before = trio.raise("cat", &picture(3));
    trio.knows("ant", &before);
    let dir = trio.dir("cat");
    let made = || json(["coalition", "rotate-key", "--no-propose", "--dir", dir.to_str().unwrap()]);
    let key = made()["new_key"].as_str().unwrap().to_owned();
    assert_eq!(made()["new_key"], key.as_str(), "the one that is made already");
    assert_eq!(trio.coalition("ant", &["revoke-key", "dog", "--new-key", &key]), None);
    let revoked = trio
        .until("ant proposes", || trio.coalition("ant", &["revoke-key", "cat", "--new-key", &key]));
    approved(&trio, &hash_of(&revoked), &["bee"], (2, &MEMBERS));
    let status = trio.until("bee answers", || trio.coalition("bee", &["status"]));
    let closed = &status["charter"]["closed"][0];
    assert_eq!((&closed["member"], &closed["epoch"]), (&"cat".into(), &1.into()));
    // Its author's word is not waited for: whoever has the old key could go on without end.
    assert!(closed["last"]["size"].as_u64().unwrap() >= 1, "{closed}");
    let after = trio.raise("cat", &picture(4));
    assert_eq!(trio.knows("bee", &after)["author"], "cat");
    assert_eq!(trio.knows("bee", &before)["state"], "PROVISIONAL", "what it said before stands");
}
