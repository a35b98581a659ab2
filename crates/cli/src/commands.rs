//! The commands, a file each.

mod coalition;
mod completions;
mod init;
mod key;
mod man;
mod reference;

use clap::Subcommand;

use crate::{exit::Ended, output::Output};

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(init::Init),
    #[command(subcommand)]
    Key(key::Key),
    #[command(subcommand)]
    Coalition(coalition::Coalition),
    Completions(completions::Completions),
    Man(man::Man),
    #[command(hide = true)]
    Reference,
}

/// Runs one command to its end.
pub(crate) fn run(command: Command, output: &Output) -> Ended {
    match command {
        Command::Init(init) => init::run(&init, output),
        Command::Key(key) => key::run(&key, output),
        Command::Coalition(coalition) => coalition::run(&coalition, output),
        Command::Completions(completions) => completions::run(&completions),
        Command::Man(man) => man::run(&man, output),
        Command::Reference => reference::run(output),
    }
}
