//! Hears a stream while it comes in: fingerprints of the sound of its last segment, beside its pictures.
//!
//! The bytes go to a decoder of their own, so that sound that is not there, comes late, or cannot be decoded takes
//! nothing away from what is seen.
//!
//! **Invariant:** pictures never wait for sound: a stream whose sound is [`AHEAD`] pieces behind is not heard any further.
//! **Invariant:** memory does not grow with the stream, but by four bytes an item of the last [`MAX_PIECES`] × ten minutes.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use watchfire_signal::sound_print::{PLAIN_RATE, SAMPLES_A_SECOND};
use watchfire_signal::value::{Signal, Span, Value, ValueOrBlob};

use super::child::{Child, Patience, Steps};
use super::sound::{MOST_PLAYED, OF_SOUND, Printer, Sound, play};
use super::stream::{MAX_CPU_SECONDS, MAX_STALL, container, feed, peek};
use super::{Decoder, VideoError, input_arguments_from};
use crate::sandbox::Sandbox;

/// Pieces of a stream that wait for the decoder of its sound, of 64 KiB each at most. Sound is decoded many times faster than
/// pictures, so that it is behind only for a moment.
const AHEAD: usize = 128;

/// Pieces of ten minutes of a recording's sound that are kept until its end.
const MAX_PIECES: usize = 64;

/// How many segments a fingerprint goes on for until the next one begins, which takes its place a segment later.
const SEGMENTS: u64 = 2;

/// Says at which speeds sound is worth to be compared, which may change while a stream goes on.
pub type Rates = Box<dyn Fn() -> &'static [u8] + Send>;

/// A reader whose bytes are heard while they are read.
pub struct Heard<R> {
    reader: R,
    /// `None` once nobody listens any more.
    pieces: Option<SyncSender<Vec<u8>>>,
}

/// The sound of a stream.
pub struct Hearing {
    segment: Arc<Mutex<Vec<Signal>>>,
    /// Ends with the sound of all of it.
    thread: JoinHandle<Vec<Signal>>,
}

/// Hears what is read from a reader, in segments of `length`. Uses one child process, from the first bytes on.
///
/// # Errors
/// The system starts no thread.
pub fn hear<R: Read>(
    reader: R,
    length: Duration,
    rates: Rates,
    decoder: &Decoder,
) -> io::Result<(Heard<R>, Hearing)> {
    let (pieces, waiting) = sync_channel(AHEAD);
    let segment = Arc::new(Mutex::new(Vec::new()));
    let (decoder, to) = (decoder.clone(), Arc::clone(&segment));
    let waiting = Pieces { waiting, piece: io::Cursor::default() };
    let thread = std::thread::Builder::new().name("hearing".into());
    let thread = thread.spawn(move || {
        // Fingerprints are made where they began.
        let mut listening = Listening::new(length, rates);
        let listened = listen(waiting, &decoder, |samples| {
            listening.take(samples);
            *lock(&to) = listening.segment();
        });
        if let Err(error) = listened {
            tracing::debug!(%error, "a stream was not heard to its end");
        }
        listening.recording()
    })?;
    Ok((Heard { reader, pieces: Some(pieces) }, Hearing { segment, thread }))
}

impl<R: Read> Read for Heard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        if let Some(pieces) = &self.pieces
            && read > 0
            && pieces.try_send(buffer[..read].to_vec()).is_err()
        {
            // It has ended, or is too far behind. With a gap it would hear something else.
            self.pieces = None;
        }
        Ok(read)
    }
}

impl Hearing {
    /// The sound of the last segment, at each speed; nothing where there is none, or less than five seconds.
    #[must_use]
    pub fn segment(&self) -> Vec<Signal> {
        lock(&self.segment).clone()
    }

    /// The sound of all of the stream, of a very long one of its last ten hours, and of its last segment at other speeds;
    /// after its reader was dropped. Blocks until what was read is heard.
    #[must_use]
    pub fn recording(self) -> Vec<Signal> {
        self.thread.join().unwrap_or_default()
    }
}

fn lock(segment: &Mutex<Vec<Signal>>) -> MutexGuard<'_, Vec<Signal>> {
    segment.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Decodes the sound of what comes in, until it ends.
