//! Ends the hashing of a video from outside, for callers that nobody waits for any more.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Ends the hashing that it was given to; clones are one and the same.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    stopped: Mutex<bool>,
    changed: Condvar,
}

/// Why a watchdog woke up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Woken {
    /// The program has ended.
    Ended,
    /// Nobody waits for it any more.
    Stopped,
    /// Its time is over.
    Late,
}

impl Stop {
    /// Ends what runs, and what would be started after it.
    pub fn stop(&self) {
        *self.stopped() = true;
        self.0.changed.notify_all();
    }

    /// Whether nobody waits any more.
    pub(crate) fn is_stopped(&self) -> bool {
        *self.stopped()
    }

    /// Waits until this is stopped, `ended` says so after a [`Stop::wake`], or the time is over.
    pub(super) fn watch(&self, time: Duration, ended: impl Fn() -> bool) -> Woken {
        let idle = |stopped: &mut bool| !*stopped && !ended();
        let waited = self.0.changed.wait_timeout_while(self.stopped(), time, idle);
        let (stopped, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match (ended(), *stopped) {
            (true, _) => Woken::Ended,
            (false, true) => Woken::Stopped,
            (false, false) => Woken::Late,
        }
    }

    /// Has watchdogs look whether their program has ended.
    pub(super) fn wake(&self, note: impl FnOnce()) {
        // Under the lock, so that no watchdog is between its look and its sleep.
        let stopped = self.stopped();
        note();
        drop(stopped);
        self.0.changed.notify_all();
    }

    fn stopped(&self) -> MutexGuard<'_, bool> {
        self.0.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartialEq for Stop {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Stop {}
