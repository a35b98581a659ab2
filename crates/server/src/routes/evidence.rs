//! The proofs that a member has lied in its log, for anyone to check and carry on.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use watchfire_api::problem::Problem;
use watchfire_api::wire::{ContradictionProof, Cosigned, Evidence, ForkProof, LogPath};
use watchfire_node::contradictions::Convicted;
use watchfire_signal::contradiction::Contradiction;
use watchfire_signal::hex;

use super::log::log_of;
use crate::answer::Failure;
use crate::input::Named;
use crate::member::Asker;
use crate::server::Server;

/// The proofs that a member's log has shown two histories, and that records in it were written with another header than
/// their leaves; none, as long as neither was found.
///
/// Of two histories each proof holds two checkpoints signed by the member that cannot both be true, so it convicts by
/// itself, wherever it is read. Such a log is frozen at this node. A contradiction holds the leaf, the other header and
/// the way from the leaf to a checkpoint signed by the member, and convicts as well; its record is not kept.
#[utoipa::path(
    get, path = "/log/{member}/evidence", tag = "log", params(("member" = String, Path)),
    responses(
        (status = 200, body = Evidence),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn evidence(
    State(server): State<Arc<Server>>,
    asker: Asker,
    Named(path): Named<LogPath>,
) -> Result<Response, Failure> {
    let place = asker.place(&server)?;
    let log = log_of(&server, &path)?;
    let proofs = server.node.evidence(&log).await;
    let proofs = proofs.map_err(|error| Failure::internal(&error))?;
    let contradictions = server.node.contradictions(&log).await;
    let contradictions = contradictions.map_err(|error| Failure::internal(&error))?;
    let contradictions = contradictions.into_iter().map(contradiction).collect();
    let proofs = proofs.iter().map(ForkProof::from).collect();
    let evidence = Json(Evidence { log, proofs, contradictions });
    Ok(place.until_taken(server.patience.answer, evidence))
}

fn contradiction(convicted: Convicted) -> ContradictionProof {
    let Contradiction { leaf, header, content } = convicted.contradiction;
    ContradictionProof {
        index: convicted.index,
        checkpoint: convicted.head.text,
        inclusion: convicted.inclusion.iter().map(ToString::to_string).collect(),
        leaf: hex::encode(&leaf),
        header: hex::encode(&header),
        content: hex::encode(&content),
    }
}

/// The newest checkpoint of a member's log that each witness of the charter has cosigned (C2SP tlog-cosignature); the
/// newest of all is at `checkpoint`.
#[utoipa::path(
    get, path = "/log/{member}/cosigned", tag = "log", params(("member" = String, Path)),
    responses(
        (status = 200, body = Cosigned),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn cosigned(
    State(server): State<Arc<Server>>,
    asker: Asker,
    Named(path): Named<LogPath>,
) -> Result<Response, Failure> {
    let place = asker.place(&server)?;
    let log = log_of(&server, &path)?;
    let heads = server.node.cosigned(&log).into_iter().map(|head| head.text).collect();
    Ok(place.until_taken(server.patience.answer, Json(Cosigned { log, heads })))
}
