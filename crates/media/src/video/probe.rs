//! Asks ffprobe, in the sandbox, for a video's size, rate and length.

use std::io::Read;
use std::path::Path;

use super::child::Child;
use super::{Container, Decoder, VideoError, input_arguments};

/// The rate that is assumed where a file tells none: refusing such files would let anyone evade.
const ASSUMED_RATE: FramesPerSecond = FramesPerSecond { numerator: 25, denominator: 1 };

/// The most that is read of ffprobe's answer; a normal one has 150 bytes.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;

/// Frames a second as a fraction, for example 30,000 / 1,001.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FramesPerSecond {
    /// Frames.
    pub numerator: u32,
    /// In so many seconds; not zero.
    pub denominator: u32,
}

impl FramesPerSecond {
    /// The number of the frame at a moment in milliseconds, at an even rate.
    pub(super) fn number_at(self, at_ms: u64) -> u32 {
        let frames = at_ms.saturating_mul(self.numerator.into());
        let thousandths = 1_000 * u64::from(self.denominator.max(1));
        u32::try_from(frames.saturating_add(thousandths / 2) / thousandths).unwrap_or(u32::MAX)
    }

    /// Reads `30000/1001`; `None` for `0/0` and the like.
    fn parse(text: &str) -> Option<Self> {
        let (numerator, denominator) = text.split_once('/')?;
        let (numerator, denominator) = (numerator.parse().ok()?, denominator.parse().ok()?);
        (numerator > 0 && denominator > 0).then_some(Self { numerator, denominator })
    }
}

/// What a video says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) rate: FramesPerSecond,
    pub(super) duration_ms: Option<u64>,
}

/// Asks for the first moving picture of the file; cover pictures of sound files do not count.
pub(super) fn probe(
    input: &Path,
    container: Container,
    decoder: &Decoder,
) -> Result<Facts, VideoError> {
    let mut command = decoder.sandbox.command(&decoder.ffprobe, input);
    command
        .args(input_arguments(container))
        .args(["-select_streams", "V:0", "-of", "default=noprint_wrappers=1"])
        .args(["-show_entries", "stream=width,height,avg_frame_rate,r_frame_rate:format=duration"])
        .arg(input);
    let mut child = Child::start(command, &decoder.ffprobe, decoder)?;
    let mut answer = String::new();
    let read = child.output()?.take(MAX_ANSWER_BYTES).read_to_string(&mut answer);
    child.finish()?;
    read?;
    let facts = parse(&answer).ok_or(VideoError::NoVideoStream)?;
    let limits = &decoder.limits;
    let pixels = u64::from(facts.width) * u64::from(facts.height);
    if facts.width.max(facts.height) > limits.max_side || pixels > limits.max_pixels {
        return Err(VideoError::TooLarge(format!("{} × {} pixels", facts.width, facts.height)));
    }
    Ok(facts)
}

fn parse(answer: &str) -> Option<Facts> {
    let value =
        |name: &str| answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let rate = ["avg_frame_rate", "r_frame_rate"]
        .into_iter()
        .find_map(|name| FramesPerSecond::parse(value(name)?));
    let seconds: Option<f64> = value("duration").and_then(|text| text.parse().ok());
    let duration = seconds.filter(|seconds| (0.0..1e9).contains(seconds));
    Some(Facts {
        width: value("width")?.parse().ok()?,
        height: value("height")?.parse().ok()?,
        rate: rate.unwrap_or(ASSUMED_RATE),
        duration_ms: duration.map(|seconds| (seconds * 1000.0).round() as u64),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_a_rate_gets_the_assumed_one() {
        let answer = "width=640\nheight=360\nr_frame_rate=0/0\navg_frame_rate=0/0\nduration=N/A\n";
        let facts = parse(answer).unwrap();
        assert_eq!((facts.rate, facts.duration_ms), (ASSUMED_RATE, None));
        assert!(parse("duration=3.0\n").is_none());
    }

    #[test]
    fn numbers_are_times_by_rate() {
        let rate = FramesPerSecond { numerator: 30_000, denominator: 1_001 };
        assert_eq!([0, 33, 67, 1_001].map(|at_ms| rate.number_at(at_ms)), [0, 1, 2, 30]);
    }
}
