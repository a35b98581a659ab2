//! Splices, speed changes, noise and still pictures: which videos match and where.

use proptest::prelude::*;
use watchfire_index::{CROWD_VIDEOS, FrameIndex, MatchRule, Source, align};
use watchfire_signal::{features::Area, pdq::Pdq, vpdq::Frame};

use crate::data::Random;

/// A made-up film of 30 frames a second: shots of 0.6 to 3 seconds in which the picture slowly changes.
pub(crate) fn film(length_ms: u32, random: &mut Random) -> Vec<Frame> {
    let (mut hash, mut shot_ends) = (random.hash(), 0);
    let count = u64::from(length_ms) * 30 / 1000;
    (0..count)
        .map(|number| {
            let at_ms = (number * 1000 / 30) as u32;
            if at_ms >= shot_ends {
                hash = random.hash();
                shot_ends = at_ms + 600 + random.below(2_400) as u32;
            }
            hash = random.near(&hash, 1);
            Frame { number: number as u32, quality: 100, pdq: hash, at_ms }
        })
        .collect()
}

/// What a member sees of a film: frames every `step_ms`, starting at `from_ms`, played at a speed, each
/// hash with up to `noise` bits changed, for `length_ms` of its own time.
pub(crate) fn copy(
    film: &[Frame],
    (from_ms, length_ms, step_ms): (u32, u32, u32),
    speed: f64,
    noise: u32,
    random: &mut Random,
) -> Vec<Frame> {
    (0..length_ms / step_ms)
        .map(|number| {
            let at_ms = number * step_ms;
            let of_ms = f64::from(from_ms) + f64::from(at_ms) * speed;
            let frame = film[((of_ms * 30.0 / 1000.0) as usize).min(film.len() - 1)];
            let bits = random.below(u64::from(noise) + 1) as u32;
            Frame { number, at_ms, pdq: random.near(&frame.pdq, bits), ..frame }
        })
        .collect()
}

pub(crate) fn shifted(frames: &[Frame], by_ms: u32) -> Vec<Frame> {
    frames.iter().map(|frame| Frame { at_ms: frame.at_ms + by_ms, ..*frame }).collect()
}

/// A film of something else with a copy put into it.
pub(crate) fn splice(
    copy: &[Frame],
    at_ms: u32,
    length_ms: u32,
    random: &mut Random,
) -> Vec<Frame> {
    let other = film(length_ms, random);
    let end_ms = at_ms + copy.last().map_or(0, |frame| frame.at_ms);
    let mut all: Vec<Frame> = other
        .into_iter()
        .step_by(15)
        .filter(|frame| frame.at_ms < at_ms || frame.at_ms > end_ms)
        .collect();
    all.extend(shifted(copy, at_ms));
    all.sort_by_key(|frame| frame.at_ms);
    all
}

pub(crate) fn rule(min_matched_ms: u32) -> MatchRule {
    MatchRule { min_matched_ms, ..MatchRule::default() }
}

