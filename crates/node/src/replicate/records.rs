//! Sees to it that a record is kept only where it is its leaf's own, and that a lie of its author is remembered.

use watchfire_signal::{
    contradiction::Contradiction,
    record::{Leaf, may_belong, open},
};
use watchfire_tlog::Entry;

use super::LogCopy;
use crate::contradictions::{self, MAX_KEPT};

/// Where records opened the commitments of their leaves with other headers, with what proves it.
pub(super) type Contradicted = Vec<(u64, Contradiction)>;

impl LogCopy {
    /// A record that is not the leaf's own is dropped: the place stays a hole that can be filled. What proves that its
    /// author wrote two headers is handed back, as much of it as is kept at all.
    pub(super) fn without_foreign_record(
        &self,
        index: u64,
        mut entry: Entry,
        contradicted: &mut Contradicted,
    ) -> Entry {
        let Some(record) = &entry.record else { return entry };
        let leaf = Leaf::decode(&entry.leaf).ok();
        let fits = match &leaf {
            Some(leaf) => open(leaf, record).is_ok(),
            // Of what cannot be read nothing is known but how long it may be.
            None => may_belong(&entry.leaf, record.len()),
        };
        if !fits {
            metrics::counter!("watchfire_records_refused_total", "member" => self.member().to_string())
                .increment(1);
            tracing::warn!(log = %self.log, "a record does not belong to its leaf; dropped");
            if contradicted.len() < MAX_KEPT {
                let found = leaf.and_then(|leaf| Contradiction::between(&leaf, record));
                contradicted.extend(found.map(|found| (index, found)));
            }
            entry.record = None;
        }
        entry
    }

    /// Keeps what was found in entries that are stored now. A crash before it loses nothing: each place is a hole, whose
    /// record is asked for and found again.
    pub(super) async fn keep_contradicted(&self, contradicted: Contradicted) {
        for (index, found) in &contradicted {
            let kept = contradictions::keep(&*self.store, &self.log, (*index, found)).await;
            if let Err(error) = kept {
                tracing::warn!(%error, log = %self.log, "a contradiction is not kept yet");
            }
        }
    }
}
