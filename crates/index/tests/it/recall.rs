//! Compares every answer of the index with a comparison against every hash.

use std::collections::BTreeSet;

use proptest::prelude::*;
use watchfire_index::{HashIndex, Level};
use watchfire_signal::pdq::Pdq;

use crate::data::{Random, Shape, hashes};

const SHAPES: [Shape; 4] = [Shape::Uniform, Shape::Clustered, Shape::LowEntropy, Shape::Pages];

fn assert_equal(index: &HashIndex, stored: &BTreeSet<(u64, Pdq)>, query: &Pdq, max_distance: u32) {
    let found = index.search(query, max_distance, usize::MAX);
    assert!(!found.truncated);
    assert!(found.hits.is_sorted_by_key(|&(_, bits)| bits));
    let mut expected: Vec<_> = stored
        .iter()
        .map(|(id, hash)| (*id, hash.distance(query)))
        .filter(|(_, bits)| *bits <= max_distance)
        .collect();
    let mut hits = found.hits;
    expected.sort_unstable();
    hits.sort_unstable();
    assert_eq!(hits, expected);
}

fn queries(all: &[Pdq], count: usize, random: &mut Random) -> Vec<Pdq> {
    (0..count)
        .map(|turn| {
            let near = all[random.below(all.len() as u64) as usize];
            let bits = random.below(40) as u32;
            if turn % 8 == 0 { random.hash() } else { random.near(&near, bits) }
        })
        .collect()
}

#[test]
fn every_hash_within_the_distance_is_found_at_every_size() {
    for shape in SHAPES {
        let mut random = Random(11);
        let index = HashIndex::new([7; 32]);
        let mut stored = BTreeSet::new();
        let all = hashes(shape, 70_000, &mut random);
        for (id, hash) in all.iter().enumerate() {
            index.insert(id as u64, hash);
            stored.insert((id as u64, *hash));
            if [1, 300, 65_535, 65_536, 65_537, 69_999].contains(&id) {
                for query in queries(&all[..=id], 25, &mut random) {
                    for max_distance in [0, 7, 15, 16, 23, 24, 31, 40] {
                        assert_equal(&index, &stored, &query, max_distance);
                    }
                }
            }
        }
        assert_eq!(index.len(), stored.len());
    }
}

#[test]
fn every_level_of_instructions_gives_the_same_answers() {
    for shape in SHAPES {
        let mut random = Random(31);
        let all = hashes(shape, 68_000, &mut random);
        let indexes = [Level::Scalar, Level::Avx2, Level::Avx512]
            .map(|level| HashIndex::with_level([2; 32], level));
        for index in &indexes {
            all.iter().enumerate().for_each(|(id, hash)| index.insert(id as u64, hash));
        }
        for query in queries(&all, 500, &mut random) {
            for max_distance in [0, 10, 20, 31, 40] {
                let answers =
                    indexes.each_ref().map(|index| index.search(&query, max_distance, usize::MAX));
                assert_eq!(answers[0], answers[1]);
                assert_eq!(answers[0], answers[2]);
            }
        }
    }
}

#[test]
fn removed_hashes_are_not_found_and_their_room_is_used_again() {
    for shape in SHAPES {
        let mut random = Random(23);
        let index = HashIndex::new([9; 32]);
        let mut stored = BTreeSet::new();
        let all = hashes(shape, 72_000, &mut random);
        all.iter().enumerate().for_each(|(id, hash)| {
            index.insert(id as u64, hash);
            stored.insert((id as u64, *hash));
        });
        let full = index.memory_bytes();
        for round in 0..2u64 {
            let (keep, leave): (Vec<_>, Vec<_>) =
                stored.iter().copied().partition(|_| random.below(2) == 0);
            for (id, hash) in &leave {
                assert!(index.remove(*id, hash));
                assert!(!index.remove(*id, hash));
            }
            stored = keep.into_iter().collect();
            let fresh = hashes(shape, leave.len(), &mut random);
            for query in queries(&all, 40, &mut random) {
                assert_equal(&index, &stored, &query, 31);
            }
            for (id, hash) in fresh.iter().enumerate() {
                let id = round << 32 | id as u64 | 1 << 60;
                index.insert(id, hash);
                stored.insert((id, *hash));
            }
            for query in
                queries(&all, 40, &mut random).into_iter().chain(queries(&fresh, 40, &mut random))
            {
                assert_equal(&index, &stored, &query, 31);
            }
        }
        assert_eq!(index.len(), stored.len());
        assert!(index.memory_bytes() < full * 5 / 4, "{} of {full}", index.memory_bytes());
    }
}

