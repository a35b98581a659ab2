//! All signal sets, shared between the fold, which alone changes them, and whoever looks things up. Sets of cases that
//! are over are put away: they leave memory but for a few bytes, and whoever asks for one reads it again. Of the others
//! those that nothing was said of for the longest time stay in memory as bytes, which take a third of the room.
//!
//! **Invariant:** where a set lies says nothing: in memory and put away it is the same set.
//! **Invariant:** whatever a lookup of signals can find is in memory: a scan waits for no disk.

mod away;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use tokio::sync::watch;
use watchfire_signal::commitment::Commitment;

use self::away::Away;
use super::{pack::Pack, set::SignalSet};
use crate::standing::State;

/// Says of a case that somebody here wants its matches found although it is over.
pub type Wanted = Box<dyn Fn(&Commitment) -> bool + Send + Sync>;

/// A short name of a set, by which records speak of it: nobody outside can aim at one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key(pub(super) u64);

/// Sets that are in memory as they are: about 20 MB. To read a packed one takes some microseconds.
const ROOM: usize = 16_384;

/// Bits of a key.
pub(super) const KEY_BITS: u32 = 61;

/// All signal sets.
pub struct Sets {
    here: papaya::HashMap<u64, Arc<SignalSet>>,
    packed: papaya::HashMap<u64, Box<[u8]>>,
    away: Away,
    /// Sets whose key another one has: never put away. Hardly any.
    odd: RwLock<BTreeMap<Commitment, Arc<SignalSet>>>,
    /// The sets that were added to a case, by its founding assert.
    added: RwLock<HashMap<Commitment, BTreeSet<Commitment>>>,
    wanted: Wanted,
    hasher: RandomState,
    /// The bits of a key that are used.
    mask: u64,
    /// The keys of sets that are not packed, and some that were, in the order in which they came; whoever moves a set
    /// holds this.
    moving: Mutex<VecDeque<u64>>,
    /// How many sets are not packed.
    room: usize,
    /// Whether a set that was put away could not be read again.
    lost: watch::Sender<bool>,
}

impl Default for Sets {
    fn default() -> Self {
        Self::in_memory(Box::new(|_| false))
    }
}

impl Sets {
    /// None yet; what is put away stays in memory as bytes.
    #[must_use]
    pub fn in_memory(wanted: Wanted) -> Self {
        Self::of(Away::default(), wanted)
    }

    /// None yet; what is put away lies in files of a directory, which have no names.
    ///
    /// # Errors
    /// The disk's.
    pub fn in_directory(directory: &Path, wanted: Wanted) -> io::Result<Self> {
        Ok(Self::of(Away::in_directory(directory)?, wanted))
    }

    fn of(away: Away, wanted: Wanted) -> Self {
        Self {
            here: papaya::HashMap::new(),
            packed: papaya::HashMap::new(),
            away,
            odd: RwLock::default(),
            added: RwLock::default(),
            wanted,
            hasher: RandomState::new(),
            mask: (1 << KEY_BITS) - 1,
            moving: Mutex::default(),
            room: ROOM,
            lost: watch::Sender::new(false),
        }
    }

    /// The same with keys of so few bits that sets share them; for tests.
    #[must_use]
    pub fn with_keys_of(self, bits: u32) -> Self {
        Self { mask: (1 << bits) - 1, ..self }
    }

    /// The same with room for so many sets that are not packed; for tests.
    #[must_use]
    pub fn with_room_for(self, room: usize) -> Self {
        Self { room, ..self }
    }

    fn key(&self, name: &Commitment) -> u64 {
        self.hasher.hash_one(name) & self.mask
    }

    fn moving(&self) -> MutexGuard<'_, VecDeque<u64>> {
        self.moving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the disk did not do what was asked of it: the logs have to be folded anew.
    fn read<T>(&self, found: io::Result<Option<T>>) -> Option<T> {
        found.unwrap_or_else(|error| {
            tracing::error!(%error, "a set that was put away cannot be read; all logs are folded again");
            self.lost.send_replace(true);
            None
        })
    }

    /// Waits until a set that was put away could not be read again: then everything has to be folded anew.
    pub async fn lost(&self) {
        let mut lost = self.lost.subscribe();
        // The sender is here: this ends with `true` only.
        let _lost = lost.wait_for(|lost| *lost).await;
    }

