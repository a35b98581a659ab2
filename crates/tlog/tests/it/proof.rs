//! Proofs: every true statement has one, no false statement has, and `ct-merkle` agrees.

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::prelude::*;
use sha2::Sha256;
use watchfire_tlog::proof::{
    MAX_PROOF_HASHES, consistency, inclusion, root, verify_consistency, verify_inclusion,
};
use watchfire_tlog::{EMPTY_ROOT, Hash, MAX_SIZE, ProofError, SourceError, leaf_hash, node_hash};

use crate::book::{Book, now};

fn foreign(book: &Book, size: u64) -> MemoryBackedTree<Sha256, Vec<u8>> {
    let mut tree = MemoryBackedTree::new();
    for entry in &book.entries[..size as usize] {
        tree.push(entry.leaf.to_vec());
    }
    tree
}

fn bytes(proof: &[Hash]) -> Vec<u8> {
    proof.iter().flat_map(|hash| hash.0).collect()
}

#[test]
fn every_leaf_of_every_small_tree_is_proven_and_nowhere_else() {
    let book = Book::of(40);
    for size in 1..=40 {
        let root = book.head(size).root;
        for index in 0..size {
            let proof = now(inclusion(&book, index, size)).unwrap();
            for claimed in 0..size {
                let leaf = book.entries[index as usize].leaf_hash();
                let result = verify_inclusion(&leaf, claimed, size, &root, &proof);
                assert_eq!(result.is_ok(), claimed == index, "leaf {index} as {claimed} of {size}");
            }
        }
    }
}

#[test]
fn every_small_tree_is_proven_the_beginning_of_every_larger_one_and_of_no_other() {
    let book = Book::of(40);
    let other = Book::with_story(40, 20, "two");
    for new in 0..=40 {
        for old in 0..=new {
            let (old_root, new_root) = (book.head(old).root, book.head(new).root);
            let proof = now(consistency(&book, old, new)).unwrap();
            assert_eq!(verify_consistency(old, &old_root, new, &new_root, &proof), Ok(()));
            let lie = other.head(old).root;
            let result = verify_consistency(old, &lie, new, &new_root, &proof);
            assert_eq!(result.is_ok(), old <= 20, "{old} of {new}");
            if old != new {
                assert!(verify_consistency(new, &new_root, old, &old_root, &proof).is_err());
            }
        }
    }
}

#[test]
fn a_proof_that_ends_below_the_top_of_the_tree_is_refused() {
    let book = Book::of(8);
    for new in 2..=8 {
        for old in 1..new {
            let (old_root, new_root) = (book.head(old).root, book.head(new).root);
            let proof = now(consistency(&book, old, new)).unwrap();
            for taller in [16, 17, 1000, MAX_SIZE] {
                let result = verify_consistency(old, &old_root, taller, &new_root, &proof);
                assert_eq!(result, Err(ProofError::Wrong), "{old} of {new} as of {taller}");
            }
        }
    }
}

#[test]
fn the_empty_tree_is_the_beginning_of_every_tree_and_only_with_its_own_root() {
    let book = Book::of(3);
    let three = book.head(3).root;
    assert_eq!(verify_consistency(0, &EMPTY_ROOT, 3, &three, &[]), Ok(()));
    assert_eq!(verify_consistency(0, &EMPTY_ROOT, 0, &EMPTY_ROOT, &[]), Ok(()));
    assert_eq!(verify_consistency(0, &three, 3, &three, &[]), Err(ProofError::Wrong));
    assert_eq!(verify_consistency(0, &EMPTY_ROOT, 0, &three, &[]), Err(ProofError::Wrong));
    assert_eq!(verify_consistency(0, &EMPTY_ROOT, 3, &three, &[three]), Err(ProofError::Wrong));
    assert_eq!(verify_consistency(3, &three, 3, &three, &[three]), Err(ProofError::Wrong));
    assert_eq!(verify_consistency(3, &EMPTY_ROOT, 3, &three, &[]), Err(ProofError::Wrong));
}

#[test]
fn what_is_outside_the_tree_has_no_proof() {
    let book = Book::of(5);
    assert_eq!(now(inclusion(&book, 5, 5)), Err(ProofError::Range));
    assert_eq!(now(inclusion(&book, 0, 0)), Err(ProofError::Range));
    assert_eq!(now(consistency(&book, 4, 3)), Err(ProofError::Range));
    assert_eq!(now(consistency(&book, 4, MAX_SIZE + 1)), Err(ProofError::Range));
    let missing = now(inclusion(&book, 5, 6)).unwrap_err();
    assert!(matches!(missing, ProofError::Source(SourceError::Broken(_))));
    let hash = leaf_hash(b"");
    assert_eq!(verify_inclusion(&hash, 5, 5, &hash, &[]), Err(ProofError::Range));
    assert_eq!(verify_inclusion(&hash, 0, u64::MAX, &hash, &[]), Err(ProofError::Range));
    assert_eq!(verify_consistency(1, &hash, u64::MAX, &hash, &[]), Err(ProofError::Range));
}

