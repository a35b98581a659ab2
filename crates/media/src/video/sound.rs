//! Fingerprints the sound of a video or a sound file, by way of a sandboxed ffmpeg.
//!
//! The decoder mixes all channels into two at 11,025 samples a second, and these are mixed here into one; Chromaprint's
//! algorithm 2 makes an item of every 1,365 of its samples. A query is fingerprinted at several speeds, because a copy that was
//! sped up has other pitches.
//!
//! **Invariant:** memory does not grow with the length of the sound, except by four bytes an item.

use std::io::Read;
use std::process::Command;

use rusty_chromaprint::{Configuration, Fingerprinter};
use watchfire_signal::sound_print::{
    ITEM_SAMPLES, MAX_ITEMS, PLAIN_RATE, SAMPLES_A_SECOND, SoundPrint,
};
use watchfire_signal::value::{Signal, Span};

use super::child::Child;
use super::{Copy, Decoder, VideoError, input_arguments};

/// Speeds at which a query is fingerprinted, in percent, as wide as videos are compared (0.8 to 1.25).
/// One percent apart: half a percent more or less costs about a fifth of the bits of steady tones, one
/// percent a quarter, which is all that may differ.
pub const QUERY_RATES: [u8; 46] = {
    let mut rates = [0; 46];
    let mut place = 0;
    while place < 46 {
        rates[place] = 80 + place as u8;
        place += 1;
    }
    rates
};

/// The speed at which a reference is fingerprinted, and a query where no sound is known.
pub const PLAIN_RATES: [u8; 1] = [PLAIN_RATE];

/// The longest sound that is fingerprinted: three hours, as [`super::MAX_FRAMES`]; more is left out.
const MAX_SAMPLES: u64 = 3 * 3_600 * SAMPLES_A_SECOND as u64;

/// Samples that go into one fingerprint at another speed than its own: ten minutes.
pub(super) const MOST_PLAYED: u64 = MAX_ITEMS as u64 * ITEM_SAMPLES as u64;

/// What ffmpeg says of a file without sound.
const NO_SOUND: [&str; 2] = ["matches no streams", "does not contain any stream"];

/// What the decoder makes of sound: two channels at [`SAMPLES_A_SECOND`].
pub(super) const OF_SOUND: [&str; 8] =
    ["-map", "0:a:0", "-ac", "2", "-ar", "11025", "-c:a", "pcm_s16le"];

/// Samples that are read at once.
const CHUNK: usize = 16_384;

/// Bytes of one sample of both channels.
const PAIR: usize = 4;

/// How many times louder the difference of two channels is than their sum where one is the other turned over: what is
/// heard would be silence in one channel.
const TURNED_OVER: u64 = 16;

/// One fingerprint and where its sound begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sound {
    /// When it begins, in milliseconds of the whole.
    pub start_ms: u32,
    /// When it ends.
    pub end_ms: u32,
    /// The fingerprint.
    pub print: SoundPrint,
}

impl Sound {
    /// As a signal; of a span only its sound, and `None` where that is less than five seconds.
    pub(crate) fn signal(self, span: Option<Span>) -> Option<Signal> {
        let whole = Span { start_ms: self.start_ms, end_ms: self.end_ms };
        let Some(span) = span else {
            return Some(Signal { span: Some(whole), ..Signal::new(self.print) });
        };
        let (start_ms, print) = self.print.within(whole.start_ms, (span.start_ms, span.end_ms))?;
        let end_ms = start_ms + print.at_ms(print.items().len());
        Some(Signal { span: Some(Span { start_ms, end_ms }), ..Signal::new(print) })
    }
}

impl Copy {
    /// Fingerprints the first sound track at these speeds, in percent; nothing where there is no sound, or
    /// less than five seconds. At other speeds than its own only the first ten minutes: forty-six
    /// fingerprints of three hours would take longer than a request may. Blocks until it is done; uses
    /// one child process.
    ///
    /// # Errors
    /// [`VideoError`]
    pub fn sound(&self, rates: &[u8], decoder: &Decoder) -> Result<Vec<Sound>, VideoError> {
        let mut command = decoder.sandbox.command(&decoder.ffmpeg, self.path());
        command
            .args(input_arguments(self.container))
            .args(["-vn", "-sn", "-dn", "-i"])
            .arg(self.path())
            .args(OF_SOUND)
            .args(["-f", "s16le", "pipe:1"]);
        fingerprint(command, rates, decoder)
    }
}

/// Lets the decoder run, and fingerprints what comes out of it.
fn fingerprint(
    command: Command,
    rates: &[u8],
    decoder: &Decoder,
) -> Result<Vec<Sound>, VideoError> {
    let mut child = Child::start(command, &decoder.ffmpeg, decoder)?;
    let mut printers = rates.iter().map(|rate| Printer::new(*rate)).collect::<Vec<_>>();
    let mut pipe = child.output()?.take(PAIR as u64 * MAX_SAMPLES + 1);
    let read = play(&mut pipe, |samples| {
        let open = printers.iter_mut().filter(|printer| !printer.has_ten_minutes());
        open.for_each(|printer| printer.take(samples));
    });
    if pipe.limit() > 0 {
        match child.finish() {
            Err(VideoError::Malformed(said)) if NO_SOUND.iter().any(|no| said.contains(no)) => {
                return Ok(Vec::new());
            }
            ended => ended?,
        }
    }
    read?;
    Ok(printers.into_iter().flat_map(Printer::finish).collect())
}

