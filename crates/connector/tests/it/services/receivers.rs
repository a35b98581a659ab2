//! The receivers under `examples/`, each a process, against the real webhook.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use watchfire_connector::{
    conformance::{self, Platform, order},
    standard_webhook::{REPLAY_WINDOW_S, SigningKey},
    webhook::{Setup, Webhook},
};
use watchfire_node::{
    clock::{Clock, SystemClock},
    connector::{Answer, Connector},
};

use crate::webhook::{key, loopback, shared_key};

/// A receiver in some language, and the folder that it serves.
struct Receiver {
    running: Child,
    folder: tempfile::TempDir,
    url: String,
    uploads: AtomicU64,
}

/// The machine's clock, put forward or back: receivers are programs of their own and have no other.
struct Shifted {
    clock: SystemClock,
    by_s: i64,
}

impl Clock for Shifted {
    fn now_ms(&self) -> u64 {
        self.clock.now_ms().saturating_add_signed(self.by_s * 1000)
    }
}

impl Receiver {
    /// Starts a receiver that believes these keys.
    fn start(mut command: Command, named: bool, keys: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("uploads")).unwrap();
        let uploads = folder.path().join("uploads");
        if named {
            command.arg("--folder").arg(&uploads).args(["--listen", "127.0.0.1:0"]);
        } else {
            command.arg(&uploads).arg("127.0.0.1:0");
        }
        for (number, text) in keys.iter().enumerate() {
            let file = folder.path().join(format!("{number}.key"));
            std::fs::write(&file, text).unwrap();
            if named {
                command.arg("--key-file");
            }
            command.arg(file);
        }
        let mut running = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(running.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ");
        let url = url.unwrap_or_else(|| panic!("{command:?} said {line:?}")).to_owned();
        Self { running, folder, url, uploads: AtomicU64::new(0) }
    }

    fn python(keys: &[String]) -> Self {
        let mut command = Command::new("python3");
        command.arg(example("python/receiver.py"));
        Self::start(command, true, keys)
    }

    /// Python with the package `cryptography`, which Synapse needs too.
    fn python_with_cryptography(keys: &[String]) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut command = Command::new(root.join("target/services/synapse/bin/python"));
        command.arg(example("python/receiver.py"));
        Self::start(command, true, keys)
    }

    fn node(keys: &[String]) -> Self {
        let mut command = Command::new("node");
        command.arg(example("node/receiver.mjs"));
        Self::start(command, true, keys)
    }

    fn rust(keys: &[String]) -> Self {
        // Cargo builds examples with the tests, into the folder beside that of the tests.
        let tests = std::env::current_exe().unwrap();
        let built = tests.ancestors().nth(2).unwrap().join("examples/receiver");
        Self::start(Command::new(built), false, keys)
    }

    fn path(&self, item: &str) -> PathBuf {
        self.folder.path().join("uploads").join(item)
    }

    fn webhook(&self, keys: Vec<SigningKey>, by_s: i64) -> Webhook {
        let setup = Setup {
            url: format!("{}/webhook", self.url),
            verify_url: Some(format!("{}/items/{{item}}", self.url)),
            keys,
            clock: Arc::new(Shifted { clock: SystemClock::default(), by_s }),
            out: loopback(),
        };
        Webhook::new(setup).unwrap()
    }
}

#[async_trait]
impl Platform for Receiver {
    async fn upload(&self) -> String {
        let item = format!("item:{}", self.uploads.fetch_add(1, Ordering::Relaxed));
        std::fs::write(self.path(&item), &item).unwrap();
        item
    }

    async fn shows(&self, item: &str) -> bool {
        std::fs::read(self.path(item)).is_ok_and(|bytes| bytes == item.as_bytes())
    }

    fn refused_action(&self) -> &'static str {
        "demote"
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ended = self.running.kill();
        let _waited = self.running.wait();
    }
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/receivers").join(name)
}

/// The shared secret, and the public half of the Ed25519 key.
fn checking() -> [String; 2] {
    let shared = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned();
    [shared, key().checking().public_text().unwrap()]
}

/// The contract under both algorithms, and what must move nothing.
async fn keeps_the_contract(start: fn(&[String]) -> Receiver, signing: &[SigningKey]) {
    let [shared, public] = checking();
    for signing in signing {
        let right = if matches!(signing, SigningKey::Own(_)) { &public } else { &shared };
        let receiver = start(std::slice::from_ref(right));
        let webhook = receiver.webhook(vec![signing.clone()], 0);
        conformance::check(&webhook, &receiver).await.unwrap();
        believes_nobody_else(&receiver, signing).await;
        // During a rotation the sender signs with both, and one that is known is enough.
        let stranger = SigningKey::from_seed(&[9; 32]);
        let rotating = receiver.webhook(vec![stranger, signing.clone()], 0);
        let item = receiver.upload().await;
        let remove = order("rotation-1", &item, "remove");
        assert_eq!(rotating.enforce(&remove).await, Ok(Answer::Done));
        assert!(!receiver.shows(&item).await);
    }
}

async fn believes_nobody_else(receiver: &Receiver, signing: &SigningKey) {
    let item = receiver.upload().await;
    let window = i64::try_from(REPLAY_WINDOW_S).unwrap();
    let remove = order("stale-1", &item, "remove");
    for by_s in [-(window + 60), window + 60] {
        let stale = receiver.webhook(vec![signing.clone()], by_s);
        let error = stale.enforce(&remove).await.unwrap_err();
        assert!(error.0.contains("401"), "{error}");
    }
    let strangers = [
        SigningKey::from_seed(&[9; 32]),
        SigningKey::parse("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").unwrap(),
    ];
    for stranger in strangers {
        let error = receiver.webhook(vec![stranger], 0).enforce(&remove).await.unwrap_err();
        assert!(error.0.contains("401"), "{error}");
    }
    for outside in ["../0.key", ".quarantine/.orders", "/etc/passwd"] {
        let webhook = receiver.webhook(vec![signing.clone()], 0);
        let name = format!("outside-{}", outside.len());
        let answer = webhook.enforce(&order(&name, outside, "remove")).await;
        assert_eq!(answer, Ok(Answer::Gone), "{outside}");
    }
    assert!(receiver.folder.path().join("0.key").exists());
    assert!(receiver.shows(&item).await);
}

#[tokio::test]
async fn the_receiver_in_python_keeps_the_contract_with_its_standard_library() {
    keeps_the_contract(Receiver::python, &[shared_key()]).await;
}

#[tokio::test]
async fn the_receiver_in_python_keeps_the_contract_with_ed25519() {
    keeps_the_contract(Receiver::python_with_cryptography, &[key()]).await;
}

#[tokio::test]
async fn the_receiver_in_node_keeps_the_contract() {
    keeps_the_contract(Receiver::node, &[shared_key(), key()]).await;
}

#[tokio::test]
async fn the_receiver_in_rust_keeps_the_contract() {
    keeps_the_contract(Receiver::rust, &[shared_key(), key()]).await;
}
