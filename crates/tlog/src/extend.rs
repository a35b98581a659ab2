//! Takes what a source says into what we have verified, or says why not, with evidence of a fork.
//!
//! **Invariant:** every leaf that a [`Verified`] counts is under a checkpoint that the log's key
//! signed.
//! **Invariant:** a [`Verified`] only grows; each of its checkpoints is consistent with all before.

use crate::checkpoint::{Checkpoint, CheckpointError, MAX_SIZE, SignedCheckpoint};
use crate::entry::MAX_LEAF_BYTES;
use crate::evidence::{Evidence, EvidenceKind, compare};
use crate::frontier::Frontier;
use crate::hash::{Hash, TileHash};
use crate::key::PeerKey;
use crate::note::NoteError;
use crate::origin::Origin;
use crate::proof::{self, ProofError, verify_consistency, verify_inclusion};
use crate::source::{Source, Urgent};

pub use crate::source::Extension;

/// The most entries in one extension: what is checked and committed in one go stays in memory until
/// then.
pub const MAX_EXTENSION_ENTRIES: usize = 65_536;

/// What we know for certain of one log: its name and key, the leaves held (as a frontier), and the
/// newest checkpoint that covers them. Usually the checkpoint's size is the number of leaves held;
/// while catching up it may be ahead, and then [`Verified::proof`] ties the two together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    origin: Origin,
    key: PeerKey,
    frontier: Frontier,
    checkpoint: Checkpoint,
    signed: Option<SignedCheckpoint>,
    proof: Vec<Hash>,
}

/// A log grown by an extension, with what a store writes for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extended {
    /// What we know now.
    pub state: Verified,
    /// How many entries at the start of the extension we already held; the new ones follow.
    pub new_entries_from: usize,
    /// The leaf hashes of the new entries, in order.
    pub leaf_hashes: Vec<Hash>,
    /// The tile hashes of level 1 and above that the new entries complete.
    pub tile_hashes: Vec<TileHash>,
}

/// Why an extension is not taken. The state stays as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtendError {
    /// The checkpoint is not signed by the log's key.
    #[error("the checkpoint is not signed by the key of this log")]
    WrongKey,
    /// Signed text or not, it is no checkpoint of this log.
    #[error(transparent)]
    Checkpoint(CheckpointError),
    /// The checkpoint is older than what we hold. A source that lags behind says this too, so it is
    /// not evidence; [`compare`] with our own copy tells whether it is.
    #[error("the checkpoint has {theirs} leaves, {ours} are held")]
    Shrunk {
        /// The leaves that we hold.
        ours: u64,
        /// The size of the checkpoint.
        theirs: u64,
    },
    /// The author signed two stories.
    #[error("the author of the log signed two different logs")]
    Fork(Box<Evidence>),
    /// There are more entries than the checkpoint covers.
    #[error("the entries end at {end}, the checkpoint covers {size}")]
    Uncovered {
        /// The index after the last entry.
        end: u64,
        /// The size of the checkpoint.
        size: u64,
    },
    /// The entries begin after the leaves that we hold end.
    #[error("the entries begin at {from}, {held} leaves are held")]
    Gap {
        /// The leaves that we hold.
        held: u64,
        /// The index of the first entry.
        from: u64,
    },
    /// More than [`MAX_EXTENSION_ENTRIES`], or a leaf longer than [`MAX_LEAF_BYTES`].
    #[error("the extension is too large")]
    TooLarge,
    /// The checkpoint that must cover the entries is ahead of them; [`Verified::extend_with`] wants
    /// the consistency proof from `from` to `to`.
    #[error("a consistency proof from {from} to {to} is needed")]
    NeedsProof {
        /// The leaves held once the entries are taken.
        from: u64,
        /// The size of the checkpoint that covers them.
        to: u64,
    },
    /// The leaves do not lead to the signed root: the source changed entries, or the author forked.
    #[error("the entries do not hash to the signed root")]
    Mismatch,
    /// The proof could not be read from the source.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

impl Verified {
    /// Of a log of which we know only name and key.
    pub fn new(origin: Origin, key: PeerKey) -> Self {
        let checkpoint = Checkpoint::empty(origin.clone());
        Verified {
            origin,
            key,
            frontier: Frontier::new(),
            checkpoint,
            signed: None,
            proof: Vec::new(),
        }
    }

