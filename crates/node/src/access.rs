//! Who may call this node: programs by API keys, people by sessions of their accounts.
//!
//! **Invariant:** secrets are kept only as hashes; a secret is answered once, when it is made.
//! **Invariant:** a request is judged from memory; what is in memory changes only after its desk line
//! and its rows are durable.

pub mod account;
mod account_life;
pub mod enter;
mod key_life;
pub mod keys;
mod last_use;
mod offline;
pub mod passphrase;
pub mod secret;
mod sessions;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    future::Future,
    sync::{Arc, PoisonError, RwLock},
};

use serde::{Deserialize, Serialize};
use watchfire_store::{Row, Store, StoreError, Table};

use crate::{
    clock::{Clock, Random},
    desk::{Actor, Desk, WriteError},
    rate::Buckets,
    sequence::SequenceError,
};

use self::{
    account::{Account, Pseudonym},
    enter::Asker,
    keys::HeldKey,
    secret::{Fingerprint, KEY_PREFIX, SESSION_PREFIX},
    sessions::HeldSession,
};

pub use account_life::{AccountError, INVITATION_MS, Invitation};
pub use key_life::{KeyError, MAX_OVERLAP_MS, MadeKey, NewKey};
pub use keys::keep_first_key;
pub use last_use::FLUSH_EVERY;
pub use offline::{Offline, offline};
pub use sessions::{IDLE_MS, LIFETIME_MS};

/// Rows read at once.
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

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 5] = [Self::Scan, Self::Curate, Self::Review, Self::Admin, Self::Audit];
}

/// Who calls: the holder of a key, or a person in a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who this is in the desk log.
    pub actor: Actor,
    /// What they may do.
    pub scopes: BTreeSet<Scope>,
    /// When the key's name, or the account, came to be, in milliseconds since 1970.
    pub created_ms: u64,
    /// The session, if it is a person.
    pub session: Option<Fingerprint>,
}

impl Caller {
    /// Who this is in the desk log.
    #[must_use]
    pub fn actor(&self) -> Actor {
        self.actor.clone()
    }

    /// Whether the caller may do what the scope stands for.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }
}

/// Keys, accounts and sessions.
pub struct Access {
    store: Arc<dyn Store>,
    desk: Desk,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    held: RwLock<Held>,
    /// Who changes something looks, writes and tells memory, one after the other.
    changing: tokio::sync::Mutex<()>,
    attempts: Buckets<Asker>,
    passphrases: passphrase::Hasher,
}

/// What is in memory.
#[derive(Default)]
struct Held {
    keys: HashMap<Fingerprint, Arc<HeldKey>>,
    accounts: BTreeMap<Pseudonym, Account>,
    sessions: HashMap<Fingerprint, Arc<HeldSession>>,
}

impl Access {
    /// What the store holds of keys, accounts and sessions.
    ///
    /// # Errors
    /// The store's.
    pub async fn load(
        store: Arc<dyn Store>,
        desk: Desk,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Arc<Self>, StoreError> {
        let held = Held {
            keys: keys::load(&*store).await?,
            accounts: account::load(&*store).await?,
            sessions: sessions::load(&*store).await?,
        };
        let passphrases = passphrase::Hasher::new(&*random);
        Ok(Arc::new(Self {
            store,
            desk,
            clock,
            random,
            held: RwLock::new(held),
            changing: tokio::sync::Mutex::default(),
            attempts: Buckets::default(),
            passphrases,
        }))
    }

    /// Who presents a secret, if anybody may with it: a key in force, or a session that goes on.
    /// Asks memory only, by hash, so the time it takes says nothing about secrets.
    #[must_use]
    pub fn caller(&self, secret: &str) -> Option<Caller> {
        let now = self.clock.now_ms();
        if secret.starts_with(KEY_PREFIX) {
            let held = self.held();
            let key = held.keys.get(&Fingerprint::of(secret))?;
            return key.used(now).then(|| key.caller());
        }
        if secret.starts_with(SESSION_PREFIX) {
            let (held, name) = (self.held(), Fingerprint::of(secret));
            let session = held.sessions.get(&name)?;
            let account = held.accounts.get(&session.person).filter(|account| account.is_open())?;
            return session.used(now).then(|| account.caller(name));
        }
        None
    }

    fn held(&self) -> std::sync::RwLockReadGuard<'_, Held> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn held_mut(&self) -> std::sync::RwLockWriteGuard<'_, Held> {
        self.held.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a change, after those before it, and to its end even if whoever asked has gone: a key
    /// that is revoked on disk must not live on in memory.
    async fn change<T, E, F>(self: &Arc<Self>, work: impl FnOnce(Arc<Self>) -> F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<WriteError> + Send + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let (access, work) = (self.clone(), work(self.clone()));
        let change = tokio::spawn(async move {
            let _one = access.changing.lock().await;
            work.await
        });
        let stopped = |_| Err(WriteError::from(SequenceError::Stopping).into());
        change.await.unwrap_or_else(stopped)
    }
}

/// A row of one of the ledgers of this file.
fn row(table: Table, key: &[u8], value: Option<Vec<u8>>) -> Row {
    Row { table, key: key.to_vec(), value }
}

/// A value as JSON; our own structs always have one.
fn json(value: &impl Serialize) -> Result<Vec<u8>, WriteError> {
    serde_json::to_vec(value).map_err(|error| WriteError::Body(error.to_string()))
}

/// All rows of a ledger.
async fn rows(store: &dyn Store, table: Table) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
    let mut all: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    loop {
        let after = all.last().map(|(key, _)| key.clone()).unwrap_or_default();
        let page = store.rows(table, &after, PAGE).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

fn corrupt(table: Table, error: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("a row of {table:?}: {error}"))
}
