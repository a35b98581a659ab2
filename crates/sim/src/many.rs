//! Many seeds, on all cores.

use std::{
    collections::BTreeMap,
    fmt,
    num::NonZero,
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use crate::{Broken, Options, Outcome, fault::Counts, fault::Fault, run};

/// What many runs came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many there were.
    pub seeds: u64,
    /// Which faults happened how often.
    pub faults: Counts,
    /// Statements that were acknowledged.
    pub acknowledged: usize,
    /// Decisions to take down or to refuse that the oracle judged.
    pub judged: u64,
    /// Simulated time, in milliseconds.
    pub lasted_ms: u64,
}

impl Sum {
    /// Faults that never happened.
    #[must_use]
    pub fn never(&self) -> Vec<Fault> {
        Fault::all().into_iter().filter(|fault| !self.faults.contains_key(fault)).collect()
    }

    fn add(&mut self, outcome: &Outcome) {
        for (fault, count) in &outcome.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
        self.acknowledged += outcome.acknowledged;
        self.judged += outcome.judged;
        self.lasted_ms += outcome.lasted_ms;
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts: BTreeMap<Fault, u64> = Fault::all()
            .into_iter()
            .map(|fault| (fault, self.faults.get(&fault).copied().unwrap_or(0)))
            .collect();
        for (fault, count) in counts {
            writeln!(f, "{count:>9}  {fault}")?;
        }
        writeln!(f, "{:>9}  statements acknowledged", self.acknowledged)?;
        writeln!(f, "{:>9}  take-downs and refusals judged", self.judged)?;
        writeln!(f, "{:>9}  hours simulated", self.lasted_ms / 3_600_000)
    }
}

/// Runs seeds on all cores while it should go on, and tells what came of each.
pub fn run_many(
    seeds: Range<u64>,
    options: impl Fn(u64) -> Options + Sync,
    goes_on: impl Fn() -> bool + Sync,
    tell: impl Fn(u64, &Result<Outcome, Broken>) + Sync,
) -> Sum {
    let next = AtomicU64::new(seeds.start);
    let sum = Mutex::new(Sum::default());
    let work = || {
        while goes_on() {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let outcome = run(&options(seed));
            tell(seed, &outcome);
            let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
            sum.seeds += 1;
            outcome.iter().for_each(|outcome| sum.add(outcome));
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(work);
        }
    });
    sum.into_inner().unwrap_or_else(PoisonError::into_inner)
}
