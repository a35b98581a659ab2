//! Reads banks and what is in them.

use std::sync::{Arc, PoisonError};

use watchfire_signal::name::BankName;
use watchfire_store::StoreError;

use super::{
    Bank, BankError, BankNumber, Banks, CONTENTS, Content, ContentId, ContentPlace, Counts, content,
};

impl Banks {
    /// All banks, in order of name.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Bank>> {
        let mut banks: Vec<_> = self.banks.pin().values().cloned().collect();
        banks.sort_by(|a, b| a.name.cmp(&b.name));
        banks
    }

    /// How much is in a bank.
    #[must_use]
    pub fn counts(&self, bank: BankNumber) -> Counts {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(&bank).copied().unwrap_or_default()
    }

    /// Up to `limit` contents of a bank with ids above `after`, in order of id. Empty only where there
    /// are no more.
    ///
    /// # Errors
    /// [`BankError::NoBank`] and the store's.
    pub async fn contents(
        &self,
        name: &BankName,
        after: Option<ContentId>,
        limit: usize,
    ) -> Result<Vec<Content>, BankError> {
        let bank = self.named(name)?;
        Ok(self.page(bank.number, after, limit).await?)
    }

    /// One content of a bank.
    ///
    /// # Errors
    /// [`BankError`]; [`BankError::NoContent`] for one of another bank too.
    pub async fn content(&self, name: &BankName, id: ContentId) -> Result<Content, BankError> {
        let bank = self.named(name)?;
        let key = content::key(bank.number, id);
        let Some(value) = self.store.row(CONTENTS, &key).await? else {
            return Err(BankError::NoContent(name.clone(), id));
        };
        Ok(read(&key, &value)?.1)
    }

    /// A content by its place, with its bank; `None`: it is gone.
    ///
    /// # Errors
    /// The store's.
    pub async fn held(
        &self,
        place: ContentPlace,
    ) -> Result<Option<(Arc<Bank>, Content)>, StoreError> {
        let Some(bank) = self.bank_of(place) else { return Ok(None) };
        let key = content::key(place.bank, place.content);
        let value = self.store.row(CONTENTS, &key).await?;
        let content = value.map(|value| read(&key, &value).map(|(_, content)| content));
        Ok(content.transpose()?.map(|content| (bank, content)))
    }

    pub(super) async fn page(
        &self,
        bank: BankNumber,
        after: Option<ContentId>,
        limit: usize,
    ) -> Result<Vec<Content>, StoreError> {
        // Ids count from 1: no key of the bank is at or below that of 0.
        let key = content::key(bank, after.unwrap_or(ContentId(0)));
        let rows = self.store.rows(CONTENTS, &key, limit).await?;
        let read = rows.iter().map(|(key, value)| read(key, value));
        let of_bank = read.take_while(|row| !matches!(row, Ok((found, _)) if *found != bank));
        of_bank.map(|row| row.map(|(_, content)| content)).collect()
    }
}

pub(super) fn read(key: &[u8], value: &[u8]) -> Result<(BankNumber, Content), StoreError> {
    let corrupt = |error| StoreError::Corrupt(format!("a row of bank contents: {error}"));
    Content::read(key, value).map_err(corrupt)
}
