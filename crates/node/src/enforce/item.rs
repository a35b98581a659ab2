//! Looks at one item: at all that matches it, and all that ever had it taken down.

use std::{collections::BTreeMap, sync::Arc};

use watchfire_signal::{commitment::Commitment, name::ItemId};
use watchfire_store::{Effect, StoreError};

use super::{Consequences, effect::content_of};
use crate::{
    cases::SignalSet,
    facts::Decided,
    hold::{self, History, Judged, Ruling, Want, is_undone},
    policy::{Action, Decision, Facts, ItemFacts, Policy},
    reasons::Reason,
    review::Proposal,
};

impl Consequences {
    /// What is wanted for an item now.
    ///
    /// # Errors
    /// The store's.
    pub async fn wanted(&self, item: &ItemId, history: History<'_>) -> Result<Want, StoreError> {
        Ok(self.look(item, history, None).await?.want)
    }

    /// Looks at an item: at all that matches it, and all that ever had it taken down.
    pub(super) async fn look(
        &self,
        item: &ItemId,
        history: History<'_>,
        matches: Option<&Arc<SignalSet>>,
    ) -> Result<Looked, StoreError> {
        let held = self.seen.item(item).await?;
        let policy = self.reasons.judge.policy();
        let known = held.as_ref().map(|copy| copy.facts.clone()).unwrap_or_default();
        let about = (item, &known);
        let mut sets = BTreeMap::new();
        for effect in history.take_downs() {
            if let Some(judged) = self.again(&policy, about, effect) {
                sets.insert(judged.record, judged);
            }
        }
        if let Some(set) = matches {
            sets.insert(set.name, self.judged(&policy, about, set));
        }
        // What matches as the item is now is judged by how it matches.
        if let Some(copy) = &held {
            for reason in self.reasons.of(&policy, Some(item), (&**copy).into(), &known) {
                let judged = self.matched(&policy, reason);
                sets.insert(judged.record, judged);
            }
        }
        let judged = sets.into_values().collect::<Vec<_>>();
        let ruling = self.reasons.judge.people().ruling(item);
        let want = hold::judge(&judged, history, ruling);
        let now_ms = self.reasons.clock.now_ms();
        Ok(Looked { want, judged, ruling, policy_version: policy.version, now_ms })
    }

    /// What once had an item taken down, as it stands now; `None`: nobody knows it any more.
    fn again(
        &self,
        policy: &Policy,
        item: (&ItemId, &ItemFacts),
        effect: &Effect,
    ) -> Option<Judged> {
        let record = Commitment(effect.record);
        if let Some(set) = self.reasons.known.set(&record) {
            return Some(self.judged(policy, item, &set));
        }
        let place = content_of(effect)?;
        let (case, content) = (record, Some(place));
        let bank = self.reasons.banks.as_ref()?.bank_of(place);
        let Some(bank) = bank else {
            // This member has taken it out of its bank: that is taking it back.
            let (facts, decision) = <(Facts, Decision)>::default();
            return Some(Judged { case, record, content, facts, decision, undone: true });
        };
        let (facts, decision) = self.reasons.about_content(policy, item, &bank, place);
        let undone = is_cleared(policy, &facts);
        Some(Judged { case, record, content, facts, decision, undone })
    }

    fn judged(&self, policy: &Policy, item: (&ItemId, &ItemFacts), set: &SignalSet) -> Judged {
        let (facts, decision) = self.reasons.about_set(policy, item, set);
        let over = is_undone(set, self.reasons.clock.now_ms());
        let undone = comes_back(policy, &facts, over);
        let (case, record) = (set.subject, set.name);
        Judged { case, record, content: None, facts, decision, undone }
    }

    fn matched(&self, policy: &Policy, reason: Reason) -> Judged {
        let content = reason.content();
        let now = self.reasons.clock.now_ms();
        let set = self.reasons.known.set(&reason.record);
        let over = set.is_some_and(|set| is_undone(&set, now));
        let Reason { case, record, facts, decision, .. } = reason;
        let undone = comes_back(policy, &facts, over);
        Judged { case, record, content, facts, decision, undone }
    }
}

/// An item that was looked at.
pub(super) struct Looked {
    pub(super) want: Want,
    judged: Vec<Judged>,
    ruling: Option<Ruling>,
    policy_version: u32,
    now_ms: u64,
}

impl Looked {
    /// What is kept of the decisions.
    pub(super) fn decided(&self) -> impl Iterator<Item = Decided> {
        self.judged.iter().map(|judged| {
            let facts = judged.facts.clone();
            Decided::new(facts, Some(judged.case), &judged.decision, self.policy_version)
        })
    }

    /// What a person should see of it: an item that is shown and that policy wants looked at, one that is down and that
    /// nobody takes down any more, or one that is down by this member's own word while others have taken back theirs.
    pub(super) fn asks(&self, item: &ItemId, history: History<'_>) -> Option<Proposal> {
        let judged = match &self.want {
            Want::Up if self.ruling.is_none() => {
                let asks = self.judged.iter().filter(|one| one.decision.has(Action::Review));
                asks.max_by_key(|one| one.facts.severity)
            }
            Want::Wait => {
                let last = history.standing().last()?;
                self.judged.iter().find(|one| one.record.0 == last.record)
            }
            Want::Down(_) if self.ruling.is_none() => {
                let doubted = |one: &&Judged| one.facts.doubted && one.facts.human.is_none();
                self.judged.iter().filter(doubted).max_by_key(|one| one.facts.severity)
            }
            Want::Up | Want::Down(_) | Want::Keep => None,
        }?;
        Some(Proposal {
            queue: judged.decision.then.queue.clone(),
            case: judged.case,
            set: judged.record,
            labels: judged.facts.labels.clone(),
            severity: judged.facts.severity,
            item: item.clone(),
            at_ms: self.now_ms,
            content: judged.content,
        })
    }
}

/// Whether what took an item down is undone. What a person found harmful stays down where nothing is enforced any more,
/// too.
fn comes_back(policy: &Policy, facts: &Facts, over: bool) -> bool {
    let found = facts.advisory && facts.human.as_ref().is_some_and(|human| human.harmful);
    is_cleared(policy, facts) || over && !found
}

/// Whether a person, or a negative bank, speaks for the item.
fn is_cleared(policy: &Policy, facts: &Facts) -> bool {
    match &facts.human {
        Some(human) => !human.harmful,
        None => policy.is_suppressed(facts),
    }
}
