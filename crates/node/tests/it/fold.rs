//! The state of a case depends on what was said, not on the order in which the logs came.

use std::sync::Arc;

use proptest::prelude::*;
use watchfire_node::{
    cases::{Cases, Ignored, SignalSet},
    halts::Voice,
    raise::{RaiseError, alert_draft},
    standing::{CONFIRMED_MAX_MS, PROVISIONAL_MAX_MS, Rules, Standing, State},
};
use watchfire_signal::{
    commitment::Commitment,
    header::{Review, Target},
    name::MemberName,
    pdq::Pdq,
    statement::{Basis, Resolution, Statement},
    value::Signal,
    verb::Verb,
};
use watchfire_store::Held;
use watchfire_tlog::Entry;

use crate::coalition::{START_MS, alert, name};
use crate::logs::{GRAVE, Logs, SEEN, SOON, features};
use crate::moves::{moves, play};

#[test]
fn an_alert_grows_from_proposed_to_confirmed_by_organisations() {
    let mut logs = Logs::new();
    let case = logs.assert("facebook", Review::Unreviewed);
    assert_eq!(logs.state(&case.0, SOON), State::Proposed);
    logs.confirm("instagram", &case, SEEN);
    assert_eq!(logs.state(&case.0, SOON), State::Provisional);
    logs.confirm("reddit", &case, Basis::AutomaticMatch);
    assert_eq!(logs.state(&case.0, SOON), State::Provisional, "nobody there has seen it");
    logs.confirm("google", &case, SEEN);
    assert_eq!(logs.state(&case.0, SOON), State::Confirmed);
}

#[test]
fn one_owner_with_two_keys_does_not_confirm_itself() {
    let mut logs = Logs::new();
    let case = logs.assert("facebook", Review::TwoHumans);
    logs.confirm("instagram", &case, SEEN);
    assert_eq!(logs.state(&case.0, SOON), State::Provisional);
    logs.confirm("tiktok", &case, SEEN);
    assert_eq!(logs.state(&case.0, SOON), State::Confirmed);
}

#[test]
fn a_case_ends_when_nobody_stands_by_it() {
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::OneHuman);
    let google = logs.confirm("google", &case, SEEN);
    let reddit = logs.confirm("reddit", &case, SEEN);
    logs.retract("tiktok", &case.1);
    assert_eq!(logs.state(&case.0, SOON), State::Confirmed, "two organisations still stand by it");
    logs.retract("google", &google);
    assert_eq!(logs.state(&case.0, SOON), State::Provisional);
    logs.retract("reddit", &reddit);
    assert_eq!(logs.state(&case.0, SOON), State::Retracted);
}

#[test]
fn a_case_that_was_confirmed_once_does_not_come_back_by_lapsing() {
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::OneHuman);
    let google = logs.confirm("google", &case, SEEN);
    logs.retract("google", &google);
    let later = SOON + PROVISIONAL_MAX_MS;
    let cases = logs.fold(&[]);
    let set = cases.set(&case.0).unwrap();
    assert_eq!(set.state(later), State::Lapsed);
    assert!(set.standing.was_confirmed, "what was removed under it waits for a person");
}

#[test]
fn what_all_that_retract_want_to_stay_down_is_not_restored() {
    let restores = |first: bool, second: bool| {
        let mut logs = Logs::new();
        let case = logs.assert("tiktok", Review::OneHuman);
        let google = logs.confirm("google", &case, SEEN);
        logs.retract_and("tiktok", &case.1, first);
        logs.retract_and("google", &google, second);
        let cases = logs.fold(&[]);
        let set = cases.set(&case.0).unwrap();
        assert_eq!(set.state(SOON), State::Retracted);
        set.standing.restores
    };
    assert!(!restores(false, false), "both say that it stays");
    assert!(restores(true, false) && restores(false, true), "one who wants it back is enough");
}

/// A case of what a victim has reported, which another confirms and a third adds an edited copy to.
fn of_victim(logs: &mut Logs) -> [(Commitment, Target); 2] {
    let case = logs.assert_of_victim("tiktok", Review::External, (3, GRAVE[0]));
    logs.confirm("google", &case, SEEN);
    let variant = logs.widen("reddit", &case, false, false);
    logs.confirm("google", &variant, SEEN);
    [case, variant]
}

