//! Where answers go: lines for people, JSON for programs, progress for those who wait.

use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
    time::{Duration, UNIX_EPOCH},
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

/// So many things, in words: "1 leaf" has a plural of its own, which is given as `leaf/leaves`.
pub(crate) fn count(number: u64, thing: &str) -> String {
    let (one, many) = thing.split_once('/').unwrap_or((thing, ""));
    match (number, many) {
        (1, _) => format!("1 {one}"),
        (_, "") => format!("{number} {one}s"),
        (_, many) => format!("{number} {many}"),
    }
}

/// A time for people, as RFC 3339 in UTC; of one beyond the year 9999 the milliseconds.
pub(crate) fn time(at_ms: u64) -> String {
    /// The first moment of the year 10000, which has five digits.
    const END_MS: u64 = 253_402_300_800_000;
    if at_ms >= END_MS {
        return at_ms.to_string();
    }
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(at_ms)).to_string()
}

/// A bar for a single step is only noise.
fn target(total: u64) -> ProgressDrawTarget {
    if total > 1 { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_rfc_3339() {
        assert_eq!(time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(time(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(time(1_735_689_599_999), "2024-12-31T23:59:59.999Z");
        assert_eq!(time(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
        assert_eq!(time(253_402_300_799_999), "9999-12-31T23:59:59.999Z");
        assert_eq!(time(u64::MAX), u64::MAX.to_string(), "whatever a log says");
    }

    #[test]
    fn one_thing_is_not_told_as_many() {
        assert_eq!([0, 1, 2].map(|many| count(many, "file")), ["0 files", "1 file", "2 files"]);
        assert_eq!([1, 2].map(|many| count(many, "leaf/leaves")), ["1 leaf", "2 leaves"]);
    }
}
