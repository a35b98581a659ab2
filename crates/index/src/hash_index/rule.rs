//! What the hashes of a block have in common, and what that says about their distance from a query.
//!
//! In pages of text, screenshots and the like few bits ever differ. The others, and how seldom a member
//! differs in them, make the rule: it says whether a hash belongs to the block, and for nearly every query
//! that no member can be near.
//!
//! **Invariant:** a rule never changes, so a hash belongs to a block or does not for good.

use super::{
    lookup::MAX_DISTANCE,
    permutation::Words,
    slots::{HALF_BITS, distance},
};

/// Two hashes of a group differ in at most so many bits; of two random ones one pair in three million does.
const NEAR: u32 = 88;

/// Members that a rule is made from at least.
const LEAST: usize = 64;

/// Hashes of the sample around which a group is looked for.
const TRIES: usize = 8;

/// A bit is still where at most one member in so many differs: first as in a page, where most bits never
/// do, then as in a ball around one hash.
const STILL: [usize; 2] = [16, 4];

/// One member of the sample in so many may be left outside of the block.
const OUTSIDE: usize = 32;

/// What the hashes of a block have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// For each bit what it mostly is.
    pub(crate) centre: Words,
    /// The bits in which members seldom differ from the centre.
    pub(crate) still: Words,
    /// In so many of those a member differs at most.
    pub(crate) most: u32,
    /// The 128 bits in which members differ most: they are compared first.
    pub(crate) loose: Words,
}

impl Rule {
    /// The rule of the largest group in a sample of hashes, if there is one that can be told from random
    /// hashes. Nothing is concluded from the `hidden` bits, in which the sample was chosen to be equal.
    pub(crate) fn of(sample: &[Words], hidden: &Words) -> Option<Self> {
        let probes = sample.iter().step_by(sample.len().div_ceil(TRIES).max(1));
        let groups = probes.map(|probe| {
            sample.iter().filter(|words| distance(words, probe) <= NEAR).collect::<Vec<_>>()
        });
        let group = groups.max_by_key(Vec::len).filter(|group| group.len() >= LEAST)?;
        let ones: [usize; 256] = std::array::from_fn(|bit| {
            group.iter().filter(|words| words[bit / 64] >> (bit % 64) & 1 == 1).count()
        });
        let centre = mask(|bit| ones[bit] * 2 > group.len());
        let rarer: [usize; 256] = std::array::from_fn(|bit| {
            let is_hidden = hidden[bit / 64] >> (bit % 64) & 1 == 1;
            if is_hidden { group.len() } else { ones[bit].min(group.len() - ones[bit]) }
        });
        let mut order: [usize; 256] = std::array::from_fn(|bit| bit);
        order.sort_by_key(|&bit| std::cmp::Reverse(rarer[bit]));
        let (first, _) = order.split_at(HALF_BITS);
        let loose = mask(|bit| first.contains(&bit));
        let rules = STILL.into_iter().map(|share| {
            let still = mask(|bit| rarer[bit] * share <= group.len());
            let mut differ: Vec<u32> = group
                .iter()
                .map(|words| distance(&both(words, &still), &both(&centre, &still)))
                .collect();
            differ.sort_unstable();
            let most = differ[differ.len() - 1 - differ.len() / OUTSIDE];
            Self { centre, still, most, loose }
        });
        rules.into_iter().find(Self::tells)
    }

    /// Whether random queries, with few exceptions, are further from every member than any search looks:
    /// four times the standard deviation of their distance.
    fn tells(&self) -> bool {
        let still = ones(&self.still);
        let margin = (still / 2).saturating_sub(self.most + MAX_DISTANCE);
        margin * margin >= 4 * still && still > 0
    }

    /// Whether a hash belongs to the block.
    #[inline]
    pub(crate) fn admits(&self, words: &Words) -> bool {
        self.still_bits(words, &self.still) <= self.most
    }

