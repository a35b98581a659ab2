//! What a disk does wrong with what is written and read, for mutants.

use watchfire_signal::{
    charter::SignedCharter,
    incident::{Incident, IncidentStep},
    record::{Leaf, open, seal},
    statement::Statement,
    verb::Verb,
};
use watchfire_store::{Batch, Held, Table};
use watchfire_tlog::Entry;

use super::Lies;

/// Where a node keeps the charters after the first.
const CHARTERS: Table = Table::Ledger("charters");
/// Where it keeps what it has approved.
const VOTES: Table = Table::Ledger("charter_votes");

impl Lies {
    /// What becomes of a batch on its way to the disk.
    pub(super) fn write(self, batch: &mut Batch) {
        if self.forgets_votes {
            batch.rows.retain(|row| row.table != VOTES);
        }
        for row in batch.rows.iter_mut().filter(|row| self.loses_approvals && row.table == CHARTERS)
        {
            row.value = row.value.take().map(|value| with_one_approval(&value).unwrap_or(value));
        }
    }

    /// What it shows of the log of another member.
    pub(super) fn read(self, mut held: Vec<Held>) -> Vec<Held> {
        for held in held.iter_mut().filter(|_| self.hides_retractions) {
            let leaf = Leaf::decode(&held.entry.leaf);
            if leaf.is_ok_and(|leaf| leaf.header.verb == Verb::Retract) {
                // Its leaf is nothing that can be read.
                held.entry = Entry::new(&b"nothing"[..], None);
            }
        }
        for held in &mut held {
            if let Some(entry) = self.of_incident(&held.entry) {
                held.entry = entry;
            }
        }
        held
    }

    /// Another entry in the place of what somebody says of an incident.
    fn of_incident(self, entry: &Entry) -> Option<Entry> {
        if !self.hides_agreement && !self.shows_agreement {
            return None;
        }
        let leaf = Leaf::decode(&entry.leaf).ok()?;
        let Statement::Incident(body) = open(&leaf, entry.record.as_ref()?).ok()? else {
            return None;
        };
        let agrees = body.step == IncidentStep::Cosign;
        if self.hides_agreement && agrees {
            return Some(Entry::new(&b"nothing"[..], None));
        }
        if !self.shows_agreement || agrees || body.step.is_first() {
            return None;
        }
        let body = Incident { step: IncidentStep::Cosign, ..body };
        let sealed = seal(&leaf.header, &Statement::Incident(body), [0; 16]).ok()?;
        Some(Entry::new(sealed.leaf, Some(sealed.record.into())))
    }
}

fn with_one_approval(charter: &[u8]) -> Option<Vec<u8>> {
    let signed = SignedCharter::decode(charter).ok()?;
    let one = signed.approvals.into_iter().take(1).collect();
    SignedCharter::new(signed.charter, one).ok().map(|signed| signed.encode())
}
