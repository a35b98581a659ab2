//! A member that writes another header into a record than into the leaf that everybody reads, from the frame that it
//! sends to the file that convicts it: all of it over the sockets of a real server.

use std::fs;

use serde_json::Value;
use watchfire_signal::header::CharterRef;
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
