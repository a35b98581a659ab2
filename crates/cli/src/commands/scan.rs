//! `watchfire scan`: asks a running node for its verdict on files, texts, links and streams.

mod live;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use watchfire_api::wire::{Edit, MatchDepth, ScanQuery, ScanRequest, Verdict, VerdictKind};
use watchfire_signal::name::ItemId;

use self::live::Live;
use crate::{
    exit::{Answer, Ended, Failure, OrEnvironment, environment},
    files,
    node_api::{NodeApi, answered},
    output::{Output, word},
    runtime,
};

/// Ask a running node for its verdict on files, or on a text with its links.
///
/// The verdict is allow, flag, review or block, with the reasons. The node remembers what
/// it did not refuse, by the item's id, so that a later alert finds it. Exit code 1 if a
/// file is to be blocked, 2 if a file could not be read or a folder has none; the others
/// are judged all the same. Links in a text are looked at too.
///
/// Example:
///   WATCHFIRE_KEY=wf_… watchfire scan --url http://127.0.0.1:7001 upload.mp4
///   watchfire scan --item post-123 --json upload.mp4
///   watchfire scan --item post-125 --fact context=news --fact views=12000 upload.mp4
///   ffmpeg … -f mpegts - | watchfire scan --live --item stream-9 -
///   watchfire scan --item post-124 --text "words as they were posted" --link https://example.com/a
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Scan {
    #[command(flatten)]
    node: NodeApi,
    /// Files, and folders with all files in them.
    #[arg(required_unless_present_any = ["text", "links"], conflicts_with_all = ["text", "links"])]
    files: Vec<PathBuf>,
    /// The text of an item, as it was posted.
    #[arg(long, requires = "item")]
    text: Option<String>,
    /// A link that an item leads to, several times if needed.
    #[arg(long = "link", requires = "item")]
    links: Vec<String>,
    /// The platform's own id of the item, for one file; the file's name without.
    #[arg(long)]
    item: Option<ItemId>,
    /// A fact about the items that policy may ask for, as NAME=VALUE, several times if needed; a value is
    /// true, false, a whole number or a text.
    #[arg(long = "fact", value_parser = fact)]
    facts: Vec<(String, serde_json::Value)>,
    /// How far files are looked into: exact (their bytes only), near, or variant (edited copies too).
    #[arg(long = "match", value_enum, default_value_t = Depth::Variant)]
    depth: Depth,
    /// Judge a stream while it runs: FILE is a pipe, a file that grows, or - for standard input. It is sent to the
    /// node, which looks for edited copies in it too; with --match near its frames are hashed on this machine and
    /// only hashes are sent. A verdict is printed for each segment, until one is block.
    #[arg(long, requires_all = ["item", "files"])]
    live: bool,
    /// With --live: seconds of stream that are judged together.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "live")]
    segment: u32,
    /// With --live: seconds of stream after which the next segment is judged.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, requires = "live")]
    every: u32,
    /// With --live: seconds without growth after which a file has ended.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, requires = "live", value_parser = clap::value_parser!(u32).range(..50))]
    idle: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Depth {
    Exact,
    Near,
    Variant,
}

impl From<Depth> for MatchDepth {
    fn from(depth: Depth) -> Self {
        match depth {
            Depth::Exact => Self::Exact,
            Depth::Near => Self::Near,
            Depth::Variant => Self::Variant,
        }
    }
}

fn fact(text: &str) -> Result<(String, serde_json::Value), String> {
    let (name, value) = text.split_once('=').ok_or("a fact is NAME=VALUE")?;
    let plain = serde_json::from_str::<serde_json::Value>(value).ok();
    let plain = plain.filter(|value| value.is_boolean() || value.is_i64());
    Ok((name.to_owned(), plain.unwrap_or_else(|| value.into())))
}

/// Runs the command.
pub(crate) fn run(scan: &Scan, output: &Output) -> Ended {
    if scan.live {
        return live(scan, output);
    }
    let files = files::all(&scan.files);
    if scan.item.is_some() && files.len() > 1 {
        return Err(environment("--item names one file only"));
    }
    runtime::block_on(ask(scan, &files, output))?
}

fn live(scan: &Scan, output: &Output) -> Ended {
    let ([path], Some(item)) = (scan.files.as_slice(), scan.item.clone()) else {
        return Err(environment("--live judges one stream, and needs its --item"));
    };
    let seconds = |number: u32| Duration::from_secs(number.into());
    let mut facts: BTreeMap<_, _> = scan.facts.iter().cloned().collect();
    facts.entry("live".to_owned()).or_insert_with(|| true.into());
    let live = Live {
        path,
        item,
        facts,
        segment: seconds(scan.segment),
        every: seconds(scan.every),
        idle: seconds(scan.idle),
    };
    match scan.depth {
        Depth::Exact => Err(environment("--live has no whole file: --match near or variant")),
        Depth::Near => live::run(&live, &scan.node.client()?, output),
        Depth::Variant => live::send(&live, &scan.node.client()?, output),
    }
}

async fn ask(scan: &Scan, files: &[PathBuf], output: &Output) -> Ended {
    let client = scan.node.client()?;
    let facts: BTreeMap<_, _> = scan.facts.iter().cloned().collect();
    let (mut blocked, mut unread) = (false, 0);
    if let Some(item) = scan.item.as_ref().filter(|_| files.is_empty()) {
        let (text, urls) = (scan.text.clone(), scan.links.clone());
        let request = ScanRequest { text, urls, facts, ..ScanRequest::of(item.clone()) };
        let verdict = answered(client.scan_signals(&request).await)?;
        output.answer(&verdict, || text_of(&verdict))?;
        return Ok(Answer::of(verdict.verdict != VerdictKind::Block));
    }
    for path in files {
        let bytes = match files::read(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                unread += 1;
                files::complain(path, &error, output)?;
                continue;
            }
        };
        let item = match &scan.item {
            Some(item) => item.clone(),
            None => name(path)?,
        };
        let facts = (!facts.is_empty()).then(|| serde_json::json!(facts).to_string());
        let depth = Some(scan.depth.into());
        let query = ScanQuery { item: Some(item), facts, depth, ..ScanQuery::default() };
        let words = files::as_text(&bytes).is_some();
        let kind = if words { "text/plain" } else { "application/octet-stream" };
        let asked = client.scan_bytes(&query, kind, bytes).await;
        let verdict = answered(asked)?;
        blocked |= verdict.verdict == VerdictKind::Block;
        output.answer(&verdict, || text_of(&verdict))?;
    }
    files::all_read(unread)?;
    Ok(Answer::of(!blocked))
}

