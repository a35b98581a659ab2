//! Checks of views, ledgers and blobs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::Bench;
use crate::{Batch, Row, Store, Table};

const VIEW: Table = Table::View("cases");
const LEDGER: Table = Table::Ledger("cases");

/// Table, key, and the value or a deletion.
type Put<'a> = (Table, &'a [u8], Option<&'a [u8]>);

/// A row is what was last written at its key; tables do not mix, also under one name.
pub async fn rows_are_written_replaced_and_deleted(bench: &mut dyn Bench) {
    let store = bench.open().await;
    put(&*store, &[(VIEW, b"a", Some(b"1")), (LEDGER, b"a", Some(b"2"))]).await;
    put(&*store, &[(Table::View("other"), b"a", Some(b"3")), (VIEW, b"b", Some(b""))]).await;
    assert_eq!(store.row(VIEW, b"a").await.unwrap().unwrap(), b"1");
    assert_eq!(store.row(LEDGER, b"a").await.unwrap().unwrap(), b"2");
    assert_eq!(store.row(VIEW, b"b").await.unwrap().unwrap(), b"");
    assert_eq!(store.row(VIEW, b"c").await.unwrap(), None);
    put(&*store, &[(VIEW, b"a", Some(b"4")), (VIEW, b"b", None), (LEDGER, b"x", None)]).await;
    assert_eq!(store.row(VIEW, b"a").await.unwrap().unwrap(), b"4");
    assert_eq!(store.row(VIEW, b"b").await.unwrap(), None);
    put(&*store, &[(VIEW, b"a", Some(b"5")), (VIEW, b"a", None), (VIEW, b"a", Some(b"6"))]).await;
    assert_eq!(store.row(VIEW, b"a").await.unwrap().unwrap(), b"6");
    assert_eq!(store.row(Table::View("other"), b"a").await.unwrap().unwrap(), b"3");
}

/// Pages are in byte order of the key and begin strictly above it.
pub async fn rows_are_listed_in_byte_order_from_any_key(bench: &mut dyn Bench) {
    let store = bench.open().await;
    let keys: [&[u8]; 6] = [b"\xff", b"a\x00", b"a", b"\x00", b"b", b"aa"];
    for key in keys {
        put(&*store, &[(LEDGER, key, Some(key)), (VIEW, b"z", Some(b"other"))]).await;
    }
    let mut sorted = keys.to_vec();
    sorted.sort_unstable();
    let (mut found, mut after) = (Vec::new(), Vec::new());
    loop {
        let page = store.rows(LEDGER, &after, 2).await.unwrap();
        assert!(page.len() <= 2);
        let Some((last, _)) = page.last() else { break };
        after.clone_from(last);
        assert!(page.iter().all(|(key, value)| key == value));
        found.extend(page.into_iter().map(|(key, _)| key));
    }
    assert_eq!(found, sorted);
    assert_eq!(store.rows(LEDGER, b"a", 1).await.unwrap()[0].0, b"a\x00");
    assert!(store.rows(LEDGER, b"", 0).await.unwrap().is_empty());
}

/// `drop_views` takes all views and nothing else.
pub async fn views_are_dropped_and_ledgers_stay(bench: &mut dyn Bench) {
    let store = bench.open().await;
    let other = Table::View("statistics");
    put(&*store, &[(VIEW, b"a", Some(b"1")), (other, b"a", Some(b"2"))]).await;
    put(&*store, &[(LEDGER, b"a", Some(b"3"))]).await;
    store.drop_views().await.unwrap();
    assert!(store.rows(VIEW, b"", 9).await.unwrap().is_empty());
    assert_eq!(store.row(other, b"a").await.unwrap(), None);
    assert_eq!(store.row(LEDGER, b"a").await.unwrap().unwrap(), b"3");
    put(&*store, &[(VIEW, b"a", Some(b"4"))]).await;
    assert_eq!(store.row(VIEW, b"a").await.unwrap().unwrap(), b"4");
}

/// A blob is found under its SHA-256 and under nothing else.
pub async fn blobs_are_kept_under_their_hash(bench: &mut dyn Bench) {
    let store = bench.open().await;
    let bytes = Bytes::from(vec![7; 300_000]);
    let sha256 = store.put_blob(bytes.clone()).await.unwrap();
    assert_eq!(sha256[..], Sha256::digest(&bytes)[..]);
    assert_eq!(store.put_blob(bytes.clone()).await.unwrap(), sha256);
    assert_eq!(store.blob(sha256).await.unwrap(), Some(bytes));
    assert_eq!(store.blob([0; 32]).await.unwrap(), None);
    let empty = store.put_blob(Bytes::new()).await.unwrap();
    assert_eq!(store.blob(empty).await.unwrap(), Some(Bytes::new()));
}

async fn put(store: &dyn Store, rows: &[Put<'_>]) {
    let rows = rows.iter().map(|(table, key, value)| Row {
        table: *table,
        key: key.to_vec(),
        value: value.map(<[u8]>::to_vec),
    });
    store.commit(Batch { rows: rows.collect(), ..Batch::default() }).await.unwrap();
}
