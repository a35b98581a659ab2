//! Charters that change while nodes run: who approves, what is in force, and what was said under which.

mod later;
mod telling;

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use proptest::prelude::*;
use watchfire_node::{
    Node, Setup,
    cases::SignalSet,
    charter::{
        TrustError,
        changes::{ChangeError, Changes, load},
        check_chain,
        draft::{Ends, differences, next},
        invites::{INVITE_DAYS, Invitation, Invites, JoinError, Joining, sign_join},
    },
    desk::{Actor, DeskKind},
    gossip::Heads,
    node::CharterDeed,
    peer::{Peer, PeerError, Theirs},
    receipts::Effective,
    standing::State,
};
use watchfire_signal::{
    charter::{Approval, Charter, CharterChain, Member, Quorums, Role, SignedCharter},
    header::Review,
    hex,
    label::Class,
    name::LogName,
    statement::{Head, KeyStep, Statement},
};
use watchfire_store::{MemoryStore, Store};
use watchfire_tlog::{Extension, Source};

use crate::{
    coalition::{Cast, TestClock, TestRandom, charter, charter_with, key, name, setup},
    logs::{Logs, MEMBERS, SEEN, SOON},
};

const THREE: [(&str, &str); 3] = [("ant", "ants"), ("bee", "bees"), ("cat", "cats")];

