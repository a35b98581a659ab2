//! Chooses the frames of a video that travel in an alert, so that edited copies are found by their features.
//!
//! The time is cut into parts, and of each the frame is taken around which least moves: a query is sampled at
//! other moments, up to a quarter of a second away, and has to show it too.
//! **Invariant:** memory does not grow with the length of the video: a frame, the best of a part, and what
//! was chosen.

use std::num::NonZeroU32;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use watchfire_signal::features::{Grey, Moment};
use watchfire_signal::pdq::{MIN_QUALITY, Pdq};
use watchfire_signal::vpdq::Frame;

use super::stream::{MAX_STALL, Pace, Seen, Streaming};
use super::{Copy, Decoder, Part, VideoError};
use crate::features;

/// The most frames of one video: 160 kB of features, about what 3,600 hashes of frames take. One a second is
/// half a minute; of a longer video they lie further apart, and a copy of it has to be longer to show three.
pub const MAX_MOMENTS: usize = 32;

/// The features of such a frame. A picture in an alert has 400, for it is all there is; of a video any three
/// frames are enough, and indexes keep no more of each.
pub const MOMENT_FEATURES: usize = 128;

/// The least time from one to the next, in milliseconds: a copy of five seconds shows four.
const LEAST_APART_MS: u32 = 1_000;

/// How long frames are chosen: whoever raises an alert waits. What was chosen until then travels.
const CHOOSING: Duration = Duration::from_secs(20);

/// Frames a second among which the choice is made: those before and after tell how much moves within the
/// quarter of a second by which a query, which has two a second, may be off.
const CANDIDATES_A_SECOND: NonZeroU32 = NonZeroU32::new(4).unwrap();

impl Copy {
    /// The frames of a video, or of a part of it, that edited copies are found by, in order of time; none where
    /// all of it is too plain. Ends early where it turns out to be `in_vain`. Blocks; decodes all up to the end of the part.
    ///
    /// # Errors
    /// As [`stream`](super::stream()).
    #[expect(clippy::disallowed_methods, reason = "a child takes real time")]
    pub fn moments(
        &self,
        part: Option<Part>,
        decoder: &Decoder,
        in_vain: &AtomicBool,
    ) -> Result<Vec<Moment>, VideoError> {
        let streaming = Streaming { pace: Pace::PerSecond(CANDIDATES_A_SECOND), stall: MAX_STALL };
        let mut chooser = Chooser::default();
        let until = Instant::now() + CHOOSING;
        self.stream(streaming, decoder, |seen| {
            let at_ms = seen.frame.at_ms;
            let late = in_vain.load(Ordering::Relaxed) || Instant::now() > until;
            if late || part.is_some_and(|part| at_ms > part.end_ms) {
                return ControlFlow::Break(());
            }
            if part.is_none_or(|part| at_ms >= part.start_ms) {
                chooser.push(&seen);
            }
            ControlFlow::Continue(())
        })?;
        Ok(chooser.finish())
    }
}

/// A frame that may be chosen.
struct Candidate {
    frame: Frame,
    grey: Grey,
    /// The most bits by which the frame before or after it differs.
    moves: u32,
}

/// What makes one frame of a part better than another: less is better. A frame of little quality is plain or
/// murky, but features may be found in it all the same, and it is better than none.
type Worth = (bool, u32);

impl Candidate {
    fn worth(&self) -> Worth {
        (self.frame.quality < MIN_QUALITY, self.moves)
    }
}

/// A frame that was chosen.
struct Chosen {
    moment: Moment,
    worth: Worth,
}

/// Chooses while frames come.
struct Chooser {
    /// How long a part is.
    part_ms: u32,
    start_ms: Option<u32>,
    before: Option<Pdq>,
    /// The last frame: how much moves around it is known when the next one comes.
    last: Option<Candidate>,
    /// The best of the part that has not ended.
    best: Option<Candidate>,
    chosen: Vec<Chosen>,
}

impl Default for Chooser {
    fn default() -> Self {
        Self {
            part_ms: LEAST_APART_MS,
            start_ms: None,
            before: None,
            last: None,
            best: None,
            chosen: Vec::new(),
        }
    }
}

impl Chooser {
    fn push(&mut self, seen: &Seen<'_>) {
        let frame = seen.frame;
        self.start_ms.get_or_insert(frame.at_ms);
        if let Some(mut last) = self.last.take() {
            last.moves = last.moves.max(last.frame.pdq.distance(&frame.pdq));
            self.before = Some(last.frame.pdq);
            self.offer(last);
        }
        let moves = self.before.map_or(0, |before| before.distance(&frame.pdq));
        let grey = features::working(seen.picture);
        self.last = grey.map(|grey| Candidate { frame, grey, moves });
    }

