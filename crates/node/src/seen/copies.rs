//! The answer of a search of the seen table: first what is in memory, then row by row what the files of
//! older signals propose and the store confirms.

use std::sync::Arc;

use watchfire_signal::value::Signal;
use watchfire_store::StoreError;

use super::{Item, table::Table};
use crate::near::{Hit, Method, compare};

/// Copies in one page of an answer: effects on so many fit into one transaction.
pub const COPIES_PAGE: usize = 1_024;

/// The copies that a search found, page by page.
pub struct Copies {
    pub(super) table: Arc<Table>,
    pub(super) signals: Vec<Signal>,
    pub(super) recent: std::vec::IntoIter<(Arc<Item>, Hit<u64>)>,
    pub(super) rows: std::vec::IntoIter<u64>,
}

impl Copies {
    /// The next page, of at most [`COPIES_PAGE`] copies, each once with the hit that speaks loudest;
    /// empty when there are no more.
    ///
    /// # Errors
    /// The store's; the search can be asked again.
    pub async fn next(&mut self) -> Result<Vec<(Arc<Item>, Hit<u64>)>, StoreError> {
        let recent: Vec<_> = self.recent.by_ref().take(COPIES_PAGE).collect();
        if !recent.is_empty() {
            return Ok(recent);
        }
        loop {
            let rows: Vec<u64> = self.rows.by_ref().take(COPIES_PAGE).collect();
            if rows.is_empty() {
                return Ok(Vec::new());
            }
            let mut page = Vec::new();
            for (row, stored) in self.table.store.seen_at(rows).await? {
                let item = Item::from_row(row, &stored)?;
                // What memory holds of an item is younger than its row, and was searched before.
                if self.table.recent.item(&item.id).is_none()
                    && let Some(hit) = self.hit(row, &item)
                {
                    page.push((Arc::new(item), hit));
                }
            }
            if !page.is_empty() {
                return Ok(page);
            }
        }
    }

    /// How an item matches the query, if it does: the files only propose.
    fn hit(&self, row: u64, item: &Item) -> Option<Hit<u64>> {
        let least = self.table.least_matched_ms;
        let pairs = self
            .signals
            .iter()
            .flat_map(|query| item.signals.iter().map(move |held| (query, held)));
        let hits = pairs.filter_map(|(query, held)| compare(row, query, held, least));
        let parts: Vec<Signal> = item.parts.iter().copied().map(Signal::new).collect();
        let parts = self.signals.iter().flat_map(|query| {
            let hits = parts.iter().filter_map(move |held| compare(row, query, held, least));
            hits.map(|hit| Hit { method: Method::Part, ..hit })
        });
        hits.chain(parts).max_by_key(Hit::strength)
    }
}
