//! Lays a log out as C2SP tlog-tiles, so that existing verifiers and mirrors can read it.
//!
//! Source: C2SP `tlog-tiles`.
//!
//! **Invariant:** a tile has one path and a path one tile: no leading zeroes, no superfluous
//! groups.

use std::fmt;
use std::str::FromStr;

use bytes::{Buf, Bytes};

use crate::checkpoint::MAX_SIZE;
use crate::entry::MAX_LEAF_BYTES;
use crate::frontier::Frontier;
use crate::hash::{Hash, TILE_HEIGHT, TILE_WIDTH, TileHash};
use crate::reader::HashReader;
use crate::source::SourceError;

/// The highest level that a path may name, by the specification. A log of [`MAX_SIZE`] leaves
/// reaches level 7.
pub const MAX_TILE_LEVEL: u8 = 63;

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TileKind {
    /// Tile hashes of this level.
    Hashes(u8),
    /// The leaves themselves: an entry bundle.
    Entries,
}

/// One tile by its place. Its text is its path: `tile/0/x001/234`, `tile/entries/067.p/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    kind: TileKind,
    index: u64,
    width: u16,
}

/// Why text is not the path of a tile, or bytes not its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// Not the one path that a tile has.
    #[error("not the path of a tile")]
    Path,
    /// Not as many hashes or leaves as the tile is wide.
    #[error("the tile has another width than its path says")]
    Width,
    /// A leaf longer than [`MAX_LEAF_BYTES`].
    #[error("a leaf is longer than {MAX_LEAF_BYTES} bytes")]
    Leaf,
}

impl Tile {
    /// Names a tile: 1 to 256 hashes or leaves wide, the `index`th of its level.
    pub fn new(kind: TileKind, index: u64, width: u16) -> Result<Self, TileError> {
        let level = match kind {
            TileKind::Hashes(level) => level,
            TileKind::Entries => 0,
        };
        let fits = index < MAX_SIZE / TILE_WIDTH && (1..=TILE_WIDTH).contains(&u64::from(width));
        if level > MAX_TILE_LEVEL || !fits {
            return Err(TileError::Path);
        }
        Ok(Tile { kind, index, width })
    }

    /// What it holds.
    pub fn kind(&self) -> TileKind {
        self.kind
    }

    /// The first of its hashes (or leaves) and the one after its last, counted over the level.
    pub fn range(&self) -> (u64, u64) {
        let from = self.index * TILE_WIDTH;
        (from, from + u64::from(self.width))
    }

    /// Whether it is full, and so never changes.
    pub fn is_full(&self) -> bool {
        u64::from(self.width) == TILE_WIDTH
    }

    /// Whether a tree of `size` leaves has everything that this tile holds; what it has not is not
    /// served.
    pub fn is_within(&self, size: u64) -> bool {
        let level = match self.kind {
            TileKind::Hashes(level) => level,
            TileKind::Entries => 0,
        };
        let count = size.checked_shr(u32::from(TILE_HEIGHT) * u32::from(level)).unwrap_or(0);
        self.range().1 <= count
    }

    /// The tiles that a tree of `size` leaves has and a tree of `old` leaves has not, in the order
    /// of their levels: what a mirror fetches (or a writer writes) to go from one to the other.
    /// Entry bundles come with level 0.
    pub fn added(old: u64, size: u64) -> Vec<Tile> {
        let mut tiles = Vec::new();
        for level in 0..8 {
            let (before, after) = (old >> (TILE_HEIGHT * level), size >> (TILE_HEIGHT * level));
            if before >= after {
                break;
            }
            for index in before / TILE_WIDTH..after.div_ceil(TILE_WIDTH) {
                let width = (after - index * TILE_WIDTH).min(TILE_WIDTH) as u16;
                if level == 0 {
                    tiles.push(Tile { kind: TileKind::Entries, index, width });
                }
                tiles.push(Tile { kind: TileKind::Hashes(level), index, width });
            }
        }
        tiles
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes(level) => write!(f, "tile/{level}/")?,
            TileKind::Entries => f.write_str("tile/entries/")?,
        }
        let mut groups = vec![self.index % 1000];
        let mut rest = self.index / 1000;
        while rest > 0 {
            groups.push(rest % 1000);
            rest /= 1000;
        }
        for group in groups.iter().skip(1).rev() {
            write!(f, "x{group:03}/")?;
        }
        write!(f, "{:03}", groups[0])?;
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

impl FromStr for Tile {
    type Err = TileError;

