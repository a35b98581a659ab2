//! Looks at a video as it is looked up: hashes and local features of two frames a second.

use std::num::NonZeroU32;
use std::ops::ControlFlow;

use watchfire_signal::features::SeenPicture;
use watchfire_signal::vpdq::Frame;

use super::stream::{Input, MAX_STALL, Pace, Streamed, Streaming, stream};
use super::{Decoder, VideoError};
use crate::features;

/// Frames a second that are looked at.
const LOOKS_A_SECOND: NonZeroU32 = NonZeroU32::new(2).unwrap();

/// The most frames of one video that are looked at: the first hour.
pub const MAX_LOOKS: u32 = 3_600 * LOOKS_A_SECOND.get();

/// A frame that is looked up.
pub struct Look {
    /// Its hash and its time.
    pub frame: Frame,
    /// What it is looked up by: itself, then parts of it that look like pictures of their own; nothing where it
    /// is too plain or small.
    pub pictures: Vec<SeenPicture>,
}

/// Decodes a video and hands what its frames are looked up by to `each`, one after another, until that breaks
/// off, the video ends, or [`MAX_LOOKS`] are through; then the answer says that it was broken off. Blocks.
///
/// # Errors
/// As [`stream`].
pub fn looks(
    input: Input<'_>,
    decoder: &Decoder,
    mut each: impl FnMut(Look) -> ControlFlow<()>,
) -> Result<Streamed, VideoError> {
    let streaming = Streaming { pace: Pace::PerSecond(LOOKS_A_SECOND), stall: MAX_STALL };
    stream(input, streaming, decoder, |seen| {
        if seen.frame.number >= MAX_LOOKS {
            return ControlFlow::Break(());
        }
        let pictures = features::seen(seen.picture).into_iter().collect();
        each(Look { frame: seen.frame, pictures })
    })
}
