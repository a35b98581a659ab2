//! The one way in: bytes of any supported file to all of its hashes.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use md5::Md5;
use sha2::{Digest, Sha256};
use watchfire_signal::digest::{Md5Digest, Sha256Digest};
use watchfire_signal::features::{Depth, Moment, Views};
use watchfire_signal::pdq::Pdq;
use watchfire_signal::value::{Signal, Span, Value};

use crate::animation::{self, Animation, AnimationError};
use crate::edits;
use crate::format::{Format, sniff};
use crate::pdq::{Hasher, MIN_SIDE, Pixels};
use crate::picture::{self, PictureError};
use crate::video::{Copy, Decoder, FrameRate, Sound, VideoError, VideoHash};

/// Bytes of a file that are read at a time.
const PIECE_BYTES: usize = 1 << 20;

/// How a file is hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// What a picture may need.
    pub picture: picture::Limits,
    /// What one that moves may need.
    pub animation: animation::Limits,
    /// What a video is decoded with, and what it may need.
    pub video: Decoder,
    /// Which frames of a video, or of a picture that moves, are hashed.
    pub rate: FrameRate,
    /// At which speeds sound is fingerprinted, in percent; not at all where there are none.
    pub sound_rates: &'static [u8],
    /// Whether it is a reference: a picture or video gets the signals that its edited copies are found by, and one that
    /// moves is known by its first frame and its frames in time, not by each as a picture.
    pub edits: bool,
}

/// The hashes of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashed {
    /// SHA-256 of the bytes.
    pub sha256: Sha256Digest,
    /// MD5 of the bytes.
    pub md5: Md5Digest,
    /// What is seen in the file.
    pub content: Content,
    /// What is heard in it, in pieces of at most ten minutes, at each speed that was asked for.
    pub sound: Vec<Sound>,
}

impl Hashed {
    /// All of it as signals: the exact hashes first, then what is seen, then what is heard. Of a video or
    /// sound of which only `span` is meant the frames say so and the sound is cut; the exact hashes name
    /// the whole file, which contains that part.
    #[must_use]
    pub fn signals(self, span: Option<Span>) -> Vec<Signal> {
        let seen = match self.content {
            Content::Picture(picture) => {
                let hash = Signal { quality: Some(picture.quality), ..Signal::new(picture.pdq) };
                let moving = picture.moving.map(Animation::signals).unwrap_or_default();
                [vec![hash], moving, picture.edits].concat()
            }
            Content::Video(video) => {
                let hash = Signal { span, ..Signal::new(Value::Vpdq(video.vpdq)) };
                let moments = video.moments.into_iter().map(Signal::from);
                std::iter::once(hash).chain(moments).collect()
            }
            Content::Sound => Vec::new(),
        };
        let heard = self.sound.into_iter().filter_map(|sound| sound.signal(span));
        let exact = [Signal::new(self.sha256), Signal::new(self.md5)];
        exact.into_iter().chain(seen).chain(heard).collect()
    }
}

/// What is seen in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A picture, which may move.
    Picture(Box<PictureHash>),
    /// A video.
    Video(VideoHash),
    /// Nothing: it is sound alone.
    Sound,
}

/// What was found out about one picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureHash {
    /// The hash of the picture as it is.
    pub pdq: Pdq,
    /// Quality, 0 to 100; below 50 the hash says too little to be matched.
    pub quality: u8,
    /// The hashes of the turned and mirrored picture, in the order of [`Dihedral::ALL`](crate::pdq::Dihedral::ALL).
    pub dihedral: [Pdq; 8],
    /// Width in pixels, before any orientation that metadata asks for.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// What its edited copies are found by, if [`Options::edits`] asked for it.
    pub edits: Vec<Signal>,
    /// What is shown after the first frame, of a picture that moves.
    pub moving: Option<Animation>,
}

impl PictureHash {
    /// The hashes of the inverted picture, turned and mirrored in the same order: to find a known
    /// picture of which this one is the negative.
    #[must_use]
    pub fn inverted(&self) -> [Pdq; 8] {
        self.dihedral.map(|pdq| pdq.complement())
    }
}

/// Why a file could not be hashed.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// There are no bytes.
    #[error("the file is empty")]
    Empty,
    /// The bytes are neither a picture nor a video nor sound that is decoded here.
    #[error("the file is neither a picture nor a video nor sound that can be hashed")]
    NotMedia,
    /// The picture is too small to have a hash.
    #[error("the picture has {width} × {height} pixels, and a hash needs {MIN_SIDE} a side")]
    TooSmall {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The picture cannot be decoded.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// Of a picture that moves not all can be looked at.
    #[error(transparent)]
    Animation(#[from] AnimationError),
    /// The video cannot be decoded.
    #[error(transparent)]
    Video(#[from] VideoError),
}

impl HashError {
    /// Whether this machine, and not the file, is to blame, or nobody waits for it any more.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        let error = match self {
            Self::Video(error) => error,
            Self::Animation(error) => return *error == AnimationError::Stopped,
            _ => return false,
        };
        match error {
            VideoError::NoFfmpeg(_)
            | VideoError::Sandbox(_)
            | VideoError::Io(_)
            | VideoError::Stopped => true,
            VideoError::Empty
            | VideoError::NotAVideo
            | VideoError::NoVideoStream
            | VideoError::IndexAtEnd
            | VideoError::Malformed(_)
            | VideoError::Truncated(_)
            | VideoError::TooLarge(_)
            | VideoError::TooLong
            | VideoError::TooSlow(_)
            | VideoError::Stalled(_)
            | VideoError::EmptyPart => false,
        }
    }
}

