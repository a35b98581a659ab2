//! Checks of streams: following one log, watching all.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use futures_util::FutureExt;
use futures_util::stream::{BoxStream, StreamExt};
use watchfire_tlog::{Entry, Extension, SourceError};

use super::{Author, Bench};
use crate::{Batch, MAX_FOLLOW_BYTES, Store};

type Steps = BoxStream<'static, Result<Extension, SourceError>>;

/// First what is durable, then every append as it becomes so; in between the stream waits.
pub async fn a_follower_gets_what_is_there_and_then_what_comes(bench: &mut dyn Bench) {
    let store = bench.open().await;
    let mut author = Author::new("ann");
    let mut steps = follow(&*store, &author, 0).await;
    assert!(steps.next().now_or_never().is_none());
    let (step, committed) = tokio::join!(steps.next(), store.commit(author.batch(2)));
    committed.unwrap();
    assert_step(&author, step, 0, 2);
    assert!(steps.next().now_or_never().is_none());
    for size in 3..20 {
        store.commit(author.batch(1)).await.unwrap();
        assert_step(&author, steps.next().await, size - 1, size);
    }
    let mut late = follow(&*store, &author, 0).await;
    assert_eq!(catch_up(&author, &mut late, 0).await.len(), 19);
    store.commit(author.batch(3)).await.unwrap();
    assert_step(&author, steps.next().await, 19, 22);
    assert_step(&author, late.next().await, 19, 22);
}

/// A start between two checkpoints still ends at one.
pub async fn a_follower_from_the_middle_of_an_append_is_covered(bench: &mut dyn Bench) {
    let store = bench.open().await;
    let mut author = Author::new("ann");
    store.commit(author.batch(10)).await.unwrap();
    let mut steps = follow(&*store, &author, 7).await;
    assert_step(&author, steps.next().await, 7, 10);
}

/// Nothing is handed out before the index that was asked for.
pub async fn a_follower_ahead_of_the_log_waits_for_its_index(bench: &mut dyn Bench) {
    let store = bench.open().await;
    let mut author = Author::new("ann");
    let mut steps = follow(&*store, &author, 5).await;
    store.commit(author.batch(3)).await.unwrap();
    assert!(steps.next().now_or_never().is_none());
    store.commit(author.batch(2)).await.unwrap();
    assert!(steps.next().now_or_never().is_none());
    store.commit(author.batch(4)).await.unwrap();
    assert_step(&author, steps.next().await, 5, 9);
}

/// Who lags behind a log that was signed often gets it in steps of which each is written soon, and a start with the log
/// in memory or only on the disk makes no difference; what was signed at once comes at once.
pub async fn a_follower_that_lags_gets_short_steps(bench: &mut dyn Bench) {
    let mut author = Author::new("ann");
    for open in 0..2 {
        let store = bench.open().await;
        if open == 0 {
            for _ in 0..10 {
                store.commit(author.batch(100)).await.unwrap();
            }
            store.commit(author.batch(600)).await.unwrap();
        }
        let mut steps = follow(&*store, &author, 0).await;
        for from in [0, 200, 400, 600, 800] {
            assert_step(&author, steps.next().await, from, from + 200);
        }
        assert_step(&author, steps.next().await, 1_000, 1_600);
    }
}

/// A catch-up of more than one step's bytes is whole, and every step is within the limit.
pub async fn a_long_catch_up_goes_in_steps_that_each_end_at_a_checkpoint(bench: &mut dyn Bench) {
    let store = bench.open().await;
    let mut author = Author::new("ann");
    for count in [3, 1, 4, 2, 5, 3, 1, 4, 2, 5] {
        let entries = author.size()..author.size() + count;
        let entries = entries.map(|index| author.entry(index, 300_000)).collect();
        let append = Some(author.append_entries(entries));
        store.commit(Batch { append, ..Batch::default() }).await.unwrap();
    }
    let mut steps = follow(&*store, &author, 0).await;
    let entries = catch_up(&author, &mut steps, 0).await;
    let expected: Vec<Entry> = (0..30).map(|index| author.entry(index, 300_000)).collect();
    assert!(entries == expected);
    assert!(steps.next().now_or_never().is_none());
}

/// An append of holes that were filled with more than a step can carry still goes in one step.
pub async fn records_that_do_not_fit_in_the_smallest_step_go_as_holes(bench: &mut dyn Bench) {
    let store = bench.open().await;
    let mut author = Author::new("ann");
    let mut entries: Vec<Entry> = (0..6).map(|index| author.entry(index, 0)).collect();
    entries.iter_mut().for_each(|entry| entry.record = None);
    let append = Some(author.append_entries(entries));
    store.commit(Batch { append, ..Batch::default() }).await.unwrap();
    store.commit(author.batch(1)).await.unwrap();
    for index in 0..6 {
        let record = author.entry(index, 1_000_000).record.unwrap();
        store.fill(author.log(), index, record).await.unwrap();
    }
    let mut steps = follow(&*store, &author, 0).await;
    let step = steps.next().await.unwrap().unwrap();
    assert_eq!((step.from, step.entries.len()), (0, 6));
    assert_eq!(author.verified_size(&step.checkpoint), 6);
    let kept: Vec<bool> = step.entries.iter().map(|entry| entry.record.is_some()).collect();
    assert_eq!(kept, [true, true, false, false, false, false]);
    let record = step.entries[1].record.as_ref();
    assert!(record == author.entry(1, 1_000_000).record.as_ref());
    assert_step(&author, steps.next().await, 6, 7);
}

