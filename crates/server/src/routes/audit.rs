//! The view of the desk log, for whoever audits this member.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use watchfire_api::problem::{Problem, ProblemKind};
use watchfire_api::wire;
use watchfire_node::audit::{AuditError, Filter, look, verify};
use watchfire_node::desk::DeskKind;

use crate::answer::Failure;
use crate::caller::{Allowed, Auditing};
use crate::input::Query;
use crate::limits::{DEFAULT_PAGE, DESK_WALKS, PAGE};
use crate::server::Server;
use crate::views;

/// What was done at this member, newest first. That a person read it is itself a line, once a session and hour.
#[utoipa::path(
    get, path = "/v1/audit", tag = "audit", params(wire::AuditQuery), security(("key" = ["audit"])),
    responses(
        (status = 200, body = wire::AuditPage),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(server): State<Arc<Server>>,
    allowed: Allowed<Auditing>,
    Query(query): Query<wire::AuditQuery>,
) -> Result<Json<wire::AuditPage>, Failure> {
    let kind = query.kind.as_deref().map(kind_of).transpose()?;
    let limit = query.limit.unwrap_or(DEFAULT_PAGE);
    if limit == 0 || limit > PAGE.value {
        return Err(PAGE.exceeded());
    }
    let (actor, from_ms, to_ms) = (query.actor, query.from_ms, query.to_ms);
    let filter = Filter { kind, actor, from_ms, to_ms };
    let which = (&filter, query.before.unwrap_or(u64::MAX), limit);
    let node = &server.node;
    let page = look(node.access(), node.desk(), &allowed.caller, which).await?;
    let lines = page.lines.iter().map(views::line).collect();
    Ok(Json(wire::AuditPage { lines, next: page.next }))
}

/// Walks the whole desk log: every line against the signed head, every record against its line. That of an epoch
/// before this member got another key is asked for by its number.
#[utoipa::path(
    get, path = "/v1/audit/verify", tag = "audit", security(("key" = ["audit"])),
    params(wire::DeskQuery),
    responses(
        (status = 200, body = wire::DeskReport),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn walk(
    State(server): State<Arc<Server>>,
    _caller: Allowed<Auditing>,
    Query(wire::DeskQuery { epoch }): Query<wire::DeskQuery>,
) -> Result<Json<wire::DeskReport>, Failure> {
    let epoch = epoch.unwrap_or(server.node.log().epoch);
    let desk = server.node.desks().into_iter().find(|(log, _)| log.epoch == epoch);
    let none = || Failure::new(ProblemKind::NotFound, format!("no log of epoch {epoch} here"));
    let (_, desk) = desk.ok_or_else(none)?;
    let _place = server.desk_walks.try_acquire().map_err(|_| DESK_WALKS.too_many())?;
    let report = verify(&desk, &mut |_, _| {}).await;
    Ok(Json(views::report(report)))
}

fn kind_of(name: &str) -> Result<DeskKind, Failure> {
    let unknown = || Failure::new(ProblemKind::Invalid, "no kind of desk line has this name");
    DeskKind::of_name(name).ok_or_else(unknown)
}

impl From<AuditError> for Failure {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Write(error) => error.into(),
            AuditError::Store(error) => Failure::internal(&error),
        }
    }
}
