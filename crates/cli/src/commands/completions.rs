//! `watchfire completions`: prints what a shell needs to complete our command line.

use std::io::{self, Write};

use clap::Args;
use clap_complete::Shell;

use crate::exit::{Answer, Ended};

/// Print completions for a shell.
///
/// Example:
///   watchfire completions bash > /etc/bash_completion.d/watchfire
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Completions {
    /// The shell.
    shell: Shell,
}

/// Runs the command.
pub(crate) fn run(completions: &Completions, mut command: clap::Command) -> Ended {
    // Generated into memory first: the generator panics on a broken pipe.
    let mut script = Vec::new();
    clap_complete::generate(completions.shell, &mut command, "watchfire", &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(Answer::Yes)
}
