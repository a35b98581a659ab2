//! Extensions: what is true is taken, the rest is refused, a fork leaves evidence that convicts.

use bytes::Bytes;
use proptest::prelude::*;
use watchfire_tlog::evidence::compare;
use watchfire_tlog::extend::MAX_EXTENSION_ENTRIES;
use watchfire_tlog::{
    CheckpointError, Entry, Evidence, EvidenceKind, ExtendError, Extension, MAX_LEAF_BYTES, Origin,
    OwnKey, SignedCheckpoint, Urgent, Verified, leaf_hash, proof,
};

use crate::book::{Book, entry, now, origin, own_key, peer_key};

fn fresh() -> Verified {
    Verified::new(origin(), peer_key())
}

/// What a reader of `book` knows after its first `size` leaves.
fn reader(book: &Book, size: u64) -> Verified {
    if size == 0 {
        return fresh();
    }
    fresh().extend(&book.extension(0, size, size)).unwrap().state
}

fn convicts(result: Result<watchfire_tlog::Extended, ExtendError>) -> Evidence {
    let Err(ExtendError::Fork(evidence)) = result else { panic!("no fork: {result:?}") };
    assert!(evidence.check(&origin(), &peer_key()));
    *evidence
}

#[test]
fn a_log_that_only_grew_is_copied() {
    let book = Book::of(700);
    let first = fresh().extend(&book.extension(0, 300, 300)).unwrap();
    assert_eq!((first.state.size(), first.new_entries_from), (300, 0));
    assert_eq!(first.state.signed(), Some(&book.signed(300)));
    assert_eq!(first.tile_hashes.len(), 1);
    let second = first.state.extend(&book.extension(300, 700, 700)).unwrap();
    assert_eq!(second.state.checkpoint(), &book.head(700));
    assert_eq!(second.leaf_hashes, book.levels[0][300..]);
    assert_eq!(second.tile_hashes[0].hash, book.levels[1][1]);
    assert_eq!(second.state.frontier(), &book.frontier(700));
}

#[test]
fn entries_that_we_hold_already_are_skipped() {
    let book = Book::of(20);
    let state = reader(&book, 12);
    let extended = state.extend(&book.extension(7, 20, 20)).unwrap();
    assert_eq!((extended.new_entries_from, extended.leaf_hashes.len()), (5, 8));
    assert_eq!(extended.state.size(), 20);
    let nothing = extended.state.extend(&book.extension(3, 20, 20)).unwrap();
    assert_eq!((nothing.new_entries_from, nothing.leaf_hashes.len()), (17, 0));
    assert_eq!(nothing.state, extended.state);
}

#[test]
fn a_log_signed_by_another_key_is_not_copied() {
    let book = Book::of(3);
    let mut extension = book.extension(0, 3, 3);
    extension.checkpoint = SignedCheckpoint::sign(&book.head(3), &OwnKey::from_seed(&[2; 32]));
    assert_eq!(fresh().extend(&extension), Err(ExtendError::WrongKey));
    let broken = extension.checkpoint.text.replace("\n3\n", "\n4\n");
    extension.checkpoint = SignedCheckpoint::new(broken);
    assert_eq!(fresh().extend(&extension), Err(ExtendError::WrongKey));
    extension.checkpoint = SignedCheckpoint::new("not a note");
    assert!(matches!(fresh().extend(&extension), Err(ExtendError::Checkpoint(_))));
}

#[test]
fn a_log_of_another_name_is_not_copied() {
    let book = Book::of(3);
    let mut head = book.head(3);
    head.origin = Origin::new("watchfire/test/bob/1").unwrap();
    let mut extension = book.extension(0, 3, 3);
    extension.checkpoint = SignedCheckpoint::sign(&head, &own_key());
    assert_eq!(fresh().extend(&extension), Err(ExtendError::WrongKey));
    // The same, with a signature under the name that we expect.
    let note =
        watchfire_tlog::note::Note::sign(head.to_string(), origin().as_str(), &own_key()).unwrap();
    extension.checkpoint = SignedCheckpoint::new(note.to_string());
    let other = Err(ExtendError::Checkpoint(CheckpointError::Origin));
    assert_eq!(fresh().extend(&extension), other);
}

