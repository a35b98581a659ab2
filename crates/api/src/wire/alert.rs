//! Alerts: raised, answered, shown with the members that are protected by them.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use watchfire_signal::{
    alert::{ContentKind, Exception, Suggestion},
    commitment::Commitment,
    header::{Provenance, Review},
    label::Label,
    link::LinkScope,
    name::{GroupName, ItemId, LogName, MemberName, OrganisationName},
    reason::Reason,
    statement::{AppealResult, AppealStage, Basis, Done, Resolution},
    tlp::Tlp,
    value::Span,
};

use super::{SignalJson, SignalSummary, State};

/// How long an alert is valid unless the request says otherwise: 90 days.
pub const DEFAULT_VALID_FOR_S: u64 = 90 * 24 * 60 * 60;

/// An alert to raise: known by its signals, by a text or a link that the node fingerprints, or, as the part `alert`
/// beside a part `media`, by a file whose signals the node makes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertRequest {
    /// The platform's own id of the item that was reported; stays at this node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "tiktok:123")]
    pub item: Option<ItemId>,
    /// What kind of content it is: `image`, `video`, `audio`, `text` or `url`. Needed with `signals` alone; with a
    /// text, a link or a file it is that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "video")]
    pub kind: Option<ContentKind>,
    /// How to recognise it, 1 to 64 signals; absent with a file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<SignalJson>,
    /// The text itself: it is fingerprinted here and ends here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The link itself: it is fingerprinted here and ends here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What the link stands for: `exact` for itself, `prefix` for all that lies under its path, `host` for its host and
    /// those below it; `exact` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "exact")]
    pub url_scope: Option<LinkScope>,
    /// The harmful part of the file when it is a video, `{start_ms, end_ms}`; all of it when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub span: Option<Span>,
    /// What it is, 1 to 16 labels of one family.
    #[schema(value_type = Vec<String>, example = json!(["self_harm.suicide_depiction"]))]
    pub labels: Vec<Label>,
    /// How bad it is, 0 to 4.
    #[schema(maximum = 4)]
    pub severity: u8,
    /// How sure the author is, 0 to 100.
    #[serde(default = "certain")]
    #[schema(maximum = 100)]
    pub confidence: u8,
    /// Who has looked: `unreviewed`, `automatic`, `one_human`, `two_humans` or `external`.
    #[schema(value_type = String, example = "one_human")]
    pub review: Review,
    /// Where it comes from: `own_detection`, `user_report`, `trusted_flagger`, `victim`, `member` or
    /// `government_request`.
    #[schema(value_type = String, example = "user_report")]
    pub provenance: Provenance,
    /// The authority that asked, exactly with `government_request`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// What the author suggests: `monitor`, `label`, `age_gate`, `demote`, `review`, `block_upload` or `remove`.
    #[serde(default = "remove")]
    #[schema(value_type = String)]
    pub suggestion: Suggestion,
    /// Contexts in which it should stay: `news`, `documentation`, `education`, `art`, `counter_speech`, `survivor`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub exceptions: Vec<Exception>,
    /// How long it is valid, in seconds; 90 days when absent.
    #[serde(default = "default_valid_for_s")]
    pub valid_for_s: u64,
    /// A drill: it travels and is folded, and nobody acts on it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub test: bool,
    /// Whether it is raised although the preflight finds that it is about what is everybody's. Others hold it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub anyway: bool,
    /// The sharing group that gets the record; `all` is every member.
    #[serde(default = "GroupName::all")]
    #[schema(value_type = String)]
    pub group: GroupName,
    /// To whom those who get it may hand on what it says, a mark of the Traffic Light Protocol 2.0: `TLP:CLEAR`,
    /// `TLP:GREEN`, `TLP:AMBER`, `TLP:AMBER+STRICT` or `TLP:RED`. When absent what the group
    /// implies, `TLP:GREEN` of `all`, `TLP:AMBER` of any other, or that of the case of `of`, if narrower.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "TLP:AMBER")]
    pub tlp: Option<Tlp>,
    /// Whether copies should be kept as evidence where they are removed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub evidence_hold: bool,
    /// The incident that it belongs to: commitment of its declaration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub incident: Option<Commitment>,
    /// An alert of the case that these signals are added to: with `transform` as those of an edited copy, without it, by
    /// the case's author alone, as more of the same. They begin with a state of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub of: Option<Commitment>,
    /// What was done to the copy, such as `mirrored`, at most 256 bytes; only with `of`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "mirrored")]
    pub transform: Option<String>,
}

/// What an alert would hit, before it is raised. Receivers find the same by their own tables, and hold it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PreflightView {
    /// Whether it would be refused without `anyway`.
    pub refused: bool,
    /// What of the benign set a signal is near: blank frames, test cards, empty templates, words that everybody
    /// writes, hosts that half the world is under, files in which nothing stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "test-card-wide")]
    pub benign: Option<String>,
    /// Signals below the quality floor: a match of them goes to a person at most.
    pub thin: u64,
    /// Items of this platform that it matches.
    pub copies: u64,
    /// Items a day that it matched here in the week that ended a day ago.
    pub expected_a_day: u64,
    /// What would hold it here: a limit of the policy in force, or `benign_set`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// Signals that are left out of it, because the charter has no local features travel.
    #[serde(default)]
    pub left_out: u64,
    /// Its signals, without their values and without those.
    pub signals_summary: Vec<SignalSummary>,
}

