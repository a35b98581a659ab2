//! Answers alerts: confirms, disputes, retracts, halts.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use watchfire_api::problem::{Problem, ProblemKind};
use watchfire_api::wire::{
    self, Answered, ConfirmRequest, DisputeRequest, RetractRequest, StopRequest,
};
use watchfire_node::Readiness;
use watchfire_node::publish::Asked;
use watchfire_node::raise::Answer;
use watchfire_signal::commitment::Commitment;

use super::matches::state;
use crate::answer::Failure;
use crate::said::{OfRecord, Said};
use crate::server::Server;

/// Confirms an alert: it is harmful.
#[utoipa::path(
    post, path = "/v1/alerts/{id}/confirm", tag = "alerts", security(("key" = ["curate"]), ("key" = ["review"])),
    params(
        ("id" = String, Path, description = "The alert's name."),
        ("idempotency-key" = Option<String>, Header, description = "Makes a repetition harmless."),
    ),
    request_body = ConfirmRequest,
    responses(
        (status = 200, body = Answered),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn confirm(
    State(server): State<Arc<Server>>,
    Said { of: id, asked, body: ConfirmRequest { basis }, .. }: OfRecord<ConfirmRequest>,
) -> Result<Json<Answered>, Failure> {
    answer(&server, &id, Answer::Confirm { basis }, asked).await
}

/// Disputes an alert: it is not what it says.
#[utoipa::path(
    post, path = "/v1/alerts/{id}/dispute", tag = "alerts", security(("key" = ["curate"]), ("key" = ["review"])),
    params(
        ("id" = String, Path, description = "The alert's name."),
        ("idempotency-key" = Option<String>, Header, description = "Makes a repetition harmless."),
    ),
    request_body = DisputeRequest,
    responses(
        (status = 200, body = Answered),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn dispute(
    State(server): State<Arc<Server>>,
    Said { of: id, asked, body: DisputeRequest { reason, note }, .. }: OfRecord<DisputeRequest>,
) -> Result<Json<Answered>, Failure> {
    answer(&server, &id, Answer::Dispute { reason, note }, asked).await
}

/// Takes this member's own opinion of an alert back.
#[utoipa::path(
    post, path = "/v1/alerts/{id}/retract", tag = "alerts", security(("key" = ["curate"]), ("key" = ["review"])),
    params(
        ("id" = String, Path, description = "The alert's name."),
        ("idempotency-key" = Option<String>, Header, description = "Makes a repetition harmless."),
    ),
    request_body = RetractRequest,
    responses(
        (status = 200, body = Answered),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn retract(
    State(server): State<Arc<Server>>,
    Said { of: id, asked, body: RetractRequest { reason, restore, note }, .. }: OfRecord<
        RetractRequest,
    >,
) -> Result<Json<Answered>, Failure> {
    answer(&server, &id, Answer::Retract { reason, restore, note }, asked).await
}

/// Votes for a halt of the case, or takes that vote back: nobody acts on a case that enough organisations
/// halt, and what it alone caused is restored.
#[utoipa::path(
    post, path = "/v1/alerts/{id}/halt", tag = "alerts", security(("key" = ["curate"]), ("key" = ["review"])),
    params(
        ("id" = String, Path, description = "The alert's name."),
        ("idempotency-key" = Option<String>, Header, description = "Makes a repetition harmless."),
    ),
    request_body = StopRequest,
    responses(
        (status = 200, body = Answered),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn halt(
    State(server): State<Arc<Server>>,
    Said { of: id, asked, body: StopRequest { reason, withdraw }, .. }: OfRecord<StopRequest>,
) -> Result<Json<Answered>, Failure> {
    let given = if withdraw { Answer::Unhalt { reason } } else { Answer::Halt { reason } };
    answer(&server, &id, given, asked).await
}

/// Says it, and answers with the state that it led to.
pub(super) async fn answer(
    server: &Server,
    id: &Commitment,
    given: Answer,
    asked: Option<Asked>,
) -> Result<Json<Answered>, Failure> {
    check_ready(server)?;
    let published = server.node.answer(id, given, asked).await?;
    let state = state_of(server, id)?;
    Ok(Json(Answered { log: server.node.log().clone(), index: published.index, state }))
}

/// Refuses what would have to wait until the node may sign.
pub(super) fn check_ready(server: &Server) -> Result<(), Failure> {
    let why = match server.node.readiness() {
        Readiness::Ready => return Ok(()),
        Readiness::Recovering => {
            "the node is asking its peers what it said before; try again".to_owned()
        }
        Readiness::Failed(why) => why,
    };
    Err(Failure::new(ProblemKind::Unavailable, why))
}

/// The state of an alert that was just spoken of.
pub(super) fn state_of(server: &Server, id: &Commitment) -> Result<wire::State, Failure> {
    let view = server.node.alert(id);
    let detail = "it is written down and will be seen in a moment";
    let view = view.ok_or_else(|| Failure::new(ProblemKind::Unavailable, detail))?;
    Ok(state(view.state))
}