#[test]
fn what_a_victim_takes_back_has_ended_for_everybody_with_all_that_was_added() {
    for restore in [true, false] {
        let mut logs = Logs::new();
        let [case, variant] = of_victim(&mut logs);
        logs.retract_for_victim("tiktok", &case.1, restore);
        // Nobody who goes on standing by it changes that, nor what comes later.
        logs.confirm("facebook", &case, SEEN);
        logs.dispute("instagram", &case);
        let late = logs.widen("facebook", &case, false, false);
        for choices in [&[][..], &[1, 2, 3, 1, 0, 2], &[3, 3, 3, 3, 3, 3, 3]] {
            let cases = logs.fold(choices);
            for (name, _) in [&case, &variant, &late] {
                let set = cases.set(name).unwrap();
                assert_eq!(set.state(SOON), State::Retracted, "{choices:?}");
                assert_eq!(set.standing.restores, restore, "{choices:?}");
            }
        }
    }
}

#[test]
fn only_its_author_takes_an_alert_back_for_the_victim_from_whom_it_is() {
    let mut logs = Logs::new();
    let [case, variant] = of_victim(&mut logs);
    let other = logs.assert("tiktok", Review::OneHuman);
    logs.confirm("google", &other, SEEN);
    logs.confirm("reddit", &other, SEEN);
    logs.retract_for_victim("google", &case.1, true);
    logs.retract_for_victim("tiktok", &other.1, true);
    logs.retract_for_victim("reddit", &variant.1, true);
    assert_eq!(logs.state(&case.0, SOON), State::Confirmed, "google did not bring it");
    assert_eq!(logs.state(&other.0, SOON), State::Confirmed, "it came from no victim");
    assert_eq!(logs.state(&variant.0, SOON), State::Provisional, "nor did what was added");
}

#[test]
fn what_a_victim_takes_back_has_ended_without_any_body_and_where_its_author_is_stopped() {
    let mut logs = Logs::new();
    let [case, variant] = of_victim(&mut logs);
    logs.retract_for_victim("tiktok", &case.1, false);
    logs.erase("tiktok", &case.1);
    let state = |logs: &Logs, name: &Commitment| logs.state(name, SOON);
    assert_eq!(state(&logs, &case.0), State::Retracted, "an erased one is LAPSED else");
    let cases = logs.cases();
    let mut cases = cases;
    for (log, held) in logs.interleaved(&[]) {
        let entry = Entry::new(held.entry.leaf.to_vec(), None);
        cases.fold(log, Held { entry, ..held.clone() });
    }
    let by_leaves = cases.set(&case.0).unwrap();
    assert_eq!(by_leaves.state(SOON), State::Retracted);
    assert!(by_leaves.standing.restores, "a body that is missing asks for it");
    // Suspended from its retraction on, it never said so; from later on it did.
    for member in ["facebook", "google", "reddit"] {
        logs.suspend(member, "tiktok", 1);
    }
    assert_eq!(state(&logs, &variant.0), State::Confirmed);
    for member in ["facebook", "google", "reddit"] {
        logs.suspend(member, "tiktok", 2);
    }
    assert_eq!(state(&logs, &case.0), State::Retracted);
    assert_eq!(state(&logs, &variant.0), State::Retracted);
}

#[test]
fn nobody_retracts_what_another_member_said() {
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::OneHuman);
    logs.retract("google", &case.1);
    assert_eq!(logs.state(&case.0, SOON), State::Provisional);
}

#[test]
fn disputes_suspend_a_provisional_case_and_a_confirmed_one_only_by_quorum() {
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::OneHuman);
    logs.dispute("facebook", &case);
    assert_eq!(logs.state(&case.0, SOON), State::Disputed);
    logs.confirm("google", &case, SEEN);
    assert_eq!(logs.state(&case.0, SOON), State::Confirmed, "one dispute only flags it");
    logs.dispute("instagram", &case);
    assert_eq!(logs.state(&case.0, SOON), State::Confirmed, "the same owner twice is one");
    logs.dispute("reddit", &case);
    assert_eq!(logs.state(&case.0, SOON), State::Disputed);
}

