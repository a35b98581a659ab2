//! The embedded store: one SQLite database in a data directory, nothing to install.
//!
//! One thread writes, a few read, one moves pages of the write-ahead log into the database.
//!
//! **Invariant:** no async task waits for the disk; every queue is bounded.
//! **Invariant:** what was acknowledged was fsynced (`journal_mode=WAL`, `synchronous=FULL`, both read
//! back).

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use watchfire_tlog::{Origin, Source};

use crate::feed::locked;
use crate::{
    Batch, CaseCounts, CommitError, Effect, EffectState, Head, Held, LateOrders, OutboxCounts,
    SeenItem, Settlement, Store, StoreError, Table, grow,
};

mod connection;
mod failure;
mod lock;
mod migrations;
mod mover;
mod outbox;
mod place;
mod read;
mod readers;
mod recent;
mod seen;
mod source;
mod start;
mod write;
mod writer;

pub use connection::Durability;

use lock::DirectoryLock;
use readers::Readers;
use recent::Recent;
use source::SqliteSource;
use writer::{Job, Write, Writer};

/// The database in the data directory; `-wal` and `-shm` lie beside it while it is open.
const FILE: &str = "watchfire.db";

/// The largest blob: index snapshots are cut into chunks of this.
pub const MAX_BLOB_BYTES: usize = 64 << 20;

/// How to open the embedded store.
#[derive(Debug, Clone, Copy)]
pub struct SqliteOptions {
    /// Threads that read, each with its connection; at least one.
    pub readers: usize,
    /// When a commit returns.
    pub durability: Durability,
    /// Bytes to which the write-ahead log is made long at start, so that the first commits need not
    /// make it longer; 0, the default, leaves it as it is. Later commits write over it either way.
    pub reserve_bytes: u64,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        SqliteOptions { readers: 2, durability: Durability::Full, reserve_bytes: 0 }
    }
}

/// Why the embedded store does not open.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process has the directory.
    #[error("another process uses the data directory {directory}", directory = .directory.display())]
    Locked {
        /// The data directory.
        directory: PathBuf,
    },
    /// A file or the directory cannot be used.
    #[error("{path}: {error}", path = .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The database does not take the settings that make commits durable.
    #[error("the database insists on journal_mode={journal}, synchronous={synchronous}")]
    Settings {
        /// `PRAGMA journal_mode` as read back.
        journal: String,
        /// `PRAGMA synchronous` as read back.
        synchronous: i64,
    },
    /// The database was written by a newer program, or its tables cannot be made.
    #[error("the database cannot be used: {0}")]
    Tables(String),
    /// The database failed, or its logs are not what was signed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        OpenError::Store(error.into())
    }
}

/// What the store holds and what waits, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Logs.
    pub logs: u64,
    /// Entries of all logs.
    pub entries: u64,
    /// Effects that are pending.
    pub effects_pending: u64,
    /// Effects that were given up.
    pub effects_dead: u64,
    /// Bytes of the database file.
    pub database_bytes: u64,
    /// Bytes of the write-ahead log.
    pub wal_bytes: u64,
    /// Writes that wait for the writer.
    pub writes_waiting: u64,
    /// Questions that wait for a reader.
    pub reads_waiting: u64,
}

/// The embedded store. Dropping the last handle carries out the writes under way and closes the
/// files; streams that were read from it end.
#[derive(Debug)]
pub struct SqliteStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    recent: Arc<Recent>,
    // The order of these four matters: threads end when their queues are closed, and the lock goes
    // when all have ended.
    jobs: mpsc::Sender<Job>,
    readers: Readers,
    _threads: Threads,
    _lock: DirectoryLock,
    file: PathBuf,
}

#[derive(Debug, Default)]
struct Threads(Mutex<Vec<JoinHandle<()>>>);

impl Drop for Threads {
    fn drop(&mut self) {
        for thread in locked(&self.0).drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the store has panicked");
            }
        }
    }
}

