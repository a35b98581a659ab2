//! Decodes the frames of an animated picture one after another, within limits.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use image::codecs::{gif::GifDecoder, png::PngDecoder, webp::WebPDecoder};
use image::{AnimationDecoder, ImageDecoder, ImageError, ImageResult};

use super::{AT_ONCE, AnimationError, INSTEAD_OF_AT_ONCE, Limits, SeenFrame};
use crate::format::{Format, PictureFormat, sniff};
use crate::picture::{self, MAX_ALLOC_BYTES, MAX_SIDE, PictureError};
use crate::video::Stop;

/// What the GIF decoder says of bytes between frames that are no frame. Browsers take the picture for ended there.
const NO_FRAME: &str = "unknown block type";

/// The frames that are left.
pub(super) struct Frames<'a> {
    decoder: image::Frames<'a>,
    limits: Limits,
    stop: &'a Stop,
    begun: Instant,
    /// Pixels of one frame.
    pixels: u64,
    number: u32,
    at_ms: u32,
}

/// Whatever a decoder is: its size, and its frames once it may take memory.
type Opened<'a> = (u64, image::Frames<'a>);

impl<'a> Frames<'a> {
    /// Begins with the first frame; `None` if the file's format or header says that nothing moves.
    #[expect(clippy::disallowed_methods, reason = "decoding takes real time")]
    pub(super) fn of(
        bytes: &'a [u8],
        limits: &Limits,
        stop: &'a Stop,
    ) -> Result<Option<Self>, AnimationError> {
        let Some(Format::Picture(format)) = sniff(bytes) else { return Ok(None) };
        let opened = caught(|| open(bytes, format, limits))?;
        let frames = |(pixels, decoder)| Self {
            decoder,
            limits: *limits,
            stop,
            begun: Instant::now(),
            pixels,
            number: 0,
            at_ms: 0,
        };
        Ok(opened.map(frames))
    }

    /// The next frame, laid over those before; `None` at the end, also where the file ends within a frame.
    pub(super) fn next(&mut self) -> Result<Option<SeenFrame>, AnimationError> {
        let Limits { max_time, max_frames, max_all_pixels, .. } = self.limits;
        if self.stop.is_stopped() {
            return Err(AnimationError::Stopped);
        }
        if self.begun.elapsed() > max_time {
            return Err(AnimationError::TooSlow(max_time));
        }
        let Some(frame) = caught(|| self.decoder.next().transpose().map_err(refusal))
            .or_else(|error| self.ended(error))?
        else {
            return Ok(None);
        };
        let number = self.number;
        if number >= max_frames {
            return Err(AnimationError::TooLarge(format!("more than {max_frames} frames")));
        }
        let all = self.pixels.saturating_mul(u64::from(number) + 1);
        if all > max_all_pixels {
            return Err(AnimationError::TooLarge(format!("{all} pixels in {} frames", number + 1)));
        }
        let (numerator, denominator) = frame.delay().numer_denom_ms();
        let at_ms = self.at_ms;
        let until_ms = at_ms.saturating_add(shown_ms(numerator / denominator.max(1)));
        (self.number, self.at_ms) = (number + 1, until_ms);
        let rgba = frame.into_buffer();
        let (width, height) = rgba.dimensions();
        // As of still pictures: alpha is dropped and not blended.
        let rgb = picture::drop_alpha::<4>(rgba.into_raw());
        Ok(Some(SeenFrame { number, at_ms, until_ms, width, height, rgb }))
    }

    /// Whether an error is the end of the file, before which there were frames. Anything else is refused: a browser may
    /// go on behind it.
    fn ended<T>(&self, error: AnimationError) -> Result<Option<T>, AnimationError> {
        let early = match &error {
            AnimationError::Frame(PictureError::Truncated) => true,
            AnimationError::Frame(PictureError::Malformed(why)) => why.contains(NO_FRAME),
            _ => false,
        };
        if early && self.number > 0 { Ok(None) } else { Err(error) }
    }
}

fn open<'a>(
    bytes: &'a [u8],
    format: PictureFormat,
    limits: &Limits,
) -> Result<Option<Opened<'a>>, AnimationError> {
    let bytes = Cursor::new(bytes);
    match format {
        PictureFormat::Gif => {
            let decoder = GifDecoder::new(bytes).map_err(refusal)?;
            limited(decoder, limits, |decoder| Ok(decoder.into_frames())).map(Some)
        }
        PictureFormat::WebP => {
            let decoder = WebPDecoder::new(bytes).map_err(refusal)?;
            let moves = decoder.has_animation();
            let frames = || limited(decoder, limits, |decoder| Ok(decoder.into_frames()));
            moves.then(frames).transpose()
        }
        PictureFormat::Png => {
            let decoder = PngDecoder::with_limits(bytes, allowed()).map_err(refusal)?;
            let moves = decoder.is_apng().map_err(refusal)?;
            let frames = || limited(decoder, limits, |decoder| Ok(decoder.apng()?.into_frames()));
            moves.then(frames).transpose()
        }
        PictureFormat::Jpeg | PictureFormat::Bmp | PictureFormat::Tiff => Ok(None),
    }
}

fn limited<'a, D: ImageDecoder>(
    mut decoder: D,
    limits: &Limits,
    frames: impl FnOnce(D) -> ImageResult<image::Frames<'a>>,
) -> Result<Opened<'a>, AnimationError> {
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels > limits.max_frame_pixels {
        return Err(AnimationError::TooLarge(format!("frames of {width} × {height} pixels")));
    }
    decoder.set_limits(allowed()).map_err(refusal)?;
    Ok((pixels, frames(decoder).map_err(refusal)?))
}

fn allowed() -> image::Limits {
    let mut allowed = image::Limits::no_limits();
    allowed.max_image_width = Some(MAX_SIDE);
    allowed.max_image_height = Some(MAX_SIDE);
    allowed.max_alloc = Some(MAX_ALLOC_BYTES);
    allowed
}

/// How long a frame is shown of which the file says so many milliseconds.
fn shown_ms(said: u32) -> u32 {
    let ms = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
    if said <= ms(AT_ONCE) { ms(INSTEAD_OF_AT_ONCE) } else { said }
}

fn refusal(error: ImageError) -> AnimationError {
    picture::refusal(error).into()
}

/// As of still pictures, a defect of a decoder is a panic at worst, and costs the picture.
fn caught<T>(work: impl FnOnce() -> Result<T, AnimationError>) -> Result<T, AnimationError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(PictureError::Malformed("the decoder gave up".into()).into()))
}
