//! What persons have ruled about items: shown whatever cases say, or kept as it is.
//!
//! **Invariant:** a ruling is durable, with its desk line, before anything is judged by it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchfire_signal::name::ItemId;
use watchfire_store::{Row, Store, StoreError, Table};

use crate::{
    desk::{Deed, DeskKind},
    hold::Ruling,
};

/// Rulings by item, as JSON of [`Ruled`].
pub const RULINGS: Table = Table::Ledger("item_rulings");
/// Rulings read at once at start.
const PAGE: usize = 10_000;

/// A ruling as it is kept, and the body of its desk line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruled {
    /// The item.
    pub item: ItemId,
    /// What was ruled.
    pub ruling: Ruling,
    /// Why, in a person's words.
    pub note: Option<String>,
}

impl Deed for Ruled {
    const KIND: DeskKind = DeskKind::Decision;
}

impl Ruled {
    /// The row that keeps it.
    ///
    /// # Errors
    /// [`StoreError::Failed`]; an item and a note can always be written.
    pub fn row(&self) -> Result<Row, StoreError> {
        let value =
            serde_json::to_vec(self).map_err(|error| StoreError::Failed(error.to_string()))?;
        Ok(Row { table: RULINGS, key: self.item.as_str().into(), value: Some(value) })
    }
}

/// All rulings, in memory for those who judge.
#[derive(Debug, Default)]
pub struct Rulings(papaya::HashMap<ItemId, Ruling>);

impl Rulings {
    /// Reads what the store holds.
    ///
    /// # Errors
    /// The store's; a row that cannot be read is [`StoreError::Corrupt`].
    pub async fn load(store: &Arc<dyn Store>) -> Result<Self, StoreError> {
        let rulings = Self::default();
        let mut after = Vec::new();
        loop {
            let page = store.rows(RULINGS, &after, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(rulings) };
            after.clone_from(last);
            for (_, value) in &page {
                let ruled = serde_json::from_slice::<Ruled>(value)
                    .map_err(|error| StoreError::Corrupt(format!("an item's ruling: {error}")))?;
                rulings.note(&ruled);
            }
        }
    }

    /// Takes note of a ruling that is durable.
    pub fn note(&self, ruled: &Ruled) {
        self.0.pin().insert(ruled.item.clone(), ruled.ruling);
    }

    /// What was ruled about an item.
    #[must_use]
    pub fn of(&self, item: &ItemId) -> Option<Ruling> {
        self.0.pin().get(item).copied()
    }
}
