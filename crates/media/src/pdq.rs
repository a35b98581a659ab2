//! Hashes pixels with PDQ, bit for bit as the reference does at full size.
//!
//! Source: "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm", Facebook 2019;
//! where that leaves the arithmetic open, the order and precision of PyPI `pdqhash` 0.2.8.
//!
//! **Invariant:** the same pixels give the same bits on every processor and in every code path.

mod dct;
mod shrink;
mod shrunk;

use watchfire_signal::pdq::{
    Pdq,
    frequencies::{self, Frequencies, SIDE as SMALL, Small},
};

use shrink::Shrinker;

use crate::simd::{Level, MAX_DIVISOR, Simd, Task};

/// The least width and height that are hashed; below it the reference gives an empty hash.
pub const MIN_SIDE: u32 = 5;

/// A sum of gradients that counts as one point of quality; chosen by the authors of PDQ.
const GRADIENTS_PER_POINT: u32 = 90;

/// How the bytes of a pixel follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// One byte a pixel: luminance.
    Grey,
    /// Three bytes a pixel: red, green, blue.
    Rgb,
}

impl Layout {
    /// Bytes a pixel.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
        }
    }
}

/// Borrowed pixels: rows from top to bottom without padding between them.
#[derive(Clone, Copy)]
pub struct Pixels<'a> {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) layout: Layout,
    pub(crate) bytes: &'a [u8],
}

impl<'a> Pixels<'a> {
    /// Describes `bytes` as a picture; `None` if their number is not width × height × bytes a pixel.
    #[must_use]
    pub fn new(width: u32, height: u32, layout: Layout, bytes: &'a [u8]) -> Option<Self> {
        let pixels = usize::try_from(width).ok()?.checked_mul(usize::try_from(height).ok()?)?;
        let expected = pixels.checked_mul(layout.bytes())?;
        (bytes.len() == expected).then_some(Self { width, height, layout, bytes })
    }

    /// Width in pixels.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// How the bytes of a pixel follow each other.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The bytes: rows from top to bottom without padding between them.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Width, height and bytes of the same picture at no more than `side` pixels a side, each the mean
    /// of the pixels that it covers; as it is where it is no larger.
    ///
    /// Not to be hashed with PDQ, whose window is of whole pixels: at 512 that moved up to 36 bits.
    #[must_use]
    pub fn shrunk(&self, side: u32) -> (u32, u32, Vec<u8>) {
        shrunk::shrunk(*self, side)
    }
}

/// One of the eight ways to turn and mirror a picture; names as in the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dihedral {
    /// As it is.
    Original,
    /// Turned a quarter, counter-clockwise.
    Rotate90,
    /// Turned by half.
    Rotate180,
    /// Turned three quarters, counter-clockwise.
    Rotate270,
    /// Mirrored top to bottom.
    FlipX,
    /// Mirrored left to right.
    FlipY,
    /// Mirrored along the main diagonal.
    FlipPlus1,
    /// Mirrored along the other diagonal.
    FlipMinus1,
}

impl Dihedral {
    /// All eight, in the order of the reference.
    pub const ALL: [Self; 8] = [
        Self::Original,
        Self::Rotate90,
        Self::Rotate180,
        Self::Rotate270,
        Self::FlipX,
        Self::FlipY,
        Self::FlipPlus1,
        Self::FlipMinus1,
    ];
}

/// What PDQ says about one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Fingerprint {
    /// The hash of the picture as it is.
    pub pdq: Pdq,
    /// How much the picture has to tell, 0 to 100.
    pub quality: u8,
    coefficients: Frequencies,
}

impl Fingerprint {
    /// The hash that the picture would have if it were turned or mirrored so, without hashing it again.
    #[must_use]
    pub fn turned(&self, by: Dihedral) -> Pdq {
        frequencies::bits(&dct::turn(&self.coefficients, by))
    }

    /// The hash that the inverted picture would have if it were turned or mirrored so.
    ///
    /// Inverting a picture flips the sign of every frequency. Half of the bits are ones, so that is the
    /// complement, but for frequencies that are equal to the median: none in a picture with any detail.
    /// Hashing the inverted pixels instead rounds differently: a test allows 2 bits, and saw none.
    #[must_use]
    pub fn inverted(&self, by: Dihedral) -> Pdq {
        self.turned(by).complement()
    }

    /// All eight hashes in the order of [`Dihedral::ALL`].
    #[must_use]
    pub fn dihedral(&self) -> [Pdq; 8] {
        Dihedral::ALL.map(|by| self.turned(by))
    }
}

/// Hashes pictures one after another and keeps its buffers between them.
///
/// Needs memory for a few rows of the widest picture so far, not for a whole picture.
#[derive(Debug)]
pub struct Hasher {
    level: Level,
    shrinker: Shrinker,
}

impl Default for Hasher {
    fn default() -> Self {
        Self { level: Level::best(), shrinker: Shrinker::default() }
    }
}

impl Hasher {
    /// A hasher for each set of instructions that this machine has, with its name, the fastest last:
    /// to compare them. All give the same bits.
    pub fn of_every_level() -> impl Iterator<Item = (&'static str, Self)> {
        Level::all().map(|level| (level.name(), Self { level, shrinker: Shrinker::default() }))
    }

