//! A signal comes in, the known signals near it go out, whatever this node's policy makes of them.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use watchfire_signal::value::Kind;

use super::{BankMatch, Match};

/// The signal to look up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LookupQuery {
    /// `sha256`, `md5`, `pdq`, `vpdq`, `text` or `url`.
    #[param(value_type = String)]
    pub kind: Kind,
    /// The value in its text form.
    pub value: String,
}

/// What is known near a signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Lookups {
    /// Cases of the coalition.
    pub matches: Vec<Match>,
    /// Contents of this member's own banks, of those that are on.
    #[serde(default)]
    pub banks: Vec<BankMatch>,
}
