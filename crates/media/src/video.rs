//! Hashes the frames of a video with vPDQ, by way of a sandboxed ffmpeg.
//!
//! Frames are hashed at full size as RGB, turned by no metadata, as vPDQ hashes them. vPDQ chooses them by their
//! numbers, and takes number ÷ frames a second for their times; here they are chosen by the times that the file
//! gives them. Where the frame rate is even it is the same; where it is not, a second of very many frames would
//! hide all others.
//! Source: facebook/ThreatExchange, `vpdq/README.md` and `vpdq/cpp/hashing`.
//!
//! **Invariant:** memory does not grow with the length of the video, except by 44 bytes a hash.
//! **Invariant:** when a function here returns, its child is gone.

mod child;
mod filter;
mod frames;
mod hearing;
mod looks;
mod moments;
mod probe;
mod selection;
mod sound;
mod stop;
mod stream;
mod timed;
mod window;

use std::io::Write;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use watchfire_signal::features::Moment;
use watchfire_signal::vpdq::Vpdq;

use crate::format::{Container, Format, sniff};
use crate::sandbox::Sandbox;

use selection::Selection;

pub use hearing::{Heard, Hearing, Rates, hear};
pub use looks::{Look, MAX_LOOKS, live_looks, looks};
pub use moments::{MAX_MOMENTS, MOMENT_FEATURES};
pub use probe::FramesPerSecond;
pub use selection::MAX_THINNED;
pub use sound::{PLAIN_RATES, QUERY_RATES, Sound};
pub use stop::Stop;
pub use stream::{Input, MAX_STALL, Pace, Seen, Streamed, Streaming, stream};
pub use window::{Recording, Window, frames_span};

/// Wall time for one video; what takes longer than ten minutes belongs to a stream.
pub const MAX_WALL_TIME: Duration = Duration::from_mins(10);

/// Frames that are hashed of one video: three hours at 30 a second.
pub const MAX_FRAMES: u32 = 330_000;

/// Bytes of decoded frames that are read of one video: three hours at 2 a second in 4K.
pub const MAX_OUTPUT_BYTES: u64 = 1 << 40;

/// The longest side of a frame, in pixels; 8K video has 7,680.
pub const MAX_SIDE: u32 = 8_192;

/// The most pixels of a frame: 8K video.
pub const MAX_FRAME_PIXELS: u64 = 36_000_000;

/// The most threads that decode one video. Each has frames of its own: 8K H.264 with 16 threads does not fit in
/// [`MAX_ADDRESS_BYTES`](crate::sandbox::MAX_ADDRESS_BYTES), and more than four gain little where several videos are
/// decoded at a time.
pub const MAX_DECODING_THREADS: usize = 4;

/// Where Debian puts the programs.
const FFMPEG: &str = "/usr/bin/ffmpeg";
const FFPROBE: &str = "/usr/bin/ffprobe";

/// What hashing one video may need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Time from start to end.
    pub wall_time: Duration,
    /// Frames that are hashed.
    pub max_frames: u32,
    /// Bytes of decoded frames.
    pub max_output_bytes: u64,
    /// Longest side of a frame, in pixels.
    pub max_side: u32,
    /// Width × height of a frame.
    pub max_pixels: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall_time: MAX_WALL_TIME,
            max_frames: MAX_FRAMES,
            max_output_bytes: MAX_OUTPUT_BYTES,
            max_side: MAX_SIDE,
            max_pixels: MAX_FRAME_PIXELS,
        }
    }
}

/// Which frames are hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameRate {
    /// Every frame.
    Every,
    /// The first in each such part of a second; every frame if the video has fewer.
    PerSecond(NonZeroU32),
    /// Every frame, of a part if one is given. Where these are too many, the first in each of equal times, so that
    /// all of it stays recognisable; longer than [`MAX_THINNED`] it is refused instead.
    Reference {
        /// The part; all of the video when absent.
        part: Option<Part>,
        /// The most frames that come out.
        at_most: NonZeroU32,
    },
}