/// Another member's charters, at once, as the member of this name reaches them with its key of this epoch.
struct Neighbour(Changes, &'static str, u32);

#[async_trait]
impl Peer for Neighbour {
    fn source(&self, _log: &LogName) -> Arc<dyn Source> {
        unreachable!("charters alone are exchanged")
    }

    async fn push(&self, _log: &LogName, _more: &Extension) -> Result<u64, PeerError> {
        unreachable!("charters alone are exchanged")
    }

    async fn receipt(
        &self,
        _effective: &std::collections::BTreeMap<LogName, Effective>,
    ) -> Result<(), PeerError> {
        unreachable!("charters alone are exchanged")
    }

    async fn receipts(&self) -> Result<std::collections::BTreeMap<LogName, Effective>, PeerError> {
        unreachable!("charters alone are exchanged")
    }

    async fn exchange(&self, _ours: &Heads) -> Result<Heads, PeerError> {
        unreachable!("charters alone are exchanged")
    }

    async fn charters(&self, after: u64) -> Result<Theirs, PeerError> {
        let in_force = self.0.chain().in_force().charter.seq;
        Ok(Theirs { in_force, charters: self.0.lacking(after, true) })
    }

    async fn tell_charters(&self, ours: &[SignedCharter]) -> Result<(), PeerError> {
        let known = self.0.chain().in_force().charter.member(&name(self.1)).cloned();
        if known.is_none_or(|known| known.epoch != self.2) {
            return Err(PeerError("the signature is not believed".to_owned()));
        }
        self.0.take(ours.to_vec()).await.map(drop).map_err(|error| PeerError(error.to_string()))
    }
}

async fn opened(me: &str, store: &Arc<dyn Store>, chain: impl Into<CharterChain>) -> Changes {
    let chain = load(&**store, chain.into()).await.unwrap();
    Changes::open(name(me), Arc::new(key(me)), store.clone(), chain).await.unwrap()
}

fn store() -> Arc<dyn Store> {
    Arc::new(MemoryStore::default())
}

fn halting(before: &SignedCharter, halt: u32) -> Charter {
    let mut wanted = before.charter.clone();
    wanted.quorums.halt = halt;
    next(before, wanted, &name("ant"), &Ends::new())
}

#[tokio::test]
async fn a_member_approves_one_charter_of_a_number_also_after_a_restart() {
    let first = charter(&THREE, 2);
    let store = store();
    let ant = opened("ant", &store, first.clone()).await;
    let hash = ant.propose(halting(&first, 1), None).await.unwrap();
    assert_eq!(ant.propose(halting(&first, 1), None).await.unwrap(), hash, "again is the same");
    let other = ant.propose(halting(&first, 3), None).await;
    assert!(matches!(other, Err(ChangeError::Voted { seq: 2, .. })));
    drop(ant);
    let ant = opened("ant", &store, first.clone()).await;
    assert_eq!(ant.proposals().len(), 1, "what was proposed is there after a restart");
    assert!(matches!(ant.propose(halting(&first, 3), None).await, Err(ChangeError::Voted { .. })));
    // Once it is in force the next number is free, and what is in force is there after a restart.
    let bee = opened("bee", &self::store(), first.clone()).await;
    bee.take(ant.lacking(1, true)).await.unwrap();
    assert!(bee.approve(&hash, None).await.unwrap());
    ant.take(bee.lacking(1, false)).await.unwrap();
    drop(ant);
    let ant = opened("ant", &store, first).await;
    let second = ant.chain().in_force().clone();
    assert_eq!((second.hash(), second.charter.seq), (hash, 2));
    ant.propose(halting(&second, 3), None).await.unwrap();
}

#[tokio::test]
async fn who_leaves_with_a_charter_does_not_take_the_missing_approval_along() {
    let first = charter(&THREE, 2);
    let (store, bee) = (store(), opened("bee", &self::store(), first.clone()).await);
    let mut wanted = first.charter.clone();
    wanted.members.retain(|member| member.name != name("ant"));
    let hash = bee.propose(next(&first, wanted, &name("bee"), &Ends::new()), None).await.unwrap();
    let ant = opened("ant", &store, first.clone()).await;
    ant.take(bee.lacking(1, true)).await.unwrap();
    assert!(!ant.approve(&hash, None).await.unwrap(), "nobody else has the approval yet");
    drop(ant);
    // It still works, and tells whoever it reaches.
    let ant = opened("ant", &store, first).await;
    assert_eq!(ant.chain().in_force().charter.seq, 1);
    bee.take(ant.lacking(1, true)).await.unwrap();
    assert_eq!(bee.chain().in_force().hash(), hash);
    ant.take(bee.lacking(1, false)).await.unwrap();
    assert_eq!(ant.chain().in_force().hash(), hash);
}

#[tokio::test(start_paused = true)]
async fn who_is_not_believed_under_its_former_key_learns_of_the_charter_that_replaced_it() {
    let first = charter(&THREE, 2);
    let [ant, bee, cat] = ["ant", "bee", "cat"].map(|member| (member, store()));
    let ant = opened(ant.0, &ant.1, first.clone()).await;
    let bee = opened(bee.0, &bee.1, first.clone()).await;
    let cat = opened(cat.0, &cat.1, first.clone()).await;
    let mut wanted = first.charter.clone();
    wanted.members.iter_mut().filter(|member| member.name == name("bee")).for_each(|bee| {
        bee.key = key("bee again").public().to_bytes();
    });
    let wanted = next(&first, wanted, &name("ant"), &Ends::new());
    let hash = ant.propose(wanted, None).await.unwrap();
    // Nobody else knows of what it has proposed itself, and it wants to tell.
    bee.propose(halting(&first, 1), None).await.unwrap();
    cat.take(ant.lacking(1, true)).await.unwrap();
    assert!(cat.approve(&hash, None).await.unwrap());
    tokio::spawn(bee.clone().run(Arc::new(Neighbour(cat, "bee", 1)), TestRandom::new(1)));
    let learns = tokio::time::timeout(std::time::Duration::from_secs(60), bee.newer_than(1));
    learns.await.expect("it asks, and is answered as anybody is");
    assert_eq!(bee.chain().in_force().hash(), hash);
}

#[tokio::test]
async fn what_nobody_of_the_charter_has_signed_or_does_not_follow_is_passed_over() {
    let first = charter(&THREE, 2);
    let ant = opened("ant", &store(), first.clone()).await;
    let wanted = halting(&first, 1);
    let approve = |charter: &Charter, member: &str, by: &str| Approval {
        member: name(member),
        signature: watchfire_node::charter::approve(&charter.hash(), &key(by)),
    };
    let forged = [approve(&wanted, "bee", "dog"), approve(&wanted, "dog", "dog")];
    let forged = SignedCharter::new(wanted.clone(), forged.to_vec()).unwrap();
    let mut unrelated = wanted.clone();
    unrelated.previous = [1; 32];
    let by = vec![approve(&unrelated, "bee", "bee"), approve(&unrelated, "cat", "cat")];
    let unrelated = SignedCharter::new(unrelated, by).unwrap();
    assert!(!ant.take(vec![forged.clone(), unrelated]).await.unwrap());
    assert!(ant.proposals().is_empty());
    // One true approval among forged ones counts as one.
    let mut approvals = forged.approvals;
    approvals.push(approve(&wanted, "cat", "cat"));
    let one = SignedCharter::new(wanted, approvals).unwrap();
    assert!(matches!(
        watchfire_node::charter::check_next(&first, &one),
        Err(TrustError::Approval(_))
    ));
    assert!(ant.take(vec![one]).await.unwrap());
    let proposals = ant.proposals();
    assert_eq!(proposals[0].approved.iter().collect::<Vec<_>>(), [&name("cat")]);
    assert_eq!(ant.chain().in_force(), &first);
}

#[tokio::test]
async fn an_owner_of_two_members_does_not_put_two_charters_of_one_number_in_force() {
    let four = [("ant", "pair"), ("bee", "pair"), ("cat", "cats"), ("dog", "dogs")];
    let first = charter_with(&four, 2, |charter| charter.quorums.charter = 2);
    let mut houses = Vec::new();
    for (member, _) in four {
        houses.push(opened(member, &store(), first.clone()).await);
    }
    let [ant, bee, cat, dog] = &houses[..] else { unreachable!() };
    // Nobody approves twice: each member of the pair agrees with another one of the others.
    let one = dog.propose(halting(&first, 1), None).await.unwrap();
    let other = cat.propose(halting(&first, 3), None).await.unwrap();
    bee.take(dog.lacking(1, true)).await.unwrap();
    ant.take(cat.lacking(1, true)).await.unwrap();
    assert!(
        !bee.approve(&one, None).await.unwrap(),
        "the second of two alone does not speak for both"
    );
    assert!(ant.approve(&other, None).await.unwrap(), "the first of them does");
    dog.take(bee.lacking(1, true)).await.unwrap();
    assert_eq!(dog.chain().in_force().charter.seq, 1);
    for house in [bee, cat, dog] {
        house.take(ant.lacking(1, true)).await.unwrap();
    }
    assert!(houses.iter().all(|house| house.chain().in_force().hash() == other));
    // Nor does anybody believe a chain in which such an approval was the missing one.
    let approvals = ["bee", "dog"].map(|member| Approval {
        member: name(member),
        signature: watchfire_node::charter::approve(&one, &key(member)),
    });
    let next = SignedCharter::new(halting(&first, 1), approvals.to_vec()).unwrap();
    let refused = watchfire_node::charter::check_next(&first, &next);
    assert!(matches!(refused, Err(TrustError::Quorum { approved: 1, needed: 2 })));
}

#[tokio::test]
async fn whose_approval_puts_a_charter_in_force_is_told_so_though_the_node_stops_for_it() {
    let first = charter(&[("ant", "ants")], 1);
    let store = store();
    let begin = || {
        let (charter, clock, peers) = (&first, TestClock::new(), BTreeMap::new());
        let store = store.clone();
        let setup = setup(Cast { me: "ant", charter, store, trust: &[], peers, clock, seed: 1 });
        Node::start(Setup { alone: true, ..setup })
    };
    let node = begin().await.unwrap();
    let stops = tokio::spawn({
        let node = node.clone();
        async move {
            node.outdated().await;
            node.kill();
        }
    });
    let wanted =
        Charter { quorums: Quorums { halt: 2, ..first.charter.quorums }, ..first.charter.clone() };
    let person = Actor::Person("p1".to_owned());
    let approved = node.propose_charter(wanted, &person).await.unwrap();
    assert!(approved.in_force);
    stops.await.unwrap();
    drop(node);
    // Who did it stands in the desk log, as the charter stands on the disk.
    let node = begin().await.unwrap();
    assert_eq!(node.charter().hash(), approved.hash);
    let lines = node.desk().newest(Some(DeskKind::Charter), u64::MAX, 9).await.unwrap();
    let said: Vec<_> = lines.iter().map(|line| line.record.clone().unwrap()).collect();
    assert_eq!((said.len(), said[0].actor.as_str()), (1, "person:p1"));
    let hash = hex::encode(&approved.hash);
    assert_eq!(lines[0].deed(), Some(CharterDeed::Proposed(hash)));
}

#[tokio::test]
async fn that_an_invitation_was_taken_up_stands_in_the_desk_log_of_who_approved_it_with_that() {
    let first = charter(&THREE, 2);
    let (store, clock, peers) = (store(), TestClock::new(), BTreeMap::new());
    let charter = &first;
    let setup = setup(Cast { me: "ant", charter, store, trust: &[], peers, clock, seed: 1 });
    let node = Node::start(Setup { alone: true, ..setup }).await.unwrap();
    let (dog, organisation) = (name("dog"), "dogs".parse().unwrap());
    let invitation = Invitation { member: dog.clone(), organisation, role: Role::Platform };
    let person = Actor::Person("p1".to_owned());
    let token = node.invite(invitation.clone(), &person).await.unwrap();
    let its = card("dog", "dogs");
    let signature = sign_join(&token, &its, &key("dog"));
    for new in [true, false] {
        let Joining::Proposed { hash, new: first, .. } =
            node.join(&token, &its, &signature).await.unwrap()
        else {
            panic!("two organisations are needed")
        };
        assert_eq!(first, new);
        let lines = node.desk().newest(Some(DeskKind::Charter), u64::MAX, 9).await.unwrap();
        let deeds: Vec<_> = lines.iter().filter_map(|line| line.deed::<CharterDeed>()).collect();
        let taken = CharterDeed::TakenUp { member: dog.clone(), hash: hex::encode(&hash) };
        assert_eq!(deeds, [taken, CharterDeed::Invited(invitation.clone())]);
    }
    node.stop().await;
}

#[tokio::test]
async fn who_approves_two_charters_of_one_number_is_found_out() {
    let first = charter(&THREE, 2);
    let ant = opened("ant", &store(), first.clone()).await;
    for halt in [1, 3, 4] {
        // Each is told to another member; `cat` has two disks.
        let cat = opened("cat", &store(), first.clone()).await;
        cat.propose(halting(&first, halt), None).await.unwrap();
        ant.take(cat.lacking(1, true)).await.unwrap();
    }
    assert_eq!(ant.doubled().into_iter().collect::<Vec<_>>(), [name("cat")]);
    assert_eq!(ant.proposals().len(), 2, "a third one proves nothing more");
}

fn card(member: &str, organisation: &str) -> Member {
    Member {
        name: name(member),
        organisation: organisation.parse().unwrap(),
        role: Role::Platform,
        key: key(member).public().to_bytes(),
        epoch: 1,
        address: None,
    }
}

#[tokio::test]
async fn an_invitation_lets_one_key_in_once_enough_have_approved() {
    let first = charter(&THREE, 2);
    let (store, clock) = (store(), TestClock::new());
    let ant = opened("ant", &store, first.clone()).await;
    let invites = Invites {
        me: name("ant"),
        store,
        clock: clock.clone(),
        random: TestRandom::new(1),
        changes: ant.clone(),
        told: None,
    };
    let invitation = Invitation {
        member: name("dog"),
        organisation: "dogs".parse().unwrap(),
        role: Role::Platform,
    };
    let taken = Invitation { member: name("bee"), ..invitation.clone() };
    assert!(matches!(invites.invite(taken).await, Err(JoinError::Taken(_))));
    let token = invites.invite(invitation).await.unwrap();
    let dog = card("dog", "dogs");
    let signature = sign_join(&token, &dog, &key("dog"));
    let join = |token: &str, card: &Member, signature: [u8; 64]| {
        let (invites, token, card) = (invites.clone(), token.to_owned(), card.clone());
        async move { invites.join(&token, &card, &signature).await }
    };
    assert!(matches!(join("wfj_00", &dog, signature).await, Err(JoinError::Unknown)));
    // Who does not hold the key of the card, or is somebody else, gets nothing proposed.
    let stolen = sign_join(&token, &dog, &key("cow"));
    assert!(matches!(join(&token, &dog, stolen).await, Err(JoinError::Signature)));
    let cow = card("cow", "dogs");
    let signed = sign_join(&token, &cow, &key("cow"));
    assert!(matches!(join(&token, &cow, signed).await, Err(JoinError::Other { .. })));
    assert!(ant.proposals().is_empty());
    let Joining::Proposed { hash, approved, needed, new: true } =
        join(&token, &dog, signature).await.unwrap()
    else {
        panic!("it is proposed");
    };
    assert_eq!((approved, needed), (1, 2));
    // Again it is the same; another key does not get in on the same token.
    let again = join(&token, &dog, signature).await.unwrap();
    assert!(matches!(again, Joining::Proposed { hash: same, .. } if same == hash));
    let impostor = Member { key: key("fox").public().to_bytes(), ..dog.clone() };
    let signed = sign_join(&token, &impostor, &key("fox"));
    assert!(matches!(join(&token, &impostor, signed).await, Err(JoinError::Used)));
    let bee = opened("bee", &self::store(), first.clone()).await;
    bee.take(ant.lacking(1, true)).await.unwrap();
    bee.approve(&hash, None).await.unwrap();
    ant.take(bee.lacking(1, false)).await.unwrap();
    let Joining::Joined(chain) = join(&token, &dog, signature).await.unwrap() else {
        panic!("it has joined");
    };
    check_chain(&chain).unwrap();
    let charter = &chain.in_force().charter;
    assert_eq!(charter.member(&name("dog")), Some(&dog));
    assert_eq!(charter.quorums.charter, 3, "more than half of four");
    clock.advance_ms((INVITE_DAYS + 1) * 86_400_000);
    assert!(matches!(join(&token, &dog, signature).await, Err(JoinError::Unknown)));
}

#[test]
fn a_draft_closes_what_ends_and_says_what_changes() {
    let first = charter(&THREE, 2);
    let log = |member: &str| first.charter.log_of(&name(member)).unwrap();
    let held = Head { size: 5, root: [5; 32] };
    let ends = Ends::from([(log("cat"), held), (log("bee"), held), (log("ant"), held)]);
    let mut wanted = first.charter.clone();
    wanted.groups = vec![watchfire_signal::charter::Group {
        name: "pets".parse().unwrap(),
        members: vec![name("ant"), name("cat")],
    }];
    wanted.members.retain(|member| member.name != name("cat"));
    for member in &mut wanted.members {
        member.key = key(&format!("new {}", member.name)).public().to_bytes();
    }
    let drafted = next(&first, wanted, &name("ant"), &ends);
    drafted.validate().unwrap();
    drafted.check_follows(&first).unwrap();
    let closed = drafted.closed.iter().map(|log| (log.member.as_str(), log.epoch, log.last));
    // Our own log ends with our own word, those that others take a key from or let go where they stood.
    assert_eq!(
        closed.collect::<Vec<_>>(),
        [("ant", 1, None), ("bee", 1, Some(held)), ("cat", 1, Some(held))]
    );
    assert!(drafted.members.iter().all(|member| member.epoch == 2));
    assert_eq!(drafted.groups[0].members, [name("ant")]);
    let told = differences(&first.charter, &drafted);
    assert!(told.contains(&"ant has a new key, and a new log in epoch 2".to_owned()), "{told:?}");
    assert!(told.contains(&"cat leaves".to_owned()), "{told:?}");
    // Who comes back begins a new log.
    let second = SignedCharter::new(drafted, vec![]).unwrap();
    let mut wanted = second.charter.clone();
    let again = Member { key: key("cat again").public().to_bytes(), ..card("cat", "cats") };
    wanted.members.push(again);
    let third = next(&second, wanted, &name("ant"), &ends);
    third.check_follows(&second).unwrap();
    assert_eq!(third.member(&name("cat")).unwrap().epoch, 2);
}

/// A chain of two charters, the second with something changed; approvals are not looked at by the fold.
pub(crate) fn changed(
    first: &SignedCharter,
    change: impl FnOnce(&mut Charter),
    ends: &Ends,
) -> CharterChain {
    let mut wanted = first.charter.clone();
    change(&mut wanted);
    let second = next(first, wanted, &name("google"), ends);
    let mut chain = CharterChain::from(first.clone());
    chain.push(SignedCharter::new(second, vec![]).unwrap()).unwrap();
    chain
}

fn state(set: Option<Arc<SignalSet>>) -> State {
    set.unwrap().state(SOON)
}

#[test]
fn what_a_member_that_left_stood_by_is_not_acted_on_and_stays_down_until_a_person_decides() {
    let mut logs = Logs::new();
    let shared = logs.assert("tiktok", Review::OneHuman);
    logs.confirm("reddit", &shared, SEEN);
    let alone = logs.assert("reddit", Review::OneHuman);
    let ends = Ends::from([(logs.log("reddit"), Head { size: 2, root: [0; 32] })]);
    // After the end that the others name, perhaps with a stolen key.
    let late = logs.assert("reddit", Review::OneHuman);
    let leave = |next: &mut Charter| next.members.retain(|member| member.name != name("reddit"));
    let chain = changed(&logs.charter, leave, &ends);
    for choices in [&[][..], &[3, 1, 2, 0, 5, 4, 1, 1]] {
        let cases = logs.fold_under(&chain, choices);
        let set = cases.set(&shared.0).unwrap();
        assert_eq!(set.standing.confirmations, 1, "the author alone is left");
        assert_eq!(state(Some(set)), State::Provisional);
        let set = cases.set(&alone.0).unwrap();
        assert_eq!(state(Some(set.clone())), State::Lapsed, "nothing more is done for it");
        assert!(set.standing.needs_person(), "and nothing of it comes back by itself");
        assert!(cases.set(&late.0).is_none(), "what stands after the end of a log says nothing");
    }
}

#[test]
fn a_member_with_a_new_key_is_the_same_member_and_its_old_log_ends_with_its_own_word() {
    let mut logs = Logs::new();
    let first = logs.charter.clone();
    let case = logs.assert("tiktok", Review::OneHuman);
    for _ in 0..5 {
        logs.count("google", &case.1, 1);
    }
    let confirmed = logs.confirm("google", &case, SEEN);
    let new = key("google again").public().to_bytes();
    let rotate = |next: &mut Charter| {
        let own = next.members.iter_mut().find(|member| member.name == name("google"));
        own.unwrap().key = new;
    };
    let chain = changed(&first, rotate, &Ends::new());
    let last = Head { size: 6, root: [0; 32] };
    let turn = Statement::Key { step: KeyStep::Rotate, key: new, last };
    logs.say("google", &turn, |header| header.class = Class::None);
    let stolen = logs.assert("google", Review::OneHuman);
    // What it goes on with.
    logs.charter = chain.in_force().clone();
    assert_eq!(logs.log("google").epoch, 2);
    let fresh = logs.assert("google", Review::OneHuman);
    let cases = logs.fold_under(&chain, &[]);
    assert_eq!(state(cases.set(&case.0)), State::Confirmed, "what it said before counts");
    assert_eq!(state(cases.set(&fresh.0)), State::Provisional);
    assert!(cases.set(&stolen.0).is_none(), "the old key says nothing after the turn");
    // The first word in the new log is later than the sixth in the old one.
    logs.retract("google", &confirmed);
    let cases = logs.fold_under(&chain, &[]);
    assert_eq!(state(cases.set(&case.0)), State::Provisional);
    // A confirmation of its own alert by another of its logs is still its own.
    logs.charter = first;
    let own = logs.assert("facebook", Review::OneHuman);
    logs.confirm("instagram", &own, SEEN);
    assert_eq!(state(logs.fold_under(&chain, &[]).set(&own.0)), State::Provisional);
}

#[test]
fn records_count_under_the_charter_they_name_and_charters_never_decrease_along_a_log() {
    let mut logs = Logs::new();
    let promote = |next: &mut Charter| {
        let own = next.members.iter_mut().find(|member| member.name == name("google"));
        own.unwrap().role = Role::Platform;
    };
    logs.charter = charter_with(&MEMBERS, 2, |charter| {
        let own = charter.members.iter_mut().find(|member| member.name == name("google"));
        own.unwrap().role = Role::Auditor;
    });
    let first = logs.charter.clone();
    let chain = changed(&first, promote, &Ends::new());
    let before = logs.assert("google", Review::OneHuman);
    logs.charter = chain.in_force().clone();
    let tiktok = logs.assert("tiktok", Review::OneHuman);
    let after = logs.assert("google", Review::OneHuman);
    let google = logs.confirm("google", &tiktok, SEEN);
    // Back to the charter before.
    logs.charter = first.clone();
    let stale = logs.assert("tiktok", Review::OneHuman);
    for choices in [&[][..], &[1, 1, 1, 1], &[2, 0, 1, 3, 1]] {
        let cases = logs.fold_under(&chain, choices);
        assert!(cases.set(&before.0).is_none(), "an auditor alerts of nothing");
        assert_eq!(state(cases.set(&tiktok.0)), State::Confirmed, "by {google:?}");
        assert!(cases.set(&after.0).is_some(), "it is a platform now");
        assert!(cases.set(&stale.0).is_none(), "an older charter than before");
    }
    // Under the first charter alone, what names a later one waits for that.
    assert!(logs.fold_under(&first.into(), &[]).set(&tiktok.0).is_none());
}

#[test]
fn a_new_log_ends_a_suspension() {
    let mut logs = Logs::new();
    let before = logs.assert("google", Review::OneHuman);
    for member in ["tiktok", "facebook", "reddit"] {
        logs.suspend(member, "google", 1);
    }
    let first = logs.charter.clone();
    let cases = logs.fold(&[]);
    assert!(cases.set(&before.0).unwrap().standing.suspended);
    let new_key = |next: &mut Charter| {
        let own = next.members.iter_mut().find(|member| member.name == name("google"));
        own.unwrap().key = key("google again").public().to_bytes();
    };
    let mut wanted = first.charter.clone();
    new_key(&mut wanted);
    // Others take the key away: the old log ends where they say.
    let ends = Ends::from([(logs.log("google"), Head { size: 1, root: [0; 32] })]);
    let second = next(&first, wanted, &name("tiktok"), &ends);
    let mut chain = CharterChain::from(first);
    chain.push(SignedCharter::new(second, vec![]).unwrap()).unwrap();
    logs.charter = chain.in_force().clone();
    let after = logs.assert("google", Review::OneHuman);
    let cases = logs.fold_under(&chain, &[]);
    assert_eq!(state(cases.set(&after.0)), State::Provisional);
    assert_eq!(state(cases.set(&before.0)), State::Provisional, "it is heard again");
}

proptest! {
    #[test]
    fn the_order_of_arrival_changes_nothing_under_a_chain_of_charters(choices: Vec<u8>) {
        let mut logs = Logs::new();
        let first = logs.charter.clone();
        let one = logs.assert("tiktok", Review::OneHuman);
        let confirmed = logs.confirm("google", &one, SEEN);
        let two = logs.assert("google", Review::OneHuman);
        logs.confirm("reddit", &two, SEEN);
        let new = key("google again").public().to_bytes();
        let change = |next: &mut Charter| {
            next.members.retain(|member| member.name != name("reddit"));
            let own = next.members.iter_mut().find(|member| member.name == name("google"));
            own.unwrap().key = new;
        };
        let ends = Ends::from([(logs.log("reddit"), Head { size: 1, root: [0; 32] })]);
        let chain = changed(&first, change, &ends);
        let last = Head { size: 2, root: [0; 32] };
        let turn = Statement::Key { step: KeyStep::Rotate, key: new, last };
        logs.say("google", &turn, |header| header.class = Class::None);
        logs.say("google", &Statement::Renew { valid_until: SOON * 2 }, |header| {
            header.target = Some(one.1.clone());
        });
        logs.charter = chain.in_force().clone();
        logs.dispute("facebook", &two);
        logs.retract("google", &confirmed);
        let (straight, mixed) = (logs.fold_under(&chain, &[]), logs.fold_under(&chain, &choices));
        for case in [one.0, two.0] {
            let (left, right) = (straight.set(&case).unwrap(), mixed.set(&case).unwrap());
            prop_assert_eq!(&left.standing, &right.standing);
            prop_assert_eq!(&left.opinions, &right.opinions);
            prop_assert_eq!(left.renewals(), right.renewals());
        }
        prop_assert_eq!(MEMBERS.len(), first.charter.members.len());
    }
}
