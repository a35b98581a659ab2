//! Measures how fast alerts and retractions act: many alerts of fresh random pictures, one by one.

use indicatif::ProgressBar;
use watchfire_api::wire::{EventView, Raised, SignalJson, VerdictKind};
use watchfire_node::clock::{Random, SystemRandom};
use watchfire_signal::{alert::ContentKind, hex, value::Kind};

use crate::exit::{Failure, failed};

use super::{
    alerts,
    cast::Part,
    expectations::Expectations,
    fleet::Member,
    story::{Said, Stage, ms},
};

/// Times in milliseconds.
#[derive(Debug, Default)]
pub(super) struct Times {
    /// Alerts of which all that follows was measured.
    pub alerts: usize,
    /// At those who trust the reporter, from the report.
    pub trusting: Vec<f64>,
    /// At those who only follow, from the confirmation that completes the quorum.
    pub confirmed: Vec<f64>,
    /// At those who confirm, from their own confirmation: no other machine has a part in it.
    pub own: Vec<f64>,
    /// At all nine, from the last retraction.
    pub retracted: Vec<f64>,
    /// Where the time of `trusting` goes.
    pub stages: StageTimes,
}

/// One alert's way to one member that trusts, cut where something can be seen from outside; in milliseconds.
#[derive(Debug, Default)]
pub(super) struct StageTimes {
    /// At the reporter, from the request until its answer: authorised, signed, written, synced, folded.
    pub acknowledged: Vec<f64>,
    /// From the request until the other member tells that it has it: all but the answer of before, then the wire,
    /// verified, written, synced there.
    pub received: Vec<f64>,
    /// From there until the other member tells that uploads are refused now: folded.
    pub folded: Vec<f64>,
    /// From there until a scan is refused: the way of an event to the client, a request, a lookup, an answer.
    pub probed: Vec<f64>,
}

/// Raises, confirms and retracts so many alerts.
pub(super) async fn measure(
    stage: &Stage<'_>,
    count: usize,
    bar: &ProgressBar,
    must: &mut Expectations,
) -> Result<Times, Failure> {
    let mut times = Times::default();
    for number in 0..count {
        one(stage, &mut times).await?;
        bar.inc(1);
        let expected = (number + 1) * stage.fleet.others().count();
        let found = times.trusting.len() + times.confirmed.len() + times.own.len();
        if found != expected || times.retracted.len() != expected {
            must.expect(false, format!("alert {} of {count} acts at all nine", number + 1));
            break;
        }
        times.alerts += 1;
    }
    Ok(times)
}

async fn one(stage: &Stage<'_>, times: &mut Times) -> Result<(), Failure> {
    let signals = random_picture();
    let report = alerts::report(Some(ContentKind::Image), signals.clone())?;
    let reporter = stage.fleet.reporter()?;
    let trusting: Vec<_> = stage.fleet.with(Part::Trusts).collect();
    let say = reporter.desk.client.alert(&report, None);
    let said = stage.say(say, &trusting, &signals, VerdictKind::Block).await?;
    times.trusting.extend(since(&said));
    let alert = said.answer.id;
    cut(stage, &trusting, &said, &mut times.stages).await?;

    let mut confirmers: Vec<&Member> = stage.fleet.with(Part::Confirms).collect();
    stage.known(&confirmers, &alert, &said.from).await?;
    let last = confirmers.pop().ok_or_else(|| failed("nobody confirms"))?;
    for confirmer in &confirmers {
        let say = alerts::confirm(confirmer, &alert);
        let said = stage.say(say, &[*confirmer], &signals, VerdictKind::Block).await?;
        times.own.extend(since(&said));
    }
    let mut rest = vec![last];
    rest.extend(stage.fleet.with(Part::Follows));
    let say = alerts::confirm(last, &alert);
    let mut said = stage.say(say, &rest, &signals, VerdictKind::Block).await?;
    let own = said.answered.remove(0);
    times.own.extend(own.map(|at| ms(said.clock, at)));
    times.confirmed.extend(since(&said));

    alerts::retract(reporter, &alert).await?;
    for confirmer in confirmers {
        alerts::retract(confirmer, &alert).await?;
    }
    let others: Vec<_> = stage.fleet.others().collect();
    let say = alerts::retract(last, &alert);
    let said = stage.say(say, &others, &signals, VerdictKind::Allow).await?;
    times.retracted.extend(since(&said));
    Ok(())
}

/// Cuts the way of a report to members into its stages, by the events that they told.
async fn cut(
    stage: &Stage<'_>,
    members: &[&Member],
    said: &Said<Raised>,
    stages: &mut StageTimes,
) -> Result<(), Failure> {
    stages.acknowledged.push(ms(said.clock, said.acknowledged));
    for (member, answered) in members.iter().zip(&said.answered) {
        let Some(effective) = answered else { continue };
        let from = said.from.get(member.player.name).copied().unwrap_or(0);
        let name = said.answer.id.to_string();
        let about = |event: &EventView, field: &str| {
            event.more.get(field).and_then(serde_json::Value::as_str) == Some(&name)
        };
        let feed = stage.feed(member)?;
        // Both came before the scan that was refused, so nothing is waited for.
        let received = |event: &EventView| event.event == "received" && about(event, "commitment");
        let folded = |event: &EventView| event.event == "case" && about(event, "set");
        let received = feed.first(from, *effective, received).await;
        let folded = feed.first(from, *effective, folded).await;
        if let (Some(received), Some(folded)) = (received, folded) {
            stages.received.push(ms(said.clock, received.at));
            stages.folded.push(ms(received.at, folded.at));
            stages.probed.push(ms(folded.at, *effective));
        }
    }
    Ok(())
}

fn since<T>(said: &Said<T>) -> impl Iterator<Item = f64> {
    said.answered.iter().flatten().map(|at| ms(said.clock, *at))
}

/// The signals of a picture that nobody has seen before.
pub(super) fn random_picture() -> Vec<SignalJson> {
    let signal = |kind, quality| {
        let mut bytes = [0; 32];
        SystemRandom.fill(&mut bytes);
        SignalJson { kind, value: hex::encode(&bytes), quality, span: None, rule: None }
    };
    vec![signal(Kind::Pdq, Some(100)), signal(Kind::Sha256, None)]
}
