//! What must not wait for what came before it in its log: retractions, halts and erasures. A member that
//! catches up asks for them first, and while it does; they are kept until their turn comes.
//!
//! **Invariant:** nothing counts ahead of its turn that a signed checkpoint and its proofs do not cover.
//! **Invariant:** what counted once counts after a crash: it is durable before it is folded.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use watchfire_signal::{name::LogName, record::Leaf, verb::Verb};
use watchfire_store::{Batch, Held, Row, Store, StoreError, Table};
use watchfire_tlog::{Entry, ProofError, SignedCheckpoint, Source, Urgent};

use crate::place::Place;

/// Entries ahead of their turn: log, 0, index → time of verification, length of the leaf, leaf, record.
const EARLY: Table = Table::Ledger("early");
/// Rows read at a time.
const PAGE: usize = 256;
/// Urgent entries in one answer.
pub const MAX_URGENT: usize = 64;
/// Bytes of their records in one answer: far below what a frame holds.
const MAX_URGENT_BYTES: usize = 1 << 20;

/// An entry that is folded ahead of its turn.
#[derive(Debug)]
pub struct Early {
    /// The log that it stands in.
    pub log: LogName,
    /// What it says.
    pub held: Held,
    /// Whether it is kept until its turn comes, because our copy of the log does not reach it yet.
    pub kept: bool,
}

/// Whether an entry overtakes those before it.
#[must_use]
pub fn is_urgent(leaf: &Leaf) -> bool {
    is_urgent_verb(leaf.header.verb)
}

/// Whether what does this overtakes what stands before it.
#[must_use]
pub fn is_urgent_verb(verb: Verb) -> bool {
    matches!(verb, Verb::Retract | Verb::Halt | Verb::Erase)
}

/// Where the urgent entries of each log stand. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Places {
    shared: Arc<Mutex<BTreeMap<LogName, BTreeSet<u64>>>>,
}

impl Places {
    /// Notes one.
    pub fn note(&self, log: &LogName, index: u64) {
        let mut places = self.lock();
        match places.get_mut(log) {
            Some(indices) => drop(indices.insert(index)),
            None => drop(places.insert(log.clone(), BTreeSet::from([index]))),
        }
    }

    /// The first ones of a log from an index on.
    fn from(&self, log: &LogName, index: u64) -> Vec<u64> {
        let places = self.lock();
        let indices = places.get(log).into_iter().flat_map(|indices| indices.range(index..));
        indices.copied().take(MAX_URGENT).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<LogName, BTreeSet<u64>>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first urgent entries of a log from an index on, for somebody who holds `held` leaves of it.
    ///
    /// # Errors
    /// [`ProofError`] where the copy cannot be read.
    pub async fn answer(
        &self,
        log: &LogName,
        source: &dyn Source,
        (checkpoint, size): (&SignedCheckpoint, u64),
        (held, from): (u64, u64),
    ) -> Result<Vec<Urgent>, ProofError> {
        let (mut found, mut bytes) = (Vec::new(), 0);
        for index in self.from(log, from.max(held)) {
            if index >= size || bytes > MAX_URGENT_BYTES {
                break;
            }
            let one = Urgent::of(source, (checkpoint, size), held, index).await?;
            bytes += one.entry.record.as_ref().map_or(0, Bytes::len);
            found.push(one);
        }
        Ok(found)
    }
}

/// Keeps entries until their turn comes; they are durable when this returns.
///
/// # Errors
/// The store's.
pub(crate) async fn keep(
    store: &dyn Store,
    log: &LogName,
    early: &[Held],
) -> Result<(), StoreError> {
    if early.is_empty() {
        return Ok(());
    }
    write(store, early.iter().map(|held| row(log, held)).collect()).await
}

/// Drops the record of one that is kept, which was erased; its leaf stays until its turn comes.
///
/// # Errors
/// The store's.
pub(crate) async fn drop_record(store: &dyn Store, place: &Place) -> Result<(), StoreError> {
    let key = key(&place.log, place.index);
    let Some(value) = store.row(EARLY, &key).await? else { return Ok(()) };
    let Some((log, held)) = read(&key, &value) else { return Err(corrupt()) };
    let entry = Entry::new(held.entry.leaf.clone(), None);
    write(store, vec![row(&log, &Held { entry, ..held })]).await
}

fn row(log: &LogName, held: &Held) -> Row {
    let leaf = &held.entry.leaf;
    // A leaf has at most 65,535 bytes.
    let length = u32::try_from(leaf.len()).unwrap_or(u32::MAX);
    let mut value = held.verified_ms.to_be_bytes().to_vec();
    value.extend(length.to_be_bytes());
    value.extend_from_slice(leaf);
    value.extend_from_slice(held.entry.record.as_deref().unwrap_or_default());
    Row { table: EARLY, key: key(log, held.index), value: Some(value) }
}

/// Forgets entries whose turn has come.
///
/// # Errors
/// The store's.
pub(crate) async fn forget(store: &dyn Store, places: Vec<Place>) -> Result<(), StoreError> {
    let row = |place: Place| Row { table: EARLY, key: key(&place.log, place.index), value: None };
    write(store, places.into_iter().map(row).collect()).await
}

/// All that is kept.
///
/// # Errors
/// The store's; [`StoreError::Corrupt`] for a row that is no entry.
pub(crate) async fn kept(store: &dyn Store) -> Result<Vec<(LogName, Held)>, StoreError> {
    let (mut found, mut after) = (Vec::new(), Vec::new());
    loop {
        let rows = store.rows(EARLY, &after, PAGE).await?;
        let Some((last, _)) = rows.last() else { return Ok(found) };
        after.clone_from(last);
        for (key, value) in rows {
            found.push(read(&key, &value).ok_or_else(corrupt)?);
        }
    }
}

/// Rows that forget what is kept of a log from an index on.
///
/// # Errors
/// The store's.
pub(crate) async fn rows_from(
    store: &dyn Store,
    log: &LogName,
    from: u64,
) -> Result<Vec<Row>, StoreError> {
    let kept = kept(store).await?.into_iter();
    let of_log = kept.filter(|(of, held)| of == log && held.index >= from);
    Ok(of_log
        .map(|(_, held)| Row { table: EARLY, key: key(log, held.index), value: None })
        .collect())
}

fn corrupt() -> StoreError {
    StoreError::Corrupt("an early entry cannot be read".to_owned())
}

fn key(log: &LogName, index: u64) -> Vec<u8> {
    [log.to_string().as_bytes(), &[0], &index.to_be_bytes()].concat()
}

fn read(key: &[u8], value: &[u8]) -> Option<(LogName, Held)> {
    let (name, index) = key.split_last_chunk::<8>()?;
    let log = std::str::from_utf8(name.strip_suffix(&[0])?).ok()?.parse().ok()?;
    let (verified_ms, rest) = value.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (leaf, record) = rest.split_at_checked(length)?;
    let record = (!record.is_empty()).then(|| Bytes::copy_from_slice(record));
    let entry = Entry::new(leaf.to_vec(), record);
    let (index, verified_ms) = (u64::from_be_bytes(*index), u64::from_be_bytes(*verified_ms));
    Some((log, Held { index, entry, verified_ms }))
}

async fn write(store: &dyn Store, rows: Vec<Row>) -> Result<(), StoreError> {
    store.commit(Batch { rows, ..Batch::default() }).await.map_err(StoreError::from)
}
