//! Calls about banks.

use bytes::Bytes;
use http::{Method, header};
use watchfire_signal::name::BankName;

use super::{Client, ClientError, call};
use crate::wire::{
    BankAdded, BankChangeRequest, BankContentChangeRequest, BankContentPage, BankContentQuery,
    BankContentRequest, BankContentView, BankList, BankRequest, BankView,
};

impl Client {
    /// All banks.
    ///
    /// # Errors
    /// [`ClientError`], as every call.
    pub async fn banks(&self) -> Result<BankList, ClientError> {
        call(self.request(Method::GET, "/v1/banks")?).await
    }

    /// A bank.
    pub async fn bank(&self, name: &BankName) -> Result<BankView, ClientError> {
        call(self.request(Method::GET, &format!("/v1/banks/{name}"))?).await
    }

    /// Makes a bank; one of the same name and settings is answered as it is.
    pub async fn create_bank(&self, bank: &BankRequest) -> Result<BankView, ClientError> {
        self.post("/v1/banks", bank, None).await
    }

    /// Changes a bank.
    pub async fn change_bank(
        &self,
        name: &BankName,
        change: &BankChangeRequest,
    ) -> Result<BankView, ClientError> {
        call(self.request(Method::PATCH, &format!("/v1/banks/{name}"))?.json(change)).await
    }

    /// Deletes a bank with its contents.
    pub async fn delete_bank(&self, name: &BankName) -> Result<(), ClientError> {
        self.delete(&format!("/v1/banks/{name}")).await
    }

    /// Puts a content into a bank.
    pub async fn add_to_bank(
        &self,
        name: &BankName,
        content: &BankContentRequest,
    ) -> Result<BankAdded, ClientError> {
        self.post(&format!("/v1/banks/{name}/contents"), content, None).await
    }

    /// Puts a list into a bank: a content or a signal a line, as JSON. The same list again adds nothing.
    pub async fn add_list_to_bank(
        &self,
        name: &BankName,
        lines: impl Into<Bytes>,
    ) -> Result<BankAdded, ClientError> {
        let request = self.request(Method::POST, &format!("/v1/banks/{name}/contents"))?;
        call(request.header(header::CONTENT_TYPE, "application/x-ndjson").body(lines.into())).await
    }

    /// A page of a bank's contents.
    pub async fn bank_contents(
        &self,
        name: &BankName,
        query: &BankContentQuery,
    ) -> Result<BankContentPage, ClientError> {
        let request = self.request(Method::GET, &format!("/v1/banks/{name}/contents"))?;
        call(request.query(query)).await
    }

    /// A content of a bank.
    pub async fn bank_content(
        &self,
        name: &BankName,
        id: u64,
    ) -> Result<BankContentView, ClientError> {
        call(self.request(Method::GET, &format!("/v1/banks/{name}/contents/{id}"))?).await
    }

    /// Changes what is said of a content, or when it matches.
    pub async fn change_bank_content(
        &self,
        name: &BankName,
        id: u64,
        change: &BankContentChangeRequest,
    ) -> Result<BankContentView, ClientError> {
        let path = format!("/v1/banks/{name}/contents/{id}");
        call(self.request(Method::PATCH, &path)?.json(change)).await
    }

    /// Takes a content out of a bank.
    pub async fn remove_from_bank(&self, name: &BankName, id: u64) -> Result<(), ClientError> {
        self.delete(&format!("/v1/banks/{name}/contents/{id}")).await
    }
}
