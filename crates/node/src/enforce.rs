//! Draws the consequences of a changed case for the copies that the platform already holds:
//! take-downs when it becomes enforceable, restores when it is undone.
//!
//! **Invariant:** what is decided depends on the cases, the seen table, the rulings and the outbox
//! alone, so looking twice decides nothing twice.
//! **Invariant:** it is decided item by item, over all cases and all that was done to the item.
//! **Invariant:** copies are decided about page by page; no transaction grows with their number.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;
use watchfire_signal::{commitment::Commitment, effect::effect_name, name::ItemId};
use watchfire_store::{Batch, CommitError, Effect, EffectState, Store, StoreError};

use crate::{
    cases::SignalSet,
    clock::Clock,
    hold::{self, History, Judged, TakeDown, Want},
    holds::Holds,
    judge::Judge,
    known::{Known, Match},
    policy::Decision,
    rulings::Rulings,
    seen::Seen,
    standing::State,
};

pub use crate::hold::RESTORE;

/// Restores go before every take-down.
pub const PRIORITY_RESTORE: u8 = 0;
/// Items decided about in one transaction: few enough that an alert's commit never waits long
/// behind it.
pub const PAGE: usize = 256;
/// How long a set whose consequences could not be drawn waits.
const AGAIN: Duration = Duration::from_millis(200);

/// Says which sets need a look. Cheap to clone.
#[derive(Clone, Default)]
pub struct Enforcer {
    undo: Arc<Todo>,
    take_down: Arc<Todo>,
}

#[derive(Default)]
struct Todo {
    sets: Mutex<BTreeSet<Commitment>>,
    more: Notify,
}

impl Enforcer {
    /// Has a set looked at soon; `undo` when it does not take copies down (any more).
    pub fn look_at(&self, set: Commitment, undo: bool) {
        let todo = if undo { &self.undo } else { &self.take_down };
        todo.sets.lock().unwrap_or_else(PoisonError::into_inner).insert(set);
        todo.more.notify_one();
    }
}

impl Todo {
    async fn next(&self) -> Commitment {
        loop {
            let more = self.more.notified();
            let first = self.sets.lock().unwrap_or_else(PoisonError::into_inner).pop_first();
            if let Some(set) = first {
                return set;
            }
            more.await;
        }
    }
}

/// What deciding about held copies needs.
#[derive(Clone)]
pub struct Consequences {
    /// What is known.
    pub known: Arc<Known>,
    /// What is held.
    pub seen: Arc<Seen>,
    /// What policy says.
    pub judge: Judge,
    /// What persons say.
    pub rulings: Arc<Rulings>,
    /// What waits for a person.
    pub holds: Holds,
    /// Where effects begin.
    pub store: Arc<dyn Store>,
    /// The node's clock.
    pub clock: Arc<dyn Clock>,
    /// The connector that carries them out; without one nothing is queued.
    pub connector: Option<String>,
    /// Woken when there are new effects.
    pub outbox: Arc<Notify>,
}

impl Consequences {
    /// Looks at every set that the enforcer names, for as long as the node runs. Undoing has a task
    /// of its own, so that it never waits behind a case with very many copies.
    pub async fn run(self, enforcer: Enforcer) {
        tokio::join!(self.work(&enforcer.undo), self.work(&enforcer.take_down));
    }

