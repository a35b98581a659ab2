//! Quotas of the charter: what is over says nothing, retractions beyond their quota wait for another
//! organisation, and all of it follows from the logs alone.

mod amounts;
mod victims;

use proptest::prelude::*;
use watchfire_node::{
    cases::{Cases, Ignored, SignalSet},
    policy::Policy,
    standing::State,
};
use watchfire_signal::{
    charter::Charter,
    commitment::Commitment,
    header::{Header, Provenance, Review, Target},
    statement::Statement,
    value::Signal,
};

use crate::{
    coalition::{START_MS, alert, charter_with, name},
    logs::{Logs, MEMBERS, SEEN},
};

/// The minute in which tests begin.
const NOW: u32 = (START_MS / 60_000) as u32;
const DAY: u32 = 24 * 60;
/// Soon after all was said.
const LATER: u64 = START_MS + 4_000_000;

fn logs(change: impl FnOnce(&mut Charter)) -> Logs {
    Logs::under(charter_with(&MEMBERS, 2, change))
}

fn assert_at(
    logs: &mut Logs,
    member: &str,
    minute: u32,
    change: impl FnOnce(&mut Header),
) -> (Commitment, Target) {
    let body = alert(vec![Signal::new(watchfire_signal::pdq::Pdq([1; 32]))]).alert;
    logs.say(member, &Statement::Assert(body), |header| {
        header.severity = Some(3);
        header.review = Some(Review::OneHuman);
        header.provenance = Provenance::OwnDetection;
        header.minute = Some(minute);
        change(header);
    })
}

fn retract_at(logs: &mut Logs, member: &str, own: &Target, minute: u32) -> (Commitment, Target) {
    let statement = Statement::Retract { restore: true, note: None };
    logs.say(member, &statement, |header| {
        header.target = Some(own.clone());
        header.reason = Some(watchfire_signal::reason::Reason::WrongMatch);
        header.minute = Some(minute);
    })
}

fn state(cases: &Cases, case: &Commitment) -> Option<State> {
    cases.set(case).map(|set| set.state(LATER))
}

#[test]
fn what_a_member_says_beyond_its_quota_of_a_day_says_nothing_and_it_can_take_back_what_counts() {
    let mut logs = logs(|charter| charter.quotas.records_a_day = 5);
    let flood: Vec<_> = (0..8).map(|_| assert_at(&mut logs, "tiktok", NOW, |_| {})).collect();
    let honest = assert_at(&mut logs, "google", NOW, |_| {});
    retract_at(&mut logs, "tiktok", &flood[0].1, NOW);
    retract_at(&mut logs, "tiktok", &flood[7].1, NOW);
    let next_day = assert_at(&mut logs, "tiktok", NOW + DAY, |_| {});
    for choices in [&[][..], &[1, 1, 0, 1, 0, 0, 0, 1]] {
        let cases = logs.fold(choices);
        assert_eq!(state(&cases, &flood[0].0), Some(State::Retracted));
        for (name, _) in &flood[1..5] {
            assert_eq!(state(&cases, name), Some(State::Provisional));
        }
        assert!(flood[5..].iter().all(|(name, _)| cases.set(name).is_none()), "over the quota");
        assert_eq!(state(&cases, &honest.0), Some(State::Provisional), "it is nobody else's");
        // The next day has a quota of its own, and a clock that is behind makes nobody deaf.
        assert!(cases.set(&next_day.0).is_some());
    }
}

