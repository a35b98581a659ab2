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

/// How the frequencies of a turned picture come from those of the picture: whether rows and columns change
/// places, and whether a frequency changes its sign, told whether its row and its column are odd.
type Way = (bool, fn(bool, bool) -> bool);

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

    /// The hash of the picture mirrored left to right, about: see [`Pdq::turned`].
    #[must_use]
    pub fn mirrored(&self) -> Self {
        self.moved(false, |_, column| column)
    }

    /// The hashes of the picture turned and mirrored in the seven other ways, and of all eight inverted,
    /// about: who has the picture has the frequencies that the bits were cut from, and with them the very
    /// hashes. A bit says whether a frequency is above their median, which is near zero; mirroring
    /// changes the sign of odd frequencies, so only those between the median and its negative are
    /// wrong here. The inverse of the plain hash is exact.
    #[must_use]
    pub fn turned(&self) -> [Self; 15] {
        let ways: [Way; 7] = [
            (true, |_, column| column),
            (false, |row, column| row != column),
            (true, |row, _| row),
            (false, |row, _| row),
            (false, |_, column| column),
            (true, |_, _| false),
            (true, |row, column| row != column),
        ];
        let turned = ways.map(|(transposed, negative)| self.moved(transposed, negative));
        std::array::from_fn(|place| match turned.get(place) {
            Some(turned) => *turned,
            None if place == 14 => self.complement(),
            None => turned[place - 7].complement(),
        })
    }

    /// Rows and columns exchanged, and the sign changed where `negative` says so of the row's and the
    /// column's frequency, told whether they are odd.
    fn moved(&self, transposed: bool, negative: fn(bool, bool) -> bool) -> Self {
        let mut to = [0_u8; 32];
        for place in 0..256_usize {
            let (row, column) = (place / 16, place % 16);
            let set = self.0[31 - place / 8] >> (place % 8) & 1 == 1;
            // The first row and column are frequency 1, which is odd.
            if set != negative(row % 2 == 0, column % 2 == 0) {
                let place = if transposed { column * 16 + row } else { place };
                to[31 - place / 8] |= 1 << (place % 8);
            }
        }
        Self(to)
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
