//! Whether the node lives, is ready, and how much it does.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, Request, State};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{StatusCode, header};
use watchfire_api::problem::{Problem, ProblemKind};
use watchfire_api::wire::{QuotasView, Readiness, ReadyView};
use watchfire_node as node;

use super::members::quotas;
use crate::answer::Failure;
use crate::caller::{Allowed, Measuring};
use crate::connection::Remote;
use crate::server::Server;

/// Answers as long as the process does.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, body = String)))]
pub(crate) async fn alive() -> &'static str {
    "alive\n"
}

/// What strangers are told in place of reasons, which name members and where they are.
const WITHHELD: &str = "why is told to loopback, and to keys of the scope audit";

/// Whether the node serves and may sign. Why not: to loopback, or with a key of the scope `audit`.
#[utoipa::path(
    get, path = "/readyz", tag = "health",
    responses((status = 200, body = ReadyView), (status = 503, body = ReadyView)),
)]
pub(crate) async fn ready(
    State(server): State<Arc<Server>>,
    mut parts: Parts,
) -> (StatusCode, Json<ReadyView>) {
    let (status, readiness, why) = match server.node.readiness() {
        node::Readiness::Ready => (StatusCode::OK, Readiness::Ready, short(&server)),
        node::Readiness::Recovering => {
            (StatusCode::SERVICE_UNAVAILABLE, Readiness::Recovering, unheard(&server))
        }
        node::Readiness::Failed(why) => {
            (StatusCode::SERVICE_UNAVAILABLE, Readiness::Failed, Some(why))
        }
    };
    let open = is_near(&parts, &server) || {
        // Whoever shows no key is no guess at one.
        parts.headers.contains_key(header::AUTHORIZATION)
            && Allowed::<Measuring>::from_request_parts(&mut parts, &server).await.is_ok()
    };
    let detail = why.map(|why| if open { why } else { WITHHELD.to_owned() });
    (status, Json(ReadyView { readiness, detail }))
}

/// Whether a request comes from this machine. Behind a proxy everybody may come from loopback.
fn is_near(parts: &Parts, server: &Server) -> bool {
    let remote = parts.extensions.get::<Remote>();
    !server.behind_proxy && remote.is_some_and(|remote| remote.0.ip().is_loopback())
}

/// Why members cannot be asked what they hold of our log, as far as that is known: a clock that is wrong above all.
fn unheard(server: &Server) -> Option<String> {
    let links = server.node.events().links().into_iter();
    let why = links.filter_map(|(member, link)| Some(format!("{member}: {}", link.last_error?)));
    let why = why.collect::<Vec<_>>().join("; ");
    (!why.is_empty()).then_some(why)
}

/// What is not as configured although everything works.
fn short(server: &Server) -> Option<String> {
    let horizon = server.node.seen_horizon();
    horizon.is_short().then(|| {
        let days = |seconds: u64| seconds as f64 / 86_400.0;
        format!(
            "the seen table reaches back {:.1} days and not {:.0}: raise seen.max_items or seen.max_bytes",
            days(horizon.seconds),
            days(horizon.wanted_seconds)
        )
    })
}

/// How much of the desk log is anchored in this member's own log, and since when; and how many logs have shown two
/// histories, and how many anchors of a desk log that has lost lines.
async fn log_gauges(server: &Server, now_ms: u64) -> Result<(), Failure> {
    let lines = server.node.desk().size().await.map_err(|error| Failure::internal(&error))?;
    metrics::gauge!("watchfire_desk_size").set(lines as f64);
    let forked = server.node.forked().await.map_err(|error| Failure::internal(&error))?;
    metrics::gauge!("watchfire_logs_forked").set(forked.len() as f64);
    metrics::gauge!("watchfire_desks_rewritten").set(server.node.rewritten_desks().len() as f64);
    for (log, count) in server.node.receipts().missing() {
        let (member, epoch) = (log.member.to_string(), log.epoch.to_string());
        metrics::gauge!("watchfire_records_missing", "member" => member, "epoch" => epoch)
            .set(count as f64);
    }
    let anchor = server.node.anchored();
    let size = anchor.map_or(0, |anchor| anchor.head.size);
    metrics::gauge!("watchfire_desk_anchored_size").set(size as f64);
    if let Some(anchor) = anchor {
        let age_ms = now_ms.saturating_sub(anchor.at_ms);
        metrics::gauge!("watchfire_desk_anchor_age_seconds").set(age_ms as f64 / 1_000.0);
    }
    Ok(())
}