    async fn work(&self, todo: &Todo) {
        loop {
            let set = todo.next().await;
            while let Err(error) = self.draw(&set).await {
                tracing::error!(%error, %set, "consequences could not be drawn; tried again");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }

    /// Decides about all copies that one set concerns: those that match it while it is alive, and
    /// those that its case had an effect on before.
    ///
    /// # Errors
    /// The store's; what was decided before that is durable, and looking again goes on.
    pub async fn draw(&self, name: &Commitment) -> Result<(), StoreError> {
        let (Some(set), true) = (self.known.set(name), self.connector.is_some()) else {
            return Ok(());
        };
        // A rule may ask how a copy matches, so every case that is alive is compared with the copies.
        let now = self.clock.now_ms();
        let over = matches!(set.state(now), State::Retracted | State::Lapsed);
        if self.judge.about(&set, now).take_down().is_some() {
            // What would pass a limit is held from here on: `wanted` asks for it item by item.
            let before = self.store.items_of_case(set.subject.0, "", 1).await?;
            self.holds.admit(&set, !before.is_empty(), &self.seen, now).await?;
        }
        if !over {
            let signals = set.alert.as_ref().map_or(&[][..], |alert| &alert.signals);
            let mut copies = self.seen.search(signals).await?;
            loop {
                let found = copies.next().await?;
                if found.is_empty() {
                    break;
                }
                let items = found.into_iter().map(|(item, _)| item.id.clone()).collect::<Vec<_>>();
                for page in items.chunks(PAGE) {
                    self.decide(page, Some(&set)).await?;
                    // Others have their turn between two pages, whatever the store.
                    tokio::task::yield_now().await;
                }
            }
        }
        let mut after = String::new();
        loop {
            let page = self.store.items_of_case(set.subject.0, &after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(last);
            let items = page.iter().filter_map(|item| item.parse().ok()).collect::<Vec<_>>();
            self.decide(&items, None).await?;
        }
    }

    /// Decides about items, in one transaction; `matches` is a set that is known to match them all.
    ///
    /// # Errors
    /// The store's; nothing was decided then.
    pub async fn decide(
        &self,
        items: &[ItemId],
        matches: Option<&Arc<SignalSet>>,
    ) -> Result<(), StoreError> {
        let names = items.iter().map(ToString::to_string).collect();
        let mut histories = BTreeMap::<String, Vec<Effect>>::new();
        for effect in self.store.effects_of_items(names).await? {
            histories.entry(effect.item.clone()).or_default().push(effect);
        }
        let mut effects = Vec::new();
        for item in items {
            let history = histories.get(item.as_str()).map_or(&[][..], Vec::as_slice);
            let want = self.wanted(item, History(history), matches).await?;
            effects.extend(self.owed(item, History(history), &want));
        }
        if effects.is_empty() {
            return Ok(());
        }
        self.commit(Batch { effects, ..Batch::default() }).await
    }

    /// What is wanted for an item now.
    ///
    /// # Errors
    /// The store's.
    pub async fn wanted(
        &self,
        item: &ItemId,
        history: History<'_>,
        matches: Option<&Arc<SignalSet>>,
    ) -> Result<Want, StoreError> {
        let held = self.seen.item(item).await?;
        let now = self.clock.now_ms();
        let mut sets = BTreeMap::new();
        let before = history.records().filter_map(|record| self.known.set(&record));
        for set in before.chain(matches.cloned()) {
            let decision = self.judge.about(&set, now);
            sets.insert(set.name, self.judged(item, set, decision));
        }
        // What matches as the item is now is judged by how it matches.
        if let Some(copy) = held {
            for Match { set, hit } in self.known.lookup(&copy.signals) {
                let decision = self.judge.about_copy(&set, &copy, &hit, now);
                sets.insert(set.name, self.judged(item, set, decision));
            }
        }
        let sets = sets.into_values().collect::<Vec<_>>();
        Ok(hold::judge(&sets, history, self.rulings.of(item), now))
    }

    fn judged(&self, item: &ItemId, set: Arc<SignalSet>, decision: Decision) -> Judged {
        let human = self.judge.human(Some(item), &set.subject);
        // A case that passes a limit takes nothing down until a person has released it.
        let decision = match self.holds.why(&set.subject) {
            Some(why) => decision.hold(why),
            None => decision,
        };
        Judged { set, decision, cleared: human.is_some_and(|human| !human.harmful) }
    }

    /// The effects that are missing for what is wanted.
    fn owed(&self, item: &ItemId, history: History<'_>, want: &Want) -> Vec<Effect> {
        let Some(connector) = &self.connector else { return Vec::new() };
        let mut new = Vec::<Effect>::new();
        match want {
            Want::Down(sets) => {
                for down in sets.iter().filter(|down| !history.is_asked(&down.set.name)) {
                    // Several sets of one case are rounds of it.
                    let case = down.set.subject.0;
                    let same = new.iter().filter(|effect| effect.subject == case).count();
                    let same = u32::try_from(same).unwrap_or(u32::MAX);
                    let round = history.rounds(&case, false).saturating_add(same);
                    new.push(self.take_down(item, down, round, connector));
                }
            }
            Want::Up => new.extend(self.restore(item, history, false)),
            Want::Wait | Want::Keep => {}
        }
        new
    }

    /// The restore of an item that the platform may have taken down and not been asked to put back;
    /// `again` asks once more where the platform has refused before. Without a connector nothing.
    #[must_use]
    pub fn restore(&self, item: &ItemId, history: History<'_>, again: bool) -> Option<Effect> {
        let connector = self.connector.as_ref()?;
        let last = history.unrestored(again)?;
        let round = history.rounds(&last.subject, true);
        let subject = Commitment(last.subject);
        let record = Commitment(last.record);
        let state = self.known.set(&record).map(|set| set.state(self.clock.now_ms()));
        let detail = serde_json::json!({
            "case": subject,
            "record": record,
            "state": state,
            "ruled": self.rulings.of(item).is_some(),
        });
        let begin = Begin { item, subject, record, round, connector, detail };
        Some(begin.effect(RESTORE, PRIORITY_RESTORE, self.clock.now_ms()))
    }

    fn take_down(&self, item: &ItemId, down: &TakeDown, round: u32, connector: &str) -> Effect {
        let set = &down.set;
        let now = self.clock.now_ms();
        let labels = set.alert.as_ref().map_or(&[][..], |alert| &alert.labels);
        let detail = serde_json::json!({
            "case": set.subject,
            "record": set.name,
            "member": set.author(),
            "labels": labels,
            "state": set.state(now),
        });
        let (subject, record) = (set.subject, set.name);
        let begin = Begin { item, subject, record, round, connector, detail };
        let urgent = u8::from(set.header.severity.unwrap_or(0) < 4);
        let effect = begin.effect(&down.action.to_string(), PRIORITY_RESTORE + 1 + urgent, now);
        Effect { reversible: down.reversible, ..effect }
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        match self.store.commit(batch).await {
            Ok(()) => {
                self.outbox.notify_waiters();
                Ok(())
            }
            Err(CommitError::Store(error)) => Err(error),
            Err(error) => Err(StoreError::Failed(error.to_string())),
        }
    }
}

/// An effect that begins.
struct Begin<'a> {
    item: &'a ItemId,
    subject: Commitment,
    record: Commitment,
    round: u32,
    connector: &'a str,
    detail: serde_json::Value,
}

impl Begin<'_> {
    fn effect(self, action: &str, priority: u8, now_ms: u64) -> Effect {
        Effect {
            name: effect_name(self.item, action, &self.subject, self.round).0,
            connector: self.connector.to_owned(),
            item: self.item.to_string(),
            action: action.to_owned(),
            subject: self.subject.0,
            record: self.record.0,
            round: self.round,
            priority,
            reversible: true,
            detail: self.detail.to_string().into_bytes(),
            created_ms: now_ms,
            due_ms: now_ms,
            attempts: 0,
            state: EffectState::Pending,
            note: String::new(),
        }
    }
}
