//! API keys: made, listed, rotated, revoked.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use http::StatusCode;
use watchfire_api::problem::{Problem, ProblemKind};
use watchfire_api::wire;
use watchfire_node::access::keys::KeyName;
use watchfire_node::access::{KeyError, MadeKey, NewKey};

use crate::answer::Failure;
use crate::caller::{Administering, Allowed};
use crate::input::{Named, read_json};
use crate::server::Server;
use crate::views;

/// All API keys, without their secrets; one that is being rotated stands there once for each secret.
#[utoipa::path(
    get, path = "/v1/keys", tag = "keys", security(("key" = ["admin"])),
    responses(
        (status = 200, body = wire::Keys),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(server): State<Arc<Server>>,
    _caller: Allowed<Administering>,
) -> Json<wire::Keys> {
    let now = server.node.clock().now_ms();
    let keys = server.node.access().keys();
    Json(wire::Keys { keys: keys.iter().map(|key| views::key(key, now)).collect() })
}

/// Makes an API key; its secret is in the answer and nowhere else.
///
/// A repetition is refused because the name is taken; a secret that was lost on the way is replaced by a rotation.
#[utoipa::path(
    post, path = "/v1/keys", tag = "keys", security(("key" = ["admin"])),
    request_body = wire::KeyRequest,
    responses(
        (status = 201, body = wire::KeyMade),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn make(
    State(server): State<Arc<Server>>,
    allowed: Allowed<Administering>,
    request: Request,
) -> Result<(StatusCode, Json<wire::KeyMade>), Failure> {
    let (parts, body) = request.into_parts();
    let asked: wire::KeyRequest = read_json(&parts, body).await?;
    let name: KeyName = asked.name.parse().map_err(|error| invalid(&error))?;
    let scopes = asked.scopes.into_iter().map(views::scope_of).collect();
    let valid_for_ms = asked.valid_for_s.map(|seconds| seconds.saturating_mul(1000));
    let new = NewKey { name, scopes, valid_for_ms };
    let made = server.node.access().make_key(allowed.actor(), new).await?;
    Ok((StatusCode::CREATED, Json(told(made, &server))))
}

/// Gives an API key a new secret; the old one stays valid for the overlap.
#[utoipa::path(
    post, path = "/v1/keys/{name}/rotate", tag = "keys", security(("key" = ["admin"])),
    params(("name" = String, Path, description = "The key's name.")),
    request_body = wire::RotateRequest,
    responses(
        (status = 201, body = wire::KeyMade),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn rotate(
    State(server): State<Arc<Server>>,
    allowed: Allowed<Administering>,
    Named(name): Named<KeyName>,
    request: Request,
) -> Result<(StatusCode, Json<wire::KeyMade>), Failure> {
    let (parts, body) = request.into_parts();
    let asked: wire::RotateRequest = read_json(&parts, body).await?;
    let overlap_ms = asked.overlap_s.saturating_mul(1000);
    let made = server.node.access().rotate_key(allowed.actor(), name, overlap_ms).await?;
    Ok((StatusCode::CREATED, Json(told(made, &server))))
}

/// Takes an API key away, with all its secrets, at once.
#[utoipa::path(
    delete, path = "/v1/keys/{name}", tag = "keys", security(("key" = ["admin"])),
    params(("name" = String, Path, description = "The key's name.")),
    responses(
        (status = 204),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn revoke(
    State(server): State<Arc<Server>>,
    allowed: Allowed<Administering>,
    Named(name): Named<KeyName>,
) -> Result<StatusCode, Failure> {
    server.node.access().revoke_key(allowed.actor(), name).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn told(made: MadeKey, server: &Server) -> wire::KeyMade {
    let key = views::key(&made.view, server.node.clock().now_ms());
    wire::KeyMade { key, api_key: made.secret }
}

fn invalid(error: &dyn std::error::Error) -> Failure {
    Failure::new(ProblemKind::Invalid, error.to_string())
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Taken(_) => Failure::new(ProblemKind::Conflict, error.to_string()),
            KeyError::Unknown(_) => Failure::new(ProblemKind::NotFound, error.to_string()),
            KeyError::NoScope | KeyError::Overlap | KeyError::TooMany => invalid(&error),
            KeyError::Write(error) => error.into(),
        }
    }
}
