//! Checks of the seen table.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::Bench;
use crate::SeenItem;

/// The later item of an id replaces the earlier and comes after everything seen before.
pub async fn a_seen_item_is_replaced_under_a_new_row(bench: &mut dyn Bench) {
    let store = bench.open().await;
    store.seen_add(vec![item("a", 1), item("b", 2)]).await.unwrap();
    let last = store.seen(0, 9).await.unwrap()[1].0;
    store.seen_add(vec![item("c", 3), item("a", 4), item("c", 5)]).await.unwrap();
    let found = store.seen(0, 9).await.unwrap();
    let items: Vec<_> = found.iter().map(|(_, item)| item.clone()).collect();
    assert_eq!(items, [item("b", 2), item("a", 4), item("c", 5)]);
    let news: Vec<_> = store.seen(last, 9).await.unwrap();
    assert_eq!(news, found[1..]);
}

/// Removing says whether the item was there; its row number is not used again.
pub async fn a_removed_item_is_gone(bench: &mut dyn Bench) {
    let store = bench.open().await;
    store.seen_add(vec![item("a", 1), item("b", 2)]).await.unwrap();
    let last = store.seen(0, 9).await.unwrap()[1].0;
    assert!(store.seen_remove("b").await.unwrap());
    assert!(!store.seen_remove("b").await.unwrap());
    assert!(!store.seen_remove("c").await.unwrap());
    store.seen_add(vec![item("d", 3)]).await.unwrap();
    let found = store.seen(last, 9).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].1, item("d", 3));
    assert_eq!(store.seen(0, 9).await.unwrap()[0].1, item("a", 1));
}

/// Pages follow each other without gap and without repetition.
pub async fn seen_items_are_listed_page_by_page(bench: &mut dyn Bench) {
    let store = bench.open().await;
    let items: Vec<SeenItem> = (0..1000).map(|n| item(&format!("tiktok:{n}"), n)).collect();
    for group in items.chunks(300) {
        store.seen_add(group.to_vec()).await.unwrap();
    }
    store.seen_add(Vec::new()).await.unwrap();
    let (mut found, mut after) = (Vec::new(), 0);
    loop {
        let page = store.seen(after, 64).await.unwrap();
        let Some((last, _)) = page.last() else { break };
        assert!(page.len() <= 64 && page[0].0 > after);
        after = *last;
        found.extend(page.into_iter().map(|(_, item)| item));
    }
    assert_eq!(found, items);
    assert!(store.seen(u64::MAX, 9).await.unwrap().is_empty());
}

fn item(item: &str, seen_ms: u64) -> SeenItem {
    SeenItem { item: item.to_owned(), seen_ms, signals: vec![seen_ms as u8; 40] }
}
