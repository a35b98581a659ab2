//! `watchfire log evidence`: the proofs that a member has lied in its log, each checked.

use std::{fs::File, io::Read, path::Path};

use clap::Args;
use serde::Serialize;
use watchfire_api::wire::{self, ContradictionProof, ForkProof, LogPath};
use watchfire_tlog::{Origin, PeerKey};

use super::Which;
use crate::{
    exit::{Answer, Ended, Failure, OrEnvironment, environment},
    output::Output,
};

/// The longest answer: a log is frozen at its first fork, and at most four contradictions of 256 kB are kept.
const MAX_EVIDENCE_BYTES: usize = 2 << 20;

/// Show the proofs that a member has lied in its log.
///
/// A proof of two histories is two checkpoints signed by the member that cannot both be
/// true. A contradiction is a leaf that everyone reads, and another header that its
/// author wrote into the record under it. Each convicts by itself: with --json it can be
/// stored and carried anywhere, and anyone with the member's key can check it. Each is
/// checked here, whoever shows it. Exit code 1 when one convicts, 0 when there is none.
///
/// Instead of the address a file that was stored so can be named: then no node is asked.
///
/// Example:
///   watchfire log evidence http://127.0.0.1:7001/log/tiktok --charter charter.cbor
///   watchfire log evidence https://watchfire.example/log/tiktok --key 3d40… --json > fork.json
///   watchfire log evidence fork.json --charter charter.cbor
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Evidence {
    #[command(flatten)]
    which: Which,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Found {
    log: String,
    key: String,
    forked: bool,
    proofs: Vec<ForkProof>,
    contradictions: Vec<ContradictionProof>,
    /// What was shown as a proof and is none.
    refused: usize,
}

/// Runs the command.
pub(super) async fn run(evidence: &Evidence, output: &Output) -> Ended {
    let (shown, (origin, key)) = match file(&evidence.which.url) {
        None => asked(&evidence.which).await?,
        Some(path) => stored(&evidence.which, path)?,
    };
    let convicts =
        |shown: &ForkProof| shown.proof().is_some_and(|proof| proof.check(&origin, &key));
    let (proofs, refused): (Vec<_>, Vec<_>) = shown.proofs.into_iter().partition(convicts);
    let (contradictions, none): (Vec<_>, Vec<_>) =
        shown.contradictions.into_iter().partition(|shown| shown.check(&origin, &key));
    let found = Found {
        log: origin.to_string(),
        key: key.to_string(),
        forked: !proofs.is_empty(),
        proofs,
        contradictions,
        refused: refused.len() + none.len(),
    };
    output.answer(&found, || text(&found))?;
    Ok(Answer::of(!found.forked && found.contradictions.is_empty()))
}

/// What is named, if it is no address.
fn file(named: &str) -> Option<&Path> {
    let address = ["http://", "https://"].iter().any(|scheme| named.starts_with(scheme));
    (!address).then(|| Path::new(named))
}

/// What a node shows, and whose log it must be.
async fn asked(which: &Which) -> Result<(wire::Evidence, (Origin, PeerKey)), Failure> {
    let log = which.open()?;
    let expected = which.expected(&log).await?;
    let answer = which.read(log.file("evidence", MAX_EVIDENCE_BYTES).await)?;
    let answer = answer.ok_or_else(|| environment("this node knows no such log"))?;
    Ok((serde_json::from_slice(&answer).or_environment("the answer of the node")?, expected))
}

/// What a file shows, and whose log it must be.
fn stored(which: &Which, path: &Path) -> Result<(wire::Evidence, (Origin, PeerKey)), Failure> {
    let mut bytes = Vec::new();
    let file = File::open(path).or_environment(path.display())?;
    file.take(MAX_EVIDENCE_BYTES as u64).read_to_end(&mut bytes).or_environment(path.display())?;
    let shown: wire::Evidence = serde_json::from_slice(&bytes).or_environment(path.display())?;
    let expected = match which.key {
        Some(key) => (Origin::new(shown.log.to_string()).or_environment("the log's name")?, key),
        None => which.by_charter(&LogPath::from(&shown.log).to_string())?,
    };
    Ok((shown, expected))
}

fn text(found: &Found) -> String {
    let mut lines = vec![if found.forked {
        format!("{}: FORKED; {} proofs by its own key {}", found.log, found.proofs.len(), found.key)
    } else {
        format!("{}: no proof of a second history is known there", found.log)
    }];
    for proof in &found.proofs {
        lines.push(format!("believed:\n{}\nshown:\n{}", proof.ours.trim(), proof.theirs.trim()));
    }
    for one in &found.contradictions {
        lines.push(format!(
            "entry {}: its record was written with another header than its leaf\nread by all: {}\nwritten: {}",
            one.index, one.leaf, one.header
        ));
    }
    if found.refused > 0 {
        lines.push(format!("{} shown as proofs that prove nothing", found.refused));
    }
    lines.join("\n")
}
