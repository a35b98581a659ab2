//! What was done on the platform about an item, and what is still to be done.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use watchfire_signal::{commitment::Commitment, name::ItemId};

/// The effects on an item, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Effects {
    /// The effects.
    pub actions: Vec<EffectView>,
}

/// Something done or to be done on the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EffectView {
    /// Its name, in hexadecimal; the `webhook-id` that the platform sees.
    pub name: String,
    /// The item.
    #[schema(value_type = String)]
    pub item: ItemId,
    /// The action: `remove`, `restore`, ….
    pub action: String,
    /// What carries it out.
    pub connector: String,
    /// The case that caused it.
    #[schema(value_type = String)]
    pub case: Commitment,
    /// How often the item was acted on for this case before.
    pub round: u32,
    /// Where it stands.
    pub state: EffectState,
    /// How often it was tried.
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
    /// Given up after the last attempt.
    Dead,
    /// Overtaken before it was carried out.
    Cancelled,
}
