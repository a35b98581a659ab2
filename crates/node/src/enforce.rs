//! Draws the consequences of a changed case for the copies that the platform already holds:
//! take-downs when it becomes enforceable, restores when it is undone.
//!
//! **Invariant:** what is decided depends on the case, the seen table and the outbox alone, so
//! looking twice decides nothing twice.
//! **Invariant:** an item comes back only when no other case keeps it down.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Notify;
use watchfire_signal::{commitment::Commitment, effect::effect_name, name::ItemId};
use watchfire_store::{Batch, CommitError, Effect, EffectState, Store, StoreError};

use crate::{
    cases::SignalSet, clock::Clock, judge::Judge, known::Known, policy::Action, seen::Seen,
    standing::State,
};

/// The action that undoes a take-down.
pub const RESTORE: &str = "restore";
/// Restores go before every take-down.
pub const PRIORITY_RESTORE: u8 = 0;

/// Says which sets need a look. Cheap to clone.
#[derive(Clone, Default)]
pub struct Enforcer {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Sets to look at; those that may need undoing (`false`) come first.
    todo: Mutex<BTreeSet<(bool, Commitment)>>,
    more: Notify,
}

impl Enforcer {
    /// Has a set looked at soon; `undo` when it does not take copies down (any more).
    pub fn look_at(&self, set: Commitment, undo: bool) {
        let mut todo = self.shared.todo.lock().unwrap_or_else(PoisonError::into_inner);
        todo.insert((!undo, set));
        self.shared.more.notify_one();
    }

