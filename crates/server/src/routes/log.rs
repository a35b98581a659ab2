//! The logs: tiles and checkpoints for anyone, records for members of the group, and what members bring.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use http::{StatusCode, header};
use serde::Deserialize;
use utoipa::IntoParams;
use watchfire_api::frame::{self, Frame, MAX_FRAME_ENTRIES, encode_records, split};
use watchfire_api::problem::{Problem, ProblemKind};
use watchfire_api::wire::{LackingAnswer, LogPath, Receipt, SizeAnswer, TakenAnswer};
use watchfire_node::place::Place;
use watchfire_signal::name::{LogName, MemberName};
use watchfire_tlog::tile::{Tile, TileKind, encode_bundle, encode_hashes};
use watchfire_tlog::{Entry, Extension, Source};

use crate::answer::Failure;
use crate::input::{Named, Query, json};
use crate::limits::{FRAME_BYTES, RECEIPT_BYTES, RECORD_INDICES};
use crate::member::{Asker, Signer, said, said_by, same_member};
use crate::server::Server;
use crate::views;

/// Entries `from..to`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RangeQuery {
    /// The first index.
    from: u64,
    /// The index after the last.
    to: u64,
}

/// Which records.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct IndexQuery {
    /// Indices of leaves, separated by commas.
    index: String,
}

/// The newest checkpoint of a member's log that this node holds (C2SP tlog-checkpoint).
#[utoipa::path(
    get, path = "/log/{member}/checkpoint", tag = "log", params(("member" = String, Path)),
    responses(
        (status = 200, body = String, content_type = "text/plain"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn checkpoint(
    State(server): State<Arc<Server>>,
    asker: Asker,
    Named(path): Named<LogPath>,
) -> Result<String, Failure> {
    let _place = asker.place(&server)?;
    let checkpoint = source(&server, &path)?.checkpoint().await?;
    let checkpoint =
        checkpoint.ok_or_else(|| Failure::new(ProblemKind::NotFound, "the log is empty"))?;
    Ok(checkpoint.text)
}

/// A tile of hashes or of leaves (C2SP tlog-tiles).
#[utoipa::path(
    get, path = "/log/{member}/tile/{*path}", tag = "log",
    params(("member" = String, Path), ("path" = String, Path, description = "Such as `0/x001/234` or `entries/000.p/7`.")),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn tile(
    State(server): State<Arc<Server>>,
    asker: Asker,
    Path((member, tile)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let place = asker.place(&server)?;
    let absent = |detail: &str| Failure::new(ProblemKind::NotFound, detail);
    let path: LogPath = member.parse().map_err(|_| absent("no such log"))?;
    let tile: Tile =
        format!("tile/{tile}").parse().map_err(|_| absent("not the path of a tile"))?;
    let source = source(&server, &path)?;
    let (from, to) = tile.range();
    let bytes = match tile.kind() {
        TileKind::Hashes(level) => {
            let hashes = source.hashes(level, from, to).await?;
            (hashes.len() as u64 == to - from).then(|| encode_hashes(&hashes))
        }
        TileKind::Entries => {
            let entries = all_entries(&*source, from, to).await?;
            let leaves: Vec<_> = entries.iter().map(|entry| entry.leaf.clone()).collect();
            let whole = leaves.len() as u64 == to - from;
            whole
                .then(|| encode_bundle(&leaves))
                .transpose()
                .map_err(|error| Failure::internal(&error))?
        }
    };
    let bytes = bytes.ok_or_else(|| absent("the log does not reach there"))?;
    // A tile of a given width never changes, a partial one neither.
    let head = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CACHE_CONTROL, "public, max-age=604800, immutable"),
    ];
    Ok(place.until_taken(server.patience.answer, (head, bytes)))
}

/// Entries by range, as one frame of type 1; fewer than asked where they do not fit.
///
/// Members of a record's group get the record with its leaf, others a hole.
#[utoipa::path(
    get, path = "/log/{member}/entries", tag = "log", params(("member" = String, Path), RangeQuery),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/cbor-seq"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn entries(
    State(server): State<Arc<Server>>,
    asker: Asker,
    Named(path): Named<LogPath>,
    Query(RangeQuery { from, to }): Query<RangeQuery>,
) -> Result<Response, Failure> {
    let place = asker.place(&server)?;
    let source = source(&server, &path)?;
    let to = to.min(from.saturating_add(MAX_FRAME_ENTRIES as u64));
    // The checkpoint first: it may then be older than the entries, and covers what it can.
    let absent = || Failure::new(ProblemKind::NotFound, "the log is empty");
    let checkpoint = source.checkpoint().await?.ok_or_else(absent)?;
    let found = if from < to { source.entries(from, to).await? } else { Vec::new() };
    let entries = found.into_iter().map(|entry| visible(&server, asker.name(), entry)).collect();
    let frames = split(&Extension { from, entries, checkpoint });
    let frames = frames.map_err(|error| Failure::internal(&error))?;
    let first = frames.into_iter().next().unwrap_or_default();
    let head = [(header::CONTENT_TYPE, frame::MEDIA_TYPE)];
    Ok(place.until_taken(server.patience.answer, (head, first)))
}