/// The exact hashes of any bytes, media or not.
#[must_use]
pub fn digests(bytes: &[u8]) -> (Sha256Digest, Md5Digest) {
    (Sha256Digest(Sha256::digest(bytes).into()), Md5Digest(Md5::digest(bytes).into()))
}

/// The same of what is read, a piece at a time.
///
/// # Errors
/// What reading does.
pub fn digests_of(mut from: impl Read) -> io::Result<(Sha256Digest, Md5Digest)> {
    let (mut sha256, mut md5) = (Sha256::new(), Md5::new());
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = match from.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        if read == 0 {
            return Ok((Sha256Digest(sha256.finalize().into()), Md5Digest(md5.finalize().into())));
        }
        sha256.update(&piece[..read]);
        md5.update(&piece[..read]);
    }
}

/// What can be said of a file all the same that cannot be hashed: its exact hashes, and of a picture that moves more than
/// can be looked at its first frame.
#[must_use]
pub fn least_signals(bytes: &[u8], limits: &picture::Limits) -> Vec<Signal> {
    let (sha256, md5) = digests(bytes);
    let first = hash_picture(bytes, limits).ok();
    let first =
        first.map(|first| Signal { quality: Some(first.quality), ..Signal::new(first.pdq) });
    [Signal::new(sha256), Signal::new(md5)].into_iter().chain(first).collect()
}

/// Hashes a file; what it is, its first bytes say. Blocks: a video takes seconds.
///
/// # Errors
/// [`HashError`]; see [`VideoError`] for those after which trying again may help.
pub fn hash(bytes: &[u8], options: &Options) -> Result<Hashed, HashError> {
    Workspace::default().hash(bytes, options)
}

/// Hashes a video or sound where it is, however large: nothing of it is held in memory, and it is not copied. Blocks.
///
/// # Errors
/// As [`hash()`], and [`HashError::NotMedia`] for a picture too.
pub fn hash_file(path: &Path, options: &Options) -> Result<Hashed, HashError> {
    let copy = match Copy::at(path) {
        Err(VideoError::Empty) => return Err(HashError::Empty),
        Err(VideoError::NotAVideo) => return Err(HashError::NotMedia),
        copy => copy?,
    };
    let (sha256, md5) =
        digests_of(File::open(path).map_err(VideoError::Io)?).map_err(VideoError::Io)?;
    let (content, sound) = video(&copy, options)?;
    Ok(Hashed { sha256, md5, content, sound })
}

/// The frames that edited copies are found by. A video that cannot be looked at once more, or not in time, is
/// known by its hashes.
fn moments(
    copy: &Copy,
    options: &Options,
    in_vain: &AtomicBool,
) -> Result<Vec<Moment>, VideoError> {
    match copy.moments(options.rate.part(), &options.video, in_vain) {
        Err(
            VideoError::Malformed(_)
            | VideoError::Truncated(_)
            | VideoError::TooLarge(_)
            | VideoError::Stalled(_),
        ) => Ok(Vec::new()),
        moments => moments,
    }
}

/// What is heard in a video. A sound track that cannot be decoded, or not in time, does not hide what is
/// seen.
fn heard(copy: &Copy, options: &Options) -> Result<Vec<Sound>, VideoError> {
    match sound_of(copy, options) {
        Err(
            VideoError::Malformed(_)
            | VideoError::Truncated(_)
            | VideoError::TooLarge(_)
            | VideoError::TooSlow(_),
        ) => Ok(Vec::new()),
        heard => heard,
    }
}

fn sound_of(copy: &Copy, options: &Options) -> Result<Vec<Sound>, VideoError> {
    if options.sound_rates.is_empty() {
        return Ok(Vec::new());
    }
    copy.sound(options.sound_rates, &options.video)
}

/// Hashes a picture.
///
/// # Errors
/// [`HashError`] about the picture.
pub fn hash_picture(bytes: &[u8], limits: &picture::Limits) -> Result<PictureHash, HashError> {
    Workspace::default().hash_picture(bytes, limits)
}

/// Memory that is used for one file after another, because fresh memory costs a fourth of the time of
/// a large picture. It stays as large as the largest picture so far needed it, which
/// [`picture::Limits::max_pixels`] bounds, until it is dropped.
#[derive(Debug, Default)]
pub struct Workspace {
    hasher: Hasher,
    memory: Vec<u8>,
}

