//! Many seeds, every fault, and no objection.

use std::sync::Mutex;

use watchfire_sim::{Options, STEPS, run, run_many};

/// Seeds that `make test` runs.
const SEEDS: u64 = 500;

#[test]
fn a_seed_gives_the_same_trace_again() {
    for seed in 0..6 {
        let options = Options::of(seed);
        let (one, other) = (run(&options).unwrap(), run(&options).unwrap());
        assert!(one.acknowledged > 0, "seed {seed} does nothing");
        assert_eq!(one, other, "seed {seed}");
    }
    assert_ne!(run(&Options::of(1)).unwrap().trace, run(&Options::of(2)).unwrap().trace);
}

#[test]
fn every_promise_is_kept_in_every_seed_and_every_fault_happens() {
    let failed = Mutex::new(String::new());
    let sum = run_many(
        0..SEEDS,
        Options::of,
        || true,
        |seed, outcome| {
            let told = match outcome {
                Ok(outcome) => outcome.told(STEPS),
                Err(error) => format!("seed {seed}: {error}\n"),
            };
            failed.lock().unwrap().push_str(&told);
        },
    );
    println!("{sum}");
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{failed}");
    assert_eq!(sum.seeds, SEEDS);
    assert_eq!(sum.never(), [], "faults that never happened");
    assert!(sum.judged > SEEDS, "too little is taken down to mean anything: {sum}");
}
