//! Finds signals in a file that is read from its beginning to its end: for so many that an index in
//! memory would cost more than it saves.
//!
//! A hash takes 36 bytes of disk, its bits in an order in which it is compared at once with all the ways to
//! turn, mirror and invert a picture. Files are mapped, so that they are compared where they lie in the page
//! cache, which the system takes back when it needs the memory. Layout, numbers little-endian:
//! magic (8), counts of pictures, frames and digests (8 each), what the writer says of the file (48),
//! SHA-256 of everything else (32); then hashes and owners of pictures, the same of frames, and keys
//! in ascending order with their owners.
//!
//! **Invariant:** a file is written once under another name and never changed.
//! **Invariant:** a file that was opened is whole; one that is damaged or cut off is refused.
#![allow(unsafe_code)]

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use memmap2::{Mmap, MmapOptions};
use sha2::{Digest, Sha256};
use watchfire_signal::pdq::{AnyWay, Pdq, Sorted};

/// The first bytes of a file; the last of them counts versions of the layout.
const MAGIC: [u8; 8] = *b"wfflat\0\x02";
/// Bytes of what the writer says of a file.
pub const ABOUT_BYTES: usize = 48;
/// Bytes before the checksum.
const HEAD_BYTES: usize = 8 + 3 * 8 + ABOUT_BYTES;
/// Bytes before the first hash.
const START: u64 = HEAD_BYTES as u64 + 32;
/// Bytes written at once.
const WRITTEN: usize = 1 << 20;

/// Signals with the number of whoever owns each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlatSignals {
    /// Hashes of pictures.
    pub pictures: Vec<(Pdq, u32)>,
    /// Hashes of frames of videos.
    pub frames: Vec<(Pdq, u32)>,
    /// Keys of digests, such as their first bytes; two digests may share one.
    pub digests: Vec<(u64, u32)>,
}

/// Which hashes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Those of pictures.
    Pictures,
    /// Those of frames.
    Frames,
}

/// A hash near one of several queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlatHit {
    /// Who owns it.
    pub owner: u32,
    /// The place of the query.
    pub query: u32,
    /// Bits in which they differ in the nearest way to turn, mirror or invert the picture.
    pub distance: u32,
}

/// A file of signals, open for reading.
#[derive(Debug)]
pub struct Flat {
    map: Mmap,
    pictures: u64,
    frames: u64,
    digests: u64,
    about: [u8; ABOUT_BYTES],
}

impl Flat {
    /// Writes a file and opens it. It is there under its name as a whole or not at all; it is not
    /// synced, because what a crash leaves of it is refused by [`Flat::open`].
    ///
    /// # Errors
    /// The disk's; a file of the name with `.tmp` added may stay behind.
    pub fn write(
        path: &Path,
        about: [u8; ABOUT_BYTES],
        mut signals: FlatSignals,
    ) -> io::Result<Self> {
        signals.digests.sort_unstable();
        let mut head = Vec::with_capacity(HEAD_BYTES);
        head.extend_from_slice(&MAGIC);
        for count in [signals.pictures.len(), signals.frames.len(), signals.digests.len()] {
            head.extend_from_slice(&(count as u64).to_le_bytes());
        }
        head.extend_from_slice(&about);
        let mut sum = Sha256::new_with_prefix(&head);
        body(&signals, |bytes| {
            sum.update(bytes);
            Ok(())
        })?;
        let being_written = path.with_added_extension("tmp");
        let mut out = BufWriter::with_capacity(WRITTEN, File::create(&being_written)?);
        out.write_all(&head)?;
        out.write_all(&sum.finalize())?;
        body(&signals, |bytes| out.write_all(bytes))?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?;
        fs::rename(&being_written, path)?;
        Self::open(path)
    }

