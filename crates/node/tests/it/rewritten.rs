//! A desk log that was rewritten and anchored anew is shown for what it is: by the member's own node, and by whoever
//! checks its proof.

use std::{collections::BTreeMap, sync::Arc};

use watchfire_node::{
    desk::DeskKind,
    proof::{ProofError, check::check},
};
use watchfire_signal::desk::{DeskLeaf, DeskRecord, seal_line};
use watchfire_store::{Append, Batch, Held, MemoryStore, Store};
use watchfire_tlog::{Checkpoint, Entry, Frontier, Origin, SignedCheckpoint};

use crate::{
    coalition::{Cast, START_MS, Stage, TestClock, charter, key, start},
    proof::{Story, THREE, anchors, look, story},
};

const MINUTE_MS: u64 = 60_000;

/// A log as it stands in one store, put into another, signed anew if another one is to stand there.
async fn put(store: &Arc<dyn Store>, log: &Origin, entries: Vec<Entry>, head: SignedCheckpoint) {
    let leaf_hashes = entries.iter().map(Entry::leaf_hash).collect();
    let (log, checkpoint) = (log.clone(), head);
    let append = Append { log, size: 0, entries, leaf_hashes, checkpoint, verified_ms: START_MS };
    store.commit(Batch { append: Some(append), ..Batch::default() }).await.unwrap();
}

fn signed_by_google(origin: &Origin, entries: &[Entry]) -> SignedCheckpoint {
    let mut frontier = Frontier::new();
    entries.iter().for_each(|entry| frontier.append(entry.leaf_hash()));
    let (origin, size, root) = (origin.clone(), frontier.size(), frontier.root());
    SignedCheckpoint::sign(&Checkpoint { origin, size, root }, &key("google"))
}

/// The first decision about a case, turned round: the same time, another action.
fn forge(held: &mut [Held]) {
    let outcome = |held: &&mut Held| {
        DeskLeaf::decode(&held.entry.leaf).is_ok_and(|leaf| leaf.kind == DeskKind::Outcome)
    };
    let line = held.iter_mut().find(outcome).unwrap();
    let leaf = DeskLeaf::decode(&line.entry.leaf).unwrap();
    let DeskRecord { actor, body } = leaf.open(line.entry.record.as_ref().unwrap()).unwrap();
    let body = String::from_utf8(body).unwrap().replace("\"remove\"", "\"label\"").into_bytes();
    let record = DeskRecord { actor, body };
    let sealed = seal_line(leaf.kind, leaf.at_ms, &record, [5; 16]).unwrap();
    assert_ne!(&sealed.leaf[..], &line.entry.leaf[..]);
    line.entry = Entry::new(sealed.leaf, Some(sealed.record.into()));
}

/// What google holds, with another first decision in its desk log, and a new head over that.
async fn rewritten(story: &Story) -> Arc<dyn Store> {
    let store = Arc::new(MemoryStore::new()) as Arc<dyn Store>;
    for head in story.store.logs().await.unwrap() {
        let mut held = story.store.held(&head.log, 0, 1_000).await.unwrap();
        let desk = head.log.as_str().ends_with("/desk");
        if desk {
            forge(&mut held);
        }
        let entries = held.into_iter().map(|held| held.entry).collect::<Vec<_>>();
        let signed =
            if desk { signed_by_google(&head.log, &entries) } else { head.checkpoint.clone() };
        put(&store, &head.log, entries, signed).await;
    }
    store
}

/// Google, some hours later, on another store.
async fn later(story: &Story, store: Arc<dyn Store>) -> Stage {
    story.google.node.stop().await;
    story.google.clock.advance_ms(180 * MINUTE_MS);
    let (charter, clock) = (&story.charter, story.google.clock.clone());
    let (trust, peers) = (&[][..], BTreeMap::new());
    let stage = start(Cast { me: "google", charter, store, trust, peers, clock, seed: 12 }).await;
    look(&stage).await;
    stage.clock.advance_ms(60 * MINUTE_MS);
    look(&stage).await;
    let size = stage.node.desk().size().await.unwrap();
    while stage.node.anchored().is_none_or(|anchor| anchor.head.size < size) {
        tokio::task::yield_now().await;
    }
    stage
}

#[tokio::test]
async fn a_desk_log_that_was_rewritten_and_anchored_anew_proves_nothing() {
    let story = story().await;
    let before = anchors(&story.google).await;
    let store = rewritten(&story).await;
    let stage = later(&story, store.clone()).await;
    assert!(anchors(&stage).await.len() > before.len(), "it is anchored as it stands now");
    // Its own node says so, and at which entry of its log.
    let refused = stage.node.prove(&story.case, None).await.unwrap_err();
    let ProofError::Rewritten(log, index) = refused else { panic!("{refused}") };
    assert_eq!((log, index), (stage.node.log().clone(), before[0].0));
    // Whoever hides its former anchors has a file without a contradiction in it, and no proof.
    let origin = Origin::new(stage.node.log().to_string()).unwrap();
    for (index, _) in &before {
        store.erase(&origin, *index).await.unwrap();
    }
    let bundle = stage.node.prove(&story.case, None).await.unwrap();
    let proven = check(&bundle, &story.charter.clone().into()).unwrap();
    assert_eq!((proven.lines.len(), proven.fixed_late), (4, 4));
    assert!(!proven.is_fixed_in_time());
    assert_eq!(proven.lines[0].body["action"], "label");
}

#[tokio::test]
async fn what_was_fixed_in_time_is_proven_for_good() {
    let story = story().await;
    let store = story.store.clone();
    let stage = later(&story, store).await;
    let bundle = stage.node.prove(&story.case, None).await.unwrap();
    let proven = check(&bundle, &story.charter.clone().into()).unwrap();
    assert_eq!((proven.lines.len(), proven.fixed_late), (4, 0));
    assert!(proven.is_fixed_in_time());
    // The newest anchor is there too: what was fixed hours ago still stands.
    assert_eq!(bundle.desk.anchors.len(), 3);
}

/// What the documents promise, whatever the code calls it.
#[tokio::test]
async fn a_line_is_anchored_within_the_hour() {
    let (store, clock) = (Arc::new(MemoryStore::new()) as Arc<dyn Store>, TestClock::new());
    let charter = charter(&THREE, 2);
    let (trust, peers) = (&[][..], BTreeMap::new());
    let cast = Cast { me: "google", charter: &charter, store, trust, peers, clock, seed: 1 };
    let stage = start(cast).await;
    look(&stage).await;
    stage.clock.advance_ms(60 * MINUTE_MS);
    look(&stage).await;
    for _ in 0..10_000 {
        if stage.node.anchored().is_some() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("an hour has gone by, and nothing is anchored");
}
