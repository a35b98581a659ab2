//! The life of an account: it is opened by an invitation, gets another role or another invitation, is
//! closed, is erased; each with its line in the desk log.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use watchfire_signal::hex;
use watchfire_store::Row;

use super::{
    Access,
    account::{ACCOUNTS, Account, AccountName, Invited, Pseudonym, Role},
    json, row,
    secret::{Fingerprint, INVITATION_PREFIX, fresh},
    sessions::SESSIONS,
};
use crate::desk::{Actor, Deed, DeskKind, Line, WriteError};

/// How long an invitation can be used: a working week, for who is on leave when it comes.
pub const INVITATION_MS: u64 = 7 * 24 * 3_600_000;
/// Accounts that a member can have, closed ones included: memory is bounded.
const MAX_ACCOUNTS: usize = 10_000;

/// An invitation with its secret: the only time that it is told.
pub struct Invitation {
    /// The account.
    pub account: Account,
    /// The secret, with which a passphrase is set, once.
    pub secret: String,
    /// When it ends, in milliseconds since 1970.
    pub until_ms: u64,
}

/// Why nothing was done about an account.
#[derive(Debug, Error)]
pub enum AccountError {
    /// Another account has the name.
    #[error("there is an account of this name already")]
    Taken,
    /// There is no such account, or it was closed.
    #[error("there is no open account of this name")]
    Unknown,
    /// An open account is not erased.
    #[error("an account is closed before it is erased")]
    Open,
    /// Too many.
    #[error("a member has at most {MAX_ACCOUNTS} accounts")]
    TooMany,
    /// The desk log could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// What a desk line says of an account: never a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "did", rename_all = "snake_case")]
pub(super) enum AccountDeed {
    /// It was opened.
    Opened { person: Pseudonym, role: Role },
    /// It was invited again: the person forgot the passphrase, say.
    Invited { person: Pseudonym },
    /// It has another role.
    RoleChanged { person: Pseudonym, role: Role },
    /// The person used the invitation, set a passphrase and is in a session.
    PassphraseSet { person: Pseudonym, session: String },
    /// A session began.
    Entered { person: Pseudonym, session: String },
    /// A session was ended by its person.
    Left { person: Pseudonym, session: String },
    /// It was closed, with all its sessions.
    Closed { person: Pseudonym },
    /// Its name was erased: nobody can tell any more who the person was.
    Erased { person: Pseudonym },
}

impl Deed for AccountDeed {
    const KIND: DeskKind = DeskKind::Account;
}

impl Access {
    /// All accounts, by name; closed ones too, until they are erased.
    #[must_use]
    pub fn accounts(&self) -> Vec<Account> {
        let mut accounts: Vec<_> = self.held().accounts.values().cloned().collect();
        accounts.sort_by(|a, b| a.name.cmp(&b.name));
        accounts
    }

    /// Opens an account; the person sets a passphrase with the invitation that is answered.
    ///
    /// # Errors
    /// [`AccountError`]; nothing changed then.
    pub async fn open_account(
        self: &Arc<Self>,
        actor: Actor,
        name: AccountName,
        role: Role,
    ) -> Result<Invitation, AccountError> {
        self.change(|access| async move {
            if access.held().accounts.values().any(|account| account.name == name) {
                return Err(AccountError::Taken);
            }
            if access.held().accounts.len() >= MAX_ACCOUNTS {
                return Err(AccountError::TooMany);
            }
            let pseudonym = Pseudonym::fresh(&*access.random);
            let deed = AccountDeed::Opened { person: pseudonym.clone(), role };
            let created_ms = access.clock.now_ms();
            let (closed_ms, passphrase, invitation) = (None, None, None);
            let account =
                Account { name, pseudonym, role, created_ms, closed_ms, passphrase, invitation };
            access.invite_into(Line::new(&actor, &deed)?, account).await
        })
        .await
    }

    /// Invites a person again. The passphrase that is set stays valid until the invitation is used.
    ///
    /// # Errors
    /// [`AccountError`]; nothing changed then.
    pub async fn invite_again(
        self: &Arc<Self>,
        actor: Actor,
        name: AccountName,
    ) -> Result<Invitation, AccountError> {
        self.change(|access| async move {
            let account = access.open_account_of(&name)?;
            let deed = AccountDeed::Invited { person: account.pseudonym.clone() };
            access.invite_into(Line::new(&actor, &deed)?, account).await
        })
        .await
    }

