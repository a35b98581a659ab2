//! The local features of a picture: an edited copy is recognised by them where the picture itself is not at hand.
//!
//! A print has corners with 256-bit descriptors and places, and the signs of coarse differences of
//! luminance. A search lets descriptors vote, fits a transform to the places, and checks the transform
//! with the signs (`docs/format.md`, section 6; `docs/benchmarks/matching.md`).
//! **Invariant:** a print has exactly one encoding; every other byte string is refused.

mod describe;
mod pyramid;
mod shrink;
mod sine;

use std::{collections::HashSet, sync::Arc};

use thiserror::Error;

pub use self::{
    describe::{REACH, describe},
    pyramid::{Level, levels},
    shrink::shrink_rows,
};
use crate::pdq::Pdq;

/// The most features of a print.
pub const MAX_FEATURES: usize = 400;
/// The least features of a print: a match needs as many that agree.
pub const MIN_FEATURES: usize = 8;
/// The longest side of the picture that features are taken from, in pixels; larger ones are shrunk to it.
pub const MAX_SIDE: u16 = 512;
/// The least side of that picture: below it there is no room for a descriptor.
pub const MIN_SIDE: u16 = 64;
/// Units of a pixel in which places are written.
pub const UNITS: u16 = 64;
/// Levels of scale; each is a quarter of an octave.
pub const LEVELS: u8 = 12;
/// The side of a cell of luminance, in pixels.
pub const CELL: u16 = 16;
/// The most bytes of a print.
pub const MAX_PRINT_BYTES: usize = 20_000;

/// The first byte of a print.
const VERSION: u8 = 1;
/// Bytes before the features: version, width, height, count.
const HEAD_BYTES: usize = 7;
/// Bytes of a feature.
const FEATURE_BYTES: usize = 38;
/// Signs of a byte.
const SIGNS_A_BYTE: usize = 4;

/// 256 comparisons of brightness around a corner, turned by its angle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Descriptor(pub [u8; 32]);

impl Descriptor {
    /// The number of comparisons that differ, 0 to 256.
    #[must_use]
    pub fn distance(&self, other: &Self) -> u32 {
        let (a, b) = (self.words(), other.words());
        (0..4).map(|word| (a[word] ^ b[word]).count_ones()).sum()
    }

    /// The bits as four words, the first byte lowest.
    #[must_use]
    pub fn words(&self) -> [u64; 4] {
        std::array::from_fn(|word| {
            u64::from_le_bytes(std::array::from_fn(|byte| self.0[word * 8 + byte]))
        })
    }
}

/// A corner of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Feature {
    /// What is around it.
    pub descriptor: Descriptor,
    /// From the left edge, in 1/64 pixel.
    pub x: u16,
    /// From the top edge, in 1/64 pixel.
    pub y: u16,
    /// Its size: 2^(level/4).
    pub level: u8,
    /// Its direction in 1/256 of a turn, from right towards down.
    pub angle: u8,
}

impl Feature {
    /// The place in pixels.
    #[must_use]
    pub fn place(&self) -> (f32, f32) {
        let pixels = |units: u16| f32::from(units) / f32::from(UNITS);
        (pixels(self.x), pixels(self.y))
    }
}

/// How a cell differs in luminance from the mean of the two on both sides of it. A slope, which a sky has in
/// every picture, is flat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sign {
    /// Hardly.
    Flat,
    /// It is brighter.
    Brighter,
    /// It is darker.
    Darker,
}

impl Sign {
    fn bits(self) -> u8 {
        match self {
            Self::Flat => 0,
            Self::Brighter => 1,
            Self::Darker => 2,
        }
    }

    fn of_bits(bits: u8) -> Option<Self> {
        [Self::Flat, Self::Brighter, Self::Darker].into_iter().find(|sign| sign.bits() == bits)
    }
}

/// The local features of one picture. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FeaturesPrint {
    width: u16,
    height: u16,
    features: Arc<[Feature]>,
    signs: Arc<[Sign]>,
}

/// The local features of one frame of a video.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Moment {
    /// The frame's time, in milliseconds from the beginning of the whole video.
    pub at_ms: u32,
    /// Its features.
    pub print: FeaturesPrint,
}