#[test]
fn five_seconds_in_a_minute_of_something_else_are_found_with_their_place() {
    let mut random = Random(1);
    let film = film(20_000, &mut random);
    let index = FrameIndex::new([1; 32]);
    index.insert(9, &film, rule(3_000));
    for _ in 0..20 {
        index.insert(random.next(), &self::film(10_000, &mut random), rule(1_000));
    }
    let part = copy(&film, (7_000, 5_000, 500), 1.0, 20, &mut random);
    let found = index.search(&splice(&part, 30_000, 60_000, &mut random));
    assert_eq!(found.videos.len(), 1);
    let found = found.videos[0];
    assert_eq!(found.video, 9);
    let aligned = found.aligned;
    assert!(aligned.query_span_ms.0.abs_diff(30_000) <= 500, "{aligned:?}");
    assert!(aligned.query_span_ms.1.abs_diff(34_500) <= 500, "{aligned:?}");
    assert!(aligned.reference_span_ms.0.abs_diff(7_000) <= 1_000, "{aligned:?}");
    assert!(aligned.reference_span_ms.1.abs_diff(11_500) <= 1_000, "{aligned:?}");
    assert!((0.9..1.1).contains(&aligned.speed), "{aligned:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_splice_is_found_at_any_speed_offset_and_noise_from_either_side(
        seed: u64, speed in 0.8f64..1.25, from_ms in 0u32..12_000, at_ms in 0u32..50_000, drop in 0u64..4,
    ) {
        let mut random = Random(seed);
        let film = film(20_000, &mut random);
        let mut part = copy(&film, (from_ms, 6_000, 500), speed, 20, &mut random);
        for _ in 0..drop {
            let place = random.below(part.len() as u64 - 2) as usize + 1;
            part.remove(place);
        }
        let query = splice(&part, at_ms, 60_000, &mut random);
        let rule = MatchRule { min_matched_ms: 2_500, ..MatchRule::default() };
        let forward = align(&query, &film, &rule);
        let back = align(&film, &query, &rule);
        prop_assert!(forward.is_some() && back.is_some());
        let (forward, back) = (forward.unwrap(), back.unwrap());
        prop_assert_eq!(forward.query_span_ms, back.reference_span_ms);
        prop_assert_eq!(forward.frames, back.frames);
        prop_assert!((forward.speed - speed).abs() < 0.25, "{} {}", forward.speed, speed);
        let index = FrameIndex::new([2; 32]);
        index.insert(1, &film, rule);
        prop_assert_eq!(index.search(&query).videos.len(), 1);
        let seen = FrameIndex::new([3; 32]);
        seen.insert(2, &query, MatchRule::default());
        prop_assert_eq!(seen.search_with(&film, &rule).videos.len(), 1);
    }

    #[test]
    fn sparse_frames_of_both_videos_align_whatever_their_phase(seed: u64, phase in 0u32..500) {
        let mut random = Random(seed);
        let film = film(20_000, &mut random);
        let reference = copy(&film, (0, 19_000, 500), 1.0, 4, &mut random);
        let query = copy(&film, (4_000 + phase, 10_000, 500), 1.0, 4, &mut random);
        prop_assert!(align(&query, &reference, &rule(3_000)).is_some());
    }

    #[test]
    fn films_that_share_nothing_do_not_match(seed: u64) {
        let mut random = Random(seed);
        let (one, other) = (film(30_000, &mut random), film(30_000, &mut random));
        prop_assert_eq!(align(&one, &other, &rule(0)), None);
    }
}

#[test]
fn a_long_copy_at_an_odd_speed_is_followed_to_its_end() {
    let mut random = Random(4);
    let film = film(300_000, &mut random);
    for speed in [0.813, 0.9641, 1.0, 1.0377, 1.2123] {
        let length = (290_000.0 / speed) as u32;
        let query = copy(&film, (3_000, length, 500), speed, 12, &mut random);
        let aligned = align(&query, &film, &rule(10_000)).unwrap();
        let matched = aligned.query_span_ms.1 - aligned.query_span_ms.0;
        assert!(matched > length - 5_000, "{matched} of {length} at {speed}: {aligned:?}");
        assert!((aligned.speed - speed).abs() < 0.002, "{} {speed}", aligned.speed);
    }
}

#[test]
fn a_copy_at_any_speed_up_to_double_is_followed_and_said_to_be_unusual() {
    let mut random = Random(5);
    let film = film(60_000, &mut random);
    for speed in [0.5, 0.65, 0.75, 1.3, 1.6, 2.0] {
        let length = (59_000.0 / speed) as u32;
        let query = copy(&film, (0, length, 500), speed, 10, &mut random);
        for (one, other, turned) in [(&query, &film, false), (&film, &query, true)] {
            let found = align(one, other, &rule(20_000)).unwrap();
            assert!(!found.is_at_usual_speed(), "{found:?}");
            let expected = if turned { 1.0 / speed } else { speed };
            assert!((found.speed / expected - 1.0).abs() < 0.01, "{expected}: {found:?}");
            // What is said of the two spans goes with what is said of the speed.
            let span = |(first, last): (u32, u32)| f64::from(last - first);
            let ratio = span(found.reference_span_ms) / span(found.query_span_ms);
            assert!((ratio / expected - 1.0).abs() < 0.02, "{expected}: {found:?}");
            assert!(span(found.query_span_ms).max(span(found.reference_span_ms)) > 55_000.0);
        }
    }
    // Beyond that it is another video.
    let query = copy(&film, (0, 20_000, 500), 2.9, 10, &mut random);
    assert_eq!(align(&query, &film, &rule(20_000)), None);
}

