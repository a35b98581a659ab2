//! Labels of harm: what an alert says the content is, checked against a versioned taxonomy.
//!
//! **Invariant:** no label of the family `csam` exists as a value.
//! **Invariant:** a label of a later taxonomy can be received and kept, and never be drafted.

use std::{fmt, str::FromStr, sync::Arc, sync::LazyLock};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    cbor::{CborError, Item, Reader, Writer},
    code::codes,
    text::serde_as_text,
};

/// The version of the taxonomy that this crate carries.
pub const TAXONOMY_VERSION: u32 = 1;

/// The longest family or name of a label, in characters.
pub const MAX_LABEL_PART: usize = 48;

/// Sexual abuse of children is not exchanged here: the lists of NCMEC and IWF are made for it.
const REFUSED_FAMILY: &str = "csam";

codes! {
    /// A class of harm; it stands in clear in every header.
    Class, "class";
    /// Of no class: records about members, keys, charters.
    None = 0 "none",
    /// Suicide and self-injury.
    SelfHarm = 1 "self_harm",
    /// Graphic violence.
    Violence = 2 "violence",
    /// Terrorist and violent extremist content.
    Tvec = 3 "tvec",
    /// Hatred.
    Hate = 4 "hate",
    /// Intimate images without consent.
    Ncii = 5 "ncii",
    /// Cruelty to animals.
    Animal = 6 "animal",
    /// False information.
    Info = 7 "info",
}

/// Why a text is not a label that may be drafted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LabelError {
    /// Not `family.name` of `a-z`, `0-9` and `_`.
    #[error("a label is family.name in lower case, such as self_harm.suicide_depiction: {0:?}")]
    Form(String),
    /// Sexual abuse of children, which is not exchanged here.
    #[error(
        "labels of csam are refused: report such material to NCMEC (report.cybertip.org) or to the \
         IWF (report.iwf.org.uk), and match it with their lists"
    )]
    Refused,
    /// Not in the taxonomy.
    #[error("the taxonomy has no label {label:?}; the nearest is {nearest:?}")]
    Unknown {
        /// What was given.
        label: String,
        /// The label of the taxonomy with the fewest edits to what was given.
        nearest: &'static str,
    },
}

/// A label such as `self_harm.suicide_depiction`.
///
/// `FromStr` and serde read only labels of the taxonomy, for drafts and settings;
/// [`Label::received`] keeps those of a later one too.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Label(Arc<str>);

/// What the taxonomy says of one label.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// The label, `family.name`.
    pub code: String,
    /// A short name in English.
    pub name: String,
    /// One sentence in English that says what belongs under it.
    pub description: String,
    /// Whether an alert with it may lead to anything automatic beyond labelling and monitoring.
    pub automatic: bool,
    /// The category of the EU DSA Transparency Database.
    pub dsa: Option<Dsa>,
    /// The words of the GIFCT's hash-sharing taxonomy and incident protocol.
    pub gifct: Option<String>,
    /// The label value that atproto's labellers use.
    pub atproto: Option<String>,
}

/// A category of the EU DSA Transparency Database (schema of July 2025).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dsa {
    /// `category`.
    pub category: String,
    /// `category_specification`.
    pub keyword: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Taxonomy {
    version: u32,
    families: Vec<Family>,
    labels: Vec<Definition>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Family {
    family: String,
    class: Class,
}

static TAXONOMY: LazyLock<Taxonomy> =
    LazyLock::new(|| match serde_json::from_str::<Taxonomy>(include_str!("taxonomy.json")) {
        Ok(taxonomy) => {
            assert_eq!(taxonomy.version, TAXONOMY_VERSION, "taxonomy.json has another version");
            taxonomy
        }
        Err(error) => unreachable!("taxonomy.json is part of this crate: {error}"),
    });

/// Every label of the taxonomy, in its order.
#[must_use]
pub fn definitions() -> &'static [Definition] {
    &TAXONOMY.labels
}

impl Label {
    /// Reads a label that somebody else wrote: well formed, and perhaps of a later taxonomy.
    ///
    /// # Errors
    /// [`LabelError::Form`] and [`LabelError::Refused`].
    pub fn received(text: &str) -> Result<Self, LabelError> {
        match text.split_once('.') {
            Some((REFUSED_FAMILY, _)) => Err(LabelError::Refused),
            Some((family, name)) if is_part(family) && is_part(name) => Ok(Self(text.into())),
            _ => Err(LabelError::Form(text.chars().take(100).collect())),
        }
    }

    /// The label as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the dot.
    #[must_use]
    pub fn family(&self) -> &str {
        self.0.split('.').next().unwrap_or_default()
    }

    /// The class of its family; [`Class::None`] for a family that this taxonomy does not have.
    #[must_use]
    pub fn class(&self) -> Class {
        class_of(self.family()).unwrap_or(Class::None)
    }

