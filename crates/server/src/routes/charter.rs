//! The charter: read, proposed, approved, exchanged between members, and joined.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use watchfire_api::problem::{Problem, ProblemKind};
use watchfire_api::wire::{
    ApproveAnswer, ApproveRequest, CharterList, CharterQuery, CharterView, InviteAnswer,
    InviteRequest, MembershipAnswer, MembershipRequest, ProposeRequest,
};
use watchfire_node::charter::invites::{INVITE_DAYS, Invitation};
use watchfire_signal::hex;
use watchfire_signal::name::MemberName;

use super::answers::check_ready;
use crate::answer::Failure;
use crate::caller::{Administering, Allowed, Anything};
use crate::input::{Named, Query, json, read_json, read_login};
use crate::limits::CHARTERS_BYTES;
use crate::member::{Asker, Signer, said_by};
use crate::rates::address_of;
use crate::server::Server;
use crate::views::charter as views;

/// The charter in force, and what is proposed as the next one.
#[utoipa::path(
    get, path = "/v1/charter", tag = "members", security(("key" = [])),
    responses(
        (status = 200, body = CharterView),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn show(
    State(server): State<Arc<Server>>,
    _caller: Allowed<Anything>,
) -> Json<CharterView> {
    Json(views::charter(&server.node))
}

/// Proposes the next charter and approves it for this member. It is in force once m organisations of the present one
/// have approved it, each by more than half of its members (of just half, with the first by name among them); one
/// approval a member and charter.
///
/// What is sent is the charter as it should be. A member that is left out leaves; one with another key gets a new
/// log. A repetition is the same proposal.
#[utoipa::path(
    post, path = "/v1/charter/proposals", tag = "members", security(("key" = ["admin"])),
    request_body = ProposeRequest,
    responses(
        (status = 201, body = ApproveAnswer),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn propose(
    State(server): State<Arc<Server>>,
    allowed: Allowed<Administering>,
    request: Request,
) -> Result<(StatusCode, Json<ApproveAnswer>), Failure> {
    let (parts, body) = request.into_parts();
    let ProposeRequest { charter } = read_json(&parts, body).await?;
    check_ready(&server)?;
    let approved = server.node.propose_charter(charter, &allowed.actor()).await?;
    Ok((StatusCode::CREATED, Json(views::approved(approved))))
}

/// Approves a proposed charter for this member, which is done once for each number; a repetition is harmless.
#[utoipa::path(
    post, path = "/v1/charter/proposals/{hash}/approve", tag = "members", security(("key" = ["admin"])),
    params(("hash" = String, Path, description = "The charter's hash, in hexadecimal.")),
    request_body = ApproveRequest,
    responses(
        (status = 200, body = ApproveAnswer),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn approve(
    State(server): State<Arc<Server>>,
    allowed: Allowed<Administering>,
    Named(hash): Named<String>,
    request: Request,
) -> Result<Json<ApproveAnswer>, Failure> {
    let (parts, body) = request.into_parts();
    let ApproveRequest {} = read_json(&parts, body).await?;
    let unknown =
        |_| Failure::new(ProblemKind::NotFound, "a charter's hash has 64 hexadecimal digits");
    let hash = hex::decode::<32>(&hash).map_err(unknown)?;
    check_ready(&server)?;
    Ok(Json(views::approved(server.node.approve_charter(&hash, &allowed.actor()).await?)))
}

/// Invites a member: a token that lets one key in, once enough organisations have approved the charter that says so.
#[utoipa::path(
    post, path = "/v1/charter/invites", tag = "members", security(("key" = ["admin"])),
    request_body = InviteRequest,
    responses(
        (status = 201, body = InviteAnswer),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn invite(
    State(server): State<Arc<Server>>,
    allowed: Allowed<Administering>,
    request: Request,
) -> Result<(StatusCode, Json<InviteAnswer>), Failure> {
    let (parts, body) = request.into_parts();
    let InviteRequest { member, organisation, role } = read_json(&parts, body).await?;
    let role = role.parse().map_err(|_| {
        let detail = "role: platform, contributor, convenor, auditor or witness";
        Failure::new(ProblemKind::Invalid, detail)
    })?;
    let token =
        server.node.invite(Invitation { member, organisation, role }, &allowed.actor()).await?;
    let coalition = hex::encode(&server.node.changes().chain().first().hash());
    Ok((StatusCode::CREATED, Json(InviteAnswer { token, coalition, days: INVITE_DAYS })))
}

/// Takes an invitation up: who holds the token shows its card, signed with its own key. The member that gave the
/// token proposes a charter with it. Asked again, it says how far that is, and in the end gives all charters.
#[utoipa::path(
    post, path = "/v1/join", tag = "members",
    request_body = MembershipRequest,
    responses(
        (status = 200, body = MembershipAnswer),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn join(
    State(server): State<Arc<Server>>,
    request: Request,
) -> Result<Json<MembershipAnswer>, Failure> {
    let (parts, body) = request.into_parts();
    let from = address_of(&parts, server.behind_proxy);
    server.rates.public(from, server.node.clock().now_ms())?;
    let _place = server.places.login(from)?;
    let MembershipRequest { token, card, signature } = read_login(&parts, body).await?;
    check_ready(&server)?;
    let malformed =
        |_| Failure::new(ProblemKind::Invalid, "a signature has 128 hexadecimal digits");
    let signature = hex::decode::<64>(&signature).map_err(malformed)?;
    let joining = server.node.join(&token, &card, &signature).await?;
    Ok(Json(views::joining(joining)))
}

/// All charters of the coalition from a number on, with their approvals: what proofs are checked against. Members
/// get what is proposed as well.
#[utoipa::path(
    get, path = "/log/charters", tag = "log", params(CharterQuery),
    responses(
        (status = 200, body = CharterList),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(server): State<Arc<Server>>,
    asker: Asker,
    Query(CharterQuery { after }): Query<CharterQuery>,
) -> Result<Response, Failure> {
    let place = asker.place(&server)?;
    let changes = server.node.changes();
    let charters = changes.lacking(after.unwrap_or(0), asker.name().is_some());
    let in_force = changes.chain().in_force().charter.seq;
    Ok(place.until_taken(server.patience.answer, Json(views::list(in_force, &charters))))
}

/// Takes charters and proposals that a member brings; what proves nothing is passed over. `member` is the caller.
#[utoipa::path(
    post, path = "/log/{member}/charters", tag = "log", params(("member" = String, Path)),
    request_body = CharterList,
    responses(
        (status = 204),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn tell(
    State(server): State<Arc<Server>>,
    Signer(signer): Signer,
    Named(member): Named<MemberName>,
    request: Request,
) -> Result<StatusCode, Failure> {
    let said = said_by((&server, &signer), &member, request, CHARTERS_BYTES).await?;
    let list: CharterList = json(&said.body)?;
    let invalid = |error: String| Failure::new(ProblemKind::Invalid, error);
    let charters = views::charters_of(&list).map_err(invalid)?;
    server.node.changes().take(charters).await?;
    Ok(StatusCode::NO_CONTENT)
}
