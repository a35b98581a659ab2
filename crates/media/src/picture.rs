//! Decodes still pictures to the pixels that PDQ is computed from.
//!
//! Pixels are what Pillow's `convert("RGB")` gives, because the hashes that others exchange come
//! from it: alpha is dropped and not blended, palettes are resolved, CMYK is converted, orientation
//! in metadata is ignored. One difference is wanted: 16-bit grey keeps its high byte, where Pillow
//! cuts everything above 255 to white and so hashes nothing.
//!
//! **Invariant:** dimensions are checked before memory for pixels is asked for.

mod jpeg;

use std::fmt;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader};

use crate::format::{Format, PictureFormat, sniff};
use crate::pdq::{Layout, Pixels};

/// The longest side in pixels; panoramas of phones stay below it, decompression bombs do not.
pub const MAX_SIDE: u32 = 32_768;

/// The most pixels; 108 megapixels is what large sensors of phones give.
pub const MAX_PIXELS: u64 = 120_000_000;

/// The most bytes that a decoder may ask for, pixels included; four bytes a pixel and some rows.
pub const MAX_ALLOC_BYTES: u64 = 512 * 1024 * 1024;

/// What a picture may need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest side, in pixels.
    pub max_side: u32,
    /// Width × height.
    pub max_pixels: u64,
    /// Bytes of memory for the decoder and its output.
    pub max_alloc_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_side: MAX_SIDE, max_pixels: MAX_PIXELS, max_alloc_bytes: MAX_ALLOC_BYTES }
    }
}

/// Why a picture could not be decoded.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PictureError {
    /// There are no bytes.
    #[error("the file is empty")]
    Empty,
    /// The bytes are no picture of a format that is decoded here.
    #[error("the file is not a JPEG, PNG, WebP, GIF, BMP or TIFF picture")]
    NotAPicture,
    /// The file ends before the picture does.
    #[error("the picture is truncated")]
    Truncated,
    /// The picture would need more than the limits allow.
    #[error("the picture is too large: {0}")]
    TooLarge(String),
    /// The picture breaks the rules of its format, or uses a part of it that is not supported.
    #[error("the picture cannot be decoded: {0}")]
    Malformed(String),
}

/// A decoded picture.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    width: u32,
    height: u32,
    layout: Layout,
    bytes: Vec<u8>,
}

impl Picture {
    /// The pixels, to be hashed.
    #[must_use]
    pub fn pixels(&self) -> Pixels<'_> {
        let Self { width, height, layout, ref bytes } = *self;
        Pixels { width, height, layout, bytes }
    }

    /// Gives the memory of the pixels back, for [`decode_into`].
    #[must_use]
    pub fn into_memory(self) -> Vec<u8> {
        self.bytes
    }
}

/// Shows the size only: pixels never go to a log.
impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Picture({} × {}, {:?})", self.width, self.height, self.layout)
    }
}

/// Decodes a picture of any supported format.
///
/// # Errors
/// [`PictureError`]; nothing is kept and the same bytes will fail again.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Picture, PictureError> {
    decode_into(bytes, limits, &mut Vec::new())
}

/// Decodes a picture of any supported format to memory that was used before: the kernel clears fresh
/// memory page by page, which costs a third of decoding a large picture.
///
/// `memory` is taken where the picture fits the decoder's own pixels, and left empty then; its bytes
/// say nothing. [`Picture::into_memory`] gives it back.
///
/// # Errors
/// [`PictureError`]; nothing is kept and the same bytes will fail again.
pub fn decode_into(
    bytes: &[u8],
    limits: &Limits,
    memory: &mut Vec<u8>,
) -> Result<Picture, PictureError> {
    if bytes.is_empty() {
        return Err(PictureError::Empty);
    }
    let Some(Format::Picture(format)) = sniff(bytes) else {
        return Err(PictureError::NotAPicture);
    };
    match format {
        PictureFormat::Jpeg => jpeg::check_complete(bytes)?,
        PictureFormat::WebP => check_riff_complete(bytes)?,
        _ => {}
    }
    // The decoders are memory-safe, and a defect in one of them is a panic at worst: it costs the
    // picture and not the process.
    catch_unwind(AssertUnwindSafe(|| decode_as(bytes, format, limits, memory)))
        .unwrap_or_else(|_| Err(PictureError::Malformed("the decoder gave up".into())))
}

/// Checks that the file is as long as its header says; the decoder would call it corrupt.
fn check_riff_complete(bytes: &[u8]) -> Result<(), PictureError> {
    let length =
        bytes.get(4..).and_then(|rest| rest.first_chunk()).map(|le| u32::from_le_bytes(*le));
    let behind = bytes.len().saturating_sub(8);
    let complete = length.is_some_and(|length| usize::try_from(length).is_ok_and(|n| n <= behind));
    if complete { Ok(()) } else { Err(PictureError::Truncated) }
}

