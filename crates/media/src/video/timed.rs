//! Reads frames with their times, which ffmpeg writes as raw video in Matroska.
//!
//! Matroska is the one container that ffmpeg writes to a pipe with a time for each raw frame. It has one size for all
//! of them, so each frame tells its own: by two rows before it, each of one colour ([`super::filter::pixels`]).
//! Elements are read one after another without regard to where their parents end: all that is asked
//! for is the time of the cluster, and the blocks.
//! Source: RFC 8794 (EBML) and RFC 9559 (Matroska).
//!
//! **Invariant:** what is read is bounded by the size of a frame, whatever the bytes say.

use std::io::{self, ErrorKind, Read};
use std::process::Command;

use super::{Limits, VideoError, filter};
use crate::pdq::Layout;

/// Elements that are looked at or into; identifiers with their marker bits.
const SEGMENT: u64 = 0x1853_8067;
const CLUSTER: u64 = 0x1f43_b675;
const CLUSTER_TIME: u64 = 0xe7;
const SIMPLE_BLOCK: u64 = 0xa3;

/// Bytes of a block before the frame: number of the track, time within the cluster, flags.
const BLOCK_HEADER: usize = 4;

/// Rows before a frame that tell its size.
const SIZE_ROWS: usize = 2;

/// The most that is skipped of one element; ffmpeg writes some hundred bytes of what is not needed.
const MAX_SKIPPED: u64 = 1 << 20;

/// Reads frames.
#[derive(Debug)]
pub(super) struct TimedFrames<R> {
    stream: R,
    layout: Layout,
    limits: Limits,
    cluster_ms: i64,
}

/// A frame that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimedFrame {
    pub(super) at_ms: u32,
    pub(super) width: u32,
    pub(super) height: u32,
    /// Where its pixels begin in what was read.
    pub(super) start: usize,
}

/// Has ffmpeg write frames as they are read here.
pub(super) fn output(command: &mut Command) {
    command.args(["-map_metadata", "-1", "-map_chapters", "-1"]).args(filter::BEHIND_INPUT);
    // Else the muxer asks for random numbers for names, which without /dev/urandom take 0.2 seconds.
    command.args(["-c:v", "rawvideo", "-fflags", "+bitexact", "-f", "matroska"]);
    // Matroska has no name of its own for pixels in red, green and blue.
    command.args(["-allow_raw_vfw", "1"]);
}

impl<R: Read> TimedFrames<R> {
    /// Reads frames of a layout within limits on their sizes.
    pub(super) fn new(stream: R, layout: Layout, limits: &Limits) -> Self {
        Self { stream, layout, limits: *limits, cluster_ms: 0 }
    }

    /// Reads the next frame into `to`; `None` at the end of the stream, also where it ends within a frame.
    pub(super) fn next(&mut self, to: &mut Vec<u8>) -> Result<Option<TimedFrame>, VideoError> {
        while let Some((id, size)) = self.element()? {
            match (id, size) {
                (SEGMENT | CLUSTER, _) => {}
                (CLUSTER_TIME, Some(size)) => {
                    let time = i64::try_from(self.number(size)?);
                    self.cluster_ms = time.map_err(|_| unexpected("a time"))?;
                }
                (SIMPLE_BLOCK, Some(size)) => return self.block(size, to),
                (_, Some(size)) if size <= MAX_SKIPPED => self.skip(size)?,
                _ => return Err(unexpected("an element").into()),
            }
        }
        Ok(None)
    }

    fn block(&mut self, size: u64, to: &mut Vec<u8>) -> Result<Option<TimedFrame>, VideoError> {
        let Limits { max_side, max_pixels, .. } = self.limits;
        let most = max_pixels.saturating_add(u64::from(max_side) * SIZE_ROWS as u64);
        let size = size.saturating_sub(BLOCK_HEADER as u64);
        if size > most.saturating_mul(self.layout.bytes() as u64) {
            return Err(VideoError::TooLarge(format!("a frame of {size} bytes")));
        }
        let mut header = [0; BLOCK_HEADER];
        to.resize(usize::try_from(size).unwrap_or(usize::MAX), 0);
        if !(read_whole(&mut self.stream, &mut header)? && read_whole(&mut self.stream, to)?) {
            return Ok(None);
        }
        let [_, high, low, _] = header;
        let at_ms = self.cluster_ms + i64::from(i16::from_be_bytes([high, low]));
        let at_ms = u32::try_from(at_ms.max(0)).unwrap_or(u32::MAX);
        let (row, rows) = size_of(to).ok_or_else(|| unexpected("a frame without a size"))?;
        let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
        let (width, height) = (side(row / self.layout.bytes()), side(rows));
        let pixels = u64::from(width) * u64::from(height);
        if width.max(height) > max_side || pixels > max_pixels {
            return Err(VideoError::TooLarge(format!("{width} × {height} pixels")));
        }
        Ok(Some(TimedFrame { at_ms, width, height, start: row * SIZE_ROWS }))
    }

    /// Identifier and size of the next element; no size where it is unknown.
    fn element(&mut self) -> io::Result<Option<(u64, Option<u64>)>> {
        let mut first = [0];
        if !read_whole(&mut self.stream, &mut first)? {
            return Ok(None);
        }
        let (id, _) = self.variable(first[0], 4)?;
        let mut first = [0];
        self.stream.read_exact(&mut first)?;
        let (size, bits) = self.variable(first[0], 8)?;
        let size = size & !(1 << bits);
        Ok(Some((id, (size != (1 << bits) - 1).then_some(size))))
    }

