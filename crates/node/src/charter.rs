//! Checks a charter's approvals, so that it can be believed.

use std::collections::BTreeSet;

use thiserror::Error;
use watchfire_signal::{
    charter::{Charter, CharterError, SignedCharter, approval_message},
    name::MemberName,
    record::Leaf,
};
use watchfire_tlog::{OwnKey, PeerKey, Signature};

/// Why a charter is not in force.
#[derive(Debug, Error)]
pub enum TrustError {
    /// It breaks the format.
    #[error(transparent)]
    Invalid(#[from] CharterError),
    /// A member's key is none.
    #[error("the key of member {0} is not an Ed25519 key")]
    Key(MemberName),
    /// An approval is not by the member that it names.
    #[error("the approval of {0} does not verify")]
    Approval(MemberName),
    /// Too few members have approved.
    #[error("{approved} members have approved, {needed} are needed")]
    Quorum {
        /// Members whose approval verifies.
        approved: usize,
        /// Members that must approve.
        needed: usize,
    },
}

/// Checks the first charter of a coalition: every member has approved it.
///
/// # Errors
/// [`TrustError`]
pub fn check_founding(signed: &SignedCharter) -> Result<(), TrustError> {
    let charter = &signed.charter;
    charter.validate()?;
    let approved = approvers(signed, charter)?.len();
    let needed = charter.members.len();
    if approved < needed { Err(TrustError::Quorum { approved, needed }) } else { Ok(()) }
}

/// The members of `electorate` whose approval of a charter verifies.
///
/// # Errors
/// [`TrustError::Key`], [`TrustError::Approval`]
pub fn approvers(
    signed: &SignedCharter,
    electorate: &Charter,
) -> Result<BTreeSet<MemberName>, TrustError> {
    let message = approval_message(&signed.hash());
    let mut approved = BTreeSet::new();
    for approval in &signed.approvals {
        let name = &approval.member;
        let member = electorate.member(name).ok_or_else(|| TrustError::Approval(name.clone()))?;
        let key = PeerKey::from_bytes(&member.key).map_err(|_| TrustError::Key(name.clone()))?;
        if !key.verify(&message, &Signature(approval.signature)) {
            return Err(TrustError::Approval(name.clone()));
        }
        approved.insert(name.clone());
    }
    Ok(approved)
}

/// A member's approval of a charter.
#[must_use]
pub fn approve(signed_hash: &[u8; 32], key: &OwnKey) -> [u8; 64] {
    key.sign(&approval_message(signed_hash)).to_bytes()
}

/// Whether a member may have the record of a leaf: it is in the leaf's group. Of a leaf that cannot
/// be read nobody knows the group, so its record goes to nobody.
#[must_use]
pub fn may_have(charter: &Charter, member: &MemberName, leaf: &[u8]) -> bool {
    Leaf::decode(leaf).is_ok_and(|leaf| charter.is_in_group(member, &leaf.header.group))
}
