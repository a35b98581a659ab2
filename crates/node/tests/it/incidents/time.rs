//! Incidents and time: when they lapse, end, and are declared again, at whoever hears of them whenever.

use std::{sync::Arc, time::Duration};

use watchfire_node::{
    NewIncident, OfIncident,
    cases::{Cases, Ignored},
    clock::Clock,
    events::Event,
    incidents::{COSIGN_MS, IncidentState, QUIET_MS, REDECLARE_MS},
    raise::RaiseError,
    standing::State,
};
use watchfire_signal::{
    commitment::Commitment,
    header::Header,
    incident::IncidentStep::{Cosign, Declare},
    label::Class,
    name::LogName,
    statement::Statement,
};
use watchfire_store::MemoryStore;

use super::{dated, declared, states};
use crate::coalition::{Cast, START_MS, Stage, TestClock, charter, start};
use crate::logs::{Logs, MEMBERS, SOON, incident};

/// The minute in which everything begins.
const FIRST_MINUTE: u32 = (START_MS / 60_000) as u32;
const MONTH_MS: u64 = 30 * 86_400_000;

#[test]
fn what_is_over_stays_over_at_whoever_catches_up() {
    let (mut logs, case, declared) = declared();
    for member in ["facebook", "reddit"] {
        logs.incident(member, Some(&declared.1), incident(Cosign, 3, &[]));
    }
    let in_time = logs.fold(&[]);
    assert_eq!(states(&in_time, &declared.0, &case.0, SOON).0, IncidentState::InForce);
    logs.verify_later(&[MONTH_MS]);
    let caught_up = logs.fold(&[]);
    let now = START_MS + MONTH_MS + 10_000;
    let here = states(&caught_up, &declared.0, &case.0, now);
    assert_eq!(here, (IncidentState::Concluded, State::Proposed), "nothing is lifted anew");
    let course = |cases: &Cases| cases.incidents().get(&declared.0).unwrap().course;
    assert_eq!(course(&in_time), course(&caught_up));
}

#[test]
fn whether_members_agreed_in_time_is_what_they_said_and_not_when_it_came() {
    // Two agreed twenty minutes later: it lapsed for everybody, and so it did for whoever hears all of it at once.
    let (mut logs, case, declared) = declared();
    logs.later(20 * 60_000);
    for member in ["facebook", "reddit"] {
        logs.incident(member, Some(&declared.1), incident(Cosign, 3, &[]));
    }
    let state = |logs: &Logs, now| states(&logs.fold(&[]), &declared.0, &case.0, now);
    let soon = START_MS + 21 * 60_000;
    assert_eq!(state(&logs, soon), (IncidentState::Lapsed, State::Proposed));
    for held in logs.logs.values_mut().flatten() {
        held.verified_ms = START_MS + 30 * 60_000;
    }
    let now = START_MS + 31 * 60_000;
    assert_eq!(state(&logs, now), (IncidentState::Lapsed, State::Proposed));

    // Two agreed at once, and this node was cut off from them for sixteen minutes: it is in force here as it is there.
    let (mut logs, case, declared) = super::declared();
    for member in ["facebook", "reddit"] {
        logs.incident(member, Some(&declared.1), incident(Cosign, 3, &[]));
        let log = logs.log(member);
        let held = logs.logs.get_mut(&log).unwrap();
        held.iter_mut().for_each(|held| held.verified_ms += 16 * 60_000);
    }
    let here = states(&logs.fold(&[]), &declared.0, &case.0, START_MS + 17 * 60_000);
    assert_eq!(here, (IncidentState::InForce, State::Provisional));
}

#[test]
fn what_comes_after_the_end_brings_nothing_back_but_what_was_said_before_it_and_comes_late_does() {
    let (mut logs, case, declared) = declared();
    for member in ["facebook", "reddit"] {
        logs.incident(member, Some(&declared.1), incident(Cosign, 3, &[]));
    }
    logs.later(8 * 3_600_000);
    let between = logs.widen("reddit", &case, false, false).1;
    logs.later(8 * 3_600_000);
    logs.widen("google", &case, false, false);
    let now = START_MS + 17 * 3_600_000;
    let whole = logs.fold(&[]);
    assert_eq!(states(&whole, &declared.0, &case.0, now).0, IncidentState::InForce);

    // Without the one between, the last one comes four hours too late; once that comes, it came in time.
    let mut cases = logs.cases();
    let late = |log: &LogName, index| *log == between.log && index == between.index;
    for (log, held) in logs.interleaved(&[]) {
        if !late(log, held.index) {
            cases.fold(log, held.clone());
        }
    }
    let here = states(&cases, &declared.0, &case.0, now);
    assert_eq!(here, (IncidentState::Concluded, State::Proposed));
    let last = logs.logs[&between.log][between.index as usize].clone();
    cases.fold(&between.log, last);
    assert_eq!(cases.incidents().get(&declared.0), whole.incidents().get(&declared.0));
}