fn decode_as(
    bytes: &[u8],
    format: PictureFormat,
    limits: &Limits,
    memory: &mut Vec<u8>,
) -> Result<Picture, PictureError> {
    let format = match format {
        PictureFormat::Jpeg => ImageFormat::Jpeg,
        PictureFormat::Png => ImageFormat::Png,
        PictureFormat::WebP => ImageFormat::WebP,
        PictureFormat::Gif => ImageFormat::Gif,
        PictureFormat::Bmp => ImageFormat::Bmp,
        PictureFormat::Tiff => ImageFormat::Tiff,
    };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut allowed = image::Limits::no_limits();
    allowed.max_image_width = Some(limits.max_side);
    allowed.max_image_height = Some(limits.max_side);
    allowed.max_alloc = Some(limits.max_alloc_bytes);
    reader.limits(allowed.clone());
    let mut decoder = reader.into_decoder().map_err(refusal)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > limits.max_pixels {
        return Err(PictureError::TooLarge(format!("{width} × {height} pixels")));
    }
    allowed.reserve(decoder.total_bytes()).map_err(refusal)?;
    let size = decoder.total_bytes();
    decoder.set_limits(allowed).map_err(refusal)?;
    let layout = match decoder.color_type() {
        ColorType::L8 => Layout::Grey,
        ColorType::Rgb8 => Layout::Rgb,
        _ => return pixels_of(DynamicImage::from_decoder(decoder).map_err(refusal)?),
    };
    let size = usize::try_from(size).map_err(|error| PictureError::TooLarge(error.to_string()))?;
    memory.resize(size, 0);
    decoder.read_image(memory).map_err(refusal)?;
    whole(Picture { width, height, layout, bytes: std::mem::take(memory) })
}

/// The picture, if it has as many pixels as it says.
fn whole(picture: Picture) -> Result<Picture, PictureError> {
    let Picture { width, height, layout, ref bytes } = picture;
    match Pixels::new(width, height, layout, bytes) {
        Some(_) => Ok(picture),
        None => Err(PictureError::Malformed("the decoder gave too few pixels".into())),
    }
}

/// Brings what a decoder gave to eight bits of grey or RGB without alpha.
fn pixels_of(image: DynamicImage) -> Result<Picture, PictureError> {
    let (width, height) = (image.width(), image.height());
    let high = |value: u16| value.to_be_bytes()[0];
    let (layout, bytes) = match image {
        DynamicImage::ImageLuma8(pixels) => (Layout::Grey, pixels.into_raw()),
        DynamicImage::ImageRgb8(pixels) => (Layout::Rgb, pixels.into_raw()),
        DynamicImage::ImageLumaA8(pixels) => (Layout::Grey, drop_alpha::<2>(pixels.into_raw())),
        DynamicImage::ImageRgba8(pixels) => (Layout::Rgb, drop_alpha::<4>(pixels.into_raw())),
        DynamicImage::ImageLuma16(pixels) => {
            (Layout::Grey, pixels.into_raw().into_iter().map(high).collect())
        }
        DynamicImage::ImageLumaA16(pixels) => {
            (Layout::Grey, pixels.pixels().map(|pixel| high(pixel.0[0])).collect())
        }
        DynamicImage::ImageRgb16(pixels) => {
            (Layout::Rgb, pixels.into_raw().into_iter().map(high).collect())
        }
        DynamicImage::ImageRgba16(pixels) => {
            let colours = pixels.pixels().flat_map(|pixel| [pixel.0[0], pixel.0[1], pixel.0[2]]);
            (Layout::Rgb, colours.map(high).collect())
        }
        other => (Layout::Rgb, other.into_rgb8().into_raw()),
    };
    whole(Picture { width, height, layout, bytes })
}

/// Moves the colours of pixels of `N` bytes together and drops the last byte of each, in place.
pub(crate) fn drop_alpha<const N: usize>(mut bytes: Vec<u8>) -> Vec<u8> {
    let pixels = bytes.len() / N;
    for pixel in 0..pixels {
        bytes.copy_within(pixel * N..pixel * N + N - 1, pixel * (N - 1));
    }
    bytes.truncate(pixels * (N - 1));
    bytes
}

pub(crate) fn refusal(error: ImageError) -> PictureError {
    match error {
        ImageError::Limits(limit) => PictureError::TooLarge(limit.to_string()),
        ImageError::IoError(io) if io.kind() == std::io::ErrorKind::UnexpectedEof => {
            PictureError::Truncated
        }
        other => {
            let text = other.to_string();
            // Some decoders wrap the end of the file in an error of their own.
            let early = ["unexpected end", "unexpected eof", "failed to fill whole buffer"];
            if early.iter().any(|sign| text.to_lowercase().contains(sign)) {
                PictureError::Truncated
            } else {
                PictureError::Malformed(text)
            }
        }
    }
}
