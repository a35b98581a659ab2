//! Brings the banks back at start, and clears away what a crash left of those that are gone.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use watchfire_store::{Batch, Row, Store, StoreError};

use super::{
    BANKS, Bank, Banks, CONTENTS, ContentPlace, Ledger, NEXT, NEXT_KEY, content, list, undone,
};
use crate::{clock::Clock, desk::Desk, looks::Enforcer, near::Near};

/// Rows read at once.
const PAGE: usize = 10_000;

/// What banks work with.
pub struct BankParts {
    /// Where they are.
    pub store: Arc<dyn Store>,
    /// Where changes are written down.
    pub desk: Desk,
    /// Told what has to be looked at.
    pub enforcer: Enforcer,
    /// The node's clock.
    pub clock: Arc<dyn Clock>,
    /// As in [`Near::new`].
    pub seed: [u8; 32],
    /// As in [`Near::new`].
    pub least_matched_ms: u32,
}

impl Banks {
    /// Loads all banks into memory.
    ///
    /// # Errors
    /// The store's; a row that cannot be read is [`StoreError::Corrupt`].
    pub async fn load(parts: BankParts) -> Result<Self, StoreError> {
        let BankParts { store, desk, enforcer, clock, seed, least_matched_ms } = parts;
        let mut ledger = next(&*store).await?;
        let banks = papaya::HashMap::new();
        let mut after = Vec::new();
        loop {
            let rows = store.rows(BANKS, &after, PAGE).await?;
            let Some((last, _)) = rows.last() else { break };
            after.clone_from(last);
            for (_, value) in &rows {
                let bank: Bank = serde_json::from_slice(value)
                    .map_err(|error| StoreError::Corrupt(format!("a row of banks: {error}")))?;
                banks.pin().insert(bank.number, Arc::new(bank));
            }
        }
        let loaded = Self {
            near: Near::of_known(seed, least_matched_ms),
            banks,
            contents: papaya::HashMap::new(),
            counts: Mutex::default(),
            ledger: tokio::sync::Mutex::new(Ledger {
                next_bank: 0,
                next_content: 0,
                by_identity: HashMap::new(),
            }),
            desk,
            store,
            enforcer,
            clock,
        };
        loaded.load_contents(&mut ledger).await?;
        *loaded.ledger.lock().await = ledger;
        Ok(loaded)
    }

    async fn load_contents(&self, ledger: &mut Ledger) -> Result<(), StoreError> {
        let mut after = Vec::new();
        loop {
            let rows = self.store.rows(CONTENTS, &after, PAGE).await?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            after.clone_from(last);
            let mut orphans = Vec::new();
            for (key, value) in rows {
                let (bank, content) = list::read(&key, &value)?;
                if !self.banks.pin().contains_key(&bank) {
                    orphans.push(ContentPlace { bank, content: content.id });
                    continue;
                }
                self.publish(bank, &content);
                self.count(bank, |counts| counts.add(&content.new.signals));
                let identity = content::identity(&content.new.signals);
                ledger.by_identity.insert((bank, identity), content.id);
            }
            if !orphans.is_empty() {
                let undone = undone::with_effects(&*self.store, orphans.iter().copied()).await?;
                let keys = orphans.iter().map(|place| content::key(place.bank, place.content));
                let gone = keys.map(|key| Row { table: CONTENTS, key, value: None });
                let rows = gone.chain(undone.into_iter().map(undone::row)).collect();
                let batch = Batch { rows, ..Batch::default() };
                let failed =
                    |error| StoreError::Failed(format!("contents without a bank: {error}"));
                self.store.commit(batch).await.map_err(failed)?;
            }
        }
    }
}

/// What number and id come next.
async fn next(store: &dyn Store) -> Result<Ledger, StoreError> {
    let (mut next_bank, mut next_content) = (1, 1);
    if let Some(value) = store.row(NEXT, NEXT_KEY).await? {
        let parts = value.split_first_chunk::<4>();
        let parts = parts.and_then(|(bank, rest)| Some((*bank, rest.try_into().ok()?)));
        let (bank, content) =
            parts.ok_or_else(|| StoreError::Corrupt("the row of bank numbers".to_owned()))?;
        (next_bank, next_content) = (u32::from_be_bytes(bank), u64::from_be_bytes(content));
    }
    Ok(Ledger { next_bank, next_content, by_identity: HashMap::new() })
}
