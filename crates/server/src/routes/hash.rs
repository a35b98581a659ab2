//! Hashes a file and keeps nothing.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use tokio::time::Instant;
use watchfire_api::problem::Problem;
use watchfire_api::wire::Hashed;

use crate::answer::Failure;
use crate::caller::{Allowed, Anything};
use crate::hashing::{Purpose, to_json};
use crate::server::Server;

/// The signals of a file: every frame of a video, or of more than 3,600 frames evenly so many.
#[utoipa::path(
    post, path = "/v1/hash", tag = "scan", security(("key" = [])),
    request_body(content((Vec<u8> = "application/octet-stream"))),
    responses(
        (status = 200, body = Hashed),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn hash(
    State(server): State<Arc<Server>>,
    _caller: Allowed<Anything>,
    request: Request,
) -> Result<Json<Hashed>, Failure> {
    let begun = Instant::now();
    let upload = server.hashing.receive(request.into_body()).await?;
    let (content, signals) = server.hashing.signals(upload, Purpose::Reference(None)).await?;
    let took_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    Ok(Json(Hashed { content, signals: to_json(&signals), took_us }))
}
