//! Reads grey frames with their times, which ffmpeg writes as raw video in Matroska.
//!
//! Matroska is the one container that ffmpeg writes to a pipe with a time for each raw frame.
//! Elements are read one after another without regard to where their parents end: all that is asked
//! for is the size of the picture, the time of the cluster, and the blocks.
//! Source: RFC 8794 (EBML) and RFC 9559 (Matroska).
//!
//! **Invariant:** what is read is bounded by the size of a frame, whatever the bytes say.

use std::io::{self, ErrorKind, Read};

use super::VideoError;

/// Elements that are looked at or into; identifiers with their marker bits.
const SEGMENT: u64 = 0x1853_8067;
const CLUSTER: u64 = 0x1f43_b675;
const TRACKS: u64 = 0x1654_ae6b;
const TRACK: u64 = 0xae;
const PICTURE: u64 = 0xe0;
const WIDTH: u64 = 0xb0;
const HEIGHT: u64 = 0xba;
const CLUSTER_TIME: u64 = 0xe7;
const SIMPLE_BLOCK: u64 = 0xa3;

/// Bytes of a block before the frame: number of the track, time within the cluster, flags.
const BLOCK_HEADER: usize = 4;

/// The most that is skipped of one element; ffmpeg writes some hundred bytes of what is not needed.
const MAX_SKIPPED: u64 = 1 << 20;

/// Reads frames; keeps the memory for one.
#[derive(Debug)]
pub(super) struct TimedFrames<R> {
    stream: R,
    side: u32,
    width: u32,
    height: u32,
    cluster_ms: i64,
    /// The frame that was read last.
    pixels: Vec<u8>,
}

/// A frame that was read.
pub(super) struct TimedFrame<'a> {
    pub(super) at_ms: u32,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) grey: &'a [u8],
}

impl<R: Read> TimedFrames<R> {
    /// Reads frames of at most `side` pixels a side.
    pub(super) fn new(stream: R, side: u32) -> Self {
        Self { stream, side, width: 0, height: 0, cluster_ms: 0, pixels: Vec::new() }
    }

    /// The next frame; `None` at the end of the stream, also where it ends within a frame.
    pub(super) fn next(&mut self) -> Result<Option<TimedFrame<'_>>, VideoError> {
        while let Some((id, size)) = self.element()? {
            match (id, size) {
                (SEGMENT | CLUSTER | TRACKS | TRACK | PICTURE, _) => {}
                (WIDTH, Some(size)) => self.width = self.side(size)?,
                (HEIGHT, Some(size)) => self.height = self.side(size)?,
                (CLUSTER_TIME, Some(size)) => {
                    let time = i64::try_from(self.number(size)?);
                    self.cluster_ms = time.map_err(|_| unexpected("a time"))?;
                }
                (SIMPLE_BLOCK, Some(size)) => return self.block(size),
                (_, Some(size)) if size <= MAX_SKIPPED => self.skip(size)?,
                _ => return Err(unexpected("an element").into()),
            }
        }
        Ok(None)
    }

    fn block(&mut self, size: u64) -> Result<Option<TimedFrame<'_>>, VideoError> {
        let pixels = self.width as usize * self.height as usize;
        if pixels == 0 || size != (pixels + BLOCK_HEADER) as u64 {
            return Err(unexpected("a frame of another size").into());
        }
        let mut header = [0; BLOCK_HEADER];
        self.pixels.resize(pixels, 0);
        let whole = read_whole(&mut self.stream, &mut header)?
            && read_whole(&mut self.stream, &mut self.pixels)?;
        if !whole {
            return Ok(None);
        }
        let [_, high, low, _] = header;
        let at_ms = self.cluster_ms + i64::from(i16::from_be_bytes([high, low]));
        let at_ms = u32::try_from(at_ms.max(0)).unwrap_or(u32::MAX);
        Ok(Some(TimedFrame { at_ms, width: self.width, height: self.height, grey: &self.pixels }))
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

    fn side(&mut self, size: u64) -> Result<u32, VideoError> {
        let side = u32::try_from(self.number(size)?).unwrap_or(u32::MAX);
        if side > self.side {
            return Err(VideoError::TooLarge(format!("a side of {side} pixels")));
        }
        Ok(side)
    }

    fn skip(&mut self, size: u64) -> io::Result<()> {
        let skipped = io::copy(&mut self.stream.by_ref().take(size), &mut io::sink())?;
        if skipped == size { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }
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

    /// A track of 2 × 3 pixels, a cluster of unknown size at 1,000 ms, two frames at +0 and −40 ms.
    const STREAM: &[u8] = &[
        0x1a, 0x45, 0xdf, 0xa3, 0x81, 7, // a header of one byte
        0x18, 0x53, 0x80, 0x67, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, // segment
        0x16, 0x54, 0xae, 0x6b, 0x88, 0xae, 0x86, 0xe0, 0x84, 0xb0, 0x81, 2, // tracks, width
        0xba, 0x81, 3, // height
        0x1f, 0x43, 0xb6, 0x75, 0xff, 0xe7, 0x82, 0x03, 0xe8, // cluster and its time
        0xa3, 0x8a, 0x81, 0, 0, 0x80, 1, 2, 3, 4, 5, 6, // a block
        0xa3, 0x40, 0x0a, 0x81, 0xff, 0xd8, 0x80, 6, 5, 4, 3, 2, 1, // and one more
    ];

    #[test]
    fn frames_come_with_their_times() {
        let mut frames = TimedFrames::new(STREAM, 8);
        let first = frames.next().unwrap().unwrap();
        assert_eq!((first.at_ms, first.width, first.height), (1_000, 2, 3));
        assert_eq!(first.grey, [1, 2, 3, 4, 5, 6]);
        let second = frames.next().unwrap().unwrap();
        assert_eq!((second.at_ms, second.grey), (960, &[6, 5, 4, 3, 2, 1][..]));
        assert!(frames.next().unwrap().is_none());
    }

    #[test]
    fn a_larger_frame_than_is_allowed_is_refused() {
        assert!(TimedFrames::new(STREAM, 2).next().is_err());
    }

    #[test]
    fn a_stream_that_ends_anywhere_ends_or_errs() {
        for cut in 0..STREAM.len() {
            let mut frames = TimedFrames::new(&STREAM[..cut], 8);
            let mut count = 0;
            while let Ok(Some(_)) = frames.next() {
                count += 1;
            }
            assert!(count <= 1, "{cut}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end_or_err(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut frames = TimedFrames::new(bytes.as_slice(), 512);
            while let Ok(Some(frame)) = frames.next() {
                prop_assert!(frame.width <= 512 && frame.height <= 512);
            }
        }
    }
}
