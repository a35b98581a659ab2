//! Many seeds, every fault, and no objection.

use std::{process::Command, sync::Mutex};

use watchfire_sim::{
    Options, Outcome, STEPS,
    oracle::{Finding, Rule},
    run, run_many,
};

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

#[test]
fn the_command_that_is_printed_repeats_the_run() {
    let (seed, steps) = (3, 20);
    let outcome = run(&Options { steps, ..Options::of(seed) }).unwrap();
    let finding =
        Finding { rule: Rule::Unwell, member: "ant".to_owned(), what: "a test".to_owned() };
    let trace: String = outcome.trace.iter().map(|byte| format!("{byte:02x}")).collect();
    let told = Outcome { findings: vec![finding], ..outcome }.told(steps);
    let words = told.rsplit_once("cargo xtask sim ").unwrap().1.split_whitespace();
    let again = Command::new(env!("CARGO_BIN_EXE_watchfire-sim")).args(words).output().unwrap();
    let printed = String::from_utf8(again.stdout).unwrap();
    assert!(printed.contains(&format!("seed {seed} trace {trace}")), "{told}{printed}");
}
