//! The charter of a running node: what is proposed and approved here, and who is invited.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use watchfire_signal::{
    charter::{Charter, Member},
    hex,
    name::MemberName,
    record::{Leaf, open},
    statement::{Head, KeyStep, MemberStep, Statement},
    verb::Verb,
};
use watchfire_store::{Held, StoreError};

use super::{Node, Readiness};
use crate::{
    charter::{
        changes::{ChangeError, Changes},
        draft::{Ends, differences, next},
        invites::{Invitation, Invites, JoinError, Joining},
    },
    desk::{Actor, Deed, DeskKind, Line, WriteError},
    publish::Draft,
    raise::plain_header,
    replicate::LogCopy,
};

/// Entries read at a time.
const PAGE: usize = 256;

/// The line of the desk log about the charter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CharterDeed {
    /// A charter was proposed and approved, by its hash.
    Proposed(String),
    /// A charter was approved, by its hash.
    Approved(String),
    /// A member was invited.
    Invited(Invitation),
    /// An invitation was taken up: a charter with the member in it was proposed and approved, without anybody asked.
    TakenUp {
        /// The member.
        member: MemberName,
        /// The hash of the charter.
        hash: String,
    },
}

impl Deed for CharterDeed {
    const KIND: DeskKind = DeskKind::Charter;
}

/// What became of an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Approved {
    /// The hash of the charter.
    pub hash: [u8; 32],
    /// Whether it is in force with that.
    pub in_force: bool,
}

impl Node {
    /// The charters that this node knows, and what is proposed.
    #[must_use]
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// The charter that somebody wants, as it would be proposed, with what it changes.
    ///
    /// # Errors
    /// The store's.
    pub async fn draft_charter(
        &self,
        wanted: Charter,
    ) -> Result<(Charter, Vec<String>), StoreError> {
        let chain = self.changes.chain();
        let before = chain.in_force();
        let charter = next(before, wanted, &self.me, &self.ends().await?);
        let changes = differences(&before.charter, &charter);
        Ok((charter, changes))
    }

    /// Proposes what somebody wants to stand in the charter, and approves it.
    ///
    /// # Errors
    /// [`ChangeError`]
    pub async fn propose_charter(
        &self,
        wanted: Charter,
        actor: &Actor,
    ) -> Result<Approved, ChangeError> {
        let (charter, changes) = self.draft_charter(wanted).await?;
        if changes.is_empty() {
            return Err(ChangeError::Same);
        }
        let line = Line::new(actor, &CharterDeed::Proposed(hex::encode(&charter.hash())))?;
        let hash = self.changes.propose(charter, Some((&self.desk, line))).await?;
        self.tell_approval(hash).await;
        Ok(self.approved(hash))
    }

    /// Approves a charter that is proposed.
    ///
    /// # Errors
    /// [`ChangeError`]
    pub async fn approve_charter(
        &self,
        hash: &[u8; 32],
        actor: &Actor,
    ) -> Result<Approved, ChangeError> {
        let line = Line::new(actor, &CharterDeed::Approved(hex::encode(hash)))?;
        self.changes.approve(hash, Some((&self.desk, line))).await?;
        self.tell_approval(*hash).await;
        Ok(self.approved(*hash))
    }

    fn approved(&self, hash: [u8; 32]) -> Approved {
        let in_force = self.changes.chain().in_force().hash() == hash;
        Approved { hash, in_force }
    }

    /// A token with which a member can join.
    ///
    /// # Errors
    /// [`JoinError`]
    pub async fn invite(&self, invitation: Invitation, actor: &Actor) -> Result<String, JoinError> {
        let token = self.invites().invite(invitation.clone()).await?;
        let line =
            Line::new(actor, &CharterDeed::Invited(invitation)).map_err(ChangeError::from)?;
        self.desk.write(line).await.map_err(ChangeError::from)?;
        Ok(token)
    }