#[test]
fn nobody_spends_the_quota_of_another_time() {
    let mut logs = logs(|charter| charter.quotas.records_a_day = 2);
    let year = NOW + 365 * DAY;
    let (first, second) =
        (assert_at(&mut logs, "tiktok", NOW, |_| {}), assert_at(&mut logs, "tiktok", NOW, |_| {}));
    // Yesterday's quota was not used; those of days to come are one together, until they come.
    let back = assert_at(&mut logs, "tiktok", NOW - DAY, |_| {});
    let days: Vec<_> =
        (0..4).map(|day| assert_at(&mut logs, "tiktok", year + day * DAY, |_| {})).collect();
    let grave = assert_at(&mut logs, "tiktok", year + 9 * DAY, |header| header.severity = Some(4));
    let mut cases = logs.fold(&[]);
    for (name, _) in [&first, &second] {
        assert_eq!(state(&cases, name), Some(State::Provisional));
    }
    assert!(cases.set(&back.0).is_none());
    let counted =
        |cases: &Cases| days.iter().map(|(name, _)| cases.set(name).is_some()).collect::<Vec<_>>();
    assert_eq!(counted(&cases), [true, true, false, false]);
    let log = logs.log("tiktok");
    let mut again = |index: usize| cases.fold(&log, logs.logs[&log][index].clone()).1;
    assert_eq!([2, 3, 5].map(&mut again), [Some(Ignored::Quota), None, Some(Ignored::Ahead)]);
    // Each counts once its own time has come, and not before.
    for (day, due) in (0..4).zip([1, 2, 3, 4]) {
        let now_ms = u64::from(year + day * DAY) * 60_000;
        for place in cases.pass_time(now_ms) {
            cases.fold(&log, logs.logs[&log][usize::try_from(place.index).unwrap()].clone());
        }
        assert!(counted(&cases).iter().filter(|counts| **counts).count() >= due.max(2));
    }
    assert_eq!(counted(&cases), [true; 4]);
    assert!(cases.set(&grave.0).is_none_or(|set| !set.grave), "nothing acts ahead of its day");
}

#[test]
fn disputes_have_a_quota_of_their_own() {
    let mut logs = logs(|charter| charter.quotas.disputes_a_day = 2);
    let mut alerts = Vec::new();
    for _ in 0..4 {
        alerts.push(logs.assert("tiktok", Review::OneHuman));
    }
    for case in &alerts {
        logs.dispute("reddit", case);
    }
    let cases = logs.fold(&[]);
    let states = alerts.iter().map(|(name, _)| cases.set(name).unwrap().state(LATER));
    let [d, p] = [State::Disputed, State::Provisional];
    assert_eq!(states.collect::<Vec<_>>(), [d, d, p, p]);
}

/// `count` cases by `tiktok` that `google` stands by too: CONFIRMED.
fn confirmed(logs: &mut Logs, count: usize) -> Vec<(Commitment, Target)> {
    let cases: Vec<_> = (0..count).map(|_| assert_at(logs, "tiktok", NOW, |_| {})).collect();
    for case in &cases {
        logs.confirm("google", case, SEEN);
    }
    cases
}

#[test]
fn a_stolen_key_undoes_twenty_confirmed_cases_an_hour_and_the_rest_waits_for_a_cosigner() {
    // Scenario S16.
    let mut logs = logs(|_| {});
    let cases = confirmed(&mut logs, 1_000);
    let before = logs.fold(&[]);
    assert!(cases.iter().all(|(name, _)| state(&before, name) == Some(State::Confirmed)));
    let undone: Vec<_> =
        cases.iter().map(|(_, place)| retract_at(&mut logs, "tiktok", place, NOW + 30)).collect();
    let after = logs.fold(&[]);
    for (at, (case, _)) in cases.iter().enumerate() {
        let set = after.set(case).unwrap();
        let gone = at < 20;
        let expected = if gone { State::Provisional } else { State::Confirmed };
        assert_eq!(set.state(LATER), expected, "case {at}");
        assert_eq!(set.waiting().contains_key(&name("tiktok")), !gone);
        // Whoever confirmed stands by it, and goes on to block; others do where the retraction waits.
        let blocks = |member: &str| {
            Policy::default().decide(&set.facts(&name(member), LATER)).take_down().is_some()
        };
        assert!(blocks("google"), "case {at}");
        assert_eq!(blocks("reddit"), !gone, "case {at}");
    }
    // One that another organisation agrees with counts; the word of the author's own owner would not do.
    let (retraction, place) = &undone[500];
    let cosign = |logs: &mut Logs, member: &str, commitment: Commitment| {
        let statement = Statement::Confirm { commitment, basis: SEEN };
        logs.say(member, &statement, |header| header.target = Some(place.clone()));
    };
    cosign(&mut logs, "reddit", cases[500].0);
    assert_eq!(state(&logs.fold(&[]), &cases[500].0), Some(State::Confirmed), "of another record");
    cosign(&mut logs, "reddit", *retraction);
    let after = logs.fold(&[]);
    assert_eq!(state(&after, &cases[500].0), Some(State::Provisional));
    assert_eq!(state(&after, &cases[501].0), Some(State::Confirmed));
}

