//! Calls about incidents.

use http::Method;
use watchfire_signal::commitment::Commitment;

use super::{Client, ClientError, call};
use crate::wire::{
    ConcludeRequest, CosignRequest, IncidentAnswer, IncidentList, IncidentRequest,
    IncidentUpdateRequest, IncidentView,
};

impl Client {
    /// All incidents.
    ///
    /// # Errors
    /// [`ClientError`], as every call.
    pub async fn incidents(&self) -> Result<IncidentList, ClientError> {
        call(self.request(Method::GET, "/v1/incidents")?).await
    }

    /// One incident.
    pub async fn incident(&self, id: &Commitment) -> Result<IncidentView, ClientError> {
        call(self.request(Method::GET, &format!("/v1/incidents/{id}"))?).await
    }

    /// Declares an incident.
    pub async fn declare(
        &self,
        incident: &IncidentRequest,
        key: Option<&str>,
    ) -> Result<IncidentAnswer, ClientError> {
        self.post("/v1/incidents", incident, key).await
    }

    /// Agrees with an incident.
    pub async fn cosign(
        &self,
        id: &Commitment,
        key: Option<&str>,
    ) -> Result<IncidentAnswer, ClientError> {
        self.post(&format!("/v1/incidents/{id}/cosign"), &CosignRequest {}, key).await
    }

    /// Changes an incident.
    pub async fn update_incident(
        &self,
        id: &Commitment,
        update: &IncidentUpdateRequest,
        key: Option<&str>,
    ) -> Result<IncidentAnswer, ClientError> {
        self.post(&format!("/v1/incidents/{id}/update"), update, key).await
    }

    /// Says that an incident is over.
    pub async fn conclude(
        &self,
        id: &Commitment,
        conclude: &ConcludeRequest,
        key: Option<&str>,
    ) -> Result<IncidentAnswer, ClientError> {
        self.post(&format!("/v1/incidents/{id}/conclude"), conclude, key).await
    }
}
