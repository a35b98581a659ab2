//! `watchfire match`: which of some files show what others show, decided on this machine.

mod edited;
mod explain;
mod videos;

use std::{
    collections::BTreeMap,
    fs,
    num::NonZeroU32,
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;
use watchfire_index::{EditedVideo, VariantDecision};
use watchfire_node::{
    clock::{Random, SystemRandom},
    near::{Hit, Method, Near, Whose, loudest},
};
use watchfire_signal::{
    text_print::GRAM_CHARS,
    value::{Kind, Span},
};

use self::{edited::Edited, videos::Videos};
use crate::{
    exit::{Answer, Ended, Failure, OrEnvironment, environment},
    files::{self, Hasher},
    output::{Output, word},
};

/// Say which files show what references show.
///
/// Pictures match by PDQ, turned, mirrored, inverted and framed ones too, and by local features: cropped,
/// rotated, written over, re-filmed. Videos match by frames that line up in time, by their hashes or by
/// their local features; sound by five seconds that go together (alone it leads to a review), texts by what
/// stands in them, any file by its bytes. An index is made from the references, files or whole folders;
/// then each FILE is looked up in it. A node looks uploads up the same way, but videos not yet by local
/// features.
/// With --json one object a FILE is printed, on one line. Exit code 1 if no FILE matches.
///
/// Example:
///   watchfire match --refs known/ -- upload.mp4 photo.jpg
///   watchfire match --json --refs original.mp4 -- copies/
///   watchfire match --explain why.png upload.jpg known.jpg
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Match {
    /// References: files, and folders with all files in them.
    #[arg(long, required_unless_present = "explain", num_args = 1..)]
    refs: Vec<PathBuf>,
    /// Draw two FILEs, pictures or videos, side by side into a PNG: grey and small, places that agree joined by
    /// lines, and what of one lies in the other framed.
    #[arg(long, value_name = "OUT.png", conflicts_with = "refs")]
    explain: Option<PathBuf>,
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
    method: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    distance: Option<u32>,
    /// Of pictures and frames found by their details: features that agree on the transform.
    #[serde(skip_serializing_if = "Option::is_none")]
    inliers: Option<usize>,
    /// From places in the file's picture to places in the reference's, each shrunk to 512 pixels: two rows
    /// of three.
    #[serde(skip_serializing_if = "Option::is_none")]
    transform: Option<[[f32; 3]; 2]>,
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
    if let Some(out) = &args.explain {
        let [file, reference] = args.files.as_slice() else {
            return Err(environment("--explain draws two files"));
        };
        return explain::run([file, reference], out, output);
    }
    let mut seed = [0; 32];
    SystemRandom.fill(&mut seed);
    let index = Near::<usize>::new(seed, args.min_matched_ms);
    let references = files::all(&args.refs)?;
    let hasher = Hasher::for_references()?;
    let bar = output.progress(references.len() as u64, "references");
    let known = Edited::new(seed, references.len());
    let videos = Videos::new(seed, references.len(), args.min_matched_ms)?;
    for (number, path) in references.iter().enumerate() {
        let signals = hasher.signals(path)?.signals;
        signals.iter().for_each(|signal| index.insert(number, signal));
        known.insert(number, &signals);
        videos.insert(number, &signals);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let queries = files::all(&args.files)?;
    let hasher = Hasher::for_queries(args.per_second)?;
    let mut any = false;
    for file in &queries {
        let bytes = fs::read(file).or_environment(file.display())?;
        let signals = hasher.signals_of(&bytes)?.signals;
        let hits = signals.iter().flat_map(|signal| index.search(signal, Whose::Held));
        let hits = by_kind(hits.collect());
        let query = edited::query(&bytes);
        let edits = query.iter().flat_map(|query| known.search(query, &index)).collect::<Vec<_>>();
        let matches = hits.iter().filter_map(|hit| one(hit, &references));
        let edits = edits.iter().filter_map(|edit| variant(edit, &hits, &references));
        let moving = videos.search(file);
        let moving = moving.iter().filter_map(|edit| video_variant(edit, &hits, &references));
        let found = Found { file, matches: matches.chain(edits).chain(moving).collect() };
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
        method: word(&hit.method),
        inliers: None,
        transform: None,
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

/// A variant, unless the picture as it is was found already.
fn variant<'a>(
    edit: &edited::Found,
    hits: &[Hit<usize>],
    references: &'a [PathBuf],
) -> Option<One<'a>> {
    let plain = |hit: &Hit<usize>| hit.owner == edit.reference && hit.kind == Kind::Pdq;
    if edit.distance.is_some() && hits.iter().any(plain) {
        return None;
    }
    let kind = if edit.distance.is_some() { Kind::Pdq } else { Kind::Features };
    Some(One {
        reference: references.get(edit.reference)?,
        kind,
        method: edit.method.to_owned(),
        distance: edit.distance,
        inliers: edit.inliers,
        transform: edit.transform,
        ber: None,
        containment: None,
        query_span_ms: None,
        ref_span_ms: None,
        speed: None,
        frames: None,
        decision: if edit.review { "review" } else { "match" },
    })
}

/// An edited video, unless its frames as they are were found already.
fn video_variant<'a>(
    edit: &EditedVideo,
    hits: &[Hit<usize>],
    references: &'a [PathBuf],
) -> Option<One<'a>> {
    let owner = edit.video as usize;
    if hits.iter().any(|hit| hit.owner == owner && hit.kind == Kind::Vpdq) {
        return None;
    }
    let span = |(start_ms, end_ms)| Some(Span { start_ms, end_ms });
    Some(One {
        reference: references.get(owner)?,
        kind: Kind::Features,
        method: "features".to_owned(),
        distance: None,
        inliers: Some(edit.best.inliers),
        transform: Some(edited::rows(&edit.best.transform)),
        ber: None,
        containment: None,
        query_span_ms: span(edit.aligned.query_span_ms),
        ref_span_ms: span(edit.aligned.reference_span_ms),
        speed: Some(edit.aligned.speed),
        frames: Some(edit.aligned.frames),
        decision: if edit.decision == VariantDecision::Review { "review" } else { "match" },
    })
}

fn tell(found: &Found<'_>, output: &Output) -> Result<(), Failure> {
    if output.json {
        return output.object(found);
    }
    for one in &found.matches {
        let One { reference, kind, method, .. } = one;
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
