//! Sessions of people: a random token for some hours, kept as a hash.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::{Deserialize, Serialize};
use watchfire_store::{Row, Store, StoreError, Table};

use super::{
    Access,
    account::Pseudonym,
    account_life::AccountDeed,
    corrupt, json, row, rows,
    secret::{Fingerprint, SESSION_PREFIX, fresh},
};
use crate::desk::{Actor, Deed, DeskKind, Line, WriteError};

/// Sessions: SHA-256 of the token → [`Session`] as JSON.
pub(super) const SESSIONS: Table = Table::Ledger("sessions");
/// A session in which nothing is asked for so long ends: a shift's break, not a night.
pub const IDLE_MS: u64 = 30 * 60_000;
/// A session ends after so long, whatever is asked: a shift with overtime.
pub const LIFETIME_MS: u64 = 12 * 3_600_000;
/// Sessions of one person; a further one ends the oldest.
const MAX_SESSIONS: usize = 16;
/// How exactly it is noted when a session was used.
const USE_STEP_MS: u64 = 60_000;
/// A look at a view is one line a session and hour, however often its pages are turned.
const LOOK_MS: u64 = 3_600_000;

/// A session as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Session {
    pub(super) person: Pseudonym,
    pub(super) created_ms: u64,
    /// To a minute, and as of the last time it was written down.
    pub(super) seen_ms: u64,
}

/// A session in memory.
pub(super) struct HeldSession {
    pub(super) person: Pseudonym,
    pub(super) created_ms: u64,
    pub(super) seen_ms: AtomicU64,
    pub(super) kept_ms: AtomicU64,
    /// The hour in which a look was last written down.
    looked: tokio::sync::Mutex<u64>,
}

impl HeldSession {
    fn new(session: Session) -> Arc<Self> {
        let Session { person, created_ms, seen_ms } = session;
        Arc::new(Self {
            person,
            created_ms,
            seen_ms: AtomicU64::new(seen_ms),
            kept_ms: AtomicU64::new(seen_ms),
            looked: tokio::sync::Mutex::new(0),
        })
    }

    /// Whether it goes on.
    pub(super) fn is_live(&self, now_ms: u64) -> bool {
        let idle_from = self.seen_ms.load(Ordering::Relaxed).saturating_add(IDLE_MS);
        now_ms < idle_from && now_ms < self.ends_ms()
    }

    pub(super) fn ends_ms(&self) -> u64 {
        self.created_ms.saturating_add(LIFETIME_MS)
    }

    /// Notes a use; `false` when the session has ended.
    pub(super) fn used(&self, now_ms: u64) -> bool {
        if !self.is_live(now_ms) {
            return false;
        }
        if now_ms >= self.seen_ms.load(Ordering::Relaxed).saturating_add(USE_STEP_MS) {
            self.seen_ms.store(now_ms, Ordering::Relaxed);
        }
        true
    }

    pub(super) fn row(&self, name: Fingerprint) -> Result<Row, WriteError> {
        let seen_ms = self.seen_ms.load(Ordering::Relaxed);
        let person = self.person.clone();
        let session = Session { person, created_ms: self.created_ms, seen_ms };
        Ok(row(SESSIONS, &name.0, Some(json(&session)?)))
    }
}

pub(super) async fn load(
    store: &dyn Store,
) -> Result<HashMap<Fingerprint, Arc<HeldSession>>, StoreError> {
    let read = |(name, value): (Vec<u8>, Vec<u8>)| {
        let session = serde_json::from_slice(&value).map_err(|error| corrupt(SESSIONS, error))?;
        let name = Fingerprint::from_row(&name);
        let name = name.ok_or_else(|| corrupt(SESSIONS, "a hash has 32 bytes"))?;
        Ok((name, HeldSession::new(session)))
    };
    rows(store, SESSIONS).await?.into_iter().map(read).collect()
}

/// What a line says of a look.
#[derive(Debug, Serialize, Deserialize)]
struct Looked {
    looked_at: String,
    session: String,
}

impl Deed for Looked {
    const KIND: DeskKind = DeskKind::Look;
}

/// A session about to begin.
pub(super) struct Beginning {
    pub(super) secret: String,
    pub(super) name: Fingerprint,
    pub(super) session: Arc<HeldSession>,
    /// What has to be durable before it goes on.
    pub(super) rows: Vec<Row>,
    oldest: Option<Fingerprint>,
}

impl Access {
    /// A session of a person that begins when its rows are durable.
    pub(super) fn begin(&self, person: &Pseudonym) -> Result<Beginning, WriteError> {
        let now = self.clock.now_ms();
        let secret = fresh(SESSION_PREFIX, &*self.random);
        let name = Fingerprint::of(&secret);
        let session =
            HeldSession::new(Session { person: person.clone(), created_ms: now, seen_ms: now });
        let held = self.held();
        let theirs: Vec<_> =
            held.sessions.iter().filter(|(_, session)| session.person == *person).collect();
        let oldest = (theirs.len() >= MAX_SESSIONS)
            .then(|| theirs.iter().min_by_key(|(_, session)| session.created_ms))
            .flatten()
            .map(|(name, _)| **name);
        let mut rows = vec![session.row(name)?];
        rows.extend(oldest.map(|name| row(SESSIONS, &name.0, None)));
        Ok(Beginning { secret, name, session, rows, oldest })
    }

    /// Lets a session that is durable go on.
    pub(super) fn begun(&self, beginning: &Beginning) {
        let mut held = self.held_mut();
        if let Some(oldest) = &beginning.oldest {
            held.sessions.remove(oldest);
        }
        held.sessions.insert(beginning.name, beginning.session.clone());
    }

    /// Ends a session, as its person asks; one that is gone already is no error.
    ///
    /// # Errors
    /// The desk log's; the session goes on then.
    pub async fn leave(self: &Arc<Self>, name: Fingerprint) -> Result<(), WriteError> {
        self.change(|access| async move {
            let session = access.held().sessions.get(&name).cloned();
            let Some(session) = session else { return Ok(()) };
            let person = session.person.clone();
            let actor = Actor::Person(person.to_string());
            let line = Line::new(&actor, &AccountDeed::Left { person, session: name.to_string() })?;
            access.desk.write(line.rows([row(SESSIONS, &name.0, None)])).await?;
            access.held_mut().sessions.remove(&name);
            Ok(())
        })
        .await
    }

    /// Writes down that a person looks at a view, once a session and hour.
    ///
    /// # Errors
    /// The desk log's; then they must not be shown it.
    pub async fn note_look(&self, name: Fingerprint, view: &str) -> Result<(), WriteError> {
        let session = self.held().sessions.get(&name).cloned();
        let Some(session) = session else { return Ok(()) };
        let hour = self.clock.now_ms() / LOOK_MS + 1;
        // Whoever looks meanwhile waits for the line, and writes no second one.
        let mut looked_in = session.looked.lock().await;
        if *looked_in == hour {
            return Ok(());
        }
        let actor = Actor::Person(session.person.to_string());
        let looked = Looked { looked_at: view.to_owned(), session: name.to_string() };
        self.desk.write(Line::new(&actor, &looked)?).await?;
        *looked_in = hour;
        Ok(())
    }

    /// When a session ends whatever happens, in milliseconds since 1970.
    #[must_use]
    pub fn session_ends_ms(&self, name: &Fingerprint) -> Option<u64> {
        self.held().sessions.get(name).map(|session| session.ends_ms())
    }
}
