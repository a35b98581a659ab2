//! The one thread that writes: takes everything that waits, writes it in one transaction, answers.
//!
//! **Invariant:** nobody is answered or woken before the COMMIT returned.
//! **Invariant:** what is wrong with one batch fails that batch alone.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use watchfire_tlog::frontier::Frontier;
use watchfire_tlog::{Origin, SignedCheckpoint};

use super::failure::is_harmless;
use super::mover::Mover;
use super::place::place;
use super::recent::Recent;
use super::{outbox, read, seen, write};
use crate::{Batch, CommitError, Cut, SeenItem, Settlement, StoreError, grow};

/// Writes that wait for the writer; who writes more waits.
pub(super) const QUEUE: usize = 1024;

/// Writes of one transaction; bounds how long the first of them waits for the last.
const GROUP: usize = 256;

/// Entries of an append that others wait for: what one member says now and then. More is a member that says much, or
/// one that catches up.
const FEW: usize = 16;

/// One thing to write.
#[derive(Debug)]
pub(super) enum Write {
    Commit(Batch),
    Fill { log: Origin, index: u64, record: Bytes },
    Erase { log: Origin, index: u64 },
    DropViews,
    Blob { sha256: [u8; 32], bytes: Bytes },
    Settle(Vec<Settlement>),
    SeenAdd(Vec<SeenItem>),
    SeenRemove(String),
    SeenDrop(Vec<u64>),
}

impl Write {
    /// Whether it may be long, so that others go first. Writes of one kind keep their order; who appends to a log
    /// waits for each append before the next.
    fn is_bulk(&self) -> bool {
        match self {
            Write::Commit(batch) => {
                let many = batch.append.as_ref().is_some_and(|append| append.entries.len() > FEW);
                many || batch.cut.is_some()
            }
            Write::Fill { .. } | Write::Erase { .. } | Write::Settle(_) => false,
            Write::DropViews
            | Write::Blob { .. }
            | Write::SeenAdd(_)
            | Write::SeenRemove(_)
            | Write::SeenDrop(_) => true,
        }
    }
}

/// A write and who waits for it. The answer tells whether anything changed.
pub(super) struct Job {
    pub(super) write: Write,
    pub(super) answer: oneshot::Sender<Answer>,
}

type Answer = Result<bool, CommitError>;

/// A log as the writer knows it.
#[derive(Debug, Clone)]
pub(super) struct Edge {
    /// Its number in the tables.
    pub(super) id: i64,
    /// Its right edge.
    pub(super) frontier: Frontier,
}

pub(super) struct Writer {
    connection: Connection,
    edges: HashMap<Origin, Edge>,
    recent: Arc<Recent>,
    mover: Mover,
    pages: Arc<AtomicU64>,
    /// Logs that the transaction under way has cut, with what is left of them.
    cuts: HashMap<Origin, Option<(u64, SignedCheckpoint)>>,
    /// Why nothing is written any more.
    broken: Option<String>,
}

impl Writer {
    pub(super) fn new(
        mut connection: Connection,
        edges: HashMap<Origin, Edge>,
        recent: Arc<Recent>,
        mover: Mover,
    ) -> rusqlite::Result<Self> {
        let pages = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&pages);
        connection.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: i32| {
            seen.store(u64::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(Writer { connection, edges, recent, mover, pages, cuts: HashMap::new(), broken: None })
    }

    /// Writes until nobody can send any more.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let (mut urgent, mut bulk) = (VecDeque::new(), VecDeque::new());
        loop {
            if urgent.is_empty() && bulk.is_empty() {
                let Some(job) = jobs.blocking_recv() else { return };
                sort(job, &mut urgent, &mut bulk);
            }
            while urgent.len() < GROUP && bulk.len() < GROUP {
                let Ok(job) = jobs.try_recv() else { break };
                sort(job, &mut urgent, &mut bulk);
            }
            if !urgent.is_empty() {
                self.write_group(urgent.drain(..).collect());
            }
            // One at a time, so that an alert that comes now waits for one bulk write at most.
            if let Some(job) = bulk.pop_front() {
                self.write_group(vec![job]);
            }
        }
    }