/// What a case comes to when nothing was said of it any more for some days.
fn comes_back(cases: &Cases, case: &Commitment) -> bool {
    let set = cases.set(case).unwrap();
    let later = START_MS + 30 * 86_400_000;
    match set.state(later) {
        State::Retracted => set.standing.restores,
        State::Lapsed => !set.standing.needs_person(),
        _ => false,
    }
}

fn erase_at(logs: &mut Logs, member: &str, own: &Target, minute: u32) -> (Commitment, Target) {
    logs.say(member, &Statement::Erase, |header| {
        header.target = Some(own.clone());
        header.minute = Some(minute);
    })
}

#[test]
fn a_stolen_key_that_erases_what_it_confirmed_undoes_no_more_than_one_that_takes_it_back() {
    // Scenario S16, by erasures.
    let mut logs = logs(|_| {});
    let cases: Vec<_> = (0..100).map(|_| assert_at(&mut logs, "tiktok", NOW, |_| {})).collect();
    let confirmed: Vec<_> = cases.iter().map(|case| logs.confirm("google", case, SEEN)).collect();
    let erasures: Vec<_> =
        confirmed.iter().map(|place| erase_at(&mut logs, "google", place, NOW + 30)).collect();
    let old = logs.fold(&[]);
    let google = logs.log("google");
    for held in logs.logs.get_mut(&google).unwrap().iter_mut().take(100) {
        held.entry = watchfire_tlog::Entry::new(held.entry.leaf.clone(), None);
    }
    let new = logs.fold(&[]);
    for (at, (case, _)) in cases.iter().enumerate() {
        let expected = if at < 20 { State::Provisional } else { State::Confirmed };
        for cases in [&old, &new] {
            assert_eq!(state(cases, case), Some(expected), "case {at}");
            assert!(!comes_back(cases, case), "case {at} was once CONFIRMED");
            let set = cases.set(case).unwrap();
            assert_eq!(set.waiting().contains_key(&name("google")), at >= 20, "case {at}");
        }
        let [old, new] = [&old, &new].map(|cases| cases.set(case).unwrap());
        assert_eq!((&old.opinions, &old.standing), (&new.opinions, &new.standing));
    }
    // Whoever else agrees lets it count.
    let (commitment, place) = erasures[50].clone();
    let statement = Statement::Confirm { commitment, basis: SEEN };
    logs.say("reddit", &statement, |header| header.target = Some(place));
    let after = logs.fold(&[]);
    assert_eq!(state(&after, &cases[50].0), Some(State::Provisional));
    assert_eq!(state(&after, &cases[51].0), Some(State::Confirmed));
}

#[test]
fn what_a_stolen_key_asserted_erased_and_took_back_does_not_come_back() {
    let ways: [fn(&mut Logs, &Target); 4] = [
        |logs, place| drop(erase_at(logs, "tiktok", place, NOW + 30)),
        |logs, place| {
            retract_at(logs, "tiktok", place, NOW + 30);
            retract_at(logs, "tiktok", place, NOW + 30);
        },
        |logs, place| {
            retract_at(logs, "tiktok", place, NOW + 30);
            erase_at(logs, "tiktok", place, NOW + 30);
        },
        |logs, place| {
            erase_at(logs, "tiktok", place, NOW + 30);
            retract_at(logs, "tiktok", place, NOW + 30);
        },
    ];
    for (way, undo) in ways.into_iter().enumerate() {
        let mut logs = logs(|charter| charter.quotas.retractions_an_hour = 4);
        let cases = confirmed(&mut logs, 10);
        // The other one has only changed its mind about them, within its own quota.
        for index in 0..10 {
            let own = Target { log: logs.log("google"), index };
            retract_at(&mut logs, "google", &own, NOW - 60 * (20 - index as u32));
        }
        cases.iter().for_each(|(_, place)| undo(&mut logs, place));
        let folded = logs.fold(&[]);
        let back = cases.iter().filter(|(name, _)| comes_back(&folded, name)).count();
        assert!(back <= 4, "way {way}: {back} come back");
    }
}