/// Why something is not a print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FeaturesError {
    /// The first byte names no known version.
    #[error("version {0} of features is not known")]
    Version(u8),
    /// The size of the picture is out of range.
    #[error("a side of the picture has {MIN_SIDE} to {MAX_SIDE} pixels, found {0} × {1}")]
    Size(u16, u16),
    /// Too few or too many features.
    #[error("a print has {MIN_FEATURES} to {MAX_FEATURES} features, found {0}")]
    Count(usize),
    /// A place outside of the picture, or a level that there is not.
    #[error("feature {0} is outside of the picture or its levels")]
    Outside(usize),
    /// Two features at the same place, level and angle.
    #[error("feature {0} is there twice")]
    Twice(usize),
    /// Not as many signs as the size asks for.
    #[error("a picture of this size has {expected} signs, found {found}")]
    Signs {
        /// As many as there should be.
        expected: usize,
        /// As many as there are.
        found: usize,
    },
    /// A sign that is none of the three, or bits after the last.
    #[error("the signs are not written as they have to be")]
    Sign,
    /// Too few or too many bytes.
    #[error("{0} bytes are not such a print")]
    Length(usize),
}

impl FeaturesPrint {
    /// A print of a picture of so many pixels; features from the most telling to the least, signs as in
    /// [`FeaturesPrint::signs`].
    ///
    /// # Errors
    /// [`FeaturesError`].
    pub fn new(
        (width, height): (u16, u16),
        features: Vec<Feature>,
        signs: Vec<Sign>,
    ) -> Result<Self, FeaturesError> {
        let fit = MIN_SIDE..=MAX_SIDE;
        if !fit.contains(&width) || !fit.contains(&height) {
            return Err(FeaturesError::Size(width, height));
        }
        if !(MIN_FEATURES..=MAX_FEATURES).contains(&features.len()) {
            return Err(FeaturesError::Count(features.len()));
        }
        let mut met = HashSet::with_capacity(features.len());
        for (index, feature) in features.iter().enumerate() {
            let Feature { x, y, level, angle, .. } = *feature;
            if x >= width * UNITS || y >= height * UNITS || level >= LEVELS {
                return Err(FeaturesError::Outside(index));
            }
            if !met.insert((x, y, level, angle)) {
                return Err(FeaturesError::Twice(index));
            }
        }
        let (expected, found) = (Cells::of(width, height).signs(), signs.len());
        if expected != found {
            return Err(FeaturesError::Signs { expected, found });
        }
        Ok(Self { width, height, features: features.into(), signs: signs.into() })
    }

    /// Width of the picture that places are in, in pixels.
    #[must_use]
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Height of that picture, in pixels.
    #[must_use]
    pub fn height(&self) -> u16 {
        self.height
    }

    /// The features, the most telling first.
    #[must_use]
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// The signs, in the order of [`Cells::triples`].
    #[must_use]
    pub fn signs(&self) -> &[Sign] {
        &self.signs
    }

    /// The cells that the signs are of.
    #[must_use]
    pub fn cells(&self) -> Cells {
        Cells::of(self.width, self.height)
    }

    /// Reads the bytes that stand in a record (`docs/format.md`, section 6).
    ///
    /// # Errors
    /// [`FeaturesError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FeaturesError> {
        let length = || FeaturesError::Length(bytes.len());
        let (head, rest) = bytes.split_first_chunk::<HEAD_BYTES>().ok_or_else(length)?;
        let number = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        let (width, height, count) = (number(1), number(3), usize::from(number(5)));
        if head[0] != VERSION {
            return Err(FeaturesError::Version(head[0]));
        }
        if count > MAX_FEATURES {
            return Err(FeaturesError::Count(count));
        }
        let (features, signs) = rest.split_at_checked(count * FEATURE_BYTES).ok_or_else(length)?;
        let features = features.as_chunks::<FEATURE_BYTES>().0.iter().map(read_feature).collect();
        let expected = Cells::of(width, height).signs();
        if signs.len() != expected.div_ceil(SIGNS_A_BYTE) {
            return Err(length());
        }
        let bits = signs.iter().flat_map(|byte| [0, 2, 4, 6].map(|shift| byte >> shift & 3));
        let mut signs: Vec<Sign> =
            bits.map(Sign::of_bits).collect::<Option<_>>().ok_or(FeaturesError::Sign)?;
        if signs.split_off(expected).iter().any(|after| *after != Sign::Flat) {
            return Err(FeaturesError::Sign);
        }
        Self::new((width, height), features, signs)
    }

    /// Writes the bytes that stand in a record.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        // At most `MAX_FEATURES`.
        for number in [self.width, self.height, self.features.len() as u16] {
            bytes.extend(number.to_be_bytes());
        }
        for feature in &*self.features {
            bytes.extend(feature.x.to_be_bytes());
            bytes.extend(feature.y.to_be_bytes());
            bytes.extend([feature.level, feature.angle]);
            bytes.extend(feature.descriptor.0);
        }
        for four in self.signs.chunks(SIGNS_A_BYTE) {
            let place = |(at, sign): (usize, &Sign)| sign.bits() << (2 * at);
            bytes.push(four.iter().enumerate().map(place).sum());
        }
        bytes
    }
}

