//! A place in a log, by which records speak of each other.

use watchfire_signal::name::LogName;

/// A place in a log.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The log.
    pub log: LogName,
    /// The index of the leaf.
    pub index: u64,
}
