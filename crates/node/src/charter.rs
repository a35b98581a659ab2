//! Checks a charter's approvals, so that it can be believed.

pub mod changes;
pub mod draft;
pub mod invites;

use std::collections::BTreeSet;

use thiserror::Error;
use watchfire_signal::{
    charter::{
        Approval, ChainError, Charter, CharterChain, CharterError, SignedCharter, SuccessionError,
        approval_message,
    },
    header::RECORD_VERSION,
    label::TAXONOMY_VERSION,
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
    /// Too few have approved: members of a first charter, organisations of a later one.
    #[error("{approved} have approved, {needed} are needed")]
    Quorum {
        /// How many approvals verify.
        approved: usize,
        /// How many are needed.
        needed: usize,
    },
    /// It wants records or labels of a version that this program does not write.
    #[error(
        "the charter has records of version {record} and version {taxonomy} of the taxonomy, and this program writes \
         {RECORD_VERSION} and {TAXONOMY_VERSION}: update it first"
    )]
    Version {
        /// The version of records.
        record: u32,
        /// The version of the taxonomy.
        taxonomy: u32,
    },
    /// It does not follow from the charter before it.
    #[error(transparent)]
    Succession(#[from] SuccessionError),
    /// It is no chain.
    #[error(transparent)]
    Chain(#[from] ChainError),
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

/// Checks that a charter follows from the one before it, and that enough organisations of that one have
/// approved it.
///
/// # Errors
/// [`TrustError`]
pub fn check_next(before: &SignedCharter, next: &SignedCharter) -> Result<(), TrustError> {
    next.charter.check_follows(before)?;
    let electorate = &before.charter;
    let approved = approvers(next, electorate)?;
    if electorate.is_approved_by(&approved) {
        return Ok(());
    }
    let needed = electorate.quorum_charter();
    Err(TrustError::Quorum { approved: electorate.count_approving(&approved), needed })
}

/// Checks that this program can say something under a charter: else no member that runs it could.
///
/// # Errors
/// [`TrustError::Version`]
pub fn check_spoken(charter: &Charter) -> Result<(), TrustError> {
    let Charter { record_version: record, taxonomy, .. } = *charter;
    let known = (record, taxonomy) == (RECORD_VERSION, TAXONOMY_VERSION);
    if known { Ok(()) } else { Err(TrustError::Version { record, taxonomy }) }
}

/// Checks a chain of charters from the first to the one in force.
///
/// # Errors
/// The first [`TrustError`].
pub fn check_chain(chain: &CharterChain) -> Result<(), TrustError> {
    check_founding(chain.first())?;
    let mut before = chain.first();
    for next in chain.iter().skip(1) {
        check_next(before, next)?;
        before = next;
    }
    Ok(())
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
    let checked = signed.approvals.iter().map(|approval| {
        check_approval(approval, &message, electorate).map(|()| approval.member.clone())
    });
    checked.collect()
}

fn check_approval(
    approval: &Approval,
    message: &[u8],
    electorate: &Charter,
) -> Result<(), TrustError> {
    let name = &approval.member;
    let member = electorate.member(name).ok_or_else(|| TrustError::Approval(name.clone()))?;
    let key = PeerKey::from_bytes(&member.key).map_err(|_| TrustError::Key(name.clone()))?;
    if key.verify(message, &Signature(approval.signature)) {
        Ok(())
    } else {
        Err(TrustError::Approval(name.clone()))
    }
}

/// The approvals of a charter by members of `electorate` that verify; others are left out.
#[must_use]
pub fn verified(signed: &SignedCharter, electorate: &Charter) -> Vec<Approval> {
    let message = approval_message(&signed.hash());
    let holds = |approval: &&Approval| check_approval(approval, &message, electorate).is_ok();
    signed.approvals.iter().filter(holds).cloned().collect()
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
