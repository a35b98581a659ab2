//! Counts the memory of what tells only how many entries it has.
//!
//! Counted is what is asked of the allocator, not what that adds.

use papaya::{HashMap, HashSet};

/// Bytes of one place of a map's table: a pointer and a byte of the hash.
const PLACE: usize = size_of::<usize>() + 1;

/// What an `Arc` has beside what it holds: two counts.
pub(crate) const COUNTS: usize = 2 * size_of::<usize>();

/// Bytes of a map, without what its keys and values hold elsewhere.
pub(crate) fn of_map<K, V, S>(map: &HashMap<K, V, S>) -> usize
where
    K: std::hash::Hash + Eq,
    S: std::hash::BuildHasher,
{
    of_entries::<(K, V)>(map.len())
}

/// Bytes of a set, without what its members hold elsewhere.
pub(crate) fn of_set<K, S>(set: &HashSet<K, S>) -> usize
where
    K: std::hash::Hash + Eq,
    S: std::hash::BuildHasher,
{
    of_entries::<K>(set.len())
}

/// Bytes of a map that only its writer uses.
pub(crate) fn of_table<K, V>(map: &std::collections::HashMap<K, V>) -> usize {
    map.capacity() * (size_of::<(K, V)>() + 1)
}

/// Bytes of the entries of a map. Each is allocated by itself; a table has a power of two of places, of which a quarter stays free.
fn of_entries<E>(count: usize) -> usize {
    if count == 0 {
        return 0;
    }
    count * size_of::<E>().next_multiple_of(8) + (count * 4 / 3).next_power_of_two() * PLACE
}