impl FrameRate {
    /// The part that is meant; all of the video if there is none.
    pub(crate) fn part(self) -> Option<Part> {
        match self {
            Self::Reference { part, .. } => part,
            Self::Every | Self::PerSecond(_) => None,
        }
    }
}

/// A part of a video: frames at or after `start_ms` and not after `end_ms`, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Where it begins.
    pub start_ms: u32,
    /// Where it ends.
    pub end_ms: u32,
}

/// What a video is decoded with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoder {
    /// How the programs are started.
    pub sandbox: Sandbox,
    /// The program that decodes.
    pub ffmpeg: PathBuf,
    /// The program that tells size and rate.
    pub ffprobe: PathBuf,
    /// The folder for the copy of the video that the programs read.
    pub scratch: PathBuf,
    /// Threads that hash frames; decoding has as many of its own, at most [`MAX_DECODING_THREADS`].
    pub threads: usize,
    /// What one video may need.
    pub limits: Limits,
    /// Ends all that is decoded with this.
    pub stop: Stop,
}

impl Decoder {
    /// A decoder with Debian's ffmpeg and the usual limits, in a sandbox entered through
    /// `executable`, with copies in the folder `scratch`.
    #[must_use]
    pub fn new(executable: PathBuf, scratch: PathBuf) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            sandbox: Sandbox::new(executable),
            ffmpeg: FFMPEG.into(),
            ffprobe: FFPROBE.into(),
            scratch,
            threads,
            limits: Limits::default(),
            stop: Stop::default(),
        }
    }

    /// What the programs are told about threads: those that decode, those that filter.
    fn thread_arguments(&self) -> [String; 4] {
        let threads = self.threads.clamp(1, MAX_DECODING_THREADS).to_string();
        ["-threads".into(), threads.clone(), "-filter_threads".into(), threads]
    }
}

/// Why a video could not be hashed.
#[derive(Debug, thiserror::Error)]
pub enum VideoError {
    /// There are no bytes.
    #[error("the file is empty")]
    Empty,
    /// The bytes are no video in a container that is decoded here.
    #[error("the file is not a video")]
    NotAVideo,
    /// There is no moving picture in the file, only sound or data.
    #[error("the file has no video stream")]
    NoVideoStream,
    /// The file ends before the video does.
    #[error("the video is truncated: {0}")]
    Truncated(String),
    /// The decoder refused the video.
    #[error("the video cannot be decoded: {0}")]
    Malformed(String),
    /// The video would need more than the limits allow.
    #[error("the video is too large: {0}")]
    TooLarge(String),
    /// The video took longer than the limits allow.
    #[error("the video took longer than {0:?}")]
    TooSlow(Duration),
    /// A stream gave no frame, and took in no bytes, for longer than the limits allow.
    #[error("the stream stood still for {0:?}")]
    Stalled(Duration),
    /// The video comes as a stream and cannot be decoded before all of it is there.
    #[error(
        "the index of this MP4 stands behind its pictures, so nothing of it can be decoded before all of \
         it is there: send it as a file, or fragmented"
    )]
    IndexAtEnd,
    /// The video is longer than can be recognised by the frames that may be listed.
    #[error("it is longer than {MAX_THINNED:?}: say which part is meant")]
    TooLong,
    /// The part that is meant has no frame.
    #[error("the span holds no frame of the video")]
    EmptyPart,
    /// [`Stop::stop`] was called.
    #[error("the video was given up: nobody waits for it any more")]
    Stopped,
    /// The decoder is not installed.
    #[error("{0} is missing: apt-get install ffmpeg")]
    NoFfmpeg(PathBuf),
    /// The sandbox could not be set up; nothing was decoded.
    #[error("the sandbox failed: {0}")]
    Sandbox(String),
    /// A file, pipe or process of ours failed; trying again may help.
    #[error("hashing failed on this machine: {0}")]
    Io(#[from] std::io::Error),
}

