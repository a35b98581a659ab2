//! Contents that are gone: remembered until what they had taken down is undone.

use watchfire_store::{Row, Store, StoreError};

use super::{Bank, Banks, ContentPlace, UNDONE, content};
use crate::looks::Look;

/// Rows read at once at start.
const PAGE: usize = 10_000;

/// The row that remembers a content that is gone.
pub(super) fn row(place: ContentPlace) -> Row {
    let key = content::key(place.bank, place.content);
    Row { table: UNDONE, key, value: Some(Vec::new()) }
}

/// Those of the contents that ever had an effect.
///
/// # Errors
/// The store's.
pub(super) async fn with_effects(
    store: &dyn Store,
    places: impl Iterator<Item = ContentPlace>,
) -> Result<Vec<ContentPlace>, StoreError> {
    let mut with = Vec::new();
    for place in places {
        if !store.items_of_case(place.subject(), "", 1).await?.is_empty() {
            with.push(place);
        }
    }
    Ok(with)
}

impl Banks {
    /// The row to delete once everything is decided that a content which is gone had taken down.
    #[must_use]
    pub fn is_undone(&self, place: ContentPlace) -> Row {
        Row { value: None, ..row(place) }
    }

    /// Has every case judged again when a bank that speaks for what is harmless may say less: copies
    /// that it had brought back go again.
    pub(super) fn speaks_for_less(&self, bank: &Bank) {
        if bank.settings.negative {
            self.enforcer.judge_all();
        }
    }

    /// Has everything looked at that a stop or a crash left undecided: actions of contents that are
    /// gone, and copies that contents match.
    ///
    /// # Errors
    /// The store's.
    pub async fn go_on(&self) -> Result<(), StoreError> {
        let mut after = Vec::new();
        loop {
            let rows = self.store.rows(UNDONE, &after, PAGE).await?;
            let Some((last, _)) = rows.last() else { break };
            after.clone_from(last);
            for place in rows.iter().filter_map(|(key, _)| content::place(key)) {
                self.enforcer.look_at(Look::Content(place), None, true);
            }
        }
        if !self.is_empty() {
            self.enforcer.sweep();
        }
        Ok(())
    }
}
