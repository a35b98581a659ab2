//! Calls about the member's policy.

use http::Method;
use watchfire_signal::{commitment::Commitment, name::ItemId};

use super::{Client, ClientError, call};
use crate::wire::{
    BacktestRequest, BacktestStep, ExplainQuery, ExplainView, HoldView, HoldsView, PolicyApplied,
    PolicyText, PolicyView, PromoteRequest,
};

impl Client {
    /// The policy in force.
    ///
    /// # Errors
    /// [`ClientError`], as every call.
    pub async fn policy(&self) -> Result<PolicyView, ClientError> {
        call(self.request(Method::GET, "/v1/policy")?).await
    }

    /// Puts a policy file in force; one that is in force already changes nothing.
    pub async fn apply_policy(&self, text: String) -> Result<PolicyApplied, ClientError> {
        call(self.request(Method::PUT, "/v1/policy")?.json(&PolicyText { text })).await
    }

    /// One step of a trial of a policy.
    pub async fn backtest(&self, step: &BacktestRequest) -> Result<BacktestStep, ClientError> {
        self.post("/v1/policy/backtest", step, None).await
    }

    /// Puts a rule that is in shadow in force.
    pub async fn promote(&self, rule: String) -> Result<PolicyApplied, ClientError> {
        self.post("/v1/policy/promote", &PromoteRequest { rule }, None).await
    }

    /// Why an item is decided as it is.
    pub async fn explain(&self, item: ItemId) -> Result<ExplainView, ClientError> {
        let query = ExplainQuery { item };
        call(self.request(Method::GET, "/v1/policy/explain")?.query(&query)).await
    }

    /// Cases whose take-downs wait for a person.
    pub async fn holds(&self) -> Result<HoldsView, ClientError> {
        call(self.request(Method::GET, "/v1/policy/holds")?).await
    }

    /// Releases one of them.
    pub async fn release(&self, case: &Commitment) -> Result<HoldView, ClientError> {
        self.post(&format!("/v1/policy/holds/{case}/release"), &(), None).await
    }
}
