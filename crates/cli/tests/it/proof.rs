//! A proof of a case, made at a real node and checked without any.

use std::fs;

use serde_json::Value;
use watchfire_api::wire::{ContradictionProof, Evidence, ForkProof};
use watchfire_node::charter::approve;
use watchfire_signal::{
    alert::{Alert, ContentKind, Suggestion},
    charter::{Approval, Charter, Member, Role, SignedCharter},
    desk::{DeskKind, DeskRecord, seal_line},
    header::{CharterRef, Header, Provenance, RECORD_VERSION, Review, Target},
    hex,
    label::{Class, TAXONOMY_VERSION},
    name::{GroupName, LogName},
    pdq::Pdq,
    reason::Reason,
    record::{Leaf, Record, seal},
    statement::{Head, Statement},
    value::Signal,
    verb::Verb,
};
use watchfire_tlog::{Checkpoint, Hash, Origin, OwnKey, SignedCheckpoint, leaf_hash};

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

#[test]
fn evidence_of_a_fork_in_a_file_is_checked_without_a_node() {
    let log = "watchfire/zoo/ant/1";
    let head = |root: u8| {
        let checkpoint =
            Checkpoint { origin: Origin::new(log).unwrap(), size: 7, root: Hash([root; 32]) };
        SignedCheckpoint::sign(&checkpoint, &OwnKey::from_seed(&[5; 32])).text
    };
    let proof = ForkProof { ours: head(1), theirs: head(2), consistency: None };
    let evidence =
        Evidence { log: log.parse().unwrap(), proofs: vec![proof], contradictions: vec![] };
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("fork.json");
    fs::write(&file, serde_json::to_vec(&evidence).unwrap()).unwrap();
    let check = |seed: u8| {
        let key = OwnKey::from_seed(&[seed; 32]).public().to_string();
        let output = run(["--json", "log", "evidence", file.to_str().unwrap(), "--key", &key]);
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        (code(&output), found["forked"].clone(), found["refused"].clone())
    };
    assert_eq!(check(5), (1, true.into(), 0.into()));
    assert_eq!(check(6), (0, false.into(), 1.into()), "another key did not sign it");
}

#[test]
fn a_contradiction_in_a_file_convicts_its_author_and_no_changed_one_does() {
    let log = "watchfire/zoo/ant/1";
    let charter = CharterRef { seq: 1, hash: [1; 32] };
    let (leaf, record) = two_faced(&log.parse().unwrap(), &charter);
    let record = Record::decode(&record).unwrap();
    let origin = Origin::new(log).unwrap();
    let checkpoint = Checkpoint { origin, size: 1, root: leaf_hash(&leaf) };
    let found = ContradictionProof {
        index: 0,
        checkpoint: SignedCheckpoint::sign(&checkpoint, &OwnKey::from_seed(&[5; 32])).text,
        inclusion: vec![],
        leaf: hex::encode(&leaf),
        header: hex::encode(&record.header_bytes),
        content: hex::encode(&record.content()),
    };
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("contradiction.json");
    let key = |seed: u8| OwnKey::from_seed(&[seed; 32]).public().to_string();
    let check = |found: &ContradictionProof, key: String| {
        let contradictions = vec![found.clone()];
        let evidence = Evidence { log: log.parse().unwrap(), proofs: vec![], contradictions };
        fs::write(&file, serde_json::to_vec(&evidence).unwrap()).unwrap();
        let output = run(["--json", "log", "evidence", file.to_str().unwrap(), "--key", &key]);
        let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
        let convicts = shown["contradictions"].as_array().unwrap().len();
        assert_eq!(shown["forked"], false);
        (code(&output), convicts, shown["refused"].as_u64().unwrap())
    };
    assert_eq!(check(&found, key(5)), (1, 1, 0));
    assert_eq!(check(&found, key(6)), (0, 0, 1), "another key did not sign it");
    let honest = ContradictionProof { header: hex::encode(&shown_by(&leaf)), ..found.clone() };
    assert_eq!(check(&honest, key(5)), (0, 0, 1), "the header that the leaf shows");
    let elsewhere = ContradictionProof { index: 1, ..found };
    assert_eq!(check(&elsewhere, key(5)), (0, 0, 1), "it does not stand there");
}

