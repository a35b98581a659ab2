//! What anybody may ask of a member that is a witness: to cosign a checkpoint (C2SP tlog-witness).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use watchfire_api::problem::{Problem, ProblemKind};
use watchfire_node::StoreError;
use watchfire_node::cosigner::CosignError;
use watchfire_tlog::AddCheckpoint;
use watchfire_tlog::add_checkpoint::Malformed;

use crate::answer::Failure;
use crate::input::read_soon;
use crate::limits::CHECKPOINT_BYTES;
use crate::member::Asker;
use crate::server::Server;

/// What a size in the body of a 409 is, for who goes on from there.
const SIZE_MEDIA_TYPE: &str = "text/x.tlog.size";

/// Cosigns a checkpoint of a member's log, given the consistency proof from the one that this witness cosigned last
/// (C2SP tlog-witness). Anybody may ask; the signature of the log counts.
///
/// The body is `old SIZE`, at most 63 hashes in base64, a line each, an empty line, and the checkpoint as a signed
/// note. The answer is the line of the cosignature. 400: the body is none, or `old` is larger than the checkpoint. 403: no
/// signature by the key of that log, or the log has shown two histories. 404: not the log of another member, or this node
/// is no witness. 409: `old` is not the size cosigned last, which is the body of the answer, or the checkpoint is of
/// another history. 422: the proof does not lead there. 503: what is to be cosigned could not be written down.
#[utoipa::path(
    post, path = "/witness/add-checkpoint", tag = "log",
    request_body(content((String = "text/plain"))),
    responses(
        (status = 200, body = String, content_type = "text/plain", description = "`— NAME BASE64`, a cosignature/v1."),
        (status = 409, body = String, content_type = "text/x.tlog.size", description = "The size cosigned last."),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn add_checkpoint(
    State(server): State<Arc<Server>>,
    asker: Asker,
    request: Request,
) -> Result<Response, Failure> {
    let _place = asker.place(&server)?;
    let body = read_soon(request.into_body(), CHECKPOINT_BYTES).await?;
    let malformed = |error: Malformed| Failure::new(ProblemKind::Malformed, error.to_string());
    let request = AddCheckpoint::parse(&body).map_err(malformed)?;
    let now_ms = server.node.clock().now_ms();
    server.rates.signed(asker.from(), now_ms)?;
    let answer = server.node.add_checkpoint(&request).await;
    if matches!(answer, Err(CosignError::Unsigned)) {
        server.rates.refused(asker.from(), now_ms)?;
    } else {
        server.rates.believed(asker.from());
    }
    match answer {
        Ok(line) => Ok(line.into_response()),
        Err(CosignError::Conflict { last }) => {
            let size = [(header::CONTENT_TYPE, SIZE_MEDIA_TYPE)];
            Ok((StatusCode::CONFLICT, size, format!("{last}\n")).into_response())
        }
        Err(error) => Err(failure(&error)),
    }
}

fn failure(error: &CosignError) -> Failure {
    let kind = match error {
        CosignError::Unknown(_) => ProblemKind::NotFound,
        CosignError::Unsigned | CosignError::Frozen => ProblemKind::Forbidden,
        CosignError::Malformed(_) => ProblemKind::Malformed,
        CosignError::Conflict { .. } => ProblemKind::Conflict,
        CosignError::Unproven => ProblemKind::Invalid,
        CosignError::Store(StoreError::Full) => ProblemKind::Unavailable,
        CosignError::Store(error) => return Failure::internal(error),
    };
    Failure::new(kind, error.to_string())
}
