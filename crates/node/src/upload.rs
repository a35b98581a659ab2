//! Brings our log to a peer that cannot come for it, because we have no public address.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use watchfire_signal::name::LogName;
use watchfire_tlog::{Origin, PeerKey, Source};

use crate::{clock::Random, peer::Peer, replicate::jittered};

/// The first wait after a failure.
const BACKOFF_START: Duration = Duration::from_millis(100);
/// The longest wait.
const BACKOFF_END: Duration = Duration::from_secs(30);

/// Our own log, as its readers know it.
#[derive(Debug, Clone)]
pub struct OwnLog {
    /// Its name.
    pub log: LogName,
    /// Its origin line.
    pub origin: Origin,
    /// The key that signs it.
    pub key: PeerKey,
}

/// Posts our log to one peer as it grows, for as long as the node runs.
pub async fn upload(
    own: OwnLog,
    ours: Arc<dyn Source>,
    peer: Arc<dyn Peer>,
    random: Arc<dyn Random>,
) {
    let mut wait = BACKOFF_START;
    loop {
        match upload_once(&own, &*ours, &*peer).await {
            Ok(true) => wait = BACKOFF_START,
            Ok(false) => {}
            Err(error) => tracing::debug!(%error, "upload to a peer stopped"),
        }
        tokio::time::sleep(jittered(wait, &*random)).await;
        wait = (wait * 2).min(BACKOFF_END);
    }
}

/// Asks where the peer stands and goes on from there; true if anything was taken.
async fn upload_once(own: &OwnLog, ours: &dyn Source, peer: &dyn Peer) -> Result<bool, String> {
    let held = peer.source(&own.log).checkpoint().await.map_err(|error| error.to_string())?;
    let from = match held {
        Some(held) => held.verify(&own.origin, &own.key).map_err(|error| error.to_string())?.size,
        None => 0,
    };
    let mut stream = ours.follow(from).await.map_err(|error| error.to_string())?;
    let mut progress = false;
    while let Some(more) = stream.next().await {
        let more = more.map_err(|error| error.to_string())?;
        let wanted = more.from + more.entries.len() as u64;
        let size = peer.push(&own.log, &more).await.map_err(|error| error.to_string())?;
        progress = true;
        if size < wanted {
            return Ok(progress);
        }
    }
    Ok(progress)
}
