//! Entries that speak of a leaf that is not here yet, until it comes.
//!
//! **Invariant:** what one author makes wait is bounded in number and in bytes, and the flood of one
//! drops nothing of another's.
//! **Invariant:** nothing is lost for want of room: what found none is named, eight bytes an entry at most, and folded
//! again when there is some, so that what waits in the end depends on what has come and not on the order of it.

use std::collections::{BTreeMap, HashMap};

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
/// Entries of one log that are folded again at once.
const AT_ONCE: usize = 256;

/// What waits, by what it waits for.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    entries: HashMap<Place, BTreeMap<(LogName, u64), Held>>,
    loads: HashMap<LogName, Load>,
    turned_away: BTreeMap<LogName, Away>,
}

/// What waits of one log.
#[derive(Debug, Default, Clone, Copy)]
struct Load {
    entries: usize,
    bytes: usize,
}

/// What of one log found no room.
#[derive(Debug, Default)]
struct Away {
    /// By where a run of entries begins, where it ends.
    runs: BTreeMap<u64, u64>,
    /// Whether nothing has gone since one of them found no room.
    full: bool,
}

impl Away {
    fn add(&mut self, index: u64) {
        let before = self.runs.range_mut(..=index).next_back();
        if let Some((_, end)) = before.filter(|(_, end)| **end >= index) {
            *end = (*end).max(index + 1);
        } else {
            self.runs.insert(index, index + 1);
        }
    }

    fn take(&mut self) -> Option<u64> {
        let (first, end) = self.runs.pop_first()?;
        if first + 1 < end {
            self.runs.insert(first + 1, end);
        }
        Some(first)
    }
}

impl Waiting {
    /// Has an entry of `log` wait; false where too much of that log waits already: it is to be folded again.
    pub(crate) fn add(&mut self, target: Place, log: &LogName, held: Held) -> bool {
        let name = (log.clone(), held.index);
        let there = self.entries.get(&target).and_then(|waiting| waiting.get(&name));
        if there.is_some_and(|there| there.entry.record.is_some() || held.entry.record.is_none()) {
            return true;
        }
        let (before, known) = (there.map_or(0, bytes_of), there.is_some());
        let load = self.loads.entry(log.clone()).or_default();
        let after = Load {
            entries: load.entries + usize::from(!known),
            bytes: load.bytes - before + bytes_of(&held),
        };
        if after.entries > MAX_ENTRIES || after.bytes > MAX_BYTES {
            let away = self.turned_away.entry(log.clone()).or_default();
            away.full = true;
            away.add(held.index);
            return false;
        }
        *load = after;
        self.entries.entry(target).or_default().insert(name, apart(held));
        true
    }

    /// What waited for a place that has come.
    pub(crate) fn take(&mut self, place: &Place) -> Vec<(LogName, Held)> {
        let waited = self.entries.remove(place).unwrap_or_default();
        for ((log, _), held) in &waited {
            if let Some(load) = self.loads.get_mut(log) {
                load.entries -= 1;
                load.bytes -= bytes_of(held);
            }
            if let Some(away) = self.turned_away.get_mut(log) {
                away.full = false;
            }
        }
        waited.into_iter().map(|((log, _), held)| (log, held)).collect()
    }

    /// Entries that found no room and may find some now, once: the first ones of each log.
    pub(crate) fn take_again(&mut self) -> Vec<Place> {
        let mut again = Vec::new();
        for (log, away) in self.turned_away.iter_mut().filter(|(_, away)| !away.full) {
            let first = std::iter::from_fn(|| away.take()).take(AT_ONCE);
            again.extend(first.map(|index| Place { log: log.clone(), index }));
        }
        self.turned_away.retain(|_, away| !away.runs.is_empty());
        again
    }

    /// Whether there are any.
    pub(crate) fn has_again(&self) -> bool {
        self.turned_away.values().any(|away| !away.full)
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

    /// An entry of so many bytes.
    fn entry(index: u64, bytes: usize) -> Held {
        let entry = Entry::new(vec![0; 10], Some(vec![7; bytes - 10].into()));
        Held { index, entry, verified_ms: 1 }
    }

    #[test]
    fn what_finds_no_room_is_named_once_there_is_some_and_each_once() {
        let log = "watchfire/demo/tiktok/1".parse::<LogName>().unwrap();
        let other = "watchfire/demo/google/1".parse::<LogName>().unwrap();
        let target = |index| Place { log: other.clone(), index };
        let mut waiting = Waiting::default();
        for index in 0..4 {
            assert!(waiting.add(target(index), &log, entry(index, MAX_BYTES / 4)));
        }
        for index in [9, 7, 8, 5, 8] {
            assert!(!waiting.add(target(index), &log, entry(index, MAX_BYTES / 4)));
        }
        assert!(waiting.add(target(1), &other, entry(2, 50)), "of another log there is room");
        assert!(!waiting.has_again() && waiting.take_again().is_empty());
        // It is not counted twice, nor does one without its record push out one with it.
        let bare = Held { entry: Entry::new(vec![0; 10], None), ..entry(3, 10) };
        assert!(waiting.add(target(3), &log, bare));
        assert_eq!(waiting.take(&target(3))[0].1.entry, entry(3, MAX_BYTES / 4).entry);
        assert!(waiting.has_again());
        let again: Vec<_> = waiting.take_again().iter().map(|place| place.index).collect();
        assert_eq!(again, [5, 7, 8, 9]);
        assert!(!waiting.has_again());
        assert!(waiting.add(target(5), &log, entry(5, MAX_BYTES / 4)));
        assert!(!waiting.add(target(7), &log, entry(7, MAX_BYTES / 4)));
        assert!(!waiting.has_again(), "it is full again");
        waiting.take(&target(5));
        assert_eq!(waiting.take_again(), [Place { log: log.clone(), index: 7 }]);
    }

    #[test]
    fn a_record_that_comes_later_waits_instead_of_its_bare_leaf() {
        let log = "watchfire/demo/tiktok/1".parse::<LogName>().unwrap();
        let target = Place { log: log.clone(), index: 9 };
        let mut waiting = Waiting::default();
        let bare = Held { entry: Entry::new(vec![0; 10], None), ..entry(3, 10) };
        assert!(waiting.add(target.clone(), &log, bare));
        assert!(waiting.add(target.clone(), &log, entry(3, 700)));
        let waited = waiting.take(&target);
        assert_eq!((waited.len(), &waited[0].1.entry), (1, &entry(3, 700).entry));
        assert!(waiting.add(target.clone(), &log, entry(4, MAX_BYTES)), "all that waited is gone");
    }
}
