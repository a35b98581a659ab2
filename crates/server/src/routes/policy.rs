//! The member's policy: shows it, puts another one in force, tries one, explains, releases what limits
//! hold.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use watchfire_api::problem::{Problem, ProblemKind};
use watchfire_api::wire::{
    BacktestRequest, BacktestStep, ExplainQuery, ExplainView, HoldView, HoldsView, PolicyApplied,
    PolicyText, PolicyView, PromoteRequest,
};
use watchfire_node::PromoteError;
use watchfire_node::facts::KeptFacts;
use watchfire_node::holds::Hold;
use watchfire_node::policies::ApplyError;
use watchfire_node::policy::Policy;
use watchfire_signal::commitment::Commitment;
use watchfire_signal::hex;

use crate::answer::Failure;
use crate::caller::{Allowed, Releasing, Ruling, Seeing};
use crate::input::{Named, Query, read_json};
use crate::server::Server;

/// The policy in force.
#[utoipa::path(
    get, path = "/v1/policy", tag = "policy",
    security(("key" = ["admin"]), ("key" = ["audit"]), ("key" = ["review"])),
    responses(
        (status = 200, body = PolicyView),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn show(
    State(server): State<Arc<Server>>,
    _caller: Allowed<Seeing>,
) -> Result<Json<PolicyView>, Failure> {
    let version = server.node.policy().version;
    let applied = server.node.policies().version(version).await;
    let applied = applied.map_err(|error| Failure::internal(&error))?;
    let view = PolicyView { version, text: None, sha256: None, applied_ms: None, actor: None };
    Ok(Json(applied.map_or(view, |applied| PolicyView {
        version,
        text: Some(applied.text),
        sha256: Some(applied.sha256),
        applied_ms: Some(applied.applied_ms),
        actor: Some(applied.actor),
    })))
}

/// Puts a policy file in force.
///
/// It is checked first: what is wrong is answered with line and column. Its version has to be above the one in
/// force; the file that is in force already changes nothing. Scans that run finish by the policy before; copies
/// that are held are looked at again.
#[utoipa::path(
    put, path = "/v1/policy", tag = "policy", security(("key" = ["admin"])),
    request_body = PolicyText,
    responses(
        (status = 200, body = PolicyApplied),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn apply(
    State(server): State<Arc<Server>>,
    caller: Allowed<Ruling>,
    request: Request,
) -> Result<Json<PolicyApplied>, Failure> {
    let (parts, body) = request.into_parts();
    let file: PolicyText = read_json(&parts, body).await?;
    let (version, changed) = server.node.policies().apply(&file.text, &caller.actor()).await?;
    Ok(Json(PolicyApplied { version: version.version, changed }))
}

/// Tries a policy on what was decided before, a step at a time.
///
/// Only facts are replayed, never content; nothing changes.
#[utoipa::path(
    post, path = "/v1/policy/backtest", tag = "policy", security(("key" = ["admin"])),
    request_body = BacktestRequest,
    responses(
        (status = 200, body = BacktestStep),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn backtest(
    State(server): State<Arc<Server>>,
    _caller: Allowed<Ruling>,
    request: Request,
) -> Result<Json<BacktestStep>, Failure> {
    let (parts, body) = request.into_parts();
    let asked: BacktestRequest = read_json(&parts, body).await?;
    let invalid = |detail: String| Failure::new(ProblemKind::Invalid, detail);
    let tried = match &asked.text {
        Some(text) => Arc::new(Policy::read(text).map_err(|error| invalid(error.to_string()))?),
        None => server.node.policy(),
    };
    let after = match &asked.after {
        Some(after) => {
            hex::decode::<16>(after).map_err(|e| invalid(format!("after: {e}")))?.to_vec()
        }
        None => KeptFacts::since(asked.since_ms),
    };
    let step = server.node.backtest(&tried, &after).await;
    let (report, next) = step.map_err(|error| Failure::internal(&error))?;
    let now_ms = server.node.clock().now_ms();
    Ok(Json(BacktestStep {
        report: serde_json::json!(report),
        until_ms: next.as_deref().map_or(now_ms, KeptFacts::time_of),
        next: next.map(|next| hex::encode(&next)),
        now_ms,
    }))
}

/// Puts a rule that is in shadow in force, if people agree with it often enough.
#[utoipa::path(
    post, path = "/v1/policy/promote", tag = "policy", security(("key" = ["admin"])),
    request_body = PromoteRequest,
    responses(
        (status = 200, body = PolicyApplied),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn promote(
    State(server): State<Arc<Server>>,
    caller: Allowed<Ruling>,
    request: Request,
) -> Result<Json<PolicyApplied>, Failure> {
    let (parts, body) = request.into_parts();
    let asked: PromoteRequest = read_json(&parts, body).await?;
    let version = server.node.promote(&asked.rule, &caller.actor()).await?;
    Ok(Json(PolicyApplied { version: version.version, changed: true }))
}

/// Why an item is decided as it is: which rules fired or not, and with what facts.
#[utoipa::path(
    get, path = "/v1/policy/explain", tag = "policy", params(ExplainQuery),
    security(("key" = ["admin"]), ("key" = ["audit"]), ("key" = ["review"])),
    responses(
        (status = 200, body = ExplainView),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn explain(
    State(server): State<Arc<Server>>,
    _caller: Allowed<Seeing>,
    Query(query): Query<ExplainQuery>,
) -> Result<Json<ExplainView>, Failure> {
    let matches = server.node.explain(&query.item).await;
    let matches = matches.map_err(|error| Failure::internal(&error))?;
    let matches = matches.iter().map(|one| serde_json::json!(one)).collect();
    Ok(Json(ExplainView { item: query.item, matches }))
}

/// Cases whose take-downs wait for a person, because a limit of the policy would be passed.
#[utoipa::path(
    get, path = "/v1/policy/holds", tag = "policy",
    security(("key" = ["admin"]), ("key" = ["audit"]), ("key" = ["review"])),
    responses(
        (status = 200, body = HoldsView),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn holds(
    State(server): State<Arc<Server>>,
    _caller: Allowed<Seeing>,
) -> Json<HoldsView> {
    let holds = server.node.holds().list();
    Json(HoldsView { holds: holds.into_iter().map(view).collect() })
}

/// Releases a held case: its copies are looked at, and no limit holds it again.
#[utoipa::path(
    post, path = "/v1/policy/holds/{case}/release", tag = "policy",
    params(("case" = String, Path, description = "The case, or one alert of it.")),
    security(("key" = ["admin"]), ("key" = ["review"])),
    responses(
        (status = 200, body = HoldView),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn release(
    State(server): State<Arc<Server>>,
    caller: Allowed<Releasing>,
    Named(case): Named<Commitment>,
) -> Result<Json<HoldView>, Failure> {
    let released = server.node.release(&case, &caller.actor()).await?;
    let none = || Failure::new(ProblemKind::NotFound, "no take-down of this case is held");
    Ok(Json(view(released.ok_or_else(none)?)))
}

pub(super) fn view(hold: Hold) -> HoldView {
    HoldView {
        case: hold.case,
        record: hold.record,
        source: hold.source,
        limit: hold.why.limit().to_owned(),
        copies: hold.copies,
        found: hold.found,
        since_ms: hold.since_ms,
    }
}

impl From<ApplyError> for Failure {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Policy(error) => Failure::new(ProblemKind::Invalid, error.to_string()),
            ApplyError::NotNewer { .. } => Failure::new(ProblemKind::Conflict, error.to_string()),
            ApplyError::Write(error) => error.into(),
            ApplyError::Store(error) => Failure::internal(&error),
        }
    }
}

impl From<PromoteError> for Failure {
    fn from(error: PromoteError) -> Self {
        match error {
            PromoteError::Unknown(_) => Failure::new(ProblemKind::NotFound, error.to_string()),
            PromoteError::Apply(error) => error.into(),
            PromoteError::Store(error) => Failure::internal(&error),
            _ => Failure::new(ProblemKind::Conflict, error.to_string()),
        }
    }
}
