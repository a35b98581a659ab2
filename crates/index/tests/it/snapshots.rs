//! Saves indexes, loads them, and damages the files.

use std::{collections::BTreeSet, fs, path::Path};

use proptest::prelude::*;
use watchfire_index::{HashIndex, SnapshotError};
use watchfire_signal::pdq::Pdq;

use crate::data::{Random, Shape, hashes};

const SEED: [u8; 32] = [5; 32];

fn answers(index: &HashIndex, queries: &[Pdq]) -> Vec<BTreeSet<(u64, u32)>> {
    queries
        .iter()
        .map(|query| index.search(query, 31, usize::MAX).hits.into_iter().collect())
        .collect()
}

/// An index with removed hashes, a hash with many ids, and ids of every size.
fn made(count: usize, shape: Shape) -> (HashIndex, Vec<Pdq>) {
    let mut random = Random(count as u64);
    let all = hashes(shape, count, &mut random);
    let index = HashIndex::new(SEED);
    for (id, hash) in (0u64..).zip(&all) {
        index.insert(if id % 5 == 0 { u64::MAX - id } else { id }, hash);
    }
    (0..count.min(100) as u64).for_each(|id| index.insert(1 << 40 | id, &all[0]));
    for (id, hash) in (0u64..).zip(&all).filter(|(id, _)| id % 7 == 3 && id % 5 != 0) {
        assert!(index.remove(id, hash));
    }
    (index, all)
}

#[test]
fn a_loaded_index_answers_as_the_saved_one_and_takes_changes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    for (count, shape) in [
        (0, Shape::Uniform),
        (1, Shape::Uniform),
        (5_000, Shape::Clustered),
        (90_000, Shape::Uniform),
        (90_000, Shape::LowEntropy),
        (90_000, Shape::Pages),
    ] {
        let (index, all) = made(count, shape);
        let bytes = index.save(&path, 17).unwrap();
        assert_eq!(bytes, fs::metadata(&path).unwrap().len());
        let (loaded, position) = HashIndex::load(SEED, &path).unwrap();
        assert_eq!((position, loaded.len()), (17, index.len()));
        let mut random = Random(9);
        let mut queries: Vec<Pdq> = (0..60).map(|_| random.hash()).collect();
        for query in queries.iter_mut().skip(10).take(if all.is_empty() { 0 } else { 50 }) {
            *query = random.near(&all[random.0 as usize % all.len()], 9);
        }
        assert_eq!(answers(&loaded, &queries), answers(&index, &queries));
        for (id, hash) in (0u64..).zip(&all) {
            if id % 3 == 1 && id % 5 != 0 {
                assert_eq!(loaded.remove(id, hash), index.remove(id, hash));
            }
        }
        for id in 0..3_000 {
            let hash = random.hash();
            loaded.insert(1 << 50 | id, &hash);
            index.insert(1 << 50 | id, &hash);
            queries.push(hash);
        }
        assert_eq!(answers(&loaded, &queries), answers(&index, &queries));
        assert_eq!(loaded.len(), index.len());
    }
}

#[test]
fn a_snapshot_is_no_larger_than_135_bytes_a_hash() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random(3);
    let index = HashIndex::new(SEED);
    // The lengths of the buckets are a fixed 4 MiB, which half a million hashes make 8 bytes each.
    (0..500_000).for_each(|id| index.insert(id, &random.hash()));
    let bytes = index.save(&folder.path().join("index"), 0).unwrap();
    assert!(bytes - (4 << 20) <= 131 * 500_000, "{bytes}");
}

#[test]
fn a_snapshot_of_another_seed_or_no_snapshot_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    made(10, Shape::Uniform).0.save(&path, 0).unwrap();
    let error = |seed, path: &Path| HashIndex::load(seed, path).err().unwrap();
    assert!(matches!(error([6; 32], &path), SnapshotError::OtherSeed));
    assert!(matches!(error(SEED, &folder.path().join("none")), SnapshotError::Io(_)));
    fs::write(&path, b"WFINDX99 and whatever follows").unwrap();
    assert!(matches!(error(SEED, &path), SnapshotError::NotASnapshot));
    fs::write(&path, b"").unwrap();
    assert!(matches!(error(SEED, &path), SnapshotError::NotASnapshot));
}

