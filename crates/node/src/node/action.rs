//! What persons do about the outbox: look at it, try again what was given up, give it up for good,
//! rule that an item is shown or stays as it is.
//!
//! **Invariant:** nothing here happens without its line in the desk log, in the same transaction.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use watchfire_signal::{effect::EffectName, name::ItemId};
use watchfire_store::{Effect, EffectState, OutboxCounts, Settlement, StoreError};

use super::Node;
use crate::{
    desk::{Actor, Deed, DeskKind, Line, WriteError},
    hold::{History, Ruling},
    people::{About, Ruled, Word},
};

/// A desk line: a person intervened in the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intervened {
    /// The effect's name in hexadecimal.
    pub effect: String,
    /// The item.
    pub item: String,
    /// What was done.
    pub what: Intervention,
}

/// What a person can do about an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intervention {
    /// Try again what was given up.
    Retry,
    /// Give up for good what is pending or was given up.
    Drop,
}

impl Deed for Intervened {
    const KIND: DeskKind = DeskKind::Outbox;
}

/// Why a person's word about the outbox was not taken; nothing changed then, unless writing failed.
#[derive(Debug, Error)]
pub enum ActionError {
    /// There is no such effect, or nothing was ever done about the item.
    #[error("nothing of that name is in the outbox")]
    Unknown,
    /// It is not at a point where this makes sense.
    #[error("{0}")]
    NotNow(&'static str),
    /// It could not be written down.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Node {
    /// The effects on an item, in the order in which they were decided.
    ///
    /// # Errors
    /// The store's.
    pub async fn effects(&self, item: &ItemId) -> Result<Vec<Effect>, StoreError> {
        self.store.effects_of_item(item.as_str()).await
    }

    /// Up to `limit` effects in a state with their row numbers above `after`.
    ///
    /// # Errors
    /// The store's.
    pub async fn effects_in(
        &self,
        state: EffectState,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Effect)>, StoreError> {
        self.store.effects_in(state, after, limit).await
    }

    /// Up to `limit` effects with their row numbers above `after` that their connectors cannot carry
    /// out in time.
    ///
    /// # Errors
    /// The store's.
    pub async fn late_effects(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Effect)>, StoreError> {
        self.late.page(after, limit).await
    }

    /// How many effects of each connector cannot be carried out in time.
    ///
    /// # Errors
    /// The store's.
    pub async fn late_counts(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        self.late.counts().await
    }

    /// What waits in the outbox.
    ///
    /// # Errors
    /// The store's.
    pub async fn outbox_counts(&self) -> Result<OutboxCounts, StoreError> {
        self.store.outbox_counts(None).await
    }

    /// Tries an effect again, or gives it up for good, on a person's word. What was tried again keeps
    /// one attempt on its account: the platform may have heard of it.
    ///
    /// # Errors
    /// [`ActionError`]
    pub async fn intervene(
        &self,
        actor: &Actor,
        name: EffectName,
        what: Intervention,
    ) -> Result<Effect, ActionError> {
        let effect = self.store.effect(name.0).await?.ok_or(ActionError::Unknown)?;
        let (state, attempts) = match (what, effect.state) {
            (Intervention::Retry, EffectState::Dead) => {
                (EffectState::Pending, effect.attempts.min(1))
            }
            (Intervention::Retry, _) => {
                return Err(ActionError::NotNow("only what was given up can be tried again"));
            }
            (Intervention::Drop, EffectState::Dead | EffectState::Pending) => {
                (EffectState::Dropped, effect.attempts)
            }
            (Intervention::Drop, _) => {
                return Err(ActionError::NotNow(
                    "only what is pending or was given up can be dropped",
                ));
            }
        };
        let deed = Intervened { effect: name.to_string(), item: effect.item.clone(), what };
        let due_ms = self.clock.now_ms();
        let note = format!(
            "{} by {actor}",
            if what == Intervention::Retry { "retried" } else { "dropped" }
        );
        // What served the item then may be gone by now.
        let connector = match what {
            Intervention::Retry => self.consequences.routes.again(&effect).to_owned(),
            Intervention::Drop => effect.connector.clone(),
        };
        let settlement = Settlement {
            name: name.0,
            state,
            attempts,
            due_ms,
            note: note.clone(),
            connector: Some(connector.clone()),
        };
        self.desk().write(Line::new(actor, &deed)?.settlements([settlement])).await?;
        self.consequences.outbox.notify_waiters();
        Ok(Effect { connector, state, attempts, due_ms, note, ..effect })
    }

    /// Rules about an item on a person's word: it is shown, or stays as it is, whatever cases say
    /// from now on.
    ///
    /// # Errors
    /// [`ActionError`]
    pub async fn rule(&self, actor: &Actor, ruled: Ruled) -> Result<(), ActionError> {
        let item = ruled.item.clone();
        let effects = self.effects(&item).await?;
        if effects.is_empty() {
            return Err(ActionError::Unknown);
        }
        let history = History(&effects);
        let (about, word) =
            (About::Item(item.clone()), Word::of(ruled.ruling, self.clock.now_ms()));
        let mut line = Line::new(actor, &ruled)?.rows([about.row(Some(&word))]);
        match ruled.ruling {
            Ruling::Keep if history.standing().next().is_none() => {
                return Err(ActionError::NotNow("the item is not down"));
            }
            Ruling::Keep => {}
            Ruling::Restore => line = line.effects(self.consequences.restore(&item, history, true)),
        }
        self.desk().write(line).await?;
        self.judge.people().hold(about, word);
        self.consequences.decide(&[item], None).await?;
        self.consequences.outbox.notify_waiters();
        Ok(())
    }
}
