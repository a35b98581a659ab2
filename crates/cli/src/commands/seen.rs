//! `watchfire seen`: tells a running node what the platform held before, and what it deleted.

mod resume;

use std::{
    fs::File,
    io::{BufRead, BufReader, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use serde::Serialize;
use watchfire_api::client::Client;
use watchfire_signal::name::ItemId;

use self::resume::Resume;
use crate::{
    exit::{Answer, Ended, Failure, OrEnvironment, failed},
    node_api::{NodeApi, answered},
    output::Output,
    runtime,
};

/// Lines in one request, of the 10,000 that a node takes: an alert waits behind a tenth of a second.
const LINES: usize = 2_000;
/// Bytes of lines in one request, of the 8 MiB that a node takes.
const BYTES: usize = 4 << 20;

/// Tell a running node what the platform holds.
#[derive(Debug, Subcommand)]
pub(crate) enum Seen {
    /// Bring items that the platform held before.
    ///
    /// Each line of a file is a JSON object: {"item": "post-1", "seen_ms": 1764000000000, "signals":
    /// [{"kind": "pdq", "value": "…64 digits…", "quality": 100}], "parts": ["…64 digits…"]}; `watchfire hash
    /// --json` prints signals and parts of files. An alert that comes later finds these
    /// items; those that a known alert takes down are acted on at once. How far a file was brought stands
    /// in FILE.progress until it is done, so an import that was broken off goes on there; lines that are
    /// sent twice change nothing.
    ///
    /// Example:
    ///   WATCHFIRE_KEY=wf_… watchfire seen import items.ndjson
    ///   watchfire seen import --json part-*.ndjson
    #[command(verbatim_doc_comment)]
    Import(Import),
    /// Forget items that the platform deleted. Exit code 1 if one of them was not known.
    ///
    /// Example:
    ///   watchfire seen forget post-1 post-2
    #[command(verbatim_doc_comment)]
    Forget(Forget),
}

/// What to bring.
#[derive(Debug, Args)]
pub(crate) struct Import {
    #[command(flatten)]
    node: NodeApi,
    /// Files of lines of JSON.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// What to forget.
#[derive(Debug, Args)]
pub(crate) struct Forget {
    #[command(flatten)]
    node: NodeApi,
    /// Ids of items.
    #[arg(required = true)]
    items: Vec<ItemId>,
}

/// What became of a file.
#[derive(Debug, Serialize)]
struct Brought<'a> {
    file: &'a Path,
    /// Lines that an earlier run had brought.
    resumed_after: u64,
    read: u64,
    taken: u64,
}

#[derive(Debug, Serialize)]
struct Forgotten<'a> {
    item: &'a ItemId,
    known: bool,
}

/// Runs the command.
pub(crate) fn run(seen: &Seen, output: &Output) -> Ended {
    runtime::block_on(async {
        match seen {
            Seen::Import(import) => {
                let client = import.node.client()?;
                for path in &import.files {
                    bring(&client, path, output).await?;
                }
                Ok(Answer::Yes)
            }
            Seen::Forget(forget) => forget_all(forget, output).await,
        }
    })?
}

async fn forget_all(forget: &Forget, output: &Output) -> Ended {
    let client = forget.node.client()?;
    let mut all = true;
    for item in &forget.items {
        let known = match client.forget(item).await {
            Err(watchfire_api::client::ClientError::Problem(problem)) if problem.status == 404 => {
                false
            }
            other => answered(other).map(|()| true)?,
        };
        all &= known;
        let told = Forgotten { item, known };
        let text = || format!("{item} {}", if known { "forgotten" } else { "was not known" });
        output.answer(&told, text)?;
    }
    Ok(Answer::of(all))
}

/// Brings one file, from where an earlier run ended.
async fn bring(client: &Client, path: &Path, output: &Output) -> Result<(), Failure> {
    let mut file = File::open(path).or_environment(path.display())?;
    let length = file.metadata().or_environment(path.display())?.len();
    let mut resume = Resume::of(path, &mut file).or_environment(path.display())?;
    file.seek(SeekFrom::Start(resume.bytes)).or_environment(path.display())?;
    let mut lines = BufReader::new(file);
    let mut brought = Brought { file: path, resumed_after: resume.lines, read: 0, taken: 0 };
    let bar = output.progress(length, "bytes brought");
    loop {
        bar.set_position(resume.bytes);
        let (body, count) = next_lines(&mut lines).or_environment(path.display())?;
        if body.is_empty() {
            break;
        }
        let (first, bytes) = (resume.lines + 1, body.len() as u64);
        let answer = answered(client.import_seen(body).await);
        let answer = answer.map_err(|failure| place(failure, path, first, &bar))?;
        brought.read += answer.read;
        brought.taken += answer.taken;
        resume.advance(bytes, count).or_environment(path.display())?;
    }
    bar.finish_and_clear();
    resume.finish().or_environment(path.display())?;
    let text = || {
        let Brought { resumed_after, read, taken, .. } = &brought;
        let after = match resumed_after {
            0 => String::new(),
            lines => format!(", after {lines} lines brought before"),
        };
        format!("{}: {read} items read, {taken} new or younger{after}", path.display())
    };
    output.answer(&brought, text)
}

/// Says which lines a refusal is about.
fn place(failure: Failure, path: &Path, first: u64, bar: &ProgressBar) -> Failure {
    bar.finish_and_clear();
    match failure {
        Failure::Failed(error) => {
            failed(format!("{}, lines counted from {first} on: {error:#}", path.display()))
        }
        environment => environment,
    }
}

/// Whole lines for one request; the last line of a file may lack its end.
fn next_lines(lines: &mut impl BufRead) -> std::io::Result<(Vec<u8>, u64)> {
    let (mut body, mut count) = (Vec::new(), 0);
    while count < LINES as u64 && body.len() < BYTES {
        if lines.read_until(b'\n', &mut body)? == 0 {
            break;
        }
        count += 1;
    }
    Ok((body, count))
}
