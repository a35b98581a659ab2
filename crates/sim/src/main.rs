//! Runs seeds: `cargo xtask sim` starts it.
//!
//! **Invariant:** only this file of the crate asks the machine for the time, to know when to stop.

use std::{
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use watchfire_sim::{Broken, Options, Outcome, STEPS, run, run_many};

const USAGE: &str = "\
usage: cargo xtask sim [--seeds N] [--minutes M] [--from S] [--steps K]
       cargo xtask sim --seed S [--steps K] [--aloud] [--log LEVEL]

  --seeds N     how many seeds to run, 500 if nothing else is said
  --minutes M   when to stop, whatever is left
  --from S      the first seed, 0 if nothing else is said
  --steps K     how many things happen in a run
  --seed S      one seed, again
  --aloud       print every line of its trace
  --log LEVEL   print what the nodes log, such as `debug`
";

struct Asked {
    seeds: u64,
    minutes: Option<u64>,
    from: u64,
    steps: u32,
    seed: Option<u64>,
    aloud: bool,
    log: Option<String>,
}

fn main() -> ExitCode {
    let asked = match asked(std::env::args().skip(1)) {
        Ok(asked) => asked,
        Err(why) => {
            eprint!("{why}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if let Some(level) = &asked.log {
        let filter = tracing_subscriber::EnvFilter::new(level);
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    }
    match asked.seed {
        Some(seed) => one(&Options { seed, steps: asked.steps, mutant: None, aloud: asked.aloud }),
        None => many(&asked),
    }
}

fn one(options: &Options) -> ExitCode {
    match run(options) {
        Ok(outcome) => {
            let hash: String = outcome.trace.iter().map(|byte| format!("{byte:02x}")).collect();
            println!("seed {} trace {hash}", outcome.seed);
            println!(
                "{} acknowledged, {} judged, {} s",
                outcome.acknowledged,
                outcome.judged,
                outcome.lasted_ms / 1_000
            );
            told(&outcome, options.steps)
        }
        Err(error) => {
            eprintln!("seed {}: {error}", options.seed);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a run of many seeds ends by the machine's time")]
fn now() -> Instant {
    Instant::now()
}

fn many(asked: &Asked) -> ExitCode {
    let begun = now();
    let ends = asked.minutes.map(|minutes| Duration::from_secs(minutes * 60));
    let goes_on = || ends.is_none_or(|ends| begun.elapsed() < ends);
    let seeds = asked.from..asked.from.saturating_add(asked.seeds);
    let options = |seed| Options { steps: asked.steps, ..Options::of(seed) };
    let failed = AtomicBool::new(false);
    let tell = |seed, outcome: &Result<Outcome, Broken>| {
        let bad = match outcome {
            Ok(outcome) => told(outcome, asked.steps) != ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("seed {seed}: {error}");
                true
            }
        };
        failed.fetch_or(bad, Ordering::Relaxed);
    };
    let sum = run_many(seeds, options, goes_on, tell);
    print!("{sum}");
    println!("{} seeds in {} s", sum.seeds, begun.elapsed().as_secs());
    if failed.load(Ordering::Relaxed) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Prints what the oracle objects to, with the command that repeats it.
fn told(outcome: &Outcome, steps: u32) -> ExitCode {
    if outcome.findings.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprint!("{}", outcome.told(steps));
    ExitCode::FAILURE
}

fn asked(mut words: impl Iterator<Item = String>) -> Result<Asked, String> {
    let mut asked = Asked {
        seeds: 500,
        minutes: None,
        from: 0,
        steps: STEPS,
        seed: None,
        aloud: false,
        log: None,
    };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} wants a value"));
        let number = |text: String| text.parse::<u64>().map_err(|_| format!("{text} is no number"));
        match word.as_str() {
            "--seeds" => asked.seeds = number(value()?)?,
            "--minutes" => asked.minutes = Some(number(value()?)?),
            "--from" => asked.from = number(value()?)?,
            "--steps" => asked.steps = u32::try_from(number(value()?)?).unwrap_or(u32::MAX),
            "--seed" => asked.seed = Some(number(value()?)?),
            "--aloud" => asked.aloud = true,
            "--log" => asked.log = Some(value()?),
            _ => return Err(format!("what is {word}?")),
        }
    }
    Ok(asked)
}
