//! What an alert would hit, found out before anybody is told of it: the benign set, the quality floor, and
//! what this platform holds. Receivers find the same by their own tables, and hold it.

use watchfire_signal::value::Signal;
use watchfire_store::StoreError;

use super::Node;
use crate::{
    benign::benign,
    breaker::{expected_a_day, older},
    policy::Held,
};

/// What was found out about signals that somebody wants to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preflight {
    /// What of the benign set one of them is near: it is refused unless somebody insists.
    pub benign: Option<&'static str>,
    /// How many of them are below the quality floor.
    pub thin: usize,
    /// Items of this platform that they match.
    pub copies: u64,
    /// Items a day that they matched here in the week that ended a day ago.
    pub expected_a_day: u64,
    /// What would hold it here, by the policy in force.
    pub held: Option<Held>,
}

impl Node {
    /// Finds out what an alert with these signals would hit; nothing is kept or said.
    ///
    /// # Errors
    /// The store's.
    pub async fn preflight(&self, signals: &[Signal]) -> Result<Preflight, StoreError> {
        let mut search = self.seen.search(signals).await?;
        let mut seen_ms = Vec::new();
        loop {
            let page = search.next().await?;
            if page.is_empty() {
                break;
            }
            seen_ms.extend(page.iter().map(|(item, _)| item.seen_ms));
        }
        let (now, benign) = (self.clock.now_ms(), benign(signals));
        let limits = &self.judge.policy().limits;
        let expected_a_day = expected_a_day(seen_ms.iter().copied(), now);
        let often = expected_a_day > u64::from(limits.expected_matches_per_day);
        let older = older(seen_ms.iter().copied(), now, false, limits);
        Ok(Preflight {
            benign,
            thin: signals.iter().filter(|signal| signal.is_thin()).count(),
            copies: seen_ms.len() as u64,
            expected_a_day,
            held: benign
                .map(|_| Held::BenignSet)
                .or(often.then_some(Held::ExpectedMatches))
                .or(older.err()),
        })
    }
}
