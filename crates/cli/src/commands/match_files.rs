//! `watchfire match`: which of some files show what others show, decided on this machine.

mod explain;

use std::{
    collections::BTreeMap,
    fmt::Display,
    num::NonZeroU32,
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;
use watchfire_node::{
    clock::{Random, SystemRandom},
    near::{EditedHits, Hit, Method, Near, loudest},
};
use watchfire_signal::{
    text_print::GRAM_CHARS,
    value::{Kind, Span},
};

use crate::{
    exit::{Answer, Ended, Failure, environment},
    files::{self, Contents, Hasher, Signals, named},
    output::{Output, word},
};

/// Say which files show what references show.
///
/// Pictures match by PDQ, turned, mirrored, inverted and framed ones too, and by local
/// features: cropped, rotated, written over, re-filmed. Of a FILE that moves (GIF,
/// animated WebP, APNG) each picture that it shows is one, and its frames are a video;
/// of a reference its first frame and its frames. Videos match by frames that line up
/// in time, by their hashes or by their local features; sound by eight seconds that go
/// together (alone it leads to a review), texts by what stands in them, any file by its
/// bytes. A reference that is a text of links alone, one a line, is a list of them: a
/// text matches that leads to one (kind url). Links in other references are not known
/// by: an article is not what it links to. An index is made from the references, files
/// or whole folders; then each FILE is looked up in it, as a node looks uploads up, and
/// a line printed for each match, or `none FILE`. What cannot be decoded is compared by
/// its bytes alone, and said so; so are pictures and texts of more than 256 MiB, while
/// videos and sounds are read where they are, however long. Exit code 1 if no FILE matches, 2 if a file could not
/// be read or a folder has none; the others are looked up all the same.
///
/// --refs takes all names up to the next option: write -- before the first FILE.
///
/// With --json one object a FILE is printed, on one line: its name (`file`) and its
/// `matches`. Each of these has `ref`, `kind`, `method` and `decision` (match, or review
/// by a person), and what it is decided by: `distance` (bits of a hash, 0 to 31),
/// `inliers` (details that fit), `ber` (sound: share of bits that differ) or
/// `containment` (text: share of the reference in the file). Where it is so, `also`
/// (other methods that agree); `transform` (two rows of three: from places in FILE to
/// places in the reference, as shares of their sides; without it nothing is moved);
/// `query_span_ms`, `ref_span_ms`, `speed` (how much faster FILE runs) and `frames` that
/// line up. `truncated` stands beside `matches` where FILE may match more references by
/// local features: sixteen are looked at for each picture in it, and for each frame.
///
/// Example:
///   watchfire match --refs known/ -- upload.mp4 photo.jpg
///   watchfire match --json --refs original.mp4 -- copies/
///   watchfire match --explain why.png upload.jpg known.jpg
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    override_usage = "watchfire match [OPTIONS] --refs <REFS>... -- <FILES>...\n       \
                      watchfire match --explain <OUT.png> <FILE> <REF>"
)]
pub(crate) struct Match {
    /// References: files, and folders with all files in them.
    #[arg(long, required_unless_present = "explain", num_args = 1..)]
    refs: Vec<PathBuf>,
    /// Draw two FILEs, pictures or videos, side by side into a PNG: grey and small, places that agree joined by
    /// lines, and what of one lies in the other framed. Of a picture that moves the first frame is drawn.
    #[arg(long, value_name = "OUT.png", conflicts_with = "refs")]
    explain: Option<PathBuf>,
    /// Files to look up, and folders with all files in them.
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
    #[serde(serialize_with = "named")]
    file: &'a Path,
    /// Why only its bytes were compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    unseen: Option<String>,
    matches: Vec<One<'a>>,
    /// Whether there may be more matches by local features.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

#[derive(Debug, Serialize)]
struct One<'a> {
    #[serde(rename = "ref", serialize_with = "named")]
    reference: &'a Path,
    kind: Kind,
    method: String,
    /// Other ways in which the two match.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    also: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    distance: Option<u32>,
    /// Of pictures and frames found by their details: features that agree on the transform.
    #[serde(skip_serializing_if = "Option::is_none")]
    inliers: Option<u32>,
    /// Of what is turned, mirrored, framed or edited: from places in the file's picture to places in the reference's, as
    /// shares of their sides from the upper left corner, two rows of three.
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
    if args.files.is_empty() {
        return Err(environment(
            "no FILE to look up: --refs takes all names up to the next option; write -- before the \
             first FILE, as in `watchfire match --refs known.jpg -- upload.jpg`",
        ));
    }
    let mut seed = [0; 32];
    SystemRandom.fill(&mut seed);
    let known = Near::<usize>::of_known(seed, args.min_matched_ms);
    let (references, queries) = (files::all(&args.refs), files::all(&args.files));
    let mut unread = learn(&references, &known, output)?;
    let hasher = Hasher::for_queries(args.per_second)?;
    let bar = output.progress(queries.len() as u64, "files");
    let mut any = false;
    for file in &queries {
        bar.inc(1);
        let contents = match Contents::of(file) {
            Ok(contents) => contents,
            Err(error) => {
                unread += 1;
                bar.suspend(|| files::complain(file, &error, output))?;
                continue;
            }
        };
        let (EditedHits { hits, truncated }, unseen) = hasher.search(&contents, &known)?;
        let (hits, unseen) = (by_kind(hits), unseen.map(|why| format!("{why:#}")));
        let matches = hits.iter().filter(|hit| !is_known_as_it_is(hit, &hits));
        let matches = matches.filter_map(|hit| one(hit, &references)).collect();
        let found = Found { file, unseen, matches, truncated };
        any |= !found.matches.is_empty();
        bar.suspend(|| tell(&found, output))?;
    }
    bar.finish_and_clear();
    files::all_read(unread)?;
    Ok(Answer::of(any))
}