/// Reads samples of two channels until they end and hands them on as one.
pub(super) fn play(pipe: &mut impl Read, mut to: impl FnMut(&[i16])) -> std::io::Result<()> {
    let mut bytes = vec![0; PAIR * CHUNK];
    let mut held = 0;
    loop {
        let more = pipe.read(&mut bytes[held..])?;
        held += more;
        if more == 0 || held == bytes.len() {
            to(&mixed(bytes[..held].as_chunks().0));
            held = 0;
        }
        if more == 0 {
            return Ok(());
        }
    }
}

/// One channel of two: their sum, or their difference where that is nearly all there is.
fn mixed(pairs: &[[u8; PAIR]]) -> Vec<i16> {
    let channel = |low: u8, high: u8| i32::from(i16::from_le_bytes([low, high]));
    // The sum of two and their difference, each halved so that it fits.
    let mixes = pairs.iter().map(|[a, b, c, d]| {
        let (left, right) = (channel(*a, *b), channel(*c, *d));
        [((left + right) / 2) as i16, ((left - right) / 2) as i16]
    });
    let mixes: Vec<[i16; 2]> = mixes.collect();
    let power = |which: usize| -> u64 {
        mixes.iter().map(|mix| u64::from(mix[which].unsigned_abs()).pow(2)).sum()
    };
    let turned_over = power(1) / TURNED_OVER > power(0);
    mixes.into_iter().map(|mix| mix[usize::from(turned_over)]).collect()
}

/// A fingerprint in the making, of the sound played at one speed.
pub(super) struct Printer {
    rate: u8,
    fingerprinter: Fingerprinter,
    /// Samples that came so far, and the last of them.
    taken: u64,
    last: i16,
    /// Samples that went on to the fingerprint.
    played: u64,
    buffer: Vec<i16>,
}

impl Printer {
    pub(super) fn new(rate: u8) -> Self {
        let mut fingerprinter = Fingerprinter::new(&Configuration::preset_test2());
        // At its own rate and with one channel it never refuses.
        let started = fingerprinter.start(SAMPLES_A_SECOND, 1);
        debug_assert!(started.is_ok(), "its own rate is refused");
        Self { rate, fingerprinter, taken: 0, last: 0, played: 0, buffer: Vec::new() }
    }

    /// Whether a file is played no further at this speed.
    fn has_ten_minutes(&self) -> bool {
        self.rate != PLAIN_RATE && self.played >= MOST_PLAYED
    }

    /// Plays samples at this speed, between two of them on the straight line: the fingerprint hears
    /// up to 3,520 Hz, where that costs little.
    pub(super) fn take(&mut self, samples: &[i16]) {
        let rate = u64::from(self.rate);
        if self.rate == PLAIN_RATE {
            self.fingerprinter.consume(samples);
        } else {
            self.buffer.clear();
            let end = self.taken + samples.len() as u64;
            // Sample number `played` stands at `played × rate / 100` of what came.
            while self.played * rate / 100 + 1 < end {
                let at = self.played * rate;
                let (whole, part) = (at / 100, (at % 100) as i32);
                let sample = |number: u64| match number.checked_sub(self.taken) {
                    Some(number) => i32::from(samples[number as usize]),
                    None => i32::from(self.last),
                };
                let between = sample(whole) * (100 - part) + sample(whole + 1) * part;
                self.buffer.push((between / 100) as i16);
                self.played += 1;
            }
            self.fingerprinter.consume(&self.buffer);
        }
        self.taken += samples.len() as u64;
        self.last = samples.last().copied().unwrap_or(self.last);
    }

    fn finish(mut self) -> impl Iterator<Item = Sound> {
        self.fingerprinter.finish();
        self.so_far()
    }

    /// The fingerprint of what came so far, but for the last moments, in pieces.
    pub(super) fn so_far(&self) -> impl Iterator<Item = Sound> + use<> {
        let pieces = SoundPrint::pieces(self.rate, self.fingerprinter.fingerprint());
        pieces.into_iter().map(|(start, print)| {
            let start_ms = print.at_ms(start);
            let end_ms = print.at_ms(start + print.items().len());
            Sound { start_ms, end_ms, print }
        })
    }
}

/// Samples of one item, for whoever counts in samples.
const _: () = assert!(ITEM_SAMPLES == 4_096 / 3, "the step of Chromaprint's algorithm 2");
const _: () = assert!(SAMPLES_A_SECOND == 11_025, "what the decoder is asked for");
