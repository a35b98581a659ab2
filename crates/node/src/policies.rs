//! The versions of a member's policy: which were in force, which one is, and how another comes.
//!
//! **Invariant:** a version is durable, with its line in the desk log, before anything is decided by it.
//! **Invariant:** versions only count up; one that was in force is never changed.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::sync::Mutex;
use watchfire_signal::hex;
use watchfire_store::{Row, Store, StoreError, Table};

use crate::{
    clock::Clock,
    desk::{Actor, Deed, Desk, DeskKind, Line, WriteError},
    judge::Judge,
    looks::Enforcer,
    policy::{Policy, PolicyError},
};

/// Versions by number, big-endian. A ledger.
const POLICIES: Table = Table::Ledger("policies");
/// Versions read at once.
const PAGE: usize = 64;

/// A version that is or was in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Its number.
    pub version: u32,
    /// The file, as it was applied.
    pub text: String,
    /// The SHA-256 of the file, in hexadecimal; it stands in the desk log.
    pub sha256: String,
    /// When it came into force, in milliseconds since 1970.
    pub applied_ms: u64,
    /// Who applied it.
    pub actor: String,
}

/// The line of the desk log that puts a version in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Its number.
    pub version: u32,
    /// The SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// The version that it replaces.
    pub replaces: u32,
    /// The rule that was promoted from shadow to live, if that is all that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted: Option<String>,
}

impl Deed for Applied {
    const KIND: DeskKind = DeskKind::Policy;
}

/// Why a policy did not come into force; the one before still is.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// The file is wrong.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// It has to count up.
    #[error("version {given} is not above version {in_force}, which is in force: set version = {}", in_force + 1)]
    NotNewer {
        /// That of the file.
        given: u32,
        /// That in force.
        in_force: u32,
    },
    /// It could not be written down.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The versions of the policy. Cheap to clone.
#[derive(Clone)]
pub struct Policies {
    judge: Judge,
    desk: Desk,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    one: Arc<Mutex<()>>,
    enforcer: Enforcer,
}

impl Policies {
    /// The versions that a store holds, for a judge that already decides by the newest.
    #[must_use]
    pub fn new(
        judge: &Judge,
        desk: &Desk,
        store: &Arc<dyn Store>,
        clock: &Arc<dyn Clock>,
        enforcer: &Enforcer,
    ) -> Self {
        Self {
            judge: judge.clone(),
            desk: desk.clone(),
            store: store.clone(),
            clock: clock.clone(),
            one: Arc::default(),
            enforcer: enforcer.clone(),
        }
    }

    /// Puts a file in force; answers its version, and whether it was not in force already.
    ///
    /// # Errors
    /// [`ApplyError`]
    pub async fn apply(&self, text: &str, actor: &Actor) -> Result<(Version, bool), ApplyError> {
        self.put_in_force(text, actor, None).await
    }

    pub(crate) async fn put_in_force(
        &self,
        text: &str,
        actor: &Actor,
        promoted: Option<String>,
    ) -> Result<(Version, bool), ApplyError> {
        let policy = Policy::read(text)?;
        let _one = self.one.lock().await;
        let in_force = self.judge.policy().version;
        let sha256 = hex::encode(&Sha256::digest(text));
        if policy.version == in_force
            && let Some(before) = self.version(in_force).await?.filter(|v| v.sha256 == sha256)
        {
            return Ok((before, false));
        }
        if policy.version <= in_force {
            return Err(ApplyError::NotNewer { given: policy.version, in_force });
        }
        let version = Version {
            version: policy.version,
            text: text.to_owned(),
            sha256: sha256.clone(),
            applied_ms: self.clock.now_ms(),
            actor: actor.to_string(),
        };
        let value = serde_json::to_vec(&version).map_err(|e| WriteError::Body(e.to_string()))?;
        let key = version.version.to_be_bytes().to_vec();
        let deed = Applied { version: version.version, sha256, replaces: in_force, promoted };
        let row = Row { table: POLICIES, key, value: Some(value) };
        self.desk.write(Line::new(actor, &deed)?.rows([row])).await?;
        // A crash here: the next start decides by it.
        self.judge.swap(policy);
        self.enforcer.judge_all();
        Ok((version, true))
    }

    /// A version by its number.
    ///
    /// # Errors
    /// The store's.
    pub async fn version(&self, number: u32) -> Result<Option<Version>, StoreError> {
        let row = self.store.row(POLICIES, &number.to_be_bytes()).await?;
        row.map(|row| read(&row)).transpose()
    }

    /// All versions that were applied, oldest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn versions(&self) -> Result<Vec<Version>, StoreError> {
        versions(&*self.store).await
    }
}

/// The newest version that was applied, if any.
///
/// # Errors
/// The store's; one that cannot be read is [`StoreError::Corrupt`].
pub(crate) async fn newest(store: &dyn Store) -> Result<Option<Policy>, StoreError> {
    let Some(version) = versions(store).await?.pop() else { return Ok(None) };
    let corrupt = |e: PolicyError| StoreError::Corrupt(format!("policy {}: {e}", version.version));
    Policy::read(&version.text).map(Some).map_err(corrupt)
}

async fn versions(store: &dyn Store) -> Result<Vec<Version>, StoreError> {
    let mut all = Vec::new();
    let mut after = Vec::new();
    loop {
        let page = store.rows(POLICIES, &after, PAGE).await?;
        let Some((last, _)) = page.last() else { return Ok(all) };
        after.clone_from(last);
        for (_, row) in page {
            all.push(read(&row)?);
        }
    }
}

fn read(row: &[u8]) -> Result<Version, StoreError> {
    serde_json::from_slice(row)
        .map_err(|error| StoreError::Corrupt(format!("a version of the policy: {error}")))
}
