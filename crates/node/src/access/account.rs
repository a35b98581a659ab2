//! Accounts of people as the node keeps them: a name, a pseudonym, a role.
//!
//! **Invariant:** the desk log knows people by pseudonym only; which name it stands for is in one row,
//! which can be erased.

use std::{collections::BTreeMap, collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use watchfire_signal::hex;
use watchfire_store::{Store, StoreError, Table};

use super::{Caller, Scope, corrupt, passphrase::Kept, rows, secret::Fingerprint};
use crate::{clock::Random, desk::Actor};

/// Accounts: pseudonym → [`Account`] as JSON. The only place where a name stands.
pub(super) const ACCOUNTS: Table = Table::Ledger("accounts");
/// The longest name of a person.
const MAX_NAME_BYTES: usize = 64;
/// Random bytes in a pseudonym: enough that two people never share one.
const PSEUDONYM_BYTES: usize = 8;

/// The name that a person logs in with: 1 to 64 of a-z, 0-9, `.`, `_`, `-`, `+`, `@`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountName(String);

/// The name is none that an account can have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the name of an account is 1 to {MAX_NAME_BYTES} of a-z, 0-9, '.', '_', '-', '+' and '@'")]
pub struct AccountNameError;

impl AccountName {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccountName {
    type Err = AccountNameError;

    fn from_str(text: &str) -> Result<Self, AccountNameError> {
        let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"._-+@".contains(&c);
        let right = !text.is_empty() && text.len() <= MAX_NAME_BYTES && text.bytes().all(fits);
        right.then(|| Self(text.to_owned())).ok_or(AccountNameError)
    }
}

impl TryFrom<String> for AccountName {
    type Error = AccountNameError;

    fn try_from(text: String) -> Result<Self, AccountNameError> {
        text.parse()
    }
}

impl From<AccountName> for String {
    fn from(name: AccountName) -> Self {
        name.0
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Shows no name: what is debugged is logged.
impl fmt::Debug for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccountName(..)")
    }
}

/// What stands for a person in the desk log; random, so that it says nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pseudonym(String);

impl Pseudonym {
    pub(super) fn fresh(random: &dyn Random) -> Self {
        let mut bytes = [0; PSEUDONYM_BYTES];
        random.fill(&mut bytes);
        Self(format!("p{}", hex::encode(&bytes)))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a person is at this member, and so what they may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks at content and decides; raises and answers alerts.
    Moderator,
    /// A moderator who also sees what was decided, and who looked at what.
    Lead,
    /// May do everything, accounts and keys too.
    Admin,
    /// Sees what was done, and changes nothing.
    Auditor,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Moderator, Self::Lead, Self::Admin, Self::Auditor];

    /// What it allows.
    #[must_use]
    pub fn scopes(self) -> BTreeSet<Scope> {
        let scopes: &[Scope] = match self {
            Self::Moderator => &[Scope::Scan, Scope::Curate, Scope::Review],
            Self::Lead => &[Scope::Scan, Scope::Curate, Scope::Review, Scope::Audit],
            Self::Admin => &[Scope::Admin],
            Self::Auditor => &[Scope::Audit],
        };
        scopes.iter().copied().collect()
    }
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The name that the person logs in with.
    pub name: AccountName,
    /// What stands for them in the desk log.
    pub pseudonym: Pseudonym,
    /// What they are.
    pub role: Role,
    /// When it was opened, in milliseconds since 1970.
    pub created_ms: u64,
    /// When it was closed, if it was.
    pub closed_ms: Option<u64>,
    /// The hash of the passphrase, once one is set.
    pub(super) passphrase: Option<Kept>,
    /// The invitation that is out.
    pub(super) invitation: Option<Invited>,
}

/// An invitation that can be used once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Invited {
    /// SHA-256 of the secret, in hexadecimal.
    pub(super) hash: String,
    /// When it ends, in milliseconds since 1970.
    pub(super) until_ms: u64,
}

impl Account {
    /// Whether it was not closed.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.closed_ms.is_none()
    }

    /// Whether the person has set a passphrase.
    #[must_use]
    pub fn has_passphrase(&self) -> bool {
        self.passphrase.is_some()
    }

    /// Until when an invitation is out, if one is.
    #[must_use]
    pub fn invited_until_ms(&self) -> Option<u64> {
        self.invitation.as_ref().map(|invited| invited.until_ms)
    }

    pub(super) fn caller(&self, session: Fingerprint) -> Caller {
        Caller {
            actor: self.actor(),
            scopes: self.role.scopes(),
            created_ms: self.created_ms,
            session: Some(session),
        }
    }

    pub(super) fn actor(&self) -> Actor {
        Actor::Person(self.pseudonym.to_string())
    }
}

pub(super) async fn load(store: &dyn Store) -> Result<BTreeMap<Pseudonym, Account>, StoreError> {
    let read = |(_, value): (Vec<u8>, Vec<u8>)| {
        let account: Account =
            serde_json::from_slice(&value).map_err(|error| corrupt(ACCOUNTS, error))?;
        Ok((account.pseudonym.clone(), account))
    };
    rows(store, ACCOUNTS).await?.into_iter().map(read).collect()
}
