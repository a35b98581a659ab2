//! Searches while another thread inserts and removes.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use watchfire_index::HashIndex;

use crate::data::{Random, Shape, hashes};

#[test]
fn what_was_inserted_before_a_search_began_is_found_by_it_from_any_thread() {
    found_while_inserting(Shape::Clustered);
}

#[test]
fn hashes_are_found_while_they_move_from_buckets_to_a_block() {
    found_while_inserting(Shape::Pages);
}

fn found_while_inserting(shape: Shape) {
    let index = HashIndex::new([3; 32]);
    let mut random = Random(77);
    let all = hashes(shape, 120_000, &mut random);
    let published = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for (id, hash) in all.iter().enumerate() {
                index.insert(id as u64, hash);
                published.store(id as u64 + 1, Ordering::Release);
            }
        });
        for reader in 0..2u64 {
            let (index, all, published) = (&index, &all, &published);
            scope.spawn(move || {
                let mut random = Random(reader);
                loop {
                    let end = published.load(Ordering::Acquire);
                    if end == 0 {
                        continue;
                    }
                    let id = random.below(end);
                    let bits = random.below(32) as u32;
                    let query = random.near(&all[id as usize], bits);
                    let found = index.search(&query, 31, usize::MAX);
                    assert!(found.hits.contains(&(id, bits)), "{id} of {end} at {bits} bits");
                    if end == all.len() as u64 {
                        break;
                    }
                }
            });
        }
    });
}

#[test]
fn hashes_that_stay_are_found_while_others_come_and_go() {
    let index = HashIndex::new([4; 32]);
    let mut random = Random(78);
    let stay = hashes(Shape::Clustered, 80_000, &mut random);
    stay.iter().enumerate().for_each(|(id, hash)| index.insert(id as u64, hash));
    let guests: Vec<_> = stay[..2_000].iter().map(|hash| random.near(hash, 3)).collect();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..10u64 {
                for (id, hash) in guests.iter().enumerate() {
                    index.insert(1 << 40 | round << 32 | id as u64, hash);
                }
                for (id, hash) in guests.iter().enumerate() {
                    assert!(index.remove(1 << 40 | round << 32 | id as u64, hash));
                }
            }
            done.store(true, Ordering::Release);
        });
        let mut random = Random(79);
        while !done.load(Ordering::Acquire) {
            let id = random.below(2_500);
            let query = random.near(&stay[id as usize], 28);
            let found = index.search(&query, 31, usize::MAX);
            assert!(found.hits.contains(&(id, 28)));
            for (hit, bits) in found.hits {
                let guest = hit >> 40 == 1;
                let hash =
                    if guest { guests[(hit & 0xffff_ffff) as usize] } else { stay[hit as usize] };
                assert_eq!(hash.distance(&query), bits);
            }
        }
    });
    assert_eq!(index.len(), stay.len());
}
