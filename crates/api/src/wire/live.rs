//! A stream that is judged while it comes in: a video goes in, a verdict on each rolling segment comes out.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use watchfire_signal::{name::ItemId, value::Span};

use super::Verdict;
use crate::problem::Problem;

/// Seconds of a stream that are judged together, where the caller does not say.
pub const DEFAULT_SEGMENT_S: u32 = 60;

/// Seconds of a stream after which the next segment is judged, where the caller does not say.
pub const DEFAULT_EVERY_S: u32 = 5;

/// What goes with a stream in the address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LiveQuery {
    /// The platform's own id of the item.
    #[param(value_type = String)]
    pub item: ItemId,
    /// Facts about the item that policy may ask for, as a JSON object; `live` is true unless it says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(example = "{\"context\":\"news\"}")]
    pub facts: Option<String>,
    /// Seconds of the stream that are judged together: 1 to 600, 60 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment_s: Option<u32>,
    /// Seconds of the stream after which the next segment is judged: 1 to 600, 5 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_s: Option<u32>,
}

/// The verdict on a segment of a stream; the last one is on all of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LiveVerdict {
    /// From its first frame to its last, in the time of the stream, `{start_ms, end_ms}`.
    #[schema(value_type = Object)]
    pub segment_ms: Span,
    /// What to do.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// A line of the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum LiveLine {
    /// A segment was judged.
    Judged(Box<LiveVerdict>),
    /// The stream cannot be looked at any further.
    Broken {
        /// Why.
        problem: Problem,
    },
}
