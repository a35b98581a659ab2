//! `watchfire case`: what of a case can be shown to a stranger.

use std::{fs, path::PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use watchfire_api::wire::ProofQuery;
use watchfire_signal::{commitment::Commitment, name::ItemId, tlp::Audience};

use crate::{
    exit::{Answer, Ended, OrEnvironment},
    node_api::{NodeApi, answered},
    output::Output,
    runtime,
};

/// Prove a case to somebody who trusts neither this node nor its member.
///
/// A proof is a file that holds what was said about the case, as it stands signed in the logs, and what
/// this member decided about it, refused uploads included, as it was fixed in its public log. `watchfire proof check` verifies it
/// with nothing but the coalition's charter. Needs a key of the scope audit.
///
/// Example:
///   export WATCHFIRE_KEY=wf_…
///   watchfire case proof ID --out proof.json
///   watchfire case proof ID --redact --out proof.json
///   watchfire case proof ID --item post:17 --out proof.json
///   watchfire proof check proof.json --charter charter.cbor
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Case {
    #[command(flatten)]
    node: NodeApi,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Write the proof of a case.
    Proof {
        /// The name of the case, or of any alert of it.
        id: Commitment,
        /// The file; standard output without it.
        #[arg(long)]
        out: Option<PathBuf>,
        /// Leave out the records about the case, so that no signal and no label is shown: only who
        /// spoke, when it counts, with which verb and reason.
        #[arg(long)]
        redact: bool,
        /// Whom it is for: organisation, clients, community (such as a regulator) or public. Records of other
        /// members are in it as far as their TLP marks allow that; what is marked red is in none.
        #[arg(long = "for", value_name = "AUDIENCE", default_value = "community")]
        audience: Audience,
        /// Show what was decided about this item only, by the platform's own name; what was said about the case is
        /// there all the same.
        #[arg(long)]
        item: Option<ItemId>,
    },
}

/// What was written.
#[derive(Debug, Serialize)]
struct Written {
    file: PathBuf,
    bytes: usize,
}

/// Runs the command.
pub(crate) fn run(case: &Case, output: &Output) -> Ended {
    let What::Proof { id, out, redact, audience, item } = &case.what;
    let client = case.node.client()?;
    let (redact, audience, item) = (redact.then_some(true), Some(*audience), item.clone());
    let query = ProofQuery { redact, audience, item };
    let proof = runtime::block_on(client.proof(id, &query))?;
    let proof = answered(proof)?;
    let Some(file) = out else {
        output.line(String::from_utf8_lossy(&proof))?;
        return Ok(Answer::Yes);
    };
    fs::write(file, &proof).or_environment(file.display())?;
    let written = Written { file: file.clone(), bytes: proof.len() };
    output.answer(&written, || format!("{}: {} bytes", file.display(), written.bytes))?;
    Ok(Answer::Yes)
}
