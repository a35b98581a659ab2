//! Judges an item: signals, words or the file itself come in, the verdict with its reasons goes out.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use tokio::time::Instant;
use watchfire_api::problem::{Problem, ProblemKind};
use watchfire_api::wire::{MatchDepth, ScanQuery, ScanRequest, Verdict, VerdictKind};
use watchfire_media::animation::{self, Animation, AnimationError};
use watchfire_media::hash::{Content, HashError, Hashed, Options, Workspace, least_signals};
use watchfire_media::video::{Input, VideoError, looks};
use watchfire_node::Node;
use watchfire_node::policy::{self, Fact, ItemFacts};
use watchfire_node::reasons::{Edited, Reasons};
use watchfire_signal::features::Depth;
use watchfire_signal::name::ItemId;
use watchfire_signal::value::Signal;

use super::matches::{bank_reason, reason};
use crate::answer::Failure;
use crate::caller::{Allowed, Scanning};
use crate::hashing::{Purpose, to_json};
use crate::input::{Query, is_json, media_type, read_body, read_json};
use crate::limits::{LOOK_TIME, SCAN_FACTS, SCAN_SIGNALS, TEXT_BYTES};
use crate::server::Server;
use crate::texts::{self, is_text};

/// Judges an item.
///
/// With `application/json` the body is a scan by signals, text and links. With `text/plain` it is the text itself, with
/// any other content type the file itself, and the query names the item. The item is remembered with its signals, unless it is refused: an alert that comes later
/// finds it.
#[utoipa::path(
    post, path = "/v1/scan", tag = "scan", params(ScanQuery), security(("key" = ["scan"])),
    request_body(content(
        (ScanRequest = "application/json"),
        (String = "text/plain"),
        (Vec<u8> = "application/octet-stream"),
    )),
    responses(
        (status = 200, body = Verdict),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn scan(
    State(server): State<Arc<Server>>,
    _caller: Allowed<Scanning>,
    Query(query): Query<ScanQuery>,
    request: Request,
) -> Result<Json<Verdict>, Failure> {
    let begun = Instant::now();
    let (parts, body) = request.into_parts();
    let met = if is_json(&parts.headers) {
        let scan: ScanRequest = read_json(&parts, body).await?;
        let (signals, facts) = (from_json(&scan)?, item_facts(scan.facts)?);
        Met { item: scan.item, signals, edited: None, facts }
    } else if is_text(media_type(&parts.headers)) {
        let (item, facts) = (named(&query)?, item_facts(told(query.facts.as_deref())?)?);
        let signals = texts::met_file(&read_body(body, TEXT_BYTES).await?)?;
        Met { item, signals, edited: None, facts }
    } else {
        file(&server, &query, body).await?
    };
    let Met { item, signals, edited, facts } = met;
    let shown = query.signals.then(|| to_json(&signals));
    let scanned = server.node.scan_with(item.clone(), signals, edited.as_ref(), facts).await;
    let took_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    metrics::histogram!("watchfire_scan_seconds").record(begun.elapsed().as_secs_f64());
    Ok(Json(verdict(item, &scanned, shown, took_us)))
}

/// What came in.
struct Met {
    item: ItemId,
    signals: Vec<Signal>,
    edited: Option<Edited>,
    facts: ItemFacts,
}

/// The file itself came in: looked into as far as the caller allows and it is worth.
async fn file(server: &Arc<Server>, query: &ScanQuery, body: Body) -> Result<Met, Failure> {
    let (item, facts) = (named(query)?, item_facts(told(query.facts.as_deref())?)?);
    let upload = server.hashing.receive(body).await?;
    let allowed = query.depth.unwrap_or(MatchDepth::Variant);
    if allowed == MatchDepth::Exact {
        let signals = upload.digests();
        return Ok(Met { item, signals, edited: None, facts });
    }
    let (node, name, told) = (server.node.clone(), item.clone(), facts.clone());
    let depth = move |signals: &[Signal]| match allowed {
        MatchDepth::Variant => node.depth(&name, signals, &told),
        MatchDepth::Exact | MatchDepth::Near => Depth::Signals,
    };
    let (node, speeds) = (server.node.clone(), server.node.knows_sound());
    let look = move |bytes: &[u8], options: &Options| {
        let looked = look(bytes, options, depth, node.reasons());
        looked.or_else(|error| known(bytes, error, options, &node))
    };
    let (signals, edited) = server.hashing.work(upload, Purpose::Query { speeds }, look).await?;
    Ok(Met { item, signals, edited, facts })
}

/// What is known of a file that cannot be decoded, or not in time: its bytes may be known all the same, whatever they are,
/// and the first frame of a picture that moves.
fn known(
    bytes: &[u8],
    error: HashError,
    options: &Options,
    node: &Node,
) -> Result<(Vec<Signal>, Option<Edited>), HashError> {
    if error.is_ours() {
        return Err(error);
    }
    let signals = least_signals(bytes, &options.picture);
    if node.judge(&signals).reasons.is_empty() { Err(error) } else { Ok((signals, None)) }
}

/// Hashes a file and looks for edited copies in it, as far as `depth` says of its signals. What moves is looked at for
/// no longer than [`LOOK_TIME`]; what was seen until then counts.
fn look(
    bytes: &[u8],
    options: &Options,
    depth: impl FnOnce(&[Signal]) -> Depth,
    reasons: &Reasons,
) -> Result<(Vec<Signal>, Option<Edited>), HashError> {
    let (mut depth, mut deep) = (Some(depth), Depth::Signals);
    let mut ask = |hashed: &Hashed| {
        if let Some(depth) = depth.take() {
            deep = depth(&hashed.clone().signals(None));
        }
        deep
    };
    let (hashed, views) = Workspace::default().view(bytes, options, &mut ask)?;
    let edited = match &hashed.content {
        Content::Picture(picture) => {
            let edited = reasons.edited(&views);
            match &picture.moving {
                Some(moving) if ask(&hashed) > Depth::Signals => {
                    let moved = look_at_moving(bytes, moving, ask(&hashed), options, reasons)?;
                    Some(edited.and(moved))
                }
                _ => Some(edited),
            }
        }
        Content::Video(_) if reasons.has_moments() && ask(&hashed) == Depth::Features => {
            let until = Instant::now() + LOOK_TIME;
            let mut looking = reasons.looking();
            let looked = looks(Input::Bytes(bytes), &options.video, |look| {
                looking.see(&look.frame, &look.pictures, look.parts);
                if Instant::now() < until {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            });
            match looked {
                // Its frames were hashed before: what can be seen of it was seen.
                Err(VideoError::Malformed(_) | VideoError::Truncated(_)) => {}
                looked => drop(looked?),
            }
            Some(looking.found())
        }
        Content::Video(_) | Content::Sound => None,
    };
    Ok((hashed.signals(None), edited))
}

/// Looks for edited copies in the frames of a picture that moves, as pictures and as a video, for no longer than
/// [`LOOK_TIME`]; what was seen until then counts.
fn look_at_moving(
    bytes: &[u8],
    moving: &Animation,
    depth: Depth,
    options: &Options,
    reasons: &Reasons,
) -> Result<Edited, HashError> {
    let until = Instant::now() + LOOK_TIME;
    let (mut looking, mut edited) = (reasons.looking(), Edited::default());
    let limits = (&options.animation, &options.video.stop);
    let looked = animation::looks(bytes, moving, limits, depth, |look| {
        looking.see(&look.frame, look.whole(), look.parts());
        edited = std::mem::take(&mut edited).and(reasons.edited(&look.views));
        if Instant::now() < until { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    match looked {
        // Its frames were hashed in that time before.
        Err(AnimationError::TooSlow(_)) => {}
        looked => looked?,
    }
    Ok(edited.and(looking.found()))
}

fn named(query: &ScanQuery) -> Result<ItemId, Failure> {
    let detail = "the query has to name the item: /v1/scan?item=ID";
    query.item.clone().ok_or_else(|| Failure::new(ProblemKind::Invalid, detail))
}

/// Facts that came in the address.
pub(super) fn told(facts: Option<&str>) -> Result<BTreeMap<String, serde_json::Value>, Failure> {
    let Some(facts) = facts else { return Ok(BTreeMap::new()) };
    serde_json::from_str(facts).map_err(|error| {
        Failure::new(ProblemKind::Invalid, format!("facts: a JSON object of facts: {error}"))
    })
}

fn from_json(scan: &ScanRequest) -> Result<Vec<Signal>, Failure> {
    if scan.signals.len() > SCAN_SIGNALS.value {
        return Err(SCAN_SIGNALS.exceeded());
    }
    let words = texts::met(scan.text.as_deref(), &scan.urls)?;
    Ok([super::matches::signals(&scan.signals)?, words].concat())
}

/// What the platform says about the item: yes or no, whole numbers and texts, under names that an
/// expression of a policy can have.
pub(super) fn item_facts(facts: BTreeMap<String, serde_json::Value>) -> Result<ItemFacts, Failure> {
    if facts.len() > SCAN_FACTS.value {
        return Err(SCAN_FACTS.exceeded());
    }
    let read = |(name, value): (String, serde_json::Value)| {
        let fact =
            Fact::of(&name, value).map_err(|error| Failure::new(ProblemKind::Invalid, error))?;
        Ok((name, fact))
    };
    let facts = facts.into_iter().map(read).collect::<Result<BTreeMap<_, _>, Failure>>()?;
    Ok(facts.into())
}

pub(super) fn verdict(
    item: ItemId,
    scanned: &watchfire_node::scan::Scanned,
    signals: Option<Vec<watchfire_api::wire::SignalJson>>,
    took_us: u64,
) -> Verdict {
    Verdict {
        item,
        verdict: match scanned.verdict {
            policy::Verdict::Allow => VerdictKind::Allow,
            policy::Verdict::Flag => VerdictKind::Flag,
            policy::Verdict::Review => VerdictKind::Review,
            policy::Verdict::Block => VerdictKind::Block,
        },
        actions: scanned.decision.then.words(),
        reasons: scanned.reasons.iter().filter(|one| one.bank.is_none()).map(reason).collect(),
        banks: scanned.reasons.iter().filter_map(bank_reason).collect(),
        policy_version: scanned.policy_version,
        truncated: scanned.truncated,
        signals,
        took_us,
    }
}
