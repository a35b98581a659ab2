//! What is asked of a witness: to cosign a checkpoint that goes on from the one that it cosigned last.
//!
//! Source: C2SP `tlog-witness`, `add-checkpoint`.
//!
//! **Invariant:** a request that parses prints as exactly the bytes it was parsed from.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint, parse_size};
use crate::hash::Hash;
use crate::note::{MAX_NOTE_BYTES, Note};
use crate::proof::{ProofError, verify_consistency};

/// The most lines of a proof; the specification forbids more.
pub const MAX_PROOF_LINES: usize = 63;
/// The longest request: `old`, a size of twenty digits, the proof's lines of 44 characters, an empty line, a note.
pub const MAX_ADD_CHECKPOINT_BYTES: usize = 25 + MAX_PROOF_LINES * 45 + 1 + MAX_NOTE_BYTES;

const OLD: &str = "old ";

/// A request to cosign. Nothing in it is to be believed before [`SignedCheckpoint::verify`] and
/// [`AddCheckpoint::continues`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size that the witness is thought to have cosigned last; 0 for none.
    pub old: u64,
    /// The consistency proof from there (RFC 6962, section 2.1.2).
    pub proof: Vec<Hash>,
    /// What is to be cosigned.
    pub checkpoint: SignedCheckpoint,
}

/// The bytes are no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an old size, at most {MAX_PROOF_LINES} hashes, an empty line and a checkpoint")]
pub struct Malformed;

/// Why a checkpoint is not cosigned after the one that was cosigned last.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotContinued {
    /// The old size is larger than the checkpoint's: nothing to be tried again.
    #[error("the old size is larger than that of the checkpoint")]
    OldIsLarger,
    /// The old size is not that which was cosigned last. Who asks goes on from this one.
    #[error("the size cosigned last is {last}")]
    Elsewhere {
        /// The size cosigned last.
        last: u64,
    },
    /// Of the size that was cosigned last, with another root: two histories.
    #[error("another root was cosigned at the size {last}")]
    OtherRoot {
        /// The size cosigned last.
        last: u64,
    },
    /// The proof does not lead from the one to the other.
    #[error(transparent)]
    Unproven(#[from] ProofError),
}

impl AddCheckpoint {
    /// Reads the body of a request. The checkpoint is read and its signatures are not checked.
    ///
    /// # Errors
    /// [`Malformed`]
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let body = std::str::from_utf8(body).map_err(|_| Malformed)?;
        let (head, note) = body.split_once("\n\n").ok_or(Malformed)?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix(OLD)).ok_or(Malformed)?;
        let old = parse_size(old).map_err(|_| Malformed)?;
        let proof = lines.take(MAX_PROOF_LINES + 1).map(hash);
        let proof = proof.collect::<Option<Vec<_>>>().ok_or(Malformed)?;
        if proof.len() > MAX_PROOF_LINES || !is_checkpoint(note) {
            return Err(Malformed);
        }
        Ok(AddCheckpoint { old, proof, checkpoint: SignedCheckpoint::new(note) })
    }

    /// The first line of the checkpoint: the log that it says it is of.
    pub fn origin(&self) -> &str {
        self.checkpoint.text.split('\n').next().unwrap_or_default()
    }

    /// Checks that the checkpoint, which the log's key has signed and which says `new`, goes on from `last`, the one
    /// that was cosigned last (the empty one where none was). In the order of the specification.
    ///
    /// # Errors
    /// [`NotContinued`]
    pub fn continues(&self, last: &Checkpoint, new: &Checkpoint) -> Result<(), NotContinued> {
        if self.old > new.size {
            return Err(NotContinued::OldIsLarger);
        }
        if self.old != last.size {
            return Err(NotContinued::Elsewhere { last: last.size });
        }
        if new.size == last.size && new.root != last.root {
            return Err(NotContinued::OtherRoot { last: last.size });
        }
        verify_consistency(last.size, &last.root, new.size, &new.root, &self.proof)?;
        Ok(())
    }
}

/// The body of the request.
impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{OLD}{}", self.old)?;
        self.proof.iter().try_for_each(|hash| writeln!(f, "{}", STANDARD.encode(hash.0)))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

/// Whether a note is a checkpoint, of this log or of another. What other logs are called is their affair.
fn is_checkpoint(note: &str) -> bool {
    let Ok(note) = Note::parse(note) else { return false };
    match Checkpoint::parse(note.text()) {
        Ok(_) => true,
        Err(CheckpointError::Origin) => !note.text().starts_with('\n'),
        Err(_) => false,
    }
}

fn hash(line: &str) -> Option<Hash> {
    STANDARD.decode(line).ok()?.try_into().ok().map(Hash)
}
