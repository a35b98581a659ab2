//! A PDQ hash: 256 bits that stay close when a picture is re-encoded, resized or brightened.
//!
//! Source: "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm", Facebook 2019.

use std::{fmt, str::FromStr};

use crate::hex::{self, HexError};

/// The largest Hamming distance, in bits, at which the field calls two PDQ hashes the same picture.
pub const MAX_DISTANCE: u32 = 31;

/// The least quality (0 to 100) at which a PDQ hash says enough about its picture to be matched.
pub const MIN_QUALITY: u8 = 50;

/// A PDQ hash; byte 0 holds the bits 255 to 248, as in the text form.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pdq(pub [u8; 32]);

impl Pdq {
    /// The number of bits in which the two hashes differ, 0 to 256.
    #[must_use]
    pub fn distance(&self, other: &Self) -> u32 {
        let words = |hash: &Self| -> [u64; 4] {
            std::array::from_fn(|word| {
                u64::from_be_bytes(std::array::from_fn(|byte| hash.0[word * 8 + byte]))
            })
        };
        let (a, b) = (words(self), words(other));
        (0..4).map(|word| (a[word] ^ b[word]).count_ones()).sum()
    }

    /// The hash of the inverted picture: every bit flipped.
    #[must_use]
    pub fn complement(&self) -> Self {
        Self(self.0.map(|byte| !byte))
    }
}

impl FromStr for Pdq {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        hex::decode(text).map(Self)
    }
}

impl fmt::Display for Pdq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for Pdq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pdq({self})")
    }
}
