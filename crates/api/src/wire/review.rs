//! What waits for a person, as it is shown and decided.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use watchfire_signal::{commitment::Commitment, label::Label, name::ItemId};

use super::{HoldView, State};

/// The queues with what waits in each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReviewQueues {
    /// One a queue that has tickets.
    pub queues: Vec<ReviewQueue>,
}

/// A queue in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReviewQueue {
    /// Its name; `default` where a rule names none.
    pub queue: String,
    /// Entries that can be taken.
    pub free: u64,
    /// Entries that somebody holds, or whose decision is not in effect yet.
    pub held: u64,
    /// When the oldest came, in milliseconds since 1970.
    pub oldest_ms: Option<u64>,
}

/// Which tickets to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReviewPageQuery {
    /// Only this queue; `default` is the one that has no name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// The cursor of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Entries at most, 1 to 200; 50 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// A page of tickets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReviewPage {
    /// The tickets, in order of name.
    pub tickets: Vec<ReviewTicket>,
    /// The cursor of the next page, if there may be one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Something that waits for a person: one thing, however many items show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReviewTicket {
    /// Its name.
    pub id: String,
    /// The queue it waits in.
    pub queue: String,
    /// The case that its items match.
    #[schema(value_type = String)]
    pub case: Commitment,
    /// The signal set that was matched; `/v1/alerts/{id}` of it has what is known.
    #[schema(value_type = String)]
    pub alert: Commitment,
    /// The state of the case now; `LAPSED` or `RETRACTED` is no reason not to look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// Labels of the alert.
    #[schema(value_type = Vec<String>)]
    pub labels: Vec<Label>,
    /// 0 to 4.
    pub severity: u8,
    /// The items, in order of arrival.
    #[schema(value_type = Vec<String>)]
    pub items: Vec<ItemId>,
    /// Items beyond those that are named.
    pub more_items: u64,
    /// When the first came, in milliseconds since 1970.
    pub first_ms: u64,
    /// When the last came.
    pub newest_ms: u64,
    /// What a decision has to name.
    pub version: u64,
    /// Until when somebody holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leased_until_ms: Option<u64>,
    /// What the alert is held for, if it is held: its limit, and what was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<HoldView>,
    /// A person asked for a second look.
    pub escalated: bool,
    /// What was decided and is not in effect yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided: Option<ReviewDecided>,
}

/// A decision that can be undone until it takes effect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReviewDecided {
    /// What it is.
    pub decision: ReviewDecision,
    /// How far it goes.
    pub scope: ReviewScope,
    /// When it takes effect, in milliseconds since 1970.
    pub in_effect_ms: u64,
}

/// The answer to asking for the next ticket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReviewNext {
    /// What to look at; absent when nothing waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket: Option<ReviewTicket>,
}

/// From which queue the next ticket comes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewNextRequest {
    /// Only this queue; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
}

/// What a person says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReviewDecision {
    /// It is what the alert says, or what `label` says: it goes.
    Harmful,
    /// It may stay, and what was taken down comes back.
    Benign,
    /// Somebody else should look.
    Escalate,
}

/// How far a decision goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReviewScope {
    /// The items that stand in the ticket.
    #[default]
    Items,
    /// Those, and whatever matches the case later.
    Case,
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecideRequest {
    /// The version of the ticket that was looked at.
    pub version: u64,
    /// What it is.
    pub decision: ReviewDecision,
    /// How far the decision goes.
    #[serde(default)]
    pub scope: ReviewScope,
    /// What it is instead of what the alert says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub label: Option<Label>,
    /// Whether what is harmful is removed for good: the platform need not be able to bring it back.
    #[serde(default)]
    pub irreversible: bool,
    /// Why.
    pub reason: String,
}
