//! Hashes a file, a text or a link and keeps nothing.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use tokio::time::Instant;
use watchfire_api::problem::{Problem, ProblemKind};
use watchfire_api::wire::{HashRequest, Hashed, MediaInfo};
use watchfire_signal::alert::ContentKind;
use watchfire_signal::value::Signal;

use crate::answer::Failure;
use crate::caller::{Allowed, Anything};
use crate::hashing::{Purpose, to_json};
use crate::input::{is_json, media_type, read_body, read_json};
use crate::limits::TEXT_BYTES;
use crate::server::Server;
use crate::texts::{self, is_text};

/// The signals of a file, a text or a link, as an alert would have them.
///
/// Of a video every frame, or of more than 3,600 frames evenly so many. With `application/json` the body names a text
/// or a link; with `text/plain` it is the text itself.
#[utoipa::path(
    post, path = "/v1/hash", tag = "scan", security(("key" = [])),
    request_body(content(
        (HashRequest = "application/json"),
        (String = "text/plain"),
        (Vec<u8> = "application/octet-stream"),
    )),
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
    let (parts, body) = request.into_parts();
    let (content, signals) = if is_json(&parts.headers) {
        of_words(&read_json(&parts, body).await?)?
    } else if is_text(media_type(&parts.headers)) {
        let signals = texts::named_file(&read_body(body, TEXT_BYTES).await?)?;
        (MediaInfo::plain(ContentKind::Text), signals)
    } else {
        let upload = server.hashing.receive(body).await?;
        server.hashing.signals(upload, Purpose::Told).await?
    };
    let took_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    Ok(Json(Hashed { content, signals: to_json(&signals), took_us }))
}

fn of_words(request: &HashRequest) -> Result<(MediaInfo, Vec<Signal>), Failure> {
    let HashRequest { text, url, url_scope } = request;
    let named = texts::named(text.as_deref(), url.as_deref(), *url_scope)?;
    let nothing = || Failure::new(ProblemKind::Invalid, "say a text or a url");
    let (kind, signals) = named.ok_or_else(nothing)?;
    Ok((MediaInfo::plain(kind), signals))
}