#[test]
fn what_is_dated_ahead_counts_once_its_time_has_come_and_what_says_no_minute_never_does() {
    let said = |minute: Option<u32>| {
        let mut logs = dated();
        let body = Statement::Incident(incident(Declare, 1, &[]));
        let about = |header: &mut Header| {
            header.class = Class::None;
            header.minute = minute;
        };
        let (name, place) = logs.say("tiktok", &body, about);
        let mut cases = logs.cases();
        let held = logs.logs[&place.log][0].clone();
        let before = cases.fold(&place.log, held.clone()).1;
        let there = cases.incidents().get(&name).is_some();
        let due = cases.pass_time(START_MS + 3_600_000);
        for place in &due {
            cases.fold(&place.log, held.clone());
        }
        (before, there, due.len(), cases.incidents().get(&name).is_some())
    };
    assert_eq!(said(Some(FIRST_MINUTE + 10)), (None, true, 0, true));
    assert_eq!(said(Some(FIRST_MINUTE + 11)), (Some(Ignored::Ahead), false, 1, true));
    assert_eq!(said(None), (Some(Ignored::Senseless), false, 0, false));
}

/// A member whose coalition has nobody else, so that whatever needs others lapses.
async fn alone() -> Stage {
    start(Cast {
        me: "tiktok",
        charter: &charter(&MEMBERS[..1], 1),
        store: Arc::new(MemoryStore::default()),
        trust: &[],
        peers: Default::default(),
        clock: TestClock::new(),
        seed: 1,
    })
    .await
}

fn new(level: u8) -> NewIncident {
    NewIncident { body: incident(Declare, level, &[]), test: false, ask_approval: false }
}

/// No message comes when an incident lapses or ends: it is told when its time has come.
#[tokio::test(start_paused = true)]
async fn an_incident_that_lapses_and_one_that_ends_are_told_when_it_is_time() {
    let stage = alone().await;
    let (_, mut events) = stage.node.events().watch(u64::MAX);
    let mut told = async |name: Commitment| loop {
        let next = tokio::time::timeout(Duration::from_mins(5), events.recv()).await;
        if let Event::Incident { incident, state, .. } = next.expect("it is told").unwrap().event
            && incident == name
        {
            return state;
        }
    };
    let awareness = stage.node.declare(new(1), None).await.unwrap();
    assert_eq!(told(awareness.commitment).await, IncidentState::InForce);
    let lonely = stage.node.declare(new(3), None).await.unwrap();
    assert_eq!(told(lonely.commitment).await, IncidentState::Declared);
    stage.clock.advance_ms(COSIGN_MS);
    assert_eq!(told(lonely.commitment).await, IncidentState::Lapsed);
    let late = stage.node.of_incident(&lonely.commitment, OfIncident::Cosign, None).await;
    assert!(matches!(late, Err(RaiseError::Lapsed(_))), "{late:?}");
    stage.clock.advance_ms(QUIET_MS);
    assert_eq!(told(awareness.commitment).await, IncidentState::Concluded);
    stage.node.stop().await;
}

/// A node declares what all others refuse only where it asks for their approval, and they refuse also what comes after
/// one that its declarer took back before it lapsed.
#[tokio::test]
async fn who_took_an_incident_back_waits_as_after_a_lapse_or_asks_for_an_approval() {
    let Stage { node, clock, .. } = alone().await;
    let drill = NewIncident { test: true, ..new(3) };
    node.declare(drill.clone(), None).await.unwrap();
    let first = node.declare(new(3), None).await.unwrap();
    for conclude in [false, true] {
        if conclude {
            let over = OfIncident::Conclude { note: None };
            node.of_incident(&first.commitment, over, None).await.unwrap();
        }
        let refused = node.declare(new(1), None).await;
        assert!(
            matches!(refused, Err(RaiseError::MustWait { until_ms })
            if until_ms == START_MS + COSIGN_MS + REDECLARE_MS),
            "{refused:?}"
        );
    }
    // Without that check all who read it refuse it.
    let asked = node.declare(NewIncident { ask_approval: true, ..new(1) }, None).await.unwrap();
    let state = |name: Commitment| {
        let all = node.incidents();
        all.iter().find(|one| one.name == name).unwrap().state(clock.now_ms())
    };
    assert_eq!(state(first.commitment), IncidentState::Concluded);
    assert_eq!(state(asked.commitment), IncidentState::Refused);
    clock.advance_ms(COSIGN_MS + REDECLARE_MS);
    let later = node.declare(new(1), None).await.unwrap();
    assert_eq!(state(later.commitment), IncidentState::InForce);
    node.stop().await;
}

#[test]
fn a_drill_that_lapsed_holds_nothing_back_but_drills() {
    let mut logs = dated();
    logs.incident_or_drill("tiktok", None, incident(Declare, 3, &[]), true);
    let real = logs.incident("tiktok", None, incident(Declare, 1, &[]));
    let drill = logs.incident_or_drill("tiktok", None, incident(Declare, 1, &[]), true);
    let cases = logs.fold(&[]);
    let state = |name| cases.incidents().get(name).unwrap().state(SOON);
    assert_eq!(state(&real.0), IncidentState::InForce);
    assert_eq!(state(&drill.0), IncidentState::Refused);
}