/// An alert as the node raised it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Raised {
    /// Its name: the commitment of its record.
    #[schema(value_type = String)]
    pub id: Commitment,
    /// The log that it stands in.
    #[schema(value_type = String)]
    pub log: LogName,
    /// Its index there.
    pub index: u64,
    /// The state of its case.
    pub state: State,
    /// Its signals, without their values.
    pub signals_summary: Vec<SignalSummary>,
    /// What the preflight found, in sentences; nothing is a good sign.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// An answer to an alert as the node wrote it down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Answered {
    /// The log that it stands in.
    #[schema(value_type = String)]
    pub log: LogName,
    /// Its index there.
    pub index: u64,
    /// The state of the case now.
    pub state: State,
}

/// Confirms an alert: it is harmful.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmRequest {
    /// On what grounds: `own_copy_seen_by_human`, which counts, or `automatic_match`, which does not.
    #[schema(value_type = String, example = "own_copy_seen_by_human")]
    pub basis: Basis,
}

/// Disputes an alert: it is not what it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DisputeRequest {
    /// Why: `wrong_match`, `hash_collision`, `benign_context`, `mislabelled`, `out_of_scope`, `legal_local`,
    /// `victim_withdrew`, `duplicate`, `test`, `compromised_issuer` or `undisclosed_government_pressure`.
    #[schema(value_type = String, example = "benign_context")]
    pub reason: Reason,
    /// More words, for the members of the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Takes this member's own opinion back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetractRequest {
    /// Why, one of the reasons of a dispute.
    #[schema(value_type = String, example = "wrong_match")]
    pub reason: Reason,
    /// Whether what it caused should come back.
    pub restore: bool,
    /// More words, for the members of the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Has a case last longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewRequest {
    /// How long from now, in seconds; 90 days when absent, and at most.
    #[serde(default = "default_valid_for_s")]
    pub valid_for_s: u64,
}

/// Ends a dispute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolveRequest {
    /// The member that disputes it.
    #[schema(value_type = String)]
    pub member: MemberName,
    /// How it ends: the alert `stands`, or is `withdrawn`.
    #[schema(value_type = String, example = "stands")]
    pub outcome: Resolution,
    /// More words, for the members of the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Agrees with a retraction that waits for that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CosignRetractionRequest {
    /// The member that retracts.
    #[schema(value_type = String)]
    pub member: MemberName,
}

/// Says that two cases are of the same thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinRequest {
    /// The other case.
    #[schema(value_type = String)]
    pub other: Commitment,
}

/// Tells of an appeal of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AppealRequest {
    /// How far it is: `opened` or `result`.
    #[schema(value_type = String, example = "opened")]
    pub stage: AppealStage,
    /// How it was decided, exactly at the stage `result`: what was done is `upheld` or `overturned`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub result: Option<AppealResult>,
}

/// Has a record erased everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EraseRequest {
    /// Why, one of the reasons of a dispute; stands in clear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "victim_withdrew")]
    pub reason: Option<Reason>,
}

/// Has any record erased everywhere: of an alert, an opinion, the end of a dispute, an incident or a word about one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EraseRecordRequest {
    /// The log that it stands in.
    #[schema(value_type = String, example = "watchfire/demo/tiktok/1")]
    pub log: LogName,
    /// Its index there.
    pub index: u64,
    /// Why, one of the reasons of a dispute; stands in clear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "victim_withdrew")]
    pub reason: Option<Reason>,
}

/// Where this member's word for an erasure stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErasureAnswer {
    /// The log of this member.
    #[schema(value_type = String)]
    pub log: LogName,
    /// The index there.
    pub index: u64,
    /// Whether the record is this member's own, so that this word is enough.
    pub own: bool,
}

/// What members count of a case, in buckets: the number of binary digits of a count.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct CountsView {
    /// Copies that members have seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sightings: Vec<SightingView>,
    /// What they did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outcomes: Vec<OutcomeView>,
    /// Appeals that were opened.
    pub appeals_opened: u64,
    /// Appeals after which what was done stood.
    pub appeals_upheld: u64,
    /// Appeals after which it was undone.
    pub appeals_overturned: u64,
}

/// How many copies a member has seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SightingView {
    /// The member.
    #[schema(value_type = String)]
    pub member: MemberName,
    /// Binary digits of their number.
    pub bucket: u8,
    /// The time in which it saw them, in milliseconds.
    pub window_ms: u64,
}

/// What a member did with copies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutcomeView {
    /// The member.
    #[schema(value_type = String)]
    pub member: MemberName,
    /// What: `removed`, `blocked`, `labelled`, `left` or `restored`.
    #[schema(value_type = String)]
    pub what: Done,
    /// Binary digits of the number of copies.
    pub bucket: u8,
}

