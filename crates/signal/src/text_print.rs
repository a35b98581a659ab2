//! The fingerprint of a text: found again with typos, look-alike letters and other spacing, and inside
//! a longer text.
//!
//! A long text is known by the hashes of its runs of five characters (k-grams), in blocks, so that a
//! search can ask how much of it stands near together in another text. A short one is known by one
//! digest and found only as a whole. The idea of comparing sets of k-grams is of Broder, "On the
//! resemblance and containment of documents" (1997); that of looking at neighbouring ones only, of
//! winnowing (Schleimer, Wilkerson, Aiken, 2003).
//! **Invariant:** a fingerprint depends on the normalised text alone ([`normalised`]).

mod lookalike;
mod markup;
mod normalise;

use std::sync::Arc;

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::digest::Sha256Digest;

pub(crate) use normalise::is_invisible;
pub use normalise::normalised;

/// Characters of a k-gram.
pub const GRAM_CHARS: usize = 5;
/// K-grams that follow one another and make one block.
pub const BLOCK_GRAMS: usize = 32;
/// The most blocks of one value: 8,192 k-grams.
pub const MAX_BLOCKS: usize = 256;
/// Blocks by which the next piece of a long text begins after the one before: half a piece, so that
/// what is as long as a piece lies to three quarters in one of them.
const PIECE_STEP: usize = MAX_BLOCKS / 2;
/// The most pieces of one text.
pub const MAX_PIECES: usize = 16;
/// The least characters of a normalised text that can be recognised at all: shorter ones are words
/// that everybody says.
pub const MIN_CHARS: usize = 8;
/// The least characters of a normalised text that is found with typos and inside others. At 8 % typos
/// five of sixty characters differ, which leaves more than half of its k-grams.
pub const MIN_NEAR_CHARS: usize = 60;
/// The least distinct k-grams of such a text: one that says the same word again and again is found as
/// a whole only.
pub const MIN_NEAR_GRAMS: usize = 32;
/// The longest text that is fingerprinted, in bytes.
pub const MAX_TEXT_BYTES: usize = 256 << 10;
/// The greatest distance at which two texts count as the same: an estimated percentage of characters
/// that differ ([`Grams::distance_in`]).
pub const MAX_TEXT_DISTANCE: u32 = 16;
/// The greatest distance at which that is sure: eight letters of a hundred are mistyped by people who
/// hide a text. Beyond, a text of another that begins and ends alike is not far.
pub const MAX_SURE_TEXT_DISTANCE: u32 = 8;

/// What the digest of a short text begins with.
const SHORT_DOMAIN: &[u8] = b"watchfire/text/v1\0";
/// The first byte of the value of a short text.
const SHORT: u8 = 0;
/// The first byte of the value of a long text.
const LONG: u8 = 1;
/// Bytes of the hash of a k-gram.
const GRAM_BYTES: usize = 4;
/// FNV-1a, 64 bits (draft-eastlake-fnv): offset and prime.
const FNV: (u64, u64) = (0xcbf2_9ce4_8422_2325, 0x0000_0100_0000_01b3);

/// The fingerprint of a text, or of a piece of a very long one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TextPrint {
    /// Of a short text: the digest of its normalised form. Matches the same text only.
    Short(Sha256Digest),
    /// Of a longer one: its k-grams.
    Long(Grams),
}

/// The hashes of a text's k-grams, in blocks in the order of the text. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Grams {
    blocks: Arc<[Box<[u32]>]>,
}

/// Why a text has no fingerprint, or bytes are none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TextError {
    /// Too few letters and digits.
    #[error(
        "a text of {0} letters and digits is too short to be recognised: it needs {MIN_CHARS}, and \
         {MIN_NEAR_CHARS} to be found with typos"
    )]
    TooShort(usize),
    /// Too many bytes.
    #[error("a text has at most {MAX_TEXT_BYTES} bytes, found {0}")]
    TooLong(usize),
    /// Too many k-grams for all pieces.
    #[error("a text has at most {most} letters and digits, found {0}", most = MAX_TEXT_CHARS)]
    TooManyChars(usize),
    /// Bytes that are no value of this kind.
    #[error("not the fingerprint of a text: {0}")]
    Bytes(&'static str),
}

/// The most normalised characters of one text: as many as all its pieces hold.
const MAX_TEXT_CHARS: usize =
    ((MAX_PIECES - 1) * PIECE_STEP + MAX_BLOCKS) * BLOCK_GRAMS + GRAM_CHARS - 1;

