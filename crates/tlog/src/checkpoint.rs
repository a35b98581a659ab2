//! Says how large a log is and what its root is, signed by its author.
//!
//! Source: C2SP `tlog-checkpoint`.
//!
//! **Invariant:** what was only received ([`SignedCheckpoint`]) and what was checked
//! ([`Checkpoint`]) are different types.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::hash::{EMPTY_ROOT, Hash};
use crate::key::{OwnKey, PeerKey};
use crate::note::{Note, NoteError};
use crate::origin::Origin;

/// The largest size of a log: stores keep sizes as signed 64-bit integers, and no sum of sizes
/// overflows.
pub const MAX_SIZE: u64 = i64::MAX as u64;

/// The size and root of a log. From [`SignedCheckpoint::verify`], it is what the log's author
/// signed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Checkpoint {
    /// The log.
    pub origin: Origin,
    /// How many leaves it has.
    pub size: u64,
    /// The root of the Merkle tree over them.
    pub root: Hash,
}

/// A checkpoint as received: a signed note, byte for byte, with whatever signatures witnesses
/// added. Nothing in it is to be believed before [`SignedCheckpoint::verify`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SignedCheckpoint {
    /// The note.
    pub text: String,
}

/// Why a signed checkpoint is not one of this log by this key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not a note, or not signed by the key.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Signed, but not the three lines of a checkpoint: origin, size, root.
    #[error("the checkpoint's text is malformed")]
    Text,
    /// Signed, but of another log.
    #[error("the checkpoint is of another log")]
    Origin,
    /// Larger than [`MAX_SIZE`].
    #[error("the checkpoint's size is too large")]
    Size,
    /// Of no leaves, with another root than [`EMPTY_ROOT`].
    #[error("the checkpoint of an empty log has the wrong root")]
    EmptyRoot,
}

impl Checkpoint {
    /// The checkpoint of a log without leaves.
    pub fn empty(origin: Origin) -> Self {
        Checkpoint { origin, size: 0, root: EMPTY_ROOT }
    }

    /// Reads the text of a note as a checkpoint. Extension lines are passed over: nothing here
    /// depends on them.
    pub(crate) fn parse(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.strip_suffix('\n').ok_or(CheckpointError::Text)?.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next())
        else {
            return Err(CheckpointError::Text);
        };
        if lines.any(str::is_empty) {
            return Err(CheckpointError::Text);
        }
        let origin = Origin::new(origin).map_err(|_| CheckpointError::Origin)?;
        let root = STANDARD.decode(root).map_err(|_| CheckpointError::Text)?;
        let root = Hash(root.try_into().map_err(|_| CheckpointError::Text)?);
        let size = parse_size(size)?;
        if size == 0 && root != EMPTY_ROOT {
            return Err(CheckpointError::EmptyRoot);
        }
        Ok(Checkpoint { origin, size, root })
    }
}

/// Reads ASCII decimal digits without leading zeroes.
pub(crate) fn parse_size(text: &str) -> Result<u64, CheckpointError> {
    let plain = text == "0" || (!text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit()));
    if !plain || text.is_empty() {
        return Err(CheckpointError::Text);
    }
    match text.parse() {
        Ok(size) if size <= MAX_SIZE => Ok(size),
        _ => Err(CheckpointError::Size),
    }
}

/// The text that is signed: origin, size and root, a line each.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, STANDARD.encode(self.root.0))
    }
}

impl SignedCheckpoint {
    /// Takes a note as received, unchecked.
    pub fn new(text: impl Into<String>) -> Self {
        SignedCheckpoint { text: text.into() }
    }

    /// Signs; the name of the key is the origin. The caller makes sure, before it signs, that the
    /// log at this size extends everything it ever signed: a key that signs two roots for one size
    /// has forked its log.
    pub fn sign(checkpoint: &Checkpoint, key: &OwnKey) -> Self {
        let note = Note::sign(checkpoint.to_string(), checkpoint.origin.as_str(), key);
        match note {
            Ok(note) => SignedCheckpoint { text: note.to_string() },
            Err(error) => unreachable!("every checkpoint is a legal note: {error}"),
        }
    }

    /// Checks that `key` signed this for the log `origin`, and says what it signed.
    pub fn verify(&self, origin: &Origin, key: &PeerKey) -> Result<Checkpoint, CheckpointError> {
        let note = Note::parse(&self.text)?;
        note.verify(origin.as_str(), key)?;
        let checkpoint = Checkpoint::parse(note.text())?;
        if checkpoint.origin != *origin {
            return Err(CheckpointError::Origin);
        }
        Ok(checkpoint)
    }
}

impl fmt::Display for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
