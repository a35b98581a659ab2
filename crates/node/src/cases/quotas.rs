//! How much of what a member says counts: the quotas of the charter, decided from its own log alone, so
//! that all receivers agree (`docs/states.md`, quotas).
//!
//! **Invariant:** whether an entry is within its author's quotas depends on the charters and on its own
//! log up to it; what is over stays in its log and says nothing.
//! **Invariant:** retractions, halts and erasures are never over the quota of records, and wait for no time; nor does
//! the record with which a key ends.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use watchfire_signal::{
    charter::Quotas as Limits,
    header::{Header, MAX_SEVERITY, MAX_SIZE_KIB},
    name::LogName,
    verb::Verb,
};

use super::Place;
use crate::{
    clock::MINUTES_A_DAY,
    live::{LiveAlerts, bytes_of},
    spent::{AllSpent, Spent},
    urgent::is_urgent_verb,
};

/// How far ahead of this node's clock a record may be dated: clocks differ. All that is dated later has one
/// quota together until its time has come, so that nobody spends those of days to come, and a node whose
/// clock is behind hears everybody all the same.
pub(crate) const MAX_AHEAD_MINUTES: u64 = 10;
const MINUTE_MS: u64 = 60_000;

/// Entries of one log that wait for their time: more than a day's quota is by default, in two or three megabytes.
const MAX_AHEAD: usize = 1 << 17;

/// The hour of all retractions that are dated ahead, until their time has come: they have one quota together.
const AHEAD: u64 = u64::MAX;

/// What the quotas say of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quota {
    /// It counts; `grave` where it is one of the asserts of severity 4 that act before they are CONFIRMED.
    Counts { grave: bool },
    /// It is more than its author may say in a day, or have live at a time, or dated before an entry that it comes
    /// after.
    Over,
    /// It is dated ahead of the clock, with too many others, and counts once its time has come.
    Ahead,
    /// The same, and so much of its log waits for its time that this one is not waited for.
    Flood,
}

/// What has been said in one log.
#[derive(Debug, Default)]
struct Account {
    /// The index after the last entry that was looked at in its turn.
    next: u64,
    /// The minute of that entry.
    minute: u64,
    day: u64,
    /// From which index on which hour, since 1970, is the least one of what follows: one at most for each entry, and
    /// for each hour in which something was said.
    hours: Vec<(u64, u64)>,
    records: u64,
    disputes: u64,
    graves: u64,
    /// Of the bodies of what counts.
    bytes: u64,
    live: LiveAlerts,
    /// Entries that are over, as ranges.
    over: Vec<(u64, u64)>,
    /// Asserts of severity 4 that act; few a day.
    grave: Vec<u64>,
    /// Entries that are dated ahead and count, with the bytes of their bodies.
    ahead: BTreeMap<u64, u64>,
    ahead_bytes: u64,
    /// Those of them that dispute.
    ahead_disputes: BTreeSet<u64>,
}

/// The accounts of all logs.
#[derive(Debug, Default)]
pub(super) struct Quotas {
    accounts: HashMap<LogName, Account>,
    /// Entries that are dated ahead, by log: from when on each counts, with its index.
    ahead: HashMap<LogName, BTreeSet<(u64, u64)>>,
    now_ms: u64,
}

impl Quotas {
    /// Judges an entry; in its turn it is booked. What comes again is judged as the first time.
    pub(super) fn judge(&mut self, place: &Place, header: &Header, limits: &Limits) -> Quota {
        let account = self.accounts.entry(place.log.clone()).or_default();
        let free = is_free(header.verb);
        if place.index >= account.next {
            if free {
                account.live.undo(place.index, header);
            } else {
                account.book(place.index, header, limits);
            }
        }
        if !free && account.is_over(place.index) {
            return Quota::Over;
        }
        let from_ms = from_ms(header);
        if from_ms <= self.now_ms {
            account.ahead_bytes -= account.ahead.remove(&place.index).unwrap_or(0);
            account.ahead_disputes.remove(&place.index);
            return Quota::Counts { grave: account.grave.contains(&place.index) };
        }
        // How an incident goes depends on when things were said of it: that is never before they count.
        let counts = header.verb != Verb::Incident
            && (free || account.admit_ahead(place.index, header, limits));
        // It comes again, to be counted in its own hour and day.
        let comes_again = self.wait(place, from_ms);
        match (counts, comes_again) {
            (true, _) => Quota::Counts { grave: false },
            (false, true) => Quota::Ahead,
            (false, false) => Quota::Flood,
        }
    }