#[test]
fn one_hash_with_a_hundred_thousand_ids_is_stored_once_and_truncated() {
    let index = HashIndex::new([1; 32]);
    let mut random = Random(5);
    let (flat, other) = (random.hash(), random.hash());
    (0..100_000).for_each(|id| index.insert(id, &flat));
    index.insert(7, &other);
    assert_eq!(index.len(), 100_001);
    let near = random.near(&flat, 20);
    let found = index.search(&near, 31, 1_000);
    assert!(found.truncated);
    assert_eq!(found.hits.len(), 1_000);
    assert!(found.hits.iter().all(|&(_, bits)| bits == 20));
    let all = index.search(&near, 31, 100_000);
    assert!(!all.truncated);
    assert_eq!(all.hits.iter().map(|hit| hit.0).collect::<BTreeSet<_>>().len(), 100_000);
    assert!(!index.search(&other, 31, 1).truncated);
    assert!((0..100_000).all(|id| index.remove(id, &flat)));
    assert!(index.search(&near, 31, 10).hits.is_empty());
    assert_eq!(index.len(), 1);
}

#[test]
fn a_search_in_a_dense_page_says_truncated_and_gives_as_many_as_asked_for() {
    let mut random = Random(41);
    let index = HashIndex::new([6; 32]);
    let all = hashes(Shape::Pages, 100_000, &mut random);
    all.iter().enumerate().for_each(|(id, hash)| index.insert(id as u64, hash));
    let mut many = 0;
    for page in 0..4 {
        let query = random.near(&Random(page).hash(), 3);
        let near = |hash: &Pdq| hash.distance(&query) <= 31;
        let all: BTreeSet<u64> =
            (0..).zip(&all).filter(|(_, hash)| near(hash)).map(|(id, _)| id).collect();
        for limit in [0, 1, 100, all.len() - 1, all.len(), all.len() + 1] {
            let found = index.search(&query, 31, limit);
            assert_eq!(found.truncated, limit < all.len(), "{limit} of {}", all.len());
            assert_eq!(found.hits.len(), limit.min(all.len()));
            let ids: BTreeSet<u64> = found.hits.iter().map(|(id, _)| *id).collect();
            assert!(ids.len() == found.hits.len() && ids.is_subset(&all));
            assert!(found.hits.is_sorted_by_key(|&(_, bits)| bits));
        }
        many += all.len();
    }
    assert!(many > 4_000, "{many} hits in all");
    assert_eq!(index.scans(), 0, "no search compares every hash");
}

#[test]
fn an_empty_index_is_small_and_finds_nothing() {
    let index = HashIndex::new([0; 32]);
    assert!(index.is_empty());
    assert!(index.memory_bytes() < 1 << 20);
    assert!(index.search(&Pdq([0; 32]), 256, 10).hits.is_empty());
    assert!(!index.remove(1, &Pdq([0; 32])));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_order_of_inserts_and_removes_leaves_what_a_set_would_hold(
        steps in proptest::collection::vec((0u8..4, 0u64..5, 0usize..12), 0..300),
        seed: [u8; 32], data: u64,
    ) {
        let mut random = Random(data);
        let pool = hashes(Shape::LowEntropy, 12, &mut random);
        let (index, mut stored) = (HashIndex::new(seed), BTreeSet::new());
        for (step, id, hash) in steps {
            let hash = pool[hash];
            match step {
                0 => prop_assert_eq!(index.remove(id, &hash), stored.remove(&(id, hash))),
                1 => assert_equal(&index, &stored, &hash, 31),
                _ => {
                    index.insert(id, &hash);
                    stored.insert((id, hash));
                }
            }
            prop_assert_eq!(index.len(), stored.len());
        }
    }
}
