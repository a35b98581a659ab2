//! The time of a run: that of the paused runtime, which jumps ahead whenever everything waits, and leaps of
//! hours in which nobody is awake.
//!
//! **Invariant:** nothing here asks the machine for the time.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;
use watchfire_node::clock::Clock;

/// Milliseconds since 1970 at which every run begins.
pub const START_MS: u64 = 1_800_000_000_000;

/// The one true time of a run.
#[derive(Debug)]
pub struct Time {
    begun: Instant,
    state: Mutex<Leaps>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Leaps {
    all_ms: u64,
    last: Option<(Instant, u64)>,
}

impl Time {
    /// From now on.
    #[must_use]
    pub fn begun() -> Arc<Self> {
        Arc::new(Self { begun: Instant::now(), state: Mutex::default() })
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        START_MS + self.waking_ms() + self.state().all_ms
    }

    /// Milliseconds since the beginning, leaps apart.
    #[must_use]
    pub fn waking_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Lets time pass that nobody is awake in: clocks go on, timers do not.
    pub fn leap(&self, ms: u64) {
        let mut state = self.state();
        state.all_ms += ms;
        state.last = Some((Instant::now(), ms));
    }

    /// How far the last leap went, if it was not longer ago than this.
    #[must_use]
    pub fn leapt_within(&self, while_ago: Duration) -> Option<u64> {
        let (at, ms) = self.state().last?;
        (at.elapsed() <= while_ago).then_some(ms)
    }

    /// Whether it leapt since a waking moment.
    #[must_use]
    pub fn leapt_since(&self, waking_ms: u64) -> bool {
        let ago_ms = self.waking_ms().saturating_sub(waking_ms);
        self.leapt_within(Duration::from_millis(ago_ms)).is_some()
    }

    fn state(&self) -> MutexGuard<'_, Leaps> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A member's clock: wrong by a constant, until its machine is started again.
#[derive(Debug)]
pub struct MemberClock {
    time: Arc<Time>,
    skew_ms: AtomicI64,
    /// The time at which it stands still, for a member whose clock is broken; 0: it goes.
    stands_at_ms: AtomicU64,
}

impl MemberClock {
    /// A clock that is wrong by so much.
    #[must_use]
    pub fn new(time: &Arc<Time>, skew_ms: i64) -> Arc<Self> {
        let (skew_ms, stands_at_ms) = (AtomicI64::new(skew_ms), AtomicU64::new(0));
        Arc::new(Self { time: time.clone(), skew_ms, stands_at_ms })
    }

    /// Sets it, which may be back.
    pub fn set(&self, skew_ms: i64) {
        self.skew_ms.store(skew_ms, Ordering::Relaxed);
    }

    /// Stops it: for mutants.
    pub fn stop(&self) {
        self.stands_at_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    /// What it would show if it went.
    #[must_use]
    pub fn true_ms(&self) -> u64 {
        self.time.now_ms().saturating_add_signed(self.skew_ms.load(Ordering::Relaxed))
    }
}

impl Clock for MemberClock {
    fn now_ms(&self) -> u64 {
        match self.stands_at_ms.load(Ordering::Relaxed) {
            0 => self.true_ms(),
            still => still,
        }
    }
}
