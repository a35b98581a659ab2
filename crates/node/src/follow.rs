//! Folds what the logs say into what this node does: own and copied logs take this same path, at
//! start as after a report.
//!
//! **Invariant:** a signal is findable before the seen table is searched for it.
//! **Invariant:** nothing here asks a peer or the platform.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use futures_util::StreamExt;
use watchfire_signal::{commitment::Commitment, name::LogName, record::Leaf};
use watchfire_store::{Held, Store, StoreError};
use watchfire_tlog::Origin;

use crate::{
    cases::Cases,
    clock::Clock,
    enforce::Enforcer,
    events::{Event, Events},
    judge::Judge,
    known::Known,
    receipts::Receipts,
};

/// Entries folded between two looks at the other logs.
const PAGE: usize = 1_024;

/// Folds logs. One task.
pub struct Follower {
    /// The fold.
    pub cases: Cases,
    /// Where the logs are.
    pub store: Arc<dyn Store>,
    /// What lookups read.
    pub known: Arc<Known>,
    /// What policy says.
    pub judge: Judge,
    /// Told which sets have changed.
    pub enforcer: Enforcer,
    /// Told what happened.
    pub events: Events,
    /// Told up to where it is effective.
    pub receipts: Receipts,
    /// The node's clock.
    pub clock: Arc<dyn Clock>,
    /// Entries folded of each log.
    pub cursors: HashMap<LogName, u64>,
    /// Ends of terms to come.
    pub deadlines: BTreeSet<(u64, Commitment)>,
}

impl Follower {
    /// Folds all that the store holds; nothing is announced entry by entry.
    ///
    /// # Errors
    /// The store's.
    pub async fn catch_up(&mut self) -> Result<(), StoreError> {
        for head in self.store.logs().await? {
            self.fold_to(&head.log, head.size, false).await?;
        }
        Ok(())
    }

    /// Folds as logs grow and deadlines pass, for as long as the node runs.
    pub async fn run(mut self) {
        let mut growth = self.store.watch();
        loop {
            let pause = self.until_next_deadline();
            tokio::select! {
                biased;
                grown = growth.next() => match grown {
                    Some((log, size)) => {
                        if let Err(error) = self.fold_to(&log, size, true).await {
                            tracing::error!(%error, %log, "log could not be folded");
                        }
                    }
                    None => return,
                },
                () = tokio::time::sleep(pause) => self.pass_deadlines(),
            }
        }
    }

    async fn fold_to(
        &mut self,
        origin: &Origin,
        size: u64,
        announce: bool,
    ) -> Result<(), StoreError> {
        let Ok(log) = origin.as_str().parse::<LogName>() else { return Ok(()) };
        loop {
            let from = self.cursors.get(&log).copied().unwrap_or(0);
            if from >= size {
                return Ok(());
            }
            let page = self.store.held(origin, from, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            let next = last.index + 1;
            let mut touched = Vec::new();
            for held in page {
                self.fold(&log, held, announce, &mut touched);
            }
            // One look at each set, however many records of the page spoke of it.
            let mut done = BTreeSet::new();
            for (name, index) in touched.into_iter().rev() {
                if done.insert(name) {
                    self.refresh(name, &log, index);
                }
            }
            self.cursors.insert(log.clone(), next);
            self.receipts.set_here(&log, next);
        }
    }

    fn fold(
        &mut self,
        log: &LogName,
        held: Held,
        announce: bool,
        touched: &mut Vec<(Commitment, u64)>,
    ) {
        let index = held.index;
        if announce && let Ok(leaf) = Leaf::decode(&held.entry.leaf) {
            let commitment = leaf.commitment;
            self.events.send(Event::Received { commitment, log: log.clone(), index });
        }
        let (names, ignored) = self.cases.fold(log, held);
        touched.extend(names.into_iter().map(|name| (name, index)));
        if let Some(why) = ignored {
            let member = log.member.to_string();
            metrics::counter!("watchfire_entries_ignored_total", "member" => member, "why" => why.name())
                .increment(1);
            tracing::warn!(%log, index, why = why.name(), "an entry says nothing here");
        }
    }

    /// Makes a changed set visible to lookups, then has its consequences drawn.
    fn refresh(&mut self, name: Commitment, log: &LogName, index: u64) {
        let Some(set) = self.cases.set(&name) else { return };
        let set = Arc::new(set.clone());
        let now = self.clock.now_ms();
        self.known.publish(set.clone());
        let decision = self.judge.about(&set, now);
        if set.standing.level.is_some() && set.standing.term.until_ms > now {
            self.deadlines.insert((set.standing.term.until_ms, name));
        }
        self.events.send(Event::Case {
            set: name,
            subject: set.subject,
            state: set.state(now),
            blocks: decision.verdict() == crate::policy::Verdict::Block,
            log: log.clone(),
            index,
        });
        self.enforcer.look_at(name, decision.take_down().is_none());
    }

    fn until_next_deadline(&self) -> Duration {
        let longest = Duration::from_secs(60);
        let Some((at, _)) = self.deadlines.first() else { return longest };
        Duration::from_millis(at.saturating_sub(self.clock.now_ms())).min(longest)
    }

    /// Draws the consequences of terms that are over: no message comes for these.
    fn pass_deadlines(&mut self) {
        let now = self.clock.now_ms();
        while let Some(&(at, name)) = self.deadlines.first() {
            if at > now {
                return;
            }
            self.deadlines.pop_first();
            let Some(set) = self.cases.set(&name) else { continue };
            if set.standing.term.until_ms == at {
                let place = set.place.clone();
                self.refresh(name, &place.log, place.index);
            }
        }
    }
}