impl Workspace {
    /// As [`hash()`] does.
    ///
    /// # Errors
    /// As [`hash()`].
    pub fn hash(&mut self, bytes: &[u8], options: &Options) -> Result<Hashed, HashError> {
        Ok(self.view(bytes, options, |_| Depth::Signals)?.0)
    }

    /// The same, and of a picture what an edited copy is looked up by, as far as `depth` says when it has
    /// seen the hashes.
    ///
    /// # Errors
    /// As [`hash()`].
    pub fn view(
        &mut self,
        bytes: &[u8],
        options: &Options,
        depth: impl FnOnce(&Hashed) -> Depth,
    ) -> Result<(Hashed, Views), HashError> {
        if bytes.is_empty() {
            return Err(HashError::Empty);
        }
        let (sha256, md5) = digests(bytes);
        let hashed = |(content, sound)| Hashed { sha256, md5, content, sound };
        match sniff(bytes).ok_or(HashError::NotMedia)? {
            Format::Picture(_) => self.with_pixels(bytes, &options.picture, |hasher, pixels| {
                let mut picture = of_pixels(hasher, pixels)?;
                picture.moving = moving_picture(bytes, picture.pdq, options, hasher)?;
                if options.edits {
                    picture.edits = edits::reference(pixels);
                }
                let hashed = hashed((Content::Picture(Box::new(picture)), Vec::new()));
                let views = edits::views(pixels, depth(&hashed));
                Ok((hashed, views))
            }),
            Format::Video(_) => {
                Ok((hashed(video(&Copy::of(bytes, &options.video)?, options)?), Views::default()))
            }
            Format::Sound(_) => {
                let sound = sound_of(&Copy::of(bytes, &options.video)?, options)?;
                Ok((hashed((Content::Sound, sound)), Views::default()))
            }
        }
    }

    /// As [`hash_picture`] does.
    ///
    /// # Errors
    /// As [`hash_picture`].
    pub fn hash_picture(
        &mut self,
        bytes: &[u8],
        limits: &picture::Limits,
    ) -> Result<PictureHash, HashError> {
        self.with_pixels(bytes, limits, of_pixels)
    }

    fn with_pixels<T>(
        &mut self,
        bytes: &[u8],
        limits: &picture::Limits,
        work: impl FnOnce(&mut Hasher, Pixels<'_>) -> Result<T, HashError>,
    ) -> Result<T, HashError> {
        let picture = picture::decode_into(bytes, limits, &mut self.memory)?;
        let worked = work(&mut self.hasher, picture.pixels());
        self.memory = picture.into_memory();
        worked
    }
}

fn of_pixels(hasher: &mut Hasher, pixels: Pixels<'_>) -> Result<PictureHash, HashError> {
    let (width, height) = (pixels.width(), pixels.height());
    let fingerprint = hasher.hash(pixels).ok_or(HashError::TooSmall { width, height })?;
    Ok(PictureHash {
        pdq: fingerprint.pdq,
        quality: fingerprint.quality,
        dihedral: fingerprint.dihedral(),
        width,
        height,
        edits: Vec::new(),
        moving: None,
    })
}

/// What a picture shows after its first frame, if it moves.
fn moving_picture(
    bytes: &[u8],
    first: Pdq,
    options: &Options,
    hasher: &mut Hasher,
) -> Result<Option<Animation>, HashError> {
    let limits = (&options.animation, &options.video.stop);
    let moving = animation::hash(bytes, first, options.rate, limits, hasher)?;
    // Whoever reports what moves does not say of each frame that it is harmful by itself.
    let known = |moving| Animation { pictures: Vec::new(), ..moving };
    Ok(if options.edits { moving.map(known) } else { moving })
}

/// What is seen and heard in a video.
fn video(copy: &Copy, options: &Options) -> Result<(Content, Vec<Sound>), HashError> {
    // Side by side: whoever raises an alert waits for both.
    let in_vain = AtomicBool::new(false);
    let (hashed, moments) = std::thread::scope(|scope| {
        let choosing = options.edits.then(|| scope.spawn(|| moments(copy, options, &in_vain)));
        let hashed = copy.hash(options.rate, &options.video);
        in_vain.store(hashed.is_err(), Ordering::Relaxed);
        let gone = || Err(VideoError::Io(std::io::Error::other("a thread gave up")));
        let chosen = choosing.map(|choosing| choosing.join().unwrap_or_else(|_| gone()));
        (hashed, chosen.unwrap_or_else(|| Ok(Vec::new())))
    });
    match hashed {
        Ok(video) => {
            let video = VideoHash { moments: moments?, ..video };
            Ok((Content::Video(video), heard(copy, options)?))
        }
        // A container of videos may hold sound alone.
        Err(VideoError::NoVideoStream) => Ok((Content::Sound, sound_of(copy, options)?)),
        Err(error) => Err(error.into()),
    }
}
