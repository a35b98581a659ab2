//! Files and folders that a command is given, and the signals of a file, made on this machine.

use std::{
    fs::{self, File},
    hash::Hash,
    io::{self, Read},
    num::NonZeroU32,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use serde::{Serialize, Serializer};
use watchfire_media::{
    animation::{self, Animation},
    format::{Format, is_text, sniff},
    hash::{
        Content, HashError, Hashed, Options, Workspace, digests, digests_of, hash_file,
        least_signals,
    },
    picture,
    video::{Decoder, FrameRate, Input, PLAIN_RATES, QUERY_RATES, looks},
};
use watchfire_node::near::{EditedHits, Near, Whose};
use watchfire_signal::{
    features::{Depth, Views},
    link::{LinkPrint, LinkScope},
    pdq::Pdq,
    text_print::{TextError, TextPrint},
    value::Signal,
};

use crate::{
    exit::{Failure, OrEnvironment, environment},
    output::{Output, count},
};

/// The most bytes of a picture or text that are read: what a picture of 64 million pixels has that is not compressed.
pub(crate) const MAX_HELD_BYTES: u64 = 256 << 20;

/// Bytes that tell what a file is.
const BEGINNING_BYTES: u64 = 4 << 10;

/// What a file holds.
#[derive(Debug)]
pub(crate) enum Contents {
    /// All of its bytes.
    Held(Vec<u8>),
    /// A video or sound, or anything else that is longer than [`MAX_HELD_BYTES`]: it stays where it is. With what it is, as
    /// far as it is media.
    There(PathBuf, Option<Format>),
}

impl Contents {
    /// Opens a file that [`all`] has named, or says why it cannot be.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let about = file.metadata()?;
        if about.is_dir() {
            return Err(io::Error::other("no files in it"));
        }
        let mut bytes = Vec::new();
        (&file).take(BEGINNING_BYTES).read_to_end(&mut bytes)?;
        let format = sniff(&bytes);
        let plays = matches!(format, Some(Format::Video(_) | Format::Sound(_)));
        let plays = plays && !begins_as_text(&bytes);
        // What is no file, such as a pipe, cannot be read twice.
        let is_there = about.is_file();
        if is_there && (plays || about.len() > MAX_HELD_BYTES) {
            return Ok(Self::There(path.to_path_buf(), format));
        }
        (&file).take(MAX_HELD_BYTES + 1 - bytes.len() as u64).read_to_end(&mut bytes)?;
        match bytes.len() as u64 > MAX_HELD_BYTES {
            true if is_there => Ok(Self::There(path.to_path_buf(), format)),
            true => Err(io::Error::other(TOO_LONG)),
            false => Ok(Self::Held(bytes)),
        }
    }

    /// What it is, as far as it is media.
    pub(crate) fn format(&self) -> Option<Format> {
        match self {
            Self::Held(bytes) => sniff(bytes),
            Self::There(_, format) => *format,
        }
    }

    fn text(&self) -> Option<&str> {
        match self {
            Self::Held(bytes) => as_text(bytes),
            Self::There(..) => None,
        }
    }

    fn input(&self) -> Input<'_> {
        match self {
            Self::Held(bytes) => Input::Bytes(bytes),
            Self::There(path, _) => Input::File(path),
        }
    }
}

/// Why nothing is known of what is seen in a long file.
pub(crate) const TOO_LONG: &str = "longer than 256 MiB: of a picture or text no more is read";

/// The signals of one file.
#[derive(Debug)]
pub(crate) struct Signals {
    /// The exact hashes first, then what is seen in it.
    pub signals: Vec<Signal>,
    /// The hashes of what borders and rectangles in a picture hold.
    pub parts: Vec<Pdq>,
    /// Width and height in pixels, of a picture or a video.
    pub size: Option<(u32, u32)>,
    /// What a picture that moves shows.
    pub moving: Option<Animation>,
    /// Why nothing is known of what is seen in it.
    pub unseen: Option<anyhow::Error>,
}

impl Signals {
    fn of(signals: Vec<Signal>) -> Self {
        Self { signals, parts: Vec::new(), size: None, moving: None, unseen: None }
    }
}

/// A file that is a text. What begins like a picture or video and has no bytes but those of a text is one: "The free
/// world" has a box of MP4 in its first letters.
pub(crate) fn as_text(bytes: &[u8]) -> Option<&str> {
    is_text(bytes).then(|| std::str::from_utf8(bytes).ok()).flatten()
}

/// Whether the beginning of a file may be that of a text: the last of its characters may be cut off.
fn begins_as_text(beginning: &[u8]) -> bool {
    const CHARACTER_BYTES: usize = 4;
    let whole = beginning.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    beginning.len() - whole.len() < CHARACTER_BYTES && is_text(whole.as_bytes())
}

/// Makes signals of files here, without a node.
#[derive(Debug)]
pub(crate) struct Hasher {
    options: Options,
}

