//! The members of the coalition as this node sees them, and what members tell each other beside frames.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use watchfire_signal::name::{CoalitionName, LogName, MemberName, OrganisationName};

use super::evidence::Evidence;

/// This node and the other members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Members {
    /// Who answers.
    #[serde(rename = "self")]
    #[schema(value_type = String)]
    pub me: MemberName,
    /// The coalition.
    #[schema(value_type = String)]
    pub coalition: CoalitionName,
    /// The number of the charter in force.
    pub charter_seq: u64,
    /// Its hash, in hexadecimal.
    pub charter_hash: String,
    /// All members, this one too.
    pub members: Vec<MemberView>,
}

/// A member of the coalition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemberView {
    /// Its name.
    #[schema(value_type = String)]
    pub name: MemberName,
    /// Its organisation.
    #[schema(value_type = String)]
    pub organisation: OrganisationName,
    /// Its role: `platform`, `contributor`, `convenor`, `auditor` or `witness`.
    pub role: String,
    /// Where it is reached; absent when it opens all streams itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Its log.
    #[schema(value_type = String)]
    pub log: LogName,
    /// How much of its log this node holds, in entries.
    pub held: u64,
    /// Up to which size its log is effective here.
    pub effective_here: u64,
    /// Up to which size this node's log is effective there, by its own word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_there: Option<u64>,
    /// Whether the stream from it stands; absent for this node itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_up: Option<bool>,
    /// Records of its logs that are missing here, although this node may have them: whoever wrote them has to see that
    /// others get them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub missing: u64,
    /// Why the stream ended last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Whether its log has shown two histories: nothing more of it is taken here, and
    /// `/log/MEMBER/evidence` proves it.
    pub forked: bool,
    /// Whether two anchors in its logs do not go together: its desk log has lost lines, or was rewritten.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub desk_rewritten: bool,
    /// Entries that are beyond its quota of records or bytes, of the day that its log dates last: they say nothing,
    /// and are taken slowly. Absent where there is none. What is beyond its live alerts or disputes is taken as fast
    /// as else, says nothing either, and is counted in `watchfire_entries_ignored_total`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub beyond_quota: u64,
    /// How much of its quotas it has used, and how much there is of each; absent where nothing of its log is folded here,
    /// or the fold is too busy to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quotas: Option<QuotasView>,
    /// Members that want it halted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub halted_by: Vec<MemberName>,
    /// Whether enough organisations do: nothing it stands by counts.
    pub halted: bool,
    /// Members that want it suspended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub suspended_by: Vec<MemberName>,
    /// Entries of its log that are accepted, once enough organisations have suspended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended_at: Option<u64>,
}

/// What a member has used of its quotas, counted as all members count it, and what the charter in force allows. A day is
/// one of UTC. What is beyond a quota counts as a record or dispute too, so that more can be used than is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuotasView {
    /// Records today; not retractions, halts and erasures, which have no such quota.
    pub records_a_day: QuotaView,
    /// Those of them that dispute.
    pub disputes_a_day: QuotaView,
    /// Bytes of their bodies, each rounded up to a whole KiB.
    pub bytes_a_day: QuotaView,
    /// Alerts that are live now: asserts, amendments and variants that it has not taken back and whose lease is not over.
    pub live_alerts: QuotaView,
}

/// One quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuotaView {
    /// How much is used.
    pub used: u64,
    /// How much there is.
    pub allowed: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// This member's vote for a stop of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StopAnswer {
    /// The log that it stands in.
    #[schema(value_type = String)]
    pub log: LogName,
    /// Its index there.
    pub index: u64,
    /// Whether the member is halted now.
    pub halted: bool,
    /// Whether it is suspended now.
    pub suspended: bool,
}

/// Up to which size logs are effective at the member that says so, and except for what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Sizes by the names of logs.
    #[schema(value_type = Object)]
    pub effective: BTreeMap<LogName, u64>,
    /// Indices below them whose records are missing there, by the names of logs; at most 64 of each. With more of them
    /// the size is no larger than the first that does not fit.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = Object)]
    pub except: BTreeMap<LogName, Vec<u64>>,
}

/// What a member holds of all logs, and what it can prove of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HeadsExchange {
    /// The newest signed checkpoint of each log, by the log's name.
    #[schema(value_type = Object)]
    pub heads: BTreeMap<LogName, String>,
    /// Proofs that logs have shown two histories.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proofs: Vec<Evidence>,
}

/// Records that a node lacks of those that it may have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LackingAnswer {
    /// Some indices of each log, by its name; another time the next ones.
    #[schema(value_type = Object)]
    pub lacking: BTreeMap<LogName, Vec<u64>>,
}

/// What became of a record that was brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TakenAnswer {
    /// Whether it was lacking, and belongs there.
    pub taken: bool,
}

/// How much of a log the receiver of frames now holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SizeAnswer {
    /// Entries.
    pub size: u64,
}

/// Whether this node is ready to serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReadyView {
    /// In a word.
    pub readiness: Readiness,
    /// Why it failed; or, when it is ready, what falls short of its configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Whether a node may say something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Readiness {
    /// Peers are being asked what they hold of this node's log.
    Recovering,
    /// Everything works.
    Ready,
    /// A person has to look.
    Failed,
}