/// What was erased is handed out to nobody any more.
pub async fn a_follower_sees_an_erased_record_as_a_hole(bench: &mut dyn Bench) {
    let store = bench.open().await;
    let mut author = Author::new("ann");
    store.commit(author.batch(3)).await.unwrap();
    store.erase(author.log(), 1).await.unwrap();
    let mut steps = follow(&*store, &author, 0).await;
    let step = steps.next().await.unwrap().unwrap();
    let kept: Vec<bool> = step.entries.iter().map(|entry| entry.record.is_some()).collect();
    assert_eq!(kept, [true, false, true]);
}

/// A stream does not keep a store open, and does not hang when it is gone.
pub async fn streams_end_when_the_store_is_dropped(bench: &mut dyn Bench) {
    let store = bench.open().await;
    let mut author = Author::new("ann");
    store.commit(author.batch(1)).await.unwrap();
    let source = store.read(author.log());
    let mut steps = source.follow(0).await.unwrap();
    let mut watch = store.watch();
    assert_step(&author, steps.next().await, 0, 1);
    assert_eq!(watch.next().await, Some((author.log().clone(), 1)));
    drop(store);
    if bench.keeps_store() {
        return;
    }
    let end = steps.next().await;
    assert!(matches!(end, Some(Err(SourceError::Unreachable(_)))), "{end:?}");
    assert!(steps.next().await.is_none());
    assert!(watch.next().await.is_none());
    assert!(source.checkpoint().await.is_err());
    assert!(source.follow(0).await.is_err());
}

/// A watcher first hears all logs as they are, then the last size of every log that grew.
pub async fn a_watcher_gets_all_logs_and_then_every_growth(bench: &mut dyn Bench) {
    let store = bench.open().await;
    let mut empty = store.watch();
    assert!(empty.next().now_or_never().is_none());
    let (mut ann, mut bob) = (Author::new("ann"), Author::new("bob"));
    store.commit(ann.batch(2)).await.unwrap();
    store.commit(bob.batch(3)).await.unwrap();
    let mut watch = store.watch();
    assert_eq!(watch.next().await, Some((ann.log().clone(), 2)));
    assert_eq!(watch.next().await, Some((bob.log().clone(), 3)));
    assert!(watch.next().now_or_never().is_none());
    let (news, committed) = tokio::join!(watch.next(), store.commit(bob.batch(1)));
    committed.unwrap();
    assert_eq!(news, Some((bob.log().clone(), 4)));

    for _ in 0..10 {
        store.commit(ann.batch(1)).await.unwrap();
        store.commit(bob.batch(1)).await.unwrap();
    }
    let mut heard = BTreeMap::new();
    while let Some(Some((log, size))) = watch.next().now_or_never() {
        assert!(heard.insert(log, size) < Some(size));
    }
    assert_eq!(heard, BTreeMap::from([(ann.log().clone(), 12), (bob.log().clone(), 14)]));
    let row = crate::Row { table: crate::Table::View("v"), key: vec![1], value: None };
    store.commit(Batch { rows: vec![row], ..Batch::default() }).await.unwrap();
    assert!(watch.next().now_or_never().is_none());
}

async fn follow(store: &dyn Store, author: &Author, from: u64) -> Steps {
    store.read(author.log()).follow(from).await.unwrap()
}

/// Checks that a step goes exactly `from..to` under a checkpoint of that size.
fn assert_step(author: &Author, step: Option<Result<Extension, SourceError>>, from: u64, to: u64) {
    let step = step.expect("the stream goes on").unwrap();
    assert_eq!(step.from, from);
    let expected: Vec<Entry> = (from..to).map(|index| author.entry(index, 100)).collect();
    assert_eq!(step.entries, expected);
    assert_eq!(author.verified_size(&step.checkpoint), to);
}

/// Follows to the author's size, with the checks that hold for every step.
async fn catch_up(author: &Author, steps: &mut Steps, from: u64) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    while from + (entries.len() as u64) < author.size() {
        let step = steps.next().await.expect("the stream goes on").unwrap();
        assert_eq!(step.from, from + entries.len() as u64);
        assert!(
            step.entries.iter().map(crate::size::entry_bytes).sum::<usize>() <= MAX_FOLLOW_BYTES
        );
        entries.extend(step.entries);
        assert_eq!(author.verified_size(&step.checkpoint), from + entries.len() as u64);
    }
    entries
}
