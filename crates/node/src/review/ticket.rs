//! One thing that waits for a person: a case, with the items of this platform that match it.
//!
//! **Invariant:** items that match the same case are near-duplicates and stand in one ticket, so that a
//! person sees the thing once.
//! **Invariant:** the id follows from the case, so folding again puts nothing into the queue twice.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use watchfire_signal::{
    commitment::Commitment,
    hex::{self, HexError},
    label::Label,
    name::{ItemId, QueueName},
};

use crate::{content::ContentPlace, reasons::Reason};

/// Items that a ticket names; those beyond are counted.
pub const MAX_ITEMS: usize = 1_000;
/// Keeps this hash apart from every other use of SHA-256.
const DOMAIN: &[u8] = b"watchfire/review/v1\0";

/// The name of a ticket.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TicketId(pub [u8; 32]);

impl TicketId {
    /// The name of what waits about a case.
    #[must_use]
    pub fn of(case: &Commitment) -> Self {
        Self(Sha256::new().chain_update(DOMAIN).chain_update(case.0).finalize().into())
    }
}

impl fmt::Display for TicketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for TicketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TicketId({self})")
    }
}

impl FromStr for TicketId {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        hex::decode(text).map(Self)
    }
}

impl TryFrom<String> for TicketId {
    type Error = HexError;

    fn try_from(text: String) -> Result<Self, HexError> {
        text.parse()
    }
}

impl From<TicketId> for String {
    fn from(id: TicketId) -> Self {
        id.to_string()
    }
}

/// Something that is to wait for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The queue that policy names; `None` is the default one.
    pub queue: Option<QueueName>,
    /// The case that the item matches.
    pub case: Commitment,
    /// The signal set of it that the item matches.
    pub set: Commitment,
    /// Labels of the alert.
    pub labels: Vec<Label>,
    /// 0 to 4.
    pub severity: u8,
    /// The item.
    pub item: ItemId,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// The content that it matches, if it is one of a bank.
    pub content: Option<ContentPlace>,
}

impl Proposal {
    /// An item that policy wants a person to see, and why.
    #[must_use]
    pub fn new(reason: &Reason, item: ItemId, at_ms: u64) -> Self {
        Self {
            queue: reason.decision.then.queue.clone(),
            case: reason.case,
            set: reason.record,
            labels: reason.facts.labels.clone(),
            severity: reason.facts.severity,
            item,
            at_ms,
            content: reason.content(),
        }
    }
}

/// Something that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Its name.
    pub id: TicketId,
    /// The queue it waits in; `None` is the default one.
    pub queue: Option<QueueName>,
    /// The case.
    pub case: Commitment,
    /// The signal set that was matched last.
    pub set: Commitment,
    /// Labels of the alert.
    pub labels: Vec<Label>,
    /// 0 to 4.
    pub severity: u8,
    /// Items that match, in order of arrival.
    pub items: Vec<ItemId>,
    /// Items beyond [`MAX_ITEMS`].
    pub more_items: u64,
    /// When the first came, in milliseconds since 1970.
    pub first_ms: u64,
    /// When the last came.
    pub newest_ms: u64,
    /// Counts up with every change by a person.
    pub version: u64,
    /// Who works on it.
    pub lease: Option<Lease>,
    /// What was decided and takes effect soon.
    pub ruling: Option<Ruling>,
    /// A person asked for a second look.
    pub escalated: bool,
    /// The content that was matched, if it is one of a bank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<ContentPlace>,
}

/// A person works on a ticket until a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Who, as the desk log names them.
    pub who: String,
    /// Until when, in milliseconds since 1970.
    pub until_ms: u64,
}

/// What a person says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// It is what the alert says, or what the label of the decision says.
    Harmful,
    /// It may stay, and what was taken down comes back.
    Benign,
    /// Somebody else should look.
    Escalate,
}

/// How far a decision goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The items that stand in the ticket when it is decided.
    Items,
    /// Those, and whatever matches the case later.
    Case,
}

/// A decision, before the one who makes it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finds {
    /// What it is.
    pub finding: Finding,
    /// How far it goes.
    pub scope: Scope,
    /// What it is instead of what the alert says.
    pub label: Option<Label>,
    /// Whether what is harmful is removed for good.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub irreversible: bool,
    /// Why, in the person's words.
    pub reason: String,
}

/// A decision that can be undone until it takes effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruling {
    /// Who decided.
    pub who: String,
    /// What.
    pub finds: Finds,
    /// Items of the ticket that it speaks of: the first so many.
    pub items: usize,
    /// When it takes effect, in milliseconds since 1970.
    pub due_ms: u64,
}

impl Ticket {
    /// The first item of a case that has to wait.
    #[must_use]
    pub fn new(proposal: Proposal) -> Self {
        let Proposal { queue, case, set, labels, severity, item, at_ms, content } = proposal;
        Self {
            id: TicketId::of(&case),
            queue,
            case,
            set,
            labels,
            severity,
            items: vec![item],
            more_items: 0,
            first_ms: at_ms,
            newest_ms: at_ms,
            version: 1,
            lease: None,
            ruling: None,
            escalated: false,
            content,
        }
    }

    /// Adds an item; false if it was there.
    pub fn add(&mut self, proposal: Proposal) -> bool {
        self.severity = self.severity.max(proposal.severity);
        if self.items.contains(&proposal.item) {
            return false;
        }
        (self.set, self.labels) = (proposal.set, proposal.labels);
        self.newest_ms = self.newest_ms.max(proposal.at_ms);
        if self.items.len() < MAX_ITEMS {
            self.items.push(proposal.item);
        } else {
            self.more_items += 1;
        }
        true
    }

    /// The lease that holds at a moment.
    #[must_use]
    pub fn lease_at(&self, now_ms: u64) -> Option<&Lease> {
        self.lease.as_ref().filter(|lease| lease.until_ms > now_ms)
    }

    /// Whether it can be taken.
    #[must_use]
    pub fn is_free(&self, now_ms: u64) -> bool {
        self.ruling.is_none() && self.lease_at(now_ms).is_none()
    }
}
