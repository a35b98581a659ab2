//! `watchfire bench index`: fills an index of hashes and measures searches, inserts, memory and snapshots.
//!
//! **Invariant:** every figure is measured in the run that prints it; times are those of one thread.
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

mod data;
mod limits;
mod times;

use std::{num::NonZeroU32, path::PathBuf, time::Instant};

use clap::Args;
use serde::Serialize;
use watchfire_index::HashIndex;
use watchfire_signal::pdq::{MAX_DISTANCE, Pdq};

use self::{
    data::{Data, Random},
    times::CoreTime,
};
use crate::{
    exit::{Answer, Ended, OrEnvironment, failed},
    output::Output,
};

/// Hits that a search is asked for.
const LIMIT: usize = 100;

/// Searches compared with every hash.
const SAMPLE: usize = 50;

/// A distance that buckets do not answer, so that every hash is compared.
const COMPARED: u32 = MAX_DISTANCE + 1;

/// Hashes made at a time, so that making them is not measured and needs little memory.
const BLOCK: u64 = 10_000;

/// The seed of the measured index; a node's own is secret.
const SEED: [u8; 32] = [42; 32];

/// Measure the index of 256-bit hashes: searches, inserts, memory, snapshots.
///
/// Fills an index with made hashes and searches it within 31 bits, one thread, for hashes that are near
/// stored ones (hit) and for random ones (miss), at most 100 hits each. p50, p99 and max are of the searches
/// that found no more than that. bytes_per_hash is at rest, in a snapshot; bytes_per_hash_live is memory
/// with room for inserts. The snapshot is loaded right after it was saved, so the system still has it in
/// memory. recall is of the loaded index, against a comparison with every hash on a sample; exit code 1 if it
/// is not 1. Data: uniform; clustered (groups of 50 within 60 bits); skewed (half of it pages of 50,000 hashes
/// in which 128 bits ever differ, a sixteenth flat colours that repeat).
///
/// Example:
///   watchfire bench index --size 10000000
///   watchfire bench index --size 1000000 --data skewed --json
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Index {
    /// How many hashes; a hundred million need some 16 GB.
    #[arg(long, default_value = "1000000", value_parser = at_least_one)]
    size: NonZeroU32,
    /// What the hashes look like.
    #[arg(long, default_value = "uniform")]
    data: Data,
    /// How many searches for each figure.
    #[arg(long, default_value = "20000", value_parser = at_least_one)]
    searches: NonZeroU32,
    /// Where the snapshot is written for as long as the command runs: 132 bytes a hash.
    #[arg(long, default_value = ".")]
    directory: PathBuf,
}

fn at_least_one(text: &str) -> Result<NonZeroU32, String> {
    let number = text.parse::<u32>().map_err(|error| error.to_string())?;
    NonZeroU32::new(number).ok_or_else(|| "at least 1".to_owned())
}

/// What was measured.
#[derive(Debug, Default, Serialize)]
struct Measured {
    size: u64,
    data: Data,
    searches_per_second_hit: f64,
    searches_per_second_miss: f64,
    p50_us: f64,
    p99_us: f64,
    max_us: f64,
    insert_us: f64,
    bytes_per_hash: f64,
    recall: f64,
    load_s: f64,
    bytes_per_hash_live: f64,
    save_s: f64,
    /// The share of searches that compared the query with every hash.
    fallback_share: f64,
    /// The share of searches that had more than 100 hits.
    truncated: f64,
    /// How much slower searches were while another thread inserted 10,000 hashes a second.
    share_lost_under_writer: f64,
    /// Comparisons with every hash, a second.
    scans_per_second: f64,
    /// What one thread reads in order, and one line of 64 bytes anywhere.
    memory_gb_per_second: f64,
    random_line_ns: f64,
    /// Hashes that one thread compares in a second when they are in its cache.
    compared_per_second_in_cache: f64,
}

/// Runs the command.
pub(crate) fn run(args: &Index, output: &Output) -> Ended {
    let folder = tempfile::tempdir_in(&args.directory).or_environment(args.directory.display())?;
    let (index, insert_us) = filled(args, output);
    let mut measured = Measured { insert_us, ..measured(args, &index) };
    let path = folder.path().join("index");
    let since = Instant::now();
    let bytes = index.save(&path, 0).or_environment(path.display())?;
    measured.save_s = since.elapsed().as_secs_f64();
    // The writer beside the searches inserted some more.
    let len = index.len();
    measured.bytes_per_hash = bytes as f64 / len as f64;
    // Two indexes of a hundred million do not fit.
    drop(index);
    let since = Instant::now();
    let (index, _) = HashIndex::load(SEED, &path)?;
    measured.load_s = since.elapsed().as_secs_f64();
    if index.len() != len {
        return Err(failed("the loaded index has another number of hashes"));
    }
    let sample = sample(queries(args));
    measured.recall = recall(&index, &sample);
    measured.scans_per_second = times::per_second(&index, &sample, COMPARED);
    output.answer(&measured, || text(&measured))?;
    Ok(Answer::of(measured.recall == 1.0))
}

