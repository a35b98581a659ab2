//! What a node does with its policy besides deciding by it: another version, a trial, an explanation.

use thiserror::Error;
use watchfire_signal::{commitment::Commitment, name::ItemId};
use watchfire_store::StoreError;

use super::Node;
use crate::{
    backtest::{self, Backtest},
    desk::{Actor, WriteError},
    facts::{Cursor, Decided, KeptFacts},
    holds::{Hold, Holds},
    looks::Look,
    policies::{ApplyError, Policies, Version},
    policy::{self, Explanation, Mode, Policy},
};

/// How far back an explanation looks for an item that is not held: a week.
const EXPLAIN_BACK_MS: u64 = 7 * 86_400_000;
/// How far back a promotion measures: 30 days.
const PROMOTE_BACK_MS: u64 = 30 * 86_400_000;

/// Why a rule stays in shadow.
#[derive(Debug, Error)]
pub enum PromoteError {
    /// There is no such rule.
    #[error("the policy in force has no rule `{0}`")]
    Unknown(String),
    /// It is not in shadow.
    #[error("the rule is {0}, not shadow")]
    NotShadow(&'static str),
    /// The policy is that of the configuration.
    #[error("the policy in force stands in the configuration: apply it as a file first")]
    NoFile,
    /// Too few of its matches were judged by people.
    #[error(
        "people have judged {judged} of its matches in 30 days, and {needed} are needed (promotion.min_sample)"
    )]
    TooFew {
        /// Judged.
        judged: u64,
        /// Needed.
        needed: u64,
    },
    /// People disagree too often.
    #[error(
        "people agree with {percent:.1} % of its matches, and {needed:.1} % are needed (promotion.min_precision)"
    )]
    TooImprecise {
        /// The precision, in percent.
        percent: f64,
        /// Needed, in percent.
        needed: f64,
    },
    /// The changed file did not come into force.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Node {
    /// The versions of the policy.
    #[must_use]
    pub fn policies(&self) -> &Policies {
        &self.policies
    }

    /// What was decided before.
    #[must_use]
    pub fn kept_facts(&self) -> &KeptFacts {
        &self.facts
    }

    /// Take-downs that wait for a person.
    #[must_use]
    pub fn holds(&self) -> &Holds {
        &self.holds
    }

    /// Releases a held case and has its copies looked at; `None`: it is not held.
    ///
    /// # Errors
    /// [`WriteError`]; it is held as before.
    pub async fn release(
        &self,
        case: &Commitment,
        actor: &Actor,
    ) -> Result<Option<Hold>, WriteError> {
        let released = self.holds.release(case, actor).await?;
        if let Some(content) = released.as_ref().and_then(|hold| hold.content) {
            self.enforcer.look_at(Look::Content(content), None, false);
        } else if released.is_some() {
            for set in self.known.sets_of(&[*case]) {
                self.enforcer.look_at(Look::Set(set.name), Some(set.author()), false);
            }
        }
        Ok(released)
    }

    /// One step of a trial of a policy beside the one in force, on what was kept after a cursor.
    ///
    /// # Errors
    /// The store's.
    pub async fn backtest(
        &self,
        tried: &Policy,
        after: &[u8],
    ) -> Result<(Backtest, Option<Cursor>), StoreError> {
        backtest::step(&self.facts, &self.judge, tried, after).await
    }

    /// Puts a rule that is in shadow in force, if people agree with it often enough.
    ///
    /// # Errors
    /// [`PromoteError`]; the rule stays in shadow.
    pub async fn promote(&self, rule: &str, actor: &Actor) -> Result<Version, PromoteError> {
        let policy = self.judge.policy();
        let known = policy.rules.iter().find(|known| known.id == rule);
        let known = known.ok_or_else(|| PromoteError::Unknown(rule.to_owned()))?;
        if known.mode != Mode::Shadow {
            return Err(PromoteError::NotShadow(known.mode.word()));
        }
        let version = self.policies.version(policy.version).await?.ok_or(PromoteError::NoFile)?;
        let text = policy::promoted(&version.text, rule).ok_or(PromoteError::NoFile)?;
        let mut report = Backtest::default();
        let since = self.clock.now_ms().saturating_sub(PROMOTE_BACK_MS);
        let mut after = Some(KeptFacts::since(since));
        while let Some(cursor) = after {
            let (part, next) = backtest::step(&self.facts, &self.judge, &policy, &cursor).await?;
            report.add(part);
            after = next;
        }
        let measured = report.rules.remove(rule).unwrap_or_default();
        let needed = u64::from(policy.promotion.min_sample);
        if measured.judged() < needed {
            return Err(PromoteError::TooFew { judged: measured.judged(), needed });
        }
        let (least, precision) =
            (policy.promotion.min_precision, measured.precision().unwrap_or(0.0));
        if precision < least {
            let (percent, needed) = (100.0 * precision, 100.0 * least);
            return Err(PromoteError::TooImprecise { percent, needed });
        }
        let promoted = Some(rule.to_owned());
        Ok(self.policies.put_in_force(&text, actor, promoted).await?.0)
    }

    /// Why an item is decided as it is: by its signals, if it is held here; else by the facts that were
    /// kept of it in the last week. Empty: nothing that is known matches it.
    ///
    /// # Errors
    /// The store's.
    pub async fn explain(&self, item: &ItemId) -> Result<Vec<Explanation>, StoreError> {
        let policy = self.judge.policy();
        if let Some(held) = self.seen.item(item).await? {
            let matched = self.scanner.facts(Some(item), (&*held).into(), &held.facts);
            return Ok(matched.iter().map(|facts| policy.explain(facts)).collect());
        }
        let mut found = Vec::<Decided>::new();
        let since = self.clock.now_ms().saturating_sub(EXPLAIN_BACK_MS);
        let mut after = KeptFacts::since(since);
        while let Some((decided, next)) = self.facts.page(&after, backtest::GROUPS).await? {
            let of_it = decided.into_iter().filter(|one| one.facts.item.as_ref() == Some(item));
            found.extend(of_it);
            after = next;
        }
        // Of what was decided at several times, the last counts.
        let last = found.iter().map(|decided| decided.facts.at_ms).max();
        let newest = found.iter().filter(|decided| Some(decided.facts.at_ms) == last);
        Ok(newest.map(|decided| policy.explain(&decided.facts)).collect())
    }
}
