//! A vPDQ signal: the PDQ hashes of a video's frames with their quality and time.
//!
//! Source: facebook/ThreatExchange, `vpdq/README.md`; text forms as its tools write them.
//! **Invariant:** what is read has strictly ascending frame numbers and times that never descend.

use std::fmt::Write as _;

use thiserror::Error;

use crate::pdq::Pdq;

/// The greatest quality of a PDQ hash.
const MAX_QUALITY: u8 = 100;

/// Bytes of a frame in a record: number, time, quality, PDQ.
pub const FRAME_BYTES: usize = 4 + 4 + 1 + 32;

/// One hashed frame of a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Frame {
    /// Number of the frame in the video, from zero.
    pub number: u32,
    /// PDQ quality, 0 to 100.
    pub quality: u8,
    /// PDQ hash of the frame.
    pub pdq: Pdq,
    /// Time of the frame from the start of the video, in milliseconds.
    pub at_ms: u32,
}

/// The hashed frames of one video, in order of time.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Vpdq {
    /// The frames; numbers strictly ascend, times never descend.
    pub frames: Vec<Frame>,
}

/// Why a text or a byte string is not a vPDQ signal.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VpdqError {
    /// A line, or an element of the JSON array, is not a frame.
    #[error("line {line}: {reason}")]
    Line {
        /// The line or element, from one.
        line: usize,
        /// What is wrong with it.
        reason: LineError,
    },
    /// The text is not a JSON array of texts.
    #[error("not a JSON array of texts: {0}")]
    Json(String),
    /// The bytes are not a whole number of frames.
    #[error("{0} bytes are not a whole number of frames of 41")]
    Bytes(usize),
    /// There is no frame.
    #[error("a vPDQ signal has at least one frame")]
    Empty,
}

/// What is wrong with one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LineError {
    /// Not so many fields separated by commas.
    #[error("expected {0} fields separated by commas")]
    Fields(usize),
    /// The frame number is not a decimal number below 2³².
    #[error("the frame is not a number")]
    Number,
    /// The quality is not a decimal number of 0 to 100.
    #[error("the quality is not a number of 0 to 100")]
    Quality,
    /// The hash is not 64 lower-case hexadecimal digits.
    #[error("the hash is not 64 lower-case hexadecimal digits")]
    Pdq,
    /// The time is not as this form writes it, or beyond 2³² milliseconds.
    #[error("the time is not a number of seconds")]
    Seconds,
    /// The frame number does not ascend, or the time descends.
    #[error("frames are out of order")]
    Order,
}

impl Vpdq {
    /// Reads lines `frame,quality,pdq,seconds` with three decimals; a line feed may end the last.
    ///
    /// # Errors
    /// [`VpdqError::Line`] with the first line that is not such a frame; [`VpdqError::Empty`].
    pub fn from_lines(text: &str) -> Result<Self, VpdqError> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        if text.is_empty() {
            return Err(VpdqError::Empty);
        }
        Self::collect(text.split('\n').map(line_frame))
    }

    /// Writes lines `frame,quality,pdq,seconds` with three decimals, a line feed after each.
    #[must_use]
    pub fn to_lines(&self) -> String {
        let mut text = String::with_capacity(self.frames.len() * 84);
        for frame in &self.frames {
            let Frame { number, quality, pdq, .. } = frame;
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{number},{quality},{pdq},{}", seconds(frame.at_ms));
        }
        text
    }

    /// Reads the JSON array of texts `"pdq,quality,seconds"` that python-threatexchange uses.
    ///
    /// It writes three *significant* digits, so from 100 seconds on with an exponent (`1.23e+03`),
    /// which is read. The form has no frame numbers: frames are numbered by their place.
    ///
    /// # Errors
    /// [`VpdqError::Json`], and as [`Vpdq::from_lines`] with the element as line.
    pub fn from_json(text: &str) -> Result<Self, VpdqError> {
        let elements: Vec<String> =
            serde_json::from_str(text).map_err(|error| VpdqError::Json(error.to_string()))?;
        let frames = elements.iter().zip(0..).map(|(text, number)| json_frame(text, number));
        Self::collect(frames)
    }

    /// Writes the JSON array of texts `"pdq,quality,seconds"`, with three decimals.
    #[must_use]
    pub fn to_json(&self) -> String {
        let frame = |f: &Frame| format!("\"{},{},{}\"", f.pdq, f.quality, seconds(f.at_ms));
        format!("[{}]", self.frames.iter().map(frame).collect::<Vec<_>>().join(","))
    }

    /// Reads the bytes that stand in a record, 41 a frame.
    ///
    /// # Errors
    /// [`VpdqError::Bytes`], and as [`Vpdq::from_lines`] with the frame as line.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, VpdqError> {
        let (frames, rest) = bytes.as_chunks::<FRAME_BYTES>();
        if !rest.is_empty() {
            return Err(VpdqError::Bytes(bytes.len()));
        }
        Self::collect(frames.iter().map(bytes_frame))
    }

    /// Writes the bytes that stand in a record: number (4, big-endian), time in ms (4,
    /// big-endian), quality (1) and PDQ (32) of each frame.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.frames.len() * FRAME_BYTES);
        for frame in &self.frames {
            bytes.extend_from_slice(&frame.number.to_be_bytes());
            bytes.extend_from_slice(&frame.at_ms.to_be_bytes());
            bytes.push(frame.quality);
            bytes.extend_from_slice(&frame.pdq.0);
        }
        bytes
    }

    /// Checks the order and quality of every frame, as reading does.
    ///
    /// # Errors
    /// [`VpdqError::Line`] with the first frame that is out of order; [`VpdqError::Empty`].
    pub fn validate(&self) -> Result<(), VpdqError> {
        Self::collect(self.frames.iter().map(|frame| Ok(*frame))).map(|_| ())
    }

    fn collect(frames: impl Iterator<Item = Result<Frame, LineError>>) -> Result<Self, VpdqError> {
        let mut read: Vec<Frame> = Vec::new();
        for (frame, line) in frames.zip(1..) {
            let frame = frame.map_err(|reason| VpdqError::Line { line, reason })?;
            let reason = match read.last() {
                _ if frame.quality > MAX_QUALITY => Some(LineError::Quality),
                Some(last) if last.number >= frame.number || last.at_ms > frame.at_ms => {
                    Some(LineError::Order)
                }
                _ => None,
            };
            if let Some(reason) = reason {
                return Err(VpdqError::Line { line, reason });
            }
            read.push(frame);
        }
        if read.is_empty() { Err(VpdqError::Empty) } else { Ok(Self { frames: read }) }
    }
}

