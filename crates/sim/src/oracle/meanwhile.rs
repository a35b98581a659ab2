//! What must hold while things still go wrong, of a member with which nothing is wrong at the moment.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError},
};

use watchfire_node::{EffectState, incidents::Incident};
use watchfire_signal::{commitment::Commitment, name::MemberName};
use watchfire_store::{Effect, StoreError};

use super::{Course, Oracle, Phase, Reading, Rule, incidents::courses};
use crate::pictures::Posted;

impl Oracle {
    /// Whether a member that nothing has been wrong with for so long has given back what it had to give back by then: when
    /// the term of a case ends no message comes, and nobody needs to be reached.
    ///
    /// # Errors
    /// The store's.
    pub async fn look_at_hidden(
        &self,
        member: &MemberName,
        posted: BTreeMap<String, Posted>,
        quiet_ms: u64,
    ) -> Result<(), StoreError> {
        let Some(view) = self.view(member.as_str()) else { return Ok(()) };
        let forgotten =
            |item: &str| self.state().forgotten.contains(&(member.clone(), item.to_owned()));
        let mut hidden = Vec::new();
        for (item, posted) in posted {
            if posted.hidden && !forgotten(&item) {
                let effects = view.disk.durable().effects_of_item(&item).await?;
                // What is under way comes, or is tried again.
                let waits = effects.iter().any(|effect| effect.state == EffectState::Pending);
                if !effects.is_empty() && !waits {
                    hidden.push((item, effects));
                }
            }
        }
        if hidden.is_empty() {
            return Ok(());
        }
        let now_ms = view.now_ms();
        let then_ms = now_ms.saturating_sub(quiet_ms);
        let (logs, charters) = (self.logs(view).await?, self.charters(view).await?);
        let known = [u64::MAX, then_ms].map(|before_ms| Reading::of(&logs, &charters, before_ms));
        for (item, effects) in hidden {
            let undone = |reading: &Reading| {
                [now_ms, then_ms].iter().all(|at_ms| reading.undoes(&effects, *at_ms))
            };
            if known.iter().all(undone) {
                let what = format!("{item}, {quiet_ms} ms after nothing held it any more");
                self.object(Rule::StillHidden, member, what);
            }
        }
        Ok(())
    }
}

impl Oracle {
    /// Whether the incidents of a member that nothing has been wrong with for so long are what its records say, or said a
    /// moment ago: one that lapses or ends does so without any message.
    ///
    /// # Errors
    /// The store's.
    pub async fn look_at_incidents(
        &self,
        member: &MemberName,
        all: &[Arc<Incident>],
        quiet_ms: u64,
    ) -> Result<(), StoreError> {
        let Some(view) = self.view(member.as_str()) else { return Ok(()) };
        let now_ms = view.now_ms();
        let then_ms = now_ms.saturating_sub(quiet_ms);
        let known = phases(&courses(all, now_ms));
        let logs = self.logs(view).await?;
        let verified = logs.iter().flat_map(|(_, held)| held.iter().map(|held| held.verified_ms));
        // What has come since may not be looked at yet, from any of it on.
        let news: BTreeSet<u64> = verified.filter(|ms| *ms >= then_ms).collect();
        let before = || [u64::MAX].into_iter().chain(news.iter().rev().map(|ms| ms - 1));
        let began = view.began.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let charters = [Arc::new(self.charters(view).await?), began];
        for (charters, before_ms) in
            charters.iter().flat_map(|charters| before().map(move |ms| (charters, ms)))
        {
            let reading = Reading::of(&logs, charters, before_ms);
            if [now_ms, then_ms].iter().any(|at_ms| phases(&reading.incidents(*at_ms)) == known) {
                return Ok(());
            }
        }
        let wanted = Reading::of(&logs, &charters[0], u64::MAX).incidents(now_ms);
        let what = format!("{wanted:?}, and not for {quiet_ms} ms {known:?}");
        self.object(Rule::IncidentsDiffer, member, what);
        Ok(())
    }
}

/// Where incidents are.
fn phases(of: &BTreeMap<Commitment, Course>) -> BTreeMap<Commitment, Phase> {
    of.iter().map(|(name, course)| (*name, course.phase)).collect()
}

impl Reading {
    /// Whether every case that ever took an item down has been undone, and none takes it down at a moment.
    pub(super) fn undoes(&self, effects: &[Effect], at_ms: u64) -> bool {
        let given_up =
            |effect: &Effect| matches!(effect.state, EffectState::Dead | EffectState::Dropped);
        let undone = |effect: &Effect| {
            let case = self.cases.get(&Commitment(effect.record));
            let outlook = case.map(|case| self.outlook(case, at_ms));
            outlook.is_some_and(|outlook| outlook.gives_back(at_ms))
        };
        !effects.iter().any(given_up) && effects.iter().all(undone)
    }
}
