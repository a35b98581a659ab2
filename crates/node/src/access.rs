//! Who may call this node: API keys, kept only as hashes.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use watchfire_store::{Batch, CommitError, Row, Store, StoreError, Table};

use crate::{clock::Random, desk::Actor};

/// API keys: SHA-256 of the secret → [`Caller`] as JSON.
pub const KEYS: Table = Table::Ledger("keys");
/// What every key begins with, so that a leaked one can be recognised by scanners.
pub const PREFIX: &str = "wf_";
/// Random bytes in a key.
const SECRET_BYTES: usize = 32;
/// Keys read at once.
const PAGE: usize = 1_000;

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Ask for verdicts and look signals up.
    Scan,
    /// Raise and answer alerts, keep banks.
    Curate,
    /// Decide about what waits for a person.
    Review,
    /// Everything.
    Admin,
    /// Read everything that says what was done.
    Audit,
}

/// The holder of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// What the key is called.
    pub name: String,
    /// What it allows.
    pub scopes: BTreeSet<Scope>,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
}

impl Caller {
    /// Who this is in the desk log.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor::Key(self.name.clone())
    }

    /// Whether the caller may do what the scope stands for.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }
}

/// Makes a key and keeps its hash; the secret is in the answer and nowhere else.
///
/// # Errors
/// The store's; no key was made then.
pub async fn make_key(
    store: &dyn Store,
    random: &dyn Random,
    caller: &Caller,
) -> Result<String, StoreError> {
    let mut secret = [0; SECRET_BYTES];
    random.fill(&mut secret);
    let key = format!("{PREFIX}{}", watchfire_signal::hex::encode(&secret));
    let value =
        serde_json::to_vec(caller).map_err(|error| StoreError::Failed(error.to_string()))?;
    let row = Row { table: KEYS, key: hash(&key), value: Some(value) };
    match store.commit(Batch { rows: vec![row], ..Batch::default() }).await {
        Ok(()) => Ok(key),
        Err(CommitError::Store(error)) => Err(error),
        Err(error) => Err(StoreError::Failed(error.to_string())),
    }
}

/// Who holds a key, if anybody. Looked up by hash, so the time it takes says nothing about keys.
///
/// # Errors
/// The store's.
pub async fn caller(store: &dyn Store, key: &str) -> Result<Option<Caller>, StoreError> {
    if !key.starts_with(PREFIX) {
        return Ok(None);
    }
    let Some(value) = store.row(KEYS, &hash(key)).await? else { return Ok(None) };
    let caller = serde_json::from_slice(&value);
    caller.map(Some).map_err(|error| StoreError::Corrupt(format!("a row of keys: {error}")))
}

/// All callers, in no order that tells anything.
///
/// # Errors
/// The store's.
pub async fn callers(store: &dyn Store) -> Result<Vec<Caller>, StoreError> {
    let rows = store.rows(KEYS, &[], PAGE).await?;
    let read = |value: Vec<u8>| {
        serde_json::from_slice(&value)
            .map_err(|error| StoreError::Corrupt(format!("a row of keys: {error}")))
    };
    rows.into_iter().map(|(_, value)| read(value)).collect()
}

fn hash(key: &str) -> Vec<u8> {
    Sha256::digest(key.as_bytes()).to_vec()
}