    async fn next(&self) -> Commitment {
        loop {
            let more = self.shared.more.notified();
            {
                let mut todo = self.shared.todo.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((_, set)) = todo.pop_first() {
                    return set;
                }
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
    /// Looks at every set that the enforcer names, for as long as the node runs.
    pub async fn run(self, enforcer: Enforcer) {
        loop {
            let set = enforcer.next().await;
            if let Err(error) = self.draw(&set).await {
                tracing::error!(%error, %set, "consequences could not be drawn; tried again");
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                enforcer.look_at(set, true);
            }
        }
    }

    /// Decides about all copies that one set concerns.
    ///
    /// # Errors
    /// The store's; nothing was decided then.
    pub async fn draw(&self, name: &Commitment) -> Result<(), StoreError> {
        let (Some(set), Some(connector)) = (self.known.set(name), &self.connector) else {
            return Ok(());
        };
        let now = self.clock.now_ms();
        let take_down = self.judge.about(&set, now).take_down();
        let history = History::of(self.store.effects_of_case(set.subject.0).await?);
        match take_down {
            Some(action) => self.take_downs(&set, action, &history, connector, now).await,
            None if is_undone(&set, now) => {
                let effects = self.restores(&set, &history, connector, now).await?;
                self.queue(effects).await
            }
            None => Ok(()),
        }
    }

    /// Puts effects into the outbox, in one transaction.
    async fn queue(&self, effects: Vec<Effect>) -> Result<(), StoreError> {
        if effects.is_empty() {
            return Ok(());
        }
        let batch = Batch { effects, ..Batch::default() };
        match self.store.commit(batch).await {
            Ok(()) => {
                self.outbox.notify_one();
                Ok(())
            }
            Err(CommitError::Store(error)) => Err(error),
            Err(error) => Err(StoreError::Failed(error.to_string())),
        }
    }

    /// Takes every held copy down, a transaction a page: a page that is decided again after a
    /// failure decides nothing twice.
    async fn take_downs(
        &self,
        set: &SignalSet,
        action: Action,
        history: &History,
        connector: &str,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        let signals = set.alert.as_ref().map_or(&[][..], |alert| &alert.signals);
        let urgent = u8::from(set.header.severity.unwrap_or(0) < 4);
        let begin = Begin { set, connector, now_ms, priority: PRIORITY_RESTORE + 1 + urgent };
        let mut copies = self.seen.search(signals).await?;
        loop {
            let page = copies.next().await?;
            if page.is_empty() {
                return Ok(());
            }
            let items = page.into_iter().map(|(item, _)| item.id.clone());
            let up = items.filter(|item| !history.is_down(item));
            let effects = up
                .map(|item| begin.effect(item.clone(), &action.to_string(), history.rounds(&item)));
            self.queue(effects.collect()).await?;
        }
    }

    async fn restores(
        &self,
        set: &SignalSet,
        history: &History,
        connector: &str,
        now_ms: u64,
    ) -> Result<Vec<Effect>, StoreError> {
        let begin = Begin { set, connector, now_ms, priority: PRIORITY_RESTORE };
        let mut effects = Vec::new();
        for item in history.down() {
            if !self.stays_down(item, &set.subject, now_ms).await? {
                let round = history.rounds(item).saturating_sub(1);
                effects.push(begin.effect(item.clone(), RESTORE, round));
            }
        }
        Ok(effects)
    }

    /// Whether another case, or another live set of this one, takes this item down too.
    async fn stays_down(
        &self,
        item: &ItemId,
        subject: &Commitment,
        now_ms: u64,
    ) -> Result<bool, StoreError> {
        let Some(item) = self.seen.item(item).await? else { return Ok(false) };
        let matches = self.known.lookup(&item.signals);
        let keeps =
            matches.iter().find(|found| self.judge.about(&found.set, now_ms).take_down().is_some());
        if let Some(keeps) = keeps {
            tracing::info!(item = %item.id, ended = %subject, keeps = %keeps.set.subject,
                "stays down for another case");
        }
        Ok(keeps.is_some())
    }
}

/// Whether what a case alone caused comes back now (`docs/states.md`, undo).
fn is_undone(set: &SignalSet, now_ms: u64) -> bool {
    match set.state(now_ms) {
        State::Retracted => true,
        State::Lapsed => !set.standing.was_confirmed,
        _ => false,
    }
}

/// What was done for one case before, by item.
struct History(BTreeMap<ItemId, Vec<Effect>>);

impl History {
    fn of(effects: Vec<Effect>) -> Self {
        let mut by_item = BTreeMap::<ItemId, Vec<Effect>>::new();
        for effect in effects {
            if let Ok(item) = effect.item.parse() {
                by_item.entry(item).or_default().push(effect);
            }
        }
        Self(by_item)
    }

    /// Take-downs begun so far.
    fn rounds(&self, item: &ItemId) -> u32 {
        let effects = self.0.get(item).map_or(&[][..], Vec::as_slice);
        let downs = effects.iter().filter(|effect| effect.action != RESTORE).count();
        u32::try_from(downs).unwrap_or(u32::MAX)
    }

    /// Whether a take-down stands that was not undone. One that the platform refused for good
    /// counts: it must not be asked again and again, a person can.
    fn is_down(&self, item: &ItemId) -> bool {
        let Some(effects) = self.0.get(item) else { return false };
        let last = effects.iter().max_by_key(|effect| (effect.round, effect.action == RESTORE));
        last.is_some_and(|last| last.action != RESTORE && last.state != EffectState::Cancelled)
    }

    fn down(&self) -> impl Iterator<Item = &ItemId> {
        self.0.keys().filter(|item| self.is_down(item))
    }
}

/// What the effects of one decision share.
struct Begin<'a> {
    set: &'a SignalSet,
    connector: &'a str,
    now_ms: u64,
    priority: u8,
}

impl Begin<'_> {
    fn effect(&self, item: ItemId, action: &str, round: u32) -> Effect {
        let labels = self.set.alert.as_ref().map_or(&[][..], |alert| &alert.labels);
        let detail = serde_json::json!({
            "case": self.set.subject,
            "record": self.set.name,
            "member": self.set.author(),
            "labels": labels,
            "state": self.set.state(self.now_ms),
        });
        Effect {
            name: effect_name(&item, action, &self.set.subject, round).0,
            connector: self.connector.to_owned(),
            item: item.to_string(),
            action: action.to_owned(),
            subject: self.set.subject.0,
            round,
            priority: self.priority,
            detail: detail.to_string().into_bytes(),
            created_ms: self.now_ms,
            due_ms: self.now_ms,
            attempts: 0,
            state: EffectState::Pending,
            note: String::new(),
        }
    }
}
