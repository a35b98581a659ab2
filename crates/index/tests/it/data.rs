//! Makes the hashes that tests search: uniform, in clusters, and of low entropy.

use watchfire_signal::pdq::Pdq;

/// The generator splitmix64, so that a failing test is repeated by its seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn hash(&mut self) -> Pdq {
        let words: [u64; 4] = std::array::from_fn(|_| self.next());
        Pdq(std::array::from_fn(|byte| words[byte / 8].to_le_bytes()[byte % 8]))
    }

    /// The hash with exactly `bits` bits changed.
    pub(crate) fn near(&mut self, hash: &Pdq, bits: u32) -> Pdq {
        let mut near = *hash;
        while near.distance(hash) < bits {
            let bit = self.below(256) as usize;
            let changed = (near.0[bit / 8] ^ hash.0[bit / 8]) >> (bit % 8) & 1 == 1;
            near.0[bit / 8] ^= u8::from(!changed) << (bit % 8);
        }
        near
    }
}

/// What a set of hashes looks like.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// Independent random bits.
    Uniform,
    /// Groups of hashes within 0 to 60 bits of a common centre.
    Clustered,
    /// Few bits ever differ, as with screenshots and pages of text.
    LowEntropy,
    /// Three pages in each of which 128 bits ever differ, a ball around one hash, and as many random hashes.
    Pages,
}

/// `count` hashes of a shape.
pub(crate) fn hashes(shape: Shape, count: usize, random: &mut Random) -> Vec<Pdq> {
    let centres: Vec<Pdq> = (0..count.div_ceil(50)).map(|_| random.hash()).collect();
    let page = random.hash();
    (0..count)
        .map(|number| match shape {
            Shape::Pages if number % 2 == 0 => {
                // The same centres in every set, so that what is added later joins what is there.
                let mut hash = Random(number as u64 / 2 % 4).hash();
                for _ in 0..20 + random.below(40) {
                    let ball = number % 8 == 6;
                    let bit = if ball { random.below(256) } else { random.below(128) * 2 } as usize;
                    hash.0[bit / 8] ^= 1 << (bit % 8);
                }
                hash
            }
            Shape::Pages => random.hash(),
            Shape::Uniform => random.hash(),
            Shape::Clustered => {
                let centre = centres[random.below(centres.len() as u64) as usize];
                let bits = random.below(61) as u32;
                random.near(&centre, bits)
            }
            Shape::LowEntropy => {
                let mut hash = page;
                for _ in 0..random.below(40) {
                    let bit = random.below(60) as usize * 3;
                    hash.0[bit / 8] ^= 1 << (bit % 8);
                }
                hash
            }
        })
        .collect()
}
