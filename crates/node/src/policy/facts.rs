//! What is known about one match when a decision is made: all that policy looks at, and what is
//! kept of it, so that any other policy can be tried on it later.
//!
//! **Invariant:** facts do not depend on the policy, and hold no content and no signal.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use watchfire_signal::{
    alert::Exception,
    header::Provenance,
    label::Label,
    name::{BankName, ItemId, MemberName},
    value::Kind,
};

use crate::{
    near::{Hit, Method},
    standing::State,
};

/// What the platform says about the item with a scan, by name: `views`, `author_strikes`, `context`.
/// Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, Fact>", into = "BTreeMap<String, Fact>")]
pub struct ItemFacts(Arc<BTreeMap<String, Fact>>);

impl ItemFacts {
    /// A fact, if the platform told it.
    #[must_use]
    pub fn fact(&self, name: &str) -> Option<&Fact> {
        self.0.get(name)
    }

    /// All of them, in order of name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Fact)> {
        self.0.iter().map(|(name, fact)| (name.as_str(), fact))
    }

    /// Whether nothing was told.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<BTreeMap<String, Fact>> for ItemFacts {
    fn from(facts: BTreeMap<String, Fact>) -> Self {
        Self(Arc::new(facts))
    }
}

impl From<ItemFacts> for BTreeMap<String, Fact> {
    fn from(facts: ItemFacts) -> Self {
        Arc::unwrap_or_clone(facts.0)
    }
}

/// One fact about an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Fact {
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A text.
    Text(String),
}

/// The longest name of a fact, in bytes.
const MAX_FACT_NAME: usize = 64;
/// The longest text of a fact, in bytes: facts are kept for weeks.
const MAX_FACT_TEXT: usize = 256;

impl Fact {
    /// Reads a fact as JSON has it.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence.
    pub fn of(name: &str, value: serde_json::Value) -> Result<Self, String> {
        let first = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if !first || !name.bytes().all(fits) || name.len() > MAX_FACT_NAME {
            let name: String = name.chars().take(MAX_FACT_NAME).collect();
            return Err(format!(
                "fact {name:?}: a name has 1 to {MAX_FACT_NAME} characters of a-z, 0-9 and _, a letter first"
            ));
        }
        match value {
            serde_json::Value::Bool(value) => Ok(Self::Bool(value)),
            serde_json::Value::Number(number) => number
                .as_i64()
                .map(Self::Int)
                .ok_or_else(|| format!("fact {name:?}: numbers are whole, of 64 bits")),
            serde_json::Value::String(text) if text.len() <= MAX_FACT_TEXT => Ok(Self::Text(text)),
            _ => Err(format!(
                "fact {name:?}: true or false, a whole number, or a text of at most {MAX_FACT_TEXT} bytes"
            )),
        }
    }
}

/// How a signal matched, as rules see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MatchKind {
    /// The same bytes.
    Exact,
    /// Near: within a distance, or lined up in time, turned, mirrored or inverted or not.
    Near,
    /// A variant: edited so that only its sound, or details of it, are recognised.
    Variant,
}

impl MatchKind {
    /// The word in files and expressions.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Near => "near",
            Self::Variant => "variant",
        }
    }
}

/// Labels as they were received: one of a later taxonomy is kept too.
fn received<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Label>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let labels = texts.iter().map(|text| Label::received(text).map_err(D::Error::custom));
    labels.collect()
}

/// What a person of this member decided about the item or its signal; it beats the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Human {
    /// Whether it is harmful.
    pub harmful: bool,
    /// What it is instead of what the alert says, if the person said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
    /// Whether it is removed for good: it need not be possible to bring it back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub irreversible: bool,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
}

/// What is known about one match of an item. What is not known is `None`, and fits no rule that asks
/// for it. Build it with `Facts { …, ..Facts::default() }`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Facts {
    /// When the decision was made, in milliseconds since 1970.
    pub at_ms: u64,
    /// The item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<ItemId>,
    /// What the platform says about it.
    #[serde(skip_serializing_if = "ItemFacts::is_empty")]
    pub item_facts: ItemFacts,

    /// The member's own bank that it matches; `None`: it matches a case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bank: Option<BankName>,
    /// Negative banks that the item matches besides.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub negatives: BTreeSet<BankName>,
    /// The member that brought the signal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<MemberName>,
    /// The state of the case; `None` for a bank.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// Whether it ever was CONFIRMED, lapsed since or not.
    pub was_confirmed: bool,
    /// Whether this member itself stands by it, with a human look.
    pub own: bool,
    /// Whether another member that stood by it has taken that back, or one disputes it, while this one stands by it and too
    /// few others do for CONFIRMED.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub doubted: bool,
    /// Members that stand by it.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub members: BTreeSet<MemberName>,
    /// Those of them where a person has looked.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub looked: BTreeSet<MemberName>,
    /// Organisations of which a person has looked and stands by it.
    pub confirmations: u32,
    /// This member's role in the charter does not enforce: a person may look, and no more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub advisory: bool,
    /// A drill never leads to anything.
    pub drill: bool,
    /// An incident of level 3 that enough organisations stand by ties the case.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub critical: bool,
    /// Whether its severity is such that the charter has it act before it is CONFIRMED, within its author's
    /// quota.
    pub grave: bool,
    /// A record of an unknown version speaks of the case.
    pub unreadable: bool,
    /// The labels of the alert or bank.
    #[serde(deserialize_with = "received")]
    pub labels: Vec<Label>,
    /// 0 to 4.
    pub severity: u8,
    /// 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<u8>,
    /// How the alert's author came to know, such as a government request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
    /// Contexts in which the alert says that it should stay.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<Exception>,

    /// How it matches.
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    pub kind: Option<MatchKind>,
    /// Whether ways that look at different things agree that it matches.
    pub agreed: bool,
    /// Whether the way in which it matches is not sure of it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unsure: bool,
    /// Whether the known signal is below the quality floor.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub thin: bool,
    /// The kind of the matched signal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<Kind>,
    /// Bits in which the signals differ; 0 when exact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distance: Option<u32>,
    /// How much of the item lines up with the known video, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matched_ms: Option<u32>,

    /// What a person decided; it wins over everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub human: Option<Human>,
}

impl Facts {
    /// Adds how an item matches.
    #[must_use]
    pub fn matched<K>(mut self, hit: &Hit<K>) -> Self {
        self.kind = Some(match hit.method {
            Method::Exact => MatchKind::Exact,
            Method::Near | Method::Aligned | Method::Turned => MatchKind::Near,
            Method::Sound | Method::Features | Method::Part => MatchKind::Variant,
        });
        self.agreed = hit.is_agreed();
        self.unsure = !hit.sure;
        self.thin = hit.thin;
        self.signal = Some(hit.kind);
        // Features are not near or far: they fit or do not.
        self.distance = (hit.method != Method::Features).then(|| hit.distance.unwrap_or(0));
        self.matched_ms =
            hit.aligned.map(|aligned| aligned.query.end_ms.saturating_sub(aligned.query.start_ms));
        self
    }

    /// Adds which item it is, and what its platform says about it.
    #[must_use]
    pub fn about(mut self, item: Option<ItemId>, facts: ItemFacts) -> Self {
        self.item = item;
        self.item_facts = facts;
        self
    }
}
