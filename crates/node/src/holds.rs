//! Take-downs that a limit holds until a person has looked: kept, told, listed, released.
//!
//! **Invariant:** what is held takes nothing down and refuses no upload; its matches go to review.
//! **Invariant:** a signal set is held by itself: who adds one to the case of another holds nothing else.
//! **Invariant:** a breaker that held cases have opened is open after a restart too.
//! **Invariant:** only a person lifts a hold, or the case becoming CONFIRMED where that was the doubt.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};
use watchfire_signal::{commitment::Commitment, name::MemberName};
use watchfire_store::{Batch, Row, Store, StoreError, Table};

use crate::{
    breaker::{Breaker, expected_a_day, older},
    content::ContentPlace,
    desk::{Actor, Deed, Desk, DeskKind, Line, WriteError},
    events::{Event, Events},
    judge::Judge,
    policy::Held,
};

/// Held and released signal sets by record. A ledger.
const HOLDS: Table = Table::Ledger("holds");
/// Rows read at once.
const PAGE: usize = 1_024;

/// A signal set that is held, or was.
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
    /// What was found, in a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub found: String,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
    /// Whether a person has released it; no limit holds it again.
    pub released: bool,
}

/// The line of the desk log by which a person releases a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// The signal set; of a case's founding set the case.
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
    /// What of the benign set its signals are near.
    pub benign: Option<&'a str>,
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
                holds.pin().insert(hold.record, hold);
            }
        }
        let breaker = Mutex::new(counted_again(holds.pin().values().collect()));
        Ok(Self { shared: Arc::new(Shared { judge, store, desk, events, breaker, holds }) })
    }

    /// Why a signal set waits for a person, if it does; `benign`: it is near something that is everybody's.
    #[must_use]
    pub fn why(&self, record: &Commitment, benign: bool) -> Option<Held> {
        let holds = self.shared.holds.pin();
        match holds.get(record) {
            Some(hold) => (!hold.released).then_some(hold.why),
            // Nobody has released what nobody was told of yet.
            None => benign.then_some(Held::BenignSet),
        }
    }

    /// The hold of a signal set that waits for a person.
    #[must_use]
    pub fn hold_of(&self, record: &Commitment) -> Option<Hold> {
        self.shared.holds.pin().get(record).filter(|hold| !hold.released).cloned()
    }

    /// All that wait for a person, in order of cases and records.
    #[must_use]
    pub fn list(&self) -> Vec<Hold> {
        let holds = self.shared.holds.pin();
        let mut list: Vec<_> = holds.values().filter(|hold| !hold.released).cloned().collect();
        list.sort_by_key(|hold| (hold.case, hold.record));
        list
    }

    /// Whether anything may be done by itself about what matches a set now; if not, it is held and told
    /// of. One that was acted on before, or has no copy here, passes the limits and is not counted.
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
        let before = self.shared.holds.pin().get(&asks.record).cloned();
        match &before {
            Some(hold) if hold.released => return Ok(true),
            Some(hold) if !hold.why.ends_confirmed() => return Ok(false),
            None if acted_before && asks.benign.is_none() => return Ok(true),
            _ => {}
        }
        let copies = copies_seen_ms.len();
        match (self.doubt_of(&asks, copies_seen_ms, now_ms), before) {
            (None, None) => Ok(true),
            (None, Some(_)) => {
                // Others have looked: the doubt is gone.
                self.write(asks.record, None).await?;
                Ok(true)
            }
            (Some(_), Some(_)) => Ok(false),
            (Some((why, found)), None) => {
                let source = asks.source.cloned();
                let source = source.unwrap_or_else(|| self.shared.judge.me().clone());
                let (Asks { case, record, content, .. }, copies) = (asks, copies as u64);
                let (since_ms, released) = (now_ms, false);
                let hold =
                    Hold { case, record, source, content, why, copies, found, since_ms, released };
                self.hold(hold, asks.source.is_some()).await?;
                Ok(false)
            }
        }
    }

    /// Why nothing may be done by itself, and what was found.
    fn doubt_of(
        &self,
        asks: &Asks<'_>,
        copies_seen_ms: impl ExactSizeIterator<Item = u64> + Clone,
        now_ms: u64,
    ) -> Option<(Held, String)> {
        let limits = &self.shared.judge.policy().limits;
        if let Some(name) = asks.benign {
            return Some((Held::BenignSet, format!("near {name} of the benign set")));
        }
        let copies = copies_seen_ms.len();
        let expected = expected_a_day(copies_seen_ms.clone(), asks.first_ms);
        if expected > u64::from(limits.expected_matches_per_day) {
            let found = format!("it matched about {expected} items a day before it was listed");
            return Some((Held::ExpectedMatches, found));
        }
        if let Err(why) = older(copies_seen_ms, asks.first_ms, asks.confirmed, limits) {
            return Some((why, format!("many of {copies} copies are older than the case")));
        }
        // What this member puts into its banks is its own word: no source can go wrong there.
        let source = asks.source?;
        let mut breaker = self.breaker();
        if !asks.confirmed && breaker.is_open(source, limits, now_ms) {
            let found = format!("several cases of {source} are held for what they match");
            return Some((Held::HeldCasesPerSource, found));
        }
        if copies == 0 {
            return None;
        }
        let why = breaker.admit(asks.case, source, limits, now_ms).err()?;
        Some((why, "too many cases at a time".to_owned()))
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.shared.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds a set; `of_others`: it is no content of a bank of this member.
    async fn hold(&self, hold: Hold, of_others: bool) -> Result<(), StoreError> {
        let (case, record, why, copies) = (hold.case, hold.record, hold.why, hold.copies);
        if of_others && why.is_implausible() {
            self.breaker().count_implausible(case, &hold.source, hold.since_ms);
        }
        let found = hold.found.clone();
        self.write(record, Some(hold)).await?;
        metrics::counter!("watchfire_holds_total", "limit" => why.limit()).increment(1);
        tracing::error!(%case, limit = why.limit(), copies, found,
            "a take-down is held: a person has to look");
        self.shared.events.send(Event::Held { case, record, why, copies });
        Ok(())
    }

    /// Releases a case with all its sets, or one set, by a person's word; `None`: nothing of it is held.
    /// The copies are looked at by the caller.
    ///
    /// # Errors
    /// [`WriteError`]; what was not released by then is held as before.
    pub async fn release(
        &self,
        name: &Commitment,
        actor: &Actor,
    ) -> Result<Option<Hold>, WriteError> {
        let held = self.list().into_iter();
        let held = held.filter(|hold| hold.case == *name || hold.record == *name);
        let mut released = None;
        for hold in held {
            let deed = Released { released: hold.record, why: hold.why, copies: hold.copies };
            let hold = Hold { released: true, ..hold };
            let line = Line::new(actor, &deed)?.rows([row(hold.record, Some(&hold))]);
            self.shared.desk.write(line).await?;
            self.breaker().forgive(&hold.case);
            self.shared.holds.pin().insert(hold.record, hold.clone());
            released = Some(hold);
        }
        self.tell();
        Ok(released)
    }

    async fn write(&self, record: Commitment, hold: Option<Hold>) -> Result<(), StoreError> {
        let batch = Batch { rows: vec![row(record, hold.as_ref())], ..Batch::default() };
        let written = self.shared.store.commit(batch).await;
        written.map_err(|error| StoreError::Failed(error.to_string()))?;
        match hold {
            Some(hold) => drop(self.shared.holds.pin().insert(record, hold)),
            None => drop(self.shared.holds.pin().remove(&record)),
        }
        self.tell();
        Ok(())
    }

    fn tell(&self) {
        metrics::gauge!("watchfire_held_cases").set(self.list().len() as f64);
    }
}

/// What the breaker had counted of the cases that are held, in the order in which they came: who restarts a node closes
/// no breaker. Of a case of which a person has released anything it counts nothing.
fn counted_again(mut holds: Vec<&Hold>) -> Breaker {
    let released: BTreeSet<_> =
        holds.iter().filter(|hold| hold.released).map(|hold| hold.case).collect();
    // What this member puts into its banks is its own word, as when it came.
    let counts = |hold: &&Hold| {
        hold.why.is_implausible() && hold.content.is_none() && !released.contains(&hold.case)
    };
    holds.sort_by_key(|hold| hold.since_ms);
    let mut breaker = Breaker::default();
    for hold in holds.into_iter().filter(counts) {
        breaker.count_implausible(hold.case, &hold.source, hold.since_ms);
    }
    breaker
}

fn row(record: Commitment, hold: Option<&Hold>) -> Row {
    let value = hold.map(|hold| serde_json::json!(hold).to_string().into_bytes());
    Row { table: HOLDS, key: record.0.to_vec(), value }
}
