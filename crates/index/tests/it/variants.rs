//! Edited copies are found by what stands in alerts alone, and nothing else is.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
    mpsc,
};

use watchfire_index::{
    Full, MIN_INLIERS, VariantDecision, VariantIndex, VariantLimits, VariantMatch,
};
use watchfire_media::{features, pdq, picture};
use watchfire_signal::{
    alert::{Alert, ContentKind, Suggestion},
    features::FeaturesPrint,
    statement::Statement,
    value::{Signal, Value, ValueOrBlob},
    verb::Verb,
};

use crate::scene::Scene;

const LIMITS: VariantLimits = VariantLimits { references: 100, descriptors: 400 };

fn scene(seed: u64) -> Scene {
    Scene::drawn(seed, 560, 420)
}

fn print(scene: &Scene) -> FeaturesPrint {
    features::print(scene.pixels()).unwrap()
}

/// Adds a picture as alerts do, with its hash.
fn insert(index: &VariantIndex, id: u64, scene: &Scene) {
    let hash = pdq::hash(scene.pixels()).unwrap().pdq;
    index.insert_hashed(id, &print(scene), &[hash]).unwrap();
}

fn index_of(seeds: std::ops::Range<u64>) -> VariantIndex {
    let index = VariantIndex::new([9; 32], LIMITS);
    for seed in seeds {
        insert(&index, seed, &scene(seed));
    }
    index
}

fn search(index: &VariantIndex, query: &Scene) -> Vec<VariantMatch> {
    features::seen(query.pixels()).map(|seen| index.search(&[seen], 10).matches).unwrap_or_default()
}

fn matches(index: &VariantIndex, query: &Scene) -> Vec<u64> {
    let found = search(index, query);
    let sure = found.iter().filter(|one| one.decision == VariantDecision::Match);
    sure.map(|one| one.id).collect()
}

/// A sticker, the same on every picture.
fn sticker() -> Scene {
    Scene::drawn(777, 230, 130)
}

fn alert(print: FeaturesPrint) -> Statement {
    Statement::Assert(Alert {
        kind: ContentKind::Image,
        signals: vec![Signal::new(print)],
        labels: vec!["violence.graphic_death".parse().unwrap()],
        taxonomy: 1,
        confidence: 80,
        suggestion: Suggestion::Review,
        exceptions: vec![],
        valid_until: 1,
        family: None,
        incident: None,
        evidence_hold: false,
        authority: None,
        tlp: None,
    })
}

#[test]
fn edited_copies_are_found_by_alerts_after_the_originals_are_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let mut bodies = Vec::new();
    for seed in 0..8 {
        let path = folder.path().join(format!("{seed}.bmp"));
        std::fs::write(&path, scene(seed).bmp()).unwrap();
        let file = std::fs::read(&path).unwrap();
        let picture = picture::decode(&file, &picture::Limits::default()).unwrap();
        let body = alert(features::print(picture.pixels()).unwrap()).encode();
        bodies.push((seed, body));
    }
    folder.close().unwrap();
    let index = VariantIndex::new([1; 32], LIMITS);
    for (seed, body) in bodies {
        let statement = Statement::decode(Verb::Assert, &body).unwrap();
        for signal in &statement.alert().unwrap().signals {
            let ValueOrBlob::Value(Value::Features(print)) = &signal.value else { panic!() };
            index.insert(seed, print).unwrap();
        }
    }
    let original = scene(3);
    let small = original.mapped((224, 168), |x, y| (x * 2.5, y * 2.5));
    let edits = [
        ("as it is", original.clone()),
        ("cropped", original.cropped(90, 60, 380, 290)),
        ("mirrored", original.mirrored()),
        ("turned by 5°", original.turned(5.0, 1.0)),
        ("turned by 33°", original.turned(33.0, 0.8)),
        ("framed", Scene::plain(700, 560, 240).with(&original, 70, 70)),
        ("with a sticker", original.with(&sticker(), 60, 200)),
        ("in another picture", scene(99).with(&small, 300, 30)),
        ("cropped and mirrored", original.cropped(40, 20, 420, 320).mirrored()),
    ];
    for (edit, query) in edits {
        assert_eq!(matches(&index, &query), [3], "{edit}");
    }
}

