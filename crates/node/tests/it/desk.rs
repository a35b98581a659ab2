//! The desk log: a line and what it changes are one; it is read back, and stays at home.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use watchfire_node::{
    desk::{Actor, Deed, DeskKind, Line, WriteError},
    publish::Asked,
    said::Said,
};
use watchfire_signal::desk::MAX_BODY_BYTES;
use watchfire_store::{MemoryStore, Row, Store, Table};

use crate::{
    coalition::{Cast, Stage, TestClock, alert, charter, log_name, name, start},
    workshop::picture,
};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Looked {
    item: String,
}

impl Deed for Looked {
    const KIND: DeskKind = DeskKind::Look;
}

const MARKS: Table = Table::Ledger("marks");

async fn alone(store: Arc<dyn Store>, seed: u64) -> Stage {
    let charter = charter(&[("ant", "ants"), ("bee", "bees")], 1);
    let clock = TestClock::new();
    let peers = BTreeMap::new();
    start(Cast { me: "ant", charter: &charter, store, trust: &[], peers, clock, seed }).await
}

fn mark(value: &[u8]) -> Row {
    Row { table: MARKS, key: b"k".to_vec(), value: Some(value.to_vec()) }
}

#[tokio::test]
async fn a_line_and_its_rows_are_one_and_survive_a_restart() {
    let store = Arc::new(MemoryStore::new());
    let stage = alone(store.clone(), 1).await;
    let looked = Looked { item: "post:1".to_owned() };
    let line = Line::new(&Actor::Person("p1".to_owned()), &looked).unwrap();
    stage.node.desk().write(line.rows([mark(b"1")])).await.unwrap();
    assert_eq!(store.row(MARKS, b"k").await.unwrap(), Some(b"1".to_vec()));
    stage.node.stop().await;
    drop(stage);

    let stage = alone(store, 2).await;
    let line = Line::new(&Actor::Node, &looked).unwrap();
    let second = stage.node.desk().write(line).await.unwrap();
    assert_eq!(second.index, 1);
    let lines = stage.node.desk().newest(Some(DeskKind::Look), u64::MAX, 10).await.unwrap();
    let actors: Vec<_> = lines.iter().map(|line| line.record.clone().unwrap().actor).collect();
    assert_eq!(actors, ["node", "person:p1"]);
    assert_eq!(lines[1].deed::<Looked>(), Some(looked));
    let other = stage.node.desk().newest(Some(DeskKind::Bank), u64::MAX, 10).await.unwrap();
    assert_eq!(other, []);
}

/// The lines of what was said, oldest first, once there are so many.
async fn said(stage: &Stage, many: usize) -> Vec<(String, Said)> {
    loop {
        let desk = stage.node.desk();
        let lines = desk.newest(Some(DeskKind::Said), u64::MAX, 100).await.unwrap();
        if lines.len() >= many {
            let told = lines.iter().rev();
            return told
                .map(|line| (line.record.clone().unwrap().actor, line.deed().unwrap()))
                .collect();
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_had_something_said_to_the_coalition_stands_in_the_desk_log_once() {
    let store = Arc::new(MemoryStore::new());
    let stage = alone(store.clone(), 1).await;
    let by = |name: &str| Some(Asked { by: Actor::Person(name.to_owned()), key: None });
    let raise = |stage: &Stage, bits, asked| {
        let node = stage.node.clone();
        async move { node.raise(alert(vec![picture(bits)]), asked).await.unwrap() }
    };
    // What the node says by itself has no line.
    raise(&stage, 1, None).await;
    let first = raise(&stage, 2, by("p1")).await;
    let (actor, line) = said(&stage, 1).await.remove(0);
    let expected = Said {
        verb: "assert".to_owned(),
        index: first.index,
        record: first.commitment.to_string(),
    };
    assert_eq!((actor.as_str(), line), ("person:p1", expected));
    // The process ends right after something became durable, whether or not its line is written by then.
    let second = raise(&stage, 3, by("p2")).await;
    stage.node.kill();
    let stage = alone(store.clone(), 2).await;
    let third = raise(&stage, 4, by("p1")).await;
    let lines = said(&stage, 3).await;
    let told: Vec<_> = lines.iter().map(|(actor, said)| (actor.as_str(), said.index)).collect();
    let expected = [first.index, second.index, third.index];
    assert_eq!(
        told,
        ["person:p1", "person:p2", "person:p1"].into_iter().zip(expected).collect::<Vec<_>>()
    );
    let owed = store.rows(Table::Ledger("said"), &[], 10).await.unwrap();
    assert_eq!(owed, [], "what has its line is owed none");
}

#[tokio::test]
async fn a_line_that_is_too_long_changes_nothing() {
    let store = Arc::new(MemoryStore::new());
    let stage = alone(store, 1).await;
    let item = "x".repeat(MAX_BODY_BYTES);
    let line = Line::new(&Actor::Node, &Looked { item });
    assert!(matches!(line, Err(WriteError::TooLong)));
    assert_eq!(stage.node.desk().size().await.unwrap(), 0);
}

#[tokio::test]
async fn an_erased_line_leaves_the_log_readable() {
    let store = Arc::new(MemoryStore::new());
    let stage = alone(store.clone(), 1).await;
    let line = Line::new(&Actor::Node, &Looked { item: "post:1".to_owned() }).unwrap();
    let written = stage.node.desk().write(line).await.unwrap();
    store.erase(stage.node.desk().origin(), written.index).await.unwrap();
    let lines = stage.node.desk().read(0, 10).await.unwrap();
    assert_eq!(lines[0].commitment, written.commitment);
    assert_eq!(lines[0].record, None);
}

#[tokio::test]
async fn the_desk_log_is_no_log_of_a_member() {
    let store = Arc::new(MemoryStore::new());
    let stage = alone(store, 1).await;
    let line = Line::new(&Actor::Node, &Looked { item: "post:1".to_owned() }).unwrap();
    stage.node.desk().write(line).await.unwrap();
    let public = stage.node.source(&log_name("ant")).unwrap();
    assert_eq!(public.entries(0, 10).await.unwrap().len(), 0);
    assert_eq!(stage.node.held().await.unwrap().get(&name("ant")), None);
}
