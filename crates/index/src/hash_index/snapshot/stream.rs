//! The bytes of a snapshot with the checksum that ends them.
//!
//! **Invariant:** memory grows with what was read, never with what a file says will follow.

use std::io::{self, Read, Write};

use super::SnapshotError;

/// Bytes that are read or written together; a whole number of strides.
const BLOCK: usize = 1 << 20;

/// Bytes that the checksum takes at a time, a word a lane.
const STRIDE: usize = 32;

/// A checksum that shows damage, at the speed of memory; four lanes of multiply and rotate.
struct Checksum {
    lanes: [u64; 4],
    bytes: u64,
}

impl Checksum {
    const fn new() -> Self {
        Self { lanes: [1, 2, 3, 4], bytes: 0 }
    }

    /// Only the last call may come with a number of bytes that is no whole number of strides.
    fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let (strides, rest) = bytes.as_chunks::<STRIDE>();
        strides.iter().for_each(|stride| self.stride(stride));
        if !rest.is_empty() {
            let mut last = [0; STRIDE];
            last[..rest.len()].copy_from_slice(rest);
            self.stride(&last);
        }
    }

    fn stride(&mut self, stride: &[u8; STRIDE]) {
        let (words, _) = stride.as_chunks::<8>();
        for (lane, word) in self.lanes.iter_mut().zip(words) {
            let mixed = (*lane ^ u64::from_le_bytes(*word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            *lane = mixed ^ mixed >> 32;
        }
    }

    fn finish(&self) -> u64 {
        self.lanes.iter().fold(self.bytes, |sum, lane| {
            (sum ^ lane).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(29)
        })
    }
}

/// Where a snapshot is written to.
pub(super) struct Output<W> {
    file: W,
    block: Vec<u8>,
    checksum: Checksum,
}

impl<W: Write> Output<W> {
    pub(super) fn new(file: W) -> Self {
        Self { file, block: Vec::with_capacity(BLOCK), checksum: Checksum::new() }
    }

    pub(super) fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while self.block.len() + bytes.len() >= BLOCK {
            let (now, later) = bytes.split_at(BLOCK - self.block.len());
            self.block.extend_from_slice(now);
            self.flush()?;
            bytes = later;
        }
        self.block.extend_from_slice(bytes);
        Ok(())
    }

    /// Writes a number in as few bytes as it needs, seven bits each.
    pub(super) fn put_number(&mut self, mut number: u64) -> io::Result<()> {
        while number >= 128 {
            self.put(&[number as u8 | 128])?;
            number >>= 7;
        }
        self.put(&[number as u8])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.checksum.add(&self.block);
        self.file.write_all(&self.block)?;
        self.block.clear();
        Ok(())
    }

    /// Ends the snapshot with its checksum; gives the number of bytes in all.
    pub(super) fn finish(mut self) -> io::Result<(W, u64)> {
        self.flush()?;
        self.file.write_all(&self.checksum.finish().to_le_bytes())?;
        self.file.flush()?;
        Ok((self.file, self.checksum.bytes + 8))
    }
}

/// Where a snapshot is read from.
pub(super) struct Input<R> {
    file: R,
    /// What was read and not yet taken is from `at` on; the checksum has all of it.
    bytes: Vec<u8>,
    at: usize,
    /// What may still be the checksum at the end, and is not content yet.
    tail: Vec<u8>,
    checksum: Checksum,
}

impl<R: Read> Input<R> {
    pub(super) fn new(file: R) -> Self {
        Self { file, bytes: Vec::new(), at: 0, tail: Vec::new(), checksum: Checksum::new() }
    }

    /// The next `len` bytes.
    #[inline]
    pub(super) fn take(&mut self, len: usize) -> Result<&[u8], SnapshotError> {
        while self.bytes.len() - self.at < len {
            if !self.fill()? {
                return Err(SnapshotError::Damaged("it ends too early"));
            }
        }
        self.at += len;
        Ok(&self.bytes[self.at - len..self.at])
    }

    /// The next `N` bytes.
    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], SnapshotError> {
        let bytes = self.take(N)?;
        bytes.first_chunk().copied().ok_or(SnapshotError::Damaged("it ends too early"))
    }

    /// A number as `put_number` wrote it.
    #[inline]
    pub(super) fn number(&mut self) -> Result<u64, SnapshotError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            number |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return Ok(number);
            }
        }
        Err(SnapshotError::Damaged("a number is too long"))
    }

    /// Reads one more block; false at the end.
    fn fill(&mut self) -> Result<bool, SnapshotError> {
        self.bytes.drain(..self.at);
        self.at = 0;
        let wanted = BLOCK + 8 - self.tail.len();
        let before = self.tail.len();
        self.file.by_ref().take(wanted as u64).read_to_end(&mut self.tail)?;
        if self.tail.len() == before {
            return Ok(false);
        }
        // All but the last eight bytes are content; a whole block unless the file ends here.
        let content = self.tail.len().saturating_sub(8).min(BLOCK);
        self.checksum.add(&self.tail[..content]);
        self.bytes.extend_from_slice(&self.tail[..content]);
        self.tail.drain(..content);
        Ok(content > 0)
    }

    /// Checks that nothing is left but the right checksum.
    pub(super) fn finish(mut self) -> Result<(), SnapshotError> {
        if self.at < self.bytes.len() || self.fill()? {
            return Err(SnapshotError::Damaged("more follows than it says"));
        }
        if self.tail != self.checksum.finish().to_le_bytes() {
            return Err(SnapshotError::Damaged("its checksum is wrong"));
        }
        Ok(())
    }
}
