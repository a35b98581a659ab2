//! How members change their charter: who proposes what, who approves, who joins, leaves and comes back.
//!
//! **Invariant:** what a member does here it does by what its own node knows; that nobody else proposes at the
//! same time most times is what people agree upon out of band.

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError},
    time::Duration,
};

use watchfire_node::{
    Node,
    charter::invites::{Invitation, Joining, sign_join},
    desk::Actor,
};
use watchfire_signal::{
    charter::{Charter, CharterChain, Member as Card, Role},
    name::MemberName,
};

use super::World;
use crate::{
    Broken,
    cast::{self, OTHER_ROLES},
    fault::Fault,
    member::Member,
};

/// How long whoever changes a charter waits for an answer.
const PATIENCE: Duration = Duration::from_secs(40);

/// What is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    /// Quorums.
    Numbers,
    /// Who owns a member.
    Owner,
    /// Whether a member is in the group.
    Group,
    /// The key of who proposes it, which ends its own log by its own word.
    OwnKey,
    /// The key of another, whose log ends at what is held of it.
    Key(MemberName),
    /// A member leaves.
    Leave(MemberName),
    /// A member that left is back, under another key.
    Return(MemberName),
    /// A member is something else from now on, and begins a new log for it.
    Role(MemberName, Role),
}

impl World {
    /// Somebody proposes a change of the charter, or invites who wants to join.
    ///
    /// # Errors
    /// [`Broken`]
    pub(super) async fn change_charter(&self) -> Result<(), Broken> {
        let running: Vec<_> =
            self.members.iter().filter(|member| member.ready().is_some()).collect();
        let Some(member) = self.chance.pick(&running).copied() else { return Ok(()) };
        let Some(node) = member.ready() else { return Ok(()) };
        // Whoever does not know of what another proposes can split the votes.
        let open = |member: &Arc<Member>| {
            member.node().is_some_and(|node| !node.changes().proposals().is_empty())
        };
        if self.members.iter().any(open) && !self.chance.one_in(12) {
            return Ok(());
        }
        let chain = node.changes().chain();
        let charter = &chain.in_force().charter;
        let joins = self.around.cast.joiner.as_ref();
        if joins.is_some_and(|name| charter.member(name).is_none()) && self.chance.one_in(3) {
            return self.invite(member, &node).await;
        }
        let change = match self.exposed(member, &node).await? {
            Some(name) => Change::Leave(name),
            None => self.change(member, charter),
        };
        let wanted = self.wanted(&change, member, &chain)?;
        self.trace.note(member.name.as_str(), format_args!("proposes {change:?}"));
        let (trace, name, faults) =
            (self.trace.clone(), member.name.to_string(), self.faults.clone());
        tokio::spawn(async move {
            let proposed = node.propose_charter(wanted, &Actor::Node);
            match tokio::time::timeout(PATIENCE, proposed).await {
                Ok(Ok(approved)) => {
                    faults.fired(change.fault());
                    trace.note(&name, format_args!("has proposed it: {}", approved.in_force));
                }
                Ok(Err(error)) => trace.note(&name, format_args!("could not propose it: {error}")),
                Err(_) => trace.note(&name, "was not answered"),
            }
        });
        Ok(())
    }

    /// Who has not approved what its node knows of often does now.
    pub(super) async fn approve(&self) {
        for member in self.members.iter().filter(|_| self.around.cast.changes) {
            let Some(node) = member.ready() else { continue };
            for proposal in node.changes().proposals() {
                if proposal.approved.contains(&member.name) || self.chance.one_in(3) {
                    continue;
                }
                self.trace.note(member.name.as_str(), "approves a charter");
                let (node, hash) = (node.clone(), proposal.signed.hash());
                let (trace, name) = (self.trace.clone(), member.name.to_string());
                tokio::spawn(async move {
                    let approved = node.approve_charter(&hash, &Actor::Node);
                    match tokio::time::timeout(PATIENCE, approved).await {
                        Ok(Ok(_)) => {}
                        Ok(Err(error)) => {
                            trace.note(&name, format_args!("could not approve it: {error}"));
                        }
                        Err(_) => trace.note(&name, "was not answered"),
                    }
                });
            }
        }
    }

    /// Once in how many deeds somebody wants another charter: who has shown two histories is soon to go.
    pub(super) async fn until_a_change(&self) -> Result<u64, Broken> {
        for member in &self.members {
            if let Some(node) = member.ready()
                && !node.forked().await?.is_empty()
            {
                return Ok(3);
            }
        }
        Ok(10)
    }

