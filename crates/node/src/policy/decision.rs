//! What is to be done about an item, and by which rules.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Action, Mode, Then};

/// A rule that fired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fired {
    /// Its id; `default` when no rule spoke, `human` for a person's decision.
    pub id: String,
    /// Whether it acted.
    pub mode: Mode,
}

/// Why a decision waits for a person, although the rules would act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// More cases than `cases_enforced_per_minute`.
    CasesPerMinute,
    /// More cases of one member than `cases_enforced_per_source_per_hour`.
    CasesPerSourcePerHour,
    /// More matches older than the case than `older_matches_per_signal`.
    OlderMatches,
    /// More matches a day in the week before the case than `expected_matches_per_day`.
    ExpectedMatches,
    /// More cases of one member held for what they match than `held_cases_per_source_per_hour`.
    HeldCasesPerSource,
    /// Near something that is everybody's.
    BenignSet,
}

impl Held {
    /// Whether the doubt is gone once persons of enough organisations have looked.
    #[must_use]
    pub fn ends_confirmed(self) -> bool {
        matches!(self, Self::OlderMatches | Self::HeldCasesPerSource)
    }

    /// Whether the source has listed what it should not have, so that its breaker counts.
    #[must_use]
    pub fn is_implausible(self) -> bool {
        matches!(self, Self::OlderMatches | Self::ExpectedMatches | Self::BenignSet)
    }

    /// The name of the limit, as a policy file has it; the benign set is no limit and cannot be changed.
    #[must_use]
    pub fn limit(self) -> &'static str {
        match self {
            Self::CasesPerMinute => "cases_enforced_per_minute",
            Self::CasesPerSourcePerHour => "cases_enforced_per_source_per_hour",
            Self::OlderMatches => "older_matches_per_signal",
            Self::ExpectedMatches => "expected_matches_per_day",
            Self::HeldCasesPerSource => "held_cases_per_source_per_hour",
            Self::BenignSet => "benign_set",
        }
    }
}

/// What is to be done about one match, or about all matches of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What is to be done.
    pub then: Then,
    /// The rules that fired, those in shadow mode too.
    pub rules: Vec<Fired>,
    /// Why it waits for a person.
    pub held: Option<Held>,
    /// Whether what is removed has to be kept, so that it can come back.
    pub reversible: bool,
}

impl Default for Decision {
    fn default() -> Self {
        Self { then: Then::default(), rules: Vec::new(), held: None, reversible: true }
    }
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

impl Verdict {
    /// The word in answers and metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Flag => "flag",
            Self::Review => "review",
            Self::Block => "block",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Decision {
    /// Whether an action is to be taken.
    #[must_use]
    pub fn has(&self, action: Action) -> bool {
        self.then.actions.contains(&action)
    }

    /// The verdict on an upload.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let blocks = [Action::BlockUpload, Action::Remove, Action::Hide];
        if blocks.iter().any(|action| self.has(*action)) {
            Verdict::Block
        } else if self.has(Action::Review) {
            Verdict::Review
        } else if self.then.actions.iter().any(|action| *action != Action::Ignore) {
            Verdict::Flag
        } else {
            Verdict::Allow
        }
    }

    /// What is to be done about a copy that the platform already shows, if it has to go.
    #[must_use]
    pub fn take_down(&self) -> Option<Action> {
        [Action::Remove, Action::Hide].into_iter().find(|action| self.has(*action))
    }

    /// The ids of the rules that acted.
    pub fn acted(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().filter(|rule| rule.mode == Mode::Live).map(|rule| rule.id.as_str())
    }

    /// Puts two decisions about the same item together.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.then.add(&other.then);
        for rule in other.rules {
            if !self.rules.contains(&rule) {
                self.rules.push(rule);
            }
        }
        self.held = self.held.or(other.held);
        self.reversible &= other.reversible;
        self
    }

    /// What is left of it while it waits for a person; what is no stricter than a review stays.
    #[must_use]
    pub fn hold(mut self, why: Held) -> Self {
        let before = self.then.clone();
        super::cap::soften(&mut self.then, Action::Review);
        if self.then != before {
            self.held = Some(why);
        }
        self
    }
}
