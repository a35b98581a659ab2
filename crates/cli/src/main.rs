//! The `watchfire` program: reads the command line, runs one command, ends with its exit code.

#![allow(
    rustdoc::bare_urls,
    reason = "doc comments of commands are their help, printed as they stand"
)]

mod arguments;
mod commands;
mod config;
mod directory;
mod exit;
mod files;
mod memory;
mod network;
mod node_api;
mod output;
mod reach;
mod runtime;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::arguments::Arguments;
use crate::output::Output;

fn main() -> ExitCode {
    // A child that decodes foreign media gives its rights away before anything else happens.
    watchfire_media::sandbox::run_if_child();
    let arguments = Arguments::parse();
    let output = Output { json: arguments.json };
    exit::code(commands::run(arguments.command, Arguments::command(), &output))
}
