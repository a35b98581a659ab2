//! Measures the seen table: `bench_seen --dir DIR [--items N] [--recent N] [--seconds N]`, one JSON object.
//!
//! Fills a real store with pictures, looks for alerts in it, checks every answer against a comparison
//! with every hash, and then scans as fast as it can. The directory is made, and is gone afterwards.
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

use std::{
    error::Error,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use watchfire_node::{
    clock::{Clock, SystemClock},
    desk::Desk,
    events::Events,
    facts::KeptFacts,
    holds::Holds,
    judge::Judge,
    known::Known,
    policy::Policy,
    reasons::Reasons,
    scan::Scanner,
    seen::{Item, Seen, SeenLimits, SeenParts, SeenSetup},
};
use watchfire_signal::{
    charter::Role,
    pdq::{MAX_DISTANCE, Pdq},
    value::Signal,
};
use watchfire_store::{MemoryStore, SqliteOptions, SqliteStore, Store};
use watchfire_tlog::{Origin, OwnKey};

/// Items brought at once.
const BATCH: u64 = 10_000;
/// Every so many-th item is a copy of item 0 with some bits changed.
const COPY_EVERY: u64 = 100_000;
/// Searches measured.
const SEARCHES: u64 = 20;

fn option(name: &str, default: &str) -> String {
    let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
    arguments.next().unwrap_or_else(|| default.to_owned())
}

/// The generator splitmix64.
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The picture of an item, without keeping the others in memory.
fn picture(number: u64) -> Pdq {
    let of = if number.is_multiple_of(COPY_EVERY) { 0 } else { number };
    let words: [u64; 4] = std::array::from_fn(|word| mix(of * 4 + word as u64 + 1));
    let mut hash = Pdq(std::array::from_fn(|byte| words[byte / 8].to_le_bytes()[byte % 8]));
    if of != number {
        for change in 0..mix(number) % 40 {
            let bit = mix(number + change) % 256;
            hash.0[(bit / 8) as usize] ^= 1 << (bit % 8);
        }
    }
    hash
}

fn item(number: u64, seen_ms: u64) -> Result<Item, Box<dyn Error + Send + Sync>> {
    let signal = Signal { quality: Some(100), ..Signal::new(picture(number)) };
    Ok(Item {
        id: format!("item:{number}").parse()?,
        seen_ms,
        signals: vec![signal],
        parts: Vec::new(),
        facts: Default::default(),
    })
}

/// Memory of this process, in bytes.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1_024
}

fn bytes_of(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|data| data.len()).sum()
}

/// Milliseconds of a search with all its pages, and the ids found.
async fn search(seen: &Seen, pdq: Pdq) -> Result<(f64, Vec<String>), Box<dyn Error + Send + Sync>> {
    let signal = Signal { quality: Some(100), ..Signal::new(pdq) };
    let begun = Instant::now();
    let mut copies = seen.search(&[signal]).await?;
    let mut ids = Vec::new();
    loop {
        let page = copies.next().await?;
        if page.is_empty() {
            break;
        }
        ids.extend(page.iter().map(|(item, _)| item.id.to_string()));
    }
    let ms = begun.elapsed().as_secs_f64() * 1e3;
    ids.sort();
    Ok((ms, ids))
}

