//! The charters as they lie on disks: what is in force, who has approved it, and which entries of which logs
//! count under it, by the words of `docs/format.md`, section 8.
//!
//! **Invariant:** whether a charter is in force is counted here, from signatures.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use watchfire_signal::{
    charter::{Charter, SignedCharter, approval_message},
    header::{CharterRef, Header},
    name::{GroupName, LogName, MemberName, OrganisationName},
    statement::{KeyStep, Statement},
};
use watchfire_store::{StoreError, Table};
use watchfire_tlog::{PeerKey, Signature};

use super::{Finding, Oracle, Rule, View};

/// Where a node keeps the charters after the first.
const CHARTERS: Table = Table::Ledger("charters");
/// Where it keeps what is proposed.
const PROPOSALS: Table = Table::Ledger("charter_proposals");

/// A chain of charters, with their hashes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Charters(Vec<([u8; 32], Arc<Charter>)>);

impl Charters {
    /// These, the first one first.
    #[must_use]
    pub fn of<'a>(charters: impl IntoIterator<Item = &'a SignedCharter>) -> Self {
        let named = |signed: &SignedCharter| (signed.hash(), Arc::new(signed.charter.clone()));
        Self(charters.into_iter().map(named).collect())
    }

    /// The last one.
    #[must_use]
    pub fn in_force(&self) -> Option<&Arc<Charter>> {
        self.0.last().map(|(_, charter)| charter)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The charter of this number and hash.
    #[must_use]
    pub fn named(&self, named: CharterRef) -> Option<&Charter> {
        let place = usize::try_from(named.seq.checked_sub(1)?).ok()?;
        let (hash, charter) = self.0.get(place)?;
        (*hash == named.hash).then_some(charter)
    }

    /// Whether a member was in a group under any of them.
    #[must_use]
    pub fn ever_in_group(&self, member: &MemberName, group: &GroupName) -> bool {
        self.0.iter().any(|(_, charter)| charter.is_in_group(member, group))
    }

    /// Up to where a log counts that others have ended: where the last charter says it.
    #[must_use]
    pub fn accepted(&self, log: &LogName) -> u64 {
        let Some(charter) = self.in_force() else { return 0 };
        if charter.member_of_log(log).is_some() {
            return u64::MAX;
        }
        let mut closed = charter.closed.iter();
        let closed = closed.find(|closed| closed.member == log.member && closed.epoch == log.epoch);
        closed.map_or(0, |closed| closed.last.map_or(u64::MAX, |last| last.size))
    }

    /// Whether a `key` record ends the log that it stands in: another key of the same member, which a charter
    /// names.
    #[must_use]
    pub fn ends(&self, log: &LogName, statement: Option<&Statement>) -> bool {
        let Some(Statement::Key { step: KeyStep::Rotate, key, .. }) = statement else {
            return false;
        };
        let Some(charter) = self.in_force() else { return false };
        let closed =
            charter.closed.iter().any(|closed| closed.member == log.member && closed.key == *key);
        let live = charter.member(&log.member).is_some_and(|member| member.key == *key);
        live || closed
    }

    /// Whether its author wrote an entry as the charter says that it names.
    #[must_use]
    pub fn is_written(&self, log: &LogName, header: &Header) -> bool {
        let named = self.named(header.charter);
        named.is_some_and(|charter| charter.member_of_log(log).is_some())
    }

    /// Where what is accepted of a member ended, if it has left: its epoch, and how much of that.
    #[must_use]
    pub fn left_at(&self, member: &MemberName) -> Option<(u32, u64)> {
        let charter = self.in_force()?;
        if charter.member(member).is_some() {
            return None;
        }
        let closed = charter.closed.iter().filter(|closed| closed.member == *member);
        closed.map(|closed| (closed.epoch, closed.last.map_or(u64::MAX, |last| last.size))).max()
    }
}

/// What was seen of charters so far.
#[derive(Debug, Default)]
pub(super) struct Ballots {
    /// All charters in force anywhere.
    pub(super) chain: Charters,
    /// What each member has approved, by number.
    votes: BTreeMap<(MemberName, u64), [u8; 32]>,
    /// What was looked at: by hash, how many approvals it had.
    looked: BTreeMap<(MemberName, [u8; 32]), usize>,
}

impl Oracle {
    /// Whether the newest charter that anybody has names a member.
    #[must_use]
    pub fn is_member(&self, name: &MemberName) -> bool {
        let state = self.state();
        state.ballots.chain.in_force().is_some_and(|charter| charter.member(name).is_some())
    }

    /// The charters that a member has.
    pub(super) async fn charters(&self, view: &View) -> Result<Charters, StoreError> {
        Ok(Charters::of(&self.signed(view).await?))
    }

    async fn signed(&self, view: &View) -> Result<Vec<SignedCharter>, StoreError> {
        let installed = view.papers.installed();
        let mut chain: Vec<SignedCharter> =
            installed.iter().flat_map(|chain| chain.iter()).cloned().collect();
        for (_, value) in view.disk.durable().rows(CHARTERS, &[], usize::MAX).await? {
            let signed = SignedCharter::decode(&value);
            let next = signed.ok().filter(|signed| signed.charter.seq == chain.len() as u64 + 1);
            chain.extend(next);
        }
        Ok(chain)
    }

