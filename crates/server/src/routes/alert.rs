//! Shows alerts: what they say, who stands by them, and which members are protected.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use watchfire_api::problem::{Problem, ProblemKind};
use watchfire_api::wire::{
    AlertPage, AlertPageQuery, AlertSummary, AlertView, CountsView, OpinionView, OutcomeView,
    Protection, SightingView, Stance,
};
use watchfire_node::cases::{Counts, SignalSet};
use watchfire_node::{self as node, standing};
use watchfire_signal::commitment::Commitment;
use watchfire_signal::name::MemberName;
use watchfire_signal::statement::{AppealResult, AppealStage};

use super::matches::state;
use crate::answer::Failure;
use crate::caller::{Allowed, Reading};
use crate::input::{Named, Query};
use crate::limits::{DEFAULT_PAGE, PAGE};
use crate::server::Server;

/// An alert with its state, and when each member became protected by it.
#[utoipa::path(
    get, path = "/v1/alerts/{id}", tag = "alerts",
    security(("key" = ["curate"]), ("key" = ["review"]), ("key" = ["audit"])),
    params(("id" = String, Path, description = "The alert's name.")),
    responses(
        (status = 200, body = AlertView),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn show(
    State(server): State<Arc<Server>>,
    _caller: Allowed<Reading>,
    Named(id): Named<Commitment>,
) -> Result<Json<AlertView>, Failure> {
    let view = server.node.alert(&id);
    let unknown = || Failure::new(ProblemKind::NotFound, format!("no alert {id} is known here"));
    view_json(&server, view.ok_or_else(unknown)?).map(Json)
}

/// A page of alerts, in order of their names.
#[utoipa::path(
    get, path = "/v1/alerts", tag = "alerts", params(AlertPageQuery),
    security(("key" = ["curate"]), ("key" = ["review"]), ("key" = ["audit"])),
    responses(
        (status = 200, body = AlertPage),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(server): State<Arc<Server>>,
    _caller: Allowed<Reading>,
    Query(query): Query<AlertPageQuery>,
) -> Result<Json<AlertPage>, Failure> {
    let limit = query.limit.unwrap_or(DEFAULT_PAGE);
    if limit == 0 || limit > PAGE.value {
        return Err(PAGE.exceeded());
    }
    let now_ms = server.node.clock().now_ms();
    let sets = server.node.alerts(query.after, limit);
    let next = sets.last().filter(|_| sets.len() == limit).map(|set| set.name);
    Ok(Json(AlertPage { alerts: sets.iter().map(|set| summary(set, now_ms)).collect(), next }))
}

fn summary(set: &SignalSet, now_ms: u64) -> AlertSummary {
    AlertSummary {
        id: set.name,
        case: set.subject,
        author: set.author().clone(),
        log: set.place.log.clone(),
        index: set.place.index,
        state: state(set.state(now_ms)),
        labels: set.alert.as_ref().map(|alert| alert.labels.clone()).unwrap_or_default(),
        severity: set.header.severity.unwrap_or(0),
        tlp: set.mark(),
        test: set.header.test,
        verified_ms: set.verified_ms,
    }
}

fn view_json(server: &Server, view: node::AlertView) -> Result<AlertView, Failure> {
    let set = &view.set;
    let internal = |error: serde_json::Error| Failure::internal(&error);
    let opinions = set.opinions.iter().filter_map(|(member, opinion)| {
        let (stance, human) = match opinion.stance {
            standing::Stance::Positive { human } => (Stance::Positive, human),
            standing::Stance::Disputes => (Stance::Disputes, false),
            standing::Stance::Withdrawn { .. } => (Stance::Withdrawn, false),
            standing::Stance::Nothing => return None,
        };
        let verified_ms = opinion.verified_ms;
        Some(OpinionView { member: member.clone(), stance, human, verified_ms })
    });
    let protections = view.effective_at_ms.iter();
    let protections = protections.filter_map(|(member, at)| protection(server, set, member, *at));
    Ok(AlertView {
        summary: AlertSummary {
            state: state(view.state),
            ..summary(set, server.node.clock().now_ms())
        },
        header: serde_json::to_value(&set.header).map_err(internal)?,
        alert: set.alert.as_ref().map(serde_json::to_value).transpose().map_err(internal)?,
        opinions: opinions.collect(),
        halted_by: set.halted_by().keys().cloned().collect(),
        retractions_waiting: set.waiting().keys().cloned().collect(),
        erased: set.erased,
        joined: set.joined().iter().copied().collect(),
        counts: counts(set.counts()),
        members: protections.collect(),
    })
}

fn counts(counts: &Counts) -> CountsView {
    let sightings = counts.sightings.iter().map(|(member, told)| {
        let (bucket, window_ms) = told.what;
        SightingView { member: member.clone(), bucket, window_ms }
    });
    let outcomes = counts.outcomes.iter().map(|((member, what), told)| OutcomeView {
        member: member.clone(),
        what: *what,
        bucket: told.what,
    });
    let appeals = |stage, result| {
        counts.appeals.values().filter(|appeal| **appeal == (stage, result)).count() as u64
    };
    CountsView {
        sightings: sightings.collect(),
        outcomes: outcomes.collect(),
        appeals_opened: appeals(AppealStage::Opened, None),
        appeals_upheld: appeals(AppealStage::Result, Some(AppealResult::Upheld)),
        appeals_overturned: appeals(AppealStage::Result, Some(AppealResult::Overturned)),
    }
}

fn protection(
    server: &Server,
    set: &SignalSet,
    member: &MemberName,
    effective_at_ms: Option<u64>,
) -> Option<Protection> {
    Some(Protection {
        member: member.clone(),
        organisation: server.node.charter().organisation_of(member)?.clone(),
        effective: effective_at_ms.is_some(),
        effective_at_ms,
        after_ms: effective_at_ms.map(|at| at.saturating_sub(set.verified_ms)),
    })
}
