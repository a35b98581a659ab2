//! `watchfire match`: which of some files show what others show, decided on this machine.

use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;
use watchfire_node::{
    clock::{Random, SystemRandom},
    near::{Hit, Method, Near, Whose, loudest},
};
use watchfire_signal::{
    text_print::GRAM_CHARS,
    value::{Kind, Span},
};

use crate::{
    exit::{Answer, Ended, Failure},
    files::{self, Hasher},
    output::{Output, word},
};

/// Say which files show what references show.
///
/// Pictures match by PDQ, videos by frames that line up in time, sound by five seconds that go together
/// (alone it leads to a review), texts by what stands in them, any file by its bytes. An index is made from the references, files or whole folders; then each FILE is looked up in it, the
/// way a node looks up an upload. With --json one object a FILE is printed, on one line. Exit code 1 if
/// no FILE matches.
///
/// Example:
///   watchfire match --refs known/ -- upload.mp4 photo.jpg
///   watchfire match --json --refs original.mp4 -- copies/
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Match {
    /// References: files, and folders with all files in them.
    #[arg(long, required = true, num_args = 1..)]
    refs: Vec<PathBuf>,
    /// Files to look up, and folders with all files in them.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The least time of a video, in milliseconds, that must match.
    #[arg(long, default_value_t = 1_000)]
    min_matched_ms: u32,
    /// Frames of a looked-up video that are hashed a second; references are hashed at every frame.
    #[arg(long, default_value = "2")]
    per_second: NonZeroU32,
}

#[derive(Debug, Serialize)]
struct Found<'a> {
    file: &'a Path,
    matches: Vec<One<'a>>,
}

#[derive(Debug, Serialize)]
struct One<'a> {
    #[serde(rename = "ref")]
    reference: &'a Path,
    kind: Kind,
    method: Method,
    #[serde(skip_serializing_if = "Option::is_none")]
    distance: Option<u32>,
    /// Of sounds: the share of bits that differ in the best five seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    ber: Option<f64>,
    /// Of texts: the least share of the reference's k-grams that is in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    containment: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query_span_ms: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ref_span_ms: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    speed: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frames: Option<u32>,
    decision: &'static str,
}

/// Runs the command.
pub(crate) fn run(args: &Match, output: &Output) -> Ended {
    let mut seed = [0; 32];
    SystemRandom.fill(&mut seed);
    let index = Near::<usize>::new(seed, args.min_matched_ms);
    let references = files::all(&args.refs)?;
    let hasher = Hasher::new(None)?;
    let bar = output.progress(references.len() as u64, "references");
    for (number, path) in references.iter().enumerate() {
        for signal in hasher.signals(path)?.signals {
            index.insert(number, &signal);
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let queries = files::all(&args.files)?;
    let hasher = Hasher::new(Some(args.per_second))?;
    let mut any = false;
    for file in &queries {
        let signals = hasher.signals(file)?.signals;
        let hits = signals.iter().flat_map(|signal| index.search(signal, Whose::Held));
        let hits = by_kind(hits.collect());
        let matches = hits.iter().filter_map(|hit| one(hit, &references));
        let found = Found { file, matches: matches.collect() };
        any |= !found.matches.is_empty();
        tell(&found, output)?;
    }
    Ok(Answer::of(any))
}

/// For each reference and kind the hit that speaks loudest, each knowing of the others.
fn by_kind(hits: Vec<Hit<usize>>) -> Vec<Hit<usize>> {
    let all = loudest(hits.iter().cloned());
    let mut kinds = BTreeMap::<_, Vec<_>>::new();
    for hit in hits {
        kinds.entry(hit.kind).or_default().push(hit);
    }
    let mut best: Vec<_> =
        kinds.into_values().flat_map(|hits| loudest(hits).into_values()).collect();
    for hit in &mut best {
        if let Some(known) = all.get(&hit.owner) {
            hit.also = known.also.iter().copied().chain([known.method]).collect();
            hit.also.remove(&hit.method);
        }
    }
    best.sort_by_key(|hit| (hit.owner, std::cmp::Reverse(hit.strength())));
    best
}

fn one<'a>(hit: &Hit<usize>, references: &'a [PathBuf]) -> Option<One<'a>> {
    let aligned = hit.aligned.as_ref();
    let percent = |kind| hit.distance.filter(|_| hit.kind == kind).map(|d| f64::from(d) / 100.0);
    let bits = matches!(hit.kind, Kind::Pdq | Kind::Vpdq);
    let faint = hit.method == Method::Sound && !hit.is_agreed();
    Some(One {
        reference: references.get(hit.owner)?,
        kind: hit.kind,
        method: hit.method,
        distance: hit.distance.filter(|_| bits),
        ber: percent(Kind::Audio),
        containment: percent(Kind::Text).map(|differ| (1.0 - differ).powi(GRAM_CHARS as i32)),
        query_span_ms: aligned.map(|aligned| aligned.query),
        ref_span_ms: aligned.map(|aligned| aligned.reference),
        speed: aligned.map(|aligned| aligned.speed),
        frames: aligned.map(|aligned| aligned.frames).filter(|frames| *frames > 0),
        decision: if faint { "review" } else { "match" },
    })
}

fn tell(found: &Found<'_>, output: &Output) -> Result<(), Failure> {
    if output.json {
        return output.object(found);
    }
    for one in &found.matches {
        let One { reference, kind, method, .. } = one;
        let method = word(method);
        let distance = one.distance.map(|bits| format!(" distance {bits}")).unwrap_or_default();
        let spans = match (one.query_span_ms, one.ref_span_ms) {
            (Some(query), Some(of)) => format!(
                " {}–{} ms of {}–{} ms",
                query.start_ms, query.end_ms, of.start_ms, of.end_ms
            ),
            _ => String::new(),
        };
        let (file, reference) = (found.file.display(), reference.display());
        output.line(format!("{file} {reference} {kind} {method}{distance}{spans}"))?;
    }
    Ok(())
}
