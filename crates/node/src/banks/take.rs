//! Takes a content out of a bank.

use std::sync::Arc;

use watchfire_signal::name::BankName;
use watchfire_store::Row;

use super::{
    BankError, Banks, Content, ContentId, ContentWhat, SignalsDeed, content, to_its_end, undone,
};
use crate::{
    desk::{Actor, Line},
    looks::Look,
};

impl Banks {
    /// Takes a content out of its bank, and answers what it was; the next lookup does not find it,
    /// and what it alone had taken down comes back.
    ///
    /// # Errors
    /// [`BankError`]; [`BankError::NoContent`] for one of another bank too.
    pub async fn take(
        self: &Arc<Self>,
        actor: &Actor,
        name: BankName,
        id: ContentId,
    ) -> Result<Content, BankError> {
        let (banks, actor) = (self.clone(), actor.clone());
        to_its_end(async move { banks.take_out(&actor, &name, id).await }).await
    }

    async fn take_out(
        &self,
        actor: &Actor,
        name: &BankName,
        id: ContentId,
    ) -> Result<Content, BankError> {
        let mut ledger = self.ledger.lock().await;
        let bank = self.named(name)?;
        let content = self.content(name, id).await?;
        let deed = SignalsDeed::new(ContentWhat::Remove, &bank, std::slice::from_ref(&content));
        let row = Row { value: None, ..content.row(bank.number) };
        let place = bank.place(id);
        self.desk.write(Line::new(actor, &deed)?.rows([row, undone::row(place)])).await?;
        self.contents.pin().remove(&id);
        self.near.remove(&id);
        ledger.by_identity.remove(&(bank.number, content::identity(&content.new.signals)));
        self.count(bank.number, |counts| counts.take(&content.new.signals));
        self.enforcer.look_at(Look::Content(place), None, true);
        self.speaks_for_less(&bank);
        Ok(content)
    }
}
