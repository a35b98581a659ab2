//! A member's policy as its file writes it.
//!
//! **Invariant:** an unknown key is refused.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use watchfire_signal::{
    label::LabelPattern,
    name::{BankName, ItemId, MemberName},
};

use super::{Action, MatchKind, Then};
use crate::standing::State;

/// What the hash of a roll-out begins with.
const ROLLOUT_DOMAIN: &[u8] = b"watchfire/rollout/v1\0";

/// A member's rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Counts up with every change; stands in every verdict.
    #[serde(default = "one")]
    pub version: u32,
    /// What is done about a match that no rule speaks of.
    #[serde(default = "review")]
    pub default: Action,
    /// Members whose human-reviewed alerts count as CONFIRMED here, for reversible actions.
    #[serde(default)]
    pub trust: BTreeSet<MemberName>,
    /// The rules; all that fit are applied.
    #[serde(default = "standard_rules", rename = "rule")]
    pub rules: Vec<Rule>,
    /// Banks whose matches speak against others.
    #[serde(default, rename = "negative", skip_serializing_if = "Vec::is_empty")]
    pub negatives: Vec<Negative>,
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

/// One rule. What is left out fits everything.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name; stands in every verdict that it led to.
    pub id: String,
    /// Whether it acts.
    #[serde(default)]
    pub mode: Mode,
    /// The part of all items that it speaks of, 0 to 1, by a stable hash of rule and item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<f64>,
    /// Labels that it speaks of: exact, `family.*` or `*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub label: Vec<LabelPattern>,
    /// States in which it acts.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub state: BTreeSet<State>,
    /// The member's own banks whose matches it speaks of.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub bank: BTreeSet<BankName>,
    /// The least number of organisations of which a person has looked and stands by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_confirmations: Option<u32>,
    /// The least severity, 0 to 4.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub min_severity: u8,
    /// How the signal matches.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub kind: Option<MatchKind>,
    /// The most bits in which the signals differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_distance: Option<u32>,
    /// The least that lines up of a video, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_matched_ms: Option<u32>,
    /// What it does.
    pub then: Then,
    /// Whether a removal by it may be beyond undo; only where the case is CONFIRMED.
    #[serde(default, skip_serializing_if = "is_false")]
    pub irreversible: bool,
}

/// A bank whose matches suppress others: what it holds is known to be harmless.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Negative {
    /// The bank.
    pub bank: BankName,
    /// Own banks whose matches it suppresses.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub banks: BTreeSet<BankName>,
    /// Members whose signals it suppresses.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub members: BTreeSet<MemberName>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            version: 1,
            default: Action::Review,
            trust: BTreeSet::new(),
            rules: standard_rules(),
            negatives: Vec::new(),
        }
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

fn is_zero(number: &u8) -> bool {
    *number == 0
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

/// Remove and refuse what is confirmed; look at the rest.
fn standard_rules() -> Vec<Rule> {
    vec![Rule {
        id: "confirmed".to_owned(),
        label: vec![LabelPattern::Any],
        state: BTreeSet::from([State::Confirmed]),
        then: Then::from([Action::Remove, Action::BlockUpload, Action::Preserve]),
        ..Rule::default()
    }]
}
