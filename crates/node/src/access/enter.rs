//! A person logs in: with an invitation and a new passphrase the first time, with name and passphrase
//! after that.
//!
//! **Invariant:** whoever guesses learns neither from the answer nor from its time whether a name exists.

use std::{net::IpAddr, sync::Arc};

use sha2::{Digest, Sha256};
use thiserror::Error;
use watchfire_signal::hex;

use super::{
    Access,
    account::{Account, AccountName, Pseudonym},
    account_life::AccountDeed,
    passphrase::PassphraseError,
    secret::Fingerprint,
    sessions::Beginning,
};
use crate::{
    desk::{Line, WriteError},
    rate::{Network, Rate, Wait},
};

/// Attempts an hour, and at once, from one network: an office behind one address logs in in the morning.
const OF_NETWORK: (u32, u32) = (360, 30);
/// Attempts an hour, and at once, at one name from one network: who guesses holds up nobody who is elsewhere.
const AT_NAME: (u32, u32) = (60, 10);
/// Attempts an hour, and at once, at one name from all networks together: 15,000 a day at most, against passphrases of
/// 12 characters.
const AT_NAME_ANYWHERE: (u32, u32) = (600, 100);

/// Whose attempts are counted.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) enum Asker {
    /// Who asks.
    Network(Network),
    /// Whom they say they are, and from where; hashed, because it may be anything.
    NameFrom([u8; 32], Network),
    /// Whom anybody says they are.
    Name([u8; 32]),
}

/// A session that began, with its token: the only time that it is told.
pub struct Entered {
    /// The account.
    pub account: Account,
    /// The token.
    pub secret: String,
    /// What names the session here.
    pub session: Fingerprint,
    /// When it ends whatever happens, in milliseconds since 1970.
    pub until_ms: u64,
}

/// Why nobody was let in.
#[derive(Debug, Error)]
pub enum EnterError {
    /// Name and passphrase do not belong together, or the invitation is none.
    #[error("name and passphrase do not belong to an open account")]
    Refused,
    /// The invitation is none that can be used.
    #[error("the invitation was used, has ended, or never was one")]
    NotInvited,
    /// Too many attempts from there, or at this name.
    #[error("too many attempts to log in")]
    TooMany {
        /// The name of the limit.
        limit: &'static str,
        /// How many are allowed an hour.
        most: u64,
        /// How long to wait, in milliseconds.
        wait_ms: u64,
    },
    /// The passphrase cannot be one, or cannot be looked at now.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    /// The desk log could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Access {
    /// Begins a session for whoever knows the passphrase of a name.
    ///
    /// # Errors
    /// [`EnterError`]
    pub async fn enter(
        self: &Arc<Self>,
        name: &str,
        passphrase: String,
        from: IpAddr,
    ) -> Result<Entered, EnterError> {
        self.attempt_from(from)?;
        let at = Sha256::digest(name.as_bytes()).into();
        let here = || Asker::NameFrom(at, Network::of(from));
        self.attempt(here(), AT_NAME, "login_attempts_at_a_name")?;
        self.attempt(Asker::Name(at), AT_NAME_ANYWHERE, "login_attempts_at_a_name_anywhere")?;
        let account = name.parse::<AccountName>().ok().and_then(|name| self.account_of(&name));
        let account = account.filter(Account::is_open);
        let kept = account.as_ref().and_then(|account| account.passphrase.clone());
        let right = self.passphrases.is(passphrase, kept.as_ref()).await?;
        let Some(account) = account.filter(|_| right) else {
            metrics::counter!("watchfire_logins_total", "outcome" => "refused").increment(1);
            return Err(EnterError::Refused);
        };
        self.attempts.forgive(&here());
        self.attempts.forgive(&Asker::Name(at));
        self.change(|access| async move {
            // What was true before the passphrase was checked may not be now.
            let now = access.held().accounts.get(&account.pseudonym).cloned();
            let same = |now: &Account| now.is_open() && now.passphrase == account.passphrase;
            let account = now.filter(same).ok_or(EnterError::Refused)?;
            let beginning = access.begin(&account.pseudonym)?;
            let (person, session) = (account.pseudonym.clone(), beginning.name.to_string());
            let line = Line::new(&account.actor(), &AccountDeed::Entered { person, session })?;
            access.desk.write(line.rows(beginning.rows.clone())).await?;
            access.begun(&beginning);
            Ok(entered(account, beginning))
        })
        .await
    }

    /// Sets the passphrase of an invited person and begins a session. The invitation is used up, and
    /// sessions of the account that were open end.
    ///
    /// # Errors
    /// [`EnterError`]
    pub async fn accept_invitation(
        self: &Arc<Self>,
        invitation: &str,
        passphrase: String,
        from: IpAddr,
    ) -> Result<Entered, EnterError> {
        self.attempt_from(from)?;
        let hash = hex::encode(&Fingerprint::of(invitation).0);
        self.invited(&hash).ok_or(EnterError::NotInvited)?;
        let kept = self.passphrases.hash(passphrase, &*self.random).await?;
        self.change(|access| async move {
            let person = access.invited(&hash).ok_or(EnterError::NotInvited)?;
            let account = access.held().accounts.get(&person).cloned();
            let account = account.ok_or(EnterError::NotInvited)?;
            let account = Account { passphrase: Some(kept), invitation: None, ..account };
            let mut rows = access.end_sessions_of(&person);
            let beginning = access.begin(&person)?;
            rows.extend(beginning.rows.iter().cloned());
            let deed = AccountDeed::PassphraseSet { person, session: beginning.name.to_string() };
            let line = Line::new(&account.actor(), &deed)?;
            access.keep_account(line, account.clone(), rows).await?;
            access.forget_sessions_of(&account.pseudonym);
            access.begun(&beginning);
            Ok(entered(account, beginning))
        })
        .await
    }

    /// Whom an invitation that can be used was made for.
    fn invited(&self, hash: &str) -> Option<Pseudonym> {
        let now = self.clock.now_ms();
        let held = self.held();
        let account = held.accounts.values().find(|account| {
            let invited = account.invitation.as_ref();
            account.is_open() && invited.is_some_and(|it| it.hash == hash && now < it.until_ms)
        });
        account.map(|account| account.pseudonym.clone())
    }

    fn attempt_from(&self, from: IpAddr) -> Result<(), EnterError> {
        let asker = Asker::Network(Network::of(from));
        self.attempt(asker, OF_NETWORK, "login_attempts_of_an_address")
    }

    fn attempt(
        &self,
        asker: Asker,
        (an_hour, burst): (u32, u32),
        limit: &'static str,
    ) -> Result<(), EnterError> {
        let (rate, now) = (Rate::an_hour(an_hour, burst), self.clock.now_ms());
        self.attempts.take(asker, rate, now).map_err(|Wait(wait_ms)| {
            metrics::counter!("watchfire_logins_total", "outcome" => "limited").increment(1);
            EnterError::TooMany { limit, most: u64::from(an_hour), wait_ms }
        })
    }
}

fn entered(account: Account, beginning: Beginning) -> Entered {
    metrics::counter!("watchfire_logins_total", "outcome" => "entered").increment(1);
    let Beginning { secret, name, session, .. } = beginning;
    Entered { account, secret, session: name, until_ms: session.ends_ms() }
}
