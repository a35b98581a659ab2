//! A witness that is asked by anybody (C2SP tlog-witness): what it cosigns goes on from what it cosigned last, whichever
//! way, and never against its own copy.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::{FutureExt as _, future::join};
use watchfire_node::{cosigner::CosignError, witness::witnesses};
use watchfire_signal::{
    charter::{Role, SignedCharter},
    name::LogName,
};
use watchfire_store::{MemoryStore, Store};
use watchfire_tlog::{
    AddCheckpoint, Checkpoint, EvidenceKind, Extension, Frontier, Origin, SignedCheckpoint,
    cosign::cosigned_at, proof::consistency,
};

use crate::{
    coalition::{
        Cast, START_MS, Stage, TestClock, alert, charter_with, key, log_name, name, start,
    },
    faulty::{Disk, FaultyStore},
};

const THREE: [(&str, &str); 3] = [("ant", "ants"), ("bee", "bees"), ("cat", "cats")];

/// Bee is a witness.
fn charter() -> SignedCharter {
    charter_with(&THREE, 2, |charter| {
        let bee = |member: &&mut watchfire_signal::charter::Member| member.name == name("bee");
        charter.members.iter_mut().filter(bee).for_each(|member| member.role = Role::Witness);
    })
}

fn store() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

/// Without peers, who would have heads handed out at moments of their own.
fn cast<'a>(me: &'a str, charter: &'a SignedCharter, store: &Arc<dyn Store>) -> Cast<'a> {
    let (store, clock, peers) = (store.clone(), TestClock::new(), BTreeMap::new());
    Cast { me, charter, store, trust: &[], peers, clock, seed: 60 }
}

/// A log of cat with so many pictures, of which the first is this one.
async fn lair(charter: &SignedCharter, pictures: std::ops::Range<u8>) -> (Stage, Arc<dyn Store>) {
    let store = store();
    let cat = start(cast("cat", charter, &store)).await;
    raise(&cat, pictures).await;
    (cat, store)
}

async fn raise(cat: &Stage, pictures: std::ops::Range<u8>) {
    for byte in pictures {
        cat.node.raise(alert(vec![crate::workshop::picture(byte)]), None).await.unwrap();
    }
}

fn origin() -> Origin {
    Origin::new(log_name("cat").to_string()).unwrap()
}

/// The head of cat's log at a size, with the proof from another one.
async fn request(store: &Arc<dyn Store>, old: u64, size: u64) -> AddCheckpoint {
    let source = store.read(&origin());
    let root = Frontier::read(&*source, size).await.unwrap().root();
    let proof = consistency(&*source, old, size).await.unwrap();
    let checkpoint =
        SignedCheckpoint::sign(&Checkpoint { origin: origin(), size, root }, &key("cat"));
    AddCheckpoint { old, proof, checkpoint }
}

/// Has the copy of cat's log grow to a size.
async fn bring(stage: &Stage, store: &Arc<dyn Store>, size: u64) {
    let from = stage.node.held().await.unwrap().get(&name("cat")).copied().unwrap_or(0);
    let entries = store.read(&origin()).entries(from, size).await.unwrap();
    let more = Extension { from, entries, checkpoint: request(store, 0, size).await.checkpoint };
    assert_eq!(stage.node.accept(&name("cat"), more).await.unwrap(), Some(size));
}

/// That an answer cosigns what was submitted.
fn assert_cosigned(request: &AddCheckpoint, line: &str) {
    let (witness, key) = witnesses(&charter().charter).pop_first().unwrap();
    let note = SignedCheckpoint::new(format!("{}{line}", request.checkpoint.text));
    assert_eq!(cosigned_at(&note, &witness, &key), Some(START_MS / 1_000), "{line}");
}

/// The size cosigned last, by the refusal of a request.
fn conflict(answer: Result<String, CosignError>) -> u64 {
    match answer {
        Err(CosignError::Conflict { last }) => last,
        other => panic!("{other:?}"),
    }
}

/// What bee hands out of cat's log: size, and whether bee has cosigned it.
async fn offered(bee: &Stage) -> (u64, bool) {
    let ours = bee.node.gossip().ours().await.unwrap();
    let head = &ours.heads[&log_name("cat")];
    let (witness, key) = witnesses(&charter().charter).pop_first().unwrap();
    let size = head.text.lines().nth(1).unwrap().parse().unwrap();
    (size, cosigned_at(head, &witness, &key).is_some())
}

