//! Makes the hashes that the benchmark stores and searches, the same ones in every run.

use clap::ValueEnum;
use serde::Serialize;
use watchfire_signal::pdq::Pdq;

/// What the hashes look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Data {
    /// Independent random bits.
    #[default]
    Uniform,
    /// Groups of 50 within 60 bits of a common centre.
    Clustered,
    /// Pages of text and screenshots, in which few bits ever differ, and flat colours that repeat.
    Skewed,
}

/// Flat colours there are in skewed data.
const FLAT: u64 = 8;

impl Data {
    /// Hash number `number`, so that the others need not be kept.
    pub(super) fn hash(self, number: u64) -> Pdq {
        let mut random = Random(number.wrapping_mul(0x9e37_79b9) + 1);
        match (self, number % 16) {
            (Self::Clustered, _) => {
                let centre = Random((number / 50).wrapping_mul(7_777_777)).hash();
                let bits = random.below(61) as u32;
                random.near(&centre, bits)
            }
            (Self::Skewed, 1) => Random(number / 16 % FLAT).hash(),
            (Self::Skewed, turn) if turn % 2 == 0 => {
                let mut page = Random(number / 100_000).hash();
                for _ in 0..20 + random.below(40) {
                    let bit = random.below(128) as usize * 2;
                    page.0[bit / 8] ^= 1 << (bit % 8);
                }
                page
            }
            _ => random.hash(),
        }
    }
}

/// The generator splitmix64.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(super) fn hash(&mut self) -> Pdq {
        let words: [u64; 4] = std::array::from_fn(|_| self.next());
        Pdq(std::array::from_fn(|byte| words[byte / 8].to_le_bytes()[byte % 8]))
    }

    /// The hash with exactly `bits` bits changed.
    pub(super) fn near(&mut self, hash: &Pdq, bits: u32) -> Pdq {
        let mut near = *hash;
        while near.distance(hash) < bits {
            let bit = self.below(256) as usize;
            let changed = (near.0[bit / 8] ^ hash.0[bit / 8]) >> (bit % 8) & 1 == 1;
            near.0[bit / 8] ^= u8::from(!changed) << (bit % 8);
        }
        near
    }
}