    /// Looks at the charters of a member and at what is proposed there: of a number there is one in force,
    /// enough have approved it, and nobody has approved two.
    pub(super) async fn look_at_charters(&self, view: &View) -> Result<(), StoreError> {
        let signed = self.signed(view).await?;
        for pair in signed.windows(2) {
            let [before, next] = pair else { continue };
            self.look_at_charter(view, &before.charter, next);
        }
        let electorate = signed.last().map(|signed| signed.charter.clone());
        let proposed = view.disk.durable().rows(PROPOSALS, &[], usize::MAX).await?;
        for (_, value) in proposed {
            let Ok(signed) = SignedCharter::decode(&value) else { continue };
            // What is left of an earlier number was for another electorate.
            let next = |electorate: &&Charter| electorate.seq + 1 == signed.charter.seq;
            if let Some(electorate) = electorate.as_ref().filter(next) {
                self.count_votes(view, electorate, &signed);
            }
        }
        let chain = Charters::of(&signed);
        let mut state = self.state();
        if chain.len() > state.ballots.chain.len() {
            state.ballots.chain = chain;
        }
        Ok(())
    }

    fn look_at_charter(&self, view: &View, before: &Charter, next: &SignedCharter) {
        let seq = next.charter.seq;
        let place = CharterRef { seq, hash: next.hash() };
        let other = {
            let state = self.state();
            let known = state.ballots.chain.len() as u64 >= seq;
            known && state.ballots.chain.named(place).is_none()
        };
        if other {
            let what = format!("another charter {seq} is in force than elsewhere");
            self.object(Rule::ChartersDiffer, &view.name, what);
        }
        let by = self.count_votes(view, before, next);
        let owners = approving(before, &by);
        if (owners as u64) < u64::from(before.quorums.charter) {
            let what = format!("{owners} of {} have approved {seq}", before.quorums.charter);
            self.object(Rule::Unapproved, &view.name, what);
        }
    }

    /// Whose approvals of a charter verify; nobody honest approves two of one number.
    fn count_votes(
        &self,
        view: &View,
        electorate: &Charter,
        signed: &SignedCharter,
    ) -> BTreeSet<MemberName> {
        let hash = signed.hash();
        let known = (view.name.clone(), hash);
        let all = || signed.approvals.iter().map(|by| by.member.clone()).collect();
        if self.state().ballots.looked.get(&known) == Some(&signed.approvals.len()) {
            return all();
        }
        let message = approval_message(&hash);
        let mut by = BTreeSet::new();
        for approval in &signed.approvals {
            let key = electorate.member(&approval.member).map(|member| member.key);
            let key = key.and_then(|key| PeerKey::from_bytes(&key).ok());
            if !key.is_some_and(|key| key.verify(&message, &Signature(approval.signature))) {
                let what = format!("{} has not approved {}", approval.member, signed.charter.seq);
                self.object(Rule::Unapproved, &view.name, what);
                continue;
            }
            let vote = (approval.member.clone(), signed.charter.seq);
            let first = *self.state().ballots.votes.entry(vote).or_insert(hash);
            if first != hash && Some(&approval.member) != self.liar.as_ref() {
                let what = format!("has approved two charters {}", signed.charter.seq);
                self.object(Rule::VotedTwice, &approval.member, what);
            }
            by.insert(approval.member.clone());
        }
        if by.len() == signed.approvals.len() {
            self.state().ballots.looked.insert(known, by.len());
        }
        by
    }

    /// Members work under the last charter that any of them has.
    pub(super) fn charter_behind(
        &self,
        name: &MemberName,
        (on_disk, works_under): (usize, u64),
    ) -> Option<Finding> {
        let newest = self.state().ballots.chain.len();
        let behind = on_disk < newest || works_under < newest as u64;
        behind.then(|| Finding {
            rule: Rule::CharterBehind,
            member: name.to_string(),
            what: format!("has {on_disk} charters of {newest}, works under {works_under}"),
        })
    }
}

/// How many organisations these approvals are: each needs more than half of its members, the first of whom by name
/// weighs a little more than another one.
fn approving(electorate: &Charter, by: &BTreeSet<MemberName>) -> usize {
    let owners: BTreeSet<_> =
        electorate.members.iter().map(|member| &member.organisation).collect();
    let approves = |owner: &&&OrganisationName| {
        let own: BTreeSet<_> = electorate
            .members
            .iter()
            .filter(|member| member.organisation == ***owner)
            .map(|member| &member.name)
            .collect();
        let weight = |name: &&MemberName| if own.first() == Some(name) { 3 } else { 2 };
        let all: u32 = own.iter().map(weight).sum();
        let heard: u32 = own.iter().filter(|name| by.contains(**name)).map(weight).sum();
        heard * 2 > all
    };
    owners.iter().filter(approves).count()
}
