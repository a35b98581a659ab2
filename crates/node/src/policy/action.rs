//! What a policy can have done about an item, in the words of its file.

use std::{collections::BTreeSet, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;
use watchfire_signal::name::QueueName;

/// The most strikes that one rule gives.
const MAX_STRIKES: u8 = 100;
/// The longest name of a destination of reports, in bytes.
const MAX_DESTINATION: usize = 32;

/// What can be done about an item, mildest first; of several the strictest wins.
/// `BlockUpload` and `Preserve` stand beside that order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Nothing.
    Ignore,
    /// Tell somebody.
    Notify,
    /// Put a label on it.
    Label,
    /// Have a person look.
    Review,
    /// Show it to fewer people.
    Demote,
    /// Show it to adults only.
    AgeGate,
    /// Hide it in some countries.
    GeoBlock,
    /// Put it out of sight.
    Hide,
    /// Remove it; reversible unless said otherwise.
    Remove,
    /// Refuse an upload of it.
    BlockUpload,
    /// Keep the evidence.
    Preserve,
}

/// Text forms of the actions, as a policy file writes them.
const ACTIONS: [(&str, Action); 11] = [
    ("ignore", Action::Ignore),
    ("notify", Action::Notify),
    ("label", Action::Label),
    ("review", Action::Review),
    ("demote", Action::Demote),
    ("age_gate", Action::AgeGate),
    ("geo_block", Action::GeoBlock),
    ("hide", Action::Hide),
    ("remove", Action::Remove),
    ("block_upload", Action::BlockUpload),
    ("preserve", Action::Preserve),
];

impl Action {
    /// Every action, mildest first.
    #[must_use]
    pub fn all() -> [Self; 11] {
        ACTIONS.map(|(_, action)| action)
    }

    /// Whether the action takes something from an ordinary user's sight or refuses it.
    #[must_use]
    pub fn is_stricter_than_review(self) -> bool {
        !matches!(self, Self::Ignore | Self::Notify | Self::Label | Self::Review | Self::Preserve)
    }

    /// Whether it stands beside the order: it is done whatever else is.
    #[must_use]
    pub fn is_independent(self) -> bool {
        matches!(self, Self::BlockUpload | Self::Preserve)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = ACTIONS.iter().find(|(_, action)| action == self).map_or("", |(text, _)| text);
        f.write_str(text)
    }
}

/// A text that is nothing to be done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is no action; did you mean `{nearest}`? Known are {known}")]
pub struct ThenError {
    /// What was given.
    pub text: String,
    /// The known word with the fewest edits.
    pub nearest: &'static str,
    /// All known words.
    pub known: String,
}

impl ThenError {
    fn of(text: &str) -> Self {
        let words = ACTIONS.iter().map(|(word, _)| *word).chain(["strike:n", "report:to"]);
        let nearest = super::near_word::nearest(text, words.clone());
        Self {
            text: text.chars().take(80).collect(),
            nearest: nearest.unwrap_or_default(),
            known: words.collect::<Vec<_>>().join(", "),
        }
    }
}

impl FromStr for Action {
    type Err = ThenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = ACTIONS.iter().find(|(name, _)| *name == text);
        known.map(|(_, action)| *action).ok_or_else(|| ThenError::of(text))
    }
}

impl Serialize for Action {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What is to be done: the `then` of a rule, or of a decision. In a file a list of words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Then {
    /// The actions.
    pub actions: BTreeSet<Action>,
    /// Which queue of the review, where it is not the default one.
    pub queue: Option<QueueName>,
    /// Strikes that the author of the item gets.
    pub strikes: u8,
    /// Where it is reported to.
    pub reports: BTreeSet<Arc<str>>,
}

impl Then {
    /// Nothing to be done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty() && self.strikes == 0 && self.reports.is_empty()
    }

    /// Puts both together: of the ordered actions the strictest, of the others all. A queue that
    /// was named first stays.
    pub fn add(&mut self, other: &Self) {
        self.actions.extend(&other.actions);
        self.keep_strictest();
        self.queue = self.queue.take().or_else(|| other.queue.clone());
        self.strikes = self.strikes.max(other.strikes);
        self.reports.extend(other.reports.iter().cloned());
    }

    /// Of the actions that have an order only the strictest stays.
    pub(super) fn keep_strictest(&mut self) {
        let ordered = self.actions.iter().filter(|action| !action.is_independent());
        let strictest = ordered.max().copied();
        self.actions.retain(|action| action.is_independent() || Some(*action) == strictest);
    }

    /// The words that a file, a verdict and an order have for it: `remove`, `review:hate`,
    /// `strike:2`, `report:ncmec`.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let action = |action: &Action| match (action, &self.queue) {
            (Action::Review, Some(queue)) => format!("review:{queue}"),
            (action, _) => action.to_string(),
        };
        let mut words = self.actions.iter().map(action).collect::<Vec<_>>();
        if self.strikes > 0 {
            words.push(format!("strike:{}", self.strikes));
        }
        words.extend(self.reports.iter().map(|to| format!("report:{to}")));
        words
    }

    /// Takes one word in.
    fn take(&mut self, word: &str) -> Result<(), ThenError> {
        let error = || ThenError::of(word);
        match word.split_once(':') {
            None => {
                self.actions.insert(word.parse()?);
            }
            Some(("review", queue)) => {
                self.queue = Some(queue.parse().map_err(|_| error())?);
                self.actions.insert(Action::Review);
            }
            Some(("strike", count)) => {
                let count = count.parse().ok().filter(|n| (1..=MAX_STRIKES).contains(n));
                self.strikes = count.ok_or_else(error)?;
            }
            Some(("report", to)) if is_destination(to) => {
                self.reports.insert(to.into());
            }
            Some(_) => return Err(error()),
        }
        Ok(())
    }
}

fn is_destination(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
    (1..=MAX_DESTINATION).contains(&text.len()) && text.bytes().all(fits)
}

impl<const N: usize> From<[Action; N]> for Then {
    fn from(actions: [Action; N]) -> Self {
        Self { actions: BTreeSet::from(actions), ..Self::default() }
    }
}

impl Serialize for Then {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.words())
    }
}

impl<'de> Deserialize<'de> for Then {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut then = Self::default();
        for word in Vec::<String>::deserialize(deserializer)? {
            then.take(&word).map_err(serde::de::Error::custom)?;
        }
        Ok(then)
    }
}
