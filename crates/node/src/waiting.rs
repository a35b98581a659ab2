//! Entries that speak of a leaf that is not here yet, until it comes.
//!
//! **Invariant:** what one author makes wait is bounded in number and in bytes, and the flood of one
//! drops nothing of another's.

use std::collections::HashMap;

use bytes::Bytes;
use watchfire_signal::name::LogName;
use watchfire_store::Held;
use watchfire_tlog::Entry;

use crate::place::Place;

/// Entries of one log that wait. At a start logs are folded in the order in which they were
/// verified, so that few wait; a member answers alerts of a partitioned peer at most as fast as its
/// people look.
const MAX_ENTRIES: usize = 65_536;
/// Leaf and record bytes of one log that wait: a hundred members at their limit fit into memory.
const MAX_BYTES: usize = 16 << 20;

/// What waits, by what it waits for.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    entries: HashMap<Place, Vec<(LogName, Held)>>,
    loads: HashMap<LogName, Load>,
}

/// What waits of one log.
#[derive(Debug, Default, Clone, Copy)]
struct Load {
    entries: usize,
    bytes: usize,
}

impl Waiting {
    /// Has an entry of `log` wait; false where too much of that log waits already.
    pub(crate) fn add(&mut self, target: Place, log: &LogName, held: Held) -> bool {
        let load = self.loads.entry(log.clone()).or_default();
        let bytes = load.bytes + bytes_of(&held);
        if load.entries >= MAX_ENTRIES || bytes > MAX_BYTES {
            return false;
        }
        *load = Load { entries: load.entries + 1, bytes };
        self.entries.entry(target).or_default().push((log.clone(), apart(held)));
        true
    }

    /// What waited for a place that has come.
    pub(crate) fn take(&mut self, place: &Place) -> Vec<(LogName, Held)> {
        let waited = self.entries.remove(place).unwrap_or_default();
        for (log, held) in &waited {
            if let Some(load) = self.loads.get_mut(log) {
                load.entries -= 1;
                load.bytes -= bytes_of(held);
            }
        }
        waited
    }
}

/// In memory of its own: as it came it is a part of all that came with it, which would stay as long as it waits.
fn apart(held: Held) -> Held {
    let own = |bytes: &Bytes| Bytes::copy_from_slice(bytes);
    let entry = Entry::new(own(&held.entry.leaf), held.entry.record.as_ref().map(own));
    Held { entry, ..held }
}

fn bytes_of(held: &Held) -> usize {
    held.entry.leaf.len() + held.entry.record.as_ref().map_or(0, Bytes::len)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    /// A page of entries that came in one answer is not kept for the one of them that waits.
    #[test]
    fn what_waits_keeps_nothing_of_what_came_with_it() {
        let page = Bytes::from(vec![7; 1 << 20]);
        let log = "watchfire/demo/tiktok/1".parse::<LogName>().unwrap();
        let target = Place { log: log.clone(), index: 9 };
        let entry = Entry::new(page.slice(100..200), Some(page.slice(200..900)));
        let mut waiting = Waiting::default();
        assert!(waiting.add(target.clone(), &log, Held { index: 3, entry, verified_ms: 1 }));
        assert!(page.is_unique(), "the page is kept");
        let waited = waiting.take(&target);
        assert_eq!(waited[0].1.entry, Entry::new(vec![7; 100], Some(vec![7; 700].into())));
    }
}
