//! The proof that a log has shown two histories, as JSON that can be carried anywhere.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use watchfire_signal::name::LogName;
use watchfire_tlog::{Evidence as Proof, EvidenceKind, SignedCheckpoint};

/// All proofs against one log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Evidence {
    /// The log.
    #[schema(value_type = String)]
    pub log: LogName,
    /// The proofs; none, as long as it has shown one history only.
    pub proofs: Vec<ForkProof>,
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
