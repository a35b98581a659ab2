//! Checks of logs: appends, conflicts, what a source answers, holes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;
use futures_util::future::join_all;
use watchfire_tlog::frontier::Frontier;
use watchfire_tlog::hash::TILE_WIDTH;
use watchfire_tlog::{Hash, proof};

use super::author::{VERIFIED_MS, record};
use super::outbox::effect;
use super::{Author, Bench};
use crate::{Append, Batch, CommitError, Row, Store, StoreError, Table};

/// What was appended is what a source hands out, and the head is the newest checkpoint.
pub async fn an_append_is_read_back_with_its_checkpoint(bench: &mut dyn Bench) {
    let store = bench.open().await;
    let mut author = Author::new("ann");
    assert!(store.read(author.log()).checkpoint().await.unwrap().is_none());
    assert!(store.logs().await.unwrap().is_empty());
    let first = author.append(3);
    commit(&*store, first.clone()).await;
    let second = author.append(2);
    commit(&*store, second.clone()).await;

    let source = store.read(author.log());
    assert_eq!(source.checkpoint().await.unwrap(), Some(second.checkpoint.clone()));
    let entries = source.entries(0, 5).await.unwrap();
    assert_eq!(entries, [first.entries, second.entries].concat());
    let heads = store.logs().await.unwrap();
    assert_eq!(heads.len(), 1);
    assert_eq!((&heads[0].log, heads[0].size), (author.log(), 5));
    assert_eq!(heads[0].checkpoint, second.checkpoint);
}

/// An append from a size that the log has not fails, says which size it has, and changes nothing.
pub async fn an_append_at_another_size_is_a_conflict_that_leaves_nothing(bench: &mut dyn Bench) {
    let store = bench.open().await;
    let mut author = Author::new("ann");
    let stale = author.append(2);
    commit(&*store, stale.clone()).await;
    let missed = author.append(1);
    let ahead = author.append(1);
    for append in [stale, ahead] {
        let expected = append.size;
        let log = append.log.clone();
        let error = store.commit(with_company(append)).await.unwrap_err();
        assert_eq!(error, CommitError::Conflict { log, expected, actual: 2 });
    }
    assert_company(&*store, false).await;
    assert_eq!(store.logs().await.unwrap()[0].size, 2);
    assert_eq!(store.read(author.log()).entries(0, 9).await.unwrap().len(), 2);
    assert_eq!(store.read(author.log()).hashes(0, 0, 9).await.unwrap().len(), 2);
    commit(&*store, missed).await;
}

/// Append, rows and effects become visible together.
pub async fn a_batch_is_kept_as_a_whole_or_not_at_all(bench: &mut dyn Bench) {
    let store = bench.open().await;
    let mut author = Author::new("ann");
    let append = author.append(1);
    let mut unsigned = append.clone();
    unsigned.checkpoint.text = unsigned.checkpoint.text.replacen('1', "2", 1);
    assert!(store.commit(with_company(unsigned)).await.is_err());
    assert_company(&*store, false).await;
    store.commit(with_company(append)).await.unwrap();
    assert_company(&*store, true).await;
    assert_eq!(store.logs().await.unwrap()[0].size, 1);
}

/// A batch that cannot be right is refused before it is written, and the store goes on.
pub async fn a_batch_that_contradicts_itself_is_refused(bench: &mut dyn Bench) {
    let store = bench.open().await;
    let good = Author::new("ann").append(2);
    let mut fewer_hashes = good.clone();
    fewer_hashes.leaf_hashes.pop();
    let mut wrong_hash = good.clone();
    wrong_hash.leaf_hashes[1] = Hash([7; 32]);
    let mut other_root = good.clone();
    other_root.checkpoint = {
        let mut other = Author::new("ann");
        other.append(1);
        other.append_entries(vec![good.entries[0].clone()]).checkpoint
    };
    let mut other_log = good.clone();
    other_log.checkpoint = Author::new("bob").append(2).checkpoint;
    let mut empty = good.clone();
    (empty.entries, empty.leaf_hashes) = (Vec::new(), Vec::new());
    let mut author = Author::new("ann");
    let many = author.append(crate::MAX_APPEND_ENTRIES as u64 + 1);
    let mut author = Author::new("ann");
    let large = author.entry(0, crate::MAX_APPEND_BYTES);
    let large = author.append_entries(vec![large]);
    for bad in [fewer_hashes, wrong_hash, other_root, other_log, empty, many, large] {
        let error = store.commit(with_company(bad)).await.unwrap_err();
        assert!(matches!(error, CommitError::Malformed(_)), "{error}");
    }
    let row = Row { table: Table::View("cases"), key: Vec::new(), value: Some(vec![1]) };
    let error = store.commit(Batch { rows: vec![row], ..Batch::default() }).await.unwrap_err();
    assert!(matches!(error, CommitError::Malformed(_)), "{error}");
    assert_company(&*store, false).await;
    assert!(store.logs().await.unwrap().is_empty());
    commit(&*store, good).await;
}

