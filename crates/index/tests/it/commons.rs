//! What stands in many unrelated videos makes no match, and nobody hides a film by making its frames common.

use proptest::prelude::*;
use watchfire_index::{COMMON_CLUSTERS, FoundVideos, FrameIndex, Source};
use watchfire_signal::vpdq::Frame;

use crate::{
    data::Random,
    videos::{copy, film, rule, shifted, splice},
};

/// Two frames a second of a made-up film.
fn seconds(length_ms: u32, random: &mut Random) -> Vec<Frame> {
    film(length_ms, random).into_iter().step_by(15).collect()
}

/// One after the other.
fn joined(parts: &[&[Frame]]) -> Vec<Frame> {
    let (mut all, mut end_ms) = (Vec::new(), 0);
    for part in parts {
        all.extend(shifted(part, end_ms));
        end_ms = all.last().map_or(0, |frame| frame.at_ms + 500);
    }
    all
}

fn index_of(videos: &[Vec<Frame>]) -> FrameIndex {
    let index = FrameIndex::new([9; 32]);
    videos.iter().zip(1..).for_each(|(video, id)| index.insert(id, video, rule(1_000)));
    index
}

/// Each video with whether it is sure, in order of id.
fn sure(found: &FoundVideos) -> Vec<(u64, bool)> {
    let mut sure: Vec<_> = found.videos.iter().map(|found| (found.video, found.sure)).collect();
    sure.sort_unstable();
    sure
}

fn by(author: u64) -> Option<Source> {
    Some(Source { author, alone: false })
}

/// Films that begin with the same ident, the ident, and what each shows after it.
fn broadcast(count: usize, random: &mut Random) -> (Vec<Vec<Frame>>, Vec<Frame>, Vec<Vec<Frame>>) {
    let ident = seconds(4_000, random);
    let own: Vec<Vec<Frame>> = (0..count).map(|_| seconds(20_000, random)).collect();
    (own.iter().map(|film| joined(&[&ident, film])).collect(), ident, own)
}

#[test]
fn an_ident_that_ten_unrelated_films_have_makes_no_match_of_an_eleventh() {
    let mut random = Random(31);
    let (films, ident, own) = broadcast(10, &mut random);
    let index = index_of(&films);
    let eleventh = joined(&[&ident, &seconds(20_000, &mut random)]);
    let found = index.search(&eleventh);
    assert_eq!(sure(&found), (1..=10).map(|id| (id, false)).collect::<Vec<_>>());
    // A copy of one of them is that one, with the ident or without, also where the ident is elsewhere.
    for copied in [films[3].clone(), own[3].clone(), joined(&[&own[3][..20], &ident])] {
        let found = index.search(&copied);
        assert_eq!((found.videos[0].video, found.videos[0].sure), (4, true));
        assert!(found.videos[1..].iter().all(|other| !other.sure), "{found:?}");
    }
    // As a part of a screen as well.
    let area = watchfire_signal::features::Area { left: 0.1, top: 0.1, width: 0.5, height: 0.5 };
    let parts: Vec<_> = eleventh.iter().map(|frame| (*frame, area)).collect();
    assert!(index.search_parts(&parts, |_| None).iter().all(|(found, _)| !found.sure));
    // Where an alert is looked up among uploads, what many have spliced into theirs is what is looked for.
    let found = index.search_with(&ident, &rule(1_000));
    assert_eq!(sure(&found), (1..=10).map(|id| (id, true)).collect::<Vec<_>>());
}

/// Another picture every half second.
fn stills(count: u32, random: &mut Random) -> Vec<Frame> {
    (0..count)
        .map(|number| Frame { number, quality: 100, pdq: random.hash(), at_ms: number * 500 })
        .collect()
}

#[test]
fn three_frames_of_its_own_beside_an_ident_or_elsewhere_are_a_match() {
    let mut random = Random(35);
    let ident = stills(12, &mut random);
    let own: Vec<Vec<Frame>> = (0..10).map(|_| stills(30, &mut random)).collect();
    let index = FrameIndex::new([9; 32]);
    for (id, own) in (0..).zip(&own) {
        index.insert(id, &joined(&[&ident, own]), rule(if id == 4 { 3_000 } else { 1_000 }));
    }
    let is_sure = |query: &[Frame], id: u64| {
        let found = index.search(query);
        found.videos.into_iter().find(|one| one.video == id).map(|one| one.sure)
    };
    // They alone are shorter than what the fourth asks for; all that lines up is not.
    assert_eq!(is_sure(&joined(&[&ident, &own[4][..3]]), 4), Some(true));
    assert_eq!(is_sure(&joined(&[&ident, &own[4][..2]]), 4), Some(false));
    assert_eq!(is_sure(&own[4][..3], 4), None);
    // What lines up for longest is the ident, at another time.
    let elsewhere = joined(&[&own[5][..4], &ident]);
    assert_eq!(is_sure(&elsewhere, 5), Some(true));
    assert_eq!(is_sure(&elsewhere, 6), Some(false));
}

#[test]
fn it_takes_eight_families_and_an_author_is_one() {
    let mut random = Random(32);
    let (films, ident, _) = broadcast(COMMON_CLUSTERS, &mut random);
    let query = joined(&[&ident, &seconds(20_000, &mut random)]);
    let all_are = |index: &FrameIndex, source: fn(u64) -> Option<Source>, expected: bool| {
        let found = sure(&index.search_crowds(&query, source));
        assert!(!found.is_empty() && found.iter().all(|(_, sure)| *sure == expected), "{found:?}");
    };
    all_are(&index_of(&films), |_| None, false);
    all_are(&index_of(&films), by, false);
    all_are(&index_of(&films[1..]), |_| None, true);
    // Two of them are of one author: seven authors are left.
    all_are(&index_of(&films), |id| by(id.max(2)), true);
    all_are(&index_of(&films), |_| by(1), true);
}

