//! Raises alerts, by signals, by words or by the file that was reported.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::multipart::{Field, Multipart};
use axum::extract::{FromRequest, Request, State};
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::request::Parts;
use utoipa::ToSchema;
use watchfire_api::problem::{Problem, ProblemKind};
use watchfire_api::wire::{AlertRequest, PreflightView, Raised, SignalSummary};
use watchfire_node::Preflight;
use watchfire_node::raise::NewAlert;
use watchfire_signal::alert::{Alert, ContentKind};
use watchfire_signal::label::TAXONOMY_VERSION;
use watchfire_signal::value::Signal;

use super::answers::{check_ready, state_of};
use super::matches::signals;
use crate::answer::Failure;
use crate::caller::{Allowed, Raising, asked};
use crate::hashing::{Hashing, Purpose};
use crate::input::{cut, is_json, json, media_type, read_json};
use crate::limits::{JSON_BYTES, Limit, TEXT_BYTES};
use crate::server::Server;
use crate::texts;

/// The form by which an alert comes with its file.
#[derive(ToSchema)]
#[expect(dead_code, reason = "stands for the form in the document; its parts are read one by one")]
struct AlertForm {
    /// What is said of the file, without kind and signals.
    alert: AlertRequest,
    /// The file.
    #[schema(value_type = String, format = Binary)]
    media: Bytes,
}

