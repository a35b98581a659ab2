//! What leaves a node of what others say goes as far as their marks allow, and no further.

use std::{collections::BTreeMap, sync::Arc};

use watchfire_node::{
    peer::Peer,
    proof::check::check,
    raise::{Answer, RaiseError},
    standing::State,
};
use watchfire_signal::{
    charter::{Charter, Group, SignedCharter},
    pdq::Pdq,
    reason::Reason,
    statement::Statement,
    tlp::{Audience, Tlp},
    value::Signal,
};
use watchfire_store::{MemoryStore, Store};

use crate::{
    coalition::{Cast, Stage, TestClock, TestPeer, alert, charter_with, name, start},
    proof::THREE,
};

/// google and tiktok, who are a group that twitch is not in.
async fn two_in_a_group() -> (SignedCharter, [Stage; 2]) {
    let grouped = |change: &mut Charter| {
        let members = vec![name("google"), name("tiktok")];
        let group = Group { name: "two".parse().unwrap(), members };
        change.groups = vec![group];
    };
    let charter = charter_with(&THREE, 2, grouped);
    let stores = [(); 2].map(|()| Arc::new(MemoryStore::new()) as Arc<dyn Store>);
    let mut stages = Vec::new();
    for (me, other, own, peer) in [("google", "tiktok", 0, 1), ("tiktok", "google", 1, 0)] {
        let up = tokio::sync::watch::Sender::new(true);
        let peer = Arc::new(TestPeer { store: stores[peer].clone(), up }) as Arc<dyn Peer>;
        let (store, clock, seed) = (stores[own].clone(), TestClock::new(), own as u64);
        let peers = BTreeMap::from([(name(other), peer)]);
        stages.push(
            start(Cast { me, charter: &charter, store, trust: &[], peers, clock, seed }).await,
        );
    }
    (charter, stages.try_into().ok().unwrap())
}

#[tokio::test]
async fn a_proof_shows_the_records_of_others_to_whom_their_marks_allow() {
    let (charter, [google, tiktok]) = two_in_a_group().await;
    // The farthest audience that gets it; a record without a mark has that of its group.
    let table = [
        ("all", None, Some(Audience::Community)),
        ("two", None, Some(Audience::Clients)),
        ("two", Some(Tlp::Clear), Some(Audience::Public)),
        ("all", Some(Tlp::Green), Some(Audience::Community)),
        ("all", Some(Tlp::Amber), Some(Audience::Clients)),
        ("all", Some(Tlp::AmberStrict), Some(Audience::Organisation)),
        ("all", Some(Tlp::Red), None),
    ];
    for (byte, (group, mark, farthest)) in (1..).zip(table) {
        let mut new = alert(vec![Signal::new(Pdq([byte; 32]))]);
        (new.group, new.alert.tlp) = (group.parse().unwrap(), mark);
        let case = tiktok.node.raise(new, None).await.unwrap().commitment;
        // Its author says more, which is marked like the case.
        let retract = Answer::Retract { reason: Reason::Test, restore: true, note: None };
        tiktok.node.answer(&case, retract, None).await.unwrap();
        while google.node.alert(&case).is_none_or(|known| known.state != State::Retracted) {
            tokio::task::yield_now().await;
        }
        for audience in Audience::ALL {
            for (stage, own) in [(&google, false), (&tiktok, true)] {
                let bundle = stage.node.prove(&case, Some(*audience)).await.unwrap();
                let proven = check(&bundle, &charter.clone().into()).unwrap();
                let shown = proven.entries.iter().map(|entry| entry.statement.is_some());
                let wanted = own || farthest.is_some_and(|farthest| *audience <= farthest);
                let what = format!("{mark:?} in {group} to {audience} by {}", stage.node.me());
                assert_eq!(shown.collect::<Vec<_>>(), [wanted; 2], "{what}");
                let kept = proven.entries[0].statement.as_ref().and_then(Statement::alert);
                assert!(kept.is_none_or(|alert| alert.tlp == mark), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn what_another_member_adds_to_a_case_keeps_its_mark_or_a_narrower_one() {
    let (_, [google, tiktok]) = two_in_a_group().await;
    let mut new = alert(vec![Signal::new(Pdq([1; 32]))]);
    new.alert.tlp = Some(Tlp::Amber);
    let case = tiktok.node.raise(new, None).await.unwrap().commitment;
    while google.node.alert(&case).is_none() {
        tokio::task::yield_now().await;
    }
    let copy = |byte, mark| {
        let mut new = alert(vec![Signal::new(Pdq([byte; 32]))]);
        new.alert.tlp = mark;
        (new, Some("mirrored".to_owned()))
    };
    let variant = google.node.widen(&case, copy(2, None), None).await.unwrap().commitment;
    assert_eq!(google.node.alert(&variant).unwrap().set.mark(), Tlp::Amber);
    let narrower = google.node.widen(&case, copy(3, Some(Tlp::Red)), None).await.unwrap();
    assert_eq!(google.node.alert(&narrower.commitment).unwrap().set.mark(), Tlp::Red);
    let wider = google.node.widen(&case, copy(4, Some(Tlp::Green)), None).await;
    assert!(matches!(wider, Err(RaiseError::Wider(Tlp::Amber))), "{wider:?}");
    // Its author may say that more is allowed.
    assert!(tiktok.node.widen(&case, copy(5, Some(Tlp::Clear)), None).await.is_ok());
}
