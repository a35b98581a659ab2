//! A member's disk: what a write changes is there once it was synced, and not before.
//!
//! **Invariant:** what a write answered `Ok` for is there after every crash, unless a mutant was asked for.
//! **Invariant:** of the writes under way at a crash the first few are there, whole, and the others are not.

mod job;
mod lies;
mod mount;

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;
use watchfire_store::{MemoryStore, Store, Table};

use crate::{
    chance::Chance,
    fault::{Fault, Faults, Point, Write},
    process::{Life, Process},
    trace::Trace,
};

use job::Job;
pub use job::Verdict;
pub use mount::Mount;

/// How long a sync takes, in milliseconds.
const SYNC_MS: std::ops::Range<u64> = 1..6;
/// How long one of a disk that is slow takes.
const SLOW_MS: std::ops::Range<u64> = 100..700;

/// How a disk fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trouble {
    /// Every write is refused.
    pub full: bool,
    /// Every sync takes long.
    pub slow: bool,
    /// The next write that appends to a log or begins effects is reported as failed, done or not.
    pub torn: bool,
    /// The process ends here.
    pub crash: Option<Point>,
}

/// What a disk does wrong for a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lies {
    /// One commit in eight is acknowledged and forgotten.
    pub forgets: bool,
    /// Erasing is acknowledged and not done.
    pub keeps_erased: bool,
    /// Reading a log shows no retractions.
    pub hides_retractions: bool,
    /// Votes for charters are acknowledged and forgotten.
    pub forgets_votes: bool,
    /// Of the approvals of a charter one is kept.
    pub loses_approvals: bool,
    /// Reading a log shows nobody who agrees with an incident.
    pub hides_agreement: bool,
    /// Whoever says anything of an incident is shown as one who agrees with it.
    pub shows_agreement: bool,
}

/// A disk. It outlives the processes that write on it.
pub struct Disk {
    name: String,
    store: Mutex<Arc<MemoryStore>>,
    backup: Mutex<Option<MemoryStore>>,
    /// What it does wrong.
    pub lies: Lies,
    state: Mutex<State>,
    more: Notify,
    chance: Chance,
    faults: Faults,
    trace: Trace,
}

#[derive(Default)]
struct State {
    trouble: Trouble,
    queue: VecDeque<Job>,
    process: Option<Arc<Process>>,
    tables: BTreeSet<Table>,
}