/// Where a member stands that catches up.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UrgentQuery {
    /// How many leaves the caller holds.
    held: u64,
    /// The first index that it asks for.
    from: u64,
}

/// Retractions, halts and erasures ahead of their turn: at most 64 frames of type 2, the earliest first.
///
/// A member that catches up asks for them first, and again while it does.
#[utoipa::path(
    get, path = "/log/{member}/urgent", tag = "log", params(("member" = String, Path), UrgentQuery),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/cbor-seq"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn urgent(
    State(server): State<Arc<Server>>,
    asker: Asker,
    Named(path): Named<LogPath>,
    Query(UrgentQuery { held, from }): Query<UrgentQuery>,
) -> Result<Response, Failure> {
    let place = asker.place(&server)?;
    let found = server.node.urgent(&log_of(&server, &path)?, (held, from)).await;
    let mut bytes = BytesMut::new();
    for mut urgent in found.map_err(|error| Failure::internal(&error))? {
        urgent.entry = visible(&server, asker.name(), urgent.entry);
        let frame = Frame::Priority(urgent).encode().map_err(|error| Failure::internal(&error))?;
        bytes.extend_from_slice(&frame);
    }
    let head = [(header::CONTENT_TYPE, frame::MEDIA_TYPE)];
    Ok(place.until_taken(server.patience.answer, (head, bytes.freeze())))
}

/// Records that the caller misses, for members of their group; a prefix where not all fit.
#[utoipa::path(
    get, path = "/log/{member}/records", tag = "log", params(("member" = String, Path), IndexQuery),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/cbor"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn records(
    State(server): State<Arc<Server>>,
    Signer(signer): Signer,
    Named(path): Named<LogPath>,
    Query(query): Query<IndexQuery>,
) -> Result<Response, Failure> {
    let indices: Result<Vec<u64>, _> = query.index.split(',').map(str::parse).collect();
    let indices =
        indices.map_err(|_| Failure::new(ProblemKind::Invalid, "index is a list of numbers"))?;
    if indices.len() > RECORD_INDICES.value {
        return Err(RECORD_INDICES.exceeded());
    }
    let source = source(&server, &path)?;
    let (mut records, mut size) = (Vec::with_capacity(indices.len()), 0);
    for index in indices {
        let entry = source.entries(index, index.saturating_add(1)).await?.into_iter().next();
        let record = entry.and_then(|entry| visible(&server, Some(&signer.member), entry).record);
        size += record.as_ref().map_or(0, Bytes::len);
        if size > frame::MAX_FRAME_BYTES {
            break;
        }
        records.push(record);
    }
    Ok(([(header::CONTENT_TYPE, "application/cbor")], encode_records(&records)).into_response())
}

/// Records that this node lacks of those that it may have, some of each log: for members that it cannot reach, who
/// bring them.
#[utoipa::path(
    get, path = "/log/lacking", tag = "log",
    responses(
        (status = 200, body = LackingAnswer),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn lacking(
    State(server): State<Arc<Server>>,
    _signer: Signer,
) -> Json<LackingAnswer> {
    Json(LackingAnswer { lacking: server.node.filler().holes.lacking() })
}

/// Which record.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PlaceQuery {
    /// The index of its leaf.
    index: u64,
}

