//! Take-downs that a limit holds until a person has looked: kept, told, listed, released.
//!
//! **Invariant:** a held case takes nothing down and refuses no upload; its matches go to review.
//! **Invariant:** only a person lifts a hold, or the case becoming CONFIRMED where that was the doubt.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use watchfire_signal::{commitment::Commitment, name::MemberName};
use watchfire_store::{Batch, Row, Store, StoreError, Table};

use crate::{
    breaker::{Breaker, older},
    content::ContentPlace,
    desk::{Actor, Deed, Desk, DeskKind, Line, WriteError},
    events::{Event, Events},
    judge::Judge,
    policy::Held,
};

/// Held and released cases by subject. A ledger.
const HOLDS: Table = Table::Ledger("holds");
/// Rows read at once.
const PAGE: usize = 1_024;

/// A case that is held, or was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The case.
    pub case: Commitment,
    /// The record whose signals matched.
    pub record: Commitment,
    /// Who brought it.
    pub source: MemberName,
    /// The content whose signals matched, if it is one of a bank of this member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<ContentPlace>,
    /// The limit that it would pass.
    pub why: Held,
    /// Copies that would have gone.
    pub copies: u64,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
    /// Whether a person has released it; no limit holds it again.
    pub released: bool,
}

/// The line of the desk log by which a person releases a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// The case.
    pub released: Commitment,
    /// The limit that held it.
    pub why: Held,
    /// Copies that were held.
    pub copies: u64,
}

impl Deed for Released {
    const KIND: DeskKind = DeskKind::Decision;
}

/// What asks whether its copies may be taken down: a signal set, or a content of a bank.
#[derive(Debug, Clone, Copy)]
pub struct Asks<'a> {
    /// The case.
    pub case: Commitment,
    /// The record; of a content the same as the case.
    pub record: Commitment,
    /// Who brought it; `None`: this member itself, into a bank.
    pub source: Option<&'a MemberName>,
    /// The content, if it is one of a bank.
    pub content: Option<ContentPlace>,
    /// When it was first known here: copies that are older are counted.
    pub first_ms: u64,
    /// Whether others have looked, so that older copies are plausible.
    pub confirmed: bool,
}

/// What holds cases. Cheap to clone.
#[derive(Clone)]
pub struct Holds {
    shared: Arc<Shared>,
}

struct Shared {
    judge: Judge,
    store: Arc<dyn Store>,
    desk: Desk,
    events: Events,
    breaker: Mutex<Breaker>,
    holds: papaya::HashMap<Commitment, Hold>,
}

