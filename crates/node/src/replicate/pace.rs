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
    header::{CharterRef, Header, MAX_SIZE_KIB},
    record::Leaf,
    verb::Verb,
};

use crate::{
    cases::MAX_AHEAD_MINUTES,
    clock::MINUTES_A_DAY,
    live::{LiveAlerts, bytes_of},
    urgent::is_urgent_verb,
};

/// What each entry that is beyond a quota adds to the wait: 500 of them are taken a second, of all logs
/// together. A day's quota of 100,000 more arrives within four minutes, and takes a few percent of a processor.
const REST: Duration = Duration::from_millis(2);
/// How many times as long as it took to take them a log rests at least: a slow disk too belongs to what is beyond
/// quotas for a tenth of the time at most.
const SHARE: u32 = 9;

/// Slows all logs that are beyond their quotas, together.
#[derive(Debug)]
pub struct Pacer {
    /// The quotas of each charter; of one that is not known those of the one in force.
    quotas: HashMap<(u64, [u8; 32]), Quotas>,
    in_force: Quotas,
    /// From when on more may be taken of what is beyond quotas.
    free_at: Mutex<Option<Instant>>,
}

impl Pacer {
    /// By the quotas of all charters of a chain.
    #[must_use]
    pub fn of_chain(chain: &CharterChain) -> Self {
        let quota = |signed: &watchfire_signal::charter::SignedCharter| {
            let charter = &signed.charter;
            ((charter.seq, charter.hash()), charter.quotas)
        };
        Self {
            quotas: chain.iter().map(quota).collect(),
            in_force: chain.in_force().charter.quotas,
            free_at: Mutex::default(),
        }
    }

    fn quotas(&self, charter: Option<&CharterRef>) -> &Quotas {
        let named = charter.and_then(|named| self.quotas.get(&(named.seq, named.hash)));
        named.unwrap_or(&self.in_force)
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
    /// Of the bodies of what is not beyond.
    bytes: u64,
    urgent: u64,
    /// Entries of that day that are beyond.
    beyond: u64,
    /// What the days of entries come to with them that are sealed for their places, and perhaps written, and not booked.
    sealed: BTreeMap<u64, Sealed>,
    /// How many of these make one more alert live.
    sealed_alerts: u64,
    /// Of our own log: what is live.
    live: LiveAlerts,
    /// The index after the last entry of our own log that was looked at for that.
    looked_at: u64,
}

/// What a day comes to with an entry.
#[derive(Debug, Clone, Copy)]
struct Sealed {
    day: u64,
    records: u64,
    disputes: u64,
    bytes: u64,
    /// Whether it makes one more alert live.
    more: bool,
}

impl Account {
    /// Books an entry, once, whoever comes with it; true if it is beyond the quota. What is no leaf is a record of
    /// the minute before it, and as large as any.
    fn book(
        &mut self,
        index: u64,
        header: Option<&Header>,
        (quotas, now_minute): (&Quotas, u64),
    ) -> bool {
        if index < self.next {
            return false;
        }
        self.next = index + 1;
        while let Some(first) = self.sealed.first_entry()
            && *first.key() <= index
        {
            self.sealed_alerts -= u64::from(first.remove().more);
        }
        let said = header.and_then(|header| header.minute).map_or(self.minute, u64::from);
        let backwards = said < self.minute;
        // What is dated ahead is of today: days to come are not spent in advance.
        self.minute = self.minute.max(said.min(now_minute + MAX_AHEAD_MINUTES));
        let day = self.minute / MINUTES_A_DAY;
        if day != self.day {
            (self.day, self.records, self.disputes, self.bytes) = (day, 0, 0, 0);
            (self.urgent, self.beyond) = (0, 0);
        }
        // As many may be taken back as were said.
        let urgent = header.is_some_and(|header| is_urgent_verb(header.verb));
        let count = if urgent { &mut self.urgent } else { &mut self.records };
        *count += 1;
        let disputes = header.is_some_and(|header| header.verb == Verb::Dispute);
        self.disputes += u64::from(disputes);
        let bytes = bytes_of(header.map_or(MAX_SIZE_KIB, |header| header.size));
        let large = self.bytes.saturating_add(bytes) > quotas.bytes_a_day;
        let beyond = *count > quotas.records_a_day || ((backwards || large) && !urgent);
        if !beyond && !urgent {
            self.bytes += bytes;
        }
        self.beyond += u64::from(beyond);
        beyond
    }

