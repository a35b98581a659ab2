//! S6: a member that others trust lists what would hit everybody. Nothing of it acts anywhere, the others
//! go on, and a quorum ends it.

use watchfire_node::{
    StopMember,
    policy::{Held, Verdict},
    raise::Answer,
    standing::State,
};
use watchfire_signal::{commitment::Commitment, reason::Reason, value::Signal};

use crate::{
    coalition::{Stage, alert, name},
    preflight::everybodys,
    scenarios::{
        FOUR, Stages, confirm, found, in_memory, judged, picture, scan, scene, until_hidden,
    },
};

const DAY_MS: u64 = 86_400_000;

/// What the members have held for days: the rival's logo at all of them, in little, and a meme at one, in
/// much.
async fn weeks_before(stages: &Stages) {
    for day in 0..9 {
        for (member, stage) in stages {
            for number in 0..8 {
                let id = format!("{member}:logo-{day}-{number}");
                assert_eq!(scan(stage, &id, logo()).await, Verdict::Allow);
            }
            scan(stage, &format!("{member}:blank-{day}"), blank()).await;
        }
        for number in 0..120 {
            let id = format!("google:meme-{day}-{number}");
            assert_eq!(scan(&stages["google"], &id, meme()).await, Verdict::Allow);
        }
        stages["google"].clock.advance_ms(DAY_MS);
    }
}

fn blank() -> Signal {
    everybodys(" letterbox-120-white-wide")
}

fn logo() -> Signal {
    picture(scene(77))
}

fn meme() -> Signal {
    picture(scene(78))
}

async fn held(stage: &Stage, case: &Commitment) -> Held {
    loop {
        if let Some(hold) = stage.node.holds().hold_of(case) {
            return hold.why;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn s6_what_a_member_lists_to_hit_everybody_removes_nothing_and_is_halted() {
    // All but tiktok trust both: reddit's word acts at once, as google's does.
    let stages = found(&FOUR, &["reddit", "google"], in_memory).await;
    weeks_before(&stages).await;
    let (reddit, google, twitch) = (&stages["reddit"], &stages["google"], &stages["twitch"]);
    let mut cases = Vec::new();
    for signal in [blank(), logo(), meme()] {
        let raised = reddit.node.raise(alert(vec![signal]), None).await.unwrap();
        cases.push(raised.commitment);
    }
    let [of_blank, of_logo, of_meme] = cases[..] else { panic!() };
    for stage in [google, twitch] {
        assert_eq!(held(stage, &of_blank).await, Held::BenignSet);
        assert_eq!(held(stage, &of_logo).await, Held::OlderMatches);
    }
    assert_eq!(held(google, &of_meme).await, Held::ExpectedMatches);
    // Somebody is fooled by the meme. It has come all week, so that a person here looks all the same.
    confirm(twitch, &of_meme).await;
    judged(google, &[meme()], Verdict::Review).await;
    while google.node.alert(&of_meme).unwrap().state != State::Confirmed {
        tokio::task::yield_now().await;
    }
    assert_eq!(scan(google, "google:meme-new", meme()).await, Verdict::Review);

    // An honest alert acts meanwhile, at those that trust its author.
    assert_eq!(scan(twitch, "twitch:clip", picture(scene(5))).await, Verdict::Allow);
    google.node.raise(alert(vec![picture(scene(5))]), None).await.unwrap();
    until_hidden(twitch, &["twitch:clip".to_owned()], true).await;
    judged(twitch, &[picture(scene(5))], Verdict::Block).await;
    for (signal, id) in [(blank(), "blank"), (logo(), "logo")] {
        assert_eq!(scan(twitch, &format!("twitch:{id}-new"), signal).await, Verdict::Review);
    }

    // A quorum halts one case, then the member.
    for member in ["tiktok", "google", "twitch"] {
        let halt = Answer::Halt { reason: Reason::CompromisedIssuer };
        while stages[member].node.alert(&of_logo).is_none() {
            tokio::task::yield_now().await;
        }
        stages[member].node.answer(&of_logo, halt, None).await.unwrap();
    }
    judged(google, &[logo()], Verdict::Allow).await;
    for member in ["tiktok", "google", "twitch"] {
        let halt = (StopMember::Halt, false);
        let node = &stages[member].node;
        node.stop_member(&name("reddit"), halt, Reason::CompromisedIssuer, None).await.unwrap();
    }
    for stage in stages.values() {
        judged(stage, &[blank()], Verdict::Allow).await;
    }
    judged(twitch, &[picture(scene(5))], Verdict::Block).await;
    for (member, stage) in &stages {
        let orders = stage.platform.orders.lock().unwrap();
        let wanted: &[&str] = if *member == "twitch" { &["twitch:clip"] } else { &[] };
        let asked: Vec<_> = orders.iter().map(|order| order.item.as_str()).collect();
        assert_eq!(asked, wanted, "{member}");
    }
}
