//! Remembers which requests have come, so that none passes twice.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::SignatureError;

/// The most requests of one member that are remembered at a time: 130 a second over a signature's minute. Beyond
/// them the member is refused, never forgotten, so that no flood makes room for a replay.
pub const MAX_NONCES_A_MEMBER: usize = 8_192;

/// The most members remembered; only names that a key was found for get here.
pub const MAX_MEMBERS_REMEMBERED: usize = 4_096;

/// The nonces of requests whose signatures have not expired, by member.
///
/// Memory only: after a restart, requests signed before it are refused, which answers the question that the lost
/// memory would have.
#[derive(Debug)]
pub struct NonceMemory {
    started_s: u64,
    members: Mutex<HashMap<String, HashMap<String, u64>>>,
}

impl NonceMemory {
    /// An empty memory of a node that started at this time, in seconds since 1970-01-01 UTC.
    pub fn new(started_s: u64) -> Self {
        NonceMemory { started_s, members: Mutex::default() }
    }

    /// Remembers a nonce until it expires. `times` are when it expires and now.
    pub(super) fn remember(
        &self,
        member: &str,
        nonce: &str,
        created_s: u64,
        times: (u64, u64),
    ) -> Result<(), SignatureError> {
        let (expires_s, now_s) = times;
        if created_s < self.started_s {
            return Err(SignatureError::Time);
        }
        // A panic elsewhere cannot leave the map half changed: every change is one insert.
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        if !members.contains_key(member) && members.len() >= MAX_MEMBERS_REMEMBERED {
            return Err(SignatureError::TooMany);
        }
        let nonces = members.entry(member.to_owned()).or_default();
        if nonces.contains_key(nonce) {
            return Err(SignatureError::Replayed);
        }
        if nonces.len() >= MAX_NONCES_A_MEMBER {
            nonces.retain(|_, expires| *expires >= now_s);
        }
        if nonces.len() >= MAX_NONCES_A_MEMBER {
            return Err(SignatureError::TooMany);
        }
        nonces.insert(nonce.to_owned(), expires_s);
        Ok(())
    }
}
