//! Retractions of what persons of other organisations stood by: beyond the charter's quota an hour each
//! waits for one of them to agree, so that one stolen key cannot undo everything.
//!
//! **Invariant:** which retractions wait depends on the records folded, not on their order of arrival.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use watchfire_signal::{commitment::Commitment, name::MemberName};

use crate::place::Turn;

/// Retractions of one member in one hour, with what they are about.
type Hour = BTreeMap<Turn, Commitment>;

/// The retractions that are counted.
#[derive(Debug, Default)]
pub(super) struct Undoing {
    hours: BTreeMap<(MemberName, u64), Hour>,
    places: BTreeMap<(MemberName, Turn), u64>,
    /// Those of each set.
    sets: HashMap<Commitment, Vec<(MemberName, Turn)>>,
}

impl Undoing {
    /// Counts the retractions of a set, each in its hour, and those no more that are none now; answers what then
    /// stands differently. `quota`: how many count in an hour.
    pub(super) fn count(
        &mut self,
        about: Commitment,
        undone: Vec<(MemberName, Turn, u64)>,
        quota: u64,
    ) -> BTreeSet<Commitment> {
        let mut changed = BTreeSet::new();
        if undone.is_empty() && !self.sets.contains_key(&about) {
            return changed;
        }
        let now: Vec<_> = undone.iter().map(|(by, turn, _)| (by.clone(), *turn)).collect();
        let before = self.sets.insert(about, now.clone()).unwrap_or_default();
        for name in before.into_iter().filter(|name| !now.contains(name)) {
            if let Some(hour) = self.places.remove(&name) {
                changed.insert(about);
                changed.extend(self.change(&name.0, hour, quota, |hour| hour.remove(&name.1)));
            }
        }
        for (member, turn, hour) in undone {
            changed.extend(self.place((&member, turn), hour, about, quota));
        }
        if now.is_empty() {
            self.sets.remove(&about);
        }
        changed
    }

    /// Counts a retraction in an hour, or moves it there; answers what then stands differently.
    fn place(
        &mut self,
        (member, turn): (&MemberName, Turn),
        hour: u64,
        about: Commitment,
        quota: u64,
    ) -> BTreeSet<Commitment> {
        let name = (member.clone(), turn);
        let before = self.places.insert(name, hour);
        if before == Some(hour) {
            return BTreeSet::new();
        }
        let mut changed = BTreeSet::from([about]);
        if let Some(before) = before {
            changed.extend(self.change(member, before, quota, |hour| hour.remove(&turn)));
        }
        changed.extend(self.change(member, hour, quota, |hour| hour.insert(turn, about)));
        changed
    }

    /// Changes an hour; what passes the line, either way, stands differently.
    fn change(
        &mut self,
        member: &MemberName,
        hour: u64,
        quota: u64,
        change: impl FnOnce(&mut Hour) -> Option<Commitment>,
    ) -> Vec<Commitment> {
        let quota = usize::try_from(quota).unwrap_or(usize::MAX);
        let name = (member.clone(), hour);
        let mut hour = self.hours.remove(&name).unwrap_or_default();
        // One comes or goes, so one at most passes the line: that which stands just after or before it.
        let at = |hour: &Hour| {
            let around = hour.values().skip(quota.saturating_sub(1)).take(2);
            around.copied().collect::<Vec<_>>()
        };
        let mut around = at(&hour);
        let _before = change(&mut hour);
        around.extend(at(&hour));
        if !hour.is_empty() {
            self.hours.insert(name, hour);
        }
        around
    }

    /// Whether a retraction is beyond the quota of its hour.
    pub(super) fn is_beyond(&self, member: &MemberName, turn: Turn, quota: u64) -> bool {
        let Some(hour) = self.places.get(&(member.clone(), turn)) else { return false };
        let Some(hour) = self.hours.get(&(member.clone(), *hour)) else { return false };
        let quota = usize::try_from(quota).unwrap_or(usize::MAX);
        hour.keys().nth(quota).is_some_and(|first_beyond| *first_beyond <= turn)
    }
}
