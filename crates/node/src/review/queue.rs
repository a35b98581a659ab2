//! The queue as it stands in memory: who may take, keep, decide and undo what, at a moment.
//!
//! **Invariant:** at any moment at most one person holds a ticket.
//! **Invariant:** nothing leaves the queue but by a decision that has taken effect.

use std::collections::{BTreeMap, btree_map};

use thiserror::Error;
use watchfire_signal::name::QueueName;

use super::ticket::{Finding, Finds, Lease, Proposal, Ruling, Ticket, TicketId};

/// Entries that can wait: what comes beyond is refused and counted, never pushed out.
pub const MAX_TICKETS: usize = 100_000;
/// How long a person holds a ticket without a sign of life.
pub const LEASE_MS: u64 = 10 * 60_000;
/// How long a decision can be undone before it takes effect.
pub const UNDO_MS: u64 = 10_000;
/// The longest reason, in bytes.
pub const MAX_REASON_BYTES: usize = 2_000;

/// Why something cannot be done; nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// There is no such ticket (any more).
    #[error("nothing of that name waits for a person")]
    Unknown,
    /// Somebody else holds it, or nobody does and it has to be taken first.
    #[error("you do not hold this ticket: take it first")]
    NotYours,
    /// Another version of it was looked at.
    #[error("the ticket has changed: it has version {now}, not {given}")]
    Stale {
        /// The version it has.
        now: u64,
        /// The version that was named.
        given: u64,
    },
    /// It is decided and cannot be changed.
    #[error("the ticket is decided")]
    Decided,
    /// There is nothing to be undone (any more).
    #[error("there is no decision of yours that can still be undone")]
    TooLate,
    /// The reason is missing or too long.
    #[error("a decision needs a reason of 1 to {MAX_REASON_BYTES} bytes")]
    Reason,
    /// What is not harmful cannot be removed for good.
    #[error("only what is found harmful can be removed for good")]
    Irreversible,
    /// The queue is full.
    #[error("{MAX_TICKETS} tickets wait already")]
    Full,
}

/// What waits, by name.
#[derive(Debug, Default)]
pub struct Queue(BTreeMap<TicketId, Ticket>);

/// A queue in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Count {
    /// Entries that can be taken.
    pub free: u64,
    /// Entries that somebody holds, or that are decided and not in effect.
    pub held: u64,
    /// When the oldest came, in milliseconds since 1970.
    pub oldest_ms: Option<u64>,
}

impl Queue {
    /// Puts a ticket in as it was kept.
    pub fn restore(&mut self, ticket: Ticket) {
        self.0.insert(ticket.id, ticket);
    }

    /// A ticket.
    #[must_use]
    pub fn ticket(&self, id: &TicketId) -> Option<&Ticket> {
        self.0.get(id)
    }

    /// Entries with names above `after` in order of name, of one queue if it is named.
    pub fn after(
        &self,
        after: Option<TicketId>,
        queue: Option<Option<QueueName>>,
    ) -> impl Iterator<Item = &Ticket> {
        let all = self.0.values();
        let above = all.filter(move |ticket| after.is_none_or(|after| ticket.id > after));
        above.filter(move |ticket| queue.as_ref().is_none_or(|queue| ticket.queue == *queue))
    }

    /// Adds what policy wants a person to see; answers the ticket if it changed.
    ///
    /// # Errors
    /// [`Refused::Full`]
    pub fn propose(&mut self, proposal: Proposal) -> Result<Option<&Ticket>, Refused> {
        let id = TicketId::of(&proposal.case);
        if self.0.len() >= MAX_TICKETS && !self.0.contains_key(&id) {
            return Err(Refused::Full);
        }
        match self.0.entry(id) {
            btree_map::Entry::Occupied(ticket) => {
                let ticket = ticket.into_mut();
                Ok(ticket.add(proposal).then_some(ticket))
            }
            btree_map::Entry::Vacant(place) => Ok(Some(place.insert(Ticket::new(proposal)))),
        }
    }

    /// The ticket that a person takes next: what they hold already, else the most severe, then the
    /// oldest; one that somebody asked a second look for is not for the same person only.
    #[must_use]
    pub fn next(
        &self,
        queue: Option<&Option<QueueName>>,
        who: &str,
        now_ms: u64,
    ) -> Option<TicketId> {
        let fits = |ticket: &&Ticket| queue.is_none_or(|queue| ticket.queue == *queue);
        let held = |ticket: &&Ticket| {
            ticket.ruling.is_none() && ticket.lease_at(now_ms).is_some_and(|lease| lease.who == who)
        };
        let order = |ticket: &&Ticket| {
            let urgent = std::cmp::Reverse((ticket.escalated, ticket.severity));
            (urgent, ticket.first_ms, ticket.id)
        };
        let mine = self.0.values().filter(fits).filter(held).min_by_key(order);
        let free =
            || self.0.values().filter(fits).filter(|one| one.is_free(now_ms)).min_by_key(order);
        mine.or_else(free).map(|ticket| ticket.id)
    }

    /// Gives a person a ticket that is free or theirs, for [`LEASE_MS`] from now.
    ///
    /// # Errors
    /// [`Refused`]
    pub fn take(&mut self, id: &TicketId, who: &str, now_ms: u64) -> Result<&Ticket, Refused> {
        let ticket = self.0.get_mut(id).ok_or(Refused::Unknown)?;
        if ticket.ruling.is_some() {
            return Err(Refused::Decided);
        }
        if ticket.lease_at(now_ms).is_some_and(|lease| lease.who != who) {
            return Err(Refused::NotYours);
        }
        ticket.lease =
            Some(Lease { who: who.to_owned(), until_ms: now_ms.saturating_add(LEASE_MS) });
        ticket.version += 1;
        Ok(ticket)
    }