    /// Hashes one picture; `None` if a side is below [`MIN_SIDE`].
    pub fn hash(&mut self, pixels: Pixels<'_>) -> Option<Fingerprint> {
        if pixels.width < MIN_SIDE || pixels.height < MIN_SIDE {
            return None;
        }
        // Longer ones than any decoder here gives are hashed too, with plain divisions.
        let longest = pixels.width.max(pixels.height) as usize;
        let proven = shrink::longest_window(longest) <= MAX_DIVISOR;
        let level = if proven { self.level } else { Level::Scalar };
        Some(level.run(Hashing { shrinker: &mut self.shrinker, pixels }))
    }
}

/// One picture to be hashed with any instructions.
struct Hashing<'a> {
    shrinker: &'a mut Shrinker,
    pixels: Pixels<'a>,
}

impl Task for Hashing<'_> {
    type Output = Fingerprint;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Fingerprint {
        let mut small = [[0.0; SMALL]; SMALL];
        self.shrinker.shrink(simd, self.pixels, &mut small);
        let coefficients = frequencies::transform(&small);
        Fingerprint {
            pdq: frequencies::bits(&coefficients),
            quality: quality(&small),
            coefficients,
        }
    }
}

/// Hashes one picture; `None` if a side is below [`MIN_SIDE`].
#[must_use]
pub fn hash(pixels: Pixels<'_>) -> Option<Fingerprint> {
    Hasher::default().hash(pixels)
}

/// The sum of significant gradients, scaled to at most 100. Each gradient is cut to a whole number,
/// so that many faint ones count for nothing.
#[inline(always)]
fn quality(small: &Small) -> u8 {
    let mut gradients = [0.0_f32; SMALL];
    for (row, below) in small.iter().zip(small.iter().skip(1)) {
        for (sum, (a, b)) in gradients.iter_mut().zip(row.iter().zip(below)) {
            *sum += gradient(*a, *b);
        }
    }
    for row in small {
        for (sum, (a, b)) in gradients.iter_mut().zip(row.iter().zip(&row[1..])) {
            *sum += gradient(*a, *b);
        }
    }
    // Whole numbers far below 2²⁴: no order of adding them rounds.
    let sum = gradients.iter().sum::<f32>() as u32;
    u8::try_from((sum / GRADIENTS_PER_POINT).min(100)).unwrap_or(100)
}

/// Hundredths of the whole range between two values, cut to a whole number.
#[inline(always)]
fn gradient(a: f32, b: f32) -> f32 {
    // Adding 2²³ rounds to a whole number in every set of instructions, and without a branch.
    const ROUNDING: f32 = 8_388_608.0;
    let exact = (((a - b) * 100.0) / 255.0).abs();
    let rounded = (exact + ROUNDING) - ROUNDING;
    if rounded > exact { rounded - 1.0 } else { rounded }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn pixels_of_the_wrong_length_are_refused() {
        assert!(Pixels::new(2, 2, Layout::Rgb, &[0; 11]).is_none());
        assert!(Pixels::new(u32::MAX, u32::MAX, Layout::Rgb, &[]).is_none());
        assert!(Pixels::new(2, 2, Layout::Grey, &[0; 4]).is_some());
    }

    #[test]
    fn a_picture_under_five_pixels_a_side_has_no_hash() {
        assert!(hash(Pixels::new(4, 9, Layout::Grey, &[7; 36]).unwrap()).is_none());
        assert!(hash(Pixels::new(9, 4, Layout::Grey, &[7; 36]).unwrap()).is_none());
        assert!(hash(Pixels::new(5, 5, Layout::Grey, &[7; 25]).unwrap()).is_some());
    }

    #[test]
    fn every_level_gives_the_fingerprints_of_the_published_pictures() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/pdq/images");
        let (mut hasher, mut pictures) = (Hasher::default(), 0);
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let Ok(bytes) = std::fs::read(path) else { continue };
            let picture = crate::picture::decode(&bytes, &crate::picture::Limits::default());
            let Ok(picture) = picture else { continue };
            pictures += 1;
            // That the best level's are the published ones is an integration test.
            let best = hasher.hash(picture.pixels()).unwrap();
            for (level, mut hasher) in Hasher::of_every_level() {
                assert_eq!(hasher.hash(picture.pixels()).unwrap(), best, "{level}");
            }
        }
        assert!(pictures > 0);
    }

    #[test]
    fn grey_hashes_as_the_same_picture_in_rgb() {
        let grey: Vec<u8> = (0..200_u32 * 150).map(|i| (i * i / 97 % 251) as u8).collect();
        let rgb: Vec<u8> = grey.iter().flat_map(|v| [*v; 3]).collect();
        let grey = hash(Pixels::new(200, 150, Layout::Grey, &grey).unwrap()).unwrap();
        let rgb = hash(Pixels::new(200, 150, Layout::Rgb, &rgb).unwrap()).unwrap();
        assert_eq!(grey, rgb);
    }
}
