//! A member's policy as its file writes it.
//!
//! **Invariant:** an unknown key is refused.

use std::{collections::BTreeSet, sync::LazyLock};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use sha2::{Digest, Sha256};
use toml::Spanned;
use watchfire_signal::{
    label::LabelPattern,
    name::{BankName, ItemId, MemberName},
    pdq,
};

use super::{Action, Day, Declared, MatchKind, TestCase, Then, When};
use crate::standing::State;

/// What the hash of a roll-out begins with.
const ROLLOUT_DOMAIN: &[u8] = b"watchfire/rollout/v1\0";

/// The longest id of a rule.
const MAX_ID: usize = 64;
/// Words that stand in verdicts where no rule spoke.
const RESERVED: [&str; 2] = ["default", "human"];

/// A member's rules.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Counts up with every change; stands in every verdict.
    #[serde(default = "one")]
    pub version: u32,
    /// What is done about a match that no rule speaks of.
    #[serde(default = "review")]
    pub default: Action,
    /// When more is done than is plausible.
    #[serde(default)]
    pub limits: Limits,
    /// What a rule needs to come out of shadow.
    #[serde(default)]
    pub promotion: Promotion,
    /// How many days decisions are kept as facts.
    #[serde(default = "ninety")]
    pub keep_decisions_days: u16,
    /// Facts about items that this platform tells with its scans, beside the standard ones.
    #[serde(default)]
    pub facts: Declared,
    /// Members whose human-reviewed alerts count as CONFIRMED here, for reversible actions.
    #[serde(default)]
    pub trust: BTreeSet<MemberName>,
    /// The rules; all that fit are applied.
    #[serde(default = "standard_rules", rename = "rule")]
    pub rules: Vec<Rule>,
    /// Banks whose matches speak against others.
    #[serde(default, rename = "negative")]
    pub negatives: Vec<Negative>,
    /// Cases that the policy has to decide as they say; tried by `watchfire policy test`.
    #[serde(default, rename = "case")]
    pub cases: Vec<TestCase>,
}

/// Limits that hold take-downs until a person has looked, which count distinct cases, never copies; and
/// one that holds the person.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Cases within a minute.
    pub cases_enforced_per_minute: u32,
    /// Cases of one member within an hour.
    pub cases_enforced_per_source_per_hour: u32,
    /// Copies of a case that is neither CONFIRMED nor in an incident of level 3 that is in force, that are
    /// older than it is known here.
    pub older_matches_per_signal: u32,
    /// Copies a day that came in the week which ended a day before the case was known here, whatever its
    /// state: what is new cannot have come steadily before.
    pub expected_matches_per_day: u32,
    /// Cases of one member, within an hour, that one of the two limits above or the benign set holds; from
    /// then on all its cases that are not CONFIRMED are held, until the hour is over.
    pub held_cases_per_source_per_hour: u32,
    /// Tickets of the review that one person sees in a day.
    pub tickets_per_person_per_day: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cases_enforced_per_minute: 200,
            cases_enforced_per_source_per_hour: 500,
            older_matches_per_signal: 50,
            expected_matches_per_day: 100,
            held_cases_per_source_per_hour: 5,
            tickets_per_person_per_day: 400,
        }
    }
}

/// What a rule needs to come out of shadow.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Promotion {
    /// Decisions in which it fired that a person has judged.
    pub min_sample: u32,
    /// The part of them that the person called harmful, 0 to 1.
    #[serde(deserialize_with = "ratio")]
    pub min_precision: f64,
}

impl Default for Promotion {
    fn default() -> Self {
        Self { min_sample: 50, min_precision: 0.95 }
    }
}

/// Whether a rule acts.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It is not evaluated.
    Draft,
    /// It is evaluated and kept with the decision, and does nothing.
    Shadow,
    /// It acts.
    #[default]
    Live,
}

impl Mode {
    /// The word in files.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Shadow => "shadow",
            Self::Live => "live",
        }
    }
}

/// One rule. What is left out fits everything.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name; stands in every verdict that it led to.
    #[serde(deserialize_with = "id")]
    pub id: String,
    /// Whether it acts.
    #[serde(default)]
    pub mode: Mode,
    /// The part of all items that it speaks of, 0 to 1, by a stable hash of rule and item.
    #[serde(default, deserialize_with = "part")]
    pub rollout: Option<f64>,
    /// The last day on which it acts, in UTC.
    #[serde(default)]
    pub expires: Option<Day>,
    /// Labels that it speaks of: exact, `family.*` or `*`.
    #[serde(default)]
    pub label: Vec<LabelPattern>,
    /// States in which it acts.
    #[serde(default)]
    pub state: BTreeSet<State>,
    /// The member's own banks whose matches it speaks of.
    #[serde(default)]
    pub bank: BTreeSet<BankName>,
    /// The least number of organisations of which a person has looked and stands by it.
    #[serde(default)]
    pub min_confirmations: Option<u32>,
    /// The least severity, 0 to 4.
    #[serde(default, deserialize_with = "severity")]
    pub min_severity: u8,
    /// How the signal matches.
    #[serde(default, rename = "match")]
    pub kind: Option<MatchKind>,
    /// The most bits in which the signals differ.
    #[serde(default, deserialize_with = "distance")]
    pub max_distance: Option<u32>,
    /// The least that lines up of a video, in milliseconds.
    #[serde(default)]
    pub min_matched_ms: Option<u32>,
    /// What else has to hold, in CEL.
    #[serde(default)]
    pub when: Option<Spanned<When>>,
    /// What it does.
    pub then: Then,
    /// Whether a removal by it may be beyond undo; only where the case is CONFIRMED.
    #[serde(default)]
    pub irreversible: bool,
}

