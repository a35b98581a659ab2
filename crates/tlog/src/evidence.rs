//! Keeps the proof that the author of a log told two stories, for anyone with its key to check.

use crate::checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
use crate::hash::Hash;
use crate::key::PeerKey;
use crate::origin::Origin;
use crate::proof::{self, ProofError, verify_consistency};
use crate::reader::HashReader;

/// Two checkpoints by one key of one log that cannot both be true, and why. Both signatures are in
/// it, so it convicts whoever holds the key and nobody else; where it came from does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The checkpoint that whoever made this had believed.
    pub ours: SignedCheckpoint,
    /// The checkpoint that contradicts it.
    pub theirs: SignedCheckpoint,
    /// How they contradict.
    pub kind: EvidenceKind,
}

/// How two checkpoints contradict each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EvidenceKind {
    /// One size, two roots.
    SameSize,
    /// The larger tree does not begin with the smaller one: at the smaller size it has another
    /// root.
    Prefix {
        /// The root that the larger tree has at the smaller size.
        root: Hash,
        /// The consistency proof (RFC 9162 section 2.1.4) from that root to the larger root. It
        /// binds `root` to the larger checkpoint, because no other value leads there.
        proof: Vec<Hash>,
    },
}

/// Why two checkpoints could not be compared. None of these says anything about the author of the
/// log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompareError {
    /// One of them is not a checkpoint of this log by this key.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The reader has not the tree of the larger checkpoint.
    #[error("the hashes at hand do not belong to the larger checkpoint: {0}")]
    Unproven(#[from] ProofError),
}

impl Evidence {
    /// Whether this proves that `key` forked the log `origin`. Needs nothing else.
    pub fn check(&self, origin: &Origin, key: &PeerKey) -> bool {
        let (Ok(ours), Ok(theirs)) =
            (self.ours.verify(origin, key), self.theirs.verify(origin, key))
        else {
            return false;
        };
        let (small, large) = by_size(&ours, &theirs);
        match &self.kind {
            EvidenceKind::SameSize => small.size == large.size && small.root != large.root,
            EvidenceKind::Prefix { root, proof } => {
                small.size > 0
                    && small.size < large.size
                    && small.root != *root
                    && verify_consistency(small.size, root, large.size, &large.root, proof).is_ok()
            }
        }
    }
}

/// Compares two checkpoints of one log, with hashes of the larger tree: `reader` is our own copy
/// when `theirs` is the smaller (a checkpoint that gossip brought), the source itself when it is
/// the larger. The reader need not be trusted. `None`: the smaller tree is the beginning of the
/// larger one.
pub async fn compare<R: HashReader + ?Sized>(
    reader: &R,
    ours: &SignedCheckpoint,
    theirs: &SignedCheckpoint,
    origin: &Origin,
    key: &PeerKey,
) -> Result<Option<Evidence>, CompareError> {
    let (our, their) = (ours.verify(origin, key)?, theirs.verify(origin, key)?);
    let (small, large) = by_size(&our, &their);
    let kind = if small.size == large.size {
        if small.root == large.root {
            return Ok(None);
        }
        EvidenceKind::SameSize
    } else {
        let root = proof::root(reader, small.size).await?;
        let proof = proof::consistency(reader, small.size, large.size).await?;
        verify_consistency(small.size, &root, large.size, &large.root, &proof)?;
        if root == small.root {
            return Ok(None);
        }
        EvidenceKind::Prefix { root, proof }
    };
    let evidence = Evidence { ours: ours.clone(), theirs: theirs.clone(), kind };
    assert!(evidence.check(origin, key), "evidence that is handed out convicts");
    Ok(Some(evidence))
}

fn by_size<'a>(one: &'a Checkpoint, other: &'a Checkpoint) -> (&'a Checkpoint, &'a Checkpoint) {
    if one.size <= other.size { (one, other) } else { (other, one) }
}
