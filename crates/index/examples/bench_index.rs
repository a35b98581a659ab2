//! Measures the index: `bench_index --size N [--data uniform|clustered|skewed] [--searches N]`, one JSON object.
//!
//! `skewed` is what screenshots and pages of text look like: 60 of the 256 bits ever differ in half of the
//! hashes. Recall is checked against a comparison with every hash, on a sample.
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use watchfire_index::HashIndex;
use watchfire_signal::pdq::Pdq;

#[path = "../tests/it/data.rs"]
#[allow(dead_code)]
mod data;
use data::Random;

/// Searches compared with every hash.
const SAMPLE: usize = 50;

fn option(name: &str, default: &str) -> String {
    let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
    arguments.next().unwrap_or_else(|| default.to_owned())
}

/// Hash number `number` of the data, without keeping the others in memory.
fn hash(kind: &str, number: u64) -> Pdq {
    let mut random = Random(number.wrapping_mul(0x9e37_79b9) + 1);
    match kind {
        "clustered" => {
            let centre = Random(number / 50 * 7_777_777).hash();
            let bits = random.below(61) as u32;
            random.near(&centre, bits)
        }
        "skewed" if number.is_multiple_of(2) => {
            let mut page = Random(number / 100_000).hash();
            for _ in 0..20 + random.below(40) {
                let bit = random.below(128) as usize * 2;
                page.0[bit / 8] ^= 1 << (bit % 8);
            }
            page
        }
        _ => random.hash(),
    }
}

/// Microseconds of each search and the number of hits in all.
fn measure(index: &HashIndex, queries: &[Pdq]) -> (Vec<f64>, usize) {
    let mut hits = 0;
    let times = queries.iter().map(|query| {
        let start = Instant::now();
        hits += index.search(query, 31, 100).hits.len();
        start.elapsed().as_secs_f64() * 1e6
    });
    let times: Vec<f64> = times.collect();
    (times, hits)
}

/// Time this thread ran on a core: what else the machine does then costs caches, not the count. Where
/// the system does not say, the time that went by.
fn core_time(since: Instant) -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ran = text.split(' ').next().and_then(|ran| ran.parse().ok());
    ran.map_or_else(|| since.elapsed(), Duration::from_nanos)
}

/// Searches a second of core time.
fn per_second(index: &HashIndex, queries: &[Pdq]) -> f64 {
    let since = Instant::now();
    let start = core_time(since);
    for query in queries {
        std::hint::black_box(index.search(query, 31, 100));
    }
    queries.len() as f64 / (core_time(since) - start).as_secs_f64()
}

fn main() {
    let size: u64 = option("--size", "1000000").parse().unwrap_or(1_000_000);
    let kind = option("--data", "uniform");
    let searches: usize = option("--searches", "20000").parse().unwrap_or(20_000);
    let index = HashIndex::new([42; 32]);
    let mut insert = Duration::ZERO;
    for first in (0..size).step_by(10_000) {
        let block: Vec<Pdq> = (first..size.min(first + 10_000)).map(|at| hash(&kind, at)).collect();
        let since = Instant::now();
        let start = core_time(since);
        block.iter().zip(first..).for_each(|(hash, id)| index.insert(id, hash));
        insert += core_time(since) - start;
    }
    let insert_us = insert.as_secs_f64() * 1e6 / size as f64;
    let mut random = Random(99);
    let misses: Vec<Pdq> = (0..searches).map(|_| random.hash()).collect();
    let hits: Vec<Pdq> = (0..searches)
        .map(|_| {
            let (number, bits) = (random.below(size), random.below(32) as u32);
            random.near(&hash(&kind, number), bits)
        })
        .collect();
    measure(&index, &misses[..2_000]);
    let (miss_us, _) = measure(&index, &misses);
    let (hit_us, found) = measure(&index, &hits);
    let mut all = [miss_us.as_slice(), &hit_us].concat();
    all.sort_by(f64::total_cmp);
    let at = |share: f64| all[((all.len() - 1) as f64 * share) as usize];
    let (scan_per_second, recall) = compare(&index, &hits, &misses);
    println!("{{");
    println!("  \"size\": {size}, \"data\": \"{kind}\", \"recall\": {recall},");
    let (hit, miss) = (per_second(&index, &hits), per_second(&index, &misses));
    println!("  \"searches_per_second_hit\": {hit:.0},");
    println!("  \"searches_per_second_miss\": {miss:.0},");
    println!(
        "  \"p50_us\": {:.1}, \"p99_us\": {:.1}, \"max_us\": {:.1},",
        at(0.5),
        at(0.99),
        at(1.0)
    );
    println!("  \"insert_us\": {insert_us:.2}, \"hits\": {found},");
    println!("  \"bytes_per_hash\": {:.1},", index.memory_bytes() as f64 / size as f64);
    println!("  \"scan_searches_per_second\": {scan_per_second:.1},");
    println!("  \"times_over_scan\": {:.0},", miss / scan_per_second);
    println!("  \"share_lost_under_writer\": {:.2}", share_lost(&index, &kind, &misses));
    println!("}}");
}

/// The speed of comparing with every hash (POPCNT, one thread), and the share of its answers that the
/// index gives too.
fn compare(index: &HashIndex, hits: &[Pdq], misses: &[Pdq]) -> (f64, f64) {
    let (mut expected, mut given) = (0, 0);
    let since = Instant::now();
    let start = core_time(since);
    let sample: Vec<&Pdq> = hits[..SAMPLE - 10].iter().chain(&misses[..10]).collect();
    // One bit more than the buckets answer is answered by comparing with every hash.
    let all: Vec<_> = sample.iter().map(|query| index.search(query, 32, usize::MAX).hits).collect();
    let time = core_time(since) - start;
    for (query, mut all) in sample.into_iter().zip(all) {
        all.retain(|hit| hit.1 <= 31);
        let found = index.search(query, 31, usize::MAX).hits;
        expected += all.len();
        given += all.iter().filter(|hit| found.contains(hit)).count();
        given -= found.len().abs_diff(all.len());
    }
    (SAMPLE as f64 / time.as_secs_f64(), given as f64 / expected.max(1) as f64)
}

/// How much slower searches are while another thread inserts 10,000 hashes a second.
fn share_lost(index: &HashIndex, kind: &str, queries: &[Pdq]) -> f64 {
    let alone = per_second(index, queries);
    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let beside = thread::scope(|scope| {
        scope.spawn(|| {
            let start = Instant::now();
            while !stop.load(Ordering::Relaxed) {
                let due = (start.elapsed().as_secs_f64() * 10_000.0) as u64;
                for number in written.load(Ordering::Relaxed)..due {
                    index.insert(number | 1 << 50, &hash(kind, number | 1 << 50));
                    written.store(number + 1, Ordering::Relaxed);
                }
                thread::sleep(Duration::from_millis(1));
            }
        });
        let mut rates = Vec::new();
        while written.load(Ordering::Relaxed) < 5_000 {
            rates.push(per_second(index, queries));
        }
        stop.store(true, Ordering::Relaxed);
        rates.iter().sum::<f64>() / rates.len() as f64
    });
    1.0 - beside / alone
}