    /// Opens a file after reading all of it.
    ///
    /// # Errors
    /// The disk's; [`io::ErrorKind::InvalidData`] where the file is not what was written.
    pub fn open(path: &Path) -> io::Result<Self> {
        let damaged = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
        let file = File::open(path)?;
        if file.metadata()?.len() < START {
            return Err(damaged("the file is cut off"));
        }
        // SAFETY: a file is complete before it has its name and is never changed after, and the directory
        // is that of one process, which deletes files but cuts none off: a mapping outlives its name.
        let map = unsafe { MmapOptions::new().populate().map(&file)? };
        let Some((head, rest)) = map.split_first_chunk::<HEAD_BYTES>() else {
            return Err(damaged("the file is cut off"));
        };
        let Some((sum, body)) = rest.split_first_chunk::<32>() else {
            return Err(damaged("the file is cut off"));
        };
        if head[..8] != MAGIC {
            return Err(damaged("the file has another layout"));
        }
        if Sha256::new_with_prefix(head).chain_update(body).finalize()[..] != *sum {
            return Err(damaged("the checksum differs"));
        }
        let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| head[at + byte]));
        let (pictures, frames, digests) = (number(8), number(16), number(24));
        let about = std::array::from_fn(|byte| head[32 + byte]);
        let length = map.len() as u64;
        let flat = Self { map, pictures, frames, digests, about };
        if flat.expected_bytes() == Some(length) {
            Ok(flat)
        } else {
            Err(damaged("the file has another length"))
        }
    }

    /// What the writer said of the file.
    #[must_use]
    pub fn about(&self) -> &[u8; ABOUT_BYTES] {
        &self.about
    }

    /// Bytes of disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.expected_bytes().unwrap_or(u64::MAX)
    }

    fn expected_bytes(&self) -> Option<u64> {
        let hashes = self.pictures.checked_add(self.frames)?.checked_mul(36)?;
        START.checked_add(hashes)?.checked_add(self.digests.checked_mul(12)?)
    }

    /// All hashes of a section within a distance of any of the queries as it is, turned, mirrored or inverted,
    /// in the order of the file. Frames are not turned by a quarter.
    #[must_use]
    pub fn near(&self, section: Section, queries: &[Pdq], max_distance: u32) -> Vec<FlatHit> {
        let (start, count) = match section {
            Section::Pictures => (START, self.pictures),
            Section::Frames => (START + self.pictures * 36, self.frames),
        };
        let (hashes, owners) =
            (self.part::<32>(start, count), self.owners(start + count * 32, count));
        let queries: Vec<AnyWay> = queries.iter().map(AnyWay::of).collect();
        let mut near = Vec::new();
        if !queries.is_empty() {
            match section {
                Section::Pictures => compare::<true>(hashes, &queries, max_distance, &mut near),
                Section::Frames => compare::<false>(hashes, &queries, max_distance, &mut near),
            }
        }
        let hit =
            |(place, query, distance)| FlatHit { owner: owner(owners, place), query, distance };
        near.into_iter().map(hit).collect()
    }

    /// The owners of digests with a key.
    #[must_use]
    pub fn with_key(&self, key: u64) -> Vec<u32> {
        let start = START + (self.pictures + self.frames) * 36;
        let keys = self.part::<8>(start, self.digests);
        let owners = self.owners(start + self.digests * 8, self.digests);
        let first = keys.partition_point(|held| u64::from_le_bytes(*held) < key);
        let equal = keys[first..].iter().take_while(|held| u64::from_le_bytes(**held) == key);
        (first as u32..).zip(equal).map(|(place, _)| owner(owners, place)).collect()
    }

    /// So many elements from a place on; the lengths were checked when the file was opened.
    fn part<const BYTES: usize>(&self, start: u64, count: u64) -> &[[u8; BYTES]] {
        let bytes = &self.map[start as usize..(start + count * BYTES as u64) as usize];
        bytes.as_chunks().0
    }

    fn owners(&self, start: u64, count: u64) -> &[[u8; 4]] {
        self.part::<4>(start, count)
    }
}

fn owner(owners: &[[u8; 4]], place: u32) -> u32 {
    u32::from_le_bytes(owners[place as usize])
}

/// Asks every file, on as many threads as there are cores; answers in the order of the files.
///
/// # Errors
/// [`io::ErrorKind::Other`] where a thread has panicked.
pub fn ask_all<F, T>(flats: &[F], ask: impl Fn(&F) -> T + Sync) -> io::Result<Vec<T>>
where
    F: Sync,
    T: Send,
{
    let next = AtomicUsize::new(0);
    let work = || {
        let mut answers = Vec::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(flat) = flats.get(place) else { return answers };
            answers.push((place, ask(flat)));
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let mut all: Vec<(usize, T)> = std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..cores.min(flats.len())).map(|_| scope.spawn(work)).collect();
        let mut all = work();
        for helper in helpers {
            let answers = helper.join().map_err(|_| io::Error::other("a search has panicked"))?;
            all.extend(answers);
        }
        Ok::<_, io::Error>(all)
    })?;
    all.sort_by_key(|(place, _)| *place);
    Ok(all.into_iter().map(|(_, answer)| answer).collect())
}

/// Everything behind the checksum.
fn body(signals: &FlatSignals, mut write: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    for hashes in [&signals.pictures, &signals.frames] {
        for (hash, _) in hashes {
            Sorted::of(hash).0.iter().try_for_each(|word| write(&word.to_le_bytes()))?;
        }
        hashes.iter().try_for_each(|(_, owner)| write(&owner.to_le_bytes()))?;
    }
    signals.digests.iter().try_for_each(|(key, _)| write(&key.to_le_bytes()))?;
    signals.digests.iter().try_for_each(|(_, owner)| write(&owner.to_le_bytes()))
}

/// Adds place, query and distance of every pair within the distance; `QUARTERS` says whether turning by a
/// quarter counts.
fn compare<const QUARTERS: bool>(
    hashes: &[[u8; 32]],
    queries: &[AnyWay],
    max_distance: u32,
    near: &mut Vec<(u32, u32, u32)>,
) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("popcnt") {
        // SAFETY: the machine has POPCNT, as asked just now.
        unsafe { compare_popcnt::<QUARTERS>(hashes, queries, max_distance, near) };
        return;
    }
    compare_with::<QUARTERS>(hashes, queries, max_distance, near);
}

/// # Safety
/// The machine has POPCNT.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "popcnt")]
unsafe fn compare_popcnt<const QUARTERS: bool>(
    hashes: &[[u8; 32]],
    queries: &[AnyWay],
    max_distance: u32,
    near: &mut Vec<(u32, u32, u32)>,
) {
    compare_with::<QUARTERS>(hashes, queries, max_distance, near);
}

#[inline(always)]
fn compare_with<const QUARTERS: bool>(
    hashes: &[[u8; 32]],
    queries: &[AnyWay],
    max_distance: u32,
    near: &mut Vec<(u32, u32, u32)>,
) {
    for (place, hash) in hashes.iter().enumerate() {
        let held = sorted(hash);
        for (number, query) in queries.iter().enumerate() {
            let distance = if QUARTERS {
                query.within(&held, max_distance)
            } else {
                query.within_upright(&held, max_distance)
            };
            if let Some(distance) = distance {
                near.push((place as u32, number as u32, distance));
            }
        }
    }
}

#[inline(always)]
fn sorted(hash: &[u8; 32]) -> Sorted {
    let words = hash.as_chunks::<8>().0;
    Sorted(std::array::from_fn(|word| u64::from_le_bytes(words[word])))
}
