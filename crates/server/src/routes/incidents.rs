//! Incidents: declared events that tie cases together.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use http::StatusCode;
use watchfire_api::problem::{Problem, ProblemKind};
use watchfire_api::wire::{
    ConcludeRequest, CosignRequest, IncidentAnswer, IncidentCounts, IncidentList, IncidentRequest,
    IncidentState, IncidentUpdateRequest, IncidentView,
};
use watchfire_node::incidents::{self, DEBRIEF_MS, Incident};
use watchfire_node::publish::Asked;
use watchfire_node::{NewIncident, OfIncident};
use watchfire_signal::commitment::Commitment;
use watchfire_signal::incident::{Incident as Body, IncidentStep};
use watchfire_signal::statement::Done;

use super::answers::check_ready;
use crate::answer::Failure;
use crate::caller::{Allowed, Raising, Reading, asked};
use crate::input::{Named, read_json};
use crate::said::{OfRecord, Said};
use crate::server::Server;

/// All incidents, the latest declared first.
#[utoipa::path(
    get, path = "/v1/incidents", tag = "incidents",
    security(("key" = ["curate"]), ("key" = ["review"]), ("key" = ["audit"])),
    responses(
        (status = 200, body = IncidentList),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(server): State<Arc<Server>>,
    _caller: Allowed<Reading>,
) -> Json<IncidentList> {
    let known = server.node.incidents();
    let mut incidents: Vec<_> = known.iter().map(|incident| view(&server, incident)).collect();
    incidents.sort_by_key(|incident| std::cmp::Reverse(incident.declared_ms));
    Json(IncidentList { incidents })
}