    /// Judges an entry of a version that is not known here: of what it says, only that it is one is known, and perhaps
    /// its size; else it counts as the largest.
    pub(super) fn judge_unknown(
        &mut self,
        place: &Place,
        size: Option<u32>,
        limits: &Limits,
    ) -> Quota {
        let account = self.accounts.entry(place.log.clone()).or_default();
        if place.index >= account.next {
            account.next = place.index + 1;
            account.records += 1;
            let bytes = bytes_of(size.unwrap_or(MAX_SIZE_KIB));
            if account.records > limits.records_a_day || !account.has_room(bytes, limits) {
                account.refuse(place.index);
            } else {
                account.bytes += bytes;
            }
        }
        if account.is_over(place.index) { Quota::Over } else { Quota::Counts { grave: false } }
    }

    /// Has an entry come again once its time has come; false where too many of its log do.
    fn wait(&mut self, place: &Place, from_ms: u64) -> bool {
        let waiting = self.ahead.entry(place.log.clone()).or_default();
        let entry = (from_ms, place.index);
        let comes = waiting.contains(&entry) || waiting.len() < MAX_AHEAD;
        if comes {
            waiting.insert(entry);
        }
        comes
    }

    /// Moves the clock on; it never goes back.
    pub(super) fn advance(&mut self, now_ms: u64) {
        self.now_ms = self.now_ms.max(now_ms);
    }

    /// The latest time that it knows of.
    pub(super) fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// The entries whose time has come, the earliest first.
    pub(super) fn due(&mut self) -> Vec<Place> {
        let mut due = Vec::new();
        let end = (self.now_ms.saturating_add(1), 0);
        for (log, waiting) in &mut self.ahead {
            let later = waiting.split_off(&end);
            let ours = std::mem::replace(waiting, later).into_iter();
            due.extend(ours.map(|(at, index)| (at, Place { log: log.clone(), index })));
        }
        self.ahead.retain(|_, waiting| !waiting.is_empty());
        due.sort_unstable();
        due.into_iter().map(|(_, place)| place).collect()
    }

    /// When the next entry counts.
    pub(super) fn next_due_ms(&self) -> Option<u64> {
        self.ahead.values().filter_map(|waiting| waiting.first()).map(|(at, _)| *at).min()
    }

    /// What the logs have used on the day of a moment, or on the last day that they say where that is later.
    pub(super) fn spent(&self, now_ms: u64) -> AllSpent {
        let today = now_ms / MINUTE_MS / MINUTES_A_DAY;
        let of = |(log, account): (&LogName, &Account)| (log.clone(), account.spent(today));
        self.accounts.iter().map(of).collect()
    }

    /// The hour, since 1970, that a retraction is counted in: by its own word, and never before what it comes
    /// after in its log, however late it is folded; what is dated ahead is counted together until its time has come.
    pub(super) fn hour(&self, place: &Place, header: &Header) -> u64 {
        if from_ms(header) > self.now_ms {
            return AHEAD;
        }
        let said = header.minute.map_or(0, u64::from) / 60;
        let account = self.accounts.get(&place.log);
        said.max(account.map_or(0, |account| account.hour_before(place.index)))
    }
}

/// Whether what does this has no quota here: what takes back, and the end of a log, which a key that floods must not
/// put off.
fn is_free(verb: Verb) -> bool {
    is_urgent_verb(verb) || verb == Verb::Key
}

