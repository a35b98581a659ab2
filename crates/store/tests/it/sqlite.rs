//! What the embedded store promises beyond the contract.

use std::path::Path;

use bytes::Bytes;
use watchfire_store::conformance::Author;
use watchfire_store::{
    Batch, Durability, OpenError, SqliteOptions, SqliteStore, Store, StoreError,
};

fn open(directory: &Path) -> Result<SqliteStore, OpenError> {
    crate::reopen(directory, SqliteOptions::default())
}

#[tokio::test]
async fn a_directory_has_one_store_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    let error = SqliteStore::open(directory.path(), SqliteOptions::default()).unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }));
    assert!(error.to_string().contains(&directory.path().display().to_string()), "{error}");
    drop(store);
    open(directory.path()).unwrap();
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let error = open(&file.join("data")).unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }));
    assert!(error.to_string().contains(&file.display().to_string()), "{error}");
}

#[test]
fn a_file_that_is_no_database_is_called_corrupt() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("watchfire.db"), vec![b'x'; 8192]).unwrap();
    let error = open(directory.path()).unwrap_err();
    assert!(matches!(error, OpenError::Store(StoreError::Corrupt(_))), "{error}");
}

/// A change to the tables behind the store's back, and what it is told at the next start.
#[tokio::test]
async fn a_log_that_is_not_what_was_signed_is_not_opened() {
    let damages = [
        "UPDATE hashes SET hash = zeroblob(32) WHERE level = 0 AND idx = 299",
        "UPDATE hashes SET hash = zeroblob(32) WHERE level = 1 AND idx = 0",
        "DELETE FROM hashes WHERE level = 0 AND idx = 270",
        "DELETE FROM entries WHERE place & 0xffff = 299",
        "UPDATE entries SET leaf = x'00' WHERE place & 0xffff = 290",
        "DELETE FROM checkpoints WHERE size = 300",
        "DELETE FROM checkpoints",
        "UPDATE checkpoints SET size = 299 WHERE size = 300",
        "UPDATE logs SET name = 'watchfire/test/bob/1'",
        "UPDATE logs SET name = 'Not a name'",
    ];
    for damage in damages {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path()).unwrap();
        let mut author = Author::new("ann");
        store.commit(author.batch(200)).await.unwrap();
        store.commit(author.batch(100)).await.unwrap();
        drop(store);
        let connection = rusqlite::Connection::open(directory.path().join("watchfire.db")).unwrap();
        assert!(connection.execute(damage, []).unwrap() > 0, "{damage}");
        drop(connection);
        let error = open(directory.path()).unwrap_err();
        assert!(matches!(error, OpenError::Store(StoreError::Corrupt(_))), "{damage}: {error}");
    }
}

#[tokio::test]
async fn the_settings_that_make_commits_durable_are_those_of_the_database() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()).unwrap());
    let connection = rusqlite::Connection::open(directory.path().join("watchfire.db")).unwrap();
    let journal: String =
        connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!(journal, "wal");
    assert_eq!(SqliteOptions::default().durability, Durability::Full);
}

#[tokio::test]
async fn erased_bytes_are_in_no_file_any_more() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    let mut author = Author::new("ann");
    let secret = b"a name that somebody wants forgotten";
    let mut entries = vec![author.entry(0, 5_000), author.entry(1, 5_000), author.entry(2, 10)];
    entries[1].record = Some(Bytes::from(secret.repeat(200)));
    let append = Some(author.append_entries(entries));
    store.commit(Batch { append, ..Batch::default() }).await.unwrap();
    assert!(is_in_files(directory.path(), secret));
    store.erase(author.log(), 1).await.unwrap();
    drop(store);
    assert!(!is_in_files(directory.path(), secret));
    assert!(is_in_files(directory.path(), b"leaf 1 of"));
}

fn is_in_files(directory: &Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(directory).unwrap().any(|file| {
        let content = std::fs::read(file.unwrap().path()).unwrap();
        content.windows(bytes.len()).any(|window| window == bytes)
    })
}

#[tokio::test]
async fn the_write_ahead_log_does_not_grow_with_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    let mut author = Author::new("ann");
    for _ in 0..60 {
        let entries = (0..2).map(|n| author.entry(author.size() + n, 1_000_000)).collect();
        let append = Some(author.append_entries(entries));
        store.commit(Batch { append, ..Batch::default() }).await.unwrap();
    }
    let counts = store.counts().await.unwrap();
    assert_eq!((counts.logs, counts.entries), (1, 120));
    assert!(counts.wal_bytes < 24 << 20, "{counts:?}");
    assert!(counts.database_bytes > 30 << 20, "{counts:?}");
}

#[tokio::test]
async fn commits_do_not_make_the_reserved_write_ahead_log_longer() {
    let directory = tempfile::tempdir().unwrap();
    let options = SqliteOptions { reserve_bytes: 13 << 20, ..SqliteOptions::default() };
    for _ in 0..2 {
        let store = crate::reopen(directory.path(), options).unwrap();
        let before = store.counts().await.unwrap();
        assert!(before.wal_bytes > 12 << 20, "{before:?}");
        assert!(before.database_bytes < 1 << 20, "{before:?}");
        let size = store.logs().await.unwrap().first().map_or(0, |head| head.size);
        let mut author = Author::new("ann");
        author.append(size);
        store.commit(author.batch(300)).await.unwrap();
        let after = store.counts().await.unwrap();
        assert_eq!(after.wal_bytes, before.wal_bytes);
    }
}
