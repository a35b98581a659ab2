//! What is said under a charter that a receiver does not know yet, and in a log that its author has not ended.

use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;
use watchfire_node::{
    NewIncident, Node, Readiness, Setup, StopMember,
    cases::Cases,
    charter::{
        TrustError, approve,
        changes::ChangeError,
        draft::{Ends, differences, next},
    },
    policy::{Policy, Verdict},
    raise::RaiseError,
    standing::{Standing, State},
    urgent::is_urgent,
};
use watchfire_signal::{
    alert::Alert,
    charter::{Approval, Charter, CharterChain, SignedCharter},
    commitment::Commitment,
    header::Review,
    incident::IncidentStep,
    pdq::Pdq,
    reason::Reason,
    record::Leaf,
    statement::{Head, Statement},
    value::Signal,
};

use super::{changed, opened, state, store};
use crate::{
    coalition::{Cast, TestClock, alert, charter, key, name, setup},
    logs::{Logs, MEMBERS, SEEN, SOON, incident},
};

/// What an author says under a charter that comes in force in its midst.
fn under_two_charters(logs: &mut Logs, kinds: &[u8]) -> (CharterChain, Vec<Commitment>) {
    let first = logs.charter.clone();
    let chain = changed(&first, |next| next.quotas.records_a_day = 4, &Ends::new());
    let second = chain.in_force().clone();
    let mut names = vec![logs.assert("tiktok", Review::OneHuman)];
    for (at, kind) in kinds.iter().enumerate() {
        logs.charter = if kind & 1 > 0 || at > 4 { second.clone() } else { first.clone() };
        let last = names.last().cloned().unwrap();
        match kind >> 1 & 7 {
            0 => logs.retract("tiktok", &last.1),
            1 => logs.say_in_a_future_version("tiktok", &last.1),
            2 => drop(logs.dispute("tiktok", &last)),
            3 => logs.erase("tiktok", &last.1),
            // An older charter than before says nothing.
            _ => names.push(logs.assert("tiktok", Review::OneHuman)),
        }
    }
    logs.charter = second;
    (chain, names.into_iter().map(|(name, _)| name).collect())
}

/// Folds the only log under its first charter, and learns of the second before an entry.
fn learning(logs: &Logs, chain: &CharterChain, before: usize, late: usize) -> Cases {
    let mut cases = Cases::of_chain(&chain.first().clone().into());
    let log = logs.log("tiktok");
    let held = &logs.logs[&log];
    let learn = |cases: &mut Cases, folded: usize| {
        for (_, from) in cases.learn(chain.in_force()) {
            for held in &held[folded.min(from as usize)..folded] {
                cases.fold(&log, held.clone());
            }
        }
    };
    for (at, one) in held.iter().enumerate() {
        if at == before {
            learn(&mut cases, at);
        }
        cases.fold(&log, one.clone());
        // What is urgent may have come ahead of its turn.
        if let Some(ahead) = held.get(at + late).filter(|held| {
            let leaf = Leaf::decode(&held.entry.leaf);
            late > 0 && leaf.is_ok_and(|leaf| is_urgent(&leaf))
        }) {
            cases.fold(&log, ahead.clone());
        }
    }
    if before >= held.len() {
        learn(&mut cases, held.len());
    }
    cases
}

fn counted(cases: &Cases, names: &[Commitment]) -> Vec<Option<Standing>> {
    names.iter().map(|name| cases.set(name).map(|set| set.standing.clone())).collect()
}

#[test]
fn what_names_a_charter_counts_in_its_quotas_whenever_that_is_learned() {
    // Two under the first, six under the second, which lets four a day count.
    let mut logs = Logs::new();
    let (chain, names) = under_two_charters(&mut logs, &[8, 9, 9, 9, 9, 9]);
    let early = counted(&learning(&logs, &chain, 0, 0), &names);
    let says = early.iter().map(Option::is_some).collect::<Vec<_>>();
    assert_eq!(says, [true, true, true, true, false, false, false]);
    for before in 1..10 {
        assert_eq!(counted(&learning(&logs, &chain, before, 0), &names), early, "{before}");
    }
}

