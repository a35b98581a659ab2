//! Changes a bank, or a content of it.

use std::sync::Arc;

use watchfire_signal::{label::Label, name::BankName};

use super::{
    Bank, BankDeed, BankError, BankWhat, Banks, Content, ContentId, ContentWhat, Held, SignalsDeed,
    to_its_end,
};
use crate::{
    desk::{Actor, Line},
    looks::Look,
};

/// What is to be changed of a bank; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Change {
    /// Another name.
    pub name: Option<BankName>,
    /// On or off.
    pub enabled: Option<bool>,
    /// Another share.
    pub ratio: Option<f64>,
    /// Whether its matches speak for the item.
    pub negative: Option<bool>,
    /// Other labels.
    pub labels: Option<Vec<Label>>,
    /// Another severity.
    pub severity: Option<u8>,
    /// Another greatest distance.
    pub max_distance: Option<u16>,
    /// Another note.
    pub note: Option<String>,
}

/// What is to be changed of a content; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContentChange {
    /// From when on it matches, in milliseconds since 1970: 0 for now, `u64::MAX` for never.
    pub disabled_until_ms: Option<u64>,
    /// Another note.
    pub note: Option<String>,
}

fn put<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

impl Change {
    fn apply(self, bank: &Bank) -> Bank {
        let mut bank = bank.clone();
        let settings = &mut bank.settings;
        put(&mut bank.name, self.name);
        put(&mut settings.enabled, self.enabled);
        put(&mut settings.ratio, self.ratio);
        put(&mut settings.negative, self.negative);
        put(&mut settings.labels, self.labels);
        put(&mut settings.severity, self.severity);
        put(&mut settings.max_distance, self.max_distance);
        put(&mut settings.note, self.note);
        bank
    }
}

impl Banks {
    /// Changes the name or settings of a bank; the next lookup goes by them. A change that changes
    /// nothing writes nothing.
    ///
    /// # Errors
    /// [`BankError`]
    pub async fn change(
        self: &Arc<Self>,
        actor: &Actor,
        name: BankName,
        change: Change,
    ) -> Result<Arc<Bank>, BankError> {
        let (banks, actor) = (self.clone(), actor.clone());
        to_its_end(async move { banks.make_other(&actor, &name, change).await }).await
    }

    async fn make_other(
        &self,
        actor: &Actor,
        name: &BankName,
        change: Change,
    ) -> Result<Arc<Bank>, BankError> {
        let _ledger = self.ledger.lock().await;
        let before = self.named(name)?;
        let mut bank = change.apply(&before);
        if bank == *before {
            return Ok(before);
        }
        bank.settings.validate()?;
        if bank.name != *name && self.bank(&bank.name).is_some() {
            return Err(BankError::Exists(bank.name));
        }
        bank.changed_ms = self.clock.now_ms();
        let line = Line::new(actor, &BankDeed { what: BankWhat::Change, bank: bank.clone() })?;
        self.desk.write(line.rows([bank.row()?])).await?;
        let bank = Arc::new(bank);
        self.banks.pin().insert(bank.number, bank.clone());
        // Other copies may be concerned now, or the same ones in another way.
        self.enforcer.sweep();
        self.speaks_for_less(&before);
        Ok(bank)
    }

    /// Changes what is said of a content, or when it matches.
    ///
    /// # Errors
    /// [`BankError`]
    pub async fn change_content(
        self: &Arc<Self>,
        actor: &Actor,
        name: BankName,
        id: ContentId,
        change: ContentChange,
    ) -> Result<Content, BankError> {
        let (banks, actor) = (self.clone(), actor.clone());
        let work = async move { banks.make_content_other(&actor, &name, id, change).await };
        to_its_end(work).await
    }

    async fn make_content_other(
        &self,
        actor: &Actor,
        name: &BankName,
        id: ContentId,
        change: ContentChange,
    ) -> Result<Content, BankError> {
        let _ledger = self.ledger.lock().await;
        let bank = self.named(name)?;
        let before = self.content(name, id).await?;
        let mut content = before.clone();
        put(&mut content.disabled_until_ms, change.disabled_until_ms);
        put(&mut content.new.note, change.note);
        if content == before {
            return Ok(before);
        }
        content.new.validate().map_err(|error| BankError::Content { place: 0, error })?;
        let mut deed = SignalsDeed::new(ContentWhat::Change, &bank, std::slice::from_ref(&content));
        deed.changed = Some((content.new.note.clone(), content.disabled_until_ms));
        self.desk.write(Line::new(actor, &deed)?.rows([content.row(bank.number)])).await?;
        let held = Held { bank: bank.number, disabled_until_ms: content.disabled_until_ms };
        self.contents.pin().insert(id, held);
        self.enforcer.look_at(Look::Content(bank.place(id)), None, false);
        self.speaks_for_less(&bank);
        Ok(content)
    }
}
