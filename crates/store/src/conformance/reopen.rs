//! Checks of a new start: what was acknowledged is there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;
use futures_util::stream::StreamExt;
use watchfire_tlog::frontier::Frontier;

use super::outbox::effect;
use super::{Author, Bench};
use crate::{Batch, Row, SeenItem, Table};

/// Logs, holes, views, ledgers, blobs, outbox and seen table outlive the handle.
pub async fn everything_is_there_after_a_new_start(bench: &mut dyn Bench) {
    let store = bench.open().await;
    let mut author = Author::new("ann");
    let row = |table| Row { table, key: vec![1], value: Some(vec![2]) };
    let rows = vec![row(Table::View("cases")), row(Table::Ledger("cursors"))];
    let batch = Batch { rows, effects: vec![effect(1)], ..author.batch(700) };
    store.commit(batch).await.unwrap();
    store.erase(author.log(), 3).await.unwrap();
    let sha256 = store.put_blob(Bytes::from_static(b"blob")).await.unwrap();
    let seen = SeenItem { item: "a".to_owned(), seen_ms: 1, signals: vec![1] };
    store.seen_add(vec![seen.clone()]).await.unwrap();
    drop(store);

    let store = bench.open().await;
    let heads = store.logs().await.unwrap();
    assert_eq!((heads.len(), heads[0].size), (1, 700));
    assert_eq!(heads[0].checkpoint, author.checkpoint());
    let source = store.read(author.log());
    assert_eq!(source.checkpoint().await.unwrap(), Some(author.checkpoint()));
    let held = store.held(author.log(), 0, 700).await.unwrap();
    assert_eq!(held.len(), 700);
    for held in held {
        let mut expected = author.entry(held.index, 100);
        expected.record.take_if(|_| held.index == 3);
        assert_eq!(held.entry, expected);
    }
    assert_eq!(store.row(Table::View("cases"), &[1]).await.unwrap(), Some(vec![2]));
    assert_eq!(store.row(Table::Ledger("cursors"), &[1]).await.unwrap(), Some(vec![2]));
    assert_eq!(store.effects_due("webhook", 0, 9).await.unwrap(), [effect(1)]);
    assert_eq!(store.blob(sha256).await.unwrap(), Some(Bytes::from_static(b"blob")));
    assert_eq!(store.seen(0, 9).await.unwrap()[0].1, seen);
    assert_eq!(store.watch().next().await, Some((author.log().clone(), 700)));
}

/// The size to compare with is that of the log, not of the handle.
pub async fn a_log_grows_on_after_a_new_start(bench: &mut dyn Bench) {
    let mut author = Author::new("ann");
    for _ in 0..4 {
        let store = bench.open().await;
        let mut steps = store.read(author.log()).follow(author.size()).await.unwrap();
        store.commit(author.batch(100)).await.unwrap();
        let step = steps.next().await.unwrap().unwrap();
        assert_eq!(step.from + step.entries.len() as u64, author.size());
        let stale = Author::with_frontier("ann", Frontier::new()).batch(1);
        assert!(store.commit(stale).await.is_err());
    }
    let store = bench.open().await;
    let source = store.read(author.log());
    let mut steps = source.follow(0).await.unwrap();
    let mut next = 0;
    while next < author.size() {
        let step = steps.next().await.unwrap().unwrap();
        assert_eq!(step.from, next);
        next += step.entries.len() as u64;
        assert_eq!(author.verified_size(&step.checkpoint), next);
    }
    let frontier = Frontier::read(&*source, 400).await.unwrap();
    let checkpoint = author.checkpoint().verify(author.log(), &author.key()).unwrap();
    assert_eq!(frontier.root(), checkpoint.root);
}
