//! Carries effects out on the platform, looks whether they really happened, and tries again.
//!
//! **Invariant:** an effect is carried out at least once unless it is no longer wanted, always under
//! the same key; whether it is wanted is judged again at each attempt, over all cases.
//! **Invariant:** an attempt is written down before it is made, so that what the platform may have
//! heard of is known after a crash.
//! **Invariant:** one item has at most one effect under way on a platform, and no platform waits for
//! another: each connector has its own queue and budget.
//! **Invariant:** what waits for a connector that is gone is handed to the one that serves the item,
//! and never lost.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{
    sync::Notify,
    task::{Id, JoinError, JoinSet},
};
use watchfire_signal::{effect::EffectName, name::ItemId};
use watchfire_store::{Effect, EffectState, Settlement, Store, StoreError};

use crate::{
    budget::{Budget, Window},
    clock::{Clock, Random},
    connector::{Answer, Connector, Order, Visibility},
    desk::{Actor, Deed, Desk, DeskKind, Line},
    enforce::Consequences,
    events::{Event, Events},
    hold::{History, RESTORE},
    outcomes::Outcomes,
    routes::{NOBODY, Nobody},
};

/// Attempts before an effect is given up and waits for a person; with the waits between them
/// that is about a day.
pub const MAX_ATTEMPTS: u32 = 24;
/// The wait after the first failure; it doubles up to [`LONGEST_WAIT`].
pub const FIRST_WAIT: Duration = Duration::from_millis(250);
/// The longest wait between two attempts.
pub const LONGEST_WAIT: Duration = Duration::from_secs(3_600);
/// How long an accepted order may take before it is looked at again.
const ACCEPTED_WAIT_MS: u64 = 2_000;
/// Effects read at once, besides those that fill the places: some are of items that are busy.
const SPARE: usize = 64;
/// The longest pause of a queue that has nothing to do, should a wake-up be missed.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Effects of connectors that are gone, handed over in one transaction.
const PAGE: usize = 256;

/// The worker behind the outbox.
pub struct Deliverer {
    /// Where the outbox is.
    pub store: Arc<dyn Store>,
    /// Where outcomes are written down.
    pub desk: Desk,
    /// What is wanted for an item, and what is missing for it.
    pub consequences: Consequences,
    /// Who carries out, by name.
    pub connectors: BTreeMap<String, Arc<dyn Connector>>,
    /// What each may be asked; those that are not named here have the default.
    pub budgets: BTreeMap<String, Budget>,
    /// The node's clock.
    pub clock: Arc<dyn Clock>,
    /// For jitter.
    pub random: Arc<dyn Random>,
    /// Told what became of it.
    pub events: Events,
    /// Told of what the coalition may learn in buckets.
    pub outcomes: Outcomes,
    /// Wakes the worker.
    pub outbox: Arc<Notify>,
}

/// A desk line: what became of an effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Became {
    /// The effect's name in hexadecimal.
    pub effect: String,
    /// The item.
    pub item: String,
    /// `remove`, `restore`, ….
    pub action: String,
    /// The case, in hexadecimal.
    pub case: String,
    /// `done` or `dead`.
    pub outcome: String,
    /// Attempts that it took.
    pub attempts: u32,
    /// What the platform said or showed.
    pub note: String,
}

impl Deed for Became {
    const KIND: DeskKind = DeskKind::Outcome;
}

/// What one attempt came to.
enum Outcome {
    Done(String),
    Again { after_ms: Option<u64>, why: String },
    Dead(String),
}

/// The orders of one connector.
struct Queue {
    name: String,
    connector: Arc<dyn Connector>,
    budget: Budget,
    window: Window,
    under_way: JoinSet<()>,
    busy: HashMap<Id, String>,
    /// How long the budget has nothing left.
    pause: Option<Duration>,
    short: AtomicBool,
}

impl Queue {
    /// Takes note that a task has ended. One that died leaves its effect pending; the item is free
    /// again.
    fn free(&mut self, done: Result<(Id, ()), JoinError>) {
        let id = done.map_or_else(|died| died.id(), |(id, ())| id);
        self.busy.remove(&id);
    }
}

