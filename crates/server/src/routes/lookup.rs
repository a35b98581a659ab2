//! Looks a signal up, whatever this node's policy makes of it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use watchfire_api::problem::Problem;
use watchfire_api::wire::{LookupQuery, Lookups, SignalJson};

use super::matches::{bank_match, found, signals};
use crate::answer::Failure;
use crate::caller::{Allowed, Scanning};
use crate::input::Query;
use crate::server::Server;

/// The known signals near one.
#[utoipa::path(
    get, path = "/v1/lookup", tag = "scan", params(LookupQuery), security(("key" = ["scan"])),
    responses(
        (status = 200, body = Lookups),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn lookup(
    State(server): State<Arc<Server>>,
    _caller: Allowed<Scanning>,
    Query(query): Query<LookupQuery>,
) -> Result<Json<Lookups>, Failure> {
    let LookupQuery { kind, value } = query;
    let signal = SignalJson { kind, value, quality: None, span: None, rule: None };
    let now_ms = server.node.clock().now_ms();
    let signals = signals(&[signal])?;
    let matches = server.node.lookup(&signals);
    let matches = matches.iter().map(|one| found(one, now_ms)).collect();
    let banks = server.node.banks().lookup(&signals, &[]).iter().map(bank_match).collect();
    Ok(Json(Lookups { matches, banks }))
}