/// From when on an entry counts, in milliseconds since 1970.
fn from_ms(header: &Header) -> u64 {
    let dated_ms = header.minute.map_or(0, |minute| u64::from(minute) * MINUTE_MS);
    dated_ms.saturating_sub(MAX_AHEAD_MINUTES * MINUTE_MS)
}

impl Account {
    fn book(&mut self, index: u64, header: &Header, limits: &Limits) {
        self.next = index + 1;
        let said = header.minute.map_or(self.minute, u64::from);
        let backwards = said < self.minute;
        self.minute = self.minute.max(said);
        let hour = self.minute / 60;
        if self.hours.last().is_none_or(|(_, latest)| *latest < hour) {
            self.hours.push((index, hour));
        }
        let day = self.minute / MINUTES_A_DAY;
        if day != self.day {
            (self.day, self.records, self.disputes, self.graves) = (day, 0, 0, 0);
            self.bytes = 0;
        }
        self.live.come_to(index, day);
        self.records += 1;
        self.disputes += u64::from(header.verb == Verb::Dispute);
        let disputed = header.verb == Verb::Dispute && self.disputes > limits.disputes_a_day;
        let (bytes, more) = (bytes_of(header.size), self.live.has_more_with(index, header));
        if backwards
            || disputed
            || self.records > limits.records_a_day
            || !self.has_room(bytes, limits)
            || (more && self.live.count() >= limits.live_alerts)
        {
            self.refuse(index);
            return;
        }
        self.bytes += bytes;
        self.live.take(index, header);
        let human = header.review.is_some_and(|review| review.is_human());
        let gravest = header.severity == Some(MAX_SEVERITY) && !header.test;
        if header.verb == Verb::Assert && gravest && human {
            self.graves += 1;
            if self.graves <= limits.severity4_acts_a_day {
                self.grave.push(index);
            }
        }
    }

    fn spent(&self, today: u64) -> Spent {
        let live_alerts = self.live.count_on(u32::try_from(today).unwrap_or(u32::MAX));
        if self.day < today {
            return Spent { live_alerts, ..Spent::default() };
        }
        let Self { records, disputes, bytes, .. } = *self;
        Spent { records, disputes, bytes, live_alerts }
    }

    /// Whether so many bytes more fit into the day. What does not fit has no bytes: what is smaller still does.
    fn has_room(&self, bytes: u64, limits: &Limits) -> bool {
        self.bytes.saturating_add(bytes) <= limits.bytes_a_day
    }

    /// The hour of what stands before an index.
    fn hour_before(&self, index: u64) -> u64 {
        let after = self.hours.partition_point(|(from, _)| *from < index);
        after.checked_sub(1).and_then(|at| self.hours.get(at)).map_or(0, |(_, hour)| *hour)
    }

    /// Whether an entry that is dated ahead counts now.
    fn admit_ahead(&mut self, index: u64, header: &Header, limits: &Limits) -> bool {
        if self.ahead.contains_key(&index) {
            return true;
        }
        let (disputes, bytes) = (header.verb == Verb::Dispute, bytes_of(header.size));
        let fits = (self.ahead.len() as u64) < limits.records_a_day
            && (!disputes || (self.ahead_disputes.len() as u64) < limits.disputes_a_day)
            && self.ahead_bytes.saturating_add(bytes) <= limits.bytes_a_day;
        if fits {
            self.ahead.insert(index, bytes);
            self.ahead_bytes += bytes;
            if disputes {
                self.ahead_disputes.insert(index);
            }
        }
        fits
    }

    fn refuse(&mut self, index: u64) {
        match self.over.last_mut() {
            Some((_, end)) if *end == index => *end = index + 1,
            _ => self.over.push((index, index + 1)),
        }
    }

    fn is_over(&self, index: u64) -> bool {
        let after = self.over.partition_point(|(from, _)| *from <= index);
        let range = after.checked_sub(1).and_then(|at| self.over.get(at));
        range.is_some_and(|(_, end)| index < *end)
    }
}
