//! What members of each role say counts as far as their role has a say.

use std::{collections::BTreeMap, sync::Arc};

use watchfire_node::{
    cases::{Cases, Ignored},
    raise::RaiseError,
    standing::State,
};
use watchfire_signal::{
    charter::{Charter, CharterChain, ClosedLog, Role, SignedCharter},
    header::Review,
    label::Class,
    statement::{Head, KeyStep, Statement},
};

use watchfire_store::{MemoryStore, Store as _};

use crate::{
    coalition::{Cast, TestClock, alert, charter_with, key, name, start},
    logs::{Logs, SEEN, SOON},
    workshop::picture,
};

#[test]
fn only_who_holds_content_confirms() {
    for (role, state) in [
        (Role::Platform, State::Confirmed),
        (Role::Contributor, State::Confirmed),
        (Role::Convenor, State::Provisional),
        (Role::Auditor, State::Provisional),
        (Role::Witness, State::Provisional),
    ] {
        let mut logs = Logs::with_role("reddit", role);
        let case = logs.assert("tiktok", Review::OneHuman);
        logs.confirm("reddit", &case, SEEN);
        assert_eq!(logs.state(&case.0, SOON), state, "{role:?}");
    }
}

#[test]
fn a_convenor_disputes_and_takes_that_back() {
    let mut logs = Logs::with_role("reddit", Role::Convenor);
    let case = logs.assert("tiktok", Review::OneHuman);
    let dispute = logs.dispute("reddit", &case);
    assert_eq!(logs.state(&case.0, SOON), State::Disputed);
    logs.retract("reddit", &dispute);
    assert_eq!(logs.state(&case.0, SOON), State::Provisional);
}

/// An auditor gets another key, and the charter leaves it to the former one to say where its log ends.
#[test]
fn every_role_ends_its_own_log_when_its_key_changes() {
    for role in [Role::Platform, Role::Contributor, Role::Convenor, Role::Auditor, Role::Witness] {
        let mut logs = Logs::with_role("reddit", role);
        let first = logs.charter.clone();
        let (log, new_key) = (logs.log("reddit"), key("reddit again").public().to_bytes());
        let about = |header: &mut watchfire_signal::header::Header| header.class = Class::None;
        let desk = |size| Statement::Desk(Head { size, root: [1; 32] });
        let last = Head { size: 1, root: [0; 32] };
        let ends = Statement::Key { step: KeyStep::Rotate, key: new_key, last };
        for statement in [desk(1), ends, desk(2)] {
            logs.say("reddit", &statement, about);
        }
        let (seq, previous) = (2, first.hash());
        let mut second = Charter { seq, previous, ..first.charter.clone() };
        let own = second.members.iter_mut().find(|member| member.name == name("reddit")).unwrap();
        let closed = ClosedLog { member: name("reddit"), epoch: 1, key: own.key, last: None };
        (own.key, own.epoch) = (new_key, 2);
        second.closed.push(closed);
        let mut chain = CharterChain::from(first);
        chain.push(SignedCharter::new(second, vec![]).unwrap()).unwrap();
        let mut cases = Cases::of_chain(&chain);
        let ignored = logs.logs[&log].iter().map(|held| cases.fold(&log, held.clone()).1);
        assert_eq!(ignored.collect::<Vec<_>>(), [None, None, Some(Ignored::Foreign)], "{role:?}");
    }
}

/// Nobody would hear it: the node says so instead of writing it.
#[tokio::test]
async fn a_node_does_not_write_what_its_role_does_not_let_it_say() {
    let members = [("tiktok", "bytedance"), ("reddit", "advance")];
    let charter = charter_with(&members, 2, |charter| {
        let own = charter.members.iter_mut().find(|member| member.name == name("tiktok"));
        own.unwrap().role = Role::Auditor;
    });
    let store = Arc::new(MemoryStore::new());
    let stage = start(Cast {
        me: "tiktok",
        charter: &charter,
        store: store.clone(),
        trust: &[],
        peers: BTreeMap::new(),
        clock: TestClock::new(),
        seed: 1,
    })
    .await;
    let refused = stage.node.raise(alert(vec![picture(1)]), None).await;
    let said = refused.unwrap_err();
    assert!(matches!(said, RaiseError::NotAllowed { role: Role::Auditor, .. }), "{said}");
    assert_eq!(store.logs().await.unwrap().len(), 0, "nothing was written");
}
