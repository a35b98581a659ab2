//! How fast a log is copied: what is beyond its author's quota says nothing, so nobody waits for it, and it is
//! taken slowly. Whoever floods then leaves disk and processor to what others say.
//!
//! **Invariant:** what is within the quota of its day, history above all, is never slowed.
//! **Invariant:** all that is beyond quotas, of however many logs, comes at one bounded pace together; nothing
//! of it is dropped.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use watchfire_signal::{
    charter::{CharterChain, Quotas},
    header::{CharterRef, Header},
    record::Leaf,
    verb::Verb,
};

use crate::{cases::MAX_AHEAD_MINUTES, clock::MINUTES_A_DAY, urgent::is_urgent_verb};

/// What each entry that is beyond a quota adds to the wait: 500 of them are taken a second, of all logs
/// together. A day's quota of 100,000 more arrives within four minutes, and takes a few percent of a processor.
const REST: Duration = Duration::from_millis(2);
/// How many times as long as it took to take them a log rests at least: a slow disk too belongs to what is beyond
/// quotas for a tenth of the time at most.
const SHARE: u32 = 9;

/// Slows all logs that are beyond their quotas, together.
#[derive(Debug)]
pub struct Pacer {
    /// The records a day that each charter allows; of one that is not known that of the one in force.
    records_a_day: HashMap<(u64, [u8; 32]), u64>,
    in_force: u64,
    /// From when on more may be taken of what is beyond quotas.
    free_at: Mutex<Option<Instant>>,
}

impl Pacer {
    /// By the quotas of all charters of a chain.
    #[must_use]
    pub fn of_chain(chain: &CharterChain) -> Self {
        let quota = |signed: &watchfire_signal::charter::SignedCharter| {
            let charter = &signed.charter;
            ((charter.seq, charter.hash()), charter.quotas.records_a_day)
        };
        Self {
            records_a_day: chain.iter().map(quota).collect(),
            in_force: chain.in_force().charter.quotas.records_a_day,
            free_at: Mutex::default(),
        }
    }

    fn records_a_day(&self, charter: Option<&CharterRef>) -> u64 {
        let named = charter.and_then(|named| self.records_a_day.get(&(named.seq, named.hash)));
        named.copied().unwrap_or(self.in_force)
    }

    /// Until when a log rests of which so many entries beyond its quota were taken, in so much time.
    fn rest(&self, beyond: u64, took: Duration) -> Instant {
        let now = Instant::now();
        let entries = REST.saturating_mul(u32::try_from(beyond).unwrap_or(u32::MAX));
        let rest = entries.max(took.saturating_mul(SHARE));
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let until = free_at.map_or(now, |at| at.max(now)) + rest;
        *free_at = Some(until);
        until
    }
}

/// What of one log was said on its last day.
#[derive(Debug, Default)]
struct Account {
    /// The index after the last entry that was booked.
    next: u64,
    minute: u64,
    day: u64,
    records: u64,
    /// Of these, the disputes.
    disputes: u64,
    urgent: u64,
    /// Entries of that day that are beyond.
    beyond: u64,
    /// What the days of entries come to with them that are sealed for their places, and perhaps written, and not booked.
    sealed: BTreeMap<u64, Sealed>,
}

/// What a day comes to with an entry.
#[derive(Debug)]
struct Sealed {
    day: u64,
    records: u64,
    disputes: u64,
}

impl Account {
    /// Books an entry, once, whoever comes with it; true if it is beyond the quota. What is no leaf is a record of
    /// the minute before it.
    fn book(
        &mut self,
        index: u64,
        header: Option<&Header>,
        (limit, now_minute): (u64, u64),
    ) -> bool {
        if index < self.next {
            return false;
        }
        self.next = index + 1;
        while self.sealed.first_entry().is_some_and(|first| *first.key() <= index) {
            self.sealed.pop_first();
        }
        let said = header.and_then(|header| header.minute).map_or(self.minute, u64::from);
        let backwards = said < self.minute;
        // What is dated ahead is of today: days to come are not spent in advance.
        self.minute = self.minute.max(said.min(now_minute + MAX_AHEAD_MINUTES));
        let day = self.minute / MINUTES_A_DAY;
        if day != self.day {
            let (next, minute, sealed) = (self.next, self.minute, std::mem::take(&mut self.sealed));
            *self = Self { next, minute, day, sealed, ..Self::default() };
        }
        // As many may be taken back as were said.
        let urgent = header.is_some_and(|header| is_urgent_verb(header.verb));
        let count = if urgent { &mut self.urgent } else { &mut self.records };
        *count += 1;
        let disputes = header.is_some_and(|header| header.verb == Verb::Dispute);
        self.disputes += u64::from(disputes);
        let beyond = *count > limit || (backwards && !urgent);
        self.beyond += u64::from(beyond);
        beyond
    }

