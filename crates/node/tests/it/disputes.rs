//! Scenarios about who has a say: partitions, disputes, governments, lapsed cases, one owner with two keys.

use std::{collections::BTreeMap, slice::from_ref, sync::Arc};

use tokio::sync::watch;
use watchfire_node::{
    clock::Clock,
    desk::Actor,
    peer::Peer,
    policy::Verdict,
    raise::{Answer, NewAlert},
    standing::{CONFIRMED_MAX_MS, PROVISIONAL_MAX_MS, State},
};
use watchfire_signal::{
    commitment::Commitment,
    header::Provenance,
    reason::Reason,
    record::Leaf,
    statement::{Basis, Done},
    value::Signal,
    verb::Verb,
};
use watchfire_store::{MemoryStore, Store};

use crate::{
    coalition::{Cast, Stage, TestClock, TestPeer, alert, charter, log_name, name, start},
    scenarios::{
        FOUR, confirm, found, in_memory, item, judged, picture, retract, scan, scene, until_hidden,
    },
};

/// Members of whom one can be cut off from all others, which trust tiktok.
async fn with_a_cable() -> (BTreeMap<&'static str, Stage>, Vec<watch::Sender<bool>>) {
    let charter = charter(&FOUR, 2);
    let stores: Vec<(&str, Arc<dyn Store>)> = FOUR
        .iter()
        .map(|(member, _)| (*member, Arc::new(MemoryStore::new()) as Arc<dyn Store>))
        .collect();
    let clock = TestClock::new();
    let (mut stages, mut cables) = (BTreeMap::new(), Vec::new());
    for (seed, (me, store)) in (0..).zip(&stores) {
        let mut peers = BTreeMap::new();
        for (member, store) in stores.iter().filter(|(member, _)| member != me) {
            let up = watch::Sender::new(true);
            if *me == "reddit" || *member == "reddit" {
                cables.push(up.clone());
            }
            peers.insert(
                name(member),
                Arc::new(TestPeer { store: store.clone(), up }) as Arc<dyn Peer>,
            );
        }
        let (store, trust) = (store.clone(), &["tiktok"][usize::from(*me == "tiktok")..]);
        let cast = Cast { me, charter: &charter, store, trust, peers, clock: clock.clone(), seed };
        stages.insert(*me, start(cast).await);
    }
    (stages, cables)
}

/// Hides a copy at a member by an alert, which is retracted once the member is cut off.
async fn retracted_while_cut_off(
    stages: &BTreeMap<&'static str, Stage>,
    cables: &[watch::Sender<bool>],
    clip: &Signal,
) -> Commitment {
    scan(&stages["reddit"], "held:1", clip.clone()).await;
    let raised = stages["tiktok"].node.raise(alert(vec![clip.clone()]), None).await;
    let case = raised.unwrap().commitment;
    until_hidden(&stages["reddit"], &["held:1".to_owned()], true).await;
    cables.iter().for_each(|cable| _ = cable.send_replace(false));
    retract(&stages["tiktok"], &case).await;
    case
}