    /// How many loose bits a member within `max` bits of the query can differ in at most; `None` where no
    /// member can be that near.
    #[inline]
    pub(crate) fn room(&self, query: &Words, max: u32) -> Option<u32> {
        // A member is at most `most` from the centre in these bits, so the query is from the member at
        // least what it is from the centre less that: the triangle inequality.
        if self.still_bits(query, &self.still) > max + self.most {
            return None;
        }
        let others: Words = std::array::from_fn(|word| self.still[word] & !self.loose[word]);
        max.checked_sub(self.still_bits(query, &others).saturating_sub(self.most))
    }

    /// The loose bits of a hash.
    pub(crate) fn pack(&self, words: &Words) -> [u64; 2] {
        let (mut packed, mut place) = ([0; 2], 0);
        for (word, loose) in words.iter().zip(self.loose) {
            let mut left = loose;
            while left != 0 {
                packed[place / 64 % 2] |= (word >> left.trailing_zeros() & 1) << (place % 64);
                place += 1;
                left &= left - 1;
            }
        }
        packed
    }

    #[inline]
    fn still_bits(&self, words: &Words, of: &Words) -> u32 {
        (0..4).map(|word| ((words[word] ^ self.centre[word]) & of[word]).count_ones()).sum()
    }
}

/// How many bits are set.
pub(crate) fn ones(words: &Words) -> u32 {
    distance(words, &[0; 4])
}

fn both(a: &Words, b: &Words) -> Words {
    std::array::from_fn(|word| a[word] & b[word])
}

/// The words with those bits set for which `is_set` says so.
fn mask(mut is_set: impl FnMut(usize) -> bool) -> Words {
    let mut words = [0; 4];
    for bit in 0..256 {
        words[bit / 64] |= u64::from(is_set(bit)) << (bit % 64);
    }
    words
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Hashes around a centre: each bit of `differing` is another one in one member of `one_in`.
    fn group(centre: Words, differing: Words, one_in: u64, count: u64) -> Vec<Words> {
        let mut state = 1u64;
        let mut random = || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            state >> 33
        };
        (0..count)
            .map(|_| {
                let flips = mask(|_| random() % one_in == 0);
                std::array::from_fn(|word| centre[word] ^ flips[word] & differing[word])
            })
            .collect()
    }

    #[test]
    fn a_page_and_a_ball_have_rules_and_random_hashes_have_none() {
        let half = [0xaaaa_aaaa_aaaa_aaaa; 4];
        let page = Rule::of(&group([7, 9, 1 << 63, 5], half, 4, 300), &[0; 4]).unwrap();
        assert_eq!((page.loose, page.most), (half, 0));
        assert_eq!(page.still, half.map(|word| !word));
        let ball = Rule::of(&group([7, 9, 1 << 63, 5], [u64::MAX; 4], 9, 300), &[0; 4]).unwrap();
        assert!(ones(&ball.still) > 240 && ball.most < 50, "{ball:?}");
        assert_eq!(Rule::of(&group([0; 4], [u64::MAX; 4], 2, 300), &[0; 4]), None);
        assert_eq!(Rule::of(&[], &[0; 4]), None);
    }

    proptest! {
        #[test]
        fn no_member_within_the_distance_is_ruled_out(
            centre: Words, member in any::<[Words; 3]>(), flips in any::<[Words; 3]>(), max in 0u32..32,
        ) {
            let rare = |[a, b, c]: [Words; 3]| -> Words {
                std::array::from_fn(|word| a[word] & b[word] & c[word])
            };
            let sample = group(centre, [u64::MAX; 4], 9, 200);
            let rule = Rule::of(&sample, &[0xffff, 0, 0, 0]).unwrap();
            prop_assert_eq!(ones(&rule.loose), 128);
            let (member, flips) = (rare(member), rare(flips));
            let words: Words = std::array::from_fn(|word| centre[word] ^ member[word]);
            let query: Words = std::array::from_fn(|word| words[word] ^ flips[word]);
            prop_assume!(rule.admits(&words));
            let (a, b) = (rule.pack(&words), rule.pack(&query));
            let loose = (a[0] ^ b[0]).count_ones() + (a[1] ^ b[1]).count_ones();
            prop_assert!(loose <= distance(&words, &query));
            if distance(&words, &query) <= max {
                prop_assert!(rule.room(&query, max).is_some_and(|room| loose <= room));
            }
        }
    }
}
