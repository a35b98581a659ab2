//! Stops this member from acting on more than is plausible: a bad source, a bad signal, a bug.
//!
//! **Invariant:** distinct cases are counted, never copies: one viral clip trips nothing, however many
//! copies of it there are.
//! **Invariant:** pure but for the times that come in. After a restart what is held is counted again (`holds.rs`), what
//! was enforced begins anew.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use watchfire_signal::{commitment::Commitment, name::MemberName};

use crate::policy::{Held, Limits};

/// A minute.
const MINUTE_MS: u64 = 60_000;
/// An hour.
const HOUR_MS: u64 = 3_600_000;
/// A day.
const DAY_MS: u64 = 86_400_000;
/// Days by which the matches of a day are expected. They end a day before the case was first heard of: a
/// clip of today's attack is copied thousands of times within hours, a meme or a logo was there all week.
const EXPECTED_DAYS: u64 = 7;

/// Cases that were enforced in the last hour.
#[derive(Debug, Default)]
pub struct Breaker {
    all: Recent,
    by_source: BTreeMap<MemberName, Recent>,
    implausible: BTreeMap<MemberName, Recent>,
}

/// Distinct cases in a window, oldest first.
#[derive(Debug, Default)]
struct Recent {
    order: VecDeque<(u64, Commitment)>,
    cases: BTreeSet<Commitment>,
}

impl Recent {
    fn forget_before(&mut self, oldest_ms: u64) {
        while let Some(&(at, case)) = self.order.front() {
            if at >= oldest_ms {
                return;
            }
            self.order.pop_front();
            self.cases.remove(&case);
        }
    }

    fn admits(&self, case: &Commitment, most: u32) -> bool {
        self.cases.contains(case) || self.cases.len() < most as usize
    }

    fn forget(&mut self, case: &Commitment) {
        if self.cases.remove(case) {
            self.order.retain(|(_, counted)| counted != case);
        }
    }

    fn count(&mut self, case: Commitment, now_ms: u64) {
        if self.cases.insert(case) {
            self.order.push_back((now_ms, case));
        }
    }
}

impl Breaker {
    /// Counts a case that is about to be enforced, or says which limit it would pass; then it is not
    /// counted. A case that was admitted is admitted again for as long as it counts.
    ///
    /// # Errors
    /// The limit.
    pub fn admit(
        &mut self,
        case: Commitment,
        source: &MemberName,
        limits: &Limits,
        now_ms: u64,
    ) -> Result<(), Held> {
        self.all.forget_before(now_ms.saturating_sub(MINUTE_MS));
        self.by_source.retain(|_, recent| {
            recent.forget_before(now_ms.saturating_sub(HOUR_MS));
            !recent.order.is_empty()
        });
        if !self.all.admits(&case, limits.cases_enforced_per_minute) {
            return Err(Held::CasesPerMinute);
        }
        let by_source = self.by_source.entry(source.clone()).or_default();
        if !by_source.admits(&case, limits.cases_enforced_per_source_per_hour) {
            return Err(Held::CasesPerSourcePerHour);
        }
        by_source.count(case, now_ms);
        self.all.count(case, now_ms);
        Ok(())
    }

    /// Counts a case of a source that is held for what it matches.
    pub fn count_implausible(&mut self, case: Commitment, source: &MemberName, now_ms: u64) {
        self.implausible.entry(source.clone()).or_default().count(case, now_ms);
    }

    /// Takes a case back that a person has found to be in order.
    pub fn forgive(&mut self, case: &Commitment) {
        self.implausible.values_mut().for_each(|recent| recent.forget(case));
    }

    /// Whether a source has listed so much that is implausible that nothing of it acts.
    pub fn is_open(&mut self, source: &MemberName, limits: &Limits, now_ms: u64) -> bool {
        let Some(recent) = self.implausible.get_mut(source) else { return false };
        recent.forget_before(now_ms.saturating_sub(HOUR_MS));
        recent.cases.len() >= limits.held_cases_per_source_per_hour as usize
    }
}

/// Whether a signal matches more items from before its case was first heard of than is plausible: a
/// meme, a template, a blank frame. A CONFIRMED case is not held: others have looked.
///
/// # Errors
/// [`Held::OlderMatches`]
pub fn older(
    copies_seen_ms: impl IntoIterator<Item = u64>,
    first_heard_ms: u64,
    confirmed: bool,
    limits: &Limits,
) -> Result<(), Held> {
    let most = limits.older_matches_per_signal as usize;
    let older = copies_seen_ms.into_iter().filter(|seen_ms| *seen_ms < first_heard_ms);
    if confirmed || older.take(most + 1).count() <= most { Ok(()) } else { Err(Held::OlderMatches) }
}

/// The matches a day that are to be expected of what has these copies.
#[must_use]
pub fn expected_a_day(copies_seen_ms: impl IntoIterator<Item = u64>, first_heard_ms: u64) -> u64 {
    let end = first_heard_ms.saturating_sub(DAY_MS);
    let week = end.saturating_sub(EXPECTED_DAYS * DAY_MS)..end;
    let came = copies_seen_ms.into_iter().filter(|seen_ms| week.contains(seen_ms)).count();
    came as u64 / EXPECTED_DAYS
}
