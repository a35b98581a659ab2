//! A member's own lists of signals: what it knows to be bad, or to be harmless, whatever the coalition says.
//!
//! **Invariant:** a change is durable, with its line in the desk log, before a lookup sees it, and seen
//! by the next lookup once the verb has returned.
//! **Invariant:** the number of a bank and the id of a content are given once and never again.
//! **Invariant:** a bank that is off matches nothing.
//! **Invariant:** what a content had taken down is undone once the content is gone, a crash between or not.

mod add;
mod bank;
mod change;
mod content;
mod create;
mod delete;
mod list;
mod load;
mod lookup;
mod take;
mod undone;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use thiserror::Error;
use watchfire_signal::{name::BankName, value::SignalError};
use watchfire_store::{CommitError, Row, Store, StoreError, Table};

use crate::{
    clock::Clock,
    desk::{Desk, WriteError},
    looks::Enforcer,
    near::Near,
    sequence::SequenceError,
};

pub use crate::content::{BankNumber, ContentId, ContentPlace};

pub use self::{
    add::{Added, BATCH},
    bank::{Bank, BankDeed, BankWhat, Counts, MAX_NOTE_CHARS, Settings, SettingsError},
    change::{Change, ContentChange},
    content::{Content, ContentError, ContentWhat, MAX_METADATA_BYTES, NewContent, SignalsDeed},
    load::BankParts,
    lookup::BankMatch,
};

/// Banks: number (4 bytes) → [`Bank`] as JSON.
pub const BANKS: Table = Table::Ledger("banks");
/// Contents: number of the bank (4 bytes), id (8 bytes) → [`Content`] as CBOR.
pub const CONTENTS: Table = Table::Ledger("bank_contents");
/// Contents that are gone and whose actions may not all be undone yet: key of the content → nothing.
pub const UNDONE: Table = Table::Ledger("bank_undone");
/// The next number and id: [`NEXT_KEY`] → number (4 bytes), id (8 bytes). Beside the rows that they
/// were given to, so that what is deleted last never lends its id to another.
pub const NEXT: Table = Table::Ledger("bank_next");
/// The one key of [`NEXT`].
pub const NEXT_KEY: &[u8] = b"next";

/// The most banks: names are looked through one by one.
pub const MAX_BANKS: usize = 1_000;

/// Why a verb about banks was not done; nothing of it was, except for batches of a long list that
/// were already durable. Doing it again does nothing twice.
#[derive(Debug, Error)]
pub enum BankError {
    /// There is no such bank.
    #[error("there is no bank {0}")]
    NoBank(BankName),
    /// There is no such content in this bank.
    #[error("the bank {0} has no content {1}")]
    NoContent(BankName, ContentId),
    /// Another bank has the name.
    #[error("there is a bank {0} already, with other settings")]
    Exists(BankName),
    /// As many banks as there can be.
    #[error("a node has at most {MAX_BANKS} banks")]
    TooMany,
    /// Settings that cannot be.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A content that cannot be.
    #[error("content {place}: {error}")]
    Content {
        /// Its place in what was given, from zero.
        place: usize,
        /// What is wrong with it.
        error: ContentError,
    },
    /// The desk log could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<SignalError> for ContentError {
    fn from(error: SignalError) -> Self {
        Self::Signal(error)
    }
}

/// All banks of a node. One verb writes at a time, everybody reads, nobody who looks up waits.
pub struct Banks {
    near: Near<ContentId>,
    banks: papaya::HashMap<BankNumber, Arc<Bank>>,
    contents: papaya::HashMap<ContentId, Held>,
    counts: Mutex<HashMap<BankNumber, Counts>>,
    ledger: tokio::sync::Mutex<Ledger>,
    desk: Desk,
    store: Arc<dyn Store>,
    enforcer: Enforcer,
    clock: Arc<dyn Clock>,
}

/// What a lookup needs to know of a content.
#[derive(Debug, Clone, Copy)]
struct Held {
    bank: BankNumber,
    disabled_until_ms: u64,
}

/// What only writers need; whoever holds it is the one writer.
#[derive(Debug)]
struct Ledger {
    next_bank: u32,
    next_content: u64,
    /// Contents by what they are.
    by_identity: HashMap<(BankNumber, content::Identity), ContentId>,
}

impl Ledger {
    fn next_row(&self) -> Row {
        let mut value = self.next_bank.to_be_bytes().to_vec();
        value.extend(self.next_content.to_be_bytes());
        Row { table: NEXT, key: NEXT_KEY.to_vec(), value: Some(value) }
    }
}

impl Banks {
    /// A bank by its name.
    #[must_use]
    pub fn bank(&self, name: &BankName) -> Option<Arc<Bank>> {
        self.banks.pin().values().find(|bank| bank.name == *name).cloned()
    }

    fn named(&self, name: &BankName) -> Result<Arc<Bank>, BankError> {
        self.bank(name).ok_or_else(|| BankError::NoBank(name.clone()))
    }

    /// Changes the counts of a bank.
    fn count(&self, bank: BankNumber, change: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        change(counts.entry(bank).or_default());
    }
}

/// Carries a verb to its end even when its caller has gone: what is durable has to reach the lookups.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, BankError>> + Send + 'static,
) -> Result<T, BankError> {
    match tokio::spawn(work).await {
        Ok(result) => result,
        Err(_) => Err(WriteError::from(SequenceError::Stopping).into()),
    }
}

fn refusal(error: CommitError) -> BankError {
    BankError::Store(error.into())
}
