//! The signals that share one hash: each distinct hash is stored once, with the list of its ids.
//!
//! **Invariant:** a reader that follows a list sees only ids that were in it while it read.
//! **Invariant:** an element that left a list keeps its link until no reader can stand on it.
#![allow(unsafe_code)]

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use super::{
    kernel::prefetch,
    segments::{Segments, Zeroed},
};

/// Above this many ids a list gets a map beside it, so that one hash with a million ids stays cheap.
const SHORT_LIST: u32 = 32;

/// The largest id that fits beside the tag bit; larger ones (never seen so far) take a list element.
const LARGEST_INLINE: u64 = u64::MAX >> 1;

/// One element of a list; links hold the element's index plus one, zero ends the list.
#[derive(Default)]
struct Element {
    id: AtomicU64,
    next: AtomicU32,
    before: AtomicU32,
}

// SAFETY: three atomics, for which zero is a valid value; nothing to drop.
unsafe impl Zeroed for Element {}

/// For every distinct hash the ids that have it.
///
/// A head is zero for a hash nobody has, `id << 1 | 1` for one id, or `link << 1` for a list.
pub(crate) struct IdLists {
    heads: Segments<AtomicU64>,
    elements: Segments<Element>,
}

/// What only the writer knows about the lists.
#[derive(Default)]
pub(crate) struct IdWriter {
    used: u32,
    free: Vec<u32>,
    lengths: HashMap<u32, u32>,
    long: HashMap<(u32, u64), u32>,
}

/// What taking an id away did.
pub(crate) enum Taken {
    /// The hash did not have that id.
    NotThere,
    /// The id is gone; the element, if there was one, may be used again once no reader is on it.
    Gone { element: Option<u32>, last: bool },
}

impl IdLists {
    pub(crate) fn new() -> Self {
        Self { heads: Segments::new(), elements: Segments::new() }
    }

    /// Whether any id has the hash in this slot; what was written before the id is visible after.
    #[inline]
    pub(crate) fn is_live(&self, slot: u32) -> bool {
        self.heads.at(slot).is_some_and(|head| head.load(Ordering::Acquire) != 0)
    }

    /// Asks for the memory that says which ids a slot has.
    #[inline]
    pub(crate) fn fetch(&self, slot: u32) {
        prefetch(
            self.heads.at(slot).map_or(std::ptr::null(), |head| std::ptr::from_ref(head).cast()),
        );
    }

    /// Calls `each` with the ids of a slot until it returns false.
    pub(crate) fn for_each(&self, slot: u32, mut each: impl FnMut(u64) -> bool) {
        let head = self.heads.at(slot).map_or(0, |head| head.load(Ordering::Acquire));
        if head & 1 == 1 {
            each(head >> 1);
            return;
        }
        let mut link = (head >> 1) as u32;
        while let Some(element) = link.checked_sub(1).and_then(|index| self.elements.at(index)) {
            if !each(element.id.load(Ordering::Relaxed)) {
                return;
            }
            link = element.next.load(Ordering::Acquire);
        }
    }

    /// Adds an id to a slot; false if it was there already.
    pub(crate) fn add(&self, writer: &mut IdWriter, slot: u32, id: u64) -> bool {
        let head = self.heads.reserve(slot);
        let old = head.load(Ordering::Relaxed);
        if old == 0 && id <= LARGEST_INLINE {
            head.store(id << 1 | 1, Ordering::Release);
            return true;
        }
        if self.find(writer, slot, old, id).is_some()
            || old == (id << 1 | 1) && id <= LARGEST_INLINE
        {
            return false;
        }
        if old & 1 == 1 {
            self.push(writer, slot, 0, old >> 1);
        }
        let list = if old & 1 == 1 { head.load(Ordering::Relaxed) } else { old };
        self.push(writer, slot, (list >> 1) as u32, id);
        true
    }

    /// Puts a new element before `next` and makes it the slot's head.
    fn push(&self, writer: &mut IdWriter, slot: u32, next: u32, id: u64) {
        let index = writer.free.pop().unwrap_or_else(|| {
            writer.used += 1;
            writer.used - 1
        });
        let element = self.elements.reserve(index);
        element.id.store(id, Ordering::Relaxed);
        element.next.store(next, Ordering::Relaxed);
        element.before.store(0, Ordering::Relaxed);
        if let Some(next) = next.checked_sub(1).and_then(|next| self.elements.at(next)) {
            next.before.store(index + 1, Ordering::Relaxed);
        }
        self.heads.reserve(slot).store(u64::from(index + 1) << 1, Ordering::Release);
        let length = writer.lengths.entry(slot).or_insert(0);
        *length += 1;
        if *length > SHORT_LIST {
            let all = *length == SHORT_LIST + 1;
            let mut link = index + 1;
            while let Some(element) = link.checked_sub(1).and_then(|index| self.elements.at(index))
            {
                writer.long.insert((slot, element.id.load(Ordering::Relaxed)), link - 1);
                link = if all { element.next.load(Ordering::Relaxed) } else { 0 };
            }
        }
    }