impl Disk {
    /// An empty disk of a member.
    #[must_use]
    pub fn new(name: &str, seed: u64, lies: Lies, (faults, trace): (&Faults, &Trace)) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            store: Mutex::new(Arc::new(MemoryStore::new())),
            backup: Mutex::default(),
            lies,
            state: Mutex::default(),
            more: Notify::new(),
            chance: Chance::new(seed, &format!("disk of {name}")),
            faults: faults.clone(),
            trace: trace.clone(),
        })
    }

    /// What is durable.
    #[must_use]
    pub fn durable(&self) -> Arc<dyn Store> {
        self.store()
    }

    fn store(&self) -> Arc<MemoryStore> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Copies what is durable, in the place of the copy before.
    pub fn back_up(&self) {
        let backup = self.store().backup();
        *self.backup.lock().unwrap_or_else(PoisonError::into_inner) = Some(backup);
    }

    /// Whether there is a copy.
    #[must_use]
    pub fn has_backup(&self) -> bool {
        self.backup.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Puts the copy in the place of what is durable, which it answers; nothing may run here then.
    pub fn restore(&self) -> Option<Arc<dyn Store>> {
        let backup = self.backup.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let before: Arc<MemoryStore> = std::mem::replace(&mut *store, Arc::new(backup));
        Some(before)
    }

    /// The tables that were ever written.
    #[must_use]
    pub fn tables(&self) -> Vec<Table> {
        self.state().tables.iter().copied().collect()
    }

    /// The store of a process that begins.
    #[must_use]
    pub fn mount(self: &Arc<Self>, process: &Arc<Process>) -> Mount {
        self.state().process = Some(process.clone());
        Mount::new(self.clone(), self.store(), process.life())
    }

    /// Changes how it fails.
    pub fn trouble(&self, change: impl FnOnce(&mut Trouble)) {
        change(&mut self.state().trouble);
    }

    /// How it fails now.
    #[must_use]
    pub fn troubled(&self) -> Trouble {
        self.state().trouble
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.state().queue.is_empty()
    }

    /// Carries out writes, one after the other, for as long as the run lasts.
    pub async fn spin(self: Arc<Self>) {
        loop {
            let woken = self.more.notified();
            if self.is_idle() {
                woken.await;
                continue;
            }
            let sync = if self.troubled().slow {
                self.faults.fired(Fault::DiskSlow);
                SLOW_MS
            } else {
                SYNC_MS
            };
            tokio::time::sleep(Duration::from_millis(self.chance.within(sync))).await;
            // A crash may have come before.
            let Some(job) = self.state().queue.pop_front() else { continue };
            self.carry_out(job).await;
        }
    }

    /// Ends the process that writes here: of what is under way some is done, and nobody is told.
    pub async fn crash(&self) {
        let (jobs, process) = {
            let mut state = self.state();
            state.trouble.crash = None;
            (std::mem::take(&mut state.queue), state.process.take())
        };
        if let Some(process) = process {
            process.end();
        }
        let done = self.chance.index(jobs.len() + 1);
        for (place, job) in jobs.into_iter().enumerate() {
            if place < done {
                self.faults.fired(Fault::WriteUnanswered);
                job.act(Verdict::Unanswered).await;
            } else {
                self.faults.fired(Fault::WriteLost);
                job.act(Verdict::Lost).await;
            }
        }
    }

    async fn carry_out(&self, job: Job) {
        let write = job.write;
        let Trouble { full, torn, crash, .. } = self.troubled();
        if crash == Some(Point::Before(write)) {
            self.dies_at(Point::Before(write), job, Verdict::Lost).await;
        } else if crash == Some(Point::After(write)) {
            self.dies_at(Point::After(write), job, Verdict::Unanswered).await;
        } else if full {
            self.faults.fired(Fault::DiskFull);
            self.trace.note(&self.name, format_args!("disk full: {write:?}"));
            job.act(Verdict::Refused).await;
        } else if torn && matches!(write, Write::Publish | Write::Copy | Write::Decide) {
            self.trouble(|trouble| trouble.torn = false);
            self.faults.fired(Fault::WriteTorn);
            let verdict = if self.chance.one_in(2) { Verdict::Torn } else { Verdict::Refused };
            self.trace.note(&self.name, format_args!("torn: {write:?} {verdict:?}"));
            job.act(verdict).await;
        } else if self.lies.forgets && write == Write::Publish && self.chance.one_in(8) {
            self.trace.note(&self.name, "forgets a statement");
            job.act(Verdict::Forgotten).await;
        } else {
            self.trace.note(&self.name, format_args!("wrote {write:?}"));
            job.act(Verdict::Done).await;
        }
    }

    async fn dies_at(&self, point: Point, job: Job, verdict: Verdict) {
        self.faults.fired(Fault::Crash(point));
        self.trace.note(&self.name, point);
        // First its end: what it did not hear of it must not act upon.
        let process = self.state().process.clone();
        if let Some(process) = process {
            process.end();
        }
        job.act(verdict).await;
        self.crash().await;
    }

    fn push(&self, job: Job, tables: impl IntoIterator<Item = Table>) {
        let mut state = self.state();
        state.tables.extend(tables);
        state.queue.push_back(job);
        drop(state);
        self.more.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a process is alive.
impl Disk {
    /// The life of the process that writes here.
    #[must_use]
    pub fn life(&self) -> Option<Life> {
        self.state().process.as_ref().map(|process| process.life())
    }
}
