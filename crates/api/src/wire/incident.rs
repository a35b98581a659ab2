//! Incidents: declared, agreed with, changed, ended.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use watchfire_signal::{
    commitment::Commitment,
    name::{LogName, MemberName},
};

/// An incident to declare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IncidentRequest {
    /// 1 awareness, 2 content, 3 critical.
    #[schema(minimum = 1, maximum = 3)]
    pub level: u8,
    /// A neutral title, at most 256 bytes.
    #[schema(example = "Attack on a market, live-streamed")]
    pub title: String,
    /// What belongs to it, at most 4,000 bytes.
    pub criteria: String,
    /// Where it happens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,
    /// The cases that it ties.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub cases: Vec<Commitment>,
    /// More words: safe messaging, evidence, references to other protocols.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// A drill: it travels and changes nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub test: bool,
    /// Declares it although this organisation's last one lapsed, or waits: nothing is raised before another
    /// organisation agrees.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ask_approval: bool,
}

/// What changes in an incident; what is absent stays. Cases are added.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IncidentUpdateRequest {
    /// Its title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What belongs to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub criteria: Option<String>,
    /// Where it happens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regions: Option<Vec<String>>,
    /// Cases that it ties as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub cases: Vec<Commitment>,
    /// More words; after its end, the debrief.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Agrees that an incident is what it says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CosignRequest {}

/// Says that an incident is over.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConcludeRequest {
    /// Why, or the debrief.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The state of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IncidentState {
    /// Its declarer's last one lapsed shortly before: another organisation has to agree first.
    Refused,
    /// It raises readiness and waits for cosigners; no cap has changed.
    Declared,
    /// Enough organisations stand by it.
    InForce,
    /// Not enough organisations did in time.
    Lapsed,
    /// It is over.
    Concluded,
}

/// What was said of an incident, as the node wrote it down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IncidentAnswer {
    /// The incident: the commitment of its declaration.
    #[schema(value_type = String)]
    pub id: Commitment,
    /// The index in this member's log.
    pub index: u64,
    /// The state now.
    pub state: IncidentState,
}

/// All incidents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IncidentList {
    /// The latest declared first.
    pub incidents: Vec<IncidentView>,
}

/// An incident as this node knows it. Times are milliseconds since 1970-01-01 UTC by this node's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IncidentView {
    /// The commitment of its declaration.
    #[schema(value_type = String)]
    pub id: Commitment,
    /// The log that its declaration stands in.
    #[schema(value_type = String)]
    pub log: LogName,
    /// The index there.
    pub index: u64,
    /// Whether the record of its declaration was erased: then nothing is raised by it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub erased: bool,
    /// Who declared it.
    #[schema(value_type = String)]
    pub declarer: MemberName,
    /// The state now.
    pub state: IncidentState,
    /// 1 awareness, 2 content, 3 critical; 0 while its record is missing.
    pub level: u8,
    /// A drill.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub test: bool,
    /// Its title, by its declarer's latest word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What belongs to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub criteria: Option<String>,
    /// Where it happens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,
    /// More words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The cases that those who stand by it tie.
    #[schema(value_type = Vec<String>)]
    pub cases: Vec<Commitment>,
    /// Members that agree.
    #[schema(value_type = Vec<String>)]
    pub cosigned_by: Vec<MemberName>,
    /// How many organisations beside the declarer's have to agree.
    pub cosigners_needed: u32,
    /// Members that want it over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub concluded_by: Vec<MemberName>,
    /// When it was declared.
    pub declared_ms: u64,
    /// When it lapses without cosigners, while it waits for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lapses_ms: Option<u64>,
    /// Since when it is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_force_ms: Option<u64>,
    /// When it ends, or ended; by itself twelve hours after the last new case or variant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_ms: Option<u64>,
    /// Until when a debrief is owed, once it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debrief_due_ms: Option<u64>,
    /// What happened to its cases, at least: counts are told in powers of two.
    pub counts: IncidentCounts,
}

/// What happened to the cases of an incident, over all members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct IncidentCounts {
    /// Signal sets beside those that founded its cases.
    pub variants: u64,
    /// Copies seen, at least.
    pub sightings: u64,
    /// Uploads refused, at least.
    pub blocked: u64,
    /// Copies removed, at least.
    pub removed: u64,
    /// Copies put back, at least.
    pub restored: u64,
}
