//! What waits for a person: policy puts it in, people take, look and decide, and decisions take effect
//! after the time in which they can be undone.
//!
//! **Invariant:** what a person did is durable, with its line in the desk log, before they are told so.
//! **Invariant:** a decision changes nothing on the platform until it can no longer be undone, so that
//! undoing it never has anything to repair.

mod exposure;
mod queue;
mod ticket;

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::{
    sync::{Mutex, mpsc},
    time::MissedTickBehavior,
};
use watchfire_signal::{commitment::Commitment, name::QueueName};
use watchfire_store::{Batch, Row, Store, StoreError, Table};

use crate::{
    clock::Clock,
    desk::{Actor, Deed, Desk, DeskKind, Line, WriteError},
    judge::Judge,
    looks::{Enforcer, Look},
    people::{About, Word},
    policy::Human,
};

pub use exposure::day_of;
pub use queue::{Count, LEASE_MS, MAX_REASON_BYTES, MAX_TICKETS, Queue, Refused, UNDO_MS};
pub use ticket::{Finding, Finds, Lease, MAX_ITEMS, Proposal, Ruling, Scope, Ticket, TicketId};

/// What waits: the name of a ticket → [`Ticket`] as JSON.
const WAITING: Table = Table::Ledger("review");
/// Entries read at once at start.
const PAGE: usize = 1_000;
/// Proposals that can wait to be written; a scan waits for room only beyond that.
const QUEUE: usize = 65_536;
/// Proposals in one transaction.
const MAX_GROUP: usize = 256;
/// How often decisions are looked through for those that take effect.
const TICK: Duration = Duration::from_millis(500);