fn listen(pieces: Pieces, decoder: &Decoder, mut to: impl FnMut(&[i16])) -> Result<(), VideoError> {
    let (beginning, rest) = peek(pieces)?;
    let sandbox = Sandbox { cpu_seconds: MAX_CPU_SECONDS, ..decoder.sandbox.clone() };
    let mut command = sandbox.command_on_pipe(&decoder.ffmpeg);
    command
        .arg("-nostdin")
        .args(input_arguments_from("pipe", container(&beginning)?))
        .args(["-vn", "-sn", "-dn", "-i", "pipe:0"])
        .args(OF_SOUND)
        .args(["-flush_packets", "1", "-f", "s16le", "pipe:1"]);
    let steps = Arc::new(Steps::default());
    let patience = Patience::Step(MAX_STALL, Arc::clone(&steps));
    let mut child = Child::start_patiently(command, &decoder.ffmpeg, decoder, patience)?;
    let pipe = child.input()?;
    let fed = Arc::clone(&steps);
    std::thread::spawn(move || feed(io::Cursor::new(beginning).chain(rest), pipe, &fed));
    let played = play(&mut child.output()?, |samples| {
        steps.outside(|| to(samples));
    });
    child.finish()?;
    Ok(played?)
}

/// What was read, for whoever listens on a thread.
struct Pieces {
    waiting: Receiver<Vec<u8>>,
    piece: io::Cursor<Vec<u8>>,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.piece.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            match self.waiting.recv() {
                Ok(piece) => self.piece = io::Cursor::new(piece),
                Err(_) => return Ok(0),
            }
        }
    }
}

/// What is heard of a stream so far.
struct Listening {
    length: u64,
    rates: Rates,
    /// Samples that came.
    heard: u64,
    /// One that has a whole segment, as soon as there was one, and one that is to take its place.
    prints: VecDeque<Prints>,
    /// The recording at its own speed: what is done, and what goes on.
    pieces: VecDeque<Signal>,
    piece: Prints,
}

/// Fingerprints that began at one moment.
struct Prints {
    since: u64,
    printers: Vec<Printer>,
}

impl Listening {
    fn new(length: Duration, rates: Rates) -> Self {
        let samples = length.as_millis() * u128::from(SAMPLES_A_SECOND) / 1_000;
        Self {
            length: u64::try_from(samples).unwrap_or(u64::MAX).max(1),
            heard: 0,
            prints: VecDeque::from([Prints::new(0, rates())]),
            rates,
            pieces: VecDeque::new(),
            piece: Prints::new(0, &[PLAIN_RATE]),
        }
    }

    fn take(&mut self, samples: &[i16]) {
        self.prints.iter_mut().chain([&mut self.piece]).for_each(|prints| prints.take(samples));
        self.heard = self.heard.saturating_add(samples.len() as u64);
        let age = |prints: &Prints| self.heard - prints.since;
        if self.prints.back().is_some_and(|last| age(last) >= SEGMENTS * self.length) {
            self.prints.push_back(Prints::new(self.heard, (self.rates)()));
        }
        if self.prints.len() > 1 && self.prints.back().is_some_and(|last| age(last) >= self.length)
        {
            self.prints.pop_front();
        }
        if age(&self.piece) >= MOST_PLAYED {
            let done = std::mem::replace(&mut self.piece, Prints::new(self.heard, &[PLAIN_RATE]));
            self.pieces.extend(done.signals(None));
            let over = self.pieces.len().saturating_sub(MAX_PIECES);
            self.pieces.drain(..over);
        }
    }

    fn segment(&self) -> Vec<Signal> {
        let span = Span {
            start_ms: milliseconds(self.heard.saturating_sub(self.length)),
            end_ms: milliseconds(self.heard),
        };
        self.prints.front().map_or_else(Vec::new, |prints| prints.signals(Some(span)))
    }

    fn recording(&self) -> Vec<Signal> {
        let pieces = self.pieces.iter().cloned().chain(self.piece.signals(None));
        pieces.chain(self.segment().into_iter().filter(|signal| !is_plain(signal))).collect()
    }
}

impl Prints {
    fn new(since: u64, rates: &[u8]) -> Self {
        Self { since, printers: rates.iter().map(|rate| Printer::new(*rate)).collect() }
    }

    fn take(&mut self, samples: &[i16]) {
        self.printers.iter_mut().for_each(|printer| printer.take(samples));
    }

    /// What they have so far, of a part of the stream if one is given.
    fn signals(&self, span: Option<Span>) -> Vec<Signal> {
        let since = milliseconds(self.since);
        let at = |sound: Sound| Sound {
            start_ms: sound.start_ms.saturating_add(since),
            end_ms: sound.end_ms.saturating_add(since),
            ..sound
        };
        let sounds = self.printers.iter().flat_map(Printer::so_far);
        sounds.filter_map(|sound| at(sound).signal(span)).collect()
    }
}

fn is_plain(signal: &Signal) -> bool {
    matches!(&signal.value, ValueOrBlob::Value(Value::Audio(print)) if print.rate() == PLAIN_RATE)
}

