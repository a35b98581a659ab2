//! A secret order of the 256 bits, so that nobody outside can aim hashes at one bucket.
//!
//! **Invariant:** distances between permuted hashes are those between the hashes themselves.

use watchfire_signal::pdq::Pdq;

/// A hash in the order of this index: four words, chunk 0 in the low bits of word 0.
pub(crate) type Words = [u64; 4];

/// One table a nibble of the hash: 64 lookups put every bit where it belongs.
pub(crate) struct Permutation {
    nibbles: Box<[[Words; 16]; 64]>,
    check: [u8; 8],
}

impl Permutation {
    /// The permutation that belongs to a seed; the seed is as secret as the permutation.
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        let mut order: [u8; 256] = std::array::from_fn(|bit| bit as u8);
        let mut random = Xoshiro::new(seed);
        for last in (1..256u64).rev() {
            order.swap(last as usize, random.below(last + 1) as usize);
        }
        let mut nibbles = Box::new([[[0u64; 4]; 16]; 64]);
        for (nibble, table) in nibbles.iter_mut().enumerate() {
            for (value, words) in table.iter_mut().enumerate() {
                for bit in (0..4).filter(|bit| value >> bit & 1 == 1) {
                    let to = usize::from(order[nibble * 4 + bit]);
                    words[to / 64] |= 1 << (to % 64);
                }
            }
        }
        Self { nibbles, check: super::snapshot::check(&seed) }
    }

    /// Eight bytes that tell the seeds of permutations apart.
    pub(crate) fn check(&self) -> [u8; 8] {
        self.check
    }

    /// The hash with its bits in the secret order.
    #[inline]
    pub(crate) fn apply(&self, hash: &Pdq) -> Words {
        let mut words = [0u64; 4];
        for (tables, byte) in self.nibbles.chunks_exact(2).zip(hash.0) {
            let (low, high) =
                (tables[0][usize::from(byte & 15)], tables[1][usize::from(byte >> 4)]);
            for ((word, low), high) in words.iter_mut().zip(low).zip(high) {
                *word |= low | high;
            }
        }
        words
    }
}

/// The generator xoshiro256++ by Blackman and Vigna, for one shuffle at the start.
struct Xoshiro([u64; 4]);

impl Xoshiro {
    fn new(seed: [u8; 32]) -> Self {
        // The odd constants keep an all-zero seed from being the generator's one fixed point.
        Self(std::array::from_fn(|word| {
            u64::from_le_bytes(std::array::from_fn(|byte| seed[word * 8 + byte]))
                .wrapping_add(0x9e37_79b9_7f4a_7c15u64.wrapping_mul(2 * word as u64 + 1))
        }))
    }

    fn next(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// A number below `bound`; the bias of 2⁻⁵⁶ does not matter for a shuffle.
    fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_permutation_keeps_distances(a: [u8; 32], b: [u8; 32], seed: [u8; 32]) {
            let permutation = Permutation::new(seed);
            let (x, y) = (permutation.apply(&Pdq(a)), permutation.apply(&Pdq(b)));
            let distance: u32 = (0..4).map(|word| (x[word] ^ y[word]).count_ones()).sum();
            prop_assert_eq!(distance, Pdq(a).distance(&Pdq(b)));
        }
    }

    #[test]
    fn another_seed_gives_another_order_and_zero_is_a_seed_too() {
        let one_bit = Pdq(std::array::from_fn(|byte| u8::from(byte == 0)));
        let places: std::collections::BTreeSet<Words> =
            (0..20u8).map(|seed| Permutation::new([seed; 32]).apply(&one_bit)).collect();
        assert!(places.len() > 12, "{places:?}");
    }
}