/// The index, and the microseconds of core time that each insert took.
fn filled(args: &Index, output: &Output) -> (HashIndex, f64) {
    let index = HashIndex::new(SEED);
    let size = u64::from(args.size.get());
    let bar = output.progress(size, "inserting");
    let mut clock = CoreTime::default();
    for first in (0..size).step_by(BLOCK as usize) {
        let end = size.min(first + BLOCK);
        let block: Vec<Pdq> = (first..end).map(|number| args.data.hash(number)).collect();
        clock.add(|| block.iter().zip(first..).for_each(|(hash, id)| index.insert(id, hash)));
        bar.set_position(end);
    }
    bar.finish_and_clear();
    (index, clock.seconds() * 1e6 / size as f64)
}

/// Queries near stored hashes, and random ones.
struct Queries {
    hits: Vec<Pdq>,
    misses: Vec<Pdq>,
}

fn queries(args: &Index) -> Queries {
    let mut random = Random(99);
    let hits = (0..args.searches.get()).map(|_| {
        let number = random.below(u64::from(args.size.get()));
        let bits = random.below(u64::from(MAX_DISTANCE) + 1) as u32;
        random.near(&args.data.hash(number), bits)
    });
    let hits = hits.collect();
    Queries { hits, misses: (0..args.searches.get()).map(|_| random.hash()).collect() }
}

/// What can be measured before the index is saved.
fn measured(args: &Index, index: &HashIndex) -> Measured {
    let queries = queries(args);
    // The first searches find cold caches and are not counted.
    times::per_second(index, &queries.misses, MAX_DISTANCE);
    let before = index.scans();
    let mut each = times::each(index, &queries.misses);
    each.add(times::each(index, &queries.hits));
    let searches = 2.0 * f64::from(args.searches.get());
    let limits = limits::measured();
    Measured {
        size: u64::from(args.size.get()),
        data: args.data,
        fallback_share: (index.scans() - before) as f64 / searches,
        truncated: each.truncated as f64 / searches,
        p50_us: each.quantile(0.5),
        p99_us: each.quantile(0.99),
        max_us: each.quantile(1.0),
        searches_per_second_hit: times::per_second(index, &queries.hits, MAX_DISTANCE),
        searches_per_second_miss: times::per_second(index, &queries.misses, MAX_DISTANCE),
        bytes_per_hash_live: index.memory_bytes() as f64 / index.len() as f64,
        share_lost_under_writer: times::share_lost(index, args.data, &queries.misses),
        memory_gb_per_second: limits.memory_gb_per_second,
        random_line_ns: limits.random_line_ns,
        compared_per_second_in_cache: limits.compared_per_second_in_cache,
        ..Measured::default()
    }
}

/// The queries that are compared with every hash: mostly such as have hits.
fn sample(queries: Queries) -> Vec<Pdq> {
    queries.hits.into_iter().take(SAMPLE - 10).chain(queries.misses.into_iter().take(10)).collect()
}

/// The share of the answers of comparing with every hash that the index gives too, 0 if it gives others.
fn recall(index: &HashIndex, sample: &[Pdq]) -> f64 {
    let (mut expected, mut given) = (0, 0);
    for query in sample {
        let mut all = index.search(query, COMPARED, usize::MAX).hits;
        all.retain(|hit| hit.1 <= MAX_DISTANCE);
        let mut found = index.search(query, MAX_DISTANCE, usize::MAX).hits;
        all.sort_unstable();
        found.sort_unstable();
        if found.iter().any(|hit| all.binary_search(hit).is_err()) || found.len() > all.len() {
            return 0.0;
        }
        expected += all.len();
        given += found.len();
    }
    if expected == 0 { 1.0 } else { given as f64 / expected as f64 }
}

/// The measurements for people.
fn text(measured: &Measured) -> String {
    let fields = serde_json::to_value(measured).unwrap_or_default();
    let fields = fields.as_object().into_iter().flatten();
    // What is measured differs from run to run in the third digit.
    let rounded = |value: &serde_json::Value| match value.as_f64().filter(|_| value.is_f64()) {
        Some(number) if number.abs() >= 100.0 => format!("{number:.0}"),
        Some(number) => format!("{number:.3}"),
        None => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
    };
    fields
        .map(|(name, value)| format!("{name:30} {}", rounded(value)))
        .collect::<Vec<_>>()
        .join("\n")
}
