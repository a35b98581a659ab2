//! What members tell each other of the logs that they hold.

use std::collections::BTreeMap;

use watchfire_signal::name::LogName;
use watchfire_tlog::{Evidence, SignedCheckpoint};

/// What a member holds of all logs, and what it can prove of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heads {
    /// The newest signed checkpoint of each log.
    pub heads: BTreeMap<LogName, SignedCheckpoint>,
    /// Proofs that logs have shown two histories, one a log.
    pub proofs: Vec<(LogName, Evidence)>,
}