/// Puts references into the index; answers how many could not be read.
fn learn(references: &[PathBuf], known: &Near<usize>, output: &Output) -> Result<usize, Failure> {
    let hasher = Hasher::for_references()?;
    let bar = output.progress(references.len() as u64, "references");
    let mut unread = 0;
    for (number, path) in references.iter().enumerate() {
        match Contents::of(path) {
            Ok(contents) => {
                let Signals { signals, unseen, .. } = hasher.signals_of(&contents)?;
                let (signals, unseen) =
                    files::with_links(signals, unseen, files::link_list, &contents);
                known.insert_all(number, &signals);
                if let Some(why) = unseen {
                    bar.suspend(|| output.complain(by_its_bytes(path, &why)));
                }
            }
            Err(error) => {
                unread += 1;
                bar.suspend(|| output.complain(format!("{}: {error}", path.display())));
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(unread)
}

fn by_its_bytes(path: &Path, why: &impl Display) -> String {
    format!("{}: {why:#}; only its bytes are compared", path.display())
}

/// Whether an edited video was found by its frames as they are too.
fn is_known_as_it_is(hit: &Hit<usize>, hits: &[Hit<usize>]) -> bool {
    let plain = |other: &Hit<usize>| {
        other.owner == hit.owner && other.kind == Kind::Vpdq && (other.sure || !hit.sure)
    };
    hit.kind == Kind::Features && hit.aligned.is_some() && hits.iter().any(plain)
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
    let edit = hit.edit;
    let faint = !hit.sure || (hit.method == Method::Sound && !hit.is_agreed());
    Some(One {
        reference: references.get(hit.owner)?,
        kind: hit.kind,
        method: word(&hit.method),
        also: hit.also.iter().map(word).collect(),
        inliers: edit.and_then(|edit| edit.fit).map(|fit| fit.inliers),
        transform: edit.and_then(|edit| edit.transform()),
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
    if let Some(why) = &found.unseen {
        output.complain(by_its_bytes(found.file, why));
    }
    if found.truncated {
        let file = found.file.display();
        output
            .complain(format!("{file}: may match more references by local features than are told"));
    }
    if found.matches.is_empty() {
        return output.line(format!("none {}", found.file.display()));
    }
    for one in &found.matches {
        let One { reference, kind, method, decision, .. } = one;
        let share = |share: f64| format!("{:.1} %", share * 100.0);
        let measures = [
            one.distance.map(|bits| format!(" distance {bits}")),
            one.inliers.map(|inliers| format!(" inliers {inliers}")),
            one.ber.map(|ber| format!(" bits that differ {}", share(ber))),
            one.containment.map(|held| format!(" contained {}", share(held))),
        ];
        let measures: String = measures.into_iter().flatten().collect();
        let spans = match (one.query_span_ms, one.ref_span_ms) {
            (Some(query), Some(of)) => format!(
                " {}–{} ms of {}–{} ms",
                query.start_ms, query.end_ms, of.start_ms, of.end_ms
            ),
            _ => String::new(),
        };
        let (file, reference) = (found.file.display(), reference.display());
        output.line(format!("{decision} {file} {reference} {kind} {method}{measures}{spans}"))?;
    }
    Ok(())
}
