//! Finds the contents of banks near signals.

use std::sync::Arc;

use watchfire_signal::value::Signal;

use super::{Bank, Banks, ContentId, ContentPlace};
use crate::near::{Hit, Whose, loudest};

/// A content of a bank near a query, with the hit that speaks loudest. Labels, severity and whether it
/// is negative are the bank's.
#[derive(Debug, Clone)]
pub struct BankMatch {
    /// The bank.
    pub bank: Arc<Bank>,
    /// The content.
    pub content: ContentId,
    /// How it matches.
    pub hit: Hit<ContentId>,
}

impl BankMatch {
    /// Where the content is.
    #[must_use]
    pub fn place(&self) -> ContentPlace {
        self.bank.place(self.content)
    }
}

impl Banks {
    /// The contents near any of the signals, each once: of banks that are on, within the bank's
    /// distance, reached by its roll-out, not disabled themselves. Nothing is cut off.
    #[must_use]
    pub fn lookup(&self, signals: &[Signal]) -> Vec<BankMatch> {
        if self.near.is_empty() {
            return Vec::new();
        }
        let hits = signals.iter().flat_map(|signal| self.near.search(signal, Whose::Held));
        let hits = loudest(hits.filter(|hit| self.counting(hit).is_some()));
        let found = hits.into_values().filter_map(|hit| {
            Some(BankMatch { bank: self.counting(&hit)?, content: hit.owner, hit })
        });
        found.collect()
    }

    /// The bank of a hit, if the hit counts.
    fn counting(&self, hit: &Hit<ContentId>) -> Option<Arc<Bank>> {
        let bank = self.on(hit.owner)?;
        let near = hit.distance.unwrap_or(0) <= u32::from(bank.settings.max_distance);
        near.then_some(bank)
    }

    /// The bank of a content that may match now.
    fn on(&self, content: ContentId) -> Option<Arc<Bank>> {
        let held = self.contents.pin().get(&content).copied()?;
        let bank = self.banks.pin().get(&held.bank).cloned()?;
        let on = bank.settings.enabled
            && bank.reaches(content)
            && held.disabled_until_ms <= self.clock.now_ms();
        on.then_some(bank)
    }

    /// Whether a content is there and matches what is near it.
    #[must_use]
    pub fn matches(&self, place: ContentPlace) -> bool {
        self.on(place.content).is_some_and(|bank| bank.number == place.bank)
    }

    /// The bank of a content that is there, whether it matches now or not.
    #[must_use]
    pub fn bank_of(&self, place: ContentPlace) -> Option<Arc<Bank>> {
        let held = self.contents.pin().get(&place.content).copied()?;
        self.banks.pin().get(&held.bank).filter(|bank| bank.number == place.bank).cloned()
    }

    /// Whether there is nothing to match.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.near.is_empty()
    }
}