#[tokio::test]
async fn what_is_handed_out_and_what_is_submitted_go_on_from_one_another() {
    let charter = charter();
    let (cat, cats) = lair(&charter, 1..3).await;
    let bees = store();
    let bee = start(cast("bee", &charter, &bees)).await;
    bring(&bee, &cats, 2).await;
    // Nothing was cosigned yet: what the copy holds may be submitted from nothing.
    let first = request(&cats, 0, 1).await;
    assert_cosigned(&first, &bee.node.add_checkpoint(&first).await.unwrap());
    assert_eq!(offered(&bee).await, (2, true));
    assert_eq!(conflict(bee.node.add_checkpoint(&request(&cats, 1, 2).await).await), 2);
    let same = request(&cats, 2, 2).await;
    assert_cosigned(&same, &bee.node.add_checkpoint(&same).await.unwrap());

    // Submitted ahead of the copy: what is handed out is smaller, and not cosigned until it has caught up.
    raise(&cat, 3..6).await;
    let ahead = request(&cats, 2, 4).await;
    assert_cosigned(&ahead, &bee.node.add_checkpoint(&ahead).await.unwrap());
    assert_eq!(offered(&bee).await, (2, false));
    assert_eq!(conflict(bee.node.add_checkpoint(&request(&cats, 2, 5).await).await), 4);
    // A restart forgets nothing of either.
    bee.node.stop().await;
    let bee = start(cast("bee", &charter, &bees)).await;
    assert_eq!(conflict(bee.node.add_checkpoint(&request(&cats, 0, 5).await).await), 4);
    assert_eq!(offered(&bee).await, (2, false));
    bring(&bee, &cats, 5).await;
    assert_eq!(offered(&bee).await, (5, true));
}

#[tokio::test]
async fn a_head_beyond_a_copy_that_is_beyond_what_was_cosigned_goes_on_from_the_copy() {
    let charter = charter();
    let (_cat, cats) = lair(&charter, 1..5).await;
    let bee = start(cast("bee", &charter, &store())).await;
    bring(&bee, &cats, 2).await;
    assert_eq!(conflict(bee.node.add_checkpoint(&request(&cats, 0, 4).await).await), 2);
    let from_there = request(&cats, 2, 4).await;
    assert_cosigned(&from_there, &bee.node.add_checkpoint(&from_there).await.unwrap());
}

#[tokio::test]
async fn another_history_than_that_of_the_copy_is_never_cosigned_and_is_evidence() {
    let charter = charter();
    let (_cat, cats) = lair(&charter, 1..4).await;
    let (_other, others) = lair(&charter, 5..9).await;
    // Smaller than the copy, of its size, and larger: the last proves nothing yet.
    for (size, proven) in [(2, true), (3, true), (4, false)] {
        let bee = start(cast("bee", &charter, &store())).await;
        bring(&bee, &cats, 3).await;
        let last = conflict(bee.node.add_checkpoint(&request(&others, 0, size).await).await);
        assert_eq!(last, if proven { 0 } else { 3 });
        let forked = request(&others, 3, 4).await;
        let told = bee.node.add_checkpoint(&forked).await;
        let evidence = bee.node.evidence(&log_name("cat")).await.unwrap();
        assert_eq!(evidence.len(), usize::from(proven), "{size}");
        assert!(evidence.iter().all(|proof| proof.check(&origin(), &key("cat").public())));
        let sound = request(&cats, 3, 3).await;
        let sound = bee.node.add_checkpoint(&sound).await;
        if proven {
            assert!(matches!(told, Err(CosignError::Frozen)), "{told:?}");
            assert!(matches!(sound, Err(CosignError::Frozen)), "{sound:?}");
            assert_eq!(offered(&bee).await, (3, false));
        } else {
            assert!(matches!(told, Err(CosignError::Unproven)), "{told:?}");
            assert!(sound.is_ok());
        }
    }
}

#[tokio::test]
async fn what_was_cosigned_ahead_of_the_copy_convicts_a_log_that_comes_to_something_else() {
    let charter = charter();
    let (_cat, cats) = lair(&charter, 1..5).await;
    let (_other, others) = lair(&charter, 5..9).await;
    // Found when heads are handed out, or when the next one is submitted, which goes on from the copy.
    for handed_out in [true, false] {
        let bee = start(cast("bee", &charter, &store())).await;
        let ahead = request(&others, 0, 2).await;
        assert_cosigned(&ahead, &bee.node.add_checkpoint(&ahead).await.unwrap());
        bring(&bee, &cats, 3).await;
        if handed_out {
            assert_eq!(offered(&bee).await, (3, false));
        } else {
            assert_eq!(conflict(bee.node.add_checkpoint(&request(&cats, 3, 4).await).await), 2);
        }
        let evidence = bee.node.evidence(&log_name("cat")).await.unwrap();
        assert_eq!(evidence.len(), 1);
        assert!(evidence[0].check(&origin(), &key("cat").public()));
        for more in [request(&others, 2, 4).await, request(&cats, 3, 4).await] {
            let more = bee.node.add_checkpoint(&more).await;
            assert!(matches!(more, Err(CosignError::Frozen)), "{more:?}");
        }
    }
}

