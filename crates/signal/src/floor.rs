//! The quality floor: which signals say too little about their content for anything to be done by them
//! alone, whatever their author says of them.
//!
//! **Invariant:** whether a signal is thin follows from the signal alone, so that its author and all its
//! receivers find the same.

use std::collections::BTreeSet;

use crate::{
    pdq::{self, Pdq},
    text_print::{MIN_NEAR_GRAMS, TextPrint},
    value::{Signal, Value, ValueOrBlob},
    vpdq::Frame,
};

/// The bits that the hash of a picture has: one for each frequency above their median, so half of them.
const HALF: u32 = 128;

/// How many bits a hash may have above or below half. One that is further off is within the distance of
/// no hash that has half; what has others is a surface of one colour, where all frequencies are equal.
const MOST_OFF_HALF: u32 = pdq::MAX_DISTANCE;

/// The least distinct frames of a video: as many must line up for a match, and fewer are a card.
pub const MIN_DISTINCT_FRAMES: usize = 3;

/// The least local features of a picture. A match needs eight that agree: a photograph has 300 to 400, so
/// that eight are few, and a logo, a letter or an empty form has a few dozen corners that others share.
pub const MIN_SURE_FEATURES: usize = 32;

/// The least distinct items of a sound: silence and a steady tone say the same one again and again.
pub const MIN_DISTINCT_ITEMS: usize = 10;

impl Pdq {
    /// Whether as many bits are set as in the hash of a picture that has anything to be seen in it.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        let set: u32 = self.0.iter().map(|byte| byte.count_ones()).sum();
        set.abs_diff(HALF) <= MOST_OFF_HALF
    }
}

impl Frame {
    /// Whether the frame counts where videos are compared.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.quality >= pdq::MIN_QUALITY && self.pdq.is_balanced()
    }
}

impl Signal {
    /// Whether the signal is below the quality floor: a match of it goes to a person at most. Digests and
    /// links have no quality.
    #[must_use]
    pub fn is_thin(&self) -> bool {
        let ValueOrBlob::Value(value) = &self.value else { return false };
        match value {
            Value::Pdq(pdq) => {
                let poor = self.quality.is_some_and(|quality| quality < pdq::MIN_QUALITY);
                poor || !pdq.is_balanced()
            }
            Value::Vpdq(vpdq) => {
                let frames = vpdq.frames.iter().filter(|frame| frame.counts());
                let distinct: BTreeSet<_> = frames.map(|frame| frame.pdq).collect();
                distinct.len() < MIN_DISTINCT_FRAMES
            }
            Value::Features(print) => print.features().len() < MIN_SURE_FEATURES,
            Value::Audio(print) => {
                let distinct: BTreeSet<_> = print.items().iter().collect();
                distinct.len() < MIN_DISTINCT_ITEMS
            }
            Value::Text(TextPrint::Long(grams)) => grams.distinct().len() < MIN_NEAR_GRAMS,
            Value::Text(TextPrint::Short(_)) | Value::Url(_) => false,
            Value::Sha256(_) | Value::Md5(_) => false,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::{sound_print::SoundPrint, vpdq::Vpdq};

    fn balanced(number: u8) -> Pdq {
        Pdq(std::array::from_fn(|place| if place % 2 == 0 { number } else { !number }))
    }

    fn picture(pdq: Pdq, quality: Option<u8>) -> Signal {
        Signal { quality, ..Signal::new(pdq) }
    }

    #[test]
    fn a_picture_is_thin_by_its_quality_or_by_a_hash_that_no_picture_has() {
        assert!(!picture(balanced(7), Some(50)).is_thin());
        assert!(!picture(balanced(7), None).is_thin());
        assert!(picture(balanced(7), Some(49)).is_thin());
        for surface in [[0; 32], [0xff; 32]] {
            // Its author can claim what it likes.
            assert!(picture(Pdq(surface), Some(100)).is_thin());
        }
        let mut bits = balanced(7);
        bits.0[..3].fill(0xff);
        assert!(!picture(bits, Some(100)).is_thin());
    }

    #[test]
    fn a_video_is_thin_without_three_frames_that_differ_and_count() {
        let video = |frames: &[(Pdq, u8)]| {
            let frame = |(number, (pdq, quality)): (u32, &(Pdq, u8))| Frame {
                number,
                quality: *quality,
                pdq: *pdq,
                at_ms: number * 500,
            };
            Signal::new(Vpdq { frames: (0..).zip(frames).map(frame).collect() })
        };
        let [a, b, c] = [1, 2, 3].map(balanced);
        assert!(!video(&[(a, 100), (b, 50), (c, 100)]).is_thin());
        assert!(video(&[(a, 100), (b, 49), (c, 100)]).is_thin());
        assert!(video(&[(a, 100), (b, 100), (a, 100), (b, 100)]).is_thin());
        assert!(video(&[(a, 100), (b, 100), (Pdq([0; 32]), 100)]).is_thin());
    }

    #[test]
    fn silence_is_thin_and_speech_is_not() {
        let sound = |items: Vec<u32>| Signal::new(SoundPrint::new(100, items).unwrap());
        assert!(sound(vec![0x1234; 400]).is_thin());
        assert!(sound((0..400).map(|item| item % 9).collect()).is_thin());
        assert!(!sound((0..400).collect()).is_thin());
    }
}
