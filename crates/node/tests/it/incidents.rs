//! Incidents: one member declares, and nothing changes until others agree.

mod time;

use std::sync::Arc;

use proptest::prelude::*;
use watchfire_node::{
    cases::Cases,
    incidents::{
        ALERTS_A_DAY, COSIGN_MS, DECLARATIONS_A_DAY, IncidentState, QUIET_MS, REDECLARE_MS,
        WORDS_A_DAY,
    },
    standing::{PROVISIONAL_LIFTED_MS, PROVISIONAL_MAX_MS, State},
};
use watchfire_signal::{
    alert::Family,
    charter::Role,
    commitment::Commitment,
    header::{Review, Target},
    incident::IncidentStep::{Conclude, Cosign, Declare, Update},
    pdq::Pdq,
    statement::Statement,
    value::Signal,
};

use crate::coalition::{START_MS, alert};
use crate::fold::dates;
use crate::logs::{Logs, MEMBERS, SOON, incident};

/// The state of an incident at a moment, and of a case.
fn states(
    cases: &Cases,
    which: &Commitment,
    case: &Commitment,
    now_ms: u64,
) -> (IncidentState, State) {
    let incident = cases.incidents().get(which).unwrap();
    (incident.state(now_ms), cases.set(case).unwrap().state(now_ms))
}

fn dated() -> Logs {
    let mut logs = Logs::new();
    logs.dated = true;
    logs
}

/// An unreviewed case that google has raised, and a level 3 that tiktok has declared over it.
fn declared() -> (Logs, (Commitment, Target), (Commitment, Target)) {
    let mut logs = dated();
    let case = logs.assert("google", Review::Unreviewed);
    let declared = logs.incident("tiktok", None, incident(Declare, 3, &[case.0]));
    (logs, case, declared)
}

#[test]
fn two_other_organisations_put_a_level_3_in_force_and_lift_its_cases() {
    let (mut logs, case, declared) = declared();
    let now = |logs: &Logs| states(&logs.fold(&[]), &declared.0, &case.0, SOON);
    assert_eq!(now(&logs), (IncidentState::Declared, State::Proposed));
    logs.incident("facebook", Some(&declared.1), incident(Cosign, 3, &[]));
    logs.incident("instagram", Some(&declared.1), incident(Cosign, 3, &[]));
    assert_eq!(now(&logs), (IncidentState::Declared, State::Proposed), "one owner twice is one");
    logs.incident("reddit", Some(&declared.1), incident(Cosign, 3, &[]));
    assert_eq!(now(&logs), (IncidentState::InForce, State::Provisional));

    // It was lifted for as long as the incident lasts, and no longer than 72 hours.
    let cases = logs.fold(&[]);
    let ends = START_MS + QUIET_MS;
    assert_eq!(states(&cases, &declared.0, &case.0, ends - 1).1, State::Provisional);
    let after = states(&cases, &declared.0, &case.0, ends);
    assert_eq!(after, (IncidentState::Concluded, State::Proposed));
}

#[test]
fn a_provisional_case_lasts_longer_while_news_come() {
    let (mut logs, _, declared) = declared();
    let case = logs.assert("google", Review::OneHuman);
    for member in ["facebook", "reddit"] {
        logs.incident(member, Some(&declared.1), incident(Cosign, 3, &[]));
    }
    for member in ["facebook", "reddit"] {
        logs.incident(member, Some(&declared.1), incident(Update, 3, &[case.0]));
    }
    let long = START_MS + 3_000 + PROVISIONAL_MAX_MS;
    let state = |logs: &Logs, at| logs.fold(&[]).set(&case.0).unwrap().state(at);
    assert_eq!(state(&logs, long), State::Provisional);
    // A variant every ten hours keeps the incident alive; the case ends with its 72 hours.
    for _ in 0..8 {
        logs.later(10 * 3_600_000);
        logs.widen("google", &case, false, false);
    }
    let end = START_MS + 3_000 + PROVISIONAL_LIFTED_MS;
    assert_eq!(state(&logs, end - 1), State::Provisional);
    assert_eq!(state(&logs, end), State::Lapsed);
    assert_eq!(states(&logs.fold(&[]), &declared.0, &case.0, end).0, IncidentState::InForce);
}

