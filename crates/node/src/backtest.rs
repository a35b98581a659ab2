//! Tries a policy on the facts of what was decided before, beside the policy in force: what would be
//! done that is not, and what no more.
//!
//! **Invariant:** only facts are read, never content, and nothing is changed.
//! **Invariant:** the policy in force, tried on itself, changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use watchfire_store::StoreError;

use crate::{
    facts::{Cursor, Decided, KeptFacts},
    judge::Judge,
    policy::{Facts, Mode, Policy},
};

/// Groups of decisions in one step: at most 16,384 decisions, a fraction of a second.
pub const GROUPS: usize = 16;

/// What a policy would have done.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Backtest {
    /// Decisions that were replayed.
    pub decisions: u64,
    /// Those about which a person has decided.
    pub judged: u64,
    /// Decisions of which something else would come.
    pub changed: u64,
    /// Each rule of both policies.
    pub rules: BTreeMap<String, RuleBacktest>,
}

/// What one rule would have done.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RuleBacktest {
    /// Its mode in the policy that is tried; `None`: it has no such rule.
    pub mode: Option<Mode>,
    /// Decisions in which it fires.
    pub acts: u64,
    /// Those in which the policy in force has it not firing.
    pub newly: u64,
    /// Those in which it fires in the policy in force only.
    pub no_longer: u64,
    /// Other rules that fire in the same decisions, and in how many.
    pub overlap: BTreeMap<String, u64>,
    /// Of the decisions in which it fires: a person called the item harmful.
    pub harmful: u64,
    /// A person called it benign.
    pub benign: u64,
}

impl RuleBacktest {
    /// Decisions that a person has judged.
    #[must_use]
    pub fn judged(&self) -> u64 {
        self.harmful + self.benign
    }

    /// The part of them in which the person agrees; `None`: nobody has judged any.
    #[must_use]
    pub fn precision(&self) -> Option<f64> {
        (self.judged() > 0).then(|| self.harmful as f64 / self.judged() as f64)
    }
}

impl Backtest {
    /// A report on two policies before anything was replayed: every rule stands in it.
    #[must_use]
    pub fn of(in_force: &Policy, tried: &Policy) -> Self {
        let mut report = Self::default();
        for rule in &in_force.rules {
            report.rules.entry(rule.id.clone()).or_default();
        }
        for rule in &tried.rules {
            report.rules.entry(rule.id.clone()).or_default().mode = Some(rule.mode);
        }
        report
    }

    /// Takes another part of the same report in.
    pub fn add(&mut self, other: Self) {
        self.decisions += other.decisions;
        self.judged += other.judged;
        self.changed += other.changed;
        for (id, part) in other.rules {
            let rule = self.rules.entry(id).or_default();
            rule.mode = rule.mode.or(part.mode);
            rule.acts += part.acts;
            rule.newly += part.newly;
            rule.no_longer += part.no_longer;
            rule.harmful += part.harmful;
            rule.benign += part.benign;
            for (other, count) in part.overlap {
                *rule.overlap.entry(other).or_default() += count;
            }
        }
    }

    /// Replays one decision. `ruling` is what a person said of the item.
    pub fn replay(
        &mut self,
        in_force: &Policy,
        tried: &Policy,
        facts: &Facts,
        ruling: Option<bool>,
    ) {
        // What a person said is what rules are measured by, so they do not get to see it.
        let ruling = ruling.or_else(|| facts.human.as_ref().map(|human| human.harmful));
        let facts = Facts { human: None, ..facts.clone() };
        let (before, after) = (in_force.decide(&facts), tried.decide(&facts));
        self.decisions += 1;
        self.judged += u64::from(ruling.is_some());
        self.changed += u64::from(before.then != after.then);
        let ids = |decision: &crate::policy::Decision| {
            decision.rules.iter().map(|rule| rule.id.clone()).collect::<BTreeSet<_>>()
        };
        let (before, after) = (ids(&before), ids(&after));
        for id in &after {
            let rule = self.rules.entry(id.clone()).or_default();
            rule.acts += 1;
            rule.newly += u64::from(!before.contains(id));
            rule.harmful += u64::from(ruling == Some(true));
            rule.benign += u64::from(ruling == Some(false));
            for other in after.iter().filter(|other| *other != id) {
                *rule.overlap.entry(other.clone()).or_default() += 1;
            }
        }
        for id in before.difference(&after) {
            self.rules.entry(id.clone()).or_default().no_longer += 1;
        }
    }
}

/// Replays one step of what was kept after a cursor beside the policy in force, measured by what people
/// say now; answers the part of the report and the cursor
/// after it, `None` at the end.
///
/// # Errors
/// The store's.
pub async fn step(
    kept: &KeptFacts,
    judge: &Judge,
    tried: &Policy,
    after: &[u8],
) -> Result<(Backtest, Option<Cursor>), StoreError> {
    let in_force = judge.policy();
    let mut report = Backtest::of(&in_force, tried);
    let Some((decisions, next)) = kept.page(after, GROUPS).await? else {
        return Ok((report, None));
    };
    for Decided { facts, case, .. } in &decisions {
        let said = case.and_then(|case| judge.human(facts.item.as_ref(), &case));
        report.replay(&in_force, tried, facts, said.map(|human| human.harmful));
    }
    Ok((report, Some(next)))
}
