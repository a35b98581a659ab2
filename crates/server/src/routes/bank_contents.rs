//! Puts contents into banks, one or a list, shows them, changes them and takes them out.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use http::StatusCode;
use watchfire_api::problem::Problem;
use watchfire_api::wire::{
    BankAdded, BankContentChangeRequest, BankContentPage, BankContentQuery, BankContentRequest,
    BankContentView, SignalJson,
};
use watchfire_node::banks::{Content, ContentChange, ContentId, NewContent};
use watchfire_signal::name::BankName;
use watchfire_signal::value::Signal;

use super::matches::signals;
use crate::answer::Failure;
use crate::caller::{Allowed, Banking, Reading};
use crate::input::{Named, NamedWithin, Query, media_type, read_json};
use crate::limits::{DEFAULT_PAGE, PAGE};
use crate::lines::read_lines;
use crate::server::Server;

/// Puts contents into a bank; they match from the answer on.
///
/// With `application/json` the body is one content. With `application/x-ndjson` each line is a content or a signal
/// alone; nothing of the list is added if a line is wrong, and the problem names it. What is in the bank already, by
/// exactly the same signals, is left as it is: the same list again adds nothing.
#[utoipa::path(
    post, path = "/v1/banks/{name}/contents", tag = "banks", operation_id = "add_to_bank",
    security(("key" = ["curate"])),
    params(("name" = String, Path, description = "The bank.")),
    request_body(content(
        (BankContentRequest = "application/json"),
        (BankContentRequest = "application/x-ndjson"),
    )),
    responses(
        (status = 200, body = BankAdded),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn add(
    State(server): State<Arc<Server>>,
    allowed: Allowed<Banking>,
    Named(name): Named<BankName>,
    request: Request,
) -> Result<Json<BankAdded>, Failure> {
    let (parts, body) = request.into_parts();
    let listed = media_type(&parts.headers).is_some_and(|kind| kind == "application/x-ndjson");
    let contents = if listed {
        read_lines(body, read_line).await?
    } else {
        let content: BankContentRequest = read_json(&parts, body).await?;
        let signals = signals(&content.signals)?;
        vec![new_content(content, signals)]
    };
    let added = server.node.banks().add(&allowed.actor(), &name, contents).await?;
    let new = added.iter().filter(|added| added.new);
    let id = if listed { new.clone().next() } else { added.first() };
    let (given, id) = (added.len() as u64, id.map(|added| added.id.0));
    Ok(Json(BankAdded { given, added: new.count() as u64, id }))
}

fn read_line(line: &[u8]) -> Result<NewContent, String> {
    let content = BankContentRequest::read_line(line).map_err(|error| error.to_string())?;
    let signals = content.signals.iter().map(Signal::try_from).collect::<Result<Vec<_>, _>>();
    let new = new_content(content, signals.map_err(|error| error.to_string())?);
    new.validate().map_err(|error| error.to_string())?;
    Ok(new)
}

fn new_content(content: BankContentRequest, signals: Vec<Signal>) -> NewContent {
    let BankContentRequest { note, metadata, .. } = content;
    let metadata = if metadata.is_empty() {
        String::new()
    } else {
        serde_json::Value::Object(metadata).to_string()
    };
    NewContent { signals, note, metadata }
}

/// A page of a bank's contents, in order of id.
#[utoipa::path(
    get, path = "/v1/banks/{name}/contents", tag = "banks", operation_id = "list_bank_contents",
    params(("name" = String, Path, description = "The bank."), BankContentQuery),
    security(("key" = ["curate"]), ("key" = ["review"]), ("key" = ["audit"])),
    responses(
        (status = 200, body = BankContentPage),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(server): State<Arc<Server>>,
    _caller: Allowed<Reading>,
    Named(name): Named<BankName>,
    Query(query): Query<BankContentQuery>,
) -> Result<Json<BankContentPage>, Failure> {
    let limit = query.limit.unwrap_or(DEFAULT_PAGE);
    if limit == 0 || limit > PAGE.value {
        return Err(PAGE.exceeded());
    }
    let contents = server.node.banks().contents(&name, query.after.map(ContentId), limit).await?;
    // A page may be shorter than asked and still not be the last; only an empty one is.
    let next = contents.last().map(|content| content.id.0);
    Ok(Json(BankContentPage { contents: contents.iter().map(view).collect(), next }))
}

/// A content of a bank.
#[utoipa::path(
    get, path = "/v1/banks/{name}/contents/{id}", tag = "banks", operation_id = "show_bank_content",
    security(("key" = ["curate"]), ("key" = ["review"]), ("key" = ["audit"])),
    params(
        ("name" = String, Path, description = "The bank."),
        ("id" = u64, Path, description = "The content."),
    ),
    responses(
        (status = 200, body = BankContentView),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn show(
    State(server): State<Arc<Server>>,
    _caller: Allowed<Reading>,
    NamedWithin(name, id): NamedWithin<BankName, ContentId>,
) -> Result<Json<BankContentView>, Failure> {
    Ok(Json(view(&server.node.banks().content(&name, id).await?)))
}

/// Changes what is said of a content, or when it matches.
#[utoipa::path(
    patch, path = "/v1/banks/{name}/contents/{id}", tag = "banks", operation_id = "change_bank_content",
    security(("key" = ["curate"])),
    params(
        ("name" = String, Path, description = "The bank."),
        ("id" = u64, Path, description = "The content."),
    ),
    request_body = BankContentChangeRequest,
    responses(
        (status = 200, body = BankContentView),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn change(
    State(server): State<Arc<Server>>,
    allowed: Allowed<Banking>,
    NamedWithin(name, id): NamedWithin<BankName, ContentId>,
    request: Request,
) -> Result<Json<BankContentView>, Failure> {
    let (parts, body) = request.into_parts();
    let BankContentChangeRequest { disabled_until_ms, note } = read_json(&parts, body).await?;
    let change = ContentChange { disabled_until_ms, note };
    let banks = server.node.banks();
    Ok(Json(view(&banks.change_content(&allowed.actor(), name, id, change).await?)))
}

/// Takes a content out of a bank; it matches no more.
#[utoipa::path(
    delete, path = "/v1/banks/{name}/contents/{id}", tag = "banks", operation_id = "remove_from_bank",
    security(("key" = ["curate"])),
    params(
        ("name" = String, Path, description = "The bank."),
        ("id" = u64, Path, description = "The content."),
    ),
    responses(
        (status = 204),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn remove(
    State(server): State<Arc<Server>>,
    allowed: Allowed<Banking>,
    NamedWithin(name, id): NamedWithin<BankName, ContentId>,
) -> Result<StatusCode, Failure> {
    server.node.banks().take(&allowed.actor(), name, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn view(content: &Content) -> BankContentView {
    BankContentView {
        id: content.id.0,
        signals: content.new.signals.iter().map(SignalJson::from).collect(),
        note: content.new.note.clone(),
        // What is kept here was written by `new_content`, or is empty.
        metadata: serde_json::from_str(&content.new.metadata).unwrap_or_default(),
        disabled_until_ms: content.disabled_until_ms,
        added_ms: content.added_ms,
    }
}
