//! Looks at animated pictures (GIF, animated WebP, APNG): each frame that is shown is a picture, and all of them in
//! their times are a video.
//!
//! Frames are laid over each other as browsers do it, and so are their times ([`INSTEAD_OF_AT_ONCE`]). One round is
//! looked at, however often it is repeated. All three formats are decoded in this process, by the decoders that
//! still pictures have: ffmpeg reads animated WebP only from its version 8 on.
//!
//! **Invariant:** one frame is decoded at a time; what is kept of it are 44 bytes.
//! **Invariant:** what is left out is left out by how long frames are shown, never by their numbers.
//! **Invariant:** a picture that moves longer or larger than the limits allow is refused, never looked at in part.

mod frames;
mod shown;

use std::ops::ControlFlow;
use std::time::Duration;

use watchfire_signal::features::{Area, Depth, SeenPicture, Views};
use watchfire_signal::pdq::{MIN_QUALITY, Pdq};
use watchfire_signal::value::Signal;
use watchfire_signal::vpdq::{Frame, Vpdq};

use crate::edits;
use crate::pdq::{Hasher, Layout, Pixels};
use crate::picture::PictureError;
use crate::video::{FrameRate, Stop};

use frames::Frames;
use shown::Shown;

/// The most frames: half an hour at ten a second, which is much of a GIF.
pub const MAX_FRAMES: u32 = 20_000;

/// The most pixels of a frame: the decoders lay frames over each other, at 32 bytes a pixel at worst, which is
/// [`MAX_ALLOC_BYTES`](crate::picture::MAX_ALLOC_BYTES).
pub const MAX_FRAME_PIXELS: u64 = 16_000_000;

/// The most pixels of all frames together: a minute of full HD at 30 frames a second, or ten of 480 × 270 at 50.
pub const MAX_ALL_PIXELS: u64 = 4_000_000_000;

/// How long one round may be decoded and hashed; less than a request may take.
pub const MAX_TIME: Duration = Duration::from_secs(60);

/// The most pictures that an animated one counts as, beside its first frame: with its other signals they fit into one
/// scan by signals.
pub const MAX_PICTURES: usize = 60;

/// How long a frame is shown that asks for no time, or for up to [`AT_ONCE`]: what all browsers do.
pub const INSTEAD_OF_AT_ONCE: Duration = Duration::from_millis(100);

/// The time up to which browsers take a frame's for none.
pub const AT_ONCE: Duration = Duration::from_millis(10);

/// What an animated picture may need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Frames of one round.
    pub max_frames: u32,
    /// Width × height.
    pub max_frame_pixels: u64,
    /// Width × height × frames.
    pub max_all_pixels: u64,
    /// Time from the first frame to the last.
    pub max_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_frames: MAX_FRAMES,
            max_frame_pixels: MAX_FRAME_PIXELS,
            max_all_pixels: MAX_ALL_PIXELS,
            max_time: MAX_TIME,
        }
    }
}

/// Why an animated picture could not be looked at.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AnimationError {
    /// One round would need more than the limits allow.
    #[error("the animated picture is too large: {0}")]
    TooLarge(String),
    /// One round took longer than the limits allow.
    #[error("the animated picture took longer than {0:?}")]
    TooSlow(Duration),
    /// [`Stop::stop`] was called.
    #[error("the animated picture was given up: nobody waits for it any more")]
    Stopped,
    /// A frame cannot be decoded.
    #[error(transparent)]
    Frame(#[from] PictureError),
}

/// What is shown by a picture that moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Animation {
    /// The hashes of pictures that are shown after the first, with their qualities: each different one, or of more than
    /// [`MAX_PICTURES`] those that are shown longest in equal parts of the round.
    pub pictures: Vec<(Pdq, u8)>,
    /// The frames in their times.
    pub vpdq: Vpdq,
    /// Frames of one round.
    pub frames: u32,
    /// How long one round takes, in milliseconds.
    pub duration_ms: u32,
}

impl Animation {
    /// All of it as signals. Too few different frames to be found in time have none for that.
    #[must_use]
    pub fn signals(self) -> Vec<Signal> {
        let picture =
            |(pdq, quality): (Pdq, u8)| Signal { quality: Some(quality), ..Signal::new(pdq) };
        let in_time = Some(Signal::new(self.vpdq)).filter(|in_time| !in_time.is_thin());
        self.pictures.into_iter().map(picture).chain(in_time).collect()
    }
}