/// How much memory what is looked up in takes.
fn memory_gauges(server: &Server) {
    let bytes = server.node.reasons().memory_bytes();
    metrics::gauge!("watchfire_index_bytes").set(bytes.hashes as f64);
    metrics::gauge!("watchfire_features_bytes").set(bytes.features as f64);
    metrics::gauge!("watchfire_sounds_bytes").set(bytes.sounds as f64);
    metrics::gauge!("watchfire_texts_bytes").set(bytes.texts as f64);
    metrics::gauge!("watchfire_links_bytes").set(bytes.links as f64);
    metrics::gauge!("watchfire_digests_bytes").set(bytes.digests as f64);
}

/// How much of its quotas each member has used, and how much there is; as told last where the fold does not answer.
async fn quota_gauges(server: &Server) {
    let charter = server.node.charter();
    let spent = server.node.spent().await.unwrap_or_default();
    let written = spent.iter().filter(|(log, _)| charter.log_of(&log.member).as_ref() == Some(log));
    for (log, spent) in written {
        let QuotasView { records_a_day, disputes_a_day, bytes_a_day, live_alerts } =
            quotas(spent, &charter.quotas);
        for (quota, of) in [
            ("records_a_day", records_a_day),
            ("disputes_a_day", disputes_a_day),
            ("bytes_a_day", bytes_a_day),
            ("live_alerts", live_alerts),
        ] {
            let member = log.member.to_string();
            metrics::gauge!("watchfire_quota_used", "member" => member, "quota" => quota)
                .set(of.used as f64);
            metrics::gauge!("watchfire_quota_allowed", "quota" => quota).set(of.allowed as f64);
        }
    }
}

/// Numbers for Prometheus: to loopback, or with a key of the scope `audit`.
#[utoipa::path(
    get, path = "/metrics", tag = "health", security((), ("key" = ["audit"])),
    responses(
        (status = 200, body = String, content_type = "text/plain"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn metrics(
    State(server): State<Arc<Server>>,
    request: Request,
) -> Result<Response, Failure> {
    let (mut parts, _) = request.into_parts();
    if !is_near(&parts, &server) {
        Allowed::<Measuring>::from_request_parts(&mut parts, &server).await?;
    }
    let handle = server.metrics.as_ref();
    let handle =
        handle.ok_or_else(|| Failure::new(ProblemKind::NotFound, "metrics are not recorded"))?;
    metrics::gauge!("watchfire_disk_full").set(f64::from(u8::from(server.node.is_disk_full())));
    let unheard = server.node.events().links().values().filter(|link| !link.up).count();
    metrics::gauge!("watchfire_members_unheard").set(unheard as f64);
    let (signals, items) = server.node.sizes();
    let (sets, over) = server.node.sets();
    metrics::gauge!("watchfire_sets").set(sets as f64);
    metrics::gauge!("watchfire_sets_put_away").set(over as f64);
    metrics::gauge!("watchfire_known_signals").set(signals as f64);
    memory_gauges(&server);
    metrics::gauge!("watchfire_seen_items").set(items as f64);
    let horizon = server.node.seen_horizon();
    metrics::gauge!("watchfire_seen_bytes").set(server.node.seen_bytes() as f64);
    metrics::gauge!("watchfire_seen_horizon_seconds").set(horizon.seconds as f64);
    metrics::gauge!("watchfire_seen_horizon_short").set(f64::from(u8::from(horizon.is_short())));
    let outbox = server.node.outbox_counts().await.map_err(|error| Failure::internal(&error))?;
    let now_ms = server.node.clock().now_ms();
    let oldest_ms = outbox.oldest_pending_ms.map_or(0, |since| now_ms.saturating_sub(since));
    metrics::gauge!("watchfire_outbox_pending").set(outbox.pending as f64);
    metrics::gauge!("watchfire_outbox_dead").set(outbox.dead as f64);
    metrics::gauge!("watchfire_outbox_oldest_seconds").set(oldest_ms as f64 / 1_000.0);
    for (connector, late) in
        server.node.late_counts().await.map_err(|error| Failure::internal(&error))?
    {
        metrics::gauge!("watchfire_outbox_late", "connector" => connector).set(late as f64);
    }
    log_gauges(&server, now_ms).await?;
    quota_gauges(&server).await;
    handle.run_upkeep();
    let head = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    Ok((head, handle.render()).into_response())
}