#[test]
fn a_dispute_ends_by_its_own_author_or_by_enough_others() {
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::OneHuman);
    let dispute = logs.dispute("facebook", &case);
    assert_eq!(logs.state(&case.0, SOON), State::Disputed);
    logs.resolve("tiktok", &dispute, Resolution::Stands);
    assert_eq!(logs.state(&case.0, SOON), State::Disputed, "one organisation is not enough");
    logs.resolve("google", &dispute, Resolution::Stands);
    assert_eq!(logs.state(&case.0, SOON), State::Provisional);

    let dispute = logs.dispute("instagram", &case);
    assert_eq!(logs.state(&case.0, SOON), State::Disputed, "another dispute is another one");
    logs.resolve("instagram", &dispute, Resolution::Stands);
    assert_eq!(logs.state(&case.0, SOON), State::Provisional);

    let dispute = logs.dispute("reddit", &case);
    logs.resolve("reddit", &dispute, Resolution::Withdrawn);
    for member in ["facebook", "google"] {
        assert_eq!(logs.state(&case.0, SOON), State::Disputed);
        logs.resolve(member, &dispute, Resolution::Withdrawn);
    }
    assert_eq!(logs.state(&case.0, SOON), State::Retracted);
}

#[test]
fn what_is_erased_says_nothing_and_what_it_took_down_waits_for_a_person() {
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::OneHuman);
    let google = logs.confirm("google", &case, SEEN);
    logs.erase("google", &google);
    assert_eq!(logs.state(&case.0, SOON), State::Provisional, "google said nothing");
    logs.erase("reddit", &case.1);
    assert_eq!(logs.state(&case.0, SOON), State::Provisional, "one other is not enough");
    logs.erase("facebook", &case.1);
    logs.erase("instagram", &case.1);
    assert_eq!(logs.state(&case.0, SOON), State::Provisional, "two are not, nor one owner twice");
    logs.erase("google", &case.1);
    let mut cases = logs.fold(&[]);
    let set = cases.set(&case.0).unwrap();
    assert!(set.alert.is_none() && set.erased && set.standing.needs_person());
    assert_eq!(set.state(SOON), State::Lapsed);
    let gone: Vec<_> = cases.take_erased().into_iter().map(|place| place.index).collect();
    assert_eq!((gone.len(), cases.take_erased().len()), (2, 0));

    // What was taken back before is undone, as without the erasure.
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::OneHuman);
    logs.retract("tiktok", &case.1);
    logs.erase("tiktok", &case.1);
    let cases = logs.fold(&[]);
    let set = cases.set(&case.0).unwrap();
    assert_eq!((set.state(SOON), set.standing.restores), (State::Retracted, true));
}

#[test]
fn cases_are_joined_by_the_author_of_either_and_by_nobody_else() {
    let mut logs = Logs::new();
    let one = logs.assert("tiktok", Review::OneHuman);
    let other = logs.assert("reddit", Review::OneHuman);
    logs.join("google", &one.1, other.0);
    assert!(logs.fold(&[]).set(&one.0).unwrap().joined().is_empty());
    logs.join("reddit", &one.1, other.0);
    let cases = logs.fold(&[]);
    for (set, its) in [(one.0, other.0), (other.0, one.0)] {
        assert!(cases.set(&set).unwrap().joined().iter().eq([&its]));
        assert_eq!(cases.set(&set).unwrap().state(SOON), State::Provisional, "each by itself");
    }
}

#[test]
fn a_set_that_comes_after_what_joins_it_is_joined_all_the_same() {
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::OneHuman);
    let other = logs.assert("google", Review::OneHuman);
    let variant = logs.widen("reddit", &case, false, false);
    logs.join("facebook", &other.1, variant.0);
    logs.join("reddit", &other.1, variant.0);
    let mut late = Cases::new(Arc::new(logs.charter.charter.clone()));
    let (reddit, google) = (logs.log("reddit"), logs.log("google"));
    late.fold(&google, logs.logs[&google][0].clone());
    // The variant waits for what it is one of, and what joins it does not.
    logs.logs[&reddit].iter().for_each(|held| drop(late.fold(&reddit, held.clone())));
    late.fold(&case.1.log, logs.logs[&case.1.log][0].clone());
    assert!(late.set(&other.0).unwrap().joined().iter().eq([&variant.0]));
}

#[test]
fn terms_run_from_our_own_verification_and_are_renewed_by_those_who_stand_by_the_case() {
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::OneHuman);
    let end = START_MS + 1_000 + PROVISIONAL_MAX_MS;
    assert_eq!(logs.state(&case.0, end - 1), State::Provisional);
    assert_eq!(logs.state(&case.0, end), State::Lapsed);
    logs.confirm("google", &case, SEEN);
    // Confirmed at second 2 of the story; the alert's own end comes before the state's.
    let end = (START_MS + 2_000 + CONFIRMED_MAX_MS).min(START_MS + 90 * 86_400_000);
    assert_eq!(logs.state(&case.0, end - 1), State::Confirmed);
    assert_eq!(logs.state(&case.0, end), State::Lapsed);
    logs.renew("reddit", &case.1, u64::MAX / 2);
    assert_eq!(logs.state(&case.0, end), State::Lapsed, "reddit has no opinion of it");
    logs.renew("google", &case.1, u64::MAX / 2);
    assert_eq!(logs.state(&case.0, end), State::Confirmed);
}