#[test]
fn a_changed_missing_added_or_moved_leaf_is_refused() {
    let book = Book::of(9);
    let state = reader(&book, 4);
    let good = book.extension(4, 9, 9);
    let with = |change: &dyn Fn(&mut Vec<Entry>)| {
        let mut bad = good.clone();
        change(&mut bad.entries);
        state.extend(&bad).unwrap_err()
    };
    assert_eq!(with(&|e| e[2].leaf = Bytes::from_static(b"x")), ExtendError::Mismatch);
    assert_eq!(with(&|e| e.swap(0, 1)), ExtendError::Mismatch);
    assert_eq!(with(&|e| drop(e.pop())), ExtendError::NeedsProof { from: 8, to: 9 });
    assert_eq!(with(&|e| drop(e.remove(0))), ExtendError::NeedsProof { from: 8, to: 9 });
    let more = ExtendError::Uncovered { end: 10, size: 9 };
    assert_eq!(with(&|e| e.push(entry(9, "one"))), more);
    // The record is not in the tree: who changes it is caught by the leaf's commitment, one floor
    // up.
    let mut hole = good.clone();
    hole.entries[0].record = None;
    assert!(state.extend(&hole).is_ok());
}

#[test]
fn a_gap_a_step_back_and_an_oversize_are_refused() {
    let book = Book::of(9);
    let state = reader(&book, 4);
    let gap = ExtendError::Gap { held: 4, from: 5 };
    assert_eq!(state.extend(&book.extension(5, 9, 9)), Err(gap));
    let back = ExtendError::Shrunk { ours: 4, theirs: 3 };
    assert_eq!(state.extend(&book.extension(2, 3, 3)), Err(back));
    let mut large = book.extension(4, 9, 9);
    large.entries[0].leaf = vec![0; MAX_LEAF_BYTES + 1].into();
    assert_eq!(state.extend(&large), Err(ExtendError::TooLarge));
    large.entries = vec![entry(0, "one"); MAX_EXTENSION_ENTRIES + 1];
    assert_eq!(state.extend(&large), Err(ExtendError::TooLarge));
    large.from = u64::MAX;
    assert_eq!(state.extend(&large), Err(ExtendError::Gap { held: 4, from: u64::MAX }));
}

#[test]
fn one_size_with_two_roots_convicts_the_author() {
    let (one, two) = (Book::of(9), Book::with_story(9, 6, "two"));
    let evidence = convicts(reader(&one, 9).extend(&two.extension(9, 9, 9)));
    assert_eq!(evidence.kind, EvidenceKind::SameSize);
    let other = OwnKey::from_seed(&[2; 32]).public();
    assert!(!evidence.check(&origin(), &other));
    assert!(!evidence.check(&Origin::new("watchfire/test/bob/1").unwrap(), &peer_key()));
    let same = Evidence { theirs: evidence.ours.clone(), ..evidence.clone() };
    assert!(!same.check(&origin(), &peer_key()));
    let different_size = Evidence { theirs: two.signed(8), ..evidence };
    assert!(!different_size.check(&origin(), &peer_key()));
}

#[test]
fn a_rewritten_past_convicts_the_author_when_the_source_shows_its_tree() {
    let (one, two) = (Book::of(300), Book::with_story(700, 200, "two"));
    let state = reader(&one, 300);
    assert_eq!(state.extend(&two.extension(300, 700, 700)), Err(ExtendError::Mismatch));
    let evidence = convicts(now(state.extend_from(&two, &two.extension(300, 700, 700))));
    assert!(matches!(evidence.kind, EvidenceKind::Prefix { .. }));
    // Catching up in pieces finds it as well.
    convicts(now(state.extend_from(&two, &two.extension(300, 400, 700))));
}

#[test]
fn a_source_that_changes_entries_convicts_nobody() {
    let (one, forger) = (Book::of(700), Book::with_story(700, 200, "two"));
    let state = reader(&one, 300);
    // The checkpoint is the author's, the entries and the hashes are the relay's own.
    let forged = Extension { checkpoint: one.signed(700), ..forger.extension(300, 700, 700) };
    assert_eq!(now(state.extend_from(&forger, &forged)), Err(ExtendError::Mismatch));
    assert_eq!(now(state.extend_from(&one, &forged)), Err(ExtendError::Mismatch));
    let without = Book { without_tiles: true, ..forger };
    assert_eq!(now(state.extend_from(&without, &forged)), Err(ExtendError::Mismatch));
}

