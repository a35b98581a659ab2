//! What the demo has found, as a table for people and as JSON for programs.

use serde::Serialize;
use watchfire_api::wire::{State, VerdictKind};

use crate::output::word;

use super::words::Words;

/// One member's facts. Times are in milliseconds; absent where it did not happen.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    /// The member.
    pub name: &'static str,
    /// From the report until the alert was durable there.
    pub received_ms: Option<f64>,
    /// Until a scan there refused the edited copy: from the report for the reporter and those who
    /// trust it, from its own confirmation for who confirms, from the last confirmation for all
    /// others.
    pub effective_ms: Option<f64>,
    /// Items taken out of sight.
    pub copies_removed: u64,
    /// Items put back with the same bytes.
    pub restored: u64,
    /// Verdict on the edited copy before the report.
    pub reupload_before: Option<VerdictKind>,
    /// Verdict on it once the case was CONFIRMED.
    pub reupload: Option<VerdictKind>,
    /// How much of it lined up with the reported clip.
    pub matched_ms: Option<u64>,
    /// Verdict on a minute of an unrelated clip in which five seconds of the reported one are.
    pub splice: Option<VerdictKind>,
    /// How much of that lined up.
    pub splice_ms: Option<u64>,
    /// State of the case there at that time.
    pub state: Option<State>,
    /// Verdict on an unrelated clip at that time.
    pub unrelated: Option<VerdictKind>,
    /// From the last retraction until a scan allowed the edited copy again.
    pub retracted_ms: Option<f64>,
    /// What came of words, of a link and of a government's request.
    pub words: Words,
}

impl Row {
    /// Nothing known yet.
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            name,
            received_ms: None,
            effective_ms: None,
            copies_removed: 0,
            restored: 0,
            reupload_before: None,
            reupload: None,
            matched_ms: None,
            splice: None,
            splice_ms: None,
            state: None,
            unrelated: None,
            retracted_ms: None,
            words: Words::default(),
        }
    }
}

/// Percentiles of times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Percentiles {
    /// How many times they are of.
    pub samples: usize,
    /// Half were faster.
    pub p50_ms: f64,
    /// One in a hundred was slower.
    pub p99_ms: f64,
    /// The slowest.
    pub max_ms: f64,
}

impl Percentiles {
    /// Of some times; `None` of no time. The nearest rank: every value was measured.
    pub(super) fn of(mut times: Vec<f64>) -> Option<Self> {
        times.sort_by(f64::total_cmp);
        let rank =
            |share: usize| times.get((times.len() * share).div_ceil(100).max(1) - 1).copied();
        Some(Self {
            samples: times.len(),
            p50_ms: rank(50)?,
            p99_ms: rank(99)?,
            max_ms: times.last().copied()?,
        })
    }
}

/// One alert's way to one member that trusts the reporter, cut where something can be seen from outside. The last
/// three add up to alert → effective.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Stages {
    /// The reporter's answer: authorised, signed, written, synced, folded there.
    pub acknowledged: Option<Percentiles>,
    /// From the request until the member tells that it has the record: that, the wire, verified, written, synced.
    pub received: Option<Percentiles>,
    /// From there until it tells that uploads are refused.
    pub folded: Option<Percentiles>,
    /// From there until a scan is refused.
    pub probed: Option<Percentiles>,
}

/// Everything that the demo has found.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Report {
    /// Where the clips come from.
    pub media: String,
    /// The ten, the reporter first.
    pub members: Vec<Row>,
    /// Alerts that were measured; the percentiles come from these.
    pub alerts: usize,
    /// Alert → effective over the seven that neither report nor confirm, for whom it comes over the wire: half were
    /// faster.
    pub p50_ms: Option<f64>,
    /// The same: one in a hundred was slower.
    pub p99_ms: Option<f64>,
    /// The same at the members that trust the reporter, from the report.
    pub trusting: Option<Percentiles>,
    /// The same at those who only follow, from the confirmation that completes the quorum.
    pub confirmed: Option<Percentiles>,
    /// At the two that confirm, from their own confirmation: local, and in no other number.
    pub own: Option<Percentiles>,
    /// Retraction → ineffective over the nine.
    pub retraction: Option<Percentiles>,
    /// Where the time of `trusting` goes.
    pub stages: Stages,
    /// Making 4 KiB durable on this disk, with nothing else at work; two such waits are in every alert.
    pub sync: Option<Percentiles>,
    /// Hashing the reported clip on the reporter's node, before the clock starts.
    pub hash_ms: f64,
    /// From sending the file with `POST /v1/alerts` until those who trust refuse it.
    pub report_with_bytes_ms: Option<f64>,
    /// Expectations that failed.
    pub failed: Vec<String>,
}

