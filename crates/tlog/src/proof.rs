//! Proves that a leaf is in a tree, and that a tree is the beginning of a larger one.
//!
//! Source: RFC 6962 section 2.1, RFC 9162 sections 2.1.3 and 2.1.4. Making a proof reads tile
//! hashes, at most two tiles a level; checking one reads nothing.

use std::collections::HashMap;

use crate::checkpoint::MAX_SIZE;
use crate::frontier::perfect_root;
use crate::hash::{EMPTY_ROOT, Hash, TILE_HEIGHT, TILE_WIDTH, node_hash};
use crate::reader::{HashReader, read_exactly};
use crate::source::SourceError;

/// The most hashes in a proof over at most [`MAX_SIZE`] leaves: one a level, and one more where a
/// consistency proof starts inside a subtree. What is longer proves nothing and need not be
/// decoded.
pub const MAX_PROOF_HASHES: usize = 64;

/// Why there is no proof, or why it does not prove.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The leaf is not below the size, a size is above [`MAX_SIZE`], or the older tree is the
    /// larger one.
    #[error("no such proof: the leaf or tree asked for is outside the tree")]
    Range,
    /// The proof does not lead to the root.
    #[error("the proof does not lead to the root")]
    Wrong,
    /// The hashes that the proof is made of could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// Checks that the leaf with this hash is leaf `index` of the tree of `size` leaves under `root`.
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if index >= size || size > MAX_SIZE {
        return Err(ProofError::Range);
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::Wrong);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            // A node without a right sibling moves up unhashed until it is somebody's right
            // sibling.
            let up = node.trailing_zeros();
            node >>= up;
            last >>= up;
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last == 0 && hash == *root { Ok(()) } else { Err(ProofError::Wrong) }
}