impl TextPrint {
    /// The fingerprints of a text: one, and of a text of more than 8,192 k-grams one for each piece,
    /// which overlap by half.
    ///
    /// # Errors
    /// [`TextError`] where the text is too short or too long.
    pub fn of(text: &str) -> Result<Vec<Self>, TextError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(TextError::TooLong(text.len()));
        }
        let normal = normalised(text);
        let chars = normal.chars().count();
        if chars < MIN_CHARS {
            return Err(TextError::TooShort(chars));
        }
        if chars > MAX_TEXT_CHARS {
            return Err(TextError::TooManyChars(chars));
        }
        if chars >= MIN_NEAR_CHARS {
            let pieces: Vec<Self> = pieces(&hashes(&normal)).map(Self::Long).collect();
            if !pieces.is_empty() {
                return Ok(pieces);
            }
        }
        let digest = Sha256::new_with_prefix(SHORT_DOMAIN).chain_update(&normal).finalize();
        Ok(vec![Self::Short(Sha256Digest(digest.into()))])
    }

    /// Reads the bytes that stand in a record (`docs/format.md`, section 6).
    ///
    /// # Errors
    /// [`TextError::Bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TextError> {
        match bytes.split_first() {
            Some((&SHORT, digest)) => digest
                .try_into()
                .map(|digest| Self::Short(Sha256Digest(digest)))
                .map_err(|_| TextError::Bytes("a short text has a digest of 32 bytes")),
            Some((&LONG, blocks)) => Grams::read(blocks).map(Self::Long),
            _ => Err(TextError::Bytes("the first byte is 0 or 1")),
        }
    }

    /// Writes the bytes that stand in a record.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Short(digest) => [&[SHORT], &digest.0[..]].concat(),
            Self::Long(grams) => {
                let mut bytes = vec![LONG];
                for block in &*grams.blocks {
                    // A block has at most 32 of them.
                    bytes.push(block.len() as u8);
                    bytes.extend(block.iter().flat_map(|gram| gram.to_be_bytes()));
                }
                bytes
            }
        }
    }
}

impl Grams {
    /// The blocks in the order of the text, each in ascending order, none empty.
    #[must_use]
    pub fn blocks(&self) -> &[Box<[u32]>] {
        &self.blocks
    }

    /// All hashes, ascending, each once.
    #[must_use]
    pub fn distinct(&self) -> Box<[u32]> {
        let all: Vec<u32> = self.blocks.iter().flatten().copied().collect();
        distinct(&all)
    }

    /// Blocks of another text within which all of this one has to be found: as many as it has, with
    /// room for what is inserted between, and for one that it begins in the middle of.
    #[must_use]
    pub fn window(&self) -> usize {
        (self.blocks.len() * 115).div_ceil(100) + 1
    }

    /// How far this text is from being part of another: 0 where all its k-grams are there near
    /// together, up to [`MAX_TEXT_DISTANCE`]; `None` beyond that.
    #[must_use]
    pub fn distance_in(&self, other: &Self) -> Option<u32> {
        Places::of(other).distance(self, &self.distinct())
    }

    /// Whether it is sure that this text is part of another one, so far from which it is: most letters
    /// are the same, or the other is nothing but a part of this one (a half of it, say).
    #[must_use]
    pub fn is_sure_in(&self, other: &Self, distance: u32) -> bool {
        let sure = |distance| distance <= MAX_SURE_TEXT_DISTANCE;
        sure(distance) || other.distance_in(self).is_some_and(sure)
    }

    fn read(bytes: &[u8]) -> Result<Self, TextError> {
        let mut blocks: Vec<Box<[u32]>> = Vec::new();
        let mut rest = bytes;
        while let Some((&count, after)) = rest.split_first() {
            let count = usize::from(count);
            let cut = || TextError::Bytes("a block is cut off");
            if !(1..=BLOCK_GRAMS).contains(&count) {
                return Err(TextError::Bytes("a block has 1 to 32 hashes"));
            }
            let (block, after) = after.split_at_checked(count * GRAM_BYTES).ok_or_else(cut)?;
            let block =
                block.as_chunks::<GRAM_BYTES>().0.iter().map(|gram| u32::from_be_bytes(*gram));
            let block: Box<[u32]> = block.collect();
            if !block.is_sorted_by(|a, b| a < b) {
                return Err(TextError::Bytes("the hashes of a block ascend"));
            }
            blocks.push(block);
            rest = after;
        }
        let grams = Self { blocks: blocks.into() };
        if grams.blocks.len() > MAX_BLOCKS {
            return Err(TextError::Bytes("a text has at most 256 blocks"));
        }
        if grams.distinct().len() < MIN_NEAR_GRAMS {
            return Err(TextError::Bytes("a long text has at least 32 distinct hashes"));
        }
        Ok(grams)
    }
}

