//! Brings our log to a peer that cannot come for it, because we have no public address.
//!
//! **Invariant:** a record goes to members of its group only; the others get the leaf and a hole.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use tokio::time::Instant;
use watchfire_signal::{
    charter::Charter,
    name::{LogName, MemberName},
};
use watchfire_tlog::{Extension, Origin, PeerKey, Source};

use crate::{
    charter::may_have,
    clock::Random,
    peer::Peer,
    replicate::{pause_after, stood},
};

/// The first wait after a failure.
const BACKOFF_START: Duration = Duration::from_millis(100);

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

/// A peer as a reader of our log.
#[derive(Clone)]
pub struct Reader {
    /// Its name.
    pub member: MemberName,
    /// Its node.
    pub peer: Arc<dyn Peer>,
    /// Says which groups it is in.
    pub charter: Arc<Charter>,
}

/// Posts our log to one peer as it grows, for as long as the node runs.
pub async fn upload(own: OwnLog, ours: Arc<dyn Source>, reader: Reader, random: Arc<dyn Random>) {
    let mut wait = BACKOFF_START;
    loop {
        let (begun, mut progress) = (Instant::now(), false);
        if let Err(error) = upload_once(&own, &*ours, &reader, &mut progress).await {
            tracing::debug!(%error, "upload to a peer stopped");
        }
        wait = pause_after(progress || stood(begun), wait, &*random).await;
    }
}

/// Asks where the peer stands and goes on from there; notes whether it took anything.
async fn upload_once(
    own: &OwnLog,
    ours: &dyn Source,
    reader: &Reader,
    progress: &mut bool,
) -> Result<(), String> {
    let held = reader.peer.source(&own.log).checkpoint().await.map_err(text)?;
    let from = match held {
        Some(held) => held.verify(&own.origin, &own.key).map_err(text)?.size,
        None => 0,
    };
    let mut stream = ours.follow(from).await.map_err(text)?;
    while let Some(more) = stream.next().await {
        let more = reader.visible(more.map_err(text)?);
        let wanted = more.from + more.entries.len() as u64;
        let size = reader.peer.push(&own.log, &more).await.map_err(text)?;
        *progress = true;
        if size < wanted {
            return Ok(());
        }
    }
    Ok(())
}

impl Reader {
    /// More of our log as this reader may have it.
    fn visible(&self, mut more: Extension) -> Extension {
        for entry in &mut more.entries {
            if !may_have(&self.charter, &self.member, &entry.leaf) {
                entry.record = None;
            }
        }
        more
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
