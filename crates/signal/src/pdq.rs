//! A PDQ hash: 256 bits that stay close when a picture is re-encoded, resized or brightened.
//!
//! Source: "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm", Facebook 2019.

pub mod frequencies;

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

    /// The hashes of the picture turned and mirrored in the seven other ways, and of all eight inverted, in the order of
    /// [`Turn::ALL`], about: who has the picture has the frequencies that the bits were cut from, and with them the very
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

/// How places of a picture lie in the picture that is turned or mirrored, and perhaps inverted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Whether width and height change places.
    transposed: bool,
    /// Whether, after that, left and right change places.
    across: bool,
    /// Whether, after that, top and bottom do.
    down: bool,
    /// Whether light and dark change places.
    pub inverted: bool,
}

impl Turn {
    /// Mirrored left to right.
    pub const MIRROR: Self = Self::upright(true, false);

    /// All ways but none at all, in the order of [`Pdq::turned`]: the seven, the same inverted, inverted alone.
    pub const ALL: [Self; 15] = {
        let seven = [
            Self::quarter(false, true),
            Self::upright(true, true),
            Self::quarter(true, false),
            Self::upright(false, true),
            Self::MIRROR,
            Self::quarter(false, false),
            Self::quarter(true, true),
        ];
        let mut all = [Self { inverted: true, ..Self::upright(false, false) }; 15];
        let mut way = 0;
        while way < seven.len() {
            all[way] = seven[way];
            all[way + seven.len()] = Self { inverted: true, ..seven[way] };
            way += 1;
        }
        all
    };

    const fn upright(across: bool, down: bool) -> Self {
        Self { transposed: false, across, down, inverted: false }
    }

    const fn quarter(across: bool, down: bool) -> Self {
        Self { transposed: true, ..Self::upright(across, down) }
    }

    /// Where a place of the picture lies in the turned one; both as shares of the sides.
    #[must_use]
    pub fn place(&self, (x, y): (f32, f32)) -> (f32, f32) {
        let (x, y) = if self.transposed { (y, x) } else { (x, y) };
        (if self.across { 1.0 - x } else { x }, if self.down { 1.0 - y } else { y })
    }
}

/// The bits of a hash sorted by whether their row and their column are odd, 64 of each sort: mirroring and
/// inverting a picture flips the bits of an even number of sorts, about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sorted(pub [u64; 4]);

/// A hash that is compared in all the ways to turn, mirror and invert its picture at once, at the cost of
/// two comparisons and not of sixteen.
#[derive(Debug, Clone, Copy)]
pub struct AnyWay {
    ways: [Sorted; 2],
}

impl Sorted {
    /// The bits of a hash, sorted.
    #[must_use]
    pub fn of(hash: &Pdq) -> Self {
        let mut sorts = [0; 4];
        for place in 0..256_usize {
            let (row, column) = (place / 16, place % 16);
            let bit = u64::from(hash.0[31 - place / 8] >> (place % 8) & 1);
            sorts[row % 2 * 2 + column % 2] |= bit << (row / 2 * 8 + column / 2);
        }
        Self(sorts)
    }

    /// The distance if any even number of sorts may be flipped, where it is at most `max`.
    #[inline(always)]
    fn nearest(&self, held: &Self, max: u32) -> Option<u32> {
        let first = self.differ(held, 0);
        let second = self.differ(held, 1);
        // Two sorts tell nearly all that are far.
        if flipped(first) + flipped(second) > max {
            return None;
        }
        let all = [first, second, self.differ(held, 2), self.differ(held, 3)];
        let odd = all.iter().filter(|bits| **bits > 32).count() % 2 == 1;
        // What it costs to leave one more as it is, or to flip one more.
        let one_more = all.iter().map(|bits| bits.abs_diff(64 - bits)).min().unwrap_or_default();
        let bits = all.map(flipped).iter().sum::<u32>() + if odd { one_more } else { 0 };
        (bits <= max).then_some(bits)
    }

    /// In how many bits of a sort they differ.
    #[inline(always)]
    fn differ(&self, held: &Self, sort: usize) -> u32 {
        (self.0[sort] ^ held.0[sort]).count_ones()
    }
}

/// In how many of 64 bits two differ that differ in so many, if one may be flipped.
#[inline(always)]
fn flipped(bits: u32) -> u32 {
    bits.min(64 - bits)
}

impl AnyWay {
    /// All ways of a hash.
    #[must_use]
    pub fn of(hash: &Pdq) -> Self {
        let transposed = hash.moved(true, |_, _| false);
        Self { ways: [Sorted::of(hash), Sorted::of(&transposed)] }
    }

    /// The distance in the nearest way, if it is at most `max`: that to the hash or to the nearest of
    /// [`Pdq::turned`].
    #[inline(always)]
    #[must_use]
    pub fn within(&self, held: &Sorted, max: u32) -> Option<u32> {
        match (self.within_upright(held, max), self.ways[1].nearest(held, max)) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    /// As [`AnyWay::within`], without the ways that turn the picture by a quarter, at half the cost.
    #[inline(always)]
    #[must_use]
    pub fn within_upright(&self, held: &Sorted, max: u32) -> Option<u32> {
        self.ways[0].nearest(held, max)
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
