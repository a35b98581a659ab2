//! Chooses which frames of a video are decoded to pixels and hashed: by their times, never by their numbers, so that
//! no part of a video is passed over because another has more frames a second.
//!
//! **Invariant:** what a file claims about its length can make work, never a sparse reference: at least
//! [`SURE_FRAMES_A_SECOND`] are hashed, and thinning goes by the frames that came.

use std::time::Duration;

use watchfire_signal::vpdq::Frame;

use super::probe::Facts;
use super::{FrameRate, Part, VideoError, filter};

/// The longest video, or part of one, that is recognised by evenly thinned frames. 3,600 frames are one a second
/// then: queries have two a second, and alignment bridges the second between two frames that it finds.
pub const MAX_THINNED: Duration = Duration::from_hours(1);

/// Frames a second that are hashed of a reference whatever the file says about its length.
const SURE_FRAMES_A_SECOND: u64 = 2;

/// How many times the frames that may come out are hashed of a video that has more: what is left out afterwards goes
/// by the frames that came.
const MORE_THAN_COME_OUT: u64 = 2;

/// Of a part, or all of it, the first frame of each of so many equal parts of so many milliseconds, or every one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Selection {
    part: Option<Part>,
    first_of_each: Option<(u64, u64)>,
}

impl Selection {
    /// What a rate means for one video.
    pub(super) fn of(rate: FrameRate, facts: &Facts) -> Result<Self, VideoError> {
        let all = Self { part: None, first_of_each: None };
        let (part, at_most) = match rate {
            FrameRate::Every => return Ok(all),
            FrameRate::PerSecond(hashes) => {
                return Ok(Self { first_of_each: Some((hashes.get().into(), 1_000)), ..all });
            }
            FrameRate::Reference { part, at_most } => (part, u64::from(at_most.get())),
        };
        let length_ms = part.map(|part| u64::from(part.end_ms.saturating_sub(part.start_ms)));
        // A part ends with the video at the latest.
        let length_ms = [length_ms, facts.duration_ms].into_iter().flatten().min();
        if length_ms.is_some_and(|ms| ms > MAX_THINNED.as_millis() as u64) {
            return Err(VideoError::TooLong);
        }
        let too_many = |ms: &u64| u64::from(facts.rate.number_at(*ms)) > at_most;
        let first_of_each = length_ms.filter(too_many).map(|ms| {
            let sure = ms.saturating_mul(SURE_FRAMES_A_SECOND) / 1_000;
            (at_most.saturating_mul(MORE_THAN_COME_OUT).max(sure), ms)
        });
        Ok(Self { part, first_of_each })
    }

    /// Whether only a part of the video is selected.
    pub(super) fn is_part(&self) -> bool {
        self.part.is_some()
    }

    /// What ffmpeg is told, behind the clock.
    pub(super) fn filters(&self) -> Vec<String> {
        let mut filters = Vec::new();
        if let Some(Part { start_ms, end_ms }) = self.part {
            // Trimming ends the decoding with the part.
            let end_ms = u64::from(end_ms) + 1;
            filters.push(format!("trim=end={}.{:03}", end_ms / 1_000, end_ms % 1_000));
            let within = format!("between(round(t*1000),{start_ms},{})", end_ms - 1);
            filters.push(format!("select='{within}'"));
        }
        let first_of_each =
            self.first_of_each.map(|(frames, ms)| filter::first_of_each(frames, ms));
        filters.extend(first_of_each);
        filters
    }
}

/// Gives frames the numbers that they have in a video of even frame rate, from numbers among those that were selected.
/// Where the rate is not even they ascend all the same.
pub(super) fn numbered(frames: &mut [Frame], rate: FrameRate, facts: &Facts) {
    if rate == FrameRate::Every {
        return;
    }
    let mut next = 0;
    for frame in frames {
        frame.number = facts.rate.number_at(frame.at_ms.into()).max(next);
        next = frame.number.saturating_add(1);
    }
}