/// The distance of a text of which so many of all distinct k-grams were found: the least percentage `d`
/// of characters that differ at which so many would be left, (1 − d/100)⁵ of them. `None` beyond
/// [`MAX_TEXT_DISTANCE`].
#[must_use]
pub fn distance(found: usize, of: usize) -> Option<u32> {
    (0..=MAX_TEXT_DISTANCE).find(|distance| found >= needed(of, *distance))
}

/// How many of so many distinct k-grams have to be found for a text to be at most so far away.
#[must_use]
pub fn needed(of: usize, distance: u32) -> usize {
    let whole = 100_u128.pow(GRAM_CHARS as u32);
    let kept = u128::from(100_u32.saturating_sub(distance)).pow(GRAM_CHARS as u32);
    // A part of `of`, so it fits again.
    (of as u128 * kept).div_ceil(whole) as usize
}

/// Where each k-gram of a text stands, to look other texts up in it.
#[derive(Debug)]
pub struct Places {
    /// Hash and block, ascending.
    places: Vec<(u32, u32)>,
    blocks: usize,
}

impl Places {
    /// Those of a text.
    #[must_use]
    pub fn of(grams: &Grams) -> Self {
        let blocks = grams.blocks.iter().zip(0u32..);
        let mut places: Vec<(u32, u32)> = blocks
            .flat_map(|(block, place)| block.iter().map(move |gram| (*gram, place)))
            .collect();
        places.sort_unstable();
        Self { places, blocks: grams.blocks.len() }
    }

    /// How far a text is from being part of this one, as [`Grams::distance_in`]; `distinct` are its
    /// [`Grams::distinct`].
    #[must_use]
    pub fn distance(&self, of: &Grams, distinct: &[u32]) -> Option<u32> {
        distance(self.most_together(distinct, of.window()), distinct.len())
    }

    /// The most of these k-grams that stand within so many neighbouring blocks.
    fn most_together(&self, distinct: &[u32], window: usize) -> usize {
        // Windows begin at the blocks 0 to `last`; each k-gram counts once in each that it stands in.
        let last = self.blocks.saturating_sub(window);
        let mut change = vec![0_i32; last + 2];
        for gram in distinct {
            let from = self.places.partition_point(|(held, _)| held < gram);
            let mut next = 0;
            for (_, block) in self.places[from..].iter().take_while(|(held, _)| held == gram) {
                let block = *block as usize;
                let first = (block + 1).saturating_sub(window).max(next);
                let end = block.min(last) + 1;
                if first < end {
                    change[first] += 1;
                    change[end] -= 1;
                    next = end;
                }
            }
        }
        let counts = change.iter().scan(0_i32, |count, change| {
            *count += change;
            Some(*count)
        });
        usize::try_from(counts.max().unwrap_or(0)).unwrap_or(0)
    }
}

/// The pieces of a text that say enough to be found.
fn pieces(grams: &[u32]) -> impl Iterator<Item = Grams> {
    let blocks: Vec<Box<[u32]>> = grams.chunks(BLOCK_GRAMS).map(distinct).collect();
    let last = blocks.len().saturating_sub(MAX_BLOCKS).div_ceil(PIECE_STEP);
    let piece = move |number: usize| {
        let from = number * PIECE_STEP;
        let to = (from + MAX_BLOCKS).min(blocks.len());
        Grams { blocks: blocks[from..to].into() }
    };
    (0..=last).map(piece).filter(|piece| piece.distinct().len() >= MIN_NEAR_GRAMS)
}

/// The hashes of all k-grams, in their order.
fn hashes(normal: &str) -> Vec<u32> {
    let chars: Vec<char> = normal.chars().collect();
    chars.windows(GRAM_CHARS).map(gram_hash).collect()
}

/// FNV-1a over the UTF-8 of the characters, its halves joined by exclusive or.
fn gram_hash(gram: &[char]) -> u32 {
    let (offset, prime) = FNV;
    let mut hash = offset;
    let mut buffer = [0; 4];
    for character in gram {
        for byte in character.encode_utf8(&mut buffer).bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(prime);
        }
    }
    (hash >> 32) as u32 ^ hash as u32
}

fn distinct(grams: &[u32]) -> Box<[u32]> {
    let mut distinct = grams.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    distinct.into()
}
