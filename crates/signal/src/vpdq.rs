//! A vPDQ signal: the PDQ hashes of a video's frames with their quality and time.
//!
//! Source: facebook/ThreatExchange, `vpdq/README.md`; text forms as its tools write them.

use crate::pdq::Pdq;

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
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Vpdq {
    /// The frames; numbers and times never decrease.
    pub frames: Vec<Frame>,
}
