//! Finds the contents of banks near signals.

use std::sync::Arc;

use watchfire_signal::value::Signal;

use super::{Bank, Banks, ContentId, ContentPlace};
use crate::near::{Hit, Near, Whose, loudest};

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
    /// The contents near any of the signals, each once, with those of which edited copies were found before: of banks that are on, within the bank's
    /// distance, reached by its roll-out, not disabled themselves. Nothing is cut off.
    #[must_use]
    pub fn lookup(&self, signals: &[Signal], edited: &[Hit<ContentId>]) -> Vec<BankMatch> {
        if self.near.is_empty() {
            return Vec::new();
        }
        let search = |signal| self.near.search(signal, Whose::Held);
        let hits = signals.iter().flat_map(search);
        let hits = hits.chain(edited.iter().cloned());
        let hits = loudest(hits.filter(|hit| self.counting(hit).is_some()));
        let found = hits.into_values().filter_map(|hit| {
            Some(BankMatch { bank: self.counting(&hit)?, content: hit.owner, hit })
        });
        found.collect()
    }

    /// The signals of contents.
    pub(crate) fn near(&self) -> &Near<ContentId> {
        &self.near
    }

    /// Whether any content has sound.
    #[must_use]
    pub fn has_sound(&self) -> bool {
        self.near.has_sound()
    }

    /// The bank of a hit, if the hit counts. Details and sound that an upload shares with something
    /// harmless say nothing for the rest of it; a bank of exact copies has no edited ones.
    fn counting(&self, hit: &Hit<ContentId>) -> Option<Arc<Bank>> {
        let bank = self.on(hit.owner)?;
        let most = u32::from(bank.settings.max_distance);
        let near = hit.distance.unwrap_or(0) <= most && (most > 0 || !hit.method.is_variant());
        let speaks = !(bank.settings.negative && (hit.method.is_variant() || !hit.sure));
        (near && speaks).then_some(bank)
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