/// Milliseconds as seconds with three decimals.
fn seconds(ms: u32) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

fn line_frame(line: &str) -> Result<Frame, LineError> {
    let fields: Vec<&str> = line.splitn(5, ',').collect();
    let [number, quality, pdq, seconds] = fields[..] else { return Err(LineError::Fields(4)) };
    let (whole, decimals) = seconds.split_once('.').ok_or(LineError::Seconds)?;
    if decimals.len() != 3 {
        return Err(LineError::Seconds);
    }
    let ms = |text| decimal(text).ok_or(LineError::Seconds);
    let at_ms = ms(whole)? * 1000 + decimals_of(decimals).ok_or(LineError::Seconds)?;
    Ok(Frame {
        number: decimal(number).and_then(fit).ok_or(LineError::Number)?,
        quality: decimal(quality).and_then(fit).ok_or(LineError::Quality)?,
        pdq: pdq.parse().map_err(|_| LineError::Pdq)?,
        at_ms: fit(at_ms).ok_or(LineError::Seconds)?,
    })
}

fn json_frame(element: &str, number: u32) -> Result<Frame, LineError> {
    let fields: Vec<&str> = element.splitn(4, ',').collect();
    let [pdq, quality, seconds] = fields[..] else { return Err(LineError::Fields(3)) };
    Ok(Frame {
        number,
        quality: decimal(quality).and_then(fit).ok_or(LineError::Quality)?,
        pdq: pdq.parse().map_err(|_| LineError::Pdq)?,
        at_ms: float_ms(seconds).and_then(fit).ok_or(LineError::Seconds)?,
    })
}

fn bytes_frame(bytes: &[u8; FRAME_BYTES]) -> Result<Frame, LineError> {
    let word = |at: usize| u32::from_be_bytes(std::array::from_fn(|byte| bytes[at + byte]));
    Ok(Frame {
        number: word(0),
        at_ms: word(4),
        quality: bytes[8],
        pdq: Pdq(std::array::from_fn(|byte| bytes[9 + byte])),
    })
}

fn fit<T: TryFrom<u64>>(value: u64) -> Option<T> {
    T::try_from(value).ok()
}

/// A decimal number of at most ten digits in its one spelling: no sign, no leading zero.
fn decimal(text: &str) -> Option<u64> {
    let plain = text.len() <= 10 && (text == "0" || !text.starts_with('0'));
    plain.then(|| decimals_of(text)).flatten()
}