fn milliseconds(samples: u64) -> u32 {
    u32::try_from(samples.saturating_mul(1_000) / u64::from(SAMPLES_A_SECOND)).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Tones that change every quarter of a second, as a tune does.
    fn tune(seconds: usize, seed: u64) -> Vec<i16> {
        let rate = SAMPLES_A_SECOND as usize;
        let tone = |part: u64| 220.0 + ((part + seed) * 2_654_435_761 % 1_200) as f64;
        let sample = |at: usize| {
            let tone = tone((at * 4 / rate) as u64);
            ((at as f64 / rate as f64 * tone * std::f64::consts::TAU).sin() * 9_000.0) as i16
        };
        (0..seconds * rate).map(sample).collect()
    }

    fn listening(length_s: u64, rates: &'static [u8]) -> Listening {
        Listening::new(Duration::from_secs(length_s), Box::new(move || rates))
    }

    fn items(signal: &Signal) -> &[u32] {
        let ValueOrBlob::Value(Value::Audio(print)) = &signal.value else { unreachable!() };
        print.items()
    }

    #[test]
    fn a_segment_is_what_was_heard_last_however_long_the_stream() {
        let mut heard = listening(20, &[PLAIN_RATE]);
        let stream = tune(190, 3);
        let mut ages = Vec::new();
        for (second, samples) in (1_u32..).zip(stream.chunks(SAMPLES_A_SECOND as usize)) {
            heard.take(samples);
            let segment = heard.segment();
            ages.push(heard.prints.iter().map(|prints| heard.heard - prints.since).max().unwrap());
            if second < 20 {
                continue;
            }
            let span = segment[0].span.unwrap();
            // What came last is not heard yet: a fingerprint looks some seconds ahead.
            let (now, late) = (second * 1_000, 6_000);
            assert!(span.end_ms <= now && span.end_ms + late > now, "{second}: {span:?}");
            assert!(span.start_ms.abs_diff(now - 20_000) < 1_500, "{second}: {span:?}");
            assert!(items(&segment[0]).len() > 100, "{second}: a whole segment");
        }
        let longest = ages.into_iter().max().unwrap();
        assert!(longest <= 61 * u64::from(SAMPLES_A_SECOND), "{longest} samples in one print");
    }

    #[test]
    fn a_segment_sounds_as_it_does_in_a_file() {
        let mut heard = listening(20, &[PLAIN_RATE, 110]);
        let stream = tune(83, 5);
        stream.chunks(5_000).for_each(|samples| heard.take(samples));
        let segment = heard.segment();
        assert_eq!(segment.len(), 2);
        let mut whole = Printer::new(PLAIN_RATE);
        whole.take(&stream);
        let whole: Vec<_> =
            whole.so_far().filter_map(|sound| sound.signal(segment[0].span)).collect();
        let (one, other) = (items(&segment[0]), items(&whole[0]));
        // The two began at different moments, so that windows lie differently.
        let off: u32 = one.iter().zip(other).map(|(one, other)| (one ^ other).count_ones()).sum();
        let both = one.len().min(other.len());
        assert!(both > 100, "{} and {}", one.len(), other.len());
        assert!(off < 32 * both as u32 / 6, "{off} bits of {both} items");
    }

    /// A print goes on for up to three segments, and a file of its length would be played at other speeds in part alone.
    #[test]
    fn a_long_segment_is_heard_at_all_speeds_however_long_the_stream() {
        let mut heard = listening(300, &[PLAIN_RATE, 110]);
        let stream = tune(850, 9);
        for (second, samples) in (1_u32..).zip(stream.chunks(SAMPLES_A_SECOND as usize)) {
            heard.take(samples);
            if second % 50 == 0 && second >= 300 {
                let spans = heard.segment().into_iter().map(|signal| signal.span.unwrap());
                let now = spans.filter(|span| span.end_ms + 10_000 > second * 1_000).count();
                assert_eq!(now, 2, "{second}");
            }
        }
    }

    #[test]
    fn a_recording_is_heard_in_pieces_one_behind_the_other() {
        let mut heard = listening(10, &[PLAIN_RATE]);
        tune(1_230, 7).chunks(40_000).for_each(|samples| heard.take(samples));
        let recording = heard.recording();
        let spans: Vec<Span> = recording.iter().map(|signal| signal.span.unwrap()).collect();
        assert_eq!(spans.len(), 3);
        assert!(
            spans.windows(2).all(|two| two[1].start_ms.abs_diff(two[0].end_ms) < 5_000),
            "{spans:?}"
        );
        assert!(spans[2].end_ms > 1_225_000);
        assert!(listening(10, &[PLAIN_RATE]).recording().is_empty());
    }
}
