//! Measures how fast alerts and retractions act: many alerts of fresh random pictures, one by one.

use indicatif::ProgressBar;
use watchfire_api::wire::{SignalJson, VerdictKind};
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
    /// At those who trust the reporter, from the report.
    pub trusting: Vec<f64>,
    /// At all others, from the confirmation.
    pub confirmed: Vec<f64>,
    /// At all nine, from the last retraction.
    pub retracted: Vec<f64>,
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
        let found = times.trusting.len() + times.confirmed.len();
        if found != expected || times.retracted.len() != expected {
            must.expect(false, format!("alert {} of {count} acts at all nine", number + 1));
            break;
        }
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

    let mut confirmers: Vec<&Member> = stage.fleet.with(Part::Confirms).collect();
    stage.known(&confirmers, &alert, &said.from).await?;
    let last = confirmers.pop().ok_or_else(|| failed("nobody confirms"))?;
    for confirmer in &confirmers {
        let say = alerts::confirm(confirmer, &alert);
        let said = stage.say(say, &[*confirmer], &signals, VerdictKind::Block).await?;
        times.confirmed.extend(since(&said));
    }
    let mut rest: Vec<_> = stage.fleet.with(Part::Follows).collect();
    rest.push(last);
    let say = alerts::confirm(last, &alert);
    let said = stage.say(say, &rest, &signals, VerdictKind::Block).await?;
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

fn since<T>(said: &Said<T>) -> impl Iterator<Item = f64> {
    said.answered.iter().flatten().map(|at| ms(said.clock, *at))
}

/// The signals of a picture that nobody has seen before.
fn random_picture() -> Vec<SignalJson> {
    let signal = |kind, quality| {
        let mut bytes = [0; 32];
        SystemRandom.fill(&mut bytes);
        SignalJson { kind, value: hex::encode(&bytes), quality, span: None, rule: None }
    };
    vec![signal(Kind::Pdq, Some(100)), signal(Kind::Sha256, None)]
}