#[test]
fn s12_a_lonely_incident_changes_no_cap_lapses_and_is_not_declared_again_at_once() {
    let (mut logs, case, declared) = declared();
    let cases = logs.fold(&[]);
    let lonely = |now| states(&cases, &declared.0, &case.0, now);
    assert_eq!(lonely(START_MS + COSIGN_MS - 1), (IncidentState::Declared, State::Proposed));
    assert_eq!(lonely(START_MS + COSIGN_MS), (IncidentState::Lapsed, State::Proposed));

    // Agreeing afterwards comes too late, and the next declaration waits for another organisation.
    logs.later(COSIGN_MS);
    logs.incident("facebook", Some(&declared.1), incident(Cosign, 3, &[]));
    logs.incident("reddit", Some(&declared.1), incident(Cosign, 3, &[]));
    let again = logs.incident("tiktok", None, incident(Declare, 1, &[case.0]));
    let soon = START_MS + COSIGN_MS + 60_000;
    let cases = logs.fold(&[]);
    assert_eq!(states(&cases, &declared.0, &case.0, soon).0, IncidentState::Lapsed);
    assert_eq!(states(&cases, &again.0, &case.0, soon).0, IncidentState::Refused);
    logs.incident("google", Some(&again.1), incident(Cosign, 1, &[]));
    let cases = logs.fold(&[]);
    assert_eq!(states(&cases, &again.0, &case.0, soon).0, IncidentState::InForce);

    logs.later(REDECLARE_MS);
    let later = logs.incident("tiktok", None, incident(Declare, 1, &[]));
    let state = logs.fold(&[]).incidents().get(&later.0).unwrap().state(soon + REDECLARE_MS);
    assert_eq!(state, IncidentState::InForce, "awareness needs nobody else");
}

#[test]
fn an_incident_ends_by_quorum_and_one_that_waits_by_its_declarer() {
    let (mut logs, case, declared) = declared();
    for member in ["facebook", "reddit"] {
        logs.incident(member, Some(&declared.1), incident(Cosign, 3, &[]));
    }
    for (member, state) in [
        ("tiktok", IncidentState::InForce),
        ("facebook", IncidentState::InForce),
        ("google", IncidentState::Concluded),
    ] {
        logs.incident(member, Some(&declared.1), incident(Conclude, 3, &[]));
        let cases = logs.fold(&[]);
        assert_eq!(states(&cases, &declared.0, &case.0, SOON).0, state, "{member}");
    }
    let (mut logs, case, declared) = self::declared();
    logs.incident("tiktok", Some(&declared.1), incident(Conclude, 3, &[]));
    let cases = logs.fold(&[]);
    assert_eq!(states(&cases, &declared.0, &case.0, SOON).0, IncidentState::Concluded);
}

#[test]
fn only_those_who_stand_by_it_tie_cases_and_a_halted_declarer_has_no_incident() {
    let (mut logs, _, declared) = declared();
    let other = logs.assert("google", Review::Unreviewed);
    for member in ["facebook", "reddit"] {
        logs.incident(member, Some(&declared.1), incident(Cosign, 3, &[]));
    }
    logs.incident("google", Some(&declared.1), incident(Update, 3, &[other.0]));
    let state = |logs: &Logs| states(&logs.fold(&[]), &declared.0, &other.0, SOON);
    assert_eq!(state(&logs), (IncidentState::InForce, State::Proposed));
    logs.incident("reddit", Some(&declared.1), incident(Update, 3, &[other.0]));
    assert_eq!(state(&logs), (IncidentState::InForce, State::Proposed), "one alone ties nothing");
    logs.incident("facebook", Some(&declared.1), incident(Update, 3, &[other.0]));
    assert_eq!(state(&logs), (IncidentState::InForce, State::Provisional));
    for member in ["facebook", "reddit", "google"] {
        logs.halt_member(member, "tiktok");
    }
    assert_eq!(state(&logs), (IncidentState::Declared, State::Proposed));
}

