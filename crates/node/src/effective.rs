//! How much of a log is effective at a member, as receipts say it.

use std::collections::BTreeSet;

/// Entries of one log that a receipt excepts; with more of them it says no further than the first that does not fit.
/// With so many for each log the receipts of a coalition of hundreds stay far below what a member takes.
pub const MAX_EXCEPT: usize = 64;

/// How much of a log is effective.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Effective {
    /// The entries up to here.
    pub size: u64,
    /// But for these, whose records are missing; at most [`MAX_EXCEPT`].
    pub except: BTreeSet<u64>,
}

impl Effective {
    /// Entries up to a size, but for these.
    #[must_use]
    pub fn new(size: u64, except: &BTreeSet<u64>) -> Self {
        let first = except.range(..size).nth(MAX_EXCEPT);
        let size = first.copied().unwrap_or(size);
        Self { size, except: except.range(..size).copied().collect() }
    }
}
