//! People log in and out.
//!
//! **Invariant:** a page never sees the token of its session: it is in a cookie that scripts cannot read, unless the
//! caller asked for it instead of the cookie.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use watchfire_api::problem::{Problem, ProblemKind};
use watchfire_api::wire;
use watchfire_node::access::LIFETIME_MS;
use watchfire_node::access::enter::{EnterError, Entered};
use watchfire_node::access::passphrase::PassphraseError;
use watchfire_node::rate::Wait;

use crate::answer::Failure;
use crate::caller::{Allowed, Anything};
use crate::cookie;
use crate::input::read_login;
use crate::rates::{address_of, too_often};
use crate::server::Server;
use crate::views;

/// Logs a person in.
///
/// The session's token is set as a cookie, or answered with `bearer`. Attempts are limited by address and by name.
#[utoipa::path(
    post, path = "/v1/session", tag = "session", request_body = wire::LoginRequest,
    responses(
        (status = 201, body = wire::SessionView),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn log_in(
    State(server): State<Arc<Server>>,
    request: Request,
) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    cookie::refuse_elsewhere(&parts, &server)?;
    let from = address_of(&parts, server.behind_proxy);
    let _place = server.places.login(from)?;
    let asked: wire::LoginRequest = read_login(&parts, body).await?;
    let entered = server.node.access().enter(&asked.name, asked.passphrase, from).await?;
    Ok(told(&entered, asked.bearer))
}

/// Sets the passphrase of an invited person and logs them in; the invitation is used up.
#[utoipa::path(
    post, path = "/v1/session/invitation", tag = "session", request_body = wire::InvitationRequest,
    responses(
        (status = 201, body = wire::SessionView),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn accept(
    State(server): State<Arc<Server>>,
    request: Request,
) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    cookie::refuse_elsewhere(&parts, &server)?;
    let from = address_of(&parts, server.behind_proxy);
    let _place = server.places.login(from)?;
    let asked: wire::InvitationRequest = read_login(&parts, body).await?;
    let access = server.node.access();
    let entered = access.accept_invitation(&asked.invitation, asked.passphrase, from).await?;
    Ok(told(&entered, asked.bearer))
}

/// Who calls, as the node sees it: a program or a person.
#[utoipa::path(
    get, path = "/v1/session", tag = "session", security(("key" = [])),
    responses(
        (status = 200, body = wire::SessionView),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn show(
    State(server): State<Arc<Server>>,
    allowed: Allowed<Anything>,
) -> Json<wire::SessionView> {
    let caller = &allowed.caller;
    let until_ms = caller.session.and_then(|name| server.node.access().session_ends_ms(&name));
    let scopes = caller.scopes.iter().copied().map(views::scope).collect();
    Json(wire::SessionView { actor: caller.actor.to_string(), scopes, until_ms, token: None })
}

/// Logs a person out.
#[utoipa::path(
    delete, path = "/v1/session", tag = "session", security(("key" = [])),
    responses(
        (status = 204),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn log_out(
    State(server): State<Arc<Server>>,
    allowed: Allowed<Anything>,
) -> Result<Response, Failure> {
    let Some(session) = allowed.caller.session else {
        let detail = "an API key has no session: it is revoked";
        return Err(Failure::new(ProblemKind::Conflict, detail));
    };
    server.node.access().leave(session).await?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie::clear())]).into_response())
}

fn told(entered: &Entered, bearer: bool) -> Response {
    let scopes = entered.account.role.scopes().into_iter().map(views::scope).collect();
    let view = wire::SessionView {
        actor: format!("person:{}", entered.account.pseudonym),
        scopes,
        until_ms: Some(entered.until_ms),
        token: bearer.then(|| entered.secret.clone()),
    };
    let answer = (StatusCode::CREATED, Json(view));
    if bearer {
        return answer.into_response();
    }
    let cookie = cookie::set(&entered.secret, LIFETIME_MS / 1000);
    ([(header::SET_COOKIE, cookie)], answer).into_response()
}

impl From<EnterError> for Failure {
    fn from(error: EnterError) -> Self {
        let detail = error.to_string();
        match error {
            EnterError::Refused | EnterError::NotInvited => {
                Failure::new(ProblemKind::Unauthenticated, detail)
            }
            EnterError::TooMany { limit, most, wait_ms } => too_often(limit, most, Wait(wait_ms)),
            EnterError::Passphrase(PassphraseError::TooShort | PassphraseError::TooLong) => {
                Failure::new(ProblemKind::Invalid, detail)
            }
            EnterError::Passphrase(PassphraseError::Busy) => {
                Failure::new(ProblemKind::Unavailable, detail)
            }
            EnterError::Passphrase(error @ PassphraseError::Failed(_)) => Failure::internal(&error),
            EnterError::Write(error) => error.into(),
        }
    }
}