/// Takes a record that this node lacks, from whatever member brings it; it has to open under its leaf.
#[utoipa::path(
    post, path = "/log/{member}/records", tag = "log", params(("member" = String, Path), PlaceQuery),
    request_body(content((Vec<u8> = "application/cbor"))),
    responses(
        (status = 200, body = TakenAnswer),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn bring(
    State(server): State<Arc<Server>>,
    Signer(signer): Signer,
    Named(path): Named<LogPath>,
    Query(PlaceQuery { index }): Query<PlaceQuery>,
    request: Request,
) -> Result<Json<TakenAnswer>, Failure> {
    let said = said((&server, &signer), request, FRAME_BYTES).await?;
    let place = Place { log: log_of(&server, &path)?, index };
    let taken = server.node.filler().take(place, said.body).await;
    Ok(Json(TakenAnswer { taken: taken.map_err(|error| Failure::internal(&error))? }))
}

/// Takes more of the log of the member that brings it, as a frame of type 1.
#[utoipa::path(
    post, path = "/log/{member}/frames", tag = "log", params(("member" = String, Path)),
    request_body(content((Vec<u8> = "application/cbor-seq"))),
    responses(
        (status = 200, body = SizeAnswer),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn frames(
    State(server): State<Arc<Server>>,
    Signer(signer): Signer,
    Named(member): Named<MemberName>,
    request: Request,
) -> Result<Json<SizeAnswer>, Failure> {
    let said = said_by((&server, &signer), &member, request, FRAME_BYTES).await?;
    let invalid = |detail: String| Failure::new(ProblemKind::Invalid, detail);
    let more = match Frame::decode(&said.body).map_err(|error| invalid(error.to_string()))? {
        Frame::Entries(more) => more,
        _ => return Err(invalid("only frames of type 1 are taken here".to_owned())),
    };
    let size = server.node.accept(&member, more).await?;
    let size = size.ok_or_else(|| invalid("this log is not taken from there".to_owned()))?;
    Ok(Json(SizeAnswer { size }))
}

/// Notes how much of each log is effective at the member that says so.
#[utoipa::path(
    post, path = "/log/{member}/receipts", tag = "log", params(("member" = String, Path)),
    request_body = Receipt,
    responses(
        (status = 204),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn receipts(
    State(server): State<Arc<Server>>,
    Signer(signer): Signer,
    Named(member): Named<MemberName>,
    request: Request,
) -> Result<StatusCode, Failure> {
    let said = said_by((&server, &signer), &member, request, RECEIPT_BYTES).await?;
    let effective = views::receipt_of(json(&said.body)?);
    let noted = server.node.receipt(&member, &effective).await;
    noted.map_err(|error| Failure::internal(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// How much of each log is effective at this node, for a member that has no address to be told at.
#[utoipa::path(
    get, path = "/log/{member}/receipts", tag = "log", params(("member" = String, Path)),
    responses(
        (status = 200, body = Receipt),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn effective(
    State(server): State<Arc<Server>>,
    Signer(signer): Signer,
    Named(member): Named<MemberName>,
) -> Result<Json<Receipt>, Failure> {
    same_member(&signer, &member)?;
    Ok(Json(views::receipt(&server.node.receipts().effective())))
}

/// The log that a path names.
pub(super) fn log_of(server: &Server, path: &LogPath) -> Result<LogName, Failure> {
    let unknown = || Failure::new(ProblemKind::NotFound, format!("no log of {path}"));
    server.node.log_of(&path.member, path.epoch).ok_or_else(unknown)
}

/// A log as this node holds it.
pub(super) fn source(server: &Server, path: &LogPath) -> Result<Arc<dyn Source>, Failure> {
    let unknown = || Failure::new(ProblemKind::NotFound, format!("no log of {path}"));
    server.node.source(&log_of(server, path)?).ok_or_else(unknown)
}

/// An entry as the asker may have it.
pub(super) fn visible(server: &Server, asker: Option<&MemberName>, mut entry: Entry) -> Entry {
    let may = asker.is_some_and(|member| server.node.may_have(member, &entry.leaf));
    if !may {
        entry.record = None;
    }
    entry
}

/// A source may answer with less than asked; a bundle needs all.
async fn all_entries(source: &dyn Source, from: u64, to: u64) -> Result<Vec<Entry>, Failure> {
    let mut all: Vec<Entry> = Vec::new();
    loop {
        let at = from + all.len() as u64;
        let more = if at < to { source.entries(at, to).await? } else { Vec::new() };
        if more.is_empty() {
            return Ok(all);
        }
        all.extend(more);
    }
}
