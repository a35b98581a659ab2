//! API keys as the node keeps them: a hash with a name, scopes and times.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use watchfire_store::{Batch, CommitError, Store, StoreError, Table};

use super::{
    Caller, Scope, corrupt, row, rows,
    secret::{Fingerprint, KEY_PREFIX, fresh},
};
use crate::{clock::Random, desk::Actor};

/// API keys: SHA-256 of the secret → [`Key`] as JSON.
pub(super) const KEYS: Table = Table::Ledger("keys");
/// When a key was last used: SHA-256 of the secret → milliseconds since 1970, 8 bytes.
pub(super) const KEY_USE: Table = Table::Ledger("key_use");
/// How exactly the last use is kept: who used a key when is nobody's business to the second, and a
/// busy key is written down six times an hour.
const USE_STEP_MS: u64 = 600_000;
/// The longest name of a key.
const MAX_NAME_BYTES: usize = 64;

/// What an API key is called: 1 to 64 of a-z, A-Z, 0-9, `.`, `_`, `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyName(String);

/// The name is none that a key can have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a key's name is 1 to {MAX_NAME_BYTES} of a-z, A-Z, 0-9, '.', '_' and '-'")]
pub struct KeyNameError;

impl KeyName {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = KeyNameError;

    fn from_str(text: &str) -> Result<Self, KeyNameError> {
        let fits = |c: u8| c.is_ascii_alphanumeric() || b"._-".contains(&c);
        let right = !text.is_empty() && text.len() <= MAX_NAME_BYTES && text.bytes().all(fits);
        right.then(|| Self(text.to_owned())).ok_or(KeyNameError)
    }
}

impl TryFrom<String> for KeyName {
    type Error = KeyNameError;

    fn try_from(text: String) -> Result<Self, KeyNameError> {
        text.parse()
    }
}

impl From<KeyName> for String {
    fn from(name: KeyName) -> Self {
        name.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An API key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// What it is called.
    pub name: KeyName,
    /// What it allows.
    pub scopes: BTreeSet<Scope>,
    /// When the name came to be, in milliseconds since 1970; a rotation keeps it.
    pub created_ms: u64,
    /// When this secret was made.
    #[serde(default)]
    pub made_ms: u64,
    /// When it ends, if it does.
    #[serde(default)]
    pub expires_ms: Option<u64>,
    /// Whether a desk line tells of it. The first key is made before there is a log.
    #[serde(default)]
    pub(super) told: bool,
}

impl Key {
    /// Whether it is in force.
    #[must_use]
    pub fn is_live(&self, now_ms: u64) -> bool {
        self.expires_ms.is_none_or(|end| now_ms < end)
    }
}

/// A key as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyView {
    /// The key.
    pub key: Key,
    /// Of its secret.
    pub fingerprint: Fingerprint,
    /// When it was last used, to ten minutes.
    pub used_ms: Option<u64>,
}

/// A key in memory.
pub(super) struct HeldKey {
    pub(super) key: Key,
    caller: Caller,
    /// To ten minutes; 0 is never.
    pub(super) used_ms: AtomicU64,
    /// What of it is durable.
    pub(super) kept_ms: AtomicU64,
}

impl HeldKey {
    pub(super) fn new(key: Key, used_ms: u64) -> Arc<Self> {
        let caller = Caller {
            actor: Actor::Key(key.name.to_string()),
            scopes: key.scopes.clone(),
            created_ms: key.created_ms,
            session: None,
        };
        let (used, kept) = (AtomicU64::new(used_ms), AtomicU64::new(used_ms));
        Arc::new(Self { key, caller, used_ms: used, kept_ms: kept })
    }

    /// Notes a use; `false` when the key has ended.
    pub(super) fn used(&self, now_ms: u64) -> bool {
        if !self.key.is_live(now_ms) {
            return false;
        }
        let step = now_ms - now_ms % USE_STEP_MS;
        // Read first: a line of cache that all threads only read stays with all of them.
        if self.used_ms.load(Ordering::Relaxed) != step {
            self.used_ms.store(step, Ordering::Relaxed);
        }
        true
    }

    pub(super) fn caller(&self) -> Caller {
        self.caller.clone()
    }

    pub(super) fn view(&self, fingerprint: Fingerprint) -> KeyView {
        let used = self.used_ms.load(Ordering::Relaxed);
        KeyView { key: self.key.clone(), fingerprint, used_ms: (used > 0).then_some(used) }
    }
}

pub(super) async fn load(
    store: &dyn Store,
) -> Result<HashMap<Fingerprint, Arc<HeldKey>>, StoreError> {
    let mut used = HashMap::new();
    for (name, value) in rows(store, KEY_USE).await? {
        let at = value.try_into().map(u64::from_be_bytes);
        used.insert(name, at.map_err(|_| corrupt(KEY_USE, "a time has 8 bytes"))?);
    }
    let read = |(name, value): (Vec<u8>, Vec<u8>)| {
        let key: Key = serde_json::from_slice(&value).map_err(|error| corrupt(KEYS, error))?;
        let print = Fingerprint::from_row(&name);
        let print = print.ok_or_else(|| corrupt(KEYS, "a hash has 32 bytes"))?;
        Ok((print, HeldKey::new(key, used.get(&name).copied().unwrap_or(0))))
    };
    rows(store, KEYS).await?.into_iter().map(read).collect()
}

/// Keeps a key in the store of a member that has no charter, and so no log, yet; the node writes the
/// line when it starts. Answers the secret.
///
/// # Errors
/// The store's; no key was made then.
pub async fn keep_first_key(
    store: &dyn Store,
    random: &dyn Random,
    name: &KeyName,
    scopes: BTreeSet<Scope>,
    now_ms: u64,
) -> Result<String, StoreError> {
    let secret = fresh(KEY_PREFIX, random);
    let (made_ms, expires_ms, told) = (now_ms, None, false);
    let key = Key { name: name.clone(), scopes, created_ms: now_ms, made_ms, expires_ms, told };
    let value = serde_json::to_vec(&key).map_err(|error| StoreError::Failed(error.to_string()))?;
    let rows = vec![row(KEYS, &Fingerprint::of(&secret).0, Some(value))];
    match store.commit(Batch { rows, ..Batch::default() }).await {
        Ok(()) => Ok(secret),
        Err(CommitError::Store(error)) => Err(error),
        Err(error) => Err(StoreError::Failed(error.to_string())),
    }
}

/// The keys that a store holds, by name, while no node and no log are there.
///
/// # Errors
/// The store's.
pub async fn stored_keys(store: &dyn Store) -> Result<Vec<KeyView>, StoreError> {
    let held = load(store).await?;
    let mut keys: Vec<_> = held.iter().map(|(print, key)| key.view(*print)).collect();
    keys.sort_by(|a, b| (&a.key.name, a.key.made_ms).cmp(&(&b.key.name, b.key.made_ms)));
    Ok(keys)
}