/// What was found out about one video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoHash {
    /// The hashed frames.
    pub vpdq: Vpdq,
    /// The frames that edited copies are found by, where [`Copy::moments`] was asked for them.
    pub moments: Vec<Moment>,
    /// Width of a frame in pixels.
    pub width: u32,
    /// Height of a frame in pixels.
    pub height: u32,
    /// Frames a second, on average.
    pub rate: FramesPerSecond,
    /// Length in milliseconds: what the container says, else the time of the last hashed frame.
    pub duration_ms: u64,
}

/// Hashes the frames of a video. Blocks until it is done; uses threads and two child processes.
///
/// # Errors
/// [`VideoError`]; all but `NoFfmpeg`, `Sandbox`, `Stopped` and `Io` are about the bytes and will come again.
pub fn hash(bytes: &[u8], rate: FrameRate, decoder: &Decoder) -> Result<VideoHash, VideoError> {
    Copy::of(bytes, decoder)?.hash(rate, decoder)
}

/// A video or sound as the file that the decoder may read, for as long as this lives. A file and not a
/// pipe: an MP4 may have its index at the end.
#[derive(Debug)]
pub struct Copy {
    file: Held,
    container: Container,
}

/// Where the bytes are.
#[derive(Debug)]
enum Held {
    Written(tempfile::NamedTempFile),
    /// Somebody else's file, which stays.
    There(PathBuf),
}

impl Copy {
    /// Writes the bytes into the decoder's folder.
    ///
    /// # Errors
    /// [`VideoError::Empty`], [`VideoError::NotAVideo`], [`VideoError::Io`].
    pub fn of(bytes: &[u8], decoder: &Decoder) -> Result<Self, VideoError> {
        let container = match sniff(bytes) {
            Some(Format::Video(container) | Format::Sound(container)) => container,
            _ if bytes.is_empty() => return Err(VideoError::Empty),
            _ => return Err(VideoError::NotAVideo),
        };
        let mut file = tempfile::NamedTempFile::new_in(&decoder.scratch)?;
        file.write_all(bytes)?;
        file.flush()?;
        Ok(Self { file: Held::Written(file), container })
    }

    /// No copy, but the file where it is, which may be larger than what fits into memory.
    ///
    /// # Errors
    /// As [`Copy::of`].
    pub fn at(path: &Path) -> Result<Self, VideoError> {
        let path = std::path::absolute(path)?;
        let (beginning, _) = stream::peek(std::fs::File::open(&path)?)?;
        let container = match sniff(&beginning) {
            Some(Format::Video(container) | Format::Sound(container)) => container,
            _ if beginning.is_empty() => return Err(VideoError::Empty),
            _ => return Err(VideoError::NotAVideo),
        };
        Ok(Self { file: Held::There(path), container })
    }

    fn path(&self) -> &Path {
        match &self.file {
            Held::Written(file) => file.path(),
            Held::There(path) => path,
        }
    }

    /// As [`hash()`].
    ///
    /// # Errors
    /// As [`hash()`].
    pub fn hash(&self, rate: FrameRate, decoder: &Decoder) -> Result<VideoHash, VideoError> {
        let facts = probe::probe(self.path(), self.container, decoder)?;
        let selection = Selection::of(rate, &facts)?;
        let mut frames = frames::hash(self.path(), self.container, &selection, decoder)?;
        selection::numbered(&mut frames, rate, &facts);
        let frames = selection::thinned(frames, rate)?;
        let last_ms = frames.last().map_or(0, |frame| frame.at_ms);
        Ok(VideoHash {
            vpdq: Vpdq { frames },
            moments: Vec::new(),
            width: facts.width,
            height: facts.height,
            rate: facts.rate,
            duration_ms: facts.duration_ms.unwrap_or(u64::from(last_ms)),
        })
    }
}

/// What ffmpeg and ffprobe are told about the input: its container and that it is one file.
///
/// Without these a file could name others to be opened.
fn input_arguments(container: Container) -> [&'static str; 6] {
    input_arguments_from("file", container)
}

/// The same for an input that comes by another protocol of ffmpeg.
fn input_arguments_from(protocol: &'static str, container: Container) -> [&'static str; 6] {
    ["-v", "error", "-protocol_whitelist", protocol, "-f", container.demuxer()]
}
