//! Saves an index to a file and loads it again, much faster than by inserting every hash.
//!
//! **Invariant:** a file that is torn, damaged or made to harm gives an error or an index that answers
//! wrongly, never undefined behaviour: the file is read, not mapped, and every number in it is checked.
//! **Invariant:** a snapshot that `save` returned from survives a crash, and an interrupted one leaves the
//! one before it in place.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Read, Write},
    path::Path,
};

use sha2::{Digest, Sha256};

use super::{
    COMPARED_ONE_BY_ONE, HashIndex, Near, Stored,
    blocks::Blocks,
    buckets::{BucketWriter, Buckets, CHUNKS, HOLE, VALUES},
    permutation::Words,
};

mod blocks;
mod stream;

use self::stream::{Input, Output};

/// The first bytes of every snapshot; the last two are the version.
const MAGIC: [u8; 8] = *b"WFINDX02";

/// A bucket's length where the bucket was given up.
const GIVEN_UP: u32 = u32::MAX;

/// Why a snapshot could not be loaded. Build the index anew then.
#[derive(Debug)]
pub enum SnapshotError {
    /// The file cannot be read.
    Io(io::Error),
    /// The file is no snapshot, or one of another version.
    NotASnapshot,
    /// The snapshot was saved by an index with another seed.
    OtherSeed,
    /// The file is torn or damaged: what is wrong with it.
    Damaged(&'static str),
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the snapshot cannot be read: {error}"),
            Self::NotASnapshot => f.write_str("the file is no snapshot of this version"),
            Self::OtherSeed => f.write_str("the snapshot was saved with another seed"),
            Self::Damaged(what) => write!(f, "the snapshot is damaged: {what}"),
        }
    }
}

impl std::error::Error for SnapshotError {}

impl From<io::Error> for SnapshotError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Damaged("it ends too early"),
            _ => Self::Io(error),
        }
    }
}