    fn write_group(&mut self, jobs: Vec<Job>) {
        let (writes, answers): (Vec<Write>, Vec<_>) =
            jobs.into_iter().map(|job| (job.write, job.answer)).unzip();
        let outcome = match self.transaction(&writes) {
            Ok(outcome) => outcome,
            Err(error) => {
                for answer in answers {
                    // Who asked may have gone; then nobody misses the answer.
                    let _ = answer.send(Err(error.clone().into()));
                }
                return;
            }
        };
        for (write, result) in writes.into_iter().zip(&outcome) {
            if matches!(result, Ok(true)) {
                self.publish(write);
            }
        }
        for (answer, result) in answers.into_iter().zip(outcome) {
            let _ = answer.send(result);
        }
        self.mover.after_commit(&self.connection, self.pages.load(Ordering::Relaxed));
    }

    /// Writes a group; an error is everybody's.
    fn transaction(&mut self, writes: &[Write]) -> Result<Vec<Answer>, StoreError> {
        if let Some(why) = &self.broken {
            return Err(StoreError::Failed(format!("nothing is written since: {why}")));
        }
        self.execute("BEGIN IMMEDIATE")?;
        let mut before = HashMap::new();
        let mut outcome = Vec::with_capacity(writes.len());
        for write in writes {
            match self.attempt(write, &mut before) {
                Ok(answer) => outcome.push(answer),
                Err(error) => {
                    self.undo(before);
                    return Err(error);
                }
            }
        }
        if let Err(error) = self.execute("COMMIT") {
            if !is_harmless(&error) {
                tracing::error!(%error, "a commit failed; nothing is written until a new start");
                self.broken = Some(error.to_string());
            }
            self.undo(before);
            return Err(error.into());
        }
        Ok(outcome)
    }

    /// Tries one write in a savepoint. The outer error is that of the whole transaction.
    fn attempt(
        &mut self,
        write: &Write,
        before: &mut HashMap<Origin, Option<Edge>>,
    ) -> Result<Answer, StoreError> {
        self.execute("SAVEPOINT write")?;
        let answer = self.apply(write, before);
        if let Err(error) = &answer {
            // Some errors, such as a full disk, end the transaction.
            if self.connection.is_autocommit() {
                return Err(error.clone().into());
            }
            self.execute("ROLLBACK TO write")?;
        }
        self.execute("RELEASE write")?;
        Ok(answer)
    }

    fn apply(&mut self, write: &Write, before: &mut HashMap<Origin, Option<Edge>>) -> Answer {
        match write {
            Write::Commit(batch) => return self.commit(batch, before).map(|()| true),
            Write::Fill { log, index, record } => {
                let place = self.place(log, *index)?;
                return write::fill(&self.connection, log, place, record);
            }
            Write::Erase { log, index } => {
                write::erase(&self.connection, log, self.place(log, *index)?)?;
            }
            Write::SeenRemove(item) => {
                let removed = seen::remove(&self.connection, item);
                return Ok(removed.map_err(StoreError::from)?);
            }
            plain => write_plain(&self.connection, plain).map_err(StoreError::from)?,
        }
        Ok(true)
    }

    fn commit(
        &mut self,
        batch: &Batch,
        before: &mut HashMap<Origin, Option<Edge>>,
    ) -> Result<(), CommitError> {
        for row in &batch.rows {
            write::row(&self.connection, row).map_err(StoreError::from)?;
        }
        for effect in &batch.effects {
            outbox::insert(&self.connection, effect).map_err(StoreError::from)?;
        }
        for settled in &batch.settlements {
            outbox::settle(&self.connection, settled).map_err(StoreError::from)?;
        }
        if let Some(cut) = &batch.cut {
            return Ok(self.cut(cut, before)?);
        }
        let Some(append) = &batch.append else { return Ok(()) };
        let known = self.edges.get(&append.log);
        let frontier = known.map(|edge| edge.frontier.clone()).unwrap_or_default();
        let grown = grow::grow(&frontier, append)?;
        let id = match known {
            Some(edge) => edge.id,
            None => write::log(&self.connection, &append.log).map_err(StoreError::from)?,
        };
        write::append(&self.connection, id, append, &grown)?;
        let old = self.edges.insert(append.log.clone(), Edge { id, frontier: grown.frontier });
        before.entry(append.log.clone()).or_insert(old);
        Ok(())
    }