fn read_feature(bytes: &[u8; FEATURE_BYTES]) -> Feature {
    Feature {
        x: u16::from_be_bytes([bytes[0], bytes[1]]),
        y: u16::from_be_bytes([bytes[2], bytes[3]]),
        level: bytes[4],
        angle: bytes[5],
        descriptor: Descriptor(std::array::from_fn(|byte| bytes[6 + byte])),
    }
}

/// The grid of cells whose luminance is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cells {
    /// Cells of a row.
    pub columns: usize,
    /// Rows.
    pub rows: usize,
}

impl Cells {
    /// The grid of a picture of so many pixels: cells of [`CELL`] pixels a side, what does not fill one
    /// at the right and lower edge left out.
    #[must_use]
    pub fn of(width: u16, height: u16) -> Self {
        Self { columns: usize::from(width / CELL), rows: usize::from(height / CELL) }
    }

    /// How many signs there are.
    #[must_use]
    pub fn signs(self) -> usize {
        self.columns.saturating_sub(2) * self.rows + self.columns * self.rows.saturating_sub(2)
    }

    /// The three cells in a row of each sign, as (column, row), in their order: beside each other first, row
    /// by row; then below each other.
    pub fn triples(self) -> impl Iterator<Item = [(usize, usize); 3]> {
        let Self { columns, rows } = self;
        let beside = (0..rows).flat_map(move |row| {
            (2..columns).map(move |column| [(column - 2, row), (column - 1, row), (column, row)])
        });
        let below = (2..rows).flat_map(move |row| {
            (0..columns).map(move |column| [(column, row - 2), (column, row - 1), (column, row)])
        });
        beside.chain(below)
    }
}

/// A picture that is looked up: what is found in its pixels, more of it than a print holds, and small
/// luminance to check a match with. It never leaves the node.
#[derive(Clone, PartialEq)]
pub struct SeenPicture {
    /// The luminance that the places are in.
    pub grey: Grey,
    /// Features of the picture as it is.
    pub plain: Vec<SeenFeature>,
    /// Features of the picture mirrored left to right, places in the mirrored picture.
    pub mirrored: Vec<SeenFeature>,
}

/// Luminance, row by row.
#[derive(Clone, PartialEq, Eq)]
pub struct Grey {
    /// Pixels of a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// One byte a pixel.
    pub bytes: Vec<u8>,
}

/// A corner of a picture that is looked up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeenFeature {
    /// What is around it.
    pub descriptor: Descriptor,
    /// From the left edge, in pixels.
    pub x: f32,
    /// From the top edge, in pixels.
    pub y: f32,
    /// Its size in quarters of an octave; below zero where a part was enlarged to look at it.
    pub level: f32,
    /// Its direction in 1/256 of a turn, from right towards down.
    pub angle: u8,
}

/// A part of a picture, as shares of its sides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Area {
    /// From the left edge.
    pub left: f32,
    /// From the top edge.
    pub top: f32,
    /// Of the width.
    pub width: f32,
    /// Of the height.
    pub height: f32,
}

impl Area {
    /// All of it.
    pub const WHOLE: Self = Self { left: 0.0, top: 0.0, width: 1.0, height: 1.0 };

    /// A place in the part, as shares of its sides, in the whole.
    #[must_use]
    pub fn outwards(&self, (x, y): (f32, f32)) -> (f32, f32) {
        (self.left + x * self.width, self.top + y * self.height)
    }

    /// A place in the whole in the part.
    #[must_use]
    pub fn inwards(&self, (x, y): (f32, f32)) -> (f32, f32) {
        ((x - self.left) / self.width, (y - self.top) / self.height)
    }

    /// The corners, from the upper left one on, clockwise.
    #[must_use]
    pub fn corners(&self) -> [(f32, f32); 4] {
        [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)].map(|corner| self.outwards(corner))
    }
}

/// The most parts of a picture that are looked at: what its border and straight-edged rectangles in it hold.
pub const MAX_PARTS: usize = 6;

/// What an upload is looked up by beside its signals, while its pixels are at hand: what borders and
/// screens hold, and local features. It never leaves the node; of it only the hashes of parts are kept.
#[derive(Clone, Default, PartialEq)]
pub struct Views {
    /// The hashes of what is inside.
    pub parts: Vec<(Pdq, Area)>,
    /// The whole picture, then what is inside.
    pub pictures: Vec<SeenPicture>,
    /// Where each of the pictures lies.
    pub areas: Vec<Area>,
}

/// How far it is worth to look for edited copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// The signals are enough.
    Signals,
    /// What borders and screens hold is hashed too.
    Parts,
    /// Local features are looked for too.
    Features,
}