#[tokio::test]
async fn s5_who_is_cut_off_acts_no_longer_than_the_term_and_undoes_after_the_heal() {
    let (stages, cables) = with_a_cable().await;
    let (reddit, clip, held) = (&stages["reddit"], picture(scene(1)), ["held:1".to_owned()]);
    let case = retracted_while_cut_off(&stages, &cables, &clip).await;
    judged(&stages["google"], from_ref(&clip), Verdict::Allow).await;
    reddit.clock.advance_ms(30 * 60_000);
    assert_eq!(scan(reddit, "up:1", clip.clone()).await, Verdict::Block, "it cannot know yet");
    // Cut off for longer, it acts no more: the term ends without any message.
    reddit.clock.advance_ms(PROVISIONAL_MAX_MS - 30 * 60_000);
    assert_eq!(reddit.node.alert(&case).unwrap().state, State::Lapsed);
    assert_eq!(scan(reddit, "up:2", clip.clone()).await, Verdict::Allow);

    cables.iter().for_each(|cable| _ = cable.send_replace(true));
    until_hidden(reddit, &held, false).await;
    while reddit.node.alert(&case).unwrap().state != State::Retracted {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn s5_who_was_cut_off_for_half_an_hour_undoes_what_was_retracted_meanwhile() {
    let (stages, cables) = with_a_cable().await;
    let (reddit, clip, held) = (&stages["reddit"], picture(scene(1)), ["held:1".to_owned()]);
    let case = retracted_while_cut_off(&stages, &cables, &clip).await;
    reddit.clock.advance_ms(30 * 60_000);
    // The term runs on: nothing but the retraction can undo it.
    assert_eq!(reddit.node.alert(&case).unwrap().state, State::Provisional);
    assert_eq!(scan(reddit, "up:1", clip.clone()).await, Verdict::Block, "it cannot know yet");
    assert!(reddit.platform.is_hidden("held:1"));

    cables.iter().for_each(|cable| _ = cable.send_replace(true));
    until_hidden(reddit, &held, false).await;
    let alert = reddit.node.alert(&case).unwrap();
    assert_eq!(alert.state, State::Retracted);
    let until = alert.set.verified_ms + PROVISIONAL_MAX_MS;
    assert!(reddit.clock.now_ms() < until, "the term would have ended");
    assert_eq!(scan(reddit, "up:2", clip).await, Verdict::Allow);
    // What it caught up with goes on from what it had, under the head that tiktok signed.
    let log = log_name("tiktok");
    let head =
        async |stage: &Stage| stage.node.source(&log).unwrap().checkpoint().await.unwrap().unwrap();
    while head(reddit).await != head(&stages["tiktok"]).await {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn s8_two_disputes_stop_everybody_but_those_who_stand_by_it() {
    let stages = found(&FOUR, &[], in_memory).await;
    let clip = picture(scene(1));
    let case =
        stages["tiktok"].node.raise(alert(vec![clip.clone()]), None).await.unwrap().commitment;
    confirm(&stages["reddit"], &case).await;
    judged(&stages["google"], from_ref(&clip), Verdict::Block).await;
    for (member, reason) in [("google", Reason::BenignContext), ("twitch", Reason::Mislabelled)] {
        while stages[member].node.alert(&case).is_none() {
            tokio::task::yield_now().await;
        }
        let dispute = Answer::Dispute { reason, note: None };
        stages[member].node.answer(&case, dispute, None).await.unwrap();
    }
    for (member, stage) in &stages {
        while stage.node.alert(&case).unwrap().state != State::Disputed {
            tokio::task::yield_now().await;
        }
        let own = matches!(*member, "tiktok" | "reddit");
        let verdict = if own { Verdict::Block } else { Verdict::Review };
        assert_eq!(scan(stage, &format!("{member}:1"), clip.clone()).await, verdict, "{member}");
    }
}

#[tokio::test]
async fn s9_what_a_government_asks_is_refused_where_policy_says_so_and_counted_by_anybody() {
    let stages = found(&FOUR, &[], in_memory).await;
    let reddit = &stages["reddit"];
    let text = "version = 2\n[[rule]]\nid = 'act'\nthen = ['remove', 'block_upload']\n\
                when = \"case.provenance != 'government_request'\"\n[[rule]]\nid = 'refuse'\n\
                then = ['ignore']\nwhen = \"case.provenance == 'government_request'\"";
    reddit.node.policies().apply(text, &Actor::Person("person-1".to_owned())).await.unwrap();
    let (asked, own) = (picture(scene(1)), picture(scene(2)));
    let mut request: NewAlert = alert(vec![asked.clone()]);
    request.provenance = Provenance::GovernmentRequest;
    request.alert.authority = Some("Ministry of Weather".to_owned());
    for new in [request, alert(vec![own.clone()])] {
        let case = stages["tiktok"].node.raise(new, None).await.unwrap().commitment;
        confirm(&stages["google"], &case).await;
    }
    for (stage, verdict) in [(reddit, Verdict::Allow), (&stages["twitch"], Verdict::Block)] {
        judged(stage, from_ref(&own), Verdict::Block).await;
        judged(stage, from_ref(&asked), verdict).await;
    }
    // An outsider has leaves alone.
    let log = stages["twitch"].node.source(&log_name("tiktok")).unwrap();
    let leaves = log.entries(0, 10).await.unwrap();
    let headers = leaves.iter().map(|entry| Leaf::decode(&entry.leaf).unwrap().header);
    let asserted = headers.filter(|header| header.verb == Verb::Assert);
    let said: Vec<_> = asserted.map(|header| header.provenance).collect();
    assert_eq!(said, [Provenance::GovernmentRequest, Provenance::OwnDetection]);
}

#[tokio::test]
async fn s10_a_year_later_one_renewal_arms_a_case_again_and_nothing_had_come_back() {
    let stages = found(&FOUR, &[], in_memory).await;
    let (google, twitch) = (&stages["google"], &stages["twitch"]);
    let clip = picture(scene(1));
    scan(twitch, "held:1", clip.clone()).await;
    let case =
        stages["tiktok"].node.raise(alert(vec![clip.clone()]), None).await.unwrap().commitment;
    confirm(google, &case).await;
    let held = ["held:1".to_owned()];
    until_hidden(twitch, &held, true).await;

    const YEAR_MS: u64 = 365 * 86_400_000;
    google.clock.advance_ms(YEAR_MS);
    for (member, stage) in &stages {
        assert_eq!(stage.node.alert(&case).unwrap().state, State::Lapsed, "{member}");
        assert_eq!(
            scan(stage, &format!("{member}:1"), clip.clone()).await,
            Verdict::Review,
            "{member}"
        );
    }
    assert!(twitch.platform.is_hidden("held:1"));

    let valid_until = google.clock.now_ms() + CONFIRMED_MAX_MS;
    google.node.answer(&case, Answer::Renew { valid_until }, None).await.unwrap();
    for (member, stage) in &stages {
        judged(stage, from_ref(&clip), Verdict::Block).await;
        assert_eq!(
            scan(stage, &format!("{member}:2"), clip.clone()).await,
            Verdict::Block,
            "{member}"
        );
    }
    assert!(twitch.platform.is_hidden("held:1"));
}

#[tokio::test]
async fn s15_one_owner_with_two_keys_confirms_nothing_alone() {
    let members = [
        ("facebook", "meta"),
        ("instagram", "meta"),
        ("google", "alphabet"),
        ("reddit", "advance"),
    ];
    let stages = found(&members, &[], in_memory).await;
    let clip = picture(scene(1));
    let case =
        stages["facebook"].node.raise(alert(vec![clip.clone()]), None).await.unwrap().commitment;
    confirm(&stages["instagram"], &case).await;
    let reddit = &stages["reddit"];
    let both =
        |stage: &Stage| stage.node.alert(&case).is_some_and(|view| view.set.opinions.len() == 2);
    while !both(reddit) {
        tokio::task::yield_now().await;
    }
    assert_eq!(reddit.node.alert(&case).unwrap().state, State::Provisional);
    assert_eq!(reddit.node.scan(item("up:1"), vec![clip.clone()]).await.verdict, Verdict::Review);
    let seen = Answer::Confirm { basis: Basis::OwnCopySeenByHuman };
    stages["google"].node.answer(&case, seen, None).await.unwrap();
    judged(reddit, from_ref(&clip), Verdict::Block).await;
    assert_eq!(reddit.node.alert(&case).unwrap().state, State::Confirmed);
}

#[tokio::test]
async fn uploads_that_match_are_told_in_buckets_once_a_window() {
    let stages = found(&FOUR, &[], in_memory).await;
    let (google, reddit) = (&stages["google"], &stages["reddit"]);
    let clip = picture(scene(1));
    let case =
        stages["tiktok"].node.raise(alert(vec![clip.clone()]), None).await.unwrap().commitment;
    for number in 0..3 {
        judged(google, from_ref(&clip), Verdict::Review).await;
        scan(google, &format!("up:{number}"), clip.clone()).await;
    }
    confirm(reddit, &case).await;
    judged(google, from_ref(&clip), Verdict::Block).await;
    for number in 3..8 {
        scan(google, &format!("up:{number}"), clip.clone()).await;
    }
    scan(google, "other", picture(scene(2))).await;
    assert_eq!(google.node.tell_sightings().await.unwrap(), 2, "seen and refused, of one case");
    assert_eq!(google.node.tell_sightings().await.unwrap(), 0, "nothing since");
    // Eight and five in binary digits.
    let told = |stage: &Stage| stage.node.alert(&case).map(|view| view.set.counts().clone());
    let by_google = loop {
        match told(reddit) {
            Some(counts) if counts.outcomes.len() == 1 => break counts,
            _ => tokio::task::yield_now().await,
        }
    };
    assert_eq!(by_google.sightings[&name("google")].what, (4, 3_600_000));
    assert_eq!(by_google.outcomes[&(name("google"), Done::Blocked)].what, 3);
}
