//! How much of a log counts, by the words of `docs/format.md`, section 8: bytes a day and live alerts.
//!
//! **Invariant:** nothing here is the node's code: each entry is held against all that stand before it.

use watchfire_signal::{charter::Quotas, header::Header, verb::Verb};

const MINUTES_A_DAY: u32 = 24 * 60;

/// An alert of a log, up to which day it lasts.
struct Lasting {
    index: u64,
    until: u32,
}

/// Reads a log from its beginning, as far as it is known.
#[derive(Default)]
pub(super) struct Quota {
    minute: u32,
    day: u32,
    kib: u64,
    alerts: Vec<Lasting>,
}

impl Quota {
    /// Whether the next entry of the log counts under these quotas.
    pub(super) fn counts(&mut self, index: u64, header: &Header, quotas: &Quotas) -> bool {
        let own = header.target.as_ref().filter(|target| target.log == header.author_log);
        let own = own.map(|target| target.index);
        match header.verb {
            Verb::Halt | Verb::Key => return true,
            Verb::Retract | Verb::Erase => {
                self.alerts.retain(|alert| Some(alert.index) != own);
                return true;
            }
            _ => {}
        }
        let said = header.minute.unwrap_or(self.minute);
        let backwards = said < self.minute;
        self.minute = said.max(self.minute);
        if self.day != self.minute / MINUTES_A_DAY {
            (self.day, self.kib) = (self.minute / MINUTES_A_DAY, 0);
        }
        self.alerts.retain(|alert| alert.until >= self.day);
        let alert = match header.verb {
            Verb::Assert | Verb::Amend | Verb::Variant => Some(index),
            Verb::Renew => own,
            _ => None,
        };
        let until = header.lease_day.unwrap_or(u32::MAX);
        let alert = alert.filter(|_| until >= self.day);
        let kib = self.kib + u64::from(header.size);
        let so_far = self.alerts.len() as u64;
        let known = self.alerts.iter_mut().find(|known| Some(known.index) == alert);
        let live = if known.is_none() && alert.is_some() { so_far + 1 } else { 0 };
        if backwards || kib * 1_024 > quotas.bytes_a_day || live > quotas.live_alerts {
            return false;
        }
        self.kib = kib;
        match (known, alert) {
            (Some(known), _) => known.until = known.until.max(until),
            (None, Some(index)) => self.alerts.push(Lasting { index, until }),
            (None, None) => {}
        }
        true
    }
}
