//! What was done on the platform about an item.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use watchfire_api::problem::Problem;
use watchfire_api::wire::{EffectState, EffectView, Effects};
use watchfire_signal::commitment::Commitment;
use watchfire_signal::hex;
use watchfire_signal::name::ItemId;

use crate::answer::Failure;
use crate::caller::{Allowed, Reading};
use crate::input::Query;
use crate::server::Server;

/// Which item.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ItemQuery {
    /// The platform's own id of the item.
    #[param(value_type = String)]
    item: ItemId,
}

/// The effects on an item, oldest first.
#[utoipa::path(
    get, path = "/v1/actions", tag = "actions", params(ItemQuery),
    security(("key" = ["curate"]), ("key" = ["review"]), ("key" = ["audit"])),
    responses(
        (status = 200, body = Effects),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn actions(
    State(server): State<Arc<Server>>,
    _caller: Allowed<Reading>,
    Query(query): Query<ItemQuery>,
) -> Result<Json<Effects>, Failure> {
    let effects =
        server.node.effects(&query.item).await.map_err(|error| Failure::internal(&error))?;
    let actions = effects.into_iter().map(|effect| EffectView {
        name: hex::encode(&effect.name),
        item: query.item.clone(),
        action: effect.action,
        connector: effect.connector,
        case: Commitment(effect.subject),
        round: effect.round,
        state: state(effect.state),
        attempts: effect.attempts,
        created_ms: effect.created_ms,
        due_ms: effect.due_ms,
        note: effect.note,
    });
    Ok(Json(Effects { actions: actions.collect() }))
}

fn state(state: watchfire_node::EffectState) -> EffectState {
    match state {
        watchfire_node::EffectState::Pending => EffectState::Pending,
        watchfire_node::EffectState::Done => EffectState::Done,
        watchfire_node::EffectState::Dead => EffectState::Dead,
        watchfire_node::EffectState::Cancelled => EffectState::Cancelled,
    }
}
