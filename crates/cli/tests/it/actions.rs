//! What a person does about the outbox of a real node, by the program, with a folder as the platform:
//! try again, drop, show, keep.

use std::{
    fs,
    io::{Read, Write},
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
};

use serde_json::Value;
use watchfire_connector::{
    receiver::{Receiver, Setup},
    standard_webhook::CheckingKey,
};
use watchfire_node::clock::SystemClock;

use crate::{
    program::{code, run, words},
    trio::{MEMBERS, Trio},
};

/// The secret of node and receiver.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// What the platform holds; the names of the first two are taken in its quarantine, so that it
/// refuses to take them down.
const ITEMS: [&str; 4] = ["stuck", "given-up", "shown", "kept"];

/// A member with a platform that holds copies of what it alerts on.
struct Stage {
    trio: Trio,
    uploads: tempfile::TempDir,
    case: String,
    _platform: Receiver,
}

async fn platform(folder: &Path) -> Receiver {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let keys = vec![CheckingKey::parse(SECRET).unwrap()];
    let clock = Arc::new(SystemClock::default());
    Receiver::start(Setup { folder: folder.to_owned(), listen, keys, clock }).await.unwrap()
}

fn configure(dir: &Path, url: &str, verify_url: &str) {
    let mut key = fs::OpenOptions::new();
    let key = key.write(true).create_new(true).mode(0o600).open(dir.join("webhook.key"));
    key.unwrap().write_all(SECRET.as_bytes()).unwrap();
    let mut config = fs::OpenOptions::new().append(true).open(dir.join("watchfire.toml")).unwrap();
    let lines = format!(
        "\n[webhook]\nurl = {url:?}\nverify_url = {verify_url:?}\nkey_files = [\"webhook.key\"]\n"
    );
    config.write_all(lines.as_bytes()).unwrap();
}

impl Stage {
    async fn open() -> Self {
        let uploads = tempfile::tempdir().unwrap();
        let quarantine = uploads.path().join(".quarantine");
        fs::create_dir(&quarantine).unwrap();
        let mut held = String::new();
        let hash = "0f".repeat(32);
        for item in ITEMS {
            fs::write(uploads.path().join(item), b"content").unwrap();
            let signal = serde_json::json!({ "kind": "pdq", "value": hash, "quality": 100 });
            let line = serde_json::json!({ "item": item, "seen_ms": 4_000_000_000_000u64, "signals": [signal] });
            held += &format!("{line}\n");
        }
        for item in &ITEMS[..2] {
            fs::write(quarantine.join(item), b"another").unwrap();
        }
        let platform = platform(uploads.path()).await;
        let (trio, case) = tokio::task::block_in_place(|| {
            let mut trio = Trio::found(None);
            configure(&trio.dir("ant"), &platform.webhook_url(), &platform.verify_url());
            trio.start(&MEMBERS);
            let file = uploads.path().join(".held.ndjson");
            fs::write(&file, held).unwrap();
            let node = ["--url", &trio.url("ant"), "--key", trio.key("ant")];
            let import = [&["seen", "import"], &node[..], &[file.to_str().unwrap()]].concat();
            trio.until("the held items are known", || (code(&run(&import)) == 0).then_some(()));
            let case = trio.raise("ant", &hash);
            (trio, case)
        });
        Self { trio, uploads, case, _platform: platform }
    }

    fn is_shown(&self, item: &str) -> bool {
        self.uploads.path().join(item).exists()
    }

    /// Repairs what made the platform refuse an item.
    fn repair(&self, item: &str) {
        fs::remove_file(self.uploads.path().join(".quarantine").join(item)).unwrap();
    }

    /// Runs a command at the node, which does or refuses it, and reads its lines.
    fn action(&self, expected: i32, arguments: &[&str]) -> (Vec<Value>, String) {
        let node = ["--json", "action", "--url", &self.trio.url("ant"), "--key"];
        let all = [&node[..], &[self.trio.key("ant")], arguments].concat();
        let output = run(all);
        assert_eq!(code(&output), expected, "{}", words(&output));
        let lines = String::from_utf8(output.stdout.clone()).unwrap();
        let lines = lines.lines().map(|line| serde_json::from_str(line).unwrap());
        (lines.collect(), words(&output))
    }

