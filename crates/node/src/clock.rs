//! The node's own clock and randomness, given in from outside so that a run can be repeated.
//!
//! **Invariant:** only this file asks the machine for the time or for random bytes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

/// Minutes of a day, which quotas are of.
pub(crate) const MINUTES_A_DAY: u64 = 24 * 60;

/// Tells the time that leases are measured by.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since 1970-01-01 UTC; never less than the answer before.
    fn now_ms(&self) -> u64;
}

/// Gives random bytes for salts and nonces.
pub trait Random: Send + Sync + 'static {
    /// Fills the buffer.
    fn fill(&self, buffer: &mut [u8]);
}

/// The machine's clock, held still while the machine sets it back.
#[derive(Debug, Default)]
pub struct SystemClock {
    last: AtomicU64,
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this file owns the clock")]
    fn now_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        self.last.fetch_max(now, Ordering::Relaxed).max(now)
    }
}

/// The clock that terms of cases are measured by: it goes on from the newest time that this node
/// has written down, also when the machine was set back while the node stood still. Otherwise a
/// case whose term is over would come to life again.
pub struct TermClock {
    clock: Arc<dyn Clock>,
    behind_ms: u64,
}

impl TermClock {
    /// A clock that never shows less than `newest_ms`.
    #[must_use]
    pub fn since(clock: Arc<dyn Clock>, newest_ms: u64) -> Self {
        let behind_ms = newest_ms.saturating_sub(clock.now_ms());
        if behind_ms > 0 {
            tracing::warn!(
                behind_ms,
                "the clock was set back; terms are measured as if it was not"
            );
        }
        Self { clock, behind_ms }
    }
}

impl Clock for TermClock {
    fn now_ms(&self) -> u64 {
        self.clock.now_ms().saturating_add(self.behind_ms)
    }
}

/// The operating system's random bytes.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemRandom;

impl Random for SystemRandom {
    #[expect(clippy::disallowed_methods, reason = "this file owns randomness")]
    fn fill(&self, buffer: &mut [u8]) {
        // A machine without randomness must not sign: a repeated salt would let an outsider
        // compare commitments.
        let filled = getrandom::fill(buffer);
        assert!(filled.is_ok(), "the operating system gives no random bytes");
    }
}