impl Hasher {
    /// Hashes so many frames a second of a video, every frame without.
    pub(crate) fn new(per_second: Option<NonZeroU32>) -> Result<Self, Failure> {
        let rate = per_second.map_or(FrameRate::Every, FrameRate::PerSecond);
        let video = Decoder::new(std::env::current_exe()?, std::env::temp_dir());
        let picture = picture::Limits::default();
        Ok(Self {
            options: Options {
                picture,
                animation: animation::Limits::default(),
                video,
                rate,
                sound_rates: &PLAIN_RATES,
                edits: false,
            },
        })
    }

    /// Hashes every frame of a video, and makes what edited copies are found by: for what is known.
    pub(crate) fn for_references() -> Result<Self, Failure> {
        let Self { options } = Self::new(None)?;
        Ok(Self { options: Options { edits: true, ..options } })
    }

    /// Hashes so many frames a second, and sound at many speeds: for what is looked up.
    pub(crate) fn for_queries(per_second: NonZeroU32) -> Result<Self, Failure> {
        let Self { options } = Self::new(Some(per_second))?;
        Ok(Self { options: Options { sound_rates: &QUERY_RATES, ..options } })
    }

    /// The signals of a file. What cannot be decoded has its exact hashes.
    pub(crate) fn signals(&self, path: &Path) -> Result<Signals, Failure> {
        self.signals_of(&Contents::of(path).or_environment(path.display())?)
    }

    /// The same of what it holds.
    pub(crate) fn signals_of(&self, contents: &Contents) -> Result<Signals, Failure> {
        let (signals, views) = self.view(contents, Depth::Parts)?;
        let parts = views.parts.into_iter().map(|(part, _)| part).collect();
        Ok(Signals { parts, ..signals })
    }

    /// What a file shows of what is known: what is near its signals, and what it has edited copies of. With why
    /// nothing is known of what is seen in it, if that is so.
    pub(crate) fn search<K: Copy + Eq + Hash + Send + Sync + 'static>(
        &self,
        contents: &Contents,
        known: &Near<K>,
    ) -> Result<(EditedHits<K>, Option<anyhow::Error>), Failure> {
        let (Signals { signals, moving, unseen, .. }, views) =
            self.view(contents, known.depth())?;
        let (signals, unseen) = with_links(signals, unseen, LinkPrint::in_text, contents);
        let EditedHits { mut hits, mut truncated } = known.search_edited(&views);
        hits.extend(signals.iter().flat_map(|signal| known.search(signal, Whose::Held)));
        if let (Some(moving), Contents::Held(bytes)) = (&moving, contents) {
            let moved = self.search_moving(bytes, moving, known);
            hits.extend(moved.hits);
            truncated |= moved.truncated;
        }
        let video = matches!(contents.format(), Some(Format::Video(_)));
        if let Some(mut watch) = known.watch().filter(|_| video && known.has_moments()) {
            let mut parts = Vec::new();
            let looked = looks(contents.input(), &self.options.video, |look| {
                watch.see(&look.frame, &look.pictures);
                parts.extend(look.parts);
                ControlFlow::Continue(())
            });
            // What was seen of a broken file counts; that it is broken was found when it was hashed.
            if let Err(error) = looked {
                tracing::debug!(%error, "not all of a video was looked at");
            }
            hits.extend(watch.found(|_| None));
            truncated |= watch.is_truncated();
            hits.extend(known.search_parts(&parts, |_| None));
        }
        Ok((EditedHits { hits, truncated }, unseen))
    }

    /// What the frames of a picture that moves show edited, as pictures and as a video.
    fn search_moving<K: Copy + Eq + Hash + Send + Sync + 'static>(
        &self,
        bytes: &[u8],
        moving: &Animation,
        known: &Near<K>,
    ) -> EditedHits<K> {
        let depth = known.depth();
        if depth == Depth::Signals {
            return EditedHits::default();
        }
        let EditedHits { mut hits, mut truncated } = EditedHits::default();
        let (mut watch, mut parts) = (known.watch(), Vec::new());
        let limits = (&self.options.animation, &self.options.video.stop);
        let looked = animation::looks(bytes, moving, limits, depth, |look| {
            let found = known.search_edited(&look.views);
            hits.extend(found.hits);
            truncated |= found.truncated;
            parts.extend(look.parts());
            watch.iter_mut().for_each(|watch| watch.see(&look.frame, look.whole()));
            ControlFlow::Continue(())
        });
        // Its frames were hashed before: only the time that it may take can end now.
        if let Err(error) = looked {
            tracing::debug!(%error, "not all of a picture that moves was looked at");
        }
        hits.extend(watch.iter().flat_map(|watch| watch.found(|_| None)));
        truncated |= watch.is_some_and(|watch| watch.is_truncated());
        hits.extend(known.search_parts(&parts, |_| None));
        EditedHits { hits, truncated }
    }

    fn view(&self, contents: &Contents, depth: Depth) -> Result<(Signals, Views), Failure> {
        let plain = |signals| Ok((signals, Views::default()));
        let bytes = match contents {
            Contents::Held(bytes) => bytes,
            Contents::There(path, _) => return plain(self.there(path)?),
        };
        if let Some(text) = as_text(bytes) {
            return plain(words(bytes, TextPrint::of(text)));
        }
        match Workspace::default().view(bytes, &self.options, |_| depth) {
            Ok((hashed, views)) => Ok((of(hashed), views)),
            Err(error) if error.is_ours() => Err(environment(error)),
            Err(error) => {
                let signals = least_signals(bytes, &self.options.picture);
                plain(Signals { unseen: Some(error.into()), ..Signals::of(signals) })
            }
        }
    }

    /// The signals of a file that is not held in memory.
    fn there(&self, path: &Path) -> Result<Signals, Failure> {
        let unseen = match hash_file(path, &self.options) {
            Ok(hashed) => return Ok(of(hashed)),
            Err(error) if error.is_ours() => return Err(environment(error)),
            Err(HashError::NotMedia) => anyhow::Error::msg(TOO_LONG),
            Err(error) => error.into(),
        };
        let (sha256, md5) = digests_of(File::open(path)?).or_environment(path.display())?;
        let signals = vec![Signal::new(sha256), Signal::new(md5)];
        Ok(Signals { unseen: Some(unseen), ..Signals::of(signals) })
    }
}

