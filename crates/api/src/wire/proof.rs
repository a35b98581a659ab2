//! What a proof of a case is asked for with; the proof itself has a format of its own.

use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

/// What a proof holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ProofQuery {
    /// Whether the records about the case stay out, so that only leaves are shown and no signals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redact: Option<bool>,
}
