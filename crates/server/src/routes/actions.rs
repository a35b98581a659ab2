//! What was done on the platform about items, and what persons do about it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use http::StatusCode;
use watchfire_api::problem::{Problem, ProblemKind};
use watchfire_api::wire::{ActionQuery, EffectState, EffectView, Effects, RuleRequest};
use watchfire_node::action::{ActionError, Intervention};
use watchfire_node::hold::Ruling;
use watchfire_node::people::Ruled;
use watchfire_node::{self as node, Effect};
use watchfire_signal::commitment::Commitment;
use watchfire_signal::effect::EffectName;
use watchfire_signal::hex;
use watchfire_signal::name::ItemId;

use crate::answer::Failure;
use crate::caller::{Allowed, Reading, Reviewing};
use crate::input::{Named, Query, read_json};
use crate::limits::{DEFAULT_PAGE, NOTE_BYTES, PAGE};
use crate::server::Server;

/// The effects on an item, or a page of those in a state or of those that come too late.
#[utoipa::path(
    get, path = "/v1/actions", tag = "actions", params(ActionQuery),
    security(("key" = ["curate"]), ("key" = ["review"]), ("key" = ["audit"])),
    responses(
        (status = 200, body = Effects),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn actions(
    State(server): State<Arc<Server>>,
    _caller: Allowed<Reading>,
    Query(query): Query<ActionQuery>,
) -> Result<Json<Effects>, Failure> {
    let internal = |error: node::StoreError| Failure::internal(&error);
    let ActionQuery { item, state, late, after, limit } = query;
    let page = limit.unwrap_or(DEFAULT_PAGE);
    if page == 0 || page > PAGE.value {
        return Err(PAGE.exceeded());
    }
    let row = after.unwrap_or(0);
    let found = match (item, state, late) {
        (Some(item), None, false) if after.is_none() && limit.is_none() => {
            let effects = server.node.effects(&item).await.map_err(internal)?;
            return Ok(Json(Effects {
                actions: effects.into_iter().map(view).collect(),
                next: None,
            }));
        }
        (None, Some(state), false) => server.node.effects_in(in_store(state), row, page).await,
        (None, None, true) => server.node.late_effects(row, page).await,
        _ => {
            return Err(Failure::new(
                ProblemKind::Invalid,
                "ask for an item, or for a state or what is late with after and limit",
            ));
        }
    };
    let found = found.map_err(internal)?;
    let next = found.last().filter(|_| found.len() == page).map(|(row, _)| *row);
    let actions = found.into_iter().map(|(_, effect)| view(effect));
    Ok(Json(Effects { actions: actions.collect(), next }))
}

/// Tries again what was given up.
#[utoipa::path(
    post, path = "/v1/actions/{id}/retry", tag = "actions", security(("key" = ["review"])),
    params(("id" = String, Path, description = "The effect's name.")),
    responses(
        (status = 200, body = EffectView),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn retry(
    State(server): State<Arc<Server>>,
    allowed: Allowed<Reviewing>,
    Named(name): Named<EffectName>,
) -> Result<Json<EffectView>, Failure> {
    let retried = server.node.intervene(&allowed.actor(), name, Intervention::Retry).await?;
    Ok(Json(view(retried)))
}

/// Gives up for good what is pending or was given up.
#[utoipa::path(
    post, path = "/v1/actions/{id}/drop", tag = "actions", security(("key" = ["review"])),
    params(("id" = String, Path, description = "The effect's name.")),
    responses(
        (status = 200, body = EffectView),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn drop_effect(
    State(server): State<Arc<Server>>,
    allowed: Allowed<Reviewing>,
    Named(name): Named<EffectName>,
) -> Result<Json<EffectView>, Failure> {
    let dropped = server.node.intervene(&allowed.actor(), name, Intervention::Drop).await?;
    Ok(Json(view(dropped)))
}

/// Shows an item again on a person's word, whatever cases say from now on.
#[utoipa::path(
    post, path = "/v1/actions/{id}/restore", tag = "actions", security(("key" = ["review"])),
    params(("id" = String, Path, description = "The platform's own id of the item.")),
    request_body = RuleRequest,
    responses(
        (status = 204),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn restore(
    State(server): State<Arc<Server>>,
    allowed: Allowed<Reviewing>,
    Named(item): Named<ItemId>,
    request: Request,
) -> Result<StatusCode, Failure> {
    rule(&server, &allowed, item, Ruling::Restore, request).await
}

/// Keeps an item down on a person's word, whatever becomes of its cases.
#[utoipa::path(
    post, path = "/v1/actions/{id}/keep", tag = "actions", security(("key" = ["review"])),
    params(("id" = String, Path, description = "The platform's own id of the item.")),
    request_body = RuleRequest,
    responses(
        (status = 204),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn keep(
    State(server): State<Arc<Server>>,
    allowed: Allowed<Reviewing>,
    Named(item): Named<ItemId>,
    request: Request,
) -> Result<StatusCode, Failure> {
    rule(&server, &allowed, item, Ruling::Keep, request).await
}

async fn rule(
    server: &Server,
    allowed: &Allowed<Reviewing>,
    item: ItemId,
    ruling: Ruling,
    request: Request,
) -> Result<StatusCode, Failure> {
    let (parts, body) = request.into_parts();
    let RuleRequest { note } = read_json(&parts, body).await?;
    if note.as_ref().is_some_and(|note| note.len() > NOTE_BYTES.value) {
        return Err(NOTE_BYTES.exceeded());
    }
    server.node.rule(&allowed.actor(), Ruled { item, ruling, note }).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<ActionError> for Failure {
    fn from(error: ActionError) -> Self {
        match error {
            ActionError::Unknown => Failure::new(ProblemKind::NotFound, error.to_string()),
            ActionError::NotNow(_) => Failure::new(ProblemKind::Conflict, error.to_string()),
            ActionError::Write(error) => error.into(),
            ActionError::Store(error) => Failure::internal(&error),
        }
    }
}

fn view(effect: Effect) -> EffectView {
    EffectView {
        name: hex::encode(&effect.name),
        item: effect.item,
        action: effect.action,
        connector: effect.connector,
        case: Commitment(effect.subject),
        record: Commitment(effect.record),
        round: effect.round,
        reversible: effect.reversible,
        state: shown(effect.state),
        attempts: effect.attempts,
        created_ms: effect.created_ms,
        due_ms: effect.due_ms,
        note: effect.note,
    }
}

fn shown(state: node::EffectState) -> EffectState {
    match state {
        node::EffectState::Pending => EffectState::Pending,
        node::EffectState::Done => EffectState::Done,
        node::EffectState::Dead => EffectState::Dead,
        node::EffectState::Cancelled => EffectState::Cancelled,
        node::EffectState::Dropped => EffectState::Dropped,
    }
}

fn in_store(state: EffectState) -> node::EffectState {
    match state {
        EffectState::Pending => node::EffectState::Pending,
        EffectState::Done => node::EffectState::Done,
        EffectState::Dead => node::EffectState::Dead,
        EffectState::Cancelled => node::EffectState::Cancelled,
        EffectState::Dropped => node::EffectState::Dropped,
    }
}
