//! Reads decoded frames from ffmpeg and hashes them on several threads.

use std::io::{BufReader, Read};
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError, mpsc};

use watchfire_signal::pdq::Pdq;
use watchfire_signal::vpdq::Frame;

use super::child::Child;
use super::selection::Selection;
use super::timed::{self, TimedFrame, TimedFrames};
use super::{Container, Decoder, Limits, VideoError, filter, input_arguments};
use crate::pdq::{Hasher, Layout, Pixels};

/// Bytes that are asked from the pipe at once, when a header is read.
const BUFFER_BYTES: usize = 64 * 1024;

/// Frames that wait for each hashing thread; one is being hashed while the next is read.
const WAITING_PER_THREAD: usize = 2;

/// A decoded frame on its way to a hashing thread.
struct Decoded {
    index: u32,
    frame: TimedFrame,
    rgb: Vec<u8>,
}

/// Hashes the selected frames; the answer is in order, each with its place among the hashed ones as its number.
pub(super) fn hash(
    input: &Path,
    container: Container,
    selection: &Selection,
    decoder: &Decoder,
) -> Result<Vec<Frame>, VideoError> {
    let command = command(input, container, selection, decoder);
    let mut child = Child::start(command, &decoder.ffmpeg, decoder)?;
    let stream = BufReader::with_capacity(BUFFER_BYTES, child.output()?);
    let hashed = hash_stream(stream, decoder.threads.max(1), &decoder.limits);
    if matches!(hashed, Err(VideoError::TooLarge(_))) {
        // The child is ended by dropping it; waiting for it would mean to read on.
        drop(child);
        return hashed;
    }
    child.finish()?;
    let hashed = hashed?;
    if hashed.is_empty() && selection.is_part() {
        return Err(VideoError::EmptyPart);
    }
    if hashed.is_empty() {
        return Err(VideoError::Malformed("it has no frames".into()));
    }
    Ok(hashed)
}

fn command(
    input: &Path,
    container: Container,
    selection: &Selection,
    decoder: &Decoder,
) -> Command {
    let mut command = decoder.sandbox.command(&decoder.ffmpeg, input);
    command
        .args(["-nostdin", "-noautorotate"])
        .args(decoder.thread_arguments())
        .args(filter::BEFORE_INPUT)
        .args(input_arguments(container))
        .arg("-i")
        .arg(input)
        .args(["-map", "0:V:0", "-an", "-sn", "-dn"]);
    let chosen = selection.filters();
    let filters = [vec![filter::clock()], chosen, vec![filter::pixels(Layout::Rgb)]].concat();
    command.args(["-vf", &filters.join(",")]);
    timed::output(&mut command);
    command.arg("pipe:1");
    command
}

/// Reads frames here, hashes them on `threads` threads. Buffers go round: none is allocated anew.
fn hash_stream(
    stream: BufReader<impl Read>,
    threads: usize,
    limits: &Limits,
) -> Result<Vec<Frame>, VideoError> {
    let (send, receive) = mpsc::sync_channel::<Decoded>(threads * WAITING_PER_THREAD);
    let (give_back, spare) = mpsc::channel::<Vec<u8>>();
    let receive = Mutex::new(receive);
    let mut hashed = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                let (receive, give_back) = (&receive, give_back.clone());
                scope.spawn(move || hash_received(receive, &give_back))
            })
            .collect();
        let read = read_frames(stream, limits, &spare, &send);
        drop(send);
        let mut hashed = Vec::new();
        for worker in workers {
            let part = worker.join().map_err(|_| std::io::Error::other("a thread gave up"))?;
            hashed.extend(part);
        }
        read.map(|()| hashed)
    })?;
    hashed.sort_unstable_by_key(|frame| frame.number);
    Ok(hashed)
}

fn read_frames(
    stream: BufReader<impl Read>,
    limits: &Limits,
    spare: &mpsc::Receiver<Vec<u8>>,
    send: &mpsc::SyncSender<Decoded>,
) -> Result<(), VideoError> {
    let mut frames = TimedFrames::new(stream, Layout::Rgb, limits);
    let mut bytes = 0_u64;
    for index in 0.. {
        let mut rgb = spare.try_recv().unwrap_or_default();
        // A frame that is cut has its reason in how the child ended.
        let Some(frame) = frames.next(&mut rgb)? else { break };
        if index >= limits.max_frames {
            return Err(VideoError::TooLarge(format!("more than {index} frames")));
        }
        bytes += rgb.len() as u64;
        if bytes > limits.max_output_bytes {
            return Err(VideoError::TooLarge(format!("{bytes} bytes of frames")));
        }
        if send.send(Decoded { index, frame, rgb }).is_err() {
            return Err(std::io::Error::other("the hashing threads ended early").into());
        }
    }
    Ok(())
}

/// The work of one hashing thread: until the channel is closed. A frame that shows the same pixels
/// as another costs the same; nothing is guessed.
fn hash_received(
    receive: &Mutex<mpsc::Receiver<Decoded>>,
    give_back: &mpsc::Sender<Vec<u8>>,
) -> Vec<Frame> {
    let mut hasher = Hasher::default();
    let mut hashed = Vec::new();
    loop {
        let next = receive.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Decoded { index, frame, rgb }) = next else { break };
        let TimedFrame { at_ms, width, height, start } = frame;
        let fingerprint = Pixels::new(width, height, Layout::Rgb, &rgb[start..])
            .and_then(|pixels| hasher.hash(pixels));
        // What the reference gives for frames that are too small to be hashed.
        let (pdq, quality) =
            fingerprint.map_or((Pdq([0; 32]), 0), |print| (print.pdq, print.quality));
        hashed.push(Frame { number: index, quality, pdq, at_ms });
        let _ = give_back.send(rgb);
    }
    hashed
}