#[test]
fn a_convenor_that_others_have_stopped_ends_no_incident() {
    for suspended in [false, true] {
        let mut logs = Logs::with_role("google", Role::Convenor);
        let declared = logs.incident("tiktok", None, incident(Declare, 3, &[]));
        for member in ["facebook", "reddit"] {
            logs.incident(member, Some(&declared.1), incident(Cosign, 3, &[]));
        }
        let state = |logs: &Logs| logs.fold(&[]).incidents().get(&declared.0).unwrap().state(SOON);
        assert_eq!(state(&logs), IncidentState::InForce);
        logs.incident("google", Some(&declared.1), incident(Conclude, 3, &[]));
        assert_eq!(state(&logs), IncidentState::Concluded, "a convenor is enough");
        for member in ["tiktok", "facebook", "reddit"] {
            if suspended {
                logs.suspend(member, "google", 0);
            } else {
                logs.halt_member(member, "google");
            }
        }
        assert_eq!(state(&logs), IncidentState::InForce, "suspended: {suspended}");
    }
}

/// Who has left is heard like one that was suspended: what it declared is in force no more, and its word ends nothing.
#[test]
fn what_a_member_declared_that_has_left_is_in_force_no_more() {
    let (mut logs, case, declared) = declared();
    for member in ["facebook", "reddit"] {
        logs.incident(member, Some(&declared.1), incident(Cosign, 3, &[]));
    }
    assert_eq!(
        states(&logs.fold(&[]), &declared.0, &case.0, SOON),
        (IncidentState::InForce, State::Provisional)
    );
    logs.go_on_without("tiktok");
    assert_eq!(
        states(&logs.fold(&[]), &declared.0, &case.0, SOON),
        (IncidentState::Declared, State::Proposed)
    );
}

/// An alert that names an incident adds its case to it, as an update of its author would: only of those who stand by it,
/// and one organisation alone adds nothing to what changes caps.
#[test]
fn alerts_that_name_an_incident_tie_their_cases_to_it() {
    let (mut logs, _, declared) = declared();
    for member in ["facebook", "reddit"] {
        logs.incident(member, Some(&declared.1), incident(Cosign, 3, &[]));
    }
    let other = logs.assert_naming("google", declared.0, false);
    logs.variant_naming("tiktok", &other, declared.0);
    let state = |logs: &Logs| states(&logs.fold(&[]), &declared.0, &other.0, SOON);
    assert_eq!(state(&logs), (IncidentState::InForce, State::Proposed), "google is a stranger");
    logs.variant_naming("tiktok", &other, declared.0);
    assert_eq!(state(&logs), (IncidentState::InForce, State::Proposed), "one alone ties nothing");
    let second = logs.variant_naming("reddit", &other, declared.0);
    assert_eq!(state(&logs), (IncidentState::InForce, State::Provisional));
    // What is erased says nothing any more, for who had read it and for who comes later.
    logs.erase("reddit", &second.1);
    assert_eq!(state(&logs), (IncidentState::InForce, State::Proposed));
    // At level 1, which changes nothing, one is enough; a drill is apart.
    let drill = logs.assert_naming("tiktok", declared.0, true);
    let aware = logs.incident("tiktok", None, incident(Declare, 1, &[]));
    let named = logs.assert_naming("tiktok", aware.0, false);
    logs.assert_naming("google", aware.0, false);
    let cases = logs.fold(&[]);
    let tied = |name| &cases.incidents().get(name).unwrap().tied;
    assert!(tied(&aware.0).iter().eq([&named.0]));
    assert!(!tied(&declared.0).contains(&drill.0));
}

