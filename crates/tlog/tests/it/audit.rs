//! Audits: a sound log passes, and every kind of damage is found where it is.

use futures_util::{FutureExt as _, StreamExt as _};
use proptest::prelude::*;
use watchfire_tlog::{
    AuditProblem, AuditReport, CheckpointError, EMPTY_ROOT, Entry, MAX_LEAF_BYTES, OwnKey,
    SignedCheckpoint, Source, Verified, audit, leaf_hash,
};

use crate::book::{Book, entry, now, origin, peer_key};

fn audited(book: &Book) -> AuditReport {
    now(audit(book, &origin(), &peer_key(), &mut |_, _| {}))
}

#[test]
fn a_sound_log_passes_with_every_tile_checked() {
    let book = Book { answer: 700, ..Book::of(3000) };
    let mut steps = Vec::new();
    let report = now(audit(&book, &origin(), &peer_key(), &mut |at, of| steps.push((at, of))));
    assert!(report.is_sound(), "{:?}", report.problem);
    assert_eq!((report.size, report.root), (3000, book.head(3000).root));
    assert_eq!((report.tile_hashes, report.tile_hashes_missing), (3000 + 11, 0));
    assert_eq!(report.records, 2400);
    assert_eq!(report.checkpoint, book.checkpoint);
    assert_eq!(steps, [(700, 3000), (1400, 3000), (2100, 3000), (2800, 3000), (3000, 3000)]);
}

#[test]
fn a_log_without_tiles_is_still_audited_from_its_entries() {
    let report = audited(&Book { without_tiles: true, ..Book::of(600) });
    assert!(report.is_sound());
    assert_eq!((report.tile_hashes, report.tile_hashes_missing), (0, 602));
}

#[test]
fn an_empty_log_is_sound_and_entries_without_a_checkpoint_are_not() {
    let report = audited(&Book::default());
    assert!(report.is_sound());
    assert_eq!((report.size, report.root, report.checkpoint), (0, EMPTY_ROOT, None));
    let book = Book { checkpoint: None, ..Book::of(3) };
    assert_eq!(audited(&book).problem, Some(AuditProblem::NoCheckpoint));
}

#[test]
fn damage_is_named_where_it_is() {
    let good = Book::of(2000);
    let problem = |change: &dyn Fn(&mut Book)| {
        let mut bad = good.clone();
        change(&mut bad);
        audited(&bad).problem.unwrap()
    };
    let changed = problem(&|b| b.entries[1500] = entry(1500, "two"));
    assert_eq!(changed, AuditProblem::Tile { level: 0, index: 1500 });
    let without = problem(&|b| {
        b.entries[1500] = entry(1500, "two");
        b.without_tiles = true;
    });
    assert_eq!(without, AuditProblem::Root);
    let tile = problem(&|b| b.levels[1][6] = leaf_hash(b""));
    assert_eq!(tile, AuditProblem::Tile { level: 1, index: 6 });
    assert_eq!(problem(&|b| b.entries.truncate(1999)), AuditProblem::Missing { index: 1999 });
    let long = problem(&|b| b.entries[7] = Entry::new(vec![0; MAX_LEAF_BYTES + 1], None));
    assert_eq!(long, AuditProblem::Leaf { index: 7 });
    let foreign = problem(&|b| {
        let key = OwnKey::from_seed(&[2; 32]);
        b.checkpoint = Some(SignedCheckpoint::sign(&b.head(2000), &key));
    });
    assert!(matches!(foreign, AuditProblem::Checkpoint(CheckpointError::Note(_))));
    let rewritten = problem(&|b| {
        *b = Book { checkpoint: b.checkpoint.clone(), ..Book::with_story(2000, 900, "two") };
    });
    assert_eq!(rewritten, AuditProblem::Root);
}

#[test]
fn following_a_log_gives_extensions_that_verify_and_then_waits() {
    let book = Book::of(10);
    let mut stream = now(book.follow(4)).unwrap();
    let first = Verified::new(origin(), peer_key()).extend(&book.extension(0, 4, 4)).unwrap();
    let extension = now(stream.next()).unwrap().unwrap();
    assert_eq!(first.state.extend(&extension).unwrap().state.size(), 10);
    assert!(stream.next().now_or_never().is_none());
    assert!(now(book.follow(11)).unwrap().next().now_or_never().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_log_with_one_leaf_changed_never_passes(
        size in 1..2500u64,
        at: prop::sample::Index,
        without_tiles: bool,
        answer in 0..900usize,
    ) {
        let mut book = Book { answer, without_tiles, ..Book::of(size) };
        prop_assert!(audited(&book).is_sound());
        let index = at.index(size as usize);
        book.entries[index] = entry(index as u64, "two");
        let expected = if without_tiles {
            AuditProblem::Root
        } else {
            AuditProblem::Tile { level: 0, index: index as u64 }
        };
        prop_assert_eq!(audited(&book).problem, Some(expected));
    }
}
