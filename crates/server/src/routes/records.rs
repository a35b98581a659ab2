//! Records, whatever they say.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use watchfire_api::problem::Problem;
use watchfire_api::wire::{EraseRecordRequest, ErasureAnswer};
use watchfire_signal::header::Target;

use super::answers::check_ready;
use crate::answer::Failure;
use crate::caller::{Allowed, Ruling, asked};
use crate::input::read_json;
use crate::server::Server;

/// Has any record with words or signals in it erased at every member, by the log and index of it: an alert, an opinion,
/// the end of a dispute, an incident or a word about one, also one that nobody hears because it is beyond a quota. This
/// member's own goes at once, another's when enough organisations say so; it cannot be taken back. The leaf stays, so
/// that the log stays whole. What was erased says nothing any more: a dispute that it had ended is open again, an
/// incident that it declared raises nothing.
#[utoipa::path(
    post, path = "/v1/records/erase", tag = "alerts", security(("key" = ["admin"])),
    params(
        ("idempotency-key" = Option<String>, Header, description = "Makes a repetition harmless."),
    ),
    request_body = EraseRecordRequest,
    responses(
        (status = 200, body = ErasureAnswer),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn erase(
    State(server): State<Arc<Server>>,
    allowed: Allowed<Ruling>,
    request: Request,
) -> Result<Json<ErasureAnswer>, Failure> {
    check_ready(&server)?;
    let (parts, body) = request.into_parts();
    let asked = asked(&allowed.caller, &parts)?;
    let EraseRecordRequest { log, index, reason } = read_json(&parts, body).await?;
    let ours = server.node.log();
    let own = log.member == ours.member;
    let published = server.node.erase_record(Target { log, index }, reason, asked).await?;
    Ok(Json(ErasureAnswer { log: ours.clone(), index: published.index, own }))
}
