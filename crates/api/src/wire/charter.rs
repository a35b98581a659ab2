//! The charter: what stands in it, what is proposed, and who is invited.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use watchfire_signal::{
    charter::{Charter, Member},
    name::{MemberName, OrganisationName},
};

/// Charters as members exchange them, and as anybody may have those in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CharterList {
    /// The number of the charter in force there.
    pub in_force: u64,
    /// Signed charters in hexadecimal (`docs/format.md`, section 8): those in force after the number asked for,
    /// ascending, and for members what is proposed.
    pub charters: Vec<String>,
}

/// From which charter on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CharterQuery {
    /// Those after this number; all without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
}

/// The charter as this node sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CharterView {
    /// The number of the charter in force.
    pub seq: u64,
    /// Its hash, in hexadecimal.
    pub hash: String,
    /// The number of the charter that this node works under; it starts again by itself for a newer one.
    pub works_under: u64,
    /// The charter, as `watchfire coalition propose` takes it.
    #[schema(value_type = Object)]
    pub charter: Charter,
    /// What is proposed as the next one.
    pub proposals: Vec<ProposalView>,
    /// Members that have approved two charters of one number, of whatever number.
    #[schema(value_type = Vec<String>)]
    pub approved_twice: Vec<MemberName>,
    /// The evidence against them, which is kept for good.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub double_approvals: Vec<DoubleApproval>,
}

/// That a member has approved two charters of one number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DoubleApproval {
    /// The member.
    #[schema(value_type = String)]
    pub member: MemberName,
    /// The number.
    pub seq: u64,
    /// The two signed charters, one after the other, each with the member's approval alone, in hexadecimal. Whoever has
    /// the charter before them checks it (`watchfire coalition evidence`).
    pub evidence: String,
}

/// A proposed charter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProposalView {
    /// Its hash, in hexadecimal: what is approved.
    pub hash: String,
    /// Its number.
    pub seq: u64,
    /// What it changes, a line a change.
    pub changes: Vec<String>,
    /// The members that have approved it.
    #[schema(value_type = Vec<String>)]
    pub approved_by: Vec<MemberName>,
    /// How many organisations approve by these: each by more than half of its members, or half with the first by name.
    pub organisations: usize,
    /// How many organisations must approve.
    pub needed: usize,
    /// The charter.
    #[schema(value_type = Object)]
    pub charter: Charter,
}

/// A charter that somebody wants. Number, hash of the one before and the logs that end are filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProposeRequest {
    /// What should stand in it.
    #[schema(value_type = Object)]
    pub charter: Charter,
}

/// Approves a proposal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveRequest {}

/// What became of a proposal or an approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApproveAnswer {
    /// The hash of the charter, in hexadecimal.
    pub hash: String,
    /// Whether it is in force now.
    pub in_force: bool,
}

/// Who is invited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InviteRequest {
    /// The member's name.
    #[schema(value_type = String)]
    pub member: MemberName,
    /// The organisation that controls it.
    #[schema(value_type = String)]
    pub organisation: OrganisationName,
    /// What it will be for: platform, contributor, convenor, auditor or witness.
    #[schema(example = "platform")]
    pub role: String,
}

/// An invitation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InviteAnswer {
    /// The token, shown this once. It lets one key in.
    pub token: String,
    /// The hash of the coalition's first charter, in hexadecimal: who joins checks that it joins this coalition.
    pub coalition: String,
    /// How long it lasts, in days.
    pub days: u64,
}

/// Takes an invitation up. Sent again, it tells how far that is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MembershipRequest {
    /// The token.
    pub token: String,
    /// The member's card.
    #[schema(value_type = Object)]
    pub card: Member,
    /// Ed25519 by the card's key over what `docs/format.md`, section 8 says, in hexadecimal.
    pub signature: String,
}

/// How far a joining member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MembershipState {
    /// Another change is voted on first.
    Waiting,
    /// A charter that has the member is proposed.
    Proposed,
    /// It is a member.
    Joined,
}

/// How far a joining member is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MembershipAnswer {
    /// How far.
    pub state: MembershipState,
    /// The hash of the proposed charter, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// Organisations that have approved it.
    pub approved: usize,
    /// Organisations that must.
    pub needed: usize,
    /// All charters of the coalition, once the member has joined.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub charters: Vec<String>,
}