    /// What the node measures.
    fn metrics(&self) -> String {
        let mut stream = self.trio.connect("ant");
        stream.write_all(b"GET /metrics HTTP/1.0\r\nhost: ant\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Waits until the newest order on an item is this and in a state; says its name.
    fn until(&self, item: &str, action: &str, state: &str) -> String {
        self.trio.until(&format!("{action} of {item} is {state}"), || {
            let (orders, _) = self.action(0, &["list", "--item", item]);
            let last = orders.last()?;
            let fits = last["action"] == action && last["state"] == state;
            fits.then(|| last["name"].as_str().unwrap().to_owned())
        })
    }
}

#[test]
fn a_connector_whose_name_is_taken_stops_the_start() {
    let trio = Trio::found(None);
    let dir = trio.dir("ant");
    configure(&dir, "http://127.0.0.1:9/", "http://127.0.0.1:9/{item}");
    let file = dir.join("watchfire.toml");
    let config = fs::read_to_string(&file).unwrap();
    for name in ["webhook", "platform", "nobody"] {
        let another = format!(
            "\n[[connector]]\nname = {name:?}\nitems = [\"x:\"]\n[connector.by.webhook]\n\
             url = \"http://127.0.0.1:9/\"\nkey_files = [\"webhook.key\"]\n"
        );
        fs::write(&file, config.clone() + &another).unwrap();
        let refused = run(["serve", "--dir", dir.to_str().unwrap()]);
        assert_eq!(code(&refused), 2, "{}", words(&refused));
        assert!(words(&refused).contains("the name is taken"), "{}", words(&refused));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_tries_again_drops_shows_and_keeps() {
    let stage = Stage::open().await;
    tokio::task::block_in_place(|| whole_way(&stage));
}

fn whole_way(stage: &Stage) {
    let [stuck, given_up, shown, kept] = ITEMS;
    let dead = stage.until(stuck, "remove", "dead");
    let to_drop = stage.until(given_up, "remove", "dead");
    let (listed, _) = stage.action(0, &["list"]);
    let mut items: Vec<_> = listed.iter().map(|dead| dead["item"].as_str().unwrap()).collect();
    items.sort_unstable();
    assert_eq!(items, [given_up, stuck]);
    let first = &listed[0];
    assert!(first["note"].as_str().unwrap().contains("422"), "{first}");
    assert_eq!((&first["connector"], &first["reversible"]), (&"webhook".into(), &true.into()));
    assert!(stage.action(0, &["list", "--late"]).0.is_empty());
    let metrics = stage.metrics();
    for line in ["watchfire_outbox_dead 2", "watchfire_outbox_late{connector=\"webhook\"} 0"] {
        assert!(metrics.lines().any(|found| found == line), "no {line} in {metrics}");
    }

    // Dead, the platform repaired, tried again, done.
    stage.repair(stuck);
    stage.action(0, &["retry", &dead]);
    assert_eq!(stage.until(stuck, "remove", "done"), dead);
    assert!(!stage.is_shown(stuck));
    // Given up for good: it stays, though the platform would take it down by now.
    stage.repair(given_up);
    stage.action(0, &["drop", &to_drop]);
    let (_, said) = stage.action(1, &["retry", &to_drop]);
    assert!(said.contains("only what was given up can be tried again"), "{said}");
    assert_eq!(stage.until(given_up, "remove", "dropped"), to_drop);
    // Shown by hand, while its case is alive.
    stage.until(shown, "remove", "done");
    stage.action(0, &["restore", shown, "--note", "news footage"]);
    stage.until(shown, "restore", "done");
    assert!(stage.is_shown(shown));
    // Kept by hand, while its case is taken back and brings the others back.
    stage.until(kept, "remove", "done");
    stage.action(0, &["keep", kept]);
    let retract = ["alert", "retract", &stage.case, "--reason", "wrong_match"];
    stage.trio.until("it is retracted", || stage.trio.ask("ant", &retract));
    stage.until(stuck, "restore", "done");
    assert!(stage.is_shown(stuck) && stage.is_shown(given_up) && stage.is_shown(shown));
    assert!(!stage.is_shown(kept));
    stage.until(kept, "remove", "done");
    assert!(stage.action(0, &["list"]).0.is_empty());
    let (_, said) = stage.action(1, &["keep", "nothing-of-ours"]);
    assert!(said.contains("nothing of that name"), "{said}");
}
