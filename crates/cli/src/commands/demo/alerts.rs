//! What moderators of the demo say: reports of clips, words and links, confirmations, retractions.

use watchfire_api::{
    client::ClientError,
    wire::{
        AlertRequest, Answered, ConfirmRequest, DEFAULT_VALID_FOR_S, RetractRequest, SignalJson,
    },
};
use watchfire_signal::{
    alert::{ContentKind, Exception, Suggestion},
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
/// What the words are said to be.
const HATE: &str = "hate.incitement";
/// What the link is said to be.
const FALSE: &str = "info.misinformation";
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
        text: None,
        url: None,
        url_scope: None,
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
        anyway: false,
        group: GroupName::all(),
        tlp: None,
        evidence_hold: false,
        incident: None,
        of: None,
        transform: None,
    })
}

/// A user's report of hatred in words, which should stay where news quote it.
pub(super) fn text(words: &str) -> Result<AlertRequest, LabelError> {
    Ok(AlertRequest {
        text: Some(words.to_owned()),
        labels: vec![HATE.parse()?],
        exceptions: vec![Exception::News],
        ..report(None, Vec::new())?
    })
}

/// A user's report of a link to something false.
pub(super) fn link(url: &str) -> Result<AlertRequest, LabelError> {
    Ok(AlertRequest {
        url: Some(url.to_owned()),
        labels: vec![FALSE.parse()?],
        severity: 1,
        suggestion: Suggestion::Label,
        ..report(None, Vec::new())?
    })
}

/// What a government has asked for.
pub(super) fn request(signals: Vec<SignalJson>) -> Result<AlertRequest, LabelError> {
    Ok(AlertRequest {
        provenance: Provenance::GovernmentRequest,
        authority: Some("A ministry".to_owned()),
        ..report(Some(ContentKind::Image), signals)?
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