/// Digits only, at most 18; leading zeros allowed.
fn decimals_of(text: &str) -> Option<u64> {
    let digits = (1..=18).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Milliseconds of a non-negative number of seconds such as `0.033`, `18` or `1.23e+03`, rounded
/// half up. Integers all the way, so that every machine reads the same.
fn float_ms(text: &str) -> Option<u64> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, small_exponent(exponent)?),
        None => (text, 0),
    };
    let (whole, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = decimals_of(&format!("{whole}{decimals}"))?;
    if whole.is_empty() || (mantissa.contains('.') && decimals.is_empty()) {
        return None;
    }
    // The value is digits × 10^power milliseconds.
    let power = exponent + 3 - i32::try_from(decimals.len()).ok()?;
    let scale = 10_u64.checked_pow(power.unsigned_abs());
    match scale {
        Some(scale) if power >= 0 => digits.checked_mul(scale),
        Some(scale) => Some((digits + scale / 2) / scale),
        None => (power < 0 || digits == 0).then_some(0),
    }
}

fn small_exponent(text: &str) -> Option<i32> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let value = i32::try_from(decimals_of(digits)?).ok().filter(|value| *value <= 20)?;
    Some(if negative { -value } else { value })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const PDQ: &str = "e271017837246aaccddea259648fb7d62f435c89d9e99b2497763e216c8d055c";

    fn line(text: &str) -> Result<Vpdq, VpdqError> {
        Vpdq::from_lines(text)
    }

    #[test]
    fn lines_are_read_as_the_fields_tools_write_them() {
        let text = format!("0,100,{PDQ},0.000\n7,50,{PDQ},18.767\n");
        let vpdq = line(&text).unwrap();
        assert_eq!((vpdq.frames[1].number, vpdq.frames[1].at_ms), (7, 18_767));
        assert_eq!(vpdq.to_lines(), text);
        assert_eq!(line(text.trim_end()).unwrap(), vpdq);
    }

    #[test]
    fn a_wrong_line_is_named() {
        let good = format!("0,100,{PDQ},0.000");
        let cases = [
            (format!("1,100,{PDQ},0.03"), LineError::Seconds),
            (format!("1,100,{PDQ},.033"), LineError::Seconds),
            (format!("1,100,{PDQ},4294967.296"), LineError::Seconds),
            (format!("1,100,{PDQ},-1.000"), LineError::Seconds),
            (format!("1,101,{PDQ},0.033"), LineError::Quality),
            (format!("1,007,{PDQ},0.033"), LineError::Quality),
            (format!("+1,100,{PDQ},0.033"), LineError::Number),
            (format!("4294967296,100,{PDQ},0.033"), LineError::Number),
            (format!("1,100,{},0.033", PDQ.to_uppercase()), LineError::Pdq),
            (format!("1,100,{PDQ},0.033,1"), LineError::Fields(4)),
            (format!("0,100,{PDQ},0.033"), LineError::Order),
            (String::new(), LineError::Fields(4)),
            (format!("1,100,{PDQ},0.033\r"), LineError::Seconds),
        ];
        for (wrong, reason) in cases {
            let text = format!("{good}\n{wrong}\n");
            assert_eq!(line(&text), Err(VpdqError::Line { line: 2, reason }), "{wrong}");
        }
        assert_eq!(line(""), Err(VpdqError::Empty));
        assert_eq!(line("\n"), Err(VpdqError::Empty));
    }

    #[test]
    fn json_of_python_threatexchange_is_read_with_its_exponents() {
        let elements = ["0.0", "0.0333", "18.8", "1e+02", "1.23e+03"];
        let elements = elements.map(|seconds| format!("\"{PDQ},100,{seconds}\""));
        let vpdq = Vpdq::from_json(&format!("[{}]", elements.join(", "))).unwrap();
        let times: Vec<_> = vpdq.frames.iter().map(|frame| frame.at_ms).collect();
        assert_eq!(times, [0, 33, 18_800, 100_000, 1_230_000]);
        assert_eq!(Vpdq::from_json(&vpdq.to_json()).unwrap(), vpdq);
    }

    #[test]
    fn json_that_is_something_else_is_refused() {
        for text in ["", "{}", "[1]", "[\"\"]", "[]", "[\"a,b,c\"]"] {
            assert!(Vpdq::from_json(text).is_err(), "{text}");
        }
        for seconds in ["", ".", "1.", ".5", "nan", "1e", "1e+99", "-1", "1e21", "0x1", " 1"] {
            let text = format!("[\"{PDQ},100,{seconds}\"]");
            assert!(Vpdq::from_json(&text).is_err(), "{seconds}");
        }
    }

    #[test]
    fn bytes_are_frames_of_41() {
        let vpdq = line(&format!("3,50,{PDQ},1.500\n")).unwrap();
        let bytes = vpdq.to_bytes();
        assert_eq!(bytes[..9], [0, 0, 0, 3, 0, 0, 5, 220, 50]);
        assert_eq!(Vpdq::from_bytes(&bytes).unwrap(), vpdq);
        assert_eq!(Vpdq::from_bytes(&bytes[..40]), Err(VpdqError::Bytes(40)));
        assert_eq!(Vpdq::from_bytes(&[]), Err(VpdqError::Empty));
    }
}