#[tokio::test]
async fn two_heads_of_one_size_convict_whatever_old_size_they_come_with() {
    let charter = charter();
    let (_cat, cats) = lair(&charter, 1..4).await;
    let (_other, others) = lair(&charter, 5..8).await;
    for old in [0, 3] {
        let bee = start(cast("bee", &charter, &store())).await;
        let first = request(&cats, 0, 3).await;
        bee.node.add_checkpoint(&first).await.unwrap();
        let fork = AddCheckpoint { proof: vec![], ..request(&others, old, 3).await };
        for _ in 0..2 {
            assert_eq!(conflict(bee.node.add_checkpoint(&fork).await), 3);
        }
        let evidence = bee.node.evidence(&log_name("cat")).await.unwrap();
        assert_eq!((evidence.len(), &evidence[0].kind), (1, &EvidenceKind::SameSize));
        assert!(evidence[0].check(&origin(), &key("cat").public()));
    }
}

#[tokio::test]
async fn of_two_that_ask_at_once_the_later_goes_on_from_the_earlier() {
    let charter = charter();
    let (_cat, cats) = lair(&charter, 1..5).await;
    let disk = tokio::sync::watch::Sender::new(Disk::Works);
    let faulty = Arc::new(FaultyStore { store: store(), disk: disk.clone() }) as Arc<dyn Store>;
    let bee = start(cast("bee", &charter, &faulty)).await;
    let (larger, smaller) = (request(&cats, 0, 4).await, request(&cats, 0, 2).await);
    disk.send_replace(Disk::Hangs);
    let mut both =
        Box::pin(join(bee.node.add_checkpoint(&larger), bee.node.add_checkpoint(&smaller)));
    for _ in 0..16 {
        assert!((&mut both).now_or_never().is_none(), "nothing is answered before it is durable");
        tokio::task::yield_now().await;
    }
    disk.send_replace(Disk::Works);
    let (first, second) = both.await;
    assert_cosigned(&larger, &first.unwrap());
    assert_eq!(conflict(second), 4);
    assert_eq!(conflict(bee.node.add_checkpoint(&request(&cats, 0, 4).await).await), 4);
}

#[tokio::test]
async fn what_cannot_be_written_down_is_not_cosigned() {
    let charter = charter();
    let (_cat, cats) = lair(&charter, 1..4).await;
    let disk = tokio::sync::watch::Sender::new(Disk::Works);
    let faulty = Arc::new(FaultyStore { store: store(), disk: disk.clone() });
    let faulty = faulty as Arc<dyn Store>;
    let bee = start(cast("bee", &charter, &faulty)).await;
    bring(&bee, &cats, 3).await;
    disk.send_replace(Disk::Full);
    let first = request(&cats, 0, 3).await;
    let refused = bee.node.add_checkpoint(&first).await;
    assert!(matches!(refused, Err(CosignError::Store(_))), "{refused:?}");
    assert_eq!(offered(&bee).await, (3, false), "heads are compared all the same");
    disk.send_replace(Disk::Works);
    assert_cosigned(&first, &bee.node.add_checkpoint(&first).await.unwrap());
    assert_eq!(offered(&bee).await, (3, true));
}

#[tokio::test]
async fn only_a_witness_cosigns_and_only_what_others_write() {
    let charter = charter();
    let (_cat, cats) = lair(&charter, 1..2).await;
    let bee = start(cast("bee", &charter, &store())).await;
    let ant = start(cast("ant", &charter, &store())).await;
    let unknown = |answer: Result<String, CosignError>| match answer {
        Err(CosignError::Unknown(log)) => log,
        other => panic!("{other:?}"),
    };
    let cats = request(&cats, 0, 1).await;
    assert_eq!(unknown(ant.node.add_checkpoint(&cats).await), "watchfire/test/cat/1");
    let of = |log: &LogName, by: &str| {
        let origin = Origin::new(log.to_string()).unwrap();
        let says = Checkpoint { origin, ..Checkpoint::empty(self::origin()) };
        let checkpoint = SignedCheckpoint::sign(&says, &key(by));
        AddCheckpoint { old: 0, proof: vec![], checkpoint }
    };
    let own = of(&log_name("bee"), "bee");
    assert_eq!(unknown(bee.node.add_checkpoint(&own).await), "watchfire/test/bee/1");
    let later = of(&LogName { epoch: 2, ..log_name("cat") }, "cat");
    assert_eq!(unknown(bee.node.add_checkpoint(&later).await), "watchfire/test/cat/2");
    let forged = bee.node.add_checkpoint(&of(&log_name("cat"), "ant")).await;
    assert!(matches!(forged, Err(CosignError::Unsigned)), "{forged:?}");
    let empty = of(&log_name("cat"), "cat");
    assert_cosigned(&empty, &bee.node.add_checkpoint(&empty).await.unwrap());
    let larger = AddCheckpoint { old: 1, ..empty };
    let larger = bee.node.add_checkpoint(&larger).await;
    assert!(matches!(larger, Err(CosignError::Malformed(_))), "{larger:?}");
}
