//! `watchfire bank add`: brings lists of signals to a node, a piece at a time.
//!
//! **Invariant:** every file is read to its end before anything is sent: a list with an error adds nothing.

use std::path::PathBuf;

use clap::Args;
use indicatif::ProgressBar;
use serde::Serialize;
use watchfire_api::{client::Client, wire::BankContentRequest};
use watchfire_signal::{name::BankName, value::Kind};

use super::list_file::{Format, ListFile};
use crate::{
    exit::{Answer, Ended, Failure, environment},
    node_api::answered,
    output::Output,
};

/// Lines sent at once: four transactions of the node, a second or less.
const LINES: usize = 16_384;
/// Bytes after which no more lines are gathered, far below what a node takes at once.
const BYTES: usize = 4 << 20;
/// Lines between two reports where there is no terminal.
const REPORT_EVERY: u64 = 100_000;

/// Put contents into a bank from files, a signal or a content a line.
///
/// Formats: ndjson, a line {"kind":"pdq","value":"…"} or {"signals":[…],"note":"…"}; lines, such as
/// `watchfire hash` prints, KIND VALUE QUALITY NAME, or a VALUE alone with --kind; csv, as `tx dataset -P --csv`
/// of python-threatexchange writes. By the name of the file without --format. `-` is standard input. All
/// files are read before anything is sent; what breaks off can be done again, the same signal twice is one
/// content.
///
/// Example:
///   watchfire bank add KNOWN_GORE hashes.ndjson
///   watchfire bank add KNOWN_GORE --kind md5 ncmec.txt
///   tx dataset -P --csv > tx.csv; watchfire bank add KNOWN_GORE --skip-other-kinds tx.csv
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Add {
    /// The bank.
    name: BankName,
    /// Files, or `-`.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// How the files are written.
    #[arg(long)]
    format: Option<Format>,
    /// The kind of values that stand alone on their line: sha256, md5, pdq, vpdq, text or url.
    #[arg(long)]
    kind: Option<Kind>,
    /// Leave lines of kinds that are not matched here out, such as sound, instead of refusing the file.
    #[arg(long)]
    skip_other_kinds: bool,
}

/// What was done.
#[derive(Debug, Default, Serialize)]
struct Done {
    given: u64,
    added: u64,
    known: u64,
    skipped: u64,
}

/// Runs the command.
pub(super) async fn run(client: &Client, add: &Add, output: &Output) -> Ended {
    let mut files = Vec::new();
    let mut done = Done::default();
    for path in &add.files {
        let file = ListFile::open(path, add.format, add.kind, add.skip_other_kinds)?;
        let (contents, skipped) = file.check()?;
        done.skipped += skipped;
        done.given += contents;
        files.push(file);
    }
    if done.given == 0 {
        return Err(environment("there is nothing to add in these files"));
    }
    let mut sending = Sending {
        client,
        name: &add.name,
        output,
        bar: output.progress(done.given, "contents"),
        total: done.given,
        lines: Vec::new(),
        count: 0,
        sent: 0,
        added: 0,
    };
    for file in &files {
        for content in file.contents()? {
            if let Some(content) = content? {
                sending.push(&content).await?;
            }
        }
    }
    sending.send().await?;
    sending.bar.finish_and_clear();
    done.added = sending.added;
    done.known = done.given - done.added;
    output.answer(&done, || {
        let Done { given, added, known, skipped } = &done;
        format!("{given} contents: {added} added, {known} were there, {skipped} lines left out")
    })?;
    Ok(Answer::Yes)
}

/// A list on its way.
struct Sending<'a> {
    client: &'a Client,
    name: &'a BankName,
    output: &'a Output,
    bar: ProgressBar,
    total: u64,
    lines: Vec<u8>,
    count: usize,
    sent: u64,
    added: u64,
}

impl Sending<'_> {
    async fn push(&mut self, content: &BankContentRequest) -> Result<(), Failure> {
        serde_json::to_writer(&mut self.lines, content)?;
        self.lines.push(b'\n');
        self.count += 1;
        if self.count >= LINES || self.lines.len() >= BYTES {
            self.send().await?;
        }
        Ok(())
    }

    async fn send(&mut self) -> Result<(), Failure> {
        if self.count == 0 {
            return Ok(());
        }
        let lines = std::mem::take(&mut self.lines);
        let added = answered(self.client.add_list_to_bank(self.name, lines).await)?;
        let before = self.sent / REPORT_EVERY;
        self.sent += self.count as u64;
        self.added += added.added;
        self.bar.inc(self.count as u64);
        self.count = 0;
        if self.bar.is_hidden() && self.sent / REPORT_EVERY > before {
            self.output.complain(format!("{} of {} contents", self.sent, self.total));
        }
        Ok(())
    }
}
