//! What people of this member decided about items and cases: it beats the machine.
//!
//! **Invariant:** a decision is findable by the next scan as soon as it is in force, and after a restart.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchfire_signal::{commitment::Commitment, name::ItemId};
use watchfire_store::{Row, Store, StoreError, Table};

use crate::policy::Human;

/// Decisions of people: `i` and an item, or `c` and the subject of a case → [`Human`] as JSON.
const PEOPLE: Table = Table::Ledger("people");
/// Decisions read at once at start.
const PAGE: usize = 10_000;

/// What a decision is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// One item, whatever it matches.
    Item(ItemId),
    /// Every item that matches a case.
    Case(Commitment),
}

/// The decisions in force.
#[derive(Debug, Default)]
pub struct People {
    items: papaya::HashMap<ItemId, Arc<Human>>,
    cases: papaya::HashMap<Commitment, Arc<Human>>,
}

impl People {
    /// Reads what the store holds.
    ///
    /// # Errors
    /// The store's; a row that cannot be read is [`StoreError::Corrupt`].
    pub async fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let people = Self::default();
        let mut after = Vec::new();
        loop {
            let page = store.rows(PEOPLE, &after, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(people) };
            after.clone_from(last);
            for (key, value) in page {
                let corrupt = || StoreError::Corrupt("a decision of a person".to_owned());
                let about = About::of_key(&key).ok_or_else(corrupt)?;
                let human = serde_json::from_slice(&value).map_err(|_| corrupt())?;
                people.hold(about, human);
            }
        }
    }

    /// What a person decided: about the item first, then about the case that it matches.
    #[must_use]
    pub fn about(&self, item: Option<&ItemId>, case: &Commitment) -> Option<Human> {
        let about_item = || self.items.pin().get(item?).cloned();
        let about_case = || self.cases.pin().get(case).cloned();
        about_item().or_else(about_case).map(Arc::unwrap_or_clone)
    }

    /// Puts a decision in force, whose row is durable.
    pub fn hold(&self, about: About, human: Human) {
        match about {
            About::Item(item) => self.items.pin().insert(item, Arc::new(human)),
            About::Case(case) => self.cases.pin().insert(case, Arc::new(human)),
        };
    }

    /// Takes a decision out of force, whose row is gone.
    pub fn drop_decision(&self, about: &About) {
        match about {
            About::Item(item) => self.items.pin().remove(item),
            About::Case(case) => self.cases.pin().remove(case),
        };
    }
}

impl About {
    /// The row of a decision; without one it is deleted.
    #[must_use]
    pub fn row(&self, human: Option<&Human>) -> Row {
        let key = match self {
            Self::Item(item) => [b"i", item.as_str().as_bytes()].concat(),
            Self::Case(case) => [b"c", &case.0[..]].concat(),
        };
        let value = human.map(|human| serde_json::to_vec(human).unwrap_or_default());
        Row { table: PEOPLE, key, value }
    }

    fn of_key(key: &[u8]) -> Option<Self> {
        match key.split_first()? {
            (b'i', item) => Some(Self::Item(std::str::from_utf8(item).ok()?.parse().ok()?)),
            (b'c', case) => Some(Self::Case(Commitment(case.try_into().ok()?))),
            _ => None,
        }
    }
}