    /// What we knew before a restart, checked again: `proof` is what [`Verified::proof`] said,
    /// empty unless the checkpoint was ahead of the leaves.
    ///
    /// # Errors
    /// What is wrong with the checkpoint, or [`ExtendError::Mismatch`]: what was stored is damaged.
    pub fn resume(
        origin: Origin,
        key: PeerKey,
        signed: SignedCheckpoint,
        frontier: Frontier,
        proof: Vec<Hash>,
    ) -> Result<Self, ExtendError> {
        let checkpoint = signed.verify(&origin, &key).map_err(ExtendError::from)?;
        covers(&checkpoint, &frontier, &proof).map_err(|_| ExtendError::Mismatch)?;
        Ok(Verified { origin, key, frontier, checkpoint, signed: Some(signed), proof })
    }

    /// The log.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The key that signs its checkpoints.
    pub fn key(&self) -> &PeerKey {
        &self.key
    }

    /// How many leaves we hold and have verified.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The right edge of the tree over the leaves that we hold.
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// The newest checkpoint that covers them; of the empty log at first.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The same checkpoint as it was signed; `None` as long as there was none.
    pub fn signed(&self) -> Option<&SignedCheckpoint> {
        self.signed.as_ref()
    }

    /// The consistency proof from the leaves held to the checkpoint; empty when it is of their
    /// size.
    pub fn proof(&self) -> &[Hash] {
        &self.proof
    }

    /// Takes an extension whose checkpoint is of exactly the size that its entries reach. Entries
    /// below our size are skipped unread. One whose checkpoint is ahead of its entries is
    /// [`ExtendError::NeedsProof`].
    pub fn extend(&self, extension: &Extension) -> Result<Extended, ExtendError> {
        self.extend_with(extension, &[])
    }

    /// Takes an extension whose checkpoint may be ahead of its entries, given the consistency proof
    /// that [`ExtendError::NeedsProof`] asked for.
    pub fn extend_with(
        &self,
        extension: &Extension,
        proof: &[Hash],
    ) -> Result<Extended, ExtendError> {
        let theirs = extension.checkpoint.verify(&self.origin, &self.key)?;
        self.check_head(&extension.checkpoint, &theirs)?;
        let skipped = self.check_range(extension)?;
        let mut frontier = self.frontier.clone();
        let mut leaf_hashes = Vec::new();
        let mut tile_hashes = Vec::new();
        for entry in extension.entries.iter().skip(skipped) {
            let hash = entry.leaf_hash();
            frontier.append_tiles(hash, &mut tile_hashes);
            leaf_hashes.push(hash);
            // Where we had a checkpoint ahead of the leaves, they must pass through it.
            if frontier.size() == self.checkpoint.size && frontier.root() != self.checkpoint.root {
                return Err(ExtendError::Mismatch);
            }
        }
        if frontier.size() > theirs.size {
            return Err(ExtendError::Uncovered { end: frontier.size(), size: theirs.size });
        }
        // As long as the leaves do not reach the checkpoint that we hold, that one covers them: two
        // checkpoints ahead of the leaves might contradict each other, and the first would be
        // forgotten.
        let (checkpoint, signed) = if frontier.size() < self.checkpoint.size {
            (self.checkpoint.clone(), self.signed.clone())
        } else {
            (theirs, Some(extension.checkpoint.clone()))
        };
        let proof = match frontier.size() {
            // A proof may have been asked for before, so one that is not needed any more is not an
            // error.
            size if size == checkpoint.size => &[],
            // Without new leaves, under the checkpoint that we hold, the proof that we hold stays
            // good.
            size if size == self.size() && checkpoint == self.checkpoint => self.proof(),
            _ => proof,
        };
        covers(&checkpoint, &frontier, proof)?;
        let (origin, key, proof) = (self.origin.clone(), self.key, proof.to_vec());
        let state = Verified { origin, key, frontier, checkpoint, signed, proof };
        Ok(Extended { state, new_entries_from: skipped, leaf_hashes, tile_hashes })
    }

