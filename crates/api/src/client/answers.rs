//! Calls that answer alerts.

use watchfire_signal::commitment::Commitment;

use super::{Client, ClientError};
use crate::wire::{
    Answered, AppealRequest, ConfirmRequest, CosignRetractionRequest, DisputeRequest,
    EraseRecordRequest, EraseRequest, ErasureAnswer, JoinRequest, RenewRequest, ResolveRequest,
    RetractRequest, StopRequest,
};

impl Client {
    /// Confirms an alert.
    ///
    /// # Errors
    /// [`ClientError`], as every call.
    pub async fn confirm(
        &self,
        id: &Commitment,
        confirm: &ConfirmRequest,
        key: Option<&str>,
    ) -> Result<Answered, ClientError> {
        self.post(&format!("/v1/alerts/{id}/confirm"), confirm, key).await
    }

    /// Disputes an alert.
    pub async fn dispute(
        &self,
        id: &Commitment,
        dispute: &DisputeRequest,
        key: Option<&str>,
    ) -> Result<Answered, ClientError> {
        self.post(&format!("/v1/alerts/{id}/dispute"), dispute, key).await
    }

    /// Takes this member's opinion of an alert back.
    pub async fn retract(
        &self,
        id: &Commitment,
        retract: &RetractRequest,
        key: Option<&str>,
    ) -> Result<Answered, ClientError> {
        self.post(&format!("/v1/alerts/{id}/retract"), retract, key).await
    }

    /// Votes for a halt of an alert's case, or takes that vote back.
    pub async fn halt(
        &self,
        id: &Commitment,
        halt: &StopRequest,
        key: Option<&str>,
    ) -> Result<Answered, ClientError> {
        self.post(&format!("/v1/alerts/{id}/halt"), halt, key).await
    }

    /// Has a case last longer.
    pub async fn renew(
        &self,
        id: &Commitment,
        renew: &RenewRequest,
        key: Option<&str>,
    ) -> Result<Answered, ClientError> {
        self.post(&format!("/v1/alerts/{id}/renew"), renew, key).await
    }

    /// Ends a dispute of an alert.
    pub async fn resolve(
        &self,
        id: &Commitment,
        resolve: &ResolveRequest,
        key: Option<&str>,
    ) -> Result<Answered, ClientError> {
        self.post(&format!("/v1/alerts/{id}/resolve"), resolve, key).await
    }

    /// Agrees with a retraction that waits for that.
    pub async fn cosign_retraction(
        &self,
        id: &Commitment,
        cosign: &CosignRetractionRequest,
        key: Option<&str>,
    ) -> Result<Answered, ClientError> {
        self.post(&format!("/v1/alerts/{id}/cosign"), cosign, key).await
    }

    /// Says that another case is of the same thing.
    pub async fn join(
        &self,
        id: &Commitment,
        join: &JoinRequest,
        key: Option<&str>,
    ) -> Result<Answered, ClientError> {
        self.post(&format!("/v1/alerts/{id}/join"), join, key).await
    }

    /// Tells of an appeal of a user.
    pub async fn appeal(
        &self,
        id: &Commitment,
        appeal: &AppealRequest,
        key: Option<&str>,
    ) -> Result<Answered, ClientError> {
        self.post(&format!("/v1/alerts/{id}/appeal"), appeal, key).await
    }

    /// Has an alert's record erased everywhere.
    pub async fn erase(
        &self,
        id: &Commitment,
        erase: &EraseRequest,
        key: Option<&str>,
    ) -> Result<Answered, ClientError> {
        self.post(&format!("/v1/alerts/{id}/erase"), erase, key).await
    }

    /// Has any record erased everywhere.
    pub async fn erase_record(
        &self,
        erase: &EraseRecordRequest,
        key: Option<&str>,
    ) -> Result<ErasureAnswer, ClientError> {
        self.post("/v1/records/erase", erase, key).await
    }
}