impl SqliteStore {
    /// Opens the store in a data directory, which is made if it is not there. Blocks on the disk.
    ///
    /// # Errors
    /// See [`OpenError`]. After [`StoreError::Corrupt`] nothing was changed; restore a backup.
    pub fn open(directory: &Path, options: SqliteOptions) -> Result<Self, OpenError> {
        let io = |error| OpenError::Io { path: directory.to_path_buf(), error };
        std::fs::create_dir_all(directory).map_err(io)?;
        let lock = lock::lock(directory)?;
        let file = directory.join(FILE);
        let connect = || connection::connect(&file, options.durability);
        let mut connection = connect()?;
        migrations::migrate(&mut connection).map_err(|e| OpenError::Tables(e.to_string()))?;
        // SQLite syncs the directory for its write-ahead log, not for the database itself.
        std::fs::File::open(directory).and_then(|directory| directory.sync_all()).map_err(io)?;
        let found = start::start(&connection)?;
        connection::reserve(&connection, &wal(&file), options.reserve_bytes)?;

        let mut threads = Vec::new();
        let recent = Arc::new(Recent::new(found.heads));
        let (mover, thread) = mover::Mover::start(connect()?).map_err(io)?;
        threads.push(thread);
        let writer = Writer::new(connection, found.edges, Arc::clone(&recent), mover)?;
        let (jobs, queue) = mpsc::channel(writer::QUEUE);
        let thread = std::thread::Builder::new().name("store-writer".to_owned());
        threads.push(thread.spawn(move || writer.run(queue)).map_err(io)?);
        let connections: Result<Vec<_>, _> =
            (0..options.readers.max(1)).map(|_| connect()).collect();
        let (readers, more) = Readers::start(connections?).map_err(io)?;
        threads.extend(more);
        let threads = Threads(Mutex::new(threads));
        let inner = Inner { recent, jobs, readers, _threads: threads, _lock: lock, file };
        Ok(SqliteStore { inner: Arc::new(inner) })
    }

    /// Counts what the store holds and what waits.
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        let outbox = self.outbox_counts(None).await?;
        let heads = self.inner.recent.heads();
        let jobs = &self.inner.jobs;
        Ok(Counts {
            logs: heads.len() as u64,
            entries: heads.iter().map(|head| head.size).sum(),
            effects_pending: outbox.pending,
            effects_dead: outbox.dead,
            database_bytes: file_bytes(&self.inner.file),
            wal_bytes: file_bytes(&wal(&self.inner.file)),
            writes_waiting: (jobs.max_capacity() - jobs.capacity()) as u64,
            reads_waiting: self.inner.readers.waiting() as u64,
        })
    }

    async fn write(&self, write: Write) -> Result<bool, CommitError> {
        let (answer, answered) = oneshot::channel();
        let job = Job { write, answer };
        self.inner.jobs.send(job).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    async fn write_plain(&self, write: Write) -> Result<bool, StoreError> {
        self.write(write).await.map_err(StoreError::from)
    }
}

impl Inner {
    async fn held(&self, log: &Origin, from: u64, limit: usize) -> Result<Vec<Held>, StoreError> {
        if let Some(held) = self.recent.held(log, from, limit) {
            return Ok(held);
        }
        let Some(id) = self.recent.id(log) else { return Ok(Vec::new()) };
        self.readers.ask(move |connection| read::held(connection, id, from, limit)).await
    }
}

fn wal(file: &Path) -> PathBuf {
    file.with_extension("db-wal")
}

fn file_bytes(path: &Path) -> u64 {
    std::fs::metadata(path).map(|metadata| metadata.len()).unwrap_or(0)
}

#[async_trait]
impl Store for SqliteStore {
    fn read(&self, log: &Origin) -> Arc<dyn Source> {
        Arc::new(SqliteSource::new(&self.inner, log))
    }

    async fn logs(&self) -> Result<Vec<Head>, StoreError> {
        Ok(self.inner.recent.heads())
    }

    async fn held(&self, log: &Origin, from: u64, limit: usize) -> Result<Vec<Held>, StoreError> {
        self.inner.held(log, from, limit).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        grow::check(&batch)?;
        self.write(Write::Commit(batch)).await?;
        Ok(())
    }

