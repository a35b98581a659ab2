//! Writes down, in groups and beside the requests, when keys and sessions were last used, and clears
//! sessions away that have ended.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use watchfire_store::{Batch, CommitError, StoreError};

use super::{Access, keys::KEY_USE, row, sessions::SESSIONS};

/// How often.
pub const FLUSH_EVERY: Duration = Duration::from_secs(60);
/// A session's use is written down when it is this much newer than what is: after a crash a session
/// may end so much earlier.
const SESSION_STEP_MS: u64 = 300_000;

impl Access {
    /// Writes last uses down from time to time, for as long as the node runs.
    pub async fn keep_uses(self: Arc<Self>) {
        loop {
            tokio::time::sleep(FLUSH_EVERY).await;
            if let Err(error) = self.flush().await {
                tracing::warn!(%error, "the last use of keys was not written down");
            }
        }
    }

    /// Writes last uses down now.
    ///
    /// # Errors
    /// The store's; they are tried again with the next ones.
    pub async fn flush(&self) -> Result<(), StoreError> {
        // One after the other with changes: a key that is revoked meanwhile must not come back.
        let _one = self.changing.lock().await;
        let now = self.clock.now_ms();
        let (mut rows, mut ended) = (Vec::new(), Vec::new());
        let (keys, sessions) = {
            let held = self.held();
            let keys = held.keys.iter().map(|(name, key)| (*name, key.clone()));
            let sessions = held.sessions.iter().map(|(name, it)| (*name, it.clone()));
            (keys.collect::<Vec<_>>(), sessions.collect::<Vec<_>>())
        };
        let mut kept = Vec::new();
        for (name, key) in &keys {
            let used = key.used_ms.load(Ordering::Relaxed);
            if used != key.kept_ms.load(Ordering::Relaxed) {
                rows.push(row(KEY_USE, &name.0, Some(used.to_be_bytes().to_vec())));
                kept.push((&key.kept_ms, used));
            }
        }
        for (name, session) in &sessions {
            let seen = session.seen_ms.load(Ordering::Relaxed);
            if !session.is_live(now) {
                rows.push(row(SESSIONS, &name.0, None));
                ended.push(*name);
            } else if seen >= session.kept_ms.load(Ordering::Relaxed) + SESSION_STEP_MS {
                let kept_row = session.row(*name);
                rows.push(kept_row.map_err(|error| StoreError::Failed(error.to_string()))?);
                kept.push((&session.kept_ms, seen));
            }
        }
        if rows.is_empty() {
            return Ok(());
        }
        match self.store.commit(Batch { rows, ..Batch::default() }).await {
            Ok(()) => {}
            Err(CommitError::Store(error)) => return Err(error),
            Err(error) => return Err(StoreError::Failed(error.to_string())),
        }
        for (place, at) in kept {
            place.store(at, Ordering::Relaxed);
        }
        let mut held = self.held_mut();
        for name in ended {
            held.sessions.remove(&name);
        }
        Ok(())
    }
}
