//! What speaks of something that is not here yet counts once that comes, however much of it there is.

use std::{collections::BTreeMap, sync::Arc};

use watchfire_node::{cases::Ignored, standing::State};
use watchfire_signal::{
    alert::Family,
    commitment::Commitment,
    header::{Review, Target},
    statement::Statement,
    value::Signal,
};
use watchfire_store::{MemoryStore, Store};

use crate::{
    coalition::{Cast, TestClock, alert, start},
    logs::{Logs, SEEN, SOON},
    story::clip,
};

/// Variants of an alert that are more together than what of one log waits; each is as large as a record may be.
const MANY: usize = 20;

/// Google adds very much to an alert of tiktok, confirms it, and takes back one of the things that it added.
fn flooded() -> (Logs, (Commitment, Target), Vec<(Commitment, Target)>) {
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::OneHuman);
    let added: Vec<_> = (0..MANY).map(|_| add_very_much(&mut logs, &case)).collect();
    logs.confirm("google", &case, SEEN);
    logs.retract("google", &added[MANY - 1].1);
    (logs, case, added)
}

fn add_very_much(logs: &mut Logs, case: &(Commitment, Target)) -> (Commitment, Target) {
    let frames = Signal::new(clip(0, 3_600, 1));
    let mut alert = alert(vec![frames; 7]).alert;
    alert.kind = watchfire_signal::alert::ContentKind::Video;
    // Over before it came: nobody looks it up.
    alert.valid_until = 1;
    alert.family = Some(Family { root: case.0, transform: "cut".to_owned() });
    logs.say("google", &Statement::Variant(alert), |header| {
        header.target = Some(case.1.clone());
        header.review = Some(Review::OneHuman);
        header.severity = Some(3);
    })
}

#[test]
fn more_than_there_is_room_for_waits_for_what_it_speaks_of_and_counts_when_that_comes() {
    let (logs, case, added) = flooded();
    let (google, tiktok) = (logs.log("google"), logs.log("tiktok"));
    let mut late = logs.cases();
    let fold = |held: &_| late.fold(&google, Clone::clone(held)).1;
    let ignored: Vec<_> = logs.logs[&google].iter().map(fold).collect();
    assert!(ignored.contains(&Some(Ignored::Flood)), "there is room for all of it");
    assert!(!late.has_again(), "nothing is folded again before there is room");
    logs.logs[&tiktok].iter().for_each(|held| drop(late.fold(&tiktok, held.clone())));
    logs.fold_what_is_due(&mut late);
    let whole = logs.fold(&[1; 30]);
    for (name, _) in added.iter().chain([&case]) {
        assert!(*late.set(name).unwrap() == *whole.set(name).unwrap());
    }
    assert_eq!(late.set(&case.0).unwrap().state(SOON), State::Confirmed);
    assert_eq!(late.set(&added[MANY - 1].0).unwrap().state(SOON), State::Retracted);
}

/// A node that reads the flood before it reaches the log that all of it speaks of, running or at a start.
#[tokio::test]
async fn a_node_that_is_flooded_before_the_rest_comes_ends_up_as_all_others() {
    let (logs, case, added) = flooded();
    for before_its_start in [true, false] {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        if before_its_start {
            logs.write(&store, "google", 1).await;
        }
        let reddit = start(Cast {
            me: "reddit",
            charter: &logs.charter,
            store: store.clone(),
            trust: &[],
            peers: BTreeMap::new(),
            clock: TestClock::new(),
            seed: 2,
        });
        let reddit = reddit.await.node;
        if !before_its_start {
            logs.write(&store, "google", 1).await;
            reddit.receipts().wait_here(&logs.log("google"), MANY as u64 + 2).await;
        }
        assert!(reddit.alert(&case.0).is_none());
        logs.write(&store, "tiktok", 1).await;
        let all = || added.iter().all(|(name, _)| reddit.alert(name).is_some());
        while !all() {
            tokio::task::yield_now().await;
        }
        let taken_back = || reddit.alert(&added[MANY - 1].0).unwrap().state == State::Retracted;
        while reddit.alert(&case.0).unwrap().state != State::Confirmed || !taken_back() {
            tokio::task::yield_now().await;
        }
        reddit.stop().await;
    }
}