    /// Gives a person another role; sessions that go on have it at once.
    ///
    /// # Errors
    /// [`AccountError`]; nothing changed then.
    pub async fn change_role(
        self: &Arc<Self>,
        actor: Actor,
        name: AccountName,
        role: Role,
    ) -> Result<Account, AccountError> {
        self.change(|access| async move {
            let account = Account { role, ..access.open_account_of(&name)? };
            let deed = AccountDeed::RoleChanged { person: account.pseudonym.clone(), role };
            access.keep_account(Line::new(&actor, &deed)?, account.clone(), vec![]).await?;
            Ok(account)
        })
        .await
    }

    /// Closes an account and ends its sessions. The name stays, so that an auditor can be told who
    /// it was.
    ///
    /// # Errors
    /// [`AccountError`]; nothing changed then.
    pub async fn close_account(
        self: &Arc<Self>,
        actor: Actor,
        name: AccountName,
    ) -> Result<(), AccountError> {
        self.change(|access| async move {
            let account = access.open_account_of(&name)?;
            let deed = AccountDeed::Closed { person: account.pseudonym.clone() };
            let closed_ms = Some(access.clock.now_ms());
            let (passphrase, invitation) = (None, None);
            let account = Account { closed_ms, passphrase, invitation, ..account };
            let ended = access.end_sessions_of(&account.pseudonym);
            access.keep_account(Line::new(&actor, &deed)?, account.clone(), ended).await?;
            access.forget_sessions_of(&account.pseudonym);
            Ok(())
        })
        .await
    }

    /// Erases the name of a closed account; its lines in the desk log stay, under a pseudonym that
    /// nothing leads from to the person.
    ///
    /// # Errors
    /// [`AccountError`]; nothing changed then.
    pub async fn erase_account(
        self: &Arc<Self>,
        actor: Actor,
        name: AccountName,
    ) -> Result<(), AccountError> {
        self.change(|access| async move {
            let account = access.account_of(&name).ok_or(AccountError::Unknown)?;
            if account.is_open() {
                return Err(AccountError::Open);
            }
            let person = account.pseudonym;
            let gone = row(ACCOUNTS, person.as_str().as_bytes(), None);
            let line = Line::new(&actor, &AccountDeed::Erased { person: person.clone() })?;
            access.desk.write(line.rows([gone])).await?;
            access.held_mut().accounts.remove(&person);
            Ok(())
        })
        .await
    }

    /// The account of a name.
    pub(super) fn account_of(&self, name: &AccountName) -> Option<Account> {
        self.held().accounts.values().find(|account| account.name == *name).cloned()
    }

    fn open_account_of(&self, name: &AccountName) -> Result<Account, AccountError> {
        self.account_of(name).filter(Account::is_open).ok_or(AccountError::Unknown)
    }

    async fn invite_into(&self, line: Line, account: Account) -> Result<Invitation, AccountError> {
        let secret = fresh(INVITATION_PREFIX, &*self.random);
        let until_ms = self.clock.now_ms().saturating_add(INVITATION_MS);
        let hash = hex::encode(&Fingerprint::of(&secret).0);
        let account = Account { invitation: Some(Invited { hash, until_ms }), ..account };
        self.keep_account(line, account.clone(), vec![]).await?;
        Ok(Invitation { account, secret, until_ms })
    }

    /// Writes a line with the row of an account and others, then tells memory of the account.
    pub(super) async fn keep_account(
        &self,
        line: Line,
        account: Account,
        beside: Vec<Row>,
    ) -> Result<(), WriteError> {
        let kept = row(ACCOUNTS, account.pseudonym.as_str().as_bytes(), Some(json(&account)?));
        self.desk.write(line.rows([kept]).rows(beside)).await?;
        self.held_mut().accounts.insert(account.pseudonym.clone(), account);
        Ok(())
    }

    /// The rows that end all sessions of a person.
    pub(super) fn end_sessions_of(&self, person: &Pseudonym) -> Vec<Row> {
        let held = self.held();
        let theirs = held.sessions.iter().filter(|(_, session)| session.person == *person);
        theirs.map(|(name, _)| row(SESSIONS, &name.0, None)).collect()
    }

    pub(super) fn forget_sessions_of(&self, person: &Pseudonym) {
        self.held_mut().sessions.retain(|_, session| session.person != *person);
    }
}
