//! Measures how long a commit of one small append takes, until the answer and until a follower has it.
//!
//! `cargo run --release -p watchfire-store --example commit_latency [DIRECTORY [RESERVE_BYTES]]`

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use watchfire_store::conformance::Author;
use watchfire_store::{SqliteOptions, SqliteStore, Store};

/// Commits that are measured, one after the other.
const COMMITS: usize = 2000;

/// Bytes of the record: an alert with one video signal of about 50 frames.
const RECORD_BYTES: usize = 2300;

#[tokio::main]
async fn main() {
    let directory = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = tempfile::tempdir_in(directory).unwrap();
    report("append + fdatasync of 16 KiB, no database", bare(directory.path()));
    let mut options = SqliteOptions::default();
    if let Some(bytes) = std::env::args().nth(2) {
        options.reserve_bytes = bytes.parse().unwrap();
    }
    let store = SqliteStore::open(directory.path(), options).unwrap();
    let mut author = Author::new("ann");
    let mut steps = store.read(author.log()).follow(0).await.unwrap();
    let (mut acknowledged, mut followed) = (Vec::new(), Vec::new());
    for _ in 0..COMMITS {
        let entry = author.entry(author.size(), RECORD_BYTES);
        let append = Some(author.append_entries(vec![entry]));
        let batch = watchfire_store::Batch { append, ..Default::default() };
        let begin = Instant::now();
        let commit = async {
            store.commit(batch).await.unwrap();
            begin.elapsed()
        };
        let follow = async {
            steps.next().await.unwrap().unwrap();
            begin.elapsed()
        };
        let (commit, follow) = tokio::join!(commit, follow);
        acknowledged.push(commit);
        followed.push(follow);
    }
    report("commit acknowledged", acknowledged);
    report("follower has it", followed);
    println!("{:?}", store.counts().await.unwrap());
}

/// What the disk alone costs.
fn bare(directory: &Path) -> Vec<Duration> {
    let mut file = std::fs::File::create(directory.join("bare")).unwrap();
    let mut times = Vec::new();
    for _ in 0..COMMITS {
        let begin = Instant::now();
        file.write_all(&[7; 16_384]).unwrap();
        file.sync_data().unwrap();
        times.push(begin.elapsed());
    }
    times
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: usize| times[times.len() * share / 1000];
    println!("{what}: p50 {:?}, p99 {:?}, p99.9 {:?}", at(500), at(990), at(999));
}
