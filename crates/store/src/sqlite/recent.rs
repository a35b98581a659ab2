//! What the writer shares with everyone else: the numbers of the logs, their newest entries, and who
//! waits for more.
//!
//! **Invariant:** changed by the writer alone, in the order of its commits.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use watchfire_tlog::{Extension, Origin, SignedCheckpoint};

use crate::feed::{Feed, locked};
use crate::tail::Tail;
use crate::{Append, Head, Held};

/// The logs in memory.
#[derive(Debug)]
pub(super) struct Recent {
    logs: Mutex<BTreeMap<Origin, Log>>,
    feed: Feed,
}

#[derive(Debug)]
struct Log {
    id: i64,
    tail: Tail,
}

impl Recent {
    /// The logs as they are at start: number, size, newest checkpoint.
    pub(super) fn new(logs: Vec<(i64, Head)>) -> Self {
        let sizes = logs.iter().map(|(_, head)| (head.log.clone(), head.size)).collect();
        let log = |(id, head): (i64, Head)| {
            (head.log, Log { id, tail: Tail::new(head.size, head.checkpoint) })
        };
        let logs = Mutex::new(logs.into_iter().map(log).collect());
        Recent { logs, feed: Feed::new(sizes) }
    }

    /// Shows an append that was committed and wakes who waits for it.
    pub(super) fn publish(&self, id: i64, append: Append) {
        let log = append.log.clone();
        let size = {
            let mut logs = self.logs();
            let new = || Log { id, tail: Tail::new(0, append.checkpoint.clone()) };
            let known = logs.entry(log.clone()).or_insert_with(new);
            known.tail.push(append);
            known.tail.size()
        };
        self.feed.publish(&log, size);
    }

    /// Shows that a log was cut back to a size; without one it is gone.
    pub(super) fn cut(&self, log: &Origin, left: Option<(u64, SignedCheckpoint)>) {
        let size = left.as_ref().map_or(0, |(size, _)| *size);
        {
            let mut logs = self.logs();
            match left {
                Some((size, checkpoint)) => {
                    if let Some(known) = logs.get_mut(log) {
                        known.tail = Tail::new(size, checkpoint);
                    }
                }
                None => drop(logs.remove(log)),
            }
        }
        self.feed.publish(log, size);
    }

    /// Shows a record that was filled in or erased.
    pub(super) fn set_record(&self, log: &Origin, index: u64, record: Option<Bytes>) {
        if let Some(log) = self.logs().get_mut(log) {
            log.tail.set_record(index, record);
        }
    }

    /// The number of a log.
    pub(super) fn id(&self, log: &Origin) -> Option<i64> {
        self.logs().get(log).map(|log| log.id)
    }

    /// The newest checkpoint of a log.
    pub(super) fn checkpoint(&self, log: &Origin) -> Option<SignedCheckpoint> {
        self.logs().get(log).map(|log| log.tail.checkpoint().clone())
    }

    /// The heads of all logs.
    pub(super) fn heads(&self) -> Vec<Head> {
        let logs = self.logs();
        let head = |(origin, log): (&Origin, &Log)| Head {
            log: origin.clone(),
            size: log.tail.size(),
            checkpoint: log.tail.checkpoint().clone(),
        };
        logs.iter().map(head).collect()
    }

    /// Entries from `from` on, if they are in memory.
    pub(super) fn held(&self, log: &Origin, from: u64, limit: usize) -> Option<Vec<Held>> {
        self.logs().get(log)?.tail.held(from, limit)
    }

    /// Everything from `from` on, if it is in memory.
    pub(super) fn extension(&self, log: &Origin, from: u64) -> Option<Extension> {
        self.logs().get(log)?.tail.extension(from)
    }

    /// Who waits.
    pub(super) fn feed(&self) -> &Feed {
        &self.feed
    }

    fn logs(&self) -> MutexGuard<'_, BTreeMap<Origin, Log>> {
        locked(&self.logs)
    }
}
