//! A member that writes another header into a record than into the leaf that everybody reads, from the frame that it
//! sends to the file that convicts it, over the sockets of a real server; and one that approves two charters of one number.

use std::fs;

use serde_json::Value;
use watchfire_node::charter::approve;
use watchfire_signal::{
    charter::{Approval, Charter, Member, Role, SignedCharter},
    header::CharterRef,
    hex,
};
use watchfire_tlog::{
    Checkpoint, Entry, Extension, Origin, SignedCheckpoint, frontier::Frontier, leaf_hash,
};

use crate::{
    house::{House, name, own_key, peer_client, unheard},
    program::{code, run, words},
    proof::two_faced,
};

/// What the program says of what is named, and what it ends with.
async fn found(named: &str, key: &str) -> (i32, Value) {
    let arguments = ["--json", "log", "evidence", named, "--key", key].map(str::to_owned);
    let run = tokio::task::spawn_blocking(move || run(arguments));
    let output = run.await.unwrap();
    assert!(!output.stdout.is_empty(), "{}", words(&output));
    (code(&output), serde_json::from_slice(&output.stdout).unwrap())
}

/// What `b` says in its log, and what it brings of that to a node.
struct Liar<'a> {
    house: &'a House,
    frontier: Frontier,
}

impl Liar<'_> {
    /// Brings one more entry, whose leaf and record do not say the same; the record only if it is to be sent.
    async fn say(&mut self, whole: bool) {
        let charter = self.house.node.charter();
        let log = charter.log_of(&name("b")).unwrap();
        let under = CharterRef { seq: charter.seq, hash: charter.hash() };
        let (leaf, record) = two_faced(&log, &under);
        let entry = Entry::new(leaf, whole.then(|| record.into()));
        let from = self.frontier.size();
        self.frontier.append(leaf_hash(&entry.leaf));
        let origin = Origin::new(log.to_string()).unwrap();
        let (size, root) = (self.frontier.size(), self.frontier.root());
        let head = Checkpoint { origin, size, root };
        let checkpoint = SignedCheckpoint::sign(&head, &own_key("b"));
        let more = Extension { from, entries: vec![entry], checkpoint };
        let client = peer_client("b", 9 + from, self.house.address);
        assert_eq!(client.push(&more).await.unwrap(), size);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_differs_from_its_leaf_is_shown_by_the_server_and_convicts_offline() {
    let house = unheard().await;
    let (url, key) = (house.url("/log/b"), own_key("b").public().to_string());
    let mut liar = Liar { house: &house, frontier: Frontier::new() };
    liar.say(false).await;
    let (ended, none) = found(&url, &key).await;
    assert_eq!((ended, &none["contradictions"]), (0, &serde_json::json!([])), "a leaf alone");
    liar.say(true).await;

    let (ended, shown) = found(&url, &key).await;
    let convicts = shown["contradictions"].as_array().unwrap();
    assert_eq!((ended, convicts.len(), &convicts[0]["index"]), (1, 1, &1.into()), "{shown}");
    assert_eq!((&shown["forked"], &shown["refused"]), (&false.into(), &0.into()));
    house.stop().await;

    // Nobody runs any more: what was stored is checked with the author's key alone.
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("lie.json");
    fs::write(&file, shown.to_string()).unwrap();
    let stored = file.to_str().unwrap();
    let (ended, again) = found(stored, &key).await;
    assert_eq!((ended, &again["contradictions"]), (1, &shown["contradictions"]));
    let (ended, another) = found(stored, &own_key("a").public().to_string()).await;
    assert_eq!((ended, &another["refused"]), (0, &1.into()), "another key did not sign it");
}

/// Two charters of one number under one signature each convict offline, by the charter before them alone.
#[test]
fn two_approvals_of_one_member_convict_by_the_charter_before_alone() {
    let card = |member: &str| Member {
        name: name(member),
        organisation: member.parse().unwrap(),
        role: Role::Platform,
        key: own_key(member).public().to_bytes(),
        epoch: 1,
        address: None,
    };
    let first = Charter::founding("test".parse().unwrap(), ["a", "b", "c"].map(card).into());
    let first = SignedCharter::new(first, Vec::new()).unwrap();
    let approved = |halt: u32| {
        let mut charter = first.charter.clone();
        (charter.seq, charter.previous, charter.quorums.halt) = (2, first.hash(), halt);
        let signature = approve(&charter.hash(), &own_key("c"));
        SignedCharter::new(charter, vec![Approval { member: name("c"), signature }]).unwrap()
    };
    let place = tempfile::tempdir().unwrap();
    let [status, charters] = ["status.json", "charter.cbor"].map(|file| place.path().join(file));
    let found = |[one, other]: [u32; 2], before: &SignedCharter| {
        let evidence = hex::encode(&[approved(one).encode(), approved(other).encode()].concat());
        let shown = serde_json::json!({"seq": 2, "double_approvals": [
            {"member": "c", "seq": 2, "evidence": evidence},
        ]});
        fs::write(&status, shown.to_string()).unwrap();
        fs::write(&charters, before.encode()).unwrap();
        let arguments = ["--json", "coalition", "evidence", status.to_str().unwrap(), "--charters"];
        let output = run(arguments.into_iter().chain([charters.to_str().unwrap()]));
        let said: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", words(&output)));
        (code(&output), said["double_approvals"].as_array().unwrap().len(), said["refused"] == 1)
    };
    assert_eq!(found([1, 3], &first), (1, 1, false));
    assert_eq!(found([1, 1], &first), (0, 0, true), "one charter is approved once");
    assert_eq!(found([1, 3], &approved(1)), (0, 0, true), "that is not the charter before");
}
