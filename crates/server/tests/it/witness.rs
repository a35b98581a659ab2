//! What a witness answers over the wire to whoever submits a checkpoint (C2SP tlog-witness).

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use serde_json::Value;
use watchfire_server::limits::CHECKPOINT_BYTES;
use watchfire_store::{MemoryStore, OpenError, SqliteOptions, SqliteStore, Store};
use watchfire_tlog::cosign::cosigned_at;
use watchfire_tlog::proof::consistency;
use watchfire_tlog::{
    AddCheckpoint, Checkpoint, Frontier, Hash, HashReader, Origin, SignedCheckpoint, SourceError,
    leaf_hash,
};

use crate::house::{House, START_MS, WITNESS, own_key, witness_over};
use crate::logs::Stranger;

/// The log of member `a`, which only its key is needed for: so many leaves, those from the fourth on of a story.
struct Tree(Vec<Hash>);

#[async_trait]
impl HashReader for Tree {
    async fn hashes(&self, level: u8, from: u64, to: u64) -> Result<Vec<Hash>, SourceError> {
        assert_eq!(level, 0, "less than a tile");
        Ok(self.0[from as usize..to as usize].to_vec())
    }
}

fn tree(story: &str) -> Tree {
    let leaf =
        |index: u8| leaf_hash(&[&[index], if index < 3 { "" } else { story }.as_bytes()].concat());
    Tree((0..20).map(leaf).collect())
}

fn origin() -> Origin {
    Origin::new("watchfire/test/a/1").unwrap()
}

impl Tree {
    fn says(&self, size: u64) -> Checkpoint {
        let mut frontier = Frontier::new();
        self.0[..size as usize].iter().for_each(|leaf| frontier.append(*leaf));
        Checkpoint { origin: origin(), size, root: frontier.root() }
    }

    fn request(&self, old: u64, size: u64) -> AddCheckpoint {
        let proof = consistency(self, old, size).now_or_never().unwrap().unwrap();
        let checkpoint = SignedCheckpoint::sign(&self.says(size), &own_key("a"));
        AddCheckpoint { old, proof, checkpoint }
    }
}

/// Status, content type and body.
type Told = (u16, String, String);

async fn told(house: &House, body: impl ToString) -> Told {
    let client = crate::access::http();
    let request = client.post(house.url("/witness/add-checkpoint")).body(body.to_string());
    let response = request.send().await.unwrap();
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    (response.status().as_u16(), kind, response.text().await.unwrap())
}

fn conflict(size: u64) -> Told {
    (409, "text/x.tlog.size".to_owned(), format!("{size}\n"))
}

/// That an answer is the cosignature of the witness, as who knows its key checks it.
fn assert_cosigned(request: &AddCheckpoint, (status, _, line): &Told) {
    let witness = format!("watchfire/test/{WITNESS}/1");
    assert_eq!(*status, 200, "{line}");
    assert!(line.starts_with(&format!("\u{2014} {witness} ")) && line.ends_with('\n'), "{line}");
    let note = SignedCheckpoint::new(format!("{}{line}", request.checkpoint));
    note.verify(&origin(), &own_key("a").public()).unwrap();
    let key = own_key(WITNESS).public();
    assert_eq!(cosigned_at(&note, &witness, &key), Some(START_MS / 1_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_answers_as_the_specification_says_and_a_restart_forgets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (house, log) = (witness_over(open(folder.path()).await).await, tree("one"));
    let first = log.request(0, 5);
    assert_cosigned(&first, &told(&house, &first).await);
    assert_eq!(told(&house, log.request(0, 9)).await, conflict(5));
    assert_eq!(told(&house, log.request(4, 9)).await, conflict(5));
    let on = log.request(5, 9);
    assert_cosigned(&on, &told(&house, &on).await);
    assert_eq!(told(&house, &on).await, conflict(9));
    house.stop().await;

    let house = witness_over(open(folder.path()).await).await;
    assert_eq!(told(&house, log.request(0, 5)).await, conflict(9));
    let status = async |request: AddCheckpoint| told(&house, request).await.0;
    let other = tree("two");
    assert_eq!(status(other.request(9, 12)).await, 422, "of another history");
    assert_eq!(status(AddCheckpoint { proof: vec![], ..log.request(9, 12) }).await, 422);
    assert_eq!(status(AddCheckpoint { old: 13, ..log.request(9, 12) }).await, 400);
    let checkpoint = SignedCheckpoint::sign(&log.says(12), &own_key("somebody"));
    assert_eq!(status(AddCheckpoint { checkpoint, ..log.request(9, 12) }).await, 403);
    let unknown = Checkpoint { origin: Origin::new("watchfire/test/b/1").unwrap(), ..log.says(12) };
    let checkpoint = SignedCheckpoint::sign(&unknown, &own_key("a"));
    assert_eq!(status(AddCheckpoint { checkpoint, ..log.request(9, 12) }).await, 404);
    for garbage in ["", "old 9\n", "{}", "old 09\n\n"] {
        let (status, kind, problem) = told(&house, garbage).await;
        assert_eq!((status, kind.as_str()), (400, "application/problem+json"), "{problem}");
    }
    let same = log.request(9, 9);
    assert_cosigned(&same, &told(&house, &same).await);
    let on = log.request(9, 20);
    assert_cosigned(&on, &told(&house, &on).await);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_shows_a_witness_two_heads_of_one_size_is_convicted() {
    let (house, log, other) = (witness_over(store()).await, tree("one"), tree("two"));
    let first = log.request(0, 5);
    assert_cosigned(&first, &told(&house, &first).await);
    let fork = AddCheckpoint { proof: vec![], ..other.request(5, 5) };
    assert_eq!(told(&house, &fork).await, conflict(5));
    let stranger = Stranger::of(&house);
    let evidence: Value = stranger.get("/log/a/evidence").await.json().await.unwrap();
    let proof = &evidence["proofs"][0];
    let both = [&proof["ours"], &proof["theirs"]].map(|head| head.as_str().unwrap().to_owned());
    assert_eq!(both, [first.checkpoint.text, fork.checkpoint.text]);
    assert_eq!(told(&house, log.request(5, 9)).await.0, 403, "nothing more of it");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_submits_too_much_or_signs_wrongly_again_and_again_is_slowed_down() {
    let (house, log) = (witness_over(store()).await, tree("one"));
    let (status, _, problem) = told(&house, "x".repeat(CHECKPOINT_BYTES.value + 1)).await;
    let problem: Value = serde_json::from_str(&problem).unwrap();
    assert_eq!((status, &problem["limit"]), (413, &CHECKPOINT_BYTES.name.into()));
    let checkpoint = SignedCheckpoint::sign(&log.says(5), &own_key("somebody"));
    let forged = AddCheckpoint { checkpoint, ..log.request(0, 5) };
    let mut refused = 0;
    let last = loop {
        let last = told(&house, &forged).await;
        if last.0 != 403 || refused > 1_000 {
            break last;
        }
        refused += 1;
    };
    assert_eq!((last.0, refused), (429, 100));
    assert!(last.2.contains("refused_requests_a_second"), "{}", last.2);
    let sound = log.request(0, 5);
    assert_cosigned(&sound, &told(&house, &sound).await);
    house.stop().await;
}

/// The threads of a store end a moment after its last handle.
async fn open(folder: &Path) -> Arc<dyn Store> {
    loop {
        match SqliteStore::open(folder, SqliteOptions::default()) {
            Ok(store) => return Arc::new(store),
            Err(OpenError::Locked { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

fn store() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}