    fn offer(&mut self, candidate: Candidate) {
        let ended =
            |best: &Candidate| self.part(best.frame.at_ms) != self.part(candidate.frame.at_ms);
        if self.best.as_ref().is_some_and(ended) {
            self.close();
        }
        if self.best.as_ref().is_none_or(|best| candidate.worth() < best.worth()) {
            self.best = Some(candidate);
        }
    }

    /// Which part a time is in.
    fn part(&self, at_ms: u32) -> u32 {
        at_ms.saturating_sub(self.start_ms.unwrap_or(0)) / self.part_ms
    }

    /// Ends a part.
    fn close(&mut self) {
        let Some(best) = self.best.take() else { return };
        let Some(print) = features::print_of(&best.grey, MOMENT_FEATURES) else { return };
        let moment = Moment { at_ms: best.frame.at_ms, print };
        self.chosen.push(Chosen { moment, worth: best.worth() });
        while self.chosen.len() > MAX_MOMENTS {
            self.widen();
        }
    }

    /// Makes one part of two, and keeps the better frame of each.
    fn widen(&mut self) {
        self.part_ms = self.part_ms.saturating_mul(2);
        let mut kept: Vec<Chosen> = Vec::new();
        for chosen in std::mem::take(&mut self.chosen) {
            let part = self.part(chosen.moment.at_ms);
            match kept.last_mut() {
                Some(last) if self.part(last.moment.at_ms) == part => {
                    if chosen.worth < last.worth {
                        *last = chosen;
                    }
                }
                _ => kept.push(chosen),
            }
        }
        self.chosen = kept;
    }

    fn finish(mut self) -> Vec<Moment> {
        if let Some(last) = self.last.take() {
            self.offer(last);
        }
        self.close();
        self.chosen.into_iter().map(|chosen| chosen.moment).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::pdq::{Layout, Pixels};

    const SIDE: usize = 128;

    /// Squares of any brightness, drawn by lot.
    fn drawn(seed: u32) -> Vec<u8> {
        let mut state = seed.wrapping_mul(747_796_405).wrapping_add(1);
        let mut lot = |below: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as usize % below
        };
        let mut bytes = vec![120; SIDE * SIDE];
        for _ in 0..60 {
            let (left, top, side, grey) = (lot(SIDE), lot(SIDE), 4 + lot(24), lot(256) as u8);
            for y in top..SIDE.min(top + side) {
                bytes[y * SIDE + left..y * SIDE + SIDE.min(left + side)].fill(grey);
            }
        }
        bytes
    }

    fn chosen(hashes: impl Iterator<Item = (Pdq, u8)>) -> Vec<u32> {
        let mut chooser = Chooser::default();
        for (number, (pdq, quality)) in (0..).zip(hashes) {
            let frame = Frame { number, quality, pdq, at_ms: number * 250 };
            let bytes = drawn(number);
            let picture = Pixels::new(SIDE as u32, SIDE as u32, Layout::Grey, &bytes).unwrap();
            chooser.push(&Seen { frame, picture });
        }
        chooser.finish().iter().map(|moment| moment.at_ms).collect()
    }

    #[test]
    fn of_each_second_the_frame_is_taken_around_which_least_moves() {
        // Two frames that are alike in each second, the third and fourth; the others are like none.
        let pdq = |number: u8| match number % 4 {
            2 | 3 => Pdq([number / 4; 32]),
            odd => Pdq([number.wrapping_mul(37) ^ 0x55 << odd; 32]),
        };
        let times = chosen((0..12).map(|number| (pdq(number), 100)));
        assert_eq!(times.len(), 3);
        assert!(times.iter().all(|at| at % 1_000 == 500 || at % 1_000 == 750), "{times:?}");
    }

    #[test]
    fn a_long_video_has_the_most_moments_evenly_apart() {
        let times = chosen((0..400).map(|number| (Pdq([number as u8; 32]), 100)));
        assert!((MAX_MOMENTS / 2..=MAX_MOMENTS).contains(&times.len()), "{times:?}");
        assert!(times.windows(2).all(|pair| (1..8_000).contains(&(pair[1] - pair[0]))));
        assert!(times.last().is_some_and(|last| *last > 92_000), "{times:?}");
    }

    #[test]
    fn a_frame_of_little_quality_is_chosen_where_there_is_no_better_one() {
        let moving = |number: u8| Pdq([number.wrapping_mul(37); 32]);
        let murky = (0..8).map(|number| (moving(number), 49));
        assert_eq!(chosen(murky).len(), 2);
        // Of each second the third frame alone has quality, though least moves around the first two.
        let pdq = |number: u8| if number % 4 < 2 { Pdq([1; 32]) } else { moving(number) };
        let mixed = (0..8).map(|number| (pdq(number), if number % 4 == 2 { 50 } else { 49 }));
        assert_eq!(chosen(mixed), [500, 1_500]);
    }
}
