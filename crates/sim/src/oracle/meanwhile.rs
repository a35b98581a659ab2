//! What must hold while things still go wrong, of a member with which nothing is wrong at the moment.

use std::collections::BTreeMap;

use watchfire_node::EffectState;
use watchfire_signal::{commitment::Commitment, name::MemberName};
use watchfire_store::{Effect, StoreError};

use super::{Oracle, Reading, Rule};
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

impl Reading {
    /// Whether every case that ever took an item down has been undone, and none takes it down at a moment.
    pub(super) fn undoes(&self, effects: &[Effect], at_ms: u64) -> bool {
        let given_up =
            |effect: &Effect| matches!(effect.state, EffectState::Dead | EffectState::Dropped);
        let undone = |effect: &Effect| {
            let case = self.cases.get(&Commitment(effect.record));
            let outlook = case.map(|case| self.outlook(case));
            outlook.is_some_and(|outlook| outlook.gives_back(at_ms))
        };
        !effects.iter().any(given_up) && effects.iter().all(undone)
    }
}
