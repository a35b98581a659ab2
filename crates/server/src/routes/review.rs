//! What waits for a person: listed, taken, kept, decided, undone.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use watchfire_api::problem::{Problem, ProblemKind};
use watchfire_api::wire::{
    DecideRequest, ReviewDecided, ReviewDecision, ReviewNext, ReviewNextRequest, ReviewPage,
    ReviewPageQuery, ReviewQueue, ReviewQueues, ReviewScope, ReviewTicket,
};
use watchfire_node::review::{
    Finding, Finds, Refused, ReviewError, Ruling, Scope, Ticket, TicketId,
};
use watchfire_signal::name::QueueName;

use super::matches::state;
use crate::answer::Failure;
use crate::caller::{Allowed, Reading, Reviewing};
use crate::input::{Named, Query, read_json};
use crate::limits::{DEFAULT_PAGE, PAGE};
use crate::server::Server;

/// What the queue without a name is called.
const DEFAULT: &str = "default";

/// The queues, with how much waits in each and how long.
#[utoipa::path(
    get, path = "/v1/review/queues", tag = "review",
    security(("key" = ["curate"]), ("key" = ["review"]), ("key" = ["audit"])),
    responses(
        (status = 200, body = ReviewQueues),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn queues(
    State(server): State<Arc<Server>>,
    _caller: Allowed<Reading>,
) -> Json<ReviewQueues> {
    let counts = server.node.review().counts().await.into_iter();
    let queues = counts.map(|(queue, count)| ReviewQueue {
        queue: queue_name(queue.as_ref()),
        free: count.free,
        held: count.held,
        oldest_ms: count.oldest_ms,
    });
    Json(ReviewQueues { queues: queues.collect() })
}

/// A page of what waits, in order of name. Listing is no look: nothing is shown that has to be counted.
#[utoipa::path(
    get, path = "/v1/review", tag = "review", params(ReviewPageQuery),
    security(("key" = ["curate"]), ("key" = ["review"]), ("key" = ["audit"])),
    responses(
        (status = 200, body = ReviewPage),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(server): State<Arc<Server>>,
    _caller: Allowed<Reading>,
    Query(query): Query<ReviewPageQuery>,
) -> Result<Json<ReviewPage>, Failure> {
    let limit = query.limit.map_or(DEFAULT_PAGE, |limit| usize::try_from(limit).unwrap_or(0));
    if limit == 0 || limit > PAGE.value {
        return Err(PAGE.exceeded());
    }
    let queue = named_queue(query.queue.as_deref())?;
    let after = query.after.as_deref().map(str::parse::<TicketId>).transpose();
    let after = after.map_err(|error| Failure::new(ProblemKind::Invalid, error.to_string()))?;
    let tickets = server.node.review().list(after, queue, limit).await;
    let next =
        tickets.last().filter(|_| tickets.len() == limit).map(|ticket| ticket.id.to_string());
    let tickets = tickets.into_iter().map(|ticket| shown(&server, ticket)).collect();
    Ok(Json(ReviewPage { tickets, next }))
}

/// Gives the caller what to look at next, with a lease of ten minutes: what they hold already, else the
/// most severe, then the oldest. It is a look, written into the desk log.
#[utoipa::path(
    post, path = "/v1/review/next", tag = "review", security(("key" = ["review"])),
    request_body = ReviewNextRequest,
    responses(
        (status = 200, body = ReviewNext),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn next(
    State(server): State<Arc<Server>>,
    caller: Allowed<Reviewing>,
    request: Request,
) -> Result<Json<ReviewNext>, Failure> {
    let (parts, body) = request.into_parts();
    let wanted: ReviewNextRequest = read_json(&parts, body).await?;
    let queue = named_queue(wanted.queue.as_deref())?;
    let ticket = server.node.review().next(queue, &caller.actor()).await?;
    Ok(Json(ReviewNext { ticket: ticket.map(|ticket| shown(&server, ticket)) }))
}

/// Shows a ticket. It is a look, written into the desk log.
#[utoipa::path(
    get, path = "/v1/review/{id}", tag = "review", security(("key" = ["review"])),
    params(("id" = String, Path, description = "The ticket's name.")),
    responses(
        (status = 200, body = ReviewTicket),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn show(
    State(server): State<Arc<Server>>,
    caller: Allowed<Reviewing>,
    Named(id): Named<TicketId>,
) -> Result<Json<ReviewTicket>, Failure> {
    let ticket = server.node.review().look(&id, &caller.actor()).await?;
    Ok(Json(shown(&server, ticket)))
}

/// Takes a ticket that is free, with a lease of ten minutes.
#[utoipa::path(
    post, path = "/v1/review/{id}/take", tag = "review", security(("key" = ["review"])),
    params(("id" = String, Path, description = "The ticket's name.")),
    responses(
        (status = 200, body = ReviewTicket),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Somebody else holds it, or it is decided."),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn take(
    State(server): State<Arc<Server>>,
    caller: Allowed<Reviewing>,
    Named(id): Named<TicketId>,
) -> Result<Json<ReviewTicket>, Failure> {
    let ticket = server.node.review().take(&id, &caller.actor()).await?;
    Ok(Json(shown(&server, ticket)))
}

/// A sign of life: the lease runs anew.
#[utoipa::path(
    post, path = "/v1/review/{id}/heartbeat", tag = "review", security(("key" = ["review"])),
    params(("id" = String, Path, description = "The ticket's name.")),
    responses(
        (status = 200, body = ReviewTicket),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn heartbeat(
    State(server): State<Arc<Server>>,
    caller: Allowed<Reviewing>,
    Named(id): Named<TicketId>,
) -> Result<Json<ReviewTicket>, Failure> {
    let ticket = server.node.review().heartbeat(&id, &caller.actor()).await?;
    Ok(Json(shown(&server, ticket)))
}

/// Gives a ticket back undecided.
#[utoipa::path(
    post, path = "/v1/review/{id}/release", tag = "review", security(("key" = ["review"])),
    params(("id" = String, Path, description = "The ticket's name.")),
    responses(
        (status = 200, body = ReviewTicket),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn release(
    State(server): State<Arc<Server>>,
    caller: Allowed<Reviewing>,
    Named(id): Named<TicketId>,
) -> Result<Json<ReviewTicket>, Failure> {
    let ticket = server.node.review().release(&id, &caller.actor()).await?;
    Ok(Json(shown(&server, ticket)))
}

/// Decides. It takes effect after ten seconds; until then it can be undone.
#[utoipa::path(
    post, path = "/v1/review/{id}/decide", tag = "review", security(("key" = ["review"])),
    params(("id" = String, Path, description = "The ticket's name.")),
    request_body = DecideRequest,
    responses(
        (status = 200, body = ReviewTicket),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "The ticket has another version, or the caller does not hold it."),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn decide(
    State(server): State<Arc<Server>>,
    caller: Allowed<Reviewing>,
    Named(id): Named<TicketId>,
    request: Request,
) -> Result<Json<ReviewTicket>, Failure> {
    let (parts, body) = request.into_parts();
    let wanted: DecideRequest = read_json(&parts, body).await?;
    let finds = Finds {
        finding: match wanted.decision {
            ReviewDecision::Harmful => Finding::Harmful,
            ReviewDecision::Benign => Finding::Benign,
            ReviewDecision::Escalate => Finding::Escalate,
        },
        scope: match wanted.scope {
            ReviewScope::Items => Scope::Items,
            ReviewScope::Case => Scope::Case,
        },
        label: wanted.label,
        irreversible: wanted.irreversible,
        reason: wanted.reason,
    };
    let decided = server.node.review().decide(&id, &caller.actor(), wanted.version, finds).await?;
    Ok(Json(shown(&server, decided)))
}

/// Takes a decision of the caller back that is not in effect yet; the caller holds the ticket again.
#[utoipa::path(
    post, path = "/v1/review/{id}/undo", tag = "review", security(("key" = ["review"])),
    params(("id" = String, Path, description = "The ticket's name.")),
    responses(
        (status = 200, body = ReviewTicket),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It is in effect, or somebody else's."),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn undo(
    State(server): State<Arc<Server>>,
    caller: Allowed<Reviewing>,
    Named(id): Named<TicketId>,
) -> Result<Json<ReviewTicket>, Failure> {
    let ticket = server.node.review().undo(&id, &caller.actor()).await?;
    Ok(Json(shown(&server, ticket)))
}

fn queue_name(queue: Option<&QueueName>) -> String {
    queue.map_or_else(|| DEFAULT.to_owned(), ToString::to_string)
}

/// The queue that a caller names: outer `None` is any, inner `None` the default one.
fn named_queue(name: Option<&str>) -> Result<Option<Option<QueueName>>, Failure> {
    match name {
        None => Ok(None),
        Some(DEFAULT) => Ok(Some(None)),
        Some(name) => match name.parse() {
            Ok(name) => Ok(Some(Some(name))),
            Err(_) => Err(Failure::new(ProblemKind::Invalid, "no queue can have that name")),
        },
    }
}

fn shown(server: &Server, ticket: Ticket) -> ReviewTicket {
    let now = server.node.clock().now_ms();
    ReviewTicket {
        id: ticket.id.to_string(),
        queue: queue_name(ticket.queue.as_ref()),
        case: ticket.case,
        alert: ticket.set,
        held: server.node.holds().hold_of(&ticket.set).map(super::policy::view),
        state: server.node.alert(&ticket.set).map(|view| state(view.state)),
        leased_until_ms: ticket.lease_at(now).map(|lease| lease.until_ms),
        labels: ticket.labels,
        severity: ticket.severity,
        items: ticket.items,
        more_items: ticket.more_items,
        first_ms: ticket.first_ms,
        newest_ms: ticket.newest_ms,
        version: ticket.version,
        escalated: ticket.escalated,
        decided: ticket.ruling.map(decided),
    }
}

fn decided(ruling: Ruling) -> ReviewDecided {
    ReviewDecided {
        decision: match ruling.finds.finding {
            Finding::Harmful => ReviewDecision::Harmful,
            Finding::Benign => ReviewDecision::Benign,
            Finding::Escalate => ReviewDecision::Escalate,
        },
        scope: match ruling.finds.scope {
            Scope::Items => ReviewScope::Items,
            Scope::Case => ReviewScope::Case,
        },
        in_effect_ms: ruling.due_ms,
    }
}

impl From<ReviewError> for Failure {
    fn from(error: ReviewError) -> Self {
        match error {
            ReviewError::Refused(refused) => {
                let kind = match refused {
                    Refused::Unknown => ProblemKind::NotFound,
                    Refused::Reason | Refused::Irreversible => ProblemKind::Invalid,
                    Refused::Full => ProblemKind::Unavailable,
                    Refused::NotYours
                    | Refused::Stale { .. }
                    | Refused::Decided
                    | Refused::TooLate => ProblemKind::Conflict,
                };
                Failure::new(kind, refused.to_string())
            }
            ReviewError::Exposure(most) => {
                let (kind, detail) = (ProblemKind::TooMany, error.to_string());
                let limit = Problem::limit(kind, "tickets_per_person_per_day", u64::from(most));
                Failure(Problem { detail: Some(detail), ..limit })
            }
            ReviewError::Desk(error) => error.into(),
            ReviewError::Store(error) => Failure::internal(&error),
        }
    }
}
