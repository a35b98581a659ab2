//! Frontiers: the root is the one of the definition, and a restart needs tile hashes only.

use proptest::prelude::*;
use watchfire_tlog::frontier::FrontierError;
use watchfire_tlog::tile::new_tile_hashes;
use watchfire_tlog::{EMPTY_ROOT, Frontier, Hash, SourceError, leaf_hash, node_hash};

use crate::book::{Book, now};

/// The Merkle tree hash as RFC 6962 section 2.1 defines it, word for word.
pub(crate) fn root_by_definition(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => EMPTY_ROOT,
        [leaf] => *leaf,
        leaves => {
            let mut k = 1;
            while k * 2 < leaves.len() {
                k *= 2;
            }
            node_hash(&root_by_definition(&leaves[..k]), &root_by_definition(&leaves[k..]))
        }
    }
}

fn leaves(count: u64) -> Vec<Hash> {
    (0..count).map(|i| leaf_hash(&i.to_be_bytes())).collect()
}

#[test]
fn the_root_is_the_one_of_the_definition_at_every_size() {
    let all = leaves(600);
    let mut frontier = Frontier::new();
    for (size, leaf) in all.iter().enumerate() {
        assert_eq!(frontier.root(), root_by_definition(&all[..size]), "size {size}");
        assert_eq!(frontier.roots().len() as u32, (size as u64).count_ones());
        frontier.append(*leaf);
    }
}

#[test]
fn a_tile_hash_is_the_root_of_its_leaves() {
    let all = leaves(256 * 256 + 300);
    let (mut frontier, mut completed) = (Frontier::new(), Vec::new());
    for leaf in &all {
        frontier.append_tiles(*leaf, &mut completed);
    }
    assert_eq!(completed.len(), 257 + 1);
    for tile in completed {
        let width = 256usize.pow(u32::from(tile.level));
        let from = tile.index as usize * width;
        assert_eq!(tile.hash, root_by_definition(&all[from..from + width]));
    }
}

#[test]
fn a_restart_at_ten_million_reads_a_few_hundred_hashes() {
    let needs = Frontier::needs(10_000_000);
    assert_eq!(needs.iter().map(|range| range.to - range.from).sum::<u64>(), 128 + 150 + 152);
    assert!(Frontier::needs(0).is_empty());
}

#[test]
fn hashes_that_do_not_fit_the_size_make_no_frontier() {
    let book = Book::of(300);
    let parts = vec![book.levels[1][..1].to_vec(), book.levels[0][256..300].to_vec()];
    assert_eq!(Frontier::from_tile_hashes(300, &parts), Ok(book.frontier(300)));
    for size in [0, 255, 256, 299, 301, 556, u64::MAX] {
        assert_eq!(Frontier::from_tile_hashes(size, &parts), Err(FrontierError), "{size}");
    }
    // What the reader has not is said, not guessed.
    let error = now(Frontier::read(&book, 301)).unwrap_err();
    assert!(matches!(error, SourceError::Broken(_)), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_frontier_read_back_grows_like_the_one_that_never_stopped(
        size in 0..2000u64,
        more in 0..2000u64,
        answer in 0..40usize,
    ) {
        let book = Book { answer, ..Book::of(size + more) };
        let mut again = now(Frontier::read(&book, size)).unwrap();
        prop_assert_eq!(again.root(), root_by_definition(&book.levels.first().map_or(vec![], |l| l[..size as usize].to_vec())));
        let new: Vec<Hash> = book.entries[size as usize..].iter().map(|e| e.leaf_hash()).collect();
        let completed = now(new_tile_hashes(size, &new, &book)).unwrap();
        for leaf in &new {
            again.append(*leaf);
        }
        prop_assert_eq!(&again, &book.frontier(size + more));
        let all = (size + more) / 256;
        prop_assert_eq!(completed.len() as u64, all - size / 256);
        for tile in completed {
            prop_assert_eq!(tile.hash, book.levels[tile.level as usize][tile.index as usize]);
        }
    }
}
