//! Finds the contents of banks near signals.

use std::{collections::BTreeMap, sync::Arc};

use watchfire_signal::value::Signal;

use super::{Bank, Banks, ContentId};
use crate::near::{Hit, Whose};

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

impl Banks {
    /// The contents near any of the signals, each once: of banks that are on, within the bank's
    /// distance, reached by its roll-out, not disabled themselves. Nothing is cut off.
    #[must_use]
    pub fn lookup(&self, signals: &[Signal]) -> Vec<BankMatch> {
        if self.near.is_empty() {
            return Vec::new();
        }
        let mut best = BTreeMap::<ContentId, BankMatch>::new();
        for hit in signals.iter().flat_map(|signal| self.near.search(signal, Whose::Held)) {
            let Some(bank) = self.counting(&hit) else { continue };
            match best.get(&hit.owner) {
                Some(known) if known.hit.strength() >= hit.strength() => {}
                _ => {
                    best.insert(hit.owner, BankMatch { bank, content: hit.owner, hit });
                }
            }
        }
        best.into_values().collect()
    }

    /// The bank of a hit, if the hit counts.
    fn counting(&self, hit: &Hit<ContentId>) -> Option<Arc<Bank>> {
        let held = self.contents.pin().get(&hit.owner).copied()?;
        let bank = self.banks.pin().get(&held.bank).cloned()?;
        let counts = bank.settings.enabled
            && hit.distance.unwrap_or(0) <= u32::from(bank.settings.max_distance)
            && bank.reaches(hit.owner)
            && held.disabled_until_ms <= self.clock.now_ms();
        counts.then_some(bank)
    }
}