    /// Who has shown two histories, as a member knows that others can fetch its copy from.
    async fn exposed(&self, member: &Member, node: &Node) -> Result<Option<MemberName>, Broken> {
        let cast = &self.around.cast;
        let forked = node.forked().await?.into_iter().next();
        let enough = node.charter().members.len() > 3;
        Ok(forked.filter(|_| enough && cast.behind_nat.as_ref() != Some(&member.name)))
    }

    /// What a member wants to change.
    fn change(&self, member: &Member, charter: &Charter) -> Change {
        let honest = |name: &&MemberName| self.around.cast.liar.as_ref() != Some(*name);
        let away = self.around.cast.honest.iter().find(|name| charter.member(name).is_none());
        if let Some(name) = away.filter(|_| self.chance.one_in(2)) {
            return Change::Return(name.clone());
        }
        let others: Vec<_> = charter
            .members
            .iter()
            .map(|member| &member.name)
            .filter(|name| **name != member.name)
            .collect();
        let honest: Vec<_> = others.iter().copied().filter(honest).cloned().collect();
        let enough = honest.len() > 2 && away.is_none();
        // Of whom others cannot fetch anything nobody wants the copy of a log with two histories.
        let others: Vec<_> = if self.around.cast.behind_nat.as_ref() == Some(&member.name) {
            honest.iter().collect()
        } else {
            others
        };
        match (self.chance.below(12), self.chance.pick(&honest), self.chance.pick(&others)) {
            (0..3, ..) => Change::OwnKey,
            (3..6, Some(name), _) => Change::Key(name.clone()),
            (6..8, _, Some(name)) if enough => Change::Leave((*name).clone()),
            (8, ..) => Change::Owner,
            (10, Some(name), _) => {
                let platform = charter.member(name).is_some_and(|one| one.role == Role::Platform);
                let other = self.chance.pick(&OTHER_ROLES).filter(|_| platform);
                Change::Role(name.clone(), other.copied().unwrap_or(Role::Platform))
            }
            (9, ..) => Change::Group,
            _ => Change::Numbers,
        }
    }

    /// The charter with that change.
    fn wanted(
        &self,
        change: &Change,
        me: &Member,
        chain: &CharterChain,
    ) -> Result<Charter, Broken> {
        let mut wanted = chain.in_force().charter.clone();
        let mut renew = |name: &MemberName| {
            let own = wanted.members.iter_mut().find(|member| member.name == *name);
            own.into_iter().for_each(|own| {
                own.key = cast::key(name, own.epoch + 1).public().to_bytes();
            });
        };
        match change {
            Change::OwnKey => renew(&me.name),
            Change::Key(name) => renew(name),
            Change::Numbers => {
                wanted.quorums.confirm = 1 + u32::try_from(self.chance.below(3)).unwrap_or(0);
                wanted.quorums.dispute = 1 + u32::try_from(self.chance.below(2)).unwrap_or(0);
                wanted.quorums.halt = 1 + u32::try_from(self.chance.below(3)).unwrap_or(0);
            }
            Change::Owner => {
                let owners: Vec<_> =
                    wanted.members.iter().map(|member| member.organisation.clone()).collect();
                let place = self.chance.index(wanted.members.len());
                let apart = wanted.members[place].name.as_str().parse();
                let apart = apart.map_err(|_| Broken("an owner".to_owned()))?;
                let other = self.chance.pick(&owners).filter(|_| self.chance.one_in(2));
                let before = wanted.members[place].organisation.clone();
                wanted.members[place].organisation = other.cloned().unwrap_or(apart);
                // One owner would be enough to change everything, and its first member alone.
                if wanted.organisations() < 3 {
                    wanted.members[place].organisation = before;
                }
            }
            Change::Group => {
                let name = self.chance.pick(&wanted.members).map(|member| member.name.clone());
                let name = name.ok_or_else(|| Broken("nobody".to_owned()))?;
                let group =
                    wanted.groups.iter_mut().find(|group| group.name == self.around.cast.group);
                if let Some(group) = group {
                    let before = group.members.len();
                    group.members.retain(|member| *member != name);
                    if group.members.len() == before {
                        group.members.push(name.clone());
                    }
                }
                wanted.sort();
            }
            Change::Role(name, role) => {
                renew(name);
                let own = wanted.members.iter_mut().find(|member| member.name == *name);
                own.into_iter().for_each(|own| own.role = *role);
            }
            Change::Leave(name) => wanted.members.retain(|member| member.name != *name),
            Change::Return(name) => {
                let epoch = last_epoch(chain, name) + 1;
                wanted.members.push(self.card(name, epoch)?);
                wanted.sort();
            }
        }
        // More than half, and within reach of those that are honest.
        let owners: BTreeSet<_> =
            wanted.members.iter().map(|member| &member.organisation).collect();
        wanted.quorums.charter = u32::try_from(owners.len() / 2 + 1).unwrap_or(u32::MAX);
        Ok(wanted)
    }