/// Raises an alert to the coalition. The preflight goes first: what is near the benign set is refused, with the problem
/// `preflight`, unless the request says `anyway`.
///
/// With `application/json` the alert is known by its signals, or by a text or a link, which is fingerprinted here and
/// ends here. With `multipart/form-data` the part `alert` is the same
/// JSON without signals, and the part `media` is the file: its signals are made here, and the bytes end here; one of type
/// `text/plain` is a text. With an
/// `Idempotency-Key` a repetition answers what the first request did.
#[utoipa::path(
    post, path = "/v1/alerts", tag = "alerts", security(("key" = ["curate"])),
    params(("idempotency-key" = Option<String>, Header, description = "Makes a repetition harmless.")),
    request_body(content(
        (AlertRequest = "application/json"),
        (AlertForm = "multipart/form-data"),
    )),
    responses(
        (status = 201, body = Raised),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn raise(
    State(server): State<Arc<Server>>,
    allowed: Allowed<Raising>,
    request: Request,
) -> Result<(StatusCode, Json<Raised>), Failure> {
    check_ready(&server)?;
    let (parts, body) = request.into_parts();
    let asked = asked(&allowed.caller, &parts)?;
    let (alert, kind, mut signals) = read(&server, parts, body).await?;
    let left_out = server.node.charter().leave_out(&mut signals);
    let found = looked_into(&server, &signals).await?;
    if let Some(name) = found.benign.filter(|_| !alert.anyway) {
        let detail = format!("a signal is near {name} of the benign set; `anyway` raises it");
        return Err(Failure::new(ProblemKind::Preflight, detail));
    }
    let warnings = warnings(&found, signals.len(), left_out);
    let signals_summary = signals.iter().map(SignalSummary::from).collect();
    let (of, transform) = (alert.of, alert.transform.clone());
    let new = new_alert(alert, kind, signals, server.node.clock().now_ms());
    let published = match (of, transform) {
        (Some(case), transform) => server.node.widen(&case, (new, transform), asked).await?,
        (None, None) => server.node.raise(new, asked).await?,
        (None, Some(_)) => {
            let detail = "a transform is of the case that `of` names";
            return Err(Failure::new(ProblemKind::Invalid, detail));
        }
    };
    let id = published.commitment;
    let (log, index) = (server.node.log().clone(), published.index);
    let state = state_of(&server, &id)?;
    Ok((StatusCode::CREATED, Json(Raised { id, log, index, state, signals_summary, warnings })))
}

/// Finds out what an alert would hit, as raising it does first: the benign set, the quality floor, and what this platform
/// holds. Nothing is raised or kept.
#[utoipa::path(
    post, path = "/v1/alerts/preflight", tag = "alerts", security(("key" = ["curate"])),
    request_body(content(
        (AlertRequest = "application/json"),
        (AlertForm = "multipart/form-data"),
    )),
    responses(
        (status = 200, body = PreflightView),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn preflight(
    State(server): State<Arc<Server>>,
    _caller: Allowed<Raising>,
    request: Request,
) -> Result<Json<PreflightView>, Failure> {
    let (parts, body) = request.into_parts();
    let (_, _, mut signals) = read(&server, parts, body).await?;
    let left_out = server.node.charter().leave_out(&mut signals);
    let found = looked_into(&server, &signals).await?;
    Ok(Json(PreflightView {
        refused: found.benign.is_some(),
        benign: found.benign.map(str::to_owned),
        thin: found.thin as u64,
        copies: found.copies,
        expected_a_day: found.expected_a_day,
        held: found.held.map(|held| held.limit().to_owned()),
        left_out: left_out as u64,
        signals_summary: signals.iter().map(SignalSummary::from).collect(),
    }))
}

async fn looked_into(server: &Server, signals: &[Signal]) -> Result<Preflight, Failure> {
    server.node.preflight(signals).await.map_err(|error| Failure::internal(&error))
}

/// What the author should know of an alert that is raised all the same.
fn warnings(found: &Preflight, signals: usize, left_out: usize) -> Vec<String> {
    let mut all = Vec::new();
    if left_out > 0 {
        all.push(format!(
            "{left_out} signals of local features are left out: the charter has none travel"
        ));
    }
    if let Some(name) = found.benign {
        all.push(format!("a signal is near {name} of the benign set: others hold the alert"));
    }
    if found.thin > 0 {
        let thin = found.thin;
        all.push(format!("{thin} of {signals} signals are below the quality floor"));
    }
    if let Some(held) = found.held.filter(|_| found.benign.is_none()) {
        let Preflight { copies, expected_a_day, .. } = found;
        all.push(format!(
            "it matches {copies} items here, about {expected_a_day} a day: {} holds it",
            held.limit()
        ));
    }
    all
}

type Read = (AlertRequest, ContentKind, Vec<Signal>);

async fn read(server: &Server, parts: Parts, body: Body) -> Result<Read, Failure> {
    if is_json(&parts.headers) {
        by_signals(&parts, body).await
    } else if media_type(&parts.headers).is_some_and(|kind| kind == "multipart/form-data") {
        by_media(server, parts, body).await
    } else {
        let detail = "the body has to be application/json or multipart/form-data";
        Err(Failure::new(ProblemKind::UnsupportedMediaType, detail))
    }
}

async fn by_signals(parts: &Parts, body: Body) -> Result<Read, Failure> {
    let invalid = |detail: &str| Failure::new(ProblemKind::Invalid, detail);
    let alert: AlertRequest = read_json(parts, body).await?;
    let words = texts::named(alert.text.as_deref(), alert.url.as_deref(), alert.url_scope)?;
    let (kind, words) = words.map_or((None, Vec::new()), |(kind, words)| (Some(kind), words));
    let kind = alert
        .kind
        .or(kind)
        .ok_or_else(|| invalid("an alert by signals says what kind of content it is"))?;
    if alert.signals.is_empty() && words.is_empty() {
        return Err(invalid("an alert without a file has at least one signal"));
    }
    if alert.span.is_some() {
        return Err(invalid("the span of a signal stands with the signal"));
    }
    let signals = [signals(&alert.signals)?, words].concat();
    Ok((alert, kind, signals))
}

async fn by_media(server: &Server, parts: Parts, body: Body) -> Result<Read, Failure> {
    use hyper::body::Body as _;
    let invalid = |detail: &str| Failure::new(ProblemKind::Invalid, detail);
    let hashing = &server.hashing;
    // The length of the whole request bounds the file's; without one the share is that of the largest.
    let most = body.size_hint().upper().and_then(|bytes| usize::try_from(bytes).ok());
    let room = hashing.share(most.unwrap_or(usize::MAX).min(hashing.limit().value))?;
    let mut form = Multipart::from_request(Request::from_parts(parts, body), &())
        .await
        .map_err(|error| Failure::new(ProblemKind::Malformed, cut(&error.body_text())))?;
    let (mut alert, mut media, mut is_words) = (None, None, false);
    while let Some(field) = form.next_field().await.map_err(|error| malformed(&error))? {
        match field.name() {
            Some("alert") if alert.is_none() => alert = Some(part(field, JSON_BYTES).await?),
            Some("media") if media.is_none() => {
                is_words = texts::is_text(field.content_type());
                media =
                    Some(part(field, if is_words { TEXT_BYTES } else { hashing.limit() }).await?);
            }
            _ => return Err(invalid("the form has one part `alert` and one part `media`")),
        }
    }
    let (Some(alert), Some(media)) = (alert, media) else {
        return Err(invalid("the form has one part `alert` and one part `media`"));
    };
    let alert: AlertRequest = json(&alert)?;
    let said =
        [alert.text.is_some(), alert.url.is_some(), alert.url_scope.is_some()].contains(&true);
    if !alert.signals.is_empty() || alert.kind.is_some() || said {
        return Err(invalid("with a file, its kind and signals are made here"));
    }
    if is_words && alert.span.is_some() {
        return Err(invalid("a text has no span"));
    }
    if is_words {
        return Ok((alert, ContentKind::Text, texts::named_file(&media)?));
    }
    let upload = Hashing::received(media, room);
    let (info, signals) = hashing.signals(upload, Purpose::Reference(alert.span)).await?;
    Ok((alert, info.kind, signals))
}

async fn part(mut field: Field<'_>, limit: Limit) -> Result<Bytes, Failure> {
    let mut bytes = BytesMut::new();
    while let Some(piece) = field.chunk().await.map_err(|error| malformed(&error))? {
        if bytes.len() + piece.len() > limit.value {
            return Err(limit.too_large());
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.freeze())
}

fn malformed(error: &axum::extract::multipart::MultipartError) -> Failure {
    Failure::new(ProblemKind::Malformed, cut(&error.body_text()))
}

fn new_alert(said: AlertRequest, kind: ContentKind, signals: Vec<Signal>, now_ms: u64) -> NewAlert {
    let valid_until = now_ms.saturating_add(said.valid_for_s.saturating_mul(1000));
    let mut exceptions = said.exceptions;
    exceptions.sort_by_key(|exception| exception.code());
    NewAlert {
        alert: Alert {
            kind,
            signals,
            labels: said.labels,
            taxonomy: TAXONOMY_VERSION,
            confidence: said.confidence,
            suggestion: said.suggestion,
            exceptions,
            valid_until,
            family: None,
            incident: said.incident,
            evidence_hold: said.evidence_hold,
            authority: said.authority,
            tlp: said.tlp,
        },
        severity: said.severity,
        review: said.review,
        provenance: said.provenance,
        group: said.group,
        test: said.test,
    }
}
