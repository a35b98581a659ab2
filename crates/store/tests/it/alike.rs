//! The store in memory and the embedded one answer alike, whatever is done to them.

use bytes::Bytes;
use futures_util::StreamExt;
use proptest::prelude::*;
use watchfire_store::conformance::Author;
use watchfire_store::{
    Batch, MemoryStore, Row, SeenItem, SqliteOptions, SqliteStore, Store, Table,
};

/// One thing to do. Small numbers, so that keys and indices meet.
#[derive(Debug, Clone)]
enum Step {
    Append { author: u8, count: u64, holes: bool },
    Stale { author: u8 },
    Fill { author: u8, index: u64 },
    Erase { author: u8, index: u64 },
    Row { table: u8, key: u8, value: Option<u8> },
    DropViews,
    See { item: u8 },
    Forget { item: u8 },
    Reopen,
}

const TABLES: [Table; 3] = [Table::View("a"), Table::View("b"), Table::Ledger("a")];
const AUTHORS: [&str; 2] = ["ann", "bob"];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..2u8, 1..300u64, any::<bool>())
            .prop_map(|(author, count, holes)| Step::Append { author, count, holes }),
        1 => (0..2u8).prop_map(|author| Step::Stale { author }),
        2 => (0..2u8, 0..400u64).prop_map(|(author, index)| Step::Fill { author, index }),
        2 => (0..2u8, 0..400u64).prop_map(|(author, index)| Step::Erase { author, index }),
        3 => (0..3u8, 1..9u8, any::<Option<u8>>())
            .prop_map(|(table, key, value)| Step::Row { table, key, value }),
        1 => Just(Step::DropViews),
        3 => (0..6u8).prop_map(|item| Step::See { item }),
        2 => (0..6u8).prop_map(|item| Step::Forget { item }),
        1 => Just(Step::Reopen),
    ]
}

/// Does a step to a store and returns what it answered.
async fn carry_out(store: &dyn Store, authors: &mut [Author; 2], step: &Step) -> String {
    match step {
        Step::Append { author, count, holes } => {
            let author = &mut authors[usize::from(*author)];
            let entries = (author.size()..author.size() + count).map(|index| {
                let mut entry = author.entry(index, 50 + index as usize % 7);
                entry.record.take_if(|_| *holes && index % 3 == 0);
                entry
            });
            let append = Some(author.append_entries(entries.collect()));
            format!("{:?}", store.commit(Batch { append, ..Batch::default() }).await)
        }
        Step::Stale { author } => {
            let batch = Author::new(AUTHORS[usize::from(*author)]).batch(1);
            let stale = store
                .logs()
                .await
                .unwrap()
                .iter()
                .any(|head| Some(&head.log) == batch.append.as_ref().map(|append| &append.log));
            // On an empty log it would not be stale.
            if stale { format!("{:?}", store.commit(batch).await) } else { String::new() }
        }
        Step::Fill { author, index } => {
            let log = authors[usize::from(*author)].log();
            let record = Bytes::from(format!("late {index}"));
            format!("{:?}", store.fill(log, *index, record).await)
        }
        Step::Erase { author, index } => {
            format!("{:?}", store.erase(authors[usize::from(*author)].log(), *index).await)
        }
        Step::Row { table, key, value } => {
            let table = TABLES[usize::from(*table)];
            let row = Row { table, key: vec![*key], value: value.map(|value| vec![value]) };
            format!("{:?}", store.commit(Batch { rows: vec![row], ..Batch::default() }).await)
        }
        Step::DropViews => format!("{:?}", store.drop_views().await),
        Step::See { item } => {
            let item = SeenItem { item: item.to_string(), seen_ms: 1, signals: vec![*item] };
            format!("{:?}", store.seen_add(vec![item]).await)
        }
        Step::Forget { item } => format!("{:?}", store.seen_remove(&item.to_string()).await),
        Step::Reopen => String::new(),
    }
}

/// Everything that a store shows. Row numbers of the seen table may differ, their order not.
async fn everything(store: &dyn Store) -> Vec<String> {
    let mut shown = vec![format!("{:?}", store.logs().await)];
    for head in store.logs().await.unwrap() {
        let source = store.read(&head.log);
        shown.push(format!("{:?}", source.checkpoint().await));
        for level in 0..3 {
            shown.push(format!("{:?}", source.hashes(level, 0, 4000).await));
        }
        shown.push(format!("{:?}", store.held(&head.log, 0, 100_000).await));
        shown.push(format!("{:?}", source.records(&[0, 3, 7, 399, 100_000]).await));
        let (mut steps, mut next) = (source.follow(0).await.unwrap(), 0);
        while next < head.size {
            let step = steps.next().await.unwrap().unwrap();
            next = step.from + step.entries.len() as u64;
            shown.extend(step.entries.iter().map(|entry| format!("{entry:?}")));
        }
    }
    for table in TABLES {
        shown.push(format!("{:?}", store.rows(table, b"", 99).await));
    }
    let seen = store.seen(0, 99).await.unwrap();
    shown.extend(seen.iter().map(|(_, item)| format!("{item:?}")));
    shown
}

async fn compare(steps: Vec<Step>) {
    let directory = tempfile::tempdir().unwrap();
    let options = SqliteOptions::default();
    let memory = MemoryStore::new();
    let mut embedded = SqliteStore::open(directory.path(), options).unwrap();
    let (mut ours, mut theirs) = (AUTHORS.map(Author::new), AUTHORS.map(Author::new));
    for step in steps {
        if matches!(step, Step::Reopen) {
            drop(embedded);
            embedded = crate::reopen(directory.path(), options).unwrap();
        }
        let expected = carry_out(&memory, &mut ours, &step).await;
        let answered = carry_out(&embedded, &mut theirs, &step).await;
        assert_eq!(expected, answered, "{step:?}");
    }
    let (expected, shown) = (everything(&memory).await, everything(&embedded).await);
    assert!(expected == shown, "{expected:#?}\n{shown:#?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_two_stores_answer_alike(steps in prop::collection::vec(step(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(compare(steps));
    }
}
