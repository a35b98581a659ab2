//! Edited copies of videos are found by moments that go along, and what two videos only share is no match.

use watchfire_index::{
    EditedVideo, KnownVideo, MatchRule, MomentIndex, VariantDecision, VariantLimits,
};
use watchfire_media::{features, pdq};
use watchfire_signal::{features::Moment, pdq::MAX_DISTANCE, vpdq::Frame};

use crate::scene::Scene;

const LIMITS: VariantLimits = VariantLimits { references: 100, descriptors: 128 };

fn scene(seed: u64) -> Scene {
    Scene::drawn(seed, 480, 360)
}

/// A second of each scene.
fn moments(scenes: &[Scene]) -> Vec<Moment> {
    let print = |scene: &Scene| features::print(scene.pixels()).unwrap();
    let times = (0..).map(|second: u32| second * 1_000 + 300);
    times.zip(scenes).map(|(at_ms, scene)| Moment { at_ms, print: print(scene) }).collect()
}

fn known(index: &MomentIndex, id: u64, scenes: &[Scene]) {
    let (moments, length_ms) = (moments(scenes), scenes.len() as u32 * 1_000);
    let rule = MatchRule::default();
    index.insert(id, KnownVideo { moments: &moments, frames: &[], length_ms, rule }).unwrap();
}

fn index_of(scenes: &[Scene]) -> MomentIndex {
    let index = MomentIndex::new([5; 32], LIMITS);
    known(&index, 1, &[7, 8, 9].map(|seed| scene(700 + seed)));
    known(&index, 2, scenes);
    index
}

fn search<'a>(
    index: &MomentIndex,
    frames: impl IntoIterator<Item = (u32, &'a Scene)>,
) -> Vec<EditedVideo> {
    search_common(index, &[], frames)
}

/// The same, where what some scenes show stands in many unrelated videos.
fn search_common<'a>(
    index: &MomentIndex,
    common: &[Scene],
    frames: impl IntoIterator<Item = (u32, &'a Scene)>,
) -> Vec<EditedVideo> {
    let mut search = index.search();
    for (at_ms, scene) in frames {
        let seen = features::seen(scene.pixels());
        search.see(&Frame { at_ms, ..hash_of(scene) }, seen.as_slice());
    }
    let common: Vec<Frame> = common.iter().map(hash_of).collect();
    search.found(|hash| common.iter().any(|frame| frame.pdq.distance(hash) <= MAX_DISTANCE))
}

fn hash_of(scene: &Scene) -> Frame {
    let hash = pdq::hash(scene.pixels()).unwrap();
    Frame { number: 0, quality: hash.quality, pdq: hash.pdq, at_ms: 0 }
}

/// Adds a video as alerts do, with hashes of its frames.
fn hashed(index: &MomentIndex, id: u64, scenes: &[Scene]) {
    let moments = moments(scenes);
    let frame = |(moment, number): (&Moment, u32)| Frame {
        number,
        at_ms: moment.at_ms + 100,
        ..hash_of(&scenes[number as usize])
    };
    let frames: Vec<Frame> = moments.iter().zip(0..).map(frame).collect();
    let (length_ms, rule) = (scenes.len() as u32 * 1_000, MatchRule::default());
    index.insert(id, KnownVideo { moments: &moments, frames: &frames, length_ms, rule }).unwrap();
}

fn five() -> Vec<Scene> {
    (10..15).map(scene).collect()
}

#[test]
fn a_cropped_part_that_was_mirrored_and_sped_up_is_found_amid_something_else() {
    let scenes = five();
    let index = index_of(&scenes);
    let crop = |scene: &Scene| scene.cropped(40, 30, 380, 290).mirrored();
    let copies: Vec<Scene> = scenes[1..].iter().map(crop).collect();
    let other = scene(99);
    let copy = copies.iter().zip(0..).map(|(copy, place)| (4_000 + place * 800, copy));
    let frames = [(0, &other), (2_000, &other)].into_iter().chain(copy);
    let found = search(&index, frames.chain([(8_000, &other)]));
    assert_eq!(found.len(), 1);
    let EditedVideo { video, decision, aligned, best, .. } = &found[0];
    assert_eq!((*video, *decision), (2, VariantDecision::Match));
    assert!(best.mirrored && best.id == 2, "{best:?}");
    assert_eq!(aligned.query_span_ms, (4_000, 6_400));
    assert_eq!(aligned.reference_span_ms, (1_300, 4_300));
    assert!((aligned.speed - 1.25).abs() < 0.02 && aligned.frames == 4, "{aligned:?}");
}

#[test]
fn at_double_speed_four_moments_are_a_match_and_three_are_for_review() {
    let scenes = five();
    let at_double = |step: usize| {
        let frames = scenes.iter().zip(0..).step_by(step);
        search(&index_of(&scenes), frames.map(|(scene, place)| (place * 500, scene)))
    };
    let found = at_double(1);
    assert_eq!((found[0].video, found[0].decision), (2, VariantDecision::Match));
    assert!((found[0].aligned.speed - 2.0).abs() < 0.05, "{:?}", found[0].aligned);
    let found = at_double(2);
    assert_eq!((found[0].video, found[0].decision), (2, VariantDecision::Review));
}

