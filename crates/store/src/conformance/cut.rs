//! Logs that are cut back to what somebody else has accepted of them.

use watchfire_tlog::{frontier::Frontier, proof};

use super::{Author, Bench};
use crate::{Batch, CommitError, Cut, Row, Store, Table};

/// A log ends at its newest checkpoint within what it is cut to, and grows on from there as another history.
pub async fn a_log_that_is_cut_back_grows_on_as_another(bench: &mut dyn Bench) {
    let mut author = Author::new("ann");
    let mut other = Author::new("bob");
    let (forked, edge) = {
        let store = bench.open().await;
        store.commit(other.batch(3)).await.unwrap();
        store.commit(author.batch(300)).await.unwrap();
        store.commit(author.batch(230)).await.unwrap();
        let mut forked = Author::with_frontier("ann", Frontier::new());
        forked.append(530);
        store.commit(author.batch(70)).await.unwrap();
        let row = Row { table: Table::Ledger("early"), key: vec![1], value: Some(vec![2]) };
        let cut = Some(Cut { log: author.log().clone(), most: 599 });
        store.commit(Batch { cut, rows: vec![row], ..Batch::default() }).await.unwrap();

        assert_size(&*store, &forked, 530).await;
        assert_eq!(store.row(Table::Ledger("early"), &[1]).await.unwrap(), Some(vec![2]));
        assert!(store.held(author.log(), 530, 9).await.unwrap().is_empty());
        let late = author.batch(1);
        assert!(matches!(store.commit(late).await, Err(CommitError::Conflict { actual: 530, .. })));
        (forked, other.size())
    };
    let (mut forked, mut sizes) = (forked, Vec::new());
    let store = bench.open().await;
    for count in [1, 270] {
        let entries = (forked.size()..forked.size() + count).map(|index| other.entry(index, 40));
        let append = forked.append_entries(entries.collect());
        store.commit(Batch { append: Some(append), ..Batch::default() }).await.unwrap();
        sizes.push(forked.size());
        assert_size(&*store, &forked, forked.size()).await;
        let held = store.held(forked.log(), 530, 1).await.unwrap();
        assert_eq!(held[0].entry, other.entry(530, 40));
    }
    assert_eq!((sizes, edge), (vec![531, 801], 3));
    assert_size(&*store, &other, 3).await;
}

/// Where no checkpoint is within it nothing of the log is left, and it can begin anew, after a new start too; one that is
/// not known is not cut, and neither is one that is shorter.
pub async fn a_log_can_be_cut_to_nothing(bench: &mut dyn Bench) {
    let mut author = Author::new("ann");
    let mut other = Author::new("bob");
    let cut = |author: &Author, most| {
        let cut = Some(Cut { log: author.log().clone(), most });
        Batch { cut, ..Batch::default() }
    };
    {
        let store = bench.open().await;
        store.commit(author.batch(5)).await.unwrap();
        store.commit(other.batch(2)).await.unwrap();
        store.commit(cut(&author, 4)).await.unwrap();
        store.commit(cut(&other, 9)).await.unwrap();
        store.commit(cut(&Author::new("cy"), 0)).await.unwrap();
        assert_eq!(store.logs().await.unwrap().len(), 1);
        assert!(store.held(author.log(), 0, 9).await.unwrap().is_empty());
        assert!(store.read(author.log()).checkpoint().await.unwrap().is_none());
    }
    let store = bench.open().await;
    assert_eq!(store.logs().await.unwrap().len(), 1);
    let mut anew = Author::new("ann");
    store.commit(anew.batch(2)).await.unwrap();
    assert_size(&*store, &anew, 2).await;
    assert_size(&*store, &other, 2).await;
    let both = Batch { cut: cut(&anew, 0).cut, ..anew.batch(1) };
    assert!(matches!(store.commit(both).await, Err(CommitError::Malformed(_))));
}

/// The log ends there, under the checkpoint of its author, and its tiles make the proofs.
async fn assert_size(store: &dyn Store, author: &Author, size: u64) {
    let source = store.read(author.log());
    let head = source.checkpoint().await.unwrap().unwrap();
    let checkpoint = head.verify(author.log(), &author.key()).unwrap();
    assert_eq!(checkpoint.size, size);
    assert_eq!(proof::root(&*source, size).await.unwrap(), checkpoint.root);
    assert_eq!(store.held(author.log(), size - 1, 9).await.unwrap().len(), 1);
    let heads = store.logs().await.unwrap();
    let shown = heads.iter().find(|shown| shown.log == *author.log()).unwrap();
    assert_eq!((shown.size, &shown.checkpoint), (size, &head));
}
