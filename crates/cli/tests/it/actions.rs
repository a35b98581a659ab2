//! What a person does about the outbox of a real node, by the program, with a folder as the platform:
//! try again, drop, show, keep.

use std::fs;

use serde_json::Value;
use watchfire_connector::receiver::Receiver;

use crate::{
    platform,
    program::{code, run, words},
    trio::{MEMBERS, Trio},
};

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

impl Stage {
    async fn open() -> Self {
        let uploads = tempfile::tempdir().unwrap();
        let quarantine = uploads.path().join(".quarantine");
        fs::create_dir(&quarantine).unwrap();
        let hash = "0f".repeat(32);
        for item in &ITEMS[..2] {
            fs::write(quarantine.join(item), b"another").unwrap();
        }
        let platform = platform::serve(uploads.path()).await;
        let (trio, case) = tokio::task::block_in_place(|| {
            let mut trio = Trio::found(None);
            platform::configure(&trio.dir("ant"), &platform.webhook_url(), &platform.verify_url());
            trio.start(&MEMBERS);
            let items = ITEMS.map(|item| (item, hash.clone()));
            platform::hold(&trio, "ant", uploads.path(), &items);
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
    platform::configure(&dir, "http://127.0.0.1:9/", "http://127.0.0.1:9/{item}");
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
    let metrics = stage.trio.metrics("ant").unwrap();
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
