//! What people of this member said about items and cases: it beats the machine.
//!
//! **Invariant:** a word is durable, with its desk line, before anything is judged by it; it is found by
//! the next scan as soon as it is in force, and after a restart.
//! **Invariant:** the last word about an item, or about a case, is the one that counts.

use std::{collections::BTreeSet, sync::Arc};

use serde::{Deserialize, Serialize};
use watchfire_signal::{commitment::Commitment, name::ItemId};
use watchfire_store::{Row, Store, StoreError, Table};

use crate::{
    desk::{Deed, DeskKind},
    hold::Ruling,
    policy::Human,
};

/// Words of people: `i` and an item, or `c` and the subject of a case → [`Word`] as JSON.
const PEOPLE: Table = Table::Ledger("people");
/// Words read at once at start.
const PAGE: usize = 10_000;

/// What a word is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// One item, whatever it matches.
    Item(ItemId),
    /// Every item that matches a case.
    Case(Commitment),
}

/// What a person said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Word {
    /// It was looked at.
    Found(Human),
    /// An item stays as it is, whatever is found later.
    Kept {
        /// When that was said, in milliseconds since 1970.
        kept_ms: u64,
    },
}

impl Word {
    /// A person's ruling as a word.
    #[must_use]
    pub fn of(ruling: Ruling, now_ms: u64) -> Self {
        match ruling {
            Ruling::Restore => {
                let (label, irreversible, at_ms) = (None, false, now_ms);
                Self::Found(Human { harmful: false, label, irreversible, at_ms })
            }
            Ruling::Keep => Self::Kept { kept_ms: now_ms },
        }
    }
}

/// A person's ruling about an item, as the desk log has it.
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

/// The words in force.
#[derive(Debug, Default)]
pub struct People {
    items: papaya::HashMap<ItemId, Arc<Word>>,
    cases: papaya::HashMap<Commitment, Arc<Word>>,
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
                let corrupt = || StoreError::Corrupt("a word of a person".to_owned());
                let about = About::of_key(&key).ok_or_else(corrupt)?;
                let word = serde_json::from_slice(&value).map_err(|_| corrupt())?;
                people.hold(about, word);
            }
        }
    }

    /// What a person found: about the item first, then about the case that it matches.
    #[must_use]
    pub fn about(&self, item: Option<&ItemId>, case: &Commitment) -> Option<Human> {
        let found = |word: Option<&Arc<Word>>| match &**word? {
            Word::Found(human) => Some(human.clone()),
            Word::Kept { .. } => None,
        };
        let about_item = item.and_then(|item| found(self.items.pin().get(item)));
        about_item.or_else(|| found(self.cases.pin().get(case)))
    }

    /// What a person ruled about an item alone: it is shown, or stays as it is.
    #[must_use]
    pub fn ruling(&self, item: &ItemId) -> Option<Ruling> {
        match &**self.items.pin().get(item)? {
            Word::Found(human) => (!human.harmful).then_some(Ruling::Restore),
            Word::Kept { .. } => Some(Ruling::Keep),
        }
    }

    /// The cases of which these words and others say something else.
    #[must_use]
    pub fn cases_apart(&self, others: &Self) -> BTreeSet<Commitment> {
        let (ours, theirs) = (self.cases.pin(), others.cases.pin());
        let all = ours.keys().chain(theirs.keys());
        all.filter(|case| ours.get(*case) != theirs.get(*case)).copied().collect()
    }

    /// Puts a word in force, whose row is durable.
    pub fn hold(&self, about: About, word: Word) {
        match about {
            About::Item(item) => self.items.pin().insert(item, Arc::new(word)),
            About::Case(case) => self.cases.pin().insert(case, Arc::new(word)),
        };
    }

    /// Takes a word out of force, whose row is gone.
    pub fn forget(&self, about: &About) {
        match about {
            About::Item(item) => self.items.pin().remove(item),
            About::Case(case) => self.cases.pin().remove(case),
        };
    }
}

impl About {
    /// The row of a word; without one it is deleted.
    #[must_use]
    pub fn row(&self, word: Option<&Word>) -> Row {
        let key = match self {
            Self::Item(item) => [b"i", item.as_str().as_bytes()].concat(),
            Self::Case(case) => [b"c", &case.0[..]].concat(),
        };
        let value = word.map(|word| serde_json::to_vec(word).unwrap_or_default());
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