    /// Takes an invitation up for a member that wants to join.
    ///
    /// # Errors
    /// [`JoinError`]
    pub async fn join(
        &self,
        token: &str,
        card: &Member,
        signature: &[u8; 64],
    ) -> Result<Joining, JoinError> {
        let joining = self.invites().join(token, card, signature).await?;
        if let Joining::Proposed { hash, new: true, .. } = joining {
            self.tell_proposal(card).await;
            self.tell_approval(hash).await;
        }
        Ok(joining)
    }

    fn invites(&self) -> Invites {
        Invites {
            me: self.me.clone(),
            store: self.store.clone(),
            clock: self.clock.clone(),
            random: self.random.clone(),
            changes: self.changes.clone(),
            told: Some((self.desk.clone(), taken_up)),
        }
    }

    /// Says in our log that we have approved a charter, for all to count. The signature counts without it.
    async fn tell_approval(&self, hash: [u8; 32]) {
        self.tell(Statement::Charter { hash }).await;
    }

    async fn tell_proposal(&self, card: &Member) {
        let step = MemberStep::Propose;
        self.tell(Statement::Member { step, member: card.name.clone(), last: None }).await;
    }

    async fn tell(&self, statement: Statement) {
        if self.readiness() != Readiness::Ready {
            return;
        }
        let verb: Verb = statement.verb();
        let header = plain_header(&self.charter, &self.log, verb);
        let draft = Draft { header, statement, asked: None, within_quota: false };
        if let Err(error) = self.publisher.write(draft).await {
            tracing::warn!(%error, "our log does not say what we did to the charter");
        }
    }

    /// How much of each log is held, but of those that their authors have ended.
    async fn ends(&self) -> Result<Ends, StoreError> {
        let heads = self.store.logs().await?;
        let chain = self.changes.chain();
        let charter = &chain.in_force().charter;
        let mut ends = BTreeMap::new();
        for copy in self.copies.values() {
            if self.is_ended(charter, copy).await? {
                continue;
            }
            let head = heads.iter().find(|head| head.log == *copy.origin());
            let head = head.and_then(|head| head.checkpoint.verify(&head.log, copy.key()).ok());
            if let Some(head) = head {
                ends.insert(copy.log.clone(), Head { size: head.size, root: head.root.0 });
            }
        }
        Ok(ends)
    }

    /// Whether a log that its author was to end has ended: then what it says after that never counted.
    async fn is_ended(&self, charter: &Charter, copy: &LogCopy) -> Result<bool, StoreError> {
        let name = (&copy.log.member, copy.log.epoch);
        let mut closed = charter.closed.iter();
        if !closed.any(|log| log.name() == name && log.last.is_none()) {
            return Ok(false);
        }
        let mut from = 0;
        loop {
            let page = self.store.held(copy.origin(), from, PAGE).await?;
            let Some(last) = page.last() else { return Ok(false) };
            from = last.index + 1;
            if page.iter().any(|held| ends_its_log(charter, &copy.log.member, held)) {
                return Ok(true);
            }
        }
    }
}

/// The line that an invitation was taken up.
fn taken_up(member: &MemberName, hash: &str) -> Result<Line, WriteError> {
    let deed = CharterDeed::TakenUp { member: member.clone(), hash: hash.to_owned() };
    Line::new(&Actor::Node, &deed)
}

/// Whether an entry ends the log that it stands in, for another key of its author; one whose record is missing may.
fn ends_its_log(charter: &Charter, member: &MemberName, held: &Held) -> bool {
    let Ok(leaf) = Leaf::decode(&held.entry.leaf) else { return false };
    if leaf.header.verb != Verb::Key {
        return false;
    }
    let Some(record) = &held.entry.record else { return true };
    let Ok(Statement::Key { step: KeyStep::Rotate, key, .. }) = open(&leaf, record) else {
        return false;
    };
    let live = charter.member(member).is_some_and(|own| own.key == key);
    live || charter.closed.iter().any(|log| log.member == *member && log.key == key)
}
