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

/// A place among all that one member says, in whatever epoch: its later word counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Turn {
    /// The epoch of its log.
    pub epoch: u32,
    /// The index in it.
    pub index: u64,
}

impl Place {
    /// Its place among all that its author says.
    #[must_use]
    pub fn turn(&self) -> Turn {
        Turn { epoch: self.log.epoch, index: self.index }
    }
}
