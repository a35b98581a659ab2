//! What a member decided before it got another key is proven as what it decides since, and a desk log that
//! only says that it grew is found out.

use std::{collections::BTreeMap, sync::Arc};

use watchfire_node::{
    Node, Setup,
    anchor::Anchors,
    charter::{
        approve,
        draft::{Ends, next},
    },
    place::Place,
    proof::{
        bundle::Bundle,
        check::{Wrong, check},
    },
};
use watchfire_signal::{
    charter::{Approval, CharterChain, SignedCharter},
    name::LogName,
    record::Leaf,
    statement::{Head, Statement},
    verb::Verb,
};
use watchfire_tlog::Entry;

use crate::{
    coalition::{Cast, key, name, setup},
    logs::Logs,
    proof::{THREE, story},
};

/// The chain in which google has another key.
fn with_a_new_key(first: &SignedCharter) -> CharterChain {
    let mut wanted = first.charter.clone();
    let own = wanted.members.iter_mut().find(|member| member.name == name("google"));
    own.unwrap().key = key("google again").public().to_bytes();
    let charter = next(first, wanted, &name("google"), &Ends::new());
    let hash = charter.hash();
    let mut approvals = THREE.map(|(member, _)| Approval {
        member: name(member),
        signature: approve(&hash, &key(member)),
    });
    approvals.sort_by(|a, b| a.member.cmp(&b.member));
    let mut chain = CharterChain::from(first.clone());
    chain.push(SignedCharter::new(charter, approvals.to_vec()).unwrap()).unwrap();
    chain
}

#[tokio::test]
async fn what_was_decided_before_a_new_key_is_proven_with_the_charters_alone() {
    let story = story().await;
    story.google.node.stop().await;
    let chain = with_a_new_key(&story.charter);
    let cast = Cast {
        me: "google",
        charter: &story.charter,
        store: story.store.clone(),
        trust: &[],
        peers: BTreeMap::new(),
        clock: story.google.clock.clone(),
        seed: 9,
    };
    let (old, new) = (Arc::new(key("google")), Arc::new(key("google again")));
    let again = Setup { key: new, former_key: Some(old), charter: chain.clone(), ..setup(cast) };
    let node = Node::start(again).await.unwrap();
    let bundle = node.prove(&story.case, None).await.unwrap();
    assert!(bundle.desk.lines.is_empty() && bundle.former.len() == 1);
    let bundle = Bundle::decode(&bundle.encode().unwrap()).unwrap();
    let proven = check(&bundle, &chain).unwrap();
    let lines = proven.lines.iter().map(|line| (line.epoch, line.anchor.is_some()));
    assert_eq!(lines.collect::<Vec<_>>(), [(1, true); 4]);
    let verbs: Vec<_> = proven.entries.iter().map(|entry| entry.header.verb).collect();
    assert!(verbs.contains(&Verb::Assert) && verbs.contains(&Verb::Confirm));

    // Lines of one epoch are not passed off as those of another, and no epoch stands there twice.
    let mut moved = bundle.clone();
    moved.former[0].epoch = 2;
    assert!(matches!(check(&moved, &chain), Err(Wrong::Log(_))));
    let mut moved = bundle.clone();
    moved.desk = moved.former.remove(0).desk;
    assert!(matches!(check(&moved, &chain), Err(Wrong::Anchor(_))));
    let mut changed = bundle.clone();
    changed.former[0].desk.lines[0].index += 1;
    assert!(matches!(check(&changed, &chain), Err(Wrong::Line(_))));
    assert_eq!(node.desks().len(), 2);
}

/// A log that says these heads of its author's desk log, with its entries.
fn saying(heads: &[(u64, u8)]) -> (LogName, Vec<Entry>) {
    let mut logs = Logs::new();
    for (size, root) in heads {
        let head = Statement::Desk(Head { size: *size, root: [*root; 32] });
        logs.say("google", &head, |_| {});
    }
    let log = logs.log("google");
    let entries = logs.logs[&log].iter().map(|held| held.entry.clone());
    (log, entries.collect())
}

#[test]
fn two_anchors_that_do_not_go_together_are_told_once() {
    let told = |heads: &[(u64, u8)], order: &[usize]| {
        let ((log, entries), anchors) = (saying(heads), Anchors::default());
        let take = |at: usize| {
            let (leaf, record) = (&entries[at].leaf, entries[at].record.as_ref());
            let place = Place { log: log.clone(), index: at as u64 };
            anchors.take(&place, &Leaf::decode(leaf).unwrap(), record)
        };
        let told = order.iter().filter(|at| take(**at)).count();
        assert_eq!(anchors.rewritten().len(), told.min(1));
        told
    };
    assert_eq!(told(&[(3, 1), (5, 2), (9, 3)], &[0, 1, 2]), 0);
    assert_eq!(told(&[(3, 1), (3, 1)], &[0, 1]), 0, "the same once more");
    assert_eq!(told(&[(3, 1), (3, 2)], &[0, 1]), 1, "of one size, and not the same");
    assert_eq!(told(&[(5, 1), (3, 2), (2, 3)], &[0, 1, 2]), 1, "shorter, and told once");
    assert_eq!(told(&[(5, 1), (3, 2)], &[1, 0]), 1, "whichever comes first");
    assert_eq!(told(&[(3, 1), (5, 2)], &[1, 0, 1]), 0);
}
