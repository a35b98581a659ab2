//! Runs the project's own chores: `cargo xtask tidy`, `cargo xtask deny`.

use std::{path::Path, process::ExitCode};

const USAGE: &str = "\
usage: cargo xtask CHORE

  tidy    check the rules of the house (ARCHITECTURE.md; the rules stand in xtask/src/tidy.rs)
  deny    check licences, sources and bans of all dependencies against deny.toml
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
        _ => {
            eprint!("{USAGE}");
            ExitCode::from(2)
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
