//! A charter changes at a member with a long log, whose platform goes on asking it about uploads.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{
    backlog::{self, History},
    platform,
    trio::{MEMBERS, Trio},
};

/// Records that are folded again: enough that others ask meanwhile. `bench_catch_up` measures more.
const RECORDS: u64 = 20_000;
/// Records that are folded again by nodes that are killed meanwhile.
const FEW_RECORDS: u64 = 4_000;
/// Uploads that have to be judged by the old charter while the new one is in force already; without a fold beside the
/// node it stops before the second one.
const SCANS: usize = 20;

/// What a node answers to a program; `None` while it answers nobody.
fn asked(trio: &Trio, member: &str, request: &str, body: &str) -> Option<Value> {
    let mut stream = TcpStream::connect(trio.url(member).strip_prefix("http://")?).ok()?;
    let (key, length) = (trio.key(member), body.len());
    let request = format!(
        "{request} HTTP/1.0\r\nhost: {member}\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}

/// What an upload of the picture of an alert is told.
fn verdict(trio: &Trio, member: &str, number: u64) -> Option<Value> {
    let value = backlog::picture(number).to_string();
    let signals = json!([{ "kind": "pdq", "value": value, "quality": 100 }]);
    let body = json!({ "item": format!("upload-{number}"), "signals": signals }).to_string();
    Some(asked(trio, member, "POST /v1/scan", &body)?["verdict"].clone())
}

/// The numbers of the charter in force at a node, and of the one that it works under.
fn charters(trio: &Trio, member: &str) -> Option<[u64; 2]> {
    let view = asked(trio, member, "GET /v1/charter", "")?;
    Some([view["seq"].as_u64()?, view["works_under"].as_u64()?])
}

/// Has one member propose that one organisation is enough to halt a case, and another one agree.
fn let_one_halt(trio: &Trio) {
    let draft = trio.dir("ant").join("next.json");
    let place = draft.to_str().unwrap();
    trio.until("ant drafts", || {
        let _nothing_said = trio.coalition("ant", &["draft", "--out", place]);
        draft.exists().then_some(())
    });
    let mut wanted: Value = serde_json::from_slice(&std::fs::read(&draft).unwrap()).unwrap();
    wanted["quorums"]["halt"] = 1.into();
    std::fs::write(&draft, wanted.to_string()).unwrap();
    let proposed = trio.until("ant proposes", || trio.coalition("ant", &["propose", place]));
    let hash = proposed["hash"].as_str().unwrap().to_owned();
    trio.until("bee approves", || trio.coalition("bee", &["approve", &hash[..12]]));
}

/// Asks for verdicts until a node works under the new charter; how many it gave under the old one while the new one was
/// in force.
fn scan_until_changed(trio: &Trio, member: &str) -> usize {
    let mut meanwhile = 0;
    trio.until("it works under the new charter", || {
        loop {
            let before = charters(trio, member)?;
            let [halted, other] = [1, 2].map(|number| verdict(trio, member, number));
            let after = charters(trio, member)?;
            if before == after && before == [2, 1] {
                assert_eq!((halted, other), (Some("block".into()), Some("block".into())));
                meanwhile += 1;
            } else if after == [2, 2] {
                return Some(());
            }
        }
    });
    meanwhile
}

#[test]
fn uploads_are_judged_while_a_charter_changes_and_by_the_new_one_from_then_on() {
    let runtime = Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let receiver = runtime.block_on(platform::serve(folder.path()));
    let mut trio = Trio::found(None);
    platform::configure(&trio.dir("cat"), &receiver.webhook_url(), &receiver.verify_url());
    platform::trust(&trio.dir("cat"), "ant");
    runtime.block_on(backlog::write(&trio.dir("ant"), "ant", 0..RECORDS, History::default()));
    trio.start(&["cat"]);
    let items = [("halted", 1), ("other", 2)];
    let held = items.map(|(item, number)| (item, backlog::picture(number).to_string()));
    platform::hold(&trio, "cat", folder.path(), &held);
    trio.start(&["ant", "bee"]);
    trio.until("cat has caught up", || {
        (trio.measured("cat", "watchfire_sets")? == RECORDS as f64).then_some(())
    });
    for (item, _) in items {
        trio.until(&format!("{item} is down"), || {
            (!folder.path().join(item).exists()).then_some(())
        });
    }
    // One organisation wants a case halted, which takes two.
    let found = trio.until("cat finds the case", || {
        let signals =
            json!([{ "kind": "pdq", "value": backlog::picture(1).to_string(), "quality": 100 }]);
        let body = json!({ "item": "halted", "signals": signals }).to_string();
        let answer = asked(&trio, "cat", "POST /v1/scan", &body)?;
        Some(answer["reasons"][0]["case"].as_str()?.to_owned())
    });
    trio.until("bee halts", || {
        trio.ask("bee", &["alert", "halt", &found, "--reason", "wrong_match"])
    });
    trio.wait_ready(&MEMBERS);

    let_one_halt(&trio);
    let meanwhile = scan_until_changed(&trio, "cat");
    let log = std::fs::read_to_string(trio.dir("cat").with_extension("log")).unwrap();
    assert!(log.contains("there is memory for it"), "why it folds beside or not is in its log");
    assert!(meanwhile >= SCANS, "{meanwhile} times it judged uploads meanwhile");
    assert_eq!(verdict(&trio, "cat", 1), Some("allow".into()));
    assert_eq!(verdict(&trio, "cat", 2), Some("block".into()));
    trio.until("what is halted comes back", || folder.path().join("halted").exists().then_some(()));
    assert!(!folder.path().join("other").exists());
    // It goes on from there: what is said since counts.
    let late = trio.raise("ant", &backlog::picture(RECORDS + 1).to_string());
    trio.until("cat knows what came since", || trio.ask("cat", &["alert", "show", &late]));
    // What ant has used of its quotas is counted from its whole log, under the new charter too.
    let members = trio.until("cat shows all", || trio.coalition("cat", &["members"]));
    let ant = &members["members"][0];
    let live = &ant["quotas"]["live_alerts"];
    assert_eq!((&ant["name"], &live["used"]), (&"ant".into(), &(RECORDS + 1).into()), "{ant}");
    let metric = "watchfire_quota_used{member=\"ant\",quota=\"live_alerts\"}";
    assert_eq!(trio.measured("cat", metric), Some((RECORDS + 1) as f64));
    trio.stop("cat");
    runtime.block_on(receiver.stop());
}

#[test]
fn a_node_that_is_terminated_while_it_prepares_for_a_charter_ends() {
    let runtime = Runtime::new().unwrap();
    let mut trio = Trio::found(None);
    runtime.block_on(backlog::write(&trio.dir("ant"), "ant", 0..RECORDS, History::default()));
    trio.start(&["ant", "bee"]);
    let_one_halt(&trio);
    trio.until("ant prepares", || (charters(&trio, "ant")? == [2, 1]).then_some(()));
    trio.terminate("ant");
    assert_eq!(trio.ended("ant").code(), Some(0));
    let logs = trio.logs();
    let of_ant = logs.split("\nbee:\n").next().unwrap();
    assert!(of_ant.contains("stopping") && !of_ant.contains("prepared=true"), "{of_ant}");
    // What it had agreed to holds.
    trio.start(&["ant"]);
    trio.until("ant works under it", || (charters(&trio, "ant")? == [2, 2]).then_some(()));
}

/// Killed in the middle of it, and again as soon as it is back, a node comes out under the new charter with all that it
/// knew.
#[test]
fn a_node_that_is_killed_while_a_charter_is_handed_over_goes_on_under_the_new_one() {
    let runtime = Runtime::new().unwrap();
    let mut trio = Trio::found(None);
    runtime.block_on(backlog::write(&trio.dir("ant"), "ant", 0..FEW_RECORDS, History::default()));
    trio.start(&MEMBERS);
    trio.until("cat has caught up", || {
        (trio.measured("cat", "watchfire_sets")? == FEW_RECORDS as f64).then_some(())
    });
    let_one_halt(&trio);
    for member in ["ant", "cat"] {
        trio.until("it prepares", || charters(&trio, member).filter(|[seq, _]| *seq == 2));
        trio.kill(member);
        trio.start(&[member]);
        trio.until("it is back", || charters(&trio, member));
        trio.kill(member);
        trio.start(&[member]);
    }
    for member in MEMBERS {
        trio.until("it works under it", || (charters(&trio, member)? == [2, 2]).then_some(()));
        trio.until("it has all", || {
            (trio.measured(member, "watchfire_sets")? == FEW_RECORDS as f64).then_some(())
        });
    }
    let late = trio.raise("ant", &backlog::picture(FEW_RECORDS + 1).to_string());
    assert_eq!(trio.knows("cat", &late)["author"], "ant");
}
