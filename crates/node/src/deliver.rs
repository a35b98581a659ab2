//! Carries effects out on the platform, looks whether they really happened, and tries again.
//!
//! **Invariant:** an effect is carried out at least once, always under the same key, and never
//! after a newer one for the same item and case.
//! **Invariant:** one item has at most one effect under way.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::Notify, task::JoinSet};
use watchfire_signal::effect::EffectName;
use watchfire_store::{Effect, EffectState, Settlement, Store, StoreError};

use crate::{
    clock::{Clock, Random},
    connector::{Answer, Connector, Order, Visibility},
    enforce::RESTORE,
    events::{Event, Events},
};

/// Effects under way at once.
pub const MAX_UNDER_WAY: usize = 32;
/// Attempts before an effect is given up and waits for a person; with the waits between them
/// that is about a day.
pub const MAX_ATTEMPTS: u32 = 24;
/// The wait after the first failure; it doubles up to [`LONGEST_WAIT`].
pub const FIRST_WAIT: Duration = Duration::from_millis(250);
/// The longest wait between two attempts.
pub const LONGEST_WAIT: Duration = Duration::from_secs(3_600);
/// How long an accepted order may take before it is looked at again.
const ACCEPTED_WAIT_MS: u64 = 2_000;

/// The worker behind the outbox.
pub struct Deliverer {
    /// Where the outbox is.
    pub store: Arc<dyn Store>,
    /// Who carries out, by name.
    pub connectors: BTreeMap<String, Arc<dyn Connector>>,
    /// The node's clock.
    pub clock: Arc<dyn Clock>,
    /// For jitter.
    pub random: Arc<dyn Random>,
    /// Told what became of it.
    pub events: Events,
    /// Wakes the worker.
    pub outbox: Arc<Notify>,
}

/// What one attempt came to.
enum Outcome {
    Done(String),
    Again { after_ms: Option<u64>, why: String },
    Dead(String),
    Cancelled,
}

