//! Where signal sets lie that are put away: their bytes in two files, or in memory where there is no disk, and in
//! memory where each begins.
//!
//! Of each set the first file has an entry of [`ENTRY`] bytes: name (32), where its bytes begin in the second one (8)
//! and how many they are (8). What is put away again is written anew at the end, so the files grow no faster than
//! logs do.
//!
//! **Invariant:** a view of the logs: the files have no name, and are gone with the process.
//! **Invariant:** what was taken back leaves no bytes: an erased record is not found here.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::Path,
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use watchfire_signal::commitment::Commitment;

/// Bytes of an entry: a name, a place, a length.
const ENTRY: usize = 48;
/// Entries read at once where all are gone through.
const ENTRIES_AT_ONCE: u64 = 1_024;

/// Sets that are put away, as bytes under a key each.
#[derive(Debug, Default)]
pub(super) struct Away {
    shelf: RwLock<Shelf>,
}

#[derive(Debug, Default)]
struct Shelf {
    /// Number of the entry of each key.
    entries: HashMap<u64, u64>,
    names: Bytes,
    bodies: Bytes,
}

/// Bytes that only get more.
#[derive(Debug)]
enum Bytes {
    Memory(Vec<u8>),
    File { file: File, length: u64 },
}

impl Default for Bytes {
    fn default() -> Self {
        Self::Memory(Vec::new())
    }
}

impl Bytes {
    /// A file without a name: nobody else finds it, and a crash leaves nothing.
    fn in_file(path: &Path) -> io::Result<Self> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        fs::remove_file(path)?;
        Ok(Self::File { file, length: 0 })
    }

    fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { length, .. } => *length,
        }
    }

    fn read(&self, at: u64, length: usize) -> io::Result<Vec<u8>> {
        match self {
            Self::Memory(bytes) => {
                let from = usize::try_from(at).unwrap_or(usize::MAX);
                let found = bytes.get(from..).and_then(|bytes| bytes.get(..length));
                found.map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
            }
            Self::File { file, .. } => {
                let mut bytes = vec![0; length];
                file.read_exact_at(&mut bytes, at)?;
                Ok(bytes)
            }
        }
    }

    /// Writes over what is there, or at the end.
    fn write(&mut self, at: u64, new: &[u8]) -> io::Result<()> {
        match self {
            Self::Memory(bytes) => {
                let from = usize::try_from(at).unwrap_or(usize::MAX);
                bytes.resize(bytes.len().max(from.saturating_add(new.len())), 0);
                bytes[from..from + new.len()].copy_from_slice(new);
            }
            Self::File { file, length } => {
                file.write_all_at(new, at)?;
                *length = (*length).max(at + new.len() as u64);
            }
        }
        Ok(())
    }
}

/// Where a set lies.
struct Entry {
    name: Commitment,
    at: u64,
    length: usize,
}

impl Entry {
    fn read(bytes: &[u8; ENTRY]) -> Self {
        let number = |from: usize| {
            u64::from_le_bytes(std::array::from_fn(|byte| {
                bytes.get(from + byte).copied().unwrap_or(0)
            }))
        };
        let name = Commitment(std::array::from_fn(|byte| bytes[byte]));
        Self { name, at: number(32), length: usize::try_from(number(40)).unwrap_or(usize::MAX) }
    }

    fn bytes(&self) -> Vec<u8> {
        [&self.name.0[..], &self.at.to_le_bytes(), &(self.length as u64).to_le_bytes()].concat()
    }
}

impl Shelf {
    fn entry(&self, key: u64) -> io::Result<Option<(u64, Entry)>> {
        let Some(&number) = self.entries.get(&key) else { return Ok(None) };
        let bytes = self.names.read(number * ENTRY as u64, ENTRY)?;
        let bytes = bytes.first_chunk().ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(Some((number, Entry::read(bytes))))
    }

    /// Takes what lies under a key out, and overwrites it.
    fn take(&mut self, key: u64) -> io::Result<()> {
        let Some((number, entry)) = self.entry(key)? else { return Ok(()) };
        self.bodies.write(entry.at, &vec![0; entry.length])?;
        self.names.write(number * ENTRY as u64, &[0; ENTRY])?;
        self.entries.remove(&key);
        Ok(())
    }

    fn put(&mut self, key: u64, name: Commitment, body: &[u8]) -> io::Result<()> {
        self.take(key)?;
        let entry = Entry { name, at: self.bodies.len(), length: body.len() };
        // An entry that a failed write has cut off is written over.
        let number = self.names.len() / ENTRY as u64;
        self.bodies.write(entry.at, body)?;
        self.names.write(number * ENTRY as u64, &entry.bytes())?;
        self.entries.insert(key, number);
        Ok(())
    }
}

impl Away {
    /// Puts away into files of a directory, which is made.
    pub(super) fn in_directory(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let file = |name: &str| Bytes::in_file(&directory.join(name));
        let shelf = Shelf { entries: HashMap::new(), names: file("names")?, bodies: file("sets")? };
        Ok(Self { shelf: RwLock::new(shelf) })
    }

    fn read(&self) -> RwLockReadGuard<'_, Shelf> {
        self.shelf.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Shelf> {
        self.shelf.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.read().entries.len()
    }

    /// Whether something lies under a key.
    pub(super) fn has(&self, key: u64) -> bool {
        self.read().entries.contains_key(&key)
    }

    /// The name of what lies under a key.
    pub(super) fn name(&self, key: u64) -> io::Result<Option<Commitment>> {
        Ok(self.read().entry(key)?.map(|(_, entry)| entry.name))
    }

    /// What lies under a key, with its name.
    pub(super) fn get(&self, key: u64) -> io::Result<Option<(Commitment, Vec<u8>)>> {
        // Nobody overwrites what is being read.
        let shelf = self.read();
        let Some((_, entry)) = shelf.entry(key)? else { return Ok(None) };
        Ok(Some((entry.name, shelf.bodies.read(entry.at, entry.length)?)))
    }

    /// Puts something away under a key, over what lies there. Where it fails, what lay there may be gone.
    pub(super) fn put(&self, key: u64, name: Commitment, body: &[u8]) -> io::Result<()> {
        self.write().put(key, name, body)
    }

    /// Takes what lies under a key out, and overwrites it.
    pub(super) fn take(&self, key: u64) -> io::Result<()> {
        if !self.has(key) {
            return Ok(());
        }
        self.write().take(key)
    }

    /// Names from a number of an entry on, and the number to go on with; `None`: there are no more. What is put away
    /// meanwhile stands at the end, so that whoever goes through all misses nothing that stays.
    pub(super) fn names(&self, from: u64) -> io::Result<Option<(Vec<Commitment>, u64)>> {
        let shelf = self.read();
        let left = (shelf.names.len() / ENTRY as u64).saturating_sub(from);
        if left == 0 {
            return Ok(None);
        }
        let count = left.min(ENTRIES_AT_ONCE);
        let bytes = shelf.names.read(from * ENTRY as u64, count as usize * ENTRY)?;
        let entries = bytes.as_chunks::<ENTRY>().0.iter().map(Entry::read);
        let live = entries.filter(|entry| entry.length > 0);
        Ok(Some((live.map(|entry| entry.name).collect(), from + count)))
    }
}