#[test]
fn a_dispute_that_is_ended_or_a_confirmation_that_is_erased_leaves_what_was_confirmed_to_a_person()
{
    let make = || {
        let mut logs = logs(|_| {});
        let case = assert_at(&mut logs, "tiktok", NOW, |_| {});
        let confirmed = logs.confirm("google", &case, SEEN);
        (logs, case, confirmed)
    };
    let (mut logs, case, _) = make();
    let dispute = logs.dispute("google", &case);
    logs.resolve("google", &dispute, watchfire_signal::statement::Resolution::Stands);
    assert!(!comes_back(&logs.fold(&[]), &case.0));

    let (mut logs, case, confirmed) = make();
    erase_at(&mut logs, "google", &confirmed, NOW);
    assert_eq!(state(&logs.fold(&[]), &case.0), Some(State::Provisional));
    assert!(!comes_back(&logs.fold(&[]), &case.0));
}

#[test]
fn what_a_suspended_member_erases_after_the_end_of_its_word_changes_nothing() {
    let mut logs = logs(|_| {});
    // Unseen by its author: without google nobody would stand by it.
    let case =
        assert_at(&mut logs, "tiktok", NOW, |header| header.review = Some(Review::Automatic));
    let confirmed = logs.confirm("google", &case, SEEN);
    logs.retract("tiktok", &case.1);
    erase_at(&mut logs, "google", &confirmed, NOW);
    assert!(comes_back(&logs.fold(&[]), &case.0), "it says nothing any more");
    for member in ["tiktok", "facebook", "reddit"] {
        logs.suspend(member, "google", 1);
    }
    let folded = logs.fold(&[]);
    assert_eq!(state(&folded, &case.0), Some(State::Lapsed), "a person decides");
    assert!(!comes_back(&folded, &case.0));
}

#[test]
fn what_nobody_else_stood_by_is_taken_back_without_a_quota() {
    let mut logs = logs(|charter| charter.quotas.retractions_an_hour = 1);
    let own: Vec<_> = (0..30).map(|_| assert_at(&mut logs, "facebook", NOW, |_| {})).collect();
    // The same owner's other key makes no difference.
    for case in &own {
        logs.confirm("instagram", case, SEEN);
        retract_at(&mut logs, "facebook", &case.1, NOW);
    }
    let cases = logs.fold(&[]);
    assert!(own.iter().all(|(name, _)| cases.set(name).unwrap().waiting().is_empty()));
}

#[test]
fn the_hour_of_a_retraction_is_never_before_what_stands_before_it() {
    let mut logs = logs(|charter| charter.quotas.retractions_an_hour = 2);
    let cases = confirmed(&mut logs, 4);
    for (at, (_, place)) in cases.iter().enumerate() {
        // As if each was of an hour of its own, long ago.
        retract_at(&mut logs, "tiktok", place, NOW - 60 * (at as u32 + 1));
    }
    let folded = logs.fold(&[]);
    let waiting = cases.iter().filter(|(name, _)| !folded.set(name).unwrap().waiting().is_empty());
    assert_eq!(waiting.count(), 2);
}

#[test]
fn retractions_wait_for_no_time_and_those_dated_ahead_have_one_quota_together() {
    let mut logs = logs(|charter| charter.quotas.retractions_an_hour = 2);
    let own = assert_at(&mut logs, "reddit", NOW, |_| {});
    let cases = confirmed(&mut logs, 4);
    // A receiver whose clock is far behind hears at once that somebody was wrong.
    retract_at(&mut logs, "reddit", &own.1, NOW + 2 * 60);
    for (at, (_, place)) in (1..).zip(&cases) {
        retract_at(&mut logs, "tiktok", place, NOW + at * DAY);
    }
    let mut folded = logs.fold(&[]);
    assert_eq!(state(&folded, &own.0), Some(State::Retracted));
    let waiting = |folded: &Cases| {
        cases.iter().filter(|(name, _)| !folded.set(name).unwrap().waiting().is_empty()).count()
    };
    assert_eq!(waiting(&folded), 2, "an hour of its own for each is of the future");
    let due = folded.pass_time(START_MS + 10 * 86_400_000);
    for place in due {
        let held = logs.logs[&place.log][place.index as usize].clone();
        folded.fold(&place.log, held);
    }
    assert_eq!(waiting(&folded), 0);
}