#[test]
fn a_hundred_cuts_of_one_film_take_nothing_from_each_other() {
    let mut random = Random(33);
    let film = film(60_000, &mut random);
    let cut = |random: &mut Random| {
        let length_ms = 6_000 + random.below(10_000) as u32;
        let from_ms = random.below(60_000 - u64::from(length_ms)) as u32;
        let cut = copy(&film, (from_ms, length_ms, 500), 1.0, 8, random);
        joined(&[&seconds(1_000, random), &cut, &seconds(1_000, random)])
    };
    let cuts: Vec<Vec<Frame>> = (0..100).map(|_| cut(&mut random)).collect();
    let index = index_of(&cuts);
    for query in [copy(&film, (0, 60_000, 500), 1.0, 8, &mut random), cuts[7].clone()] {
        for found in [index.search(&query), index.search_crowds(&query, by)] {
            assert!(found.videos.len() > 20, "{}", found.videos.len());
            assert!(found.videos.iter().all(|one| one.sure), "{:?}", sure(&found));
        }
    }
    // A short part, which a cut shows only at its end.
    let part = copy(&film, (30_000, 3_000, 500), 1.0, 8, &mut random);
    let found = index.search(&splice(&part, 5_000, 20_000, &mut random));
    assert!(found.videos.len() > 5 && found.videos.iter().all(|one| one.sure));
}

/// A film, and many others that have three of its twelve seconds each, amid something else.
fn spread(count: usize, random: &mut Random) -> (Vec<Frame>, Vec<Vec<Frame>>) {
    let harmful = film(12_000, random);
    let dense = harmful.iter().copied().step_by(5).collect();
    let spread = (0..count).map(|number| {
        let part = copy(&harmful, (number as u32 % 4 * 3_000, 3_500, 500), 1.0, 4, random);
        splice(&part, 8_000, 30_000, random)
    });
    (dense, spread.collect())
}

#[test]
fn who_spreads_a_film_over_many_others_cannot_hide_it() {
    let mut random = Random(34);
    let (harmful, spread) = spread(200, &mut random);
    let index = index_of(&spread);
    index.insert(1_000, &harmful, rule(1_000));
    let of_harmful = |query: &[Frame], source: fn(u64) -> Option<Source>| {
        let found = index.search_crowds(query, source);
        found.videos.into_iter().find(|one| one.video == 1_000).map(|one| one.sure)
    };
    let whole = copy(&harmful_film(34), (0, 12_000, 500), 1.0, 8, &mut random);
    let part = splice(&whole[..9], 10_000, 40_000, &mut random);
    // One author, or seven, take nothing from it.
    let one = |id| by(u64::from(id == 1_000));
    let seven = |id| by(if id == 1_000 { 50 } else { id % 6 });
    assert_eq!([of_harmful(&whole, one), of_harmful(&part, one)], [Some(true); 2]);
    assert_eq!([of_harmful(&whole, seven), of_harmful(&part, seven)], [Some(true); 2]);
    // Where each has an author of its own, a person looks at a part, and the film is still matched.
    assert_eq!(of_harmful(&whole, by), Some(true));
    assert_eq!(of_harmful(&part, by), Some(false));
    // Copies of the film are of its own cluster, however many have stored them.
    let index = index_of(&vec![harmful; 200]);
    let found = index.search_crowds(&part, by);
    assert_eq!(found.videos.len(), 200);
    assert!(found.videos.iter().all(|one| one.sure));
}

/// The film of [`spread`], at every frame.
fn harmful_film(seed: u64) -> Vec<Frame> {
    film(12_000, &mut Random(seed))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn the_order_of_storing_and_asking_does_not_matter(seed: u64, count in 6_usize..14) {
        let mut random = Random(seed);
        let (films, ident, own) = broadcast(count, &mut random);
        let mut query = joined(&[&own[1][10..20], &ident, &own[0][..14]]);
        let expected = index_of(&films).search(&query);
        let index = FrameIndex::new([10; 32]);
        let mut order: Vec<usize> = (0..count).collect();
        for last in (1..count).rev() {
            order.swap(last, random.below(last as u64 + 1) as usize);
        }
        for number in order {
            index.insert(number as u64 + 1, &films[number], rule(1_000));
        }
        for last in (1..query.len()).rev() {
            query.swap(last, random.below(last as u64 + 1) as usize);
        }
        prop_assert_eq!(index.search(&query), expected);
    }

    /// What comes to it has parts of the query or of what is stored, or nothing of either.
    #[test]
    fn a_video_more_takes_no_match_away_that_has_frames_of_its_own(
        seed: u64, count in 1_usize..12, added in 1_u64..6, authors in 1_u64..20,
    ) {
        let mut random = Random(seed);
        let (films, ident, own) = broadcast(count, &mut random);
        let index = index_of(&films);
        // Five seconds of the first film, which no other has, and the ident.
        let query = joined(&[&seconds(5_000, &mut random), &ident, &own[0][..10]]);
        let source = |id| by(id % authors);
        let before = sure(&index.search_crowds(&query, source));
        prop_assert_eq!(before[0], (1, true));
        for id in 100..100 + added {
            let parts = [&ident[..], &query[..10], &films[count - 1][..20], &[]];
            let part = parts[random.below(4) as usize];
            index.insert(id, &joined(&[&seconds(12_000, &mut random), part]), rule(1_000));
        }
        let after = sure(&index.search_crowds(&query, source));
        prop_assert_eq!(after[0], (1, true));
        for (id, _) in before {
            prop_assert!(after.iter().any(|(other, _)| *other == id), "{} is gone", id);
        }
    }
}