#[test]
fn three_frames_at_an_unusual_speed_are_no_evidence() {
    let mut random = Random(21);
    // Another picture every half second.
    let still = |number| Frame { number, quality: 100, pdq: random.hash(), at_ms: number * 500 };
    let reference: Vec<Frame> = (0..40).map(still).collect();
    let double = |frames: u32| -> Vec<Frame> {
        let shown = |n: u32| Frame { number: n, at_ms: n * 1_000, ..reference[8 + 4 * n as usize] };
        (0..frames).map(shown).collect()
    };
    assert_eq!(align(&double(3), &reference, &rule(0)), None);
    let found = align(&double(4), &reference, &rule(0)).unwrap();
    assert!((found.speed - 2.0).abs() < 0.01 && !found.is_at_usual_speed(), "{found:?}");
}

#[test]
fn a_picture_that_stands_still_is_one_frame_however_long() {
    let mut random = Random(6);
    let still = random.hash();
    let held = |random: &mut Random, step: usize| -> Vec<Frame> {
        (0..10_000u32)
            .step_by(step)
            .map(|at_ms| Frame {
                number: at_ms,
                quality: 100,
                pdq: random.near(&still, at_ms % 8),
                at_ms,
            })
            .collect()
    };
    let (dense, sparse) = (held(&mut random, 33), held(&mut random, 500));
    assert_eq!(align(&sparse, &dense, &rule(0)), None);
    assert_eq!(align(&dense, &sparse, &rule(0)), None);
    assert_eq!(align(&dense, &dense, &rule(0)), None);
}

/// Slides of one second each, in the given order.
pub(crate) fn slides(pictures: &[Pdq], order: &[usize]) -> Vec<Frame> {
    (0..order.len() as u32 * 2)
        .map(|number| {
            let pdq = pictures[order[number as usize / 2]];
            Frame { number, quality: 100, pdq, at_ms: number * 500 }
        })
        .collect()
}

#[test]
fn order_counts_and_two_pictures_are_not_enough() {
    let mut random = Random(7);
    let pictures: Vec<Pdq> = (0..6).map(|_| random.hash()).collect();
    let reference = slides(&pictures, &[0, 1, 2, 3, 4, 5]);
    assert!(align(&slides(&pictures, &[1, 2, 3]), &reference, &rule(1_000)).is_some());
    assert_eq!(align(&slides(&pictures, &[3, 2, 1]), &reference, &rule(1_000)), None);
    assert_eq!(align(&slides(&pictures, &[1, 2]), &reference, &rule(0)), None);
    assert_eq!(align(&slides(&pictures, &[1, 2, 1, 2, 1, 2]), &reference, &rule(0)), None);
}

#[test]
fn the_matched_time_is_absolute_and_gaps_end_a_stretch() {
    let mut random = Random(8);
    let film = film(30_000, &mut random);
    let short = copy(&film, (2_000, 3_000, 500), 1.0, 5, &mut random);
    assert!(align(&short, &film, &rule(2_000)).is_some());
    assert_eq!(align(&short, &film, &rule(4_000)), None);
    let mut gap = copy(&film, (0, 20_000, 500), 1.0, 5, &mut random);
    gap.retain(|frame| !(4_000..12_000).contains(&frame.at_ms));
    let strict = MatchRule { min_matched_ms: 9_000, max_gap_ms: 5_000, ..MatchRule::default() };
    assert_eq!(align(&gap, &film, &strict), None);
    assert!(align(&gap, &film, &MatchRule { max_gap_ms: 9_000, ..strict }).is_some());
}

#[test]
fn a_rule_cannot_ask_for_more_than_thirty_one_bits_and_can_ask_for_fewer() {
    let mut random = Random(9);
    let film = film(20_000, &mut random);
    let far: Vec<Frame> = film
        .iter()
        .step_by(15)
        .map(|frame| Frame { pdq: random.near(&frame.pdq, 45), ..*frame })
        .collect();
    assert_eq!(align(&far, &film, &MatchRule { max_distance: 256, ..rule(1_000) }), None);
    let near: Vec<Frame> = film
        .iter()
        .step_by(15)
        .map(|frame| Frame { pdq: random.near(&frame.pdq, 28), ..*frame })
        .collect();
    assert!(align(&near, &film, &rule(1_000)).is_some());
    assert_eq!(align(&near, &film, &MatchRule { max_distance: 10, ..rule(1_000) }), None);
}

