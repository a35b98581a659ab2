//! What happens at a node, as server-sent events: the id counts up, the data is JSON.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The data of one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventView {
    /// Counts up by one. Begins at the microsecond in which the node started, so no number comes twice.
    pub id: u64,
    /// When, in milliseconds since 1970-01-01 UTC.
    pub at_ms: u64,
    /// What: `received`, `case`, `effect`, `receipt` or `fork`.
    pub event: String,
    /// More of it, by kind.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub more: serde_json::Map<String, serde_json::Value>,
}