/// The signals of a text with those of links in it. What is too short to be recognised is so by its links.
pub(crate) fn with_links(
    mut signals: Vec<Signal>,
    unseen: Option<anyhow::Error>,
    links: impl FnOnce(&str) -> Vec<LinkPrint>,
    contents: &Contents,
) -> (Vec<Signal>, Option<anyhow::Error>) {
    let links = contents.text().map(links).unwrap_or_default();
    let unseen = unseen.filter(|_| links.is_empty());
    signals.extend(links.into_iter().map(Signal::new));
    (signals, unseen)
}

/// The links of a text that is nothing but links, one a line. What else leads to the same pages as an article, or names
/// the same shop, is no copy of it: of other texts no link is known.
pub(crate) fn link_list(text: &str) -> Vec<LinkPrint> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let links = lines.map(|line| {
        let web = line.starts_with("http://") || line.starts_with("https://");
        LinkPrint::named(line, LinkScope::Exact).ok().filter(|_| web)
    });
    links.collect::<Option<_>>().unwrap_or_default()
}

/// The signals of a text: its exact hashes first.
fn words(bytes: &[u8], prints: Result<Vec<TextPrint>, TextError>) -> Signals {
    let (sha256, md5) = digests(bytes);
    let mut signals = vec![Signal::new(sha256), Signal::new(md5)];
    let unseen = match prints {
        Ok(prints) => {
            signals.extend(prints.into_iter().map(Signal::new));
            None
        }
        Err(error) => Some(error.into()),
    };
    Signals { unseen, ..Signals::of(signals) }
}

fn of(hashed: Hashed) -> Signals {
    let (size, moving) = match &hashed.content {
        Content::Picture(picture) => {
            (Some((picture.width, picture.height)), picture.moving.clone())
        }
        Content::Video(video) => (Some((video.width, video.height)), None),
        Content::Sound => (None, None),
    };
    Signals { size, moving, ..Signals::of(hashed.signals(None)) }
}

/// All files that paths name: the files themselves, and those under folders, in order of name. What lies in a folder and
/// cannot be read is named too, a folder itself where that is it: reading it says why. Pipes and devices in folders are
/// passed over. A path that names nothing, and one of a folder without files, are named as well.
pub(crate) fn all(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in paths {
        let before = files.len();
        walk(path, &mut files);
        if files.len() == before {
            files.push(path.clone());
        }
    }
    files
}

/// Reads a file that [`all`] has named, or says why it cannot be.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::IsADirectory => io::Error::other("no files in it"),
        _ => error,
    })
}

/// A file that could not be read, for programs.
#[derive(Debug, Serialize)]
struct Unread<'a> {
    #[serde(serialize_with = "named")]
    file: &'a Path,
    error: String,
}

/// Names of files need not be texts.
pub(crate) fn named<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// Tells of a file that could not be read, beside the answers for the others.
pub(crate) fn complain(file: &Path, error: &io::Error, output: &Output) -> Result<(), Failure> {
    if output.json {
        return output.object(&Unread { file, error: error.to_string() });
    }
    output.complain(format!("{}: {error}", file.display()));
    Ok(())
}

/// The end of a command that could not read some of its files.
pub(crate) fn all_read(unread: usize) -> Result<(), Failure> {
    match unread {
        0 => Ok(()),
        some => Err(environment(format!("{} could not be read", count(some as u64, "file")))),
    }
}

fn walk(path: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let Ok(entries) = entries else { return files.push(path.to_path_buf()) };
    let mut entries: Vec<_> = entries.iter().map(fs::DirEntry::path).collect();
    entries.sort();
    for path in entries {
        match fs::metadata(&path) {
            // A symbolic link to a folder could lead in a circle.
            Ok(what) if what.is_dir() && path.is_symlink() => {}
            Ok(what) if what.is_dir() => walk(&path, files),
            Ok(what) if !what.is_file() => {}
            _ => files.push(path),
        }
    }
}
