//! The coalition as this node sees it, and its votes for a stop of a member.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use watchfire_api::problem::Problem;
use watchfire_api::wire::{MemberView, Members, QuotaView, QuotasView, StopAnswer, StopRequest};
use watchfire_node::StopMember;
use watchfire_node::spent::Spent;
use watchfire_signal::charter::Quotas;
use watchfire_signal::hex;
use watchfire_signal::name::MemberName;

use super::answers::check_ready;
use crate::answer::Failure;
use crate::caller::{Allowed, Anything, Ruling};
use crate::said::Said;
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
    let forked = node.forked().await.map_err(|error| Failure::internal(&error))?;
    let rewritten = node.rewritten_desks();
    let missing = node.receipts().missing();
    let spent = node.spent().await.unwrap_or_default();
    let (here, links, charter) = (node.receipts().here(), node.events().links(), node.charter());
    let members = charter.members.iter().filter_map(|member| {
        let log = charter.log_of(&member.name)?;
        let link = links.get(&member.name).filter(|_| member.name != *node.me());
        let stops = node.stops_of(&member.name);
        let of_its = missing.iter().filter(|(log, _)| log.member == member.name);
        Some(MemberView {
            name: member.name.clone(),
            organisation: member.organisation.clone(),
            role: member.role.to_string(),
            address: member.address.clone(),
            held: held.get(&member.name).copied().unwrap_or(0),
            effective_here: here.get(&log).copied().unwrap_or(0),
            effective_there: node.receipts().at(&member.name, node.log()),
            missing: of_its.map(|(_, count)| count).sum(),
            link_up: link.map(|link| link.up),
            last_error: link.and_then(|link| link.last_error.clone()),
            beyond_quota: node.beyond_quota(&log),
            quotas: spent.get(&log).map(|spent| quotas(spent, &charter.quotas)),
            log,
            forked: forked.contains(&member.name),
            desk_rewritten: rewritten.iter().any(|log| log.member == member.name),
            halted_by: stops.halted_by.into_keys().collect(),
            halted: stops.halted,
            suspended_by: stops.suspended_by.into_keys().collect(),
            suspended_at: stops.suspended_at,
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

/// What is used of each quota, and how much there is.
pub(super) fn quotas(spent: &Spent, allowed: &Quotas) -> QuotasView {
    let of = |used, allowed| QuotaView { used, allowed };
    QuotasView {
        records_a_day: of(spent.records, allowed.records_a_day),
        disputes_a_day: of(spent.disputes, allowed.disputes_a_day),
        bytes_a_day: of(spent.bytes, allowed.bytes_a_day),
        live_alerts: of(spent.live_alerts, allowed.live_alerts),
    }
}

/// Votes for a halt of a member, or takes that vote back: nothing that a member stands by counts while
/// enough organisations halt it, and what that alone caused is restored.
#[utoipa::path(
    post, path = "/v1/members/{name}/halt", tag = "members", security(("key" = ["admin"])),
    params(
        ("name" = String, Path, description = "The member's name."),
        ("idempotency-key" = Option<String>, Header, description = "Makes a repetition harmless."),
    ),
    request_body = StopRequest,
    responses(
        (status = 200, body = StopAnswer),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn halt(
    State(server): State<Arc<Server>>,
    said: Said<Ruling, MemberName, StopRequest>,
) -> Result<Json<StopAnswer>, Failure> {
    stop(&server, said, StopMember::Halt).await
}

/// Votes for a suspension of a member, or takes that vote back: its log counts up to what this node holds
/// of it; nothing it stands by is acted on, and what was removed stays until a person decides.
#[utoipa::path(
    post, path = "/v1/members/{name}/suspend", tag = "members", security(("key" = ["admin"])),
    params(
        ("name" = String, Path, description = "The member's name."),
        ("idempotency-key" = Option<String>, Header, description = "Makes a repetition harmless."),
    ),
    request_body = StopRequest,
    responses(
        (status = 200, body = StopAnswer),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn suspend(
    State(server): State<Arc<Server>>,
    said: Said<Ruling, MemberName, StopRequest>,
) -> Result<Json<StopAnswer>, Failure> {
    stop(&server, said, StopMember::Suspend).await
}

async fn stop(
    server: &Server,
    said: Said<Ruling, MemberName, StopRequest>,
    stop: StopMember,
) -> Result<Json<StopAnswer>, Failure> {
    let Said { of: name, asked, body: StopRequest { reason, withdraw }, .. } = said;
    check_ready(server)?;
    let node = &server.node;
    let published = node.stop_member(&name, (stop, withdraw), reason, asked).await?;
    let stops = node.stops_of(&name);
    let (log, index) = (node.log().clone(), published.index);
    let suspended = stops.suspended_at.is_some();
    Ok(Json(StopAnswer { log, index, halted: stops.halted, suspended }))
}
