//! Where luminance bends up or down, one bit a comparison, so that many frames are compared in no time.
//!
//! What tells two moments of one video apart is where they bend in opposite ways. What lies unmoved over
//! both, a caption, a logo or the frame of an app, bends the same way in both and has no say.

use watchfire_signal::features::Sign;

/// Comparisons of a word.
const BITS: usize = u64::BITS as usize;

/// The least comparisons in which two moments bend in opposite ways that tell them apart: two cells that
/// changed, each of which is part of six.
pub(crate) const LEAST_APART: u32 = 12;

/// Standard deviations above half at which a number of comparisons is no chance.
pub(crate) const DEVIATIONS: u64 = 3;

/// How much wider than that of independent ones the spread of comparisons is: each cell is part of six,
/// and each comparison has three cells.
const SPREAD: u64 = 3;

/// How luminance bends at each place that is compared: up, down, or not so that it says anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bends {
    up: Box<[u64]>,
    down: Box<[u64]>,
}

/// Of the comparisons that tell two moments apart, those that a frame has, and those that go with the
/// first of the two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Apart {
    pub(crate) compared: u32,
    pub(crate) agreed: u32,
}

impl Bends {
    /// Of so many comparisons, none that says anything.
    pub(crate) fn none(count: usize) -> Self {
        let words = vec![0; count.div_ceil(BITS)].into_boxed_slice();
        Self { up: words.clone(), down: words }
    }

    /// Those of a print.
    pub(crate) fn of(signs: &[Sign]) -> Self {
        let mut bends = Self::none(signs.len());
        for (place, sign) in signs.iter().enumerate() {
            match sign {
                Sign::Flat => {}
                Sign::Brighter => bends.set(place, true),
                Sign::Darker => bends.set(place, false),
            }
        }
        bends
    }

    /// Sets one.
    pub(crate) fn set(&mut self, place: usize, up: bool) {
        let words = if up { &mut self.up } else { &mut self.down };
        words[place / BITS] |= 1 << (place % BITS);
    }

    /// The signs they were made of; so many of them, as there may be some to spare at the end.
    pub(crate) fn signs(&self) -> impl Iterator<Item = Sign> {
        (0..self.up.len() * BITS).map(|place| {
            let (word, bit) = (place / BITS, place % BITS);
            match (self.up[word] >> bit & 1, self.down[word] >> bit & 1) {
                (1, _) => Sign::Brighter,
                (_, 1) => Sign::Darker,
                _ => Sign::Flat,
            }
        })
    }

    /// Comparisons in which both bend, and those in which they bend the same way.
    pub(crate) fn agreement(&self, other: &Self) -> Apart {
        let mut apart = Apart::default();
        for (a, b) in self.words().zip(other.words()) {
            let same = a.0 & b.0 | a.1 & b.1;
            apart.agreed += same.count_ones();
            apart.compared += (same | a.0 & b.1 | a.1 & b.0).count_ones();
        }
        apart
    }

    /// Whether these are two moments to tell apart.
    pub(crate) fn is_apart_from(&self, other: &Self) -> bool {
        let Apart { compared, agreed } = self.agreement(other);
        compared - agreed >= LEAST_APART
    }

    /// How far a frame that shows this moment, by how the frame bends, rather shows this one than another.
    pub(crate) fn rather_than(&self, other: &Self, frame: &Self) -> Apart {
        let mut apart = Apart::default();
        for ((own, other), seen) in self.words().zip(other.words()).zip(frame.words()) {
            let (up, down) = (own.0 & other.1, own.1 & other.0);
            apart.agreed += (up & seen.0 | down & seen.1).count_ones();
            apart.compared += ((up | down) & (seen.0 | seen.1)).count_ones();
        }
        apart
    }

    /// Bytes of memory beside the value itself.
    pub(crate) fn memory_bytes(&self) -> usize {
        (self.up.len() + self.down.len()) * size_of::<u64>()
    }

    fn words(&self) -> impl Iterator<Item = (u64, u64)> {
        self.up.iter().copied().zip(self.down.iter().copied())
    }
}

impl Apart {
    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self { compared: self.compared + other.compared, agreed: self.agreed + other.agreed }
    }

    /// Whether the frame shows the first of two moments: two thirds of enough comparisons say so.
    pub(crate) fn says_so(&self) -> bool {
        self.compared >= LEAST_APART && self.agreed * 3 >= self.compared * 2
    }

    /// Whether so many going with it lie so many standard deviations above half.
    pub(crate) fn is_beyond(&self, deviations: u64) -> bool {
        let (all, agreed) = (u64::from(self.compared), u64::from(self.agreed));
        let above = (agreed * 2).saturating_sub(all);
        all > 0 && above * above >= deviations * deviations * SPREAD * all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bends(signs: &str) -> Bends {
        let sign = |sign| match sign {
            '+' => Sign::Brighter,
            '-' => Sign::Darker,
            _ => Sign::Flat,
        };
        Bends::of(&signs.chars().map(sign).collect::<Vec<_>>())
    }

    #[test]
    fn what_two_moments_share_has_no_say() {
        let (a, b) = (bends("++++--+-"), bends("++++-- +"));
        assert_eq!(a.agreement(&b), Apart { compared: 7, agreed: 6 });
        let still = Apart { compared: 1, agreed: 1 };
        assert_eq!(a.rather_than(&b, &a), still);
        assert_eq!(a.rather_than(&b, &b), Apart { agreed: 0, ..still });
        assert_eq!(a.rather_than(&b, &bends("++++--  ")), Apart::default());
    }

    #[test]
    fn a_few_comparisons_may_be_chance() {
        let of = |agreed, compared| Apart { compared, agreed };
        assert!(!of(12, 12).is_beyond(DEVIATIONS) && of(27, 27).is_beyond(DEVIATIONS));
        assert!(!of(60, 100).is_beyond(DEVIATIONS) && of(76, 100).is_beyond(DEVIATIONS));
        assert!(of(8, 12).says_so() && !of(11, 11).says_so() && !of(60, 100).says_so());
    }
}
