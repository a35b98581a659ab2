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

/// What says in any part of a label that children are meant, alone or inside a longer word.
const CHILDREN_WITHIN: [&str; 9] =
    ["csam", "csae", "csem", "csea", "child", "underage", "paedo", "toddler", "lolita"];

/// The same as whole words: "cp" is in "tcp", "minor" in "minority", "infant" in "infantry", "pedo" in "torpedo".
const CHILDREN_WORDS: [&str; 8] =
    ["cp", "minor", "minors", "infant", "infants", "pedo", "pedos", "loli"];

/// A suggestion for a label is not further away: what needs more edits is another word, and perhaps another harm.
const NEAR_LABEL: usize = 3;

/// The same for a family, whose names are short.
const NEAR_FAMILY: usize = 1;

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
        "labels of the sexual abuse of children are refused: report such material to NCMEC \
         (report.cybertip.org) or to the IWF (report.iwf.org.uk), and match it with their lists"
    )]
    Refused,
    /// Not in the taxonomy.
    #[error("the taxonomy has no label {label:?}; {}", hint(nearest.as_deref()))]
    Unknown {
        /// What was given.
        label: String,
        /// What of the taxonomy is a few edits away; nothing where that would be another word.
        nearest: Option<String>,
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
        // Before all else: neither a form nor a suggestion may lead such material into another harm.
        if means_children(text) {
            return Err(LabelError::Refused);
        }
        let label = Self::received(text)?;
        let known = definitions().iter().map(|definition| definition.code.clone());
        if label.known() { Ok(label) } else { Err(unknown(text, known, NEAR_LABEL)) }
    }
}

/// Whether somebody who writes this means children. A label of the taxonomy never does.
fn means_children(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let words: Vec<_> = text.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    words.windows(2).any(|two| two == ["under", "age"])
        || words.iter().any(|word| {
            CHILDREN_WORDS.contains(word)
                || word.starts_with("pedoph")
                || CHILDREN_WITHIN.iter().any(|part| word.contains(part))
        })
}

fn unknown(text: &str, known: impl Iterator<Item = String>, within: usize) -> LabelError {
    let known = known.map(|known| (edits(text, &known), known));
    let nearest = known.filter(|(edits, _)| *edits <= within).min().map(|(_, known)| known);
    LabelError::Unknown { label: text.to_owned(), nearest }
}

/// What helps on: the label that was meant, or what there is.
fn hint(nearest: Option<&str>) -> String {
    let families = TAXONOMY.families.iter().map(|known| known.family.as_str());
    match nearest {
        Some(nearest) => format!("the nearest is {nearest:?}"),
        None => format!("its families are {}", families.collect::<Vec<_>>().join(", ")),
    }
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
            Some(family) if means_children(family) => Err(LabelError::Refused),
            Some(family) if class_of(family).is_some() => Ok(Self::Family(family.to_owned())),
            Some(family) if is_part(family) => {
                let known = TAXONOMY.families.iter().map(|known| format!("{}.*", known.family));
                Err(unknown(text, known, NEAR_FAMILY))
            }
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
        assert!(matches!(&error, LabelError::Unknown { nearest: Some(n), .. } if n == nearest));
        assert!(error.to_string().contains(nearest));
        let error = "hat.*".parse::<LabelPattern>().unwrap_err();
        assert!(error.to_string().contains("hate.*"), "{error}");
    }

    #[test]
    fn what_is_far_from_every_label_is_told_the_families_and_no_other_harm() {
        for error in [
            "rape.video".parse::<Label>().unwrap_err(),
            "minority.hatred".parse::<Label>().unwrap_err(),
            "rape.*".parse::<LabelPattern>().unwrap_err(),
        ] {
            assert!(matches!(&error, LabelError::Unknown { nearest: None, .. }), "{error}");
            assert!(error.to_string().contains("self_harm, violence, tvec"), "{error}");
            assert!(!error.to_string().contains("ncii."), "{error}");
        }
    }

    #[test]
    fn whatever_word_is_taken_for_the_abuse_of_children_has_the_pointer_and_no_suggestion() {
        for text in [
            "child_abuse.x",
            "csae.x",
            "child.porn",
            "cp.x",
            "minor.sexual",
            "child_safety.csam",
            "ncii.csem",
            "ncii.minors",
            "nude.under_age",
            "pedo.ring",
            "paedophilia.x",
            "pedophile.x",
            "infant.x",
            "toddlers.x",
            "lolita.x",
            "CSAM",
            "csam",
            "child abuse",
            "Child.Porn",
        ] {
            assert_eq!(text.parse::<Label>().unwrap_err(), LabelError::Refused, "{text}");
            let pattern = text.parse::<LabelPattern>().unwrap_err();
            assert_eq!(pattern, LabelError::Refused, "{text}");
        }
        assert_eq!("cp.*".parse::<LabelPattern>().unwrap_err(), LabelError::Refused);
        for text in ["tcp.flood", "minority.hatred", "infantry.video", "torpedo.video"] {
            let error = text.parse::<Label>().unwrap_err();
            assert!(matches!(error, LabelError::Unknown { .. }), "{text}");
        }
        // What others wrote is kept as the format says: only what is drafted here is refused by its words.
        assert!(Label::received("info.minors").is_ok());
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