#[test]
fn what_comes_after_a_charter_that_is_not_known_yet_is_looked_at_after_that() {
    // One under the second, one that says nothing because it goes back, one of a version that nobody knows.
    let mut logs = Logs::new();
    let (chain, names) = under_two_charters(&mut logs, &[9, 8, 3, 9, 9, 9]);
    let early = counted(&learning(&logs, &chain, 0, 0), &names);
    let says = early.iter().map(Option::is_some).collect::<Vec<_>>();
    assert_eq!(says, [true, true, false, true, false, false]);
    assert_eq!(counted(&learning(&logs, &chain, 9, 0), &names), early);
    // Nobody but its author is held up by one that no charter will ever have.
    let mut odd = Logs::new();
    let known = odd.assert("google", Review::OneHuman);
    let far = odd.say("tiktok", &Statement::Erase, |header| {
        header.target = Some(known.1.clone());
        header.charter.seq = 99;
    });
    odd.confirm("reddit", &known, SEEN);
    let held_up = odd.assert("tiktok", Review::OneHuman);
    let cases = odd.fold(&[]);
    assert_eq!(state(cases.set(&known.0)), State::Confirmed, "{far:?}");
    assert!(cases.set(&held_up.0).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_running_node_folds_again_what_waited_for_a_charter_and_what_came_after() {
    let mut logs = Logs::new();
    let (chain, names) = under_two_charters(&mut logs, &[8, 9, 9, 9, 9, 9]);
    let (store, clock, peers) = (store(), TestClock::new(), BTreeMap::new());
    let charter = chain.first();
    let cast =
        Cast { me: "reddit", charter, store: store.clone(), trust: &[], peers, clock, seed: 1 };
    let node = Node::start(Setup { alone: true, ..setup(cast) }).await.unwrap();
    logs.write(&store, "tiktok", 3).await;
    let says = async || {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let known = node.alerts(None, 100);
        let here = |name: &Commitment| known.iter().any(|set| set.name == *name);
        names.iter().map(here).collect::<Vec<_>>()
    };
    assert_eq!(says().await, [true, true, false, false, false, false, false]);
    let second = chain.in_force();
    let hash = second.hash();
    let mut approvals = MEMBERS.map(|(member, _)| Approval {
        member: name(member),
        signature: approve(&hash, &key(member)),
    });
    approvals.sort_by(|one, other| one.member.cmp(&other.member));
    let second = SignedCharter::new(second.charter.clone(), approvals.to_vec()).unwrap();
    assert!(node.changes().take(vec![second]).await.unwrap());
    assert_eq!(says().await, [true, true, true, true, false, false, false]);
    node.stop().await;
}

#[test]
fn a_log_that_its_author_has_not_ended_ends_with_the_next_charter_at_what_is_held() {
    let mut logs = Logs::new();
    let first = logs.charter.clone();
    let old = logs.log("google");
    let new_key = |charter: &mut Charter| {
        let own = charter.members.iter_mut().find(|member| member.name == name("google"));
        own.unwrap().key = key("google again").public().to_bytes();
    };
    let before = logs.assert("google", Review::OneHuman);
    // By its own member: it is to say itself where it ends.
    let mut chain = changed(&first, new_key, &Ends::new());
    assert_eq!(chain.last_of(&old), None);
    // Whoever has its former key goes on in it.
    let after = logs.assert("google", Review::OneHuman);
    assert!(logs.fold_under(&chain, &[]).set(&after.0).is_some());
    let second = chain.in_force().clone();
    let held = Head { size: 1, root: [5; 32] };
    let third = |ends: &Ends| next(&second, second.charter.clone(), &name("tiktok"), ends);
    assert!(third(&Ends::new()).closed[0].last.is_none(), "it has ended by its own word");
    let third = third(&Ends::from([(old.clone(), held)]));
    assert_eq!(
        differences(&second.charter, &third),
        ["the log of google of epoch 1, still open, ends after 1 entries"]
    );
    chain.push(SignedCharter::new(third, vec![]).unwrap()).unwrap();
    assert_eq!(chain.last_of(&old), Some(held));
    let cases = logs.fold_under(&chain, &[]);
    assert!(cases.set(&before.0).is_some());
    assert!(cases.set(&after.0).is_none(), "nobody goes on in it");
}

proptest! {
    #[test]
    fn it_does_not_matter_when_a_charter_is_learned(
        kinds in proptest::collection::vec(0_u8..32, 0..10),
        before in 0_usize..12,
        late in 0_usize..4,
    ) {
        let mut logs = Logs::new();
        let (chain, names) = under_two_charters(&mut logs, &kinds);
        let early = counted(&learning(&logs, &chain, 0, 0), &names);
        prop_assert_eq!(counted(&learning(&logs, &chain, before, late), &names), early);
    }
}

/// Labels are read by the taxonomy of the charter that an alert was written under; one of another taxonomy is looked at by
/// people, as what is of an unknown version is, however many stand by it.
#[test]
fn an_alert_of_another_taxonomy_than_its_charter_has_does_nothing_by_itself() {
    let mut logs = Logs::under(charter(&MEMBERS, 2));
    let first = logs.charter.clone();
    let chain = changed(&first, |next| next.taxonomy = 2, &Ends::new());
    let alert_of = |logs: &mut Logs, taxonomy: u32| {
        let alert = Alert { taxonomy, ..alert(vec![Signal::new(Pdq([taxonomy as u8; 32]))]).alert };
        let case = logs.say("tiktok", &Statement::Assert(alert), |header| {
            header.severity = Some(3);
            header.review = Some(Review::OneHuman);
        });
        logs.confirm("facebook", &case, SEEN);
        logs.confirm("reddit", &case, SEEN);
        case.0
    };
    let under_the_first = [1, 2].map(|taxonomy| alert_of(&mut logs, taxonomy));
    logs.charter = chain.in_force().clone();
    let under_the_second = [1, 2].map(|taxonomy| alert_of(&mut logs, taxonomy));
    let policy = Policy::default();
    let cases = logs.fold_under(&chain, &[]);
    let acts = |case: &Commitment| {
        let set = cases.set(case).unwrap();
        assert_eq!(set.state(SOON), State::Confirmed);
        let decision = policy.decide(&set.facts(&name("google"), SOON));
        (decision.take_down().is_some(), decision.verdict() == Verdict::Review)
    };
    assert_eq!(under_the_first.map(|case| acts(&case)), [(true, false), (false, true)]);
    assert_eq!(under_the_second.map(|case| acts(&case)), [(false, true), (true, false)]);
}

/// A charter whose versions this program does not write is not approved by it; where others have put it in force, the node
/// takes back what it had said, and says nothing new.
#[tokio::test]
async fn under_versions_that_it_does_not_write_a_node_takes_back_and_says_nothing_new() {
    let first = charter(&MEMBERS, 2);
    let wanted = |change: fn(&mut Charter)| {
        let mut wanted = first.charter.clone();
        change(&mut wanted);
        next(&first, wanted, &name("tiktok"), &Ends::new())
    };
    let records = wanted(|charter| charter.record_version = 2);
    let labels = wanted(|charter| charter.taxonomy = 2);
    let house = opened("tiktok", &store(), first.clone()).await;
    for charter in [&records, &labels] {
        let refused = house.propose(charter.clone(), None).await;
        assert!(
            matches!(refused, Err(ChangeError::Untrusted(TrustError::Version { .. }))),
            "{refused:?}"
        );
        let by = ["facebook", "google", "reddit"].map(|member| Approval {
            member: name(member),
            signature: approve(&charter.hash(), &key(member)),
        });
        let one = SignedCharter::new(charter.clone(), by[..1].to_vec()).unwrap();
        house.take(vec![one]).await.unwrap();
        let refused = house.approve(&charter.hash(), None).await;
        assert!(matches!(refused, Err(ChangeError::Untrusted(TrustError::Version { .. }))));

        let mut chain = CharterChain::from(first.clone());
        chain.push(SignedCharter::new(charter.clone(), by.to_vec()).unwrap()).unwrap();
        let (clock, peers) = (TestClock::new(), BTreeMap::new());
        let cast = Cast {
            me: "tiktok",
            charter: &first,
            store: store(),
            trust: &[],
            peers,
            clock,
            seed: 1,
        };
        let node = Node::start(Setup { charter: chain, ..setup(cast) }).await.unwrap();
        while node.readiness() == Readiness::Recovering {
            tokio::task::yield_now().await;
        }
        let raised = node.raise(alert(vec![Signal::new(Pdq([1; 32]))]), None).await;
        assert!(raised.is_err());
        let body = incident(IncidentStep::Declare, 1, &[]);
        let declared = NewIncident { body, test: false, ask_approval: false };
        let declared = node.declare(declared, None).await;
        if charter.taxonomy == 2 {
            assert!(matches!(raised, Err(RaiseError::Taxonomy { ours: 1, charter: 2 })));
            declared.unwrap();
        } else {
            let says = declared.unwrap_err().to_string();
            assert!(says.ends_with("this program does not write records of version 2: update it"));
        }
        let halt = (StopMember::Halt, false);
        node.stop_member(&name("reddit"), halt, Reason::CompromisedIssuer, None).await.unwrap();
        node.stop().await;
    }
}
