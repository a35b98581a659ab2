//! `watchfire bench`: measures on this machine what the documentation promises.

mod index;

use clap::Subcommand;

use crate::{exit::Ended, output::Output};

/// Measure this machine.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    Index(index::Index),
}

/// Runs the command.
pub(crate) fn run(bench: &Bench, output: &Output) -> Ended {
    match bench {
        Bench::Index(index) => index::run(index, output),
    }
}