    fn card(&self, name: &MemberName, epoch: u32) -> Result<Card, Broken> {
        let cast = &self.around.cast;
        let organisation = name.as_str().parse().map_err(|_| Broken("an owner".to_owned()))?;
        let address = (cast.behind_nat.as_ref() != Some(name)).then(|| cast::address(name));
        let key = cast::key(name, epoch).public().to_bytes();
        Ok(Card { name: name.clone(), organisation, role: Role::Platform, key, epoch, address })
    }

    /// Invites who wants to join.
    async fn invite(&self, member: &Member, node: &Arc<Node>) -> Result<(), Broken> {
        let Some(name) = &self.around.cast.joiner else { return Ok(()) };
        let card = self.card(name, 1)?;
        let Card { name, organisation, role, .. } = card;
        let invitation = Invitation { member: name, organisation, role };
        let token = tokio::time::timeout(PATIENCE, node.invite(invitation, &Actor::Node)).await;
        if let Ok(Ok(token)) = token {
            self.trace.note(member.name.as_str(), "invites");
            *self.invitation() = Some((member.place, token));
        }
        Ok(())
    }

    /// Whether a member that is down can be started: it has charters, and they have it. One that has left, or
    /// is not a member yet, asks how far that is.
    pub(super) async fn may_start(&self, member: &Arc<Member>) -> bool {
        let names = |chain: &CharterChain| {
            let own = chain.in_force().charter.member(&member.name);
            own.is_some_and(|own| own.key == cast::key(&member.name, own.epoch).public().to_bytes())
        };
        match member.chain().await {
            Ok(chain) if names(&chain) => true,
            Ok(chain) => {
                // It asks whoever answers, as anybody may.
                let known = self.members.iter().filter_map(|member| member.node());
                let newest = known.map(|node| node.changes().chain()).max_by_key(seq);
                let newest = newest.filter(|newest| seq(newest) > seq(&chain) && names(newest));
                let Some(newest) = newest else { return false };
                self.trace.note(member.name.as_str(), "is a member again");
                self.faults.fired(Fault::MemberBack);
                member.papers().install(newest);
                true
            }
            Err(_) => {
                let known = self.members.iter().filter_map(|member| member.node());
                let newest = known.map(|node| node.changes().chain()).max_by_key(seq).filter(names);
                let Some(chain) = self.join(member).await.or(newest) else { return false };
                self.trace.note(member.name.as_str(), "has joined");
                self.faults.fired(Fault::MemberJoined);
                member.papers().install(chain);
                true
            }
        }
    }

    /// Takes the invitation up, or asks how far it is.
    async fn join(&self, member: &Member) -> Option<CharterChain> {
        let (place, token) = self.invitation().clone()?;
        let host = self.members.iter().find(|member| member.place == place)?;
        let node = host.ready()?;
        let card = self.card(&member.name, 1).ok()?;
        let signature = sign_join(&token, &card, &cast::key(&member.name, 1));
        let joining = node.join(&token, &card, &signature);
        match tokio::time::timeout(PATIENCE, joining).await {
            Ok(Ok(Joining::Joined(chain))) => Some(*chain),
            Ok(Ok(_)) | Err(_) => None,
            Ok(Err(error)) => {
                self.trace.note(member.name.as_str(), format_args!("cannot join: {error}"));
                None
            }
        }
    }

    fn invitation(&self) -> std::sync::MutexGuard<'_, Option<(usize, String)>> {
        self.invitation.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Change {
    fn fault(&self) -> Fault {
        match self {
            Self::Numbers => Fault::NumbersProposed,
            Self::Owner => Fault::OwnerProposed,
            Self::Group => Fault::GroupProposed,
            Self::OwnKey => Fault::OwnKeyProposed,
            Self::Key(_) => Fault::KeyTakenProposed,
            Self::Leave(_) => Fault::LeaveProposed,
            Self::Return(_) => Fault::ReturnProposed,
            Self::Role(..) => Fault::RoleProposed,
        }
    }
}

fn seq(chain: &CharterChain) -> u64 {
    chain.in_force().charter.seq
}

/// The last epoch in which a member wrote a log.
fn last_epoch(chain: &CharterChain, name: &MemberName) -> u32 {
    let charter = &chain.in_force().charter;
    let closed = charter.closed.iter().filter(|log| log.member == *name).map(|log| log.epoch);
    let live = charter.member(name).map(|member| member.epoch);
    closed.chain(live).max().unwrap_or(0)
}