#[test]
fn two_videos_inside_of_one_broad_frame_do_not_match() {
    let mut random = Random(12);
    // What the frame leaves of the pictures inside of it: their 40 bits of 256.
    let frame = random.hash();
    let framed = |random: &mut Random| -> Vec<Frame> {
        let inside = |at_ms: u32, random: &mut Random| {
            let mut pdq = frame;
            (0..5).for_each(|byte| pdq.0[byte] = random.hash().0[byte]);
            Frame { number: at_ms, quality: 100, pdq, at_ms }
        };
        (0..20).map(|second| inside(second * 1_000, random)).collect()
    };
    for _ in 0..10 {
        let (one, other) = (framed(&mut random), framed(&mut random));
        assert_eq!(align(&one, &other, &rule(1_000)), None);
    }
}

#[test]
fn a_copy_with_so_little_contrast_that_its_quality_is_low_is_found() {
    let mut random = Random(13);
    let film = film(20_000, &mut random);
    let pale: Vec<Frame> =
        film.iter().step_by(15).map(|frame| Frame { quality: 12, ..*frame }).collect();
    let index = FrameIndex::new([5; 32]);
    index.insert(1, &film, rule(1_000));
    assert_eq!(index.search(&pale).videos.len(), 1);
    let stored_pale = FrameIndex::new([5; 32]);
    stored_pale.insert(1, &pale, rule(1_000));
    assert!(stored_pale.search(&film).videos.is_empty());
}

/// The frames as parts of others, at one place.
fn at(place: (f32, f32), frames: &[Frame]) -> Vec<(Frame, Area)> {
    let area = Area { left: place.0, top: place.1, width: 0.5, height: 0.5 };
    frames.iter().map(|frame| (*frame, area)).collect()
}

fn in_order(parts: impl IntoIterator<Item = Vec<(Frame, Area)>>) -> Vec<(Frame, Area)> {
    let mut parts = parts.into_iter().flatten().collect::<Vec<_>>();
    parts.sort_by_key(|part| part.0.at_ms);
    parts
}

#[test]
fn videos_in_two_parts_of_a_screen_are_found_each_at_its_place() {
    let mut random = Random(14);
    let films = [film(20_000, &mut random), film(20_000, &mut random)];
    let index = FrameIndex::new([5; 32]);
    films.iter().zip(1..).for_each(|(film, id)| index.insert(id, film, rule(1_000)));
    let shown =
        |film, speed, random: &mut Random| copy(film, (3_000, 9_000, 500), speed, 8, random);
    let left = at((0.0, 0.251), &shown(&films[0], 1.0, &mut random));
    let right = at((0.5, 0.25), &shown(&films[1], 1.2, &mut random));
    let other = at((0.25, 0.0), &film(9_000, &mut random));
    let found = index.search_parts(&in_order([left, other, right]), |_| None);
    let mut speeds: Vec<(u64, f64)> =
        found.iter().map(|(found, _)| (found.video, found.aligned.speed)).collect();
    speeds.sort_by_key(|found| found.0);
    let lefts = found.iter().map(|(found, area)| (found.video, area.left));
    assert_eq!(lefts.collect::<std::collections::BTreeMap<_, _>>(), [(1, 0.0), (2, 0.5)].into());
    assert_eq!(speeds.len(), 2);
    assert!((speeds[0].1 - 1.0).abs() < 0.03 && (speeds[1].1 - 1.2).abs() < 0.03, "{speeds:?}");
}

#[test]
fn one_frame_at_each_of_many_places_is_no_video() {
    let mut random = Random(15);
    let film = film(20_000, &mut random);
    let index = FrameIndex::new([5; 32]);
    index.insert(1, &film, rule(1_000));
    let copy = copy(&film, (3_000, 9_000, 500), 1.0, 8, &mut random);
    let moves = copy.iter().zip(0u8..);
    let parts = moves.flat_map(|(frame, step)| at((f32::from(step) * 0.025, 0.0), &[*frame]));
    assert!(index.search_parts(&parts.collect::<Vec<_>>(), |_| None).is_empty());
}