/// Of more frames than may come out as many as may, evenly in time: the first of each part.
pub(super) fn thinned(frames: Vec<Frame>, rate: FrameRate) -> Result<Vec<Frame>, VideoError> {
    let FrameRate::Reference { at_most, .. } = rate else { return Ok(frames) };
    let (Some(first), Some(last)) = (frames.first(), frames.last()) else { return Ok(frames) };
    let (start_ms, length_ms) = (first.at_ms, u64::from(last.at_ms.saturating_sub(first.at_ms)));
    if u128::from(length_ms) > MAX_THINNED.as_millis() {
        return Err(VideoError::TooLong);
    }
    let most = u64::from(at_most.get());
    if frames.len() as u64 <= most {
        return Ok(frames);
    }
    let part = |frame: &Frame| {
        u64::from(frame.at_ms.saturating_sub(start_ms)).saturating_mul(most) / (length_ms + 1)
    };
    let mut left = frames;
    left.dedup_by_key(|frame| part(frame));
    Ok(left)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;
    use crate::video::FramesPerSecond;

    fn facts(duration_ms: Option<u64>) -> Facts {
        let rate = FramesPerSecond { numerator: 30_000, denominator: 1_001 };
        Facts { width: 640, height: 360, rate, duration_ms }
    }

    fn reference(part: Option<Part>) -> FrameRate {
        FrameRate::Reference { part, at_most: NonZeroU32::new(3_600).unwrap() }
    }

    #[test]
    fn a_long_video_is_decoded_thinly_and_a_short_one_fully() {
        let parts = |ms| Selection::of(reference(None), &facts(ms)).unwrap().first_of_each;
        assert_eq!([Some(120_000), None].map(parts), [None, None]);
        assert_eq!(parts(Some(1_205_000)), Some((7_200, 1_205_000)));
        // A file that claims to be an hour long still gives two frames a second.
        let few = FrameRate::Reference { part: None, at_most: NonZeroU32::MIN };
        let selection = Selection::of(few, &facts(Some(3_600_000))).unwrap();
        assert_eq!(selection.first_of_each, Some((7_200, 3_600_000)));
    }

    #[test]
    fn more_than_an_hour_is_refused_before_and_after_decoding() {
        let long = Selection::of(reference(None), &facts(Some(3_600_001)));
        assert!(matches!(long, Err(VideoError::TooLong)));
        let part = Some(Part { start_ms: 5_000, end_ms: 9_000 });
        let part = Selection::of(reference(part), &facts(Some(36_000_000))).unwrap();
        assert_eq!(part.filters()[0], "trim=end=9.001");
        let pdq = watchfire_signal::pdq::Pdq([0; 32]);
        let frame = |at_ms| Frame { number: 0, quality: 0, pdq, at_ms };
        let late = thinned(vec![frame(0), frame(3_600_001)], reference(None));
        assert!(matches!(late, Err(VideoError::TooLong)));
    }

    proptest! {
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
    #[test]
    fn a_thousand_frames_of_one_second_leave_those_of_the_others() {
        let pdq = watchfire_signal::pdq::Pdq([0; 32]);
        let times = (0..100).map(|slow| slow * 100).chain((0..1_000).map(|fast| 10_000 + fast));
        let frame = |(number, at_ms)| Frame { number, quality: 100, pdq, at_ms };
        let at_most = NonZeroU32::new(110).unwrap();
        let rate = FrameRate::Reference { part: None, at_most };
        let left = thinned((0..).zip(times).map(frame).collect(), rate).unwrap();
        assert!(left.len() <= 110 && left.iter().filter(|frame| frame.at_ms < 10_000).count() > 90);
    }

    #[test]
    fn numbers_are_those_of_an_even_rate_and_ascend() {
        let pdq = watchfire_signal::pdq::Pdq([0; 32]);
        let frame = |at_ms| Frame { number: 0, quality: 100, pdq, at_ms };
        let mut frames = [0, 500, 1_001, 1_001, 1_002].map(frame);
        numbered(&mut frames, reference(None), &facts(None));
        assert_eq!(frames.map(|frame| frame.number), [0, 15, 30, 31, 32]);
    }
}
