//! Measures searches: each by the clock, many by the time that their thread had a core.
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

use std::{
    hint::black_box,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use watchfire_index::HashIndex;
use watchfire_signal::pdq::{MAX_DISTANCE, Pdq};

use super::{LIMIT, data::Data};

/// What a writer inserts beside the searches.
const INSERTS_A_SECOND: f64 = 10_000.0;

/// Inserts for which searches beside a writer are measured: half a second.
const INSERTS: u64 = 5_000;

/// The least time that a rate is measured for; the system counts core time in steps of milliseconds.
const LEAST: Duration = Duration::from_millis(250);

/// Time that this thread had a core: what else the machine does costs caches, but is not counted.
#[derive(Default)]
pub(super) struct CoreTime(Duration);

impl CoreTime {
    /// Runs something and counts its time.
    pub(super) fn add<T>(&mut self, run: impl FnOnce() -> T) -> T {
        let since = Instant::now();
        let start = ran();
        let result = run();
        self.0 += match (start, ran()) {
            (Some(start), Some(end)) => end - start,
            // Where the system does not say, the time that went by.
            _ => since.elapsed(),
        };
        result
    }

    pub(super) fn seconds(&self) -> f64 {
        self.0.as_secs_f64()
    }
}

fn ran() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// The times of single searches in microseconds, in order, without those that were truncated.
#[derive(Default)]
pub(super) struct Each {
    us: Vec<f64>,
    pub(super) truncated: u64,
}

impl Each {
    pub(super) fn add(&mut self, other: Self) {
        self.us.extend(other.us);
        self.us.sort_by(f64::total_cmp);
        self.truncated += other.truncated;
    }

    pub(super) fn quantile(&self, share: f64) -> f64 {
        let at = self.us.len().saturating_sub(1) as f64 * share;
        self.us.get(at as usize).copied().unwrap_or_default()
    }
}

/// Measures every search by itself.
pub(super) fn each(index: &HashIndex, queries: &[Pdq]) -> Each {
    let mut each = Each::default();
    for query in queries {
        let since = Instant::now();
        let found = index.search(query, MAX_DISTANCE, LIMIT);
        let us = since.elapsed().as_secs_f64() * 1e6;
        if found.truncated {
            each.truncated += 1;
        } else {
            each.us.push(us);
        }
    }
    each
}

/// Searches a second of core time, for as many rounds as the system's coarse account of it needs.
pub(super) fn per_second(index: &HashIndex, queries: &[Pdq], max_distance: u32) -> f64 {
    let mut clock = CoreTime::default();
    let mut rounds = 0;
    clock.add(|| {
        let since = Instant::now();
        while rounds == 0 || since.elapsed() < LEAST {
            for query in queries {
                black_box(index.search(query, max_distance, LIMIT));
            }
            rounds += 1;
        }
    });
    (queries.len() * rounds) as f64 / clock.seconds()
}

/// How much slower searches are while another thread inserts.
pub(super) fn share_lost(index: &HashIndex, data: Data, queries: &[Pdq]) -> f64 {
    let alone = per_second(index, queries, MAX_DISTANCE);
    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let beside = thread::scope(|scope| {
        scope.spawn(|| {
            let start = Instant::now();
            while !stop.load(Ordering::Relaxed) {
                let due = (start.elapsed().as_secs_f64() * INSERTS_A_SECOND) as u64;
                for number in written.load(Ordering::Relaxed)..due {
                    index.insert(number | 1 << 50, &data.hash(number | 1 << 50));
                    written.store(number + 1, Ordering::Relaxed);
                }
                thread::sleep(Duration::from_millis(1));
            }
        });
        let mut rates = Vec::new();
        while written.load(Ordering::Relaxed) < INSERTS {
            rates.push(per_second(index, queries, MAX_DISTANCE));
        }
        stop.store(true, Ordering::Relaxed);
        rates.iter().sum::<f64>() / rates.len() as f64
    });
    1.0 - beside / alone
}
