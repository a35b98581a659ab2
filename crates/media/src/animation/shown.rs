//! Chooses among the frames of an animated picture by how long they are shown.

use std::collections::BTreeSet;

use watchfire_signal::pdq::Pdq;
use watchfire_signal::vpdq::Frame;

use crate::video::FrameRate;

/// What is kept of a frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    pub(super) at_ms: u32,
    /// When the next one comes.
    pub(super) until_ms: u32,
    pub(super) pdq: Pdq,
    pub(super) quality: u8,
}

impl Shown {
    fn frame(&self, number: usize) -> Frame {
        let Self { at_ms, pdq, quality, .. } = *self;
        Frame { number: u32::try_from(number).unwrap_or(u32::MAX), quality, pdq, at_ms }
    }
}

/// The different pictures beside `first` that say enough to be looked up; of more than `most` those that
/// [`longest_of_each`] of as many parts has, so that no crowd of short ones hides one that is seen for long.
pub(super) fn pictures(shown: &[Shown], first: Pdq, most: usize) -> Vec<(Pdq, u8)> {
    let telling = |one: &&Shown| one.pdq != first && one.frame(0).counts();
    let telling: Vec<Shown> = shown.iter().filter(telling).copied().collect();
    let all = different(telling.iter());
    if all.len() <= most {
        return all;
    }
    let chosen = longest_of_each(&telling, part_ms(&telling, most));
    different(chosen.into_iter().filter_map(|place| telling.get(place)))
}

fn different<'a>(shown: impl Iterator<Item = &'a Shown>) -> Vec<(Pdq, u8)> {
    let mut met = BTreeSet::new();
    shown.filter(|one| met.insert(one.pdq)).map(|one| (one.pdq, one.quality)).collect()
}

/// The frames in time that a rate asks for.
pub(super) fn in_time(shown: &[Shown], rate: FrameRate) -> Vec<Frame> {
    let part_ms = match rate {
        FrameRate::Every => None,
        FrameRate::PerSecond(frames) => Some(1_000 / frames.get()),
        FrameRate::Reference { at_most, .. } => {
            let most = usize::try_from(at_most.get()).unwrap_or(usize::MAX);
            (shown.len() > most).then(|| part_ms(shown, most))
        }
    };
    let chosen = part_ms
        .map_or_else(|| (0..shown.len()).collect(), |part_ms| longest_of_each(shown, part_ms));
    chosen.into_iter().filter_map(|place| Some(shown.get(place)?.frame(place))).collect()
}

/// How long each of `parts` equal parts of the round is, at least.
fn part_ms(shown: &[Shown], parts: usize) -> u32 {
    let until_ms = shown.last().map_or(0, |last| last.until_ms);
    until_ms / u32::try_from(parts).unwrap_or(u32::MAX).max(1) + 1
}

/// Of each part of so many milliseconds the frame that is shown longest in it, the first of several; places ascend. A
/// frame that fills a part is among them, whatever is shown between.
fn longest_of_each(shown: &[Shown], part_ms: u32) -> Vec<usize> {
    let part_ms = part_ms.max(1);
    let mut longest = Longest::default();
    for (place, one) in shown.iter().enumerate() {
        let (first, last) = (one.at_ms / part_ms, one.until_ms.saturating_sub(1) / part_ms);
        let begin = |part: u32| part.saturating_mul(part_ms);
        let end = one.until_ms.min(begin(first.saturating_add(1)));
        longest.meet(place, first, end.saturating_sub(one.at_ms));
        // Parts between are filled by it, and there may be millions.
        if last > first.saturating_add(1) {
            longest.meet(place, first + 1, part_ms);
        }
        if last > first {
            longest.meet(place, last, one.until_ms - begin(last));
        }
    }
    longest.end()
}

/// The longest frame of the part that is gone through, and those of the parts before.
#[derive(Default)]
struct Longest {
    chosen: Vec<usize>,
    /// Part, milliseconds in it, place.
    now: Option<(u32, u32, usize)>,
}

impl Longest {
    fn meet(&mut self, place: usize, part: u32, ms: u32) {
        match self.now {
            Some((now, longest, _)) if now == part && longest >= ms => {}
            Some((now, ..)) if now == part => self.now = Some((part, ms, place)),
            _ => {
                self.take();
                self.now = Some((part, ms, place));
            }
        }
    }

