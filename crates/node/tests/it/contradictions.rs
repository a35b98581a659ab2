//! A leaf that shows another header than its record was written with is a lie that its author signed: it says nothing, and
//! is kept as evidence; what is not the leaf's record at all proves nothing of anybody.

use std::sync::Arc;

use watchfire_node::{
    contradictions::{self, CONTRADICTIONS, Convicted, MAX_KEPT},
    events::Events,
    fetch::Filler,
    place::Place,
    replicate::LogCopy,
};
use watchfire_signal::{header::Review, name::LogName};
use watchfire_store::{MemoryStore, Store};
use watchfire_tlog::{Entry, Origin, leaf_hash, proof::verify_inclusion};

use crate::{
    coalition::{TestClock, key},
    logs::Logs,
};

const AUTHOR: &str = "tiktok";
/// What the author says: an honest alert, one whose record was put in the place of another's on the way, and more lies
/// than are kept.
const LIES: std::ops::Range<u64> = 2..8;

fn lying() -> (Logs, LogName) {
    let mut logs = Logs::new();
    let places: Vec<_> = (0..LIES.end).map(|_| logs.assert(AUTHOR, Review::OneHuman).1).collect();
    LIES.for_each(|index| logs.lie(&places[index as usize]));
    let log = logs.log(AUTHOR);
    let held = logs.logs.get_mut(&log).unwrap();
    let swapped = held[0].entry.record.clone();
    held[1].entry = Entry::new(held[1].entry.leaf.clone(), swapped);
    (logs, log)
}

fn store() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

async fn kept(store: &Arc<dyn Store>, log: &LogName) -> Vec<u64> {
    let (origin, key) = (Origin::new(log.to_string()).unwrap(), key(AUTHOR).public());
    let all = contradictions::against(&**store, log).await.unwrap();
    let check = |convicted: &Convicted| {
        // With the key of the author alone.
        let head = convicted.head.verify(&origin, &key).unwrap();
        let leaf = leaf_hash(&convicted.contradiction.leaf);
        verify_inclusion(&leaf, convicted.index, head.size, &head.root, &convicted.inclusion)
            .unwrap();
        assert!(convicted.contradiction.holds());
        convicted.index
    };
    all.iter().map(check).collect()
}

#[tokio::test]
async fn a_lie_of_the_author_is_kept_with_its_proof_and_a_record_of_another_leaf_is_not() {
    let (logs, log) = lying();
    let (theirs, mine) = (store(), store());
    logs.write(&theirs, AUTHOR, 3).await;
    let origin = Origin::new(log.to_string()).unwrap();
    let (signs, clock) = (key(AUTHOR).public(), TestClock::new());
    let copy =
        LogCopy::new(log.clone(), signs, mine.clone(), clock.clone(), Events::new(clock)).unwrap();
    for step in logs.steps(AUTHOR, 3) {
        copy.take(&*theirs.read(&origin), vec![step]).await.unwrap();
    }
    assert_eq!(kept(&mine, &log).await, [2, 3, 4, 5], "the first of them, and no more");
    let rows = mine.rows(CONTRADICTIONS, &[], 100).await.unwrap();
    assert_eq!((rows.len(), MAX_KEPT), (4, 4));
    let held = mine.held(&origin, 0, 100).await.unwrap();
    let whole: Vec<_> = held.iter().filter(|held| held.entry.record.is_some()).collect();
    assert_eq!(whole.iter().map(|held| held.index).collect::<Vec<_>>(), [0]);
    assert!(!copy.is_frozen().await.unwrap(), "one log was shown to all");
    assert!(contradictions::against(&*mine, &logs.log("google")).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_lie_that_another_member_brings_is_its_authors_all_the_same() {
    let (logs, log) = lying();
    let mine = store();
    let records: Vec<_> = logs.logs[&log].iter().map(|held| held.entry.record.clone()).collect();
    // The records had been withheld.
    let mut bare = logs;
    for held in bare.logs.get_mut(&log).unwrap() {
        held.entry.record = None;
    }
    bare.write(&mine, AUTHOR, 3).await;
    let (filler, mut filled) = Filler::new(mine.clone());
    for (index, record) in (0..).zip(&records) {
        let place = Place { log: log.clone(), index };
        filler.holes.add(&place);
        for _ in 0..2 {
            let fits = filler.take(place.clone(), record.clone().unwrap()).await.unwrap();
            assert_eq!(fits, index == 0, "{index}");
            if fits {
                filled.recv().await.unwrap();
                break;
            }
        }
    }
    assert_eq!(kept(&mine, &log).await, [2, 3, 4, 5]);
}