#[test]
fn evidence_over_two_sizes_is_bound_to_both_checkpoints() {
    let (one, two) = (Book::of(300), Book::with_story(700, 200, "two"));
    let compare = |reader: &Book, ours: &SignedCheckpoint, theirs: &SignedCheckpoint| {
        now(compare(reader, ours, theirs, &origin(), &peer_key()))
    };
    let evidence = compare(&two, &one.signed(300), &two.signed(700)).unwrap().unwrap();
    assert!(evidence.check(&origin(), &peer_key()));
    // Which of them was believed first does not matter.
    let (ours, theirs) = (evidence.theirs.clone(), evidence.ours.clone());
    let turned = Evidence { ours, theirs, kind: evidence.kind.clone() };
    assert!(turned.check(&origin(), &peer_key()));
    // Nothing convicts an author whose checkpoints agree.
    assert_eq!(compare(&one, &one.signed(300), &one.signed(200)), Ok(None));
    assert_eq!(compare(&two, &one.signed(200), &two.signed(700)), Ok(None));
    assert_eq!(compare(&one, &one.signed(300), &one.signed(300)), Ok(None));
    assert!(compare(&one, &one.signed(300), &two.signed(700)).is_err());
    let innocent = Evidence { ours: two.signed(300), ..evidence.clone() };
    assert!(!innocent.check(&origin(), &peer_key()));
    let EvidenceKind::Prefix { root, proof } = evidence.kind.clone() else { panic!() };
    for kind in [
        EvidenceKind::SameSize,
        EvidenceKind::Prefix { root: leaf_hash(b"invented"), proof: proof.clone() },
        EvidenceKind::Prefix { root: one.head(300).root, proof: proof.clone() },
        EvidenceKind::Prefix { root, proof: proof[1..].to_vec() },
    ] {
        assert!(!Evidence { kind, ..evidence.clone() }.check(&origin(), &peer_key()));
    }
}

#[test]
fn gossip_about_an_older_fork_is_recognised_from_our_own_copy() {
    let (one, two) = (Book::of(700), Book::with_story(300, 200, "two"));
    let found = now(compare(&one, &one.signed(700), &two.signed(300), &origin(), &peer_key()));
    assert!(found.unwrap().unwrap().check(&origin(), &peer_key()));
}

#[test]
fn a_source_that_keeps_only_its_newest_checkpoint_can_be_caught_up_with_in_pieces() {
    let book = Book::of(1000);
    let piece = book.extension(0, 300, 1000);
    let needs = ExtendError::NeedsProof { from: 300, to: 1000 };
    assert_eq!(fresh().extend(&piece), Err(needs));
    let state = now(fresh().extend_from(&book, &piece)).unwrap().state;
    assert_eq!((state.size(), state.checkpoint().size), (300, 1000));
    assert!(!state.proof().is_empty());
    // It survives a restart, and what was stored is checked.
    let resume = |proof| {
        let (signed, frontier) = (state.signed().unwrap().clone(), book.frontier(300));
        Verified::resume(origin(), peer_key(), signed, frontier, proof)
    };
    assert_eq!(resume(state.proof().to_vec()), Ok(state.clone()));
    assert_eq!(resume(state.proof()[1..].to_vec()), Err(ExtendError::Mismatch));
    let state = now(state.extend_from(&book, &book.extension(300, 999, 1000))).unwrap().state;
    let state = state.extend(&book.extension(999, 1000, 1000)).unwrap().state;
    assert_eq!(state, reader(&book, 1000));
}

#[test]
fn while_catching_up_the_first_checkpoint_is_not_forgotten_for_a_second_story() {
    let (one, two) = (Book::of(1000), Book::with_story(1100, 500, "two"));
    let state = now(fresh().extend_from(&one, &one.extension(0, 300, 1000))).unwrap().state;
    // The second story is the same so far; what covers these entries stays the first checkpoint.
    let piece = two.extension(300, 400, 1100);
    let state = now(state.extend_from(&one, &piece)).unwrap().state;
    assert_eq!(state.signed(), Some(&one.signed(1000)));
    // Where the stories part, the entries of the second do not pass through the first checkpoint.
    let rest = two.extension(400, 1100, 1100);
    assert_eq!(state.extend(&rest), Err(ExtendError::Mismatch));
    convicts(now(state.extend_from(&two, &rest)));
    // A checkpoint of exactly what we hold is compared without any source.
    let early = Book::with_story(400, 100, "two");
    convicts(state.extend(&early.extension(400, 400, 400)));
    assert_eq!(state.extend(&one.extension(400, 400, 400)).unwrap().state, state);
}

