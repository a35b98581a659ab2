//! Accounts of people: opened by an invitation, changed, closed, erased.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use http::StatusCode;
use watchfire_api::problem::{Problem, ProblemKind};
use watchfire_api::wire;
use watchfire_node::access::account::AccountName;
use watchfire_node::access::{AccountError, Invitation};

use crate::answer::Failure;
use crate::caller::{Administering, Allowed};
use crate::input::{Named, read_json};
use crate::server::Server;
use crate::views;

/// All accounts, with the pseudonyms that stand for them in the desk log.
#[utoipa::path(
    get, path = "/v1/accounts", tag = "accounts", security(("key" = ["admin"])),
    responses(
        (status = 200, body = wire::Accounts),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(server): State<Arc<Server>>,
    _caller: Allowed<Administering>,
) -> Json<wire::Accounts> {
    let accounts = server.node.access().accounts();
    Json(wire::Accounts { accounts: accounts.iter().map(views::account).collect() })
}

/// Opens an account; the person sets a passphrase with the invitation in the answer.
///
/// A repetition is refused because the name is taken; an invitation that was lost is replaced by another.
#[utoipa::path(
    post, path = "/v1/accounts", tag = "accounts", security(("key" = ["admin"])),
    request_body = wire::AccountRequest,
    responses(
        (status = 201, body = wire::Invited),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn open(
    State(server): State<Arc<Server>>,
    allowed: Allowed<Administering>,
    request: Request,
) -> Result<(StatusCode, Json<wire::Invited>), Failure> {
    let (parts, body) = request.into_parts();
    let asked: wire::AccountRequest = read_json(&parts, body).await?;
    let name: AccountName = asked
        .name
        .parse()
        .map_err(|error| Failure::new(ProblemKind::Invalid, format!("{error}")))?;
    let role = views::role_of(asked.role);
    let invitation = server.node.access().open_account(allowed.actor(), name, role).await?;
    Ok((StatusCode::CREATED, Json(told(invitation))))
}

/// Invites a person again, who forgot the passphrase, say.
#[utoipa::path(
    post, path = "/v1/accounts/{name}/invite", tag = "accounts", security(("key" = ["admin"])),
    params(("name" = String, Path, description = "The account's name.")),
    responses(
        (status = 201, body = wire::Invited),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn invite(
    State(server): State<Arc<Server>>,
    allowed: Allowed<Administering>,
    Named(name): Named<AccountName>,
) -> Result<(StatusCode, Json<wire::Invited>), Failure> {
    let invitation = server.node.access().invite_again(allowed.actor(), name).await?;
    Ok((StatusCode::CREATED, Json(told(invitation))))
}

/// Gives a person another role, in sessions that go on too.
#[utoipa::path(
    post, path = "/v1/accounts/{name}/role", tag = "accounts", security(("key" = ["admin"])),
    params(("name" = String, Path, description = "The account's name.")),
    request_body = wire::RoleRequest,
    responses(
        (status = 200, body = wire::AccountView),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn change_role(
    State(server): State<Arc<Server>>,
    allowed: Allowed<Administering>,
    Named(name): Named<AccountName>,
    request: Request,
) -> Result<Json<wire::AccountView>, Failure> {
    let (parts, body) = request.into_parts();
    let asked: wire::RoleRequest = read_json(&parts, body).await?;
    let role = views::role_of(asked.role);
    let account = server.node.access().change_role(allowed.actor(), name, role).await?;
    Ok(Json(views::account(&account)))
}

/// Closes an account and ends its sessions; its name stays for auditors until it is erased.
#[utoipa::path(
    post, path = "/v1/accounts/{name}/close", tag = "accounts", security(("key" = ["admin"])),
    params(("name" = String, Path, description = "The account's name.")),
    responses(
        (status = 204),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn close(
    State(server): State<Arc<Server>>,
    allowed: Allowed<Administering>,
    Named(name): Named<AccountName>,
) -> Result<StatusCode, Failure> {
    server.node.access().close_account(allowed.actor(), name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Erases the name of a closed account; what it did stays in the desk log under its pseudonym.
#[utoipa::path(
    delete, path = "/v1/accounts/{name}", tag = "accounts", security(("key" = ["admin"])),
    params(("name" = String, Path, description = "The account's name.")),
    responses(
        (status = 204),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn erase(
    State(server): State<Arc<Server>>,
    allowed: Allowed<Administering>,
    Named(name): Named<AccountName>,
) -> Result<StatusCode, Failure> {
    server.node.access().erase_account(allowed.actor(), name).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn told(invitation: Invitation) -> wire::Invited {
    let account = views::account(&invitation.account);
    wire::Invited { account, invitation: invitation.secret }
}

impl From<AccountError> for Failure {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Taken | AccountError::Open => {
                Failure::new(ProblemKind::Conflict, error.to_string())
            }
            AccountError::Unknown => Failure::new(ProblemKind::NotFound, error.to_string()),
            AccountError::TooMany => Failure::new(ProblemKind::Invalid, error.to_string()),
            AccountError::Write(error) => error.into(),
        }
    }
}
