//! How many alerts of one log are live, as its leaves say it: so that all who read the log agree, with the records or
//! without.
//!
//! **Invariant:** what is live at a place depends on the leaves before it, not on when what is urgent came.
//! **Invariant:** what it holds is bounded by the alerts that are live, and by what came ahead of its turn, not by what
//! the log has said.

use std::collections::BTreeMap;

use watchfire_signal::{header::Header, verb::Verb};

/// Alerts that are over, and still here, beside those that are live: less than that is not worth going through.
const SPARE: usize = 1_024;

/// The alerts of one log that are live: its asserts, amendments and variants whose lease is not over and that no later
/// leaf of the same log has taken back.
#[derive(Debug, Default)]
pub(crate) struct LiveAlerts {
    /// The day of the place that was come to.
    today: u32,
    /// The last day of each alert, by its index; of few it is over.
    until: BTreeMap<u64, u32>,
    /// How many end on each day.
    ends: BTreeMap<u32, u64>,
    live: u64,
    /// What is taken back from a place on that was not come to yet: of each alert the first such place.
    undone: BTreeMap<u64, u64>,
    /// The same by place.
    undone_at: BTreeMap<u64, u64>,
}

impl LiveAlerts {
    /// Comes to a place of the log and its day; days that are gone do not come again.
    pub(crate) fn come_to(&mut self, index: u64, day: u64) {
        while let Some((at, alert)) = self.undone_at.first_key_value().map(|(at, a)| (*at, *a))
            && at < index
        {
            self.undone_at.remove(&at);
            self.undone.remove(&alert);
            self.remove(alert);
        }
        self.today = self.today.max(u32::try_from(day).unwrap_or(u32::MAX));
        while let Some(first) = self.ends.first_entry()
            && *first.key() < self.today
        {
            self.live -= first.remove();
        }
        if self.until.len() as u64 > 2 * self.live + SPARE as u64 {
            self.until.retain(|_, until| *until >= self.today);
        }
    }

    /// How many are live at the place that was come to.
    pub(crate) fn count(&self) -> u64 {
        self.live
    }

    /// How many are live on a day that no entry may have come to yet: not those that end before it, nor what is taken
    /// back from a place after the last one.
    pub(crate) fn count_on(&self, day: u32) -> u64 {
        let ended: u64 = self.ends.range(..day).map(|(_, count)| *count).sum();
        let lasts = |alert: &&u64| self.until.get(*alert).is_some_and(|until| *until >= day);
        let undone = self.undone.keys().filter(lasts).count() as u64;
        self.live.saturating_sub(ended + undone)
    }

    /// Whether an entry at this place makes one more live.
    pub(crate) fn has_more_with(&self, index: u64, header: &Header) -> bool {
        lasting(index, header)
            .is_some_and(|(alert, until)| until >= self.today && !self.is_live(alert))
    }

    /// Takes in what an entry that counts makes live, or live for longer.
    pub(crate) fn take(&mut self, index: u64, header: &Header) {
        let Some((alert, until)) = lasting(index, header) else { return };
        let before = self.until.get(&alert).copied().filter(|before| *before >= self.today);
        if until < self.today || before.is_some_and(|before| until <= before) {
            return;
        }
        self.remove(alert);
        self.until.insert(alert, until);
        *self.ends.entry(until).or_default() += 1;
        self.live += 1;
    }

    /// Takes in what is taken back, from the next place on. What comes ahead of its turn comes again in its turn, so
    /// that nothing is lost where something else is taken back before it.
    pub(crate) fn undo(&mut self, index: u64, header: &Header) {
        let takes_back = matches!(header.verb, Verb::Retract | Verb::Erase);
        let Some(alert) = own_target(header).filter(|alert| takes_back && self.is_live(*alert))
        else {
            return;
        };
        match self.undone.get(&alert) {
            Some(before) if *before <= index => return,
            Some(before) => drop(self.undone_at.remove(before)),
            None => {}
        }
        self.undone.insert(alert, index);
        self.undone_at.insert(index, alert);
    }

    fn is_live(&self, alert: u64) -> bool {
        self.until.get(&alert).is_some_and(|until| *until >= self.today)
    }

    fn remove(&mut self, alert: u64) {
        let Some(until) = self.until.remove(&alert).filter(|until| *until >= self.today) else {
            return;
        };
        self.live -= 1;
        if let Some(count) = self.ends.get_mut(&until) {
            *count -= 1;
            if *count == 0 {
                self.ends.remove(&until);
            }
        }
    }
}

/// How many bytes a body of so many KiB counts as.
pub(crate) fn bytes_of(size_kib: u32) -> u64 {
    u64::from(size_kib) * 1_024
}

