//! Invites members into a coalition that runs: a token that works once, for one name.
//!
//! **Invariant:** of a token only its hash is kept. It lets one key in, for the member, organisation and
//! role that the invitation names, and only once m organisations have approved the charter that says so.
//! **Invariant:** who joins has shown that it holds its key.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;
use watchfire_signal::{
    charter::{Charter, CharterChain, Member, Role},
    hex,
    name::{MemberName, OrganisationName},
};
use watchfire_store::{Batch, Row, Store, StoreError, Table};
use watchfire_tlog::{OwnKey, PeerKey, Signature};

use super::{
    changes::{ChangeError, Changes},
    draft::{Ends, next},
};
use crate::{
    clock::{Clock, Random},
    desk::{Desk, Line, WriteError},
};

/// Invitations: SHA-256 of the token → what it is for, as JSON.
const INVITES: Table = Table::Ledger("charter_invites");
/// How long an invitation lasts.
pub const INVITE_DAYS: u64 = 7;
/// What every token begins with, so that a leaked one can be recognised.
const TOKEN_PREFIX: &str = "wfj_";
/// Keeps what a joining member signs apart from everything else that its key signs.
const JOIN_DOMAIN: &[u8] = b"watchfire/join/v1\0";
/// Random bytes of a token.
const TOKEN_BYTES: usize = 32;

/// Who is invited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// The member's name.
    pub member: MemberName,
    /// The organisation that controls it.
    pub organisation: OrganisationName,
    /// What it will be for.
    pub role: Role,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    invitation: Invitation,
    until_ms: u64,
    /// The card of who came with the token.
    card: Option<Member>,
}

/// How far a joining member has come.
#[derive(Debug, Clone)]
pub enum Joining {
    /// A charter is proposed that has it.
    Proposed {
        /// Its hash.
        hash: [u8; 32],
        /// Organisations that have approved it.
        approved: usize,
        /// Organisations that must.
        needed: usize,
        /// Whether it was proposed just now.
        new: bool,
    },
    /// Another change is voted on; the proposal is made after that.
    Waiting,
    /// It is a member.
    Joined(Box<CharterChain>),
}

/// Why a member cannot join.
#[derive(Debug, Error)]
pub enum JoinError {
    /// No such token, or its time is over.
    #[error("the invitation is not known here, or its time is over")]
    Unknown,
    /// The invitation was taken up under another key.
    #[error("the invitation was taken up already, under another key")]
    Used,
    /// The card says something else than the invitation.
    #[error("the invitation is for {member} of {organisation} as {role}; the card says otherwise")]
    Other {
        /// The member invited.
        member: MemberName,
        /// Its organisation.
        organisation: OrganisationName,
        /// Its role.
        role: Role,
    },
    /// The signature is not by the card's key.
    #[error("the request is not signed with the key of the card")]
    Signature,
    /// The charter could not be changed so.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// There is a member of this name.
    #[error("there is a member {0} already")]
    Taken(MemberName),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a joining member signs with the key of its card:
/// `"watchfire/join/v1" ‖ 0x00 ‖ H(token) ‖ the card as JSON`.
#[must_use]
pub fn join_message(token: &str, card: &Member) -> Vec<u8> {
    let token = Sha256::digest(token.as_bytes());
    let card = serde_json::to_vec(card).unwrap_or_default();
    [JOIN_DOMAIN, &token, &card].concat()
}

/// The signature of a joining member.
#[must_use]
pub fn sign_join(token: &str, card: &Member, key: &OwnKey) -> [u8; 64] {
    key.sign(&join_message(token, card)).to_bytes()
}

/// The desk line that a member of this name, in a charter of this hash, has taken its invitation up.
pub type TakenUp = fn(&MemberName, &str) -> Result<Line, WriteError>;

/// Hands invitations out and takes them up. Cheap to clone.
#[derive(Clone)]
pub struct Invites {
    /// Who invites.
    pub me: MemberName,
    /// Where they are kept.
    pub store: Arc<dyn Store>,
    /// The node's clock.
    pub clock: Arc<dyn Clock>,
    /// For tokens.
    pub random: Arc<dyn Random>,
    /// What a joining member is proposed to.
    pub changes: Changes,
    /// Where it is said that this member approves it, and how.
    pub told: Option<(Desk, TakenUp)>,
}

impl Invites {
    /// A token for a member that is to join; it is shown once.
    ///
    /// # Errors
    /// [`JoinError::Taken`], [`JoinError::Store`]
    pub async fn invite(&self, invitation: Invitation) -> Result<String, JoinError> {
        let chain = self.changes.chain();
        if chain.in_force().charter.member(&invitation.member).is_some() {
            return Err(JoinError::Taken(invitation.member));
        }
        let mut secret = [0; TOKEN_BYTES];
        self.random.fill(&mut secret);
        let token = format!("{TOKEN_PREFIX}{}", hex::encode(&secret));
        let until_ms = self.clock.now_ms() + INVITE_DAYS * 86_400_000;
        self.keep(&token, &Kept { invitation, until_ms, card: None }).await?;
        Ok(token)
    }