    /// What the taxonomy says of it; `None` for a label of a later taxonomy.
    #[must_use]
    pub fn definition(&self) -> Option<&'static Definition> {
        definitions().iter().find(|definition| definition.code == *self.0)
    }

    /// Whether this taxonomy has it. What it does not have matches, and never acts automatically.
    #[must_use]
    pub fn known(&self) -> bool {
        self.definition().is_some()
    }

    /// Whether it may lead to anything automatic beyond labelling and monitoring.
    #[must_use]
    pub fn is_automatic(&self) -> bool {
        self.definition().is_some_and(|definition| definition.automatic)
    }
}

fn class_of(family: &str) -> Option<Class> {
    TAXONOMY.families.iter().find(|known| known.family == family).map(|known| known.class)
}

fn is_part(text: &str) -> bool {
    text.len() <= MAX_LABEL_PART
        && text.bytes().next().is_some_and(|first| first.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

impl FromStr for Label {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        let label = Self::received(text)?;
        if label.known() { Ok(label) } else { Err(unknown(text)) }
    }
}

fn unknown(text: &str) -> LabelError {
    let nearest = definitions().iter().map(|definition| definition.code.as_str());
    let nearest = nearest.min_by_key(|known| edits(text, known)).unwrap_or_default();
    LabelError::Unknown { label: text.to_owned(), nearest }
}

/// The least number of inserted, removed and replaced bytes between two labels (Levenshtein).
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Label({self})")
    }
}

serde_as_text!(Label);

impl Item for Label {
    fn write(&self, writer: &mut Writer) {
        writer.text(&self.0);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let text = reader.text(2 * MAX_LABEL_PART + 1)?;
        Self::received(text).map_err(|_| reader.not("a label that is exchanged here"))
    }
}

/// A pattern over labels for settings: a label, a family as `hate.*`, or `*` for every label.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LabelPattern {
    /// Every label.
    Any,
    /// Every label of a family.
    Family(String),
    /// One label.
    Exact(Label),
}

impl LabelPattern {
    /// Whether the label falls under the pattern.
    #[must_use]
    pub fn matches(&self, label: &Label) -> bool {
        match self {
            Self::Any => true,
            Self::Family(family) => label.family() == family,
            Self::Exact(exact) => label == exact,
        }
    }
}

impl FromStr for LabelPattern {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        match text.strip_suffix(".*") {
            _ if text == "*" => Ok(Self::Any),
            Some(REFUSED_FAMILY) => Err(LabelError::Refused),
            Some(family) if class_of(family).is_some() => Ok(Self::Family(family.to_owned())),
            Some(family) if is_part(family) => Err(unknown(text)),
            _ => text.parse().map(Self::Exact),
        }
    }
}

impl fmt::Display for LabelPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Family(family) => write!(f, "{family}.*"),
            Self::Exact(label) => label.fmt(f),
        }
    }
}

serde_as_text!(LabelPattern);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_label_of_the_taxonomy_is_a_label_of_a_class() {
        for definition in definitions() {
            let label: Label = definition.code.parse().unwrap();
            assert_ne!(label.class(), Class::None, "{label}");
            assert_eq!(label.is_automatic(), label.as_str() != "info.misinformation");
        }
        let mut codes: Vec<_> = definitions().iter().map(|d| &d.code).collect();
        codes.sort();
        codes.dedup();
        assert_eq!(codes.len(), definitions().len());
    }

    #[test]
    fn an_unknown_label_is_refused_with_the_nearest_one() {
        let error = "selfharm.suicide_depictoin".parse::<Label>().unwrap_err();
        let nearest = "self_harm.suicide_depiction";
        assert!(matches!(&error, LabelError::Unknown { nearest: n, .. } if *n == nearest));
        assert!(error.to_string().contains(nearest));
    }

    #[test]
    fn sexual_abuse_of_children_is_refused_with_a_pointer() {
        for refusal in [
            "csam.anything".parse::<Label>().unwrap_err(),
            Label::received("csam.anything").unwrap_err(),
            "csam.*".parse::<LabelPattern>().unwrap_err(),
        ] {
            assert_eq!(refusal, LabelError::Refused);
            assert!(refusal.to_string().contains("NCMEC") && refusal.to_string().contains("IWF"));
        }
    }

    #[test]
    fn a_label_of_a_later_taxonomy_is_kept_and_not_drafted() {
        let later = Label::received("hate.dehumanisation").unwrap();
        assert!(!later.known() && !later.is_automatic());
        assert_eq!(later.class(), Class::Hate);
        assert_eq!(Label::received("scam.romance").unwrap().class(), Class::None);
        assert!("hate.dehumanisation".parse::<Label>().is_err());
        for text in ["hate", "hate.", ".x", "hate.x.y", "Hate.x", "hate.x y", "1.x"] {
            assert!(Label::received(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_pattern_matches_its_family_or_its_label() {
        let label: Label = "hate.incitement".parse().unwrap();
        for (pattern, expected) in
            [("*", true), ("hate.*", true), ("hate.incitement", true), ("tvec.*", false)]
        {
            let pattern: LabelPattern = pattern.parse().unwrap();
            assert_eq!(pattern.matches(&label), expected, "{pattern}");
            assert_eq!(pattern.to_string().parse::<LabelPattern>().unwrap(), pattern);
        }
        assert!("hat.*".parse::<LabelPattern>().is_err());
    }
}