    fn watch(&self) -> BoxStream<'static, (Origin, u64)> {
        self.inner.recent.feed().watch()
    }

    async fn fill(&self, log: &Origin, index: u64, record: Bytes) -> Result<(), StoreError> {
        self.write_plain(Write::Fill { log: log.clone(), index, record }).await?;
        Ok(())
    }

    async fn erase(&self, log: &Origin, index: u64) -> Result<(), StoreError> {
        self.write_plain(Write::Erase { log: log.clone(), index }).await?;
        Ok(())
    }

    async fn row(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let key = key.to_vec();
        self.inner.readers.ask(move |connection| read::row(connection, table, &key)).await
    }

    async fn rows(
        &self,
        table: Table,
        after: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        let after = after.to_vec();
        let rows = move |connection: &_| read::rows(connection, table, &after, limit);
        self.inner.readers.ask(rows).await
    }

    async fn drop_views(&self) -> Result<(), StoreError> {
        self.write_plain(Write::DropViews).await?;
        Ok(())
    }

    async fn put_blob(&self, bytes: Bytes) -> Result<[u8; 32], StoreError> {
        if bytes.len() > MAX_BLOB_BYTES {
            return Err(StoreError::Failed(format!("a blob has at most {MAX_BLOB_BYTES} bytes")));
        }
        let hashed = bytes.clone();
        let hash = move |_: &_| Ok::<[u8; 32], StoreError>(Sha256::digest(&hashed).into());
        let sha256 = self.inner.readers.ask(hash).await?;
        self.write_plain(Write::Blob { sha256, bytes }).await?;
        Ok(sha256)
    }

    async fn blob(&self, sha256: [u8; 32]) -> Result<Option<Bytes>, StoreError> {
        self.inner.readers.ask(move |connection| read::blob(connection, sha256)).await
    }

    async fn effects_due(
        &self,
        connector: &str,
        now_ms: u64,
        limit: usize,
    ) -> Result<Vec<Effect>, StoreError> {
        let connector = connector.to_owned();
        let due = move |connection: &_| outbox::due(connection, &connector, now_ms, limit);
        self.inner.readers.ask(due).await
    }

    async fn next_effect_due(&self, connector: &str) -> Result<Option<u64>, StoreError> {
        let connector = connector.to_owned();
        self.inner.readers.ask(move |connection| outbox::next_due(connection, &connector)).await
    }

    async fn pending_connectors(&self) -> Result<Vec<String>, StoreError> {
        self.inner.readers.ask(outbox::connectors).await
    }

    async fn effect(&self, name: [u8; 32]) -> Result<Option<Effect>, StoreError> {
        self.inner.readers.ask(move |connection| outbox::named(connection, name)).await
    }

    async fn effects_in(
        &self,
        state: EffectState,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Effect)>, StoreError> {
        let found = move |connection: &_| outbox::in_state(connection, state, after, limit);
        self.inner.readers.ask(found).await
    }

    async fn effects_late(
        &self,
        late: LateOrders,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Effect)>, StoreError> {
        let found = move |connection: &_| outbox::late(connection, &late, after, limit);
        self.inner.readers.ask(found).await
    }

    async fn count_late(&self, late: LateOrders) -> Result<u64, StoreError> {
        self.inner.readers.ask(move |connection| outbox::count_late(connection, &late)).await
    }

    async fn outbox_counts(&self, connector: Option<&str>) -> Result<OutboxCounts, StoreError> {
        let connector = connector.map(str::to_owned);
        let counts = move |connection: &_| outbox::counts(connection, connector.as_deref());
        self.inner.readers.ask(counts).await
    }

    async fn case_counts(&self, subject: [u8; 32], undo: &str) -> Result<CaseCounts, StoreError> {
        let undo = undo.to_owned();
        let counts = move |connection: &_| outbox::case_counts(connection, subject, &undo);
        self.inner.readers.ask(counts).await
    }

    async fn items_of_case(
        &self,
        subject: [u8; 32],
        after: &str,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let after = after.to_owned();
        let items = move |connection: &_| outbox::items_of_case(connection, subject, &after, limit);
        self.inner.readers.ask(items).await
    }

    async fn effects_of_case(&self, subject: [u8; 32]) -> Result<Vec<Effect>, StoreError> {
        self.inner.readers.ask(move |connection| outbox::of_case(connection, subject)).await
    }

    async fn effects_of_item(&self, item: &str) -> Result<Vec<Effect>, StoreError> {
        let item = item.to_owned();
        self.inner.readers.ask(move |connection| outbox::of_item(connection, &item)).await
    }

    async fn effects_of_items(&self, items: Vec<String>) -> Result<Vec<Effect>, StoreError> {
        self.inner.readers.ask(move |connection| outbox::of_items(connection, &items)).await
    }

    async fn cases_with_effects(&self) -> Result<Vec<[u8; 32]>, StoreError> {
        self.inner.readers.ask(outbox::cases).await
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<(), StoreError> {
        self.write_plain(Write::Settle(settlements)).await?;
        Ok(())
    }

    async fn seen_add(&self, items: Vec<SeenItem>) -> Result<(), StoreError> {
        self.write_plain(Write::SeenAdd(items)).await?;
        Ok(())
    }

    async fn seen_remove(&self, item: &str) -> Result<bool, StoreError> {
        self.write_plain(Write::SeenRemove(item.to_owned())).await
    }

    async fn seen_find(&self, items: Vec<String>) -> Result<Vec<(u64, SeenItem)>, StoreError> {
        self.inner.readers.ask(move |connection| seen::find(connection, &items)).await
    }

    async fn seen_at(&self, rows: Vec<u64>) -> Result<Vec<(u64, SeenItem)>, StoreError> {
        self.inner.readers.ask(move |connection| seen::at(connection, &rows)).await
    }

    async fn seen_oldest(
        &self,
        before_ms: u64,
        limit: usize,
    ) -> Result<Vec<(u64, SeenItem)>, StoreError> {
        let oldest = move |connection: &_| seen::oldest(connection, before_ms, limit);
        self.inner.readers.ask(oldest).await
    }

    async fn seen_drop(&self, rows: Vec<u64>) -> Result<(), StoreError> {
        self.write_plain(Write::SeenDrop(rows)).await?;
        Ok(())
    }

    async fn seen(&self, after: u64, limit: usize) -> Result<Vec<(u64, SeenItem)>, StoreError> {
        self.inner.readers.ask(move |connection| seen::above(connection, after, limit)).await
    }
}
