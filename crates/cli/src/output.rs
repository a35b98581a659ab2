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

/// So many things, in words: "1 leaf" has a plural of its own, which is given as `leaf/leaves`.
pub(crate) fn count(number: u64, thing: &str) -> String {
    let (one, many) = thing.split_once('/').unwrap_or((thing, ""));
    match (number, many) {
        (1, _) => format!("1 {one}"),
        (_, "") => format!("{number} {one}s"),
        (_, many) => format!("{number} {many}"),
    }
}

/// A time for people, as RFC 3339 in UTC. Days to a date: "civil from days" of Howard Hinnant's date algorithms.
pub(crate) fn time(at_ms: u64) -> String {
    let (days, ms) = (at_ms / 86_400_000, at_ms % 86_400_000);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let leaps = day_of_era / 1_460 + day_of_era / 146_096 - day_of_era / 36_524;
    let year_of_era = (day_of_era - leaps) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{:03}Z", ms % 1_000)
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
    }

    #[test]
    fn one_thing_is_not_told_as_many() {
        assert_eq!([0, 1, 2].map(|many| count(many, "file")), ["0 files", "1 file", "2 files"]);
        assert_eq!([1, 2].map(|many| count(many, "leaf/leaves")), ["1 leaf", "2 leaves"]);
    }
}
