//! `watchfire scan`: asks a running node for its verdict on files.

use std::{fs, path::PathBuf};

use clap::Args;
use watchfire_api::wire::{ScanQuery, Verdict, VerdictKind};
use watchfire_signal::name::ItemId;

use crate::{
    exit::{Answer, Ended, Failure, OrEnvironment, environment},
    files,
    node_api::{NodeApi, answered},
    output::{Output, word},
    runtime,
};

/// Ask a running node for its verdict on files.
///
/// The verdict is allow, flag, review or block, with the reasons. The node remembers what it did not refuse, by the item's id, so that a later alert finds it. Exit
/// code 1 if a file is to be blocked.
///
/// Example:
///   WATCHFIRE_KEY=wf_… watchfire scan --url http://127.0.0.1:7001 upload.mp4
///   watchfire scan --item post-123 --json upload.mp4
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Scan {
    #[command(flatten)]
    node: NodeApi,
    /// Files, and folders with all files in them.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The platform's own id of the item, for one file; the file's name without.
    #[arg(long)]
    item: Option<ItemId>,
}

/// Runs the command.
pub(crate) fn run(scan: &Scan, output: &Output) -> Ended {
    let files = files::all(&scan.files)?;
    if scan.item.is_some() && files.len() > 1 {
        return Err(environment("--item names one file only"));
    }
    runtime::block_on(ask(scan, &files, output))?
}

async fn ask(scan: &Scan, files: &[PathBuf], output: &Output) -> Ended {
    let client = scan.node.client()?;
    let mut blocked = false;
    for path in files {
        let bytes = fs::read(path).or_environment(path.display())?;
        let item = match &scan.item {
            Some(item) => item.clone(),
            None => name(path)?,
        };
        let query = ScanQuery { item: Some(item), author: None, signals: false };
        let asked = client.scan_bytes(&query, "application/octet-stream", bytes).await;
        let verdict = answered(asked)?;
        blocked |= verdict.verdict == VerdictKind::Block;
        output.answer(&verdict, || text(&verdict))?;
    }
    Ok(Answer::of(!blocked))
}

fn name(path: &std::path::Path) -> Result<ItemId, Failure> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.parse().or_environment(path.display())
}

fn text(verdict: &Verdict) -> String {
    let decided = word(&verdict.verdict);
    let mut lines = vec![format!("{} {decided} {}", verdict.item, verdict.actions.join(" "))];
    for reason in &verdict.reasons {
        let label = reason.label.as_ref().map(ToString::to_string).unwrap_or_default();
        let members: Vec<_> = reason.members.iter().map(ToString::to_string).collect();
        let span = reason.query_span_ms;
        let span = span.map(|span| format!(", {}–{} ms", span.start_ms, span.end_ms));
        lines.push(format!(
            "  {label} severity {} {} by {}: {} {} distance {}{} (alert {})",
            reason.severity,
            word(&reason.state),
            members.join(", "),
            reason.signal,
            word(&reason.method),
            reason.distance,
            span.unwrap_or_default(),
            reason.record
        ));
    }
    for found in &verdict.banks {
        let label = found.labels.first().map(ToString::to_string).unwrap_or_default();
        lines.push(format!(
            "  {label} severity {} of the own bank {}: {} {} distance {} (content {})",
            found.severity,
            found.bank,
            found.signal,
            word(&found.method),
            found.distance,
            found.content
        ));
    }
    lines.join("\n").trim_end().to_owned()
}