    /// A number whose first byte says by its leading zeros how many follow; with its marker, and where
    /// that stands.
    fn variable(&mut self, first: u8, longest: usize) -> io::Result<(u64, usize)> {
        let more = first.leading_zeros() as usize;
        if more >= longest {
            return Err(unexpected("a number"));
        }
        let mut number = u64::from(first);
        for _ in 0..more {
            let mut byte = [0];
            self.stream.read_exact(&mut byte)?;
            number = number << 8 | u64::from(byte[0]);
        }
        Ok((number, 7 * (more + 1)))
    }

    fn number(&mut self, size: u64) -> io::Result<u64> {
        let mut bytes = [0; 8];
        let from = usize::try_from(size).ok().and_then(|size| bytes.len().checked_sub(size));
        let from = from.ok_or_else(|| unexpected("a number"))?;
        self.stream.read_exact(&mut bytes[from..])?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn skip(&mut self, size: u64) -> io::Result<()> {
        let skipped = io::copy(&mut self.stream.by_ref().take(size), &mut io::sink())?;
        if skipped == size { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }
}

/// Bytes of a row and number of rows behind the two that tell it: the first ends where its colour does.
fn size_of(bytes: &[u8]) -> Option<(usize, usize)> {
    let run = |bytes: &[u8]| bytes.iter().take_while(|byte| Some(*byte) == bytes.first()).count();
    let row = run(bytes);
    let second = bytes.get(row..row.checked_mul(SIZE_ROWS)?)?;
    let whole = row > 0 && run(second) == row && bytes.len().is_multiple_of(row);
    whole.then(|| (row, bytes.len() / row - SIZE_ROWS)).filter(|(_, rows)| *rows > 0)
}

/// Fills `to`; `false` if the stream ends before.
fn read_whole(stream: &mut impl Read, to: &mut [u8]) -> io::Result<bool> {
    match stream.read_exact(to) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn unexpected(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("ffmpeg wrote {what} that was not expected"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A track, a cluster of unknown size at 1,000 ms, a frame of 2 × 3 pixels at +0 and one of 3 × 1 at −40 ms.
    const STREAM: &[u8] = &[
        0x1a, 0x45, 0xdf, 0xa3, 0x81, 7, // a header of one byte
        0x18, 0x53, 0x80, 0x67, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, // segment
        0x16, 0x54, 0xae, 0x6b, 0x83, 0xae, 0x81, 1, // tracks
        0x1f, 0x43, 0xb6, 0x75, 0xff, 0xe7, 0x82, 0x03, 0xe8, // cluster and its time
        0xa3, 0x8e, 0x81, 0, 0, 0x80, 9, 9, 0, 0, 1, 2, 3, 4, 5, 6, // a block
        0xa3, 0x40, 0x0d, 0x81, 0xff, 0xd8, 0x80, 9, 9, 9, 0, 0, 0, 0, 2, 1, // and one more
    ];

    fn limited(side: u32) -> Limits {
        Limits { max_side: side, ..Limits::default() }
    }

    #[test]
    fn frames_come_with_their_times_and_sizes() {
        let mut frames = TimedFrames::new(STREAM, Layout::Grey, &limited(8));
        let mut bytes = Vec::new();
        let first = frames.next(&mut bytes).unwrap().unwrap();
        assert_eq!(first, TimedFrame { at_ms: 1_000, width: 2, height: 3, start: 4 });
        assert_eq!(bytes[first.start..], [1, 2, 3, 4, 5, 6]);
        let second = frames.next(&mut bytes).unwrap().unwrap();
        assert_eq!(second, TimedFrame { at_ms: 960, width: 3, height: 1, start: 6 });
        assert_eq!(bytes[second.start..], [0, 2, 1]);
        assert!(frames.next(&mut bytes).unwrap().is_none());
    }

    #[test]
    fn a_larger_frame_than_is_allowed_is_refused() {
        let few = Limits { max_pixels: 5, ..limited(8) };
        for limits in [limited(2), few] {
            let refused = TimedFrames::new(STREAM, Layout::Grey, &limits).next(&mut Vec::new());
            assert!(matches!(refused, Err(VideoError::TooLarge(_))), "{refused:?}");
        }
    }

    #[test]
    fn a_frame_that_does_not_tell_its_size_is_refused() {
        assert_eq!(size_of(&[9, 9, 0, 0, 1, 2]), Some((2, 1)));
        for bytes in [&[][..], &[9, 9], &[9, 9, 0, 0], &[9, 9, 0, 1, 1, 2], &[9, 9, 0, 0, 1]] {
            assert_eq!(size_of(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn a_stream_that_ends_anywhere_ends_or_errs() {
        for cut in 0..STREAM.len() {
            let mut frames = TimedFrames::new(&STREAM[..cut], Layout::Grey, &limited(8));
            let mut count = 0;
            while let Ok(Some(_)) = frames.next(&mut Vec::new()) {
                count += 1;
            }
            assert!(count <= 1, "{cut}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end_or_err(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut frames = TimedFrames::new(bytes.as_slice(), Layout::Rgb, &limited(512));
            while let Ok(Some(frame)) = frames.next(&mut Vec::new()) {
                prop_assert!(frame.width <= 512 && frame.height <= 512);
            }
        }
    }
}
