//! Finds which signals carry exactly a given value, such as a SHA-256 or an MD5.
//!
//! **Invariant:** readers take no lock; a change is seen by the next search.

use std::{
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use papaya::{HashMap, HashSet};

use crate::Found;

/// Up to this many ids of one value are copied on a change; more live in a set of their own, so that
/// one file uploaded a million times stays cheap.
const FEW: usize = 32;

/// A concurrent map from a value to the ids that carry it.
pub struct ExactIndex<V> {
    ids: HashMap<V, Ids>,
    writer: Mutex<()>,
}

/// The ids of one value; never empty while a writer is not at work.
#[derive(Clone)]
enum Ids {
    Few(Arc<[u64]>),
    Many(Arc<HashSet<u64>>),
}

impl<V: Hash + Eq> ExactIndex<V> {
    /// An empty index.
    #[must_use]
    pub fn new() -> Self {
        Self { ids: HashMap::new(), writer: Mutex::new(()) }
    }

    /// Adds a value under an id; the next search finds it. The same pair is stored once.
    pub fn insert(&self, id: u64, value: V) {
        let _writing = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let map = self.ids.pin();
        let new = match map.get(&value) {
            None => Ids::Few(Arc::from([id])),
            Some(Ids::Few(ids)) if ids.contains(&id) => return,
            Some(Ids::Few(ids)) if ids.len() < FEW => {
                Ids::Few(ids.iter().copied().chain([id]).collect())
            }
            Some(Ids::Few(ids)) => Ids::Many(Arc::new(ids.iter().copied().chain([id]).collect())),
            Some(Ids::Many(ids)) => {
                ids.pin().insert(id);
                return;
            }
        };
        map.insert(value, new);
    }

    /// Takes a value from an id; the next search does not find it. False if the pair was not there.
    pub fn remove(&self, id: u64, value: &V) -> bool
    where
        V: Clone,
    {
        let _writing = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let map = self.ids.pin();
        match map.get(value) {
            None => false,
            Some(Ids::Many(ids)) => {
                let gone = ids.pin().remove(&id);
                if ids.is_empty() {
                    map.remove(value);
                }
                gone
            }
            Some(Ids::Few(ids)) if !ids.contains(&id) => false,
            Some(Ids::Few(ids)) if ids.len() == 1 => map.remove(value).is_some(),
            Some(Ids::Few(ids)) => {
                let left = ids.iter().copied().filter(|&other| other != id).collect();
                map.insert(value.clone(), Ids::Few(left));
                true
            }
        }
    }

    /// The ids that carry the value, at distance 0, at most `limit` of them.
    #[must_use]
    pub fn search(&self, value: &V, limit: usize) -> Found {
        let map = self.ids.pin();
        let mut hits: Vec<_> = match map.get(value) {
            None => Vec::new(),
            Some(Ids::Few(ids)) => {
                ids.iter().take(limit.saturating_add(1)).map(|&id| (id, 0)).collect()
            }
            Some(Ids::Many(ids)) => {
                ids.pin().iter().take(limit.saturating_add(1)).map(|&id| (id, 0)).collect()
            }
        };
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