#[test]
fn the_longest_proofs_have_the_named_length() {
    // No tree of that size can be built; its left edge over one hash that stands for all else can.
    let size = MAX_SIZE;
    let proof = vec![EMPTY_ROOT; size.ilog2() as usize + 1];
    let root = proof.iter().fold(leaf_hash(b""), |hash, right| node_hash(&hash, right));
    assert_eq!(verify_inclusion(&leaf_hash(b""), 0, size, &root, &proof), Ok(()));
    assert!(proof.len() <= MAX_PROOF_HASHES);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn inclusion_proofs_are_those_of_ct_merkle(size in 1..2000u64, at: prop::sample::Index, answer in 0..50usize) {
        let book = Book { answer, ..Book::of(size) };
        let index = at.index(size as usize) as u64;
        let tree = foreign(&book, size);
        let proof = now(inclusion(&book, index, size)).unwrap();
        let (their_root, our_root) = (tree.root(), book.head(size).root);
        prop_assert_eq!(their_root.as_bytes().as_slice(), our_root.as_ref());
        let theirs = tree.prove_inclusion(index as usize);
        prop_assert_eq!(bytes(&proof), theirs.as_bytes());
        let leaf = book.entries[index as usize].leaf_hash();
        prop_assert_eq!(verify_inclusion(&leaf, index, size, &book.head(size).root, &proof), Ok(()));
    }

    #[test]
    fn consistency_proofs_are_those_of_ct_merkle(new in 2..2000u64, at: prop::sample::Index) {
        let book = Book::of(new);
        let old = at.index(new as usize - 1) as u64 + 1;
        let proof = now(consistency(&book, old, new)).unwrap();
        let theirs = foreign(&book, new).prove_consistency((new - old) as usize);
        prop_assert_eq!(bytes(&proof), theirs.as_bytes());
        prop_assert_eq!(now(root(&book, old)).unwrap(), book.head(old).root);
    }

    #[test]
    fn a_tampered_proof_proves_nothing(
        new in 2..600u64,
        at: prop::sample::Index,
        place: prop::sample::Index,
        bit in 0..256usize,
    ) {
        let book = Book::of(new);
        let old = at.index(new as usize - 1) as u64 + 1;
        let leaf = book.entries[old as usize - 1].leaf_hash();
        let (old_root, new_root) = (book.head(old).root, book.head(new).root);
        let one = now(inclusion(&book, old - 1, new)).unwrap();
        let all = now(consistency(&book, old, new)).unwrap();
        for change in 0..4 {
            let tamper = |proof: &[Hash]| {
                let mut proof = proof.to_vec();
                let at = place.index(proof.len());
                match change {
                    0 => proof[at].0[bit / 8] ^= 1 << (bit % 8),
                    1 => { proof.remove(at); }
                    2 => proof.insert(at, EMPTY_ROOT),
                    _ => proof.push(new_root),
                }
                proof
            };
            prop_assert!(verify_inclusion(&leaf, old - 1, new, &new_root, &tamper(&one)).is_err());
            prop_assert!(verify_consistency(old, &old_root, new, &new_root, &tamper(&all)).is_err());
        }
        prop_assert!(verify_inclusion(&old_root, old - 1, new, &EMPTY_ROOT, &one).is_err());
        prop_assert!(verify_consistency(old, &EMPTY_ROOT, new, &new_root, &all).is_err());
        prop_assert!(verify_consistency(old, &old_root, new, &EMPTY_ROOT, &all).is_err());
    }

    #[test]
    fn no_input_makes_a_checker_panic(
        index: u64,
        size: u64,
        hashes in prop::collection::vec(any::<[u8; 32]>().prop_map(Hash), 0..70),
    ) {
        let root = EMPTY_ROOT;
        prop_assert!(verify_inclusion(&root, index, size, &root, &hashes).is_err());
        let trivial = hashes.is_empty() && (index == size || index == 0);
        prop_assert!(trivial || verify_consistency(index, &root, size, &root, &hashes).is_err());
    }
}
