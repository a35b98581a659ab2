//! Runs the project's own chores: `cargo xtask tidy`, `cargo xtask deny`, `cargo xtask sim`.

use std::{
    path::Path,
    process::{Command, ExitCode},
};

const USAGE: &str = "\
usage: cargo xtask CHORE

  tidy    check the rules of the house (ARCHITECTURE.md; the rules stand in xtask/src/tidy.rs)
  deny    check licences, sources and bans of all dependencies against deny.toml
  sim     run many nodes in one process under seeds: --seeds N --minutes M, --seed S (docs/sim.md)
";

fn main() -> ExitCode {
    let chore = std::env::args().nth(1);
    // `xtask/` stands in the root of the repository.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    match chore.as_deref() {
        Some("tidy") => report(xtask::tidy::check(root).map_err(|error| error.to_string())),
        Some("deny") => match xtask::deny::check(root) {
            Ok(report) => {
                for note in &report.notes {
                    println!("note: {note}");
                }
                self::report(Ok(report.findings))
            }
            Err(error) => self::report::<String>(Err(error.to_string())),
        },
        Some("sim") => sim(root),
        _ => {
            eprint!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// Builds as the tests do, so that a seed does here what it does there, and runs.
fn sim(root: &Path) -> ExitCode {
    let cargo = option_env!("CARGO").unwrap_or("cargo");
    let run = Command::new(cargo)
        .current_dir(root)
        .args(["run", "--quiet", "--locked", "--bin", "watchfire-sim", "--"])
        .args(std::env::args().skip(2))
        .status();
    match run {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {cargo}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn report<F: std::fmt::Display>(findings: Result<Vec<F>, String>) -> ExitCode {
    match findings {
        Ok(findings) if findings.is_empty() => ExitCode::SUCCESS,
        Ok(findings) => {
            for finding in &findings {
                eprintln!("{finding}");
            }
            eprintln!("{} findings", findings.len());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