/// One incident: who stands by it, which cases it ties, and what happened to them.
#[utoipa::path(
    get, path = "/v1/incidents/{id}", tag = "incidents",
    security(("key" = ["curate"]), ("key" = ["review"]), ("key" = ["audit"])),
    params(("id" = String, Path, description = "The commitment of its declaration.")),
    responses(
        (status = 200, body = IncidentView),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn show(
    State(server): State<Arc<Server>>,
    _caller: Allowed<Reading>,
    Named(id): Named<Commitment>,
) -> Result<Json<IncidentView>, Failure> {
    find(&server, &id).map(|incident| Json(view(&server, &incident)))
}

/// Declares an incident. Level 1 raises awareness; levels 2 and 3 raise readiness, and lapse after 15 minutes
/// unless two other organisations agree (one, in a coalition of two or three). A level 3 in force lifts its
/// cases: what nobody has looked at counts as PROVISIONAL, PROVISIONAL ones are acted on, reversibly, and last
/// 72 hours. It ends by quorum, or twelve hours after its last new case or variant. Whose last one was not agreed with
/// declares another 24 hours after that has lapsed, or has another organisation agree first (`ask_approval`).
#[utoipa::path(
    post, path = "/v1/incidents", tag = "incidents", security(("key" = ["curate"])),
    params(
        ("idempotency-key" = Option<String>, Header, description = "Makes a repetition harmless."),
    ),
    request_body = IncidentRequest,
    responses(
        (status = 201, body = IncidentAnswer),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn declare(
    State(server): State<Arc<Server>>,
    allowed: Allowed<Raising>,
    request: Request,
) -> Result<(StatusCode, Json<IncidentAnswer>), Failure> {
    check_ready(&server)?;
    let (parts, body) = request.into_parts();
    let asked = asked(&allowed.caller, &parts)?;
    let said: IncidentRequest = read_json(&parts, body).await?;
    let (test, ask_approval) = (said.test, said.ask_approval);
    let body = Body {
        step: IncidentStep::Declare,
        level: said.level,
        title: said.title,
        criteria: said.criteria,
        regions: said.regions,
        cases: said.cases,
        note: said.note,
    };
    let published = server.node.declare(NewIncident { body, test, ask_approval }, asked).await?;
    let answer = answer(&server, published.commitment, published.index)?;
    Ok((StatusCode::CREATED, answer))
}

/// Agrees with an incident: this member's people have looked at it.
#[utoipa::path(
    post, path = "/v1/incidents/{id}/cosign", tag = "incidents", security(("key" = ["curate"]), ("key" = ["review"])),
    params(
        ("id" = String, Path, description = "The commitment of its declaration."),
        ("idempotency-key" = Option<String>, Header, description = "Makes a repetition harmless."),
    ),
    request_body = CosignRequest,
    responses(
        (status = 200, body = IncidentAnswer),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn cosign(
    State(server): State<Arc<Server>>,
    Said { of: id, asked, body: CosignRequest {}, .. }: OfRecord<CosignRequest>,
) -> Result<Json<IncidentAnswer>, Failure> {
    say(&server, id, OfIncident::Cosign, asked).await
}

/// Changes an incident: words, by its declarer; cases, by all who stand by it.
#[utoipa::path(
    post, path = "/v1/incidents/{id}/update", tag = "incidents", security(("key" = ["curate"]), ("key" = ["review"])),
    params(
        ("id" = String, Path, description = "The commitment of its declaration."),
        ("idempotency-key" = Option<String>, Header, description = "Makes a repetition harmless."),
    ),
    request_body = IncidentUpdateRequest,
    responses(
        (status = 200, body = IncidentAnswer),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn update(
    State(server): State<Arc<Server>>,
    Said { of: id, asked, body: said, .. }: OfRecord<IncidentUpdateRequest>,
) -> Result<Json<IncidentAnswer>, Failure> {
    let missing =
        || Failure::new(ProblemKind::Conflict, "the record of the incident is not here yet");
    let words = find(&server, &id)?.words().cloned().ok_or_else(missing)?;
    let update = Body {
        title: said.title.unwrap_or(words.title),
        criteria: said.criteria.unwrap_or(words.criteria),
        regions: said.regions.unwrap_or(words.regions),
        cases: said.cases,
        note: said.note.or(words.note),
        step: IncidentStep::Update,
        level: words.level,
    };
    say(&server, id, OfIncident::Update(update), asked).await
}

/// Says that an incident is over; it is when enough organisations say so, or a convenor. While it waits for
/// cosigners its declarer's word is enough.
#[utoipa::path(
    post, path = "/v1/incidents/{id}/conclude", tag = "incidents", security(("key" = ["curate"]), ("key" = ["review"])),
    params(
        ("id" = String, Path, description = "The commitment of its declaration."),
        ("idempotency-key" = Option<String>, Header, description = "Makes a repetition harmless."),
    ),
    request_body = ConcludeRequest,
    responses(
        (status = 200, body = IncidentAnswer),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn conclude(
    State(server): State<Arc<Server>>,
    Said { of: id, asked, body: ConcludeRequest { note }, .. }: OfRecord<ConcludeRequest>,
) -> Result<Json<IncidentAnswer>, Failure> {
    say(&server, id, OfIncident::Conclude { note }, asked).await
}

async fn say(
    server: &Server,
    id: Commitment,
    said: OfIncident,
    asked: Option<Asked>,
) -> Result<Json<IncidentAnswer>, Failure> {
    check_ready(server)?;
    let published = server.node.of_incident(&id, said, asked).await?;
    answer(server, id, published.index)
}

fn answer(server: &Server, id: Commitment, index: u64) -> Result<Json<IncidentAnswer>, Failure> {
    let state = state(find(server, &id)?.state(server.node.clock().now_ms()));
    Ok(Json(IncidentAnswer { id, index, state }))
}

fn find(server: &Server, id: &Commitment) -> Result<Arc<Incident>, Failure> {
    let missing = || Failure::new(ProblemKind::NotFound, format!("no incident {id} is known here"));
    server.node.incidents().iter().find(|one| one.name == *id).cloned().ok_or_else(missing)
}

fn view(server: &Server, incident: &Incident) -> IncidentView {
    let state = incident.state(server.node.clock().now_ms());
    let course = &incident.course;
    let waits =
        matches!(state, incidents::IncidentState::Declared | incidents::IncidentState::Refused);
    let over = state == incidents::IncidentState::Concluded;
    let words = incident.words();
    let cases: Vec<_> = incident.tied.iter().copied().collect();
    IncidentView {
        id: incident.name,
        log: incident.place.log.clone(),
        index: incident.place.index,
        erased: incident.erased,
        declarer: incident.place.log.member.clone(),
        state: self::state(state),
        level: course.level,
        test: incident.test,
        title: words.map(|words| words.title.clone()),
        criteria: words.map(|words| words.criteria.clone()),
        regions: words.map(|words| words.regions.clone()).unwrap_or_default(),
        note: words.and_then(|words| words.note.clone()),
        counts: counts(server, &cases),
        cases,
        cosigned_by: incident.cosigned.keys().cloned().collect(),
        cosigners_needed: u32::try_from(course.needed).unwrap_or(u32::MAX),
        concluded_by: incident.concluded.keys().cloned().collect(),
        declared_ms: incident.declared_at.at_ms(),
        lapses_ms: waits.then_some(course.lapses_ms),
        in_force_ms: course.in_force_ms,
        ends_ms: course.in_force_ms.map(|_| course.ends_ms),
        debrief_due_ms: over.then(|| course.ends_ms.saturating_add(DEBRIEF_MS)),
    }
}

fn state(state: incidents::IncidentState) -> IncidentState {
    match state {
        incidents::IncidentState::Refused => IncidentState::Refused,
        incidents::IncidentState::Declared => IncidentState::Declared,
        incidents::IncidentState::InForce => IncidentState::InForce,
        incidents::IncidentState::Lapsed => IncidentState::Lapsed,
        incidents::IncidentState::Concluded => IncidentState::Concluded,
    }
}

/// Adds up what members tell of the cases; a bucket counts as the least that it stands for.
fn counts(server: &Server, cases: &[Commitment]) -> IncidentCounts {
    let least = |bucket: u8| bucket.checked_sub(1).map_or(0, |digits| 1_u64 << digits.min(63));
    let mut counts = IncidentCounts::default();
    for set in server.node.alerts_of(cases) {
        counts.variants += u64::from(set.name != set.subject);
        let seen = set.counts().sightings.values().map(|told| least(told.what.0));
        counts.sightings = counts.sightings.saturating_add(seen.sum());
        for ((_, what), told) in &set.counts().outcomes {
            let sum = match what {
                Done::Blocked => &mut counts.blocked,
                Done::Removed => &mut counts.removed,
                Done::Restored => &mut counts.restored,
                Done::Labelled | Done::Left => continue,
            };
            *sum = sum.saturating_add(least(told.what));
        }
    }
    counts
}
