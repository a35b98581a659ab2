//! `watchfire man`: writes the manual pages of all commands into a folder.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;

use crate::{
    exit::{Answer, Ended, Failure, OrEnvironment},
    output::Output,
};

/// Write manual pages, one a command, into a folder.
///
/// Example:
///   watchfire man --out /usr/local/share/man/man1
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Man {
    /// The folder; it is made if it is not there.
    #[arg(long)]
    out: PathBuf,
}

/// Runs the command.
pub(crate) fn run(man: &Man, mut command: clap::Command, output: &Output) -> Ended {
    fs::create_dir_all(&man.out).or_environment(man.out.display())?;
    let mut pages = Vec::new();
    command.build();
    page(&command, "watchfire", &man.out, &mut pages)?;
    output.answer(&pages, || pages.join("\n"))?;
    Ok(Answer::Yes)
}

fn page(
    command: &clap::Command,
    name: &str,
    out: &Path,
    pages: &mut Vec<String>,
) -> Result<(), Failure> {
    let page = clap_mangen::Man::new(command.clone()).title(name.to_uppercase());
    let mut text = Vec::new();
    page.render(&mut text)?;
    let path = out.join(format!("{name}.1"));
    fs::write(&path, text).or_environment(path.display())?;
    pages.push(path.display().to_string());
    for part in command.get_subcommands().filter(|part| !part.is_hide_set()) {
        if part.get_name() != "help" {
            self::page(part, &format!("{name}-{}", part.get_name()), out, pages)?;
        }
    }
    Ok(())
}
