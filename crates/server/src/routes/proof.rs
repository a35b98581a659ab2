//! The proof of a case, for whoever has to show it to a stranger.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;
use watchfire_api::problem::{Problem, ProblemKind};
use watchfire_api::wire::ProofQuery;
use watchfire_node::proof::{ProofError, bundle::BundleError};
use watchfire_signal::commitment::Commitment;
use watchfire_signal::tlp::Audience;

use crate::answer::Failure;
use crate::caller::{Allowed, Auditing};
use crate::input::{Named, Query};
use crate::limits::DESK_WALKS;
use crate::server::Server;

/// The proof of a case: what was said about it, and what this member decided, in a file that
/// `watchfire proof check` verifies with nothing but the charter (`docs/format.md`, section 14).
///
/// Reads all logs, one proof at a time. That a person asked is a line of the desk log, once a session and hour.
#[utoipa::path(
    get, path = "/v1/cases/{id}/proof", tag = "audit", security(("key" = ["audit"])),
    params(("id" = String, Path, description = "The name of the case, or of any alert of it."), ProofQuery),
    responses(
        (status = 200, body = String, content_type = "application/json"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn proof(
    State(server): State<Arc<Server>>,
    allowed: Allowed<Auditing>,
    Named(id): Named<Commitment>,
    Query(query): Query<ProofQuery>,
) -> Result<Response, Failure> {
    let _place = server.desk_walks.try_acquire().map_err(|_| DESK_WALKS.too_many())?;
    if let Some(session) = allowed.caller.session {
        server.node.access().note_look(session, "proof").await?;
    }
    let audience = query.audience.unwrap_or(Audience::Community);
    let redact = query.redact.unwrap_or(false);
    let audience = (!redact).then_some(audience);
    let bundle = server.node.prove_item(&id, audience, query.item.as_ref()).await?;
    let bytes = bundle.encode()?;
    Ok(([(header::CONTENT_TYPE, "application/json")], bytes).into_response())
}

impl From<ProofError> for Failure {
    fn from(error: ProofError) -> Self {
        match error {
            ProofError::Unknown(_) => Failure::new(ProblemKind::NotFound, error.to_string()),
            ProofError::Rewritten(..) => Failure::new(ProblemKind::Conflict, error.to_string()),
            ProofError::TooMuch => Failure::new(ProblemKind::TooLarge, error.to_string()),
            error => Failure::internal(&error),
        }
    }
}

impl From<BundleError> for Failure {
    fn from(error: BundleError) -> Self {
        match error {
            BundleError::TooLong(_) => Failure::new(ProblemKind::TooLarge, error.to_string()),
            error => Failure::internal(&error),
        }
    }
}
