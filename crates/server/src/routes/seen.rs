//! Takes items that the platform held before, and forgets those that it deleted.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use http::StatusCode;
use watchfire_api::problem::{Problem, ProblemKind};
use watchfire_api::wire::{Imported, SeenLine};
use watchfire_node::seen::Item;
use watchfire_signal::{name::ItemId, pdq::Pdq, value::Signal};

use crate::answer::Failure;
use crate::caller::{Allowed, Scanning};
use crate::input::{Named, cut, media_type, read_body};
use crate::limits::{JSON_BYTES, SCAN_SIGNALS, SEEN_LINES, SEEN_PARTS};
use crate::server::Server;
use crate::texts;

/// Takes items that the platform held before.
///
/// The body has one JSON object a line, at most 10,000 of them. A line that is wrong refuses the whole body with the
/// number of the line. Items that a known alert takes down are acted on at once. An item that is known as it was at
/// the same time or later stays as it is, so the same body may be sent again. When it is answered, the items are
/// durable.
#[utoipa::path(
    post, path = "/v1/seen", tag = "scan", security(("key" = ["scan"])),
    request_body(content = SeenLine, content_type = "application/x-ndjson"),
    responses(
        (status = 200, body = Imported),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn import(
    State(server): State<Arc<Server>>,
    _caller: Allowed<Scanning>,
    request: Request,
) -> Result<Json<Imported>, Failure> {
    let (parts, body) = request.into_parts();
    let kind = media_type(&parts.headers);
    if !kind.is_some_and(|kind| kind.eq_ignore_ascii_case("application/x-ndjson")) {
        let detail = "the body has to be application/x-ndjson";
        return Err(Failure::new(ProblemKind::UnsupportedMediaType, detail));
    }
    let body = read_body(body, JSON_BYTES).await?;
    // A body full of texts takes longer to normalise than other requests should wait.
    let items = tokio::task::spawn_blocking(move || read_items(&body)).await;
    let items = items.map_err(|error| Failure::internal(&error))??;
    let read = items.len() as u64;
    let taken = server.node.import(items).await.map_err(|error| Failure::internal(&error))?;
    Ok(Json(Imported { read, taken: taken as u64 }))
}

/// The items of all lines; empty lines say nothing.
fn read_items(body: &[u8]) -> Result<Vec<Item>, Failure> {
    let mut items = Vec::new();
    for (line, number) in body.split(|byte| *byte == b'\n').zip(1..) {
        if line.trim_ascii().is_empty() {
            continue;
        }
        if items.len() == SEEN_LINES.value {
            return Err(SEEN_LINES.exceeded());
        }
        let wrong =
            |why: &str| Failure::new(ProblemKind::Invalid, cut(&format!("line {number}: {why}")));
        let line: SeenLine =
            serde_json::from_slice(line).map_err(|error| wrong(&error.to_string()))?;
        if line.signals.len() > SCAN_SIGNALS.value {
            return Err(SCAN_SIGNALS.exceeded());
        }
        let signals = line.signals.iter().map(Signal::try_from).collect::<Result<_, _>>();
        let signals: Vec<Signal> = signals.map_err(|error| wrong(&error.to_string()))?;
        let words = texts::met(line.text.as_deref(), &line.urls);
        let of_line = |Failure(problem): Failure| {
            let Failure(of_line) = wrong(problem.detail.as_deref().unwrap_or_default());
            Failure(Problem { limit: problem.limit, ..of_line })
        };
        let signals = [signals, words.map_err(of_line)?].concat();
        let facts = super::scan::item_facts(line.facts).map_err(of_line)?;
        if line.parts.len() > SEEN_PARTS.value {
            return Err(SEEN_PARTS.exceeded());
        }
        let parts = line.parts.iter().map(|part| part.parse::<Pdq>()).collect::<Result<_, _>>();
        let parts = parts.map_err(|error| wrong(&format!("parts: {error}")))?;
        items.push(Item { id: line.item, seen_ms: line.seen_ms, signals, parts, facts });
    }
    Ok(items)
}

/// Forgets an item with its signals.
#[utoipa::path(
    delete, path = "/v1/seen/{item}", tag = "scan", security(("key" = ["scan"])),
    params(("item" = String, Path, description = "The platform's own id of the item.")),
    responses(
        (status = 204),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn forget(
    State(server): State<Arc<Server>>,
    _caller: Allowed<Scanning>,
    Named(item): Named<ItemId>,
) -> Result<StatusCode, Failure> {
    let known = server.node.forget(&item).await.map_err(|error| Failure::internal(&error))?;
    if known {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Failure::new(ProblemKind::NotFound, format!("no item {item} is held here")))
}
