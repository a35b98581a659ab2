//! Puts contents into a bank, one or a million.

use std::{collections::HashMap, sync::Arc};

use watchfire_signal::name::BankName;

use super::{
    Bank, BankError, BankNumber, Banks, Content, ContentId, ContentWhat, Held, Ledger, NewContent,
    SignalsDeed, content, to_its_end,
};
use crate::{
    desk::{Actor, Line},
    looks::Look,
};

/// Contents in one transaction: enough that its fsync costs little, few enough that the line of
/// another change of the desk log waits for some tens of milliseconds at most.
pub const BATCH: usize = 4_096;

/// Contents added at once that are each looked for among the copies; for more, the copies are gone
/// through once.
const LOOKS: usize = 64;

/// What became of a content that was to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Added {
    /// Its id.
    pub id: ContentId,
    /// Whether it was not there before.
    pub new: bool,
}

impl Banks {
    /// Adds contents in their order; one whose signals are a content of the bank already is that, and
    /// stays as it is. Nothing is added if one of them cannot be. Up to [`BATCH`] contents are one
    /// transaction with one line; a longer list is several, and when it breaks off it can be given
    /// again.
    ///
    /// # Errors
    /// [`BankError`]
    pub async fn add(
        self: &Arc<Self>,
        actor: &Actor,
        name: &BankName,
        contents: Vec<NewContent>,
    ) -> Result<Vec<Added>, BankError> {
        for (place, content) in contents.iter().enumerate() {
            content.validate().map_err(|error| BankError::Content { place, error })?;
        }
        let number = self.named(name)?.number;
        let (banks, actor, name) = (self.clone(), actor.clone(), name.clone());
        let work = async move {
            let many = contents.len() > LOOKS;
            let mut added = Vec::with_capacity(contents.len());
            let mut contents = contents.into_iter();
            while contents.len() > 0 {
                let batch = contents.by_ref().take(BATCH).collect();
                // Under another name it is still the same bank; under its number, never another.
                let bank = banks.banks.pin().get(&number).cloned();
                let bank = bank.ok_or_else(|| BankError::NoBank(name.clone()))?;
                let batch = banks.add_batch(&actor, &bank, batch).await?;
                banks.have_looked(&bank, &batch, many);
                added.extend(batch);
            }
            Ok(added)
        };
        to_its_end(work).await
    }

    async fn add_batch(
        &self,
        actor: &Actor,
        bank: &Bank,
        batch: Vec<NewContent>,
    ) -> Result<Vec<Added>, BankError> {
        let mut ledger = self.ledger.lock().await;
        if !self.banks.pin().contains_key(&bank.number) {
            return Err(BankError::NoBank(bank.name.clone()));
        }
        let chosen = ledger.choose(bank.number, batch, self.clock.now_ms());
        if chosen.contents.is_empty() {
            return Ok(chosen.added);
        }
        let deed = SignalsDeed::new(ContentWhat::Add, bank, &chosen.contents);
        let rows = chosen.contents.iter().map(|content| content.row(bank.number));
        let line = Line::new(actor, &deed)?.rows(rows).rows([ledger.next_row()]);
        self.desk.write(line).await?;
        ledger.by_identity.extend(chosen.identities);
        for content in &chosen.contents {
            self.publish(bank.number, content);
        }
        self.count(bank.number, |counts| {
            chosen.contents.iter().for_each(|content| counts.add(&content.new.signals));
        });
        Ok(chosen.added)
    }

    /// Has the copies looked for that new contents match.
    fn have_looked(&self, bank: &Bank, added: &[Added], many: bool) {
        if many {
            return self.enforcer.sweep();
        }
        for added in added.iter().filter(|added| added.new) {
            self.enforcer.look_at(Look::Content(bank.place(added.id)), None, false);
        }
    }

    /// Makes a content findable.
    pub(super) fn publish(&self, bank: BankNumber, content: &Content) {
        let held = Held { bank, disabled_until_ms: content.disabled_until_ms };
        // The content must be there before a lookup can stumble on its signals.
        self.contents.pin().insert(content.id, held);
        self.near.insert_all(content.id, &content.new.signals);
    }
}

/// What of a batch is new.
struct Chosen {
    added: Vec<Added>,
    contents: Vec<Content>,
    identities: HashMap<(BankNumber, content::Identity), ContentId>,
}

impl Ledger {
    /// Tells what is new, and gives it ids; these are given away, whatever becomes of the batch.
    fn choose(&mut self, bank: BankNumber, batch: Vec<NewContent>, now_ms: u64) -> Chosen {
        let (mut added, mut contents) = (Vec::with_capacity(batch.len()), Vec::new());
        let mut identities = HashMap::new();
        for new in batch {
            let key = (bank, content::identity(&new.signals));
            if let Some(id) = self.by_identity.get(&key).or_else(|| identities.get(&key)) {
                added.push(Added { id: *id, new: false });
                continue;
            }
            let id = ContentId(self.next_content);
            self.next_content += 1;
            identities.insert(key, id);
            added.push(Added { id, new: true });
            contents.push(Content { id, new, added_ms: now_ms, disabled_until_ms: 0 });
        }
        Chosen { added, contents, identities }
    }
}