#[test]
fn the_gravest_alerts_act_before_they_are_confirmed_for_labels_of_the_charter_within_a_quota() {
    let label = "self_harm.suicide_depiction";
    let make = |labels: Vec<&str>| {
        logs(|charter| {
            charter.severity4_labels = labels.iter().map(|label| label.parse().unwrap()).collect();
            charter.quotas.severity4_acts_a_day = 2;
        })
    };
    let grave = |header: &mut Header| header.severity = Some(4);
    let mut logs = make(vec![label]);
    let mild = assert_at(&mut logs, "tiktok", NOW, |_| {});
    let unseen = assert_at(&mut logs, "tiktok", NOW, |header| {
        header.severity = Some(4);
        header.review = Some(Review::Automatic);
    });
    let drill = assert_at(&mut logs, "tiktok", NOW, |header| {
        header.severity = Some(4);
        header.test = true;
    });
    let alerts: Vec<_> = (0..3).map(|_| assert_at(&mut logs, "tiktok", NOW, grave)).collect();
    let cases = logs.fold(&[]);
    let acts = |name: &Commitment| cases.set(name).unwrap().grave;
    assert!(!acts(&mild.0) && !acts(&unseen.0) && !acts(&drill.0));
    assert_eq!(alerts.iter().map(|(name, _)| acts(name)).collect::<Vec<_>>(), [true, true, false]);
    assert!(cases.set(&alerts[0].0).unwrap().facts(&name("google"), LATER).grave);
    let mut other = make(vec!["violence.graphic_death"]);
    let unnamed = assert_at(&mut other, "tiktok", NOW, grave);
    assert!(!other.fold(&[]).set(&unnamed.0).unwrap().grave, "the charter names another label");
}

#[test]
fn a_retraction_is_of_the_hour_of_its_place_whenever_it_is_folded() {
    let mut logs = logs(|charter| charter.quotas.retractions_an_hour = 2);
    let cases = confirmed(&mut logs, 4);
    // Two of each hour; the first two wait for their alerts at who hears the others' logs first.
    for (at, (_, place)) in cases.iter().enumerate() {
        assert_at(&mut logs, "tiktok", NOW + at as u32 / 2 * 60, |_| {});
        retract_at(&mut logs, "tiktok", place, NOW);
    }
    let log = logs.log("tiktok");
    let mut late = Cases::new(std::sync::Arc::new(logs.charter.charter.clone()));
    // One that begins to hear of it with what is urgent, and gets a retraction again at the end.
    let tiktok = logs.logs[&log].clone();
    for held in tiktok.iter().skip(5).step_by(2).chain(&tiktok) {
        late.fold(&log, held.clone());
    }
    let google = logs.log("google");
    logs.logs[&google].iter().for_each(|held| drop(late.fold(&google, held.clone())));
    late.fold(&log, tiktok[5].clone());
    for (at, (name, _)) in cases.iter().enumerate() {
        let waits = |cases: &Cases| !cases.set(name).unwrap().waiting().is_empty();
        assert!(!waits(&logs.fold(&[])) && !waits(&late), "case {at}");
    }
}