impl HashIndex {
    /// Saves everything stored to a file, in place of an earlier snapshot, and gives its size in bytes.
    ///
    /// `position` is handed back by [`HashIndex::load`]: say with it up to where the hashes came from, so
    /// that what came later can be inserted after loading. Searches go on meanwhile, changes wait.
    ///
    /// # Errors
    /// The file or its folder cannot be written; an earlier snapshot is then still there.
    pub fn save(&self, path: &Path, position: u64) -> io::Result<u64> {
        let partial = path.with_added_extension("partial");
        let mut output = Output::new(File::create(&partial)?);
        self.write(&mut output, position)?;
        let (file, bytes) = output.finish()?;
        // The name must not point to bytes that a crash can still take away.
        file.sync_all()?;
        fs::rename(&partial, path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(bytes)
    }

    /// Loads a snapshot, with the seed of the index that saved it: the index and its position.
    ///
    /// # Errors
    /// See [`SnapshotError`]. All of the file is read and its checksum compared. The checksum shows
    /// damage, not malice: who can write the file can make an index that does not find everything.
    pub fn load(seed: [u8; 32], path: &Path) -> Result<(Self, u64), SnapshotError> {
        let mut input = Input::new(File::open(path)?);
        let index = Self::new(seed);
        let position = index.read(&mut input)?;
        input.finish()?;
        Ok((index, position))
    }

    fn write<W: Write>(&self, output: &mut Output<W>, position: u64) -> io::Result<()> {
        let _writer = self.lock();
        let live: Vec<u32> =
            (0..self.slots.used()).filter(|&slot| self.slots.ids.is_live(slot)).collect();
        output.put(&MAGIC)?;
        output.put(&self.permutation.check())?;
        output.put(&position.to_le_bytes())?;
        output.put(&(live.len() as u32).to_le_bytes())?;
        let mut before = 0;
        for &slot in &live {
            for word in self.slots.words(slot).unwrap_or_default() {
                output.put(&word.to_le_bytes())?;
            }
            let mut ids = Vec::new();
            self.slots.ids.for_each(slot, |id| {
                ids.push(id);
                true
            });
            output.put_number(ids.len() as u64)?;
            for id in ids {
                output.put_number(zigzag(id.wrapping_sub(before)))?;
                before = id;
            }
        }
        if live.len() as u32 > COMPARED_ONE_BY_ONE
            && let Some(near) = self.near.get()
        {
            let numbers = numbers(&live, self.slots.used());
            write_buckets(&near.buckets, output, &numbers)?;
            blocks::write(near, output, &numbers)?;
        }
        Ok(())
    }

    fn read<R: Read>(&self, input: &mut Input<R>) -> Result<u64, SnapshotError> {
        if input.array().ok() != Some(MAGIC) {
            return Err(SnapshotError::NotASnapshot);
        }
        if input.array()? != self.permutation.check() {
            return Err(SnapshotError::OtherSeed);
        }
        let position = u64::from_le_bytes(input.array()?);
        let count = u32::from_le_bytes(input.array()?);
        if count > u32::MAX - 2 {
            return Err(SnapshotError::Damaged("it counts too many hashes"));
        }
        let mut writer = self.lock();
        let (mut before, mut pairs) = (0u64, 0);
        for _ in 0..count {
            let bytes: [u8; 32] = input.array()?;
            let (words, _) = bytes.as_chunks::<8>();
            let words: Words = std::array::from_fn(|word| u64::from_le_bytes(words[word]));
            let slot = self.slots.put(None, words);
            let ids = input.number()?;
            if ids == 0 {
                return Err(SnapshotError::Damaged("a hash has no id"));
            }
            for _ in 0..ids {
                before = before.wrapping_add(unzigzag(input.number()?));
                pairs += usize::from(self.slots.ids.add(&mut writer.ids, slot, before));
            }
            if count <= COMPARED_ONE_BY_ONE {
                writer.by_hash.insert(words, Stored { slot, place: HOLE });
            }
        }
        if count > COMPARED_ONE_BY_ONE {
            let buckets = Buckets::new();
            read_buckets(&buckets, &mut self.bucket_writer(&mut writer), input, count)?;
            // Nobody else has this index yet.
            let _ = self.near.set(Near { buckets, blocks: Blocks::new() });
            self.read_blocks(&mut writer, input, count)?;
        }
        self.count_memory(&writer);
        self.pairs.store(pairs, std::sync::atomic::Ordering::Relaxed);
        Ok(position)
    }
}

/// For each slot its number among the live ones.
fn numbers(live: &[u32], used: u32) -> Vec<u32> {
    let mut numbers = vec![0; used as usize];
    for (number, &slot) in live.iter().enumerate() {
        numbers[slot as usize] = number as u32;
    }
    numbers
}

/// Writes every bucket: its length, its next chunks, its slots by their new numbers.
fn write_buckets<W: Write>(
    buckets: &Buckets,
    output: &mut Output<W>,
    numbers: &[u32],
) -> io::Result<()> {
    let mut postings = Vec::new();
    for place in 0..(CHUNKS * VALUES) as u32 {
        postings.clear();
        if !buckets.postings(place, &mut postings) {
            output.put(&GIVEN_UP.to_le_bytes())?;
            continue;
        }
        output.put(&(postings.len() as u32).to_le_bytes())?;
        for (next, _) in &postings {
            output.put(&next.to_le_bytes())?;
        }
        for (_, slot) in &postings {
            output.put(&numbers[*slot as usize].to_le_bytes())?;
        }
    }
    Ok(())
}

/// Reads what `write_buckets` wrote.
fn read_buckets<R: Read>(
    buckets: &Buckets,
    writer: &mut BucketWriter<'_>,
    input: &mut Input<R>,
    count: u32,
) -> Result<(), SnapshotError> {
    for place in 0..(CHUNKS * VALUES) as u32 {
        let len = u32::from_le_bytes(input.array()?);
        if len == GIVEN_UP {
            buckets.give_up(place);
            continue;
        }
        if len > count || len >= 1 << 20 {
            return Err(SnapshotError::Damaged("a bucket is too long"));
        }
        let bytes = input.take(6 * len as usize)?;
        let (next, slots) = bytes.split_at(2 * len as usize);
        let (next, slots) = (next.as_chunks::<2>().0, slots.as_chunks::<4>().0);
        if slots.iter().any(|slot| u32::from_le_bytes(*slot) >= count) {
            return Err(SnapshotError::Damaged("a bucket names a hash that is not there"));
        }
        buckets.fill(writer, place, next, slots);
    }
    Ok(())
}

/// Small differences, of either sign, as small numbers.
fn zigzag(difference: u64) -> u64 {
    difference << 1 ^ (difference.cast_signed() >> 63).cast_unsigned()
}

fn unzigzag(number: u64) -> u64 {
    number >> 1 ^ (number & 1).wrapping_neg()
}

/// Tells seeds apart without giving them away.
pub(super) fn check(seed: &[u8; 32]) -> [u8; 8] {
    let digest =
        Sha256::new().chain_update(b"watchfire hash index seed").chain_update(seed).finalize();
    std::array::from_fn(|byte| digest[byte])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_difference_comes_back_from_its_number(difference: u64) {
            prop_assert_eq!(unzigzag(zigzag(difference)), difference);
        }
    }
}