#[test]
fn nobody_alone_keeps_a_provisional_case_alive() {
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::OneHuman);
    let end = START_MS + 1_000 + PROVISIONAL_MAX_MS;
    logs.later(PROVISIONAL_MAX_MS - 10_000);
    logs.renew("tiktok", &case.1, u64::MAX / 2);
    logs.confirm("tiktok", &case, SEEN);
    assert_eq!(logs.state(&case.0, end), State::Lapsed, "not by renewing it, nor by its own word");
    // Facebook's people looked before anybody of another owner did: one organisation is one.
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::Unreviewed);
    let first = logs.confirm("facebook", &case, SEEN);
    let end = START_MS + 2_000 + PROVISIONAL_MAX_MS;
    logs.later(PROVISIONAL_MAX_MS - 10_000);
    logs.confirm("facebook", &case, SEEN);
    assert_eq!(logs.state(&case.0, end), State::Lapsed, "nor by confirming again");
    logs.retract("facebook", &first);
    logs.confirm("facebook", &case, SEEN);
    assert_eq!(logs.state(&case.0, end), State::Lapsed, "nor by taking it back in between");
}

#[test]
fn two_members_of_one_owner_do_not_keep_a_case_alive_by_taking_turns() {
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::Unreviewed);
    let first = logs.confirm("facebook", &case, SEEN);
    let end = START_MS + 2_000 + PROVISIONAL_MAX_MS;
    logs.later(PROVISIONAL_MAX_MS - 10_000);
    logs.confirm("instagram", &case, SEEN);
    logs.retract("facebook", &first);
    assert_eq!(logs.state(&case.0, end), State::Lapsed);
}

#[test]
fn an_author_does_not_confirm_its_own_alert() {
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::Unreviewed);
    logs.confirm("tiktok", &case, SEEN);
    assert_eq!(logs.state(&case.0, SOON), State::Proposed);
}

#[test]
fn one_renewal_arms_a_lapsed_case_again_that_enough_still_stand_by() {
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::OneHuman);
    logs.confirm("google", &case, SEEN);
    let year = 365 * 86_400_000;
    assert_eq!(logs.state(&case.0, START_MS + year), State::Lapsed);
    logs.later(year);
    logs.renew("google", &case.1, START_MS + 2 * year);
    let now = START_MS + year + 60_000;
    assert_eq!(logs.state(&case.0, now), State::Confirmed);
    assert_eq!(logs.state(&case.0, now + CONFIRMED_MAX_MS), State::Lapsed, "for one term");
}

#[test]
fn of_the_renewals_of_one_member_the_latest_is_kept() {
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::OneHuman);
    logs.confirm("google", &case, SEEN);
    for _ in 0..100 {
        logs.renew("google", &case.1, START_MS + CONFIRMED_MAX_MS * 2);
    }
    let cases = logs.fold(&[]);
    let set = cases.set(&case.0).unwrap();
    assert_eq!(set.renewals().len(), 1);
    assert_eq!(set.renewals().get(&name("google")).unwrap().turn.index, 100);
}

#[test]
fn one_member_that_makes_much_wait_drops_nothing_of_another() {
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::OneHuman);
    let mut cases = Cases::new(Arc::new(logs.charter.charter.clone()));
    let nowhere = (case.0, Target { log: logs.log("tiktok"), index: 1_000_000 });
    logs.confirm("reddit", &nowhere, SEEN);
    let reddit = logs.log("reddit");
    let waiting = logs.logs[&reddit][0].clone();
    let one = |index| Held { index, ..waiting.clone() };
    let flood = (0..66_000).filter_map(|index| cases.fold(&reddit, one(index)).1).count();
    assert!(flood > 0, "it is bounded");
    logs.confirm("google", &case, SEEN);
    let google = logs.log("google");
    assert_eq!(cases.fold(&google, logs.logs[&google][0].clone()).1, None);
    cases.fold(&case.1.log, logs.logs[&case.1.log][0].clone());
    assert_eq!(cases.set(&case.0).unwrap().state(SOON), State::Confirmed);
}

