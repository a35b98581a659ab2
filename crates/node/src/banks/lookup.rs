//! Finds the contents of banks near signals.

use std::sync::Arc;

use watchfire_signal::features::Depth;

use super::{Bank, Banks, ContentId, ContentPlace};
use crate::near::{Hit, Query, Whose, loudest};

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
    /// The contents near any of the signals, or shown edited, each once: of banks that are on, within the bank's
    /// distance, reached by its roll-out, not disabled themselves. Nothing is cut off.
    #[must_use]
    pub fn lookup(&self, query: Query<'_>) -> Vec<BankMatch> {
        if self.near.is_empty() {
            return Vec::new();
        }
        let search = |signal| self.near.search(signal, Whose::Held);
        let hits = query.signals.iter().flat_map(search);
        let edited = query.views.into_iter().flat_map(|views| self.near.search_edited(views));
        let hits = loudest(hits.chain(edited).filter(|hit| self.counting(hit).is_some()));
        let found = hits.into_values().filter_map(|hit| {
            Some(BankMatch { bank: self.counting(&hit)?, content: hit.owner, hit })
        });
        found.collect()
    }

    /// How far it is worth to look for edited copies.
    #[must_use]
    pub fn depth(&self) -> Depth {
        self.near.depth()
    }

    /// Bytes of memory that local features take.
    #[must_use]
    pub fn features_bytes(&self) -> usize {
        self.near.features_bytes()
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
        let near = hit.distance.unwrap_or(0) <= most && (most > 0 || hit.edit.is_none());
        let speaks = !(bank.settings.negative && hit.method.is_variant());
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