fn name(path: &std::path::Path) -> Result<ItemId, Failure> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.parse().or_environment(path.display())
}

/// How much two differ, or how well they fit.
fn how(edit: Option<&Edit>, distance: u32, (sure, thin): (bool, bool)) -> String {
    let how = match edit.and_then(|edit| edit.inliers) {
        Some(inliers) => format!("{inliers} inliers"),
        None => format!("distance {distance}"),
    };
    match (sure, thin) {
        (true, _) => how,
        (false, false) => how + ", not sure",
        (false, true) => how + ", below the quality floor",
    }
}

fn text_of(verdict: &Verdict) -> String {
    let decided = word(&verdict.verdict);
    let mut lines = vec![format!("{} {decided} {}", verdict.item, verdict.actions.join(" "))];
    for reason in &verdict.reasons {
        let label = reason.label.as_ref().map(ToString::to_string).unwrap_or_default();
        let members: Vec<_> = reason.members.iter().map(ToString::to_string).collect();
        let span = reason.query_span_ms;
        let span = span.map(|span| format!(", {}–{} ms", span.start_ms, span.end_ms));
        let held = reason.held.as_ref().map(|limit| format!(", held by {limit}"));
        lines.push(format!(
            "  {label} severity {} {} by {}: {} {} {}{}{} (alert {})",
            reason.severity,
            word(&reason.state),
            members.join(", "),
            reason.signal,
            word(&reason.method),
            how(reason.edit.as_ref(), reason.distance, (reason.sure, reason.thin)),
            span.unwrap_or_default(),
            held.unwrap_or_default(),
            reason.record
        ));
    }
    for found in &verdict.banks {
        let label = found.labels.first().map(ToString::to_string).unwrap_or_default();
        lines.push(format!(
            "  {label} severity {} of the own bank {}: {} {} {} (content {})",
            found.severity,
            found.bank,
            found.signal,
            word(&found.method),
            how(found.edit.as_ref(), found.distance, (found.sure, found.thin)),
            found.content
        ));
    }
    lines.join("\n").trim_end().to_owned()
}