/// Three moments are a match where each is a sure frame. Under letters a frame is sure by the hash of what lies below.
#[test]
fn moments_under_letters_are_sure_by_hashes_of_the_frames_beside_them() {
    let scenes: Vec<Scene> = (20..23).map(scene).collect();
    let lettered = |scene: &Scene| scene.lettered(5, &[20, 95, 170, 245, 300], 4);
    let copies: Vec<Scene> = scenes.iter().map(lettered).collect();
    let found = |with_hashes| {
        let index = MomentIndex::new([5; 32], LIMITS);
        let add = if with_hashes { hashed } else { known };
        add(&index, 2, &scenes);
        let found = search(&index, (0..).map(|place| place * 1_000).zip(&copies));
        (found[0].decision, found[0].sure)
    };
    assert_eq!(found(true), (VariantDecision::Match, 3));
    assert_eq!(found(false).0, VariantDecision::Review);
}

/// What a thick fog leaves: luminance of large parts, but none of the corners.
fn blurred(scene: &Scene) -> Scene {
    let side = 14;
    let mut out = scene.clone();
    for y in 0..scene.height {
        for x in 0..scene.width {
            let (left, top) = (x / side * side, y / side * side);
            let (right, bottom) = ((left + side).min(scene.width), (top + side).min(scene.height));
            let rows = (top..bottom).flat_map(|y| &scene.bytes[y * scene.width..][left..right]);
            let sum: usize = rows.map(|byte| usize::from(*byte)).sum();
            out.bytes[y * scene.width + x] = (sum / ((right - left) * (bottom - top))) as u8;
        }
    }
    out
}

#[test]
fn moments_in_which_no_features_are_found_are_followed_from_one_in_which_they_are() {
    let scenes = five();
    let cut = |scene: &Scene| scene.cropped(30, 20, 400, 310);
    let clear = cut(&scenes[2]);
    let foggy: Vec<Scene> = scenes.iter().map(|scene| blurred(&cut(scene))).collect();
    let copy = |order: [usize; 5]| {
        let frames = order.map(|place| if place == 2 { &clear } else { &foggy[place] });
        search(&index_of(&scenes), (0..).map(|place| place * 1_000).zip(frames))
    };
    let found = copy([0, 1, 2, 3, 4]);
    assert_eq!((found[0].video, found[0].decision), (2, VariantDecision::Match), "{found:?}");
    assert_eq!(found[0].aligned.query_span_ms, (0, 4_000));
    let found = copy([4, 3, 2, 1, 0]);
    assert!(found.iter().all(|one| one.decision == VariantDecision::Review), "{found:?}");
}

#[test]
fn a_long_upload_is_followed_piece_by_piece() {
    let scenes = five();
    let (other, cut) = (scene(99), |scene: &Scene| scene.cropped(30, 20, 400, 310));
    let copy: Vec<Scene> = scenes.iter().map(cut).collect();
    let before = (0..130).map(|place| (place * 500, &other));
    let shown = copy.iter().zip(0..).map(|(frame, place)| (65_000 + place * 1_000, frame));
    let after = (0..200).map(|place| (70_000 + place * 500, &other));
    let found = search(&index_of(&scenes), before.chain(shown).chain(after));
    assert_eq!((found[0].video, found[0].decision), (2, VariantDecision::Match));
    assert_eq!(found[0].aligned.query_span_ms, (65_000, 69_000));
}

#[test]
fn a_still_scene_of_which_all_that_moves_was_cut_away_is_found() {
    let (room, fan) = (scene(3), [scene(60), scene(61)].map(|fan| fan.cropped(0, 0, 60, 60)));
    let moving: Vec<Scene> =
        (0..6).map(|second| room.with(&fan[usize::from(second == 3)], 400, 20)).collect();
    let cut = room.cropped(0, 90, 390, 270);
    let frames = (0..12).map(|place| (place * 500, &cut));
    let found = search(&index_of(&moving), frames);
    assert_eq!((found[0].video, found[0].decision), (2, VariantDecision::Match), "{found:?}");
}

#[test]
fn one_frame_however_long_it_stands_and_a_cut_between_two_are_for_review() {
    let scenes = five();
    let index = index_of(&scenes);
    let still = (0..10).map(|place| (place * 500, &scenes[2]));
    let found = search(&index, still);
    assert_eq!((found.len(), found[0].video), (1, 2));
    assert_eq!((found[0].decision, found[0].aligned.frames), (VariantDecision::Review, 1));
    let cut = (0..10).map(|place| (place * 500, &scenes[2 + place as usize / 5]));
    let found = search(&index, cut);
    assert_eq!(found[0].decision, VariantDecision::Review);
    assert!(found[0].aligned.frames <= 2);
}

