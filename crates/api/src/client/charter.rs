//! Calls about the charter.

use http::Method;

use super::{Client, ClientError, call};
use crate::wire::{
    ApproveAnswer, ApproveRequest, CharterList, CharterView, InviteAnswer, InviteRequest,
    MembershipAnswer, MembershipRequest, ProposeRequest,
};

impl Client {
    /// The charter in force, and what is proposed.
    ///
    /// # Errors
    /// [`ClientError`], as every call.
    pub async fn charter(&self) -> Result<CharterView, ClientError> {
        call(self.request(Method::GET, "/v1/charter")?).await
    }

    /// All charters of the coalition; anybody may have them.
    pub async fn charters(&self) -> Result<CharterList, ClientError> {
        call(self.request(Method::GET, "/log/charters")?).await
    }

    /// Proposes the next charter, and approves it.
    pub async fn propose_charter(
        &self,
        request: &ProposeRequest,
    ) -> Result<ApproveAnswer, ClientError> {
        self.post("/v1/charter/proposals", request, None).await
    }

    /// Approves a proposed charter.
    pub async fn approve_charter(&self, hash: &str) -> Result<ApproveAnswer, ClientError> {
        let path = format!("/v1/charter/proposals/{hash}/approve");
        self.post(&path, &ApproveRequest {}, None).await
    }

    /// Invites a member.
    pub async fn invite_member(
        &self,
        request: &InviteRequest,
    ) -> Result<InviteAnswer, ClientError> {
        self.post("/v1/charter/invites", request, None).await
    }

    /// Takes an invitation up, at the member that gave it.
    pub async fn join_coalition(
        &self,
        request: &MembershipRequest,
    ) -> Result<MembershipAnswer, ClientError> {
        self.post("/v1/join", request, None).await
    }
}
