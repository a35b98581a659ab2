//! The proofs that a member's log has shown two histories, for anyone to check and carry on.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use watchfire_api::problem::Problem;
use watchfire_api::wire::{Cosigned, Evidence, ForkProof, LogPath};

use super::log::log_of;
use crate::answer::Failure;
use crate::input::Named;
use crate::member::Asker;
use crate::server::Server;

/// The proofs that a member's log has shown two histories; none, as long as it has not.
///
/// Each holds two checkpoints signed by the member that cannot both be true, so it convicts by itself, wherever it
/// is read. Such a log is frozen at this node.
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
) -> Result<Json<Evidence>, Failure> {
    let _place = server.places.request(asker.name())?;
    let log = log_of(&server, &path)?;
    let proofs = server.node.evidence(&log).await;
    let proofs = proofs.map_err(|error| Failure::internal(&error))?;
    Ok(Json(Evidence { log, proofs: proofs.iter().map(ForkProof::from).collect() }))
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
) -> Result<Json<Cosigned>, Failure> {
    let _place = server.places.request(asker.name())?;
    let log = log_of(&server, &path)?;
    let heads = server.node.cosigned(&log).into_iter().map(|head| head.text).collect();
    Ok(Json(Cosigned { log, heads }))
}
