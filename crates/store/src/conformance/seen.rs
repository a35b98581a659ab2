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

/// Ids and rows that are gone are left out; rows come in the order asked for.
pub async fn seen_items_are_found_by_id_and_by_row(bench: &mut dyn Bench) {
    let store = bench.open().await;
    store.seen_add(vec![item("a", 1), item("b", 2), item("c", 3)]).await.unwrap();
    let all = store.seen(0, 9).await.unwrap();
    let ids = ["c", "x", "a"].map(str::to_owned).to_vec();
    let mut found = store.seen_find(ids).await.unwrap();
    found.sort_by_key(|(row, _)| *row);
    assert_eq!(found, [all[0].clone(), all[2].clone()]);
    store.seen_drop(vec![all[1].0, 999]).await.unwrap();
    let rows = vec![all[2].0, all[1].0, all[0].0, u64::MAX];
    assert_eq!(store.seen_at(rows).await.unwrap(), [all[2].clone(), all[0].clone()]);
    assert!(store.seen_find(vec!["b".to_owned()]).await.unwrap().is_empty());
    assert!(!store.seen_remove("b").await.unwrap());
    store.seen_add(vec![item("a", 4)]).await.unwrap();
    assert!(store.seen_at(vec![all[0].0]).await.unwrap().is_empty());
}

/// In order of the time, then of the row, whatever the order in which they were added.
pub async fn the_items_seen_first_are_the_oldest(bench: &mut dyn Bench) {
    let store = bench.open().await;
    let items = [("a", 5), ("b", 2), ("c", 2), ("d", 9), ("e", 1)];
    store.seen_add(items.map(|(id, ms)| item(id, ms)).to_vec()).await.unwrap();
    let ids = |found: Vec<(u64, SeenItem)>| {
        found.into_iter().map(|(_, item)| item.item).collect::<String>()
    };
    assert_eq!(ids(store.seen_oldest(6, 9).await.unwrap()), "ebca");
    assert_eq!(ids(store.seen_oldest(u64::MAX, 2).await.unwrap()), "eb");
    assert!(store.seen_oldest(1, 9).await.unwrap().is_empty());
}

fn item(item: &str, seen_ms: u64) -> SeenItem {
    SeenItem { item: item.to_owned(), seen_ms, signals: vec![seen_ms as u8; 40] }
}