impl Deliverer {
    /// Works for as long as the node runs.
    pub async fn run(self) {
        let worker = Arc::new(self);
        let mut under_way = JoinSet::new();
        let mut busy = HashSet::<String>::new();
        loop {
            let woken = worker.outbox.notified();
            match worker.clone().start_due(&mut under_way, &mut busy).await {
                Ok(()) => {}
                Err(error) => tracing::error!(%error, "the outbox could not be read"),
            }
            let pause = worker.until_due().await;
            tokio::select! {
                () = woken => {}
                Some(done) = under_way.join_next() => match done {
                    Ok(item) => { busy.remove(&item); }
                    // A task that died leaves its effect pending; the item is free again.
                    Err(_) => busy.clear(),
                },
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn start_due(
        self: Arc<Self>,
        under_way: &mut JoinSet<String>,
        busy: &mut HashSet<String>,
    ) -> Result<(), StoreError> {
        let due = self.store.effects_due(self.clock.now_ms(), MAX_UNDER_WAY * 4).await?;
        for effect in due {
            if under_way.len() >= MAX_UNDER_WAY {
                return Ok(());
            }
            if busy.insert(effect.item.clone()) {
                let worker = self.clone();
                under_way.spawn(async move {
                    let item = effect.item.clone();
                    worker.attempt(effect).await;
                    item
                });
            }
        }
        Ok(())
    }

    async fn until_due(&self) -> Duration {
        let longest = Duration::from_secs(30);
        match self.store.next_effect_due().await {
            // Something is due but under way or waits for a place: the end of a task wakes us.
            Ok(Some(at)) if at <= self.clock.now_ms() => Duration::from_millis(250),
            Ok(Some(at)) => Duration::from_millis(at - self.clock.now_ms()).min(longest),
            Ok(None) | Err(_) => longest,
        }
    }

    async fn attempt(&self, effect: Effect) {
        let outcome = match self.is_overtaken(&effect).await {
            Ok(true) => Outcome::Cancelled,
            Ok(false) => self.carry_out(&effect).await,
            Err(error) => Outcome::Again { after_ms: None, why: error.to_string() },
        };
        let (settlement, told) = self.settlement(&effect, outcome);
        let note = settlement.note.clone();
        if let Err(error) = self.store.settle(vec![settlement]).await {
            // It stays pending and is carried out again under the same key: harmless.
            tracing::error!(%error, item = %effect.item, "an outcome could not be written down");
            return;
        }
        metrics::counter!("watchfire_effects_total", "action" => effect.action.clone(), "outcome" => told)
            .increment(1);
        self.events.send(Event::Effect {
            key: EffectName(effect.name).to_string(),
            item: effect.item,
            action: effect.action,
            outcome: told.to_owned(),
            note,
        });
    }

    /// Whether a newer effect for the same item and case exists.
    async fn is_overtaken(&self, effect: &Effect) -> Result<bool, StoreError> {
        let age = |effect: &Effect| (effect.round, effect.action == RESTORE);
        let others = self.store.effects_of_item(&effect.item).await?;
        Ok(others.iter().any(|other| other.subject == effect.subject && age(other) > age(effect)))
    }

    async fn carry_out(&self, effect: &Effect) -> Outcome {
        let Some(connector) = self.connectors.get(&effect.connector) else {
            return Outcome::Dead(format!("no connector is called `{}`", effect.connector));
        };
        let order = Order {
            key: EffectName(effect.name).to_string(),
            item: effect.item.clone(),
            action: effect.action.clone(),
            decided_ms: effect.created_ms,
            detail: effect.detail.clone(),
        };
        let undo = effect.action == RESTORE;
        let answer =
            if undo { connector.undo(&order).await } else { connector.enforce(&order).await };
        match answer {
            Ok(Answer::Done | Answer::AlreadyDone) => verify(&**connector, effect, undo).await,
            Ok(Answer::Gone) => Outcome::Done("the platform has no such item".to_owned()),
            Ok(Answer::Accepted) => match verify(&**connector, effect, undo).await {
                Outcome::Again { why, .. } => {
                    Outcome::Again { after_ms: Some(ACCEPTED_WAIT_MS), why }
                }
                other => other,
            },
            Ok(Answer::RetryAfter(ms)) => {
                Outcome::Again { after_ms: Some(ms), why: "the platform asks to wait".to_owned() }
            }
            Ok(Answer::Refused(why)) => Outcome::Dead(why),
            Err(error) => Outcome::Again { after_ms: None, why: error.0 },
        }
    }

    fn settlement(&self, effect: &Effect, outcome: Outcome) -> (Settlement, &'static str) {
        let attempts = effect.attempts.saturating_add(1);
        let now = self.clock.now_ms();
        let (state, due_ms, note, told) = match outcome {
            Outcome::Done(note) => (EffectState::Done, now, note, "done"),
            Outcome::Dead(note) => (EffectState::Dead, now, note, "dead"),
            Outcome::Cancelled => (
                EffectState::Cancelled,
                now,
                "overtaken by a newer decision".to_owned(),
                "cancelled",
            ),
            Outcome::Again { why, .. } if attempts >= MAX_ATTEMPTS => {
                (EffectState::Dead, now, why, "dead")
            }
            Outcome::Again { after_ms, why } => {
                let wait = after_ms.unwrap_or_else(|| self.backoff_ms(attempts));
                (EffectState::Pending, now.saturating_add(wait), why, "retry")
            }
        };
        (Settlement { name: effect.name, state, attempts, due_ms, note }, told)
    }

    fn backoff_ms(&self, attempts: u32) -> u64 {
        let doubled = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1)));
        let wait = crate::replicate::jittered(doubled.min(LONGEST_WAIT), &*self.random);
        u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
    }
}

/// A `200` is not proof: looks as an ordinary user would.
async fn verify(connector: &dyn Connector, effect: &Effect, undo: bool) -> Outcome {
    match connector.verify(&effect.item).await {
        Ok(Visibility::Unknown) => Outcome::Done("done, by the platform's own word".to_owned()),
        Ok(Visibility::Visible) if undo => Outcome::Done("visible again".to_owned()),
        Ok(Visibility::Hidden | Visibility::Gone) if !undo => {
            Outcome::Done("verified: out of sight".to_owned())
        }
        Ok(Visibility::Gone) => Outcome::Done("the item does not exist any more".to_owned()),
        Ok(seen) => Outcome::Again {
            after_ms: None,
            why: format!("the platform said done, but the item is {seen:?}").to_lowercase(),
        },
        Err(error) => {
            Outcome::Again { after_ms: None, why: format!("could not verify: {}", error.0) }
        }
    }
}
