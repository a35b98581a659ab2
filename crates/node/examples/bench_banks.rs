//! Measures banks: `bench_banks [--contents N] [--directory DIRECTORY]`, one JSON object.
//!
//! Adds PDQ hashes with their lines in the desk log to the embedded store, looks some up, and loads all of
//! it again as a start does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

use std::{path::PathBuf, sync::Arc, time::Instant};

use watchfire_node::{
    banks::{BankParts, Banks, NewContent, Settings},
    clock::{Clock, Random, SystemClock, SystemRandom},
    desk::{Actor, Desk, Stamp, desk_origin},
    looks::Enforcer,
    sequence::Sequencer,
};
use watchfire_signal::{
    name::LogName,
    pdq::Pdq,
    value::{Signal, Value},
};
use watchfire_store::{SqliteOptions, SqliteStore, Store};
use watchfire_tlog::{Frontier, OwnKey};

/// Contents handed over at once, as a list over HTTP has them.
const LIST: usize = 16_384;
/// Lookups that are measured.
const LOOKUPS: usize = 20_000;

fn option(name: &str, default: &str) -> String {
    let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
    arguments.next().unwrap_or_else(|| default.to_owned())
}

/// Memory of this process in MiB.
fn memory_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

fn picture() -> Pdq {
    let mut bytes = [0; 32];
    SystemRandom.fill(&mut bytes);
    Pdq(bytes)
}

/// Microseconds of lookups, sorted.
fn lookups_us(banks: &Banks, pictures: &[Pdq]) -> Vec<f64> {
    let mut lookups_us = Vec::with_capacity(LOOKUPS);
    for place in 0..LOOKUPS {
        // Every other one is there, with 20 of its bits turned.
        let mut pdq = if place % 2 == 0 { picture() } else { pictures[place * 7 % pictures.len()] };
        (0..20).for_each(|bit| pdq.0[bit] ^= 4);
        let begun = Instant::now();
        let found = banks.lookup(&[Signal::new(Value::Pdq(pdq))], &[]);
        lookups_us.push(begun.elapsed().as_secs_f64() * 1e6);
        assert_eq!(found.len(), place % 2);
    }
    lookups_us.sort_by(f64::total_cmp);
    lookups_us
}

#[tokio::main]
async fn main() {
    let contents: usize = option("--contents", "1000000").parse().unwrap();
    let directory = PathBuf::from(option("--directory", "/tmp"));
    let directory = tempfile::tempdir_in(directory).unwrap();
    let store: Arc<dyn Store> =
        Arc::new(SqliteStore::open(directory.path(), SqliteOptions::default()).unwrap());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let key = Arc::new(OwnKey::from_seed(&[7; 32]));
    let log: LogName = "watchfire/bench/ant/1".parse().unwrap();
    let origin = desk_origin(&log).unwrap();
    let (desk, lines) = Desk::new(origin.clone(), key.public(), store.clone());
    let sequencer = Sequencer {
        origin,
        key,
        sealer: Stamp { clock: clock.clone(), random: Arc::new(SystemRandom) },
        frontier: Frontier::new(),
        store: store.clone(),
        clock: clock.clone(),
    };
    tokio::spawn(sequencer.run(lines));

    let load = async || {
        let (store, desk, clock) = (store.clone(), desk.clone(), clock.clone());
        let (enforcer, seed, least_matched_ms) = (Enforcer::default(), [3; 32], 1_000);
        let parts = BankParts { store, desk, enforcer, clock, seed, least_matched_ms };
        Arc::new(Banks::load(parts).await.unwrap())
    };
    let banks = load().await;
    let name = "BENCH".parse().unwrap();
    banks.create(&Actor::Node, "BENCH".parse().unwrap(), Settings::default()).await.unwrap();
    let pictures: Vec<_> = (0..contents).map(|_| picture()).collect();
    let empty_mib = memory_mib();

    let begun = Instant::now();
    for list in pictures.chunks(LIST) {
        let list = list.iter().map(|pdq| NewContent::of(vec![Signal::new(Value::Pdq(*pdq))]));
        let added = banks.add(&Actor::Node, &name, list.collect()).await.unwrap();
        assert!(added.iter().all(|added| added.new));
    }
    let add_s = begun.elapsed().as_secs_f64();
    let full_mib = memory_mib();

    let lookups_us = lookups_us(&banks, &pictures);

    drop(banks);
    let begun = Instant::now();
    let again = load().await;
    let load_s = begun.elapsed().as_secs_f64();
    let bank = again.bank(&name).unwrap();
    assert_eq!(again.counts(bank.number).contents, contents as u64);
    let begun = Instant::now();
    again.delete(&Actor::Node, name).await.unwrap();
    let delete_s = begun.elapsed().as_secs_f64();
    println!(
        "{{\"contents\":{contents},\"add_s\":{add_s:.1},\"added_a_second\":{:.0},\"memory_mib\":{},\
         \"lookup_p50_us\":{:.0},\"lookup_p99_us\":{:.0},\"load_s\":{load_s:.1},\"delete_s\":{delete_s:.1}}}",
        contents as f64 / add_s,
        full_mib - empty_mib,
        lookups_us[LOOKUPS / 2],
        lookups_us[LOOKUPS * 99 / 100],
    );
}
