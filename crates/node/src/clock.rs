//! The node's own clock and randomness, given in from outside so that a run can be repeated.
//!
//! **Invariant:** only this file asks the machine for the time or for random bytes.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

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