#[test]
fn a_damaged_store_is_noticed_at_start() {
    let (book, other) = (Book::of(300), Book::with_story(300, 200, "two"));
    let resume =
        |signed, frontier| Verified::resume(origin(), peer_key(), signed, frontier, Vec::new());
    assert_eq!(resume(book.signed(300), book.frontier(300)), Ok(reader(&book, 300)));
    let damaged = Err(ExtendError::Mismatch);
    assert_eq!(resume(book.signed(300), other.frontier(300)), damaged);
    assert_eq!(resume(book.signed(299), book.frontier(300)), damaged);
    assert_eq!(resume(book.signed(300), book.frontier(299)), damaged);
    let foreign = SignedCheckpoint::sign(&book.head(300), &OwnKey::from_seed(&[2; 32]));
    assert_eq!(resume(foreign, book.frontier(300)), Err(ExtendError::WrongKey));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn however_a_log_is_cut_into_extensions_the_copy_is_the_same(
        cuts in prop::collection::vec((0..120u64, 0..200u64, 0..200u64), 1..12),
    ) {
        let book = Book::of(1500);
        let mut state = fresh();
        for (back, forward, ahead) in cuts {
            let from = state.size().saturating_sub(back);
            let to = (from + forward).min(1500);
            let head = (to.max(state.size()) + ahead).min(1500);
            let extended = now(state.extend_from(&book, &book.extension(from, to, head))).unwrap();
            let new = to.saturating_sub(state.size());
            prop_assert_eq!(extended.leaf_hashes.len() as u64, new);
            prop_assert!(extended.state.checkpoint().size >= extended.state.size());
            state = extended.state;
            prop_assert_eq!(state.frontier(), &book.frontier(state.size()));
        }
        let rest = book.extension(state.size(), 1500, 1500);
        prop_assert_eq!(state.extend(&rest).unwrap().state, reader(&book, 1500));
    }

    #[test]
    fn two_stories_never_both_pass_and_the_evidence_always_convicts(
        turn in 0..400u64,
        held in 1..500u64,
        size in 1..500u64,
    ) {
        let (one, two) = (Book::of(500), Book::with_story(500, turn, "two"));
        let state = reader(&one, held);
        if size < held {
            let found = now(compare(&one, &one.signed(held), &two.signed(size), &origin(), &peer_key()));
            prop_assert_eq!(found.unwrap().is_some(), turn < size);
            return Ok(());
        }
        let result = now(state.extend_from(&two, &two.extension(held, size, size)));
        if turn < held {
            convicts(result);
        } else {
            prop_assert_eq!(result.unwrap().state.size(), size);
        }
    }

    #[test]
    fn a_tampered_root_is_refused(size in 1..600u64, bit in 0..256usize) {
        let book = Book::of(size);
        let mut head = book.head(size);
        head.root.0[bit / 8] ^= 1 << (bit % 8);
        let checkpoint = SignedCheckpoint::sign(&head, &own_key());
        let extension = Extension { checkpoint, ..book.extension(0, size, size) };
        prop_assert_eq!(fresh().extend(&extension), Err(ExtendError::Mismatch));
        let proof = now(proof::inclusion(&book, size - 1, size)).unwrap();
        let leaf = book.entries[size as usize - 1].leaf_hash();
        prop_assert!(proof::verify_inclusion(&leaf, size - 1, size, &head.root, &proof).is_err());
    }
}

#[test]
fn what_comes_ahead_of_its_turn_is_proven_or_refused() {
    let book = Book::of(700);
    let head = (&book.signed(700), 700);
    for held in [0, 1, 255, 256, 699, 700] {
        let reader = reader(&book, held);
        for index in [0, 300, 698, 699] {
            let urgent = now(Urgent::of(&book, head, held, index)).unwrap();
            assert_eq!(reader.check_urgent(&urgent), Ok(()), "{index} for {held}");
            let other = Urgent { index: index ^ 1, ..urgent.clone() };
            assert!(reader.check_urgent(&other).is_err(), "another place");
            let other = Urgent { entry: entry(index, "two"), ..urgent.clone() };
            assert!(reader.check_urgent(&other).is_err(), "another leaf");
            let forked = Book::with_story(700, 699, "two");
            let other = Urgent { checkpoint: forked.signed(700), ..urgent };
            assert!(reader.check_urgent(&other).is_err(), "another head");
        }
    }
    let late = now(Urgent::of(&book, head, 300, 650)).unwrap();
    assert!(reader(&book, 400).check_urgent(&late).is_err(), "made for somebody who held less");
}