#[test]
fn other_pictures_are_not_found() {
    let index = index_of(0..20);
    for seed in 100..130 {
        assert_eq!(search(&index, &scene(seed)), [], "{seed}");
    }
}

#[test]
fn pictures_under_the_same_sticker_do_not_match() {
    let index = VariantIndex::new([2; 32], LIMITS);
    for seed in 0..10 {
        insert(&index, seed, &scene(seed).with(&sticker(), 200, 100));
    }
    for seed in 100..110 {
        assert_eq!(matches(&index, &scene(seed).with(&sticker(), 200, 100)), [0_u64; 0], "{seed}");
    }
    // Only the re-check tells them apart: the features of the sticker fit perfectly.
    let alone = Scene::plain(560, 420, 128).with(&sticker(), 200, 100);
    let only = VariantIndex::new([2; 32], LIMITS);
    insert(&only, 1, &alone);
    assert!(search(&only, &alone)[0].inliers >= 3 * MIN_INLIERS);
}

/// Three lines of letters.
fn written(scene: &Scene) -> Scene {
    scene.written(5, &[40, 190, 340], 4)
}

#[test]
fn a_copy_of_which_a_quarter_is_covered_is_sure_at_the_second_look() {
    let index = index_of(0..4);
    let cover = Scene::drawn(555, 290, 200);
    for seed in 0..4 {
        let found = search(&index, &scene(seed).with(&cover, 170, 110));
        let sure: Vec<_> = found.iter().map(|one| (one.id, one.decision)).collect();
        let seen = found.first().map(|one| (one.own, one.agreement, one.second));
        assert_eq!(sure, [(seed, VariantDecision::Match)], "{seen:?}");
        assert!(found[0].second.is_some(), "{seed} was sure at the first look: {seen:?}");
    }
}

/// Writing tears features and luminance of many blocks; laid over each other, the pictures are still alike.
#[test]
fn a_copy_that_is_written_all_over_is_sure_by_the_hash_of_what_it_lies_like() {
    let (hashed, bare) = (index_of(0..6), VariantIndex::new([9; 32], LIMITS));
    for seed in 0..6 {
        bare.insert(seed, &print(&scene(seed))).unwrap();
    }
    for seed in 0..6 {
        let query = scene(seed).written(5, &[40, 190, 340], 6);
        let seen = search(&hashed, &query).first().map(|one| (one.own, one.agreement, one.second));
        assert_eq!(matches(&hashed, &query), [seed], "{seen:?}");
        assert_eq!(matches(&bare, &query), [0_u64; 0], "{seen:?}");
    }
}

/// A sticker on a quarter of a copy is more of its hash than another picture may be; without it the hash says what it is.
#[test]
fn a_copy_under_a_sticker_and_a_line_is_sure_by_the_hash_of_what_is_left() {
    let index = index_of(0..6);
    for seed in 0..6 {
        let query = scene(seed).with(&Scene::drawn(556, 200, 200), 150, 190).written(5, &[60], 4);
        let found = search(&index, &query);
        let seen = found.first().map(|one| (one.own, one.agreement, one.second));
        assert_eq!(matches(&index, &query), [seed], "{seen:?}");
    }
}

/// Letters go over all of it, and more blocks are against than held; without their strokes the hash says what it is.
#[test]
fn a_copy_under_letters_is_sure_by_the_hash_of_what_lies_below_them() {
    let index = index_of(0..6);
    for seed in [1, 3, 5] {
        let query = scene(seed).lettered(5, LETTERED, 5);
        let found = search(&index, &query);
        let second = found[0].second.unwrap();
        assert!(second.held < second.against, "{second:?}");
        assert_eq!(matches(&index, &query), [seed], "{second:?}");
    }
}

