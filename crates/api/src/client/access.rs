//! Calls about keys, accounts and the desk log.

use bytes::Bytes;
use http::Method;
use watchfire_signal::commitment::Commitment;

use super::{Client, ClientError, MAX_ANSWER_BYTES, call, send};
use crate::outbound::read_body;
use crate::wire::{
    AccountRequest, AccountView, Accounts, AuditPage, AuditQuery, DeskQuery, DeskReport, Invited,
    KeyMade, KeyRequest, Keys, ProofQuery, RoleRequest, RotateRequest,
};

use super::CALL_TIMEOUT;

impl Client {
    /// All API keys, without their secrets.
    ///
    /// # Errors
    /// [`ClientError`], as every call.
    pub async fn keys(&self) -> Result<Keys, ClientError> {
        call(self.request(Method::GET, "/v1/keys")?).await
    }

    /// Makes an API key.
    pub async fn make_key(&self, key: &KeyRequest) -> Result<KeyMade, ClientError> {
        self.post("/v1/keys", key, None).await
    }

    /// Gives an API key a new secret.
    pub async fn rotate_key(
        &self,
        name: &str,
        rotate: &RotateRequest,
    ) -> Result<KeyMade, ClientError> {
        self.post(&format!("/v1/keys/{name}/rotate"), rotate, None).await
    }

    /// Takes an API key away.
    pub async fn revoke_key(&self, name: &str) -> Result<(), ClientError> {
        self.delete(&format!("/v1/keys/{name}")).await
    }

    /// All accounts.
    pub async fn accounts(&self) -> Result<Accounts, ClientError> {
        call(self.request(Method::GET, "/v1/accounts")?).await
    }

    /// Opens an account.
    pub async fn open_account(&self, account: &AccountRequest) -> Result<Invited, ClientError> {
        self.post("/v1/accounts", account, None).await
    }

    /// Invites a person again.
    pub async fn invite(&self, name: &str) -> Result<Invited, ClientError> {
        call(self.request(Method::POST, &format!("/v1/accounts/{name}/invite"))?).await
    }

    /// Gives a person another role.
    pub async fn change_role(
        &self,
        name: &str,
        role: &RoleRequest,
    ) -> Result<AccountView, ClientError> {
        self.post(&format!("/v1/accounts/{name}/role"), role, None).await
    }

    /// Closes an account.
    pub async fn close_account(&self, name: &str) -> Result<(), ClientError> {
        let request = self.request(Method::POST, &format!("/v1/accounts/{name}/close"))?;
        send(request.timeout(CALL_TIMEOUT)).await.map(drop)
    }

    /// Erases the name of a closed account.
    pub async fn erase_account(&self, name: &str) -> Result<(), ClientError> {
        self.delete(&format!("/v1/accounts/{name}")).await
    }

    /// A page of the desk log.
    pub async fn audit(&self, query: &AuditQuery) -> Result<AuditPage, ClientError> {
        call(self.request(Method::GET, "/v1/audit")?.query(query)).await
    }

    /// Lets the node walk a whole desk log.
    pub async fn verify_desk(&self, query: &DeskQuery) -> Result<DeskReport, ClientError> {
        call(self.request(Method::GET, "/v1/audit/verify")?.query(query)).await
    }

    /// The proof of a case, as the file that it is.
    pub async fn proof(&self, id: &Commitment, query: &ProofQuery) -> Result<Bytes, ClientError> {
        let request = self.request(Method::GET, &format!("/v1/cases/{id}/proof"))?.query(query);
        let response = send(request.timeout(CALL_TIMEOUT)).await?;
        let body = read_body(response, MAX_ANSWER_BYTES).await;
        body.map_err(|error| ClientError::Unreachable(error.to_string()))
    }

    pub(super) async fn delete(&self, path: &str) -> Result<(), ClientError> {
        let request = self.request(Method::DELETE, path)?;
        send(request.timeout(CALL_TIMEOUT)).await.map(drop)
    }
}
