//! Measures files of signals: `bench_flat --dir DIR [--hashes N] [--searches N]`, one JSON object.
//!
//! Every answer is checked against a comparison with every hash. The directory is made, and is gone afterwards.
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

use std::{io, path::PathBuf, time::Instant};

use watchfire_index::flat::{ABOUT_BYTES, Flat, FlatSignals, Section, ask_all};
use watchfire_signal::pdq::{AnyWay, MAX_DISTANCE, Pdq, Sorted};

#[path = "../tests/it/data.rs"]
#[allow(dead_code)]
mod data;
use data::Random;

/// Hashes in one file, as a node with its standard configuration makes them.
const A_FILE: u64 = 100_000;

fn option(name: &str, default: &str) -> String {
    let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
    arguments.next().unwrap_or_else(|| default.to_owned())
}

fn hash(number: u64) -> Pdq {
    Random(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).hash()
}

fn main() -> io::Result<()> {
    let count: u64 = option("--hashes", "10000000").parse().map_err(io::Error::other)?;
    let searches: u64 = option("--searches", "40").parse().map_err(io::Error::other)?;
    let directory = PathBuf::from(option("--dir", "target/bench-flat"));
    std::fs::create_dir_all(&directory)?;
    let mut flats = Vec::new();
    for first in (0..count).step_by(A_FILE as usize) {
        let numbers = first..count.min(first + A_FILE);
        let pictures = numbers.map(|number| (hash(number), (number - first) as u32)).collect();
        let signals = FlatSignals { pictures, ..FlatSignals::default() };
        flats.push(Flat::write(&directory.join(first.to_string()), [0; ABOUT_BYTES], signals)?);
    }
    let mut random = Random(5);
    let queries: Vec<Pdq> = (0..searches)
        .map(|_| {
            let of = hash(random.below(count));
            let bits = random.below(u64::from(MAX_DISTANCE) + 1) as u32;
            random.near(&of, bits)
        })
        .collect();
    let ways: Vec<AnyWay> = queries.iter().map(AnyWay::of).collect();
    let mut expected = vec![Vec::new(); queries.len()];
    for number in 0..count {
        let stored = Sorted::of(&hash(number));
        for (query, found) in ways.iter().zip(&mut expected) {
            if query.within(&stored, MAX_DISTANCE).is_some() {
                found.push(number);
            }
        }
    }
    let (mut times, mut right) = (Vec::new(), 0);
    for (query, expected) in queries.iter().zip(&expected) {
        let begun = Instant::now();
        let ask = |flat: &Flat| flat.near(Section::Pictures, &[*query], MAX_DISTANCE);
        let answers = ask_all(&flats, ask)?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        let found = answers.iter().zip(0u64..).flat_map(|(hits, file)| {
            hits.iter().map(move |hit| file * A_FILE + u64::from(hit.owner))
        });
        right += usize::from(found.collect::<Vec<_>>() == *expected);
    }
    times.sort_by(f64::total_cmp);
    let begun = Instant::now();
    let hits = ask_all(&flats, |flat| flat.near(Section::Pictures, &queries, MAX_DISTANCE))?;
    let together = begun.elapsed().as_secs_f64() * 1e3;
    println!(
        "{{\"hashes\": {count}, \"files\": {}, \"file_bytes\": {}, \"search_ms_best\": {:.1}, \"search_ms_p50\": {:.1}, \
         \"search_ms_max\": {:.1}, \"searches\": {searches}, \"searches_right\": {right}, \"all_in_one_pass_ms\": {together:.1}, \
         \"hits\": {}}}",
        flats.len(),
        flats.iter().map(Flat::bytes).sum::<u64>(),
        times[0],
        times[times.len() / 2],
        times[times.len() - 1],
        hits.iter().map(Vec::len).sum::<usize>()
    );
    std::fs::remove_dir_all(&directory)
}