/// Which alert of its own log an entry makes live, and up to which day: itself, or the one that it renews. Without a
/// lease that is for ever.
fn lasting(index: u64, header: &Header) -> Option<(u64, u32)> {
    let alert = match header.verb {
        Verb::Renew => own_target(header)?,
        verb if verb.carries_alert() => index,
        _ => return None,
    };
    Some((alert, header.lease_day.unwrap_or(u32::MAX)))
}

/// The entry of its own log that it speaks of.
fn own_target(header: &Header) -> Option<u64> {
    let own = header.target.as_ref().filter(|target| target.log == header.author_log)?;
    Some(own.index)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use watchfire_signal::{charter::Charter, header::Target, name::LogName};

    use super::*;
    use crate::raise::plain_header;

    /// A leaf of a log: what it does, to which alert before it, and up to which day.
    fn header(verb: Verb, target: Option<u64>, lease_day: Option<u32>) -> Header {
        let charter = Charter::founding("test".parse().unwrap(), Vec::new());
        let log = LogName::new("test".parse().unwrap(), "tiktok".parse().unwrap(), 1);
        let target = target.map(|index| Target { log: log.clone(), index });
        Header { target, lease_day, ..plain_header(&charter, &log, verb) }
    }

    /// The indices that are live before each entry, by going through all entries before it.
    fn live_before(log: &[(Header, u32)], place: usize) -> BTreeSet<u64> {
        let mut until = BTreeMap::new();
        let mut today = 0;
        for (index, (header, day)) in (0..).zip(&log[..place]) {
            today = *day;
            if let Some((alert, last)) = lasting(index, header).filter(|(_, last)| *last >= today) {
                let live = until.get(&alert).copied().filter(|last: &u32| *last >= today);
                until.insert(alert, live.map_or(last, |live| live.max(last)));
            }
            if matches!(header.verb, Verb::Retract | Verb::Erase) {
                until.remove(&own_target(header).unwrap());
            }
        }
        today = today.max(log.get(place).map_or(0, |(_, day)| *day));
        until.into_iter().filter(|(_, last)| *last >= today).map(|(alert, _)| alert).collect()
    }

    fn any_log() -> impl Strategy<Value = Vec<(Header, u32)>> {
        let entry =
            (0_u8..6, any::<prop::sample::Index>(), 0_u32..4, proptest::option::of(0_u32..9));
        proptest::collection::vec(entry, 1..60).prop_map(|entries| {
            let mut day = 0;
            let all = entries.into_iter().enumerate().map(|(at, (what, target, later, lease))| {
                day += later / 3;
                let verb = match what {
                    3 if at > 0 => Verb::Renew,
                    4 if at > 0 => Verb::Retract,
                    5 if at > 0 => Verb::Erase,
                    _ => Verb::Assert,
                };
                let target = (verb != Verb::Assert).then(|| target.index(at) as u64);
                (header(verb, target, lease.map(|days| day + days.saturating_sub(1))), day)
            });
            all.collect()
        })
    }

    proptest! {
        #[test]
        fn what_is_live_is_what_the_leaves_before_say_whatever_comes_ahead_of_its_turn(
            log in any_log(),
            early in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..20),
        ) {
            let mut live = LiveAlerts::default();
            let undoes = |header: &Header| matches!(header.verb, Verb::Retract | Verb::Erase);
            for (at, (header, day)) in log.iter().enumerate() {
                for (when, which) in &early {
                    // As on any way: ahead of its turn, and at any time.
                    let which = at + which.index(log.len() - at);
                    if when.index(log.len()) == at && undoes(&log[which].0) {
                        live.undo(which as u64, &log[which].0);
                    }
                }
                if undoes(header) {
                    live.undo(at as u64, header);
                    continue;
                }
                live.come_to(at as u64, (*day).into());
                let wanted = live_before(&log, at);
                for later in 0..12 {
                    // What came ahead of its turn is over for whoever asks, and for what stands before it it is not.
                    let on = *day + later;
                    let lasts = |alert: &u64| live.until[alert] >= on && !live.undone.contains_key(alert);
                    let there = wanted.iter().filter(|alert| lasts(alert)).count() as u64;
                    prop_assert_eq!(live.count_on(on), there, "at {}, {} days later", at, later);
                }
                prop_assert_eq!(live.count(), wanted.len() as u64, "at {}", at);
                prop_assert!(live.until.len() as u64 <= 2 * live.count() + SPARE as u64);
                live.take(at as u64, header);
            }
        }
    }

    #[test]
    fn what_is_over_is_not_kept() {
        let mut live = LiveAlerts::default();
        for index in 0..100_000 {
            live.come_to(index, index / 10);
            let lease_day = u32::try_from(index / 10).ok();
            live.take(index, &header(Verb::Assert, None, lease_day));
            assert!(live.count() <= 10 && live.until.len() <= SPARE + 30 && live.ends.len() <= 2);
        }
    }
}
