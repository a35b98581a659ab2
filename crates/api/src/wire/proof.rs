//! What a proof of a case is asked for with; the proof itself has a format of its own.

use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use watchfire_signal::{name::ItemId, tlp::Audience};

/// What a proof holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ProofQuery {
    /// Whether the records about the case stay out, so that only leaves are shown and no signals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redact: Option<bool>,
    /// Whom it is for: `organisation`, `clients`, `community` or `public`; `community` when absent. Records of other
    /// members are in it as far as their marks allow that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>)]
    pub audience: Option<Audience>,
    /// The one item that decisions are shown of; all of the case when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>)]
    pub item: Option<ItemId>,
}
