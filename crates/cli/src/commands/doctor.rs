//! `watchfire doctor`: says what on this machine would keep a node from working.

mod machine;
mod member;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::{
    directory::Directory,
    exit::{Answer, Ended},
    output::Output,
    runtime,
};

/// Check what a node needs of this machine and of the other members.
///
/// Looks at ffmpeg, the sandbox and the disk; with --dir also at the data directory, the charter, the
/// clock, the port and the other members. Prints one line a check: ok, warn or FAIL, and what to do. Exit code 1 when something fails.
///
/// Example:
///   watchfire doctor
///   watchfire doctor --dir ./tiktok --json
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Doctor {
    /// The data directory of a member.
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Health {
    /// As it must be.
    Ok,
    /// It works, and could be better.
    Warn,
    /// It does not work.
    Fail,
}

/// One check.
#[derive(Debug, Serialize)]
struct Check {
    check: String,
    health: Health,
    detail: String,
}

impl Check {
    fn new(check: impl Into<String>, health: Health, detail: impl Into<String>) -> Self {
        Self { check: check.into(), health, detail: detail.into() }
    }

    /// Fine, or what is wrong.
    fn of<T, E: std::fmt::Display>(
        check: impl Into<String>,
        found: Result<T, E>,
        fine: impl FnOnce(T) -> String,
    ) -> Self {
        match found {
            Ok(found) => Self::new(check, Health::Ok, fine(found)),
            Err(error) => Self::new(check, Health::Fail, error.to_string()),
        }
    }
}

#[derive(Debug, Serialize)]
struct Found {
    healthy: bool,
    checks: Vec<Check>,
}

/// Runs the command.
pub(crate) fn run(doctor: &Doctor, output: &Output) -> Ended {
    let place = doctor.dir.clone().unwrap_or_else(std::env::temp_dir);
    let mut checks = machine::checks(&place);
    if let Some(dir) = &doctor.dir {
        checks.extend(runtime::block_on(member::checks(&Directory::new(dir)))?);
    }
    let healthy = checks.iter().all(|check| check.health != Health::Fail);
    let found = Found { healthy, checks };
    output.answer(&found, || text(&found))?;
    Ok(Answer::of(healthy))
}

fn text(found: &Found) -> String {
    let width = found.checks.iter().map(|check| check.check.len()).max().unwrap_or(0);
    let line = |check: &Check| {
        let health = match check.health {
            Health::Ok => "ok",
            Health::Warn => "warn",
            Health::Fail => "FAIL",
        };
        format!("{:<width$}  {health:<4}  {}", check.check, check.detail)
    };
    found.checks.iter().map(line).collect::<Vec<_>>().join("\n")
}
