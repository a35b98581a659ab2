//! Looks at a video while it is decoded: grey frames with their hashes and times, one after another.
//!
//! For queries, where speed and constant memory count and no hash is given to others: what is
//! exported is the hash of frames in colour, as [`super::hash`] makes it. Grey moves a hash by 1 bit
//! as a rule and 20 at most in what was measured; frames scaled to 512 pixels by up to 36, so they
//! are not scaled (`docs/benchmarks/video.md`).
//!
//! **Invariant:** memory does not depend on the length of the video: a frame, and what is in pipes.
//! **Invariant:** the child is given one file, or a pipe and no file.

use std::io::{self, BufReader, Read, Write};
use std::num::NonZeroU32;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use watchfire_signal::vpdq::Frame;

use super::child::{Child, Patience, Steps};
use super::timed::{self, TimedFrame, TimedFrames};
use super::{Copy, Decoder, Limits, VideoError, filter, input_arguments_from};
use crate::format::{Container, Format, sniff};
use crate::pdq::{Hasher, Layout, Pixels};
use crate::sandbox::Sandbox;

/// How long a stream may stand still. A live one gives frames all the time, and a decoder that is
/// busy for a minute without one is caught in something.
pub const MAX_STALL: Duration = Duration::from_mins(1);

/// Processor time of one stream, in seconds: three hours of 8K video. What keeps a stream from going
/// on for ever is whoever reads it.
pub(super) const MAX_CPU_SECONDS: u64 = 24 * 3_600;

/// Bytes at the beginning of a stream that are looked at to tell what it is.
const PEEK_BYTES: usize = 64 * 1024;

/// Bytes that go from a reader to the child at once.
const FEED_BYTES: usize = 64 * 1024;

/// Which frames are handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Those that can be decoded without others: the cheapest look, one every few seconds. A file has
    /// as few of them as its maker wanted, so it is a look that can find something, not nothing.
    Keyframes,
    /// The first in each such part of a second of those on which others depend; the rest are not
    /// decoded. How many there are is up to the file's maker too: [`Streamed::longest_gap_ms`].
    References(NonZeroU32),
    /// The first in each such part of a second; all are decoded.
    PerSecond(NonZeroU32),
}

/// What is decoded.
pub enum Input<'a> {
    /// All of a video.
    Bytes(&'a [u8]),
    /// A file, which is read where it is.
    File(&'a Path),
    /// What comes from a pipe or a file that grows; the end is where the reader says so. It is read on
    /// a thread of its own, and dropped when the stream ends or, if it blocks, when its read returns.
    Reader(Box<dyn Read + Send>),
}

/// How a stream is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streaming {
    /// Which frames.
    pub pace: Pace,
    /// How long neither a frame may come nor bytes be taken in.
    pub stall: Duration,
}

/// A frame of a stream.
pub struct Seen<'a> {
    /// Its hash, its time from the beginning, and its number among those that were handed out.
    pub frame: Frame,
    /// Its luminance, at full size and turned by no metadata; [`Pixels::shrunk`] makes it smaller.
    pub picture: Pixels<'a>,
}

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streamed {
    /// Frames that were handed out.
    pub frames: u32,
    /// Whether the caller broke it off; else it came to its end.
    pub broken_off: bool,
    /// The time of the last frame.
    pub last_ms: u32,
    /// The longest time between two frames, or before the first. Where it is much longer than the pace
    /// asks for, or the video goes on long after the last frame, the file may hide pictures among frames
    /// that were not decoded: look at it again with [`Pace::PerSecond`].
    pub longest_gap_ms: u32,
}

