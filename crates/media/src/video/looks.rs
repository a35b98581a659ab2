//! Looks at a video as it is looked up: hashes and local features of two frames a second.

use std::num::NonZeroU32;
use std::ops::ControlFlow;

use watchfire_signal::features::{Area, Depth, SeenPicture};
use watchfire_signal::vpdq::Frame;

use super::stream::{Input, MAX_STALL, Pace, Seen, Streamed, Streaming, stream};
use super::{Decoder, VideoError};
use crate::pdq::{Hasher, Pixels};
use crate::{edits, features, regions};

/// Frames a second that are looked at.
const LOOKS_A_SECOND: NonZeroU32 = NonZeroU32::new(2).unwrap();

/// The most frames of one video that are looked at: the first hour.
pub const MAX_LOOKS: u32 = 3_600 * LOOKS_A_SECOND.get();

/// A frame that is looked up.
pub struct Look {
    /// Its hash and its time.
    pub frame: Frame,
    /// What is inside of a border, and rectangles that look like pictures of their own, each with its hash: a video
    /// in a letterbox, on the screen of an app, or in a part of another video.
    pub parts: Vec<(Frame, Area)>,
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
    live_looks(
        input,
        decoder,
        || Depth::Features,
        |look| {
            if look.frame.number >= MAX_LOOKS { ControlFlow::Break(()) } else { each(look) }
        },
    )
}

/// The same for as long as the video goes on, as far as `depth` says of each frame: of a stream that runs
/// for hours, what is known may change meanwhile.
///
/// # Errors
/// As [`stream`].
pub fn live_looks(
    input: Input<'_>,
    decoder: &Decoder,
    mut depth: impl FnMut() -> Depth,
    mut each: impl FnMut(Look) -> ControlFlow<()>,
) -> Result<Streamed, VideoError> {
    let streaming = Streaming { pace: Pace::PerSecond(LOOKS_A_SECOND), stall: MAX_STALL };
    let mut hasher = Hasher::default();
    stream(input, streaming, decoder, |seen| {
        let depth = depth();
        let Seen { frame, picture } = seen;
        let within = depth >= Depth::Parts;
        let parts = if within { parts(&mut hasher, frame, picture) } else { Vec::new() };
        let features = (depth == Depth::Features).then(|| features::seen(picture)).flatten();
        each(Look { frame, parts, pictures: features.into_iter().collect() })
    })
}

fn parts(hasher: &mut Hasher, frame: Frame, pixels: Pixels<'_>) -> Vec<(Frame, Area)> {
    let part = |inside| {
        let hash = hasher.hash(regions::cut(pixels, inside).pixels())?;
        let part = Frame { pdq: hash.pdq, quality: hash.quality, ..frame };
        Some((part, edits::area(pixels, inside)))
    };
    regions::content(pixels).into_iter().filter_map(part).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use watchfire_signal::pdq::Pdq;

    use super::*;
    use crate::pdq::Layout;

    #[test]
    fn what_a_letterbox_holds_has_its_own_hash() {
        let (width, height, bar) = (320, 400, 100);
        let inside =
            |x: usize, y: usize| ((x * 7 + y * y / 40) % 200 + (x / 40 * y / 30) % 50) as u8;
        let shown: Vec<u8> =
            (0..height - 2 * bar).flat_map(|y| (0..width).map(move |x| inside(x, y))).collect();
        let mut boxed = vec![0; width * bar];
        boxed.extend(&shown);
        boxed.resize(width * height, 0);
        let pixels = |bytes, height: usize| {
            Pixels::new(width as u32, height as u32, Layout::Grey, bytes).unwrap()
        };
        let frame = Frame { number: 3, quality: 9, pdq: Pdq([0; 32]), at_ms: 1_500 };
        let found = parts(&mut Hasher::default(), frame, pixels(&boxed, height));
        let own = crate::pdq::hash(pixels(&shown, height - 2 * bar)).unwrap();
        let is_own = |(part, area): &(Frame, Area)| {
            part.at_ms == 1_500 && part.pdq.distance(&own.pdq) <= 8 && area.top > 0.2
        };
        assert!(found.iter().any(is_own));
    }
}