impl Report {
    /// The table and the sentences under it.
    pub(super) fn text(&self) -> String {
        let mut lines = vec![table(&self.members), String::new()];
        lines.push("received: from the report until the alert was durable there".to_owned());
        lines.push(
            "effective: until a scan there refused the edited copy; from the report for tiktok, twitch \
             and reddit (who trust tiktok), from the confirmation for all others"
                .to_owned(),
        );
        lines.push(String::new());
        lines.push(words_table(&self.members));
        lines.push(String::new());
        lines.push(
            "typed: a reported hate text with typos; in news: the same where the platform says that it is \
             news; link: to something labelled as misinformation; government: what a government asked for"
                .to_owned(),
        );
        lines.push(String::new());
        let most = |names: &[&str]| {
            let rows = self.members.iter().filter(|row| names.contains(&row.name));
            rows.filter_map(|row| row.effective_ms).fold(0.0, f64::max)
        };
        let rest: Vec<_> = self.members.iter().map(|row| row.name).collect();
        let rest: Vec<_> = rest
            .into_iter()
            .filter(|name| !["tiktok", "twitch", "reddit"].contains(name))
            .collect();
        lines.push(format!(
            "report → effective at those who trust: {:.1} ms",
            most(&["twitch", "reddit"])
        ));
        lines.push(format!("confirmation → effective at all: {:.1} ms", most(&rest)));
        let with_bytes = number(self.report_with_bytes_ms);
        lines.push(format!(
            "report with the file's bytes → effective at those who trust: {with_bytes} ms \
             (hashing alone: {:.0} ms)",
            self.hash_ms
        ));
        lines.push(format!(
            "{} alerts: alert → effective p50 {} ms, p99 {} ms over the seven that it reaches by wire",
            self.alerts,
            number(self.p50_ms),
            number(self.p99_ms)
        ));
        let Stages { acknowledged, received, folded, probed } = &self.stages;
        for (what, times) in [
            ("those who trust, from the report", &self.trusting),
            ("  the reporter's own answer", acknowledged),
            ("  told as received there", received),
            ("  folded there, after that", folded),
            ("  a scan refused, after that", probed),
            ("those who follow, from the confirmation", &self.confirmed),
            ("those who confirm, from their own word", &self.own),
            ("retraction → ineffective", &self.retraction),
            ("4 KiB made durable on this disk, alone", &self.sync),
        ] {
            if let Some(times) = times {
                let Percentiles { samples, p50_ms, p99_ms, max_ms } = times;
                lines.push(format!(
                    "  {what}: p50 {p50_ms:.1} ms, p99 {p99_ms:.1} ms, max {max_ms:.1} ms ({samples})"
                ));
            }
        }
        lines.push(format!("clips: {}", self.media));
        for failed in &self.failed {
            lines.push(format!("FAILED: {failed}"));
        }
        lines.join("\n")
    }
}

fn table(rows: &[Row]) -> String {
    let head = [
        "member",
        "received",
        "effective",
        "removed",
        "restored",
        "before",
        "re-upload",
        "matched",
        "splice",
        "state",
        "unrelated",
        "retracted",
    ];
    let cells = rows.iter().map(|row| {
        [
            row.name.to_owned(),
            number(row.received_ms),
            number(row.effective_ms),
            row.copies_removed.to_string(),
            row.restored.to_string(),
            maybe(&row.reupload_before),
            maybe(&row.reupload),
            row.matched_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms}")),
            maybe(&row.splice),
            maybe(&row.state),
            maybe(&row.unrelated),
            number(row.retracted_ms),
        ]
    });
    lines_of(&head, cells)
}

/// What each makes of words.
fn words_table(rows: &[Row]) -> String {
    let head = [
        "member",
        "before",
        "typed",
        "distance",
        "post",
        "in news",
        "unrelated",
        "link",
        "government",
        "post after",
    ];
    let seen = |gone: Option<bool>, (yes, no): (&str, &str)| {
        gone.map_or("-", |gone| if gone { yes } else { no }).to_owned()
    };
    let cells = rows.iter().map(|Row { name, words, .. }| {
        let link = [&[maybe(&words.link)], &words.link_actions[..]].concat();
        [
            (*name).to_owned(),
            maybe(&words.before),
            maybe(&words.typed),
            words.distance.map_or_else(|| "-".to_owned(), |distance| distance.to_string()),
            seen(words.removed, ("removed", "there")),
            maybe(&words.in_news),
            maybe(&words.unrelated),
            link.join(" "),
            maybe(&words.government),
            seen(words.restored, ("there", "gone")),
        ]
    });
    lines_of(&head, cells)
}

/// Lines in columns.
fn lines_of<const COLUMNS: usize>(
    head: &[&str; COLUMNS],
    rows: impl Iterator<Item = [String; COLUMNS]>,
) -> String {
    let mut cells = vec![head.map(str::to_owned)];
    cells.extend(rows);
    let width = |column: usize| cells.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<_> = (0..COLUMNS).map(width).collect();
    let line = |row: &[String; COLUMNS]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    cells.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn number(ms: Option<f64>) -> String {
    ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1}"))
}

fn maybe(value: &Option<impl Serialize>) -> String {
    value.as_ref().map_or_else(|| "-".to_owned(), word)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let times: Vec<_> = (1..=200).rev().map(f64::from).collect();
        let found = Percentiles::of(times).unwrap();
        assert_eq!((found.p50_ms, found.p99_ms, found.max_ms), (100.0, 198.0, 200.0));
        let one = Percentiles::of(vec![7.0]).unwrap();
        assert_eq!((one.p50_ms, one.p99_ms), (7.0, 7.0));
        assert_eq!(Percentiles::of(Vec::new()), None);
    }
}
