//! Draws two pictures, or the moments of two videos that go together, side by side with what matched.
//!
//! Grey and small: whoever looks has to see why, not more.

use std::{num::NonZeroU32, ops::ControlFlow, path::Path};

use serde::Serialize;
use watchfire_index::{MatchRule, VariantDecision, VariantIndex, VariantLimits, VariantMatch};
use watchfire_media::{
    canvas::{Canvas, Colour},
    features,
    format::Format,
    pdq::{self, Layout, Pixels},
    picture,
    video::{Decoder, Input, looks},
};
use watchfire_node::near::{Hit, Near};
use watchfire_signal::{
    features::{Grey, MAX_FEATURES, SeenPicture},
    pdq::MIN_QUALITY,
    value::{Kind, Span},
};

use crate::{
    exit::{Answer, Ended, Failure, OrEnvironment, environment},
    files::{Contents, Hasher, TOO_LONG},
    output::{Output, word},
};

/// Pixels between the two.
const GAP: u32 = 16;

/// The most pairs of places that are joined by a line.
const MOST_LINES: usize = 48;

/// Frames of the first video that are hashed a second.
const FRAMES_A_SECOND: NonZeroU32 = NonZeroU32::new(2).unwrap();

const BEHIND: Colour = [24, 24, 24];
const REGION: Colour = [255, 196, 0];
const LINES: [Colour; 4] = [[64, 200, 255], [120, 230, 120], [255, 120, 120], [220, 160, 255]];

/// What was drawn.
#[derive(Serialize)]
struct Drawn<'a> {
    file: &'a Path,
    #[serde(rename = "ref")]
    reference: &'a Path,
    /// The picture.
    out: &'a Path,
    /// The moment of the file, if it is a video.
    #[serde(skip_serializing_if = "Option::is_none")]
    query_ms: Option<u32>,
    /// The moment of the reference, if it is a video.
    #[serde(skip_serializing_if = "Option::is_none")]
    ref_ms: Option<u32>,
    /// Features that agree; none where only hashes match.
    inliers: usize,
    /// Where no features agree: by which hash the two match all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    by_hash: Option<ByHash>,
    /// Blocks of luminance that agree, of those that were compared.
    blocks: [u32; 2],
    decision: &'static str,
}

/// How two match of which no details fit, such as an inverted copy.
#[derive(Debug, Serialize)]
struct ByHash {
    method: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    distance: Option<u32>,
    #[serde(skip)]
    sure: bool,
}

/// Two pictures that are compared, and when of a video they are.
struct Pair {
    query: SeenPicture,
    reference: SeenPicture,
    at_ms: Option<(u32, u32)>,
}

/// Draws the two files, without lines where no details fit. The answer is no if nothing else matches either.
pub(super) fn run(files: [&Path; 2], out: &Path, output: &Output) -> Ended {
    let [file, reference] = files;
    let pair = match (kind(file)?, kind(reference)?) {
        (Format::Picture(_), Format::Picture(_)) => {
            Pair { query: still(file)?, reference: still(reference)?, at_ms: None }
        }
        (Format::Video(_), Format::Video(_)) => moments(file, reference)?,
        _ => return Err(environment("two pictures or two videos can be explained")),
    };
    let found = compare(&pair);
    draw(&pair, found.as_ref()).save(out).or_environment(out.display())?;
    let by_hash = if found.is_none() { by_hash(file, reference)? } else { None };
    let agreement = found.as_ref().map(|found| found.agreement).unwrap_or_default();
    let drawn = Drawn {
        file,
        reference,
        out,
        query_ms: pair.at_ms.map(|at| at.0),
        ref_ms: pair.at_ms.map(|at| at.1),
        inliers: found.as_ref().map_or(0, |found| found.inliers),
        blocks: [agreement.agreed, agreement.compared],
        decision: match (found.as_ref().map(|found| found.decision), &by_hash) {
            (Some(VariantDecision::Match), _) | (None, Some(ByHash { sure: true, .. })) => "match",
            (Some(VariantDecision::Review), _) | (None, Some(_)) => "review",
            (None, None) => "none",
        },
        by_hash,
    };
    output.answer(&drawn, || drawn.text())?;
    Ok(Answer::of(drawn.decision != "none"))
}

impl Drawn<'_> {
    fn text(&self) -> String {
        let Drawn { inliers, decision, by_hash, blocks: [agreed, compared], .. } = self;
        let out = self.out.display();
        match by_hash {
            Some(ByHash { method, distance: Some(bits), .. }) => {
                format!("{decision}: {method}, {bits} bits differ; no features agree; {out}")
            }
            Some(ByHash { method, .. }) => {
                format!("{decision}: {method}; no features agree; {out}")
            }
            None => format!(
                "{decision}: {inliers} features and {agreed} of {compared} blocks agree; {out}"
            ),
        }
    }
}

