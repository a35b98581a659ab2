//! Folds all that the store holds before a node begins, at rest or beside the node that goes on until then.
//!
//! **Invariant:** until it is taken over a fold changes memory that nobody else looks at, and nothing else: nobody is
//! told of anything, and nothing is written.
//! **Invariant:** whatever happened beside it, what is taken over is what a fold begun at that moment would come to.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use watchfire_signal::{commitment::Commitment, name::LogName};
use watchfire_store::{Held, Store, StoreError};
use watchfire_tlog::Origin;

use super::Follower;
use crate::{judge::Judge, place::Place, urgent};

/// Entries of a log read at once.
const PAGE: usize = 1_024;
/// Entries folded, or sets shown, before others have their turn, and somebody who wants to stop is heard.
const AT_ONCE: usize = 64;
/// How often what has come meanwhile is folded before the fold is taken over; each time it is a fraction of what came
/// before, unless logs grow as fast as they are folded.
const ROUNDS: usize = 8;

/// The cases that had an effect here when all sets were shown.
#[derive(Debug, Default)]
pub(crate) struct Acted(HashSet<[u8; 32]>);

/// What has changed beside the logs since a fold began.
pub(crate) struct News {
    /// What policy and people say now.
    pub(crate) judge: Judge,
    /// Cases of which people say something else than before.
    pub(crate) said: BTreeSet<Commitment>,
    /// Places at which records were put that had been missing, or dropped.
    pub(crate) moved: BTreeSet<Place>,
}

/// The sets that a fold touched, with the entry that did so last.
struct Touched {
    /// Not where all are shown anyhow.
    noted: bool,
    sets: BTreeMap<Commitment, (LogName, u64)>,
}

impl Touched {
    fn noted(noted: bool) -> Self {
        Self { noted, sets: BTreeMap::new() }
    }

    fn note(&mut self, names: Vec<Commitment>, log: &LogName, index: u64) {
        let names = names.into_iter().filter(|_| self.noted);
        self.sets.extend(names.map(|name| (name, (log.clone(), index))));
    }
}

/// A log with its entries to be folded next.
struct Backlog {
    log: LogName,
    origin: Origin,
    read: u64,
    page: VecDeque<Held>,
}

impl Backlog {
    /// Reads on when all that was read is folded.
    async fn fill(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        if self.page.is_empty() {
            self.page.extend(store.held(&self.origin, self.read, PAGE).await?);
            self.read = self.page.back().map_or(self.read, |last| last.index + 1);
        }
        Ok(())
    }

    fn next_ms(&self) -> u64 {
        self.page.front().map_or(u64::MAX, |held| held.verified_ms)
    }
}

