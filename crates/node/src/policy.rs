//! What a member does about a match: its own rules, capped by the state of the case.
//!
//! **Invariant:** [`Policy::decide`] is a pure function of its facts and the policy.
//! **Invariant:** no rule can do more than the state of the case allows.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use watchfire_signal::{
    label::{Label, LabelPattern},
    name::MemberName,
};

use crate::standing::State;

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
    /// Whether the action takes something from an ordinary user's sight or refuses it.
    #[must_use]
    pub fn is_stricter_than_review(self) -> bool {
        !matches!(self, Self::Ignore | Self::Notify | Self::Label | Self::Review | Self::Preserve)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = ACTIONS.iter().find(|(_, action)| action == self).map_or("", |(text, _)| text);
        f.write_str(text)
    }
}

impl FromStr for Action {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        ACTIONS.iter().find(|(name, _)| *name == text).map(|(_, action)| *action).ok_or_else(|| {
            let known = ACTIONS.map(|(name, _)| name).join(", ");
            format!("`{text}` is no action; known are {known}")
        })
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

/// A member's rules: the `[policy]` part of its configuration.
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
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name; stands in every verdict that it led to.
    pub id: String,
    /// Labels that it speaks of: exact, `family.*` or `*`.
    pub label: Vec<LabelPattern>,
    /// States in which it acts.
    pub state: BTreeSet<State>,
    /// The least severity, 0 to 4.
    #[serde(default)]
    pub min_severity: u8,
    /// What it does.
    pub then: BTreeSet<Action>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            version: 1,
            default: Action::Review,
            trust: BTreeSet::new(),
            rules: standard_rules(),
        }
    }
}

fn one() -> u32 {
    1
}

fn review() -> Action {
    Action::Review
}

/// Remove and refuse what is confirmed; look at the rest.
fn standard_rules() -> Vec<Rule> {
    vec![Rule {
        id: "confirmed".to_owned(),
        label: vec![LabelPattern::Any],
        state: BTreeSet::from([State::Confirmed]),
        min_severity: 0,
        then: BTreeSet::from([Action::Remove, Action::BlockUpload, Action::Preserve]),
    }]
}

/// What is known about a matched case when a decision is made.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// The state of the case now.
    pub state: State,
    /// Whether it ever was CONFIRMED, lapsed since or not.
    pub was_confirmed: bool,
    /// Whether this member itself asserts or confirms, with a human look.
    pub own: bool,
    /// Whether a member that this one trusts stands by it, with a human look.
    pub trusted: bool,
    /// A drill never leads to anything.
    pub drill: bool,
    /// A record of an unknown version speaks of the case.
    pub unreadable: bool,
    /// The labels of the alert.
    pub labels: &'a [Label],
    /// 0 to 4.
    pub severity: u8,
}

/// What is to be done about one match.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decision {
    /// The actions.
    pub actions: BTreeSet<Action>,
    /// The rules that led to them; `default` when none spoke.
    pub rules: Vec<String>,
}

/// What a scan answers, mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing known speaks against it.
    Allow,
    /// Something mild is to be done.
    Flag,
    /// A person should look.
    Review,
    /// Refuse it.
    Block,
}

impl Decision {
    /// The verdict on an upload.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let blocks = [Action::BlockUpload, Action::Remove, Action::Hide];
        if blocks.iter().any(|action| self.actions.contains(action)) {
            Verdict::Block
        } else if self.actions.contains(&Action::Review) {
            Verdict::Review
        } else if self.actions.iter().any(|action| *action != Action::Ignore) {
            Verdict::Flag
        } else {
            Verdict::Allow
        }
    }

    /// What is to be done about a copy that the platform already shows, if it has to go.
    #[must_use]
    pub fn take_down(&self) -> Option<Action> {
        [Action::Remove, Action::Hide].into_iter().find(|action| self.actions.contains(action))
    }

    /// Puts two decisions about the same item together.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.actions.extend(other.actions);
        for rule in other.rules {
            if !self.rules.contains(&rule) {
                self.rules.push(rule);
            }
        }
        self
    }
}

/// The most that may happen automatically.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cap {
    Nothing,
    Review,
    Everything,
}

impl Facts<'_> {
    /// The state that counts for this member, and the cap that goes with it
    /// (`docs/states.md`).
    fn standing_here(&self) -> (State, Cap) {
        if self.drill {
            return (self.state, Cap::Nothing);
        }
        let (state, cap) = match self.state {
            State::Confirmed => (State::Confirmed, Cap::Everything),
            State::Proposed | State::Provisional if self.own || self.trusted => {
                (State::Confirmed, Cap::Everything)
            }
            State::Disputed if self.own => (State::Confirmed, Cap::Everything),
            State::Proposed | State::Provisional | State::Disputed => (self.state, Cap::Review),
            State::Lapsed if self.was_confirmed => (State::Lapsed, Cap::Review),
            State::Lapsed | State::Retracted => (self.state, Cap::Nothing),
        };
        if self.unreadable && cap == Cap::Everything { (state, Cap::Review) } else { (state, cap) }
    }

    /// Whether the law of the taxonomy forbids more than a label.
    fn label_only(&self) -> bool {
        !self.labels.iter().any(Label::is_automatic)
    }
}

impl Policy {
    /// What this member does about a match with a case.
    #[must_use]
    pub fn decide(&self, facts: &Facts<'_>) -> Decision {
        let (state, cap) = facts.standing_here();
        if cap == Cap::Nothing {
            return Decision::default();
        }
        let mut decision = self.apply_rules(facts, state);
        if cap == Cap::Review {
            soften(&mut decision.actions, Action::Review);
        }
        if facts.label_only() {
            decision.actions.remove(&Action::Review);
            soften(&mut decision.actions, Action::Label);
        }
        decision
    }

    fn apply_rules(&self, facts: &Facts<'_>, state: State) -> Decision {
        let mut decision = Decision::default();
        for rule in self.rules.iter().filter(|rule| rule.fits(facts, state)) {
            decision.actions.extend(&rule.then);
            decision.rules.push(rule.id.clone());
        }
        if decision.rules.is_empty() {
            decision.actions.insert(self.default);
            decision.rules.push("default".to_owned());
        }
        decision
    }
}

/// Replaces everything stricter than a review by `instead`.
fn soften(actions: &mut BTreeSet<Action>, instead: Action) {
    let before = actions.len();
    actions.retain(|action| !action.is_stricter_than_review());
    if actions.len() < before {
        actions.insert(instead);
    }
}

impl Rule {
    fn fits(&self, facts: &Facts<'_>, state: State) -> bool {
        self.state.contains(&state)
            && facts.severity >= self.min_severity
            && facts.labels.iter().any(|label| self.label.iter().any(|fits| fits.matches(label)))
    }
}
