//! What a member decided before it got another key is proven as what it decides since, and a desk log that
//! only says that it grew is found out.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use watchfire_node::{
    Node, Readiness, Setup,
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
    charter::{Approval, Charter, CharterChain, Role, SignedCharter, SuccessionError},
    header::Review,
    name::LogName,
    record::Leaf,
    statement::{Head, Statement},
    verb::Verb,
};
use watchfire_tlog::{Entry, Origin, OwnKey, PeerKey, SignedCheckpoint};

use crate::{
    charters::changed,
    coalition::{Cast, key, name, setup},
    logs::Logs,
    proof::{Story, THREE, story},
};

/// The chain in which a member has another key, which google has drafted; of its former log this much is
/// accepted if google takes the key away from it.
fn with_a_new_key(first: &SignedCharter, member: &str, ends: &Ends) -> CharterChain {
    let mut wanted = first.charter.clone();
    let its = wanted.members.iter_mut().find(|one| one.name == name(member));
    its.unwrap().key = key(&format!("{member} again")).public().to_bytes();
    let charter = next(first, wanted, &name("google"), ends);
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

/// Google, under the chain in which it has another key, with its former one if it still has that.
async fn started_again(
    story: &Story,
    chain: &CharterChain,
    former_key: Option<OwnKey>,
) -> Arc<Node> {
    let cast = Cast {
        me: "google",
        charter: &story.charter,
        store: story.store.clone(),
        trust: &[],
        peers: BTreeMap::new(),
        clock: story.google.clock.clone(),
        seed: 9,
    };
    let (key, former_key) = (Arc::new(key("google again")), former_key.map(Arc::new));
    let again = Setup { key, former_key, charter: chain.clone(), ..setup(cast) };
    Node::start(again).await.unwrap()
}

#[tokio::test]
async fn what_was_decided_before_a_new_key_is_proven_with_the_charters_alone() {
    let story = story().await;
    story.google.node.stop().await;
    let chain = with_a_new_key(&story.charter, "google", &Ends::new());
    let node = started_again(&story, &chain, Some(key("google"))).await;
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

#[tokio::test(start_paused = true)]
async fn the_next_charter_ends_a_log_that_its_author_has_not_ended_where_it_is_held() {
    let story = story().await;
    story.google.node.stop().await;
    let chain = with_a_new_key(&story.charter, "google", &Ends::new());
    let start = async |former_key| {
        let node = started_again(&story, &chain, former_key).await;
        while node.readiness() != Readiness::Ready {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        node
    };
    let wanted = || chain.in_force().charter.clone();
    // Its former key is lost: nobody but who has it can end the log by a word in it.
    let node = start(None).await;
    let (charter, changes) = node.draft_charter(wanted()).await.unwrap();
    let size = charter.closed[0].last.unwrap().size;
    assert!(size > 0);
    let line = format!("the log of google of epoch 1, still open, ends after {size} entries");
    assert_eq!(changes, [line]);
    node.stop().await;
    // It has ended it itself, and what would come after that says nothing.
    let node = start(Some(key("google"))).await;
    let (charter, changes) = node.draft_charter(wanted()).await.unwrap();
    assert_eq!((charter.closed[0].last, changes), (None, vec![]));
    node.stop().await;
}

#[tokio::test]
async fn of_a_log_that_others_ended_what_stands_beyond_its_end_proves_nothing() {
    let story = story().await;
    let bundle = story.google.node.prove(&story.case, None).await.unwrap();
    assert!(check(&bundle, &story.charter.clone().into()).is_ok());
    let part = bundle.logs.iter().find(|part| part.log.member == name("tiktok")).unwrap();
    let origin = Origin::new(part.log.to_string()).unwrap();
    let signer = PeerKey::from_bytes(&key("tiktok").public().to_bytes()).unwrap();
    let head = SignedCheckpoint::new(part.checkpoint.as_str()).verify(&origin, &signer).unwrap();
    let ended = |size, root| {
        let ends = Ends::from([(part.log.clone(), Head { size, root })]);
        check(&bundle, &with_a_new_key(&story.charter, "tiktok", &ends)).map(drop)
    };
    assert!(ended(head.size, head.root.0).is_ok());
    assert!(ended(head.size + 1, [1; 32]).is_ok(), "what came later is not in the proof");
    assert!(matches!(ended(head.size, [1; 32]), Err(Wrong::OtherEnd(_))));
    let last = part.entries.last().unwrap().index;
    assert!(matches!(ended(last, [1; 32]), Err(Wrong::BeyondEnd(_, at, end)) if at == end));
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

#[test]
fn who_may_say_less_does_not_go_on_as_before_by_never_naming_the_charter_that_says_so() {
    let mut logs = Logs::new();
    let first = logs.charter.clone();
    let before = logs.assert("google", Review::OneHuman);
    // It goes on to write under the charter in which it was a platform.
    let after = logs.assert("google", Review::OneHuman);
    let ends = Ends::from([(logs.log("google"), Head { size: 1, root: [0; 32] })]);
    let demote = |new_key: bool| {
        move |next: &mut Charter| {
            let own = next.members.iter_mut().find(|member| member.name == name("google"));
            let own = own.unwrap();
            own.role = Role::Auditor;
            if new_key {
                own.key = key("google again").public().to_bytes();
            }
        }
    };
    let mut wanted = first.charter.clone();
    demote(false)(&mut wanted);
    let refused = next(&first, wanted, &name("tiktok"), &ends).check_follows(&first);
    assert_eq!(refused, Err(SuccessionError::Role(name("google"))));
    // Whoever drafts it, itself too.
    let chain = changed(&first, demote(true), &ends);
    assert_eq!(chain.last_of(&logs.log("google")).unwrap().size, 1);
    for choices in [&[][..], &[1, 1, 1, 1]] {
        let cases = logs.fold_under(&chain, choices);
        assert!(cases.set(&before.0).is_some(), "it was a platform when it said that");
        assert!(cases.set(&after.0).is_none());
    }
}
