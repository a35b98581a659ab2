//! Makes, changes, deletes and shows a member's own lists of signals.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use http::StatusCode;
use watchfire_api::problem::{Problem, ProblemKind};
use watchfire_api::wire::{BankChangeRequest, BankList, BankRequest, BankView};
use watchfire_node::banks::{Bank, BankError, Banks, Change, Settings};
use watchfire_signal::name::BankName;

use crate::answer::Failure;
use crate::caller::{Allowed, Banking, Reading};
use crate::input::{Named, read_json};
use crate::server::Server;

impl From<BankError> for Failure {
    fn from(error: BankError) -> Self {
        let kind = match error {
            BankError::Write(error) => return error.into(),
            BankError::Store(error) => return Failure::internal(&error),
            BankError::NoBank(_) | BankError::NoContent(_, _) => ProblemKind::NotFound,
            BankError::Exists(_) | BankError::TooMany => ProblemKind::Conflict,
            BankError::Settings(_) | BankError::Content { .. } => ProblemKind::Invalid,
        };
        Failure::new(kind, error.to_string())
    }
}

/// All banks of this node, in order of name.
#[utoipa::path(
    get, path = "/v1/banks", tag = "banks", operation_id = "list_banks",
    security(("key" = ["curate"]), ("key" = ["review"]), ("key" = ["audit"])),
    responses(
        (status = 200, body = BankList),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(server): State<Arc<Server>>,
    _caller: Allowed<Reading>,
) -> Json<BankList> {
    let banks = server.node.banks();
    Json(BankList { banks: banks.all().iter().map(|bank| view(banks, bank)).collect() })
}

/// Makes a bank.
///
/// One of the same name and settings is answered as it is, with status 200.
#[utoipa::path(
    post, path = "/v1/banks", tag = "banks", operation_id = "create_bank", security(("key" = ["curate"])),
    request_body = BankRequest,
    responses(
        (status = 200, body = BankView),
        (status = 201, body = BankView),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn create(
    State(server): State<Arc<Server>>,
    allowed: Allowed<Banking>,
    request: Request,
) -> Result<(StatusCode, Json<BankView>), Failure> {
    let BankRequest { name, enabled, ratio, negative, labels, severity, max_distance, note } =
        read(request).await?;
    let settings = Settings { enabled, ratio, negative, labels, severity, max_distance, note };
    let banks = server.node.banks();
    let (bank, new) = banks.create(&allowed.actor(), name, settings).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(view(banks, &bank))))
}

/// A bank with its counts.
#[utoipa::path(
    get, path = "/v1/banks/{name}", tag = "banks", operation_id = "show_bank",
    security(("key" = ["curate"]), ("key" = ["review"]), ("key" = ["audit"])),
    params(("name" = String, Path, description = "The bank.")),
    responses(
        (status = 200, body = BankView),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn show(
    State(server): State<Arc<Server>>,
    _caller: Allowed<Reading>,
    Named(name): Named<BankName>,
) -> Result<Json<BankView>, Failure> {
    let banks = server.node.banks();
    let bank = banks.bank(&name).ok_or(BankError::NoBank(name))?;
    Ok(Json(view(banks, &bank)))
}

/// Changes a bank: its name, whether and how far it matches, what its matches carry.
#[utoipa::path(
    patch, path = "/v1/banks/{name}", tag = "banks", operation_id = "change_bank", security(("key" = ["curate"])),
    params(("name" = String, Path, description = "The bank.")),
    request_body = BankChangeRequest,
    responses(
        (status = 200, body = BankView),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn change(
    State(server): State<Arc<Server>>,
    allowed: Allowed<Banking>,
    Named(name): Named<BankName>,
    request: Request,
) -> Result<Json<BankView>, Failure> {
    let asked: BankChangeRequest = read(request).await?;
    let change = Change {
        name: asked.name,
        enabled: asked.enabled,
        ratio: asked.ratio,
        negative: asked.negative,
        labels: asked.labels,
        severity: asked.severity,
        max_distance: asked.max_distance,
        note: asked.note,
    };
    let banks = server.node.banks();
    let bank = banks.change(&allowed.actor(), name, change).await?;
    Ok(Json(view(banks, &bank)))
}

/// Deletes a bank with its contents.
#[utoipa::path(
    delete, path = "/v1/banks/{name}", tag = "banks", operation_id = "delete_bank", security(("key" = ["curate"])),
    params(("name" = String, Path, description = "The bank.")),
    responses(
        (status = 204),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn delete(
    State(server): State<Arc<Server>>,
    allowed: Allowed<Banking>,
    Named(name): Named<BankName>,
) -> Result<StatusCode, Failure> {
    server.node.banks().delete(&allowed.actor(), name).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn read<T: serde::de::DeserializeOwned>(request: Request<Body>) -> Result<T, Failure> {
    let (parts, body) = request.into_parts();
    read_json(&parts, body).await
}

fn view(banks: &Banks, bank: &Bank) -> BankView {
    let counts = banks.counts(bank.number);
    let kinds = [
        ("sha256", counts.sha256),
        ("md5", counts.md5),
        ("pdq", counts.pdq),
        ("vpdq", counts.vpdq),
        ("text", counts.text),
        ("audio", counts.audio),
        ("url", counts.url),
    ];
    let signals: BTreeMap<_, _> = kinds.map(|(kind, count)| (kind.to_owned(), count)).into();
    let Settings { enabled, ratio, negative, labels, severity, max_distance, note } =
        bank.settings.clone();
    BankView {
        name: bank.name.clone(),
        enabled,
        ratio,
        negative,
        labels,
        severity,
        max_distance,
        note,
        contents: counts.contents,
        signals,
        created_ms: bank.created_ms,
        changed_ms: bank.changed_ms,
    }
}
