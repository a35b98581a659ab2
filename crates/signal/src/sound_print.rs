//! The fingerprint of sound: found again after other codecs, noise and echo, and inside other sound.
//!
//! A row of 32-bit items, one every [`ITEM_SAMPLES`] samples of 11,025 a second, as Chromaprint makes
//! them (algorithm 2; Lukáš Lalinský, "How does Chromaprint work?", 2011, after Ke, Hoiem and
//! Sukthankar, "Computer vision for music identification", 2005). Two recordings of one sound have
//! items that differ in few bits.
//! **Invariant:** a print has at least [`MIN_ITEMS`] and at most [`MAX_ITEMS`] items.

use std::sync::Arc;

use thiserror::Error;

/// Samples a second of the sound that is fingerprinted.
pub const SAMPLES_A_SECOND: u32 = 11_025;
/// Samples from one item to the next: a third of a frame of 4,096.
pub const ITEM_SAMPLES: u32 = 1_365;
/// The fewest items: five seconds, the least that is recognised.
pub const MIN_ITEMS: usize = 40;
/// The most items of one value: ten minutes. Longer sound has several, each with its span.
pub const MAX_ITEMS: usize = 4_846;
/// The greatest distance at which two sounds count as the same: percent of bits that differ. Bits of
/// unrelated sound differ by half; neighbouring items are alike, so that a window of 1,280 bits
/// carries about 200 that are independent, and a quarter is seven standard deviations from a half.
pub const MAX_SOUND_DISTANCE: u32 = 25;

/// The speed of sound that was not changed before it was fingerprinted, in percent.
pub const PLAIN_RATE: u8 = 100;
/// Speeds at which a query may be fingerprinted, in percent: those of the search for sped-up copies.
const RATES: std::ops::RangeInclusive<u8> = 50..=200;

/// The fingerprint of sound. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SoundPrint {
    rate: u8,
    items: Arc<[u32]>,
}

/// Why items or bytes are no fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SoundError {
    /// Too little or too much sound.
    #[error(
        "a fingerprint of sound has {MIN_ITEMS} to {MAX_ITEMS} items (5 s to 10 min), found {0}"
    )]
    Items(usize),
    /// A speed that cannot be.
    #[error("the speed of a fingerprint is 50 to 200 percent, found {0}")]
    Rate(u8),
    /// Bytes that are no value of this kind.
    #[error("not the fingerprint of sound: {0}")]
    Bytes(&'static str),
}

impl SoundPrint {
    /// A print of items; `rate` says at how many percent of its speed the sound was played for it.
    ///
    /// # Errors
    /// [`SoundError`]
    pub fn new(rate: u8, items: impl Into<Arc<[u32]>>) -> Result<Self, SoundError> {
        let items = items.into();
        if !RATES.contains(&rate) {
            return Err(SoundError::Rate(rate));
        }
        if !(MIN_ITEMS..=MAX_ITEMS).contains(&items.len()) {
            return Err(SoundError::Items(items.len()));
        }
        Ok(Self { rate, items })
    }

    /// The prints of a long row of items, of at most [`MAX_ITEMS`] each; the last two may overlap.
    /// Each with the place of its first item. None of too few items.
    #[must_use]
    pub fn pieces(rate: u8, items: &[u32]) -> Vec<(usize, Self)> {
        let starts = (0..items.len().div_ceil(MAX_ITEMS)).map(|piece| piece * MAX_ITEMS);
        let piece = |start: usize| {
            let end = (start + MAX_ITEMS).min(items.len());
            let start = start.min(end.saturating_sub(MIN_ITEMS));
            Some((start, Self::new(rate, &items[start..end]).ok()?))
        };
        starts.filter_map(piece).collect()
    }

    /// The speed at which the sound was played for it, in percent; 100 for sound as it is.
    #[must_use]
    pub fn rate(&self) -> u8 {
        self.rate
    }

    /// The items in the order of time.
    #[must_use]
    pub fn items(&self) -> &[u32] {
        &self.items
    }

    /// When an item begins, in milliseconds of the sound as it is.
    #[must_use]
    pub fn at_ms(&self, item: usize) -> u32 {
        let samples = item as u64 * u64::from(ITEM_SAMPLES) * u64::from(self.rate) * 10;
        u32::try_from(samples / u64::from(SAMPLES_A_SECOND)).unwrap_or(u32::MAX)
    }

    /// The part of this print between two moments, where it begins at `start_ms`: when the part begins
    /// and its print. `None` where less than five seconds are left.
    #[must_use]
    pub fn within(&self, start_ms: u32, (from_ms, to_ms): (u32, u32)) -> Option<(u32, Self)> {
        let places = 0..self.items.len();
        let inside = |place: &usize| {
            let begin = start_ms.saturating_add(self.at_ms(*place));
            begin >= from_ms && start_ms.saturating_add(self.at_ms(place + 1)) <= to_ms
        };
        let first = places.clone().find(inside)?;
        let count = (first..places.end).take_while(inside).count();
        let print = Self::new(self.rate, &self.items[first..first + count]).ok()?;
        Some((start_ms.saturating_add(self.at_ms(first)), print))
    }

    /// Reads the bytes that stand in a record (`docs/format.md`, section 6).
    ///
    /// # Errors
    /// [`SoundError`]
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SoundError> {
        let (&rate, items) = bytes.split_first().ok_or(SoundError::Bytes("there is nothing"))?;
        let (items, rest) = items.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(SoundError::Bytes("the last item is cut off"));
        }
        let items = items.iter().map(|item| u32::from_be_bytes(*item));
        Self::new(rate, items.collect::<Vec<_>>())
    }

    /// Writes the bytes that stand in a record.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let items = self.items.iter().flat_map(|item| item.to_be_bytes());
        std::iter::once(self.rate).chain(items).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bytes_are_read_as_they_were_written(
            rate in 50_u8..=200, items in proptest::collection::vec(any::<u32>(), MIN_ITEMS..200),
        ) {
            let print = SoundPrint::new(rate, items).unwrap();
            let bytes = print.to_bytes();
            prop_assert_eq!(SoundPrint::from_bytes(&bytes), Ok(print));
            prop_assert!(SoundPrint::from_bytes(&bytes[..bytes.len() - 1]).is_err());
        }

        #[test]
        fn pieces_cover_all_of_a_long_sound(count in 0_usize..15_000) {
            let items = (0..count as u32).collect::<Vec<_>>();
            let pieces = SoundPrint::pieces(PLAIN_RATE, &items);
            let covered = pieces.iter().flat_map(|(start, piece)| *start..start + piece.items().len());
            let covered = covered.collect::<std::collections::BTreeSet<_>>();
            prop_assert_eq!(covered.len(), if count < MIN_ITEMS { 0 } else { count });
        }
    }

    #[test]
    fn times_are_those_of_the_sound_as_it_is() {
        let print = |rate| SoundPrint::new(rate, vec![0; 100]).unwrap();
        assert_eq!(print(100).at_ms(81), 10_028);
        // Played at 125 %, the same moment stands at an earlier item.
        assert_eq!(print(125).at_ms(81), 12_535);
        let (start, part) = print(100).within(1_000, (5_000, 11_000)).unwrap();
        assert_eq!((start, part.items().len()), (5_085, 47));
        assert!(print(100).within(1_000, (5_000, 9_000)).is_none());
    }
}
