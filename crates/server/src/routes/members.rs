//! The coalition as this node sees it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use watchfire_api::problem::Problem;
use watchfire_api::wire::{MemberView, Members};
use watchfire_signal::hex;

use crate::answer::Failure;
use crate::caller::{Allowed, Anything};
use crate::server::Server;

/// The members, how much of their logs is here, and how the streams to them are.
#[utoipa::path(
    get, path = "/v1/members", tag = "members", security(("key" = [])),
    responses(
        (status = 200, body = Members),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn members(
    State(server): State<Arc<Server>>,
    _caller: Allowed<Anything>,
) -> Result<Json<Members>, Failure> {
    let node = &server.node;
    let held = node.held().await.map_err(|error| Failure::internal(&error))?;
    let (here, links, charter) = (node.receipts().here(), node.events().links(), node.charter());
    let members = charter.members.iter().filter_map(|member| {
        let log = charter.log_of(&member.name)?;
        let link = links.get(&member.name).filter(|_| member.name != *node.me());
        Some(MemberView {
            name: member.name.clone(),
            organisation: member.organisation.clone(),
            role: member.role.to_string(),
            address: member.address.clone(),
            held: held.get(&member.name).copied().unwrap_or(0),
            effective_here: here.get(&log).copied().unwrap_or(0),
            effective_there: node.receipts().at(&member.name, node.log()),
            link_up: link.map(|link| link.up),
            last_error: link.and_then(|link| link.last_error.clone()),
            log,
        })
    });
    Ok(Json(Members {
        me: node.me().clone(),
        coalition: charter.coalition.clone(),
        charter_seq: charter.seq,
        charter_hash: hex::encode(&charter.hash()),
        members: members.collect(),
    }))
}
