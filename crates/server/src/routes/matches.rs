//! Writes matches and states of the node as JSON, and reads signals from it.

use watchfire_api::problem::ProblemKind;
use watchfire_api::wire::{BankMatch, Edit, Match, Method, SignalJson, State};
use watchfire_node::banks;
use watchfire_node::known;
use watchfire_node::near::{self, Hit};
use watchfire_node::reasons::Reason;
use watchfire_node::standing::{self, Stance};
use watchfire_signal::commitment::Commitment;
use watchfire_signal::value::Signal;

use crate::answer::Failure;

/// Reads signals; the first that is none is named by its place.
pub(super) fn signals(json: &[SignalJson]) -> Result<Vec<Signal>, Failure> {
    let read = |(place, json): (usize, &SignalJson)| {
        Signal::try_from(json)
            .map_err(|error| Failure::new(ProblemKind::Invalid, format!("signal {place}: {error}")))
    };
    json.iter().enumerate().map(read).collect()
}

/// A state of the node as JSON.
pub(super) fn state(state: standing::State) -> State {
    match state {
        standing::State::Proposed => State::Proposed,
        standing::State::Provisional => State::Provisional,
        standing::State::Confirmed => State::Confirmed,
        standing::State::Disputed => State::Disputed,
        standing::State::Lapsed => State::Lapsed,
        standing::State::Retracted => State::Retracted,
    }
}

/// A reason of a verdict.
pub(super) fn reason(reason: &Reason) -> Match {
    let facts = &reason.facts;
    Match {
        case: reason.case,
        record: reason.record,
        state: state(facts.state.unwrap_or(standing::State::Proposed)),
        label: facts.labels.first().cloned(),
        severity: facts.severity,
        members: facts.members.iter().cloned().collect(),
        held: reason.decision.held.map(|why| why.limit().to_owned()),
        rule: rule(reason),
        ..hit(&reason.hit, reason.case)
    }
}

/// A reason of a verdict, if it is a content of a bank.
pub(super) fn bank_reason(reason: &Reason) -> Option<BankMatch> {
    let found = bank_match(reason.bank.as_ref()?);
    Some(BankMatch { rule: rule(reason), ..found })
}

fn rule(reason: &Reason) -> Option<String> {
    let rules: Vec<_> = reason.decision.acted().collect();
    Some(rules.join(", ")).filter(|rules| !rules.is_empty())
}

/// A match of a lookup, with the state at this moment.
pub(super) fn found(found: &known::Match, now_ms: u64) -> Match {
    let set = &found.set;
    let stands = |stance: Stance| matches!(stance, Stance::Positive { .. });
    let members = set.opinions.iter().filter(|(_, opinion)| stands(opinion.stance));
    Match {
        case: set.subject,
        record: set.name,
        state: state(set.state(now_ms)),
        label: set.alert.as_ref().and_then(|alert| alert.labels.first().cloned()),
        severity: set.header.severity.unwrap_or(0),
        members: members.map(|(member, _)| member.clone()).collect(),
        ..hit(&found.hit, set.subject)
    }
}

/// A match of one of this member's own banks.
pub(super) fn bank_match(found: &banks::BankMatch) -> BankMatch {
    let (bank, hit) = (&found.bank, &found.hit);
    BankMatch {
        bank: bank.name.clone(),
        content: found.content.0,
        negative: bank.settings.negative,
        labels: bank.settings.labels.clone(),
        severity: bank.settings.severity,
        signal: hit.kind,
        method: method(hit.method),
        also: hit.also.iter().copied().map(method).collect(),
        distance: hit.distance.unwrap_or(0),
        frames: hit.aligned.map(|aligned| aligned.frames).filter(|frames| *frames > 0),
        query_span_ms: hit.aligned.map(|aligned| aligned.query),
        reference_span_ms: hit.aligned.map(|aligned| aligned.reference),
        speed: hit.aligned.map(|aligned| aligned.speed),
        edit: hit.edit.as_ref().map(edit),
        sure: hit.sure,
        thin: hit.thin,
        score: hit.score(),
        rule: None,
    }
}

fn method(method: near::Method) -> Method {
    match method {
        near::Method::Exact => Method::Exact,
        near::Method::Near => Method::Near,
        near::Method::Aligned => Method::Aligned,
        near::Method::Sound => Method::Sound,
        near::Method::Turned => Method::Turned,
        near::Method::Part => Method::Part,
        near::Method::Features => Method::Features,
    }
}

fn edit(edit: &near::Edit) -> Edit {
    let places = |region: [(f32, f32); 4]| region.map(|(x, y)| [x, y]);
    Edit {
        region: places(edit.region),
        reference_region: places(edit.reference_region),
        inliers: edit.fit.map(|fit| fit.inliers),
        transform: edit.transform(),
    }
}

/// The part of a match that says how the signals match.
fn hit(hit: &Hit<Commitment>, case: Commitment) -> Match {
    let aligned = hit.aligned;
    Match {
        case,
        record: hit.owner,
        state: State::Proposed,
        label: None,
        severity: 0,
        members: Vec::new(),
        signal: hit.kind,
        method: method(hit.method),
        also: hit.also.iter().copied().map(method).collect(),
        distance: hit.distance.unwrap_or(0),
        frames: aligned.map(|aligned| aligned.frames).filter(|frames| *frames > 0),
        query_span_ms: aligned.map(|aligned| aligned.query),
        reference_span_ms: aligned.map(|aligned| aligned.reference),
        speed: aligned.map(|aligned| aligned.speed),
        edit: hit.edit.as_ref().map(edit),
        sure: hit.sure,
        thin: hit.thin,
        score: hit.score(),
        held: None,
        rule: None,
    }
}
