//! Commits to a store until it is killed, and says on standard output what was acknowledged.
//!
//! `watchfire-store-writer DIRECTORY SEED COMMITS full|off`: after so many commits it aborts, without
//! closing anything. Each line is `ack LOG SIZE`, written in one piece after `commit` returned.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use watchfire_store::conformance::Author;
use watchfire_store::{Durability, SeenItem, SqliteOptions, SqliteStore, Store};
use watchfire_tlog::Frontier;

#[path = "../it/writing.rs"]
mod writing;

/// Logs that grow at the same time, so that transactions carry several batches.
const LOGS: [&str; 3] = ["ann", "bob", "eve"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, seed, commits, durability] = arguments.as_slice() else {
        panic!("DIRECTORY SEED COMMITS full|off");
    };
    let durability = if durability == "off" { Durability::Off } else { Durability::Full };
    let options = SqliteOptions { durability, ..SqliteOptions::default() };
    let store = Arc::new(SqliteStore::open(Path::new(directory), options).unwrap());
    let left = Arc::new(AtomicU64::new(commits.parse().unwrap()));
    let mut seed: u64 = seed.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let mut tasks = Vec::new();
        for name in LOGS {
            seed = seed.wrapping_add(1);
            let (store, left) = (Arc::clone(&store), Arc::clone(&left));
            tasks.push(tokio::spawn(write(store, name, seed, left)));
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
}

async fn write(store: Arc<SqliteStore>, name: &'static str, seed: u64, left: Arc<AtomicU64>) {
    let log = Author::new(name).log().clone();
    let source = store.read(&log);
    let heads = store.logs().await.unwrap();
    let size = heads.iter().find(|head| head.log == log).map_or(0, |head| head.size);
    let frontier = Frontier::read(&*source, size).await.unwrap();
    let mut author = Author::with_frontier(name, frontier);
    let mut random = writing::Random::new(seed);
    loop {
        let batch = writing::batch(&mut author, &mut random);
        store.commit(batch).await.unwrap();
        // One call of write, so that no half line is ever read.
        let line = format!("ack {name} {}\n", author.size());
        std::io::stdout().write_all(line.as_bytes()).unwrap();
        if left.fetch_sub(1, Ordering::Relaxed) == 1 {
            std::process::abort();
        }
        if random.below(4) == 0 {
            let item = SeenItem { item: name.to_owned(), seen_ms: 1, signals: vec![7; 500] };
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.seen_add(vec![item]).await });
        }
    }
}