    /// Looks at an entry of our own log, which come in their turn, for what it makes live or takes back.
    fn look_at(&mut self, index: u64, header: &Header) {
        if index < self.looked_at {
            return;
        }
        self.looked_at = index + 1;
        if is_urgent_verb(header.verb) {
            self.live.undo(index, header);
        } else {
            self.live.come_to(index, self.day);
            self.live.take(index, header);
        }
    }

    /// Which quota leaves no room for an entry of a place, before which so much was said that day; and how much it is.
    fn spent(
        &self,
        (index, header): (u64, &Header),
        before: &Sealed,
        quotas: &Quotas,
    ) -> Option<(&'static str, u64)> {
        let disputes = header.verb == Verb::Dispute && before.disputes >= quotas.disputes_a_day;
        let records = before.records >= quotas.records_a_day;
        let bytes = before.bytes.saturating_add(bytes_of(header.size)) > quotas.bytes_a_day;
        let live = self.live.has_more_with(index, header)
            && self.live.count() + self.sealed_alerts >= quotas.live_alerts;
        let all = [
            (disputes, "disputes_a_day", quotas.disputes_a_day),
            (records, "records_a_day", quotas.records_a_day),
            (bytes, "bytes_a_day", quotas.bytes_a_day),
            (live, "live_alerts", quotas.live_alerts),
        ];
        all.into_iter().find(|(spent, ..)| *spent).map(|(_, name, value)| (name, value))
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
        let gone = self.sealed.split_off(&index);
        self.sealed_alerts -= gone.values().filter(|gone| gone.more).count() as u64;
        if is_urgent_verb(header.verb) {
            return None;
        }
        let said = header.minute.map_or(self.minute, u64::from);
        let day = self.minute.max(said.min(now_minute + MAX_AHEAD_MINUTES)) / MINUTES_A_DAY;
        let Self { day: booked, records, disputes, bytes, .. } = *self;
        let booked = Sealed { day: booked, records, disputes, bytes, more: false };
        let mut before = self.sealed.last_key_value().map_or(booked, |(_, last)| *last);
        if before.day < day {
            before = Sealed { day, records: 0, disputes: 0, bytes: 0, more: false };
        }
        self.live.come_to(index, before.day);
        if let Some(spent) = quotas.and_then(|quotas| self.spent((index, header), &before, quotas))
        {
            return Some(spent);
        }
        let more = self.live.has_more_with(index, header);
        let sealed = Sealed {
            day: before.day,
            records: before.records + 1,
            disputes: before.disputes + u64::from(header.verb == Verb::Dispute),
            bytes: before.bytes.saturating_add(bytes_of(header.size)),
            more,
        };
        self.sealed_alerts += u64::from(more);
        self.sealed.insert(index, sealed);
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
        let quotas = pacer.quotas(header.map(|header| &header.charter));
        self.account.book(index, header, (quotas, now_ms / 60_000))
    }