impl Follower {
    /// Folds all that the store holds, and shows it to lookups; nothing is announced entry by entry, and nothing is
    /// written. Dropping it in between leaves nothing behind.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn fold_all(&mut self) -> Result<Acted, StoreError> {
        let mut touched = Touched::noted(false);
        // What counted ahead of its turn before the last stop counts before anything that waits.
        self.fold_kept(&mut touched).await?;
        self.fold_logs(&mut touched).await?;
        self.fold_due().await?;
        let acted = self.acted().await?;
        self.show_all(&acted).await;
        for _ in 0..ROUNDS {
            if self.fold_news(&acted).await? < PAGE {
                break;
            }
        }
        Ok(acted)
    }

    /// Folds what has come since, draws up what follows from all that happened beside the fold, and does what a fold
    /// owes the store. From here on it is the fold of the node.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn take_over(&mut self, acted: Acted, news: News) -> Result<(), StoreError> {
        self.judge = news.judge;
        self.fold_news(&acted).await?;
        for place in news.moved {
            // If it is missing all the same, the fold notes that again.
            self.holes.close(&place);
            self.fold_again(&place).await?;
        }
        // Another fold may have acted since on what is over by this one.
        let acted_since = self.acted().await?.0;
        let cases = acted_since.difference(&acted.0).map(|case| Commitment(*case));
        for case in cases.chain(news.said).collect::<BTreeSet<_>>() {
            for name in self.known.sets().names_of_case(&case) {
                self.show(name, None).into_iter().for_each(|set| self.look_at(&set));
            }
        }
        for (log, size) in &self.cursors {
            self.receipts.set_here(log, *size);
        }
        self.forget_early().await?;
        for place in self.cases.take_erased() {
            self.erase(&place).await?;
        }
        Ok(())
    }

    /// Folds again what is due: its time has come, there is room for it now, or it is erased no more.
    async fn fold_due(&mut self) -> Result<(), StoreError> {
        let mut due = self.cases.pass_time(self.clock.now_ms());
        loop {
            due.extend(self.cases.take_again());
            if due.is_empty() {
                return Ok(());
            }
            for place in std::mem::take(&mut due) {
                self.fold_again(&place).await?;
            }
        }
    }

    async fn acted(&self) -> Result<Acted, StoreError> {
        Ok(Acted(self.store.cases_with_effects().await?.into_iter().collect()))
    }

    /// Folds what counts ahead of its turn.
    async fn fold_kept(&mut self, touched: &mut Touched) -> Result<(), StoreError> {
        for (log, held) in urgent::kept(&*self.store).await? {
            let (index, place) = (held.index, Place { log: log.clone(), index: held.index });
            let passed = self.cursors.get(&log).is_some_and(|next| index < *next);
            if self.early.insert(place) && !passed {
                let (names, _) = self.cases.fold(&log, held);
                touched.note(names, &log, index);
            }
        }
        Ok(())
    }

    /// Folds all logs from where they were folded to, side by side in the order in which their entries were verified, so
    /// that hardly anything has to wait for what it speaks of; answers how many entries that were.
    async fn fold_logs(&mut self, touched: &mut Touched) -> Result<usize, StoreError> {
        let mut backlogs = Vec::new();
        for head in self.store.logs().await? {
            if let Ok(log) = head.log.as_str().parse::<LogName>() {
                let read = self.cursors.get(&log).copied().unwrap_or(0);
                backlogs.push(Backlog { log, origin: head.log, read, page: VecDeque::new() });
            }
        }
        let mut folded = 0_usize;
        loop {
            for backlog in &mut backlogs {
                backlog.fill(&*self.store).await?;
            }
            backlogs.retain(|backlog| !backlog.page.is_empty());
            let next = backlogs.iter_mut().min_by_key(|backlog| backlog.next_ms());
            let Some(backlog) = next else { return Ok(folded) };
            let Some(held) = backlog.page.pop_front() else { return Ok(folded) };
            let (log, index) = (backlog.log.clone(), held.index);
            let names = self.fold(&log, held, false);
            touched.note(names, &log, index);
            self.cursors.insert(log, index + 1);
            folded += 1;
            if folded.is_multiple_of(AT_ONCE) {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Folds what has come since all sets were shown, and shows what it touched; answers how many entries that were.
    async fn fold_news(&mut self, acted: &Acted) -> Result<usize, StoreError> {
        let mut touched = Touched::noted(true);
        self.fold_kept(&mut touched).await?;
        let folded = self.fold_logs(&mut touched).await?;
        self.fold_due().await?;
        for (name, (log, index)) in touched.sets {
            let Some(set) = self.show(name, Some((&log, index))) else { continue };
            if acted.0.contains(&set.subject.0) || !self.is_over(&set) {
                self.look_at(&set);
            }
        }
        self.pass_deadlines();
        Ok(folded)
    }

    /// Makes all sets visible to lookups, and has their consequences drawn: of what is over, where it had any here.
    async fn show_all(&mut self, acted: &Acted) {
        let sets = self.known.sets().clone();
        let mut walk = sets.walk();
        while let Some(names) = walk.next(&sets) {
            for names in names.chunks(AT_ONCE) {
                for name in names {
                    let Some(set) = self.show(*name, None) else { continue };
                    if acted.0.contains(&set.subject.0) || !self.is_over(&set) {
                        self.look_at(&set);
                    }
                }
                tokio::task::yield_now().await;
            }
        }
    }
}
