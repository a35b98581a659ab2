//! A signed append-only log as mathematics: leaves, tiles, checkpoints, proofs, `trait Source`.
//!
//! A **log** is a growing list of leaves (opaque bytes) under a Merkle tree (RFC 6962), whose size
//! and root its author signs in **checkpoints** (C2SP tlog-checkpoint, a signed note). Beside a
//! leaf may lie its **record**; the tree covers the leaf only. A log can be read from any
//! [`Source`]: a store, a peer, a file. What a source says is believed when
//! [`extend::Verified::extend`] or [`audit()`] has checked it.
//!
//! **Invariant:** nothing here knows what a leaf or a record says.
//! **Invariant:** no clock, no randomness, no disk and no network: the same input gives the same
//! answer.
//! **Invariant:** no input of a peer leads to a panic; a bad input is an error value.

pub mod accepted;
pub mod add_checkpoint;
pub mod audit;
pub mod checkpoint;
pub mod cosign;
pub mod entry;
pub mod evidence;
pub mod extend;
pub mod frontier;
pub mod hash;
mod hex;
pub mod key;
pub mod note;
pub mod origin;
pub mod proof;
pub mod reader;
pub mod source;
pub mod tile;
mod urgent;

pub use accepted::{Accepted, Standing};
pub use add_checkpoint::AddCheckpoint;
pub use audit::{AuditProblem, AuditReport, audit};
pub use checkpoint::{Checkpoint, CheckpointError, MAX_SIZE, SignedCheckpoint};
pub use entry::{Entry, MAX_LEAF_BYTES};
pub use evidence::{Evidence, EvidenceKind};
pub use extend::{ExtendError, Extended, Verified};
pub use frontier::{Frontier, TileRange};
pub use hash::{EMPTY_ROOT, Hash, TILE_HEIGHT, TILE_WIDTH, TileHash, leaf_hash, node_hash};
pub use key::{OwnKey, PeerKey, Signature};
pub use origin::Origin;
pub use proof::ProofError;
pub use reader::HashReader;
pub use source::{Extension, Source, SourceError, Urgent};
pub use tile::{Tile, TileKind};
