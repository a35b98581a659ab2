//! The proofs that a member lied in its log, as JSON that can be carried anywhere.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use watchfire_signal::{contradiction::Contradiction, hex, name::LogName};
use watchfire_tlog::{
    Evidence as Proof, EvidenceKind, Hash, Origin, PeerKey, SignedCheckpoint, leaf_hash,
    proof::verify_inclusion,
};

/// All proofs against one log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Evidence {
    /// The log.
    #[schema(value_type = String)]
    pub log: LogName,
    /// The proofs; none, as long as it has shown one history only.
    pub proofs: Vec<ForkProof>,
    /// Leaves whose records were written with another header than everyone reads; at most four.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contradictions: Vec<ContradictionProof>,
}

/// A leaf of a log, and another header that its author wrote into the record under it. Nothing of the record's body
/// stands in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ContradictionProof {
    /// The place of the leaf in the log.
    pub index: u64,
    /// A signed checkpoint that covers it.
    pub checkpoint: String,
    /// The inclusion proof of RFC 9162, section 2.1.3, in hexadecimal.
    pub inclusion: Vec<String>,
    /// The leaf, in hexadecimal.
    pub leaf: String,
    /// The header of the record, in hexadecimal.
    pub header: String,
    /// `H(salt ‖ body)` of the record, in hexadecimal.
    pub content: String,
}

/// What witnesses have cosigned of one log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cosigned {
    /// The log.
    #[schema(value_type = String)]
    pub log: LogName,
    /// The newest checkpoint that each witness has cosigned, as signed notes.
    pub heads: Vec<String>,
}

/// Two checkpoints of one log that cannot both be true.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ForkProof {
    /// The signed checkpoint that whoever made this had believed.
    pub ours: String,
    /// The signed checkpoint that contradicts it.
    pub theirs: String,
    /// Why the larger one does not continue the smaller one; absent where both have one size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<Consistency>,
}

/// Ties the root that the larger log has at the smaller size to the larger checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Consistency {
    /// That root, in hexadecimal.
    pub root: String,
    /// The consistency proof of RFC 9162, section 2.1.4, in hexadecimal.
    pub proof: Vec<String>,
}

impl From<&Proof> for ForkProof {
    fn from(proof: &Proof) -> Self {
        let consistency = match &proof.kind {
            EvidenceKind::SameSize => None,
            EvidenceKind::Prefix { root, proof } => Some(Consistency {
                root: root.to_string(),
                proof: proof.iter().map(ToString::to_string).collect(),
            }),
        };
        ForkProof { ours: proof.ours.text.clone(), theirs: proof.theirs.text.clone(), consistency }
    }
}

impl ContradictionProof {
    /// Whether it proves that who signs this log with this key wrote two headers. Needs nothing else.
    #[must_use]
    pub fn check(&self, origin: &Origin, key: &PeerKey) -> bool {
        let contradicts = || {
            let (leaf, header) = (hex::decode_all(&self.leaf), hex::decode_all(&self.header));
            let content = hex::decode(&self.content);
            let said =
                Contradiction { leaf: leaf.ok()?, header: header.ok()?, content: content.ok()? };
            said.holds().then(|| leaf_hash(&said.leaf))
        };
        let stands = |leaf: Hash| {
            let head = SignedCheckpoint::new(self.checkpoint.as_str()).verify(origin, key).ok()?;
            let path =
                self.inclusion.iter().map(|hash| hash.parse()).collect::<Result<Vec<_>, _>>();
            verify_inclusion(&leaf, self.index, head.size, &head.root, &path.ok()?).ok()
        };
        contradicts().and_then(stands).is_some()
    }
}

impl ForkProof {
    /// The proof, to be checked with the log's key; `None` where a hash is none.
    pub fn proof(&self) -> Option<Proof> {
        let kind = match &self.consistency {
            None => EvidenceKind::SameSize,
            Some(Consistency { root, proof }) => {
                let proof = proof.iter().map(|hash| hash.parse()).collect::<Result<_, _>>();
                EvidenceKind::Prefix { root: root.parse().ok()?, proof: proof.ok()? }
            }
        };
        let (ours, theirs) = (self.ours.as_str(), self.theirs.as_str());
        Some(Proof {
            ours: SignedCheckpoint::new(ours),
            theirs: SignedCheckpoint::new(theirs),
            kind,
        })
    }
}