#[test]
fn the_first_alerts_of_a_day_tie_and_those_of_strangers_cost_nothing() {
    let mut logs = dated();
    let aware = logs.incident("tiktok", None, incident(Declare, 1, &[]));
    let named: Vec<_> =
        (0..=ALERTS_A_DAY).map(|_| logs.assert_naming("tiktok", aware.0, false)).collect();
    let mut cases = logs.cases();
    for (log, held) in logs.interleaved(&[]) {
        cases.fold(log, held.clone());
    }
    let tied = |cases: &Cases| cases.incidents().get(&aware.0).unwrap().tied.clone();
    let first: Vec<_> = named[..ALERTS_A_DAY].iter().map(|case| case.0).collect();
    assert_eq!(tied(&cases), first.iter().copied().collect());
    let mut back = logs.cases();
    for (log, entries) in &logs.logs {
        entries.iter().rev().for_each(|held| drop(back.fold(log, held.clone())));
    }
    assert_eq!(tied(&back), tied(&cases));
    // What ties nothing costs nothing: another's alert, and one more than count of a member that stands by it.
    for (member, at) in [("google", 0), ("tiktok", ALERTS_A_DAY + 2)] {
        let before = cases.incidents().added_up();
        logs.assert_naming(member, aware.0, false);
        let log = logs.log(member);
        cases.fold(&log, logs.logs[&log][at].clone());
        assert_eq!(cases.incidents().added_up(), before, "{member}");
    }
}

#[test]
fn what_is_slipped_under_a_lifted_case_is_not_lifted_with_it() {
    let (mut logs, case, declared) = declared();
    for member in ["facebook", "reddit"] {
        logs.incident(member, Some(&declared.1), incident(Cosign, 3, &[]));
    }
    let unseen = |logs: &mut Logs, member: &str| {
        let mut alert = alert(vec![Signal::new(Pdq([7; 32]))]).alert;
        alert.family = Some(Family { root: case.0, transform: "mirrored".to_owned() });
        let about = case.1.clone();
        logs.say(member, &Statement::Variant(alert), |header| {
            header.target = Some(about);
            header.review = Some(Review::Automatic);
            header.severity = Some(3);
        })
        .0
    };
    let slipped = unseen(&mut logs, "google");
    let backed = unseen(&mut logs, "reddit");
    let (seen, _) = logs.widen("google", &case, false, false);
    let cases = logs.fold(&[]);
    let state = |name| cases.set(name).unwrap().state(SOON);
    assert_eq!(state(&case.0), State::Provisional);
    assert_eq!(state(&slipped), State::Proposed, "google does not stand by the incident");
    assert_eq!(state(&backed), State::Provisional);
    assert!(cases.set(&seen).unwrap().standing.is_lifted(SOON), "a person of google has looked");
}

/// A member that says something, what, at which level or of which incident, and how many minutes later than the one before.
type Move = (usize, u8, u8, u64);

fn moves() -> impl Strategy<Value = Vec<Move>> {
    proptest::collection::vec((0_usize..MEMBERS.len(), 0_u8..5, 1_u8..4, 0_u64..20), 0..20)
}