    /// Looks at an entry of our own log, which come in their turn and once they are booked.
    pub(super) fn look_at(&mut self, index: u64, header: &Header) {
        self.account.look_at(index, header);
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
    use watchfire_signal::{charter::Charter, header::Target, name::LogName};

    use super::*;
    use crate::raise::plain_header;

    const LIMIT: u64 = 5;
    const TODAY: u64 = 20_000 * MINUTES_A_DAY + 600;

    fn header(verb: Verb, minute: u64) -> Header {
        let charter = Charter::founding("test".parse().unwrap(), Vec::new());
        let log = LogName::new("test".parse().unwrap(), "flood".parse().unwrap(), 1);
        let minute = u32::try_from(minute).ok();
        Header { minute, size: 1, ..plain_header(&charter, &log, verb) }
    }

    fn quotas() -> Quotas {
        let charter = Charter::founding("test".parse().unwrap(), Vec::new());
        Quotas { records_a_day: LIMIT, disputes_a_day: 1, ..charter.quotas }
    }

    /// Which of some entries are beyond.
    fn beyond(account: &mut Account, said: impl IntoIterator<Item = (Verb, u64)>) -> Vec<bool> {
        let first = account.next;
        let book = |(index, (verb, minute)): (u64, _)| {
            account.book(index, Some(&header(verb, minute)), (&quotas(), TODAY))
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
        let quotas = quotas();
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
    fn bytes_beyond_the_quota_are_beyond_and_leave_room_for_what_is_smaller() {
        let quotas = Quotas { records_a_day: 100, bytes_a_day: 10 * 1_024, ..quotas() };
        let mut account = Account::default();
        let sized = |verb, size| Header { size, ..header(verb, TODAY) };
        let mut said = |verb, size| {
            let (index, header) = (account.next, sized(verb, size));
            let spent = account.seal((index, &header), Some(&quotas), TODAY).map(|one| one.0);
            (spent, account.book(index, Some(&header), (&quotas, TODAY)))
        };
        assert_eq!(said(Verb::Assert, 8), (None, false));
        assert_eq!(said(Verb::Assert, 3), (Some("bytes_a_day"), true));
        assert_eq!(said(Verb::Assert, 2), (None, false));
        assert_eq!(said(Verb::Confirm, 1), (Some("bytes_a_day"), true));
        assert_eq!(said(Verb::Retract, 4), (None, false));
        // What cannot be read is as large as any.
        assert!(account.book(account.next, None, (&quotas, TODAY)));
        assert_eq!(account.beyond, 3);
    }

    #[test]
    fn what_is_sealed_and_not_written_yet_is_live_and_what_is_taken_back_makes_room() {
        let quotas = Quotas { records_a_day: 100, live_alerts: 2, ..quotas() };
        let mut account = Account::default();
        let day = u32::try_from(TODAY / MINUTES_A_DAY).unwrap();
        let alert = |lasts| Header { lease_day: Some(day + lasts), ..header(Verb::Assert, TODAY) };
        let seal = |account: &mut Account, index, header: &Header| {
            account.seal((index, header), Some(&quotas), TODAY).map(|one| one.0)
        };
        let write = |account: &mut Account, index, header: &Header| {
            account.book(index, Some(header), (&quotas, TODAY));
            account.look_at(index, header);
        };
        assert_eq!(seal(&mut account, 0, &alert(5)), None);
        assert_eq!(seal(&mut account, 1, &alert(0)), None);
        assert_eq!(seal(&mut account, 2, &alert(5)), Some("live_alerts"));
        write(&mut account, 0, &alert(5));
        assert_eq!(seal(&mut account, 2, &alert(5)), Some("live_alerts"));
        write(&mut account, 1, &alert(0));
        assert_eq!(seal(&mut account, 2, &alert(5)), Some("live_alerts"));
        let own = |verb, index| {
            let header = header(verb, TODAY);
            let target = Some(Target { log: header.author_log.clone(), index });
            Header { target, lease_day: Some(day + 9), ..header }
        };
        // One that is live may be renewed, and taken back: the next has its place.
        assert_eq!(seal(&mut account, 2, &own(Verb::Renew, 0)), None);
        write(&mut account, 2, &own(Verb::Renew, 0));
        assert_eq!(seal(&mut account, 3, &own(Verb::Retract, 0)), None);
        write(&mut account, 3, &own(Verb::Retract, 0));
        assert_eq!(seal(&mut account, 4, &alert(5)), None);
        write(&mut account, 4, &alert(5));
        assert_eq!(seal(&mut account, 5, &alert(5)), Some("live_alerts"));
        // The next day the lease of one is over.
        let later = TODAY + MINUTES_A_DAY;
        let next = Header { minute: u32::try_from(later).ok(), ..alert(5) };
        assert_eq!(account.seal((5, &next), Some(&quotas), later), None);
    }

    #[test]
    fn what_is_booked_already_is_not_booked_again_and_what_is_no_leaf_is() {
        let mut account = Account::default();
        for index in 0..LIMIT {
            assert!(!account.book(index, None, (&quotas(), TODAY)));
            assert!(!account.book(index, None, (&quotas(), TODAY)));
        }
        assert!(account.book(LIMIT, None, (&quotas(), TODAY)));
    }

    #[tokio::test(start_paused = true)]
    async fn all_that_is_beyond_has_one_pace_together_and_a_slow_disk_slows_it_more() {
        let free_at = Mutex::default();
        let pacer = Pacer { quotas: HashMap::new(), in_force: quotas(), free_at };
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
