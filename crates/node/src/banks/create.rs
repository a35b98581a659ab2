//! Makes a bank.

use std::sync::Arc;

use watchfire_signal::name::BankName;

use super::{
    Bank, BankDeed, BankError, BankNumber, BankWhat, Banks, MAX_BANKS, Settings, to_its_end,
};
use crate::desk::{Actor, Line};

impl Banks {
    /// Makes a bank; answers it, and whether it is new: one of the same name and settings is answered
    /// as it is.
    ///
    /// # Errors
    /// [`BankError::Exists`] for one of the same name and other settings; others as they say.
    pub async fn create(
        self: &Arc<Self>,
        actor: &Actor,
        name: BankName,
        settings: Settings,
    ) -> Result<(Arc<Bank>, bool), BankError> {
        settings.validate()?;
        let (banks, actor) = (self.clone(), actor.clone());
        to_its_end(async move { banks.make(&actor, name, settings).await }).await
    }

    async fn make(
        &self,
        actor: &Actor,
        name: BankName,
        settings: Settings,
    ) -> Result<(Arc<Bank>, bool), BankError> {
        let mut ledger = self.ledger.lock().await;
        if let Some(bank) = self.bank(&name) {
            let same = bank.settings == settings;
            return if same { Ok((bank, false)) } else { Err(BankError::Exists(name)) };
        }
        if self.banks.len() >= MAX_BANKS {
            return Err(BankError::TooMany);
        }
        let now = self.clock.now_ms();
        let number = BankNumber(ledger.next_bank);
        let bank = Bank { number, name, settings, created_ms: now, changed_ms: now };
        // Given away at once: after a write whose outcome is not known, no other gets the number.
        ledger.next_bank += 1;
        let line = Line::new(actor, &BankDeed { what: BankWhat::Create, bank: bank.clone() })?;
        self.desk.write(line.rows([bank.row()?, ledger.next_row()])).await?;
        let bank = Arc::new(bank);
        self.banks.pin().insert(number, bank.clone());
        Ok((bank, true))
    }
}