impl Deliverer {
    /// Works for as long as the node runs.
    pub async fn run(self) {
        let worker = Arc::new(self);
        let mut queues = JoinSet::new();
        for (name, connector) in worker.connectors.clone() {
            queues.spawn(worker.clone().serve(worker.queue(name, connector)));
        }
        while let Err(error) = worker.hand_over().await {
            tracing::error!(%error, "orders of connectors that are gone could not be handed over");
            tokio::time::sleep(LONGEST_PAUSE).await;
        }
        // Not before: what waited for nobody may be served by now.
        let nobody = worker.queue(NOBODY.to_owned(), Arc::new(Nobody));
        queues.spawn(worker.clone().serve(nobody));
        while queues.join_next().await.is_some() {}
    }

    fn queue(&self, name: String, connector: Arc<dyn Connector>) -> Queue {
        let budget = self.budgets.get(&name).copied().unwrap_or_default();
        Queue {
            name,
            connector,
            budget,
            window: Window::default(),
            under_way: JoinSet::new(),
            busy: HashMap::new(),
            pause: None,
            short: AtomicBool::new(false),
        }
    }

    /// Hands what waits for a connector that is not configured (any more), or for nobody, to the one
    /// that serves the item now.
    async fn hand_over(&self) -> Result<(), StoreError> {
        let waited_for = self.store.pending_connectors().await?;
        if waited_for.iter().all(|name| self.connectors.contains_key(name)) {
            return Ok(());
        }
        let mut after = 0;
        loop {
            let page = self.store.effects_in(EffectState::Pending, after, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = *last;
            let orphans =
                page.iter().filter(|(_, effect)| !self.connectors.contains_key(&effect.connector));
            let handed = orphans.map(|(_, effect)| Settlement {
                connector: Some(self.consequences.routes.of(&effect.item).to_owned()),
                ..settled(effect, EffectState::Pending, &effect.note)
            });
            self.store.settle(handed.collect()).await?;
            self.outbox.notify_waiters();
        }
    }

    async fn serve(self: Arc<Self>, mut queue: Queue) {
        loop {
            let woken = self.outbox.notified();
            queue.pause = None;
            if let Err(error) = self.clone().start_due(&mut queue).await {
                tracing::error!(%error, connector = queue.name, "the outbox could not be read");
            }
            let pause = self.until_due(&queue).await;
            tokio::select! {
                biased;
                () = woken => {}
                Some(done) = queue.under_way.join_next_with_id() => queue.free(done),
                () = tokio::time::sleep(pause) => {}
            }
            // What has ended meanwhile makes room together: one look and one commit for all of it.
            while let Some(done) = queue.under_way.try_join_next_with_id() {
                queue.free(done);
            }
        }
    }

    /// Judges what is due, calls off what is not wanted any more, and begins the rest as far as
    /// places and budget go.
    async fn start_due(self: Arc<Self>, queue: &mut Queue) -> Result<(), StoreError> {
        let places = queue.budget.at_once.max(1).saturating_sub(queue.under_way.len());
        if places == 0 {
            return Ok(());
        }
        let now = self.clock.now_ms();
        let due = self.store.effects_due(&queue.name, now, queue.budget.at_once + SPARE).await?;
        let mut busy = queue.busy.values().cloned().collect::<HashSet<_>>();
        let mut due = due.into_iter().filter(|effect| busy.insert(effect.item.clone()));
        let (mut begun, mut off) = (Vec::new(), Vec::new());
        while begun.len() < places && queue.pause.is_none() {
            let next = due.by_ref().take(places - begun.len()).collect::<Vec<_>>();
            if next.is_empty() {
                break;
            }
            for (effect, wanted) in self.judged(next).await? {
                match wanted.map(|down| (down, queue.window.take(&queue.budget, now))) {
                    None => off.push(effect),
                    Some((down, Ok(()))) => begun.push((effect, down)),
                    Some((_, Err(wait_ms))) => queue.pause = Some(Duration::from_millis(wait_ms)),
                }
            }
        }
        self.watch_budget(queue).await?;
        self.begin(queue, begun, off).await
    }

    async fn begin(
        self: Arc<Self>,
        queue: &mut Queue,
        begun: Vec<(Effect, bool)>,
        off: Vec<Effect>,
    ) -> Result<(), StoreError> {
        if begun.is_empty() && off.is_empty() {
            return Ok(());
        }
        let overtaken = "no longer wanted when its turn came";
        let attempts = begun.iter().map(|(effect, _)| Settlement {
            attempts: effect.attempts.saturating_add(1),
            ..settled(effect, EffectState::Pending, &effect.note)
        });
        let called_off =
            off.iter().map(|effect| settled(effect, EffectState::Cancelled, overtaken));
        self.store.settle(attempts.chain(called_off).collect()).await?;
        for (mut effect, down) in begun {
            effect.attempts = effect.attempts.saturating_add(1);
            let (worker, connector) = (self.clone(), queue.connector.clone());
            let item = effect.item.clone();
            let task = queue.under_way.spawn(async move {
                worker.attempt(effect, down, &*connector).await;
            });
            queue.busy.insert(task.id(), item);
        }
        for effect in off {
            self.tell(&effect, "cancelled", overtaken);
            self.look_again(&effect).await;
        }
        Ok(())
    }

    /// Judges effects: those that are still wanted, with whether the item is down already, and those
    /// that are not.
    async fn judged(
        &self,
        effects: Vec<Effect>,
    ) -> Result<Vec<(Effect, Option<bool>)>, StoreError> {
        let items = effects.iter().map(|effect| effect.item.clone()).collect();
        let mut histories = HashMap::<String, Vec<Effect>>::new();
        for effect in self.store.effects_of_items(items).await? {
            histories.entry(effect.item.clone()).or_default().push(effect);
        }
        let mut judged = Vec::new();
        for effect in effects {
            let history = histories.remove(&effect.item).unwrap_or_default();
            let wanted = self.is_wanted(&effect, &history).await?;
            judged.push((effect, wanted.then(|| History(&history).is_down())));
        }
        Ok(judged)
    }

    async fn is_wanted(&self, effect: &Effect, history: &[Effect]) -> Result<bool, StoreError> {
        // An id that this node cannot have written belongs to nobody.
        let Ok(item) = effect.item.parse() else { return Ok(false) };
        let history = History(history);
        let want = self.consequences.wanted(&item, history).await?;
        Ok(history.calls_for(&want, effect))
    }

    /// Tells a person, once, that a budget cannot meet in time what waits for it.
    async fn watch_budget(&self, queue: &Queue) -> Result<(), StoreError> {
        let Some(rate) = queue.budget.orders_a_minute else { return Ok(()) };
        let waiting = self.store.outbox_counts(Some(&queue.name)).await?.pending;
        let short = queue.pause.is_some() && queue.budget.is_short_of(waiting);
        let connector = queue.name.clone();
        metrics::gauge!("watchfire_outbox_budget_short", "connector" => connector.clone())
            .set(f64::from(u8::from(short)));
        if short && !queue.short.swap(true, Ordering::Relaxed) {
            tracing::warn!(connector, waiting, rate, "the budget cannot meet the orders in time");
            self.events.send(Event::BudgetShort { connector, waiting, orders_a_minute: rate });
        } else if !short {
            queue.short.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn until_due(&self, queue: &Queue) -> Duration {
        if let Some(pause) = queue.pause {
            return pause.min(LONGEST_PAUSE);
        }
        match self.store.next_effect_due(&queue.name).await {
            // Something is due but under way or waits for a place: the end of a task wakes us.
            Ok(Some(at)) if at <= self.clock.now_ms() => FIRST_WAIT,
            Ok(Some(at)) => {
                Duration::from_millis(at.saturating_sub(self.clock.now_ms())).min(LONGEST_PAUSE)
            }
            Ok(None) | Err(_) => LONGEST_PAUSE,
        }
    }

    async fn attempt(&self, effect: Effect, down: bool, connector: &dyn Connector) {
        let outcome = carry_out(&effect, down, connector).await;
        let (settlement, told) = self.settlement(&effect, outcome);
        let (note, settled) = (settlement.note.clone(), settlement.state);
        if let Err(error) = self.write_down(&effect, settlement, told).await {
            // It stays pending and is carried out again under the same key: harmless.
            tracing::error!(error, item = %effect.item, "an outcome could not be written down");
            tokio::time::sleep(FIRST_WAIT).await;
            return;
        }
        self.tell(&effect, told, &note);
        if settled != EffectState::Pending {
            // What was wanted may have changed while it was under way.
            self.look_again(&effect).await;
            self.outcomes.changed(&effect);
        }
    }

    /// Writes an end down as a line of the desk log, in one transaction with the outbox.
    async fn write_down(
        &self,
        effect: &Effect,
        settlement: Settlement,
        told: &str,
    ) -> Result<(), String> {
        if settlement.state == EffectState::Pending {
            let settled = self.store.settle(vec![settlement]).await;
            return settled.map_err(|error| error.to_string());
        }
        let became = Became {
            effect: EffectName(effect.name).to_string(),
            item: effect.item.clone(),
            action: effect.action.clone(),
            case: watchfire_signal::hex::encode(&effect.subject),
            outcome: told.to_owned(),
            attempts: settlement.attempts,
            note: settlement.note.clone(),
        };
        let line = Line::new(&Actor::Node, &became).map_err(|error| error.to_string())?;
        let written = self.desk.write(line.settlements([settlement])).await;
        written.map(|_| ()).map_err(|error| error.to_string())
    }

    fn tell(&self, effect: &Effect, told: &'static str, note: &str) {
        metrics::counter!("watchfire_effects_total", "action" => effect.action.clone(), "outcome" => told)
            .increment(1);
        self.events.send(Event::Effect {
            key: EffectName(effect.name).to_string(),
            item: effect.item.clone(),
            action: effect.action.clone(),
            outcome: told.to_owned(),
            note: note.to_owned(),
        });
    }

    /// Adds what is missing for what is wanted by now.
    async fn look_again(&self, effect: &Effect) {
        let Ok(item) = effect.item.parse::<ItemId>() else { return };
        let items = [item];
        while let Err(error) = self.consequences.decide(&items, None).await {
            tracing::error!(%error, item = %effect.item, "an item could not be judged; tried again");
            tokio::time::sleep(FIRST_WAIT).await;
        }
    }

    fn settlement(&self, effect: &Effect, outcome: Outcome) -> (Settlement, &'static str) {
        match outcome {
            Outcome::Done(note) => (settled(effect, EffectState::Done, &note), "done"),
            Outcome::Dead(note) => (settled(effect, EffectState::Dead, &note), "dead"),
            Outcome::Again { why, .. } if effect.attempts >= MAX_ATTEMPTS => {
                (settled(effect, EffectState::Dead, &why), "dead")
            }
            Outcome::Again { after_ms, why } => {
                let wait = after_ms.unwrap_or_else(|| self.backoff_ms(effect.attempts));
                let due_ms = self.clock.now_ms().saturating_add(wait);
                let again = settled(effect, EffectState::Pending, &why);
                (Settlement { due_ms, ..again }, "retry")
            }
        }
    }

    fn backoff_ms(&self, attempts: u32) -> u64 {
        let doubled = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1)));
        let wait = crate::replicate::jittered(doubled.min(LONGEST_WAIT), &*self.random);
        u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
    }
}

