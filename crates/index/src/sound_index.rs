//! Finds the stored sounds that share at least five seconds with a given one.
//!
//! Eight items that follow one another are 256 bits, about a second, and what is near them a
//! [`HashIndex`] proposes; five seconds along the line through both sounds decide.
//! **Invariant:** the index only proposes; every answer has [`WINDOW`] items in a row of which at most
//! a quarter of the bits differ, in both sounds not silence or one tone.
//! **Invariant:** readers take no lock; what `insert` returned from is found by the next search.

mod line;

use std::{
    collections::HashMap as StdHashMap,
    sync::{Arc, Mutex, PoisonError},
};

use papaya::HashMap;
use watchfire_signal::{
    pdq::{MAX_DISTANCE, Pdq},
    sound_print::{MIN_ITEMS, SoundPrint},
};

use self::line::{Line, is_varied};
use crate::{HashIndex, memory};

/// Items of a window: five seconds.
const WINDOW: usize = MIN_ITEMS;
/// Items that are looked up together.
const GROUP: usize = 8;
/// Items from one stored group to the next. A query looks up every one, so that no shift between two
/// recordings matters.
const STEP: usize = 4;
/// Stored groups that one group of a query may propose. Music that everybody has is in many sounds;
/// what is near beyond these is not looked at, so that nobody makes a search long.
const PROPOSED: usize = 1_024;
/// Places at which one stored sound is compared with a query.
const ANCHORS: usize = 24;

/// A stored sound that shares a part with the query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SoundMatch {
    /// The id under which the sound was inserted.
    pub sound: u64,
    /// The shared part of the query, in milliseconds of the query as it is.
    pub query_span_ms: (u32, u32),
    /// The shared part of the stored sound, in milliseconds.
    pub reference_span_ms: (u32, u32),
    /// Milliseconds of the stored sound for each millisecond of the query.
    pub speed: f64,
    /// Percent of bits that differ in the best five seconds.
    pub distance: u32,
}

/// A concurrent index of sounds by their fingerprints.
pub struct SoundIndex {
    groups: HashIndex,
    sounds: HashMap<u32, Arc<Stored>>,
    writer: Mutex<Writer>,
}

struct Stored {
    id: u64,
    print: SoundPrint,
}

/// Which number each sound has inside; numbers are used again.
#[derive(Default)]
struct Writer {
    numbers: StdHashMap<u64, u32>,
    free: Vec<u32>,
    /// Bytes of the sounds.
    sounds_bytes: usize,
}

impl Stored {
    fn bytes(&self) -> usize {
        2 * memory::COUNTS + size_of::<Self>() + size_of_val(self.print.items())
    }
}

impl SoundIndex {
    /// An empty index; for the seed see [`HashIndex::new`].
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self { groups: HashIndex::new(seed), sounds: HashMap::new(), writer: Mutex::default() }
    }

    /// Stores a sound under an id, in place of what was stored under it.
    pub fn insert(&self, id: u64, print: &SoundPrint) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.take(&mut writer, id);
        let number = writer.free.pop().unwrap_or(writer.numbers.len() as u32);
        writer.numbers.insert(id, number);
        let stored = Arc::new(Stored { id, print: print.clone() });
        writer.sounds_bytes += stored.bytes();
        self.sounds.pin().insert(number, stored);
        for (place, group) in groups(print.items()).step_by(STEP) {
            if let Some(group) = group {
                self.groups.insert(u64::from(number) << 32 | place as u64, &group);
            }
        }
    }

    /// Takes a sound out. False if it was not there.
    pub fn remove(&self, id: u64) -> bool {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.take(&mut writer, id)
    }

    fn take(&self, writer: &mut Writer, id: u64) -> bool {
        let Some(number) = writer.numbers.remove(&id) else { return false };
        if let Some(stored) = self.sounds.pin().remove(&number) {
            writer.sounds_bytes -= stored.bytes();
            for (place, group) in groups(stored.print.items()).step_by(STEP) {
                if let Some(group) = group {
                    self.groups.remove(u64::from(number) << 32 | place as u64, &group);
                }
            }
        }
        writer.free.push(number);
        true
    }

    /// The stored sounds that share a part with this one, each once with the longest part it shares,
    /// the nearest first.
    #[must_use]
    pub fn search(&self, query: &SoundPrint) -> Vec<SoundMatch> {
        let sounds = self.sounds.pin();
        let mut found = Vec::new();
        for (number, anchors) in self.anchors(query) {
            let Some(stored) = sounds.get(&number) else { continue };
            let (items, reference) = (query.items(), stored.print.items());
            let lines =
                anchors.iter().filter_map(|anchor| Line::through(items, reference, *anchor));
            if let Some(line) = lines.max_by(Line::compare) {
                found.push(line.shown(query, &stored.print, stored.id));
            }
        }
        found.sort_by_key(|found: &SoundMatch| (found.distance, found.sound));
        found
    }

    /// For each stored sound the pairs of places at which it may go along with the query: those of
    /// different lines first, so that one chord that comes back does not use them all up.
    fn anchors(&self, query: &SoundPrint) -> StdHashMap<u32, Vec<(usize, usize)>> {
        let mut lines = StdHashMap::<u32, StdHashMap<i64, (usize, (usize, usize))>>::new();
        let mut before = None;
        for (place, group) in groups(query.items()) {
            let Some(group) = group.filter(|group| before != Some(*group)) else { continue };
            before = Some(group);
            for (id, _) in self.groups.search(&group, MAX_DISTANCE, PROPOSED).hits {
                let (number, at) = ((id >> 32) as u32, id as u32 as usize);
                let offset = (at as i64 - place as i64).div_euclid(STEP as i64);
                let line = lines.entry(number).or_default().entry(offset);
                line.or_insert((0, (place, at))).0 += 1;
            }
        }
        let best = |lines: StdHashMap<i64, (usize, (usize, usize))>| {
            let mut lines = lines.into_values().collect::<Vec<_>>();
            lines.sort_by_key(|(votes, anchor)| (std::cmp::Reverse(*votes), *anchor));
            lines.into_iter().take(ANCHORS).map(|(_, anchor)| anchor).collect()
        };
        lines.into_iter().map(|(number, lines)| (number, best(lines))).collect()
    }

    /// The number of sounds stored.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sounds.len()
    }

    /// Whether nothing is stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sounds.is_empty()
    }

    /// Bytes of memory the index uses.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.groups.memory_bytes()
            + memory::of_map(&self.sounds)
            + writer.sounds_bytes
            + memory::of_table(&writer.numbers)
            + writer.free.capacity() * size_of::<u32>()
    }
}

/// Every eight items in a row with their place; `None` where the sound around them says too little.
fn groups(items: &[u32]) -> impl Iterator<Item = (usize, Option<Pdq>)> {
    items.windows(GROUP).enumerate().map(|(place, group)| {
        let middle = (place + GROUP / 2).max(WINDOW / 2).min(items.len() - WINDOW / 2);
        let around = &items[middle - WINDOW / 2..middle + WINDOW / 2];
        let varied = is_varied(around) && group.iter().any(|item| *item != group[0]);
        let mut bits = [0; 32];
        for (to, item) in bits.as_chunks_mut::<4>().0.iter_mut().zip(group) {
            *to = item.to_be_bytes();
        }
        (place, varied.then_some(Pdq(bits)))
    })
}