/// Why a person was not served; nothing changed.
#[derive(Debug, Error)]
pub enum ReviewError {
    /// The queue says no.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The person has seen as much today as is good for anyone.
    #[error(
        "{0} tickets have been looked at today; the rest is for tomorrow, or for somebody else"
    )]
    Exposure(u32),
    /// The desk log could not be written.
    #[error(transparent)]
    Desk(#[from] WriteError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A person has seen a ticket.
#[derive(Debug, Serialize, Deserialize)]
struct Looked {
    ticket: TicketId,
    case: Commitment,
}

impl Deed for Looked {
    const KIND: DeskKind = DeskKind::Look;
}

/// A person has decided, or taken a decision back.
#[derive(Debug, Serialize, Deserialize)]
struct Decided {
    ticket: TicketId,
    case: Commitment,
    step: Step,
    #[serde(flatten)]
    finds: Option<Finds>,
    items: Vec<String>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Step {
    Decided,
    Undone,
    InEffect,
}

impl Deed for Decided {
    const KIND: DeskKind = DeskKind::Decision;
}

/// Items that one line of the desk log names; a longer list is counted there and stands in the ledger.
const ITEMS_A_LINE: usize = 100;

/// And so many bytes of them: half of what a line may have.
const ITEM_BYTES_A_LINE: usize = watchfire_signal::desk::MAX_BODY_BYTES / 2;

/// The review. Cheap to clone.
#[derive(Clone)]
pub struct Review {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    proposals: mpsc::Sender<Proposal>,
    judge: Judge,
    desk: Desk,
    store: Arc<dyn Store>,
    enforcer: Enforcer,
    clock: Arc<dyn Clock>,
}

/// What the review needs of its node.
pub struct Surroundings {
    /// The policy and what people said.
    pub judge: Judge,
    /// The desk log.
    pub desk: Desk,
    /// Where the queue is kept.
    pub store: Arc<dyn Store>,
    /// Told which cases were decided.
    pub enforcer: Enforcer,
    /// The node's clock.
    pub clock: Arc<dyn Clock>,
}

/// Proposals on their way into the queue.
pub struct Proposals(mpsc::Receiver<Proposal>);

impl Review {
    /// Reads what the store holds.
    ///
    /// # Errors
    /// The store's; a row that cannot be read is [`StoreError::Corrupt`].
    pub async fn load(around: Surroundings) -> Result<(Self, Proposals), StoreError> {
        let Surroundings { judge, desk, store, enforcer, clock } = around;
        let (proposals, waiting) = mpsc::channel(QUEUE);
        let mut queue = Queue::default();
        let mut after = Vec::new();
        loop {
            let page = store.rows(WAITING, &after, PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after.clone_from(last);
            for (_, value) in page {
                let ticket = serde_json::from_slice(&value).map_err(|error| {
                    StoreError::Corrupt(format!("a row of the review: {error}"))
                })?;
                queue.restore(ticket);
            }
        }
        let queue = Mutex::new(queue);
        let shared = Shared { queue, proposals, judge, desk, store, enforcer, clock };
        Ok((Self { shared: Arc::new(shared) }, Proposals(waiting)))
    }

    /// Has something wait for a person. It is durable with the next group: a crash can lose what was
    /// proposed in the last moments, and the next scan or alert of it brings it back.
    pub async fn propose(&self, proposal: Proposal) {
        // The receiver lives as long as the node; at its end nobody waits any more.
        let _stopping = self.shared.proposals.send(proposal).await;
    }

    /// Takes proposals in and puts decisions into effect, for as long as the node runs.
    pub async fn run(self, mut proposals: Proposals) {
        let mut tick = tokio::time::interval(TICK);
        // After a pause of the machine once, not once for every tick that was missed.
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut group = Vec::with_capacity(MAX_GROUP);
        loop {
            tokio::select! {
                biased;
                _ = tick.tick() => {
                    if let Err(error) = self.settle().await {
                        tracing::error!(%error, "a decision could not be put into effect");
                    }
                }
                came = proposals.0.recv_many(&mut group, MAX_GROUP) => {
                    if came == 0 {
                        return;
                    }
                    if let Err(error) = self.take_in(std::mem::take(&mut group)).await {
                        tracing::error!(%error, "what waits for a person could not be written");
                    }
                }
            }
        }
    }

    async fn take_in(&self, group: Vec<Proposal>) -> Result<(), StoreError> {
        let mut queue = self.shared.queue.lock().await;
        let mut rows = Vec::new();
        for proposal in group {
            match queue.propose(proposal) {
                Ok(ticket) => rows.extend(ticket.map(row)),
                Err(refused) => {
                    metrics::counter!("watchfire_review_refused_total").increment(1);
                    tracing::error!(%refused, "something that should wait for a person does not");
                }
            }
        }
        let batch = Batch { rows, ..Batch::default() };
        if batch.rows.is_empty() {
            return Ok(());
        }
        self.shared.store.commit(batch).await.map_err(|error| StoreError::Failed(error.to_string()))
    }

    /// How many wait, by queue.
    pub async fn counts(&self) -> Vec<(Option<QueueName>, Count)> {
        let now = self.shared.clock.now_ms();
        self.shared.queue.lock().await.counts(now).into_iter().collect()
    }

    /// Up to `limit` tickets with names above `after`, in order of name; nothing is shown of them
    /// that a person would have to be protected from.
    pub async fn list(
        &self,
        after: Option<TicketId>,
        queue: Option<Option<QueueName>>,
        limit: usize,
    ) -> Vec<Ticket> {
        self.shared.queue.lock().await.after(after, queue).take(limit).cloned().collect()
    }

    /// Gives a person what they should look at next, with a lease; a look.
    ///
    /// # Errors
    /// [`ReviewError`]
    pub async fn next(
        &self,
        queue: Option<Option<QueueName>>,
        who: &Actor,
    ) -> Result<Option<Ticket>, ReviewError> {
        let mut waiting = self.shared.queue.lock().await;
        let (name, now) = (who.to_string(), self.shared.clock.now_ms());
        let Some(id) = waiting.next(queue.as_ref(), &name, now) else { return Ok(None) };
        self.hand(&mut waiting, &id, who).await.map(Some)
    }

    /// Gives a person a ticket with a lease, which shows it to them: a look.
    async fn hand(
        &self,
        waiting: &mut Queue,
        id: &TicketId,
        who: &Actor,
    ) -> Result<Ticket, ReviewError> {
        let name = who.to_string();
        let take = |queue: &mut Queue, now| queue.take(id, &name, now).cloned();
        let taken = self.tried(waiting, id, take)?;
        let looked = self.count_look(&name, id, self.shared.clock.now_ms()).await?;
        let line = Line::new(who, &Looked { ticket: *id, case: taken.case })?;
        self.shared.desk.write(line.rows([row(&taken), looked])).await?;
        waiting.restore(taken.clone());
        Ok(taken)
    }

    /// Shows a person a ticket; a look.
    ///
    /// # Errors
    /// [`ReviewError`]
    pub async fn look(&self, id: &TicketId, who: &Actor) -> Result<Ticket, ReviewError> {
        let (name, now) = (who.to_string(), self.shared.clock.now_ms());
        let ticket = self.shared.queue.lock().await.ticket(id).cloned().ok_or(Refused::Unknown)?;
        let looked = self.count_look(&name, id, now).await?;
        let line = Line::new(who, &Looked { ticket: *id, case: ticket.case })?;
        self.shared.desk.write(line.rows([looked])).await?;
        Ok(ticket)
    }

    /// The row that counts a look of a person who has not seen too much today.
    async fn count_look(&self, who: &str, id: &TicketId, now: u64) -> Result<Row, ReviewError> {
        let most = self.shared.judge.policy().limits.tickets_per_person_per_day;
        let looked = exposure::look(&*self.shared.store, who, id, most, now).await?;
        looked.ok_or(ReviewError::Exposure(most))
    }

    /// Takes a certain ticket, with a lease; a look.
    ///
    /// # Errors
    /// [`ReviewError`]
    pub async fn take(&self, id: &TicketId, who: &Actor) -> Result<Ticket, ReviewError> {
        self.hand(&mut *self.shared.queue.lock().await, id, who).await
    }

    /// A sign of life of who holds a ticket.
    ///
    /// # Errors
    /// [`ReviewError`]
    pub async fn heartbeat(&self, id: &TicketId, who: &Actor) -> Result<Ticket, ReviewError> {
        self.keep(id, |queue, now| queue.heartbeat(id, &who.to_string(), now).cloned()).await
    }

    /// Gives a ticket back undecided.
    ///
    /// # Errors
    /// [`ReviewError`]
    pub async fn release(&self, id: &TicketId, who: &Actor) -> Result<Ticket, ReviewError> {
        self.keep(id, |queue, now| queue.release(id, &who.to_string(), now).cloned()).await
    }

    /// Changes a ticket in a way that needs no line: leases are no deeds.
    async fn keep(
        &self,
        id: &TicketId,
        change: impl FnOnce(&mut Queue, u64) -> Result<Ticket, Refused>,
    ) -> Result<Ticket, ReviewError> {
        let mut queue = self.shared.queue.lock().await;
        let changed = self.tried(&queue, id, change)?;
        let batch = Batch { rows: vec![row(&changed)], ..Batch::default() };
        let written = self.shared.store.commit(batch).await;
        written.map_err(|error| StoreError::Failed(error.to_string()))?;
        queue.restore(changed.clone());
        Ok(changed)
    }

    /// What a change would make of a ticket.
    fn tried(
        &self,
        queue: &Queue,
        id: &TicketId,
        change: impl FnOnce(&mut Queue, u64) -> Result<Ticket, Refused>,
    ) -> Result<Ticket, Refused> {
        let mut one = Queue::default();
        one.restore(queue.ticket(id).cloned().ok_or(Refused::Unknown)?);
        change(&mut one, self.shared.clock.now_ms())
    }

    /// Decides. It takes effect after [`UNDO_MS`]; until then [`Review::undo`] takes it back.
    ///
    /// # Errors
    /// [`ReviewError`]
    pub async fn decide(
        &self,
        id: &TicketId,
        who: &Actor,
        version: u64,
        finds: Finds,
    ) -> Result<Ticket, ReviewError> {
        let decide = |queue: &mut Queue, now| {
            queue.decide(id, &who.to_string(), (version, finds), now).cloned()
        };
        self.rule(id, who, Step::Decided, decide).await
    }

    /// Takes a decision back that is not in effect; who made it holds the ticket again.
    ///
    /// # Errors
    /// [`ReviewError`]
    pub async fn undo(&self, id: &TicketId, who: &Actor) -> Result<Ticket, ReviewError> {
        let undo = |queue: &mut Queue, now| queue.undo(id, &who.to_string(), now).cloned();
        self.rule(id, who, Step::Undone, undo).await
    }

    async fn rule(
        &self,
        id: &TicketId,
        who: &Actor,
        step: Step,
        change: impl FnOnce(&mut Queue, u64) -> Result<Ticket, Refused>,
    ) -> Result<Ticket, ReviewError> {
        let mut queue = self.shared.queue.lock().await;
        let changed = self.tried(&queue, id, change)?;
        let line = Line::new(who, &decided(&changed, step))?;
        self.shared.desk.write(line.rows([row(&changed)])).await?;
        queue.restore(changed.clone());
        Ok(changed)
    }

    /// Puts the decisions into effect that can no longer be undone.
    ///
    /// # Errors
    /// [`ReviewError`]; what is not in effect then is tried again.
    pub async fn settle(&self) -> Result<(), ReviewError> {
        let now = self.shared.clock.now_ms();
        let mut queue = self.shared.queue.lock().await;
        let mut result = Ok(());
        for id in queue.due(now) {
            // One that cannot be written keeps no other from taking effect.
            if let Err(error) = self.settle_one(&mut queue, &id, now).await {
                result = Err(error);
            }
        }
        result
    }

    async fn settle_one(
        &self,
        queue: &mut Queue,
        id: &TicketId,
        now: u64,
    ) -> Result<(), ReviewError> {
        let Some(ticket) = queue.ticket(id) else { return Ok(()) };
        let left = Queue::settled(ticket);
        let look = Look::of(ticket.set, ticket.content);
        let in_force = in_force(ticket, now);
        let mut rows = vec![left.as_ref().map_or_else(|| gone(id), row)];
        rows.extend(in_force.iter().map(|(about, word)| about.row(Some(word))));
        let line = Line::new(&Actor::Node, &decided(ticket, Step::InEffect))?;
        self.shared.desk.write(line.rows(rows)).await?;
        for (about, word) in in_force {
            self.shared.judge.people().hold(about, word);
        }
        queue.settle(id, left);
        // What people decided is enforced the way everything is.
        self.shared.enforcer.look_at(look, None, true);
        Ok(())
    }
}

/// What a decision says about items and cases.
fn in_force(ticket: &Ticket, now_ms: u64) -> Vec<(About, Word)> {
    let Some(ruling) = &ticket.ruling else { return Vec::new() };
    let harmful = match ruling.finds.finding {
        Finding::Harmful => true,
        Finding::Benign => false,
        Finding::Escalate => return Vec::new(),
    };
    let Finds { label, irreversible, .. } = ruling.finds.clone();
    let word = Word::Found(Human { harmful, label, irreversible, at_ms: now_ms });
    let items = ticket.items.iter().take(ruling.items).cloned().map(About::Item);
    let case = (ruling.finds.scope == Scope::Case).then_some(About::Case(ticket.case));
    items.chain(case).map(|about| (about, word.clone())).collect()
}

fn decided(ticket: &Ticket, step: Step) -> Decided {
    let finds = ticket.ruling.as_ref().map(|ruling| ruling.finds.clone());
    // What came to the ticket after the decision is not decided by it.
    let ruled = ticket.ruling.as_ref().map_or(ticket.items.len(), |ruling| ruling.items);
    let mut bytes = 0;
    let named = ticket.items.iter().take(ruled.min(ITEMS_A_LINE)).map(ToString::to_string);
    let items = named.take_while(|item| {
        // Escaped in JSON a byte takes six at most.
        bytes += 6 * item.len() + 3;
        bytes <= ITEM_BYTES_A_LINE
    });
    let items = items.collect();
    Decided { ticket: ticket.id, case: ticket.case, step, finds, items }
}

fn row(ticket: &Ticket) -> Row {
    let value = serde_json::to_vec(ticket).unwrap_or_default();
    Row { table: WAITING, key: ticket.id.0.to_vec(), value: Some(value) }
}

fn gone(id: &TicketId) -> Row {
    Row { table: WAITING, key: id.0.to_vec(), value: None }
}