    /// The element of a slot's list that holds `id`.
    fn find(&self, writer: &IdWriter, slot: u32, head: u64, id: u64) -> Option<u32> {
        if head == 0 || head & 1 == 1 {
            return None;
        }
        if writer.lengths.get(&slot).is_some_and(|&length| length > SHORT_LIST) {
            return writer.long.get(&(slot, id)).copied();
        }
        let mut link = (head >> 1) as u32;
        while let Some(element) = link.checked_sub(1).and_then(|index| self.elements.at(index)) {
            if element.id.load(Ordering::Relaxed) == id {
                return Some(link - 1);
            }
            link = element.next.load(Ordering::Relaxed);
        }
        None
    }

    /// Takes an id from a slot.
    pub(crate) fn take(&self, writer: &mut IdWriter, slot: u32, id: u64) -> Taken {
        let Some(head) = self.heads.at(slot) else { return Taken::NotThere };
        let old = head.load(Ordering::Relaxed);
        if old & 1 == 1 && old >> 1 == id {
            head.store(0, Ordering::Release);
            return Taken::Gone { element: None, last: true };
        }
        let Some(index) = self.find(writer, slot, old, id) else { return Taken::NotThere };
        let Some(element) = self.elements.at(index) else { return Taken::NotThere };
        let next = element.next.load(Ordering::Relaxed);
        let before = element.before.load(Ordering::Relaxed);
        if let Some(next) = next.checked_sub(1).and_then(|next| self.elements.at(next)) {
            next.before.store(before, Ordering::Relaxed);
        }
        match before.checked_sub(1).and_then(|before| self.elements.at(before)) {
            Some(before) => before.next.store(next, Ordering::Release),
            None => head.store(u64::from(next) << 1, Ordering::Release),
        }
        self.forget(writer, slot, id);
        Taken::Gone { element: Some(index), last: next == 0 && before == 0 }
    }

    /// Keeps the writer's counts in step with a list that lost `id`.
    fn forget(&self, writer: &mut IdWriter, slot: u32, id: u64) {
        let Some(length) = writer.lengths.get_mut(&slot) else { return };
        *length -= 1;
        let left = *length;
        if left >= SHORT_LIST {
            writer.long.remove(&(slot, id));
        }
        if left == SHORT_LIST {
            self.for_each(slot, |id| {
                writer.long.remove(&(slot, id));
                true
            });
        }
        if left == 0 {
            writer.lengths.remove(&slot);
        }
    }

    /// Bytes in use, without what the allocator adds.
    pub(crate) fn memory_bytes(&self, writer: &IdWriter, slots: u32) -> usize {
        slots as usize * size_of::<AtomicU64>()
            + writer.used as usize * size_of::<Element>()
            + writer.long.capacity() * (size_of::<(u32, u64, u32)>() + 1)
            + writer.lengths.capacity() * (size_of::<(u32, u32)>() + 1)
    }
}

impl IdWriter {
    /// Gives back an element that no reader can stand on any more.
    pub(crate) fn reuse(&mut self, element: u32) {
        self.free.push(element);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn ids(lists: &IdLists, slot: u32) -> BTreeSet<u64> {
        let mut all = BTreeSet::new();
        lists.for_each(slot, |id| {
            assert!(all.insert(id), "{id} is in the list twice");
            true
        });
        all
    }

    proptest! {
        #[test]
        fn lists_hold_what_a_set_would_hold(
            steps in proptest::collection::vec((any::<bool>(), 0u32..3, 0u64..80), 0..600),
            offset in prop_oneof![Just(0u64), Just(u64::MAX - 100), Just((u64::MAX >> 1) - 40)],
        ) {
            let (lists, mut writer) = (IdLists::new(), IdWriter::default());
            let mut model = vec![BTreeSet::new(); 3];
            for (add, slot, id) in steps {
                let (id, set) = (id + offset, &mut model[slot as usize]);
                if add {
                    prop_assert_eq!(lists.add(&mut writer, slot, id), set.insert(id));
                } else {
                    match lists.take(&mut writer, slot, id) {
                        Taken::NotThere => prop_assert!(!set.contains(&id)),
                        Taken::Gone { element, last } => {
                            prop_assert!(set.remove(&id));
                            prop_assert_eq!(last, set.is_empty());
                            element.into_iter().for_each(|element| writer.reuse(element));
                        }
                    }
                }
                prop_assert_eq!(lists.is_live(slot), !set.is_empty());
            }
            for slot in 0..3 {
                prop_assert_eq!(ids(&lists, slot), model[slot as usize].clone());
            }
        }
    }
}