/// Of appends at one size that come at once exactly one is kept, and none disturbs other logs.
pub async fn of_many_writers_at_one_size_one_wins(bench: &mut dyn Bench) {
    let store = bench.open().await;
    let mut bystander = Author::new("bob");
    let rivals = (1..=8).map(|count| Author::new("ann").batch(count));
    let aside = (0..8).map(|_| bystander.batch(1)).collect::<Vec<_>>();
    let batches: Vec<Batch> = rivals.zip(aside).flat_map(|(a, b)| [a, b]).collect();
    let outcome = join_all(batches.into_iter().map(|batch| store.commit(batch))).await;
    let won: Vec<usize> = (0..8).filter(|rival| outcome[rival * 2].is_ok()).collect();
    assert_eq!(won.len(), 1);
    let size = won[0] as u64 + 1;
    for rival in (0..8).filter(|rival| *rival != won[0]) {
        let error = outcome[rival * 2].clone().unwrap_err();
        assert!(
            matches!(error, CommitError::Conflict { expected: 0, actual, .. } if actual == size)
        );
        assert!(outcome[rival * 2 + 1].is_ok());
    }
    let log = Author::new("ann").log().clone();
    assert_eq!(store.read(&log).entries(0, 99).await.unwrap().len() as u64, size);
    assert_eq!(store.read(bystander.log()).entries(0, 99).await.unwrap().len(), 8);
}

/// Logs lie beside each other without touching.
pub async fn logs_do_not_mix(bench: &mut dyn Bench) {
    let store = bench.open().await;
    let mut authors = [Author::new("bob"), Author::new("ann"), Author::new("eve")];
    for round in 1..4 {
        for author in &mut authors {
            store.commit(author.batch(round)).await.unwrap();
        }
    }
    let names: Vec<String> =
        store.logs().await.unwrap().into_iter().map(|head| head.log.to_string()).collect();
    assert_eq!(names, ["watchfire/test/ann/1", "watchfire/test/bob/1", "watchfire/test/eve/1"]);
    for author in &authors {
        let entries = store.read(author.log()).entries(0, 99).await.unwrap();
        assert_eq!(entries, (0..6).map(|index| author.entry(index, 100)).collect::<Vec<_>>());
        let source = store.read(author.log());
        assert_eq!(source.hashes(0, 0, 99).await.unwrap().len(), 6);
    }
}

/// The tile hashes of every level are those of the tree, however the log grew.
pub async fn tile_hashes_make_the_proofs_of_the_log(bench: &mut dyn Bench) {
    let store = bench.open().await;
    let mut author = Author::new("ann");
    for count in [1, 254, 1, 1, 300, 600, 43] {
        store.commit(author.batch(count)).await.unwrap();
    }
    let source = store.read(author.log());
    let signed = source.checkpoint().await.unwrap().unwrap();
    let checkpoint = signed.verify(author.log(), &author.key()).unwrap();
    assert_eq!(checkpoint.size, 1200);
    assert_eq!(source.hashes(1, 0, 99).await.unwrap().len() as u64, 1200 / TILE_WIDTH);
    let frontier = Frontier::read(&*source, 1200).await.unwrap();
    assert_eq!(frontier.root(), checkpoint.root);
    for index in [0, 255, 256, 777, 1199] {
        let path = proof::inclusion(&*source, index, 1200).await.unwrap();
        let leaf = author.entry(index, 0).leaf_hash();
        proof::verify_inclusion(&leaf, index, 1200, &checkpoint.root, &path).unwrap();
    }
}

/// `held` says when an entry was verified here.
pub async fn held_entries_carry_the_time_of_their_verification(bench: &mut dyn Bench) {
    let store = bench.open().await;
    let mut author = Author::new("ann");
    store.commit(author.batch(3)).await.unwrap();
    store.commit(author.batch(2)).await.unwrap();
    let held = store.held(author.log(), 1, 3).await.unwrap();
    let times: Vec<(u64, u64)> = held.iter().map(|held| (held.index, held.verified_ms)).collect();
    assert_eq!(times, [(1, VERIFIED_MS), (2, VERIFIED_MS), (3, VERIFIED_MS + 3)]);
    assert_eq!(held[2].entry, author.entry(3, 100));
    assert!(store.held(author.log(), 5, 9).await.unwrap().is_empty());
    assert!(store.held(author.log(), u64::MAX, 9).await.unwrap().is_empty());
    assert!(store.held(author.log(), 0, 0).await.unwrap().is_empty());
}

