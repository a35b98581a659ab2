//! The member's policy: the file in force, trials of another one, explanations, and what limits hold.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use watchfire_signal::{
    commitment::Commitment,
    name::{ItemId, MemberName},
};

/// A policy file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyText {
    /// The file, in TOML.
    pub text: String,
}

/// The policy in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyView {
    /// Its version.
    pub version: u32,
    /// The file; absent while the policy of the configuration is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The SHA-256 of the file, in hexadecimal; it stands in the desk log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// When it came into force, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_ms: Option<u64>,
    /// Who applied it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
}

/// What came of applying a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyApplied {
    /// The version in force now.
    pub version: u32,
    /// Whether it was not in force before.
    pub changed: bool,
}

/// A step of a trial of a policy on what was decided before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BacktestRequest {
    /// The file to try, in TOML; absent: the policy in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// From when on, in milliseconds since 1970; for the first step.
    #[serde(default)]
    pub since_ms: u64,
    /// The `next` of the step before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// One step of a trial; the counts of all steps add up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BacktestStep {
    /// What would be done: `decisions`, `judged`, `changed`, and for each of `rules` its `mode`, `acts`,
    /// `newly`, `no_longer`, `overlap`, `harmful`, `benign`.
    #[schema(value_type = Object)]
    pub report: serde_json::Value,
    /// For the next step; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Up to when decisions were replayed, in milliseconds since 1970.
    pub until_ms: u64,
    /// Now, by the node's clock.
    pub now_ms: u64,
}

/// A rule to be put in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PromoteRequest {
    /// Its id.
    pub rule: String,
}

/// Which item to explain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExplainQuery {
    /// The platform's own id of the item.
    #[param(value_type = String)]
    pub item: ItemId,
}

/// Why an item is decided as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ExplainView {
    /// The item.
    #[schema(value_type = String)]
    pub item: ItemId,
    /// Each match: its `facts`, what it `counts_as`, the `cap` (with what `lowered` it, where this member's role does
    /// not enforce), and for each of `rules` whether it
    /// `fired` and its `conditions` with what it `wants`, what is `known`, and whether it `fits`.
    #[schema(value_type = Vec<Object>)]
    pub matches: Vec<serde_json::Value>,
}

/// A case whose take-downs wait for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HoldView {
    /// The case.
    #[schema(value_type = String)]
    pub case: Commitment,
    /// The alert whose signals matched.
    #[schema(value_type = String)]
    pub record: Commitment,
    /// Who brought it.
    #[schema(value_type = String)]
    pub source: MemberName,
    /// The limit that it would pass, as the policy file names it; or `benign_set`, which no policy changes.
    pub limit: String,
    /// Copies that would have gone.
    pub copies: u64,
    /// What was found, in a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub found: String,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HoldsView {
    /// In order of their names.
    pub holds: Vec<HoldView>,
}
