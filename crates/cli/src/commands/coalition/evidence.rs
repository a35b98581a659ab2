//! `watchfire coalition evidence`: members that have approved two charters of one number, each checked.

use std::{fs::File, io::Read, path::PathBuf};

use clap::Args;
use serde::{Deserialize, Serialize};
use watchfire_api::wire::DoubleApproval;
use watchfire_node::charter::changes::Double;
use watchfire_signal::{charter::decode_sequence, hex};

use crate::{
    exit::{Answer, Ended, Failure, OrEnvironment},
    output::Output,
};

/// The longest file: some pairs of the largest charters.
const MAX_BYTES: u64 = 64 << 20;

/// Evidence to be checked.
///
/// Each piece is two charters of one number with the signature of one member under both. It convicts by itself:
/// whoever has the charter before them can check it, and no node is asked. Exit code 1 when a member is convicted, 0
/// when nobody is.
///
/// Example:
///   watchfire coalition status --json > status.json
///   watchfire coalition evidence status.json --charters charter.cbor
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Evidence {
    /// What `watchfire coalition status --json` wrote, anywhere.
    file: PathBuf,
    /// The charters of the coalition, or the one before the two alone.
    #[arg(long)]
    charters: PathBuf,
}

/// The part of the file that is evidence.
#[derive(Debug, Deserialize)]
struct Shown {
    #[serde(default)]
    double_approvals: Vec<DoubleApproval>,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Found {
    double_approvals: Vec<DoubleApproval>,
    /// What was shown as evidence and is none, by these charters.
    refused: usize,
}

/// Runs the command.
pub(super) fn run(args: &Evidence, output: &Output) -> Ended {
    let shown: Shown =
        serde_json::from_slice(&read(&args.file)?).or_environment(args.file.display())?;
    let charters = decode_sequence(&read(&args.charters)?);
    let charters = charters.or_environment(args.charters.display())?;
    let convicts = |shown: &DoubleApproval| {
        let bytes = hex::decode_all(&shown.evidence).ok();
        let double = bytes.and_then(|bytes| Double::decode(&bytes).ok());
        double.is_some_and(|double| {
            let before = charters.iter().filter(|one| one.charter.seq + 1 == double.seq());
            let named = (&shown.member, shown.seq) == (&double.member, double.seq());
            named && before.into_iter().any(|before| double.check(before))
        })
    };
    let (double_approvals, refused): (Vec<_>, Vec<_>) =
        shown.double_approvals.into_iter().partition(convicts);
    let found = Found { double_approvals, refused: refused.len() };
    output.answer(&found, || text(&found))?;
    Ok(Answer::of(found.double_approvals.is_empty()))
}

fn read(path: &PathBuf) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let file = File::open(path).or_environment(path.display())?;
    file.take(MAX_BYTES).read_to_end(&mut bytes).or_environment(path.display())?;
    Ok(bytes)
}

fn text(found: &Found) -> String {
    let says =
        |one: &DoubleApproval| format!("{} has approved two charters {}", one.member, one.seq);
    let mut lines: Vec<_> = found.double_approvals.iter().map(says).collect();
    if lines.is_empty() {
        lines.push("nobody is shown to have approved two charters of one number".to_owned());
    }
    if found.refused > 0 {
        lines.push(format!("{} shown as evidence that prove nothing", found.refused));
    }
    lines.join("\n")
}