    /// Whether a set that was put away could not be read again.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        *self.lost.borrow()
    }

    /// A set by its name.
    #[must_use]
    pub fn get(&self, name: &Commitment) -> Option<Arc<SignalSet>> {
        // One that comes back meanwhile is in memory before it is gone from where it was put away.
        let found = self.look_here(name).or_else(|| self.look_packed(name));
        found.or_else(|| self.look_away(name)).or_else(|| self.look_here(name))
    }

    fn look_here(&self, name: &Commitment) -> Option<Arc<SignalSet>> {
        let here = self.here.pin().get(&self.key(name)).filter(|set| set.name == *name).cloned();
        here.or_else(|| self.odd().get(name).cloned())
    }

    fn odd(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<Commitment, Arc<SignalSet>>> {
        self.odd.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn look_packed(&self, name: &Commitment) -> Option<Arc<SignalSet>> {
        let packed = self.packed.pin();
        let bytes = packed.get(&self.key(name)).filter(|bytes| name_in(bytes) == Some(*name))?;
        self.unpack(bytes)
    }

    fn unpack(&self, mut bytes: &[u8]) -> Option<Arc<SignalSet>> {
        let set = SignalSet::unpack(&mut bytes).map(Arc::new);
        self.read(set.map(Some).ok_or_else(|| io::ErrorKind::InvalidData.into()))
    }

    fn look_away(&self, name: &Commitment) -> Option<Arc<SignalSet>> {
        let (found, bytes) = self.read(self.away.get(self.key(name)))?;
        if found != *name {
            return None;
        }
        self.unpack(&bytes)
    }

    /// The key that a set is spoken of by, if it has one of its own.
    pub(super) fn key_of(&self, name: &Commitment) -> Option<Key> {
        let key = self.key(name);
        self.name_of(Key(key)).filter(|found| found == name).map(|_| Key(key))
    }

    /// The name of the set with a key.
    pub(super) fn name_of(&self, key: Key) -> Option<Commitment> {
        let here = self.here.pin().get(&key.0).map(|set| set.name);
        let packed = || self.packed.pin().get(&key.0).and_then(|bytes| name_in(bytes));
        here.or_else(packed).or_else(|| self.read(self.away.name(key.0)))
    }

    /// How many sets there are, and how many of them are put away.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        let away = self.away.len();
        (self.here.len() + self.packed.len() + self.odd().len() + away, away)
    }

    /// Whether a case is over at a moment so that nothing follows from a match with a set of it: it is RETRACTED, or it
    /// has LAPSED and nobody has to look at what matches.
    #[must_use]
    pub fn is_over(&self, set: &SignalSet, now_ms: u64) -> bool {
        match set.state(now_ms) {
            State::Retracted => true,
            State::Lapsed => !set.standing.needs_person() && !(self.wanted)(&set.subject),
            _ => false,
        }
    }

    /// Puts a set down as it stands now.
    pub fn put(&self, set: Arc<SignalSet>) {
        let mut moving = self.moving();
        self.put_here(set, &mut moving);
    }

    fn put_here(&self, set: Arc<SignalSet>, order: &mut VecDeque<u64>) {
        let (name, key) = (set.name, self.key(&set.name));
        if set.name != set.subject {
            self.add(set.subject, name);
        }
        if self.name_of(Key(key)).is_some_and(|other| other != name) {
            self.odd.write().unwrap_or_else(PoisonError::into_inner).insert(name, set);
            return;
        }
        let here = self.here.pin();
        if here.insert(key, set).is_none() {
            order.push_back(key);
        }
        self.packed.pin().remove(&key);
        self.read(self.away.take(key).map(Some));
        while here.len() > self.room
            && let Some(first) = order.pop_front()
        {
            self.pack(first);
        }
        if order.len() > 2 * here.len() + self.room {
            order.retain(|key| here.contains_key(key));
        }
    }

    /// Keeps a set as bytes.
    fn pack(&self, key: u64) {
        let here = self.here.pin();
        let Some(set) = here.get(&key) else { return };
        let mut bytes = Vec::new();
        set.pack(&mut bytes);
        self.packed.pin().insert(key, bytes.into_boxed_slice());
        here.remove(&key);
    }

    fn add(&self, subject: Commitment, name: Commitment) {
        let mut added = self.added.write().unwrap_or_else(PoisonError::into_inner);
        added.entry(subject).or_default().insert(name);
    }

    /// Puts a set down as it stands at a moment: in memory, or away if its case is over.
    pub(super) fn settle(&self, set: Arc<SignalSet>, now_ms: u64) {
        let over = self.is_over(&set, now_ms);
        let mut moving = self.moving();
        let name = set.name;
        self.put_here(set, &mut moving);
        if over {
            self.move_away(&name);
        }
    }

    /// Puts a set away; it can be spoken of and asked for as before.
    pub fn put_away(&self, name: &Commitment) {
        let _moving = self.moving();
        self.move_away(name);
    }

    fn move_away(&self, name: &Commitment) {
        let key = self.key(name);
        self.pack(key);
        let packed = self.packed.pin();
        let Some(bytes) = packed.get(&key).filter(|bytes| name_in(bytes) == Some(*name)) else {
            return;
        };
        match self.away.put(key, *name, bytes) {
            Ok(()) => drop(packed.remove(&key)),
            // It stays in memory.
            Err(error) => tracing::warn!(%error, "a set could not be put away"),
        }
    }

    /// Puts a set where it belongs at a moment; answers it.
    pub fn arrange(&self, name: &Commitment, now_ms: u64) -> Option<Arc<SignalSet>> {
        let mut moving = self.moving();
        let set = self.get(name)?;
        match (self.is_over(&set, now_ms), self.away.has(self.key(name))) {
            (true, false) => self.move_away(name),
            // One whose key lies there for another is in memory.
            (false, true) if self.odd().get(name).is_none() => {
                self.put_here(set.clone(), &mut moving)
            }
            _ => {}
        }
        Some(set)
    }

    /// The names of all sets of a case.
    #[must_use]
    pub fn names_of_case(&self, subject: &Commitment) -> Vec<Commitment> {
        let added = self.added.read().unwrap_or_else(PoisonError::into_inner);
        [*subject].into_iter().chain(added.get(subject).into_iter().flatten().copied()).collect()
    }

    /// Begins to go through all sets.
    #[must_use]
    pub fn walk(&self) -> Walk {
        let here = self.here.pin().values().map(|set| set.name).collect::<Vec<_>>();
        let packed =
            self.packed.pin().values().filter_map(|bytes| name_in(bytes)).collect::<Vec<_>>();
        let odd = self.odd().keys().copied().collect::<Vec<_>>();
        Walk { first: [here, packed, odd].concat(), away: 0 }
    }

    /// The names of sets that are put away, from a number on that [`Away::names`] gave.
    fn walk_away(&self, from: u64) -> Option<(Vec<Commitment>, u64)> {
        self.read(self.away.names(from))
    }

    /// Up to `limit` sets with names above `after`, in order of name.
    #[must_use]
    pub fn page(&self, after: Option<Commitment>, limit: usize) -> Vec<Arc<SignalSet>> {
        let mut walk = self.walk();
        let mut least = BTreeSet::new();
        while let Some(names) = walk.next(self) {
            for name in names.into_iter().filter(|name| after.is_none_or(|after| *name > after)) {
                let last = least.last().filter(|_| least.len() >= limit);
                if last.is_none_or(|last| name < *last) {
                    least.insert(name);
                }
                if least.len() > limit {
                    least.pop_last();
                }
            }
        }
        least.iter().filter_map(|name| self.get(name)).collect()
    }
}

/// The name of a packed set, which is what stands first.
fn name_in(bytes: &[u8]) -> Option<Commitment> {
    bytes.first_chunk().copied().map(Commitment)
}

/// A way through all sets. One that moves meanwhile may come twice; one that is there all the time comes.
#[derive(Debug)]
pub struct Walk {
    first: Vec<Commitment>,
    away: u64,
}

impl Walk {
    /// The names of the next sets; `None`: that were all.
    pub fn next(&mut self, sets: &Sets) -> Option<Vec<Commitment>> {
        if !self.first.is_empty() {
            return Some(std::mem::take(&mut self.first));
        }
        let (names, next) = sets.walk_away(self.away)?;
        self.away = next;
        Some(names)
    }
}

impl std::fmt::Debug for Sets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (all, away) = self.count();
        write!(f, "Sets({all}, {away} of them put away)")
    }
}