#[test]
fn frames_of_low_quality_do_not_count() {
    let mut random = Random(10);
    let film: Vec<Frame> =
        film(20_000, &mut random).into_iter().map(|frame| Frame { quality: 49, ..frame }).collect();
    assert_eq!(align(&film, &film, &rule(0)), None);
    let index = FrameIndex::new([5; 32]);
    index.insert(1, &film, rule(0));
    assert!(index.search(&film).videos.is_empty());
    assert_eq!(index.len(), 1);
}

#[test]
fn a_clip_stored_a_thousand_times_by_one_hides_neither_itself_nor_that_of_another() {
    let mut random = Random(11);
    let intro: Vec<Frame> = film(5_000, &mut random).into_iter().step_by(15).collect();
    let index = FrameIndex::new([6; 32]);
    let count = CROWD_VIDEOS as u64 + 5;
    let flooding = Source { author: 7, alone: true };
    let (flood, confirmed) = (|video| (video < 10_000).then_some(flooding), 10_000);
    for video in 1..=count {
        index.insert(video, &splice(&intro, 0, 8_000, &mut random), rule(1_000));
    }
    index.insert(confirmed, &splice(&intro, 0, 8_000, &mut random), rule(1_000));
    let query = splice(&intro, 2_000, 9_000, &mut random);
    let mut found: Vec<u64> =
        index.search_crowds(&query, flood).videos.iter().map(|found| found.video).collect();
    found.sort_unstable();
    let expected: Vec<u64> = (1..=CROWD_VIDEOS as u64).chain([confirmed]).collect();
    assert_eq!(found, expected);
    // Two crowds of half the size are none.
    let halves = |video| Some(Source { author: video % 2, alone: true });
    assert_eq!(index.search_crowds(&query, halves).videos.len(), count as usize + 1);
    assert_eq!(index.search(&query).videos.len(), count as usize + 1);
    assert_eq!(index.search_with(&intro, &rule(1_000)).videos.len(), count as usize + 1);
    // What only the last of the crowd shows still points to it.
    let own = splice(&intro, 0, 8_000, &mut random);
    index.insert(count, &own, rule(1_000));
    let found = index.search_crowds(&own, flood).videos;
    let shown = in_order([at((0.0, 0.0), &own)]);
    assert_eq!(index.search_parts(&shown, flood).len(), found.len(), "in a part as well");
    let shown = in_order([at((0.0, 0.0), &query)]);
    let bounded = index.search_parts(&shown, flood).len();
    assert_eq!(bounded, index.search_crowds(&query, flood).videos.len());
    assert!(found.iter().any(|found| found.video == count));
}

#[test]
fn a_video_that_was_removed_or_replaced_is_not_found() {
    let mut random = Random(12);
    let (one, other) = (film(10_000, &mut random), film(10_000, &mut random));
    let index = FrameIndex::new([7; 32]);
    index.insert(1, &one, rule(1_000));
    index.insert(1, &other, rule(1_000));
    assert!(index.search(&one).videos.is_empty());
    assert_eq!(index.search(&other).videos[0].video, 1);
    assert!(index.remove(1));
    assert!(!index.remove(1));
    assert!(index.search(&other).videos.is_empty());
    index.insert(2, &one, rule(1_000));
    assert_eq!(index.search(&one).videos[0].video, 2);
    assert_eq!(index.len(), 1);
}

#[test]
fn repeated_hashes_of_a_still_picture_are_searched_at_all_their_times() {
    let mut random = Random(13);
    let pictures: Vec<Pdq> = (0..4).map(|_| random.hash()).collect();
    let index = FrameIndex::new([8; 32]);
    index.insert(1, &slides(&pictures, &[0, 0, 0, 1, 2, 0, 0, 3]), rule(2_000));
    let found = index.search(&slides(&pictures, &[2, 0, 0, 3])).videos;
    assert_eq!(found[0].aligned.reference_span_ms, (4_000, 7_500));
    assert_eq!(found[0].aligned.query_span_ms, (0, 3_500));
}