    /// Counts an entry that is sealed for a place; or says which quota of the day, and how much that is, leaves no room
    /// for it, if it is held to them. Nothing limits what takes back.
    fn seal(
        &mut self,
        (index, header): (u64, &Header),
        quotas: Option<&Quotas>,
        now_minute: u64,
    ) -> Option<(&'static str, u64)> {
        // What was sealed for this place or a later one before was not written.
        drop(self.sealed.split_off(&index));
        if is_urgent_verb(header.verb) {
            return None;
        }
        let said = header.minute.map_or(self.minute, u64::from);
        let day = self.minute.max(said.min(now_minute + MAX_AHEAD_MINUTES)) / MINUTES_A_DAY;
        let before = match self.sealed.last_key_value() {
            Some((_, last)) => (last.day, last.records, last.disputes),
            None => (self.day, self.records, self.disputes),
        };
        let (records, disputes) = if before.0 < day { (0, 0) } else { (before.1, before.2) };
        let dispute = header.verb == Verb::Dispute;
        if let Some(quotas) = quotas {
            let spent = (dispute && disputes >= quotas.disputes_a_day)
                .then_some(("disputes_a_day", quotas.disputes_a_day));
            let records = records >= quotas.records_a_day;
            let spent = spent.or(records.then_some(("records_a_day", quotas.records_a_day)));
            if spent.is_some() {
                return spent;
            }
        }
        let (records, disputes) = (records + 1, disputes + u64::from(dispute));
        self.sealed.insert(index, Sealed { day: day.max(before.0), records, disputes });
        None
    }
}

/// The pace of one log.
#[derive(Debug, Default)]
pub(super) struct Pace {
    account: Account,
    until: Option<Instant>,
}

impl Pace {
    /// Books an entry; true if it is beyond the quota.
    pub(super) fn book(
        &mut self,
        pacer: &Pacer,
        (index, leaf): (u64, Option<&Leaf>),
        now_ms: u64,
    ) -> bool {
        let header = leaf.map(|leaf| &leaf.header);
        let limit = pacer.records_a_day(header.map(|header| &header.charter));
        self.account.book(index, header, (limit, now_ms / 60_000))
    }

    /// Has the log rest after so many entries beyond its quota, which took so long.
    pub(super) fn rest(&mut self, pacer: &Pacer, beyond: u64, took: Duration) {
        if beyond > 0 {
            self.until = Some(pacer.rest(beyond, took));
        }
    }

