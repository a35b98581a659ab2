//! Files of signals: what is found in them, and which are refused.

use std::{fs, io};

use proptest::prelude::*;
use watchfire_index::flat::{ABOUT_BYTES, Flat, FlatHit, FlatSignals, Section, ask_all};
use watchfire_signal::pdq::Pdq;

use crate::data::{Random, Shape, hashes};

fn owned(hashes: Vec<Pdq>) -> Vec<(Pdq, u32)> {
    hashes.into_iter().zip(0u32..).map(|(hash, place)| (hash, place * 3)).collect()
}

/// Which of the ways to turn a picture turn it by a quarter.
const QUARTERS: [usize; 8] = [0, 2, 5, 6, 7, 9, 12, 13];

fn brute(
    section: Section,
    stored: &[(Pdq, u32)],
    queries: &[Pdq],
    max_distance: u32,
) -> Vec<FlatHit> {
    let mut hits = Vec::new();
    for (hash, owner) in stored {
        for (query, place) in queries.iter().zip(0u32..) {
            let ways = query.turned().into_iter().enumerate();
            let counts = |way| section == Section::Pictures || !QUARTERS.contains(&way);
            let turned = ways.filter(|(way, _)| counts(*way)).map(|(_, way)| hash.distance(&way));
            let distance = turned.fold(hash.distance(query), u32::min);
            if distance <= max_distance {
                hits.push(FlatHit { owner: *owner, query: place, distance });
            }
        }
    }
    hits
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn a_file_answers_what_a_comparison_with_every_hash_would(
        seed: u64, counts in (0usize..9_000, 0usize..600), max_distance in 0u32..70,
        keys in proptest::collection::vec(0u64..40, 0..200),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let mut random = Random(seed);
        let signals = FlatSignals {
            pictures: owned(hashes(Shape::Clustered, counts.0, &mut random)),
            frames: owned(hashes(Shape::LowEntropy, counts.1, &mut random)),
            digests: keys.iter().copied().zip(0u32..).collect(),
        };
        let mut queries = vec![random.hash()];
        for stored in [&signals.pictures, &signals.frames] {
            let some = stored.iter().step_by(97).take(5).map(|(hash, _)| *hash);
            queries.extend(some.clone().chain(some.zip(3..).map(|(hash, way)| hash.turned()[way])));
        }
        let path = directory.path().join("1.flat");
        let flat = Flat::write(&path, [7; ABOUT_BYTES], signals.clone()).unwrap();
        prop_assert_eq!(flat.bytes(), fs::metadata(&path).unwrap().len());
        for (section, stored) in
            [(Section::Pictures, &signals.pictures), (Section::Frames, &signals.frames)]
        {
            let found = flat.near(section, &queries, max_distance);
            prop_assert_eq!(found, brute(section, stored, &queries, max_distance));
        }
        for key in 0..41 {
            let mut found = flat.with_key(key);
            found.sort_unstable();
            let holds = signals.digests.iter().filter(|(held, _)| *held == key);
            prop_assert_eq!(found, holds.map(|(_, owner)| *owner).collect::<Vec<_>>());
        }
        let again = Flat::open(&path).unwrap();
        prop_assert_eq!(again.about(), &[7; ABOUT_BYTES]);
    }
}

#[test]
fn a_file_that_is_damaged_anywhere_or_cut_off_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("1.flat");
    let pictures = owned(hashes(Shape::Uniform, 20, &mut Random(1)));
    let signals = FlatSignals { pictures, digests: vec![(1, 2)], ..FlatSignals::default() };
    Flat::write(&path, [0; ABOUT_BYTES], signals).unwrap();
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(Flat::open(&path).unwrap_err().kind(), io::ErrorKind::InvalidData, "{at}");
        fs::write(&path, &whole[..at]).unwrap();
        assert_eq!(Flat::open(&path).unwrap_err().kind(), io::ErrorKind::InvalidData, "{at}");
    }
    fs::write(&path, &whole).unwrap();
    assert!(Flat::open(&path).is_ok());
}

#[test]
fn many_files_are_asked_at_once_and_answer_in_their_order() {
    let numbers: Vec<u32> = (0..1_000).collect();
    let doubled = ask_all(&numbers, |number| number * 2).unwrap();
    assert_eq!(doubled, numbers.iter().map(|number| number * 2).collect::<Vec<_>>());
    assert!(ask_all(&[], |_: &u32| ()).unwrap().is_empty());
}