/// The checksum as the file ends with it, so that a test can put a right one after wrong content.
fn checksum(content: &[u8]) -> u64 {
    let mut lanes = [1u64, 2, 3, 4];
    for stride in content.chunks(32) {
        let mut whole = [0; 32];
        whole[..stride.len()].copy_from_slice(stride);
        for (lane, word) in lanes.iter_mut().zip(whole.as_chunks::<8>().0) {
            let mixed = (*lane ^ u64::from_le_bytes(*word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            *lane = mixed ^ mixed >> 32;
        }
    }
    lanes.iter().fold(content.len() as u64, |sum, lane| {
        (sum ^ lane).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(29)
    })
}

#[test]
fn any_flipped_bit_and_any_cut_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    made(72_000, Shape::Uniform).0.save(&path, 0).unwrap();
    let whole = fs::read(&path).unwrap();
    let content = &whole[..whole.len() - 8];
    assert_eq!(whole[content.len()..], checksum(content).to_le_bytes());
    let mut random = Random(1);
    for turn in 0..40 {
        let mut damaged = whole.clone();
        if turn % 4 == 0 {
            damaged.truncate(random.below(whole.len() as u64) as usize);
        } else {
            damaged[random.below(whole.len() as u64) as usize] ^= 1 << random.below(8);
        }
        fs::write(&path, damaged).unwrap();
        assert!(HashIndex::load(SEED, &path).is_err(), "turn {turn}");
    }
    fs::write(&path, [whole.as_slice(), b"!"].concat()).unwrap();
    assert!(HashIndex::load(SEED, &path).is_err());
}

#[test]
fn a_file_made_to_harm_with_a_right_checksum_harms_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    let mut random = Random(2);
    let mut loaded = 0;
    let made = [made(72_000, Shape::Clustered), made(72_000, Shape::Pages)];
    for (index, all) in made.iter().cycle().take(60) {
        index.save(&path, 0).unwrap();
        let whole = fs::read(&path).unwrap();
        let mut content = whole[..whole.len() - 8].to_vec();
        for _ in 0..1 + random.below(3) {
            // Half of the damage goes where blocks are, at the end.
            let from = if random.below(2) == 0 { 16 } else { content.len() as u64 - 70_000 };
            let at = (from + random.below(content.len() as u64 - 4 - from)) as usize;
            content[at..at + 4].copy_from_slice(&random.next().to_le_bytes()[..4]);
        }
        let sum = checksum(&content);
        content.extend(sum.to_le_bytes());
        fs::write(&path, content).unwrap();
        if let Ok((index, _)) = HashIndex::load(SEED, &path) {
            loaded += 1;
            for (id, hash) in (0u64..).zip(all).take(300) {
                let _ = index.search(hash, 31, 100);
                index.remove(id, hash);
                index.insert(id | 1 << 33, hash);
            }
        }
    }
    assert!(loaded > 0, "nothing got past the checks, so what lies behind was not tried");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_bytes_behind_a_right_header_are_refused_or_loaded(
        bytes in proptest::collection::vec(any::<u8>(), 0..400), count in 0u32..6,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        HashIndex::new(SEED).save(&path, 0).unwrap();
        let header = fs::read(&path).unwrap();
        let mut content = [&header[..24], &count.to_le_bytes(), bytes.as_slice()].concat();
        let sum = checksum(&content);
        content.extend(sum.to_le_bytes());
        fs::write(&path, content).unwrap();
        if let Ok((index, _)) = HashIndex::load(SEED, &path) {
            prop_assert!(index.search(&Pdq([0; 32]), 256, usize::MAX).hits.len() == index.len());
        }
    }
}
