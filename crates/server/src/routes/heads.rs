//! What members hold of all logs, compared two by two.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use watchfire_api::problem::Problem;
use watchfire_api::wire::HeadsExchange;
use watchfire_signal::name::MemberName;

use crate::answer::Failure;
use crate::input::{Named, json};
use crate::limits::HEADS_BYTES;
use crate::member::{Signer, said_by};
use crate::server::Server;
use crate::views;

/// Compares the signed heads that a member holds with those held here, and answers those held here, with proofs
/// of every log that is known to have shown two histories. `member` is the caller.
#[utoipa::path(
    post, path = "/log/{member}/heads", tag = "log", params(("member" = String, Path)),
    request_body = HeadsExchange,
    responses(
        (status = 200, body = HeadsExchange),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn heads(
    State(server): State<Arc<Server>>,
    Signer(signer): Signer,
    Named(member): Named<MemberName>,
    request: Request,
) -> Result<Json<HeadsExchange>, Failure> {
    let said = said_by((&server, &signer), &member, request, HEADS_BYTES).await?;
    let theirs = views::heads_of(json(&said.body)?);
    let gossip = server.node.gossip();
    gossip.take(&theirs).await.map_err(|error| Failure::internal(&error))?;
    let ours = gossip.ours().await.map_err(|error| Failure::internal(&error))?;
    Ok(Json(views::heads(&ours)))
}