/// `fill` fills holes only, `erase` makes them, the leaf stays and so does the tree.
pub async fn a_hole_is_filled_once_and_an_erased_record_is_gone(bench: &mut dyn Bench) {
    let store = bench.open().await;
    let mut author = Author::new("ann");
    let mut entries: Vec<_> = (0..3).map(|index| author.entry(index, 100)).collect();
    entries[1].record = None;
    commit(&*store, author.append_entries(entries)).await;
    let source = store.read(author.log());
    assert_eq!(source.records(&[1]).await.unwrap(), [None]);

    let late = record(&author.entry(1, 50)).clone();
    store.fill(author.log(), 1, late.clone()).await.unwrap();
    store.fill(author.log(), 1, Bytes::from_static(b"another")).await.unwrap();
    assert_eq!(source.records(&[1]).await.unwrap(), [Some(late.clone())]);
    assert_eq!(store.held(author.log(), 1, 1).await.unwrap()[0].entry.record, Some(late));

    store.erase(author.log(), 2).await.unwrap();
    store.erase(author.log(), 2).await.unwrap();
    let entries = source.entries(0, 3).await.unwrap();
    assert_eq!(entries[2].record, None);
    assert_eq!(entries[2].leaf, author.entry(2, 0).leaf);
    assert_eq!(entries[0], author.entry(0, 100));
    assert_eq!(store.held(author.log(), 2, 1).await.unwrap()[0].entry.record, None);
    assert_eq!(source.hashes(0, 2, 3).await.unwrap(), [author.entry(2, 0).leaf_hash()]);

    let (record, stranger) = (Bytes::from_static(b"record"), Author::new("bob"));
    for (log, index) in [(author.log(), 3), (author.log(), u64::MAX), (stranger.log(), 0)] {
        let filled = store.fill(log, index, record.clone()).await;
        assert!(matches!(filled, Err(StoreError::Failed(_))), "{filled:?}");
        assert!(matches!(store.erase(log, index).await, Err(StoreError::Failed(_))));
    }
}

/// Ranges beyond the end of a log, or of a log that nobody knows, are answered with what there is.
pub async fn a_source_answers_with_less_than_asked_and_never_with_more(bench: &mut dyn Bench) {
    let store = bench.open().await;
    let mut author = Author::new("ann");
    store.commit(author.batch(5)).await.unwrap();
    let source = store.read(author.log());
    for (from, to, count) in
        [(0, 3, 3), (3, 99, 2), (5, 9, 0), (3, 3, 0), (4, 2, 0), (u64::MAX, u64::MAX, 0)]
    {
        assert_eq!(source.entries(from, to).await.unwrap().len(), count, "{from}..{to}");
        assert_eq!(source.hashes(0, from, to).await.unwrap().len(), count, "{from}..{to}");
    }
    assert!(source.hashes(1, 0, 9).await.unwrap().is_empty());
    assert!(source.hashes(255, 0, 9).await.unwrap().is_empty());
    let records = source.records(&[4, 0, 5, u64::MAX, 4]).await.unwrap();
    let (last, first) = (author.entry(4, 100).record, author.entry(0, 100).record);
    assert_eq!(records, [last.clone(), first, None, None, last]);

    let unknown = store.read(Author::new("bob").log());
    assert!(unknown.checkpoint().await.unwrap().is_none());
    assert!(unknown.entries(0, 9).await.unwrap().is_empty());
    assert!(unknown.hashes(0, 0, 9).await.unwrap().is_empty());
    assert_eq!(unknown.records(&[0]).await.unwrap(), [None]);
}

async fn commit(store: &dyn Store, append: Append) {
    store.commit(Batch { append: Some(append), ..Batch::default() }).await.unwrap();
}

/// The append with rows and an effect in one batch.
fn with_company(append: Append) -> Batch {
    let row = |table| Row { table, key: vec![1], value: Some(vec![2]) };
    let rows = vec![row(Table::View("cases")), row(Table::Ledger("cursors"))];
    Batch { append: Some(append), rows, effects: vec![effect(1)], ..Batch::default() }
}

async fn assert_company(store: &dyn Store, there: bool) {
    assert_eq!(store.row(Table::View("cases"), &[1]).await.unwrap().is_some(), there);
    assert_eq!(store.row(Table::Ledger("cursors"), &[1]).await.unwrap().is_some(), there);
    assert_eq!(store.effects_due("webhook", u64::MAX, 9).await.unwrap().len(), usize::from(there));
}