fn shown_by(leaf: &[u8]) -> Vec<u8> {
    Leaf::decode(leaf).unwrap().header_bytes
}

/// A leaf with one header that commits to another one, and the record with that one.
pub(crate) fn two_faced(log: &LogName, charter: &CharterRef) -> (Vec<u8>, Vec<u8>) {
    let leaf = |reason: Reason| {
        let header = Header {
            v: RECORD_VERSION,
            coalition: log.coalition.clone(),
            author_log: log.clone(),
            charter: *charter,
            verb: Verb::Retract,
            class: Class::SelfHarm,
            group: GroupName::all(),
            provenance: Provenance::None,
            reason: Some(reason),
            severity: None,
            target: Some(Target { log: log.clone(), index: 0 }),
            lease_day: None,
            test: false,
            review: None,
            minute: None,
            size: 1,
        };
        seal(&header, &Statement::Retract { restore: true, note: None }, [3; 16]).unwrap()
    };
    let (shown, written) = (leaf(Reason::BenignContext), leaf(Reason::WrongMatch));
    let (header, mut bytes) = (shown_by(&shown.leaf), written.leaf.clone());
    let at = bytes.windows(header.len()).position(|part| *part == shown_by(&written.leaf)).unwrap();
    bytes[at..at + header.len()].copy_from_slice(&header);
    (bytes, written.record)
}

#[test]
fn a_witness_cosigns_and_the_audit_of_a_log_says_up_to_where() {
    let mut trio = Trio::found_with(None, Some("cat"));
    trio.start(&["ant", "bee"]);
    let id = trio.raise("ant", &"4d".repeat(32));
    trio.knows("bee", &id);
    assert_eq!(trio.verify("bee", "ant")["witnesses"], serde_json::json!([]));
    trio.start(&["cat"]);
    let witnesses = trio.until("bee has it cosigned", || {
        let audit = trio.verify("bee", "ant");
        audit["witnesses"].as_array().filter(|witnesses| !witnesses.is_empty()).cloned()
    });
    assert_eq!(witnesses[0]["witness"], "watchfire/zoo/cat/1");
    assert_eq!(witnesses[0]["size"], 1);
}

/// A member alone, and the charter that it has approved.
fn charter_of_ant() -> SignedCharter {
    let key = OwnKey::from_seed(&[5; 32]);
    let member = Member {
        name: "ant".parse().unwrap(),
        organisation: "ant".parse().unwrap(),
        role: Role::Platform,
        key: key.public().to_bytes(),
        epoch: 1,
        address: None,
    };
    let charter = Charter::founding("zoo".parse().unwrap(), vec![member]);
    let signature = approve(&charter.hash(), &key);
    let approval = Approval { member: "ant".parse().unwrap(), signature };
    SignedCharter::new(charter, vec![approval]).unwrap()
}

fn alert() -> Statement {
    Statement::Assert(Alert {
        kind: ContentKind::Image,
        signals: vec![Signal { quality: Some(100), ..Signal::new(Pdq([0x4d; 32])) }],
        labels: vec!["violence.graphic_death".parse().unwrap()],
        taxonomy: TAXONOMY_VERSION,
        confidence: 90,
        suggestion: Suggestion::Remove,
        exceptions: vec![],
        valid_until: 1_900_000_000_000,
        family: None,
        incident: None,
        evidence_hold: false,
        authority: None,
        tlp: None,
    })
}