/// One small thing before a plain sky: fewer blocks say something than a sticker has.
#[test]
fn a_plain_picture_that_was_turned_is_sure_by_the_hash_of_what_it_lies_like() {
    let plain = Scene::slope(560, 420, (0.2, 0.1)).with(&Scene::drawn(9, 220, 130), 170, 150);
    let (hashed, bare) = (VariantIndex::new([2; 32], LIMITS), VariantIndex::new([2; 32], LIMITS));
    insert(&hashed, 1, &plain);
    bare.insert(1, &print(&plain)).unwrap();
    let query = plain.turned(6.0, 1.0);
    let seen = search(&hashed, &query).first().map(|one| (one.own, one.agreement, one.second));
    assert_eq!(matches(&hashed, &query), [1], "{seen:?}");
    assert_eq!(matches(&bare, &query), [0_u64; 0], "{seen:?}");
}

/// Four pictures, each cut to fit and half as large.
fn collage(scenes: [&Scene; 4]) -> Scene {
    let mut out = Scene::plain(560, 420, 0);
    for (at, scene) in scenes.into_iter().enumerate() {
        let cut = scene.cropped(70, 0, 420, 420);
        let small = cut.mapped((280, 210), |x, y| (x * 1.5, 52.0 + y * 1.5));
        out = out.with(&small, at % 2 * 280, at / 2 * 210);
    }
    out
}

#[test]
fn a_picture_that_is_cut_to_fit_next_to_others_is_sure_by_the_part_that_is_shown() {
    let index = index_of(0..4);
    for seed in 0..4 {
        let others = [100, 101, 102].map(|other| scene(other + 10 * seed));
        let [a, b, c] = &others;
        let query = collage([a, &scene(seed), b, c]);
        let found = search(&index, &query);
        let seen = found.first().map(|one| (one.own, one.agreement, one.second));
        assert_eq!(matches(&index, &query), [seed], "{seen:?}");
        assert!(found[0].second.is_some_and(|second| second.part.is_some()), "{seen:?}");
    }
}

/// The screen of an app is most of what these have in contrast, and all of that agrees.
#[test]
fn pictures_in_the_same_screen_of_an_app_do_not_match() {
    let screen = Scene::drawn(888, 400, 560);
    let put = |scene: &Scene| {
        let shown = scene.mapped((400, 250), |x, y| (x * 1.4, y * 1.4));
        screen.with(&shown, 0, 110)
    };
    let index = VariantIndex::new([2; 32], LIMITS);
    for seed in 0..6 {
        insert(&index, seed, &put(&scene(seed)));
    }
    for seed in 100..106 {
        let query = put(&scene(seed));
        for query in [query.lettered(5, LETTERED, 4), query] {
            let seen =
                search(&index, &query).first().map(|one| (one.own, one.agreement, one.second));
            assert_eq!(matches(&index, &query), [0_u64; 0], "{seed} {seen:?}");
        }
    }
}

/// Where lines of letters begin.
const LETTERED: &[usize] = &[30, 110, 190, 270, 350];

