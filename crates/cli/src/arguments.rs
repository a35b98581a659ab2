//! The command line: what stands before and beside every command.

use clap::Parser;

use crate::commands::Command;

/// Alerts every platform of a coalition about harmful content, and acts on theirs, within
/// milliseconds.
///
/// A member of a coalition runs one node beside its platform. The platform asks the node about
/// uploads; moderators raise alerts and answer those of others; the node removes and restores through
/// the platform's webhook. Content never leaves a member: only fingerprints travel.
///
/// Start with `watchfire demo`: ten members on this machine and the whole story, in one minute.
#[derive(Debug, Parser)]
#[command(name = "watchfire", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Arguments {
    /// Answer in JSON: one object, or one a line where a command answers about several things.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Stands under every help.
const EXIT_CODES: &str = "Exit codes: 0 done, or the answer is yes; 1 the answer is no, or something failed; \
2 the call is wrong or something around it is missing (a file, a program, a key); \
3 the charter in force does not have this member (serve).";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_does_not_contradict_itself() {
        Arguments::command().debug_assert();
    }
}