/// Decodes a video and hands its frames to `each`, until that breaks off or the video ends. Blocks.
///
/// # Errors
/// [`VideoError`], also after frames were handed out. [`VideoError::IndexAtEnd`] for an MP4 from a
/// reader that has to be whole first. Limits on time and frames in all do not apply, only on stalls.
pub fn stream(
    input: Input<'_>,
    streaming: Streaming,
    decoder: &Decoder,
    each: impl FnMut(Seen<'_>) -> ControlFlow<()>,
) -> Result<Streamed, VideoError> {
    let sandbox = Sandbox { cpu_seconds: MAX_CPU_SECONDS, ..decoder.sandbox.clone() };
    let steps = Arc::new(Steps::default());
    let patience = Patience::Step(streaming.stall, Arc::clone(&steps));
    let start =
        |command| Child::start_patiently(command, &decoder.ffmpeg, decoder, patience.clone());
    match input {
        Input::Bytes(bytes) => {
            let container = container(bytes)?;
            let mut copy = tempfile::NamedTempFile::new_in(&decoder.scratch)?;
            copy.write_all(bytes)?;
            copy.flush()?;
            let child = start(of_file(copy.path(), container, &sandbox, streaming.pace, decoder))?;
            hand_out(child, &decoder.limits, &steps, each)
        }
        Input::File(path) => {
            let path = std::path::absolute(path)?;
            let (beginning, _) = peek(std::fs::File::open(&path)?)?;
            let container = container(&beginning)?;
            let child = start(of_file(&path, container, &sandbox, streaming.pace, decoder))?;
            hand_out(child, &decoder.limits, &steps, each)
        }
        Input::Reader(reader) => {
            let (beginning, rest) = peek(reader)?;
            let container = container(&beginning)?;
            if container == Container::Mp4 && !has_index_first(&beginning) {
                return Err(VideoError::IndexAtEnd);
            }
            let mut child = start(of_pipe(container, &sandbox, streaming.pace, decoder))?;
            let pipe = child.input()?;
            let fed = Arc::clone(&steps);
            std::thread::spawn(move || feed(io::Cursor::new(beginning).chain(rest), pipe, &fed));
            hand_out(child, &decoder.limits, &steps, each)
        }
    }
}

impl Copy {
    /// As [`stream()`].
    ///
    /// # Errors
    /// As [`stream()`].
    pub fn stream(
        &self,
        streaming: Streaming,
        decoder: &Decoder,
        each: impl FnMut(Seen<'_>) -> ControlFlow<()>,
    ) -> Result<Streamed, VideoError> {
        stream(Input::File(self.path()), streaming, decoder, each)
    }
}

pub(super) fn container(beginning: &[u8]) -> Result<Container, VideoError> {
    match sniff(beginning) {
        Some(Format::Video(container)) => Ok(container),
        _ if beginning.is_empty() => Err(VideoError::Empty),
        _ => Err(VideoError::NotAVideo),
    }
}

/// Reads as much of the beginning as tells what it is, without waiting for more than that.
pub(super) fn peek<R: Read>(mut reader: R) -> io::Result<(Vec<u8>, R)> {
    let mut beginning = vec![0; PEEK_BYTES];
    let mut length = 0;
    while length < beginning.len() {
        let read = match reader.read(&mut beginning[length..]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        length += read;
        let known = match sniff(&beginning[..length]) {
            Some(Format::Video(Container::Mp4)) => {
                order_of_boxes(&beginning[..length]) != Order::Unknown
            }
            found => found.is_some(),
        };
        if read == 0 || known {
            break;
        }
    }
    beginning.truncate(length);
    Ok((beginning, reader))
}

/// What the boxes at the beginning of an MP4 say about where its index is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    IndexFirst,
    PicturesFirst,
    Unknown,
}

/// Whether an MP4 can be decoded as it comes. Where the beginning does not tell, ffmpeg will.
fn has_index_first(beginning: &[u8]) -> bool {
    order_of_boxes(beginning) != Order::PicturesFirst
}

fn order_of_boxes(bytes: &[u8]) -> Order {
    let mut at = 0_usize;
    while let Some(head) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let [a, b, c, d, name @ ..] = *head;
        match &name {
            b"moov" => return Order::IndexFirst,
            b"mdat" => return Order::PicturesFirst,
            _ => {}
        }
        // Sizes of 0 and 1 are those of boxes to the end and of more than 4 GB: of pictures only.
        let size = u32::from_be_bytes([a, b, c, d]) as usize;
        if size < head.len() {
            return Order::Unknown;
        }
        at = at.saturating_add(size);
    }
    Order::Unknown
}

/// Writes to the child what comes from the reader, until one of the two ends.
pub(super) fn feed(mut from: impl Read, mut to: impl Write, steps: &Steps) {
    let mut buffer = vec![0; FEED_BYTES];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // As if the stream ended here; what was seen of it has been handed out.
            Err(error) => {
                tracing::warn!(%error, "a stream of video broke off");
                return;
            }
        };
        if to.write_all(&buffer[..read]).and_then(|()| to.flush()).is_err() {
            return;
        }
        steps.take();
    }
}

fn of_file(
    path: &Path,
    container: Container,
    sandbox: &Sandbox,
    pace: Pace,
    decoder: &Decoder,
) -> Command {
    let mut command = sandbox.command(&decoder.ffmpeg, path);
    before_input(&mut command, pace, decoder);
    command.args(input_arguments_from("file", container)).arg("-i").arg(PathBuf::from(path));
    behind_input(&mut command, pace);
    command
}

