//! Where answers go: lines for people, JSON for programs, progress for those who wait.

use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::exit::Failure;

/// How often a spinner moves.
const TICK: Duration = Duration::from_millis(100);

/// How this run answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// JSON instead of lines.
    pub json: bool,
}

impl Output {
    /// Writes one line to standard output.
    pub(crate) fn line(&self, text: impl Display) -> Result<(), Failure> {
        writeln!(io::stdout().lock(), "{text}")?;
        Ok(())
    }

    /// Writes a line to standard error: something is wrong with one of several things.
    pub(crate) fn complain(&self, text: impl Display) {
        // Whoever closed standard error does not want to know.
        let _told = writeln!(io::stderr().lock(), "{text}");
    }

    /// Writes one JSON object on one line.
    pub(crate) fn object(&self, answer: &impl Serialize) -> Result<(), Failure> {
        self.line(serde_json::to_string(answer)?)
    }

    /// Writes the answer: as JSON, or as text for people.
    pub(crate) fn answer(
        &self,
        answer: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        if self.json { self.object(answer) } else { self.line(text()) }
    }

    /// A progress bar over `total` steps: drawn on a terminal, silent elsewhere.
    pub(crate) fn progress(&self, total: u64, what: &'static str) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(Some(total), target(total));
        let template = "{msg} {wide_bar} {pos}/{len} {elapsed}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what);
        bar
    }

    /// Tells what is going on: a spinner on a terminal, a plain line on standard error elsewhere.
    pub(crate) fn step(&self, what: impl Display) -> ProgressBar {
        let what = what.to_string();
        if io::stderr().is_terminal() {
            let bar = ProgressBar::new_spinner().with_message(what);
            bar.enable_steady_tick(TICK);
            bar
        } else {
            // Progress that nobody can read is no failure.
            let _told = writeln!(io::stderr().lock(), "{what}");
            ProgressBar::hidden()
        }
    }
}

/// The word that the JSON has for a value that is one.
pub(crate) fn word(value: &impl Serialize) -> String {
    let text = serde_json::to_value(value).ok();
    text.and_then(|text| text.as_str().map(str::to_owned)).unwrap_or_default()
}

/// A bar for a single step is only noise.
fn target(total: u64) -> ProgressDrawTarget {
    if total > 1 { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
}
