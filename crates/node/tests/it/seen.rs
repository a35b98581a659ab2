//! The seen table: every copy is found, what was deleted stays away, nobody hides a case.

use std::{collections::BTreeSet, sync::Arc};

use watchfire_node::{
    policy::Verdict,
    raise::Answer,
    seen::{Item, Seen},
};
use watchfire_signal::{
    digest::Sha256Digest, name::ItemId, pdq::Pdq, statement::Basis, value::Signal,
};
use watchfire_store::{MemoryStore, Store};

use crate::{
    coalition::alert,
    story::{coalition, picture, until},
};

fn id(number: u64) -> ItemId {
    format!("item:{number}").parse().unwrap()
}

fn item(number: u64, signals: Vec<Signal>) -> Item {
    Item { id: id(number), seen_ms: number, signals }
}

async fn load(store: &Arc<dyn Store>) -> Seen {
    let (seen, unwritten) = Seen::load(store.clone(), [7; 32], 1_000).await.unwrap();
    tokio::spawn(unwritten.run());
    seen
}

/// Ids of all copies, each page looked at.
pub(crate) async fn found(seen: &Seen, signals: &[Signal]) -> Vec<ItemId> {
    let mut copies = seen.search(signals).await.unwrap();
    let mut ids = Vec::new();
    loop {
        let page = copies.next().await.unwrap();
        if page.is_empty() {
            ids.sort();
            return ids;
        }
        ids.extend(page.into_iter().map(|(item, _)| item.id.clone()));
    }
}

#[tokio::test]
async fn all_of_five_thousand_copies_of_one_file_are_found_each_once() {
    let seen = load(&(Arc::new(MemoryStore::new()) as Arc<dyn Store>)).await;
    let signals = vec![picture(3), Signal::new(Sha256Digest([5; 32]))];
    for number in 0..5_000 {
        seen.insert(item(number, signals.clone()));
    }
    let mut expected: Vec<ItemId> = (0..5_000).map(id).collect();
    expected.sort();
    for searched in [&signals[..], &signals[..1], &signals[1..]] {
        assert_eq!(found(&seen, searched).await, expected);
    }
}

#[tokio::test]
async fn an_item_deleted_right_after_its_scan_is_gone_for_good() {
    let store = Arc::new(MemoryStore::new()) as Arc<dyn Store>;
    let seen = load(&store).await;
    seen.insert(item(1, vec![picture(1)]));
    seen.keep(&id(1)).await;
    assert!(seen.forget(&id(1)).await.unwrap());
    assert!(!seen.forget(&id(1)).await.unwrap());
    // Its scan was still under way when it was deleted.
    seen.insert(item(2, vec![picture(1)]));
    assert!(seen.forget(&id(2)).await.unwrap());
    seen.keep(&id(2)).await;
    seen.flush().await;
    assert!(store.seen(0, 9).await.unwrap().is_empty());
    assert!(found(&load(&store).await, &[picture(1)]).await.is_empty());
}

#[tokio::test]
async fn a_member_that_repeats_itself_does_not_hide_a_confirmed_case() {
    let stages = coalition().await;
    let far = Signal { quality: Some(100), ..Signal::new(Pdq([0x0f; 32])) };
    let upload = {
        let mut hash = [0x0f; 32];
        hash[..3].fill(0xff);
        Signal { quality: Some(100), ..Signal::new(Pdq(hash)) }
    };
    let case = stages["reddit"].node.raise(alert(vec![far]), None).await.unwrap().commitment;
    let google = &stages["google"];
    while google.node.judge(std::slice::from_ref(&upload)).verdict != Verdict::Review {
        tokio::task::yield_now().await;
    }
    let seen = Answer::Confirm { basis: Basis::OwnCopySeenByHuman };
    stages["google"].node.answer(&case, seen, None).await.unwrap();
    let mut last = case;
    for _ in 0..1_100 {
        let raised = stages["tiktok"].node.raise(alert(vec![upload.clone()]), None).await;
        last = raised.unwrap().commitment;
    }
    let node = &stages["google"].node;
    while node.alert(&last).is_none() {
        tokio::task::yield_now().await;
    }
    let scanned = node.judge(std::slice::from_ref(&upload));
    assert_eq!(scanned.verdict, Verdict::Block);
    let cases: BTreeSet<_> = scanned.reasons.iter().map(|reason| reason.case).collect();
    assert!(cases.contains(&case));
    // The flood itself is still answered for, up to its limit.
    assert_eq!(cases.len(), 1 + watchfire_node::near::CROWD_HITS);
    until(&stages["twitch"], 255, Verdict::Allow).await;
}
