//! `watchfire hash`: prints the signals of files, texts and links, made on this machine.

use std::{
    num::NonZeroU32,
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;
use watchfire_api::wire::SignalJson;
use watchfire_signal::{
    link::{LinkError, LinkPrint, LinkScope},
    text_print::TextPrint,
    value::{Signal, Value, ValueOrBlob},
    vpdq::Vpdq,
};

use crate::{
    exit::{Answer, Ended, Failure, OrEnvironment, environment},
    files::{self, Contents, Hasher, Signals},
    output::Output,
};

/// Print the signals of files, of a text or of links: KIND VALUE QUALITY, one a line.
///
/// Pictures have sha256, md5 and pdq; videos have sha256, md5 and vpdq, whose value is
/// a JSON array without spaces of "pdq,quality,seconds", as python-threatexchange
/// writes it, and whose quality is the mean over its frames; pictures that move (GIF,
/// animated WebP, APNG) have the pdq of their first frame, then of each other picture
/// that they show, at most 60, and a vpdq where three frames differ; videos with sound
/// and sound files have audio too; texts have sha256, md5 and text, of a very long one
/// several. Everything else has `-` for a quality. With --json a picture has "parts"
/// too: hashes of what a border or a rectangle in it holds, as lines of `watchfire seen
/// import` take them. Of several files, each line ends with the file's name. No node is
/// needed, and nothing leaves this machine. Exit code 1 if a file is neither a picture
/// nor a video, sound or text, 2 if a file could not be read or a folder has none; the
/// others are hashed all the same.
///
/// Example:
///   watchfire hash photo.jpg
///   watchfire hash --frames clip.mp4
///   watchfire hash --json --per-second 2 uploads/
///   watchfire hash --text "the words as they were posted"
///   watchfire hash --link https://example.com/a --link-scope host
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Hash {
    /// Files, and folders with all files in them.
    #[arg(required_unless_present_any = ["text", "links"])]
    files: Vec<PathBuf>,
    /// A text, as it was posted.
    #[arg(long)]
    text: Option<String>,
    /// A link, several times if needed.
    #[arg(long = "link")]
    links: Vec<String>,
    /// What the links stand for: exact, prefix for all under the path, host for the host and those below.
    #[arg(long, default_value = "exact", requires = "links")]
    link_scope: LinkScope,
    /// Print only the frames of a video or of a picture that moves, one a line: frame,quality,pdq,seconds.
    #[arg(long)]
    frames: bool,
    /// Hash about so many frames a second of a video, or of a picture that moves as one; every frame without this.
    #[arg(long)]
    per_second: Option<NonZeroU32>,
}

/// The signals of one file, for programs.
#[derive(Debug, Serialize)]
struct File<'a> {
    file: &'a Path,
    signals: Vec<SignalJson>,
    /// As lines of `watchfire seen import` take them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Runs the command.
pub(crate) fn run(args: &Hash, output: &Output) -> Ended {
    let said = said(args)?;
    if output.json && !said.is_empty() {
        let signals: Vec<_> = said.iter().map(SignalJson::from).collect();
        output.object(&serde_json::json!({ "signals": signals }))?;
    } else {
        said.iter().try_for_each(|signal| output.line(line(signal, None)))?;
    }
    let files = files::all(&args.files);
    let hasher = Hasher::new(args.per_second)?;
    let bar = output.progress(files.len() as u64, "hashing");
    let (mut all_seen, mut unread) = (true, 0);
    for path in &files {
        bar.inc(1);
        let contents = match Contents::of(path) {
            Ok(contents) => contents,
            Err(error) => {
                unread += 1;
                bar.suspend(|| files::complain(path, &error, output))?;
                continue;
            }
        };
        let found = hasher.signals_of(&contents)?;
        if let Some(error) = &found.unseen {
            all_seen = false;
            let line = format!("watchfire: {}: {error}", path.display());
            bar.suspend(|| output.complain(line));
        }
        let name = (files.len() > 1).then_some(path.as_path());
        bar.suspend(|| print(args, path, name, &found, output))?;
    }
    bar.finish_and_clear();
    files::all_read(unread)?;
    Ok(Answer::of(all_seen))
}

/// The signals of what was said on the command line.
fn said(args: &Hash) -> Result<Vec<Signal>, Failure> {
    let text = args.text.as_deref().map(TextPrint::of).transpose().or_environment("--text")?;
    let mut signals: Vec<Signal> = text.into_iter().flatten().map(Signal::new).collect();
    for link in &args.links {
        let print = LinkPrint::named(link, args.link_scope).map_err(|error| match error {
            LinkError::Address(_) => {
                environment(format!("{link:?}: {error}; it needs http:// or https://"))
            }
            error => environment(format!("{link:?}: {error}")),
        })?;
        signals.push(Signal::new(print));
    }
    Ok(signals)
}

fn print(
    args: &Hash,
    path: &Path,
    name: Option<&Path>,
    found: &Signals,
    output: &Output,
) -> Result<(), Failure> {
    if output.json {
        return output.object(&File {
            file: path,
            signals: found.signals.iter().map(SignalJson::from).collect(),
            parts: found.parts.iter().map(ToString::to_string).collect(),
            width: found.size.map(|(width, _)| width),
            height: found.size.map(|(_, height)| height),
            error: found.unseen.as_ref().map(ToString::to_string),
        });
    }
    for signal in &found.signals {
        match (&signal.value, args.frames) {
            (ValueOrBlob::Value(Value::Vpdq(vpdq)), true) => {
                output.line(vpdq.to_lines().trim_end())?;
            }
            (_, true) => {}
            (_, false) => output.line(line(signal, name))?,
        }
    }
    Ok(())
}

/// KIND VALUE QUALITY, and the file where there are several.
fn line(signal: &Signal, name: Option<&Path>) -> String {
    let (value, quality) = match &signal.value {
        ValueOrBlob::Value(Value::Vpdq(vpdq)) => (vpdq.to_json(), mean_quality(vpdq)),
        ValueOrBlob::Value(value) => (value.to_text(), signal.quality),
        ValueOrBlob::Blob { sha256, .. } => (sha256.to_string(), None),
    };
    let quality = quality.map_or_else(|| "-".to_owned(), |quality| quality.to_string());
    let name = name.map(|name| format!(" {}", name.display())).unwrap_or_default();
    format!("{} {value} {quality}{name}", signal.kind())
}

fn mean_quality(vpdq: &Vpdq) -> Option<u8> {
    let sum: u64 = vpdq.frames.iter().map(|frame| u64::from(frame.quality)).sum();
    let mean = sum.checked_div(vpdq.frames.len() as u64)?;
    u8::try_from(mean).ok()
}
