//! Chooses which frames of a video are decoded to pixels and hashed.
//!
//! **Invariant:** what a file claims about its length can make work, never a sparse reference: at least
//! [`SURE_FRAMES_A_SECOND`] are hashed, and thinning goes by the frames that came.

use std::num::NonZeroU32;
use std::time::Duration;

use watchfire_signal::vpdq::Frame;

use super::probe::Facts;
use super::{FrameRate, FramesPerSecond, Part, VideoError};

/// The longest video, or part of one, that is recognised by evenly thinned frames. 3,600 frames are one a second
/// then: queries have two a second, and alignment bridges the second between two frames that it finds.
pub const MAX_THINNED: Duration = Duration::from_hours(1);

/// Frames a second that are hashed of a reference whatever the file says about its length.
const SURE_FRAMES_A_SECOND: NonZeroU32 = NonZeroU32::new(2).unwrap();

/// Every `step`-th frame from `first` on, up to `last` if that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Selection {
    first: u32,
    last: Option<u32>,
    step: u32,
}

impl Selection {
    /// What a rate means for one video.
    pub(super) fn of(rate: FrameRate, facts: &Facts) -> Result<Self, VideoError> {
        let all = Self { first: 0, last: None, step: 1 };
        let (part, at_most) = match rate {
            FrameRate::Every => return Ok(all),
            FrameRate::PerSecond(hashes) => {
                return Ok(Self { step: step(hashes, facts.rate), ..all });
            }
            FrameRate::Reference { part, at_most } => (part, at_most),
        };
        let length_ms = part.map(|part| u64::from(part.end_ms.saturating_sub(part.start_ms)));
        // A part ends with the video at the latest.
        let length_ms = [length_ms, facts.duration_ms].into_iter().flatten().min();
        if length_ms.is_some_and(|ms| ms > MAX_THINNED.as_millis() as u64) {
            return Err(VideoError::TooLong);
        }
        let mut selection = part.map_or(all, |part| Self::part(part, facts.rate));
        if let Some(ms) = length_ms {
            let frames = u64::from(facts.rate.first_from(u32::try_from(ms).unwrap_or(u32::MAX)));
            // Rounded down: what is still too many is thinned afterwards, to exactly as many as may be.
            let wanted = u32::try_from(frames / u64::from(at_most.get()));
            let wanted = wanted.unwrap_or(u32::MAX).max(1);
            selection.step = wanted.min(step(SURE_FRAMES_A_SECOND, facts.rate));
        }
        Ok(selection)
    }

    fn part(part: Part, rate: FramesPerSecond) -> Self {
        let first = rate.first_from(part.start_ms);
        let last = rate.first_from(part.end_ms.saturating_add(1)).saturating_sub(1);
        Self { first, last: Some(last), step: 1 }
    }

    /// Whether only a part of the video is selected.
    pub(super) fn is_part(&self) -> bool {
        self.last.is_some()
    }

    /// The number in the video of a selected frame.
    pub(super) fn number(&self, index: u32) -> u32 {
        self.first.saturating_add(index.saturating_mul(self.step))
    }

    /// What ffmpeg is told.
    pub(super) fn arguments(&self) -> Vec<String> {
        let Self { first, last, step } = self;
        let every = format!("not(mod(n-{first}\\,{step}))");
        match last {
            // Counting ends the decoding with the part. A part between two frames has none.
            Some(last) => {
                let count = last.checked_sub(*first).map_or(0, |more| more / step + 1);
                let within = format!("select=between(n\\,{first}\\,{last})*{every}");
                vec!["-vf".into(), within, "-frames:v".into(), count.to_string()]
            }
            None if *step > 1 => vec!["-vf".into(), format!("select={every}")],
            None => Vec::new(),
        }
    }
}

/// Of how many frames one is hashed.
fn step(hashes: NonZeroU32, rate: FramesPerSecond) -> u32 {
    let hashes_times = u64::from(rate.denominator) * u64::from(hashes.get());
    u32::try_from(u64::from(rate.numerator) / hashes_times).unwrap_or(u32::MAX).max(1)
}