fn of_pipe(container: Container, sandbox: &Sandbox, pace: Pace, decoder: &Decoder) -> Command {
    let mut command = sandbox.command_on_pipe(&decoder.ffmpeg);
    before_input(&mut command, pace, decoder);
    command.args(input_arguments_from("pipe", container)).args(["-i", "pipe:0"]);
    behind_input(&mut command, pace);
    command
}

fn before_input(command: &mut Command, pace: Pace, decoder: &Decoder) {
    let limits = &decoder.limits;
    command.args(["-nostdin", "-noautorotate", "-max_pixels", &limits.max_pixels.to_string()]);
    command.args(filter::BEFORE_INPUT);
    match pace {
        // One frame at a time needs one thread. The demuxer could drop the rest before it is read
        // (`-discard nokey`), but then the times of H.264 frames are off by as many as are reordered.
        Pace::Keyframes => {
            command.args(["-threads", "1", "-filter_threads", "1", "-skip_frame", "nokey"]);
        }
        Pace::References(_) => {
            command.args(decoder.thread_arguments()).args(["-skip_frame", "noref"]);
        }
        Pace::PerSecond(_) => {
            command.args(decoder.thread_arguments());
        }
    }
}

fn behind_input(command: &mut Command, pace: Pace) {
    let mut filters = vec![filter::clock()];
    if let Pace::References(count) | Pace::PerSecond(count) = pace {
        filters.push(filter::first_of_each(count.get().into(), 1_000));
    }
    filters.push(filter::pixels(Layout::Grey));
    command.args(["-map", "0:V:0", "-an", "-sn", "-dn"]).args(["-vf", &filters.join(",")]);
    timed::output(command);
    command.args(["-flush_packets", "1", "pipe:1"]);
}

/// Reads frames from the child, hashes them and hands them out.
fn hand_out(
    mut child: Child,
    limits: &Limits,
    steps: &Steps,
    mut each: impl FnMut(Seen<'_>) -> ControlFlow<()>,
) -> Result<Streamed, VideoError> {
    let output = BufReader::with_capacity(FEED_BYTES, child.output()?);
    let mut frames = TimedFrames::new(output, Layout::Grey, limits);
    let mut bytes = Vec::new();
    let mut hasher = Hasher::default();
    let mut streamed = Streamed { frames: 0, broken_off: false, last_ms: 0, longest_gap_ms: 0 };
    let failed = loop {
        let TimedFrame { at_ms, width, height, start } = match frames.next(&mut bytes) {
            Ok(Some(frame)) => frame,
            Ok(None) => break None,
            Err(error) => break Some(error),
        };
        steps.take();
        let pixels = Pixels::new(width, height, Layout::Grey, &bytes[start..]);
        let Some(picture) = pixels else { continue };
        // Too small to be hashed: nothing to be recognised by.
        let Some(print) = hasher.hash(picture) else { continue };
        let number = streamed.frames;
        let frame = Frame { number, quality: print.quality, pdq: print.pdq, at_ms };
        streamed.frames += 1;
        streamed.longest_gap_ms =
            streamed.longest_gap_ms.max(at_ms.saturating_sub(streamed.last_ms));
        streamed.last_ms = at_ms;
        if steps.outside(|| each(Seen { frame, picture })).is_break() {
            streamed.broken_off = true;
            return Ok(streamed);
        }
    };
    drop(frames);
    // How the child ended explains a stream that is broken.
    child.finish()?;
    match failed {
        Some(error) => Err(error),
        None if streamed.frames == 0 => Err(VideoError::Malformed("it has no frames".into())),
        None => Ok(streamed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxes(names: &[(&[u8; 4], u32)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, size) in names {
            bytes.extend(size.to_be_bytes());
            bytes.extend(*name);
            bytes.resize(bytes.len() + size.saturating_sub(8) as usize, 0);
        }
        bytes
    }

    #[test]
    fn the_order_of_boxes_says_whether_an_mp4_can_be_streamed() {
        let index_first = boxes(&[(b"ftyp", 24), (b"free", 8), (b"moov", 900), (b"mdat", 16)]);
        assert_eq!(order_of_boxes(&index_first), Order::IndexFirst);
        assert_eq!(order_of_boxes(&index_first[..40]), Order::IndexFirst);
        let pictures_first = boxes(&[(b"ftyp", 24), (b"mdat", 900)]);
        assert_eq!(order_of_boxes(&pictures_first), Order::PicturesFirst);
        assert_eq!(
            order_of_boxes(&boxes(&[(b"ftyp", 24), (b"wide", 8), (b"mdat", 1)])),
            Order::PicturesFirst
        );
        assert_eq!(order_of_boxes(&pictures_first[..30]), Order::Unknown);
        assert_eq!(order_of_boxes(&boxes(&[(b"ftyp", 0)])), Order::Unknown);
    }
}