/// A frame that is looked up.
pub struct Look {
    /// Its hash, its number and its time.
    pub frame: Frame,
    /// What edited copies are looked up by.
    pub views: Views,
}

impl Look {
    /// The whole of it as it is looked up as a frame of a video; nothing where it is too plain.
    #[must_use]
    pub fn whole(&self) -> &[SeenPicture] {
        self.views.pictures.get(..1).unwrap_or_default()
    }

    /// What borders and rectangles in it hold, as frames of videos of their own.
    #[must_use]
    pub fn parts(&self) -> Vec<(Frame, Area)> {
        // Views have only those that say enough.
        let frame = |pdq| Frame { pdq, quality: MIN_QUALITY, ..self.frame };
        self.views.parts.iter().map(|(pdq, area)| (frame(*pdq), *area)).collect()
    }
}

/// Looks at all frames of a picture of which `first` is the hash as a still one. `None` if it does not move.
///
/// What a file that ends too early, or in something else than a frame, has shown before counts, as in browsers.
///
/// # Errors
/// [`AnimationError`]; all but `Stopped` and `TooSlow` are about the bytes and will come again.
pub(crate) fn hash(
    bytes: &[u8],
    first: Pdq,
    rate: FrameRate,
    (limits, stop): (&Limits, &Stop),
    hasher: &mut Hasher,
) -> Result<Option<Animation>, AnimationError> {
    let Some(mut frames) = Frames::of(bytes, limits, stop)? else { return Ok(None) };
    let mut shown = Vec::new();
    while let Some(frame) = frames.next()? {
        let (at_ms, until_ms) = (frame.at_ms, frame.until_ms);
        let (pdq, quality) = hash_of(hasher, frame.pixels());
        shown.push(Shown { at_ms, until_ms, pdq, quality });
    }
    let still = match shown.as_slice() {
        [] => true,
        // Of an APNG the only frame may be another picture than the one that it is without moving.
        [only] => only.pdq == first,
        _ => false,
    };
    if still {
        return Ok(None);
    }
    Ok(Some(Animation {
        pictures: shown::pictures(&shown, first, MAX_PICTURES),
        vpdq: Vpdq { frames: shown::in_time(&shown, rate) },
        frames: u32::try_from(shown.len()).unwrap_or(u32::MAX),
        duration_ms: shown.last().map_or(0, |last| last.until_ms),
    }))
}

/// Hands what those frames are looked up by that `animation` lists in time to `each`, one after another, until that
/// breaks off. Blocks.
///
/// # Errors
/// As when it was hashed.
pub fn looks(
    bytes: &[u8],
    animation: &Animation,
    (limits, stop): (&Limits, &Stop),
    depth: Depth,
    mut each: impl FnMut(Look) -> ControlFlow<()>,
) -> Result<(), AnimationError> {
    let Some(mut frames) = Frames::of(bytes, limits, stop)? else { return Ok(()) };
    let mut listed = animation.vpdq.frames.iter().copied().peekable();
    while let Some(next) = listed.peek().copied() {
        let Some(seen) = frames.next()? else { break };
        if seen.number < next.number {
            continue;
        }
        listed.next();
        let views = seen.pixels().map(|pixels| edits::views(pixels, depth)).unwrap_or_default();
        if each(Look { frame: next, views }).is_break() {
            break;
        }
    }
    Ok(())
}

/// The hash of a frame; of one that is too small what vPDQ gives for it.
fn hash_of(hasher: &mut Hasher, pixels: Option<Pixels<'_>>) -> (Pdq, u8) {
    let print = pixels.and_then(|pixels| hasher.hash(pixels));
    print.map_or((Pdq([0; 32]), 0), |print| (print.pdq, print.quality))
}

/// A frame as it is shown.
struct SeenFrame {
    number: u32,
    at_ms: u32,
    until_ms: u32,
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

impl SeenFrame {
    fn pixels(&self) -> Option<Pixels<'_>> {
        Pixels::new(self.width, self.height, Layout::Rgb, &self.rgb)
    }
}