    /// Until when it rests, if it does.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until.filter(|until| *until > Instant::now())
    }

    /// Counts an entry that is sealed for a place, or says which quota of the day leaves no room for it.
    pub(super) fn seal(
        &mut self,
        sealed: (u64, &Header),
        quotas: Option<&Quotas>,
        now_ms: u64,
    ) -> Option<(&'static str, u64)> {
        self.account.seal(sealed, quotas, now_ms / 60_000)
    }

    /// Entries of the day it dates last that are beyond its quota.
    pub(super) fn beyond(&self) -> u64 {
        self.account.beyond
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use watchfire_signal::{charter::Charter, name::LogName};

    use super::*;
    use crate::raise::plain_header;

    const LIMIT: u64 = 5;
    const TODAY: u64 = 20_000 * MINUTES_A_DAY + 600;

    fn header(verb: Verb, minute: u64) -> Header {
        let charter = Charter::founding("test".parse().unwrap(), Vec::new());
        let log = LogName::new("test".parse().unwrap(), "flood".parse().unwrap(), 1);
        let minute = u32::try_from(minute).ok();
        Header { minute, ..plain_header(&charter, &log, verb) }
    }

    /// Which of some entries are beyond.
    fn beyond(account: &mut Account, said: impl IntoIterator<Item = (Verb, u64)>) -> Vec<bool> {
        let first = account.next;
        let book = |(index, (verb, minute)): (u64, _)| {
            account.book(index, Some(&header(verb, minute)), (LIMIT, TODAY))
        };
        (first..).zip(said).map(book).collect()
    }

    #[test]
    fn history_within_the_quota_of_each_day_is_never_beyond() {
        let mut account = Account::default();
        let days = TODAY / MINUTES_A_DAY - 100..TODAY / MINUTES_A_DAY;
        let said =
            days.flat_map(|day| (0..LIMIT).map(move |_| (Verb::Assert, day * MINUTES_A_DAY)));
        assert!(!beyond(&mut account, said).contains(&true));
        let today = beyond(&mut account, (0..LIMIT + 2).map(|_| (Verb::Assert, TODAY)));
        assert_eq!(today, [false, false, false, false, false, true, true]);
        assert_eq!(account.beyond, 2);
    }

    #[test]
    fn as_much_may_be_taken_back_as_was_said_and_a_flood_of_that_is_a_flood() {
        let mut account = Account::default();
        let said = (0..LIMIT).map(|_| (Verb::Assert, TODAY));
        assert!(!beyond(&mut account, said).contains(&true));
        let taken_back = (0..LIMIT).map(|_| (Verb::Retract, TODAY));
        assert!(!beyond(&mut account, taken_back).contains(&true));
        assert_eq!(
            beyond(&mut account, [(Verb::Retract, TODAY), (Verb::Erase, TODAY)]),
            [true, true]
        );
    }

    #[test]
    fn nobody_has_the_quota_of_another_time() {
        let mut account = Account::default();
        assert_eq!(beyond(&mut account, [(Verb::Assert, TODAY)]), [false]);
        let back = TODAY - MINUTES_A_DAY;
        assert_eq!(
            beyond(&mut account, [(Verb::Assert, back), (Verb::Assert, back)]),
            [true, true]
        );
        // Days to come are today's, all together.
        let ahead = (1..10).map(|day| (Verb::Assert, TODAY + day * MINUTES_A_DAY));
        let ahead = beyond(&mut account, ahead);
        assert_eq!(ahead.iter().filter(|beyond| **beyond).count(), 9 - 2);
    }

    #[test]
    fn a_spent_quota_leaves_no_room_until_the_next_day_but_to_take_back() {
        let charter = Charter::founding("test".parse().unwrap(), Vec::new());
        let quotas = Quotas { records_a_day: LIMIT, disputes_a_day: 1, ..charter.quotas };
        let mut account = Account::default();
        beyond(&mut account, (0..LIMIT - 1).map(|_| (Verb::Assert, TODAY)));
        let spent = |account: &mut Account, verb, minute| {
            let said = (account.next, &header(verb, minute));
            account.seal(said, Some(&quotas), minute).map(|one| one.0)
        };
        // What is sealed for one place is one of these.
        assert_eq!(spent(&mut account, Verb::Dispute, TODAY), None);
        assert_eq!(spent(&mut account, Verb::Dispute, TODAY), None);
        beyond(&mut account, [(Verb::Dispute, TODAY)]);
        assert_eq!(spent(&mut account, Verb::Dispute, TODAY), Some("disputes_a_day"));
        assert_eq!(spent(&mut account, Verb::Assert, TODAY), Some("records_a_day"));
        for verb in [Verb::Retract, Verb::Halt, Verb::Erase] {
            assert_eq!(spent(&mut account, verb, TODAY), None);
        }
        assert_eq!(spent(&mut account, Verb::Assert, TODAY + MINUTES_A_DAY), None);
    }

    #[test]
    fn what_is_booked_already_is_not_booked_again_and_what_is_no_leaf_is() {
        let mut account = Account::default();
        for index in 0..LIMIT {
            assert!(!account.book(index, None, (LIMIT, TODAY)));
            assert!(!account.book(index, None, (LIMIT, TODAY)));
        }
        assert!(account.book(LIMIT, None, (LIMIT, TODAY)));
    }

    #[tokio::test(start_paused = true)]
    async fn all_that_is_beyond_has_one_pace_together_and_a_slow_disk_slows_it_more() {
        let free_at = Mutex::default();
        let pacer = Pacer { records_a_day: HashMap::new(), in_force: LIMIT, free_at };
        let begun = Instant::now();
        let (mut one, mut other, mut third) = (Pace::default(), Pace::default(), Pace::default());
        one.rest(&pacer, 0, Duration::from_secs(9));
        assert_eq!(one.until(), None, "nothing was beyond");
        one.rest(&pacer, 256, Duration::ZERO);
        other.rest(&pacer, 100, Duration::ZERO);
        third.rest(&pacer, 1, Duration::from_secs(1));
        let after = [&one, &other, &third].map(|pace| pace.until().unwrap() - begun);
        let wanted = [REST * 256, REST * 356, REST * 356 + Duration::from_secs(9)];
        assert_eq!(after, wanted);
        tokio::time::sleep_until(begun + REST * 256).await;
        assert!(one.until().is_none() && other.until().is_some());
    }
}