fn settled(effect: &Effect, state: EffectState, note: &str) -> Settlement {
    Settlement {
        name: effect.name,
        state,
        attempts: effect.attempts,
        due_ms: effect.due_ms,
        note: note.to_owned(),
        connector: None,
    }
}

/// One attempt. `down` says that another case has had the item taken down before.
async fn carry_out(effect: &Effect, down: bool, connector: &dyn Connector) -> Outcome {
    let undo = effect.action == RESTORE;
    if down
        && !undo
        && let Ok(Visibility::Hidden | Visibility::Gone) = connector.verify(&effect.item).await
    {
        return Outcome::Done("verified: out of sight already, for another case".to_owned());
    }
    let order = Order {
        key: EffectName(effect.name).to_string(),
        item: effect.item.clone(),
        action: effect.action.clone(),
        reversible: effect.reversible,
        decided_ms: effect.created_ms,
        detail: effect.detail.clone(),
    };
    let answer = if undo { connector.undo(&order).await } else { connector.enforce(&order).await };
    match answer {
        Ok(Answer::Gone) => Outcome::Done("the item does not exist any more".to_owned()),
        Ok(Answer::Done | Answer::AlreadyDone) => verify(connector, effect, undo).await,
        Ok(Answer::Accepted) => match verify(connector, effect, undo).await {
            Outcome::Again { why, .. } => Outcome::Again { after_ms: Some(ACCEPTED_WAIT_MS), why },
            other => other,
        },
        Ok(Answer::RetryAfter(ms)) => {
            Outcome::Again { after_ms: Some(ms), why: "the platform asks to wait".to_owned() }
        }
        Ok(Answer::Refused(why)) => Outcome::Dead(why),
        Err(error) => Outcome::Again { after_ms: None, why: error.0 },
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