/// A story of incidents, with their names and those of its sets.
fn told(moves: Vec<Move>, dates: Vec<Option<u32>>) -> (Logs, Vec<Commitment>, Vec<Commitment>) {
    let (mut logs, case, first) = declared();
    logs.dates = dates;
    let mut all = vec![first];
    let mut sets = vec![case];
    for (by, what, level, minutes) in moves {
        let member = MEMBERS[by].0;
        logs.later(minutes * 60_000);
        let about = all[usize::from(level) % all.len()].1.clone();
        let tied = [sets[by % sets.len()].0];
        match what {
            0 => all.push(logs.incident(member, None, incident(Declare, level, &tied))),
            1 => drop(logs.incident(member, Some(&about), incident(Cosign, level, &[]))),
            2 => drop(logs.incident(member, Some(&about), incident(Update, level, &tied))),
            3 => drop(logs.incident(member, Some(&about), incident(Conclude, level, &[]))),
            _ => sets.push(logs.widen(member, &sets[0].clone(), false, false)),
        }
    }
    let names = |said: Vec<(Commitment, Target)>| said.into_iter().map(|(name, _)| name).collect();
    (logs, names(all), names(sets))
}

proptest! {
    #[test]
    fn any_interleaving_of_the_logs_gives_the_same_incidents(
        moves in moves(),
        choices in proptest::collection::vec(any::<u8>(), 0..60),
        dates in dates(),
    ) {
        let (logs, all, sets) = told(moves, dates);
        let (one, ways) = logs.fold_in_all_ways(&choices);
        for (way, other) in ways.iter().enumerate() {
            for name in &all {
                prop_assert_eq!(one.incidents().get(name), other.incidents().get(name), "way {}", way);
            }
            for name in &sets {
                let standing = |cases: &Cases| cases.set(name).map(|set| set.standing.clone());
                prop_assert_eq!(standing(&one), standing(other), "way {}", way);
            }
        }
    }

    #[test]
    fn whoever_verifies_it_later_knows_of_the_same_incidents(
        moves in moves(),
        choices in proptest::collection::vec(any::<u8>(), 0..60),
        late in proptest::collection::vec(0_u64..40_000, 5),
    ) {
        let (mut logs, all, sets) = told(moves, Vec::new());
        let one = logs.fold(&[]);
        logs.verify_later(&late.iter().map(|minutes| minutes * 60_000).collect::<Vec<_>>());
        let later = logs.fold(&choices);
        for name in &all {
            let both = [&one, &later].map(|cases| cases.incidents().get(name));
            prop_assert_eq!(both[0].map(|one| one.course), both[1].map(|one| one.course));
            prop_assert_eq!(both[0].map(|one| &one.tied), both[1].map(|one| &one.tied));
        }
        for name in &sets {
            let both = [&one, &later].map(|cases| cases.set(name).unwrap().standing.lifts.clone());
            prop_assert_eq!(&both[0], &both[1]);
        }
    }
}

#[test]
fn declarations_that_tie_everything_cost_what_else_is_said_nothing() {
    let mut logs = dated();
    let cases: Vec<_> = (0..1_024).map(|_| logs.assert("google", Review::Unreviewed)).collect();
    let names: Vec<_> = cases.iter().map(|case| case.0).collect();
    for _ in 0..20 {
        for (member, _) in MEMBERS {
            // Those of tiktok are in force at once.
            let level = if member == "tiktok" { 1 } else { 3 };
            logs.incident(member, None, incident(Declare, level, &names));
        }
    }
    let mut cases_folded = logs.fold(&[]);
    let mut next = |logs: &Logs, member: &str| {
        let log = logs.log(member);
        let before = cases_folded.incidents().added_up();
        let held = logs.logs[&log].last().unwrap().clone();
        let (touched, _) = cases_folded.fold(&log, held);
        (touched.len(), cases_folded.incidents().added_up() - before)
    };
    logs.count("reddit", &cases[0].1, 3);
    assert_eq!(next(&logs, "reddit"), (1, 0), "a count is nothing new");
    logs.later(120_000);
    logs.widen("google", &cases[1], false, false);
    assert_eq!(next(&logs, "google"), (1, 20), "those in force end later, and lift nothing");
    logs.assert("reddit", Review::OneHuman);
    assert_eq!(next(&logs, "reddit"), (1, 0));
    // Of one more itself alone is added up; and what the same owner declares later, which there is not.
    logs.incident("reddit", None, incident(Declare, 3, &names));
    assert_eq!(next(&logs, "reddit"), (0, 1));
    let (_, about) = logs.incident("google", None, incident(Declare, 3, &names));
    next(&logs, "google");
    logs.incident("reddit", Some(&about), incident(Cosign, 3, &[]));
    assert_eq!(next(&logs, "reddit"), (0, 1), "it changes no cap yet");
    logs.incident("tiktok", Some(&about), incident(Cosign, 3, &[]));
    assert_eq!(next(&logs, "tiktok").0, 1_025, "now it lifts all, and the variant");
}