    /// Takes an invitation up: proposes a charter with the member in it, once, and says how far that is.
    /// Asking again is how the member learns that it has joined.
    ///
    /// # Errors
    /// [`JoinError`]
    pub async fn join(
        &self,
        token: &str,
        card: &Member,
        signature: &[u8; 64],
    ) -> Result<Joining, JoinError> {
        let row = self.store.row(INVITES, &fingerprint(token)).await?.ok_or(JoinError::Unknown)?;
        let mut kept: Kept = serde_json::from_slice(&row).map_err(|_| JoinError::Unknown)?;
        if kept.until_ms < self.clock.now_ms() {
            return Err(JoinError::Unknown);
        }
        let Invitation { member, organisation, role } = kept.invitation.clone();
        if card.name != member || card.organisation != organisation || card.role != role {
            return Err(JoinError::Other { member, organisation, role });
        }
        let key = PeerKey::from_bytes(&card.key).map_err(|_| JoinError::Signature)?;
        if !key.verify(&join_message(token, card), &Signature(*signature)) {
            return Err(JoinError::Signature);
        }
        match &kept.card {
            Some(before) if before.key != card.key => return Err(JoinError::Used),
            Some(_) => {}
            None => {
                kept.card = Some(card.clone());
                self.keep(token, &kept).await?;
            }
        }
        self.progress(card).await
    }

    async fn progress(&self, card: &Member) -> Result<Joining, JoinError> {
        let has = |charter: &Charter| {
            charter.member(&card.name).is_some_and(|member| member.key == card.key)
        };
        let chain = self.changes.chain();
        let before = chain.in_force();
        if has(&before.charter) {
            return Ok(Joining::Joined(Box::new(chain)));
        }
        if before.charter.member(&card.name).is_some() {
            return Err(JoinError::Taken(card.name.clone()));
        }
        let proposals = self.changes.proposals();
        if let Some(proposal) = proposals.iter().find(|proposal| has(&proposal.signed.charter)) {
            return Ok(Joining::Proposed {
                hash: proposal.signed.hash(),
                approved: before.charter.count_approving(&proposal.approved),
                needed: before.charter.quorum_charter(),
                new: false,
            });
        }
        let mut wanted = before.charter.clone();
        wanted.members.push(card.clone());
        let charter = next(before, wanted, &self.me, &Ends::new());
        let told = match &self.told {
            Some((desk, line)) => {
                let line = line(&card.name, &hex::encode(&charter.hash()));
                Some((desk, line.map_err(ChangeError::from)?))
            }
            None => None,
        };
        match self.changes.propose(charter, told).await {
            Ok(_) => Ok(match Box::pin(self.progress(card)).await? {
                Joining::Proposed { hash, approved, needed, .. } => {
                    Joining::Proposed { hash, approved, needed, new: true }
                }
                joined => joined,
            }),
            Err(ChangeError::Voted { .. }) => Ok(Joining::Waiting),
            Err(error) => Err(error.into()),
        }
    }

    async fn keep(&self, token: &str, kept: &Kept) -> Result<(), StoreError> {
        let value = serde_json::to_vec(kept);
        let value = value.map_err(|error| StoreError::Failed(error.to_string()))?;
        let row = Row { table: INVITES, key: fingerprint(token), value: Some(value) };
        let batch = Batch { rows: vec![row], ..Batch::default() };
        self.store.commit(batch).await.map_err(StoreError::from)
    }
}

fn fingerprint(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}