/// Checks that the tree of `old_size` leaves under `old_root` is the beginning of the tree of
/// `new_size` leaves under `new_root`. The empty tree is the beginning of every tree.
pub fn verify_consistency(
    old_size: u64,
    old_root: &Hash,
    new_size: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if old_size > new_size || new_size > MAX_SIZE {
        return Err(ProofError::Range);
    }
    if old_size == 0 || old_size == new_size {
        let same = if old_size == 0 { &EMPTY_ROOT } else { new_root };
        let sound =
            proof.is_empty() && old_root == same && (new_size > 0 || *new_root == EMPTY_ROOT);
        return if sound { Ok(()) } else { Err(ProofError::Wrong) };
    }
    // The old tree ends in a perfect subtree; that is where the proof starts.
    let up = (old_size - 1).trailing_ones();
    let (mut node, mut last) = ((old_size - 1) >> up, (new_size - 1) >> up);
    let (start, path) = match proof.split_first() {
        Some(_) if old_size.is_power_of_two() => (*old_root, proof),
        Some((first, rest)) => (*first, rest),
        None => return Err(ProofError::Wrong),
    };
    let (mut old, mut new) = (start, start);
    for sibling in path {
        if last == 0 {
            return Err(ProofError::Wrong);
        }
        if node & 1 == 1 || node == last {
            old = node_hash(sibling, &old);
            new = node_hash(sibling, &new);
            let up = node.trailing_zeros();
            node >>= up;
            last >>= up;
        } else {
            new = node_hash(&new, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last == 0 && old == *old_root && new == *new_root { Ok(()) } else { Err(ProofError::Wrong) }
}

/// Proves that leaf `index` is in the tree of `size` leaves that `reader` has.
pub async fn inclusion<R: HashReader + ?Sized>(
    reader: &R,
    index: u64,
    size: u64,
) -> Result<Vec<Hash>, ProofError> {
    if index >= size || size > MAX_SIZE {
        return Err(ProofError::Range);
    }
    let mut path = Vec::new();
    let (mut from, mut to) = (0, size);
    while to - from > 1 {
        let middle = split(from, to);
        if index < middle {
            path.push((middle, to));
            to = middle;
        } else {
            path.push((from, middle));
            from = middle;
        }
    }
    Tiles::new(reader, size).roots(path).await
}

/// Proves that the tree of the first `old` leaves is the beginning of the tree of the first `new`
/// leaves.
pub async fn consistency<R: HashReader + ?Sized>(
    reader: &R,
    old: u64,
    new: u64,
) -> Result<Vec<Hash>, ProofError> {
    if old > new || new > MAX_SIZE {
        return Err(ProofError::Range);
    }
    if old == 0 {
        return Ok(Vec::new());
    }
    let mut path = Vec::new();
    let (mut from, mut to) = (0, new);
    while old != to {
        let middle = split(from, to);
        if old <= middle {
            path.push((middle, to));
            to = middle;
        } else {
            path.push((from, middle));
            from = middle;
        }
    }
    // The checker knows the old root; any other subtree that the old tree ends in must be told.
    if from > 0 {
        path.push((from, to));
    }
    Tiles::new(reader, new).roots(path).await
}

/// The root of the first `size` leaves, from tile hashes; with [`EMPTY_ROOT`] for none.
pub async fn root<R: HashReader + ?Sized>(reader: &R, size: u64) -> Result<Hash, ProofError> {
    Ok(crate::frontier::Frontier::read(reader, size).await?.root())
}

/// Where RFC 6962 splits the leaves `from..to`: after the largest power of two smaller than their
/// number.
fn split(from: u64, to: u64) -> u64 {
    let count = to - from;
    assert!(count > 1);
    from + (1 << (count - 1).ilog2())
}

/// The tiles of a tree of `size` leaves, each read once.
struct Tiles<'a, R: ?Sized> {
    reader: &'a R,
    size: u64,
    read: HashMap<(u8, u64), Vec<Hash>>,
}

impl<'a, R: HashReader + ?Sized> Tiles<'a, R> {
    fn new(reader: &'a R, size: u64) -> Self {
        Tiles { reader, size, read: HashMap::new() }
    }

    /// The roots over these ranges of leaves, from the last range to the first: the order of a
    /// proof.
    async fn roots(mut self, ranges: Vec<(u64, u64)>) -> Result<Vec<Hash>, ProofError> {
        let mut roots = Vec::with_capacity(ranges.len());
        for (from, to) in ranges.into_iter().rev() {
            roots.push(self.root(from, to).await?);
        }
        Ok(roots)
    }

    /// The root over the leaves `from..to`, which RFC 6962 makes a subtree of the tree.
    async fn root(&mut self, from: u64, to: u64) -> Result<Hash, ProofError> {
        let mut perfect = Vec::new();
        let mut start = from;
        while start < to {
            let height = (to - start).ilog2();
            perfect.push(self.perfect(height, start >> height).await?);
            start += 1 << height;
        }
        let last = perfect.pop().unwrap_or(EMPTY_ROOT);
        Ok(perfect.iter().rev().fold(last, |right, left| node_hash(left, &right)))
    }

    /// The root over the leaves `index·2^height .. (index+1)·2^height`.
    async fn perfect(&mut self, height: u32, index: u64) -> Result<Hash, ProofError> {
        let level = height as u8 / TILE_HEIGHT;
        let inner = height as u8 % TILE_HEIGHT;
        let first = index << inner;
        let tile = first / TILE_WIDTH;
        if !self.read.contains_key(&(level, tile)) {
            let end = (self.size >> (TILE_HEIGHT * level)).min((tile + 1) * TILE_WIDTH);
            let hashes = read_exactly(self.reader, level, tile * TILE_WIDTH, end).await?;
            self.read.insert((level, tile), hashes);
        }
        let start = (first % TILE_WIDTH) as usize;
        let hashes = &self.read[&(level, tile)][start..start + (1 << inner)];
        Ok(perfect_root(hashes))
    }
}