#[test]
fn nothing_waits_for_logs_outside_the_charter_or_for_the_own_future() {
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::OneHuman);
    let mut stranger = logs.log("google");
    stranger.epoch += 1;
    let google = logs.log("google");
    logs.confirm("google", &(case.0, Target { log: stranger, index: 0 }), SEEN);
    logs.confirm("google", &(case.0, Target { log: google.clone(), index: 9 }), SEEN);
    let mut cases = Cases::new(Arc::new(logs.charter.charter.clone()));
    let ignored = |held: &Held, cases: &mut Cases| cases.fold(&google, held.clone()).1;
    assert_eq!(ignored(&logs.logs[&google][0], &mut cases), Some(Ignored::Foreign));
    assert_eq!(ignored(&logs.logs[&google][1], &mut cases), Some(Ignored::Senseless));
}

#[test]
fn a_record_that_comes_late_is_folded_in_its_place() {
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::OneHuman);
    let google = logs.confirm("google", &case, SEEN);
    logs.retract_and("tiktok", &case.1, false);
    logs.retract_and("google", &google, false);
    let mut cases = Cases::new(Arc::new(logs.charter.charter.clone()));
    for (log, entries) in &logs.logs {
        for held in entries {
            let mut hole = held.clone();
            hole.entry.record = None;
            cases.fold(log, hole);
        }
    }
    assert!(cases.set(&case.0).unwrap().alert.is_none());
    for (log, entries) in &logs.logs {
        for held in entries {
            cases.fold(log, held.clone());
        }
    }
    let (late, whole) = (cases.set(&case.0).unwrap(), logs.fold(&[]));
    let whole = whole.set(&case.0).unwrap();
    assert!(late.alert.is_some());
    assert_eq!((&late.opinions, &late.standing), (&whole.opinions, &whole.standing));
}

#[test]
fn local_features_count_as_the_charter_says_that_their_record_names() {
    let mut logs = Logs::of_stories();
    let before = logs.with_features("tiktok", None);
    logs.go_on_under_the_second_charter();
    let after = logs.with_features("tiktok", None);
    let more = logs.with_features("tiktok", Some(&before.1));
    let cases = logs.fold(&[]);
    let kinds = |name: &Commitment| {
        let set = cases.set(name).unwrap();
        let signals = set.alert.as_ref().unwrap().signals.iter();
        signals.map(|signal| signal.kind().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&before.0), ["pdq", "features"]);
    assert_eq!(kinds(&after.0), ["pdq"]);
    assert_eq!(kinds(&more.0), ["pdq"], "of a set that was added, too");
}

#[test]
fn what_is_written_leaves_local_features_out_where_they_do_not_travel() {
    let mut logs = Logs::of_stories();
    let signals = |logs: &Logs, signals| {
        let log = logs.log("tiktok");
        let draft = alert_draft(&logs.charter.charter, &log, alert(signals), None)?;
        Ok::<_, RaiseError>(draft.statement.alert().unwrap().signals.len())
    };
    let pdq = Signal::new(Pdq([1; 32]));
    assert_eq!(signals(&logs, vec![pdq.clone(), features(1)]).unwrap(), 2);
    assert_eq!(signals(&logs, vec![features(1)]).unwrap(), 1);
    logs.go_on_under_the_second_charter();
    assert_eq!(signals(&logs, vec![pdq, features(1)]).unwrap(), 1);
    let refused = signals(&logs, vec![features(1)]);
    assert!(matches!(refused, Err(RaiseError::OnlyFeatures)), "{refused:?}");
}

#[test]
fn a_leaf_copied_into_another_log_says_nothing() {
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::OneHuman);
    let stolen = logs.logs[&case.1.log][0].clone();
    let google = logs.log("google");
    let mut cases = Cases::new(Arc::new(logs.charter.charter.clone()));
    let (touched, ignored) = cases.fold(&google, stolen);
    assert!(touched.is_empty() && ignored.is_some());
}

#[test]
fn what_waits_for_its_target_keeps_its_place_in_its_own_log() {
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::OneHuman);
    logs.confirm("google", &case, SEEN);
    logs.dispute("google", &case);
    // The logs are folded in order of name, google's before the alert that it speaks of.
    let early = logs.fold(&[0; 4]);
    let late = logs.fold(&[1; 4]);
    let (early, late) = (early.set(&case.0).unwrap(), late.set(&case.0).unwrap());
    assert_eq!(early.opinions, late.opinions);
    assert!(early.standing.was_confirmed, "two organisations once stood by it");
}