    fn cut(
        &mut self,
        cut: &Cut,
        before: &mut HashMap<Origin, Option<Edge>>,
    ) -> Result<(), StoreError> {
        let Some(Edge { id, .. }) = self.edges.get(&cut.log).cloned() else { return Ok(()) };
        let left = write::cut(&self.connection, id, cut.most)?;
        let old = match &left {
            Some((size, _)) => {
                let frontier = read::frontier(&self.connection, id, *size)?;
                let missing = || StoreError::Corrupt(format!("log {}: no tile hashes", cut.log));
                let frontier = frontier.ok_or_else(missing)?;
                self.edges.insert(cut.log.clone(), Edge { id, frontier })
            }
            None => self.edges.remove(&cut.log),
        };
        before.entry(cut.log.clone()).or_insert(old);
        self.cuts.insert(cut.log.clone(), left);
        Ok(())
    }

    fn place(&self, log: &Origin, index: u64) -> Result<i64, StoreError> {
        let missing = || StoreError::Failed(format!("log {log} has no entry {index}"));
        place(self.edges.get(log).ok_or_else(missing)?.id, index)
    }

    /// Forgets what a transaction that is gone did to the logs.
    fn undo(&mut self, before: HashMap<Origin, Option<Edge>>) {
        self.cuts.clear();
        for (log, edge) in before {
            match edge {
                Some(edge) => self.edges.insert(log, edge),
                None => self.edges.remove(&log),
            };
        }
        if !self.connection.is_autocommit()
            && let Err(error) = self.execute("ROLLBACK")
        {
            self.broken = Some(error.to_string());
        }
    }

    /// Shows what is durable now to readers and followers.
    fn publish(&mut self, write: Write) {
        match write {
            Write::Commit(Batch { append: Some(append), .. }) => {
                if let Some(edge) = self.edges.get(&append.log) {
                    self.recent.publish(edge.id, append);
                }
            }
            Write::Commit(Batch { cut: Some(cut), .. }) => {
                if let Some(left) = self.cuts.remove(&cut.log) {
                    self.recent.cut(&cut.log, left);
                }
            }
            Write::Fill { log, index, record } => {
                self.recent.set_record(&log, index, Some(record));
            }
            Write::Erase { log, index } => {
                self.recent.set_record(&log, index, None);
                self.mover.want_cut();
            }
            _ => {}
        }
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }
}

fn sort(job: Job, urgent: &mut VecDeque<Job>, bulk: &mut VecDeque<Job>) {
    if job.write.is_bulk() { bulk.push_back(job) } else { urgent.push_back(job) }
}

/// Writes of which no log is part.
fn write_plain(connection: &Connection, plain: &Write) -> rusqlite::Result<()> {
    match plain {
        Write::DropViews => write::drop_views(connection),
        Write::Blob { sha256, bytes } => write::blob(connection, sha256, bytes),
        Write::Settle(settled) => {
            settled.iter().try_for_each(|settled| outbox::settle(connection, settled))
        }
        Write::SeenAdd(items) => items.iter().try_for_each(|item| seen::add(connection, item)),
        Write::SeenDrop(rows) => rows.iter().try_for_each(|row| seen::remove_row(connection, *row)),
        Write::Commit(_) | Write::Fill { .. } | Write::Erase { .. } | Write::SeenRemove(_) => {
            unreachable!("these know logs or answer for themselves")
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::conformance::Author;

    #[test]
    fn an_append_of_few_entries_goes_before_those_of_many_that_came_first() {
        let (mut urgent, mut bulk) = (VecDeque::new(), VecDeque::new());
        let (mut flood, mut honest) = (Author::new("flood"), Author::new("honest"));
        let appends = [flood.batch(256), flood.batch(17), honest.batch(16), honest.batch(1)];
        for batch in appends {
            let (answer, _) = oneshot::channel();
            sort(Job { write: Write::Commit(batch), answer }, &mut urgent, &mut bulk);
        }
        let sizes = |jobs: &VecDeque<Job>| {
            let size = |job: &Job| match &job.write {
                Write::Commit(Batch { append: Some(append), .. }) => append.entries.len(),
                write => panic!("{write:?}"),
            };
            jobs.iter().map(size).collect::<Vec<_>>()
        };
        assert_eq!((sizes(&urgent), sizes(&bulk)), (vec![16, 1], vec![256, 17]));
    }
}