/// How the two match by what is seen in them as wholes, or in parts of them.
fn by_hash(file: &Path, reference: &Path) -> Result<Option<ByHash>, Failure> {
    let best = seen_alike(file, reference)?.into_iter().max_by_key(Hit::strength);
    Ok(best.map(|hit| ByHash { method: word(&hit.method), distance: hit.distance, sure: hit.sure }))
}

/// How `watchfire match` finds one in the other, but for what is heard.
fn seen_alike(file: &Path, reference: &Path) -> Result<Vec<Hit<()>>, Failure> {
    let known = Near::<()>::of_known([0; 32], MatchRule::default().min_matched_ms);
    known.insert_all((), &Hasher::for_references()?.signals(reference)?.signals);
    let contents = Contents::of(file).or_environment(file.display())?;
    let (hits, _) = Hasher::for_queries(FRAMES_A_SECOND)?.search(&contents, &known)?;
    Ok(hits.hits.into_iter().filter(|hit| hit.kind != Kind::Audio).collect())
}

fn kind(path: &Path) -> Result<Format, Failure> {
    let contents = Contents::of(path).or_environment(path.display())?;
    contents.format().ok_or_else(|| environment(format!("{}: no picture or video", path.display())))
}

fn plain(path: &Path) -> Failure {
    environment(format!("{}: too small or too plain to have local features", path.display()))
}

fn still(path: &Path) -> Result<SeenPicture, Failure> {
    let Contents::Held(bytes) = Contents::of(path).or_environment(path.display())? else {
        return Err(environment(format!("{}: {TOO_LONG}", path.display())));
    };
    let decoded = picture::decode(&bytes, &picture::Limits::default());
    features::seen(decoded.or_environment(path.display())?.pixels()).ok_or_else(|| plain(path))
}

/// The moments in the middle of what lines up; the beginnings where nothing does.
fn moments(file: &Path, reference: &Path) -> Result<Pair, Failure> {
    let seen = seen_alike(file, reference)?;
    let aligned = seen.into_iter().max_by_key(Hit::strength).and_then(|hit| hit.aligned);
    let middle = |span: Span| span.start_ms.midpoint(span.end_ms);
    let (query, query_ms) = moment(file, aligned.map_or(0, |one| middle(one.query)))?;
    let (reference, ref_ms) = moment(reference, aligned.map_or(0, |one| middle(one.reference)))?;
    Ok(Pair { query, reference, at_ms: Some((query_ms, ref_ms)) })
}

/// The first frame from a time on that has features, or the last that has.
fn moment(path: &Path, from_ms: u32) -> Result<(SeenPicture, u32), Failure> {
    let decoder = Decoder::new(std::env::current_exe()?, std::env::temp_dir());
    let mut best = None;
    let looked = looks(Input::File(path), &decoder, |look| {
        let at_ms = look.frame.at_ms;
        if let Some(picture) = look.pictures.into_iter().next() {
            best = Some((picture, at_ms));
            if at_ms >= from_ms {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    });
    looked.or_environment(path.display())?;
    best.ok_or_else(|| plain(path))
}

fn compare(pair: &Pair) -> Option<VariantMatch> {
    let print = features::print_of(&pair.reference.grey, MAX_FEATURES)?;
    let limits = VariantLimits { references: 1, descriptors: MAX_FEATURES };
    let index = VariantIndex::new([0; 32], limits);
    let Grey { width, height, bytes } = &pair.reference.grey;
    let pixels = Pixels::new(*width as u32, *height as u32, Layout::Grey, bytes)?;
    let hash = pdq::hash(pixels).filter(|hash| hash.quality >= MIN_QUALITY);
    let hashes: Vec<_> = hash.iter().map(|hash| hash.pdq).collect();
    index.insert_hashed(0, &print, &hashes).ok()?;
    index.search(std::slice::from_ref(&pair.query), 1).matches.pop()
}

fn draw(pair: &Pair, found: Option<&VariantMatch>) -> Canvas {
    let (left, right) = (&pair.query.grey, &pair.reference.grey);
    let shift = left.width as u32 + GAP;
    let (width, height) = (shift + right.width as u32, left.height.max(right.height) as u32);
    let mut canvas = Canvas::new(width, height, BEHIND);
    canvas.paste(left, 0);
    canvas.paste(right, shift);
    let Some(found) = found else { return canvas };
    let moved = |(x, y): (f32, f32)| (x + shift as f32, y);
    let step = found.places.len().div_ceil(MOST_LINES).max(1);
    for (number, [query, reference]) in found.places.iter().step_by(step).enumerate() {
        canvas.line(*query, moved(*reference), LINES[number % LINES.len()]);
    }
    for region in [found.query_region, found.reference_region.map(moved)] {
        for corner in 0..4 {
            canvas.line(region[corner], region[(corner + 1) % 4], REGION);
        }
    }
    canvas
}
