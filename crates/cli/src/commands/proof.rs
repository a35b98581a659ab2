//! `watchfire proof`: checks a proof of a case, offline.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use serde::Serialize;
use watchfire_node::{
    facts::shown::Shown,
    proof::{
        bundle::{Bundle, MAX_BUNDLE_BYTES},
        check::{FIXED_WITHIN_MINUTES, Proven, ProvenEntry, ProvenLine, check},
    },
};

use crate::{
    directory::read_chain,
    exit::{Answer, Ended, Failure, OrEnvironment},
    output::{Output, time},
};

/// Check proofs of cases.
#[derive(Debug, Subcommand)]
pub(crate) enum Proof {
    Check(Check),
}

/// Check a proof with nothing but the coalition's charter, and say what it proves.
///
/// No node is asked and no network is used. Checked are the approvals of the charter, the signatures of
/// all checkpoints, that every entry is in its author's log, that records are those of their entries, that
/// the member's desk log was not rewritten since it was anchored, that every decision stands in it, and that
/// each was fixed within an hour. Exit code 1 on the first thing that is wrong, and where a decision was fixed
/// later: it may have been rewritten until then. Get the charter from somebody you trust: the keys in it
/// are all that the check rests on.
///
/// Example:
///   watchfire proof check proof.json --charter charter.cbor
///   watchfire proof check proof.json --charter charter.cbor --json
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Check {
    /// The file that `watchfire case proof` wrote.
    file: PathBuf,
    /// The coalition's charter.
    #[arg(long)]
    charter: PathBuf,
}

/// What the check found.
#[derive(Debug, Serialize)]
struct Found {
    sound: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    wrong: Option<String>,
    #[serde(flatten)]
    proven: Option<Proven>,
}

/// Runs the command.
pub(crate) fn run(proof: &Proof, output: &Output) -> Ended {
    let Proof::Check(Check { file, charter }) = proof;
    let charter = read_chain(charter)?;
    let checked = Bundle::decode(&read(file)?).map_err(|error| error.to_string());
    let checked =
        checked.and_then(|bundle| check(&bundle, &charter).map_err(|error| error.to_string()));
    let found = match checked {
        Ok(proven) => {
            let wrong = (!proven.is_fixed_in_time()).then(|| late(&proven));
            Found { sound: wrong.is_none(), wrong, proven: Some(proven) }
        }
        Err(wrong) => Found { sound: false, wrong: Some(wrong), proven: None },
    };
    output.answer(&found, || text(&found))?;
    Ok(Answer::of(found.sound))
}

fn late(proven: &Proven) -> String {
    format!(
        "{} lines were fixed more than {FIXED_WITHIN_MINUTES} minutes after the time that they give; what stood there \
         before nobody can tell",
        proven.fixed_late
    )
}

/// Reads a file, but for what is longer than any proof.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let file = File::open(path).or_environment(path.display())?;
    let mut bytes = Vec::new();
    file.take(MAX_BUNDLE_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .or_environment(path.display())?;
    Ok(bytes)
}

fn text(found: &Found) -> String {
    let Some(proven) = &found.proven else {
        return format!("NOT PROVEN: {}", found.wrong.as_deref().unwrap_or_default());
    };
    let Proven { coalition, charter_seq, member, case, .. } = proven;
    let mut lines = vec![
        format!("case {case} in coalition {coalition}, by its charter {charter_seq}"),
        "said, each signed in its author's log:".to_owned(),
    ];
    lines.extend(proven.entries.iter().map(entry));
    lines.push(format!("decided by {member}, by its desk log:"));
    for one in &proven.lines {
        lines.push(line(one));
        lines.extend(one.rows.iter().map(row));
    }
    if proven.lines.is_empty() {
        lines.push("  nothing that names the case".to_owned());
    }
    if proven.left_out > 0 {
        lines.push(format!("  {} more decisions are not in the proof", proven.left_out));
    }
    lines.push(match proven.not_anchored {
        _ if found.wrong.is_some() => format!("NOT PROVEN: {}", late(proven)),
        0 => "all of this is proven".to_owned(),
        some => format!("all of this is proven but for {some} lines that are not anchored yet"),
    });
    lines.join("\n")
}

fn entry(entry: &ProvenEntry) -> String {
    let ProvenEntry { log, index, organisation, header, statement } = entry;
    let mut words = format!("  {log} entry {index} ({organisation}): {}", header.verb);
    if let Some(reason) = header.reason {
        words.push_str(&format!(" because of {reason}"));
    }
    if header.test {
        words.push_str(", a drill");
    }
    match statement {
        None => words.push_str(", its record not shown"),
        Some(statement) => {
            if let Some(alert) = statement.alert() {
                let labels: Vec<_> = alert.labels.iter().map(ToString::to_string).collect();
                let severity = header.severity.unwrap_or(0);
                let mark = alert.mark(&header.group);
                words.push_str(&format!(" {} severity {severity} {mark}", labels.join(" ")));
            }
        }
    }
    words
}

fn line(line: &ProvenLine) -> String {
    let ProvenLine { epoch, index, at_ms, kind, actor, body, anchor, rows: _ } = line;
    let at = time(*at_ms);
    let fixed = match anchor {
        Some(anchor) if anchor.late => {
            format!("FIXED LATE, by entry {} of its log", anchor.index)
        }
        Some(anchor) => format!("fixed by entry {} of its log", anchor.index),
        None => "NOT ANCHORED YET, only said".to_owned(),
    };
    format!("  epoch {epoch} line {index} at {at} {kind} by {actor}: {body}; {fixed}")
}

/// What was to be done with an upload or a copy.
fn row(row: &Shown) -> String {
    let item = row.item.as_ref().map_or("an item without a name".into(), ToString::to_string);
    let held = row.held.map(|_| ", held for a person").unwrap_or_default();
    format!("    at {} {item}: {}{held}", time(row.at_ms), row.then.join(" "))
}
