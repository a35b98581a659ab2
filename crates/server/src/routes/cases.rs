//! What else is said of cases: that they last, are one, were appealed against, that a dispute is over, and
//! that a record is to go.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use watchfire_api::problem::Problem;
use watchfire_api::wire::{
    Answered, AppealRequest, CosignRetractionRequest, EraseRequest, JoinRequest, RenewRequest,
    ResolveRequest,
};
use watchfire_node::raise::Answer;
use watchfire_signal::commitment::Commitment;

use super::answers::answer;
use crate::answer::Failure;
use crate::caller::Ruling;
use crate::said::{OfRecord, Said};
use crate::server::Server;

/// Has a CONFIRMED case last longer, and one that has lapsed begin anew; of those that stand by it.
#[utoipa::path(
    post, path = "/v1/alerts/{id}/renew", tag = "alerts", security(("key" = ["curate"]), ("key" = ["review"])),
    params(
        ("id" = String, Path, description = "The alert's name."),
        ("idempotency-key" = Option<String>, Header, description = "Makes a repetition harmless."),
    ),
    request_body = RenewRequest,
    responses(
        (status = 200, body = Answered),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn renew(
    State(server): State<Arc<Server>>,
    Said { of: id, asked, body: RenewRequest { valid_for_s }, .. }: OfRecord<RenewRequest>,
) -> Result<Json<Answered>, Failure> {
    let now_ms = server.node.clock().now_ms();
    let valid_until = now_ms.saturating_add(valid_for_s.saturating_mul(1000));
    answer(&server, &id, Answer::Renew { valid_until }, asked).await
}

/// Ends a dispute of an alert: this member's own at once, another's when enough organisations say so.
#[utoipa::path(
    post, path = "/v1/alerts/{id}/resolve", tag = "alerts", security(("key" = ["curate"]), ("key" = ["review"])),
    params(
        ("id" = String, Path, description = "The alert's name."),
        ("idempotency-key" = Option<String>, Header, description = "Makes a repetition harmless."),
    ),
    request_body = ResolveRequest,
    responses(
        (status = 200, body = Answered),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn resolve(
    State(server): State<Arc<Server>>,
    Said { of: id, asked, body: ResolveRequest { member, outcome, note }, .. }: OfRecord<
        ResolveRequest,
    >,
) -> Result<Json<Answered>, Failure> {
    answer(&server, &id, Answer::Resolve { member, outcome, note }, asked).await
}

/// Agrees with a retraction of another member that is beyond its quota an hour, and waits for that. A person
/// has to have looked.
#[utoipa::path(
    post, path = "/v1/alerts/{id}/cosign", tag = "alerts", security(("key" = ["curate"]), ("key" = ["review"])),
    params(
        ("id" = String, Path, description = "The alert's name."),
        ("idempotency-key" = Option<String>, Header, description = "Makes a repetition harmless."),
    ),
    request_body = CosignRetractionRequest,
    responses(
        (status = 200, body = Answered),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn cosign(
    State(server): State<Arc<Server>>,
    Said { of: id, asked, body: CosignRetractionRequest { member }, .. }: OfRecord<
        CosignRetractionRequest,
    >,
) -> Result<Json<Answered>, Failure> {
    answer(&server, &id, Answer::Cosign { member }, asked).await
}

/// Says that another case is of the same thing. Its author or this one's has to say so; both keep states of
/// their own.
#[utoipa::path(
    post, path = "/v1/alerts/{id}/join", tag = "alerts", security(("key" = ["curate"]), ("key" = ["review"])),
    params(
        ("id" = String, Path, description = "The alert's name."),
        ("idempotency-key" = Option<String>, Header, description = "Makes a repetition harmless."),
    ),
    request_body = JoinRequest,
    responses(
        (status = 200, body = Answered),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn join(
    State(server): State<Arc<Server>>,
    Said { of: id, asked, body: JoinRequest { other }, .. }: OfRecord<JoinRequest>,
) -> Result<Json<Answered>, Failure> {
    answer(&server, &id, Answer::Join { other }, asked).await
}

/// Tells the coalition that a user appealed against what was done, or how that was decided.
#[utoipa::path(
    post, path = "/v1/alerts/{id}/appeal", tag = "alerts", security(("key" = ["curate"]), ("key" = ["review"])),
    params(
        ("id" = String, Path, description = "The alert's name."),
        ("idempotency-key" = Option<String>, Header, description = "Makes a repetition harmless."),
    ),
    request_body = AppealRequest,
    responses(
        (status = 200, body = Answered),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn appeal(
    State(server): State<Arc<Server>>,
    Said { of: id, asked, body: AppealRequest { stage, result }, .. }: OfRecord<AppealRequest>,
) -> Result<Json<Answered>, Failure> {
    answer(&server, &id, Answer::Appeal { stage, result }, asked).await
}

/// Has the record of an alert erased at every member: this member's own at once, another's when enough
/// organisations say so. The leaf stays, so that the log stays whole; what was taken down for it waits for a
/// person, unless it was retracted before.
#[utoipa::path(
    post, path = "/v1/alerts/{id}/erase", tag = "alerts", security(("key" = ["admin"])),
    params(
        ("id" = String, Path, description = "The alert's name."),
        ("idempotency-key" = Option<String>, Header, description = "Makes a repetition harmless."),
    ),
    request_body = EraseRequest,
    responses(
        (status = 200, body = Answered),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn erase(
    State(server): State<Arc<Server>>,
    Said { of: id, asked, body: EraseRequest { reason }, .. }: Said<
        Ruling,
        Commitment,
        EraseRequest,
    >,
) -> Result<Json<Answered>, Failure> {
    answer(&server, &id, Answer::Erase { reason }, asked).await
}