    /// Takes an extension, reading from `source` the proof that [`ExtendError::NeedsProof`] asks
    /// for, and, where the entries do not lead to the signed root, what turns a suspicion into
    /// [`ExtendError::Fork`].
    pub async fn extend_from<S: Source + ?Sized>(
        &self,
        source: &S,
        extension: &Extension,
    ) -> Result<Extended, ExtendError> {
        let mut result = self.extend(extension);
        if let Err(ExtendError::NeedsProof { from, to }) = result {
            let proof = proof::consistency(source, from, to).await?;
            result = self.extend_with(extension, &proof);
        }
        if let (Err(ExtendError::Mismatch), Some(ours)) = (&result, &self.signed) {
            let theirs = &extension.checkpoint;
            if let Ok(Some(evidence)) = compare(source, ours, theirs, &self.origin, &self.key).await
            {
                return Err(ExtendError::Fork(Box::new(evidence)));
            }
        }
        result
    }

    /// Checks that an entry ahead of its turn stands in the log, under a signed checkpoint that begins
    /// with what we hold. What we know stays as it is: the entry comes again in its turn.
    ///
    /// # Errors
    /// What is wrong with the checkpoint or the proofs. They are made for what is held now: an answer to
    /// an older question fails too, so that this is no evidence.
    pub fn check_urgent(&self, urgent: &Urgent) -> Result<(), ExtendError> {
        let theirs = urgent.checkpoint.verify(&self.origin, &self.key)?;
        if urgent.entry.leaf.len() > MAX_LEAF_BYTES {
            return Err(ExtendError::TooLarge);
        }
        let (size, root) = (theirs.size, &theirs.root);
        verify_consistency(self.size(), &self.frontier.root(), size, root, &urgent.consistency)?;
        let leaf = urgent.entry.leaf_hash();
        Ok(verify_inclusion(&leaf, urgent.index, size, root, &urgent.inclusion)?)
    }

    /// Checks what two checkpoints alone can tell.
    fn check_head(
        &self,
        signed: &SignedCheckpoint,
        theirs: &Checkpoint,
    ) -> Result<(), ExtendError> {
        if theirs.size < self.size() {
            return Err(ExtendError::Shrunk { ours: self.size(), theirs: theirs.size });
        }
        let kind = if theirs.size == self.checkpoint.size && theirs.root != self.checkpoint.root {
            EvidenceKind::SameSize
        } else if theirs.size == self.size() && theirs.root != self.frontier.root() {
            // Our checkpoint is ahead, and we know what it has at the size of theirs.
            EvidenceKind::Prefix { root: self.frontier.root(), proof: self.proof.clone() }
        } else {
            return Ok(());
        };
        let Some(ours) = self.signed.clone() else { return Err(ExtendError::Mismatch) };
        let evidence = Evidence { ours, theirs: signed.clone(), kind };
        assert!(evidence.check(&self.origin, &self.key), "evidence that is handed out convicts");
        Err(ExtendError::Fork(Box::new(evidence)))
    }

    /// Checks where the entries stand and how large they are; says how many of them we already
    /// hold.
    fn check_range(&self, extension: &Extension) -> Result<usize, ExtendError> {
        let (held, from, count) = (self.size(), extension.from, extension.entries.len());
        if from > held {
            return Err(ExtendError::Gap { held, from });
        }
        let oversized = extension.entries.iter().any(|entry| entry.leaf.len() > MAX_LEAF_BYTES);
        if count > MAX_EXTENSION_ENTRIES || oversized || from + count as u64 > MAX_SIZE {
            return Err(ExtendError::TooLarge);
        }
        Ok(usize::try_from(held - from).unwrap_or(usize::MAX).min(count))
    }
}

impl From<CheckpointError> for ExtendError {
    fn from(error: CheckpointError) -> Self {
        match error {
            CheckpointError::Note(NoteError::Unsigned | NoteError::Signature) => {
                ExtendError::WrongKey
            }
            other => ExtendError::Checkpoint(other),
        }
    }
}

/// Checks that the leaves of `frontier` are the first ones under `checkpoint`.
fn covers(checkpoint: &Checkpoint, frontier: &Frontier, proof: &[Hash]) -> Result<(), ExtendError> {
    let (from, to) = (frontier.size(), checkpoint.size);
    if from > 0 && from < to && proof.is_empty() {
        return Err(ExtendError::NeedsProof { from, to });
    }
    verify_consistency(from, &frontier.root(), to, &checkpoint.root, proof)
        .map_err(|_| ExtendError::Mismatch)
}