    /// A sign of life: the lease runs anew. The version stays.
    ///
    /// # Errors
    /// [`Refused`]
    pub fn heartbeat(&mut self, id: &TicketId, who: &str, now_ms: u64) -> Result<&Ticket, Refused> {
        let ticket = self.held(id, who, now_ms)?;
        ticket.lease =
            Some(Lease { who: who.to_owned(), until_ms: now_ms.saturating_add(LEASE_MS) });
        Ok(ticket)
    }

    /// Gives a ticket back undecided.
    ///
    /// # Errors
    /// [`Refused`]
    pub fn release(&mut self, id: &TicketId, who: &str, now_ms: u64) -> Result<&Ticket, Refused> {
        let ticket = self.held(id, who, now_ms)?;
        ticket.lease = None;
        ticket.version += 1;
        Ok(ticket)
    }

    /// Decides; it takes effect after [`UNDO_MS`].
    ///
    /// # Errors
    /// [`Refused`]
    pub fn decide(
        &mut self,
        id: &TicketId,
        who: &str,
        (version, finds): (u64, Finds),
        now_ms: u64,
    ) -> Result<&Ticket, Refused> {
        if finds.reason.is_empty() || finds.reason.len() > MAX_REASON_BYTES {
            return Err(Refused::Reason);
        }
        if finds.irreversible && finds.finding != Finding::Harmful {
            return Err(Refused::Irreversible);
        }
        let ticket = self.held(id, who, now_ms)?;
        if ticket.version != version {
            return Err(Refused::Stale { now: ticket.version, given: version });
        }
        let due_ms = now_ms.saturating_add(UNDO_MS);
        ticket.ruling =
            Some(Ruling { who: who.to_owned(), finds, items: ticket.items.len(), due_ms });
        ticket.lease = None;
        ticket.version += 1;
        Ok(ticket)
    }

    /// Takes a decision back that has not taken effect; who made it holds the ticket again.
    ///
    /// # Errors
    /// [`Refused`]
    pub fn undo(&mut self, id: &TicketId, who: &str, now_ms: u64) -> Result<&Ticket, Refused> {
        let ticket = self.0.get_mut(id).ok_or(Refused::Unknown)?;
        let own = ticket
            .ruling
            .as_ref()
            .is_some_and(|ruling| ruling.who == who && ruling.due_ms > now_ms);
        if !own {
            return Err(Refused::TooLate);
        }
        ticket.ruling = None;
        ticket.lease =
            Some(Lease { who: who.to_owned(), until_ms: now_ms.saturating_add(LEASE_MS) });
        ticket.version += 1;
        Ok(ticket)
    }

    /// Entries whose decision takes effect by now.
    #[must_use]
    pub fn due(&self, now_ms: u64) -> Vec<TicketId> {
        let due = |ticket: &&Ticket| ticket.ruling.as_ref().is_some_and(|one| one.due_ms <= now_ms);
        self.0.values().filter(due).map(|ticket| ticket.id).collect()
    }

    /// What is left of a ticket once its decision is in effect: nothing, or what the decision did not
    /// speak of.
    #[must_use]
    pub fn settled(ticket: &Ticket) -> Option<Ticket> {
        let ruling = ticket.ruling.as_ref()?;
        let mut left = Ticket { ruling: None, version: ticket.version + 1, ..ticket.clone() };
        match (ruling.finds.finding, ruling.finds.scope) {
            (Finding::Escalate, _) => {
                left.escalated = true;
                Some(left)
            }
            (_, super::ticket::Scope::Case) => None,
            (_, super::ticket::Scope::Items) => {
                left.items.drain(..ruling.items.min(ticket.items.len()));
                left.escalated = false;
                left.more_items = 0;
                (!left.items.is_empty()).then_some(left)
            }
        }
    }

    /// Replaces a ticket by what is left of it.
    pub fn settle(&mut self, id: &TicketId, left: Option<Ticket>) {
        match left {
            Some(left) => self.0.insert(*id, left),
            None => self.0.remove(id),
        };
    }

    /// How many wait, by queue.
    #[must_use]
    pub fn counts(&self, now_ms: u64) -> BTreeMap<Option<QueueName>, Count> {
        let mut counts = BTreeMap::<Option<QueueName>, Count>::new();
        for ticket in self.0.values() {
            let count = counts.entry(ticket.queue.clone()).or_default();
            let place = if ticket.is_free(now_ms) { &mut count.free } else { &mut count.held };
            *place += 1;
            count.oldest_ms =
                Some(count.oldest_ms.map_or(ticket.first_ms, |ms| ms.min(ticket.first_ms)));
        }
        counts
    }

    fn held(&mut self, id: &TicketId, who: &str, now_ms: u64) -> Result<&mut Ticket, Refused> {
        let ticket = self.0.get_mut(id).ok_or(Refused::Unknown)?;
        if ticket.ruling.is_some() {
            return Err(Refused::Decided);
        }
        if ticket.lease_at(now_ms).is_some_and(|lease| lease.who == who) {
            Ok(ticket)
        } else {
            Err(Refused::NotYours)
        }
    }
}
