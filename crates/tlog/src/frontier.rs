//! Keeps as much of a tree as is needed to grow it: the roots along its right edge.
//!
//! **Invariant:** a frontier has one root for every set bit of its size, the largest subtree first.

use crate::checkpoint::MAX_SIZE;
use crate::hash::{EMPTY_ROOT, Hash, TILE_HEIGHT, TILE_WIDTH, TileHash, node_hash};
use crate::reader::{HashReader, read_exactly};
use crate::source::SourceError;

/// The right edge of the tree over leaves `0..size`: what [`Frontier::append`] and
/// [`Frontier::root`] need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    roots: Vec<Hash>,
}

/// A run of tile hashes of one level, half open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TileRange {
    /// The level of the tiles.
    pub level: u8,
    /// The first hash.
    pub from: u64,
    /// The hash after the last.
    pub to: u64,
}

/// The hashes given are not as many as [`Frontier::needs`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the tile hashes do not make a frontier of this size")]
pub struct FrontierError;

impl Default for Frontier {
    fn default() -> Self {
        Frontier::new()
    }
}

impl Frontier {
    /// The frontier of a tree without leaves.
    pub fn new() -> Self {
        Frontier { size: 0, roots: Vec::new() }
    }

    /// How many leaves the tree has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        let mut roots = self.roots.iter().rev();
        let Some(last) = roots.next() else { return EMPTY_ROOT };
        roots.fold(*last, |right, left| node_hash(left, &right))
    }

    /// The roots of the perfect subtrees that the tree is made of, the largest (leftmost) first.
    pub fn roots(&self) -> &[Hash] {
        &self.roots
    }

    /// Adds a leaf, given its [`leaf_hash`](crate::hash::leaf_hash).
    pub fn append(&mut self, leaf: Hash) {
        self.append_tiles(leaf, &mut Vec::new());
    }

    /// Adds a leaf and reports every tile hash of level 1 and above that it completes, the lowest
    /// level first.
    pub fn append_tiles(&mut self, leaf: Hash, completed: &mut Vec<TileHash>) {
        assert!(self.size < MAX_SIZE, "a log cannot outgrow its size field");
        let mut hash = leaf;
        // Each one at the end of the size is a subtree as large as the one just completed, to its
        // left.
        for height in 1..=self.size.trailing_ones() as u8 {
            let left = self.roots.pop();
            assert!(left.is_some(), "one root for every set bit of the size");
            hash = left.map_or(hash, |left| node_hash(&left, &hash));
            if height.is_multiple_of(TILE_HEIGHT) {
                let index = self.size >> height;
                completed.push(TileHash { level: height / TILE_HEIGHT, index, hash });
            }
        }
        self.roots.push(hash);
        self.size += 1;
        assert_eq!(self.roots.len() as u32, self.size.count_ones());
    }

    /// Which tile hashes make the frontier of a tree of `size` leaves: at most 255 of each of eight
    /// levels, the highest level first. A store reads these at start, instead of all leaves.
    pub fn needs(size: u64) -> Vec<TileRange> {
        (0..8)
            .rev()
            .map(|level| {
                let to = size >> (TILE_HEIGHT * level);
                TileRange { level, from: to - to % TILE_WIDTH, to }
            })
            .filter(|range| range.from < range.to)
            .collect()
    }

    /// Makes the frontier of a tree of `size` leaves from the hashes that [`Frontier::needs`]
    /// names, in its order. Whether they are the right ones shows in [`Frontier::root`], which the
    /// caller compares with a checkpoint.
    pub fn from_tile_hashes(size: u64, hashes: &[Vec<Hash>]) -> Result<Self, FrontierError> {
        let needs = Frontier::needs(size);
        if size > MAX_SIZE || needs.len() != hashes.len() {
            return Err(FrontierError);
        }
        let mut roots = Vec::with_capacity(size.count_ones() as usize);
        for (range, hashes) in needs.iter().zip(hashes) {
            if hashes.len() as u64 != range.to - range.from {
                return Err(FrontierError);
            }
            let mut rest = hashes.as_slice();
            for bit in (0..TILE_HEIGHT).rev().filter(|bit| rest.len() >> bit & 1 == 1) {
                let (perfect, after) = rest.split_at(1 << bit);
                roots.push(perfect_root(perfect));
                rest = after;
            }
        }
        Ok(Frontier { size, roots })
    }

    /// Reads the frontier of a tree of `size` leaves. See [`Frontier::from_tile_hashes`] on what is
    /// checked.
    pub async fn read<R: HashReader + ?Sized>(reader: &R, size: u64) -> Result<Self, SourceError> {
        let mut hashes = Vec::new();
        for range in Frontier::needs(size) {
            hashes.push(read_exactly(reader, range.level, range.from, range.to).await?);
        }
        Frontier::from_tile_hashes(size, &hashes)
            .map_err(|error| SourceError::Broken(error.to_string()))
    }
}

/// The root over 1, 2, 4 … hashes that stand side by side.
pub(crate) fn perfect_root(hashes: &[Hash]) -> Hash {
    assert!(hashes.len().is_power_of_two());
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        row = row.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
    }
    row[0]
}
