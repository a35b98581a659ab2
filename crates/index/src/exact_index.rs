//! Finds which signals carry exactly a given value, such as a SHA-256 or an MD5.
//!
//! **Invariant:** readers take no lock; a change is seen by the next search.

use std::{
    hash::Hash,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use papaya::HashMap;

use crate::{
    Found, memory,
    owners::{Left, Owners},
};

/// A concurrent map from a value to the ids that carry it.
pub struct ExactIndex<V> {
    ids: HashMap<V, Owners>,
    /// Bytes of the ids; only the writer changes it.
    ids_bytes: AtomicUsize,
    writer: Mutex<()>,
}

impl<V: Hash + Eq> ExactIndex<V> {
    /// An empty index.
    #[must_use]
    pub fn new() -> Self {
        Self { ids: HashMap::new(), ids_bytes: AtomicUsize::new(0), writer: Mutex::new(()) }
    }

    /// Adds a value under an id; the next search finds it. The same pair is stored once.
    pub fn insert(&self, id: u64, value: V) {
        let _writing = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let map = self.ids.pin();
        let known = map.get(&value);
        let before = known.map_or(0, Owners::bytes);
        let new = known.map_or_else(|| Some(Owners::one(id)), |known| known.with(id));
        let after = new.as_ref().or(known).map_or(0, Owners::bytes);
        self.count(before, after);
        if let Some(new) = new {
            map.insert(value, new);
        }
    }

    /// Takes a value from an id; the next search does not find it. False if the pair was not there.
    pub fn remove(&self, id: u64, value: &V) -> bool
    where
        V: Clone,
    {
        let _writing = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let map = self.ids.pin();
        let Some(known) = map.get(value) else { return false };
        let before = known.bytes();
        let left = known.without(id);
        let after = match &left {
            Left::Same | Left::Fewer => known.bytes(),
            Left::These(ids) => ids.bytes(),
            Left::Nobody => 0,
        };
        self.count(before, after);
        let was_there = !matches!(left, Left::Same);
        match left {
            Left::Same | Left::Fewer => {}
            Left::These(ids) => drop(map.insert(value.clone(), ids)),
            Left::Nobody => drop(map.remove(value)),
        }
        was_there
    }

    /// Notes that ids of one value take other memory than before.
    fn count(&self, before: usize, after: usize) {
        let all = self.ids_bytes.load(Ordering::Relaxed);
        self.ids_bytes.store(all + after - before, Ordering::Relaxed);
    }

    /// The ids that carry the value, at distance 0, at most `limit` of them.
    #[must_use]
    pub fn search(&self, value: &V, limit: usize) -> Found {
        let map = self.ids.pin();
        let ids = map.get(value).map(|ids| ids.some(limit.saturating_add(1))).unwrap_or_default();
        let mut hits: Vec<_> = ids.into_iter().map(|id| (id, 0)).collect();
        let truncated = hits.len() > limit;
        hits.truncate(limit);
        Found { hits, truncated }
    }

    /// The number of distinct values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether nothing is stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Bytes of memory the index uses, without what values hold elsewhere.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        memory::of_map(&self.ids) + self.ids_bytes.load(Ordering::Relaxed)
    }
}

impl<V: Hash + Eq> Default for ExactIndex<V> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_a_map_of_sets_would_hold(
            steps in proptest::collection::vec((0u8..3, 0u64..70, 0u8..2), 0..500),
        ) {
            let (index, mut model) = (ExactIndex::new(), BTreeMap::<u8, BTreeSet<u64>>::new());
            for (step, id, value) in steps {
                if step > 0 {
                    index.insert(id, value);
                    model.entry(value).or_default().insert(id);
                } else {
                    let there = model.get_mut(&value).is_some_and(|ids| ids.remove(&id));
                    prop_assert_eq!(index.remove(id, &value), there);
                }
            }
            for value in 0..2 {
                let ids = model.remove(&value).unwrap_or_default();
                let all = index.search(&value, 100);
                prop_assert!(!all.truncated);
                prop_assert_eq!(all.hits.len(), ids.len());
                prop_assert!(all.hits.iter().all(|(id, bits)| ids.contains(id) && *bits == 0));
                prop_assert_eq!(index.search(&value, 3).truncated, ids.len() > 3);
                prop_assert_eq!(index.search(&value, 3).hits.len(), ids.len().min(3));
            }
        }
    }
}