/// The proof of a case with one decision, which the member's log fixes so many minutes later.
fn fixed_after(minutes: u32, charter: &SignedCharter) -> Value {
    let minute = 30_000_000;
    let log: LogName = "watchfire/zoo/ant/1".parse().unwrap();
    let header = |verb, class, alert: bool, minute| Header {
        v: RECORD_VERSION,
        coalition: log.coalition.clone(),
        author_log: log.clone(),
        charter: CharterRef { seq: 1, hash: charter.hash() },
        verb,
        class,
        group: GroupName::all(),
        provenance: if alert { Provenance::OwnDetection } else { Provenance::None },
        reason: None,
        severity: alert.then_some(2),
        target: None,
        lease_day: alert.then_some(25_000),
        test: false,
        review: alert.then_some(Review::OneHuman),
        minute: Some(minute),
        size: 1,
    };
    let asserted = header(Verb::Assert, Class::Violence, true, minute);
    let case = seal(&asserted, &alert(), [1; 16]).unwrap();
    let body = format!(r#"{{"case":"{}","item":"post:1","action":"remove"}}"#, case.commitment);
    let record = DeskRecord { actor: "node".to_owned(), body: body.into_bytes() };
    let line = seal_line(DeskKind::Outcome, u64::from(minute) * 60_000, &record, [2; 16]).unwrap();
    let head = Statement::Desk(Head { size: 1, root: leaf_hash(&line.leaf).0 });
    let anchor = header(Verb::Desk, Class::None, false, minute + minutes);
    let anchor = seal(&anchor, &head, [3; 16]).unwrap();
    let [first, second] = [&case.leaf, &anchor.leaf].map(|leaf| leaf_hash(leaf));
    let mut tree = watchfire_tlog::Frontier::new();
    [first, second].into_iter().for_each(|leaf| tree.append(leaf));
    let origin = Origin::new(log.to_string()).unwrap();
    let checkpoint = Checkpoint { origin, size: 2, root: tree.root() };
    let checkpoint = SignedCheckpoint::sign(&checkpoint, &OwnKey::from_seed(&[5; 32])).text;
    let (hash, case_name) = (hex::encode(&charter.hash()), case.commitment.to_string());
    serde_json::json!({
        "watchfire_proof": 1, "coalition": "zoo", "charter": {"seq": 1, "hash": hash},
        "member": "ant", "case": case_name,
        "logs": [{"log": log, "checkpoint": checkpoint, "entries": [
            {"index": 0, "leaf": hex::encode(&case.leaf), "inclusion": [second.to_string()]},
            {"index": 1, "leaf": hex::encode(&anchor.leaf), "record": hex::encode(&anchor.record),
             "inclusion": [first.to_string()]},
        ]}],
        "desk": {"anchors": [{"index": 1, "consistency": []}], "left_out": 0, "lines": [
            {"index": 0, "leaf": hex::encode(&line.leaf), "record": hex::encode(&line.record),
             "anchored": true, "anchor": 1, "inclusion": []},
        ]},
    })
}

#[test]
fn a_decision_that_was_fixed_more_than_an_hour_later_is_not_proven() {
    let place = tempfile::tempdir().unwrap();
    let [file, keys] = ["proof.json", "charter.cbor"].map(|name| place.path().join(name));
    let charter = charter_of_ant();
    fs::write(&keys, charter.encode()).unwrap();
    let [file, keys] = [&file, &keys].map(|path| path.to_str().unwrap());
    let check = |minutes: u32| {
        fs::write(file, fixed_after(minutes, &charter).to_string()).unwrap();
        let output = run(["--json", "proof", "check", file, "--charter", keys]);
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        let told = words(&run(["proof", "check", file, "--charter", keys]));
        (code(&output), found["sound"].clone(), found["fixed_late"].clone(), told)
    };
    for minutes in [0, 15, 60] {
        let (ended, sound, late, told) = check(minutes);
        assert_eq!((ended, sound, late), (0, true.into(), 0.into()), "{told}");
        assert!(told.contains("all of this is proven"), "{told}");
    }
    for minutes in [61, 10_000] {
        let (ended, sound, late, told) = check(minutes);
        assert_eq!((ended, sound, late), (1, false.into(), 1.into()), "{told}");
        assert!(told.contains("FIXED LATE, by entry 1") && told.contains("NOT PROVEN"), "{told}");
    }
}