/// A bank whose matches suppress others: what it holds is known to be harmless.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Negative {
    /// The bank.
    pub bank: BankName,
    /// Own banks whose matches it suppresses.
    #[serde(default)]
    pub banks: BTreeSet<BankName>,
    /// Members whose signals it suppresses.
    #[serde(default)]
    pub members: BTreeSet<MemberName>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            version: 1,
            default: Action::Review,
            trust: BTreeSet::new(),
            rules: standard_rules(),
            limits: Limits::default(),
            promotion: Promotion::default(),
            keep_decisions_days: ninety(),
            facts: Declared::new(),
            negatives: Vec::new(),
            cases: Vec::new(),
        }
    }
}

impl Policy {
    /// Whether a match that is only a variant can lead to anything.
    #[must_use]
    pub fn speaks_of_variants(&self) -> bool {
        let of_variants = |rule: &Rule| {
            rule.mode != Mode::Draft && rule.kind.is_none_or(|kind| kind == MatchKind::Variant)
        };
        self.default != Action::Ignore || self.rules.iter().any(of_variants)
    }
}

impl Rule {
    /// Whether the roll-out includes an item: always the same for the same rule and item.
    #[must_use]
    pub fn rolls_out_to(&self, item: Option<&ItemId>) -> bool {
        let Some(part) = self.rollout.filter(|part| *part < 1.0) else { return true };
        let Some(item) = item else { return false };
        let hash = Sha256::new()
            .chain_update(ROLLOUT_DOMAIN)
            .chain_update((self.id.len() as u64).to_be_bytes())
            .chain_update(&self.id)
            .chain_update(item.as_str())
            .finalize();
        let first = hash.iter().take(4).fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
        f64::from(first) < part * (f64::from(u32::MAX) + 1.0)
    }
}

fn one() -> u32 {
    1
}

fn review() -> Action {
    Action::Review
}

fn ninety() -> u16 {
    90
}

fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    if !(1..=MAX_ID).contains(&text.len()) || !text.bytes().all(fits) {
        let message = format!("a rule's id has 1 to {MAX_ID} characters of a-z, 0-9, - and _");
        return Err(D::Error::custom(message));
    }
    if RESERVED.contains(&text.as_str()) {
        return Err(D::Error::custom(format!(
            "`{text}` is no id of a rule: verdicts use the word"
        )));
    }
    Ok(text)
}

fn ratio<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let part = f64::deserialize(deserializer)?;
    if (0.0..=1.0).contains(&part) {
        Ok(part)
    } else {
        Err(D::Error::custom("a part is 0.0 to 1.0"))
    }
}

fn part<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    ratio(deserializer).map(Some)
}

fn severity<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let severity = u8::deserialize(deserializer)?;
    if severity <= 4 { Ok(severity) } else { Err(D::Error::custom("a severity is 0 to 4")) }
}

fn distance<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let bits = u32::deserialize(deserializer)?;
    let message =
        || D::Error::custom(format!("no match is farther than {} bits", pdq::MAX_DISTANCE));
    if bits <= pdq::MAX_DISTANCE { Ok(Some(bits)) } else { Err(message()) }
}

/// Not where the platform says that an item stands in a context in which the alert says that it should
/// stay.
const NOT_IN_CONTEXT: &str = "!(has(item.context) && item.context in case.exceptions)";

static OUT_OF_CONTEXT: LazyLock<When> = LazyLock::new(|| match When::parse(NOT_IN_CONTEXT) {
    Ok(when) => when,
    Err(error) => unreachable!("the standard policy is part of this crate: {error}"),
});

/// Remove and refuse what is confirmed, but for a context in which it should stay; look at the rest.
fn standard_rules() -> Vec<Rule> {
    vec![Rule {
        id: "confirmed".to_owned(),
        label: vec![LabelPattern::Any],
        state: BTreeSet::from([State::Confirmed]),
        when: Some(Spanned::new(0..0, OUT_OF_CONTEXT.clone())),
        then: Then::from([Action::Remove, Action::BlockUpload, Action::Preserve]),
        ..Rule::default()
    }]
}
