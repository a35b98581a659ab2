//! How much the seen table keeps, and how far back that reaches.

use std::path::PathBuf;

use serde::Deserialize;

/// Milliseconds of a day.
pub(super) const DAY_MS: u64 = 86_400_000;

/// Bounds of the seen table; what is over one of them goes, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SeenLimits {
    /// Days for which an item is kept after it was scanned.
    pub days: u64,
    /// Items kept at most.
    pub max_items: u64,
    /// Bytes of disk for items, indexes and files of their signals, about.
    pub max_bytes: u64,
    /// Youngest items that stay in memory; at least 2.
    pub recent_items: usize,
    /// Bytes of memory for the signals of these, about.
    pub recent_bytes: u64,
}

impl Default for SeenLimits {
    fn default() -> Self {
        Self {
            days: 90,
            max_items: 10_000_000,
            max_bytes: 20 << 30,
            recent_items: 200_000,
            recent_bytes: 256 << 20,
        }
    }
}

/// How a node keeps its seen table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SeenSetup {
    /// Where files of older signals lie; without it everything stays in memory.
    pub directory: Option<PathBuf>,
    /// How much is kept.
    pub limits: SeenLimits,
}

/// How far back the seen table reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizon {
    /// Everything scanned within so many seconds is still held, but for what the platform deleted.
    pub seconds: u64,
    /// How many seconds are configured.
    pub wanted_seconds: u64,
}

impl Horizon {
    /// Whether a limit on items or bytes took what the configured days would have kept.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.seconds < self.wanted_seconds
    }
}