    fn take(&mut self) {
        let place = self.now.take().map(|(_, _, place)| place);
        self.chosen.extend(place.filter(|place| self.chosen.last() != Some(place)));
    }

    fn end(mut self) -> Vec<usize> {
        self.take();
        self.chosen
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;

    /// A hash of half its bits, another one for each number.
    fn pdq(number: u32) -> Pdq {
        let bytes = number.to_be_bytes();
        Pdq(std::array::from_fn(|place| {
            let byte = bytes[place / 2 % 4];
            if place % 2 == 0 { byte } else { !byte }
        }))
    }

    /// Frames that are shown for so many milliseconds, each with another hash.
    fn round(times: impl IntoIterator<Item = u32>) -> Vec<Shown> {
        let mut at_ms: u32 = 0;
        let shown = |(number, ms)| {
            let begin = at_ms;
            at_ms = at_ms.saturating_add(ms);
            Shown { at_ms: begin, until_ms: at_ms, pdq: pdq(number), quality: 100 }
        };
        (1..).zip(times).map(shown).collect()
    }

    fn a_second(frames: u32) -> FrameRate {
        FrameRate::PerSecond(NonZeroU32::new(frames).unwrap())
    }

    #[test]
    fn a_frame_that_is_shown_for_long_is_chosen_wherever_it_begins() {
        // The first half second begins with another one, and nothing begins in those after.
        let shown = round([100, 5_000, 20, 20, 20, 900]);
        let chosen = in_time(&shown, a_second(2));
        assert_eq!(chosen.iter().map(|frame| frame.number).collect::<Vec<_>>(), [1, 5]);
        assert_eq!(chosen.iter().map(|frame| frame.at_ms).collect::<Vec<_>>(), [100, 5_160]);
    }

    #[test]
    fn even_frames_are_chosen_evenly() {
        let shown = round([100; 40]);
        let chosen = in_time(&shown, a_second(2));
        let times: Vec<_> = chosen.iter().map(|frame| frame.at_ms).collect();
        assert_eq!(times, [0, 500, 1_000, 1_500, 2_000, 2_500, 3_000, 3_500]);
        assert_eq!(in_time(&shown, FrameRate::Every).len(), 40);
        let at_most = NonZeroU32::new(10).unwrap();
        let reference = FrameRate::Reference { part: None, at_most };
        assert_eq!(in_time(&shown, reference).len(), 10);
        assert_eq!(in_time(&shown[..10], reference).len(), 10);
    }

    #[test]
    fn thousands_of_short_pictures_do_not_hide_one_that_is_seen() {
        let times = (0..5_000).map(|number| if number == 2_345 { 3_000 } else { 11 });
        let shown = round(times);
        let chosen = pictures(&shown, pdq(0), 60);
        assert!(chosen.len() <= 60 && chosen.contains(&(shown[2_345].pdq, 100)));
        let few = pictures(&shown[..61], shown[0].pdq, 60);
        assert_eq!(few.len(), 60, "each that differs from the first");
        assert!(few.iter().all(|(pdq, _)| *pdq != shown[0].pdq));
    }

    #[test]
    fn pictures_that_say_too_little_or_come_again_do_not_count() {
        let mut shown = round([100; 6]);
        shown[1].quality = 49;
        shown[2].pdq = Pdq([0; 32]);
        shown[4].pdq = shown[3].pdq;
        let found = pictures(&shown, shown[0].pdq, 60);
        assert_eq!(found, [(shown[3].pdq, 100), (shown[5].pdq, 100)]);
    }

    proptest! {
        #[test]
        fn what_fills_a_part_is_chosen_and_places_ascend(
            times in prop::collection::vec(prop_oneof![11_u32..300, Just(u32::MAX / 3)], 1..80),
            part_ms in 1_u32..2_000,
        ) {
            let shown = round(times);
            let chosen = longest_of_each(&shown, part_ms);
            prop_assert!(!chosen.is_empty() && chosen.windows(2).all(|pair| pair[0] < pair[1]));
            for (place, one) in shown.iter().enumerate() {
                let fills = one.until_ms - one.at_ms >= part_ms.saturating_mul(2);
                prop_assert!(!fills || chosen.contains(&place), "{}", place);
            }
        }
    }
}
