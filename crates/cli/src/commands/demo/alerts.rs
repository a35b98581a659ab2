//! What moderators of the demo say: reports, confirmations, retractions.

use watchfire_api::{
    client::ClientError,
    wire::{
        AlertRequest, Answered, ConfirmRequest, DEFAULT_VALID_FOR_S, RetractRequest, SignalJson,
    },
};
use watchfire_signal::{
    alert::{ContentKind, Suggestion},
    commitment::Commitment,
    header::{Provenance, Review},
    label::{Label, LabelError},
    name::GroupName,
    reason::Reason,
    statement::Basis,
};

use super::fleet::Member;

/// What the clip is said to be.
const LABEL: &str = "self_harm.suicide_depiction";
/// How bad it is said to be.
const SEVERITY: u8 = 3;

/// A user's report that one moderator has looked at.
pub(super) fn report(
    kind: Option<ContentKind>,
    signals: Vec<SignalJson>,
) -> Result<AlertRequest, LabelError> {
    let label: Label = LABEL.parse()?;
    Ok(AlertRequest {
        item: None,
        kind,
        signals,
        span: None,
        labels: vec![label],
        severity: SEVERITY,
        confidence: 100,
        review: Review::OneHuman,
        provenance: Provenance::UserReport,
        authority: None,
        suggestion: Suggestion::Remove,
        exceptions: Vec::new(),
        valid_for_s: DEFAULT_VALID_FOR_S,
        test: false,
        group: GroupName::all(),
        evidence_hold: false,
        incident: None,
    })
}

/// A moderator has looked at the member's own copy, and confirms.
pub(super) async fn confirm(member: &Member, id: &Commitment) -> Result<Answered, ClientError> {
    let confirm = ConfirmRequest { basis: Basis::OwnCopySeenByHuman };
    member.desk.client.confirm(id, &confirm, None).await
}

/// The member takes its opinion back, and what it caused shall come back too.
pub(super) async fn retract(member: &Member, id: &Commitment) -> Result<Answered, ClientError> {
    let retract = RetractRequest { reason: Reason::WrongMatch, restore: true, note: None };
    member.desk.client.retract(id, &retract, None).await
}