#[test]
fn different_videos_under_the_same_badge_are_no_match() {
    let badge = scene(5).cropped(0, 0, 250, 140);
    let badged = |seeds: std::ops::Range<u64>| -> Vec<Scene> {
        seeds.map(|seed| scene(seed).with(&badge, 20, 200)).collect()
    };
    let index = index_of(&badged(20..25));
    // Scenes whose seeds lie near each other share shapes.
    let other = badged(1_020..1_025);
    let found = search(&index, other.iter().zip(0..).map(|(frame, at)| (at * 1_000, frame)));
    assert!(found.iter().all(|one| one.decision == VariantDecision::Review), "{found:?}");
}

#[test]
fn a_scene_that_stands_still_is_found_as_a_whole_and_a_card_in_a_video_is_not() {
    let card = scene(3);
    let index = index_of(&vec![card.clone(); 5]);
    let cut = card.cropped(20, 15, 430, 330);
    let frames = || (0..10).map(|place| (place * 500, &cut));
    let found = search(&index, frames());
    assert_eq!((found[0].video, found[0].decision), (2, VariantDecision::Match), "{found:?}");
    let mut scenes = five();
    scenes.splice(1..1, vec![card.clone(); 3]);
    let found = search(&index_of(&scenes), frames());
    assert_eq!((found[0].video, found[0].decision), (2, VariantDecision::Review), "{found:?}");
}

/// The scenes of a video, one a second, of which the query shows some.
fn shown<'a>(scenes: &'a [Scene], which: &[usize]) -> Vec<(u32, &'a Scene)> {
    which.iter().map(|place| (*place as u32 * 1_000, &scenes[*place])).collect()
}

#[test]
fn a_card_that_many_unrelated_videos_have_is_nothing_and_one_that_they_do_not_have_is_for_review() {
    let scenes = five();
    let (index, still) = (index_of(&scenes), (0..10).map(|place| (place * 500, &scenes[2])));
    assert_eq!(search_common(&index, &scenes[2..3], still.clone()), []);
    assert_eq!(search_common(&index, &scenes[3..4], still)[0].decision, VariantDecision::Review);
    // A frame that no others have is looked at, with the card or without.
    let both = search_common(&index, &scenes[2..3], shown(&scenes, &[2, 3]));
    assert_eq!((both[0].video, both[0].decision), (2, VariantDecision::Review), "{both:?}");
    // Also where it is not where the card would have it.
    let apart = [(0, &scenes[2]), (500, &scenes[2]), (20_000, &scenes[0])];
    let apart = search_common(&index, &scenes[2..3], apart);
    assert_eq!((apart[0].video, apart[0].decision), (2, VariantDecision::Review), "{apart:?}");
}

#[test]
fn three_moments_that_many_have_are_for_review_unless_three_are_its_own_or_they_are_most_of_it() {
    let scenes: Vec<Scene> = (10..18).map(scene).collect();
    let index = index_of(&scenes);
    let found = |common: &[Scene], which: &[usize]| {
        let found = search_common(&index, common, shown(&scenes, which));
        assert_eq!((found.len(), found[0].video), (1, 2), "{found:?}");
        found[0].decision
    };
    assert_eq!(found(&[], &[0, 1, 2]), VariantDecision::Match);
    assert_eq!(found(&scenes[..3], &[0, 1, 2]), VariantDecision::Review);
    assert_eq!(found(&scenes[..1], &[0, 1, 2, 3]), VariantDecision::Match);
    // Who has spread a film over others, a moment here and a moment there, has not hidden it.
    assert_eq!(found(&scenes, &[0, 1, 2, 3]), VariantDecision::Review);
    assert_eq!(found(&scenes, &[0, 1, 2, 3, 4, 5]), VariantDecision::Match);
}

#[test]
fn what_was_removed_or_stored_anew_is_not_found_as_it_was() {
    let scenes = five();
    let index = index_of(&scenes);
    let frames = || scenes.iter().zip(0..).map(|(scene, place)| (place * 1_000, scene));
    assert_eq!(search(&index, frames()).len(), 1);
    known(&index, 2, &(930..935).map(scene).collect::<Vec<_>>());
    let found = search(&index, frames());
    assert!(found.is_empty(), "{found:?}");
    known(&index, 3, &scenes);
    assert_eq!(search(&index, frames())[0].video, 3);
    assert!(index.remove(3) && !index.remove(3));
    assert!(search(&index, frames()).is_empty());
    assert_eq!(index.len(), 2);
}

#[test]
fn of_a_video_that_does_not_fit_nothing_is_stored() {
    let index = MomentIndex::new([5; 32], VariantLimits { references: 4, descriptors: 128 });
    let scenes = five();
    let (moments, rule) = (moments(&scenes), MatchRule::default());
    let five = KnownVideo { moments: &moments, frames: &[], length_ms: 5_000, rule };
    assert!(index.insert(1, five).is_err() && index.is_empty());
    let three = KnownVideo { moments: &moments[..3], frames: &[], length_ms: 3_000, rule };
    index.insert(1, three).unwrap();
    assert_eq!(index.len(), 1);
}
