//! Says of every rule why it fires for a match, or which condition does not fit.

use serde::Serialize;

use super::{Decision, Facts, Mode, Policy, Rule, decide::Seen, typed::state_word};

/// One condition of a rule beside what is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// The key in the file.
    pub key: &'static str,
    /// What the rule asks for.
    pub wants: String,
    /// What is known; `None`: it is not.
    pub known: Option<String>,
    /// Whether it fits.
    pub fits: bool,
}

/// What became of one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// Its id.
    pub rule: String,
    /// Whether it acts.
    pub mode: Mode,
    /// Whether it fired.
    pub fired: bool,
    /// Its conditions, in the order of the file's keys.
    pub conditions: Vec<Condition>,
}

/// Why a match is decided as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The policy.
    pub policy_version: u32,
    /// All that policy looked at.
    pub facts: Facts,
    /// The state that counts for this member.
    pub counts_as: Option<&'static str>,
    /// The most that may happen automatically: `nothing`, `review`, `reversible`, `everything`.
    pub cap: &'static str,
    /// Why that is less than what is known of the match allows, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lowered: Option<&'static str>,
    /// Whether a negative bank speaks against the match.
    pub suppressed: bool,
    /// Every rule.
    pub rules: Vec<Explained>,
    /// What is to be done, in the words of a file.
    pub then: Vec<String>,
    /// The rules that acted.
    pub acted: Vec<String>,
}

impl Policy {
    /// Why a match is decided as it is.
    #[must_use]
    pub fn explain(&self, facts: &Facts) -> Explanation {
        let (state, cap) = facts.standing_here(self);
        let seen = Seen::of(facts, state);
        let decision: Decision = self.decide(facts);
        Explanation {
            policy_version: self.version,
            facts: facts.clone(),
            counts_as: state.map(state_word),
            cap: cap.word(),
            lowered: facts.lowered(self),
            suppressed: self.is_suppressed(facts),
            rules: self.rules.iter().map(|rule| rule.explain(&seen)).collect(),
            acted: decision.acted().map(str::to_owned).collect(),
            then: decision.then.words(),
        }
    }
}

impl Rule {
    fn explain(&self, seen: &Seen<'_>) -> Explained {
        let conditions = self.conditions(seen);
        let fits = conditions.iter().all(|condition| condition.fits);
        let fired = fits && self.mode != Mode::Draft;
        Explained { rule: self.id.clone(), mode: self.mode, fired, conditions }
    }

    /// Every condition that the rule names, in the order in which [`Rule::fits`] looks at them.
    fn conditions(&self, seen: &Seen<'_>) -> Vec<Condition> {
        let facts = seen.facts;
        let mut all = Vec::new();
        let mut add = |key, wants: String, known: Option<String>, fits| {
            all.push(Condition { key, wants, known, fits });
        };
        let text = |number: Option<u32>| number.map(|number| number.to_string());
        if self.min_severity > 0 {
            let known = Some(facts.severity.to_string());
            add("min_severity", self.min_severity.to_string(), known, self.fits_severity(seen));
        }
        if !self.label.is_empty() {
            let known = list(seen.labels);
            add("label", list(&self.label), Some(known), self.fits_label(seen));
        }
        if !self.state.is_empty() {
            let wants = self.state.iter().map(|state| state_word(*state)).collect::<Vec<_>>();
            let known = seen.state.map(|state| state_word(state).to_owned());
            add("state", wants.join(", "), known, self.fits_state(seen));
        }
        if !self.bank.is_empty() {
            let known = facts.bank.as_ref().map(ToString::to_string);
            add("bank", list(&self.bank), known, self.fits_bank(seen));
        }
        if let Some(least) = self.min_confirmations {
            let known = Some(facts.confirmations.to_string());
            add("min_confirmations", least.to_string(), known, self.fits_confirmations(seen));
        }
        if let Some(kind) = self.kind {
            let known = facts.kind.map(|kind| kind.word().to_owned());
            add("match", kind.word().to_owned(), known, self.fits_kind(seen));
        }
        if let Some(most) = self.max_distance {
            add("max_distance", most.to_string(), text(facts.distance), self.fits_distance(seen));
        }
        if let Some(least) = self.min_matched_ms {
            let fits = self.fits_matched(seen);
            add("min_matched_ms", least.to_string(), text(facts.matched_ms), fits);
        }
        if let Some(expires) = self.expires {
            let fits = !expires.is_over(facts.at_ms);
            add("expires", expires.to_string(), Some(facts.at_ms.to_string()), fits);
        }
        if let Some(part) = self.rollout {
            let known = facts.item.as_ref().map(ToString::to_string);
            add("rollout", part.to_string(), known, self.rolls_out_to(facts.item.as_ref()));
        }
        if let Some(when) = &self.when {
            let holds = when.get_ref().holds(facts);
            let known = holds.map(|holds| holds.to_string());
            add("when", when.get_ref().text().to_owned(), known, holds == Some(true));
        }
        all
    }
}

fn list(items: impl IntoIterator<Item = impl ToString>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}
