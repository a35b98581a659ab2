//! Measures video search: `bench_videos --videos N`, each of 60 frames; one JSON object.
//!
//! Queries are 60 frames, once of a video nobody has and once with ten seconds of a stored one in them.
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

use std::time::Instant;

use watchfire_index::{FrameIndex, MatchRule};
use watchfire_signal::vpdq::Frame;

#[path = "../tests/it/data.rs"]
#[allow(dead_code)]
mod data;
use data::Random;

/// Searches measured for each figure.
const SEARCHES: u64 = 300;

fn video(number: u64) -> Vec<Frame> {
    let mut random = Random(number * 7_919 + 1);
    (0..60u32)
        .map(|number| Frame { number, quality: 100, pdq: random.hash(), at_ms: number * 500 })
        .collect()
}

/// The median time of a search in microseconds, and how many searches found something.
fn measure(index: &FrameIndex, queries: &[Vec<Frame>]) -> (f64, usize) {
    let mut found = 0;
    let mut times: Vec<f64> = queries
        .iter()
        .map(|query| {
            let start = Instant::now();
            found += usize::from(!index.search(query).videos.is_empty());
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], found)
}

fn main() {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--videos").skip(1);
    let videos: u64 = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(10_000);
    let index = FrameIndex::new([42; 32]);
    for number in 0..videos {
        index.insert(number, &video(number), MatchRule::default());
    }
    let mut random = Random(5);
    let misses: Vec<Vec<Frame>> = (0..SEARCHES).map(|query| video(1 << 40 | query)).collect();
    let mut hits = misses.clone();
    for query in &mut hits {
        let of = video(random.below(videos));
        let (from, to) = (random.below(40) as usize, random.below(40) as usize);
        for frame in 0..20 {
            let bits = random.below(21) as u32;
            query[to + frame].pdq = random.near(&of[from + frame].pdq, bits);
        }
    }
    let (miss_us, false_positives) = measure(&index, &misses);
    let (hit_us, found) = measure(&index, &hits);
    println!(
        "{{\"videos\": {videos}, \"miss_us\": {miss_us:.0}, \"hit_us\": {hit_us:.0}, \
         \"found\": {found}, \"of\": {SEARCHES}, \"false_positives\": {false_positives}, \
         \"bytes\": {}}}",
        index.memory_bytes()
    );
}