/// Asks that nobody acts on a case, or on what a member stands by; enough organisations make it so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StopRequest {
    /// Why, one of the reasons of a dispute.
    #[schema(value_type = String, example = "compromised_issuer")]
    pub reason: Reason,
    /// Whether this member's own request is taken back.
    #[serde(default)]
    pub withdraw: bool,
}

/// An alert as this node knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlertView {
    /// Its place and state.
    #[serde(flatten)]
    pub summary: AlertSummary,
    /// The header and body of its record as JSON; the body is absent while the record is missing.
    #[schema(value_type = Object)]
    pub header: serde_json::Value,
    /// The body: kind, signals, labels, confidence, suggestion, exceptions, validity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub alert: Option<serde_json::Value>,
    /// What each member says of it.
    pub opinions: Vec<OpinionView>,
    /// Members that want its case halted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub halted_by: Vec<MemberName>,
    /// Members whose retraction, or erasure of what they stood by, is beyond their quota an hour: it counts once another
    /// organisation agrees.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub retractions_waiting: Vec<MemberName>,
    /// Whether its record was erased.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub erased: bool,
    /// Cases of the same thing, by the word of either author.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub joined: Vec<Commitment>,
    /// What members count.
    pub counts: CountsView,
    /// Where it is effective.
    pub members: Vec<Protection>,
}

/// An alert in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlertSummary {
    /// Its name: the commitment of its record.
    #[schema(value_type = String)]
    pub id: Commitment,
    /// Its case: commitment of the founding assert.
    #[schema(value_type = String)]
    pub case: Commitment,
    /// The member that raised it.
    #[schema(value_type = String)]
    pub author: MemberName,
    /// The log that it stands in.
    #[schema(value_type = String)]
    pub log: LogName,
    /// Its index there.
    pub index: u64,
    /// The state of its case now.
    pub state: State,
    /// Its labels.
    #[schema(value_type = Vec<String>)]
    pub labels: Vec<Label>,
    /// How bad it is, 0 to 4.
    pub severity: u8,
    /// To whom what it says may be handed on: its mark, or the one that its group implies.
    #[schema(value_type = String, example = "TLP:GREEN")]
    pub tlp: Tlp,
    /// A drill.
    pub test: bool,
    /// When this node had verified it, in milliseconds since 1970-01-01 UTC.
    pub verified_ms: u64,
}

/// What a member says of an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OpinionView {
    /// The member.
    #[schema(value_type = String)]
    pub member: MemberName,
    /// What it says.
    pub stance: Stance,
    /// Whether a person of that member has looked.
    pub human: bool,
    /// When this node had verified it, in milliseconds since 1970-01-01 UTC.
    pub verified_ms: u64,
}

/// A member's present opinion of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stance {
    /// It is harmful.
    Positive,
    /// It is not what the alert says.
    Disputes,
    /// The member has taken its opinion back.
    Withdrawn,
}

/// Whether an alert is effective at a member: its next scan answers by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Protection {
    /// The member.
    #[schema(value_type = String)]
    pub member: MemberName,
    /// Its organisation.
    #[schema(value_type = String)]
    pub organisation: OrganisationName,
    /// Whether it is effective there, by the member's own word.
    pub effective: bool,
    /// When this node learned that, in milliseconds since 1970-01-01 UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_at_ms: Option<u64>,
    /// How long after this node had verified the alert, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_ms: Option<u64>,
}

/// Which page of alerts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AlertPageQuery {
    /// Only alerts after this one: `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>)]
    pub after: Option<Commitment>,
    /// How many at most; 100 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// A page of alerts, in order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlertPage {
    /// The alerts.
    pub alerts: Vec<AlertSummary>,
    /// What to ask for `after`; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub next: Option<Commitment>,
}

fn certain() -> u8 {
    100
}

fn remove() -> Suggestion {
    Suggestion::Remove
}

fn default_valid_for_s() -> u64 {
    DEFAULT_VALID_FOR_S
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    const LEAST: &str = r#"{"labels":["self_harm.suicide_depiction"],"severity":3,"review":"one_human",
        "provenance":"user_report"}"#;

    #[test]
    fn an_alert_needs_little_and_has_documented_defaults() {
        let alert: AlertRequest = serde_json::from_str(LEAST).unwrap();
        assert_eq!(alert.valid_for_s, 7_776_000);
        assert_eq!(alert.suggestion, Suggestion::Remove);
        assert!(alert.group.is_all() && !alert.test && alert.confidence == 100);
        let again = serde_json::to_string(&alert).unwrap();
        assert_eq!(serde_json::from_str::<AlertRequest>(&again).unwrap(), alert);
    }

    #[test]
    fn a_misspelt_field_of_a_request_is_refused() {
        let misspelt = LEAST.replace("\"severity\"", "\"tset\":true,\"severity\"");
        assert!(serde_json::from_str::<AlertRequest>(&misspelt).is_err());
        let unknown = LEAST.replace("user_report", "hearsay");
        let error = serde_json::from_str::<AlertRequest>(&unknown).unwrap_err().to_string();
        assert!(error.contains("hearsay"), "{error}");
    }
}
