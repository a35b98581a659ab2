//! What was done on the platform about an item, what is still to be done, and what a person has to
//! look at.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use watchfire_signal::{commitment::Commitment, name::ItemId};

/// Which effects: those on an item, or a page of those in a state or of those that come too late;
/// exactly one of the three.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ActionQuery {
    /// The platform's own id of the item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>)]
    pub item: Option<ItemId>,
    /// The state, for whatever item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<EffectState>,
    /// Those that wait, and that their connector cannot begin within its `within_s`, because they have
    /// waited for so long already or because its budget has no place for them in time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
    /// Only effects after this one: `next` of the page before. Goes with `state` and `late`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// How many at most; 100 when absent. Goes with `state` and `late`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// Effects, in the order in which they were decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Effects {
    /// The effects.
    pub actions: Vec<EffectView>,
    /// What to ask for `after`; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// Something done or to be done on the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EffectView {
    /// Its name, in hexadecimal; the `webhook-id` that the platform sees.
    pub name: String,
    /// The item.
    pub item: String,
    /// The action: `remove`, `restore`, ….
    pub action: String,
    /// What carries it out.
    pub connector: String,
    /// The case that caused it.
    #[schema(value_type = String)]
    pub case: Commitment,
    /// The record of that case that caused it.
    #[schema(value_type = String)]
    pub record: Commitment,
    /// How often the item was acted on for this case before.
    pub round: u32,
    /// Whether the platform must be able to take it back.
    pub reversible: bool,
    /// Where it stands.
    pub state: EffectState,
    /// How often an attempt was begun; 0: the platform never heard of it.
    pub attempts: u32,
    /// When it was decided, in milliseconds since 1970-01-01 UTC.
    pub created_ms: u64,
    /// When it is tried next while pending, in milliseconds since 1970-01-01 UTC.
    pub due_ms: u64,
    /// The last answer of the platform.
    pub note: String,
}

/// Where an effect stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EffectState {
    /// To be tried when due.
    Pending,
    /// Carried out and verified.
    Done,
    /// Given up after the last attempt: a person can try it again or drop it.
    Dead,
    /// No longer wanted when its turn came.
    Cancelled,
    /// Given up by a person.
    Dropped,
}

/// Why a person rules about an item.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleRequest {
    /// In a person's words; stays in the desk log of this node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}
