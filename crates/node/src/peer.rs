//! The seam to another member: its logs as sources, and the few things we say to it.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use thiserror::Error;
use watchfire_signal::{charter::SignedCharter, name::LogName};
use watchfire_tlog::{Extension, Source};

use crate::{effective::Effective, heads::Heads, place::Place};

/// Another member's node.
#[async_trait]
pub trait Peer: Send + Sync + 'static {
    /// A log as that member holds it: its own, or its copy of somebody's.
    fn source(&self, log: &LogName) -> Arc<dyn Source>;

    /// Brings the peer more of our own log, when it cannot come for it; answers the size that it
    /// holds now.
    async fn push(&self, log: &LogName, more: &Extension) -> Result<u64, PeerError>;

    /// Tells the peer how much of each log is effective here.
    async fn receipt(&self, effective: &BTreeMap<LogName, Effective>) -> Result<(), PeerError>;

    /// Asks the peer how much of each log is effective there, when it cannot come and tell us.
    async fn receipts(&self) -> Result<BTreeMap<LogName, Effective>, PeerError>;

    /// Tells the peer what we hold of all logs; answers what it holds, once it has compared.
    async fn exchange(&self, ours: &Heads) -> Result<Heads, PeerError>;

    /// Asks the peer which records it lacks of those that it may have, some of each log. One that does not say
    /// lacks none.
    async fn lacking(&self) -> Result<BTreeMap<LogName, Vec<u64>>, PeerError> {
        Ok(BTreeMap::new())
    }

    /// Brings the peer a record that it lacks; false where it did not take it.
    async fn bring(&self, _place: &Place, _record: &Bytes) -> Result<bool, PeerError> {
        Ok(false)
    }

    /// Asks the peer for charters after a number, and for what is proposed there. One whose charter never
    /// changes has none.
    async fn charters(&self, after: u64) -> Result<Theirs, PeerError> {
        Ok(Theirs { in_force: after, charters: Vec::new() })
    }

    /// Tells the peer of charters in force, and of proposals with their approvals.
    async fn tell_charters(&self, _ours: &[SignedCharter]) -> Result<(), PeerError> {
        Ok(())
    }
}

/// The charters that another member has.
#[derive(Debug, Clone, Default)]
pub struct Theirs {
    /// The number of its charter in force.
    pub in_force: u64,
    /// The charters in force after the number asked for, and what is proposed there.
    pub charters: Vec<SignedCharter>,
}

/// Why a peer could not be told something; it is told again later.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct PeerError(pub String);