#[test]
fn the_first_declarations_and_updates_of_a_day_count_in_whatever_order_they_come() {
    let mut logs = Logs::new();
    let names: Vec<_> = (0..=DECLARATIONS_A_DAY)
        .map(|_| logs.incident("tiktok", None, incident(Declare, 1, &[])))
        .collect();
    let cases: Vec<_> =
        (0..=WORDS_A_DAY).map(|_| logs.assert("google", Review::OneHuman).0).collect();
    for case in &cases {
        logs.incident("tiktok", Some(&names[0].1), incident(Update, 1, &[*case]));
    }
    let forth = logs.fold(&[]);
    let mut back = Cases::new(Arc::new(logs.charter.charter.clone()));
    for (log, entries) in &logs.logs {
        entries.iter().rev().for_each(|held| drop(back.fold(log, held.clone())));
    }
    for folded in [&forth, &back] {
        assert_eq!(folded.incidents().iter().count(), DECLARATIONS_A_DAY);
        assert!(folded.incidents().get(&names[DECLARATIONS_A_DAY].0).is_none());
        let tied = &folded.incidents().get(&names[0].0).unwrap().tied;
        assert_eq!(tied.len(), WORDS_A_DAY);
        assert!(!tied.contains(&cases[WORDS_A_DAY]));
    }
    for (name, _) in &names {
        assert!(forth.incidents().get(name) == back.incidents().get(name));
    }
}

/// What was added to a case is no case of its own: an incident that names it is as long in force whatever came first.
#[test]
fn an_incident_that_names_what_was_added_to_a_case_ends_when_it_ends_in_any_order() {
    let mut logs = dated();
    let case = logs.assert("tiktok", Review::OneHuman);
    let declared = logs.incident("facebook", None, incident(Declare, 1, &[]));
    logs.later(3_600_000);
    let added = logs.widen("tiktok", &case, true, false);
    logs.incident("facebook", Some(&declared.1), incident(Update, 1, &[added.0]));
    let ends = |first: &str| {
        let mut cases = logs.cases();
        let mut all: Vec<_> = logs.logs.iter().collect();
        all.sort_by_key(|(log, _)| log.member.as_str() != first);
        for (log, held) in all {
            held.iter().for_each(|held| drop(cases.fold(log, held.clone())));
        }
        cases.incidents().get(&declared.0).unwrap().course.ends_ms
    };
    assert_eq!(ends("facebook"), ends("tiktok"));
}

/// A word that changes nothing, for its author had said it before, is shown all the same: what is shown is what there is.
#[test]
fn whatever_is_said_of_an_incident_is_shown() {
    let (mut logs, _, declared) = declared();
    let first = logs.incident("facebook", Some(&declared.1), incident(Cosign, 3, &[])).1;
    let second = logs.incident("facebook", Some(&declared.1), incident(Cosign, 3, &[])).1;
    logs.erase("facebook", &second);
    let mut cases = logs.cases();
    for (log, held) in logs.interleaved(&[2; 9]) {
        cases.fold(log, held.clone());
        if log.member.as_str() == "facebook" && held.index != first.index {
            let shown = cases.changed_incidents().expect("something new was said");
            assert!(shown.iter().eq(cases.incidents().iter()));
        } else {
            cases.changed_incidents();
        }
    }
}