/// Of more frames than may come out, evenly as many as may.
pub(super) fn thinned(frames: Vec<Frame>, rate: FrameRate) -> Result<Vec<Frame>, VideoError> {
    let FrameRate::Reference { at_most, .. } = rate else { return Ok(frames) };
    let (Some(first), Some(last)) = (frames.first(), frames.last()) else { return Ok(frames) };
    if u128::from(last.at_ms - first.at_ms) > MAX_THINNED.as_millis() {
        return Err(VideoError::TooLong);
    }
    let (count, most) = (frames.len(), at_most.get() as usize);
    if count <= most {
        return Ok(frames);
    }
    Ok((0..most).map(|place| frames[place * count / most]).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn facts(duration_ms: Option<u64>) -> Facts {
        let rate = FramesPerSecond { numerator: 30_000, denominator: 1_001 };
        Facts { width: 640, height: 360, rate, duration_ms }
    }

    fn reference(part: Option<Part>) -> FrameRate {
        FrameRate::Reference { part, at_most: NonZeroU32::new(3_600).unwrap() }
    }

    #[test]
    fn a_long_video_is_decoded_thinly_and_a_short_one_fully() {
        let step = |ms| Selection::of(reference(None), &facts(Some(ms))).unwrap().step;
        assert_eq!([120_000, 130_000, 1_205_000].map(step), [1, 1, 10]);
        // A file that claims to be an hour long still gives two frames a second.
        assert_eq!(step(3_600_000), 14);
        assert_eq!(Selection::of(reference(None), &facts(None)).unwrap().step, 1);
    }

    #[test]
    fn more_than_an_hour_is_refused_before_and_after_decoding() {
        let long = Selection::of(reference(None), &facts(Some(3_600_001)));
        assert!(matches!(long, Err(VideoError::TooLong)));
        let part = Some(Part { start_ms: 5_000, end_ms: 9_000 });
        let part = Selection::of(reference(part), &facts(Some(36_000_000))).unwrap();
        assert_eq!((part.first, part.last), (150, Some(269)));
        let pdq = watchfire_signal::pdq::Pdq([0; 32]);
        let frame = |at_ms| Frame { number: 0, quality: 0, pdq, at_ms };
        let late = thinned(vec![frame(0), frame(3_600_001)], reference(None));
        assert!(matches!(late, Err(VideoError::TooLong)));
    }

    proptest! {
        #[test]
        fn a_part_has_exactly_the_frames_within_it(
            numerator in 1_u32..200_000, denominator in 1_u32..2_000, start_ms in 0_u32..50_000, long in 0_u32..5_000,
        ) {
            let rate = FramesPerSecond { numerator, denominator };
            let part = Part { start_ms, end_ms: start_ms + long };
            let found = Selection::part(part, rate);
            let within = |frame: u32| (part.start_ms..=part.end_ms).contains(&rate.time_ms(frame));
            let (first, last) = (found.first, found.last.unwrap());
            prop_assert!(first == 0 || rate.time_ms(first - 1) < start_ms);
            prop_assert!(rate.time_ms(last.saturating_add(1)) > part.end_ms);
            if first <= last {
                prop_assert!(within(first) && within(last));
            }
        }

        #[test]
        fn thinning_leaves_as_many_as_may_come_out_evenly(count in 1_usize..500, most in 1_u32..50) {
            let frame = |number| {
                let pdq = watchfire_signal::pdq::Pdq([0; 32]);
                Frame { number, quality: 100, pdq, at_ms: number * 40 }
            };
            let at_most = NonZeroU32::new(most).unwrap();
            let rate = FrameRate::Reference { part: None, at_most };
            let frames = (0..count as u32).map(frame).collect::<Vec<_>>();
            let left = thinned(frames, rate).unwrap();
            prop_assert_eq!(left.len(), count.min(most as usize));
            let gaps = left.windows(2).map(|pair| pair[1].number - pair[0].number);
            let widest = count.div_ceil(most as usize) as u32;
            prop_assert!(gaps.into_iter().all(|gap| (1..=widest).contains(&gap)));
        }
    }
}