#[test]
fn what_is_dated_ahead_waits_in_bounds_and_comes_again_once() {
    let mut logs = logs(|charter| charter.quotas.records_a_day = 2);
    // Each of a day of its own, far ahead.
    let ahead: Vec<_> =
        (1..=4).map(|day| assert_at(&mut logs, "tiktok", NOW + day * DAY, |_| {})).collect();
    let log = logs.log("tiktok");
    let mut cases = logs.fold(&[]);
    for _ in 0..3 {
        logs.logs[&log].iter().for_each(|held| drop(cases.fold(&log, held.clone())));
    }
    assert_eq!(cases.next_due_ms(), Some(u64::from(NOW + DAY - 10) * 60_000));
    let due = cases.pass_time(START_MS + 3 * 86_400_000);
    assert_eq!(due.iter().map(|place| place.index).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(cases.pass_time(START_MS + 3 * 86_400_000), []);
    assert!(cases.set(&ahead[3].0).is_none());
}

#[test]
fn one_log_has_no_more_wait_for_its_time_than_its_bound() {
    let mut logs = logs(|charter| charter.quotas.records_a_day = 1_000_000);
    let bound = 1 << 17;
    assert_at(&mut logs, "tiktok", NOW + DAY, |_| {});
    let log = logs.log("tiktok");
    let one = logs.logs[&log][0].clone();
    let mut cases = Cases::new(std::sync::Arc::new(logs.charter.charter.clone()));
    // The leaf is the same in all: what is counted is that it comes at another place.
    for index in 0..bound + 10 {
        cases.fold(&log, watchfire_store::Held { index, ..one.clone() });
    }
    assert_eq!(cases.pass_time(START_MS + 9 * 86_400_000).len() as u64, bound);
}

/// The states of sets, and what waits in them, are the same for all who have all records.
fn assert_same(logs: &Logs, names: &[Commitment], choices: &[u8]) -> Result<(), TestCaseError> {
    let straight = logs.fold(&[]);
    let others = [logs.fold(choices), logs.fold_with_repeats(choices), logs.fold_untidily(choices)];
    for (way, mixed) in others.iter().enumerate() {
        for name in names {
            let (left, right) = (straight.set(name), mixed.set(name));
            let (left, right) = (left.as_deref(), right.as_deref());
            let standing = |set: Option<&SignalSet>| set.map(|set| set.standing.clone());
            prop_assert_eq!(standing(left), standing(right), "way {}", way);
            let [left, right] = [left, right].map(|set| set.map(SignalSet::waiting));
            prop_assert_eq!(left, right, "way {}", way);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn quotas_do_not_depend_on_the_order_of_arrival(
        choices in proptest::collection::vec(any::<u8>(), 30..60),
        minutes in proptest::collection::vec(0_u32..200, 6),
        erasures in proptest::collection::vec(0_u32..90, 6),
    ) {
        let mut logs = logs(|charter| {
            charter.quotas.records_a_day = 16;
            charter.quotas.retractions_an_hour = 2;
            charter.quotas.disputes_a_day = 1;
        });
        let mut cases = confirmed(&mut logs, 6);
        let mut undone = Vec::new();
        let google = logs.log("google");
        for (index, minute) in (0..).zip(&erasures) {
            let own = Target { log: google.clone(), index };
            if minute % 3 > 0 {
                erase_at(&mut logs, "google", &own, NOW + minute);
            }
            if minute % 2 > 0 {
                retract_at(&mut logs, "google", &own, NOW + minute / 2);
            }
            if minute % 5 > 1 {
                logs.confirm("google", &cases[index as usize], SEEN);
            }
        }
        // Two of an hour by what stands before them in their log, and some later by their own word.
        for ((at, case), minute) in (0..).zip(cases.clone()).zip(minutes) {
            cases.push(assert_at(&mut logs, "tiktok", NOW + at * 30, |_| {}));
            undone.push(retract_at(&mut logs, "tiktok", &case.1, NOW + minute));
        }
        cases.extend((0..5).map(|_| assert_at(&mut logs, "tiktok", NOW + 400, |_| {})));
        for case in cases.iter().take(3) {
            logs.dispute("reddit", case);
        }
        let statement = Statement::Confirm { commitment: undone[4].0, basis: SEEN };
        logs.say("reddit", &statement, |header| header.target = Some(undone[4].1.clone()));
        let names: Vec<_> = cases.iter().map(|(name, _)| *name).collect();
        assert_same(&logs, &names, &choices)?;
    }
}