    /// Reads a path; one that is not written as [`fmt::Display`] writes it is refused.
    fn from_str(path: &str) -> Result<Self, Self::Err> {
        let rest = path.strip_prefix("tile/").ok_or(TileError::Path)?;
        let (level, rest) = rest.split_once('/').ok_or(TileError::Path)?;
        let kind = match level {
            "entries" => TileKind::Entries,
            level => TileKind::Hashes(level.parse().map_err(|_| TileError::Path)?),
        };
        let (place, width) = match rest.split_once(".p/") {
            Some((place, width)) => (place, width.parse().map_err(|_| TileError::Path)?),
            None => (rest, TILE_WIDTH as u16),
        };
        let mut index: u64 = 0;
        for group in place.split('/') {
            let digits = group.strip_prefix('x').unwrap_or(group);
            let value: u64 = digits.parse().map_err(|_| TileError::Path)?;
            index = index
                .checked_mul(1000)
                .and_then(|index| index.checked_add(value))
                .ok_or(TileError::Path)?;
        }
        let tile = Tile::new(kind, index, width)?;
        if tile.to_string() == path { Ok(tile) } else { Err(TileError::Path) }
    }
}

/// The bytes of a tile of hashes: the hashes, one after the other.
pub fn encode_hashes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// Reads a tile of `width` hashes.
pub fn decode_hashes(bytes: &[u8], width: u64) -> Result<Vec<Hash>, TileError> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    if hashes.len() as u64 != width || !rest.is_empty() {
        return Err(TileError::Width);
    }
    Ok(hashes.iter().map(|hash| Hash(*hash)).collect())
}

/// The bytes of an entry bundle: each leaf after its length in 16 bits, big endian.
pub fn encode_bundle<L: AsRef<[u8]>>(leaves: &[L]) -> Result<Vec<u8>, TileError> {
    let mut bytes = Vec::new();
    for leaf in leaves {
        let leaf = leaf.as_ref();
        if leaf.len() > MAX_LEAF_BYTES {
            return Err(TileError::Leaf);
        }
        bytes.extend_from_slice(&(leaf.len() as u16).to_be_bytes());
        bytes.extend_from_slice(leaf);
    }
    Ok(bytes)
}

/// Reads an entry bundle of exactly `width` leaves; the leaves share the bundle's memory.
pub fn decode_bundle(mut bytes: Bytes, width: u64) -> Result<Vec<Bytes>, TileError> {
    let mut leaves = Vec::new();
    while !bytes.is_empty() {
        if bytes.len() < 2 || leaves.len() as u64 == width {
            return Err(TileError::Width);
        }
        let length = usize::from(bytes.get_u16());
        if length > MAX_LEAF_BYTES {
            return Err(TileError::Leaf);
        }
        if bytes.len() < length {
            return Err(TileError::Width);
        }
        leaves.push(bytes.split_to(length));
    }
    if leaves.len() as u64 == width { Ok(leaves) } else { Err(TileError::Width) }
}

/// The tile hashes of level 1 and above that a tree of `old_size` leaves completes when these leaf
/// hashes are appended; what a store writes beside the leaf hashes. Who holds a [`Frontier`] calls
/// [`Frontier::append_tiles`] instead and reads nothing.
pub async fn new_tile_hashes<R: HashReader + ?Sized>(
    old_size: u64,
    leaf_hashes: &[Hash],
    reader: &R,
) -> Result<Vec<TileHash>, SourceError> {
    let mut frontier = Frontier::read(reader, old_size).await?;
    let mut completed = Vec::new();
    for hash in leaf_hashes {
        frontier.append_tiles(*hash, &mut completed);
    }
    Ok(completed)
}