impl Holds {
    /// The holds that a store has.
    ///
    /// # Errors
    /// The store's; a row that cannot be read is [`StoreError::Corrupt`].
    pub async fn load(
        judge: Judge,
        store: Arc<dyn Store>,
        desk: Desk,
        events: Events,
    ) -> Result<Self, StoreError> {
        let holds = papaya::HashMap::new();
        let mut after = Vec::new();
        loop {
            let page = store.rows(HOLDS, &after, PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after.clone_from(last);
            for (_, row) in page {
                let hold = serde_json::from_slice::<Hold>(&row);
                let hold = hold.map_err(|error| StoreError::Corrupt(format!("a hold: {error}")))?;
                holds.pin().insert(hold.case, hold);
            }
        }
        let breaker = Mutex::default();
        Ok(Self { shared: Arc::new(Shared { judge, store, desk, events, breaker, holds }) })
    }

    /// Why a case waits for a person, if it does.
    #[must_use]
    pub fn why(&self, case: &Commitment) -> Option<Held> {
        let holds = self.shared.holds.pin();
        holds.get(case).filter(|hold| !hold.released).map(|hold| hold.why)
    }

    /// All cases that wait for a person, in order of their names.
    #[must_use]
    pub fn list(&self) -> Vec<Hold> {
        let holds = self.shared.holds.pin();
        let mut list: Vec<_> = holds.values().filter(|hold| !hold.released).cloned().collect();
        list.sort_by_key(|hold| hold.case);
        list
    }

    /// Whether the copies of something may be taken down now; if not, the case is held and told of. A
    /// case that was acted on before, or has no copy here, passes and is not counted.
    ///
    /// # Errors
    /// The store's; nothing may be taken down then.
    pub async fn admit(
        &self,
        asks: Asks<'_>,
        acted_before: bool,
        copies_seen_ms: impl ExactSizeIterator<Item = u64> + Send + Clone,
        now_ms: u64,
    ) -> Result<bool, StoreError> {
        let before = self.shared.holds.pin().get(&asks.case).cloned();
        match &before {
            Some(hold) if hold.released => return Ok(true),
            Some(hold) if hold.why != Held::OlderMatches => return Ok(false),
            None if acted_before => return Ok(true),
            _ => {}
        }
        let copies = copies_seen_ms.len();
        if copies == 0 && before.is_none() {
            return Ok(true);
        }
        match (self.limit_of(&asks, copies_seen_ms, now_ms), before) {
            (None, None) => Ok(true),
            (None, Some(_)) => {
                // Others have looked: the doubt is gone.
                self.write(asks.case, None).await?;
                Ok(true)
            }
            (Some(_), Some(_)) => Ok(false),
            (Some(why), None) => {
                self.hold(&asks, why, copies as u64, now_ms).await?;
                Ok(false)
            }
        }
    }

    /// The limit that a take-down would pass.
    fn limit_of(
        &self,
        asks: &Asks<'_>,
        copies_seen_ms: impl Iterator<Item = u64>,
        now_ms: u64,
    ) -> Option<Held> {
        let limits = &self.shared.judge.policy().limits;
        if let Err(why) = older(copies_seen_ms, asks.first_ms, asks.confirmed, limits) {
            return Some(why);
        }
        // What this member puts into its banks is its own word: no source can go wrong there.
        let source = asks.source?;
        let mut breaker = self.shared.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        breaker.admit(asks.case, source, limits, now_ms).err()
    }

    async fn hold(
        &self,
        asks: &Asks<'_>,
        why: Held,
        copies: u64,
        since_ms: u64,
    ) -> Result<(), StoreError> {
        let Asks { case, record, content, .. } = *asks;
        let source = asks.source.cloned().unwrap_or_else(|| self.shared.judge.me().clone());
        let hold = Hold { case, record, source, content, why, copies, since_ms, released: false };
        self.write(case, Some(hold)).await?;
        metrics::counter!("watchfire_holds_total", "limit" => why.limit()).increment(1);
        tracing::error!(%case, limit = why.limit(), copies,
            "a take-down is held: a person has to look");
        self.shared.events.send(Event::Held { case, record, why, copies });
        Ok(())
    }

    /// Releases a case by a person's word; `None`: it is not held. Its copies are looked at by the
    /// caller.
    ///
    /// # Errors
    /// [`WriteError`]; it is held as before.
    pub async fn release(
        &self,
        case: &Commitment,
        actor: &Actor,
    ) -> Result<Option<Hold>, WriteError> {
        let hold = self.shared.holds.pin().get(case).filter(|hold| !hold.released).cloned();
        let Some(hold) = hold else { return Ok(None) };
        let deed = Released { released: *case, why: hold.why, copies: hold.copies };
        let hold = Hold { released: true, ..hold };
        let line = Line::new(actor, &deed)?.rows([row(*case, Some(&hold))]);
        self.shared.desk.write(line).await?;
        self.shared.holds.pin().insert(*case, hold.clone());
        self.tell();
        Ok(Some(hold))
    }

    async fn write(&self, case: Commitment, hold: Option<Hold>) -> Result<(), StoreError> {
        let batch = Batch { rows: vec![row(case, hold.as_ref())], ..Batch::default() };
        let written = self.shared.store.commit(batch).await;
        written.map_err(|error| StoreError::Failed(error.to_string()))?;
        match hold {
            Some(hold) => drop(self.shared.holds.pin().insert(case, hold)),
            None => drop(self.shared.holds.pin().remove(&case)),
        }
        self.tell();
        Ok(())
    }

    fn tell(&self) {
        metrics::gauge!("watchfire_held_cases").set(self.list().len() as f64);
    }
}

fn row(case: Commitment, hold: Option<&Hold>) -> Row {
    let value = hold.map(|hold| serde_json::json!(hold).to_string().into_bytes());
    Row { table: HOLDS, key: case.0.to_vec(), value }
}
