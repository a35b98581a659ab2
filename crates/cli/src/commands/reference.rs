//! `watchfire reference`: prints `docs/cli.md`, so that the document cannot differ from the program.

use crate::{
    exit::{Answer, Ended},
    output::Output,
};

/// What stands first in the document.
const HEAD: &str = "# Command line\n\nWritten by `watchfire reference`; a test compares the two.\n";

/// Runs the command.
pub(crate) fn run(command: clap::Command, output: &Output) -> Ended {
    output.line(text(command).trim_end())?;
    Ok(Answer::Yes)
}

fn text(command: clap::Command) -> String {
    let mut command = command.term_width(96);
    command.build();
    let mut text = HEAD.to_owned();
    section(&mut command, 2, "watchfire", &mut text);
    text
}

fn section(command: &mut clap::Command, depth: usize, name: &str, text: &mut String) {
    let help = command.render_long_help().to_string();
    // Trailing spaces of the help's layout would be changes that nobody made.
    let help = help.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    let marks = "#".repeat(depth.min(4));
    text.push_str(&format!("\n{marks} {name}\n```text\n{}\n```\n", help.trim_end()));
    let parts = command.get_subcommands_mut();
    for part in parts.filter(|part| !part.is_hide_set() && part.get_name() != "help") {
        let name = format!("{name} {}", part.get_name());
        section(part, depth + 1, &name, text);
    }
}