/// What is put over pictures, and how.
type Overlay = (&'static str, fn(&Scene) -> Scene);

#[test]
fn pictures_under_the_same_writing_do_not_match() {
    let all: [Overlay; 6] = [
        ("three lines", written),
        ("six lines", |scene| scene.written(5, &[20, 85, 150, 215, 280, 345], 4)),
        ("a sticker and three lines", |scene| written(&scene.with(&sticker(), 200, 100))),
        ("two stickers", |scene| {
            scene.with(&sticker(), 300, 20).with(&Scene::drawn(778, 260, 150), 20, 230)
        }),
        ("letters", |scene| scene.lettered(5, LETTERED, 5)),
        ("a sticker and letters", |scene| {
            scene.with(&sticker(), 200, 100).lettered(5, LETTERED, 4)
        }),
    ];
    for (overlay, put) in all {
        let index = VariantIndex::new([2; 32], LIMITS);
        for seed in 0..6 {
            insert(&index, seed, &put(&scene(seed)));
        }
        for seed in 100..106 {
            assert_eq!(matches(&index, &put(&scene(seed))), [0_u64; 0], "{overlay} {seed}");
        }
    }
}

/// What is around a small picture is most of what there is to see. Where several pictures are known in it, it says nothing
/// of which of them is shown.
#[test]
fn a_picture_in_a_template_in_which_several_are_known_is_none_of_them_for_sure() {
    let template = |scene: &Scene| {
        let shown = scene.mapped((260, 195), |x, y| (x * 2.15, y * 2.15));
        Scene::drawn(888, 400, 560).with(&shown, 50, 150)
    };
    let known = |seeds: std::ops::Range<u64>| {
        let index = VariantIndex::new([2; 32], LIMITS);
        seeds.for_each(|seed| insert(&index, seed, &template(&scene(seed))));
        index
    };
    // Of one alone nothing says that the template is not the picture.
    let (one, six) = (known(0..1), known(0..6));
    for seed in 100..106 {
        assert_eq!(matches(&one, &template(&scene(seed))), [0], "a trap: {seed}");
        assert_eq!(matches(&six, &template(&scene(seed))), [0_u64; 0], "{seed}");
    }
    // The known ones are: they have more in common with themselves than the template.
    for seed in 0..6 {
        assert_eq!(matches(&six, &template(&scene(seed)).cropped(12, 9, 380, 540)), [seed]);
    }
}

/// Two members have reported one picture, as each had it, and nobody has said that it is one: neither report is in the
/// other's way where a copy has something put over it.
#[test]
fn two_reports_of_one_picture_are_no_rivals() {
    let index = VariantIndex::new([2; 32], LIMITS);
    for seed in 0..4 {
        insert(&index, seed, &scene(seed));
        insert(&index, seed + 10, &scene(seed).cropped(30, 20, 500, 380));
    }
    for seed in 0..4 {
        let mut found = matches(&index, &scene(seed).with(&sticker(), 200, 100));
        found.sort_unstable();
        assert_eq!(found, [seed, seed + 10]);
    }
}

/// All blocks that say something are the sticker's, and they agree: nothing around it has contrast.
#[test]
fn two_plain_pictures_under_one_sticker_do_not_match() {
    let put = |slope| Scene::slope(560, 420, slope).with(&Scene::drawn(777, 290, 150), 130, 120);
    let index = VariantIndex::new([2; 32], LIMITS);
    insert(&index, 1, &put((0.2, 0.0)));
    let found = search(&index, &put((-0.05, 0.2)));
    let seen = (found[0].inliers, found[0].own, found[0].agreement, found[0].second);
    assert_eq!(found[0].decision, VariantDecision::Review, "{seen:?}");
    assert!(found[0].agreement.is_sure() && found[0].agreement.is_nearly_all(), "{seen:?}");
    assert!(found[0].own >= 3 * MIN_INLIERS, "{seen:?}");
}

#[test]
fn a_match_says_where_the_picture_lies() {
    let index = index_of(0..3);
    let query = scene(1).cropped(56, 42, 448, 336);
    let found = &search(&index, &query)[0];
    assert_eq!((found.id, found.mirrored, found.decision), (1, false, VariantDecision::Match));
    // The working pictures have 512 pixels a row, of 448 and of 560.
    let scale = 448.0 / 560.0;
    let (x, y) = found.transform.apply((256.0, 192.0));
    assert!((x - 256.0).abs() < 3.0 && (y - 192.0).abs() < 3.0, "{x} {y}");
    assert!((found.transform.area().sqrt() - scale).abs() < 0.01);
    let corner = found.reference_region[0];
    assert!((corner.0 - 51.2).abs() < 4.0 && (corner.1 - 38.4).abs() < 4.0, "{corner:?}");
    for [from, to] in &found.places {
        let (x, y) = found.transform.apply(*from);
        assert!((x - to.0).hypot(y - to.1) < 20.0);
    }
}

#[test]
fn a_mirrored_match_is_told_in_places_of_the_query() {
    let index = index_of(0..2);
    let found = &search(&index, &scene(0).mirrored())[0];
    assert!(found.mirrored && found.transform.area() < 0.0);
    let (x, y) = found.transform.apply((512.0, 0.0));
    assert!(x.abs() < 3.0 && y.abs() < 3.0, "{x} {y}");
}

#[test]
fn a_removed_reference_is_not_found_and_its_room_is_used_again() {
    let index = index_of(0..4);
    assert!(index.remove(2));
    assert!(!index.remove(2));
    assert_eq!(matches(&index, &scene(2)), [0_u64; 0]);
    assert_eq!(matches(&index, &scene(3)), [3]);
    let before = index.memory_bytes();
    let print = print(&scene(2));
    for round in 0..200 {
        index.insert(1_000 + round, &print).unwrap();
        assert!(index.remove(1_000 + round));
    }
    assert!(index.memory_bytes() < before + (1 << 20), "{before} {}", index.memory_bytes());
    assert_eq!(index.len(), 3);
}

#[test]
fn a_full_index_says_so() {
    let limits = VariantLimits { references: 2, descriptors: 100 };
    let index = VariantIndex::new([4; 32], limits);
    let print = print(&scene(0));
    assert_eq!(index.insert(1, &print), Ok(()));
    assert_eq!(index.insert(2, &print), Ok(()));
    assert_eq!(index.insert(3, &print), Err(Full::References(2)));
    assert!(index.remove(1));
    assert_eq!(index.insert(3, &print), Ok(()));
}

/// One picture reported more often than a chain is long: what waits takes the place of what is removed.
#[test]
fn of_a_picture_reported_a_thousand_times_each_report_counts_once_the_others_are_gone() {
    let limits = VariantLimits { references: 2_000, descriptors: 100 };
    let index = VariantIndex::new([5; 32], limits);
    let print = print(&scene(0));
    for id in 0..1_100 {
        index.insert(id, &print).unwrap();
    }
    assert_eq!(search(&index, &scene(0)).len(), 10);
    for id in (0..1_099).rev() {
        assert!(index.remove(id));
    }
    let left = search(&index, &scene(0).cropped(30, 30, 500, 370));
    assert_eq!(left.iter().map(|one| one.id).collect::<Vec<_>>(), [1_099]);
}

#[test]
fn what_stays_is_found_while_others_come_and_go() {
    let index = Arc::new(index_of(0..3));
    let done = Arc::new(AtomicBool::new(false));
    let (started, wait) = mpsc::channel();
    let writer = {
        let (index, done) = (Arc::clone(&index), Arc::clone(&done));
        let prints: Vec<_> = (50..54).map(|seed| print(&scene(seed))).collect();
        std::thread::spawn(move || {
            for round in 0.. {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                for (print, id) in prints.iter().zip(500..) {
                    index.insert(id, print).unwrap();
                }
                (500..504).for_each(|id| assert!(index.remove(id)));
                if round == 0 {
                    started.send(()).unwrap();
                }
            }
        })
    };
    wait.recv().unwrap();
    let query = scene(1).cropped(30, 30, 500, 370);
    for _ in 0..20 {
        assert_eq!(matches(&index, &query), [1]);
    }
    done.store(true, Ordering::Relaxed);
    writer.join().unwrap();
}

#[test]
fn an_index_takes_little_memory_before_its_first_reference() {
    let index = VariantIndex::new([0; 32], VariantLimits::default());
    assert!(index.memory_bytes() < 16 << 20, "{}", index.memory_bytes());
}

/// Of a picture that more references show than are looked at.
#[test]
fn a_search_says_where_more_references_may_fit_than_it_tells() {
    let found = |count: usize, limit: usize| {
        let index = index_of(500..520);
        let cut = |at: usize| scene(7).cropped(at, at, 500, 380);
        (0..count).for_each(|at| insert(&index, at as u64, &cut(at)));
        let seen = features::seen(scene(7).pixels()).unwrap();
        let found = index.search(&[seen], limit);
        (found.matches.len(), found.truncated)
    };
    assert_eq!(found(3, 10), (3, false));
    assert_eq!(found(3, 2), (2, true));
    assert_eq!(found(16, 100), (16, false));
    assert_eq!(found(20, 100), (16, true));
}