/// A set is the same whichever way the logs came.
fn assert_same(
    way: usize,
    one: Option<&SignalSet>,
    other: Option<&SignalSet>,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(one.is_some(), other.is_some(), "way {}", way);
    let (Some(one), Some(other)) = (one, other) else { return Ok(()) };
    prop_assert_eq!(&one.opinions, &other.opinions, "way {}", way);
    prop_assert_eq!(one.renewals(), other.renewals(), "way {}", way);
    prop_assert_eq!(one.halted_by(), other.halted_by(), "way {}", way);
    prop_assert_eq!(one.joined(), other.joined(), "way {}", way);
    prop_assert_eq!(one.counts(), other.counts(), "way {}", way);
    prop_assert_eq!((one.erased, &one.alert), (other.erased, &other.alert), "way {}", way);
    prop_assert_eq!(&one.standing, &other.standing, "way {}", way);
    prop_assert_eq!(one.waiting(), other.waiting(), "way {}", way);
    prop_assert_eq!(one.unreadable, other.unreadable, "way {}", way);
    prop_assert_eq!(one.grave, other.grave, "way {}", way);
    prop_assert_eq!(one.subject, other.subject, "way {}", way);
    Ok(())
}

/// Minutes of what is said one after the other: none, now, or some hours ahead.
pub(crate) fn dates() -> impl Strategy<Value = Vec<Option<u32>>> {
    let date = prop_oneof![
        6 => Just(None),
        3 => Just(Some(0)),
        1 => (0_u32..300).prop_map(Some),
    ];
    prop_oneof![Just(Vec::new()), proptest::collection::vec(date, 1..12)]
}

proptest! {
    #[test]
    fn any_interleaving_of_the_logs_gives_the_same_cases(
        moves in moves(),
        choices in proptest::collection::vec(any::<u8>(), 0..60),
        dates in dates(),
        (live, kib) in (1_u64..9, 3_u64..40),
    ) {
        let mut logs = Logs::of_stories_with(|charter| {
            charter.quotas.live_alerts = live;
            charter.quotas.bytes_a_day = kib * 1_024;
        });
        (logs.varied, logs.dates) = (true, dates);
        let names = play(&mut logs, moves);
        let (one, ways) = logs.fold_in_all_ways(&choices);
        for (way, other) in ways.iter().enumerate() {
            prop_assert!(one.incidents().iter().eq(other.incidents().iter()), "way {way}");
            for (name, _) in &names {
                assert_same(way, one.set(name).as_deref(), other.set(name).as_deref())?;
            }
        }
    }

    #[test]
    fn whatever_one_organisation_says_a_case_ends_with_its_first_term(
        moves in moves(),
        hours in 6_u64..3_000,
    ) {
        let mut logs = Logs::of_stories();
        // Only the owner of facebook and instagram speaks, of a case that nobody else stands by.
        let mut moves = moves;
        moves.iter_mut().for_each(|(by, _, _)| *by = 1 + *by % 2);
        let names = play(&mut logs, moves);
        let (case, _) = &names[0];
        let cases = logs.fold(&[]);
        let set = cases.set(case).unwrap();
        // The author's own word is the other organisation: without it one is left.
        let mut opinions = set.opinions.clone();
        opinions.remove(&name("tiktok"));
        let organisation = |member: &MemberName| {
            logs.charter.charter.organisation_of(member).cloned()
        };
        let rules = Rules {
            organisation: &organisation,
            confirm_quorum: 2,
            dispute_quorum: 2,
            voice: &|_| Voice::Counts,
            taken_back: None,
            halted: false,
            erased: false,
            lifts: Vec::new(),
        };
        let alone = Standing::of(&opinions, set.renewals(), u64::MAX, &rules);
        let first = opinions.values().filter_map(|opinion| opinion.stood_since_ms).min();
        if let Some(first) = first {
            let now = first + hours * 3_600_000;
            prop_assert!(matches!(alone.state(now), State::Lapsed | State::Retracted));
        }
    }
}

#[test]
fn verbs_that_say_nothing_of_a_case_are_passed_over() {
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::OneHuman);
    let statement = Statement::Sighting { bucket: 3, window_ms: 60_000 };
    let (_, target) = logs.say("google", &statement, |header| header.target = Some(case.1.clone()));
    assert_eq!((target.index, statement.verb()), (0, Verb::Sighting));
    assert_eq!(logs.state(&case.0, SOON), State::Provisional);
}
