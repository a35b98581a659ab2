//! How much one platform is asked at once and in a minute: a platform's quota is a resource, and a
//! slow platform must not hold up another.

use std::{collections::VecDeque, time::Duration};

/// Orders under way at once unless configured otherwise.
pub const AT_ONCE: usize = 32;
/// How long an order may wait for its turn before a person is told, unless configured otherwise.
pub const WITHIN: Duration = Duration::from_secs(300);
/// The time that `orders_a_minute` counts in.
const MINUTE_MS: u64 = 60_000;

/// What a connector may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Orders under way at once, at least one.
    pub at_once: usize,
    /// Orders begun in any 60 seconds; `None`: as many as fit.
    pub orders_a_minute: Option<u32>,
    /// How long an order may wait for its turn before a person is told.
    pub within: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self { at_once: AT_ONCE, orders_a_minute: None, within: WITHIN }
    }
}

impl Budget {
    /// How many waiting orders get their turn in time; `None`: that is not said by the budget.
    #[must_use]
    pub fn met_in_time(&self) -> Option<u64> {
        let within_ms = u64::try_from(self.within.as_millis()).unwrap_or(u64::MAX);
        self.orders_a_minute.map(|rate| u64::from(rate).saturating_mul(within_ms) / MINUTE_MS)
    }

    /// Whether the last of so many waiting orders would get its turn too late.
    #[must_use]
    pub fn is_short_of(&self, waiting: u64) -> bool {
        self.met_in_time().is_some_and(|met| waiting > met)
    }
}

/// The orders of the last minute. It is not kept over a restart.
#[derive(Debug, Default)]
pub struct Window(VecDeque<u64>);

impl Window {
    /// Takes a place for an order that begins now; otherwise says in how many milliseconds one will
    /// be free.
    ///
    /// # Errors
    /// The wait in milliseconds.
    pub fn take(&mut self, budget: &Budget, now_ms: u64) -> Result<(), u64> {
        let Some(rate) = budget.orders_a_minute else { return Ok(()) };
        while self.0.front().is_some_and(|begun| begun.saturating_add(MINUTE_MS) <= now_ms) {
            self.0.pop_front();
        }
        match self.0.front() {
            Some(first) if self.0.len() >= rate.max(1) as usize => {
                Err(first.saturating_add(MINUTE_MS).saturating_sub(now_ms))
            }
            _ => {
                self.0.push_back(now_ms);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn no_minute_has_more_orders_than_the_budget() {
        let budget = Budget { orders_a_minute: Some(2), ..Budget::default() };
        let mut window = Window::default();
        assert_eq!(window.take(&budget, 1_000), Ok(()));
        assert_eq!(window.take(&budget, 31_000), Ok(()));
        assert_eq!(window.take(&budget, 40_000), Err(21_000));
        assert_eq!(window.take(&budget, 61_000), Ok(()));
        assert_eq!(window.take(&budget, 61_000), Err(30_000));
    }

    #[test]
    fn what_cannot_be_met_in_time_is_known_beforehand() {
        let budget = Budget { orders_a_minute: Some(10), ..Budget::default() };
        assert!(!budget.is_short_of(50));
        assert!(budget.is_short_of(51));
        assert!(!Budget::default().is_short_of(u64::MAX));
    }
}
