//! Orders that their connectors cannot carry out in time: a person does them by hand, gives the
//! connector a larger budget, or lets them be late.
//!
//! **Invariant:** an order is late from the moment when it is known that it will be, not only when it
//! is.

use std::{collections::BTreeMap, sync::Arc};

use watchfire_store::{Effect, LateOrders, Store, StoreError};

use crate::{budget::Budget, clock::Clock};

/// Looks for late orders. Cheap to clone.
#[derive(Clone)]
pub struct Late {
    /// Where the outbox is.
    pub store: Arc<dyn Store>,
    /// Every connector, with what it may be asked.
    pub budgets: Arc<BTreeMap<String, Budget>>,
    /// The node's clock.
    pub clock: Arc<dyn Clock>,
}

impl Late {
    /// Up to `limit` late orders of all connectors with their row numbers above `after`, in order of
    /// the row.
    ///
    /// # Errors
    /// The store's.
    pub async fn page(&self, after: u64, limit: usize) -> Result<Vec<(u64, Effect)>, StoreError> {
        let mut late = BTreeMap::new();
        for (name, budget) in &*self.budgets {
            late.extend(self.store.effects_late(self.of(name, budget), after, limit).await?);
            while late.len() > limit {
                late.pop_last();
            }
        }
        Ok(late.into_iter().collect())
    }

    /// How many orders of each connector are late.
    ///
    /// # Errors
    /// The store's.
    pub async fn counts(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let mut counts = BTreeMap::new();
        for (name, budget) in &*self.budgets {
            counts.insert(name.clone(), self.store.count_late(self.of(name, budget)).await?);
        }
        Ok(counts)
    }

    fn of(&self, name: &str, budget: &Budget) -> LateOrders {
        let within_ms = u64::try_from(budget.within.as_millis()).unwrap_or(u64::MAX);
        LateOrders {
            connector: name.to_owned(),
            decided_ms: self.clock.now_ms().saturating_sub(within_ms),
            met: budget.met_in_time(),
        }
    }
}