/// Scans as fast as it can on two tasks, until all of it is durable; scans a second.
async fn scan(seen: &Arc<Seen>, clock: &Arc<dyn Clock>, from: u64, seconds: u64) -> f64 {
    // Nothing is known, so nothing is decided or held: these stay empty.
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let me = "bench".parse().unwrap_or_else(|_| unreachable!());
    let judge = Judge::new(me, Role::Platform, Policy::default());
    let (facts, _unwritten) = KeptFacts::new(store.clone());
    let origin = Origin::new("bench/desk").unwrap_or_else(|_| unreachable!());
    let (desk, _lines) = Desk::new(origin, OwnKey::from_seed(&[1; 32]).public(), store.clone());
    let holds = Holds::load(judge.clone(), store, desk, Events::new(clock.clone())).await;
    let reasons = Reasons {
        known: Arc::new(Known::new([1; 32], 1_000)),
        banks: None,
        judge,
        holds: holds.unwrap_or_else(|_| unreachable!()),
        clock: clock.clone(),
    };
    let sightings = watchfire_node::sightings::Sightings::default();
    let scanner = Scanner { reasons, seen: seen.clone(), review: None, facts, sightings };
    let begun = Instant::now();
    let tasks = (0..2u64).map(|task| {
        let scanner = scanner.clone();
        tokio::spawn(async move {
            let mut count = 0;
            while begun.elapsed() < Duration::from_secs(seconds) {
                let number = from + task + 2 * count;
                if let Ok(item) = item(number, 0) {
                    scanner.scan(item.id, item.signals, None, Default::default()).await;
                }
                count += 1;
                tokio::task::yield_now().await;
            }
            count
        })
    });
    let mut count = 0;
    for task in tasks.collect::<Vec<_>>() {
        count += task.await.unwrap_or(0);
    }
    seen.flush().await;
    count as f64 / begun.elapsed().as_secs_f64()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let items: u64 = option("--items", "1000000").parse()?;
    let seconds: u64 = option("--seconds", "20").parse()?;
    let directory = std::path::PathBuf::from(option("--dir", "target/bench-seen"));
    let limits = SeenLimits {
        max_items: items * 2,
        recent_items: option("--recent", "200000").parse()?,
        ..SeenLimits::default()
    };
    let files = directory.join("seen");
    let store = Arc::new(SqliteStore::open(&directory, SqliteOptions::default())?);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let setup = SeenSetup { directory: Some(files.clone()), limits };
    let (store_of, clock_of) = (store.clone() as Arc<dyn Store>, clock.clone());
    let parts = SeenParts {
        store: store_of,
        clock: clock_of,
        setup,
        seed: [9; 32],
        least_matched_ms: 1_000,
    };
    let (seen, unwritten) = Seen::load(parts).await?;
    let seen = Arc::new(seen);
    tokio::spawn(unwritten.run());

    let (begun, now) = (Instant::now(), clock.now_ms());
    for first in (0..items).step_by(BATCH as usize) {
        let batch = (first..items.min(first + BATCH)).map(|number| item(number, now));
        seen.import(batch.collect::<Result<_, _>>()?).await?;
    }
    let imported = items as f64 / begun.elapsed().as_secs_f64();
    let (rss, file_bytes, database) = (memory(), bytes_of(&files), bytes_of(&directory));

    let queries: Vec<Pdq> =
        (0..SEARCHES).map(|n| picture(if n % 2 == 0 { 0 } else { mix(n) % items })).collect();
    let mut expected = vec![Vec::new(); queries.len()];
    for number in 0..items {
        let hash = picture(number);
        for (query, found) in queries.iter().zip(&mut expected) {
            if hash.distance(query) <= MAX_DISTANCE {
                found.push(format!("item:{number}"));
            }
        }
    }
    let (mut times, mut right, mut hits) = (Vec::new(), 0, 0);
    for (query, mut expected) in queries.iter().zip(expected) {
        let (ms, found) = search(&seen, *query).await?;
        expected.sort();
        right += usize::from(found == expected);
        hits += found.len();
        times.push(ms);
    }
    times.sort_by(f64::total_cmp);
    let scans = scan(&seen, &clock, items, seconds).await;
    println!(
        "{{\"items\": {items}, \"older\": {}, \"imported_a_second\": {imported:.0}, \"search_ms_best\": {:.1}, \
         \"search_ms_p50\": {:.1}, \"search_ms_max\": {:.1}, \"searches\": {SEARCHES}, \"searches_right\": {right}, \
         \"hits\": {hits}, \"memory_bytes\": {rss}, \"file_bytes\": {file_bytes}, \"database_bytes\": {database}, \
         \"scans_a_second\": {scans:.0}}}",
        seen.older(),
        times[0],
        times[times.len() / 2],
        times[times.len() - 1]
    );
    drop((seen, store));
    std::fs::remove_dir_all(&directory)?;
    Ok(())
}
