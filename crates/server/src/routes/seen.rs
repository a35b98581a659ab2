//! Forgets items that the platform deleted.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use watchfire_api::problem::{Problem, ProblemKind};
use watchfire_signal::name::ItemId;

use crate::answer::Failure;
use crate::caller::{Allowed, Scanning};
use crate::input::Named;
use crate::server::Server;

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
