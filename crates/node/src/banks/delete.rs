//! Deletes a bank with its contents.

use std::sync::Arc;

use watchfire_signal::name::BankName;
use watchfire_store::{Batch, Row};

use super::{
    Bank, BankDeed, BankError, BankNumber, BankWhat, Banks, CONTENTS, ContentPlace, content,
    refusal, to_its_end, undone,
};
use crate::{
    desk::{Actor, Line},
    looks::Look,
};

/// Contents taken away in one transaction.
const PAGE: usize = 4_096;

impl Banks {
    /// Deletes a bank. It matches nothing from the moment it is gone; its contents are cleared away
    /// before this returns, and by the next start if this process dies before that.
    ///
    /// # Errors
    /// [`BankError`]
    pub async fn delete(self: &Arc<Self>, actor: &Actor, name: BankName) -> Result<(), BankError> {
        let (banks, actor) = (self.clone(), actor.clone());
        let work = async move {
            let bank = banks.end(&actor, &name).await?;
            banks.clear(bank.number).await?;
            banks.speaks_for_less(&bank);
            banks.count(bank.number, |counts| *counts = super::Counts::default());
            Ok(())
        };
        to_its_end(work).await
    }

    async fn end(&self, actor: &Actor, name: &BankName) -> Result<Arc<Bank>, BankError> {
        let _ledger = self.ledger.lock().await;
        let bank = self.named(name)?;
        let row = Row { value: None, ..bank.row()? };
        let deed = BankDeed { what: BankWhat::Delete, bank: (*bank).clone() };
        self.desk.write(Line::new(actor, &deed)?.rows([row])).await?;
        // What a crash leaves behind from here on are contents without a bank; the start clears them.
        self.banks.pin().remove(&bank.number);
        Ok(bank)
    }

    /// Clears the contents of a bank that is gone, a page at a time, so that other writers get on.
    async fn clear(&self, bank: BankNumber) -> Result<(), BankError> {
        loop {
            let mut ledger = self.ledger.lock().await;
            let page = self.page(bank, None, PAGE).await?;
            if page.is_empty() {
                return Ok(());
            }
            let places = page.iter().map(|content| ContentPlace { bank, content: content.id });
            let undone = undone::with_effects(&*self.store, places).await?;
            let keys = page.iter().map(|content| content::key(bank, content.id));
            let rows = keys.map(|key| Row { table: CONTENTS, key, value: None });
            let rows = rows.chain(undone.iter().copied().map(undone::row)).collect();
            self.store.commit(Batch { rows, ..Batch::default() }).await.map_err(refusal)?;
            for content in page {
                self.contents.pin().remove(&content.id);
                self.near.remove(&content.id);
                ledger.by_identity.remove(&(bank, content::identity(&content.new.signals)));
            }
            for place in undone {
                self.enforcer.look_at(Look::Content(place), None, true);
            }
        }
    }
}
